//! Keyed jobs: whatever is killed, swapped or run on how many lanes, the sinks hold what the oracle
//! computes from the topics, late records included.

use streamhost_tests::feed::{Feed, fill};
use streamhost_tests::guests::component;
use streamhost_tests::host::Host;
use streamhost_tests::keyed::{Events, Kind};
use streamhost_tests::keyed_jobs::{
    Example, HASHTAGS, PAGEVIEWS, Run, SENSORS, SESSIONS, Topics, WORDS,
};
use streamhost_tests::random::Random;
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::{LATE, PARTITIONS, seed, sizes};

/// Records of a batch: few, so that a run is long enough for all that happens to it.
fn batch_records(example: &Example) -> u64 {
    match example.kind {
        Kind::Lines => 1000, // of which each gives ten words
        Kind::Pageviews | Kind::Posts | Kind::Readings | Kind::Plays => 200,
    }
}

/// What happens to a job while it runs.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Kill,
    Swap,
}

/// Kills and swaps in a random order, each with the number of records that the job has read when it
/// happens.
fn troubles(records: u64, random: &mut Random) -> Vec<(u64, Trouble)> {
    let sizes = sizes();
    let kinds = [
        vec![Trouble::Kill; sizes.keyed_kills],
        vec![Trouble::Swap; sizes.keyed_swaps],
    ]
    .concat();
    let mut troubles: Vec<(u64, Trouble)> = kinds
        .into_iter()
        .map(|kind| (random.below(records * 19 / 20), kind))
        .collect();
    troubles.sort_by_key(|(moment, _)| *moment);
    troubles
}

/// Runs a job over the topics through all troubles, until it has read so many events.
fn run<'a>(
    example: &'a Example,
    servers: &'a Servers,
    topics: &Topics,
    lanes: usize,
    random: &mut Random,
    feed: Option<Feed>,
) -> u64 {
    let sizes = sizes();
    let events = sizes.keyed_events;
    let (mut host, run) = (
        Host::serve_on(lanes, servers),
        Run::new(example, servers, topics),
    );
    let batch = format!("limits.batch-records={}", batch_records(example));
    let settings = ["every=0", batch.as_str()];
    run.deploy(&host, 0, &settings);
    let mut version = 0;
    for (moment, trouble) in troubles(events, random) {
        host.wait_records(&run.job, moment, LATE);
        match trouble {
            Trouble::Kill => {
                host.kill();
                host.restart();
            }
            Trouble::Swap => {
                version = 1 - version;
                run.deploy(&host, version, &settings);
            }
        }
    }
    if let Some(feed) = feed {
        feed.finish().expect("all events sent");
        fill(
            &servers.kafka,
            &topics.events,
            example.kind.ends().into_iter(),
        )
        .expect("the ends sent");
    }
    let status = run.wait_for_all(&host, events + PARTITIONS as u64);
    let verdict = run.verdict(false);
    println!("{} on {lanes} lanes: {verdict:?}", run.job);
    verdict.is_told_by(&status);
    assert!(
        verdict.rows > 0 && verdict.dead_letters > 0,
        "there was something to do: {verdict:?}"
    );
    assert_eq!(
        status["version"],
        version as u64 + 1,
        "what was deployed last is what runs: {status}"
    );
    verdict.late
}

/// The first run gets half of its events while it runs; the others find all of them there.
fn is_right_whatever_happens(example: &Example) {
    let (_guard, servers) = Servers::shared();
    let (seed, sizes) = (seed(), sizes());
    println!("STREAMHOST_SEED={seed}");
    let mut random = Random::new(seed);
    let topics = Topics::new(example, servers);
    let mut events = Events::new(example.kind, seed).take(sizes.keyed_events as usize);
    let half = sizes.keyed_events as usize / 2;
    fill(&servers.kafka, &topics.events, events.by_ref().take(half)).expect("half of the events");
    let mut feed = Some(Feed::start(
        &servers.kafka,
        &topics.events,
        sizes.keyed_rate,
        events,
    ));
    for &lanes in sizes.keyed_lanes {
        let late = run(example, servers, &topics, lanes, &mut random, feed.take());
        let windows = matches!(example.kind, Kind::Posts | Kind::Readings | Kind::Plays);
        assert_eq!(late > 0, windows, "some are late, where anything can be");
    }
}

#[test]
fn keyed_words_of_a_topic_are_counted_whatever_happens() {
    is_right_whatever_happens(&WORDS);
}

#[test]
fn keyed_pageviews_are_right_whatever_happens() {
    is_right_whatever_happens(&PAGEVIEWS);
}

#[test]
fn keyed_hashtags_are_right_whatever_happens() {
    is_right_whatever_happens(&HASHTAGS);
}

#[test]
fn keyed_sensors_are_right_whatever_happens() {
    is_right_whatever_happens(&SENSORS);
}

#[test]
fn keyed_sessions_are_right_whatever_happens() {
    is_right_whatever_happens(&SESSIONS);
}

/// `--set until=end`: the job reads to the end that its topics have, finishes all windows, and is
/// done.
#[test]
fn keyed_jobs_that_end_finish_all_windows() {
    let (_guard, servers) = Servers::shared();
    let seed = seed();
    println!("STREAMHOST_SEED={seed}");
    let events = sizes().keyed_events / 10;
    let host = Host::serve(servers);
    for example in [&HASHTAGS, &SENSORS, &SESSIONS] {
        let topics = Topics::new(example, servers);
        let some = Events::new(example.kind, seed).take(events as usize);
        fill(&servers.kafka, &topics.events, some).expect("a full topic");
        let run = Run::new(example, servers, &topics);
        run.deploy(&host, 0, &["every=0", "until=end"]);
        let status = host.wait_state(&run.job, "finished", LATE);
        run.verdict(true).is_told_by(&status);
    }
}

/// What is finished is not run again by accident, and what was undeployed begins anew.
#[test]
fn keyed_jobs_begin_anew_when_they_are_told_to() {
    let (_guard, servers) = Servers::shared();
    let seed = seed();
    println!("STREAMHOST_SEED={seed}");
    let host = Host::serve(servers);
    let topics = Topics::new(&SESSIONS, servers);
    let some = Events::new(SESSIONS.kind, seed).take(500);
    fill(&servers.kafka, &topics.events, some).expect("a full topic");
    let run = Run::new(&SESSIONS, servers, &topics);
    run.deploy(&host, 0, &["every=0", "until=end"]);
    let first = host.wait_state(&run.job, "finished", LATE);
    let rows = run.rows();
    assert!(!rows.is_empty(), "{first}");

    let again = host
        .deploy(&component(SESSIONS.versions[1]), &["--name", &run.job])
        .refusal();
    assert!(
        again.contains("finished") && again.contains("--reset-state"),
        "{again}"
    );
    assert_eq!(
        host.status(&run.job)["version"],
        1,
        "a refused deploy changes nothing"
    );

    host.cli(["undeploy", &run.job, "--yes"]).ok();
    run.deploy(&host, 1, &["every=0", "until=end"]);
    let second = host.wait_state(&run.job, "finished", LATE);
    assert_eq!(
        (run.rows(), &second["records_in"]),
        (rows, &first["records_in"])
    );
}
