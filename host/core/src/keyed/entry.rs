//! How a stage's entries look. Keys begin with a byte that says what the entry is; numbers in keys
//! are big-endian with the sign flipped, so that bytes stand in the order of numbers and "all that
//! is over" is one stretch.
//!
//! | stage | key | value |
//! |---|---|---|
//! | running | `1` key | last record's clock, its timer, accumulator |
//! | panes | `1` pane's begin, key | accumulator |
//! | panes | `3` first window's begin, pane's begin, key | accumulator of what came too late for the windows before |
//! | sessions | `1` key | its open sessions: each one's first, last, length, accumulator |
//! | join | `1` length of key, key, side, time, batch, number in it | of lefts, and of rights of a right or outer join: 1 if it had a partner, else 0; item |
//! | lookup | `1` key | item |
//! | process | `1` key | see `process/kept.rs` |
//! | running, sessions, join | `2` time, what is then due | |
//! | process | `2` time of its first timer of event time, key | |
//! | process | `4` time of its first timer of the batches' time, key | |
//! | process | `5` time from which on it may be forgotten, key | |
//! | all | `0` | one number that the stage notes for itself |
//! | panes | `0` `2` | the last window that was given before it was over |
//! | process | `0` `4`, `0` `5` | how far these timers were removed |
//! | running | `0` `1` | `1`: every key has a timer; `0` key: those above it may have none |

use super::process::kept;
use crate::job::{StageKind, WindowForm};
use crate::state::StoreError;
use std::ops::Range;

/// The stage's own number.
pub(super) const NOTE: u8 = 0;
/// What is kept for a key.
pub(super) const VALUE: u8 = crate::state::KEPT;
/// What is kept for a key and counts for some of its windows.
pub(super) const SOME: u8 = crate::state::KEPT_FOR_SOME;
/// What is due at a time.
pub(super) const TIMER: u8 = 2;
/// What is due at a time of the batches, where `TIMER` is of event time.
pub(super) const BATCH_TIMER: u8 = 4;
/// What may have to be forgotten then.
pub(super) const EXPIRY: u8 = 5;

/// The key of how far keys have timers.
pub(super) const TIMED: [u8; 2] = [NOTE, 1];
/// The key of the last window that was given before it was over.
pub(super) const GIVEN: [u8; 2] = [NOTE, 2];

/// Bytes of a time.
pub(super) const TIME: usize = 8;

const SIGN: u64 = 1 << 63;
/// Of a running reduction, before its accumulator.
const RUNNING_HEAD: usize = 2 * TIME;
/// Of a session, before its accumulator.
const SESSION_HEAD: usize = 2 * TIME + 4;

/// The accumulators in an entry of a stage of this kind, in order. None: an entry without, such as
/// a timer, or one that is not as it was written.
pub fn accumulators<'v>(kind: &StageKind, key: &[u8], value: &'v [u8]) -> Option<Vec<&'v [u8]>> {
    if !crate::state::is_kept(key) {
        return None;
    }
    match kind {
        StageKind::Running { .. } => value
            .get(RUNNING_HEAD..)
            .map(|accumulator| vec![accumulator]),
        StageKind::Window(window) => match window.form {
            WindowForm::Panes { .. } => Some(vec![value]),
            WindowForm::Session { .. } => {
                let sessions = sessions(value)?;
                Some(
                    sessions
                        .into_iter()
                        .map(|session| &value[session.accumulator])
                        .collect(),
                )
            }
        },
        StageKind::Process(_) => {
            let state = kept::state_of(value)?;
            Some(state.into_iter().map(|state| &value[state]).collect())
        }
        StageKind::EachBatch | StageKind::Join(_) | StageKind::Lookup => None,
    }
}

/// The entry's value with these accumulators in the places of its own. An entry without any, or
/// with another number of them, stays as it is.
pub fn with_accumulators(
    kind: &StageKind,
    key: &[u8],
    value: &[u8],
    accumulators: &[&[u8]],
) -> Vec<u8> {
    let own = self::accumulators(kind, key, value);
    if own.is_none_or(|own| own.len() != accumulators.len()) {
        return value.to_vec();
    }
    match kind {
        StageKind::Running { .. } => [&value[..RUNNING_HEAD], accumulators[0]].concat(),
        StageKind::Window(window) if matches!(window.form, WindowForm::Session { .. }) => {
            let mut out = Vec::new();
            for (session, accumulator) in sessions(value).into_iter().flatten().zip(accumulators) {
                put_session(&mut out, session.first_ms, session.last_ms, accumulator);
            }
            out
        }
        StageKind::Process(_) => match (kept::state_of(value).flatten(), accumulators) {
            (Some(state), [new]) => [&value[..state.start], new].concat(),
            _ => value.to_vec(),
        },
        _ => accumulators[0].to_vec(),
    }
}

