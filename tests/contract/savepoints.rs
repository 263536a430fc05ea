//! A savepoint that is taken under full load and restored on another data folder gives the end result
//! of a run that nothing disturbed; one that stops its job is exact; and what it cannot be is refused.

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use streamhost_tests::command::{Said, say};
use streamhost_tests::feed::fill;
use streamhost_tests::guests::{build_variant, component};
use streamhost_tests::host::{Host, unique};
use streamhost_tests::keyed::Events;
use streamhost_tests::keyed_jobs::{
    Example, HASHTAGS, PAGEVIEWS, Run, SENSORS, SESSIONS, Topics, WORDS,
};
use streamhost_tests::outside;
use streamhost_tests::paths::streamhost;
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::{LATE, seed, sizes};
use streamhost_tests::wait::wait_until;

fn save(host: &Host, job: &str, file: &Path, more: &[&str]) -> Said {
    let to = file.display().to_string();
    host.cli([&["savepoint", job, "--to", &to], more].concat())
}

fn restore(host: &Host, file: &Path, more: &[&str]) -> Said {
    let file = file.display().to_string();
    host.cli([&["deploy", "--from-savepoint", &file], more].concat())
}

/// What is in a savepoint, said without a daemon.
fn inspect(file: &Path) -> Value {
    let mut command = Command::new(streamhost());
    let said = say(command
        .args(["savepoint", "inspect", "--output", "json"])
        .arg(file));
    serde_json::from_str(&said.ok()).expect("JSON")
}

fn send(servers: &Servers, topic: &str, words: impl Iterator<Item = String>) {
    let words: Vec<String> = words.collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    outside::send(&servers.kafka, topic, &words);
}

/// A keyed job of the guest `twin`, and its tables.
fn deploy_twin(host: &Host, job: &str) {
    let places = [
        format!("source.twin-in={job}"),
        format!("sink.twin-rows={job}-rows"),
        format!("sink.twin-sums={job}-sums"),
        "limits.batch-records=500".to_owned(),
    ];
    let file = component("tests/guests/twin");
    let said = host.deploy_as(&file, job, &places, &["--create-tables"]);
    said.ok();
}

fn twin_is_right(servers: &Servers, job: &str, numbers: u64) {
    let counts = |n: &u64| n % 100 != 50;
    let sums = outside::table(&servers.gateway, &format!("{job}-sums"));
    for digit in 0..10_u64 {
        let wanted: u64 = (0..numbers)
            .filter(counts)
            .filter(|n| n % 10 == digit)
            .sum();
        let row = &sums[&format!("k{digit}")];
        let sum = row.values().next().expect("a cell");
        assert_eq!(*sum, wanted.to_string(), "k{digit}");
    }
    let rows = outside::table(&servers.gateway, &format!("{job}-rows"));
    assert_eq!(rows.len(), (0..numbers).filter(counts).count());
}

#[test]
fn a_savepoint_of_full_load_gives_the_same_end_result_on_another_data_folder() {
    const NUMBERS: u64 = 60_000;
    let (_guard, servers) = Servers::shared();
    let mut first = Host::serve(servers);
    let job = unique("saved");
    outside::create_topic(&servers.kafka, &job, 4);
    deploy_twin(&first, &job);
    let file = first.file("twin.savepoint");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for from in (0..NUMBERS).step_by(15_000) {
                send(servers, &job, (from..from + 15_000).map(|n| n.to_string()));
            }
        });
        first.wait_records(&job, 4_000, LATE);
        save(&first, &job, &file, &[]).ok();
    });
    let found = inspect(&file);
    let read = found["records_in"].as_u64().expect("a count");
    assert!((4_000..NUMBERS).contains(&read), "{found}");
    let sums = &found["stages"][0];
    assert_eq!(
        (&sums["keys"], &found["job"]),
        (&10.into(), &job.as_str().into()),
        "{found}"
    );
    assert_eq!(sums["samples"][0]["key"], "k0", "{found}");
    // It goes on, and dies.
    first.wait_records(&job, read + 10_000, LATE);
    first.kill();

    let second = Host::serve(servers);
    let dry = restore(&second, &file, &["--dry-run"]).ok();
    let batch = &found["batch"];
    assert!(dry.contains(&format!("after batch {batch}")), "{dry}");
    assert!(dry.contains("state: carried on"), "{dry}");
    let none = second.cli(["list"]).ok();
    assert!(!none.contains(&job), "nothing was changed: {none}");
    let said = restore(&second, &file, &[]).ok();
    assert!(said.contains("version 1 is active (deployment 2"), "{said}");
    let status = second.wait_records(&job, NUMBERS, LATE);
    assert_eq!(
        status["records_in"], NUMBERS,
        "each once, by its own counts"
    );
    wait_until("all is read", LATE, || second.status(&job)["lag"] == 0);
    twin_is_right(servers, &job, NUMBERS);
    let history = second.cli(["history", &job]).ok();
    assert!(history.contains("from the savepoint of batch"), "{history}");
    let audit = second.cli(["audit", &job]).ok();
    assert!(audit.contains("restore"), "{audit}");

    // And once more, of a job that was restored itself, after more has come, on the same host.
    let again = second.file("again.savepoint");
    save(&second, &job, &again, &[]).ok();
    send(
        servers,
        &job,
        (NUMBERS..NUMBERS + 5_000).map(|n| n.to_string()),
    );
    second.wait_records(&job, NUMBERS + 5_000, LATE);
    second.cli(["undeploy", &job, "--yes"]).ok();
    restore(&second, &again, &[]).ok();
    second.wait_records(&job, NUMBERS + 5_000, LATE);
    twin_is_right(servers, &job, NUMBERS + 5_000);
}

