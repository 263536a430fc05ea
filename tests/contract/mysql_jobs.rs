//! Jobs that write MySQL's tables: deployed, killed, robbed of their ledger; the table is as an oracle
//! says that reads it with another client.

use super::postgres_jobs::{deploy_rows, lines};
use streamhost_tests::clicks::Clicks;
use streamhost_tests::command::Said;
use streamhost_tests::feed::{self, Feed};
use streamhost_tests::guests::component;
use streamhost_tests::host::{Host, unique};
use streamhost_tests::mariadb::MariaDb;
use streamhost_tests::outside;
use streamhost_tests::random::Random;
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::{LATE, PARTITIONS, seed, sizes};
use streamhost_tests::wait::wait_until;

/// Deploys the example `clicks-mysql` from a topic to a table of the same name.
fn deploy_clicks(host: &Host, job: &str, more: &[&str]) -> Said {
    let places = [format!("source.clicks={job}"), format!("sink.clicks={job}")];
    let clicks = component("examples/clicks-mysql");
    host.deploy_as(&clicks, job, &places, more)
}

/// How many rows there are, and how many different lines.
pub(super) fn counted(server: &MariaDb, table: &str) -> (u64, u64) {
    let said = server.sql(&format!(
        "SELECT count(*), count(DISTINCT line) FROM `{table}`"
    ));
    let (rows, lines) = said.split_once('|').expect("two counts");
    (
        rows.parse().expect("a count"),
        lines.parse().expect("a count"),
    )
}