/// An entry that is not as it was written.
pub(super) fn damaged(what: &str) -> StoreError {
    StoreError::Damaged(format!("{what} is not as it was written"))
}

pub(super) fn time_bytes(time_ms: i64) -> [u8; TIME] {
    (time_ms as u64 ^ SIGN).to_be_bytes()
}

/// The time that begins at a byte.
pub(super) fn time_at(bytes: &[u8], at: usize) -> Option<i64> {
    let bytes: [u8; TIME] = bytes.get(at..at + TIME)?.try_into().ok()?;
    Some((u64::from_be_bytes(bytes) ^ SIGN) as i64)
}

/// The key of what is kept for a key.
pub(super) fn of_key(key: &[u8]) -> Vec<u8> {
    [&[VALUE], key].concat()
}

/// The key of what is kept or due for a time.
pub(super) fn of_time(tag: u8, time_ms: i64, rest: &[u8]) -> Vec<u8> {
    [&[tag], &time_bytes(time_ms)[..], rest].concat()
}

/// The first key above those of a time and before. At the end of time: above all of the tag.
pub(super) fn above_time(tag: u8, time_ms: i64) -> Vec<u8> {
    match time_ms.checked_add(1) {
        Some(next) => of_time(tag, next, &[]),
        None => vec![tag + 1],
    }
}

/// What a join keeps of one side of a key from a time on, without the tag. Numbered by batch and
/// place in it, so that a replay writes the same.
pub(super) fn joined(key: &[u8], side: u8, time_ms: i64, number: Option<(u64, u32)>) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 + key.len() + 1 + TIME + 12);
    out.extend_from_slice(&(key.len() as u32).to_be_bytes());
    out.extend_from_slice(key);
    out.push(side);
    out.extend_from_slice(&time_bytes(time_ms));
    if let Some((batch, place)) = number {
        out.extend_from_slice(&batch.to_be_bytes());
        out.extend_from_slice(&place.to_be_bytes());
    }
    out
}

/// The item's own key in a key of a join, without the tag.
pub(super) fn key_joined(joined: &[u8]) -> Option<&[u8]> {
    let length: [u8; 4] = joined.get(..4)?.try_into().ok()?;
    joined.get(4..)?.get(..u32::from_be_bytes(length) as usize)
}

/// Side and time in a key of a join, without the tag.
pub(super) fn side_and_time(joined: &[u8]) -> Option<(u8, i64)> {
    let length: [u8; 4] = joined.get(..4)?.try_into().ok()?;
    let at = 4usize.checked_add(u32::from_be_bytes(length) as usize)?;
    Some((*joined.get(at)?, time_at(joined, at + 1)?))
}

/// What is kept for a key of a running reduction, before its accumulator.
#[derive(Clone, Copy)]
pub(super) struct Running {
    /// The clock of the last batch that had a record of it.
    pub(super) last_ms: i64,
    /// When its timer is, if it has one.
    pub(super) timer_ms: Option<i64>,
}

impl Running {
    pub(super) fn read(value: &[u8]) -> Result<(Running, &[u8]), StoreError> {
        let read = || {
            let timer_ms = time_at(value, TIME)?;
            let head = Running {
                last_ms: time_at(value, 0)?,
                timer_ms: (timer_ms != i64::MIN).then_some(timer_ms),
            };
            Some((head, &value[RUNNING_HEAD..]))
        };
        read().ok_or_else(|| damaged("a running reduction"))
    }

    pub(super) fn write(self, accumulator: &[u8]) -> Vec<u8> {
        [
            &time_bytes(self.last_ms)[..],
            &time_bytes(self.timer_ms.unwrap_or(i64::MIN)),
            accumulator,
        ]
        .concat()
    }
}

/// An open session of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) first_ms: i64,
    pub(super) last_ms: i64,
    /// Where its accumulator is in the entry.
    pub(super) accumulator: Range<usize>,
}

/// A key's sessions, in order of time.
pub(super) fn sessions(value: &[u8]) -> Option<Vec<Session>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < value.len() {
        let length: [u8; 4] = value
            .get(at + 2 * TIME..at + SESSION_HEAD)?
            .try_into()
            .ok()?;
        let from = at + SESSION_HEAD;
        let accumulator = from..from.checked_add(u32::from_le_bytes(length) as usize)?;
        value.get(accumulator.clone())?;
        let (first_ms, last_ms) = (time_at(value, at)?, time_at(value, at + TIME)?);
        at = accumulator.end;
        found.push(Session {
            first_ms,
            last_ms,
            accumulator,
        });
    }
    Some(found)
}

pub(super) fn put_session(out: &mut Vec<u8>, first_ms: i64, last_ms: i64, accumulator: &[u8]) {
    out.extend_from_slice(&time_bytes(first_ms));
    out.extend_from_slice(&time_bytes(last_ms));
    out.extend_from_slice(&(accumulator.len() as u32).to_le_bytes());
    out.extend_from_slice(accumulator);
}
