//! What a call's items come to before the shuffle: one accumulator for each key and pane, in order
//! of first sight. What came too late for some of its pane's windows has one of its own.

use super::End;
use super::hash::hash;
use super::place::{EVERY, Late, Place, Placed};
use super::reduce::{Merge, Reduction};
use crate::call::Keyed;
use crate::cell::Time;
use crate::columns::ColumnBuf;
use crate::flow::Context;
use crate::job::Index;
use crate::key::{Key, too_long};
use crate::limits::KEYED_KEY_BYTES_MAX;
use crate::value::encode;
use hashbrown::HashTable;
use serde::Serialize;
use std::marker::PhantomData;
use std::rc::Rc;

/// Room for no more accumulators than this is made before they come: most keys may be seen again
/// and again.
const FOUND_AHEAD_MAX: usize = 1 << 12;

struct Found<Acc> {
    hash: u64,
    pane_ms: i64,
    first_ms: i64,
    acc: Acc,
}

pub(crate) struct Reducing<K, T, G, A: Merge> {
    pub(crate) key: G,
    pub(crate) with: Rc<A>,
    pub(crate) place: Place,
    pub(crate) late: Option<Late<T>>,
    pub(crate) to: Index,
    /// Places in `found` and `out.keys`.
    table: HashTable<u32>,
    found: Vec<Found<A::Acc>>,
    out: Keyed,
    /// A key's bytes, where it does not lend them.
    scratch: Vec<u8>,
    of: PhantomData<K>,
}

impl<K, T, G, A: Merge> Reducing<K, T, G, A> {
    pub(crate) fn new(key: G, with: Rc<A>, place: Place, late: Option<Late<T>>, to: Index) -> Self {
        Reducing {
            key,
            with,
            place,
            late,
            to,
            table: HashTable::new(),
            found: Vec::new(),
            out: Keyed::default(),
            scratch: Vec::new(),
            of: PhantomData,
        }
    }

    #[cold]
    fn reserve(&mut self, context: &Context) {
        let items = context.expect.items.min(FOUND_AHEAD_MAX);
        self.found.reserve(items.max(8));
        self.out.keys.data.reserve(8 * items);
        self.out.keys.ends.reserve(items);
        self.out.positions.reserve(context.expect.items);
        self.table
            .reserve(items, |_| unreachable!("the table is empty"));
    }
}

impl<'b, T, K, G, A> End<T> for Reducing<K, T, G, A>
where
    K: Key<'b>,
    G: Fn(&T) -> K,
    A: Reduction<T>,
    A::Acc: Serialize,
{
    #[inline]
    fn take(&mut self, item: T, context: &mut Context) {
        let (pane_ms, first_ms) = match self.place.of(context) {
            Placed::In(pane_ms, first_ms) => (pane_ms, first_ms),
            Placed::Late => return Late::take(self.late.as_ref(), &item, context),
            Placed::Refused => return,
        };
        if self.found.capacity() == 0 {
            self.reserve(context);
        }
        let Self {
            key,
            with,
            table,
            found,
            out,
            scratch,
            ..
        } = self;
        let key = key(&item);
        let bytes = bytes_of(&key, scratch);
        if bytes.len() > KEYED_KEY_BYTES_MAX {
            return context.fault(too_long(bytes.len()));
        }
        out.at(context.position);
        let hash = hash(bytes, pane_ms as u64);
        let known = table.find(hash, |&i| {
            let found = &found[i as usize];
            found.hash == hash
                && (found.pane_ms, found.first_ms) == (pane_ms, first_ms)
                && same(item_of(&out.keys, i), bytes)
        });
        if let Some(&i) = known {
            return with.add(&mut found[i as usize].acc, item, Time(context.time_ms));
        }
        out.keys.push(bytes);
        table.insert_unique(hash, found.len() as u32, |&i| found[i as usize].hash);
        drop(key);
        found.push(Found {
            hash,
            pane_ms,
            first_ms,
            acc: with.first(item, Time(context.time_ms)),
        });
    }

    fn flush(&mut self, context: &mut Context) {
        if self.found.is_empty() {
            return;
        }
        let mut out = std::mem::take(&mut self.out);
        out.stage = self.to.get() as u32;
        out.values.ends.reserve(self.found.len());
        out.times_ms.reserve(self.found.len());
        let some = self.found.iter().any(|found| found.first_ms != EVERY);
        for found in self.found.drain(..) {
            encode(&found.acc, &mut out.values)
                .unwrap_or_else(|error| panic!("an accumulator cannot be written: {error}"));
            out.times_ms.push(found.pane_ms);
            if some {
                let first_ms = self.place.first_window(found.pane_ms);
                out.until_ms.push(first_ms.max(found.first_ms));
            }
        }
        self.table.clear();
        context.out.keyed.push(out);
    }
}

/// A key's bytes, lent or written.
#[inline]
pub(super) fn bytes_of<'a, 'b, K: Key<'b>>(key: &'a K, scratch: &'a mut Vec<u8>) -> &'a [u8] {
    match key.lend() {
        Some(bytes) => bytes,
        None => {
            scratch.clear();
            key.write(true, scratch);
            scratch
        }
    }
}

#[inline]
pub(super) fn item_of(column: &ColumnBuf, i: u32) -> &[u8] {
    column.view().get(i as usize)
}

/// Equal, without a call where they are short, as keys are.
#[inline]
pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let (words, rest) = a.as_chunks::<8>();
    let (other_words, other_rest) = b.as_chunks::<8>();
    words
        .iter()
        .zip(other_words)
        .all(|(a, b)| u64::from_le_bytes(*a) == u64::from_le_bytes(*b))
        && rest.iter().zip(other_rest).all(|(a, b)| a == b)
}
