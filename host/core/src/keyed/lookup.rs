//! Lookups: what a table says of each item's key.

use super::shuffle::Item;
use super::stage::Stage;
use super::{KeyedError, entry};
use crate::limits;

/// Applies the batch's changes of the table, in their order, and then gives each left item with
/// what the table says.
pub(super) fn run(stage: &mut Stage<'_>, items: &[Item<'_>]) -> Result<(), KeyedError> {
    for item in items.iter().filter(|item| item.side == 1) {
        let key = entry::of_key(item.key);
        match item.deleted {
            true => drop(stage.store.remove(&key)?),
            false => stage.store.put(&key, item.value)?,
        }
    }
    let left = items.iter().filter(|item| item.side == 0).enumerate();
    let mut all_left = left.clone().map(|(_, item)| entry::of_key(item.key));
    for (i, item) in left {
        if i % limits::STATE_READ_AHEAD == 0 {
            stage.read_ahead(&mut all_left.by_ref().take(limits::STATE_READ_AHEAD))?;
        }
        let right = stage.store.get(&entry::of_key(item.key))?;
        stage.give_pair(item.key, Some(item.value), right.as_deref(), item.time_ms)?;
    }
    Ok(())
}
