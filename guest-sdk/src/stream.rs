//! The chain.

use crate::flow::{Also, Beside, Filter, FlatMap, Flow, Map, Records, Shared, TryMap};
use crate::job::{Job, Plan, Sinking, Stage, StageKind};
use crate::row::Row;
use crate::sink::Sink;
use std::fmt::Display;
use std::rc::Rc;
use std::time::Duration;

/// Items on their way from a source to a sink. `F` says how they are made; authors need not name it.
#[must_use = "a stream does nothing until it ends in `.to(…)`"]
pub struct Stream<'b, F> {
    pub(crate) flow: F,
    pub(crate) start: StageKind,
    pub(crate) plan: Plan<'b>,
}

/// The records of a source.
pub type Source<'b> = Stream<'b, Records>;

/// A topic: a source, or, given to [`Stream::to`], a sink. Where the brokers are is the host's affair, and
/// `--set source.NAME=…` or `--set sink.NAME=…` at deploy names another topic.
pub fn kafka<'b>(topic: &str) -> Source<'b> {
    let start = StageKind::Source { name: topic.into(), every: None };
    Stream { flow: Records, start, plan: Plan::default() }
}

impl Source<'_> {
    /// The interval of the job's batches. Without it a batch is made as soon as records are there and the last one is
    /// done: quick when little comes in, and in large portions when much does. It belongs to the whole job, so that
    /// several sources must agree; `--set every=…` at deploy overrides it.
    pub fn every(mut self, interval: Duration) -> Self {
        if let StageKind::Source { every, .. } = &mut self.start {
            *every = Some(interval);
        }
        self
    }
}

impl<'b, F> Stream<'b, F> {
    /// Makes one item of each.
    pub fn map<U, G>(self, f: G) -> Stream<'b, Map<F, G>>
    where
        F: Flow<'b>,
        G: Fn(F::Item) -> U,
    {
        self.then(|prev| Map(prev, f))
    }

    /// Makes one item of each, or sets its record aside: an `Err` goes to the job's dead letters with its text as the
    /// reason, and the batch goes on.
    pub fn try_map<U, E, G>(self, f: G) -> Stream<'b, TryMap<F, G>>
    where
        F: Flow<'b>,
        G: Fn(F::Item) -> Result<U, E>,
        E: Display,
    {
        self.then(|prev| TryMap(prev, f))
    }

    /// Keeps the items for which `f` is true.
    pub fn filter<G>(self, f: G) -> Stream<'b, Filter<F, G>>
    where
        F: Flow<'b>,
        G: Fn(&F::Item) -> bool,
    {
        self.then(|prev| Filter(prev, f))
    }

    /// Makes any number of items of each: whatever can be iterated, an `Option` too.
    pub fn flat_map<I, G>(self, f: G) -> Stream<'b, FlatMap<F, G>>
    where
        F: Flow<'b>,
        G: Fn(F::Item) -> I,
        I: IntoIterator,
    {
        self.then(|prev| FlatMap(prev, f))
    }

    /// Sends a copy of each item down a branch as well, which must end in `.to(…)` too. Borrowed items are cheap to copy.
    ///
    /// ```
    /// use streamhost::{Job, hbase, job, kafka, testing};
    /// # use streamhost::{Record, Row};
    /// # #[derive(Row, Clone)]
    /// # struct Order<'a> { #[row(key)] id: &'a str, #[row("order:cents")] cents: u64 }
    /// # fn parse(r: Record<'_>) -> Result<Order<'_>, String> { Ok(Order { id: r.text()?, cents: r.value.len() as u64 }) }
    ///
    /// #[job]
    /// fn orders() -> Job {
    ///     kafka("orders")
    ///         .also(|records| records.to(kafka("orders-raw")))          // saved as they came
    ///         .try_map(parse)
    ///         .also(|orders| orders.filter(|o| o.cents > 9).to(hbase("large")))
    ///         .to(hbase("orders"))
    /// }
    /// # let mut job = testing::run(orders);
    /// # job.send("orders", ["a", "0123456789"]);
    /// # assert_eq!(job.rows("orders-raw"), ["value=a", "value=0123456789"]);
    /// # assert_eq!(job.rows("large"), ["key=0123456789 order:cents=10"]);
    /// # assert_eq!(job.rows("orders").len(), 2);
    /// ```
    pub fn also<B>(self, branch: B) -> Stream<'b, Also<'b, F, F::Item>>
    where
        F: Flow<'b>,
        F::Item: Clone + 'b,
        B: FnOnce(Stream<'b, Beside<F::Item>>) -> Job<'b>,
    {
        let shared: Shared<F::Item> = Shared::default();
        let id = Rc::as_ptr(&shared).addr();
        let start = StageKind::Branch { id };
        let mut built = branch(Stream { flow: Beside(shared.clone()), start, plan: Plan::default() }).plan;
        let at = built.stages.iter().position(|s| matches!(s.kind, StageKind::Branch { id: i } if i == id));
        let run = at.map(|at| built.stages.remove(at).run);
        let Stream { flow, start, mut plan } = self;
        if run.is_none() {
            plan.mistakes
                .push("a branch is lost: `.also(|items| …)` must end the stream it is given in `.to(…)`".into());
        }
        plan.extend(built);
        Stream { flow: Also { prev: flow, shared, branch: run }, start, plan }
    }

    /// Ends the chain: its items are the sink's rows. `sink` is [`hbase`](crate::hbase), [`console`](crate::console),
    /// [`kafka`], or one of them within [`exactly_once`](crate::exactly_once).
    pub fn to(self, sink: impl Into<Sink>) -> Job<'b>
    where
        F: Flow<'b> + 'b,
        F::Item: Row,
    {
        let Stream { flow, start, mut plan } = self;
        let index = plan.add_sink(sink.into(), <F::Item as Row>::SHAPE);
        plan.stages.push(Stage { kind: start, run: Box::new(Sinking { flow, index }) });
        Job { name: "", plan }
    }

    fn then<G>(self, wrap: impl FnOnce(F) -> G) -> Stream<'b, G> {
        Stream { flow: wrap(self.flow), start: self.start, plan: self.plan }
    }
}
