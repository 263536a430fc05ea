//! Ranges of keys that are known to hold no entry, so that a scan need not pass over what was
//! removed from them. A queue (entries are put at its end and removed from its front) would
//! otherwise cost more with each removed entry, in the store's own files too.

use super::StageId;
use crate::limits::STATE_GAPS_MAX;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

/// Gaps by the stage and the first byte of their keys: its kinds of entries. Of each: where it
/// begins and where it ends. They do not overlap.
#[derive(Default)]
pub(super) struct EmptyRanges {
    kinds: HashMap<(StageId, u8), BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl EmptyRanges {
    /// Where the gap ends that `key` is in.
    pub(super) fn end(&self, stage: StageId, key: &[u8]) -> Option<&[u8]> {
        let kind = self.kinds.get(&(stage, *key.first()?))?;
        let (_, end) = at_or_before(kind, key)?;
        (end.as_slice() > key).then_some(end)
    }

    /// There is no entry from `from` on and below `to`.
    pub(super) fn found(&mut self, stage: StageId, from: &[u8], to: &[u8]) {
        let Some(&first) = from.first() else { return };
        let kind_end = first.checked_add(1).map(|next| [next]);
        let to = kind_end.as_ref().map_or(to, |end| to.min(end.as_slice()));
        if from >= to {
            return;
        }
        let kind = self.kinds.entry((stage, first)).or_default();
        let mut gap = (from.to_vec(), to.to_vec());
        if let Some((start, end)) = at_or_before(kind, from)
            && end.as_slice() >= from
        {
            gap = (start.clone(), end.clone().max(gap.1));
        }
        while let Some((start, end)) = kind
            .range::<[u8], _>((Bound::Included(&*gap.0), Bound::Included(&*gap.1)))
            .next()
        {
            let start = start.clone();
            gap.1 = end.clone().max(gap.1);
            kind.remove(&start);
        }
        if kind.len() >= STATE_GAPS_MAX {
            kind.clear();
        }
        kind.insert(gap.0, gap.1);
    }

    /// An entry is put.
    pub(super) fn filled(&mut self, stage: StageId, key: &[u8]) {
        let Some(&first) = key.first() else { return };
        let Some(kind) = self.kinds.get_mut(&(stage, first)) else {
            return;
        };
        let Some((start, end)) = at_or_before(kind, key) else {
            return;
        };
        if end.as_slice() <= key {
            return;
        }
        let start = start.clone();
        if start == key {
            kind.remove(&start);
        } else {
            kind.insert(start, key.to_vec());
        }
    }

    /// Nothing is known any more.
    pub(super) fn clear(&mut self) {
        self.kinds.clear();
    }
}

/// The gap that begins at `key`, or before it and nearest.
fn at_or_before<'a>(
    kind: &'a BTreeMap<Vec<u8>, Vec<u8>>,
    key: &[u8],
) -> Option<(&'a Vec<u8>, &'a Vec<u8>)> {
    kind.range::<[u8], _>((Bound::Unbounded, Bound::Included(key)))
        .next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_join_and_are_cut_where_an_entry_is_put() {
        let mut empty_ranges = EmptyRanges::default();
        empty_ranges.found(1, b"ab", b"ad");
        empty_ranges.found(1, b"ad", b"af");
        assert_eq!(empty_ranges.end(1, b"ab"), Some(&b"af"[..]));
        assert_eq!(
            (
                empty_ranges.end(1, b"aa"),
                empty_ranges.end(1, b"af"),
                empty_ranges.end(2, b"ac")
            ),
            (None, None, None)
        );
        empty_ranges.filled(1, b"ac");
        assert_eq!(
            (empty_ranges.end(1, b"ab"), empty_ranges.end(1, b"ac")),
            (Some(&b"ac"[..]), None)
        );
        empty_ranges.filled(1, b"ab");
        assert_eq!(empty_ranges.end(1, b"ab"), None);
    }

    #[test]
    fn a_gap_ends_with_its_kind() {
        let mut empty_ranges = EmptyRanges::default();
        empty_ranges.found(1, b"a", b"c");
        assert_eq!(
            (empty_ranges.end(1, b"az"), empty_ranges.end(1, b"b")),
            (Some(&b"b"[..]), None)
        );
        empty_ranges.found(1, &[255, 1], &[255, 255]);
        assert_eq!(empty_ranges.end(1, &[255, 3]), Some(&[255, 255][..]));
    }

    #[test]
    fn their_number_is_bounded() {
        let mut empty_ranges = EmptyRanges::default();
        for i in 0..100u8 {
            empty_ranges.found(1, &[7, i, 1], &[7, i, 2]);
            assert!(empty_ranges.kinds[&(1, 7)].len() <= STATE_GAPS_MAX);
            assert_eq!(empty_ranges.end(1, &[7, i, 1]), Some(&[7, i, 2][..]));
        }
    }
}
