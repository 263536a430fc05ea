//! Joins of two streams. Each item is kept until no partner can come any more; a pair is given when
//! the later one of its items comes.

use super::KeyedError;
use super::entry::{self, VALUE};
use super::shuffle::Item;
use super::stage::Stage;
use super::stage_store::{StageStore, Walk};
use super::timers::Timers;
use super::times::{self, StageTimes};
use crate::contract::VersionFault;
use crate::job::Join;
use crate::state::StoreError;
use std::ops::ControlFlow;

const LEFT: u8 = 0;
/// Bytes of a key that an error shows.
const KEY_SHOWN_BYTES_MAX: usize = 32;

/// Whether an item is to be let go.
pub(super) fn is_due(
    store: &mut StageStore<'_>,
    join: Join,
    times: StageTimes,
) -> Result<bool, StoreError> {
    Timers::load(store)?.is_due(store, over_through(join, times))
}

/// Pairs the batch's items with what is kept and with each other, one by one in their order, and
/// lets go what can have no partner any more.
pub(super) fn run(
    stage: &mut Stage<'_>,
    mut items: Vec<Item<'_>>,
    join: Join,
) -> Result<(), KeyedError> {
    let before_ms = stage.times.before_ms;
    stage.drop_late(&mut items, |item| item.time_ms < before_ms);
    let mut timers = Timers::load(&mut stage.store)?;
    let mut pairs = 0;
    for (place, item) in items.iter().enumerate() {
        let had_partner = pair(stage, item, join, &mut pairs)?;
        let name = entry::joined(
            item.key,
            item.side,
            item.time_ms,
            Some((stage.times.batch, place as u32)),
        );
        let value = if item.side == LEFT {
            [&[u8::from(had_partner)], item.value].concat()
        } else {
            item.value.to_vec()
        };
        stage.store.add(&entry::of_key(&name), &value)?;
        timers.add(&mut stage.store, item.time_ms, &name)?;
    }
    timers.take_due(
        stage,
        over_through(join, stage.times),
        |stage, _, _, name| {
            purge(stage, join, name)?;
            Ok(ControlFlow::Continue(()))
        },
    )?;
    timers.store(&mut stage.store)?;
    Ok(())
}

/// Items of then or before have no partner to come.
fn over_through(join: Join, times: StageTimes) -> Option<i64> {
    times::through(times.late_threshold_ms, join.within_ms.saturating_add(1))
}

/// Gives the pairs of an item with what is kept of the other side, in order of time and arrival.
/// Whether there were any.
fn pair(
    stage: &mut Stage<'_>,
    item: &Item<'_>,
    join: Join,
    pairs: &mut u64,
) -> Result<bool, KeyedError> {
    let other = 1 - item.side;
    let first_ms = item.time_ms.saturating_sub(join.within_ms);
    let last_ms = item.time_ms.saturating_add(join.within_ms);
    let from = entry::of_key(&entry::joined(item.key, other, first_ms, None));
    let to = match last_ms.checked_add(1) {
        Some(next_ms) => entry::of_key(&entry::joined(item.key, other, next_ms, None)),
        None => entry::of_key(
            &[
                &entry::joined(item.key, other, last_ms, None)[..],
                &[u8::MAX; 13],
            ]
            .concat(),
        ),
    };
    let mut walk = Walk::new(from, to, stage.portion.look);
    let mut had_partner = false;
    loop {
        let partners = walk.next(&mut stage.store)?;
        if partners.is_empty() {
            return Ok(had_partner);
        }
        had_partner = true;
        *pairs += partners.len() as u64;
        if *pairs > stage.portion.pairs {
            return Err(too_many(stage, item.key).into());
        }
        for (name, mut kept) in partners {
            let (_, time_ms) =
                entry::side_and_time(&name[1..]).ok_or_else(|| entry::damaged("a joined item"))?;
            let time_ms = time_ms.max(item.time_ms);
            if item.side == LEFT {
                stage.give_pair(item.key, item.value, Some(&kept), time_ms)?;
                continue;
            }
            let left = kept
                .get(1..)
                .ok_or_else(|| entry::damaged("a joined item"))?;
            stage.give_pair(item.key, left, Some(item.value), time_ms)?;
            if join.left && kept[0] == 0 {
                kept[0] = 1;
                stage.store.put(&name, &kept)?;
            }
        }
    }
}

/// An item can have no partner any more; a left one that had none is given alone.
fn purge(stage: &mut Stage<'_>, join: Join, name: &[u8]) -> Result<(), KeyedError> {
    let key = [&[VALUE], name].concat();
    let (side, time_ms) =
        entry::side_and_time(name).ok_or_else(|| entry::damaged("a join's timer"))?;
    if join.left && side == LEFT {
        let kept = stage
            .store
            .get(&key)?
            .ok_or_else(|| entry::damaged("a join's timer"))?;
        if let Some((0, left)) = kept.split_first() {
            let key = entry::key_joined(name).ok_or_else(|| entry::damaged("a join's timer"))?;
            stage.give_pair(key, left, None, time_ms)?;
        }
    }
    stage.store.remove(&key)?;
    Ok(())
}

fn too_many(stage: &Stage<'_>, key: &[u8]) -> VersionFault {
    let (name, max) = (&stage.spec.name, stage.portion.pairs);
    let shown = key[..key.len().min(KEY_SHOWN_BYTES_MAX)].escape_ascii();
    let more = if key.len() > KEY_SHOWN_BYTES_MAX {
        "…"
    } else {
        ""
    };
    VersionFault::TooMuch {
        what: format!(
            "stage `{name}` makes more than {max} pairs in one batch, last for key \"{shown}{more}\": join by a finer key, or \
         within a shorter time"
        ),
    }
}
