//! The command line's verbs and what they print: others build on it.

use std::fs::read;
use std::path::Path;
use streamhost_tests::guests::component;
use streamhost_tests::host::{Host, http_get, unique};
use streamhost_tests::outside;
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::{PARTITIONS, SOON};
use streamhost_tests::wait::wait_until;

const CLICK: &str = "c,s,u,t,i,1";

#[test]
fn status_has_its_fields() {
    let (_guard, servers) = Servers::shared();
    let host = Host::serve(servers);
    let job = unique("fields");
    outside::create_topic(&servers.kafka, &job, PARTITIONS);
    outside::send(&servers.kafka, &job, &[CLICK, "bad", "d,s,u,t,i,0"]);
    host.deploy_clicks(&job);
    host.wait_records(&job, 3, SOON);
    wait_until("the lag is known to be 0", SOON, || {
        host.status(&job)["lag"] == 0
    });
    let status = host.status(&job);
    for (field, value) in [
        ("records_in", 3),
        ("rows_out", 1),
        ("dropped", 1),
        ("dead_letters", 1),
        ("version", 1),
    ] {
        assert_eq!(status[field], value, "{field}: {status}");
    }
    assert_eq!(
        (&status["job"], &status["state"]),
        (&job.as_str().into(), &"running".into()),
        "{status}"
    );
    assert!(status["batches"].as_u64() >= Some(1), "{status}");
    assert!(
        status["last_error"].is_null() && status["waiting_for"].is_null(),
        "{status}"
    );
    assert_eq!(
        status["dead_letter_topic"],
        format!("{job}.dead-letters"),
        "{status}"
    );
    assert_eq!(status["every_ms"], 0, "{status}");
    let reached = status["sources"][0]["reached"]
        .as_object()
        .expect("positions by partition");
    assert_eq!(
        reached.values().filter_map(|to| to.as_i64()).sum::<i64>(),
        3,
        "{status}"
    );
    assert_eq!(host.json(&["list"])[0]["job"], job);
    assert!(
        host.cli(["status", &job]).ok().contains(&job),
        "for people as well"
    );
    assert!(host.cli(["list"]).ok().contains(&job), "for people as well");
}

#[test]
fn pause_resume_and_undeploy() {
    let (_guard, servers) = Servers::shared();
    let mut host = Host::serve(servers);
    let (job, other) = (unique("paused"), unique("beside"));
    outside::create_topic(&servers.kafka, &job, PARTITIONS);
    host.deploy_clicks(&job);
    let (source, sink) = (
        format!("source.clicks={job}"),
        format!("sink.clicks={other}"),
    );
    let beside = [
        "--name",
        &other,
        "--create-tables",
        "--set",
        "every=0",
        "--set",
        &source,
        "--set",
        &sink,
    ];
    host.deploy(&component("examples/clicks"), &beside).ok();
    for _ in 0..2 {
        host.cli(["pause", &job]).ok(); // twice: it is idempotent
    }
    host.wait_state(&job, "paused", SOON);
    host.kill();
    host.restart();
    outside::send(&servers.kafka, &job, &[CLICK]);
    host.wait_records(&other, 1, SOON); // so it could have been read
    let status = host.status(&job);
    assert_eq!(
        (&status["state"], &status["records_in"]),
        (&"paused".into(), &0.into()),
        "a pause outlives a kill"
    );
    host.cli(["resume", &job]).ok();
    host.wait_records(&job, 1, SOON);

    host.cli(["undeploy", &job]).ok();
    assert!(host.cli(["status", &job]).refusal().contains(&job));
    assert_eq!(
        outside::table(&servers.gateway, &job).len(),
        1,
        "its rows stay"
    );
    host.kill();
    host.restart();
    let refused = host.cli(["status", &job]).refusal();
    assert!(refused.contains("was undeployed at"), "{refused}");
    let history = host.json(&["history", &job]);
    assert!(
        history[0]["undeployed_at"].is_string() && history[0]["active"] == false,
        "it is still told what was deployed: {history}"
    );
    let logs = host.cli(["logs", &job]).ok();
    assert!(logs.contains("undeployed"), "and what it said: {logs}");
    assert_eq!(
        host.json(&["list"]).as_array().map(Vec::len),
        Some(1),
        "the other one is there"
    );
}

