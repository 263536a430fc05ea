//! Mends rows of a place that has no times: page by page, each while the place is locked.
//!
//! Before each page the active version is run up to all that is planned. Then the job's batches are
//! kept out, and the place says which of them it holds. The records of a batch that came in between are
//! run through the active version too, while the place is locked: there are few. Then the page's rows are
//! read once more, as they are, and what neither is as it was made nor was written by later records is
//! written. So the job waits for one page at most.

use super::place::{Page, Pages, Places};
use super::read::patiently;
use super::run::Broken;
use super::task::Steps;
use super::{JobLedger, ReplayPlace, What};
use crate::sink::{Passed, Remedy, SinkError, Written};
use std::collections::BTreeMap;
use streamhost_core::compare::{HeldRow, LastWrites, RowFound};
use streamhost_core::types::{Positions, positions};
use streamhost_core::{clock, limits};

/// A row that was not as it was made.
struct Suspect {
    key: Vec<u8>,
    made: LastWrites,
    later: LastWrites,
    extra: LastWrites,
}

/// What is known of the job's records.
struct Known {
    epoch: u64,
    topics: Vec<String>,
    /// Up to where it is known what they write.
    at: Positions,
}

/// What became of a page.
#[derive(Debug, PartialEq, Eq)]
enum Attempt {
    /// Rows that are mended, and rows that are not as they were written.
    Done(u64, u64),
    /// The place has batches of which it is not known yet what they wrote.
    Ahead,
    /// It has batches of another history of the job.
    Other,
    /// The server was away, and the lock went with it.
    Lost,
}

/// Mends a place.
pub(super) fn mend(steps: &mut Steps<'_, '_>, number: u16) -> Result<(), Broken> {
    let mut pages = Pages::of(What::Held, number);
    while let Some(page) = pages.next(steps.places)? {
        let began = clock::monotonic();
        let (mended, unmended) = loop {
            match attempt(steps, number, &page)? {
                Attempt::Done(mended, unmended) => break (mended, unmended),
                Attempt::Lost if clock::since(began) < limits::REPLAY_AWAY_TIME => {}
                Attempt::Lost => {
                    let words = "the server ends the transactions that mend rows again and again: its log says why";
                    return Err(Some(words.to_owned()));
                }
                Attempt::Ahead if clock::since(began) < limits::REPLAY_MEND_WAIT => {}
                Attempt::Ahead => {
                    let words = "the table holds records of a partition that came since the replay began: start it again";
                    return Err(Some(words.to_owned()));
                }
                Attempt::Other => {
                    let words = "the last batch in the table is of another history of the job: replay again once the job has \
                                 written one";
                    return Err(Some(words.to_owned()));
                }
            }
        };
        let name = steps.places.place(number).name.clone();
        if let Some(report) = steps.replay.report().places.get_mut(&name) {
            report.mended += mended;
            report.unmended += unmended;
        }
    }
    Ok(())
}

/// Follows the job, and mends a page.
fn attempt(steps: &mut Steps<'_, '_>, number: u16, page: &Page) -> Result<Attempt, Broken> {
    let ledger = steps.ledger()?;
    steps.follow(&ledger.planned, &ledger)?;
    let mut known = known(steps, &ledger);
    let place = steps.places.place(number);
    let passed = patiently(steps.replay, place, |place| place.held.lock())?;
    if known.lacks(&passed) == Some(Attempt::Ahead) {
        // What came in between, and no more can come.
        let (ledger, topics) = (steps.ledger()?, &known.topics);
        let mut ends = Positions::new();
        for of_sink in &passed {
            for (partition, offset) in positions(topics, &of_sink.offsets) {
                let end = ends.entry(partition).or_insert(offset);
                *end = offset.max(*end);
            }
        }
        let behind =
            |at: &Positions, partition: &_, end: &i64| at.get(partition).is_some_and(|at| at < end);
        ends.retain(|partition, end| behind(&steps.follower.at, partition, end));
        steps.follow(&ends, &ledger)?;
        known.at.clone_from(&steps.follower.at);
    }
    let lacks = known.lacks(&passed);
    let suspects = suspects(steps.places, number, page)?;
    let with_extra = steps.terms.deletes_extra;
    let place = steps.places.place(number);
    let done = match lacks {
        Some(not) => place.held.unlock(false).map(|()| not),
        None => mend_locked(place, &suspects, with_extra),
    };
    match done {
        Ok(done) => Ok(done),
        Err(SinkError::Cancelled) => Err(None),
        Err(error) if error.remedy() == Remedy::Stop => Err(Some(error.to_string())),
        // The lock is gone with the server, and what was written with it.
        Err(_) => Ok(Attempt::Lost),
    }
}

fn known(steps: &Steps<'_, '_>, ledger: &JobLedger) -> Known {
    Known {
        epoch: ledger.epoch,
        topics: steps.follower.loaded.topics(),
        at: steps.follower.at.clone(),
    }
}

/// Mends rows of a place that is locked, and lets the job in.
fn mend_locked(
    place: &mut ReplayPlace,
    suspects: &[Suspect],
    with_extra: bool,
) -> Result<Attempt, SinkError> {
    let wanted = left(place, suspects.iter(), with_extra)?;
    let mut unmended = 0;
    if !wanted.is_empty() {
        place.held.mend(0, &wanted)?;
        // As it is now, rules and triggers of the table included.
        let is_written = |one: &&Suspect| wanted.iter().any(|(key, _)| *key == one.key);
        let written = suspects.iter().filter(is_written);
        unmended = left(place, written, with_extra)?.len();
    }
    place.held.unlock(true)?;
    let mended = wanted.len().saturating_sub(unmended);
    Ok(Attempt::Done(mended as u64, unmended as u64))
}

