//! The audit log: each change by the API is in it before it is answered, with the token's name, also
//! when it was refused, and over `kill -9`.

use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use streamhost_tests::guests::component;
use streamhost_tests::host::{Host, unique};
use streamhost_tests::outside;
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::SOON;
use streamhost_tests::wait::wait_until;

const TOKENS: &str = "ann read aaaa\nbob operate bbbb\ncee deploy cccc\n";

fn entries(host: &Host, arguments: &[&str]) -> Vec<Value> {
    let all = [
        &["audit"],
        arguments,
        &["--output", "json", "--limit", "2000"],
    ]
    .concat();
    let said = host.cli_as("aaaa", all).ok();
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("no JSON ({error}): {said}"))
}

/// Who did what, and how it went, oldest first.
fn told(host: &Host, job: &str) -> Vec<Value> {
    let row = |entry: &Value| json!([entry["who"], entry["verb"], entry["outcome"]]);
    entries(host, &[job]).iter().rev().map(row).collect()
}

#[test]
fn each_change_is_noted_with_its_token_also_when_it_was_refused_and_over_a_kill() {
    let (_guard, servers) = Servers::shared();
    let mut host = Host::serve_control(servers, |folder| {
        let tokens = folder.join("tokens");
        std::fs::write(&tokens, TOKENS).expect("written");
        format!("token-file = \"{}\"\n", tokens.display())
    });
    let job = unique("audited");
    outside::create_topic(&servers.kafka, &job, 1);
    let texts = component("tests/guests/threshold").display().to_string();
    let (from, to) = (
        format!("source.texts-in={job}"),
        format!("sink.texts-out={job}"),
    );
    let deploy = |host: &Host, token: &str, every: &str| {
        let mut all = vec!["deploy", &texts, "--name", &job, "--create-tables"];
        for pair in [every, &from, &to] {
            all.extend(["--set", pair]);
        }
        host.cli_as(token, all)
    };
    deploy(&host, "cccc", "every=0").ok();
    deploy(&host, "cccc", "every=1s").ok();
    let refused = deploy(&host, "bbbb", "every=2s").refusal();
    assert!(refused.contains("has the role `operate`"), "{refused}");
    deploy(&host, "cccc", "every=soon").refusal();
    host.cli_as("bbbb", ["rollback", &job]).ok();
    host.cli_as("bbbb", ["pause", &job]).ok();
    host.cli_as("aaaa", ["resume", &job]).refusal();
    host.cli_as("wrong", ["resume", &job]).refusal();
    let mut want = vec![
        json!(["cee", "deploy", "done"]),
        json!(["cee", "deploy", "done"]),
        json!(["cee", "deploy", "refused"]),
        json!(["bob", "rollback", "done"]),
        json!(["bob", "pause", "done"]),
        json!(["ann", "resume", "refused"]),
    ];
    assert_eq!(told(&host, &job), want);
    let all = entries(&host, &[&job]);
    let (rollback, second) = (&all[2], &all[4]);
    let setting =
        |before: &str, after: &str| json!([{"name": "every", "before": before, "after": after}]);
    assert_eq!(second["settings"], setting("0", "1s"), "{second}");
    assert_eq!(rollback["settings"], setting("1s", "0"), "{rollback}");
    let active = &host.as_json("aaaa", &["history", &job])[0];
    for field in ["deployment", "version", "digest"] {
        let told = if field == "deployment" {
            "number"
        } else {
            field
        };
        assert_eq!(rollback[field], active[told], "{field}");
    }
    // The one that knew no name of its job is there too.
    let of_bob = entries(&host, &[]);
    assert!(
        of_bob
            .iter()
            .any(|e| e["who"] == "bob" && e["verb"] == "deploy" && e["status"] == 403)
    );

    // Changes until the host dies: each that was answered is noted as done, and all have an entry.
    let (done, ends) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ends.load(Ordering::SeqCst) {
                for verb in ["resume", "pause"] {
                    let said = host_cli(&host.address, verb, &job);
                    done.fetch_add(u64::from(said), Ordering::SeqCst);
                }
            }
        });
        wait_until("some changes are done", SOON, || {
            done.load(Ordering::SeqCst) >= 5
        });
        host.signal("KILL");
        ends.store(true, Ordering::SeqCst);
    });
    host.kill();
    host.restart();
    let after = told(&host, &job).split_off(want.len());
    let of = |outcome: &str| after.iter().filter(|e| e[2] == outcome).count() as u64;
    let answered = done.load(Ordering::SeqCst);
    assert!(
        of("done") >= answered,
        "{answered} were answered: {after:?}"
    );
    assert!(of("unknown") <= 1 && of("under-way") == 0, "{after:?}");
    assert_eq!(of("done") + of("unknown"), after.len() as u64, "{after:?}");

    want.extend(after);
    host.cli_as("cccc", ["undeploy", &job, "--yes"]).ok();
    want.push(json!(["cee", "undeploy", "done"]));
    assert_eq!(told(&host, &job), want);
    let numbers = entries(&host, &[]);
    let next =
        |two: &[Value]| two[0]["number"].as_u64() == two[1]["number"].as_u64().map(|n| n + 1);
    assert!(numbers.windows(2).all(next), "{numbers:?}");
    let text = host.cli_as("aaaa", ["audit", &job, "--since", "1h"]).ok();
    assert!(
        text.contains("cee (127.0.0.1)") && text.contains("every=1s, was 0;"),
        "{text}"
    );
}

/// Whether a change by `bob` was answered as done. The host may be gone.
fn host_cli(address: &str, verb: &str, job: &str) -> bool {
    Host::ask_as(address, "bbbb", [verb, job]).code == 0
}
