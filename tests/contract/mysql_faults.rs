//! MySQL goes away, falls silent, or loses its answers; another host runs the same job. Each row
//! is there once all the same.

use super::mysql_jobs::counted;
use super::postgres_jobs::{deploy_rows, deploy_rows_to, lines};
use std::process::Stdio;
use streamhost_tests::fault_proxy::FaultProxy;
use streamhost_tests::feed::{self, Feed};
use streamhost_tests::host::{Host, unique};
use streamhost_tests::mariadb::MariaDb;
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::{LATE, PARTITIONS, seed, sizes};
use streamhost_tests::wait::wait_until;

#[test]
fn it_is_killed_and_falls_silent_and_the_job_waits() {
    let (_guard, servers) = Servers::shared();
    let server = MariaDb::own("faults");
    let host = Host::serve_more(servers, &server.section(), &[]);
    let job = unique("my-outage");
    feed::create_topic(&servers.kafka, &job, PARTITIONS).expect("a topic");
    deploy_rows(&host, "mysql-plain", &job).ok();
    let feed = Feed::start(&servers.kafka, &job, sizes().outage_rate, lines(0));
    wait_until("rows are there", LATE, || counted(&server, &job).0 > 500);

    server.tell("kill").ok();
    let status = host.wait_state(&job, "retrying", LATE);
    let waits = status["waiting_for"]["what"].as_str().unwrap_or_default();
    assert!(
        waits.contains("MySQL at") || waits.contains("rows-out"),
        "{status}"
    );
    server.tell("start").ok();
    host.wait_state(&job, "running", LATE);

    let before = host.records(&job);
    server.tell("pause").ok();
    let sent = feed.sent();
    wait_until("records are sent meanwhile", LATE, || {
        feed.sent() > sent + 1000
    });
    server.tell("resume").ok();
    host.wait_records(&job, before + 1000, LATE);

    // Its administrator ends every session.
    assert_ne!(server.kill_sessions("COMMAND <> 'Daemon'"), 0);
    let records = feed.stop().expect("all records sent");
    let status = host.wait_records(&job, records, LATE);
    assert_eq!(status["state"], "running", "{status}");
    assert_eq!(counted(&server, &job), (records, records), "each once");
    server.tell("stop").ok();
}

#[test]
fn answers_are_lost_and_connections_break_at_any_byte() {
    let (_guard, servers) = Servers::shared();
    let server = MariaDb::shared();
    let seed = seed();
    println!("STREAMHOST_SEED={seed}");
    let proxy = FaultProxy::before(&server.address).expect("a proxy");
    let section = server
        .section()
        .replace(&server.address, &proxy.address().to_string());
    let host = Host::serve_more(servers, &section, &[]);
    let job = unique("my-proxy");
    feed::create_topic(&servers.kafka, &job, PARTITIONS).expect("a topic");
    deploy_rows(&host, "mysql-plain", &job).ok();
    let feed = Feed::start(&servers.kafka, &job, sizes().outage_rate, lines(0));
    for command in [
        "drop-answer",
        "drop-answer max=11",
        "cut 100 up",
        "drop-answer 3",
        "cut 5000 up",
        "reset",
        "cut 20 down",
    ] {
        let before = counted(server, &job).0;
        proxy.tell(command).expect("understood");
        wait_until("rows come again", LATE, || {
            counted(server, &job).0 > before + 300
        });
    }
    proxy.tell(&format!("random {seed} 5")).expect("understood");
    let before = feed.sent();
    wait_until("some more are sent", LATE, || feed.sent() > before + 3000);
    proxy.tell("pass").expect("understood");
    let records = feed.stop().expect("all records sent");
    let status = host.wait_records(&job, records, LATE);
    assert_eq!(
        counted(server, &job),
        (records, records),
        "each once: {status}"
    );
    println!("{}", proxy.tell("events").expect("understood"));
}

