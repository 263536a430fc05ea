//! `streamhost run`: one job in the foreground.

use std::fs::write;
use std::path::Path;
use std::process::Command;
use streamhost_tests::command::{Said, say};
use streamhost_tests::guests::component;
use streamhost_tests::host::{Host, configuration, unique};
use streamhost_tests::outside;
use streamhost_tests::paths::streamhost;
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::{PARTITIONS, SOON};

#[test]
fn a_job_runs_for_three_seconds_without_a_daemon() {
    let (_guard, servers) = Servers::shared();
    let job = unique("run");
    outside::create_topic(&servers.kafka, &job, PARTITIONS);
    outside::send(&servers.kafka, &job, &["c,s,u,t,i,1", "d,s,u,t,i,2"]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("streamhost.toml");
    write(
        &config,
        configuration(&folder.path().join("data"), "127.0.0.1:7070", servers),
    )
    .expect("a file");
    let mut command = Command::new(streamhost());
    command.arg("run").arg(component("examples/clicks")).args([
        "--for",
        "3s",
        "--name",
        &job,
        "--create-tables",
    ]);
    command.args([
        "--set",
        &format!("source.clicks={job}"),
        "--set",
        &format!("sink.clicks={job}"),
        "--set",
        "every=0",
    ]);
    let said = say(command.arg("--config").arg(&config));
    assert!(
        said.err
            .contains(" ended: 2 records in, 2 rows out, 0 dead letters, 0 dropped, "),
        "{said:?}"
    );
    said.ok();
    outside::send(&servers.kafka, &job, &["e,s,u,t,i,0"]);
    let said = say(&mut command);
    assert!(
        said.err
            .contains(" ended: 1 record in, 0 rows out, 0 dead letters, 1 dropped, 1 batch\n"),
        "{said:?}"
    );
    let keys: Vec<String> = outside::table(&servers.gateway, &job).into_keys().collect();
    assert_eq!(keys, ["c", "d"]);
}

/// Runs a version of the clicks example as `job` to the end of the topic of that name, into
/// `table`; its ledger is kept in `folder`.
#[track_caller]
fn run_to_the_end(
    folder: &Path,
    servers: &Servers,
    version: &'static str,
    job: &str,
    table: &str,
) -> Said {
    let config = folder.join("streamhost.toml");
    write(
        &config,
        configuration(&folder.join("data"), "127.0.0.1:7070", servers),
    )
    .expect("a file");
    let settings = [
        format!("source.clicks={job}"),
        format!("sink.clicks={table}"),
        "until=end".to_owned(),
    ];
    let mut command = Command::new(streamhost());
    command.arg("run").arg(component(version)).args([
        "--name",
        job,
        "--create-tables",
        "--set",
        "every=0",
    ]);
    command
        .args(settings.iter().flat_map(|setting| ["--set", setting]))
        .arg("--config")
        .arg(&config);
    say(&mut command)
}

/// A trial moves nothing of the daemon's job, which begins where it would have begun.
#[test]
fn a_trial_does_not_move_where_a_deploy_begins() {
    let (_guard, servers) = Servers::shared();
    let (job, trial) = (unique("trial"), unique("trial-table"));
    outside::create_topic(&servers.kafka, &job, PARTITIONS);
    outside::send(&servers.kafka, &job, &["c,s,u,t,i,1", "d,s,u,t,i,2"]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    run_to_the_end(folder.path(), servers, "examples/clicks", &job, &trial).ok();
    assert_eq!(outside::table(&servers.gateway, &trial).len(), 2);
    let host = Host::serve(servers);
    host.deploy_clicks(&job);
    host.wait_records(&job, 2, SOON);
    assert_eq!(
        outside::table(&servers.gateway, &job).len(),
        2,
        "what the trial read is read by the job as well"
    );
}

/// What an earlier run had is not run again first, and what was finished reads on.
#[test]
fn a_run_runs_what_it_is_given_and_reads_on() {
    let (_guard, servers) = Servers::shared();
    let job = unique("again");
    outside::create_topic(&servers.kafka, &job, PARTITIONS);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = |version| {
        let said = run_to_the_end(folder.path(), servers, version, &job, &job);
        assert_eq!(said.code, 0, "{said:?}");
        said.err
    };
    outside::send(&servers.kafka, &job, &["c1,s,http://example.org/,t,i,1"]);
    assert!(run("examples/clicks").contains(" ended: 1 record in, 1 row out"));
    outside::send(
        &servers.kafka,
        &job,
        &[
            "c2,s,http://example.org/,t,i,1",
            "c3,s,http://example.org/,t,i,1",
        ],
    );
    assert!(
        run("examples/clicks").contains(" ended: 2 records in, 2 rows out"),
        "the same again reads on"
    );
    outside::send(
        &servers.kafka,
        &job,
        &[
            "c4,s,http://example.org/,t,i,1",
            "c5,s,http://example.org/,t,i,1",
        ],
    );
    assert!(run("examples/clicks-v2").contains(" ended: 2 records in, 2 rows out"));
    let of_the_second = |key: &&String| {
        outside::table(&servers.gateway, &job)[*key]
            .values()
            .any(|v| v == "example.org")
    };
    let keys: Vec<String> = outside::table(&servers.gateway, &job).into_keys().collect();
    assert_eq!(
        keys.iter().filter(of_the_second).collect::<Vec<_>>(),
        ["c4", "c5"],
        "the first version ran no more"
    );
}
