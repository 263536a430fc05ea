//! What is due when: one entry a thing, in order of time, so that nothing is looked through while
//! nothing is due.

use super::KeyedError;
use super::entry::{self, NOTE, TIMER};
use super::stage::Stage;
use super::stage_store::{self, StageStore};
use crate::state::StoreError;
use std::ops::ControlFlow;

/// One stage's timers.
///
/// It is noted how far they were removed: a store may keep what was removed for a while, and
/// looking for the first timer must not pass all of that.
pub(super) struct Timers {
    tag: u8,
    /// None is before this.
    swept_ms: i64,
    noted_ms: i64,
}

/// Where it is noted how far timers were removed: of a stage's only ones in its own note.
fn note(tag: u8) -> Vec<u8> {
    match tag {
        TIMER => vec![NOTE],
        tag => vec![NOTE, tag],
    }
}

impl Timers {
    pub(super) fn load(store: &mut StageStore<'_>) -> Result<Self, StoreError> {
        Self::load_of(store, TIMER)
    }

    /// Those of one kind, where a stage has several.
    pub(super) fn load_of(store: &mut StageStore<'_>, tag: u8) -> Result<Self, StoreError> {
        let swept_ms = store.number(&note(tag), "how far timers were removed")?;
        let swept_ms = swept_ms.unwrap_or(i64::MIN);
        Ok(Timers {
            tag,
            swept_ms,
            noted_ms: swept_ms,
        })
    }

    /// Must be called after the last change.
    pub(super) fn store(&self, store: &mut StageStore<'_>) -> Result<(), StoreError> {
        if self.swept_ms != self.noted_ms {
            store.set_number(&note(self.tag), self.swept_ms)
        } else {
            Ok(())
        }
    }

    pub(super) fn set(
        &mut self,
        store: &mut StageStore<'_>,
        time_ms: i64,
        what: &[u8],
    ) -> Result<(), StoreError> {
        self.swept_ms = self.swept_ms.min(time_ms);
        store.put(&entry::of_time(self.tag, time_ms, what), &[])
    }

    pub(super) fn clear(
        &mut self,
        store: &mut StageStore<'_>,
        time_ms: i64,
        what: &[u8],
    ) -> Result<(), StoreError> {
        store.remove(&entry::of_time(self.tag, time_ms, what))?;
        Ok(())
    }

    pub(super) fn is_due(
        &self,
        store: &mut StageStore<'_>,
        through_ms: Option<i64>,
    ) -> Result<bool, StoreError> {
        let Some(through_ms) = through_ms else {
            return Ok(false);
        };
        let (from, to) = (
            entry::of_time(self.tag, self.swept_ms, &[]),
            entry::above_time(self.tag, through_ms),
        );
        Ok(from < to && stage_store::first(store, &from, &to)?.is_some())
    }

    /// Sets one that is not there yet, nor was in this batch.
    pub(super) fn add(
        &mut self,
        store: &mut StageStore<'_>,
        time_ms: i64,
        what: &[u8],
    ) -> Result<(), StoreError> {
        self.swept_ms = self.swept_ms.min(time_ms);
        store.add(&entry::of_time(self.tag, time_ms, what), &[])
    }

    /// Takes away the timers up to a time, in their order, and gives them to `each`, which may set
    /// later ones, clear any, and leave the rest to the next batch.
    pub(super) fn take_due<'a>(
        &mut self,
        stage: &mut Stage<'a>,
        through_ms: Option<i64>,
        mut each: impl FnMut(
            &mut Stage<'a>,
            &mut Timers,
            i64,
            &[u8],
        ) -> Result<ControlFlow<()>, KeyedError>,
    ) -> Result<(), KeyedError> {
        let Some(through_ms) = through_ms else {
            return Ok(());
        };
        let (from, to) = (
            entry::of_time(self.tag, self.swept_ms, &[]),
            entry::above_time(self.tag, through_ms),
        );
        if from >= to {
            return Ok(());
        }
        let mut walk = stage_store::Walk::new(from, to, stage.portion.look);
        let mut swept_any = false;
        loop {
            stage.check_stop()?;
            let due = walk.next(&mut stage.store)?;
            if due.is_empty() {
                break;
            }
            swept_any = true;
            for (key, _) in due {
                let time_ms = entry::time_at(&key, 1).ok_or_else(|| entry::damaged("a timer"))?;
                // One that was read with others may have been cleared as one of these was given.
                if stage.store.remove(&key)?
                    && each(stage, self, time_ms, &key[1 + entry::TIME..])?.is_break()
                {
                    self.swept_ms = time_ms; // there may be more of that time
                    return Ok(());
                }
            }
        }
        if swept_any {
            self.has_taken(through_ms);
        }
        Ok(())
    }

    /// All timers up to then were taken, in one go or several.
    pub(super) fn has_taken(&mut self, through_ms: i64) {
        self.swept_ms = through_ms.saturating_add(1);
    }
}
