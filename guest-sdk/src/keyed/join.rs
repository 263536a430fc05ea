//! Two streams become one: by key and time, or by key and what a table says.

use super::compile_errors::SameKey;
use super::paired::{Joined, LookedUp, OuterJoined, RightJoined, Sides};
use super::place::{is_behind, pane, signed};
use super::windows::{JoinBy, Pairing};
use super::{End, KeyedBy, behind, stage};
use crate::call::Keyed;
use crate::describe::{Partners, StageKind};
use crate::flow::{Context, Deletion, Flow};
use crate::job::{Index, Schemas, StageNode};
use crate::key::{Key, too_long};
use crate::limits::KEYED_KEY_BYTES_MAX;
use crate::schema::schema;
use crate::stream::Stream;
use crate::value::{Value, encode};
use serde::Serialize;
use std::marker::PhantomData;

/// One side of a join or lookup, or what is processed: each item as it is.
pub(super) struct Side<K, G> {
    key: G,
    to: Index,
    side: u8,
    /// What an item is late by; none: it cannot be late.
    late: Option<LateFor>,
    /// It is a table: records without a value delete its keys.
    table: bool,
    /// How many of them went in.
    deleted: usize,
    out: Keyed,
    of: PhantomData<K>,
}

/// When an item comes too late for its join.
#[derive(Clone, Copy)]
pub(super) struct LateFor {
    partners: Partners,
    lateness_ms: i64,
}

impl LateFor {
    /// Items have an event time, and however old it is they are not late.
    pub(super) const NEVER: LateFor = LateFor {
        partners: Partners::Between {
            before_ms: 0,
            after_ms: 0,
        },
        lateness_ms: i64::MAX,
    };

    /// None: nothing is late.
    fn of(kind: StageKind) -> Option<Self> {
        match kind {
            StageKind::Join {
                partners,
                lateness_ms,
                ..
            } => Some(LateFor {
                partners,
                lateness_ms: signed(lateness_ms),
            }),
            _ => None,
        }
    }

    #[inline]
    fn is(self, time_ms: i64, context: &Context) -> bool {
        match self.partners {
            Partners::Between { .. } => is_behind(time_ms, self.lateness_ms, context),
            Partners::Window { size_ms } => {
                let size_ms = signed(size_ms).max(1); // 0 is refused by the host
                let end_ms = pane(time_ms, size_ms).saturating_add(size_ms);
                end_ms.saturating_add(self.lateness_ms) <= context.reached_ms()
            }
        }
    }
}

impl<'b, K: Key<'b>, G> Side<K, G> {
    pub(super) fn new(key: G, to: &Index, side: u8, late: Option<LateFor>, table: bool) -> Self {
        Side {
            key,
            to: to.clone(),
            side,
            late,
            table,
            deleted: 0,
            out: Keyed::default(),
            of: PhantomData,
        }
    }

    /// Puts in the deletions of records before this position, in their order among the items.
    fn delete_before(&mut self, position: Option<u32>, context: &mut Context) {
        while let Some(deletion) = context.deletions.get(self.deleted) {
            if position.is_some_and(|position| deletion.position >= position) {
                break;
            }
            self.deleted += 1;
            let Deletion {
                position,
                time_ms,
                key,
            } = deletion;
            let (position, time_ms) = (*position, *time_ms);
            let Keyed { keys, .. } = &mut self.out;
            let written = match key {
                Some(key) if key.len() > KEYED_KEY_BYTES_MAX => Err(too_long(key.len())),
                Some(key) => K::from_text(key, &mut keys.data),
                None => Err("the record has neither a value nor a key to delete".into()),
            };
            if let Err(reason) = written {
                keys.data
                    .truncate(keys.ends.last().map_or(0, |&end| end as usize));
                context.fault_at(position, reason);
                continue;
            }
            self.out.deleted.push(self.out.keys.ends.len() as u32);
            self.out.keys.end();
            self.out.values.end();
            self.out.times_ms.push(time_ms);
            self.out.at(position);
        }
    }
}

