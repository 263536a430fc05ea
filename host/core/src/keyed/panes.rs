//! What is kept of hopping and tumbling windows, and walks over it.

use super::KeyedError;
use super::entry::{self, SOME, VALUE};
use super::stage::Stage;
use super::stage_store::{self, StageStore, Walk};
use crate::state::StoreError;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::vec;

/// What is kept together: a pane, or what of it counts from a later window on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// The first window that it counts for; none: every one that has the pane.
    pub(super) first: Option<i64>,
    /// Where the pane begins.
    pub(super) pane: i64,
}

impl Part {
    /// The key of what is kept for a key.
    pub(super) fn key(self, key: &[u8]) -> Vec<u8> {
        match self.first {
            None => entry::of_time(VALUE, self.pane, key),
            Some(first) => {
                let pane = entry::time_bytes(self.pane);
                entry::of_time(SOME, first, &[&pane[..], key].concat())
            }
        }
    }

    /// The first key above all of it.
    fn above(self) -> Vec<u8> {
        match (self.first, self.pane.checked_add(1)) {
            (None, _) => entry::above_time(VALUE, self.pane),
            (Some(first), Some(next)) => entry::of_time(SOME, first, &entry::time_bytes(next)),
            (Some(first), None) => entry::above_time(SOME, first),
        }
    }

    /// Bytes before the key's own.
    fn head(self) -> usize {
        1 + entry::TIME * (1 + usize::from(self.first.is_some()))
    }
}

/// The first whole pane from one on that holds something.
pub(super) fn first_whole(
    store: &mut StageStore<'_>,
    from: i64,
) -> Result<Option<i64>, StoreError> {
    let found = stage_store::first(store, &entry::of_time(VALUE, from, &[]), &[VALUE + 1])?;
    found
        .map(|key| entry::time_at(&key, 1).ok_or_else(|| entry::damaged("a pane")))
        .transpose()
}

/// The whole panes from one to another that hold something, in order.
pub(super) fn whole_between(
    store: &mut StageStore<'_>,
    from: i64,
    last: i64,
) -> Result<Vec<Part>, StoreError> {
    let mut found = Vec::new();
    let mut next = Some(from);
    while let Some(from) = next
        && let Some(pane) = first_whole(store, from)?
        && pane <= last
    {
        found.push(Part { first: None, pane });
        next = pane.checked_add(1);
    }
    Ok(found)
}

/// Of what counts from some window on, the first from one on whose pane begins then or later.
pub(super) fn first_for_some(
    store: &mut StageStore<'_>,
    from: i64,
    pane: i64,
) -> Result<Option<Part>, StoreError> {
    let mut next = entry::of_time(SOME, from, &[]);
    while let Some(part) = some_from(store, &next, &[SOME + 1])? {
        if part.pane >= pane {
            return Ok(Some(part));
        }
        // Of windows that were given before they are over, the panes are there still.
        next = part.above();
    }
    Ok(None)
}

/// Adds what counts from some window on: from one to another.
pub(super) fn add_for_some(
    store: &mut StageStore<'_>,
    from: i64,
    last: i64,
    parts: &mut Vec<Part>,
) -> Result<(), StoreError> {
    let (mut next, to) = (
        entry::of_time(SOME, from, &[]),
        entry::above_time(SOME, last),
    );
    while let Some(part) = some_from(store, &next, &to)? {
        parts.push(part);
        next = part.above();
    }
    Ok(())
}

fn some_from(
    store: &mut StageStore<'_>,
    from: &[u8],
    to: &[u8],
) -> Result<Option<Part>, StoreError> {
    let Some(key) = stage_store::first(store, from, to)? else {
        return Ok(None);
    };
    match (
        entry::time_at(&key, 1),
        entry::time_at(&key, 1 + entry::TIME),
    ) {
        (first @ Some(_), Some(pane)) => Ok(Some(Part { first, pane })),
        _ => Err(entry::damaged("a part of a pane")),
    }
}

/// What one key has in some parts, in their order.
type KeyParts = (Vec<u8>, Vec<(Part, Vec<u8>)>);

/// Goes over some parts at once, key by key.
pub(super) struct WindowWalk {
    parts: Vec<PartWalk>,
    /// The next key of each part that has one.
    heads: BinaryHeap<Reverse<(Vec<u8>, usize)>>,
}

struct PartWalk {
    part: Part,
    walk: Walk,
    portion: vec::IntoIter<(Vec<u8>, Vec<u8>)>,
    value: Vec<u8>,
}

impl WindowWalk {
    pub(super) fn new(stage: &mut Stage<'_>, parts: &[Part]) -> Result<Self, KeyedError> {
        let most = stage.portion.look_beside(parts.len());
        let of_part = |&part: &Part| PartWalk {
            part,
            walk: Walk::new(part.key(&[]), part.above(), most),
            portion: Vec::new().into_iter(),
            value: Vec::new(),
        };
        let mut walk = WindowWalk {
            parts: parts.iter().map(of_part).collect(),
            heads: BinaryHeap::new(),
        };
        for i in 0..parts.len() {
            walk.advance(i, &mut stage.store)?;
        }
        Ok(walk)
    }

    fn advance(&mut self, i: usize, store: &mut StageStore<'_>) -> Result<(), KeyedError> {
        let of_part = &mut self.parts[i];
        if of_part.portion.len() == 0 {
            of_part.portion = of_part.walk.next(store)?.into_iter();
        }
        if let Some((mut key, value)) = of_part.portion.next() {
            key.drain(..of_part.part.head());
            of_part.value = value;
            self.heads.push(Reverse((key, i)));
        }
        Ok(())
    }

    /// The next key, and what it has.
    pub(super) fn next(
        &mut self,
        store: &mut StageStore<'_>,
    ) -> Result<Option<KeyParts>, KeyedError> {
        let Some(Reverse((key, first))) = self.heads.pop() else {
            return Ok(None);
        };
        let mut values = Vec::with_capacity(1);
        let mut next = Some(first);
        while let Some(i) = next {
            let of_part = &mut self.parts[i];
            values.push((of_part.part, std::mem::take(&mut of_part.value)));
            self.advance(i, store)?;
            let is_same = self
                .heads
                .peek()
                .is_some_and(|Reverse((head, _))| *head == key);
            next = if is_same {
                self.heads.pop().map(|Reverse((_, i))| i)
            } else {
                None
            };
        }
        Ok(Some((key, values)))
    }
}
