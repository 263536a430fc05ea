//! `streamhost run`: one job in the foreground.

use std::fs::write;
use std::process::Command;
use streamhost_tests::command::say;
use streamhost_tests::guests::component;
use streamhost_tests::host::{configuration, unique};
use streamhost_tests::outside;
use streamhost_tests::paths::streamhost;
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::PARTITIONS;

#[test]
fn a_job_runs_for_three_seconds_without_a_daemon() {
    let (_guard, servers) = Servers::shared();
    let job = unique("run");
    outside::create_topic(&servers.kafka, &job, PARTITIONS);
    outside::send(&servers.kafka, &job, &["c,s,u,t,i,1", "d,s,u,t,i,2"]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("streamhost.toml");
    write(&config, configuration(&folder.path().join("data"), "127.0.0.1:7070", servers)).expect("a file");
    let mut command = Command::new(streamhost());
    command.arg("run").arg(component("examples/clicks")).args(["--for", "3s", "--name", &job, "--create-tables"]);
    command.args([
        "--set",
        &format!("source.clicks={job}"),
        "--set",
        &format!("sink.clicks={job}"),
        "--set",
        "every=0",
    ]);
    let said = say(command.arg("--config").arg(&config));
    assert!(said.err.contains(" ended: 2 records in, 2 rows out, 0 dead letters, 0 dropped, "), "{said:?}");
    said.ok();
    outside::send(&servers.kafka, &job, &["e,s,u,t,i,0"]);
    let said = say(&mut command);
    assert!(said.err.contains(" ended: 1 record in, 0 rows out, 0 dead letters, 1 dropped, 1 batch\n"), "{said:?}");
    let keys: Vec<String> = outside::table(&servers.gateway, &job).into_keys().collect();
    assert_eq!(keys, ["c", "d"]);
}
