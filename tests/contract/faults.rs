//! A bad function can harm only itself.

use std::collections::BTreeSet;
use streamhost_tests::guests::component;
use streamhost_tests::host::{Host, unique};
use streamhost_tests::outside;
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::{LATE, PARTITIONS, SOON};
use streamhost_tests::wait::wait_for;

const HOSTILE: &str = "tests/guests/hostile";

/// A job of the hostile guest; returns the settings that it was deployed with.
fn hostile(host: &Host, servers: &Servers, job: &str) -> Vec<String> {
    outside::create_topic(&servers.kafka, job, PARTITIONS);
    let settings: Vec<String> = [
        "--name",
        job,
        "--create-tables",
        "--set",
        "every=0",
        "--set",
        "limits.time=300ms",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain([
        "--set".to_owned(),
        format!("source.words={job}"),
        "--set".to_owned(),
        format!("sink.words={job}"),
    ])
    .collect();
    host.deploy(
        &component(HOSTILE),
        &settings.iter().map(String::as_str).collect::<Vec<_>>(),
    )
    .ok();
    settings
}

#[test]
fn records_that_break_the_guest_become_dead_letters_alone() {
    let (_guard, servers) = Servers::shared();
    let host = Host::serve(servers);
    let (job, neighbour) = (unique("hostile"), unique("neighbour"));
    outside::create_topic(&servers.kafka, &neighbour, PARTITIONS);
    host.deploy_clicks(&neighbour);
    hostile(&host, servers, &job);

    let words: Vec<String> = (0..200).map(|i| format!("word{i}")).collect();
    let breaking = ["panic", "bomb", "stack", "loop"];
    let mut values: Vec<&str> = words.iter().map(String::as_str).collect();
    for (i, word) in breaking.iter().enumerate() {
        values.insert(40 * (i + 1), word);
    }
    outside::send(&servers.kafka, &job, &values);
    outside::send(&servers.kafka, &neighbour, &["c,s,u,t,i,1"]);
    let status = host.wait_records(&job, values.len() as u64, LATE);
    assert_eq!(status["dead_letters"], 4, "{status}");
    assert_eq!(status["state"], "running", "{status}");
    assert_eq!(
        host.wait_records(&neighbour, 1, SOON)["rows_out"],
        1,
        "its neighbour goes on"
    );

    let rows = outside::table(&servers.gateway, &job);
    assert_eq!(
        rows.keys().collect::<BTreeSet<_>>(),
        words.iter().collect(),
        "all other records are rows"
    );
    let letters = outside::topic(
        &servers.kafka,
        status["dead_letter_topic"].as_str().expect("a topic"),
    );
    let reason = |word: &str| {
        let letter = letters
            .iter()
            .find(|letter| letter.value.as_deref() == Some(word));
        letter
            .unwrap_or_else(|| panic!("no letter for {word}: {letters:?}"))
            .headers["reason"]
            .clone()
    };
    for word in breaking {
        assert!(!reason(word).is_empty(), "the letter of {word} says why");
    }
    assert!(
        reason("panic").contains("a record said so"),
        "a panic's words: {}",
        reason("panic")
    );
    assert!(
        reason("loop").contains("300"),
        "the limit of time: {}",
        reason("loop")
    );
}

#[test]
fn a_version_that_lies_about_its_rows_is_rolled_back() {
    let (_guard, servers) = Servers::shared();
    let host = Host::serve(servers);
    let job = unique("liar");
    let settings = hostile(&host, servers, &job);
    outside::send(&servers.kafka, &job, &["before"]);
    host.wait_records(&job, 1, SOON);

    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    host.deploy(&component("tests/guests/liar"), &settings).ok();
    outside::send(&servers.kafka, &job, &["after"]);
    let status = wait_for("the job goes on with the version before", LATE, || {
        let status = host.status(&job);
        (status["records_in"] == 2 && status["version"] == 1).then_some(status)
    });
    assert_eq!(status["state"], "running", "{status}");
    assert!(
        !status["last_error"].is_null(),
        "says what was wrong: {status}"
    );
    let history = host.json(&["history", &job]);
    assert_eq!(history[0]["kind"], "automatic-rollback", "{history}");
    assert!(history[0]["reason"].is_string(), "says why: {history}");
    let noted = &host.json(&["audit", &job])[0];
    assert_eq!(
        (&noted["verb"], &noted["role"]),
        (&"automatic-rollback".into(), &"host".into())
    );
    assert_eq!(noted["deployment"], history[0]["number"], "{noted}");
    let keys: Vec<String> = outside::table(&servers.gateway, &job).into_keys().collect();
    assert_eq!(keys, ["after", "before"], "no record is lost on the way");
}

#[test]
fn on_error_stop_stops_before_the_record_and_goes_on_when_it_is_mended() {
    let (_guard, servers) = Servers::shared();
    let host = Host::serve(servers);
    let job = unique("careful");
    outside::create_topic(&servers.kafka, &job, 1);
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
    let clicks = component("examples/clicks");
    host.deploy(
        &clicks,
        &[&settings[..], &["--set", "on-error=stop"]].concat(),
    )
    .ok();
    outside::send(
        &servers.kafka,
        &job,
        &["good,s,u,t,i,1", "bad", "better,s,u,t,i,1"],
    );
    let status = host.wait_state(&job, "stopped", SOON);
    assert!(
        status["last_error"]
            .as_str()
            .is_some_and(|error| error.contains("six") || error.contains('6')),
        "{status}"
    );

    host.deploy(
        &clicks,
        &[&settings[..], &["--set", "on-error=skip"]].concat(),
    )
    .ok();
    host.cli(["resume", &job]).ok();
    let status = host.wait_records(&job, 3, SOON);
    assert_eq!(
        (&status["dropped"], &status["dead_letters"]),
        (&1.into(), &0.into()),
        "{status}"
    );
    let keys: Vec<String> = outside::table(&servers.gateway, &job).into_keys().collect();
    assert_eq!(keys, ["better", "good"]);
}
