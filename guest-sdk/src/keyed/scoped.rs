//! A scope, and the verbs that reduce over it.

use super::calendar::{Calendar, Cut};
use super::groups::{Group, Grouped, Update, Window, combine};
use super::number::{Comparable, Number};
use super::partials::Reducing;
use super::place::{Late, Place, signed};
use super::reduce::{Count, Distinct, Extreme, Fold, Reduce, Reduction, Sum};
use super::sessions::{Gap, Sessions};
use super::windows::{Windows, ms};
use super::{KeyedBy, behind, stage};
use crate::cell::Time;
use crate::describe::{Scope, StageKind, WindowDef, WindowForm};
use crate::flow::Flow;
use crate::job::{Combine, Index, Schemas, StageNode};
use crate::key::Key;
use crate::row::Row;
use crate::schema::schema;
use crate::sink::Sink;
use crate::stream::Stream;
use crate::value::Value;
use std::cmp::Ordering;
use std::marker::PhantomData;
use std::rc::Rc;
use std::time::Duration;

/// Items with keys and a scope: say what they are reduced to.
#[must_use = "say what: `.count()`, `.sum(…)`, `.reduce(…)`, `.fold(…)` and so on"]
pub struct Scoped<'b, K, F: Flow<'b>, G, S> {
    keyed: KeyedBy<'b, K, F, G>,
    scope: Scope,
    calendar: Option<Calendar>,
    late: Option<Late<F::Item>>,
    of: PhantomData<S>,
}

/// Over each batch: see [`KeyedBy::each_batch`].
#[derive(Debug)]
pub struct Batched;
/// Over windows: see [`KeyedBy::window`].
#[derive(Debug)]
pub struct Windowed;
/// Over all time: see [`KeyedBy::running`].
#[derive(Debug)]
pub struct Running;

/// What a finished reduction is: a [`Group`] or an [`Update`].
pub trait Finish<K, V> {
    /// The one of the two that it is.
    type Item;
    /// Makes it.
    fn item(key: K, value: V, window: Window, batch: Time) -> Self::Item;
}

macro_rules! groups {
    ($($scope:ident)*) => { $(
        impl<K, V> Finish<K, V> for $scope {
            type Item = Group<K, V>;
            #[inline]
            fn item(key: K, value: V, window: Window, batch: Time) -> Group<K, V> {
                Group { key, value, window, batch }
            }
        }
    )* };
}
groups! { Batched Windowed }

impl<K, V> Finish<K, V> for Running {
    type Item = Update<K, V>;
    #[inline]
    fn item(key: K, value: V, _: Window, batch: Time) -> Update<K, V> {
        Update { key, value, batch }
    }
}

impl<'b, K, F: Flow<'b>, G> KeyedBy<'b, K, F, G> {
    fn over<S>(self, scope: Scope) -> Scoped<'b, K, F, G, S> {
        Scoped {
            keyed: self,
            scope,
            calendar: None,
            late: None,
            of: PhantomData,
        }
    }

    /// Over each batch by itself, which keeps nothing from batch to batch.
    pub fn each_batch(self) -> Scoped<'b, K, F, G, Batched> {
        self.over(Scope::EachBatch)
    }

    /// Over all time: after each batch the keys that it changed are given as they stand, as
    /// [`Update`]s.
    pub fn running(self) -> Scoped<'b, K, F, G, Running> {
        self.over(Scope::Running { expire_ms: None })
    }

    /// Over windows: [`tumbling`](crate::tumbling), [`hopping`](crate::hopping) or
    /// [`session`](crate::session) ones, or those of a calendar, such as
    /// [`calendar_days`](crate::calendar_days).
    ///
    /// ```
    /// use streamhost::{Group, Job, Row, Time, hbase, hopping, job, kafka, minutes};
    ///
    /// #[derive(Row)]
    /// #[row(separator = "/")]
    /// struct Trend<'a> {
    ///     #[row(key)]
    ///     until: Time,
    ///     #[row(key)]
    ///     tag: &'a str,
    ///     #[row("trend:count")]
    ///     count: u64,
    /// }
    ///
    /// #[job]
    /// fn trends() -> Job {
    ///     kafka("posts")
    ///         .try_map(|post| post.text())
    ///         .flat_map(|text| text.split_whitespace().filter(|word| word.starts_with('#')))
    ///         .key_by(|tag| *tag)
    ///         .window(hopping(minutes(5), minutes(1)))
    ///         .count()
    ///         .map(|tag| Trend { until: tag.window.end, tag: tag.key, count: tag.value })
    ///         .to(hbase("trends"))
    /// }
    /// ```
    pub fn window(mut self, windows: Windows) -> Scoped<'b, K, F, G, Windowed> {
        let mistake = windows.mistake().map(String::from);
        self.stream.plan.mistakes.extend(mistake);
        let mut scoped = self.over(Scope::Window(windows.def()));
        scoped.calendar = windows.calendar();
        scoped
    }
}