fn suspects(places: &Places, number: u16, page: &Page) -> Result<Vec<Suspect>, Broken> {
    let of = |(key, _): &(Vec<u8>, LastWrites)| {
        Ok(Suspect {
            key: key.clone(),
            made: places.of(What::Made, number, key)?,
            later: places.of(What::Later, number, key)?,
            extra: places.of(What::Extra, number, key)?,
        })
    };
    page.iter().map(of).collect()
}

impl Known {
    /// Why it is not known what the batches in a place wrote, if so.
    fn lacks(&self, passed: &[Passed]) -> Option<Attempt> {
        for of_sink in passed {
            match of_sink.epoch {
                None => continue, // none of the job's is there
                Some(epoch) if epoch != self.epoch => return Some(Attempt::Other),
                Some(_) => {}
            }
            let offsets = positions(&self.topics, &of_sink.offsets);
            let is_behind = |(partition, offset): (_, &i64)| {
                let at = self.at.get(partition);
                at.is_none_or(|at| at < offset)
            };
            if offsets.iter().any(is_behind) {
                return Some(Attempt::Ahead);
            }
        }
        None
    }
}

/// What is not as it was made, of rows as they are now.
fn left<'a>(
    place: &mut ReplayPlace,
    suspects: impl Iterator<Item = &'a Suspect>,
    with_extra: bool,
) -> Result<Vec<Written>, SinkError> {
    let suspects: Vec<&Suspect> = suspects.collect();
    let keys: Vec<_> = suspects.iter().map(|one| one.key.clone()).collect();
    let there = place.held.rows(&keys)?.into_iter();
    let there: BTreeMap<_, _> = there.map(|row| (row.key.clone(), row)).collect();
    let each = suspects.into_iter().filter_map(|one| {
        let cells = one.left(there.get(&one.key), with_extra);
        let is_erased = false;
        (!cells.is_empty()).then(|| (one.key.clone(), LastWrites { is_erased, cells }))
    });
    Ok(each.collect())
}

impl Suspect {
    fn left(&self, row: Option<&HeldRow>, with_extra: bool) -> BTreeMap<Vec<u8>, Option<Vec<u8>>> {
        let found = RowFound::of(&self.made, row, &self.later, false, |_| true);
        let mut cells = found.mends.cells;
        let is_there = |column: &[u8]| row.is_some_and(|row| row.cells.contains_key(column));
        let extra = self.extra.cells.keys().filter(|_| with_extra);
        let extra = extra.filter(|column| !self.later.covers(column) && is_there(column));
        cells.extend(extra.map(|column| (column.clone(), None)));
        cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamhost_core::types::Partition;

    #[test]
    fn a_page_is_mended_only_if_all_that_the_place_has_is_known() {
        let partition = |id| Partition { source: 0, id };
        let known = Known {
            epoch: 7,
            topics: vec!["t".to_owned()],
            at: [(partition(0), 10), (partition(1), 20)].into(),
        };
        let passed = |epoch, ends: &[(i32, i64)]| Passed {
            epoch,
            offsets: [("t".to_owned(), ends.iter().copied().collect())].into(),
        };
        let cases = [
            (passed(None, &[]), None),
            (passed(Some(7), &[(0, 10), (1, 3)]), None),
            (passed(Some(7), &[(0, 11)]), Some(Attempt::Ahead)),
            (passed(Some(7), &[(2, 1)]), Some(Attempt::Ahead)), // it came since
            (passed(Some(6), &[(0, 1)]), Some(Attempt::Other)),
        ];
        for (of, want) in cases {
            let of = [passed(Some(7), &[(0, 1)]), of];
            assert_eq!(known.lacks(&of), want, "{of:?}");
        }
    }

    #[test]
    fn what_is_written_is_what_is_wrong_now_and_later_records_did_not_write() {
        let cells = |text: &str| -> BTreeMap<Vec<u8>, Option<Vec<u8>>> {
            let cell = |word: &str| match word.split_once('=') {
                Some((column, value)) => (column.into(), Some(value.into())),
                None => (word.into(), None),
            };
            text.split_whitespace().map(cell).collect()
        };
        let writes = |text: &str| LastWrites {
            is_erased: false,
            cells: cells(text),
        };
        // made, later, extra, there, with extra: what is written
        let cases = [
            ("a=1 b=2", "", "", "a=1 b=3", false, "b=2"),
            ("a=1 b=2", "b", "", "a=0 b=3", false, "a=1"),
            ("a=1 b=2", "", "", "a=1 b=2", false, ""), // mended by hand since
            ("a=1 b=2", "", "", "", false, "a=1 b=2"),
            ("", "", "x y", "x=1", true, "x"),
            ("", "", "x", "x=1", false, ""),
            ("", "x", "x", "x=1", true, ""),
        ];
        for (made, later, extra, there, with_extra, want) in cases {
            let suspect = Suspect {
                key: b"k".to_vec(),
                made: writes(made),
                later: writes(later),
                extra: writes(extra),
            };
            let row = HeldRow::of(b"k".to_vec(), writes(there));
            let found = suspect.left(Some(&row), with_extra);
            assert_eq!(found, cells(want), "{made} / {later} / {extra} / {there}");
        }
    }
}
