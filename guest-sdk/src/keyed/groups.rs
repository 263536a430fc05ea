//! What a reduction yields.

use super::calendar::Cut;
use super::reduce::Merge;
use super::scoped::Finish;
use crate::call::{Input, Partials, Positions};
use crate::cell::{Cell, KeyPart, Time};
use crate::columns::{Column, ColumnBuf};
use crate::flow::{Context, Flow};
use crate::key::{Key, read_whole};
use crate::row::{ColumnDef, Row, RowShape, RowWriter};
use crate::schema::schema;
use crate::stream::Stream;
use crate::value::{Value, decode, encode};
use serde::{Deserialize, Serialize};
use std::marker::PhantomData;
use std::rc::Rc;

/// From when to when a reduction is: a window, or a batch, whose time is both.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Window {
    /// The first moment that is in it.
    pub start: Time,
    /// The first one that is not. Of a session the gap after its last item: the last moment at which
    /// one more item would have belonged to it.
    pub end: Time,
}

/// What one key came to, in one batch or one window: see [`each_batch`](crate::KeyedBy::each_batch)
/// and [`window`](crate::KeyedBy::window).
///
/// As a row it is its key and a column `value`; for a table, whose columns have families, and where
/// the window belongs into the key, [`map`](crate::Stream::map) it to a row of your own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Group<K, V> {
    /// The key.
    pub key: K,
    /// What its items were reduced to.
    pub value: V,
    /// The window that is over, or the batch's time.
    pub window: Window,
    /// The time of the batch that gave it out.
    pub batch: Time,
}

/// What one key has come to after a batch that changed it: see
/// [`running`](crate::KeyedBy::running).
///
/// As a row it is its key and a column `value`; later ones take the place of earlier ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Update<K, V> {
    /// The key.
    pub key: K,
    /// What its items have been reduced to so far.
    pub value: V,
    /// The batch's time.
    pub batch: Time,
}

macro_rules! rows {
    ($($own:ident)*) => { $(
        impl<K: KeyPart, V: Cell> Row for $own<K, V> {
            type Key = K;
            const SHAPE: RowShape = RowShape {
                keys: &[ColumnDef::key::<K>("key")],
                key_columns: &[ColumnDef::key_column::<K>("key")],
                dynamic: false,
                headers: false,
                columns: &[ColumnDef { name: "value", kind: V::KIND, optional: V::OPTIONAL }],
            };
            #[inline]
            fn write_key(key: &K, out: &mut RowWriter) {
                out.key(key);
            }
            #[inline]
            fn write(&self, out: &mut RowWriter) {
                out.key(&self.key);
                out.cell(&self.value);
            }
        }
    )* };
}
rows! { Group Update }

/// A reduction that is over, which nothing takes back.
#[diagnostic::on_unimplemented(
    message = "`top` cannot rank `{Self}`",
    label = "not the finished groups of a batch or a window",
    note = "write `.each_batch().count().top(10)` or `.window(…).count().top(10)`; a running reduction's place may change with each batch"
)]
pub trait Finished {
    /// Its key.
    type Key;
    /// What was reduced.
    type Value;
    /// As a group.
    fn group(self) -> Group<Self::Key, Self::Value>;
}

impl<K, V> Finished for Group<K, V> {
    type Key = K;
    type Value = V;
    #[inline]
    fn group(self) -> Group<K, V> {
        self
    }
}

/// What follows a reduction: its groups, read from the host's bytes.
pub struct Grouped<'b, K, A: Merge, S> {
    with: Rc<A>,
    /// Reads a key and what was reduced. Not a bound on what follows: a type that cannot be read
    /// would be told again at each of the operators behind it.
    read: ReadGroup<'b, K, A>,
    /// Of windows of a calendar.
    cut: Option<Rc<dyn Cut>>,
    of: PhantomData<S>,
}

type ReadGroup<'b, K, A> = fn(&A, &str, &'b [u8], &'b [u8]) -> (K, Option<<A as Merge>::Value>);

impl<'b, K, A: Merge, S> Grouped<'b, K, A, S> {
    pub(crate) fn new(with: Rc<A>, cut: Option<Rc<dyn Cut>>) -> Self
    where
        K: Key<'b>,
        A::Acc: Value<'b>,
    {
        Grouped {
            with,
            read: read_group::<K, A>,
            cut,
            of: PhantomData,
        }
    }
}

fn read_group<'b, K: Key<'b>, A: Merge>(
    with: &A,
    stage: &str,
    key: &'b [u8],
    acc: &'b [u8],
) -> (K, Option<A::Value>)
where
    A::Acc: Value<'b>,
{
    let Some(key) = read_whole::<K>(key) else {
        panic!("stage `{stage}`: a key cannot be read: {key:?}")
    };
    (key, with.value(read(stage, acc)))
}

