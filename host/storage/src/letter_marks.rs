//! What is remembered of dead letters, in the embedded store.
//!
//! Keyspace `letters`, of all jobs: job ‖ 0 ‖ topic ‖ 0 ‖ partition, 4 bytes big-endian ‖ offset, 8
//! bytes big-endian → mark (JSON). Names of jobs and topics hold no NUL.

use crate::fault::{damaged, io};
use crate::format::LETTER_MARK;
use crate::store::{Store, Table, Writes};
use crate::tables;
use fjall::{Readable, Snapshot};
use std::collections::BTreeMap;
use streamhost_core::limits::LETTER_MARKS_SWEEP_MAX;
use streamhost_core::protocol::{LetterMark, LetterPlace, MarkedLetter};
use streamhost_core::state::StoreError;
use streamhost_core::types::Offset;

/// What is remembered of the dead letters of all jobs of a host.
#[derive(Clone)]
pub struct LetterMarks {
    store: Store,
    letters: Table,
}

impl LetterMarks {
    /// Opens them in the host's database.
    pub fn open(store: impl Into<Store>) -> Result<Self, StoreError> {
        let store = store.into();
        Ok(LetterMarks {
            letters: tables::letters(store.db())?,
            store,
        })
    }

    /// What is remembered of each of these letters.
    pub fn of(
        &self,
        job: &str,
        places: &[LetterPlace],
    ) -> Result<Vec<Option<LetterMark>>, StoreError> {
        let mark = |place| {
            let found = self.letters.get(key(job, place)).map_err(io)?;
            found.map(|bytes| LETTER_MARK.read(&bytes)).transpose()
        };
        places.iter().map(mark).collect()
    }

    /// One atomic write, durable at return, that remembers these.
    pub fn mark(&self, job: &str, letters: &[MarkedLetter]) -> Result<(), StoreError> {
        let mut batch = self.store.durable(job);
        for letter in letters {
            self.put(&mut batch, job, letter)?;
        }
        batch.commit()
    }

    /// Has a write remember a letter.
    pub(crate) fn put(
        &self,
        batch: &mut Writes<'_>,
        job: &str,
        letter: &MarkedLetter,
    ) -> Result<(), StoreError> {
        let mark = LETTER_MARK.write(&letter.mark).map_err(damaged)?;
        batch.insert(&self.letters, key(job, &letter.place), mark);
        Ok(())
    }

    /// All that is remembered of a job's letters, as it stood.
    pub(crate) fn all(&self, at: &Snapshot, job: &str) -> Result<Vec<MarkedLetter>, StoreError> {
        let (from, to) = all_of(job);
        let mut all = Vec::new();
        for entry in at.range(&self.letters, from..to) {
            let (key, mark) = entry.into_inner().map_err(io)?;
            let place = place_of(job, &key).ok_or_else(|| damaged("a letter without a place"))?;
            let mark = LETTER_MARK.read(&mark)?;
            all.push(MarkedLetter { place, mark });
        }
        Ok(all)
    }

    /// How many letters of a job are remembered, `most` at most.
    pub fn count(&self, job: &str, most: usize) -> Result<usize, StoreError> {
        let (from, to) = all_of(job);
        let mut count = 0;
        for entry in self.letters.range(from..to).take(most) {
            entry.key().map_err(io)?;
            count += 1;
        }
        Ok(count)
    }

    /// Forgets the letters that a topic does not hold any more: those below the first offset of
    /// each of its partitions.
    pub fn forget_below(
        &self,
        job: &str,
        topic: &str,
        first: &BTreeMap<i32, Offset>,
    ) -> Result<(), StoreError> {
        for (&partition, &offset) in first {
            let place = |offset| LetterPlace {
                topic: topic.to_owned(),
                partition,
                offset,
            };
            self.remove(job, key(job, &place(0)), key(job, &place(offset)))?;
        }
        Ok(())
    }

    /// Forgets all letters of a job.
    pub fn forget(&self, job: &str) -> Result<(), StoreError> {
        let (from, to) = all_of(job);
        self.remove(job, from, to)
    }

    /// Removes in portions, as other writes wait for each.
    fn remove(&self, job: &str, from: Vec<u8>, to: Vec<u8>) -> Result<(), StoreError> {
        loop {
            let mut batch = self.store.writes(job);
            let range = self.letters.range(from.as_slice()..to.as_slice());
            for entry in range.take(LETTER_MARKS_SWEEP_MAX) {
                let key = entry.key().map_err(io)?;
                batch.remove(&self.letters, &*key);
            }
            if batch.is_empty() {
                return Ok(());
            }
            batch.commit()?;
        }
    }
}

fn key(job: &str, place: &LetterPlace) -> Vec<u8> {
    let at = [
        &place.partition.to_be_bytes()[..],
        &place.offset.to_be_bytes(),
    ]
    .concat();
    [job.as_bytes(), &[0], place.topic.as_bytes(), &[0], &at].concat()
}

/// The letter that a key is about.
fn place_of(job: &str, key: &[u8]) -> Option<LetterPlace> {
    let (topic, at) = key.get(job.len() + 1..)?.split_last_chunk::<12>()?;
    let (partition, offset) = at.split_first_chunk::<4>()?;
    let topic = topic.strip_suffix(&[0])?;
    Some(LetterPlace {
        topic: std::str::from_utf8(topic).ok()?.to_owned(),
        partition: i32::from_be_bytes(*partition),
        offset: Offset::from_be_bytes(offset.try_into().ok()?),
    })
}

fn all_of(job: &str) -> (Vec<u8>, Vec<u8>) {
    let begin = |after: u8| [job.as_bytes(), &[after]].concat();
    (begin(0), begin(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fjall::Database;
    use streamhost_core::protocol::LetterOutcome;

    fn place(topic: &str, partition: i32, offset: Offset) -> LetterPlace {
        LetterPlace {
            topic: topic.to_owned(),
            partition,
            offset,
        }
    }

    fn marked(place: LetterPlace, outcome: LetterOutcome) -> MarkedLetter {
        let mark = LetterMark {
            sent_ms: 1,
            at_ms: 2,
            version: 3,
            batch: 4,
            outcome,
        };
        MarkedLetter { place, mark }
    }

    #[test]
    fn what_a_topic_does_not_hold_is_forgotten_and_the_rest_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let db = Database::builder(folder.path()).open().unwrap();
        let marks = LetterMarks::open(&db).unwrap();
        let places = [
            place("d", 0, 1),
            place("d", 0, 300),
            place("d", 1, 1),
            place("other", 0, 1),
        ];
        let all = places
            .clone()
            .map(|place| marked(place, LetterOutcome::Dropped));
        marks.mark("a", &all).unwrap();
        assert_eq!(marks.count("a", 100).unwrap(), 4);
        assert_eq!(marks.count("a", 3).unwrap(), 3);
        let found = marks.all(&db.snapshot(), "a").unwrap();
        assert_eq!(found, all);
        marks
            .forget_below("a", "d", &[(0, 300), (1, 0)].into())
            .unwrap();
        let found = marks.of("a", &places).unwrap();
        let is_there: Vec<bool> = found.iter().map(Option::is_some).collect();
        assert_eq!(is_there, [false, true, true, true]);
        marks.forget("a").unwrap();
        assert_eq!(marks.count("a", 100).unwrap(), 0);
    }
}
