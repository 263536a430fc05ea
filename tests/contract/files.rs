//! Files as a sink: the host is killed before, within and behind a write, the disk is full or can no
//! longer be written, and each row is there once, in files that readers never see in part.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use streamhost_tests::clicks::Record;
use streamhost_tests::command::{Said, say};
use streamhost_tests::feed::{self, Feed};
use streamhost_tests::guests::build_variant;
use streamhost_tests::host::{Host, unique};
use streamhost_tests::outside;
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::{LATE, PARTITIONS, sizes};
use streamhost_tests::wait::wait_until;

fn serve(servers: &Servers) -> Host {
    Host::serve_more(servers, "[allow]\nfiles = [\"/**\"]\n", &[])
}

/// Deploys the variant `files` of the guest `rows`.
fn deploy(host: &Host, job: &str, folder: &Path, more: &[&str]) -> Said {
    let file = host.file("files.wasm");
    build_variant("tests/guests/rows", "files", &file);
    let places = [
        format!("source.rows-in={job}"),
        format!("sink.rows-out={}", folder.display()),
    ];
    host.deploy_as(&file, job, &places, more)
}

/// Records whose values are all different.
fn lines() -> impl Iterator<Item = Record> + Send {
    (0..).map(|n| Record {
        value: Some(format!("line {n}").into_bytes()),
        ..Record::default()
    })
}

/// All files that readers see.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        match name.starts_with("part-") {
            true => all.push(path),
            false if name.starts_with('_') => {}
            false => all.extend(files(&path)),
        }
    }
    all
}

fn is_writing(folder: &Path) -> bool {
    fs::read_dir(folder.join("_aside")).is_ok_and(|mut all| all.next().is_some())
}

#[test]
fn files_have_each_row_once_when_the_host_dies_around_a_write() {
    let (_guard, servers) = Servers::shared();
    let mut host = serve(servers);
    let (job, folder) = (unique("files-kills"), host.file("out"));
    feed::create_topic(&servers.kafka, &job, PARTITIONS).expect("a topic");
    let refused = deploy(&host, &job, &folder, &[]);
    assert!(refused.err.contains("mkdir -p"), "{refused:?}");
    let options = ["--set", "sink.rows-out.folders=hour", "--create-tables"];
    deploy(&host, &job, &folder, &options).ok();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut looks = 0u64;
            while !is_over.load(Ordering::Relaxed) {
                for path in files(&folder) {
                    let text = fs::read(&path).expect("what has its name stays");
                    assert!(text.ends_with(b"}\n"), "{}: half a file", path.display());
                }
                looks += 1;
            }
            looks
        });
        let feed = Feed::start(&servers.kafka, &job, sizes().outage_rate, lines());
        let mut within = 0;
        for round in 0..9 {
            let before = files(&folder).len();
            match round % 3 {
                0 => wait_until("records are sent", LATE, || feed.sent() > 500 * (round + 1)),
                1 => wait_until("a file is being written", LATE, || is_writing(&folder)),
                _ => wait_until("a file is there", LATE, || files(&folder).len() > before),
            }
            host.kill();
            within += u64::from(is_writing(&folder));
            host.restart();
            let before = files(&folder).len();
            wait_until("files come again", LATE, || files(&folder).len() > before);
        }
        let records = feed.stop().expect("all records sent");
        let status = host.wait_records(&job, records, LATE);
        is_over.store(true, Ordering::Relaxed);
        assert!(reader.join().expect("no file in part") > 0);
        let said = outside::lines_in_files(&folder, records);
        println!("killed within a write {within} times of 9; {said}");
        assert!(!is_writing(&folder), "nothing stays aside: {status}");
    });
}

/// A disk of its own, of so many KiB; none where that may not be made.
struct Mount(PathBuf);

impl Mount {
    fn new(at: PathBuf, kib: u32) -> Option<Mount> {
        fs::create_dir(&at).expect("a folder");
        let size = format!("size={kib}k");
        let made = say(Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "none"])
            .arg(&at));
        (made.code == 0).then_some(Mount(at))
    }

    #[track_caller]
    fn again(&self, options: &str) {
        let options = format!("remount,{options}");
        say(Command::new("mount").args(["-o", &options]).arg(&self.0)).ok();
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        say(Command::new("umount").arg("-l").arg(&self.0));
    }
}

#[test]
fn a_disk_that_is_full_or_cannot_be_written_is_waited_for() {
    let (_guard, servers) = Servers::shared();
    let host = serve(servers);
    let Some(disk) = Mount::new(host.file("disk"), 256) else {
        println!(
            "not tried: this user may mount no disk; `a_full_disk_is_waited_for` tries it without one"
        );
        return;
    };
    let (job, folder) = (unique("files-full"), disk.0.join("out"));
    feed::create_topic(&servers.kafka, &job, PARTITIONS).expect("a topic");
    deploy(&host, &job, &folder, &["--create-tables"]).ok();
    let feed = Feed::start(&servers.kafka, &job, sizes().outage_rate, lines());
    let status = host.wait_state(&job, "retrying", LATE);
    let waits = status["waiting_for"].to_string();
    assert!(waits.contains("disk"), "{status}");
    disk.again("size=64m,ro");
    host.wait_state(&job, "retrying", LATE);
    disk.again("size=64m,rw");
    host.wait_state(&job, "running", LATE);
    let records = feed.stop().expect("all records sent");
    host.wait_records(&job, records, LATE);
    println!("{}", outside::lines_in_files(&folder, records));
    assert!(!is_writing(&folder), "nothing stays aside");
}