impl<'b, K, A, S> Flow<'b> for Grouped<'b, K, A, S>
where
    A: Merge,
    S: Finish<K, A::Value>,
{
    type Item = S::Item;
    #[inline]
    fn each(
        &mut self,
        input: Input<'b>,
        context: &mut Context,
        mut next: impl FnMut(S::Item, &mut Context),
    ) {
        let Input::Groups(groups) = input else {
            panic!("stage `{}` is given groups, not {input:?}", context.stage)
        };
        let batch = Time(context.moment.batch_ms);
        let windows = groups.starts_ms.iter().zip(groups.ends_ms);
        let items = groups
            .keys
            .iter()
            .zip(groups.accumulators.iter())
            .zip(windows);
        for (position, ((key, acc), (&start_ms, &end_ms))) in (0..).zip(items) {
            context.of_group(position, start_ms, end_ms);
            let own = self.cut.as_ref().and_then(|cut| cut.around(start_ms));
            let start_ms = own.map_or(start_ms, |(start_ms, _)| start_ms);
            let (key, value) = (self.read)(&self.with, &context.stage, key, acc);
            if let Some(value) = value {
                next(
                    S::item(
                        key,
                        value,
                        Window {
                            start: Time(start_ms),
                            end: Time(end_ms),
                        },
                        batch,
                    ),
                    context,
                );
            }
        }
    }
}

/// Reads an accumulator. Panics where it is none, which makes the host set its group aside.
pub(crate) fn read<'b, Acc: Value<'b>>(stage: &str, bytes: &'b [u8]) -> Acc {
    decode(bytes).unwrap_or_else(|reason| {
        panic!("stage `{stage}`: the accumulator cannot be read: {reason}")
    })
}

fn write<Acc: Serialize>(stage: &str, acc: &Acc, out: &mut ColumnBuf) {
    encode(acc, out).unwrap_or_else(|error| {
        panic!("stage `{stage}`: the accumulator cannot be written: {error}")
    });
}

/// The export `combine` of one stage.
pub(crate) fn combine<'b, A: Merge>(stage: &str, with: &A, partials: Partials<'b>) -> ColumnBuf
where
    A::Acc: Value<'b>,
{
    let mut out = ColumnBuf::default();
    out.data
        .reserve(partials.accumulators.data.len() + partials.partials.data.len());
    out.ends.reserve(partials.group_ends.len());
    let mut absent = Positions(partials.absent);
    let mut parts = partials.partials.iter();
    let mut from = 0;
    for (group, (so_far, &to)) in (0..).zip(partials.accumulators.iter().zip(partials.group_ends)) {
        let count = (to - from) as usize;
        from = to;
        let is_new = absent.has(group);
        let mut group = parts.by_ref().take(count);
        if is_new && count == 1 {
            group.for_each(|part| out.push(part)); // one part is the whole
            continue;
        }
        let mut acc = if is_new {
            let first = group
                .next()
                .unwrap_or_else(|| panic!("stage `{stage}`: a group has nothing to merge"));
            read(stage, first)
        } else {
            let mut acc = read(stage, so_far);
            with.resume(&mut acc);
            acc
        };
        group.for_each(|part| with.merge(&mut acc, read(stage, part)));
        write(stage, &acc, &mut out);
    }
    out
}

impl<'b, K, A, S> Stream<'b, Grouped<'b, K, A, S>>
where
    A: Merge + 'b,
{
    /// Lets a job that keeps another kind of accumulator take this one's place: `f` makes the new
    /// one of the old one. It is of use for one deploy, from the stage's version `from` (0 where
    /// none was given) and the shape of `Old`; without it such a deploy is refused, unless the
    /// state is dropped.
    ///
    /// ```
    /// use serde::{Deserialize, Serialize};
    /// use streamhost::{Job, console, job, kafka};
    ///
    /// #[derive(Clone, Serialize, Deserialize)]
    /// struct Seen { views: u64, bytes: u64 }
    ///
    /// #[job]
    /// fn sizes() -> Job {
    ///     kafka("views")
    ///         .try_map(|record| record.text())
    ///         .key_by(|page| *page)
    ///         .running()
    ///         .fold(
    ///             || Seen { views: 0, bytes: 0 },
    ///             |seen, page| { seen.views += 1; seen.bytes += page.len() as u64 },
    ///             |seen, other| { seen.views += other.views; seen.bytes += other.bytes },
    ///         )
    ///         .migrate_from(0, |views: u64| Seen { views, bytes: 0 }) // it was a `.count()`, named alike
    ///         .map(|page| format!("{} {}", page.key, page.value.bytes))
    ///         .to(console())
    /// }
    /// ```
    pub fn migrate_from<Old, M>(mut self, from: u32, f: M) -> Self
    where
        Old: Value<'b>,
        A::Acc: Value<'b>,
        M: Fn(Old) -> A::Kept + 'b,
    {
        let with = self.flow.with.clone();
        if let Some(stage) = self.plan.stages.last_mut() {
            stage.def.migrates = Some((String::new(), from));
            stage.shapes.old = Some(schema::<Old>);
            stage.migrate = Some(Box::new(move |name: &str, accumulators: Column<'b>| {
                let mut out = ColumnBuf::default();
                accumulators
                    .iter()
                    .for_each(|old| write(name, &with.kept(f(read(name, old))), &mut out));
                out
            }));
        }
        self
    }
}
