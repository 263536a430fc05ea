//! Runs a job in a plain `cargo test`: records in, rows out, without Wasm and without servers.
//!
//! ```
//! use streamhost::{Job, Record, console, job, kafka, testing};
//!
//! #[job]
//! fn words() -> Job {
//!     kafka("lines").try_map(|line| line.text()).flat_map(str::split_whitespace).to(console())
//! }
//!
//! let mut job = testing::run(words);
//! job.send("lines", ["to be", "or not"]);
//! assert_eq!(job.rows("console"), ["value=to", "value=be", "value=or", "value=not"]);
//!
//! job.send("lines", [Record::from(b"\xff"), Record::without_value()]);
//! assert_eq!(
//!     job.dead_letters(),
//!     ["lines@2: the value is not UTF-8 at byte 0", "lines@3: the record has no value"],
//! );
//! ```
//!
//! # Time and keyed jobs
//!
//! Time goes by hand. [`send`](Driver::send) makes one batch, [`Record::at`] says when a record
//! was, and windows of event time end when the records of all sources that matter are past them;
//! [`pass`](Driver::pass) moves the batches' clock; [`end`](Driver::end) ends all that is still
//! open.
//!
//! ```
//! use streamhost::{Job, Record, console, job, kafka, seconds, testing, tumbling};
//!
//! #[job]
//! fn words() -> Job {
//!     let words = kafka("words").try_map(|word| word.text()).key_by(|word| *word);
//!     words.window(tumbling(seconds(10))).count().to(console())
//! }
//!
//! let mut job = testing::run(words);
//! job.send("words", [Record::from("be").at(1_000), Record::from("be").at(9_999)]);
//! assert!(job.rows("console").is_empty(), "the window is open");
//! job.send("words", [Record::from("or").at(10_000), Record::from("be").at(9_000)]);
//! assert_eq!(job.rows("console"), ["key=be value=2"]);
//! assert_eq!(job.late(), 1);
//! assert_eq!(job.end().rows("console"), ["key=or value=1"]);
//! ```
//!
//! # What it finds
//!
//! Batches are run by the host's own code, over a store in memory: keys, windows, lateness, joins,
//! expiry and what a deploy refuses are those of the host. Everything crosses in bytes, as between
//! host and component, and each answer is held to the contract by the host's own check.
//!
//! Each batch is also run record by record, and cut in two in many places: a job whose results
//! depend on how its records are cut into calls panics here, as the host may cut them in any way.
//! So does a reduction that is not associative, if its records show it: three of one key in a batch
//! are enough, or two where the key was seen in a batch before. Sums of floats may differ in their
//! last digits.
//!
//! A record whose event time is more than a day ahead of its own (see [`Record::at`]) is set aside,
//! as a deploy does that sets nothing else. Here times up to 0 are
//! times as well, but nothing is held against them.
//!
//! What it does not show: a panic of the job ends the test, where the host would set its record
//! aside; and limits of time and memory are the host's alone.

use crate::describe::Description;
use crate::job::{Call, Job};
use crate::metrics::{Metric, keep};
use crate::parameter::told;
use crate::record::Record;
use compare::{Run, compare};
use connectors::TestConnectors;
use guest::Guest;
use sources::Sources;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use streamhost_core::contract::GroupQuarantines;
use streamhost_core::executor::{Batch, BatchExecutor, BatchInputs, BatchJob, BatchOutcome};
use streamhost_core::job::settings::{JobLimits, OnError, Settings};
use streamhost_core::job::validate::{check, in_words};
use streamhost_core::job::{JobSpec, MetricKind};
use streamhost_core::keyed::entry;
use streamhost_core::limits::GUEST_MEMORY_BYTES_DEFAULT;
use streamhost_core::protocol::memory::MemoryStore;
use streamhost_core::protocol::{Checkpoint, CheckpointLog};
use streamhost_core::state::{Most, StateStore, is_kept};
use streamhost_core::types::{DeadLetter, TopicOffsets};
use workers::NativeWorkers;

mod convert; // the boundary
mod connectors;
mod guest;
mod text;
mod sources; // partitions, and what they sent
mod cuts; // a call's input, whole and in other cuts
mod shown;
mod ahead; // records whose event time lies too far ahead
mod workers; // calls the job for the host's executor
mod compare; // the same batch, run in other cuts
mod deploy; // the next version

/// One job's history is one epoch: nothing is ever reset.
const EPOCH: u64 = 1;
/// What the executor may keep in memory beside the store, which is in memory too.
const CACHE_BYTES: usize = 1 << 20;

