//! A keyed job's history that is replayed from a savepoint on: its positions, and its state.

use serde_json::Value;
use std::path::{Path, PathBuf};
use streamhost_tests::clicks::Record;
use streamhost_tests::feed;
use streamhost_tests::guests::component;
use streamhost_tests::host::{Host, unique};
use streamhost_tests::keyed::{Kind, START_MS};
use streamhost_tests::keyed_jobs::{Run, SESSIONS, Topics};
use streamhost_tests::outside;
use streamhost_tests::replays::{Twin, counted, goes_on_as_it_was, replay};
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::LATE;

/// A savepoint of where a job is now.
fn saved(host: &Host, job: &str, name: &str) -> PathBuf {
    let file = host.file(name);
    let to = file.display().to_string();
    host.cli(["savepoint", job, "--to", &to]).ok();
    file
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

fn found(view: &Value, sink: &str) -> [u64; 3] {
    ["differing", "missing", "alike"].map(|what| counted(view, sink, what))
}

#[test]
fn running_sums_go_on_from_a_savepoint_and_exactly_what_is_wrong_is_found() {
    let (_guard, servers) = Servers::shared();
    let mut twin = Twin::new(servers, "none");
    let job = twin.job.clone();
    twin.send(5000);
    let file = saved(&twin.host, &job, "middle.savepoint");
    let state = text(&file);
    twin.send(5000);
    let before = twin.host.status(&job);
    let (rows, sums) = (twin.table("rows"), twin.table("sums"));
    let view = replay(&twin.host, &job, &["--state", state, "--diff"]);
    assert_eq!(found(&view, "twin-sums"), [0, 0, 10], "{view}");
    assert_eq!(found(&view, "twin-rows"), [0, 0, 4950], "{view}");
    assert_eq!(view["from"][&job]["0"], 5000, "{view}");
    assert!(view["savepoint"]["batch"].as_u64() > Some(0), "{view}");
    // From an empty state the sums would be those of the second half.
    let half = ["--from", "0=5000", "--empty-state", "--diff"];
    let view = replay(&twin.host, &job, &half);
    assert_eq!(found(&view, "twin-sums"), [10, 0, 0], "{view}");

    // What is wrong before the savepoint is not of these records.
    let wrong = |table: &str, changes: &[(&str, Option<&'static str>)]| {
        let change = |(key, column): &(&str, Option<&'static str>)| {
            (key.to_string(), *column, column.map(|_| "0".to_owned()))
        };
        let changes: Vec<_> = changes.iter().map(change).collect();
        outside::change_table(&servers.gateway, &format!("{job}-{table}"), &changes);
    };
    let length = Some("f:length");
    wrong(
        "rows",
        &[
            ("100", length),
            ("7000", length),
            ("7001", None),
            ("9999", length),
        ],
    );
    wrong("sums", &[("k3", Some("f:sum"))]);
    let view = replay(&twin.host, &job, &["--state", state, "--diff"]);
    assert_eq!(found(&view, "twin-rows"), [2, 1, 4947], "{view}");
    assert_eq!(found(&view, "twin-sums"), [1, 0, 9], "{view}");
    let view = replay(&twin.host, &job, &["--state", state, "--write"]);
    let mended = ["twin-rows", "twin-sums"].map(|sink| counted(&view, sink, "mended"));
    assert_eq!(mended, [3, 1], "{view}");
    assert_eq!(twin.table("sums"), sums);
    let mut mended = twin.table("rows");
    assert_eq!(mended["100"]["f:length"], "0", "{:?}", mended["100"]);
    mended.insert("100".to_owned(), rows["100"].clone());
    assert_eq!(mended, rows);

    // A component and a savepoint together: versions that are wrong, in a state and in a column.
    let guest = component("tests/guests/twin");
    let run = |change: &str| {
        let set = format!("param.change={change}");
        let more = [
            "--state",
            state,
            "--file",
            text(&guest),
            "--set",
            &set,
            "--diff",
        ];
        replay(&twin.host, &job, &more)
    };
    let view = run("merge");
    assert_eq!(found(&view, "twin-sums"), [1, 0, 9], "{view}");
    let sample = &view["sinks"]["twin-sums"]["samples"][0];
    assert_eq!(sample["key"], "k7", "{view}");
    let sum = |what: &str| {
        let value = sample["columns"][0][what].as_str().expect("a sum");
        value.parse::<u64>().expect("a number")
    };
    assert_eq!(sum("made"), sum("held") + 5, "one in a thousand: {view}");
    let view = run("column");
    assert_eq!(found(&view, "twin-rows"), [5, 0, 4945], "{view}");
    assert_eq!(found(&view, "twin-sums"), [0, 0, 10], "{view}");
    let view = run("filter");
    assert_eq!(counted(&view, "twin-rows", "extra"), 5, "{view}");

    // The job's own is as it was, and it goes on.
    goes_on_as_it_was(&before, &twin.host.status(&job));
    twin.send(1000);
    let view = replay(&twin.host, &job, &["--state", state, "--diff"]);
    assert_eq!(found(&view, "twin-sums"), [0, 0, 10], "{view}");
}

#[test]
fn a_savepoint_that_cannot_be_the_beginning_is_refused_with_the_reason() {
    let (_guard, servers) = Servers::shared();
    let mut twin = Twin::new(servers, "none");
    let job = twin.job.clone();
    twin.send(2000);
    let file = saved(&twin.host, &job, "good.savepoint");
    twin.send(1000);
    let later = saved(&twin.host, &job, "later.savepoint");
    let bytes = std::fs::read(&file).expect("it is there");
    let mut altered = bytes.clone();
    altered[bytes.len() / 2] ^= 1;
    let altered_file = twin.host.file("altered");
    std::fs::write(&altered_file, &altered).expect("written");
    let other = Twin::new(servers, "none");
    let refused = |twin: &Twin<'_>, file: &Path, more: &[&str]| {
        let arguments = ["replay", &twin.job, "--diff", "--state", text(file)];
        twin.host.cli([&arguments, more].concat())
    };
    let cases: [(&Twin<'_>, &Path, &[&str], &str); 4] = [
        (&twin, &altered_file, &[], "was altered or damaged"),
        (&twin, &file, &["--to", "0=1000"], "say a later --to"),
        (&twin, &later, &[], "no records between the savepoint"),
        (&other, &file, &[], "did not begin from it"),
    ];
    for (twin, file, more, words) in cases {
        let refused = refused(twin, file, more).refusal();
        assert!(refused.contains(words), "{more:?}: {refused}");
    }
    for more in [["--from", "0=2000"].as_slice(), &["--empty-state"]] {
        assert_eq!(refused(&twin, &file, more).code, 2, "{more:?}");
    }
    // A version whose stages are others: refused as a deploy of it is.
    let guest = component("tests/guests/twin");
    let without = [
        "--file",
        text(&guest),
        "--set",
        "param.sums=false",
        "--set",
        "sink.twin-sums=",
    ];
    let said = refused(&twin, &file, &without).refusal();
    assert!(said.contains("with the state of the savepoint"), "{said}");
    // A job that began from it, under another name, has its history.
    let name = unique("again");
    let sinks = ["rows", "sums"].map(|what| format!("sink.twin-{what}={name}-{what}"));
    let restore = [
        "deploy",
        "--from-savepoint",
        text(&file),
        "--name",
        &name,
        "--create-tables",
    ];
    let set = ["--set", &sinks[0], "--set", &sinks[1]];
    twin.host.cli([&restore[..], &set].concat()).ok();
    twin.host.wait_records(&name, 3000, LATE);
    let view = replay(&twin.host, &name, &["--state", text(&file), "--diff"]);
    assert_eq!(found(&view, "twin-sums"), [0, 0, 10], "{view}");
    // What retention has taken since.
    servers.delete_below(&job, &[(0, 2500)]);
    let gone = refused(&twin, &file, &[]).refusal();
    assert!(gone.contains("before offset 2500 is gone"), "{gone}");
    let told = twin
        .host
        .cli(["replay", &job, "--diff", "--from", "0=100"])
        .refusal();
    assert!(told.contains("before offset 2500 is gone"), "{told}");
}

/// Plays in their order, in blocks of two hundred minutes: of each of five players one session.
fn plays(range: std::ops::Range<i64>) -> impl Iterator<Item = Record> {
    range.map(|n| {
        let player = format!("p{}", n / 200 * 5 + n % 5);
        let time = START_MS + n * 60_000;
        let play = format!(
            r#"{{"player":"{player}","time":{time},"points":{}}}"#,
            n % 7
        );
        Record {
            key: Some(player.into_bytes()),
            value: Some(play.into_bytes()),
            partition: Some(0),
            time_ms: None,
        }
    })
}

#[test]
fn windows_that_were_open_in_a_savepoint_are_closed_as_the_job_closed_them() {
    let (_guard, servers) = Servers::shared();
    let host = Host::serve(servers);
    let topics = Topics::empty(&SESSIONS, servers, 1);
    let run = Run::new(&SESSIONS, servers, &topics);
    let mut sent = feed::fill(&servers.kafka, &topics.events, plays(0..2100)).expect("sent");
    run.deploy(&host, 0, &["every=0", "limits.batch-records=150"]);
    host.wait_records(&run.job, sent, LATE);
    // Five sessions are open, and have had a hundred plays.
    let file = saved(&host, &run.job, "open.savepoint");
    let rest = plays(2100..4000).chain(Kind::Plays.ends_of(1));
    sent += feed::fill(&servers.kafka, &topics.events, rest).expect("sent");
    run.wait_for_all(&host, sent);
    let whole = replay(&host, &run.job, &["--diff"]);
    assert_eq!(found(&whole, "sessions"), [0, 0, 100], "{whole}");
    let from_saved = ["--state", text(&file), "--diff"];
    let view = replay(&host, &run.job, &from_saved);
    assert_eq!(found(&view, "sessions"), [0, 0, 50], "{view}");
    let empty = ["--from", "0=2100", "--empty-state", "--diff"];
    let view = replay(&host, &run.job, &empty);
    assert_eq!(counted(&view, "sessions", "alike"), 45, "{view}");

    let table = format!("{}-sessions", run.job);
    let rows = outside::table(&servers.gateway, &table);
    let of = |player: &str| {
        let mut keys = rows.keys();
        let key = keys.find(|key| key.starts_with(&format!("{player}#")));
        key.expect("its session").clone()
    };
    // p10 was over before the savepoint; p50 was open in it.
    let mut changes: Vec<_> = ["p10", "p50", "p71"]
        .map(|player| (of(player), Some("session:score"), Some("1".to_owned())))
        .into();
    changes.push((of("p99"), None, None));
    outside::change_table(&servers.gateway, &table, &changes);
    let view = replay(&host, &run.job, &from_saved);
    assert_eq!(found(&view, "sessions"), [2, 1, 47], "{view}");
    let view = replay(&host, &run.job, &["--write"]);
    assert_eq!(counted(&view, "sessions", "mended"), 4, "{view}");
    assert_eq!(outside::table(&servers.gateway, &table), rows);
    run.verdict(false);
}
