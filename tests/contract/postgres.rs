//! PostgreSQL's sink by itself, with a real server: what every sink must keep to, whatever its
//! connector, and what this one promises beside that.

use std::process::Stdio;
use std::sync::Arc;
use streamhost_connectors::connector::{Connector, Presence};
use streamhost_connectors::postgres;
use streamhost_core::job::SinkSpec;
use streamhost_core::types::Kind;
use streamhost_engine::sink::{CancelSignal, Remedy, Sink, SinkError};
use streamhost_tests::host::unique;
use streamhost_tests::postgres::Postgres;
use streamhost_tests::sizes::SOON;
use streamhost_tests::tables::{self, Is, Taken, column, deliver, keyless, numbers, rows};
use streamhost_tests::wait::wait_until;

fn spec(target: &str) -> SinkSpec {
    tables::spec("postgres", target)
}

fn small(target: &str) -> SinkSpec {
    tables::small("postgres", target)
}

fn connector(server: &Postgres) -> Arc<dyn Connector> {
    let settings = postgres::of_url("postgres", &server.url("postgres"));
    postgres::connector(settings.expect("a URL"))
}

fn open(server: &Postgres, spec: &SinkSpec) -> Box<dyn Sink> {
    open_until(server, spec, &CancelSignal::default())
}

fn open_until(server: &Postgres, spec: &SinkSpec, cancel: &CancelSignal) -> Box<dyn Sink> {
    tables::open(&*connector(server), spec, cancel)
}

#[track_caller]
fn create(server: &Postgres, spec: &SinkSpec) {
    let connector = connector(server);
    connector
        .sink()
        .expect("a sink")
        .create(spec)
        .expect("created");
}

#[test]
fn every_kind_of_cell_is_there_as_psql_reads_it_once_whoever_delivers_it_again() {
    let server = Postgres::shared();
    server.psql("CREATE SCHEMA IF NOT EXISTS \"In-here\"");
    let table = unique("kinds");
    let spec = spec(&format!("In-here.{table}"));
    let connector = connector(server);
    let connector = connector.sink().expect("a sink");
    let missing = connector
        .inspect(&spec, false)
        .expect_err("it is not there");
    assert_eq!(missing.remedy(), Remedy::Stop);
    let words = missing.to_string();
    assert!(
        words.contains("--create-tables") && words.contains("CREATE TABLE"),
        "{words}"
    );
    assert_eq!(
        connector.inspect(&spec, true).expect("to make"),
        Presence::Missing
    );
    connector.create(&spec).expect("created");
    connector.create(&spec).expect("created before");
    assert_eq!(
        connector.inspect(&spec, false).expect("there"),
        Presence::There
    );

    let (shard, big, float) = (
        1_u64.to_le_bytes(),
        u64::MAX.to_le_bytes(),
        0.1_f64.to_le_bytes(),
    );
    let (int, time) = (i64::MIN.to_le_bytes(), (-1_i64).to_le_bytes());
    let full = [
        Is::There("tab\tline\n\\N \\. ü".as_bytes()),
        Is::There(b"\x00\xff\\"),
        Is::There(&int),
        Is::There(&big),
        Is::There(&float),
        Is::There(&[1]),
        Is::There(&time),
        Is::There(b"{\"a\": [1, \"\\n\"]}"),
    ];
    let key = |id: &'static [u8]| [id, &shard[..]];
    let (k1, k2, k3, k4) = (key(b"k1"), key(b"k2"), key(b""), key(b"k4"));
    let first = rows(&[(&k1, &full), (&k2, &full), (&k3, &full), (&k4, &full)], 8);
    let part = [Is::There(&b"new"[..]), Is::Absent, Is::Deleted];
    let only = [Is::Absent, Is::There(&b"b"[..])];
    let second = rows(
        &[
            (&k1, &part),
            (&k2, &[]),
            (&k4, &[]),
            (&k4, &only),
            (&k1, &only),
        ],
        8,
    );

    let mut sink = open(server, &spec);
    assert_eq!(sink.open().expect("open"), None, "nothing is there yet");
    let mut none = Taken::default();
    deliver(sink.as_mut(), 1, &[first], &mut none).expect("delivered");
    deliver(sink.as_mut(), 2, &[second], &mut none).expect("delivered");
    assert_eq!((none.calls, none.refused.len()), (2, 0));
    let select = format!("SELECT * FROM \"In-here\".\"{table}\" ORDER BY id");
    let one = |text: &str, bytes: &str, int: &str| {
        format!(
            "{text}|{bytes}|{int}|18446744073709551615|0.1|t|1969-12-31 23:59:59.999+00|{{\"a\": [1, \"\\n\"]}}"
        )
    };
    let utc = format!("SET timezone = 'UTC'; {select}");
    let want = [
        format!(
            "|1|{}",
            one("tab\tline\n\\N \\. ü", "\\x00ff5c", "-9223372036854775808")
        ),
        format!("k1|1|{}", one("new", "\\x62", "NULL")),
        "k4|1|NULL|\\x62|NULL|NULL|NULL|NULL|NULL|NULL".to_owned(),
    ];
    assert_eq!(server.psql(&utc), want.join("\n"));

    // A host that did not hear of it finds it held; and how far the sources were read.
    let mut again = open(server, &spec);
    let peeked = again.peek().expect("peeked").expect("a marker");
    let marker = again.open().expect("open").expect("a marker");
    assert_eq!(
        (marker.epoch, marker.batch, marker.digest.as_str()),
        (7, 2, "d2")
    );
    assert_eq!(peeked, marker);
    assert_eq!(again.committed()["in"][&3], 20);
    // The one before writes no more: the first time it may be its own doing, which it looks at.
    let empty = numbers(0..0, |_| 0);
    let away =
        deliver(sink.as_mut(), 3, std::slice::from_ref(&empty), &mut none).expect_err("taken over");
    assert_eq!(away.remedy(), Remedy::Retry, "{away}");
    deliver(again.as_mut(), 4, &[empty], &mut none).expect("the newer one writes");
    let fenced = sink.open().expect_err("somebody else has written");
    assert!(matches!(fenced, SinkError::Fenced { .. }), "{fenced}");
    assert!(
        fenced.to_string().contains("another host runs this job"),
        "{fenced}"
    );
}

