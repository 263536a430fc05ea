//! A table of PostgreSQL that is held against what its records make, and mended.

use streamhost_tests::clicks::Clicks;
use streamhost_tests::feed::{self, Feed};
use streamhost_tests::guests::component;
use streamhost_tests::host::{Host, unique};
use streamhost_tests::outside;
use streamhost_tests::postgres::Postgres;
use streamhost_tests::replays::{counted, replay};
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::{LATE, PARTITIONS, seed};
use streamhost_tests::wait::wait_until;

#[test]
fn a_table_of_postgresql_is_compared_row_by_row() {
    let (_guard, servers) = Servers::shared();
    let server = Postgres::shared();
    let host = Host::serve_more(servers, &server.section(), &[]);
    let job = unique("pg-day");
    feed::create_topic(&servers.kafka, &job, PARTITIONS).expect("a topic");
    let clicks = Clicks::new(seed()).take(5000);
    let sent = feed::fill(&servers.kafka, &job, clicks).expect("a full topic");
    let places = [format!("source.clicks={job}"), format!("sink.clicks={job}")];
    let clicks = component("examples/clicks-postgres");
    host.deploy_as(&clicks, &job, &places, &["--create-tables"])
        .ok();
    host.wait_records(&job, sent, LATE);
    let view = replay(&host, &job, &["--diff"]);
    let rows = server.psql(&format!("SELECT count(*) FROM \"{job}\""));
    assert_eq!(
        counted(&view, "clicks", "alike").to_string(),
        rows,
        "{view}"
    );
    assert_eq!(view["differing"], 0, "{view}");

    let some = |from: u32, to: u32| {
        format!(
            "(SELECT id FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM \"{job}\") AS o WHERE n BETWEEN {from} AND {to})"
        )
    };
    let sql = [
        format!(
            "UPDATE \"{job}\" SET quantity = quantity + 1 WHERE id IN {}",
            some(1, 12)
        ),
        format!(
            "INSERT INTO \"{job}\" SELECT 'forged' || n, student, url, clicked, item, quantity FROM \"{job}\", generate_series(1, 4) AS n WHERE id IN {}",
            some(30, 30)
        ),
        format!("DELETE FROM \"{job}\" WHERE id IN {}", some(101, 107)),
    ];
    sql.iter().for_each(|sql| drop(server.psql(sql)));
    let view = replay(&host, &job, &["--diff"]);
    let found = ["differing", "missing", "extra"].map(|what| counted(&view, "clicks", what));
    assert_eq!(found, [12, 7, 4], "{view}");
    assert_eq!(
        view["sinks"]["clicks"]["columns"],
        serde_json::json!({ "quantity": 12 }),
    );
}

#[test]
fn exactly_the_wrong_rows_of_a_table_of_postgresql_are_mended_also_while_the_job_writes() {
    let (_guard, servers) = Servers::shared();
    let server = Postgres::shared();
    println!("STREAMHOST_SEED={}", seed());
    let host = Host::serve_more(servers, &server.section(), &[]);
    let job = unique("pg-mend");
    feed::create_topic(&servers.kafka, &job, PARTITIONS).expect("a topic");
    let mut clicks = Clicks::new(seed());
    let first: Vec<_> = clicks.by_ref().take(8000).collect();
    let sent = feed::fill(&servers.kafka, &job, first.into_iter()).expect("a full topic");
    let places = [format!("source.clicks={job}"), format!("sink.clicks={job}")];
    let guest = component("examples/clicks-postgres");
    host.deploy_as(&guest, &job, &places, &["--create-tables"])
        .ok();
    host.wait_records(&job, sent, LATE);
    let rows = server.psql(&format!("SELECT count(*) FROM \"{job}\""));
    let rows: u64 = rows.trim().parse().expect("a count");
    assert!(rows > 5000, "{rows}");
    let whole = || server.psql(&format!("SELECT * FROM \"{job}\" ORDER BY id"));
    let right = whole();
    // Those that are there now: what comes later may lie behind where a replay ends.
    server.psql(&format!(
        "CREATE TABLE \"{job}-ids\" AS SELECT id, row_number() OVER (ORDER BY id) AS n FROM \"{job}\""
    ));
    let corrupt = || {
        let picked = |every: u32, rest: u32| {
            format!("(SELECT id FROM \"{job}-ids\" WHERE n % {every} = {rest})")
        };
        for sql in [
            format!(
                "UPDATE \"{job}\" SET quantity = quantity + 1 WHERE id IN {}",
                picked(50, 1)
            ),
            format!(
                "UPDATE \"{job}\" SET student = 'o''brien \\\\ \"x\"', url = '' WHERE id IN {}",
                picked(50, 2)
            ),
            format!(
                "INSERT INTO \"{job}\" SELECT 'forged' || id, student, url, clicked, item, quantity FROM \"{job}\" WHERE id IN {}",
                picked(100, 3)
            ),
            format!("DELETE FROM \"{job}\" WHERE id IN {}", picked(50, 4)),
        ] {
            server.psql(&sql);
        }
    };
    // The job stands still: all of it, and only that.
    corrupt();
    let view = replay(&host, &job, &["--diff"]);
    let found = ["differing", "missing", "extra"].map(|what| counted(&view, "clicks", what));
    assert!(found.iter().all(|count| *count >= 50), "{view}");
    let view = replay(&host, &job, &["--write", "--delete-extra"]);
    let ended = ["mended", "unmended"].map(|what| counted(&view, "clicks", what));
    assert_eq!(ended, [found.into_iter().sum(), 0], "{view}");
    assert!(whole() == right, "every row is as it was");
    assert_eq!(replay(&host, &job, &["--diff"])["differing"], 0);

    // The same while records come, one in five of which changes a row that is there.
    let before = host.status(&job);
    let feed = Feed::start(&servers.kafka, &job, 500, clicks);
    wait_until("records come", LATE, || host.records(&job) > sent);
    for _ in 0..2 {
        corrupt();
        let view = replay(&host, &job, &["--write", "--delete-extra"]);
        assert_eq!(counted(&view, "clicks", "unmended"), 0, "{view}");
        assert!(counted(&view, "clicks", "mended") >= 200, "{view}");
        let view = replay(&host, &job, &["--diff"]);
        assert_eq!(view["differing"], 0, "{view}");
    }
    let sent = sent + feed.stop().expect("a steady feed");
    let after = host.wait_records(&job, sent, LATE);
    assert_eq!(after["incarnation"], before["incarnation"], "{after}");
    let letters = format!("{job}.dead-letters");
    let url = server.url("postgres");
    outside::clicks_in_postgres_are_right(&servers.kafka, &job, &url, &job, &letters);
}
