//! What cannot be is refused in one line that says how to mend it, and changes nothing.

use std::fs::{read, write};
use streamhost_tests::command::Said;
use streamhost_tests::guests::{EMPTY_MODULE, component, component_that_wants_http};
use streamhost_tests::host::{Host, configuration, free_port, unique};
use streamhost_tests::outside;
use streamhost_tests::paths::streamhost;
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::{PARTITIONS, SOON};
use streamhost_tests::wait::wait_for;

/// A refusal that has all of `words` in its line.
#[track_caller]
fn refused(said: Said, words: &[&str]) {
    let line = said.refusal();
    let missing: Vec<&&str> = words.iter().filter(|word| !line.contains(**word)).collect();
    assert!(missing.is_empty(), "{missing:?} is not in: {line}");
}

#[test]
fn files_that_are_no_jobs() {
    let (_guard, servers) = Servers::shared();
    let host = Host::serve(servers);
    let job = unique("garbage");
    outside::create_topic(&servers.kafka, &job, PARTITIONS);
    host.deploy_clicks(&job);
    let before = host.json(&["history", &job]);

    let clicks = read(component("examples/clicks")).expect("a component");
    let files: [(&str, Vec<u8>, &[&str]); 6] = [
        ("empty", Vec::new(), &["empty"]),
        ("text", b"this is no WebAssembly\n".to_vec(), &["text"]),
        ("cut-off", clicks[..clicks.len() / 2].to_vec(), &["cut off"]),
        ("module", EMPTY_MODULE.to_vec(), &["component-type"]),
        (
            "wasi",
            component_that_wants_http(),
            &["wasi:http/types@0.2.0"],
        ),
        (
            "scrambled",
            clicks
                .iter()
                .enumerate()
                .map(|(i, b)| if i > 8 { b ^ 0x55 } else { *b })
                .collect(),
            &[],
        ),
    ];
    for (name, bytes, words) in files {
        let file = host.file(&format!("{name}.wasm"));
        write(&file, bytes).expect("the folder can be written");
        refused(host.deploy(&file, &["--name", &job]), words);
    }
    refused(
        host.deploy(&host.file("nowhere.wasm"), &[]),
        &["nowhere.wasm"],
    );
    assert_eq!(host.json(&["history", &job]), before, "nothing has changed");

    outside::send(
        &servers.kafka,
        &job,
        &["click1,student1,http://www.google.com,2014-01-01 12:01:01.0001,image,1"],
    );
    host.wait_records(&job, 1, SOON);
}

#[test]
fn tables_and_families_that_are_missing() {
    let (_guard, servers) = Servers::shared();
    let host = Host::serve(servers);
    let job = unique("missing");
    outside::create_topic(&servers.kafka, &job, PARTITIONS);
    let (source, sink) = (format!("source.clicks={job}"), format!("sink.clicks={job}"));
    let settings = [
        "--name",
        job.as_str(),
        "--set",
        &source,
        "--set",
        &sink,
        "--set",
        "every=0",
    ];
    let clicks = component("examples/clicks");
    refused(host.deploy(&clicks, &settings), &[&job, "--create-tables"]);
    refused(host.cli(["status", &job]), &[&job]);
    let nowhere = format!("source.clicks={job}-nowhere");
    let both = ["--name", &job, "--set", &nowhere, "--set", &sink];
    let (table, topic) = (
        format!("no table `{job}`"),
        format!("topic `{job}-nowhere`"),
    );
    refused(host.deploy(&clicks, &both), &[&table, &topic]);

    outside::create_table(&servers.gateway, &job, &["clickinfo"]);
    refused(host.deploy(&clicks, &settings), &["iteminfo"]);
    assert_eq!(
        host.json(&["list"]).as_array().map(Vec::len),
        Some(0),
        "a refused deployment leaves no job"
    );

    outside::drop_table(&servers.gateway, &job);
    host.deploy(&clicks, &[&settings[..], &["--create-tables"]].concat())
        .ok();
    outside::send(&servers.kafka, &job, &["c,s,u,t,i,1"]);
    host.wait_records(&job, 1, SOON);
    assert_eq!(outside::table(&servers.gateway, &job).len(), 1);
}

#[test]
fn settings_names_and_jobs_that_do_not_exist() {
    let (_guard, servers) = Servers::shared();
    let host = Host::serve(servers);
    let clicks = component("examples/clicks");
    refused(
        host.deploy(&clicks, &["--set", "evry=1s"]),
        &["evry", "every"],
    );
    refused(
        host.deploy(&clicks, &["--set", "every=soon"]),
        &["every=soon"],
    );
    refused(
        host.deploy(&clicks, &["--set", "source.click=x"]),
        &["click"],
    );
    refused(host.deploy(&clicks, &["--name", "No Name"]), &["No Name"]);
    for verb in [
        "status", "history", "rollback", "pause", "resume", "undeploy", "logs",
    ] {
        refused(host.cli([verb, "nobody"]), &["nobody"]);
    }
    assert_eq!(host.cli(["deploy"]).code, 2, "wrong usage");
    assert_eq!(host.cli(["deplyo"]).code, 2, "wrong usage");
}

#[test]
fn a_host_that_cannot_start_says_why() {
    let (_guard, servers) = Servers::shared();
    let mut host = Host::serve(servers);
    let data = host.file("data");
    let serve = |text: String| {
        let file = host.file("other.toml");
        write(&file, text).expect("the folder can be written");
        streamhost_tests::command::say(
            std::process::Command::new(streamhost())
                .arg("serve")
                .arg("--config")
                .arg(file),
        )
    };
    let free = format!("127.0.0.1:{}", free_port());
    let good = configuration(&host.file("other"), &free, servers);
    let faulty = serve(format!("{good}transprot = \"framed\"\n"));
    assert_eq!(faulty.code, 1, "{faulty:?}");
    assert!(faulty.err.contains("transprot"), "{faulty:?}");
    refused(serve(configuration(&data, &free, servers)), &["data"]);
    refused(
        serve(configuration(&host.file("other"), &host.address, servers)),
        &[&host.address],
    );

    host.kill();
    let nobody = wait_for("the command line says that there is no host", SOON, || {
        let said = host.cli(["list"]);
        (said.code == 1).then_some(said)
    });
    refused(nobody, &[&host.address]);
}
