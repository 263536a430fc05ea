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
//! Everything crosses in bytes, as between host and component, and what crosses is held to the same
//! promises. Each batch is also run record by record, and cut in two in many places: a job whose
//! results depend on how its records are cut into batches panics here, as the host may cut them in
//! any way. So does a reduction that is not associative, if its records show it: three of one key
//! in a batch are enough, or two where the key was seen in a batch before. Sums of floats may
//! differ in their last digits.

use crate::call::Moment;
use crate::describe::{Description, SourceDef};
use crate::job::{Call, Job};
use crate::record::Record;
use calls::Guest;
use model::{Kind, NO_TIME_MS, Times};
use sources::{Chunk, Sources};
use stages::Store;
use std::time::Duration;

mod calls; // the boundary
mod promises;
mod text;
mod model; // what crosses it, as plain lists
mod sources; // partitions and their times
mod cuts; // a call's input, whole and in other cuts
mod stages; // what follows `key_by`
mod merge;
mod reduce;
mod sessions;
mod joins;
mod deploy; // the next version

/// A job that is under test.
#[derive(Debug)]
pub struct Driver<J> {
    job: J,
    description: Description,
    kinds: Vec<Kind>,
    sources: Sources,
    /// What each keyed stage keeps.
    stores: Vec<Store>,
    clock_ms: i64,
    /// The clock of the batch before.
    clock_before_ms: i64,
    watermark_ms: i64,
    rows: Vec<Vec<String>>,
    dead_letters: Vec<String>,
    late: usize,
    logs: Vec<String>,
}

/// Puts a job under test. Panics with the author's mistake where a deploy would be refused for it.
/// What depends on the place is judged at the deploy alone: whether tables and families are there,
/// and what `--set` makes of the names of topics and tables (that no topic is both read and
/// written, for one).
pub fn run<J: for<'b> Fn(Call<'b>) -> Job<'b>>(job: J) -> Driver<J> {
    let description =
        describe(&job).unwrap_or_else(|mistake| panic!("the job cannot be deployed: {mistake}"));
    let kinds: Vec<Kind> = description
        .stages
        .iter()
        .map(|stage| Kind::of(stage.kind))
        .collect();
    Driver {
        job,
        sources: Sources::new(description.sources.len()),
        stores: kinds.iter().map(|kind| Store::of(*kind)).collect(),
        rows: vec![Vec::new(); description.sinks.len()],
        description,
        kinds,
        clock_ms: 0,
        clock_before_ms: NO_TIME_MS,
        watermark_ms: NO_TIME_MS,
        dead_letters: Vec::new(),
        late: 0,
        logs: Vec::new(),
    }
}

/// What a job says that it is. Err: why a deploy is refused.
pub fn describe<J: for<'b> Fn(Call<'b>) -> Job<'b>>(job: J) -> Result<Description, String> {
    job(Call::new()).describe()
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
        self.stores
            [at.unwrap_or_else(|| panic!("the job has no keyed stage `{stage}`, but {known:?}"))]
        .len()
    }

    /// The lines that the job logged since this was last asked: `info: a line`.
    pub fn logs(&mut self) -> Vec<String> {
        std::mem::take(&mut self.logs)
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

    /// Runs what was sent as one batch.
    fn batch(&mut self) -> &mut Self {
        let guest = Guest::new(&self.job, &self.description, &self.kinds);
        let (clock_ms, before_ms) = (self.clock_ms, self.watermark_ms);
        let mut transformed = Vec::new();
        for Chunk {
            source,
            partition,
            first,
            records,
        } in self.sources.take()
        {
            let partition_ms = self.sources.largest_ms(source, partition);
            let records: Vec<Record<'_>> = records.iter().map(sources::Sent::record).collect();
            let mut cut = cuts::run(
                &guest,
                records.len(),
                partition_ms,
                |range, partition_ms| {
                    let moment = Moment {
                        batch_ms: clock_ms,
                        watermark_ms: before_ms,
                        partition_ms,
                    };
                    guest.transform(source, moment, &records[range])
                },
            );
            let SourceDef { name, .. } = &self.description.sources[source];
            let faults = std::mem::take(&mut cut.made.faults).into_iter();
            self.dead_letters
                .extend(faults.map(|(at, why)| format!("{name}@{}: {why}", first + at)));
            for (all, new) in self.rows.iter_mut().zip(std::mem::take(&mut cut.made.rows)) {
                all.extend(new.into_iter().map(|(_, row)| row));
            }
            self.late += cut.made.late.len();
            self.sources.reach(source, partition, cut.made.largest_ms);
            transformed.push(cut);
        }
        self.watermark_ms = self
            .sources
            .watermark_ms(&self.description.sources)
            .max(before_ms);
        let (clock_before_ms, watermark_ms) = (self.clock_before_ms, self.watermark_ms);
        let times = Times {
            clock_ms,
            clock_before_ms,
            watermark_ms,
            before_ms,
        };
        let outcome = stages::run(&guest, &mut self.stores, transformed, times);
        self.dead_letters.extend(outcome.letters);
        self.late += outcome.late;
        for (all, new) in self.rows.iter_mut().zip(outcome.rows) {
            all.extend(new);
        }
        self.logs.extend(guest.into_logs());
        self.clock_before_ms = clock_ms;
        self
    }
}
