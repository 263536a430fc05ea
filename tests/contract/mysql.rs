//! MySQL's sink by itself, with a real MariaDB: what every sink must keep to, whatever its connector,
//! and what this one promises beside that.

use std::process::Stdio;
use std::sync::Arc;
use streamhost_connectors::connector::{Connector, Presence};
use streamhost_connectors::mysql;
use streamhost_core::job::SinkSpec;
use streamhost_core::types::Kind;
use streamhost_engine::sink::{CancelSignal, Remedy, Sink, SinkError};
use streamhost_tests::host::unique;
use streamhost_tests::mariadb::MariaDb;
use streamhost_tests::sizes::SOON;
use streamhost_tests::tables::{self, Is, Taken, column, deliver, keyless, numbers, rows};
use streamhost_tests::wait::wait_until;

fn spec(target: &str) -> SinkSpec {
    tables::spec("mysql", target)
}

fn small(target: &str) -> SinkSpec {
    tables::small("mysql", target)
}

fn connector(server: &MariaDb) -> Arc<dyn Connector> {
    let settings = mysql::of_url("mysql", &server.url("root"));
    mysql::connector(settings.expect("a URL"))
}

fn open(server: &MariaDb, spec: &SinkSpec) -> Box<dyn Sink> {
    open_until(server, spec, &CancelSignal::default())
}

fn open_until(server: &MariaDb, spec: &SinkSpec, cancel: &CancelSignal) -> Box<dyn Sink> {
    tables::open(&*connector(server), spec, cancel)
}

#[track_caller]
fn create(server: &MariaDb, spec: &SinkSpec) {
    let connector = connector(server);
    let created = connector.sink().expect("a sink").create(spec);
    created.expect("created");
}

fn inspect(server: &MariaDb, spec: &SinkSpec) -> Result<Presence, String> {
    let connector = connector(server);
    let looked = connector.sink().expect("a sink").inspect(spec, true);
    looked.map_err(|error| {
        assert_eq!(error.remedy(), Remedy::Stop, "{error}");
        error.to_string()
    })
}

