//! Sessions of a call's items before the shuffle: for each key, items at most a gap apart are one
//! accumulator. The host joins those of several calls.

use super::End;
use super::hash::hash;
use super::partials::{bytes_of, item_of, same};
use super::place::{Late, is_behind};
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

/// How sessions are told apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gap {
    pub(crate) gap_ms: i64,
    pub(crate) lateness_ms: i64,
    /// By the batches' time.
    pub(crate) processing_time: bool,
}

struct Session<Acc> {
    key: u32,
    first_ms: i64,
    last_ms: i64,
    /// None: it was joined to another one.
    acc: Option<Acc>,
    /// The key's session before this one.
    next: Option<u32>,
}

pub(crate) struct Sessions<K, T, G, A: Merge> {
    key: G,
    with: Rc<A>,
    gap: Gap,
    late: Option<Late<T>>,
    to: Index,
    /// Places in `keys` and `heads`.
    table: HashTable<u32>,
    keys: ColumnBuf,
    /// For each key its hash and its newest session.
    heads: Vec<(u64, u32)>,
    sessions: Vec<Session<A::Acc>>,
    positions: Keyed,
    scratch: Vec<u8>,
    of: PhantomData<K>,
}

impl<K, T, G, A: Merge> Sessions<K, T, G, A> {
    pub(crate) fn new(key: G, with: Rc<A>, gap: Gap, late: Option<Late<T>>, to: Index) -> Self {
        Sessions {
            key,
            with,
            gap,
            late,
            to,
            table: HashTable::new(),
            keys: ColumnBuf::default(),
            heads: Vec::new(),
            sessions: Vec::new(),
            positions: Keyed::default(),
            scratch: Vec::new(),
            of: PhantomData,
        }
    }

    /// The item's time. None: it goes nowhere.
    fn time_ms(&self, item: &T, context: &mut Context) -> Option<i64> {
        if self.gap.processing_time {
            return Some(context.moment.batch_ms);
        }
        let time_ms = context.event_time_ms()?;
        if is_behind(time_ms, self.gap.lateness_ms, context) {
            Late::take(self.late.as_ref(), item, context);
            return None;
        }
        Some(time_ms)
    }
}

impl<K, T, G, A: Reduction<T>> Sessions<K, T, G, A> {
    /// Puts an item into its key's sessions, and joins those that it brings together.
    fn put(&mut self, key: u32, head: Option<u32>, time_ms: i64, (item, time): (T, Time)) {
        let Self {
            sessions,
            with,
            gap,
            heads,
            ..
        } = self;
        let touches = |s: &Session<A::Acc>| {
            s.acc.is_some()
                && time_ms >= s.first_ms.saturating_sub(gap.gap_ms)
                && time_ms <= s.last_ms.saturating_add(gap.gap_ms)
        };
        // At most two touch it, as two that were nearer to each other were joined. The older one
        // takes the newer one in.
        let (mut found, mut at) = ([None; 2], head);
        while let Some(i) = at {
            let session = &sessions[i as usize];
            if touches(session) {
                found = [Some(i), found[0]];
            }
            at = session.next;
        }
        let Some(older) = found[0] else {
            let acc = Some(with.first(item, time));
            heads[key as usize].1 = sessions.len() as u32;
            sessions.push(Session {
                key,
                first_ms: time_ms,
                last_ms: time_ms,
                acc,
                next: head,
            });
            return;
        };
        let newer = found[1].map(|i| {
            let newer = &mut sessions[i as usize];
            (newer.first_ms, newer.last_ms, newer.acc.take())
        });
        let session = &mut sessions[older as usize];
        session.first_ms = session.first_ms.min(time_ms);
        session.last_ms = session.last_ms.max(time_ms);
        let acc = session
            .acc
            .as_mut()
            .expect("a session that touches is not joined to another");
        with.add(acc, item, time);
        if let Some((first_ms, last_ms, Some(other))) = newer {
            with.merge(acc, other);
            session.first_ms = session.first_ms.min(first_ms);
            session.last_ms = session.last_ms.max(last_ms);
        }
    }
}

impl<'b, T, K, G, A> End<T> for Sessions<K, T, G, A>
where
    K: Key<'b>,
    G: Fn(&T) -> K,
    A: Reduction<T>,
    A::Acc: Serialize,
{
    fn take(&mut self, item: T, context: &mut Context) {
        let Some(time_ms) = self.time_ms(&item, context) else {
            return;
        };
        let Self {
            key,
            table,
            keys,
            heads,
            scratch,
            ..
        } = self;
        let by = key(&item);
        let bytes = bytes_of(&by, scratch);
        if bytes.len() > KEYED_KEY_BYTES_MAX {
            return context.fault(too_long(bytes.len()));
        }
        self.positions.at(context.position);
        let hash = hash(bytes, 0);
        let known = table
            .find(hash, |&i| {
                heads[i as usize].0 == hash && same(item_of(keys, i), bytes)
            })
            .copied();
        let (at, head) = match known {
            Some(at) => (at, Some(heads[at as usize].1)),
            None => {
                let at = heads.len() as u32;
                keys.push(bytes);
                table.insert_unique(hash, at, |&i| heads[i as usize].0);
                heads.push((hash, 0));
                (at, None)
            }
        };
        drop(by);
        self.put(at, head, time_ms, (item, Time(context.time_ms)));
    }

    fn flush(&mut self, context: &mut Context) {
        if self.sessions.is_empty() {
            return;
        }
        let mut out = std::mem::take(&mut self.positions);
        out.stage = self.to.get() as u32;
        for session in self.sessions.drain(..) {
            let Some(acc) = session.acc else { continue };
            encode(&acc, &mut out.values)
                .unwrap_or_else(|error| panic!("an accumulator cannot be written: {error}"));
            out.keys.push(item_of(&self.keys, session.key));
            out.times_ms.push(session.first_ms);
            out.until_ms.push(session.last_ms);
        }
        self.table.clear();
        self.keys.truncate(0);
        self.heads.clear();
        context.out.keyed.push(out);
    }
}
