//! A job that a compiler for WASI left: its core module is deployed as it is, and what it asks of
//! WASI is the same when a batch is run again.

use std::collections::BTreeSet;
use std::fs::write;
use streamhost_tests::guests::core_module_that_asks_wasi;
use streamhost_tests::host::{Host, unique};
use streamhost_tests::outside;
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::{LATE, PARTITIONS};

const COLUMN: &str = "asked:answer";

#[test]
fn what_a_core_module_asks_wasi_is_the_same_after_a_kill() {
    let (_guard, servers) = Servers::shared();
    let mut host = Host::serve(servers);
    let job = unique("wasi");
    let file = host.file("asks.wasm");
    write(&file, core_module_that_asks_wasi()).expect("the folder can be written");
    let inspected = host.json(&["inspect", file.to_str().expect("a path")]);
    let answered = inspected["stubbed"].to_string();
    assert!(
        answered.contains("wasi:clocks/wall-clock@0.2."),
        "{inspected}"
    );

    outside::create_topic(&servers.kafka, &job, PARTITIONS);
    let places = [format!("source.asked={job}"), format!("sink.asked={job}")];
    host.deploy_as(&file, &job, &places, &["--create-tables"])
        .ok();
    outside::send(
        &servers.kafka,
        &job,
        &["clock", "nothing", "out", "err", "x"],
    );
    let status = host.wait_records(&job, 5, LATE);
    assert_eq!(status["dead_letters"], 1, "it called `exit`: {status}");
    let letters = outside::topic(&servers.kafka, &format!("{job}.dead-letters"));
    let reason = &letters[0].headers["reason"];
    assert!(reason.contains("it ended itself by `exit("), "{reason}");
    let log = host.cli(["logs", &job]).ok();
    assert!(log.contains("out") && log.contains("err"), "{log}");

    // Without its table a batch is planned and goes no further: it is run again behind the kill,
    // and would stop the job if anything were other than before. One of its records ends its call.
    outside::drop_table(&servers.gateway, &job);
    let asked: Vec<String> = (0..100).map(|i| format!("r{i}")).collect();
    let mut sent: Vec<&str> = asked.iter().map(String::as_str).collect();
    sent.extend(["clock again", "x again"]);
    outside::send(&servers.kafka, &job, &sent);
    host.wait_state(&job, "stopped", LATE);
    host.kill();
    outside::create_table(&servers.gateway, &job, &["asked"]);
    host.restart();
    let status = host.wait_records(&job, 5 + 102, LATE);
    assert_eq!(status["state"], "running", "{status}");
    assert_eq!(status["dead_letters"], 2, "{status}");
    let rows = outside::column(&servers.gateway, &job, COLUMN);
    let drawn: BTreeSet<&str> = asked.iter().map(|key| &*rows[key].value).collect();
    assert_eq!(drawn.len(), asked.len(), "each has its own random number");
}