/// A job that is under test.
#[derive(Debug)]
pub struct Driver<J> {
    job: J,
    description: Description,
    spec: JobSpec,
    /// The parameters that are set.
    set: BTreeMap<String, String>,
    sources: Sources,
    /// After the last batch, with what the stages keep.
    checkpoint: Checkpoint,
    store: Arc<MemoryStore>,
    clock_ms: i64,
    rows: Vec<Vec<String>>,
    dead_letters: Vec<String>,
    late: usize,
    logs: Vec<String>,
    /// What the job's own metrics came to.
    metrics: Vec<Metric>,
}

/// Puts a job under test. Panics with the author's mistake where a deploy would be refused for it.
/// What depends on the place is judged at the deploy alone: whether tables and families are there,
/// and what `--set` makes of the names of topics and tables (that no topic is both read and
/// written, for one).
pub fn run<J: for<'b> Fn(Call<'b>) -> Job<'b>>(job: J) -> Driver<J> {
    run_told(job, BTreeMap::new())
}

/// The same, where the deploy sets these [parameters](crate::param), by name and value. Panics as
/// [`run`] does.
pub fn run_with<J: for<'b> Fn(Call<'b>) -> Job<'b>>(
    job: J,
    parameters: &[(&str, &str)],
) -> Driver<J> {
    run_told(job, pairs(parameters).collect())
}

fn pairs(parameters: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
    let pairs = parameters.iter();
    pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
}

fn run_told<J: for<'b> Fn(Call<'b>) -> Job<'b>>(
    job: J,
    set: BTreeMap<String, String>,
) -> Driver<J> {
    let (description, spec) = checked(&job, &set)
        .unwrap_or_else(|mistake| panic!("the job cannot be deployed: {mistake}"));
    let mut driver = Driver {
        job,
        sources: Sources::new(spec.sources.len()),
        rows: vec![Vec::new(); spec.sinks.len()],
        description,
        spec,
        set,
        checkpoint: Checkpoint::begin(EPOCH, 1, 0, TopicOffsets::new()),
        store: Arc::default(),
        clock_ms: 0,
        dead_letters: Vec::new(),
        late: 0,
        logs: Vec::new(),
        metrics: Vec::new(),
    };
    driver.begin(driver.checkpoint.clone(), driver.store.clone());
    driver
}

/// What a job says that it is. Err: why a deploy is refused.
pub fn describe<J: for<'b> Fn(Call<'b>) -> Job<'b>>(job: J) -> Result<Description, String> {
    checked(&job, &BTreeMap::new()).map(|(description, _)| description)
}

/// What a job says that it is, and what its host makes of that.
fn checked(
    job: &dyn for<'b> Fn(Call<'b>) -> Job<'b>,
    set: &BTreeMap<String, String>,
) -> Result<(Description, JobSpec), String> {
    let describe = || told(set.clone(), || job(Call::new()).describe());
    let ((description, parameters), metrics) = keep(describe);
    let description = description?;
    let mut settings = Settings::none(JobLimits::default());
    settings.parameters.clone_from(set);
    for sink in &description.sinks {
        // Whether a topic is read and written, a deploy's settings decide.
        let mut sources = description.sources.iter();
        if sink.name != "console" && sources.any(|source| source.name == sink.name) {
            let elsewhere = format!("{}.elsewhere", sink.name);
            settings.sinks.insert(sink.name.clone(), elsewhere);
        }
    }
    let spec = check(
        convert::description(&description, parameters, metrics),
        None,
        &settings,
        &TestConnectors,
    );
    Ok((description, spec.map_err(|faults| in_words(&faults))?))
}