impl<'b, T: Serialize, K: Key<'b>, G: Fn(&T) -> K> End<T> for Side<K, G> {
    #[inline]
    fn take(&mut self, item: T, context: &mut Context) {
        if let Some(late) = self.late {
            let Some(time_ms) = context.event_time_ms() else {
                return;
            };
            if late.is(time_ms, context) {
                return context.late();
            }
        }
        if self.table {
            self.delete_before(Some(context.position), context);
        }
        if self.out.values.ends.capacity() == 0 {
            self.out.values.data.reserve(context.expect.bytes);
            self.out.values.ends.reserve(context.expect.items);
            self.out.keys.ends.reserve(context.expect.items);
            self.out.times_ms.reserve(context.expect.items);
            self.out.positions.reserve(context.expect.items);
        }
        let keys = &mut self.out.keys;
        let before = keys.data.len();
        (self.key)(&item).write(true, &mut keys.data);
        let written = match keys.data.len() - before {
            bytes if bytes > KEYED_KEY_BYTES_MAX => Err(too_long(bytes)),
            _ => encode(&item, &mut self.out.values)
                .map_err(|error| format!("the item cannot be written: {error}")),
        };
        if let Err(reason) = written {
            keys.data.truncate(before);
            return context.fault(reason);
        }
        keys.end();
        self.out.times_ms.push(context.time_ms);
        self.out.at(context.position);
    }

    fn flush(&mut self, context: &mut Context) {
        if self.table {
            self.delete_before(None, context);
        }
        let out = std::mem::take(&mut self.out);
        if !out.keys.ends.is_empty() {
            context.out.keyed.push(Keyed {
                stage: self.to.get() as u32,
                side: self.side,
                ..out
            });
        }
    }
}

