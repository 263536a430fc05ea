//! The table after any crash equals the table without one.

use streamhost_tests::clicks::Clicks;
use streamhost_tests::feed::{self, Feed};
use streamhost_tests::host::{Host, unique};
use streamhost_tests::outside;
use streamhost_tests::random::Random;
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::{LATE, PARTITIONS, seed, sizes};
use streamhost_tests::wait::wait_until;

#[test]
fn the_host_is_killed_at_random_moments() {
    let (_guard, servers) = Servers::shared();
    let (seed, sizes) = (seed(), sizes());
    println!("STREAMHOST_SEED={seed}");
    let mut random = Random::new(seed);
    let mut host = Host::serve(servers);
    let job = unique("killed");
    feed::create_topic(&servers.kafka, &job, PARTITIONS).expect("a topic");
    host.deploy_clicks(&job);
    let feed = Feed::start(&servers.kafka, &job, sizes.kill_rate, Clicks::new(seed));
    for kill in 1..=sizes.kills {
        let least = sizes.kill_records_max / 5;
        let moment = feed.sent() + least + random.below(sizes.kill_records_max - least);
        wait_until(
            &format!("record {moment} is sent, for kill {kill}"),
            LATE,
            || feed.sent() >= moment,
        );
        host.kill();
        host.restart();
    }
    let records = feed.stop().expect("all records sent");
    let status = host.wait_records(&job, records, LATE);

    let dead_letters = format!("{job}.dead-letters");
    let verdict =
        outside::clicks_are_right(&servers.kafka, &job, &servers.gateway, &job, &dead_letters);
    assert_eq!(verdict.dead_letters_doubled, 0, "{verdict:?}");
    let count = |name: &str| status[name].as_u64().expect("a count");
    assert_eq!(
        count("records_in"),
        verdict.records,
        "counts survive: {status}"
    );
    assert_eq!(
        count("dead_letters"),
        verdict.dead_letters,
        "counts survive: {status}"
    );
    assert_eq!(count("rows_out"), verdict.rows, "counts survive: {status}");
}

#[test]
fn a_stop_in_good_order_ends_with_exit_code_0_and_goes_on_where_it_was() {
    let (_guard, servers) = Servers::shared();
    let mut host = Host::serve(servers);
    let job = unique("stopped");
    feed::create_topic(&servers.kafka, &job, PARTITIONS).expect("a topic");
    let half = sizes().clicks / 20;
    let mut clicks = Clicks::new(seed());
    feed::fill(&servers.kafka, &job, clicks.by_ref().take(half as usize)).expect("a full topic");
    host.deploy_clicks(&job);
    host.wait_records(&job, half, LATE);
    assert_eq!(host.stop(), 0, "{}", host.log_end());
    feed::fill(&servers.kafka, &job, clicks.take(half as usize)).expect("a full topic");
    host.restart();
    let status = host.wait_records(&job, 2 * half, LATE);
    assert_eq!(status["records_in"], 2 * half, "nothing is read twice");
    let verdict = outside::clicks_are_right(
        &servers.kafka,
        &job,
        &servers.gateway,
        &job,
        &format!("{job}.dead-letters"),
    );
    assert_eq!(verdict.dead_letters_doubled, 0, "{verdict:?}");
}