/// Moves a job of many events from host to host, in the midst of them, and gives what the oracle says
/// of it. `stop`: each move is exact; else it goes on after the savepoint, and dies.
fn moved(example: &Example, servers: &Servers, stop: bool) {
    let events = sizes().keyed_events;
    let topics = Topics::new(example, servers);
    let all = Events::new(example.kind, seed()).take(events as usize);
    let all = all.chain(example.kind.ends());
    let sent = fill(&servers.kafka, &topics.events, all).expect("all events sent");
    let run = Run::new(example, servers, &topics);
    let mut host = Host::serve(servers);
    run.deploy(&host, 0, &["every=0", "limits.batch-records=200"]);
    for quarter in 1..4 {
        host.wait_records(&run.job, events * quarter / 4, LATE);
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("moved");
        let more = if stop { &["--stop"][..] } else { &[] };
        save(&host, &run.job, &file, more).ok();
        let read = inspect(&file)["records_in"].as_u64().expect("a count");
        if !stop {
            let on = sent + topics.panel_records;
            host.wait_records(&run.job, on.min(read + 2_000), LATE);
        }
        host.kill();
        host = Host::serve(servers);
        restore(&host, &file, &[]).ok();
    }
    let status = run.wait_for_all(&host, sent);
    let verdict = run.verdict(false);
    println!("{}: {verdict:?}", run.job);
    verdict.is_told_by(&status);
    assert!(verdict.rows > 0, "{verdict:?}");
    assert!(!stop || verdict.dead_letters_doubled == 0, "{verdict:?}");
}

/// Windows, sessions, lookups, late records, dead letters, topics that have each row once.
#[test]
fn keyed_examples_move_from_host_to_host_in_the_midst_of_their_events() {
    let (_guard, servers) = Servers::shared();
    println!("STREAMHOST_SEED={}", seed());
    for example in [&PAGEVIEWS, &HASHTAGS, &SENSORS, &SESSIONS, &WORDS] {
        moved(example, servers, true);
    }
}

/// Their tables hold in the end what they would hold if nothing had been in between.
#[test]
fn keyed_tables_end_the_same_though_their_jobs_went_on_after_each_savepoint() {
    let (_guard, servers) = Servers::shared();
    println!("STREAMHOST_SEED={}", seed());
    for example in [&HASHTAGS, &SESSIONS] {
        moved(example, servers, false);
    }
}

/// How often the topic says that each word came.
fn counted(servers: &Servers, topic: &str) -> BTreeMap<String, u64> {
    let mut counted = BTreeMap::new();
    for seen in outside::topic(&servers.kafka, topic) {
        let word = seen.key.expect("a word");
        let text = seen.value.expect("a count");
        let count: Value = serde_json::from_str(&text).expect("JSON");
        *counted.entry(word).or_default() += count["value"].as_u64().expect("a count");
    }
    counted
}

#[test]
fn one_that_stops_its_job_moves_each_row_once_and_one_that_went_on_is_refused() {
    let (_guard, servers) = Servers::shared();
    let first = Host::serve(servers);
    let (job, topic) = (unique("moved"), unique("words"));
    outside::create_topic(&servers.kafka, &job, 2);
    outside::create_topic(&servers.kafka, &topic, 2);
    let places = [format!("source.lines={job}"), format!("sink.words={topic}")];
    let words = |range: std::ops::Range<u64>| range.map(|n| format!("word{} all", n % 7));
    let file = component("tests/guests/wordcount-topic");
    first.deploy_as(&file, &job, &places, &[]).ok();
    let saved = first.file("moved.savepoint");
    std::thread::scope(|scope| {
        scope.spawn(|| send(servers, &job, words(0..20_000)));
        first.wait_records(&job, 500, LATE);
        let said = save(&first, &job, &saved, &["--stop"]).ok();
        assert!(said.contains("is paused"), "{said}");
    });
    assert_eq!(first.status(&job)["state"], "paused");
    let exists = save(&first, &job, &saved, &[]);
    assert!(exists.refusal().contains("is there already"));
    let second = Host::serve(servers);
    let there = restore(&first, &saved, &[]).refusal();
    assert!(there.contains("is there already"), "{there}");
    restore(&second, &saved, &[]).ok();
    second.wait_records(&job, 20_000, LATE);
    let counts = counted(servers, &topic);
    assert_eq!(counts["all"], 20_000, "{counts:?}");
    first.cli(["undeploy", &job, "--yes"]).ok();

    // The job goes on after the next one is taken: its topic would have rows twice.
    let old = second.file("old.savepoint");
    save(&second, &job, &old, &[]).ok();
    send(servers, &job, words(20_000..21_000));
    second.wait_records(&job, 21_000, LATE);
    second.cli(["undeploy", &job, "--yes"]).ok();
    for more in [&["--dry-run"][..], &[]] {
        let refused = restore(&second, &old, more);
        assert_eq!(refused.code, 1, "{refused:?}");
        let words = "holds batches from after the savepoint";
        assert!((refused.out + &refused.err).contains(words), "{more:?}");
    }
    restore(&second, &old, &["--repeat-rows"]).ok();
    second.wait_records(&job, 21_000, LATE);
    assert_eq!(counted(servers, &topic)["all"], 22_000, "as was asked");
}