#[test]
fn the_host_is_killed_at_random_moments_and_each_row_is_there_once() {
    let (_guard, servers) = Servers::shared();
    let server = MariaDb::shared();
    let (seed, sizes) = (seed(), sizes());
    println!("STREAMHOST_SEED={seed}");
    let mut random = Random::new(seed);
    let mut host = Host::serve_more(servers, &server.section(), &[]);
    let (job, appends) = (unique("my-clicks"), unique("my-lines"));
    for topic in [&job, &appends] {
        feed::create_topic(&servers.kafka, topic, PARTITIONS).expect("a topic");
    }
    deploy_clicks(&host, &job, &["--create-tables"]).ok();
    deploy_rows(&host, "mysql-plain", &appends).ok();
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
    let verdict = outside::clicks_in_mysql_are_right(
        &servers.kafka,
        &job,
        &server.url("root"),
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
    let server = MariaDb::shared();
    let host = Host::serve_more(servers, &server.section(), &[]);
    let job = unique("my-words");
    outside::create_topic(&servers.kafka, &job, 1);
    deploy_rows(&host, "mysql-keyed", &job).ok();
    let types = format!(
        "SELECT column_name, column_type FROM information_schema.columns WHERE table_name = '{job}' ORDER BY ordinal_position"
    );
    assert_eq!(
        server.rows(&types),
        [
            "name|varchar(764)",
            "shard|bigint(20) unsigned",
            "count|bigint(20)",
            "note|longtext"
        ]
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
    let rows = server.rows(&format!("SELECT * FROM `{job}` ORDER BY name, shard"));
    assert_eq!(
        rows,
        ["a|1|5|second", "a|2|8|NULL", "c|1|3|only", "d|9|2|NULL"]
    );
}

#[test]
fn what_the_table_refuses_is_a_dead_letter_and_stops_no_job() {
    let (_guard, servers) = Servers::shared();
    let server = MariaDb::shared();
    let mut host = Host::serve_more(servers, &server.section(), &[]);
    let job = unique("my-strict");
    outside::create_topic(&servers.kafka, &job, 1);
    server.sql(&format!(
        "CREATE TABLE `{job}` (id varchar(8) COLLATE utf8mb4_bin PRIMARY KEY, student text, url text, clicked datetime, item text, \
         quantity bigint CHECK (quantity < 100))"
    ));
    deploy_clicks(&host, &job, &["--create-tables"]).ok();
    let click = |n: usize| match n {
        3 => "click3,s,u,never,book,1".to_owned(),
        30 => "click30,s,u,2020-01-01T00:00:00,book,100".to_owned(),
        31 => "much-too-long,s,u,2020-01-01T00:00:00,book,1".to_owned(),
        _ => format!("click{n},s,u,2020-01-01T00:00:00,book,1"),
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
    let sql = format!("SELECT count(*), min(clicked) FROM `{job}`");
    assert_eq!(server.sql(&sql), "57|2020-01-01 00:00:00");
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
            .zip([("3", "(1292)"), ("30", "(4025)"), ("31", "(1406)")])
    {
        assert!(*offset == want && reason.contains(code), "{found:?}");
    }
}

#[test]
fn a_lost_ledger_costs_an_append_nothing() {
    let (_guard, servers) = Servers::shared();
    let server = MariaDb::shared();
    let mut host = Host::serve_more(servers, &server.section(), &[]);
    let job = unique("my-ledger");
    feed::create_topic(&servers.kafka, &job, PARTITIONS).expect("a topic");
    deploy_rows(&host, "mysql-plain", &job).ok();
    let feed = Feed::start(&servers.kafka, &job, sizes().kill_rate, lines(0));
    wait_until("rows are there", LATE, || counted(server, &job).0 > 2000);
    host.kill();
    std::fs::remove_dir_all(host.file("data")).expect("the data folder");
    host.restart();
    deploy_rows(&host, "mysql-plain", &job).ok();
    let records = feed.stop().expect("all records sent");
    wait_until("all lines are there", LATE, || {
        counted(server, &job).1 == records
    });
    assert_eq!(counted(server, &job), (records, records), "each once");
}

#[test]
fn what_is_wrong_is_said_when_a_job_is_deployed() {
    let (_guard, servers) = Servers::shared();
    let server = MariaDb::shared();
    let job = unique("my-wrong");
    outside::create_topic(&servers.kafka, &job, 1);
    let ca = server.tls("ca.pem");
    let stranger = server.tls("stranger-ca.pem");
    let secured = |password: &str, ca: &std::path::Path| {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("password");
        std::fs::write(&file, password).expect("written");
        let section = format!(
            "[mysql]\nurl = \"{}\"\npassword = {{ file = \"{}\" }}\ntls = true\nca = \"{}\"\n",
            server.url("app"),
            file.display(),
            ca.display()
        );
        (folder, section)
    };
    let (_kept, wrong_password) = secured("other", &ca);
    let (_kept_2, wrong_ca) = secured("secret", &stranger);
    let plain = format!("[mysql]\nurl = \"{}\"\n", server.url("app"));
    let unknown = "[mysql]\nurl = \"mysql://a@no-such-host.invalid/b\"\n".to_owned();
    let nobody = "[mysql]\nurl = \"mysql://a@127.0.0.1:1/b\"\n".to_owned();
    let database = server.section().replace("/tests\"", "/nowhere\"");
    for (section, parts) in [
        (
            &wrong_password,
            ["does not let the host in", "`mysql.password`"],
        ),
        (&wrong_ca, ["does not let the host in", "`mysql.ca`"]),
        (&plain, ["does not let the host in", "`mysql.tls = true`"]),
        (
            &unknown,
            [
                "MySQL at no-such-host.invalid:3306 is away",
                "cannot connect",
            ],
        ),
        (&nobody, ["MySQL at 127.0.0.1:1 is away", "refused"]),
        (&database, ["'nowhere'", "`mysql.url`"]),
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
    let named = format!("{right}[mysql.plain]\nurl = \"{}\"\n", server.url("root"));
    let host = Host::serve_more(servers, &named, &[]);
    let missing = deploy_clicks(&host, &job, &[]).refusal();
    let make = format!("CREATE TABLE `{job}`");
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
    host.cli(["undeploy", &job, "--yes"]).ok();
    server.sql(&format!("ALTER TABLE `{job}` MODIFY url int"));
    let misfit = deploy_clicks(&host, &job, &[]).refusal();
    assert!(
        misfit.contains("`url` is int(11), and the job gives text"),
        "{misfit}"
    );
    // A right that is missing is told before anything is written.
    server.sql(&format!(
        "ALTER TABLE `{job}` MODIFY url text; CREATE USER IF NOT EXISTS reader@'127.0.0.1'; \
         GRANT SELECT ON tests.* TO reader@'127.0.0.1'"
    ));
    let reader = format!("[mysql]\nurl = \"{}\"\n", server.url("reader"));
    let host = Host::serve_more(servers, &reader, &[]);
    let refused = deploy_clicks(&host, &job, &[]).refusal();
    assert!(
        refused.contains("(1142)") && refused.contains("grant it to the user"),
        "{refused}"
    );
}