/// The host dies with its transaction under way, and behind its commit, of which it has not heard.
#[test]
fn the_host_is_killed_before_and_behind_a_commit() {
    let (_guard, servers) = Servers::shared();
    let server = &MariaDb::own("commit");
    let proxy = FaultProxy::before(&server.address).expect("a proxy");
    let through = proxy.address().to_string();
    let section = server.section().replace(&server.address, &through);
    let mut host = Host::serve_more(servers, &section, &[]);
    let job = unique("my-commit");
    feed::create_topic(&servers.kafka, &job, 1).expect("a topic");
    deploy_rows(&host, "mysql-plain", &job).ok();
    let send = |from: u64| {
        let some = lines(from).take(100);
        feed::fill(&servers.kafka, &job, some).expect("a full topic");
    };
    send(0);
    host.wait_records(&job, 100, LATE);

    let lock = format!("LOCK TABLES `{job}` WRITE; SELECT SLEEP(60)");
    let mut locker = server.command(&lock);
    let mut locker = locker.stdout(Stdio::null()).spawn().expect("mariadb");
    wait_until("the table is locked", LATE, || {
        server.sessions("INFO = 'SELECT SLEEP(60)'") == 1
    });
    send(100);
    wait_until("a batch is under way", LATE, || {
        server.sessions("INFO LIKE 'INSERT INTO %' AND STATE LIKE 'Waiting for table%'") == 1
    });
    host.kill();
    server.kill_sessions("INFO = 'SELECT SLEEP(60)'");
    _ = locker.wait();
    host.restart();
    host.wait_records(&job, 200, LATE);
    assert_eq!(
        counted(server, &job),
        (200, 200),
        "killed before the commit"
    );

    // Of the next commit, the shortest of all requests, the answer does not come back.
    proxy.tell("drop-answer max=11").expect("understood");
    send(200);
    wait_until("the rows are there", LATE, || {
        counted(server, &job).0 == 300
    });
    host.kill();
    let events = proxy.tell("events").expect("understood");
    assert!(events.contains("drop-answer"), "{events}");
    host.restart();
    host.wait_records(&job, 300, LATE);
    send(300);
    host.wait_records(&job, 400, LATE);
    assert_eq!(
        counted(server, &job),
        (400, 400),
        "killed behind the commit"
    );
    server.tell("stop").ok();
}

#[test]
fn a_table_that_is_dropped_stops_its_job_until_it_is_there_again() {
    let (_guard, servers) = Servers::shared();
    let server = MariaDb::shared();
    let host = Host::serve_more(servers, &server.section(), &[]);
    let job = unique("my-dropped");
    feed::create_topic(&servers.kafka, &job, 1).expect("a topic");
    deploy_rows(&host, "mysql-plain", &job).ok();
    feed::fill(&servers.kafka, &job, lines(0).take(50)).expect("a full topic");
    host.wait_records(&job, 50, LATE);
    let make = format!("CREATE TABLE `{job}` (line text, bytes bigint)");
    server.sql(&format!("DROP TABLE `{job}`"));
    feed::fill(&servers.kafka, &job, lines(50).take(50)).expect("a full topic");
    let stopped = host.wait_state(&job, "stopped", LATE);
    let words = stopped["last_error"].as_str().unwrap_or_default();
    assert!(
        words.contains("doesn't exist") && words.contains("resume"),
        "{stopped}"
    );
    host.cli(["resume", &job]).ok();
    let stopped = host.wait_state(&job, "stopped", LATE);
    let words = stopped["last_error"].as_str().unwrap_or_default();
    assert!(words.contains("MySQL has no table"), "{stopped}");
    server.sql(&make);
    host.cli(["resume", &job]).ok();
    host.wait_records(&job, 100, LATE);
    assert_eq!(
        counted(server, &job),
        (50, 50),
        "what came after it was dropped"
    );

    // Or a version gives up what was planned for it, and writes another one.
    server.sql(&format!("DROP TABLE `{job}`"));
    feed::fill(&servers.kafka, &job, lines(100).take(50)).expect("a full topic");
    host.wait_state(&job, "stopped", LATE);
    let other = unique("my-other");
    deploy_rows_to(&host, "mysql-plain", &job, &other, &["--replan"]).ok();
    host.wait_records(&job, 150, LATE);
    assert_eq!(counted(server, &other), (50, 50), "each once");
}

/// Which of the two it is depends on whose batch comes first.
#[test]
fn of_two_hosts_that_run_one_job_one_stops_and_the_table_is_right() {
    let (_guard, servers) = Servers::shared();
    let server = MariaDb::shared();
    let hosts = [0, 1].map(|_| Host::serve_more(servers, &server.section(), &[]));
    let job = unique("my-two");
    feed::create_topic(&servers.kafka, &job, 1).expect("a topic");
    deploy_rows(&hosts[0], "mysql-plain", &job).ok();
    let feed = Feed::start(&servers.kafka, &job, sizes().outage_rate, lines(0));
    wait_until("rows are there", LATE, || counted(server, &job).0 > 500);
    deploy_rows(&hosts[1], "mysql-plain", &job).ok();
    let of = |state: &str| -> Vec<String> {
        let all = hosts.iter().map(|host| host.status(&job));
        let those = all.filter(|status| status["state"] == state);
        those
            .map(|status| status["last_error"].to_string())
            .collect()
    };
    wait_until("one of them stops", LATE, || of("stopped").len() == 1);
    let words = of("stopped").concat();
    assert!(
        words.contains("another host") && words.contains("mark"),
        "{words}"
    );
    let records = feed.stop().expect("all records sent");
    wait_until("all lines are there", LATE, || {
        counted(server, &job).1 == records
    });
    assert_eq!(of("running").len(), 1, "the other one goes on");
    assert_eq!(counted(server, &job), (records, records), "each once");
}
