//! What is kept for a key: the clock of the last batch that had an item of it, when it may have to
//! be forgotten, how many timers it has of each kind, these, and its state, if it has one.

use crate::keyed::entry::{self, TIME};
use crate::state::StoreError;
use std::ops::Range;

/// Before the timers: two times, and how many timers there are of each kind.
const HEAD: usize = 2 * TIME + 2 * COUNT;
const COUNT: usize = size_of::<u32>();
/// Nothing of a key is to be forgotten.
const NEVER_MS: i64 = i64::MIN;

/// What is kept for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// The clock of the last batch that had an item of it.
    pub(super) last_ms: i64,
    /// Where its expiry is.
    pub(super) expiry_ms: Option<i64>,
    /// Its timers of event time, ascending.
    pub(super) event_ms: Vec<i64>,
    /// Its timers of the batches' time, ascending.
    pub(super) batch_ms: Vec<i64>,
    pub(super) state: Option<Vec<u8>>,
}

impl Kept {
    /// Of a key that nothing is kept for.
    pub(super) fn nothing(clock_ms: i64) -> Self {
        Kept {
            last_ms: clock_ms,
            expiry_ms: None,
            event_ms: Vec::new(),
            batch_ms: Vec::new(),
            state: None,
        }
    }

    /// There is nothing to keep.
    pub(super) fn is_nothing(&self) -> bool {
        self.state.is_none() && self.event_ms.is_empty() && self.batch_ms.is_empty()
    }

    pub(super) fn read(value: &[u8]) -> Result<Self, StoreError> {
        read(value).ok_or_else(|| entry::damaged("what is kept for a key"))
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let state = self.state.as_deref();
        let timers = self.event_ms.len() + self.batch_ms.len();
        let mut out = Vec::with_capacity(HEAD + TIME * timers + 1 + state.map_or(0, <[u8]>::len));
        out.extend_from_slice(&entry::time_bytes(self.last_ms));
        out.extend_from_slice(&entry::time_bytes(self.expiry_ms.unwrap_or(NEVER_MS)));
        out.extend_from_slice(&(self.event_ms.len() as u32).to_le_bytes());
        out.extend_from_slice(&(self.batch_ms.len() as u32).to_le_bytes());
        for &time_ms in self.event_ms.iter().chain(&self.batch_ms) {
            out.extend_from_slice(&entry::time_bytes(time_ms));
        }
        out.push(u8::from(state.is_some()));
        out.extend_from_slice(state.unwrap_or_default());
        out
    }
}

/// Where what is kept is in an entry.
struct Parts {
    events: Range<usize>,
    batches: Range<usize>,
    state: Option<Range<usize>>,
}

fn parts(value: &[u8]) -> Option<Parts> {
    let count = |at: usize| {
        let bytes: [u8; COUNT] = value.get(at..at + COUNT)?.try_into().ok()?;
        Some(u32::from_le_bytes(bytes) as usize)
    };
    let (events, batches) = (count(2 * TIME)?, count(2 * TIME + COUNT)?);
    let batches_from = HEAD + TIME * events;
    let flag = batches_from + TIME * batches;
    let state = match value.get(flag)? {
        0 if value.len() == flag + 1 => None,
        1 => Some(flag + 1..value.len()),
        _ => return None,
    };
    Some(Parts {
        events: HEAD..batches_from,
        batches: batches_from..flag,
        state,
    })
}

fn read(value: &[u8]) -> Option<Kept> {
    let Parts {
        events,
        batches,
        state,
    } = parts(value)?;
    let times = |places: Range<usize>| -> Option<Vec<i64>> {
        let mut places = places.step_by(TIME);
        places.try_fold(Vec::new(), |mut times, at| {
            times.push(entry::time_at(value, at)?);
            Some(times)
        })
    };
    Some(Kept {
        last_ms: entry::time_at(value, 0)?,
        expiry_ms: entry::time_at(value, TIME).filter(|&ms| ms != NEVER_MS),
        event_ms: times(events)?,
        batch_ms: times(batches)?,
        state: state.map(|state| value[state].to_vec()),
    })
}

/// Where the state is in an entry. The outer none: it is not as it was written.
pub(in crate::keyed) fn state_of(value: &[u8]) -> Option<Option<Range<usize>>> {
    parts(value).map(|parts| parts.state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_reads_back() {
        for state in [None, Some(Vec::new()), Some(b"state".to_vec())] {
            for (event_ms, batch_ms) in [(vec![], vec![]), (vec![-3, 9], vec![7])] {
                for expiry_ms in [None, Some(12)] {
                    let (event_ms, batch_ms) = (event_ms.clone(), batch_ms.clone());
                    let kept = Kept {
                        last_ms: -5,
                        expiry_ms,
                        event_ms,
                        batch_ms,
                        state: state.clone(),
                    };
                    let bytes = kept.write();
                    assert_eq!(Kept::read(&bytes).unwrap(), kept);
                    let range = state_of(&bytes).unwrap();
                    assert_eq!(range.map(|range| bytes[range].to_vec()), state);
                }
            }
        }
    }

    #[test]
    fn what_is_damaged_is_told() {
        let kept = Kept {
            event_ms: vec![1],
            state: Some(b"s".to_vec()),
            ..Kept::nothing(0)
        };
        let whole = kept.write();
        for cut in 0..whole.len() - 1 {
            assert!(Kept::read(&whole[..cut]).is_err(), "{cut}");
        }
        let mut flag = whole;
        flag[HEAD + TIME] = 7;
        assert!(Kept::read(&flag).is_err());
    }
}
