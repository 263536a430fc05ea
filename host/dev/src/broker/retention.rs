//! Removing what is old: by age, by size, by request, and what deleted topics leave behind.

use super::log::{Bounds, Entry, Partition};
use super::store::Store;
use super::{BrokerError, CallError};
use fjall::Readable;
use kafka_protocol::ResponseError;
use std::time::Duration;
use streamhost_core::limits::BROKER_SWEEP_BATCHES_MAX;

/// How long records stay. `None`: for ever, or without bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Retention {
    pub(super) age: Option<Duration>,
    pub(super) bytes: Option<u64>,
}

impl Retention {
    fn drops(self, came_ms: i64, bytes_left: u64, now_ms: i64) -> bool {
        let too_old =
            |age: Duration| came_ms < now_ms.saturating_sub_unsigned(age.as_millis() as u64);
        self.age.is_some_and(too_old) || self.bytes.is_some_and(|bytes| bytes_left > bytes)
    }
}

impl Partition {
    /// Removes batches from the start as `retention` says, but none that an open transaction may
    /// touch. `true`: there may be more to remove, as one call removes only so many.
    pub(super) fn retain(
        &self,
        store: &Store,
        retention: Retention,
        now_ms: i64,
    ) -> Result<bool, BrokerError> {
        self.remove_while(store, |entry, bytes_left| {
            retention.drops(entry.came_ms, bytes_left, now_ms)
        })
    }

    fn remove_while(
        &self,
        store: &Store,
        drops: impl Fn(&Entry, u64) -> bool,
    ) -> Result<bool, BrokerError> {
        let mut state = self.lock();
        let mut bounds = state.bounds;
        let mut write = store.removal();
        let mut removed = 0;
        for entry in self.entries_from(&store.view(), store, bounds.start) {
            let entry = entry?;
            let stable = entry.last_offset < state.last_stable();
            if removed == BROKER_SWEEP_BATCHES_MAX || !stable || !drops(&entry, bounds.bytes) {
                break;
            }
            write.remove(&store.log, self.key.at(entry.last_offset));
            write.remove(&store.index, self.key.at(entry.last_offset));
            bounds.start = entry.last_offset + 1;
            bounds.bytes = bounds.bytes.saturating_sub(u64::from(entry.bytes));
            removed += 1;
        }
        if removed == 0 {
            return Ok(false);
        }
        for aborted in state
            .aborted
            .iter()
            .filter(|aborted| aborted.marker < bounds.start)
        {
            self.stage_forget_aborted(store, &mut write, aborted);
        }
        self.stage_bounds(store, &mut write, bounds);
        write.commit()?;
        state.settle_start(bounds);
        Ok(removed == BROKER_SWEEP_BATCHES_MAX)
    }

    /// Makes `offset` the first that can be read (−1: the end) and answers it. Batches wholly
    /// before it are removed. Records of an open transaction stay, as they are not yet anyone's to
    /// remove.
    pub(super) fn delete_before(&self, store: &Store, offset: i64) -> Result<i64, CallError> {
        let wanted = {
            let state = self.lock();
            let stable = state.last_stable();
            match offset {
                -1 => stable,
                0.. if offset <= state.bounds.next => offset.min(stable),
                _ => return Err(ResponseError::OffsetOutOfRange.into()),
            }
        };
        while self.remove_while(store, |entry, _| entry.last_offset < wanted)? {}
        let mut state = self.lock();
        if state.bounds.start < wanted {
            let bounds = Bounds {
                start: wanted,
                ..state.bounds
            }; // within a batch
            let mut write = store.removal();
            self.stage_bounds(store, &mut write, bounds);
            write.commit().map_err(BrokerError::from)?;
            state.settle_start(bounds);
        }
        Ok(state.bounds.start)
    }
}

/// The last keys that the sweep of a deleted topic has removed. It goes on behind them: the store
/// would walk over all that was removed before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Swept {
    batch: Vec<u8>,
    state: Vec<u8>,
}

/// Removes a part of what a deleted topic left. `true`: nothing is left.
pub(super) fn sweep_topic(
    store: &Store,
    topic: u32,
    swept: &mut Swept,
) -> Result<bool, BrokerError> {
    let view = store.view();
    let mut write = store.removal();
    // Records and their index have the same keys.
    for (keyspaces, last) in [
        (&[&store.index, &store.log][..], &mut swept.batch),
        (&[&store.partitions][..], &mut swept.state),
    ] {
        let from = if last.is_empty() {
            topic.to_be_bytes().to_vec()
        } else {
            [&last[..], &[0]].concat()
        };
        for pair in view.range(keyspaces[0], from..) {
            let key = pair.key()?;
            if write.len() >= 2 * BROKER_SWEEP_BATCHES_MAX || !key.starts_with(&topic.to_be_bytes())
            {
                break;
            }
            *last = key.to_vec();
            keyspaces
                .iter()
                .for_each(|keyspace| write.remove(keyspace, key.clone()));
        }
    }
    let is_done = write.len() < 2 * BROKER_SWEEP_BATCHES_MAX;
    write.commit()?;
    Ok(is_done)
}
