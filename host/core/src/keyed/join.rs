//! Joins of two streams. Each item is kept until no partner can come any more; a pair is given when
//! the later one of its items comes.

use super::KeyedError;
use super::entry::{self, VALUE};
use super::shuffle::Item;
use super::stage::Stage;
use super::stage_store::{StageStore, Walk};
use super::timers::Timers;
use super::times::StageTimes;
use crate::contract::VersionFault;
use crate::job::{Join, JoinSide};
use crate::state::StoreError;
use std::ops::ControlFlow;

/// Bytes of a key that an error shows.
const KEY_SHOWN_BYTES_MAX: usize = 32;

/// Whether an item is to be let go.
pub(super) fn is_due(
    store: &mut StageStore<'_>,
    join: Join,
    times: StageTimes,
) -> Result<bool, StoreError> {
    Timers::load(store)?.is_due(store, join.over_through(times.late_threshold_ms))
}

/// Pairs the batch's items with what is kept and with each other, one by one in their order, and
/// lets go what can have no partner any more.
pub(super) fn run(
    stage: &mut Stage<'_>,
    mut items: Vec<Item<'_>>,
    join: Join,
) -> Result<(), KeyedError> {
    let before_ms = stage.times.before_ms;
    stage.drop_late(&mut items, |item| {
        join.partners.is_late(item.time_ms, before_ms)
    });
    let mut timers = Timers::load(&mut stage.store)?;
    let mut pairs = 0;
    for (place, item) in items.iter().enumerate() {
        let side = JoinSide::of(item.side);
        let had_partner = pair(stage, item, join, &mut pairs)?;
        let name = entry::joined(
            item.key,
            item.side,
            item.time_ms,
            Some((stage.times.batch, place as u32)),
        );
        let value = if join.notes_partner(side) {
            [&[u8::from(had_partner)], item.value].concat()
        } else {
            item.value.to_vec()
        };
        stage.store.add(&entry::of_key(&name), &value)?;
        timers.add(&mut stage.store, join.timer_ms(side, item.time_ms), &name)?;
    }
    let over_through = join.over_through(stage.times.late_threshold_ms);
    timers.take_due(stage, over_through, |stage, timers, _, name| {
        purge(stage, timers, join, name)?;
        Ok(ControlFlow::Continue(()))
    })?;
    timers.store(&mut stage.store)?;
    Ok(())
}

/// Gives the pairs of an item with what is kept of the other side, in order of time and arrival.
/// Whether there were any.
fn pair(
    stage: &mut Stage<'_>,
    item: &Item<'_>,
    join: Join,
    pairs: &mut u64,
) -> Result<bool, KeyedError> {
    let side = JoinSide::of(item.side);
    let (from, to) = partners(item, join);
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
            let (number, time_ms) =
                entry::side_and_time(&name[1..]).ok_or_else(|| entry::damaged("a joined item"))?;
            let time_ms = time_ms.max(item.time_ms);
            let other = JoinSide::of(number);
            let (_, partner) = read(join, other, &kept)?;
            let (left, right) = match side {
                JoinSide::Left => (item.value, partner),
                JoinSide::Right => (partner, item.value),
            };
            stage.give_pair(item.key, Some(left), Some(right), time_ms)?;
            if join.gives_alone(other) && kept[0] == 0 {
                kept[0] = 1;
                stage.store.put(&name, &kept)?;
            }
        }
    }
}

/// From where to where the partners of an item stand in the state.
fn partners(item: &Item<'_>, join: Join) -> (Vec<u8>, Vec<u8>) {
    let other = 1 - item.side;
    let (first_ms, last_ms) = join.partners.times(JoinSide::of(item.side), item.time_ms);
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
    (from, to)
}

/// Whether what is kept of a side had a partner, where that is noted, and the item.
fn read(join: Join, side: JoinSide, kept: &[u8]) -> Result<(bool, &[u8]), StoreError> {
    if !join.notes_partner(side) {
        return Ok((true, kept));
    }
    let (noted, item) = kept
        .split_first()
        .ok_or_else(|| entry::damaged("a joined item"))?;
    Ok((*noted != 0, item))
}

/// An item can have no partner any more; one that had none is given alone, where the join does
/// that. A version with other distances may have set its timer too early.
fn purge(
    stage: &mut Stage<'_>,
    timers: &mut Timers,
    join: Join,
    name: &[u8],
) -> Result<(), KeyedError> {
    let damaged = || entry::damaged("a join's timer");
    let key = [&[VALUE], name].concat();
    let (number, time_ms) = entry::side_and_time(name).ok_or_else(damaged)?;
    let side = JoinSide::of(number);
    if !join.is_over(side, time_ms, stage.times.late_threshold_ms) {
        timers.set(&mut stage.store, join.timer_ms(side, time_ms), name)?;
        return Ok(());
    }
    if join.gives_alone(side) {
        let kept = stage.store.get(&key)?.ok_or_else(damaged)?;
        if let (false, item) = read(join, side, &kept)? {
            let of_key = entry::key_joined(name).ok_or_else(damaged)?;
            let (left, right) = match side {
                JoinSide::Left => (Some(item), None),
                JoinSide::Right => (None, Some(item)),
            };
            stage.give_pair(of_key, left, right, time_ms)?;
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