#[test]
fn without_state_an_exactly_once_sink_is_not_given_again_what_it_holds() {
    let (_guard, servers) = Servers::shared();
    let host = Host::serve(servers);
    let [job, topic, table] = ["stateless", "once", "rows"].map(unique);
    outside::create_topic(&servers.kafka, &job, 2);
    outside::create_topic(&servers.kafka, &topic, 2);
    outside::create_table(&servers.gateway, &table, &["f"]);
    let file = host.file("both.wasm");
    build_variant("tests/guests/picky", "both", &file);
    let places = [
        format!("source.picky-in={job}"),
        format!("sink.picky-topic={topic}"),
        format!("sink.picky-out={table}"),
    ];
    host.deploy_as(&file, &job, &places, &[]).ok();
    let words = |range: std::ops::Range<u64>| range.map(|n| format!("word{n} f"));
    send(servers, &job, words(0..300));
    host.wait_records(&job, 300, LATE);
    let saved = host.file("once.savepoint");
    save(&host, &job, &saved, &[]).ok();
    send(servers, &job, words(300..900));
    host.wait_records(&job, 900, LATE);
    host.cli(["undeploy", &job]).ok();
    restore(&host, &saved, &[]).ok();
    send(servers, &job, words(900..1_000));
    host.wait_records(&job, 1_000, LATE);
    let mut written: Vec<_> = outside::topic(&servers.kafka, &topic)
        .into_iter()
        .map(|seen| seen.value.expect("a value"))
        .collect();
    let mut wanted: Vec<String> = words(0..1_000).collect();
    written.sort();
    wanted.sort();
    assert_eq!(written, wanted, "each once");
    assert_eq!(outside::table(&servers.gateway, &table).len(), 1_000);
}

#[test]
fn what_is_no_savepoint_or_not_allowed_here_is_refused_and_changes_nothing() {
    let (_guard, servers) = Servers::shared();
    let host = Host::serve(servers);
    let job = unique("refused");
    outside::create_topic(&servers.kafka, &job, 1);
    deploy_twin(&host, &job);
    send(servers, &job, (0..100).map(|n| n.to_string()));
    host.wait_records(&job, 100, LATE);
    let saved = host.file("good.savepoint");
    save(&host, &job, &saved, &[]).ok();
    let bytes = std::fs::read(&saved).expect("it is there");
    let make = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = host.file(name);
        std::fs::write(&path, bytes).expect("written");
        path
    };
    let mut altered = bytes.clone();
    let middle = altered.len() / 2;
    altered[middle] ^= 1;
    let cases = [
        (make("cut", &bytes[..bytes.len() - 10]), "is cut off"),
        (make("altered", &altered), "was altered or damaged"),
        (
            make("other", b"not a savepoint, but long enough"),
            "is no savepoint",
        ),
    ];
    for (file, words) in cases {
        let refused = restore(&host, &file, &["--name", "nobody"]).refusal();
        assert!(refused.contains(words), "{refused}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("ann.key");
    let mut keygen = Command::new(streamhost());
    let public = say(keygen.args(["sign", "keygen", "ann", "--to"]).arg(&key)).ok();
    let trusting = format!("trusted-keys = [\"{}\"]\n", public.trim_end());
    let strict = Host::serve_control(servers, |_| trusting);
    let refused = restore(&strict, &saved, &[]).refusal();
    assert!(refused.contains("is not signed"), "{refused}");
    let narrow = Host::serve_more(servers, "[allow]\ntopics = [\"other-*\"]\n", &[]);
    for more in [&["--dry-run"][..], &[]] {
        let refused = restore(&narrow, &saved, more);
        assert!(
            (refused.out + &refused.err).contains("not allowed"),
            "{more:?}"
        );
    }
    let other = ["--name", "twin-too", "--set", "source.twin-in=not-there"];
    let refused = restore(&host, &saved, &other).refusal();
    assert!(refused.contains("not-there"), "{refused}");
    let reset = restore(&host, &saved, &["--reset-state"]);
    assert_eq!(reset.code, 2, "{reset:?}");
    for host in [&strict, &narrow] {
        assert_eq!(host.json(&["list"]), serde_json::json!([]));
    }
    host.wait_records(&job, 100, LATE);
}
