//! The first promise: clicks of a topic become rows of a table.

use serde_json::Value;
use streamhost_tests::clicks::Clicks;
use streamhost_tests::feed;
use streamhost_tests::host::{Host, unique};
use streamhost_tests::outside;
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::{LATE, PARTITIONS, SOON, seed, sizes};
use streamhost_tests::wait::wait_until;

const GROUP_TOOL: &str = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";

#[test]
fn one_click_scans_back_cell_for_cell() {
    let (_guard, servers) = Servers::shared();
    let host = Host::serve(servers);
    let job = unique("click");
    outside::create_topic(&servers.kafka, &job, PARTITIONS);
    let click = "click1,student1,http://www.google.com,2014-01-01 12:01:01.0001,image,1";
    outside::send(&servers.kafka, &job, &[click]);
    host.deploy_clicks(&job);
    host.wait_records(&job, 1, SOON);

    let cells = [
        ("clickinfo:studentid", "student1"),
        ("clickinfo:url", "http://www.google.com"),
        ("clickinfo:time", "2014-01-01 12:01:01.0001"),
        ("iteminfo:itemtype", "image"),
        ("iteminfo:quantity", "1"),
    ];
    let row = cells
        .map(|(column, value)| (column.to_owned(), value.to_owned()))
        .into();
    assert_eq!(
        outside::table(&servers.gateway, &job),
        [("click1".to_owned(), row)].into()
    );
}

#[test]
fn a_topic_of_clicks_gives_the_oracles_table_and_dead_letters() {
    let (_guard, servers) = Servers::shared();
    let seed = seed();
    println!("STREAMHOST_SEED={seed}");
    let host = Host::serve(servers);
    let job = unique("clicks");
    feed::create_topic(&servers.kafka, &job, PARTITIONS).expect("a topic");
    let clicks = Clicks::new(seed).take(sizes().clicks as usize);
    let records = feed::fill(&servers.kafka, &job, clicks).expect("a full topic");
    host.deploy_clicks(&job);
    let status = host.wait_records(&job, records, LATE);

    let dead_letters = format!("{job}.dead-letters");
    let verdict =
        outside::clicks_are_right(&servers.kafka, &job, &servers.gateway, &job, &dead_letters);
    let count = |name: &str| status[name].as_u64().expect("a count");
    assert_eq!(count("records_in"), verdict.records, "{status}");
    assert_eq!(count("rows_out"), verdict.rows, "{status}");
    assert_eq!(count("dropped"), verdict.dropped, "{status}");
    assert_eq!(count("dead_letters"), verdict.dead_letters, "{status}");
    assert_eq!(
        count("records_in"),
        count("dropped") + count("dead_letters") + count("rows_out"),
        "{status}"
    );
    assert_eq!(
        verdict.dead_letters_doubled, 0,
        "nothing was killed: {verdict:?}"
    );
    group_is_at_the_end(servers, &job, &status, records);
}

/// What monitors see: the group's offsets are the topic's ends, and its lag is 0.
fn group_is_at_the_end(servers: &Servers, topic: &str, status: &Value, records: u64) {
    let group = status["group"].as_str().expect("a job has a group");
    wait_until("the group is at the topic's end", SOON, || {
        let said = servers
            .kafka_tool(GROUP_TOOL, &["--describe", "--group", group])
            .ok();
        // GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG …
        let lines: Vec<Vec<&str>> = said
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        let partitions: Vec<&Vec<&str>> = lines
            .iter()
            .filter(|fields| fields.get(1) == Some(&topic))
            .collect();
        let committed: u64 = partitions
            .iter()
            .filter_map(|fields| fields[3].parse::<u64>().ok())
            .sum();
        partitions.len() == PARTITIONS as usize
            && committed == records
            && partitions
                .iter()
                .all(|fields| fields[3] == fields[4] && fields[5] == "0")
    });
}
