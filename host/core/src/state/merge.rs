//! One range of keys out of several layers: what batches wrote, newest first, above what the store
//! holds.

use super::{Entries, Entry, Most, StageId, StateStore, StoreError, Writes};
use crate::limits::{STATE_PORTION_BYTES_MAX, STATE_PORTION_ENTRIES_MAX};
use std::collections::btree_map::Range;
use std::iter::Peekable;
use std::ops::Bound;

/// What is left of a layer's writes in the range.
type Layer<'a> = Peekable<Range<'a, Vec<u8>, Option<Vec<u8>>>>;

/// The entries of a range that stand, ascending, `most` at most. `layers` are newest first. `from`
/// is below `to`.
pub(super) fn scan(
    store: &dyn StateStore,
    layers: &[&Writes],
    stage: StageId,
    (from, to): (&[u8], &[u8]),
    most: Most,
) -> Result<Entries, StoreError> {
    let range = (Bound::Included(from), Bound::Excluded(to));
    let mut layers: Vec<Layer<'_>> = layers
        .iter()
        .map(|writes| writes.range::<[u8], _>(range).peekable())
        .collect();
    let mut stored = Stored {
        store,
        stage,
        to,
        portion: most,
        next: Some(from.to_vec()),
        read: Vec::new().into_iter(),
    };
    most.of(std::iter::from_fn(|| {
        next(&mut layers, &mut stored).transpose()
    }))
}

/// The next entry that stands.
fn next(layers: &mut [Layer<'_>], stored: &mut Stored<'_>) -> Result<Option<Entry>, StoreError> {
    loop {
        let written = layers
            .iter_mut()
            .filter_map(|layer| layer.peek().map(|&(key, _)| key))
            .min();
        let kept = stored.peek()?;
        match (written, kept) {
            (None, None) => return Ok(None),
            (Some(written), kept) if kept.is_none_or(|kept| written.as_slice() <= kept) => {
                if kept == Some(written.as_slice()) {
                    stored.take();
                }
                if let Some(value) = newest(layers, written) {
                    return Ok(Some((written.clone(), value.clone())));
                }
            }
            _ => return Ok(stored.take()),
        }
    }
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

/// The store's entries of a range, read in portions, as it may be large and few of them may be
/// asked for.
struct Stored<'a> {
    store: &'a dyn StateStore,
    stage: StageId,
    to: &'a [u8],
    /// The next portion. It doubles: what is read is often hidden by removals that are not durable
    /// yet.
    portion: Most,
    /// Where the next portion begins; none: there is none.
    next: Option<Vec<u8>>,
    read: std::vec::IntoIter<(Vec<u8>, Vec<u8>)>,
}

impl Stored<'_> {
    fn peek(&mut self) -> Result<Option<&[u8]>, StoreError> {
        while self.read.as_slice().is_empty() {
            let Some(from) = self.next.take() else {
                return Ok(None);
            };
            let Most { entries, bytes } = self.portion;
            let portion = Most {
                entries: entries.clamp(1, STATE_PORTION_ENTRIES_MAX),
                bytes: bytes.min(STATE_PORTION_BYTES_MAX),
            };
            let read = self
                .store
                .states(self.stage, &from, Some(self.to), portion)?;
            if let Some((last, _)) = read.last()
                && portion.is_reached(&read)
            {
                // The least key above the last one.
                self.next = Some([last.as_slice(), &[0]].concat());
            }
            self.portion = Most {
                entries: entries.saturating_mul(2),
                bytes: bytes.saturating_mul(2),
            };
            self.read = read.into_iter();
        }
        Ok(self.read.as_slice().first().map(|(key, _)| key.as_slice()))
    }

    fn take(&mut self) -> Option<(Vec<u8>, Vec<u8>)> {
        self.read.next()
    }
}
