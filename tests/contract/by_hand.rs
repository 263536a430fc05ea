//! Topics and tables by hand, and what the terminal is told of a host: no other tool is needed.

use super::dev::dev;
use std::fs::write;
use std::path::Path;
use std::process::Command;
use streamhost_tests::command::{Said, say};
use streamhost_tests::outside;
use streamhost_tests::paths::streamhost;
use streamhost_tests::sizes::{PARTITIONS, SOON};

/// `produce` with a file as its standard input.
fn produce(lines: &Path, arguments: &[&str]) -> Said {
    let mut shell = Command::new("sh");
    shell.args(["-c", "from=$1; shift; exec \"$0\" \"$@\" < \"$from\""]);
    say(shell
        .arg(streamhost())
        .arg(lines)
        .arg("produce")
        .args(arguments))
}

#[test]
fn what_is_put_into_a_topic_is_seen_there_and_in_the_table() {
    let (host, kafka, hbase) = dev();
    let lines = host.file("lines");
    write(&lines, "k|a,s,u,t,i,1\nk|bad\n").expect("written");
    let by_key = ["clicks", "--key-separator", "|", "--kafka", &kafka];
    let refusal = produce(&lines, &by_key).refusal();
    assert!(
        refusal.contains("no topic `clicks`") && refusal.contains("--create"),
        "{refusal}"
    );
    outside::create_topic(&kafka, "clicks", PARTITIONS);
    produce(&lines, &by_key).ok();
    let consume = |topic: &str, more: &[&str]| {
        let all = ["consume", topic, "--from-beginning", "--kafka", &kafka];
        host.cli([&all[..], more].concat()).ok()
    };
    assert_eq!(
        consume("clicks", &[]),
        "a,s,u,t,i,1\nbad\n",
        "one key, one partition"
    );
    let first = consume("clicks", &["--count", "1", "--output", "json"]);
    let first: serde_json::Value = serde_json::from_str(&first).expect("JSON");
    assert_eq!(
        (&first["key"]["text"], &first["offset"]),
        (&"k".into(), &0.into()),
        "{first}"
    );

    host.deploy_clicks("clicks");
    host.wait_records("clicks", 2, SOON);
    let rows = host.cli(["scan", "clicks", "--hbase", &hbase]).ok();
    assert!(
        rows.starts_with("key=a ") && rows.lines().count() == 1,
        "{rows}"
    );
    assert_eq!(
        host.cli(["scan", "clicks", "--prefix", "b", "--hbase", &hbase])
            .ok(),
        ""
    );
    assert_eq!(consume("clicks.dead-letters", &[]), "bad\n");
    let refusal = host.cli(["scan", "none", "--hbase", &hbase]).refusal();
    assert!(refusal.contains("`none`"), "{refusal}");

    let found = host.json(&["doctor"]);
    let found = found.as_array().expect("a list");
    let grade = |check: &str| {
        let one = found.iter().find(|one| one["check"] == check);
        one.map_or("missing".to_owned(), |one| one["grade"].to_string())
    };
    for check in [
        "daemon",
        "clock",
        "Kafka",
        "HBase",
        "job `clicks`",
        "topic `clicks`",
    ] {
        assert_eq!(grade(check), "\"ok\"", "{check}: {found:?}");
    }
}

#[test]
fn what_is_followed_ends_with_its_reader_and_top_wants_a_terminal() {
    let (host, kafka, _) = dev();
    outside::create_topic(&kafka, "clicks", PARTITIONS);
    host.deploy_clicks("clicks");
    let url = format!("http://{}", host.address);
    let shell = |script: &str| {
        let mut shell = Command::new("sh");
        shell.env("STREAMHOST_URL", &url).env("TERM", "xterm");
        say(shell.args(["-c", script]).arg(streamhost()))
    };
    let line = shell("\"$0\" logs clicks -f | head -n 1").ok();
    assert!(line.contains(" v1 "), "{line}");
    let refused = shell("\"$0\" top").refusal();
    assert!(refused.contains("draws on a terminal"), "{refused}");
}
