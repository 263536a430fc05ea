//! Jobs that write PostgreSQL's tables: deployed, killed, robbed of their ledger; the table is as an
//! oracle says that reads it with psql.

use streamhost_tests::clicks::{Clicks, Record};
use streamhost_tests::command::Said;
use streamhost_tests::feed::{self, Feed};
use streamhost_tests::guests::{build_variant, component};
use streamhost_tests::host::{Host, unique};
use streamhost_tests::outside;
use streamhost_tests::postgres::Postgres;
use streamhost_tests::random::Random;
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::{LATE, PARTITIONS, seed, sizes};
use streamhost_tests::wait::wait_until;

/// Deploys the example `clicks-postgres` from a topic to a table of the same name.
fn deploy_clicks(host: &Host, job: &str, more: &[&str]) -> Said {
    let places = [format!("source.clicks={job}"), format!("sink.clicks={job}")];
    let clicks = component("examples/clicks-postgres");
    host.deploy_as(&clicks, job, &places, more)
}

/// Deploys a variant of the guest `rows`, as above.
pub(super) fn deploy_rows(host: &Host, variant: &str, job: &str) -> Said {
    deploy_rows_to(host, variant, job, job, &[])
}

/// The same to another table.
pub(super) fn deploy_rows_to(
    host: &Host,
    variant: &str,
    job: &str,
    table: &str,
    more: &[&str],
) -> Said {
    let file = host.file(&format!("{variant}.wasm"));
    build_variant("tests/guests/rows", variant, &file);
    let places = [
        format!("source.rows-in={job}"),
        format!("sink.rows-out={table}"),
    ];
    let more = [&["--create-tables"], more].concat();
    host.deploy_as(&file, job, &places, &more)
}

/// Records whose values are all different.
pub(super) fn lines(from: u64) -> impl Iterator<Item = Record> + Send {
    (from..).map(|n| Record {
        value: Some(format!("line {n}").into_bytes()),
        ..Record::default()
    })
}

/// How many rows there are, and how many different lines.
pub(super) fn counted(server: &Postgres, table: &str) -> (u64, u64) {
    let sql = format!("SELECT count(*), count(DISTINCT line) FROM \"{table}\"");
    let said = server.psql(&sql);
    let (rows, lines) = said.split_once('|').expect("two counts");
    (
        rows.parse().expect("a count"),
        lines.parse().expect("a count"),
    )
}

#[test]
fn the_host_is_killed_at_random_moments_and_each_row_is_there_once() {
    let (_guard, servers) = Servers::shared();
    let server = Postgres::shared();
    let (seed, sizes) = (seed(), sizes());
    println!("STREAMHOST_SEED={seed}");
    let mut random = Random::new(seed);
    let mut host = Host::serve_more(servers, &server.section(), &[]);
    let (job, appends) = (unique("pg-clicks"), unique("pg-lines"));
    for topic in [&job, &appends] {
        feed::create_topic(&servers.kafka, topic, PARTITIONS).expect("a topic");
    }
    deploy_clicks(&host, &job, &["--create-tables"]).ok();
    deploy_rows(&host, "plain", &appends).ok();
    let rate = sizes.kill_rate;
    let feed = Feed::start(&servers.kafka, &job, rate, Clicks::new(seed));
    let second = Feed::start(&servers.kafka, &appends, rate, lines(0));
    for kill in 1..=sizes.kills {
        let least = sizes.kill_records_max / 5;
        let moment = feed.sent() + least + random.below(sizes.kill_records_max - least);
        let what = format!("record {moment} is sent, for kill {kill}");
        wait_until(&what, LATE, || feed.sent() >= moment);
        host.kill();
        host.restart();
    }
    let records = feed.stop().expect("all records sent");
    let lines = second.stop().expect("all records sent");
    let status = host.wait_records(&job, records, LATE);
    host.wait_records(&appends, lines, LATE);
    assert_eq!(
        counted(server, &appends),
        (lines, lines),
        "in a table without a key"
    );
    let letters = format!("{job}.dead-letters");
    let verdict = outside::clicks_in_postgres_are_right(
        &servers.kafka,
        &job,
        &server.url("postgres"),
        &job,
        &letters,
    );
    assert_eq!(verdict.dead_letters_doubled, 0, "{verdict:?}");
    let count = |name: &str| status[name].as_u64().expect("a count");
    assert_eq!(count("rows_out"), verdict.rows, "counts survive: {status}");
    assert_eq!(status["state"], "running", "{status}");
}

