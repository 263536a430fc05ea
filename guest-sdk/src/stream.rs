//! The chain.

use crate::cell::Time;
use crate::describe::SourceDef;
use crate::flow::{
    Also, BranchItems, Filter, FlatMap, Flow, Inspect, Map, Records, SameItem, Shared, TimedBy,
    TryMap, Union,
};
use crate::job::{Chain, Index, Job, KnownSource, Plan, Run, Sinking, SourceNode, Start, Strand};
use crate::reason::Refusal;
use crate::row::Row;
use crate::sink::Sink;
use std::rc::Rc;
use std::time::Duration;

/// Items on their way from a source to a sink. `F` says how they are made; authors need not name
/// it.
#[must_use = "a stream does nothing until it ends in `.to(…)`"]
pub struct Stream<'b, F> {
    pub(crate) flow: F,
    /// Where its items come from: one place, or several that a union has joined.
    pub(crate) strands: Vec<Strand>,
    pub(crate) plan: Plan<'b>,
}

/// The records of a source.
pub type Source<'b> = Stream<'b, Records>;

/// A topic: a source, or, given to [`Stream::to`], a sink. Where the brokers are is the host's
/// affair, and `--set source.NAME=…` or `--set sink.NAME=…` at deploy names another topic.
pub fn kafka<'b>(topic: &str) -> Source<'b> {
    of(TOPIC, "kafka", topic)
}

/// Several topics as one source: what follows takes the records of all alike, and
/// [`Record::topic`](crate::Record::topic) says which one a record is of. Each topic is a source of
/// its own to the host, as in a [`union`](Stream::union): `--set source.NAME=…` names another in its place, and
/// between two topics there is no order, but that a batch gives those of the first first.
///
/// ```
/// use streamhost::{Job, console, job, kafka_topics, testing};
///
/// #[job]
/// fn views() -> Job {
///     kafka_topics(["web", "mobile"])
///         .try_map(|view| Ok::<_, String>(format!("{} of {}", view.text()?, view.topic())))
///         .to(console())
/// }
///
/// let mut job = testing::run(views);
/// job.send("web", ["home"]).send("mobile", ["about"]);
/// assert_eq!(job.rows("console"), ["value=home of web", "value=about of mobile"]);
/// ```
pub fn kafka_topics<'b, T: AsRef<str>>(topics: impl IntoIterator<Item = T>) -> Source<'b> {
    let mut all = Stream {
        flow: Records,
        strands: Vec::new(),
        plan: Plan::default(),
    };
    for topic in topics {
        let Stream { strands, plan, .. } = kafka(topic.as_ref());
        let is_same = |source: &SourceNode| source.def.name == topic.as_ref();
        if all.plan.sources.iter().any(is_same) {
            let topic = topic.as_ref();
            let mistake = format!(
                "`kafka_topics` has the topic `{topic}` twice: its records would come twice"
            );
            all.plan.mistakes.push(mistake);
        }
        all.plan.extend(plan);
        all.strands.extend(strands);
    }
    if all.strands.is_empty() {
        let mistake = "`kafka_topics` is given no topics: name one at least";
        all.plan.mistakes.push(mistake.into());
    }
    all
}

/// The lines that a TCP server at `host:port` sends, each one a record without a key. What was sent
/// while nobody listened is gone: a socket cannot be read twice, so it is for trying things. `--set
/// source.host:port=…` names another address.
pub fn socket<'b>(address: &str) -> Source<'b> {
    of(SOCKET, "socket", address)
}

/// The lines of a file, or of the files in a folder, to the end; each one is a record without a
/// key. Each file is read in its order; between the files of a folder no order is kept within a
/// batch. Names that end in `.gz` or `.zst` are unpacked. [`follow`](Source::follow) reads on.
pub fn file<'b>(path: &str) -> Source<'b> {
    of(FILE, "file", path)
}

/// The numbers 0, 1, 2 and so on as text, so many of them a second: for trying things. Number `n`
/// has the time `n * 1000 / per_second` milliseconds, counted from 1970.
pub fn rate<'b>(per_second: u32) -> Source<'b> {
    of(GENERATOR, "rate", "rate").with("rate", per_second)
}

/// A source of any connector that the host has, by its name: `source("kafka", "clicks")` is
/// `kafka("clicks")`. Which options it takes, the host says at deploy.
pub fn source<'b>(connector: &str, name: &str) -> Source<'b> {
    of(ANY, connector, name)
}

