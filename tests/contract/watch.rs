//! `streamhost dev --watch`: what is saved is swapped in, and what is not good is not.

use std::fs::{read_to_string, write};
use std::path::Path;
use std::process::Command;
use streamhost_tests::command::say;
use streamhost_tests::host::Host;
use streamhost_tests::outside;
use streamhost_tests::paths::{root, streamhost};
use streamhost_tests::sizes::{BUILD, SOON};
use streamhost_tests::wait::wait_until;

/// The job's source with one text for another.
fn edit(project: &Path, from: &str, to: &str) {
    let file = project.join("src/lib.rs");
    let text = read_to_string(&file).expect("a source");
    assert!(text.contains(from), "{from} is not in {text}");
    write(file, text.replace(from, to)).expect("written");
}

fn says(host: &Host, text: &str) -> bool {
    host.log_text().contains(text)
}

#[test]
fn what_is_saved_is_swapped_in_and_what_is_not_good_is_shown() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let project = folder.path().join("visits");
    let mut new = Command::new(streamhost());
    say(new.current_dir(folder.path()).args(["new", "visits"])).ok();
    let (mut host, kafka) = Host::dev_watching(&project, &root().join("target/projects"));
    let version = |host: &Host| {
        let jobs = host.json(&["list"]);
        jobs[0]["version"].as_u64().unwrap_or(0)
    };
    wait_until("the job is deployed, with its topic", BUILD, || {
        version(&host) == 1
    });
    outside::send(&kafka, "visits", &["v1,ann,/home,12", "v2,bob,/cart,0"]);
    host.wait_records("visits", 2, SOON);

    edit(&project, "visit.seconds > 0", "visit.seconds > 1");
    wait_until("the edit is swapped in", BUILD, || version(&host) == 2);
    wait_until("that is said", SOON, || says(&host, "after the save"));
    outside::send(&kafka, "visits", &["v3,ann,/home,1", "v4,bob,/cart,2"]);
    let status = host.wait_records("visits", 4, SOON);
    assert_eq!(
        (&status["rows_out"], &status["dropped"]),
        (&2.into(), &2.into()),
        "one second is too few now: {status}"
    );

    edit(&project, "visit.seconds > 1", "visit.second > 1");
    wait_until("what does not compile is shown", BUILD, || {
        says(&host, "no field `second`") && says(&host, "nothing was swapped")
    });
    edit(&project, "visit.second > 1", "visit.seconds > 100");
    wait_until("and what fails its tests", BUILD, || {
        says(&host, "visits_become_rows") && says(&host, "cargo test failed")
    });
    outside::send(&kafka, "visits", &["v5,ann,/home,2"]);
    host.wait_records("visits", 5, SOON);
    assert_eq!(version(&host), 2, "the version before goes on");

    edit(&project, "visit.seconds > 100", "visit.seconds > 2");
    wait_until("what is good again is swapped in", BUILD, || {
        version(&host) == 3
    });
    assert_eq!(host.stop(), 0, "it ends when it is told to");
}
