//! Keys that the guest is asked for at once.

use super::kept::Kept;
use crate::contract::KeyItems;
use crate::keyed::entry::TIME;
use crate::keyed::shuffle::Item;
use crate::keyed::stage::Portion;
use crate::limits;

/// Keys with what there is of them, and what was kept for each.
pub(super) struct KeyPortion {
    pub(super) asked: KeyItems,
    pub(super) kept: Vec<Kept>,
}

/// Which timers are due: see the contract.
#[derive(Clone, Copy)]
pub(super) struct Due {
    pub(super) watermark_ms: i64,
    pub(super) last: bool,
    pub(super) batch_ms: i64,
}

impl KeyPortion {
    pub(super) fn new(due: Due) -> Self {
        KeyPortion {
            asked: KeyItems {
                watermark_ms: due.watermark_ms,
                last: due.last,
                batch_due_ms: due.batch_ms,
                ..KeyItems::default()
            },
            kept: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// So much is gathered that it should be run.
    pub(super) fn is_full(&self, portion: Portion) -> bool {
        let KeyItems {
            keys,
            states,
            items,
            event_timers,
            batch_timers,
            ..
        } = &self.asked;
        let timers = event_timers.times_ms.len() + batch_timers.times_ms.len();
        let bytes = keys.data.len() + states.data.len() + items.data.len() + TIME * timers;
        // Items count as keys do: a call has lists of both.
        self.kept.len() + items.len() >= portion.groups || bytes >= portion.bytes
    }

    /// Adds a key and its items. Err: it is more than a guest can hold; why, and the first of its
    /// items.
    pub(super) fn push<'i>(
        &mut self,
        key: &[u8],
        kept: Kept,
        items: impl Iterator<Item = Item<'i>> + Clone,
        most_bytes: usize,
    ) -> Result<(), (String, Vec<u8>)> {
        let own = items.clone().map(|item| item.value.len()).sum::<usize>();
        if own + kept.state.as_ref().map_or(0, Vec::len) > most_bytes {
            let most = bytesize::ByteSize(most_bytes as u64);
            let reason = format!(
                "the state and the items of this key in one batch are over {most} (limits.memory)"
            );
            return Err((reason, shown(items.map(|item| item.value))));
        }
        for item in items {
            self.asked.items.push(item.value);
            self.asked.times_ms.push(item.time_ms);
        }
        self.add_timers(key, kept);
        Ok(())
    }

    /// Adds a key for its timers, behind items that were put there for it.
    pub(super) fn add_timers(&mut self, key: &[u8], kept: Kept) {
        let asked = &mut self.asked;
        if kept.state.is_none() {
            asked.absent.push(asked.keys.len() as u32);
        }
        asked.keys.push(key);
        asked.states.push(kept.state.as_deref().unwrap_or_default());
        asked.event_timers.push(&kept.event_ms);
        asked.batch_timers.push(&kept.batch_ms);
        asked.item_ends.push(asked.items.len() as u32);
        self.kept.push(kept);
    }
}

/// The first bytes of items, end to end.
pub(super) fn shown<'i>(items: impl Iterator<Item = &'i [u8]>) -> Vec<u8> {
    let mut shown = Vec::new();
    for item in items {
        let left = limits::GROUP_SHOWN_BYTES_MAX - shown.len();
        shown.extend_from_slice(&item[..item.len().min(left)]);
        if shown.len() == limits::GROUP_SHOWN_BYTES_MAX {
            break;
        }
    }
    shown
}
