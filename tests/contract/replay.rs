//! A replay finds exactly what of a table is not as the records make it, and mends that and no more,
//! while the job goes on.

use serde_json::Value;
use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use streamhost_tests::clicks::{Clicks, Record};
use streamhost_tests::feed::{self, Feed};
use streamhost_tests::guests::{build_variant, component};
use streamhost_tests::host::{Host, unique};
use streamhost_tests::outside::{self, Table};
use streamhost_tests::paths::streamhost;
use streamhost_tests::replays::{Twin, counted as of, goes_on_as_it_was, replay};
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::{LATE, PARTITIONS, seed, sizes};
use streamhost_tests::wait::wait_until;

/// One change of a table by hand.
type Change = (String, Option<&'static str>, Option<String>);

/// Changes that nobody would make: forty rows have another cell, ten lack one, thirty are gone, twenty
/// came.
fn changes(table: &Table) -> Vec<Change> {
    let keys: Vec<&String> = table.keys().collect();
    let step = keys.len() / 100;
    let mut picked = keys.into_iter().step_by(step.max(1));
    let mut changes: Vec<Change> = Vec::new();
    let mut take = |many: usize, change: fn(&str) -> Change| {
        changes.extend(picked.by_ref().take(many).map(|key| change(key)));
    };
    take(40, |key| {
        (
            key.to_owned(),
            Some("clickinfo:studentid"),
            Some("nobody".to_owned()),
        )
    });
    take(10, |key| (key.to_owned(), Some("iteminfo:quantity"), None));
    take(30, |key| (key.to_owned(), None, None));
    for n in 0..20 {
        let value = Some("forged".to_owned());
        changes.push((format!("forged{n}"), Some("clickinfo:url"), value));
    }
    assert_eq!(changes.len(), 100, "the table is large enough");
    changes
}

#[test]
fn exactly_the_rows_that_were_corrupted_are_found_and_mended() {
    let (_guard, servers) = Servers::shared();
    let seed = seed();
    println!("STREAMHOST_SEED={seed}");
    let host = Host::serve(servers);
    let job = unique("day");
    feed::create_topic(&servers.kafka, &job, PARTITIONS).expect("a topic");
    let mut clicks = Clicks::new(seed);
    let day: Vec<Record> = clicks.by_ref().take(sizes().clicks as usize).collect();
    let sent = feed::fill(&servers.kafka, &job, day.into_iter()).expect("a full topic");
    host.deploy_clicks(&job);
    let before = host.wait_records(&job, sent, LATE);
    let table = outside::table(&servers.gateway, &job);

    let view = replay(&host, &job, &["--diff"]);
    assert_eq!(view["differing"], 0, "{view}");
    assert_eq!(of(&view, "clicks", "alike"), table.len() as u64, "{view}");
    assert_eq!(view["records"], sent, "{view}");
    assert_eq!(
        view["counts"]["dead_letters"], before["dead_letters"],
        "{view}"
    );

    // The job stands still, and what is written by hand has the servers' time.
    let wrong = changes(&table);
    outside::change_table(&servers.gateway, &job, &wrong);
    let view = replay(&host, &job, &["--diff"]);
    let found =
        |view: &Value| ["differing", "missing", "extra"].map(|what| of(view, "clicks", what));
    assert_eq!(found(&view), [50, 30, 20], "{view}");
    assert_eq!(
        view["sinks"]["clicks"]["columns"],
        serde_json::json!({ "clickinfo:studentid": 40, "iteminfo:quantity": 10 }),
    );
    let known: BTreeSet<&str> = wrong.iter().map(|(key, ..)| &**key).collect();
    let samples = view["sinks"]["clicks"]["samples"].as_array().expect("rows");
    for row in samples {
        assert!(known.contains(row["key"].as_str().expect("a key")), "{row}");
    }
    assert!(samples.len() >= 20, "{view}");
    assert_ne!(
        outside::table(&servers.gateway, &job),
        table,
        "a look mends nothing"
    );

    let view = replay(&host, &job, &["--write", "--delete-extra"]);
    assert_eq!(found(&view), [50, 30, 20], "{view}");
    assert_eq!(
        (
            of(&view, "clicks", "mended"),
            of(&view, "clicks", "unmended")
        ),
        (100, 0),
        "{view}"
    );
    assert_eq!(outside::table(&servers.gateway, &job), table);
    assert_eq!(replay(&host, &job, &["--diff"])["differing"], 0);
    goes_on_as_it_was(&before, &host.status(&job));

    // The same while records come, one in five of which changes a row that is there.
    outside::change_table(&servers.gateway, &job, &wrong);
    let feed = Feed::start(&servers.kafka, &job, 500, clicks);
    wait_until("records come", LATE, || host.records(&job) > sent);
    let view = replay(&host, &job, &["--diff"]);
    assert!(of(&view, "clicks", "differing") <= 50, "{view}");
    assert!(of(&view, "clicks", "missing") <= 30, "{view}");
    assert_eq!(of(&view, "clicks", "extra"), 20, "{view}");
    assert!(
        of(&view, "clicks", "overtaken") < 2000,
        "rows of later records alone are none: {view}"
    );
    let left: u64 = found(&view).into_iter().sum();
    assert!(
        left >= 90,
        "but for what came since nothing is overtaken: {view}"
    );
    let view = replay(&host, &job, &["--write", "--delete-extra"]);
    assert_eq!(of(&view, "clicks", "unmended"), 0, "{view}");
    let view = replay(&host, &job, &["--diff"]);
    assert_eq!(view["differing"], 0, "{view}");
    let sent = sent + feed.stop().expect("a steady feed");
    host.wait_records(&job, sent, LATE);
    assert_eq!(replay(&host, &job, &["--diff"])["differing"], 0);
    let letters = format!("{job}.dead-letters");
    outside::clicks_are_right(&servers.kafka, &job, &servers.gateway, &job, &letters);
}

#[test]
fn a_mended_version_writes_only_the_rows_that_it_would_have_written_otherwise() {
    let (_guard, servers) = Servers::shared();
    let mut twin = Twin::new(servers, "column");
    twin.send(10_000);
    let file = component("tests/guests/twin");
    let file = file.to_str().expect("a path of text");
    let run = |twin: &Twin<'_>, change: &str, more: &[&str]| {
        let set = format!("param.change={change}");
        let given = ["--file", file, "--set", &set];
        replay(&twin.host, &twin.job, &[&given, more].concat())
    };
    // Ten rows have a length that is one too much, and every sum is right.
    let view = run(&twin, "none", &["--diff"]);
    assert_eq!(of(&view, "twin-rows", "differing"), 10, "{view}");
    assert_eq!(of(&view, "twin-rows", "alike"), 9890, "{view}");
    assert_eq!(of(&view, "twin-sums", "alike"), 10, "{view}");
    assert_eq!(
        view["sinks"]["twin-rows"]["columns"],
        serde_json::json!({ "f:length": 10 }),
    );
    let sample = &view["sinks"]["twin-rows"]["samples"][0]["columns"][0];
    assert_eq!(
        (&sample["held"], &sample["made"]),
        (&"5".into(), &"4".into()),
        "{view}"
    );
    // A part of history, that ends where later records came: those are left out.
    let part = [
        "--from",
        "0=2000",
        "--to",
        "0=4000",
        "--empty-state",
        "--diff",
    ];
    let view = run(&twin, "none", &part);
    assert_eq!(of(&view, "twin-rows", "differing"), 2, "{view}");
    assert_eq!(of(&view, "twin-sums", "overtaken"), 10, "{view}");
    assert_eq!(view["extra_rows"], "active", "{view}");
    // Of rows that only the active version makes, those of this part are told.
    let view = run(&twin, "filter", &part);
    assert_eq!(of(&view, "twin-rows", "extra"), 2, "{view}");
    assert_eq!(of(&view, "twin-rows", "differing"), 0, "{view}");

    let times = |twin: &Twin<'_>| {
        let table = format!("{}-rows", twin.job);
        outside::column(&twin.servers.gateway, &table, "f:length")
    };
    let before = times(&twin);
    let view = run(&twin, "none", &["--write"]);
    assert_eq!(of(&view, "twin-rows", "mended"), 10, "{view}");
    assert_eq!(of(&view, "twin-sums", "mended"), 0, "{view}");
    let after = times(&twin);
    let changed = after
        .iter()
        .filter(|(key, cell)| before.get(*key) != Some(*cell));
    let changed: Vec<&String> = changed.map(|(key, _)| key).collect();
    assert_eq!(
        changed.len(),
        10,
        "only what differs is written: {changed:?}"
    );
    assert!(
        changed
            .iter()
            .all(|key| key.ends_with("007") || *key == "7"),
        "{changed:?}"
    );

    // The mended version goes on where the wrong one was, and what it writes lies above.
    twin.deploy("none", &[]);
    twin.send(2000);
    let view = replay(&twin.host, &twin.job, &["--diff"]);
    assert_eq!(view["differing"], 0, "{view}");
    // The version of before would make it wrong again.
    let view = replay(&twin.host, &twin.job, &["--version", "1", "--diff"]);
    assert_eq!(of(&view, "twin-rows", "differing"), 12, "{view}");
}

