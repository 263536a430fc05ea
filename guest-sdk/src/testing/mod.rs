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
//! Records and rows cross in bytes, as they do between host and component, and what crosses is held to the same
//! promises. Each batch is run twice, the second time record by record: a job whose rows depend on how its records are
//! cut into batches panics here, as the host may cut them in any way.

use crate::columns::ColumnBuf;
use crate::describe::Description;
use crate::flow::{Batch, Output};
use crate::job::{Call, Job};
use crate::log;
use crate::record::Record;
use crate::sink::SinkKind;

mod promises;
mod text;

/// What a job makes of a batch, as text: `(position, text)` of its faults, and of each sink's rows.
#[derive(Debug, Default, PartialEq, Eq)]
struct Made {
    faults: Vec<(usize, String)>,
    rows: Vec<Vec<(usize, String)>>,
}

/// A job that is under test.
#[derive(Debug)]
pub struct Driver<J> {
    job: J,
    description: Description,
    /// Records sent to each source so far.
    sent: Vec<usize>,
    rows: Vec<Vec<String>>,
    dead_letters: Vec<String>,
    logs: Vec<String>,
}

/// Puts a job under test. Panics with the author's mistake where a deploy would be refused for it.
pub fn run<J: for<'b> Fn(Call<'b>) -> Job<'b>>(job: J) -> Driver<J> {
    let description = describe(&job).unwrap_or_else(|mistake| panic!("the job cannot be deployed: {mistake}"));
    let (sources, sinks) = (description.sources.len(), description.sinks.len());
    Driver {
        job,
        description,
        sent: vec![0; sources],
        rows: vec![Vec::new(); sinks],
        dead_letters: Vec::new(),
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

    /// One batch of records from one source. Text and bytes are records without a key, pairs of texts have one, and
    /// [`Record`] can be all that a record can be. Panics where the job has no such source, breaks a promise to its
    /// host, or depends on how its records are cut into batches.
    pub fn send<'r, R: Into<Record<'r>>>(&mut self, source: &str, records: impl IntoIterator<Item = R>) -> &mut Self {
        let known = &self.description.sources;
        let stage = known
            .iter()
            .position(|name| name == source)
            .unwrap_or_else(|| panic!("the job has no source `{source}`, but {known:?}"));
        let records: Vec<Record<'r>> = records.into_iter().map(Into::into).collect();
        let (whole, logs) = log::keep(|| self.call(stage, &records));
        let (alone, _) = log::keep(|| self.one_by_one(stage, &records));
        assert_eq!(
            whole, alone,
            "the job depends on how its records are cut into batches: what it makes of one batch (left) and of the same \
             records one by one (right) differ. Does it keep something between two records?"
        );
        self.logs.extend(logs);
        let first = self.sent[stage];
        self.sent[stage] += records.len();
        self.dead_letters.extend(whole.faults.into_iter().map(|(at, why)| format!("{source}@{}: {why}", first + at)));
        for (all, new) in self.rows.iter_mut().zip(whole.rows) {
            all.extend(new.into_iter().map(|(_, row)| row));
        }
        self
    }

    /// The rows that went to a sink since this was last asked, as text: `key=click1 clickinfo:time=12:00 …`. An absent
    /// cell is left out, a deleted one is `column (deleted)`, a deleted row `key=… (deleted)`; bytes that are no plain
    /// text are in hex. Panics where the job has no such sink.
    pub fn rows(&mut self, sink: &str) -> Vec<String> {
        let known: Vec<&str> = self.description.sinks.iter().map(|sink| sink.name.as_str()).collect();
        let at = known.iter().position(|name| *name == sink);
        let at = at.unwrap_or_else(|| panic!("the job has no sink `{sink}`, but {known:?}"));
        std::mem::take(&mut self.rows[at])
    }

    /// The records that were set aside since this was last asked: `source@position: reason`, with the position counted
    /// from 0 over all records that were sent to that source.
    pub fn dead_letters(&mut self) -> Vec<String> {
        std::mem::take(&mut self.dead_letters)
    }

    /// The lines that the job logged since this was last asked: `info: a line`.
    pub fn logs(&mut self) -> Vec<String> {
        std::mem::take(&mut self.logs)
    }

    fn one_by_one(&self, stage: usize, records: &[Record<'_>]) -> Made {
        let mut all = Made { faults: Vec::new(), rows: vec![Vec::new(); self.description.sinks.len()] };
        for (i, record) in records.iter().enumerate() {
            let made = self.call(stage, std::slice::from_ref(record));
            all.faults.extend(made.faults.into_iter().map(|(_, why)| (i, why)));
            for (all, new) in all.rows.iter_mut().zip(made.rows) {
                all.extend(new.into_iter().map(|(_, row)| (i, row)));
            }
        }
        all
    }

    fn call(&self, stage: usize, records: &[Record<'_>]) -> Made {
        let (mut keys, mut values) = (ColumnBuf::default(), ColumnBuf::default());
        records.iter().for_each(|record| {
            keys.push(record.key);
            values.push(record.value);
        });
        let absent = |is: fn(&Record<'_>) -> bool| -> Vec<u32> {
            (0..).zip(records).filter(|(_, record)| is(record)).map(|(position, _)| position).collect()
        };
        let (absent_keys, absent_values) = (absent(|r| r.no_key), absent(|r| r.no_value));
        let times_ms: Vec<i64> = records.iter().map(|record| record.time_ms).collect();
        let output = (self.job)(Call::new()).run(
            stage,
            Batch {
                keys: keys.view(),
                values: values.view(),
                times_ms: &times_ms,
                absent_keys: &absent_keys,
                absent_values: &absent_values,
            },
        );
        if let Err(broken) = promises::check(&self.description, records.len(), &output) {
            panic!("the job breaks a promise to its host: {broken}");
        }
        self.made(output)
    }

    /// What the host makes of an answer: a table refuses rows without a key, and a record's faults are one fault.
    fn made(&self, output: Output) -> Made {
        let mut made = Made::default();
        made.faults.extend(output.faults.into_iter().map(|fault| (fault.position as usize, fault.reason)));
        for (rows, sink) in output.rows.iter().zip(&self.description.sinks) {
            let keyless = |key: &[u8]| sink.kind == SinkKind::Hbase && key.is_empty();
            let (unfit, fit): (Vec<_>, Vec<_>) = text::rows(rows, &sink.shape).partition(|row| keyless(row.key));
            let reason = format!("sink `{}`: the row's key is empty", sink.name);
            made.faults.extend(unfit.into_iter().map(|row| (row.position, reason.clone())));
            made.rows.push(fit.into_iter().map(|row| (row.position, row.text)).collect());
        }
        made.faults.sort_by_key(|(position, _)| *position);
        made.faults.dedup_by(|next, first| {
            let same = next.0 == first.0;
            if same && next.1 != first.1 {
                first.1 = format!("{}; {}", first.1, next.1);
            }
            same
        });
        made
    }
}
