use super::*;
use crate::checkpoint_log::CheckpointLogs;
use crate::letter_marks::LetterMarks;
use fjall::Database;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use streamhost_core::job::JobRecord;
use streamhost_core::protocol::{
    CheckpointLog, LetterMark, LetterOutcome, LetterPlace, MarkedLetter,
};
use streamhost_core::state::{Delta, Journal, JournalEntry, JournalOffset, Most, StateStore};
use streamhost_core::testing::{checkpoint, deployment, intent};

/// What a log of keys keeps: the last value of each.
#[derive(Default)]
struct Kept {
    entries: Mutex<Vec<JournalEntry>>,
    refuses: Mutex<Option<StoreError>>,
}

impl Journal for Kept {
    fn append(
        &self,
        _job: &str,
        entries: &[JournalEntry],
        apply: &mut dyn FnMut(JournalOffset) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if let Some(error) = self.refuses.lock().unwrap().take() {
            return Err(error);
        }
        let mut all = self.entries.lock().unwrap();
        all.extend_from_slice(entries);
        apply(all.len() as JournalOffset)
    }
}

impl Kept {
    fn compacted(&self) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let entries = self.entries.lock().unwrap();
        let all = entries.iter().map(|e| (e.key.clone(), e.value.clone()));
        all.collect::<BTreeMap<_, _>>().into_iter().collect()
    }
}

struct Host {
    folder: tempfile::TempDir,
    store: Store,
    logs: CheckpointLogs,
    catalog: Catalog,
    replica: Replica,
}

fn host(journal: &Arc<Kept>) -> Host {
    let folder = tempfile::tempdir().unwrap();
    let db = Database::builder(folder.path().join("db")).open().unwrap();
    let store = Store::with_journal(&db, journal.clone()).unwrap();
    let components = folder.path().join("components");
    Host {
        logs: CheckpointLogs::open(&store).unwrap(),
        catalog: Catalog::open(&store, &components).unwrap(),
        replica: Replica::open(&store, &components).unwrap(),
        folder,
        store,
    }
}

fn at(offset: JournalOffset) -> Position {
    Position {
        mark: "m".to_owned(),
        offset,
        at_ms: 1,
    }
}

fn record(digests: &[&str]) -> JobRecord {
    let numbered = digests.iter().zip(1..);
    JobRecord {
        name: "j".to_owned(),
        paused: false,
        deployments: numbered.map(|(d, n)| deployment(n, n, d)).collect(),
        newest_version: 1,
    }
}

fn delta(entries: &[(u8, Option<u8>)]) -> Delta {
    let writes = entries.iter().map(|(k, v)| (vec![*k], v.map(|v| vec![v])));
    let mut delta = Delta::default();
    delta.stages.insert(7, writes.collect());
    delta
}

/// All that one host has written of a job is on another one that applies the journal.
#[test]
fn another_host_has_all_that_one_has_written() {
    let journal = Arc::new(Kept::default());
    let first = host(&journal);
    first.replica.reached("j", &at(0)).unwrap();
    let digest = first.catalog.keep("j", b"component").unwrap();
    let old = first.catalog.keep("j", b"an older one").unwrap();
    first.catalog.save(&record(&[&old, &digest])).unwrap();
    first.catalog.save(&record(&[&digest])).unwrap();
    let log = first.logs.of("j");
    log.begin(&checkpoint(0)).unwrap();
    log.write(None, Some(&intent(1))).unwrap();
    let one = (&checkpoint(1), &delta(&[(1, Some(1)), (2, Some(2))]));
    log.write(Some(one), Some(&intent(2))).unwrap();
    let two = (&checkpoint(2), &delta(&[(1, None), (3, Some(3))]));
    log.write(Some(two), Some(&intent(3))).unwrap();
    let place = LetterPlace {
        topic: "d".to_owned(),
        partition: 0,
        offset: 7,
    };
    let mark = LetterMark {
        sent_ms: 1,
        at_ms: 2,
        version: 3,
        batch: 4,
        outcome: LetterOutcome::Dropped,
    };
    let marked = MarkedLetter {
        place: place.clone(),
        mark: mark.clone(),
    };
    let marks = LetterMarks::open(&first.store).unwrap();
    marks.mark("j", &[marked]).unwrap();

    let second = host(&journal);
    second.replica.apply(journal.compacted()).unwrap();
    let log = second.logs.of("j");
    let (found, planned) = log.load().unwrap();
    assert_eq!(found, Some(checkpoint(2)));
    assert_eq!(planned, [intent(3)]);
    let state = log.states(7, &[], None, Most::entries(9)).unwrap();
    assert_eq!(state, [(vec![2], vec![2]), (vec![3], vec![3])]);
    let saved = second.catalog.job("j").unwrap();
    assert_eq!(saved, Some(Ok(record(&[&digest]))));
    assert_eq!(second.catalog.component(&digest).unwrap(), b"component");
    assert!(
        second.catalog.component(&old).is_err(),
        "no record names it"
    );
    assert!(second.replica.has_components("j").unwrap());
    let marks = LetterMarks::open(&second.store).unwrap();
    assert_eq!(marks.of("j", &[place]).unwrap(), [Some(mark)]);
    let files = second.folder.path().join("components");
    std::fs::remove_dir_all(files).unwrap();
    assert!(!second.replica.has_components("j").unwrap());

    second.replica.reached("j", &at(9)).unwrap();
    second.replica.wipe("j").unwrap();
    assert_eq!(second.replica.position("j").unwrap(), None);
    assert_eq!(log.load().unwrap(), (None, Vec::new()));
    assert!(second.catalog.job("j").unwrap().is_none());
}

/// What the journal does not take is not in the database either, and may be tried again.
#[test]
fn nothing_is_written_that_the_journal_has_not_taken() {
    let journal = Arc::new(Kept::default());
    let host = host(&journal);
    host.replica.reached("j", &at(0)).unwrap();
    let log = host.logs.of("j");
    log.begin(&checkpoint(0)).unwrap();
    *journal.refuses.lock().unwrap() = Some(StoreError::Fenced);
    let written = log.write(None, Some(&intent(1))).unwrap_err();
    assert_eq!(written.to_string(), StoreError::Fenced.to_string());
    assert_eq!(log.load().unwrap(), (Some(checkpoint(0)), Vec::new()));
    log.write(None, Some(&intent(1))).unwrap();
    assert_eq!(log.load().unwrap().1, [intent(1)]);
    let position = host.replica.position("j").unwrap().unwrap();
    assert_eq!(
        position.offset,
        journal.entries.lock().unwrap().len() as i64
    );
    *journal.refuses.lock().unwrap() = Some(StoreError::Fenced);
    let saved = host.catalog.save(&record(&["x"])).unwrap_err();
    assert!(
        saved.to_string().contains("another one has the job"),
        "{saved}"
    );
}
