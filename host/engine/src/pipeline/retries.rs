//! Dead letters that are to be given to the job once more: who asks for it waits here, and the
//! runner takes them from here, one after the other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use streamhost_core::protocol::{LetterMark, LetterPlace, MarkedLetter};
use streamhost_core::state::StoreError;
use streamhost_core::types::{Offset, OwnedHeaders};

/// A dead letter, and the record that it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterRetry {
    /// Where the letter is.
    pub place: LetterPlace,
    /// When it was sent, in milliseconds since 1970.
    pub sent_ms: i64,
    /// The topic, address or path that its record came from.
    pub topic: String,
    /// The record's partition there.
    pub partition: i32,
    /// The record's offset there.
    pub offset: Offset,
    /// The record's own time, in milliseconds since 1970.
    pub time_ms: i64,
    /// The record's key, if it had one.
    pub key: Option<Vec<u8>>,
    /// The record's value, if it had one.
    pub value: Option<Vec<u8>>,
    /// The record's headers.
    pub headers: OwnedHeaders,
    /// Also if it was retried before.
    pub again: bool,
}

/// How the retry of a letter ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RetryEnd {
    /// Its outcome is durable.
    Durable(LetterMark),
    /// It was not given to the job; the reason.
    Skipped(String),
    /// The pipeline did not come to it in time, or ended before.
    NotTaken,
    /// It was given to the job, and the pipeline ended, or the time was over, before its outcome
    /// was durable. If its batch was planned, its mark will be there.
    UnderWay,
}

/// Where letters wait for the runner, and those who ask for the outcome.
#[derive(Default)]
pub struct Retries {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The pipeline has ended.
    closed: bool,
    pending: VecDeque<LetterRetry>,
    /// Under way: taken, and the outcome is not durable.
    taken: BTreeSet<LetterPlace>,
    ends: BTreeMap<LetterPlace, RetryEnd>,
}

/// Ends all waiting when it is dropped.
pub(super) struct Closing<'a>(&'a Retries);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_all();
    }
}

impl Retries {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the job take these letters, and waits until the outcome of all is durable, or the
    /// pipeline ends, but no longer than `time`. One asks at a time, for no letter twice.
    /// `remembered` looks at what is durable. It is asked in here, so that no outcome comes between
    /// the look and the waiting: a batch that was planned before the host died may be such a retry.
    pub fn run(
        &self,
        letters: Vec<LetterRetry>,
        time: Duration,
        remembered: &dyn Fn(&LetterRetry) -> Result<Option<LetterMark>, StoreError>,
    ) -> Vec<RetryEnd> {
        let places: Vec<_> = letters.iter().map(|letter| letter.place.clone()).collect();
        let mut state = self.lock();
        state.ends.clear();
        for letter in letters {
            let end = match remembered(&letter) {
                Ok(Some(mark)) if !letter.again => Some(RetryEnd::Durable(mark)),
                Err(error) => Some(RetryEnd::Skipped(error.to_string())),
                // Since a call before.
                Ok(_) if state.taken.contains(&letter.place) => Some(RetryEnd::UnderWay),
                Ok(_) => None,
            };
            match end {
                Some(end) => drop(state.ends.insert(letter.place, end)),
                None => state.pending.push_back(letter),
            }
        }
        let waits = |state: &mut State| !state.closed && state.ends.len() < places.len();
        let waited = self.changed.wait_timeout_while(state, time, waits);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let pending = std::mem::take(&mut state.pending);
        let is_pending = |place: &LetterPlace| pending.iter().any(|one| one.place == *place);
        let end = |place: &LetterPlace| match state.ends.remove(place) {
            Some(end) => end,
            None if is_pending(place) => RetryEnd::NotTaken,
            None => RetryEnd::UnderWay,
        };
        places.iter().map(end).collect()
    }

