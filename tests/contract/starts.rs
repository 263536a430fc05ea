//! Where a job begins to read, and where it goes on.

use std::process::Command;
use streamhost_tests::command::say;
use streamhost_tests::guests::component;
use streamhost_tests::host::{Host, unique};
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::{PARTITIONS, SOON};
use streamhost_tests::stamping::{Into, Stamping, numbered};
use streamhost_tests::wait::wait_until;
use streamhost_tests::{feed, outside};

/// A time as RFC 3339, such as `now` or `+1 hour`.
fn time(what: &str) -> String {
    say(Command::new("date").args(["--utc", "--date", what, "+%Y-%m-%dT%H:%M:%S.%3NZ"]))
        .ok()
        .trim()
        .to_owned()
}

#[test]
fn a_new_job_begins_where_start_says() {
    let (_guard, servers) = Servers::shared();
    let host = Host::serve(servers);
    let topic = unique("starts");
    outside::create_topic(&servers.kafka, &topic, PARTITIONS);
    outside::send(&servers.kafka, &topic, &["first,s,u,t,i,1"]);
    let after_first = time("now");
    outside::send(&servers.kafka, &topic, &["second,s,u,t,i,1"]);

    let deploy = |start: &str| {
        let job = unique("starts");
        let settings = [
            format!("source.clicks={topic}"),
            format!("sink.clicks={job}"),
            format!("start={start}"),
        ];
        let set: Vec<&str> = settings
            .iter()
            .flat_map(|setting| ["--set", setting])
            .collect();
        let more = ["--name", &job, "--create-tables", "--set", "every=0"];
        (
            host.deploy(&component("examples/clicks"), &[&set[..], &more].concat()),
            job,
        )
    };
    let starts = ["earliest".to_owned(), after_first, "latest".to_owned()];
    let jobs = starts.each_ref().map(|start| {
        let (said, job) = deploy(start);
        said.ok();
        job
    });
    for job in &jobs {
        wait_until(&format!("{job} has begun"), SOON, || {
            host.status(job)["lag"] == 0
        });
    }
    outside::send(&servers.kafka, &topic, &["third,s,u,t,i,1"]);
    let expected: [&[&str]; 3] = [
        &["first", "second", "third"],
        &["second", "third"],
        &["third"],
    ];
    for ((job, start), expected) in jobs.iter().zip(&starts).zip(expected) {
        host.wait_records(job, expected.len() as u64, SOON);
        let keys: Vec<String> = outside::table(&servers.gateway, job).into_keys().collect();
        assert_eq!(keys, expected, "start={start}");
    }
    let to_come = deploy(&time("+1 hour")).0.refusal();
    assert!(to_come.contains("start=latest"), "{to_come}");
}

