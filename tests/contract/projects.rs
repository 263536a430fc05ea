//! From nothing to running: each template becomes a project that builds and whose test passes.

use std::path::Path;
use std::process::Command;
use streamhost_tests::command::say;
use streamhost_tests::host::{Host, unique};
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
    let input = std::fs::read_to_string(project.join("input.txt")).expect("the template's input");
    outside::send(&servers.kafka, &job, &input.lines().collect::<Vec<_>>());
    host.wait_records(&job, 4, LATE);
    let users = || outside::column(&servers.gateway, &job, "visit:user");
    wait_until("the rows are there", SOON, || users().len() == 2);
    assert_eq!(users().keys().collect::<Vec<_>>(), ["v1", "v3"]);
}
