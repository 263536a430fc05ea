//! From nothing to running: each template becomes a project that builds and whose test passes.

use std::path::Path;
use std::process::Command;
use streamhost_tests::command::say;
use streamhost_tests::guests::component;
use streamhost_tests::host::{Host, configuration, unique};
use streamhost_tests::outside;
use streamhost_tests::paths::{root, streamhost};
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::{LATE, SOON};
use streamhost_tests::wait::wait_until;

/// Runs a program in a project. One target folder for all, so that the SDK is compiled once.
fn in_project(project: &Path, program: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.current_dir(project).args(arguments);
    command.env("CARGO_TARGET_DIR", root().join("target/projects"));
    say(&mut command).ok()
}

#[test]
fn each_template_is_a_project_that_builds_and_whose_test_passes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let listed = in_project(folder.path(), &streamhost(), &["new", "--list"]);
    let templates: Vec<_> = listed
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(templates.len() >= 5, "{listed}");
    for template in templates {
        let job = format!("my-{template}");
        let project = folder.path().join(&job);
        let new = ["new", &job, "--template", template];
        in_project(folder.path(), &streamhost(), &new);
        in_project(&project, Path::new("cargo"), &["test", "--quiet"]);
        let built = in_project(&project, &streamhost(), &["build"]);
        let file = built.lines().last().expect("a path");
        let inspected = in_project(&project, &streamhost(), &["inspect", file]);
        assert!(
            inspected.starts_with(&format!("{}\n", job.replace('-', "_"))),
            "{inspected}"
        );
        assert!(
            inspected.contains(concat!("sdk      ", env!("CARGO_PKG_VERSION"))),
            "{inspected}"
        );
    }
}

#[test]
fn a_new_project_is_built_deployed_and_writes_its_rows() {
    let (_guard, servers) = Servers::shared();
    let host = Host::serve(servers);
    let folder = tempfile::tempdir().expect("a temporary folder");
    in_project(folder.path(), &streamhost(), &["new", "visits"]);
    let project = folder.path().join("visits");
    let built = in_project(&project, &streamhost(), &["build"]);
    let file = built.lines().last().expect("a path");

    let input = project.join("input.txt");
    let input = input.to_str().expect("text");
    let expected = "\
visits: key=v1 visit:user=ann visit:url=/home visit:seconds=12
visits: key=v3 visit:user=bob visit:url=/cart visit:seconds=5
dead letter visits@3: the seconds `long` are not a whole number
";
    let test = ["test", file, "--input", input];
    assert_eq!(in_project(&project, &streamhost(), &test), expected);

    let job = unique("visits");
    let (source, sink) = (format!("source.visits={job}"), format!("sink.visits={job}"));
    let settings = [
        "--name",
        &job,
        "--set",
        &source,
        "--set",
        &sink,
        "--create-tables",
    ];
    host.deploy(Path::new(file), &settings).ok();
    let input = std::fs::read_to_string(input).expect("the template's input");
    outside::send(&servers.kafka, &job, &input.lines().collect::<Vec<_>>());
    host.wait_records(&job, 4, LATE);
    let users = || outside::column(&servers.gateway, &job, "visit:user");
    wait_until("the rows are there", SOON, || users().len() == 2);
    assert_eq!(users().keys().collect::<Vec<_>>(), ["v1", "v3"]);
}

#[test]
fn a_component_is_tested_on_a_slice_of_a_topic_and_against_a_file() {
    let (_guard, servers) = Servers::shared();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let topic = unique("slice");
    outside::create_topic(&servers.kafka, &topic, 1);
    outside::send(&servers.kafka, &topic, &["skipped", "to be", "or", "not"]);
    let config = folder.path().join("streamhost.toml");
    std::fs::write(
        &config,
        configuration(folder.path(), "127.0.0.1:0", servers),
    )
    .expect("written");
    let component = component("tests/guests/wordcount-topic");
    let test = |more: &[&str]| {
        let mut command = Command::new(streamhost());
        command
            .arg("test")
            .arg(&component)
            .current_dir(folder.path());
        say(command
            .args(["--from-topic", &topic, "--offset", "1", "--count", "2"])
            .args(more))
    };
    let found = test(&[]).ok();
    assert_eq!(found.lines().count(), 3, "to, be, or: {found}");

    let expect = ["--expect", "expected.txt"];
    test(&[&expect[..], &["--update"]].concat()).ok();
    test(&expect).ok();
    std::fs::write(folder.path().join("expected.txt"), "nothing\n").expect("written");
    let differs = test(&expect);
    assert!(
        differs.code == 1 && differs.err.contains("-nothing\n"),
        "{differs:?}"
    );
    let refusal = test(&["--partition", "7"]).refusal();
    assert!(refusal.contains("has no partition 7"), "{refusal}");
}