#[test]
fn history_fills_another_table_as_the_job_filled_its_own() {
    let (_guard, servers) = Servers::shared();
    let mut twin = Twin::new(servers, "none");
    twin.send(5000);
    let places = ["twin-rows", "twin-sums"].map(|sink| {
        let (_, what) = sink.split_once('-').expect("a name of two parts");
        format!("{sink}={}-other-{what}", twin.job)
    });
    let [rows, sums] = &places;
    let more = [
        "--sink",
        rows,
        "--sink",
        sums,
        "--create-tables",
        "--rate",
        "5000",
    ];
    let view = replay(&twin.host, &twin.job, &more);
    assert_eq!(view["delivered"]["twin-rows"], 4950, "{view}");
    assert_eq!(twin.table("other-rows"), twin.table("rows"));
    assert_eq!(twin.table("other-sums"), twin.table("sums"));

    // A topic, and that of a sink that is exactly once.
    let (job, topic, other) = (unique("words"), unique("counts"), unique("again"));
    for name in [&job, &topic, &other] {
        outside::create_topic(&servers.kafka, name, 1);
    }
    let set = [format!("source.lines={job}"), format!("sink.words={topic}")];
    let file = component("tests/guests/wordcount-topic");
    twin.host.deploy_as(&file, &job, &set, &[]).ok();
    outside::send(&servers.kafka, &job, &["a b a", "b c", "a"]);
    twin.host.wait_records(&job, 3, LATE);
    let sink = format!("words={other}");
    replay(&twin.host, &job, &["--sink", &sink]);
    let counts = |topic: &str| {
        let mut sums = std::collections::BTreeMap::<String, u64>::new();
        for record in outside::topic(&servers.kafka, topic) {
            let value: Value = serde_json::from_str(&record.value.expect("a value")).expect("JSON");
            let count = value
                .as_object()
                .and_then(|all| all.values().find_map(Value::as_u64));
            *sums.entry(record.key.expect("a key")).or_default() +=
                count.or(value.as_u64()).expect("a count");
        }
        sums
    };
    assert_eq!(counts(&other), counts(&topic));
    assert_eq!(counts(&other)["a"], 3);
}

