//! A function with a state and timers for each key. A key's items go to it in their order, and its
//! timers of event time between them, each before the first item that is later; so what comes of a
//! key does not depend on where batches end, nor on how far other partitions are, if its items are
//! in order in one partition. Behind its items go those that the watermark has passed.
//!
//! All of a key stands in one entry. Beside it an index says which keys have something due, by the
//! first timer of each kind.

use super::KeyedError;
use super::entry::{self, BATCH_TIMER, EXPIRY, TIMER};
use super::look;
use super::reduce;
use super::shuffle::{Groups, Item};
use super::stage::Stage;
use super::stage_store::StageStore;
use super::timers::Timers;
use super::times::{self, StageTimes};
use crate::contract::{Finished, GroupFault, KeyItems, KeyOutcome, VersionFault};
use crate::job::Process;
use crate::limits;
use crate::state::StoreError;
use crate::types::{Column, END_OF_TIME_MS, NO_TIME_MS};
use kept::Kept;
use portion::{Due, KeyPortion};
use std::ops::ControlFlow;

mod isolate; // what of a key breaks the guest
pub(in crate::keyed) mod kept;
mod portion; // keys that are asked at once

/// Whether a timer is due, or a key may have to be forgotten.
pub(super) fn is_due(
    store: &mut StageStore<'_>,
    process: Process,
    times: StageTimes,
) -> Result<bool, StoreError> {
    let due = [
        (TIMER, events_through(process, times)),
        (BATCH_TIMER, batches_through(times)),
        (
            EXPIRY,
            reduce::expired_through(times.clock_ms, process.expire_ms),
        ),
    ];
    for (tag, through_ms) in due {
        if Timers::load_of(store, tag)?.is_due(store, through_ms)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Timers of event time below the line are due.
fn events_through(process: Process, times: StageTimes) -> Option<i64> {
    match process.event_time {
        true => times::through(times.late_threshold_ms, 1),
        false => None,
    }
}

/// Timers of the batches' time up to the clock are due; at the end of time all.
fn batches_through(times: StageTimes) -> Option<i64> {
    match times.late_threshold_ms {
        END_OF_TIME_MS => Some(END_OF_TIME_MS),
        _ => Some(times.clock_ms),
    }
}

/// Gives the batch's items to the function, and then the timers of keys without any, in order of
/// the first one's time and then by key; those of event time first.
pub(super) fn run(
    stage: &mut Stage<'_>,
    items: &[Item<'_>],
    process: Process,
) -> Result<(), KeyedError> {
    let mut run = Run::begin(stage, process)?;
    run.give_items(stage, items)?;
    for tag in [TIMER, BATCH_TIMER] {
        run.give_timers(stage, tag)?;
    }
    run.forget(stage)?;
    run.end(stage)
}

/// A stage at work in one batch.
struct Run {
    process: Process,
    /// What is due of event time, and of the batches' time.
    through_ms: [Option<i64>; 2],
    /// Of the same.
    timers: [Timers; 2],
    expiries: Timers,
    /// Keys that have something left that is due: it is for the next batch, so its index is written
    /// when this one has been looked through.
    left: Vec<(usize, i64, Vec<u8>)>,
}

const EVENT: usize = 0;
const BATCH: usize = 1;

impl Run {
    fn begin(stage: &mut Stage<'_>, process: Process) -> Result<Run, KeyedError> {
        let store = &mut stage.store;
        Ok(Run {
            process,
            through_ms: [
                events_through(process, stage.times),
                batches_through(stage.times),
            ],
            timers: [
                Timers::load_of(store, TIMER)?,
                Timers::load_of(store, BATCH_TIMER)?,
            ],
            expiries: Timers::load_of(store, EXPIRY)?,
            left: Vec::new(),
        })
    }

    fn end(mut self, stage: &mut Stage<'_>) -> Result<(), KeyedError> {
        for (kind, time_ms, key) in std::mem::take(&mut self.left) {
            // What came of the key later in the batch may have ended it, or it stands there by now.
            let kept = load(stage, self.process, &key)?.map(|(kept, _)| kept);
            let first = kept.as_ref().and_then(|kept| match kind {
                EVENT => kept.event_ms.first(),
                _ => kept.batch_ms.first(),
            });
            if first == Some(&time_ms) {
                self.timers[kind].set(&mut stage.store, time_ms, &key)?;
            }
        }
        for timers in self.timers.iter().chain([&self.expiries]) {
            timers.store(&mut stage.store)?;
        }
        Ok(())
    }

    /// Nothing asked yet.
    fn portion(&self, stage: &Stage<'_>) -> KeyPortion {
        KeyPortion::new(Due {
            watermark_ms: match self.process.event_time {
                true => stage.times.late_threshold_ms,
                false => NO_TIME_MS,
            },
            last: true,
            batch_ms: self.through_ms[BATCH].unwrap_or(NO_TIME_MS),
        })
    }

    fn give_items(&mut self, stage: &mut Stage<'_>, items: &[Item<'_>]) -> Result<(), KeyedError> {
        let groups = Groups::by_key(items);
        let mut portion = self.portion(stage);
        for i in 0..groups.len() {
            if i % limits::STATE_READ_AHEAD == 0 {
                let ahead = i..groups.len().min(i + limits::STATE_READ_AHEAD);
                stage.read_ahead(&mut ahead.map(|i| entry::of_key(groups.head(i, items).key)))?;
            }
            let key = groups.head(i, items).key;
            let kept = self.load(stage, key)?;
            let own = groups.group(i).iter().map(|&place| items[place as usize]);
            if let Err(too_large) = portion.push(key, kept, own, stage.portion.group_bytes) {
                let (reason, shown) = too_large;
                stage.letter(reason, groups.head(i, items).time_ms, key, &shown);
            }
            if portion.is_full(stage.portion) {
                let next = self.portion(stage);
                self.settle(stage, std::mem::replace(&mut portion, next))?;
            }
        }
        self.settle(stage, portion)
    }

    /// Gives keys what is due of them and was not met by an item.
    fn give_timers(&mut self, stage: &mut Stage<'_>, tag: u8) -> Result<(), KeyedError> {
        let kind = usize::from(tag == BATCH_TIMER);
        let mut any = false;
        loop {
            let mut portion = self.portion(stage);
            let mut expired = Vec::new();
            let (through_ms, full) = (self.through_ms[kind], stage.portion);
            let process = self.process;
            self.timers[kind].take_due(stage, through_ms, |stage, _, _, key| {
                match load(stage, process, key)? {
                    Some((kept, false)) => portion.add_timers(key, kept),
                    Some((_, true)) => expired.push(key.to_vec()),
                    None => return Err(entry::damaged("a timer").into()),
                }
                Ok(
                    match portion.is_full(full) || expired.len() >= full.groups {
                        true => ControlFlow::Break(()),
                        false => ControlFlow::Continue(()),
                    },
                )
            })?;
            if portion.is_empty() && expired.is_empty() {
                if any && let Some(through_ms) = through_ms {
                    self.timers[kind].has_taken(through_ms); // whatever the portions were
                }
                return Ok(());
            }
            any = true;
            for key in expired {
                self.remove(stage, &key)?;
            }
            self.settle(stage, portion)?;
        }
    }

    /// What is kept for a key, if it is not forgotten.
    fn load(&mut self, stage: &mut Stage<'_>, key: &[u8]) -> Result<Kept, KeyedError> {
        match load(stage, self.process, key)? {
            Some((kept, false)) => Ok(kept),
            Some((_, true)) => {
                self.remove(stage, key)?;
                Ok(Kept::nothing(stage.times.clock_ms))
            }
            None => Ok(Kept::nothing(stage.times.clock_ms)),
        }
    }

    /// Asks the guest for a portion, and keeps what became of it.
    fn settle(&mut self, stage: &mut Stage<'_>, portion: KeyPortion) -> Result<(), KeyedError> {
        if portion.is_empty() {
            return Ok(());
        }
        let KeyPortion { asked, kept } = portion;
        let finished = Finished::Keys(asked);
        let (outcomes, faults) = stage.ask(&finished, &Column::default())?;
        let Finished::Keys(asked) = finished else {
            unreachable!("keys were asked")
        };
        let mut outcomes = outcomes.into_iter().peekable();
        for (at, kept) in kept.iter().enumerate() {
            if let Some(outcome) = outcomes.next_if(|outcome| outcome.at == at) {
                self.take(stage, &asked, kept, outcome)?;
            }
        }
        for fault in faults {
            match fault.by_host {
                true => self.isolate(stage, &asked, &fault)?,
                false => refused_behind(stage, &asked, fault),
            }
        }
        Ok(())
    }

    /// Keeps what became of a key.
    fn take(
        &mut self,
        stage: &mut Stage<'_>,
        asked: &KeyItems,
        before: &Kept,
        outcome: KeyOutcome,
    ) -> Result<(), KeyedError> {
        let (key, places) = (asked.keys.get(outcome.at), asked.items_of(outcome.at));
        for refusal in outcome.refusals {
            let item = refusal.item.map(|item| places.start + item as usize);
            let value = match item {
                None => &[],
                Some(item) if item < places.end => asked.items.get(item),
                Some(_) => {
                    let broken = "a refusal is of an item that was not given".to_owned();
                    return Err(VersionFault::Contract(broken).into());
                }
            };
            stage.failed(refusal.reason, refusal.time_ms, key, value);
        }
        let last_ms = match places.is_empty() {
            true => before.last_ms,
            false => stage.times.clock_ms,
        };
        let after = Kept {
            last_ms,
            expiry_ms: None,
            event_ms: outcome.event_timers_ms,
            batch_ms: outcome.batch_timers_ms,
            state: outcome.state,
        };
        self.keep(stage, key, before, after)
    }

    /// Writes what is kept for a key, and when it is to be looked at.
    fn keep(
        &mut self,
        stage: &mut Stage<'_>,
        key: &[u8],
        before: &Kept,
        mut after: Kept,
    ) -> Result<(), KeyedError> {
        let firsts = [
            (before.event_ms.first(), after.event_ms.first()),
            (before.batch_ms.first(), after.batch_ms.first()),
        ];
        for (kind, (before_ms, after_ms)) in firsts.into_iter().enumerate() {
            let is_left = after_ms
                .is_some_and(|time_ms| self.through_ms[kind].is_some_and(|due| *time_ms <= due));
            // What was due was taken away, or never stood there.
            if let Some(&time_ms) = before_ms
                && (before_ms != after_ms || is_left)
            {
                self.timers[kind].clear(&mut stage.store, time_ms, key)?;
            }
            match after_ms {
                Some(&time_ms) if is_left => self.left.push((kind, time_ms, key.to_vec())),
                Some(&time_ms) if before_ms != after_ms => {
                    self.timers[kind].set(&mut stage.store, time_ms, key)?;
                }
                Some(_) | None => {}
            }
        }
        let entry_key = entry::of_key(key);
        if after.is_nothing() {
            if let Some(time_ms) = before.expiry_ms {
                self.expiries.clear(&mut stage.store, time_ms, key)?;
            }
            stage.store.remove(&entry_key)?;
            return Ok(());
        }
        after.expiry_ms = before.expiry_ms;
        if let (None, Some(expire_ms)) = (after.expiry_ms, self.process.expire_ms) {
            let time_ms = reduce::timer_for(after.last_ms, expire_ms);
            self.expiries.set(&mut stage.store, time_ms, key)?;
            after.expiry_ms = Some(time_ms);
        }
        Ok(stage.store.put(&entry_key, &after.write())?)
    }

    /// Forgets a key, its timers and all.
    fn remove(&mut self, stage: &mut Stage<'_>, key: &[u8]) -> Result<(), KeyedError> {
        if let Some(value) = stage.store.get(&entry::of_key(key))? {
            let before = Kept::read(&value)?;
            let nothing = Kept::nothing(stage.times.clock_ms);
            self.keep(stage, key, &before, nothing)?;
        }
        Ok(())
    }

    /// Forgets keys that had no item for too long, some in each batch: one that was silent for too
    /// long counts as forgotten, removed or not.
    fn forget(&mut self, stage: &mut Stage<'_>) -> Result<(), KeyedError> {
        let Some(expire_ms) = self.process.expire_ms else {
            return Ok(());
        };
        let through_ms = reduce::expired_through(stage.times.clock_ms, Some(expire_ms));
        let (mut expired, mut keys, mut bytes) = (Vec::new(), 0, 0);
        let process = self.process;
        self.expiries
            .take_due(stage, through_ms, |stage, expiries, _, key| {
                let Some((mut kept, is_expired)) = load(stage, process, key)? else {
                    return Err(entry::damaged("a key's expiry").into());
                };
                if is_expired {
                    expired.push(key.to_vec());
                } else {
                    let time_ms = reduce::timer_for(kept.last_ms, expire_ms);
                    expiries.set(&mut stage.store, time_ms, key)?;
                    kept.expiry_ms = Some(time_ms);
                    stage.store.put(&entry::of_key(key), &kept.write())?;
                }
                keys += 1;
                bytes += key.len() + kept.state.map_or(0, |state| state.len());
                let enough =
                    keys >= stage.portion.expiries || bytes >= limits::EXPIRY_BYTES_PER_BATCH_MAX;
                Ok(match enough {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                })
            })?;
        for key in expired {
            self.remove(stage, &key)?;
        }
        Ok(())
    }
}

/// What is kept for a key, and whether it was silent for too long.
fn load(
    stage: &mut Stage<'_>,
    process: Process,
    key: &[u8],
) -> Result<Option<(Kept, bool)>, StoreError> {
    let Some(value) = stage.store.get(&entry::of_key(key))? else {
        return Ok(None);
    };
    let kept = Kept::read(&value)?;
    let through_ms = reduce::expired_through(stage.times.clock_ms, process.expire_ms);
    let is_expired = through_ms.is_some_and(|through_ms| kept.last_ms <= through_ms);
    Ok(Some((kept, is_expired)))
}

/// What follows refused what the function gave out. Its state stays.
fn refused_behind(stage: &mut Stage<'_>, asked: &KeyItems, fault: GroupFault) {
    let places = asked.items_of(fault.at);
    let time_ms = match asked.times_ms.get(places.start) {
        Some(&time_ms) if !places.is_empty() => time_ms,
        _ => stage.times.clock_ms,
    };
    let shown = portion::shown(places.map(|place| asked.items.get(place)));
    stage.failed(fault.reason, time_ms, asked.keys.get(fault.at), &shown);
}

/// What people see of an entry. A key that has timers alone has no state to show.
pub(super) fn looked_at(plain: &look::Kept, process: Process) -> Vec<look::Kept> {
    let Ok(kept) = Kept::read(&plain.value) else {
        return vec![plain.clone()];
    };
    let expire_ms = process.expire_ms;
    let expire_ms = expire_ms.map(|ms| i64::try_from(ms).unwrap_or(i64::MAX));
    let shown = kept.state.map(|state| look::Kept {
        expires_ms: expire_ms.map(|ms| kept.last_ms.saturating_add(ms)),
        value: state,
        ..plain.clone()
    });
    shown.into_iter().collect()
}