impl<'b, K, F, G> KeyedBy<'b, K, F, G>
where
    F: Flow<'b> + 'b,
{
    /// Pairs items of two streams that have one key and belong together by their event times: each
    /// pair once, when the later one comes. They are [`within`](crate::within) a time of each other,
    /// or [`between`](crate::between) two times, or in one [`tumbling`](crate::tumbling) window.
    ///
    /// ```
    /// use streamhost::{Job, between, console, fields, job, kafka, minutes, seconds};
    ///
    /// /// A payment is at most five minutes later than its order.
    /// #[job]
    /// fn paid() -> Job {
    ///     let payments = kafka("payments")
    ///         .try_map(|r| fields::<2>(r.text()?, ',').map_err(String::from))
    ///         .key_by(|[order, _]| *order);
    ///     kafka("orders")
    ///         .try_map(|r| fields::<2>(r.text()?, ',').map_err(String::from))
    ///         .key_by(|[order, _]| *order)
    ///         .join(payments, between(seconds(0), minutes(5)), |[order, item], [_, cents]| format!("{order}: {item} for {cents}"))
    ///         .to(console())
    /// }
    /// ```
    pub fn join<K2, F2, G2, J, U>(
        self,
        right: KeyedBy<'b, K2, F2, G2>,
        by: impl JoinBy,
        f: J,
    ) -> Stream<'b, Joined<'b, F::Item, F2::Item, J>>
    where
        K: Key<'b> + 'b,
        G: Fn(&F::Item) -> K + 'b,
        F2: Flow<'b> + 'b,
        K2: SameKey<K> + Key<'b> + 'b,
        G2: Fn(&F2::Item) -> K2 + 'b,
        F::Item: Value<'b>,
        F2::Item: Value<'b>,
        J: Fn(F::Item, F2::Item) -> U,
    {
        let by = (by.pairing(), false, false);
        self.pairs(right, "join", by, Joined(f, Sides::new()))
    }

    /// As [`join`](KeyedBy::join), and each left item without a partner too, with `None`, once none
    /// can come any more.
    pub fn left_join<K2, F2, G2, J, U>(
        self,
        right: KeyedBy<'b, K2, F2, G2>,
        by: impl JoinBy,
        f: J,
    ) -> Stream<'b, LookedUp<'b, F::Item, F2::Item, J>>
    where
        K: Key<'b> + 'b,
        G: Fn(&F::Item) -> K + 'b,
        F2: Flow<'b> + 'b,
        K2: SameKey<K> + Key<'b> + 'b,
        G2: Fn(&F2::Item) -> K2 + 'b,
        F::Item: Value<'b>,
        F2::Item: Value<'b>,
        J: Fn(F::Item, Option<F2::Item>) -> U,
    {
        let by = (by.pairing(), true, false);
        self.pairs(right, "left-join", by, LookedUp(f, Sides::new()))
    }

    /// As [`join`](KeyedBy::join), and each right item without a partner too, with `None` on the
    /// left, once none can come any more.
    pub fn right_join<K2, F2, G2, J, U>(
        self,
        right: KeyedBy<'b, K2, F2, G2>,
        by: impl JoinBy,
        f: J,
    ) -> Stream<'b, RightJoined<'b, F::Item, F2::Item, J>>
    where
        K: Key<'b> + 'b,
        G: Fn(&F::Item) -> K + 'b,
        F2: Flow<'b> + 'b,
        K2: SameKey<K> + Key<'b> + 'b,
        G2: Fn(&F2::Item) -> K2 + 'b,
        F::Item: Value<'b>,
        F2::Item: Value<'b>,
        J: Fn(Option<F::Item>, F2::Item) -> U,
    {
        let by = (by.pairing(), false, true);
        self.pairs(right, "right-join", by, RightJoined(f, Sides::new()))
    }

    /// As [`join`](KeyedBy::join), and each item of either side without a partner too, once none can
    /// come any more: SQL's full outer join. One of the two is always there.
    ///
    /// ```
    /// use streamhost::{Job, console, job, kafka, minutes, testing, tumbling};
    ///
    /// /// Visits and purchases of a user in the same five minutes.
    /// #[job]
    /// fn both() -> Job {
    ///     let bought = kafka("bought").try_map(|r| r.text()).key_by(|user| *user);
    ///     kafka("visited")
    ///         .try_map(|r| r.text())
    ///         .key_by(|user| *user)
    ///         .outer_join(bought, tumbling(minutes(5)), |visit, purchase| match (visit, purchase) {
    ///             (Some(user), Some(_)) => format!("{user} came and bought"),
    ///             (Some(user), None) => format!("{user} came"),
    ///             (None, user) => format!("{} bought unseen", user.unwrap_or_default()),
    ///         })
    ///         .to(console())
    /// }
    ///
    /// let mut job = testing::run(both);
    /// job.send("visited", ["ann", "bob"]);
    /// job.send("bought", ["bob", "eve"]);
    /// job.end();
    /// assert_eq!(job.rows("console"), ["value=bob came and bought", "value=ann came", "value=eve bought unseen"]);
    /// ```
    pub fn outer_join<K2, F2, G2, J, U>(
        self,
        right: KeyedBy<'b, K2, F2, G2>,
        by: impl JoinBy,
        f: J,
    ) -> Stream<'b, OuterJoined<'b, F::Item, F2::Item, J>>
    where
        K: Key<'b> + 'b,
        G: Fn(&F::Item) -> K + 'b,
        F2: Flow<'b> + 'b,
        K2: SameKey<K> + Key<'b> + 'b,
        G2: Fn(&F2::Item) -> K2 + 'b,
        F::Item: Value<'b>,
        F2::Item: Value<'b>,
        J: Fn(Option<F::Item>, Option<F2::Item>) -> U,
    {
        let by = (by.pairing(), true, true);
        self.pairs(right, "outer-join", by, OuterJoined(f, Sides::new()))
    }

    /// Each item with what a table says of its key: the table's last item of that key, or `None`.
    ///
    /// A source that feeds tables alone is read from its beginning to its end before anything else
    /// begins, and followed from there on. A record of it without a value does not run the table's
    /// chain: it deletes from the table the key that its own key is, as text (`7` for the number
    /// 7).
    ///
    /// ```
    /// use streamhost::{Job, console, job, kafka};
    ///
    /// #[job]
    /// fn greetings() -> Job {
    ///     let names = kafka("names").try_map(|r| Ok::<_, String>((r.key_text()?, r.text()?))).key_by(|(id, _)| *id);
    ///     kafka("visits")
    ///         .try_map(|visit| visit.text())
    ///         .key_by(|id| *id)
    ///         .lookup(names, |id, name| format!("{id} is {}", name.map_or("a stranger", |(_, name)| name)))
    ///         .to(console())
    /// }
    /// ```
    pub fn lookup<K2, F2, G2, J, U>(
        self,
        table: KeyedBy<'b, K2, F2, G2>,
        f: J,
    ) -> Stream<'b, LookedUp<'b, F::Item, F2::Item, J>>
    where
        K: Key<'b> + 'b,
        G: Fn(&F::Item) -> K + 'b,
        F2: Flow<'b> + 'b,
        K2: SameKey<K> + Key<'b> + 'b,
        G2: Fn(&F2::Item) -> K2 + 'b,
        F::Item: Value<'b>,
        F2::Item: Value<'b>,
        J: Fn(F::Item, Option<F2::Item>) -> U,
    {
        let kind = StageKind::Lookup;
        self.two(table, "lookup", kind, LookedUp(f, Sides::new()), None)
    }

    fn pairs<K2, F2, G2, W>(
        self,
        right: KeyedBy<'b, K2, F2, G2>,
        verb: &str,
        (pairing, gives_left, gives_right): (Pairing, bool, bool),
        flow: W,
    ) -> Stream<'b, W>
    where
        K: Key<'b> + 'b,
        G: Fn(&F::Item) -> K + 'b,
        F2: Flow<'b> + 'b,
        K2: SameKey<K> + Key<'b> + 'b,
        G2: Fn(&F2::Item) -> K2 + 'b,
        F::Item: Value<'b>,
        F2::Item: Value<'b>,
    {
        let kind = StageKind::Join {
            partners: pairing.partners,
            lateness_ms: pairing.lateness_ms,
            left: gives_left,
            right: gives_right,
        };
        self.two(right, verb, kind, flow, pairing.mistake)
    }

    fn two<K2, F2, G2, W>(
        self,
        right: KeyedBy<'b, K2, F2, G2>,
        verb: &str,
        kind: StageKind,
        flow: W,
        mistake: Option<&str>,
    ) -> Stream<'b, W>
    where
        K: Key<'b> + 'b,
        G: Fn(&F::Item) -> K + 'b,
        F2: Flow<'b> + 'b,
        K2: SameKey<K> + Key<'b> + 'b,
        G2: Fn(&F2::Item) -> K2 + 'b,
        F::Item: Value<'b>,
        F2::Item: Value<'b>,
    {
        let index = Index::default();
        let name = self.name.unwrap_or_else(|| verb.into());
        let table = kind == StageKind::Lookup;
        let late = LateFor::of(kind);
        let mut plan = self.stream.feed(
            &index,
            0,
            false,
            Side::new(self.key, &index, 0, late, false),
        );
        if right.name.is_some() || right.version > 0 {
            plan.mistakes.push(format!(
                "stage `{name}` is named, and its version counted, on its left side alone: leave `.named(…)` and \
                 `.version(…)` out on the other"
            ));
        }
        let mistake = mistake.map(|mistake| format!("stage `{name}` {mistake}"));
        plan.mistakes.extend(mistake);
        plan.extend(right.stream.feed(
            &index,
            1,
            table,
            Side::new(right.key, &index, 1, late, table),
        ));
        let def = stage(name, self.version, kind);
        let shapes = Schemas {
            key: K::shape,
            value: schema::<F::Item>,
            other: Some(schema::<F2::Item>),
            old: None,
        };
        behind(
            plan,
            StageNode {
                index,
                def,
                shapes,
                keeps_late: false,
                gives_updates: false,
                adds_up: false,
                combine: None,
                migrate: None,
            },
            flow,
        )
    }
}