const TOPIC: KnownSource = KnownSource {
    what: "topic",
    is_path: false,
    is_sink: true,
    ends: true,
    follows: false,
};
const SOCKET: KnownSource = KnownSource {
    what: "socket",
    is_sink: false,
    ends: false,
    ..TOPIC
};
const FILE: KnownSource = KnownSource {
    what: "file",
    is_path: true,
    is_sink: false,
    follows: true,
    ..TOPIC
};
const GENERATOR: KnownSource = KnownSource {
    what: "the generator",
    ..SOCKET
};
/// What it is, only the host knows.
const ANY: KnownSource = KnownSource {
    what: "source",
    is_path: true,
    ..TOPIC
};

fn of<'b>(known: KnownSource, connector: &str, name: &str) -> Source<'b> {
    let index = Index::default();
    let def = SourceDef {
        connector: connector.into(),
        name: name.into(),
        table: false,
        timed: false,
        options: Vec::new(),
    };
    let sources = vec![SourceNode {
        index: index.clone(),
        known,
        def,
        every: None,
    }];
    Stream {
        flow: Records,
        strands: vec![Strand::from(Start::Source(index))],
        plan: Plan {
            sources,
            ..Plan::default()
        },
    }
}

impl Source<'_> {
    /// Tells the connector something: an option of its own, which the host checks at deploy. `--set
    /// source.NAME.OPTION=…` says otherwise.
    pub fn with(mut self, option: &str, value: impl ToString) -> Self {
        for source in &mut self.plan.sources {
            source.def.options.retain(|(name, _)| name != option);
            let value = value.to_string();
            source.def.options.push((option.into(), value));
        }
        self
    }

    /// The interval of the job's batches. Without it a batch is made as soon as records are there
    /// and the last one is done: quick when little comes in, and in large portions when much does.
    /// It belongs to the whole job, so that several sources must agree; `--set every=…` at deploy
    /// overrides it.
    pub fn every(mut self, interval: Duration) -> Self {
        self.plan
            .sources
            .iter_mut()
            .for_each(|source| source.every = Some(interval));
        self
    }

    /// Reads a file on as it grows, and a folder as files come; without it the source ends at the
    /// end. Files only.
    ///
    /// A log may be rotated: give the old one a name that is not read (hidden, `.tmp`, another
    /// folder); the new one is read from its begin. A folder's files may be removed once they were
    /// read; one of the same name is then a new one.
    pub fn follow(mut self) -> Self {
        for source in &self.plan.sources {
            if !source.known.follows {
                self.plan.mistakes.push(format!(
                    "`.follow()` is for files: `{}` is read on as it is",
                    source.def.name
                ));
            }
        }
        self.with("follow", true)
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

    /// Makes one item of each, or sets its record aside: an `Err` goes to the job's dead letters
    /// with its text as the reason, and the batch goes on.
    ///
    /// The item ends there, not all of its record: what else was made of the record stays, other
    /// items of a [`flat_map`](Stream::flat_map) before it and copies in a branch
    /// ([`also`](Stream::also)). They would be there twice if the dead letter were sent again. So
    /// refuse a record before it becomes several items.
    ///
    /// A closure that ends in `Ok(…)` does not say of which type its errors are: end it in
    /// [`ok(…)`](crate::ok).
    pub fn try_map<U, E, G>(self, f: G) -> Stream<'b, TryMap<F, G>>
    where
        F: Flow<'b>,
        G: Fn(F::Item) -> Result<U, E>,
        E: Refusal,
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

    /// Looks at each item as it goes by, to count it or to log it: see [`counter`](crate::counter)
    /// and [`log`](crate::log).
    pub fn inspect<G>(self, f: G) -> Stream<'b, Inspect<F, G>>
    where
        F: Flow<'b>,
        G: Fn(&F::Item),
    {
        self.then(|prev| Inspect(prev, f))
    }

    /// Makes any number of items of each: whatever can be iterated, an `Option` too. A record that
    /// is refused behind this may have made items already, which stay: see
    /// [`try_map`](Stream::try_map).
    pub fn flat_map<I, G>(self, f: G) -> Stream<'b, FlatMap<F, G>>
    where
        F: Flow<'b>,
        G: Fn(F::Item) -> I,
        I: IntoIterator,
    {
        self.then(|prev| FlatMap(prev, f))
    }

    /// Sends a copy of each item down a branch as well, which must end in `.to(…)` too. Borrowed
    /// items are cheap to copy.
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
        B: FnOnce(Stream<'b, BranchItems<F::Item>>) -> Job<'b>,
    {
        let shared: Shared<F::Item> = Shared::default();
        let id = Rc::as_ptr(&shared).addr();
        let items = Stream {
            flow: BranchItems(shared.clone()),
            strands: vec![Strand::from(Start::Branch { id })],
            plan: Plan::default(),
        };
        let mut built = branch(items).plan;
        let is_it = |chain: &Chain<'b>| matches!(chain.strands[..], [Strand { start: Start::Branch { id: i }, .. }] if i == id);
        let chain = built
            .chains
            .iter()
            .position(is_it)
            .map(|at| built.chains.remove(at));
        let Stream {
            flow,
            mut strands,
            mut plan,
        } = self;
        plan.extend(built);
        let branch = match chain {
            Some(chain) => {
                for Strand { trail, .. } in &mut strands {
                    chain
                        .strands
                        .iter()
                        .for_each(|own| trail.branch(&own.trail));
                }
                Some(chain.run)
            }
            None => {
                plan.mistakes
                    .push("a branch is lost: `.also(|items| …)` must end the stream it is given in `.to(…)`".into());
                None
            }
        };
        Stream {
            flow: Also {
                prev: flow,
                shared,
                branch,
            },
            strands,
            plan,
        }
    }

    /// The items of another stream as well, of the same type: what follows takes both alike, and
    /// all that has one key comes together. Each stream keeps its own order; between the two there
    /// is none, but that a batch gives those of the first source first.
    ///
    /// A window waits for both: event time is where the slower one is.
    ///
    /// ```
    /// use streamhost::{Job, console, job, kafka, minutes, testing, tumbling};
    ///
    /// #[job]
    /// fn views() -> Job {
    ///     kafka("web")
    ///         .try_map(|view| view.text())
    ///         .union(kafka("mobile").try_map(|view| view.text()))
    ///         .key_by(|page| *page)
    ///         .each_batch()
    ///         .count()
    ///         .to(console())
    /// }
    /// # let mut job = testing::run(views);
    /// # job.send("web", ["home", "about"]).send("mobile", ["home"]);
    /// # assert_eq!(job.rows("console").len(), 3);
    /// ```
    pub fn union<F2>(self, other: Stream<'b, F2>) -> Stream<'b, Union<F, F2>>
    where
        F: Flow<'b>,
        F2: Flow<'b>,
        F2::Item: SameItem<F::Item>,
    {
        let Stream {
            flow,
            mut strands,
            mut plan,
        } = self;
        let flow = Union::of(flow, &strands, other.flow);
        plan.extend(other.plan);
        strands.extend(other.strands);
        if strands
            .iter()
            .any(|strand| matches!(strand.start, Start::Branch { .. }))
        {
            plan.mistakes.push(
                "a branch in `.also(…)` is united with another stream: write `.union(…)` before the branch".into(),
            );
        }
        Stream {
            flow,
            strands,
            plan,
        }
    }

    /// Takes each item's event time from the item; without it that is its record's own time. What
    /// is to go by event time (windows, joins) stands behind it. A source has one event time: write
    /// it before its branches.
    ///
    /// Each partition's clock for event time is the largest one it has shown, so one record from
    /// the future makes what follows in its partition late. Where that can be, refuse it before, in
    /// [`try_map`](Stream::try_map).
    pub fn timed_by<G>(self, f: G) -> Stream<'b, TimedBy<F, G>>
    where
        F: Flow<'b>,
        G: Fn(&F::Item) -> Time,
    {
        let mut stream = self.then(|prev| TimedBy(prev, f));
        for Strand { trail, .. } in &mut stream.strands {
            trail.timed_bys += 1;
            trail.is_timed = true;
        }
        stream
    }

    /// Ends the chain: its items are the sink's rows. `sink` is [`hbase`](crate::hbase),
    /// [`console`](crate::console), [`kafka`], or one of them within
    /// [`exactly_once`](crate::exactly_once).
    pub fn to(self, sink: impl Into<Sink>) -> Job<'b>
    where
        F: Flow<'b> + 'b,
        F::Item: Row,
    {
        let Stream {
            flow,
            mut strands,
            mut plan,
        } = self;
        let index = plan.add_sink::<F::Item>(sink.into(), &mut strands);
        plan.end(strands, Sinking { flow, index });
        Job { name: "", plan }
    }

    pub(crate) fn then<G>(self, wrap: impl FnOnce(F) -> G) -> Stream<'b, G> {
        Stream {
            flow: wrap(self.flow),
            strands: self.strands,
            plan: self.plan,
        }
    }
}

impl<'b> Plan<'b> {
    /// Ends a chain.
    pub(crate) fn end(&mut self, strands: Vec<Strand>, run: impl Run<'b> + 'b) {
        self.chains.push(Chain {
            strands,
            run: Box::new(run),
        });
    }
}