#[test]
fn what_does_not_fit_is_said_at_once() {
    let server = Postgres::shared();
    let table = unique("misfit");
    create(server, &small(&unique("makes-the-marks")));
    let inspect = |spec: &SinkSpec| {
        let connector = connector(server);
        let looked = connector.sink().expect("a sink").inspect(spec, true);
        looked.map_err(|error| {
            assert_eq!(error.remedy(), Remedy::Stop, "{error}");
            error.to_string()
        })
    };
    let spec = small(&table);
    for (made, parts) in [
        (
            "(id int8 PRIMARY KEY, n text, t text)",
            &["\"n\" is text, and the job gives int"][..],
        ),
        ("(id int8, n int8, t text)", &["ADD PRIMARY KEY (\"id\")"]),
        (
            "(id int8 PRIMARY KEY)",
            &["ADD COLUMN \"n\" bigint", "ADD COLUMN \"t\" text"],
        ),
        (
            "(id int8 PRIMARY KEY, n int8, t text, more int NOT NULL)",
            &["\"more\" is NOT NULL"],
        ),
        (
            "(id int8 PRIMARY KEY, n int8 GENERATED ALWAYS AS (id * 2) STORED, t text)",
            &["\"n\" is made by the table itself"],
        ),
    ] {
        server.psql(&format!(
            "DROP TABLE IF EXISTS \"{table}\"; CREATE TABLE \"{table}\" {made}"
        ));
        let words = inspect(&spec).expect_err(made);
        for part in parts {
            assert!(words.contains(part), "{made}: {words}");
        }
        assert!(words.contains(&table) && !words.contains('\n'), "{words}");
    }
    for made in [
        "(id int4 PRIMARY KEY, n int2, t varchar(10), more int NOT NULL DEFAULT 1)",
        "(t uuid, id numeric, n numeric(9), other text, UNIQUE (id))",
    ] {
        server.psql(&format!(
            "DROP TABLE IF EXISTS \"{table}\"; CREATE TABLE \"{table}\" {made}"
        ));
        assert_eq!(inspect(&spec), Ok(Presence::There), "{made}");
    }
    let view = unique("view");
    server.psql(&format!(
        "CREATE VIEW \"{view}\" AS SELECT * FROM \"{table}\""
    ));
    assert!(inspect(&small(&view)).is_err_and(|words| words.contains("it is a view")));
}

