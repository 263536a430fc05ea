//! Keys without a timer: what a version without expiry has kept. Under one with expiry they would be
//! kept for ever if nothing more came of them, as only a timer says that a key has been silent for
//! too long. So they are given one, some in each batch, from the least key on.
//!
//! How far that has come is a part of the stage's state. So a crash leaves it where its checkpoint
//! is, and a replay goes over the same keys.

use super::KeyedError;
use super::entry::{self, Running, TIMED};
use super::reduce::timer_for;
use super::stage::Stage;
use super::stage_store::{self, StageStore, Walk};
use super::timers::Timers;
use crate::limits;
use crate::state::StoreError;

/// How far keys have timers.
enum Reached {
    /// It is not known, or they have none by the version's will.
    Nowhere,
    /// Those above this entry's key may have none.
    Key(Vec<u8>),
    /// All of them.
    End,
}

const END: [u8; 1] = [1];

fn reached(store: &mut StageStore<'_>) -> Result<Reached, StoreError> {
    Ok(match store.get(&TIMED)?.as_deref() {
        None => Reached::Nowhere,
        Some([0, key @ ..]) => Reached::Key(key.to_vec()),
        Some(_) => Reached::End,
    })
}

fn first(store: &mut StageStore<'_>) -> Result<Option<Vec<u8>>, StoreError> {
    stage_store::first(store, &[entry::VALUE], &[entry::VALUE + 1])
}

/// Before a batch with items: a stage without keys has none without a timer; and without expiry new keys get
/// none.
pub(super) fn begin(store: &mut StageStore<'_>, expire_ms: Option<u64>) -> Result<(), StoreError> {
    match (reached(store)?, expire_ms) {
        (Reached::Nowhere, Some(_)) if first(store)?.is_none() => store.put(&TIMED, &END),
        (Reached::Key(_) | Reached::End, None) => store.remove(&TIMED).map(drop),
        _ => Ok(()),
    }
}

/// Whether a stage with expiry may have some.
pub(super) fn are_there(store: &mut StageStore<'_>) -> Result<bool, StoreError> {
    Ok(match reached(store)? {
        Reached::Nowhere => first(store)?.is_some(),
        Reached::Key(_) => true,
        Reached::End => false,
    })
}

/// Gives the next of them their timers, by when their last record was.
pub(super) fn give_timers(
    stage: &mut Stage<'_>,
    timers: &mut Timers,
    expire_ms: Option<u64>,
) -> Result<(), KeyedError> {
    let Some(expire_ms) = expire_ms else {
        return Ok(());
    };
    let from = match reached(&mut stage.store)? {
        Reached::Nowhere if first(&mut stage.store)?.is_none() => return Ok(()),
        Reached::Nowhere => vec![entry::VALUE],
        Reached::Key(key) => [&key[..], &[0]].concat(), // the least one above it
        Reached::End => return Ok(()),
    };
    let mut walk = Walk::new(from, vec![entry::VALUE + 1], stage.portion.look);
    let (mut keys, mut bytes) = (0, 0);
    loop {
        stage.check_stop()?;
        let found = walk.next(&mut stage.store)?;
        if found.is_empty() {
            return Ok(stage.store.put(&TIMED, &END)?);
        }
        for (key, value) in found {
            let (head, accumulator) = Running::read(&value)?;
            if head.timer_ms.is_none() {
                let time_ms = timer_for(head.last_ms, expire_ms);
                timers.set(&mut stage.store, time_ms, &key[1..])?;
                let timer_ms = Some(time_ms);
                let head = Running { timer_ms, ..head };
                stage.store.put(&key, &head.write(accumulator))?;
            }
            keys += 1;
            bytes += value.len();
            if keys >= stage.portion.expiries || bytes >= limits::EXPIRY_BYTES_PER_BATCH_MAX {
                return Ok(stage.store.put(&TIMED, &[&[0], &key[..]].concat())?);
            }
        }
    }
}