#[test]
fn a_job_that_is_there_goes_on_where_it_is_unless_it_is_reset() {
    let (_guard, servers) = Servers::shared();
    let host = Host::serve(servers);
    let job = unique("goes-on");
    outside::create_topic(&servers.kafka, &job, PARTITIONS);
    outside::send(&servers.kafka, &job, &["first,s,u,t,i,1"]);
    host.deploy_clicks(&job);
    host.wait_records(&job, 1, SOON);
    let settings = [
        format!("source.clicks={job}"),
        format!("sink.clicks={job}"),
        "start=earliest".to_owned(),
    ];
    let set: Vec<&str> = settings
        .iter()
        .flat_map(|setting| ["--set", setting])
        .collect();
    let again = |more: &[&str]| {
        let said = host
            .deploy(
                &component("examples/clicks"),
                &[&set[..], &["--name", &job], more].concat(),
            )
            .ok();
        said.lines()
            .filter(|line| line.starts_with("warning: "))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let warnings = again(&["--set", "every=0"]);
    assert!(
        warnings.len() == 1 && warnings[0].contains("--reset-state"),
        "{warnings:?}"
    );
    outside::send(&servers.kafka, &job, &["second,s,u,t,i,1"]);
    let before = host.wait_records(&job, 2, SOON);
    assert_eq!(before["records_in"], 2, "it went on");

    assert_eq!(again(&["--set", "every=0", "--reset-state"]), [""; 0]);
    let anew = host.wait_records(&job, 2, SOON);
    assert!(
        anew["incarnation"].as_u64() > before["incarnation"].as_u64(),
        "it began anew: {anew}"
    );
    let history = host.json(&["history", &job]);
    let resets: Vec<bool> = history
        .as_array()
        .expect("a list")
        .iter()
        .map(|entry| entry["reset"] == true)
        .collect();
    assert_eq!(resets, [true, false, false], "{history}");
    assert!(
        host.cli(["logs", &job])
            .ok()
            .contains("begins the job anew")
    );
}

#[test]
fn two_jobs_that_write_one_table_are_told_of() {
    let (_guard, servers) = Servers::shared();
    let host = Host::serve(servers);
    let (first, second) = (unique("first"), unique("second"));
    outside::create_topic(&servers.kafka, &first, PARTITIONS);
    host.deploy_clicks(&first);
    let settings = [
        format!("source.clicks={first}"),
        format!("sink.clicks={first}"),
    ];
    let set = [
        "--name",
        &second,
        "--set",
        &settings[0],
        "--set",
        &settings[1],
    ];
    let said = host.deploy(&component("examples/clicks"), &set).ok();
    let warning = said
        .lines()
        .find_map(|line| line.strip_prefix("warning: "))
        .unwrap_or_default();
    assert!(warning.contains(&format!("`{first}`")), "{said}");
    assert!(
        host.cli(["logs", &second]).ok().contains(warning),
        "in its log as well"
    );
}

#[test]
fn a_deploy_that_begins_at_the_groups_offsets_says_so() {
    let (_guard, servers) = Servers::shared();
    let host = Host::serve(servers);
    let job = unique("undeployed");
    outside::create_topic(&servers.kafka, &job, PARTITIONS);
    outside::send(&servers.kafka, &job, &["first,s,u,t,i,1"]);
    let settings = [
        format!("source.clicks={job}"),
        format!("sink.clicks={job}"),
        "every=0".to_owned(),
    ];
    let set: Vec<&str> = settings
        .iter()
        .flat_map(|setting| ["--set", setting])
        .collect();
    let deploy = |more: &[&str]| {
        let more = [&set[..], &["--name", &job, "--create-tables"], more].concat();
        let said = host.deploy(&component("examples/clicks"), &more).ok();
        said.lines()
            .find_map(|line| line.strip_prefix("warning: "))
            .map(str::to_owned)
    };
    assert_eq!(deploy(&[]), None, "a new job begins at its start");
    host.wait_records(&job, 1, SOON);
    host.cli(["undeploy", &job]).ok();
    outside::send(&servers.kafka, &job, &["second,s,u,t,i,1"]);
    let warning = deploy(&[]).expect("a warning");
    assert!(
        warning.contains(&format!("`streamhost.{job}`")) && warning.contains("start=earliest"),
        "{warning}"
    );
    assert!(
        host.cli(["logs", &job]).ok().contains(&warning),
        "in its log as well"
    );
    let status = host.wait_records(&job, 1, SOON);
    assert_eq!(
        status["records_in"], 1,
        "it went on from the group: {status}"
    );

    host.cli(["undeploy", &job]).ok();
    assert_eq!(deploy(&["--set", "start=earliest"]), None);
    host.wait_records(&job, 2, SOON);
}

#[test]
fn an_exactly_once_sinks_marker_counts_for_its_own_topic_and_is_told_of() {
    let (_guard, servers) = Servers::shared();
    let host = Host::serve(servers);
    let first = Stamping::new(servers, Into::Kafka);
    let (job, records) = (first.job.clone(), 12);
    let fed = feed::fill(&servers.kafka, &job, (0..records).map(numbered));
    fed.expect("a full topic");
    let deploy = |to: &str, more: &[&str]| {
        let warnings = first.deploy_to(&host, 1, to, more);
        host.wait_state(&job, "running", SOON);
        wait_until("all is read", SOON, || host.status(&job)["lag"] == 0);
        let warnings: Vec<String> = warnings
            .lines()
            .filter_map(|line| line.strip_prefix("warning: "))
            .map(str::to_owned)
            .collect();
        let rows = outside::topic(&servers.kafka, to).len() as u64;
        (warnings, rows)
    };
    let undeploy = || host.cli(["undeploy", &job]).ok();
    let other = unique("stamps-other");
    outside::create_topic(&servers.kafka, &other, PARTITIONS);
    let from_first = ["--set", "start=earliest"];

    assert_eq!(deploy(&first.place, &[]), (vec![], records), "a new job");
    undeploy();
    // The first topic's marker is not the other's: nothing is skipped.
    assert_eq!(deploy(&other, &from_first), (vec![], records));
    undeploy();
    // The other's own marker counts, though the group is another: nothing is doubled, and it is said.
    let another = [
        "--set",
        "start=earliest",
        "--set",
        &format!("group={job}-2"),
    ];
    let (warnings, rows) = deploy(&other, &another);
    assert_eq!(rows, records);
    assert!(
        warnings.len() == 1 && warnings[0].contains("`start` does not count"),
        "{warnings:?}"
    );
    undeploy();
    let (warnings, rows) = deploy(&other, &[&another[..], &["--reset-state"]].concat());
    assert_eq!((warnings, rows), (vec![], 2 * records), "as it was told");
}

#[test]
fn a_finished_job_reads_on_when_it_is_told_to() {
    let (_guard, servers) = Servers::shared();
    let host = Host::serve(servers);
    let job = unique("reads-on");
    outside::create_topic(&servers.kafka, &job, PARTITIONS);
    outside::send(&servers.kafka, &job, &["first,s,u,t,i,1"]);
    let settings = [
        format!("source.clicks={job}"),
        format!("sink.clicks={job}"),
        "until=end".to_owned(),
    ];
    let set: Vec<&str> = settings
        .iter()
        .flat_map(|setting| ["--set", setting])
        .collect();
    let all = [
        &set[..],
        &["--name", &job, "--create-tables", "--set", "every=0"],
    ]
    .concat();
    host.deploy(&component("examples/clicks"), &all).ok();
    assert_eq!(host.wait_state(&job, "finished", SOON)["records_in"], 1);
    outside::send(&servers.kafka, &job, &["second,s,u,t,i,1"]);
    let again = host.deploy(&component("examples/clicks"), &all).ok();
    assert!(
        again.contains("nothing changed") && again.contains(&format!("streamhost resume {job}")),
        "{again}"
    );
    host.cli(["resume", &job]).ok();
    host.wait_records(&job, 2, SOON);
    host.wait_state(&job, "finished", SOON);
}

#[test]
fn a_group_is_one_jobs() {
    let (_guard, servers) = Servers::shared();
    let host = Host::serve(servers);
    let (first, second) = (unique("first"), unique("second"));
    outside::create_topic(&servers.kafka, &first, PARTITIONS);
    let deploy = |job: &str| {
        let settings = [
            format!("source.clicks={first}"),
            format!("sink.clicks={job}"),
            format!("group={first}"),
        ];
        let set: Vec<&str> = settings
            .iter()
            .flat_map(|setting| ["--set", setting])
            .collect();
        host.deploy(
            &component("examples/clicks"),
            &[&set[..], &["--name", job, "--create-tables"]].concat(),
        )
    };
    deploy(&first).ok();
    let refusal = deploy(&second).refusal();
    assert!(
        refusal.contains(&format!("job `{first}` has the group")),
        "{refusal}"
    );
    let set = format!("sink.clicks={second}");
    let source = format!("source.clicks={first}");
    let missing = host.deploy(
        &component("examples/clicks"),
        &["--name", &second, "--set", &source, "--set", &set],
    );
    assert!(
        missing.refusal().contains(&second),
        "the refused deploy has made no table"
    );
}