#[test]
fn typed_keys_deletes_and_cells_that_stay() {
    let (_guard, servers) = Servers::shared();
    let server = Postgres::shared();
    let host = Host::serve_more(servers, &server.section(), &[]);
    let job = unique("pg-words");
    outside::create_topic(&servers.kafka, &job, 1);
    deploy_rows(&host, "keyed", &job).ok();
    let types = format!(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = '{job}' ORDER BY ordinal_position"
    );
    assert_eq!(
        server.rows(&types),
        ["name|text", "shard|numeric", "count|bigint", "note|text"]
    );
    let first = ["a,1,5,first", "a,2,6,", "b,1,7,gone", "c,1,,only"];
    outside::send(&servers.kafka, &job, &first);
    host.wait_records(&job, 4, LATE);
    let then = [
        "a,1,,second",
        "b,1,,-",
        "a,2,8,",
        "b,x,1,1",
        "d,9,1,-",
        "c,1,3,",
        "d,9,2,",
    ];
    outside::send(&servers.kafka, &job, &then);
    let status = host.wait_records(&job, 11, LATE);
    assert_eq!(status["dead_letters"], 1, "{status}");
    let rows = server.rows(&format!("SELECT * FROM \"{job}\" ORDER BY name, shard"));
    assert_eq!(
        rows,
        ["a|1|5|second", "a|2|8|NULL", "c|1|3|only", "d|9|2|NULL"]
    );
}

#[test]
fn what_the_table_refuses_is_a_dead_letter_and_stops_no_job() {
    let (_guard, servers) = Servers::shared();
    let server = Postgres::shared();
    let mut host = Host::serve_more(servers, &server.section(), &[]);
    let job = unique("pg-strict");
    outside::create_topic(&servers.kafka, &job, 1);
    server.psql(&format!(
        "CREATE TABLE \"{job}\" (id varchar(8) PRIMARY KEY, student text, url text, clicked timestamptz, item text, \
         quantity int8 CHECK (quantity < 100))"
    ));
    deploy_clicks(&host, &job, &["--create-tables"]).ok();
    let click = |n: usize| match n {
        3 => "click3,s,u,never,book,1".to_owned(),
        30 => "click30,s,u,2020-01-01T00:00:00,book,100".to_owned(),
        31 => "much-too-long,s,u,2020-01-01T00:00:00,book,1".to_owned(),
        _ => format!("click{n},s,u,2020-01-01T00:00:00+02:00,book,1"),
    };
    let values: Vec<String> = (0..60).map(click).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    outside::send(&servers.kafka, &job, &values);
    let status = host.wait_records(&job, 60, LATE);
    assert_eq!(
        (&status["rows_out"], &status["dead_letters"]),
        (&57.into(), &3.into())
    );
    assert_eq!(status["state"], "running", "{status}");
    let sql = format!("SELECT count(*), min(clicked) = '2019-12-31 22:00:00+00' FROM \"{job}\"");
    assert_eq!(server.psql(&sql), "57|t");
    host.kill();
    host.restart();
    host.wait_records(&job, 60, LATE);
    let letters = outside::topic(&servers.kafka, &format!("{job}.dead-letters"));
    let mut found: Vec<(&str, &str)> = letters
        .iter()
        .map(|letter| (&*letter.headers["offset"], &*letter.headers["reason"]))
        .collect();
    found.sort_unstable();
    assert_eq!(found.len(), 3, "each once: {found:?}");
    for ((offset, reason), (want, code)) in
        found
            .iter()
            .zip([("3", "(22007)"), ("30", "(23514)"), ("31", "(22001)")])
    {
        assert!(*offset == want && reason.contains(code), "{found:?}");
    }
}

