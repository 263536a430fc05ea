//! A function with a state and timers for each key.

mod context;
mod run;

pub use context::Context;
pub use run::{NoTimer, OnTimer, Outcome, Processed, WithTimer};

use super::join::{LateFor, Side};
use super::windows::ms;
use super::{KeyedBy, behind, stage};
use crate::cell::Time;
use crate::columns::{Column, ColumnBuf};
use crate::describe::StageKind;
use crate::flow::Flow;
use crate::job::{Index, Schemas, StageNode};
use crate::key::Key;
use crate::schema::schema;
use crate::stream::Stream;
use crate::value::{Value, decode, encode};
use std::time::Duration;

/// A timer that goes off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timer {
    /// When it was set for.
    pub at: Time,
    /// It is one of the batches' time; else of event time.
    pub is_batch: bool,
}

impl<'b, K, F: Flow<'b>, G> KeyedBy<'b, K, F, G> {
    /// Gives each item to a function of your own, with a state for its key: what no reduction or
    /// join says. The function gets the key, the item, the key's state (`None`: nothing is kept) and
    /// a [`Context`], by which it gives items out and sets timers.
    ///
    /// The state is one value with serde's traits, such as a struct of several lists and maps; what
    /// the function leaves in it is kept, and `None` keeps nothing. A function that can refuse an
    /// item ends in `Ok(())` or `Err(…)`, which makes the item a dead letter.
    ///
    /// A key's items come in the order of their source, partition and offset: between partitions no
    /// order is kept. None is late.
    ///
    /// ```
    /// use serde::{Deserialize, Serialize};
    /// use streamhost::{Context, Job, Time, Timer, console, fields, job, kafka, minutes, ok, testing};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct Cart { items: u64, reminds: Time }
    ///
    /// #[job]
    /// fn abandoned() -> Job {
    ///     kafka("carts")
    ///         .try_map(|record| {
    ///             let [user, what, at] = fields(record.text()?, ',')?;
    ///             ok((user, what, Time::from_secs(at.parse()?)))
    ///         })
    ///         .timed_by(|(_, _, at)| *at)
    ///         .key_by(|(user, ..)| *user)
    ///         .named("carts-open")
    ///         .process(|_user: &str, (_, what, at), cart: &mut Option<Cart>, ctx: &mut Context<'_, String>| {
    ///             let before = cart.take();
    ///             if let Some(before) = &before {
    ///                 ctx.delete_timer(before.reminds);
    ///             }
    ///             if what == "add" {
    ///                 let (items, reminds) = (before.map_or(0, |cart| cart.items) + 1, at + minutes(10));
    ///                 ctx.timer_at(reminds);
    ///                 *cart = Some(Cart { items, reminds });
    ///             }
    ///         })
    ///         .on_timer(|user: &str, _: Timer, cart: &mut Option<Cart>, ctx: &mut Context<'_, String>| {
    ///             if let Some(cart) = cart.take() {
    ///                 ctx.emit(format!("{user} left {} items", cart.items));
    ///             }
    ///         })
    ///         .to(console())
    /// }
    ///
    /// let mut job = testing::run(abandoned);
    /// job.send("carts", ["ada,add,0", "bob,add,60", "ada,add,120", "bob,pay,300", "ada,pay,1200"]);
    /// assert_eq!(job.rows("console"), ["value=ada left 2 items"]);
    /// ```
    pub fn process<S, O, P, R>(
        self,
        f: P,
    ) -> Stream<'b, Processed<'b, K, F::Item, S, O, P, NoTimer>>
    where
        F: 'b,
        F::Item: Value<'b> + 'b,
        K: Key<'b> + 'b,
        G: Fn(&F::Item) -> K + 'b,
        S: Value<'b> + 'b,
        O: 'b,
        R: Outcome,
        P: Fn(K, F::Item, &mut Option<S>, &mut Context<'_, O>) -> R + 'b,
    {
        let index = Index::default();
        let name = self.name.unwrap_or_else(|| "process".into());
        let side = Side::new(self.key, &index, 0, Some(LateFor::NEVER), false);
        let plan = self.stream.feed(&index, 0, false, side);
        let kind = StageKind::Process {
            expire_ms: None,
            event_time: false,
        };
        let def = stage(name, self.version, kind);
        let shapes = Schemas {
            key: K::shape,
            value: schema::<S>,
            other: Some(schema::<F::Item>),
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
            Processed::new(f),
        )
    }
}

impl<'b, K, T, S, O, P> Stream<'b, Processed<'b, K, T, S, O, P, NoTimer>> {
    /// What is called when a timer goes off that the function of
    /// [`process`](KeyedBy::process) has set, or this one: with the key, the timer, and the key's
    /// state.
    ///
    /// A timer of event time goes off before the first item of its key that is later, and where none
    /// comes when event time has passed it, which it does as the slowest partition does; of one key
    /// all in the order of their times. So where a key's items are in one partition and in order it
    /// does not matter where batches end, nor how far other partitions are.
    pub fn on_timer<H, R>(self, f: H) -> Stream<'b, Processed<'b, K, T, S, O, P, WithTimer<H>>>
    where
        R: Outcome,
        H: Fn(K, Timer, &mut Option<S>, &mut Context<'_, O>) -> R + 'b,
    {
        let mut stream = self.then(|flow| flow.on_timer(f));
        let event_time = stream.flow.has_event_timers();
        stream.set(None, event_time);
        stream
    }
}

impl<'b, K, T, S, O, P, N> Stream<'b, Processed<'b, K, T, S, O, P, N>> {
    /// Forgets a key that had no item for so long, by the time of the batches, with all its timers.
    /// A later item begins it afresh. Keys that a version without this has kept are forgotten once
    /// they had another item.
    pub fn expire_after(mut self, idle: Duration) -> Self {
        let event_time = self.flow.has_event_timers();
        self.set(Some(ms(idle)), event_time);
        self
    }

    /// All its timers are of the batches' time, so that it does not wait for event time: it may
    /// stand behind what has none, such as [`running`](KeyedBy::running).
    pub fn processing_time(mut self) -> Self {
        self.flow.by_batches();
        self.set(None, false);
        self
    }

    fn set(&mut self, expire: Option<u64>, by_event_time: bool) {
        if let Some(stage) = self.plan.stages.last_mut()
            && let StageKind::Process {
                expire_ms,
                event_time,
            } = &mut stage.def.kind
        {
            *expire_ms = expire.or(*expire_ms);
            *event_time = by_event_time;
        }
    }

    /// Lets a job that keeps another kind of state take this one's place: `f` makes the new state of
    /// the old one. See [`migrate_from`](Stream::migrate_from) of reductions.
    pub fn migrate_from<Old, M>(mut self, from: u32, f: M) -> Self
    where
        Old: Value<'b>,
        S: Value<'b>,
        M: Fn(Old) -> S + 'b,
    {
        if let Some(stage) = self.plan.stages.last_mut() {
            stage.def.migrates = Some((String::new(), from));
            stage.shapes.old = Some(schema::<Old>);
            stage.migrate = Some(Box::new(move |name: &str, states: Column<'b>| {
                let mut out = ColumnBuf::default();
                for old in states.iter() {
                    let old = decode(old).unwrap_or_else(|reason| {
                        panic!("stage `{name}`: a state cannot be read: {reason}")
                    });
                    encode(&f(old), &mut out).unwrap_or_else(|error| {
                        panic!("stage `{name}`: a state cannot be written: {error}")
                    });
                }
                out
            }));
        }
        self
    }
}