#[test]
fn every_kind_of_cell_is_there_as_mariadb_reads_it_once_whoever_delivers_it_again() {
    let server = MariaDb::shared();
    let database = unique("in-here");
    server.sql(&format!("CREATE DATABASE `{database}`"));
    let spec = spec(&format!("{database}.Kinds"));
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
        Is::There("quote'\\ ü 🦀".as_bytes()),
        Is::There(b"\x00\xff\\'"),
        Is::There(&int),
        Is::There(&big),
        Is::There(&float),
        Is::There(&[1]),
        Is::There(&time),
        Is::There(b"{\"a\": [1, \"\\n\"]}"),
    ];
    let key = |id: &'static [u8]| [id, &shard[..]];
    let (k1, k2, k3, k4) = (key(b"k1"), key(b"k2"), key(b""), key(b"k4"));
    // Keys that differ by case, accents or blanks alone are different rows.
    let alike = [key(b"K1"), key(b"k1 "), key("ḱ1".as_bytes())];
    let mut first: Vec<(&[&[u8]], &[Is<'_>])> =
        vec![(&k1, &full), (&k2, &full), (&k3, &full), (&k4, &full)];
    first.extend(alike.iter().map(|key| (&key[..], &full[..1])));
    let part = [Is::There(&b"new"[..]), Is::Absent, Is::Deleted];
    let only = [Is::Absent, Is::There(&b"b"[..])];
    let second = [
        (&k1[..], &part[..]),
        (&k2, &[]),
        (&k4, &[]),
        (&k4, &only),
        (&k1, &only),
    ];

    let mut sink = open(server, &spec);
    assert_eq!(sink.open().expect("open"), None, "nothing is there yet");
    let mut none = Taken::default();
    deliver(sink.as_mut(), 1, &[rows(&first, 8)], &mut none).expect("delivered");
    deliver(sink.as_mut(), 2, &[rows(&second, 8)], &mut none).expect("delivered");
    assert_eq!((none.calls, none.refused.len()), (2, 0));
    let table = format!("`{database}`.`Kinds`");
    let found = server.rows(&format!(
        "SELECT id, shard, `c text`, HEX(`c bytes`), `c int`, `c uint`, `c float`, `c bool`, `c time`, `c json` \
         FROM {table} ORDER BY id, shard"
    ));
    let one = |text: &str, bytes: &str, int: &str| {
        format!(
            "{text}|{bytes}|{int}|18446744073709551615|0.1|1|1969-12-31 23:59:59.999|{{\"a\": [1, \"\\\\n\"]}}"
        )
    };
    let whole = one("quote'\\\\ ü 🦀", "00FF5C27", "-9223372036854775808");
    let bare = "quote'\\\\ ü 🦀|NULL|NULL|NULL|NULL|NULL|NULL|NULL";
    let want = [
        format!("|1|{whole}"),
        format!("K1|1|{bare}"),
        format!("k1|1|{}", one("new", "62", "NULL")),
        format!("k1 |1|{bare}"),
        "k4|1|NULL|62|NULL|NULL|NULL|NULL|NULL|NULL".to_owned(),
        format!("ḱ1|1|{bare}"),
    ];
    assert_eq!(found, want);

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
    let away = deliver(sink.as_mut(), 3, &[rows(&[], 8)], &mut none).expect_err("taken over");
    assert_eq!(away.remedy(), Remedy::Retry, "{away}");
    deliver(again.as_mut(), 4, &[rows(&[], 8)], &mut none).expect("the newer one writes");
    let fenced = sink.open().expect_err("somebody else has written");
    assert!(matches!(fenced, SinkError::Fenced { .. }), "{fenced}");
    assert!(
        fenced.to_string().contains("another host runs this job"),
        "{fenced}"
    );
}

#[test]
fn what_does_not_fit_is_said_at_once() {
    let server = MariaDb::shared();
    let table = unique("misfit");
    create(server, &small(&unique("makes-the-marks")));
    let spec = small(&table);
    for (made, parts) in [
        (
            "(id bigint PRIMARY KEY, n text, t text)",
            &["`n` is text, and the job gives int"][..],
        ),
        ("(id bigint, n bigint, t text)", &["ADD PRIMARY KEY (`id`)"]),
        (
            "(id bigint PRIMARY KEY)",
            &["ADD COLUMN `n` bigint", "ADD COLUMN `t` longtext"],
        ),
        (
            "(id bigint PRIMARY KEY, n bigint, t text, more int NOT NULL)",
            &["`more` is NOT NULL", "MODIFY `more` int(11) NULL"],
        ),
        (
            "(id bigint PRIMARY KEY, n bigint AS (id * 2) STORED, t text)",
            &["`n` is made by the table itself"],
        ),
        (
            "(id bigint PRIMARY KEY, n bigint, t text) ENGINE = MyISAM",
            &["its engine is MyISAM", "ENGINE = InnoDB"],
        ),
        (
            "(id bigint, n bigint, t text, UNIQUE (id, n))",
            &["not unique by the job's key `id`"],
        ),
    ] {
        server.sql(&format!(
            "DROP TABLE IF EXISTS `{table}`; CREATE TABLE `{table}` {made}"
        ));
        let words = inspect(server, &spec).expect_err(made);
        for part in parts {
            assert!(words.contains(part), "{made}: {words}");
        }
        assert!(words.contains(&table) && !words.contains('\n'), "{words}");
    }
    for made in [
        "(id int PRIMARY KEY, n smallint, t varchar(10), more int NOT NULL DEFAULT 1)",
        "(pk int AUTO_INCREMENT PRIMARY KEY, t datetime, id decimal(20), n tinyint unsigned, other text, UNIQUE (id))",
    ] {
        server.sql(&format!(
            "DROP TABLE IF EXISTS `{table}`; CREATE TABLE `{table}` {made}"
        ));
        assert_eq!(inspect(server, &spec), Ok(Presence::There), "{made}");
    }
    let view = unique("view");
    server.sql(&format!("CREATE VIEW `{view}` AS SELECT * FROM `{table}`"));
    assert!(inspect(server, &small(&view)).is_err_and(|words| words.contains("it is a view")));
}

/// A key that the table's collation does not tell from another one.
#[test]
fn keys_that_the_table_calls_equal_are_refused_unless_that_is_accepted() {
    let server = MariaDb::shared();
    let table = unique("blurred");
    let exact = SinkSpec {
        keys: vec![column("id", Kind::Text)],
        ..small(&table)
    };
    create(server, &small(&unique("makes-the-marks")));
    let make = |collation: &str| {
        server.sql(&format!(
            "DROP TABLE IF EXISTS `{table}`; CREATE TABLE `{table}` (id varchar(20) COLLATE {collation} PRIMARY KEY, n int, t text)"
        ));
    };
    make("utf8mb4_general_ci");
    let words = inspect(server, &exact).expect_err("`a` is `A`");
    assert!(
        words.contains("`id`")
            && words.contains("utf8mb4_general_ci")
            && words.contains("sink.out.collation=accept"),
        "{words}"
    );
    let accepts = SinkSpec {
        options: exact.options.clone().with("collation", "accept"),
        ..exact.clone()
    };
    assert_eq!(inspect(server, &accepts), Ok(Presence::There));
    let n: Vec<[u8; 8]> = (0..3_i64).map(i64::to_le_bytes).collect();
    let cells: Vec<[Is<'_>; 1]> = n.iter().map(|n| [Is::There(&n[..])]).collect();
    let batch = |keys: [&[u8]; 3]| {
        let all: Vec<[&[u8]; 1]> = keys.iter().map(|key| [*key]).collect();
        let all: Vec<(&[&[u8]], &[Is<'_>])> = all
            .iter()
            .zip(&cells)
            .map(|(key, cell)| (&key[..], &cell[..]))
            .collect();
        rows(&all, 2)
    };
    let mut refusals = Taken {
        most: 10,
        ..Taken::default()
    };
    let mut sink = open(server, &accepts);
    sink.open().expect("open");
    deliver(
        sink.as_mut(),
        1,
        &[batch([b"a", b"b", b"A"])],
        &mut refusals,
    )
    .expect("delivered");
    let found = || server.rows(&format!("SELECT id, n FROM `{table}` ORDER BY n"));
    assert_eq!(found(), ["b|1", "a|2"]);

    // This one tells all but blanks at the end, so a key with one is no key.
    make("utf8mb4_bin");
    assert_eq!(inspect(server, &exact), Ok(Presence::There));
    let mut sink = open(
        server,
        &SinkSpec {
            name: "other".to_owned(),
            ..exact
        },
    );
    sink.open().expect("open");
    deliver(
        sink.as_mut(),
        1,
        &[batch([b"a", b"a ", b"A"])],
        &mut refusals,
    )
    .expect("the rest");
    assert_eq!(found(), ["a|0", "A|2"]);
    let told = &refusals.refused[0];
    assert!(
        refusals.refused.len() == 1 && told.row == 1 && told.reason.contains("ends with a blank"),
        "{told:?}"
    );
}

#[test]
fn rows_that_the_table_refuses_are_told_and_the_others_are_there() {
    let server = MariaDb::shared();
    let table = unique("strict");
    server.sql(&format!(
        "CREATE TABLE `{table}` (id bigint PRIMARY KEY, n int CHECK (n < 5000), t varchar(8) NOT NULL)"
    ));
    let spec = small(&table);
    create(server, &spec); // the mark's table
    let mut sink = open(server, &spec);
    sink.open().expect("open");
    let bad = |i: i64| match i {
        12 => 5000,
        1617 => i64::MAX,
        _ => i % 1000,
    };
    let mut refusals = Taken {
        most: 100,
        ..Taken::default()
    };
    // More than one statement of the most rows.
    deliver(sink.as_mut(), 1, &[numbers(0..2500, bad)], &mut refusals).expect("the rest");
    let told: Vec<usize> = refusals.refused.iter().map(|refused| refused.row).collect();
    assert_eq!(told, [12, 1617], "{:?}", refusals.refused);
    for (refused, code) in refusals.refused.iter().zip(["(4025)", "(1264)"]) {
        assert!(refused.reason.contains(code), "{refused:?}");
    }
    let count = format!("SELECT count(*), sum(n) FROM `{table}`");
    let sum: i64 = (0..2500)
        .filter(|i| ![12, 1617].contains(i))
        .map(|i| i % 1000)
        .sum();
    assert_eq!(server.sql(&count), format!("2498|{sum}"));

    // Of several rows of one key the one that is at fault: a text that is too long.
    let (key, n) = (5_i64.to_le_bytes(), 77_i64.to_le_bytes());
    let of_five = [
        [Is::There(&n[..]), Is::Absent],
        [Is::Absent, Is::There(b"much too long")],
        [Is::Absent, Is::There(b"good")],
    ];
    let key: &[&[u8]] = &[&key];
    let batch = rows(&[(key, &of_five[0]), (key, &of_five[1])], 2);
    deliver(sink.as_mut(), 2, &[batch], &mut refusals).expect("the rest");
    let told: Vec<usize> = refusals.refused.iter().map(|refused| refused.row).collect();
    assert_eq!(told, [1], "{:?}", refusals.refused);
    let five = format!("SELECT n, t FROM `{table}` WHERE id = 5");
    assert_eq!(server.sql(&five), "77|text");
    let whole = rows(&[(key, &of_five[1]), (key, &of_five[2])], 2);
    deliver(sink.as_mut(), 3, &[whole], &mut refusals).expect("merged, nothing is wrong");
    assert_eq!(
        (refusals.refused.len(), server.sql(&five)),
        (0, "77|good".to_owned())
    );

    // A schema that takes none of them is no matter of rows: nothing of the batch is there.
    let all_bad = numbers(3000..4000, |_| 9999);
    deliver(sink.as_mut(), 4, &[all_bad], &mut refusals).expect_err("too many");
    assert_eq!(refusals.refused.len(), 101, "no more is looked for");
    assert_eq!(server.sql(&format!("{count} WHERE id >= 3000")), "0|NULL");
    let marker = open(server, &spec).open().expect("open").expect("a marker");
    assert_eq!(marker.batch, 3);
}

/// `ON DUPLICATE KEY` goes by any unique index: a row must not change one that has another key.
#[test]
fn a_row_that_meets_another_key_in_a_unique_index_is_refused() {
    let server = MariaDb::shared();
    let table = unique("rivals");
    server.sql(&format!(
        "CREATE TABLE `{table}` (id bigint PRIMARY KEY, n bigint UNIQUE, t varchar(8)); \
         INSERT INTO `{table}` VALUES (1, 10, 'old'), (2, 20, 'old')"
    ));
    let spec = small(&table);
    create(server, &spec);
    let mut sink = open(server, &spec);
    sink.open().expect("open");
    let mut refusals = Taken {
        most: 10,
        ..Taken::default()
    };
    // 2 is changed, 3 is new, 4 has the number of 1.
    let batch = numbers(2..5, |i| if i == 4 { 10 } else { i * 11 });
    deliver(sink.as_mut(), 1, &[batch], &mut refusals).expect("the rest");
    assert_eq!(
        server.rows(&format!("SELECT * FROM `{table}` ORDER BY id")),
        ["1|10|old", "2|22|text", "3|33|text"]
    );
    let told = &refusals.refused[0];
    assert!(
        refusals.refused.len() == 1 && told.row == 2 && told.reason.contains("is unique"),
        "{told:?}"
    );
}

#[test]
fn rows_that_lack_what_a_new_row_must_have_change_those_that_are_there() {
    let server = MariaDb::shared();
    let table = unique("part");
    server.sql(&format!(
        "CREATE TABLE `{table}` (id bigint PRIMARY KEY, n bigint NOT NULL, t text); INSERT INTO `{table}` VALUES (1, 1, 'old')"
    ));
    let spec = small(&table);
    create(server, &spec);
    let mut sink = open(server, &spec);
    sink.open().expect("open");
    let (one, two) = (1_i64.to_le_bytes(), 2_i64.to_le_bytes());
    let cells = [Is::Absent, Is::There(&b"new"[..])];
    let batch = || rows(&[(&[&one], &cells), (&[&two], &cells)], 2);
    let mut refusals = Taken {
        most: 10,
        ..Taken::default()
    };
    for again in 1..=2 {
        // The second time it is as it shall be already.
        deliver(sink.as_mut(), again, &[batch()], &mut refusals).expect("the rest");
        assert_eq!(server.sql(&format!("SELECT * FROM `{table}`")), "1|1|new");
        let told = &refusals.refused[0];
        assert!(
            told.row == 1 && told.reason.contains("column `n`, which is NOT NULL"),
            "{told:?}"
        );
    }
}

#[test]
fn a_row_of_more_bytes_than_the_server_takes_is_refused_and_the_connection_goes_on() {
    let server = MariaDb::own("packet");
    server.sql("SET GLOBAL max_allowed_packet = 1048576");
    let table = unique("packet");
    let spec = small(&table);
    create(&server, &spec);
    let mut sink = open(&server, &spec);
    sink.open().expect("open");
    let (ids, n) = ([1_i64, 2, 3].map(i64::to_le_bytes), 1_i64.to_le_bytes());
    let texts = [400 << 10, 2 << 20, 900 << 10].map(|bytes| vec![b'x'; bytes]);
    let cells: Vec<[Is<'_>; 2]> = texts
        .iter()
        .map(|text| [Is::There(&n[..]), Is::There(text)])
        .collect();
    let keys: Vec<[&[u8]; 1]> = ids.iter().map(|id| [&id[..]]).collect();
    let all: Vec<(&[&[u8]], &[Is<'_>])> = keys
        .iter()
        .zip(&cells)
        .map(|(key, cells)| (&key[..], &cells[..]))
        .collect();
    let mut refusals = Taken {
        most: 10,
        ..Taken::default()
    };
    deliver(sink.as_mut(), 1, &[rows(&all, 2)], &mut refusals).expect("the rest");
    let told = &refusals.refused[0];
    assert!(
        refusals.refused.len() == 1 && told.row == 1 && told.reason.contains("max_allowed_packet"),
        "{told:?}"
    );
    let lengths = server.rows(&format!("SELECT id, LENGTH(t) FROM `{table}`"));
    assert_eq!(lengths, ["1|409600", "3|921600"]);
    server.tell("stop").ok();
}

/// A transaction of a host that is thought dead is still under way: the new one waits for what
/// becomes of it, and finds the batch held.
#[test]
fn a_late_twin_is_waited_for_and_writes_no_more() {
    let server = MariaDb::shared();
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
         INSERT INTO `{table}` (n, t) SELECT seq, 'twin' FROM seq_10_to_19; SELECT SLEEP(2); COMMIT"
    );
    let mut twin = server.command(&twin);
    let mut twin = twin.stdout(Stdio::null()).spawn().expect("mariadb");
    wait_until("the twin is under way", SOON, || {
        server.sessions("INFO = 'SELECT SLEEP(2)'") == 1
    });
    let mut second = open(server, &spec);
    let marker = second.open().expect("open").expect("a marker");
    assert_eq!(marker.batch, 2, "its outcome was waited for");
    assert!(twin.wait().expect("mariadb").success());
    deliver(second.as_mut(), 3, &[batch(20)], &mut none).expect("delivered");
    // The old host's next batch finds its right gone.
    assert!(deliver(first.as_mut(), 2, &[batch(10)], &mut none).is_err());
    let counts = format!("SELECT count(*), count(DISTINCT n) FROM `{table}`");
    assert_eq!(
        server.sql(&counts),
        "30|30",
        "each once, in a table without a key"
    );
}

#[test]
fn a_stop_ends_a_call_that_waits() {
    let server = MariaDb::shared();
    let spec = small(&unique("stopped"));
    create(server, &spec);
    open(server, &spec).open().expect("open");
    let lock = format!(
        "BEGIN; SELECT 1 FROM streamhost_marks WHERE sink = 'streamhost.{}.out' FOR UPDATE; SELECT SLEEP(61)",
        spec.target
    );
    let mut locker = server.command(&lock);
    let mut locker = locker.stdout(Stdio::null()).spawn().expect("mariadb");
    wait_until("the mark is locked", SOON, || {
        server.sessions("INFO = 'SELECT SLEEP(61)'") == 1
    });
    let waits = "SELECT count(*) FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT' \
                 AND trx_query LIKE 'INSERT INTO `streamhost_marks`%'";
    let cancel = CancelSignal::default();
    let outcome = std::thread::scope(|scope| {
        let opens = scope.spawn(|| open_until(server, &spec, &cancel).open());
        wait_until("the sink waits for the lock", SOON, || {
            server.sql(waits) != "0"
        });
        cancel.cancel();
        opens.join().expect("no panic")
    });
    assert!(matches!(outcome, Err(SinkError::Cancelled)), "{outcome:?}");
    _ = locker.kill();
    _ = locker.wait();
    server.kill_sessions("INFO = 'SELECT SLEEP(61)'");
}