#[test]
fn a_lost_ledger_costs_an_append_nothing() {
    let (_guard, servers) = Servers::shared();
    let server = Postgres::shared();
    let mut host = Host::serve_more(servers, &server.section(), &[]);
    let job = unique("pg-ledger");
    feed::create_topic(&servers.kafka, &job, PARTITIONS).expect("a topic");
    deploy_rows(&host, "plain", &job).ok();
    let feed = Feed::start(&servers.kafka, &job, sizes().kill_rate, lines(0));
    wait_until("rows are there", LATE, || counted(server, &job).0 > 2000);
    host.kill();
    std::fs::remove_dir_all(host.file("data")).expect("the data folder");
    host.restart();
    deploy_rows(&host, "plain", &job).ok();
    let records = feed.stop().expect("all records sent");
    wait_until("all lines are there", LATE, || {
        counted(server, &job).1 == records
    });
    assert_eq!(counted(server, &job), (records, records), "each once");
}

#[test]
fn what_is_wrong_is_said_when_a_job_is_deployed() {
    let (_guard, servers) = Servers::shared();
    let server = Postgres::shared();
    let job = unique("pg-wrong");
    outside::create_topic(&servers.kafka, &job, 1);
    let ca = server.tls("ca.pem");
    let stranger = server.tls("stranger-ca.pem");
    let secured = |password: &str, ca: &std::path::Path| {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("password");
        std::fs::write(&file, password).expect("written");
        let section = format!(
            "[postgres]\nurl = \"{}\"\npassword = {{ file = \"{}\" }}\ntls = true\nca = \"{}\"\n",
            server.url("app"),
            file.display(),
            ca.display()
        );
        (folder, section)
    };
    let (_kept, wrong_password) = secured("other", &ca);
    let (_kept_2, wrong_ca) = secured("secret", &stranger);
    let plain = format!("[postgres]\nurl = \"{}\"\n", server.url("app"));
    let unknown = "[postgres]\nurl = \"postgresql://a@no-such-host.invalid/b\"\n".to_owned();
    let nobody = "[postgres]\nurl = \"postgresql://a@127.0.0.1:1/b\"\n".to_owned();
    let database = server.section().replace("/postgres\"", "/nowhere\"");
    for (section, parts) in [
        (
            &wrong_password,
            ["does not let the host in", "`postgres.password`"],
        ),
        (&wrong_ca, ["does not let the host in", "`postgres.ca`"]),
        (&plain, ["does not let the host in", "pg_hba.conf"]),
        (
            &unknown,
            [
                "PostgreSQL at no-such-host.invalid:5432 is away",
                "cannot connect",
            ],
        ),
        (&nobody, ["PostgreSQL at 127.0.0.1:1 is away", "refused"]),
        (&database, ["\"nowhere\"", "`postgres.url`"]),
    ] {
        let host = Host::serve_more(servers, section, &[]);
        let said = deploy_clicks(&host, &job, &["--create-tables"]).refusal();
        assert!(
            parts.iter().all(|part| said.contains(part)),
            "{section}: {said}"
        );
        assert!(!said.contains("secret"), "{said}");
    }
    // The right ones do, and another database by its name.
    let (_kept, right) = secured("secret", &ca);
    let named = format!(
        "{right}[postgres.plain]\nurl = \"{}\"\n",
        server.url("postgres")
    );
    let host = Host::serve_more(servers, &named, &[]);
    let missing = deploy_clicks(&host, &job, &[]).refusal();
    let make = format!("CREATE TABLE \\\"{job}\\\"");
    let make = make.replace('\\', "");
    assert!(
        missing.contains(&make) && missing.contains("--create-tables"),
        "{missing}"
    );
    let instance = [
        "--create-tables",
        "--set",
        "sink.clicks.connector-instance=plain",
    ];
    deploy_clicks(&host, &job, &instance).ok();
    server.psql(&format!("GRANT ALL ON \"{job}\", streamhost_marks TO app"));
    host.cli(["undeploy", &job, "--yes"]).ok();
    server.psql(&format!(
        "ALTER TABLE \"{job}\" ALTER COLUMN url TYPE int USING 1"
    ));
    let misfit = deploy_clicks(&host, &job, &[]).refusal();
    assert!(
        misfit.contains("\"url\" is integer, and the job gives text"),
        "{misfit}"
    );
}
