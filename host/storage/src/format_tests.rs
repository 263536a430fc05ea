//! Each kind of record is read as older releases wrote it, and refused in words where a newer one
//! did.

use super::*;
use crate::catalog::{Catalog, GoneJob};
use crate::checkpoint_log::CheckpointLogs;
use crate::letter_marks::LetterMarks;
use fjall::{Database, KeyspaceCreateOptions};
use std::path::Path;
use streamhost_core::job::JobRecord;
use streamhost_core::protocol::{CheckpointLog, LetterMark, LetterOutcome, LetterPlace};
use streamhost_core::testing::{checkpoint, deployment, intent};

/// The keyspace of a kind of record, what it is called, and how it is asked for.
type Case = (
    RecordKind,
    &'static str,
    fn(&Database, &Path) -> Result<(), String>,
);

fn read_log(db: &Database, _: &Path) -> Result<(), String> {
    let logs = CheckpointLogs::open(db).expect("it opens");
    logs.of("j").load().map(|_| ()).map_err(|e| e.to_string())
}

fn read_jobs(db: &Database, folder: &Path) -> Result<(), String> {
    let catalog = Catalog::open(db, folder).expect("it opens");
    let jobs = catalog.load().expect("it is read");
    jobs.into_iter()
        .try_for_each(|job| job.map(|_| ()).map_err(|job| job.reason))
}

fn read_gone(db: &Database, folder: &Path) -> Result<(), String> {
    let catalog = Catalog::open(db, folder).expect("it opens");
    catalog.gone("j").map(|_| ()).map_err(|e| e.to_string())
}

fn place() -> LetterPlace {
    LetterPlace {
        topic: "d".to_owned(),
        partition: 0,
        offset: 1,
    }
}

fn read_marks(db: &Database, _: &Path) -> Result<(), String> {
    let marks = LetterMarks::open(db).expect("it opens");
    marks
        .of("j", &[place()])
        .map(|_| ())
        .map_err(|e| e.to_string())
}

/// Every record of JSON.
const CASES: [Case; 5] = [
    (CHECKPOINT, "ledgers", read_log),
    (INTENT, "plans", read_log),
    (JOB, "jobs", read_jobs),
    (GONE_JOB, "undeployed", read_gone),
    (LETTER_MARK, "letters", read_marks),
];

fn record() -> JobRecord {
    JobRecord {
        name: "j".into(),
        paused: true,
        deployments: vec![deployment(1, 1, "a")],
        newest_version: 0,
    }
}

/// A store with one record of each kind, as this release writes them.
fn fill(db: &Database, folder: &Path) {
    let log = CheckpointLogs::open(db).expect("it opens").of("j");
    log.begin(&checkpoint(1)).expect("written");
    log.write(None, Some(&intent(2))).expect("written");
    let catalog = Catalog::open(db, folder).expect("it opens");
    let gone = GoneJob {
        at_ms: 1,
        record: record(),
        ran: true,
    };
    catalog.remove("j", Some(&gone)).expect("written");
    let jobs = db
        .keyspace("jobs", KeyspaceCreateOptions::default)
        .expect("it opens");
    jobs.insert("j", JOB.write(&record()).expect("JSON"))
        .expect("written");
    let mark = LetterMark {
        sent_ms: 1,
        at_ms: 2,
        version: 3,
        batch: 4,
        outcome: LetterOutcome::Dropped,
    };
    let marked = streamhost_core::protocol::MarkedLetter {
        place: place(),
        mark,
    };
    LetterMarks::open(db)
        .expect("it opens")
        .mark("j", &[marked])
        .expect("written");
}

/// Writes the one record of a keyspace anew, with another number or none.
fn renumber(db: &Database, keyspace: &str, number: Option<u32>) {
    let keyspace = db
        .keyspace(keyspace, KeyspaceCreateOptions::default)
        .expect("it opens");
    let entry = keyspace.iter().next().expect("a record");
    let (key, value) = entry.into_inner().expect("it is read");
    let mut record: serde_json::Value = serde_json::from_slice(&value).expect("JSON");
    let fields = record.as_object_mut().expect("an object");
    assert!(fields.remove("format").is_some(), "it has a number");
    if let Some(number) = number {
        fields.insert("format".to_owned(), number.into());
        fields.retain(|name, _| name == "format"); // nothing else of it may matter
    }
    keyspace.insert(&*key, record.to_string()).expect("written");
}

#[test]
fn each_record_is_read_without_a_number_and_not_of_a_newer_release() {
    for (kind, keyspace, read) in CASES {
        let folder = tempfile::tempdir().expect("a folder");
        let db = Database::builder(folder.path().join("db"))
            .open()
            .expect("a store");
        fill(&db, folder.path());
        read(&db, folder.path()).expect("as it was written");
        renumber(&db, keyspace, None);
        read(&db, folder.path()).expect("as releases before numbers wrote it");
        fill(&db, folder.path());
        renumber(&db, keyspace, Some(kind.format + 1));
        let refused = read(&db, folder.path()).expect_err(keyspace);
        let words = format!(
            "{} in format {}, and this streamhost reads format {} of them at most: run the newer",
            kind.name,
            kind.format + 1,
            kind.format
        );
        assert!(refused.contains(&words), "{refused}");
    }
}
