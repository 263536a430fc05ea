//! Savepoints on their way between a daemon and files.

use super::*;

#[test]
fn a_savepoint_comes_into_a_file_is_shown_and_begins_a_job() {
    let dev = Running::start();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("c.savepoint").display().to_string();
    let (ok, out, err) = dev.verb(&["savepoint", "clicks", "--to", &file]);
    assert!(
        ok && out.contains("clicks after batch 12, 2 keys"),
        "{out}{err}"
    );
    assert!(out.contains("clicks goes on"), "{out}");
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .expect("a folder")
        .collect();
    assert_eq!(left.len(), 1, "nothing else is left: {left:?}");

    let (ok, out, err) = verb_at(&["savepoint", "inspect", &file]);
    assert!(ok, "{err}");
    for words in ["clicks", "12", "stage count: 2 keys", "ann", "1000"] {
        assert!(out.contains(words), "{words}: {out}");
    }
    let (ok, out, _) = verb_at(&["savepoint", "inspect", &file, "--output", "json"]);
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    let stage = &json["stages"][0];
    assert!(
        ok && stage["keys"] == 2 && stage["samples"][1]["key"] == "bob",
        "{out}"
    );
    assert_eq!(json["positions"]["t"]["0"], 120, "{out}");

    let (ok, out, _) = dev.verb(&["deploy", "--from-savepoint", &file, "--dry-run"]);
    assert!(ok && out.contains("would take over"), "{out}");
    let began = dev.verb(&["deploy", "--from-savepoint", &file, "--set", "every=1s"]);
    assert!(
        began.0 && began.1.contains("version 3 is active"),
        "{began:?}"
    );
    let asked = dev.host.jobs.asked.lock().expect("no panic").clone();
    let (component, request) = asked.expect("it was asked");
    assert_eq!(
        (&*component, &*request.settings["every"]),
        (&b"saved"[..], "1s")
    );
}

#[test]
fn what_is_in_the_way_of_a_savepoint_is_told() {
    let dev = Running::start();
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(at("there"), "mine").expect("written");
    std::fs::write(at("text"), "this is no savepoint, however long it is").expect("written");
    let cases = [
        (
            vec!["savepoint", "clicks", "--to", "there"],
            "is there already",
        ),
        (
            vec!["savepoint", "clicks", "--to", "no/folder/x"],
            "no/folder",
        ),
        (
            vec!["savepoint", "none", "--to", "new"],
            "there is no job `none`",
        ),
        (
            vec!["savepoint", "No Name", "--to", "new"],
            "cannot be a job's name",
        ),
        (vec!["savepoint", "inspect", "text"], "this is no savepoint"),
        (vec!["savepoint", "inspect", "nothing"], "No such file"),
        (
            vec!["deploy", "--from-savepoint", "text"],
            "this is no savepoint",
        ),
    ];
    for (mut args, words) in cases {
        let path = at(args.pop().expect("a file"));
        args.push(&path);
        let (ok, out, err) = dev.verb(&args);
        assert!(
            !ok && out.is_empty() && err.contains(words),
            "{args:?}: {out}{err}"
        );
    }
    assert_eq!(std::fs::read(at("there")).expect("it is there"), b"mine");
    assert!(!folder.path().join("new").exists());
}

#[test]
fn a_deploy_has_a_component_or_a_savepoint() {
    let wrong: [&[&str]; 5] = [
        &["deploy"],
        &["deploy", "x.wasm", "--from-savepoint", "f"],
        &["deploy", "--from-savepoint", "f", "--reset-state"],
        &["deploy", "x.wasm", "--repeat-rows"],
        &["savepoint"],
    ];
    for args in wrong {
        let parsed = Args::try_parse_from([&["streamhost"], args].concat());
        assert!(parsed.is_err(), "{args:?}");
    }
    let good: [&[&str]; 3] = [
        &[
            "deploy",
            "--from-savepoint",
            "f",
            "--repeat-rows",
            "--name",
            "n",
        ],
        &["savepoint", "--output", "json", "inspect", "f"],
        &["savepoint", "clicks", "--stop"],
    ];
    for args in good {
        let parsed = Args::try_parse_from([&["streamhost"], args].concat());
        parsed.unwrap_or_else(|e| panic!("{args:?}: {e}"));
    }
}