#[test]
fn what_cannot_be_replayed_is_refused_and_a_replay_can_be_stopped() {
    let (_guard, servers) = Servers::shared();
    let mut twin = Twin::new(servers, "none");
    let job = twin.job.clone();
    twin.send(3000);
    let own = format!("twin-rows={job}-rows");
    let cases: [(&[&str], &str); 12] = [
        (&[], "say what becomes of the rows"),
        (&["--diff", "--from", "yesterday"], "0=100,1=250"),
        (&["--diff", "--from", "0=10"], "--empty-state"),
        (&["--diff", "--from", "7=10"], "no partition 7"),
        (&["--diff", "--from", "other:0=10"], "no partition 0"),
        (&["--diff", "--to", "0=9999999"], "has come to 3000"),
        (&["--diff", "--from", "now"], "no records between"),
        (&["--diff", "--from", "2999-01-01T00:00:00Z"], "it is"),
        (&["--diff", "--version", "9"], "no version 9"),
        (&["--diff", "--rate", "0"], "records a second"),
        (&["--sink", &own], "a place of the job itself"),
        (&["--sink", "nothing=else"], "nothing"),
    ];
    for (more, words) in cases {
        let said = twin.host.cli([&["replay", &job], more].concat());
        let refused = said.refusal();
        assert!(refused.contains(words), "{more:?}: {refused}");
    }
    let none = twin.host.cli(["replay", "nobody", "--diff"]).refusal();
    assert!(none.contains("there is no job `nobody`"), "{none}");

    // Ctrl-C of the command that waits ends the replay too.
    let waits = ["replay", &job, "--diff", "--rate", "10"];
    let mut waiting = Command::new(streamhost())
        .env("STREAMHOST_URL", format!("http://{}", twin.host.address))
        .args(waits)
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    let shown = || {
        twin.host
            .cli(["replay", &job, "--show", "--output", "json"])
    };
    wait_until("it runs", LATE, || {
        shown().out.contains("\"running\": true")
    });
    let id = waiting.id().to_string();
    let sent = Command::new("kill").args(["-s", "INT", &id]).status();
    assert!(sent.expect("kill").success());
    waiting.wait().expect("it ends");
    let view = twin.host.json(&["replay", &job, "--show"]);
    assert_eq!(view["outcome"], "stopped", "{view}");

    let slow = ["replay", &job, "--diff", "--rate", "10", "--detach"];
    let view = twin.host.json(&slow);
    assert_eq!(
        (&view["running"], &view["outcome"]),
        (&true.into(), &Value::Null),
        "{view}"
    );
    let twice = twin.host.cli(slow).refusal();
    assert!(twice.contains("runs already"), "{twice}");
    let view = twin.host.json(&["replay", &job, "--stop"]);
    assert_eq!(
        (&view["running"], &view["outcome"]),
        (&false.into(), &"stopped".into()),
        "{view}"
    );
    assert_eq!(
        twin.host.json(&["replay", &job, "--show"])["outcome"],
        "stopped"
    );
    twin.host.json(&slow);
    twin.host.kill();
    twin.host.restart();
    twin.host.wait_records(&job, twin.sent, LATE);
    let gone = twin.host.cli(["replay", &job, "--show"]).refusal();
    assert!(gone.contains("is gone"), "it ended with the host: {gone}");
    let left = twin.host.file("data/replays");
    assert!(!left.exists(), "and so did what it kept");
    assert_eq!(replay(&twin.host, &job, &["--diff"])["differing"], 0);
}

