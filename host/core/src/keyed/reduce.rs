//! Reductions without windows: of each batch alone, and running ones.

use super::entry::{self, Running};
use super::shuffle::{Groups, Item};
use super::stage::Stage;
use super::stage_store::StageStore;
use super::timers::Timers;
use super::{KeyedError, merge, times, untimed};
use crate::limits;
use crate::state::StoreError;
use std::ops::ControlFlow;

/// Merges what has one key in this batch.
pub(super) fn each_batch(stage: &mut Stage<'_>, items: &[Item<'_>]) -> Result<(), KeyedError> {
    let groups = Groups::by_key(items);
    let clock_ms = stage.times.clock_ms;
    merge::in_portions(
        stage,
        groups.len(),
        None,
        |_, i, merge| Ok(merge.add(groups.head(i, items).key, None, groups.values(i, items))),
        |stage, i, place, merged| {
            let key = groups.head(i, items).key;
            match merged.get(place) {
                Ok(accumulator) => stage.give_group(key, accumulator, clock_ms, clock_ms)?,
                Err(failed) => stage.letter(failed.reason, clock_ms, key, failed.value()),
            }
            Ok(())
        },
    )
}

/// Merges with what is kept, gives what changed, and forgets keys that were silent for longer than
/// they are kept.
pub(super) fn running(
    stage: &mut Stage<'_>,
    items: &[Item<'_>],
    expire_ms: Option<u64>,
) -> Result<(), KeyedError> {
    if stage.times.gives_timers && !items.is_empty() {
        untimed::begin(&mut stage.store, expire_ms)?;
    }
    let groups = Groups::by_key(items);
    let clock_ms = stage.times.clock_ms;
    let expired = expired_through(clock_ms, expire_ms);
    let mut timers = Timers::load(&mut stage.store)?;
    let entry_of = |i| entry::of_key(groups.head(i, items).key);
    merge::in_portions(
        stage,
        groups.len(),
        Some(&entry_of),
        |stage, i, merge| {
            let kept = stage.store.get(&entry_of(i))?;
            let kept = kept.as_deref().map(Running::read).transpose()?;
            let alive =
                kept.filter(|(head, _)| expired.is_none_or(|through_ms| head.last_ms > through_ms));
            let place = merge.add(
                groups.head(i, items).key,
                alive.map(|(_, accumulator)| accumulator),
                groups.values(i, items),
            );
            Ok((place, kept.and_then(|(head, _)| head.timer_ms)))
        },
        |stage, i, (place, mut timer_ms), merged| {
            let key = groups.head(i, items).key;
            let accumulator = match merged.get(place) {
                Ok(accumulator) => accumulator,
                Err(failed) => {
                    stage.letter(failed.reason, clock_ms, key, failed.value());
                    return Ok(());
                }
            };
            if let (None, Some(expire_ms)) = (timer_ms, expire_ms) {
                let time_ms = timer_for(clock_ms, expire_ms);
                timers.set(&mut stage.store, time_ms, key)?;
                timer_ms = Some(time_ms);
            }
            let head = Running {
                last_ms: clock_ms,
                timer_ms,
            };
            stage
                .store
                .put(&entry::of_key(key), &head.write(accumulator))?;
            stage.give_group(key, accumulator, clock_ms, clock_ms)
        },
    )?;
    if stage.times.gives_timers {
        untimed::give_timers(stage, &mut timers, expire_ms)?;
    }
    if let Some(expire_ms) = expire_ms {
        forget(stage, &mut timers, expire_ms)?;
    }
    timers.store(&mut stage.store)?;
    Ok(())
}

/// Whether a key may have to be forgotten.
pub(super) fn is_due(
    store: &mut StageStore<'_>,
    clock_ms: i64,
    expire_ms: Option<u64>,
) -> Result<bool, StoreError> {
    match expire_ms {
        Some(_) if untimed::are_there(store)? => Ok(true),
        Some(_) => Timers::load(store)?.is_due(store, expired_through(clock_ms, expire_ms)),
        None => Ok(false),
    }
}

/// A key has one timer, which is not moved at each of its records: when it is due, it is looked
/// whether it should be. What is due all at once, such as what was first seen in a backfill, is
/// worked off over several batches: a key that is silent for too long counts as forgotten, removed
/// or not.
fn forget(stage: &mut Stage<'_>, timers: &mut Timers, expire_ms: u64) -> Result<(), KeyedError> {
    let through_ms = expired_through(stage.times.clock_ms, Some(expire_ms));
    let (mut keys, mut bytes) = (0, 0);
    timers.take_due(stage, through_ms, |stage, timers, _, key| {
        let entry_key = entry::of_key(key);
        if let Some(value) = stage.store.get(&entry_key)? {
            let (head, accumulator) = Running::read(&value)?;
            if through_ms.is_some_and(|through_ms| head.last_ms <= through_ms) {
                stage.store.remove(&entry_key)?;
            } else {
                let time_ms = timer_for(head.last_ms, expire_ms);
                timers.set(&mut stage.store, time_ms, key)?;
                stage.store.put(
                    &entry_key,
                    &Running {
                        timer_ms: Some(time_ms),
                        ..head
                    }
                    .write(accumulator),
                )?;
            }
            bytes += value.len();
        }
        keys += 1;
        let enough = keys >= stage.portion.expiries || bytes >= limits::EXPIRY_BYTES_PER_BATCH_MAX;
        Ok(if enough {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    })
}

/// Keys whose last record was then or before are forgotten.
pub(super) fn expired_through(clock_ms: i64, expire_ms: Option<u64>) -> Option<i64> {
    let expire_ms = i64::try_from(expire_ms?).unwrap_or(i64::MAX);
    times::through(clock_ms, expire_ms.saturating_add(1))
}

/// Timers stand at coarse times, not before the key's last record, so that forgetting wakes the job
/// seldom.
pub(super) fn timer_for(last_ms: i64, expire_ms: u64) -> i64 {
    let part_ms = i64::try_from(expire_ms / limits::EXPIRY_STEPS).unwrap_or(i64::MAX);
    let step_ms = part_ms.max(limits::EXPIRY_STEP_MS_MIN);
    match last_ms.rem_euclid(step_ms) {
        0 => last_ms,
        past_ms => last_ms.saturating_add(step_ms - past_ms),
    }
}