impl<J: for<'b> Fn(Call<'b>) -> Job<'b>> Driver<J> {
    /// What the job says that it is.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// One batch of records from one source, in one partition. Text and bytes are records without a
    /// key, pairs of texts have one, and [`Record`] can be all that a record can be; its time is 0
    /// unless [`Record::at`] says otherwise. Panics where the job has no such source, breaks a
    /// promise to its host, or depends on how its records are cut into batches.
    pub fn send<'r, R: Into<Record<'r>>>(
        &mut self,
        source: &str,
        records: impl IntoIterator<Item = R>,
    ) -> &mut Self {
        self.send_to(source, 0, records)
    }

    /// One batch of records from one partition of a source. Each partition goes at its own pace: a
    /// record is late by the records before it in its own partition, and a window ends when every
    /// partition that sent anything is past it. Panics as [`send`](Driver::send) does.
    pub fn send_to<'r, R: Into<Record<'r>>>(
        &mut self,
        source: &str,
        partition: u32,
        records: impl IntoIterator<Item = R>,
    ) -> &mut Self {
        self.with(source, partition, records).batch()
    }

    /// Records that the next batch has beside its own: of another source or partition. Panics where
    /// the job has no such source, or the sources have ended.
    pub fn with<'r, R: Into<Record<'r>>>(
        &mut self,
        source: &str,
        partition: u32,
        records: impl IntoIterator<Item = R>,
    ) -> &mut Self {
        let source = self.source(source);
        self.open();
        self.sources
            .add(source, partition, records.into_iter().map(Into::into));
        self
    }

    /// Time goes by, and a batch is made then: windows of processing time end, keys expire. Panics
    /// as [`send`](Driver::send) does.
    pub fn pass(&mut self, time: Duration) -> &mut Self {
        self.clock_ms = self
            .clock_ms
            .saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
        self.batch()
    }

    /// A source falls silent: until it sends again it does not hold back the windows of event time.
    /// Where all have fallen silent, the partition that came furthest counts. Panics as
    /// [`send`](Driver::send) does.
    pub fn idle(&mut self, source: &str) -> &mut Self {
        let source = self.source(source);
        self.open();
        self.sources.idle(source);
        self.batch()
    }

    /// All sources end: nothing can come any more, and everything that is open is finished. Panics
    /// as [`send`](Driver::send) does.
    pub fn end(&mut self) -> &mut Self {
        self.sources.end();
        self.batch()
    }

    /// The rows that went to a sink since this was last asked, as text: `key=click1
    /// clickinfo:time=12:00 …`. An absent cell is left out, a deleted one is `column (deleted)`, a
    /// deleted row `key=… (deleted)`; bytes that are no plain text are in hex. Panics where the job
    /// has no such sink.
    pub fn rows(&mut self, sink: &str) -> Vec<String> {
        let known: Vec<&str> = self
            .description
            .sinks
            .iter()
            .map(|sink| sink.name.as_str())
            .collect();
        let at = known.iter().position(|name| *name == sink);
        let at = at.unwrap_or_else(|| panic!("the job has no sink `{sink}`, but {known:?}"));
        std::mem::take(&mut self.rows[at])
    }

    /// What was set aside since this was last asked. A record is `source@position: reason`, with
    /// the position counted from 0 over all records that were sent to that source; a group or pair
    /// of a keyed stage is `stage@key: reason`.
    pub fn dead_letters(&mut self) -> Vec<String> {
        std::mem::take(&mut self.dead_letters)
    }

    /// How many records came too late for a window or join since this was last asked; and how many
    /// items, for one behind a lookup.
    pub fn late(&mut self) -> usize {
        std::mem::take(&mut self.late)
    }

    /// How much a keyed stage keeps: keys of a running reduction or of a table, keys of each pane
    /// of its windows, sessions, or items that may still find a partner. Panics where the job has
    /// no such stage.
    pub fn kept(&self, stage: &str) -> usize {
        let known: Vec<&str> = self
            .description
            .stages
            .iter()
            .map(|stage| stage.name.as_str())
            .collect();
        let at = known.iter().position(|name| *name == stage);
        assert!(
            at.is_some(),
            "the job has no keyed stage `{stage}`, but {known:?}"
        );
        let (Some(at), Some(facts)) = (at, self.checkpoint.stages.get(stage)) else {
            return 0;
        };
        let kind = &self.spec.stages[at].kind;
        let entries = self
            .store
            .states(facts.id, &[], None, Most::entries(usize::MAX))
            .expect("a store in memory gives all");
        let entries = entries.iter().filter(|(key, _)| is_kept(key));
        // Sessions of one key are one entry.
        let kept = |(key, value): &(Vec<u8>, Vec<u8>)| {
            entry::accumulators(kind, key, value).map_or(1, |accumulators| accumulators.len())
        };
        entries.map(kept).sum()
    }

    /// The lines that the job logged since this was last asked: `info: a line`.
    pub fn logs(&mut self) -> Vec<String> {
        std::mem::take(&mut self.logs)
    }

    /// What a [`counter`](crate::counter) of the job's own has come to. Panics where the job has none
    /// of this name.
    pub fn counter(&self, name: &str) -> u64 {
        let of = self.metrics_of(name, MetricKind::Counter);
        of.map(|metric| metric.sum).sum()
    }

    /// What a [`histogram`](crate::histogram) of the job's own was given, in the order of calls.
    /// Panics where the job has none of this name.
    pub fn histogram(&self, name: &str) -> Vec<u64> {
        let of = self.metrics_of(name, MetricKind::Histogram);
        of.flat_map(|metric| metric.values.iter().copied())
            .collect()
    }

    fn metrics_of<'a>(
        &'a self,
        name: &'a str,
        kind: MetricKind,
    ) -> impl Iterator<Item = &'a Metric> {
        let known = &self.spec.metrics;
        assert!(
            known
                .iter()
                .any(|spec| spec.name == name && spec.kind == kind),
            "the job has no {kind:?} `{name}`, but {known:?}"
        );
        self.metrics
            .iter()
            .filter(move |metric| metric.name == name)
    }

    fn source(&self, name: &str) -> usize {
        let known: Vec<&str> = self
            .description
            .sources
            .iter()
            .map(|source| source.name.as_str())
            .collect();
        let at = known.iter().position(|known| *known == name);
        at.unwrap_or_else(|| panic!("the job has no source `{name}`, but {known:?}"))
    }

    /// Nothing comes from a source that has ended.
    fn open(&self) {
        assert!(
            !self.sources.has_ended(),
            "the sources have ended: put the job under test anew"
        );
    }

    /// Runs what was sent as one batch, by the host's executor, and again in other cuts.
    fn batch(&mut self) -> &mut Self {
        let batch = self.sources.take();
        let guest = Guest::new(&self.job, &self.spec);
        let outcome = self.executed(&guest, batch);
        let (logs, metrics) = guest.into_told();
        self.logs.extend(logs);
        self.metrics.extend(metrics);
        self.take(outcome);
        self
    }

    fn executed(&self, guest: &Guest<'_>, batch: Batch) -> BatchOutcome {
        let mut workers = NativeWorkers::whole(guest);
        let outcome = self.execute(&batch, &mut workers);
        let whole = Run {
            outcome: &outcome,
            workers: &workers,
        };
        let is_keyed = !self.spec.stages.is_empty();
        for way in (0..workers.ways).filter(|_| is_keyed) {
            let mut workers = NativeWorkers::cut(&workers, way);
            let outcome = self.execute(&batch, &mut workers);
            let other = Run {
                outcome: &outcome,
                workers: &workers,
            };
            compare(guest, &whole, &other);
        }
        outcome
    }

    /// Runs a batch after the checkpoint. Nothing of it is kept yet.
    fn execute(&self, batch: &Batch, workers: &mut NativeWorkers<'_>) -> BatchOutcome {
        let mut executor = BatchExecutor::after(&self.checkpoint, self.store.clone(), CACHE_BYTES);
        let job = BatchJob {
            spec: &self.spec,
            on_error: OnError::DeadLetter,
            memory_bytes: GUEST_MEMORY_BYTES_DEFAULT,
            canary: None,
        };
        let given = BatchInputs {
            clock_ms: self.clock_ms,
            watermark: self.sources.watermark(batch),
            quarantines: None,
            group_quarantines: GroupQuarantines::new(),
            retries: false,
            // By default, as a deploy's settings are not known. Time goes by hand here.
            time_rules: Some(Settings::none(JobLimits::default()).time_rules(false)),
        };
        executor
            .run_batch(job, batch.clone(), given, workers, &|| false)
            .unwrap_or_else(|error| panic!("the host refuses the batch: {error}"))
    }

    /// Keeps what came of a batch.
    fn take(&mut self, outcome: BatchOutcome) {
        self.checkpoint = Checkpoint {
            batch: outcome.batch,
            times: outcome.times,
            stages: outcome.stages,
            finished: outcome.finished,
            ..self.checkpoint.clone()
        };
        self.store
            .write(Some((&self.checkpoint, &outcome.delta)), None)
            .expect("a store in memory takes all");
        let letters = outcome.dead_letters.into_iter().map(letter);
        self.dead_letters.extend(letters);
        self.late += outcome.counts.late as usize;
        for ((all, rows), sink) in self
            .rows
            .iter_mut()
            .zip(&outcome.rows)
            .zip(&self.spec.sinks)
        {
            all.extend(rows.iter().flat_map(|rows| text::rows(rows, sink)));
        }
    }
}

/// A dead letter on one line.
fn letter(letter: DeadLetter) -> String {
    let DeadLetter {
        origin,
        stage,
        reason,
        key,
        ..
    } = letter;
    match origin {
        Some((_, offset)) => format!("{stage}@{offset}: {reason}"),
        None => format!(
            "{stage}@{}: {reason}",
            text::bytes(&key.unwrap_or_default())
        ),
    }
}
