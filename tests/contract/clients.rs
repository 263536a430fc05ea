//! `streamhost dev` as other people's programs use it: kcat, and Kafka's own tools.

use super::dev::dev;
use std::process::Command;
use streamhost_tests::command::{Said, say};
use streamhost_tests::paths::root;

fn shell(script: &str) -> Said {
    say(Command::new("bash").args(["-o", "pipefail", "-c", script]))
}

/// The lines of `text` in the order of the alphabet: what a topic of several partitions gives comes
/// in any.
fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn kcat_writes_reads_and_joins_a_group() {
    let (mut host, broker, _) = dev();
    shell(&format!(
        "printf 'a:one\\nb:two\\nc:three\\n' | kcat -P -b {broker} -t words -K:"
    ))
    .ok();
    let all = format!("kcat -C -b {broker} -t words -e -q -f '%k=%s\\n'");
    assert_eq!(sorted(&shell(&all).ok()), ["a=one", "b=two", "c=three"]);
    let seen = shell(&format!("kcat -L -b {broker} -t words")).ok();
    assert!(seen.contains("topic \"words\""), "{seen}");

    // What a group has read it does not read again, after a kill neither.
    let group = |count: usize| {
        let read = format!(
            "kcat -b {broker} -q -c {count} -f '%k=%s\\n' -X auto.offset.reset=earliest -G readers words"
        );
        shell(&format!("timeout 60 {read}")).ok()
    };
    assert_eq!(sorted(&group(3)), ["a=one", "b=two", "c=three"]);
    host.kill();
    host.restart();
    shell(&format!("echo d:four | kcat -P -b {broker} -t words -K:")).ok();
    assert_eq!(group(1), "d=four\n");
    assert_eq!(
        sorted(&shell(&all).ok()),
        ["a=one", "b=two", "c=three", "d=four"]
    );
}

#[test]
fn kafkas_own_tools_work_with_it() {
    let (_host, broker, _) = dev();
    let tool = |class: &str, arguments: &str| {
        let script = root().join("tests/services/kafka.sh");
        shell(&format!(
            "{} tool org.apache.kafka.tools.{class} --bootstrap-server {broker} {arguments}",
            script.display()
        ))
    };
    tool("TopicCommand", "--create --topic words --partitions 2").ok();
    let told = tool("TopicCommand", "--describe --topic words").ok();
    assert!(told.contains("PartitionCount: 2"), "{told}");
    let again = tool("TopicCommand", "--create --topic words --partitions 2");
    assert!(
        again.code != 0 && (again.out.clone() + &again.err).contains("already exists"),
        "{again:?}"
    );

    tool(
        "ConsoleProducer",
        "--topic words < <(printf 'one\\ntwo\\nthree\\n')",
    )
    .ok();
    let reads = "--topic words --group tools --from-beginning --max-messages 3 --timeout-ms 60000";
    assert_eq!(
        sorted(&tool("consumer.ConsoleConsumer", reads).ok()),
        ["one", "three", "two"]
    );
    let told = tool(
        "consumer.group.ConsumerGroupCommand",
        "--describe --group tools",
    )
    .ok();
    let lags: Vec<&str> = told
        .lines()
        .filter(|line| line.contains("words"))
        .filter_map(|l| l.split_whitespace().nth(5))
        .collect();
    assert_eq!(lags, ["0", "0"], "read to the ends: {told}");
    tool("TopicCommand", "--delete --topic words").ok();
    assert!(
        !tool("TopicCommand", "--list")
            .ok()
            .lines()
            .any(|topic| topic == "words"),
        "it is gone"
    );
}