#[test]
fn history_and_rollback() {
    let (_guard, servers) = Servers::shared();
    let host = Host::serve(servers);
    let job = unique("versions");
    outside::create_topic(&servers.kafka, &job, PARTITIONS);
    host.deploy_clicks(&job);
    let refusal = host.cli(["rollback", &job]).refusal();
    assert!(
        refusal.contains(&job),
        "there is no version before the first: {refusal}"
    );
    let (source, sink) = (format!("source.clicks={job}"), format!("sink.clicks={job}"));
    let settings = [
        "--name",
        &job,
        "--create-tables",
        "--set",
        "every=0",
        "--set",
        &source,
        "--set",
        &sink,
    ];
    let second = component("examples/clicks-v2");
    host.deploy(&second, &settings).ok();
    host.deploy(&second, &settings).ok();
    let versions = |host: &Host| -> Vec<(u64, bool)> {
        let history = host.json(&["history", &job]);
        let entry = |entry: &serde_json::Value| {
            (
                entry["version"].as_u64().unwrap_or(0),
                entry["active"] == true,
            )
        };
        history
            .as_array()
            .expect("a list")
            .iter()
            .map(entry)
            .collect()
    };
    assert_eq!(
        versions(&host),
        [(2, true), (1, false)],
        "the same again changes nothing"
    );
    host.cli(["rollback", &job]).ok();
    assert_eq!(versions(&host), [(1, true), (2, false), (1, false)]);
    let twice = host.cli(["rollback", &job]).refusal();
    assert!(
        twice.contains("no version before 1"),
        "it never goes forward: {twice}"
    );
    host.cli(["rollback", &job, "2"]).ok();
    assert_eq!(host.status(&job)["version"], 2);
    assert!(host.cli(["rollback", &job, "7"]).refusal().contains('7'));

    outside::send(&servers.kafka, &job, &["c,s,http://example.org/x,t,i,1"]);
    host.wait_records(&job, 1, SOON);
    let row = &outside::table(&servers.gateway, &job)["c"];
    assert!(
        row.values().any(|value| value == "example.org"),
        "the second version's column: {row:?}"
    );
}

#[test]
fn a_core_module_is_deployed_as_the_compiler_left_it() {
    let (_guard, servers) = Servers::shared();
    let host = Host::serve(servers);
    let job = unique("core");
    outside::create_topic(&servers.kafka, &job, PARTITIONS);
    outside::send(&servers.kafka, &job, &[CLICK]);
    let built = component("examples/clicks");
    let target = built
        .parent()
        .and_then(Path::parent)
        .expect("it lies in cargo's folder");
    let module = target.join("wasm32-unknown-unknown/release/clicks.wasm");
    let begins = |file: &Path| read(file).expect("it was built")[4..8].to_vec();
    assert_ne!(
        begins(&module),
        begins(&built),
        "the one is a module, the other a component"
    );
    let (source, sink) = (format!("source.clicks={job}"), format!("sink.clicks={job}"));
    let settings = [
        "--name",
        &job,
        "--create-tables",
        "--set",
        "every=0",
        "--set",
        &source,
        "--set",
        &sink,
    ];
    host.deploy(&module, &settings).ok();
    host.wait_records(&job, 1, SOON);
    assert_eq!(outside::table(&servers.gateway, &job).len(), 1);
}

#[test]
fn a_resume_that_fails_at_once_says_so() {
    let (_guard, servers) = Servers::shared();
    let mut host = Host::serve(servers);
    let job = unique("no-table");
    outside::create_topic(&servers.kafka, &job, PARTITIONS);
    outside::send(&servers.kafka, &job, &[CLICK]);
    host.deploy_clicks(&job);
    host.wait_records(&job, 1, SOON);
    assert_eq!(host.json(&["pause", &job])["state"], "paused");
    outside::drop_table(&servers.gateway, &job);
    let resumed = host.json(&["resume", &job, "--skip-lost"]);
    assert_eq!(
        (&resumed["state"], &resumed["records_in"]),
        (&"stopped".into(), &1.into()),
        "{resumed}"
    );
    assert!(
        resumed["last_error"]
            .as_str()
            .is_some_and(|error| error.contains("--create-tables")),
        "{resumed}"
    );
    host.cli(["pause", &job]).ok();
    host.kill();
    host.restart();
    let status = host.status(&job);
    assert_eq!(
        (&status["state"], &status["records_in"]),
        (&"paused".into(), &1.into()),
        "counts stay: {status}"
    );
    assert_eq!(host.json(&["undeploy", &job])["undeployed"], true);
}

#[test]
fn the_http_api_is_there_for_programs() {
    let (_guard, servers) = Servers::shared();
    let host = Host::serve(servers);
    let get = |path: &str| {
        http_get(&host.address, path).unwrap_or_else(|| panic!("{path} does not answer"))
    };
    assert_eq!(get("/healthz").0, 200);
    let (code, document) = get("/v1/openapi.json");
    assert!(
        code == 200 && document.contains("/v1/jobs"),
        "{code}: {document}"
    );
    let (code, metrics) = get("/metrics");
    assert!(
        code == 200 && metrics.contains("# TYPE"),
        "{code}: {metrics}"
    );
    let (code, page) = get("/");
    assert!(
        code == 200 && page.to_lowercase().contains("<html"),
        "{code}: {page}"
    );
    assert_eq!(get("/v1/jobs/nobody").0, 404);
}