#[test]
fn rows_that_the_table_refuses_are_told_and_the_others_are_there() {
    let server = Postgres::shared();
    let table = unique("strict");
    server.psql(&format!(
        "CREATE TABLE \"{table}\" (id int8 PRIMARY KEY, n int4 CHECK (n < 5000), t varchar(8) NOT NULL)"
    ));
    let spec = small(&table);
    create(server, &spec); // the mark's table
    let mut sink = open(server, &spec);
    sink.open().expect("open");
    let bad = |i: i64| match i {
        12 => 5000,
        617 => i64::MAX,
        _ => i,
    };
    let mut refusals = Taken {
        most: 100,
        ..Taken::default()
    };
    deliver(sink.as_mut(), 1, &[numbers(0..1000, bad)], &mut refusals).expect("the rest");
    let told: Vec<usize> = refusals.refused.iter().map(|refused| refused.row).collect();
    assert_eq!(told, [12, 617], "{:?}", refusals.refused);
    assert!(
        refusals.refused[0].reason.contains("(23514)"),
        "{:?}",
        refusals.refused
    );
    assert!(
        refusals.refused[1].reason.contains("(22003)"),
        "{:?}",
        refusals.refused
    );
    let count = format!("SELECT count(*), sum(n) FROM \"{table}\"");
    let sum: i64 = (0..1000).filter(|i| ![12, 617].contains(i)).sum();
    assert_eq!(server.psql(&count), format!("998|{sum}"));

    // Of several rows of one key the one that is at fault: a zero byte, which no text has.
    let (key, n) = (5_i64.to_le_bytes(), 77_i64.to_le_bytes());
    let of_five = [
        [Is::There(&n[..]), Is::Absent],
        [Is::Absent, Is::There(b"a\0b")],
        [Is::Absent, Is::There(b"good")],
    ];
    let key: &[&[u8]] = &[&key];
    // The last row would hide what the middle one says; alone it does not.
    let batch = rows(&[(key, &of_five[0]), (key, &of_five[1])], 2);
    deliver(sink.as_mut(), 2, &[batch], &mut refusals).expect("the rest");
    let told: Vec<usize> = refusals.refused.iter().map(|refused| refused.row).collect();
    assert_eq!(told, [1], "{:?}", refusals.refused);
    let five = format!("SELECT n, t FROM \"{table}\" WHERE id = 5");
    assert_eq!(server.psql(&five), "77|text");
    let whole = rows(&[(key, &of_five[1]), (key, &of_five[2])], 2);
    deliver(sink.as_mut(), 3, &[whole], &mut refusals).expect("merged, nothing is wrong");
    assert_eq!(
        (refusals.refused.len(), server.psql(&five)),
        (0, "77|good".to_owned())
    );

    // A schema that takes none of them is no matter of rows: nothing of the batch is there.
    let all_bad = numbers(2000..3000, |_| 9999);
    deliver(sink.as_mut(), 4, &[all_bad], &mut refusals).expect_err("too many");
    assert_eq!(refusals.refused.len(), 101, "no more is looked for");
    assert_eq!(server.psql(&format!("{count} WHERE id >= 2000")), "0|NULL");
    let marker = open(server, &spec).open().expect("open").expect("a marker");
    assert_eq!(marker.batch, 3);
}

