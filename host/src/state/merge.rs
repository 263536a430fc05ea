//! One range of keys out of several layers: what batches wrote, newest first, above what the store holds.

use super::{Entries, StageId, Writes};
use crate::checkpoint::{Store, StoreError};
use crate::limits::STATE_PORTION_ENTRIES_MAX;
use std::collections::btree_map::Range;
use std::iter::Peekable;
use std::ops::Bound;

/// What is left of a layer's writes in the range.
type Layer<'a> = Peekable<Range<'a, Vec<u8>, Option<Vec<u8>>>>;

/// The entries of a range that stand, ascending, `max` at most. `layers` are newest first. `from` is below `to`.
pub(super) fn scan(
    store: &dyn Store,
    layers: &[&Writes],
    stage: StageId,
    (from, to): (&[u8], &[u8]),
    max: usize,
) -> Result<Entries, StoreError> {
    let range = (Bound::Included(from), Bound::Excluded(to));
    let mut layers: Vec<Layer<'_>> = layers.iter().map(|writes| writes.range::<[u8], _>(range).peekable()).collect();
    let mut stored = Stored { store, stage, to, portion: max, next: Some(from.to_vec()), read: Vec::new().into_iter() };
    let mut found = Vec::new();
    while found.len() < max {
        let written = layers.iter_mut().filter_map(|layer| layer.peek().map(|&(key, _)| key)).min();
        let kept = stored.peek()?;
        match (written, kept) {
            (None, None) => break,
            (Some(written), kept) if kept.is_none_or(|kept| written.as_slice() <= kept) => {
                if kept == Some(written.as_slice()) {
                    stored.take();
                }
                if let Some(value) = newest(&mut layers, written) {
                    found.push((written.clone(), value.clone()));
                }
            }
            _ => found.extend(stored.take()),
        }
    }
    Ok(found)
}

/// What the newest layer that wrote `key` wrote; all layers go past it.
fn newest<'a>(layers: &mut [Layer<'a>], key: &[u8]) -> Option<&'a Vec<u8>> {
    let mut newest = None;
    for layer in layers {
        if let Some((_, value)) = layer.next_if(|(next, _)| next.as_slice() == key) {
            newest.get_or_insert(value);
        }
    }
    newest.and_then(Option::as_ref)
}

/// The store's entries of a range, read in portions, as it may be large and few of them may be asked for.
struct Stored<'a> {
    store: &'a dyn Store,
    stage: StageId,
    to: &'a [u8],
    /// Entries of the next portion. It doubles: what is read is often hidden by removals that are not durable yet.
    portion: usize,
    /// Where the next portion begins; none: there is none.
    next: Option<Vec<u8>>,
    read: std::vec::IntoIter<(Vec<u8>, Vec<u8>)>,
}

impl Stored<'_> {
    fn peek(&mut self) -> Result<Option<&[u8]>, StoreError> {
        while self.read.as_slice().is_empty() {
            let Some(from) = self.next.take() else { return Ok(None) };
            let portion = self.portion.clamp(1, STATE_PORTION_ENTRIES_MAX);
            let read = self.store.states(self.stage, &from, Some(self.to), portion)?;
            if let Some((last, _)) = read.last()
                && read.len() == portion
            {
                // The least key above the last one.
                self.next = Some([last.as_slice(), &[0]].concat());
            }
            self.portion = portion.saturating_mul(2);
            self.read = read.into_iter();
        }
        Ok(self.read.as_slice().first().map(|(key, _)| key.as_slice()))
    }

    fn take(&mut self) -> Option<(Vec<u8>, Vec<u8>)> {
        self.read.next()
    }
}
