//! Dead letters that are to be given to the job once more: who asks for it waits here, and the
//! runner takes them from here, one after the other.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use streamhost_core::protocol::{LetterMark, LetterPlace, MarkedLetter};
use streamhost_core::types::Offset;

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
    pub fn run(&self, letters: Vec<LetterRetry>, time: Duration) -> Vec<RetryEnd> {
        let places: Vec<_> = letters.iter().map(|letter| letter.place.clone()).collect();
        let mut state = self.lock();
        state.ends.clear();
        state.pending.extend(letters);
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
        self.lock().pending.pop_front()
    }

    /// A letter that was taken is not given to the job.
    pub(super) fn skip(&self, place: LetterPlace, reason: String) {
        self.lock().ends.insert(place, RetryEnd::Skipped(reason));
        self.changed.notify_all();
    }

    /// What became of a letter is durable. One that still waits is meant by a retry of before.
    pub(super) fn durable(&self, letter: &MarkedLetter) {
        let mut state = self.lock();
        if !state.pending.iter().any(|one| one.place == letter.place) {
            let end = RetryEnd::Durable(letter.mark.clone());
            state.ends.insert(letter.place.clone(), end);
            self.changed.notify_all();
        }
    }
}