impl<'b, K, F: Flow<'b>, G> Scoped<'b, K, F, G, Running> {
    /// Forgets a key that had no record for so long, by the time of the batches. A later record
    /// begins it afresh. So are keys forgotten that a version without this has kept.
    pub fn expire_after(mut self, idle: Duration) -> Self {
        self.scope = Scope::Running {
            expire_ms: Some(ms(idle)),
        };
        self
    }
}

impl<'b, K, F: Flow<'b>, G> Scoped<'b, K, F, G, Windowed> {
    /// Sends items that come too late for their window to a sink. They are counted in any case, and
    /// without this they are dropped. Behind a lookup there is no such sink, as what is late there
    /// is noticed by the host: let the window come first.
    pub fn late_to(mut self, sink: impl Into<Sink>) -> Self
    where
        F::Item: Row,
    {
        let Stream { plan, strands, .. } = &mut self.keyed.stream;
        if self.late.is_some() {
            plan.mistakes
                .push("`.late_to(…)` stands there twice: late items go to one sink".into());
        }
        let index = plan.add_sink::<F::Item>(sink.into(), strands);
        self.late = Some(Late::new(index));
        self
    }
}

impl<'b, K, F, G, S> Scoped<'b, K, F, G, S>
where
    F: Flow<'b> + 'b,
{
    /// How many items there are of each key.
    pub fn count(self) -> Stream<'b, Grouped<'b, K, Count, S>>
    where
        K: Key<'b> + 'b,
        G: Fn(&F::Item) -> K + 'b,
    {
        self.reduction("count", Count)
    }

    /// The sum of a number of each item: of integers an `i64` or `u64`, of floats an `f64`.
    pub fn sum<N, H>(self, number: H) -> Stream<'b, Grouped<'b, K, Sum<H, N>, S>>
    where
        K: Key<'b> + 'b,
        G: Fn(&F::Item) -> K + 'b,
        N: Number + 'b,
        H: Fn(F::Item) -> N + 'b,
    {
        self.reduction("sum", Sum(number, PhantomData))
    }

    /// The least value that any item has. Of equal ones the first.
    pub fn min<V, H>(self, value: H) -> Stream<'b, Grouped<'b, K, Extreme<H, V>, S>>
    where
        K: Key<'b> + 'b,
        G: Fn(&F::Item) -> K + 'b,
        V: Comparable + Value<'b> + 'b,
        H: Fn(F::Item) -> V + 'b,
    {
        self.reduction(
            "min",
            Extreme {
                of: value,
                wins: Ordering::Less,
                value: PhantomData,
            },
        )
    }

    /// The largest value that any item has. Of equal ones the first.
    ///
    /// ```
    /// use streamhost::{Job, console, fields, job, kafka};
    ///
    /// #[job]
    /// fn peaks() -> Job {
    ///     kafka("readings")
    ///         .try_map(|record| {
    ///             let [sensor, value] = fields(record.text()?, ',')?;
    ///             Ok::<_, String>((sensor, value.parse::<f64>().map_err(|e| e.to_string())?))
    ///         })
    ///         .key_by(|(sensor, _)| *sensor)
    ///         .running()
    ///         .max(|(_, value)| value)
    ///         .to(console())
    /// }
    /// ```
    pub fn max<V, H>(self, value: H) -> Stream<'b, Grouped<'b, K, Extreme<H, V>, S>>
    where
        K: Key<'b> + 'b,
        G: Fn(&F::Item) -> K + 'b,
        V: Comparable + Value<'b> + 'b,
        H: Fn(F::Item) -> V + 'b,
    {
        self.reduction(
            "max",
            Extreme {
                of: value,
                wins: Ordering::Greater,
                value: PhantomData,
            },
        )
    }

    /// Each key once: of a batch or window with nothing as its value, over all time when it is
    /// first seen.
    pub fn distinct(self) -> Stream<'b, Grouped<'b, K, Distinct, S>>
    where
        K: Key<'b> + 'b,
        G: Fn(&F::Item) -> K + 'b,
    {
        let running = matches!(self.scope, Scope::Running { .. });
        self.reduction("distinct", Distinct { running })
    }

    /// One item made of two, again and again. Items meet in any grouping, as a batch is reduced in
    /// parts, so `f` must be associative, and, as partitions have no order among each other,
    /// commutative.
    pub fn reduce<R>(self, f: R) -> Stream<'b, Grouped<'b, K, Reduce<F::Item, R>, S>>
    where
        K: Key<'b> + 'b,
        G: Fn(&F::Item) -> K + 'b,
        F::Item: Value<'b> + 'b,
        R: Fn(F::Item, F::Item) -> F::Item + 'b,
    {
        self.reduction("reduce", Reduce::new(f))
    }

    /// An accumulator of your own: `init` makes an empty one, `add` takes an item in, and `merge`
    /// takes in what another part of the items came to. The parts may be cut anywhere, so the three
    /// must agree; and, as partitions have no order among each other, the order must not matter.
    pub fn fold<Acc, I, A, M>(
        self,
        init: I,
        add: A,
        merge: M,
    ) -> Stream<'b, Grouped<'b, K, Fold<I, A, M>, S>>
    where
        K: Key<'b> + 'b,
        G: Fn(&F::Item) -> K + 'b,
        Acc: Value<'b> + 'b,
        I: Fn() -> Acc + 'b,
        A: Fn(&mut Acc, F::Item) + 'b,
        M: Fn(&mut Acc, Acc) + 'b,
    {
        self.reduction("fold", Fold { init, add, merge })
    }

    /// A reduction of your own making.
    pub fn reduction<A>(self, verb: &str, with: A) -> Stream<'b, Grouped<'b, K, A, S>>
    where
        K: Key<'b> + 'b,
        G: Fn(&F::Item) -> K + 'b,
        A: Reduction<F::Item> + 'b,
        A::Acc: Value<'b> + 'b,
    {
        let Scoped {
            keyed,
            scope,
            calendar,
            late,
            ..
        } = self;
        let KeyedBy {
            stream,
            key,
            name,
            version,
            ..
        } = keyed;
        let (index, mistake) = (Index::default(), with.mistake());
        let (cut, unknown) = open(calendar);
        let with = Rc::new(with);
        let (name, keeps_late) = (name.unwrap_or_else(|| verb.into()), late.is_some());
        let mut plan = match (Place::new(scope, cut.clone()), scope) {
            (Some(place), _) => {
                let end = Reducing::new(key, with.clone(), place, late, index.clone());
                stream.feed(&index, 0, false, end)
            }
            (None, scope) => {
                let end = Sessions::new(key, with.clone(), gap(scope), late, index.clone());
                stream.feed(&index, 0, false, end)
            }
        };
        plan.mistakes.extend(mistake.into_iter().chain(unknown));
        let is_running = matches!(scope, Scope::Running { .. });
        let mut def = stage(name, version, StageKind::Reduce(scope));
        // Other windows are other state, which the host tells by the shape.
        def.value_shape = calendar.map_or_else(String::new, |windows| format!(" in {windows}"));
        let shapes = Schemas {
            key: K::shape,
            value: schema::<A::Acc>,
            other: None,
            old: None,
        };
        let flow = Grouped::new(with.clone(), cut);
        let combine: Combine<'b> =
            Box::new(move |stage, partials| combine(stage, &*with, partials));
        behind(
            plan,
            StageNode {
                index,
                def,
                shapes,
                keeps_late,
                gives_updates: is_running && !A::GIVES_ONCE,
                adds_up: is_running && A::ADDS_UP,
                combine: Some(combine),
                migrate: None,
            },
            flow,
        )
    }
}

/// The windows of a calendar, or why there are none.
fn open(calendar: Option<Calendar>) -> (Option<Rc<dyn Cut>>, Option<String>) {
    match calendar.map(Calendar::open) {
        None => (None, None),
        Some(Ok(cut)) => (Some(cut), None),
        Some(Err(mistake)) => (None, Some(mistake)),
    }
}

/// Of a scope that is sessions.
fn gap(scope: Scope) -> Gap {
    match scope {
        Scope::Window(WindowDef {
            form: WindowForm::Session { gap_ms },
            lateness_ms,
            processing_time,
            ..
        }) => Gap {
            gap_ms: signed(gap_ms),
            lateness_ms: signed(lateness_ms),
            processing_time,
        },
        _ => unreachable!("what is placed by its time alone is no session"),
    }
}