#[test]
fn a_topic_is_compared_by_the_last_record_of_each_key() {
    let (_guard, servers) = Servers::shared();
    let host = Host::serve(servers);
    let (job, out) = (unique("copied"), unique("copy"));
    // Of the copies in one partition alone: who else writes to it may spread keys otherwise.
    for (topic, partitions) in [(&job, 2), (&out, 1)] {
        feed::create_topic(&servers.kafka, topic, partitions).expect("a topic");
    }
    let record = |key: String, value: Option<&str>| Record {
        key: Some(key.into_bytes()),
        value: value.map(|value| value.as_bytes().to_vec()),
        ..Record::default()
    };
    let of_key = |n: u32, value| record(format!("k{n}"), value);
    let all = (0..2000).map(|n| of_key(n % 1000, Some(if n < 1000 { "old" } else { "new" })));
    feed::fill(&servers.kafka, &job, all).expect("a full topic");
    let file = host.file("plain.wasm");
    build_variant("tests/guests/picky", "plain", &file);
    let places = [
        format!("source.picky-in={job}"),
        format!("sink.picky-out={out}"),
    ];
    host.deploy_as(&file, &job, &places, &[]).ok();
    host.wait_records(&job, 2000, LATE);
    let view = replay(&host, &job, &["--diff"]);
    assert_eq!(of(&view, "picky-out", "alike"), 1000, "{view}");
    assert_eq!(view["differing"], 0, "{view}");

    let wrong = (0..10).map(|n| of_key(n, Some("wrong")));
    let gone = (20..25).map(|n| of_key(n, None));
    let more = (0..3).map(|n| record(format!("more{n}"), Some("new")));
    feed::fill(&servers.kafka, &out, wrong.chain(gone).chain(more)).expect("more records");
    let view = replay(&host, &job, &["--diff"]);
    let found = ["differing", "missing", "extra"].map(|what| of(&view, "picky-out", what));
    assert_eq!(found, [10, 5, 3], "{view}");
    let refused = host.cli(["replay", &job, "--write"]).refusal();
    assert!(refused.contains("is not mended"), "{refused}");
    assert!(refused.contains("--sink picky-out=OTHER"), "{refused}");
}

#[test]
fn what_goes_by_batches_is_not_mended_and_records_without_a_key_are_left_out() {
    let (_guard, servers) = Servers::shared();
    let host = Host::serve(servers);
    let job = unique("by-batch");
    outside::create_topic(&servers.kafka, &job, 1);
    outside::create_topic(&servers.kafka, &format!("{job}-raw"), 1);
    let places = [
        format!("source.pageviews={job}"),
        format!("sink.pageviews={job}"),
        format!("sink.pageviews-raw={job}-raw"),
    ];
    let file = component("examples/pageviews");
    host.deploy_as(&file, &job, &places, &["--create-tables"])
        .ok();
    let view = r#"{"site_id":"books","url":"/"}"#;
    outside::send(&servers.kafka, &job, &[view, view, "no JSON"]);
    host.wait_records(&job, 3, LATE);
    let refused = host.cli(["replay", &job, "--write"]).refusal();
    assert!(
        refused.contains("makes its results batch by batch"),
        "{refused}"
    );
    let view = host.json(&["replay", &job, "--diff"]);
    let warning = view["warnings"][0].as_str().expect("a warning");
    assert!(
        warning.contains("a replay cuts batches of its own"),
        "{view}"
    );
    let raw = &view["sinks"]["pageviews-raw"];
    for count in ["alike", "differing", "missing", "extra"] {
        assert_eq!(raw[count], 0, "{view}");
    }
}
