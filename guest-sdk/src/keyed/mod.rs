//! What follows `key_by`: a scope and then a reduction; or a join, or a lookup.

mod aggregate; // several reductions at once
mod calendar; // days, weeks and months of a time zone
mod count_window; // so many items together
mod deduplicate; // what came before is left out
mod groups; // what a reduction yields
mod hash;
mod join;
mod compile_errors;
mod number;
mod of_values; // reductions of one value of each item
mod paired; // what follows joins and lookups
mod partials; // one accumulator a key, before the shuffle
mod process; // a function with state and timers
mod place; // which window an item is in, and whether it is late
mod reduce; // the reductions
mod scoped; // the verbs
mod sessions;
mod table; // one value for each key, and its changes
mod sketch; // about how many different values
mod top;
mod verbs; // more verbs
mod windows; // as authors write them

pub use aggregate::{Aggregate, All, Each};
pub use calendar::Weekday;
pub use compile_errors::{HasReduction, HasScope, SameKey};
pub use groups::{Finished, Group, Grouped, Update, Window};
pub use number::{Comparable, Number};
pub use of_values::{ApproxDistinct, Avg, By, Collect, Endmost, OfValues, Percentiles};
pub use paired::{Joined, LookedUp, OuterJoined, RightJoined};
pub use process::{
    Context as ProcessContext, NoTimer, OnTimer, Outcome, Processed, Timer, WithTimer,
};
pub use reduce::{Count, Distinct, Extreme, Fold, Merge, Reduce, Reduction, Sum};
pub use scoped::{Batched, Finish, Running, Scoped, Windowed};
pub use sketch::Distinct as DistinctSketch;
pub use table::{GroupedTable, TableChange};
pub use top::{Ranked, Ranks, Top};
pub use windows::{
    JoinBy, Windows, Within, between, calendar_days, calendar_months, calendar_weeks, hopping,
    session, tumbling, within,
};

use crate::call::Input;
use crate::describe::StageDef;
use crate::flow::{Context, Flow};
use crate::job::{Edge, Index, Plan, Run, StageNode, Start, Strand};
use crate::stream::Stream;
use std::marker::PhantomData;

/// Items with keys: what [`Stream::key_by`] gives. Say next over what they are reduced, or what
/// they are joined with.
#[must_use = "say over what: `.each_batch()`, `.running()`, `.window(…)`; or `.join(…)`, `.lookup(…)`"]
pub struct KeyedBy<'b, K, F, G> {
    pub(crate) stream: Stream<'b, F>,
    pub(crate) key: G,
    pub(crate) name: Option<String>,
    pub(crate) version: u32,
    pub(crate) of: PhantomData<K>,
}

impl<'b, F> Stream<'b, F> {
    /// Gives each item a key. What has one key comes together, from whichever partition it is.
    ///
    /// ```
    /// use streamhost::{Job, console, job, kafka};
    ///
    /// #[job]
    /// fn words() -> Job {
    ///     kafka("lines")
    ///         .try_map(|line| line.text())
    ///         .flat_map(str::split_whitespace)
    ///         .key_by(|word| *word)
    ///         .each_batch()
    ///         .count()
    ///         .to(console())
    /// }
    /// ```
    ///
    /// A key may borrow from the batch, as the items do, but not from the item: of an item that
    /// owns its text take a copy, `.key_by(|order| order.customer.clone())`.
    pub fn key_by<K, G>(self, key: G) -> KeyedBy<'b, K, F, G>
    where
        F: Flow<'b>,
        K: crate::Key<'b>,
        G: Fn(&F::Item) -> K,
    {
        KeyedBy {
            stream: self,
            key,
            name: None,
            version: 0,
            of: PhantomData,
        }
    }
}

impl<'b, K, F, G> KeyedBy<'b, K, F, G> {
    /// Names the stage: state is kept under its name from version to version. Without it a stage is
    /// called after its verb (`count`, `join`), and of two alike one must be named. No stage has
    /// the name of a source.
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Counts changes to what the stage's state means, where its types alone do not show them (a
    /// sum that was in cents and is in euros now). State of another version is refused at deploy,
    /// unless it is migrated. Without it: 0.
    pub fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }
}

/// Where a chain ends at a keyed stage.
pub(crate) trait End<T> {
    /// Takes the loop's item.
    fn take(&mut self, item: T, context: &mut Context);
    /// The call's items are over.
    fn flush(&mut self, context: &mut Context);
}

pub(crate) struct Ending<F, E> {
    flow: F,
    end: E,
}

impl<'b, F: Flow<'b>, E: End<F::Item>> Run<'b> for Ending<F, E> {
    fn run(&mut self, input: Input<'b>, context: &mut Context) {
        let Ending { flow, end } = self;
        flow.each(input, context, |item, context| end.take(item, context));
        end.flush(context);
    }
}

impl<'b, F: Flow<'b> + 'b> Stream<'b, F> {
    /// Ends the chain in one side of a keyed stage.
    pub(crate) fn feed(
        self,
        to: &Index,
        side: u8,
        table: bool,
        end: impl End<F::Item> + 'b,
    ) -> Plan<'b> {
        let Stream {
            flow,
            mut strands,
            mut plan,
        } = self;
        for Strand { trail, .. } in &mut strands {
            trail.feeds.push(Edge {
                to: to.clone(),
                side,
                table,
                timed_by: trail.is_timed,
            });
        }
        plan.end(strands, Ending { flow, end });
        plan
    }
}

/// A chain that begins at a new keyed stage.
pub(crate) fn behind<'b, F>(mut plan: Plan<'b>, stage: StageNode<'b>, flow: F) -> Stream<'b, F> {
    let start = Start::Stage(stage.index.clone());
    plan.stages.push(stage);
    Stream {
        flow,
        strands: vec![Strand::from(start)],
        plan,
    }
}

/// A stage of which its inputs and shapes are not said yet.
pub(crate) fn stage(name: String, version: u32, kind: crate::StageKind) -> StageDef {
    let (key_shape, value_shape, other_shape) = (String::new(), String::new(), String::new());
    StageDef {
        name,
        kind,
        inputs: Vec::new(),
        key_shape,
        value_shape,
        other_shape,
        version,
        migrates: None,
    }
}

#[cfg(test)]
mod tests;