    /// Whoever waits is told that it is over when this is dropped.
    pub(super) fn closing(&self) -> Closing<'_> {
        Closing(self)
    }

    /// The next letter, which is then under way.
    pub(super) fn next(&self) -> Option<LetterRetry> {
        let mut state = self.lock();
        let letter = state.pending.pop_front()?;
        state.taken.insert(letter.place.clone());
        Some(letter)
    }

    /// A letter that was taken is not given to the job.
    pub(super) fn skip(&self, place: LetterPlace, reason: String) {
        let mut state = self.lock();
        state.taken.remove(&place);
        state.ends.insert(place, RetryEnd::Skipped(reason));
        self.changed.notify_all();
    }

    /// What became of a letter is durable: of one that was taken, or, where a batch of before the
    /// host died was replayed, of one that waits and need not be taken any more.
    pub(super) fn durable(&self, letter: &MarkedLetter) {
        let mut state = self.lock();
        let waiting = state.pending.len();
        let is_done = |one: &LetterRetry| one.place == letter.place && !one.again;
        state.pending.retain(|one| !is_done(one));
        if state.taken.remove(&letter.place) || state.pending.len() < waiting {
            let end = RetryEnd::Durable(letter.mark.clone());
            state.ends.insert(letter.place.clone(), end);
            self.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamhost_core::protocol::LetterOutcome;

    const LONG: Duration = Duration::from_secs(60);

    fn letter(offset: Offset, again: bool) -> LetterRetry {
        LetterRetry {
            place: LetterPlace {
                topic: "d".into(),
                partition: 0,
                offset,
            },
            sent_ms: 0,
            topic: "t".into(),
            partition: 0,
            offset,
            time_ms: 0,
            key: None,
            value: None,
            headers: Vec::new(),
            again,
        }
    }

    fn mark() -> LetterMark {
        LetterMark {
            sent_ms: 0,
            at_ms: 0,
            version: 1,
            batch: 1,
            outcome: LetterOutcome::Filtered,
        }
    }

    fn durable(retries: &Retries, offset: Offset) {
        let place = letter(offset, false).place;
        retries.durable(&MarkedLetter {
            place,
            mark: mark(),
        });
    }

    fn run(retries: &Retries, letters: &[LetterRetry]) -> Vec<RetryEnd> {
        retries.run(letters.to_vec(), Duration::ZERO, &|_| Ok(None))
    }

    #[test]
    fn what_became_of_another_letter_ends_no_waiting() {
        let retries = Retries::default();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| retries.run(vec![letter(1, false)], LONG, &|_| Ok(None)));
            let taken = std::iter::repeat_with(|| retries.next()).find_map(|next| next);
            durable(&retries, 9); // of a batch that was replayed
            durable(&retries, taken.expect("it comes").offset);
            assert_eq!(waiting.join().unwrap(), [RetryEnd::Durable(mark())]);
        });
    }

    #[test]
    fn a_letter_that_was_retried_meanwhile_is_not_taken() {
        let retries = Retries::default();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| retries.run(vec![letter(1, false)], LONG, &|_| Ok(None)));
            while retries.lock().pending.is_empty() {
                std::thread::yield_now();
            }
            durable(&retries, 1); // a replay, before the runner takes letters
            assert_eq!(waiting.join().unwrap(), [RetryEnd::Durable(mark())]);
        });
        assert_eq!(retries.next(), None);
        let known = retries.run(vec![letter(1, false)], Duration::ZERO, &|_| {
            Ok(Some(mark()))
        });
        assert_eq!(
            known,
            [RetryEnd::Durable(mark())],
            "before it waited at all"
        );
        let again = retries.run(vec![letter(1, true)], Duration::ZERO, &|_| Ok(Some(mark())));
        assert_eq!(again, [RetryEnd::NotTaken], "it would have been, once more");
    }

    #[test]
    fn a_letter_under_way_is_not_taken_twice() {
        let retries = Retries::default();
        retries.lock().pending.push_back(letter(1, false));
        assert!(retries.next().is_some());
        for again in [false, true] {
            assert_eq!(run(&retries, &[letter(1, again)]), [RetryEnd::UnderWay]);
        }
        durable(&retries, 1);
        drop(retries.closing());
        assert_eq!(run(&retries, &[letter(1, true)]), [RetryEnd::NotTaken]);
    }
}