#[test]
fn keys_that_only_the_server_knows_to_be_one_come_to_the_last_row() {
    let server = Postgres::shared();
    let table = unique("same-key");
    server.psql(&format!(
        "CREATE TABLE \"{table}\" (id numeric PRIMARY KEY, n int8, t text)"
    ));
    let spec = SinkSpec {
        keys: vec![column("id", Kind::Text)],
        ..small(&table)
    };
    create(server, &spec);
    let mut sink = open(server, &spec);
    sink.open().expect("open");
    let n: Vec<[u8; 8]> = (0..4_i64).map(i64::to_le_bytes).collect();
    let cells: Vec<[Is<'_>; 1]> = n.iter().map(|n| [Is::There(&n[..])]).collect();
    let batch = rows(
        &[
            (&[b"1"], &cells[0]),
            (&[b"2"], &cells[1]),
            (&[b"1.0"], &cells[2]),
            (&[b"01"], &cells[3]),
        ],
        2,
    );
    let mut none = Taken::default();
    deliver(sink.as_mut(), 1, &[batch], &mut none).expect("delivered");
    let found = server.psql(&format!("SELECT id, n FROM \"{table}\" ORDER BY id"));
    assert_eq!(found, "1|3\n2|1");
}

#[test]
fn rows_that_lack_what_a_new_row_must_have_change_those_that_are_there() {
    let server = Postgres::shared();
    let table = unique("part");
    server.psql(&format!(
        "CREATE TABLE \"{table}\" (id int8 PRIMARY KEY, n int8 NOT NULL, t text); INSERT INTO \"{table}\" VALUES (1, 1, 'old')"
    ));
    let spec = small(&table);
    create(server, &spec);
    let mut sink = open(server, &spec);
    sink.open().expect("open");
    let (one, two) = (1_i64.to_le_bytes(), 2_i64.to_le_bytes());
    let cells = [Is::Absent, Is::There(&b"new"[..])];
    let batch = rows(&[(&[&one], &cells), (&[&two], &cells)], 2);
    let mut refusals = Taken {
        most: 10,
        ..Taken::default()
    };
    deliver(sink.as_mut(), 1, &[batch], &mut refusals).expect("the rest");
    assert_eq!(
        server.psql(&format!("SELECT * FROM \"{table}\"")),
        "1|1|new"
    );
    let reason = &refusals.refused[0].reason;
    assert!(
        refusals.refused[0].row == 1 && reason.contains("(23502)"),
        "{reason}"
    );
}

/// A transaction of a host that is thought dead is still under way: the new one waits for what
/// becomes of it, and finds the batch held.
#[test]
fn a_late_twin_is_waited_for_and_writes_no_more() {
    let server = Postgres::shared();
    let table = unique("twin");
    let spec = SinkSpec {
        keys: Vec::new(),
        ..small(&table)
    };
    create(server, &spec);
    let mut first = open(server, &spec);
    first.open().expect("open");
    let mut none = Taken::default();
    let batch = |from: i64| keyless(numbers(from..from + 10, |i| i));
    deliver(first.as_mut(), 1, &[batch(0)], &mut none).expect("delivered");
    let sink = format!("streamhost.{table}.out");
    let twin = format!(
        "BEGIN; UPDATE streamhost_marks SET batch = 2, digest = 'd2' WHERE sink = '{sink}'; \
         INSERT INTO \"{table}\" (n, t) SELECT n, 'twin' FROM generate_series(10, 19) AS n; SELECT pg_sleep(2); COMMIT"
    );
    let mut twin = server.command(&twin);
    let mut twin = twin.stdout(Stdio::null()).spawn().expect("psql");
    let locked = format!(
        "SELECT count(*) FROM pg_locks WHERE relation = '\"{table}\"'::regclass AND mode = 'RowExclusiveLock'"
    );
    wait_until("the twin is under way", SOON, || {
        server.psql(&locked) == "1"
    });
    let mut second = open(server, &spec);
    let marker = second.open().expect("open").expect("a marker");
    assert_eq!(marker.batch, 2, "its outcome was waited for");
    assert!(twin.wait().expect("psql").success());
    deliver(second.as_mut(), 3, &[batch(20)], &mut none).expect("delivered");
    // The old host's next batch finds its right gone.
    assert!(deliver(first.as_mut(), 2, &[batch(10)], &mut none).is_err());
    let counts = format!("SELECT count(*), count(DISTINCT n) FROM \"{table}\"");
    assert_eq!(
        server.psql(&counts),
        "30|30",
        "each once, in a table without a key"
    );
}

#[test]
fn a_stop_ends_a_call_that_waits() {
    let server = Postgres::shared();
    let spec = small(&unique("stopped"));
    create(server, &spec);
    open(server, &spec).open().expect("open");
    let lock = format!(
        "BEGIN; SELECT 1 FROM streamhost_marks WHERE sink = 'streamhost.{}.out' FOR UPDATE; SELECT pg_sleep(60)",
        spec.target
    );
    let mut locker = server.command(&lock);
    let mut locker = locker.stdout(Stdio::null()).spawn().expect("psql");
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'INSERT INTO \"streamhost_marks\"%'";
    let sleeps = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE '%FOR UPDATE%'";
    wait_until("the mark is locked", SOON, || server.psql(sleeps) == "1");
    let cancel = CancelSignal::default();
    let outcome = std::thread::scope(|scope| {
        let opens = scope.spawn(|| open_until(server, &spec, &cancel).open());
        wait_until("the sink waits for the lock", SOON, || {
            server.psql(waits) == "1"
        });
        cancel.cancel();
        opens.join().expect("no panic")
    });
    assert!(matches!(outcome, Err(SinkError::Cancelled)), "{outcome:?}");
    _ = locker.kill();
    _ = locker.wait();
    let ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE '%FOR UPDATE%'";
    server.psql(ended);
}
