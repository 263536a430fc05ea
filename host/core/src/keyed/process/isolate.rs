//! Finds what of a key breaks the guest, by halving its items: each half goes to the function with
//! the state that the one before it left. What breaks by itself is a dead letter and has changed
//! nothing; all else is processed as if it had not been there.

use super::Run;
use super::kept::Kept;
use super::portion::{Due, KeyPortion};
use crate::contract::{Finished, GroupFault, KeyItems};
use crate::keyed::KeyedError;
use crate::keyed::shuffle::Item;
use crate::keyed::stage::Stage;
use crate::types::{Column, NO_TIME_MS};

/// What a key is given in one go.
#[derive(Clone, Copy)]
struct Go<'a> {
    key: &'a [u8],
    items: &'a [Item<'a>],
    due: Due,
}

impl Run {
    /// A key broke the guest. Nothing of it was kept.
    pub(super) fn isolate(
        &mut self,
        stage: &mut Stage<'_>,
        asked: &KeyItems,
        fault: &GroupFault,
    ) -> Result<(), KeyedError> {
        let key = asked.keys.get(fault.at);
        let items: Vec<Item<'_>> = asked
            .items_of(fault.at)
            .map(|place| Item {
                key,
                value: asked.items.get(place),
                side: 0,
                time_ms: asked.times_ms[place],
                until_ms: NO_TIME_MS,
                deleted: false,
            })
            .collect();
        let due = Due {
            watermark_ms: asked.watermark_ms,
            last: true,
            batch_ms: asked.batch_due_ms,
        };
        let timers = Go {
            key,
            items: &[],
            due,
        };
        if items.is_empty() {
            return self.drop_timers(stage, timers, &fault.reason);
        }
        let met_by_items = Due {
            last: false,
            batch_ms: NO_TIME_MS,
            ..due
        };
        let whole = Go {
            items: &items,
            due: met_by_items,
            ..timers
        };
        self.halve(stage, whole)?;
        self.give_due(stage, timers)
    }

    /// Runs items of a key that break the guest all together.
    fn halve(&mut self, stage: &mut Stage<'_>, go: Go<'_>) -> Result<(), KeyedError> {
        if let [item] = go.items {
            return self.lone(stage, go, item);
        }
        let (first, second) = go.items.split_at(go.items.len() / 2);
        for items in [first, second] {
            let half = Go { items, ..go };
            if self.try_one(stage, half)?.is_some() {
                self.halve(stage, half)?;
            }
        }
        Ok(())
    }

    /// An item that breaks the guest; but its key's timers come first, and it is not to blame for
    /// them.
    fn lone(
        &mut self,
        stage: &mut Stage<'_>,
        go: Go<'_>,
        item: &Item<'_>,
    ) -> Result<(), KeyedError> {
        let due = Due {
            watermark_ms: match self.process.event_time {
                true => item.time_ms,
                false => NO_TIME_MS,
            },
            last: true,
            ..go.due
        };
        self.give_due(
            stage,
            Go {
                items: &[],
                due,
                ..go
            },
        )?;
        if let Some(reason) = self.try_one(stage, go)? {
            stage.letter(reason, item.time_ms, go.key, item.value);
        }
        Ok(())
    }

    /// Gives a key what is due of its timers, or drops it if that breaks the guest.
    fn give_due(&mut self, stage: &mut Stage<'_>, go: Go<'_>) -> Result<(), KeyedError> {
        let kept = self.load(stage, go.key)?;
        if due_of(&kept, go.due) != (0, 0)
            && let Some(reason) = self.try_one(stage, go)?
        {
            self.drop_timers(stage, go, &reason)?;
        }
        Ok(())
    }

    /// Asks for one key alone. None: it went well, and what became of it is kept.
    fn try_one(&mut self, stage: &mut Stage<'_>, go: Go<'_>) -> Result<Option<String>, KeyedError> {
        let kept = self.load(stage, go.key)?;
        let mut portion = KeyPortion::new(go.due);
        let items = go.items.iter().copied();
        if portion.push(go.key, kept, items, usize::MAX).is_err() {
            unreachable!("nothing is too large for it")
        }
        let KeyPortion { asked, kept } = portion;
        let finished = Finished::Keys(asked);
        let (outcomes, faults) = stage.ask(&finished, &Column::default())?;
        let Finished::Keys(asked) = finished else {
            unreachable!("keys were asked")
        };
        for (outcome, kept) in outcomes.into_iter().zip(&kept) {
            self.take(stage, &asked, kept, outcome)?;
        }
        let mut broke = None;
        for fault in faults {
            match fault.by_host {
                true => broke = Some(fault.reason),
                false => super::refused_behind(stage, &asked, fault),
            }
        }
        Ok(broke)
    }

    /// Timers that break the guest would do so again in each batch.
    fn drop_timers(
        &mut self,
        stage: &mut Stage<'_>,
        go: Go<'_>,
        reason: &str,
    ) -> Result<(), KeyedError> {
        let before = self.load(stage, go.key)?;
        let (events, batches) = due_of(&before, go.due);
        let mut after = before.clone();
        after.event_ms.drain(..events);
        after.batch_ms.drain(..batches);
        let first = before.event_ms[..events].first();
        let first = first.or(before.batch_ms[..batches].first());
        let time_ms = *first.unwrap_or(&stage.times.clock_ms);
        let words = match events + batches {
            1 => "its timer was dropped".to_owned(),
            timers => format!("its {timers} timers that were due were dropped"),
        };
        stage.letter(format!("{reason}; {words}"), time_ms, go.key, &[]);
        self.keep(stage, go.key, &before, after)
    }
}

/// How many timers of event time, and of the batches' time, are due.
fn due_of(kept: &Kept, due: Due) -> (usize, usize) {
    (
        kept.event_ms.partition_point(|&ms| ms < due.watermark_ms),
        kept.batch_ms.partition_point(|&ms| ms <= due.batch_ms),
    )
}
