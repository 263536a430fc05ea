//! Runs one chunk through a guest, whatever it does: a guest that breaks is replaced, and the chunk is run in halves,
//! down to the record that breaks it. Functions are pure, which makes this safe.

use super::GuestFault;
use super::answer::{self, Shape};
use super::instance::Answer;
use crate::limits;
use crate::record::{Chunk, Offset, Partition, Rows};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// One living guest. After a fault it is of no more use.
pub trait Guest: Send {
    /// Runs one stage over a chunk, within `time`. Must depend on nothing but the chunk.
    fn transform(&mut self, stage: u32, chunk: &Chunk, time: Duration) -> Result<Answer, GuestFault>;

    /// A new batch begins: what is counted by batch is counted anew.
    fn begin_batch(&mut self) {}
}

/// Makes a guest of a version.
pub type Maker = Box<dyn Fn() -> Result<Box<dyn Guest>, GuestFault> + Send + Sync>;

/// A version as the lanes run it.
pub struct Runnable {
    make: Maker,
    time: Duration,
    shapes: Vec<Shape>,
    spares: Mutex<Vec<Box<dyn Guest>>>,
}

impl Runnable {
    /// A version without guests yet. `time` is what one call may take, `shapes` what its rows must look like, by sink.
    pub fn new(make: Maker, time: Duration, shapes: Vec<Shape>) -> Self {
        Runnable { make, time, shapes, spares: Mutex::new(Vec::new()) }
    }

    /// Makes `lanes` guests and calls each stage once with nothing, so that the first batch finds them warm.
    pub fn warm(&self, lanes: usize, stages: usize) -> Result<(), VersionFault> {
        for _ in 0..lanes {
            let mut guest = self.guest()?;
            let nothing = Chunk::new(Partition { source: 0, id: 0 });
            for stage in 0..stages {
                let answer = guest.transform(stage as u32, &nothing, self.time).map_err(VersionFault::Start)?;
                answer::check(&answer, 0, &self.shapes).map_err(VersionFault::Promise)?;
            }
            self.spares.lock().unwrap_or_else(PoisonError::into_inner).push(guest);
        }
        Ok(())
    }

    fn guest(&self) -> Result<Box<dyn Guest>, VersionFault> {
        let spare = self.spares.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match spare {
            Some(guest) => Ok(guest),
            None => (self.make)().map_err(VersionFault::Start),
        }
    }
}

/// What makes a version unfit, beyond single records.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VersionFault {
    /// An instance cannot be made.
    #[error("no instance can be made: {0}")]
    Start(GuestFault),
    /// An answer breaks the contract.
    #[error("an answer breaks the contract: {0}")]
    Promise(String),
    /// It broke on too many records of one batch.
    #[error("it broke on more than {max} records of one batch, last with: {last}", max = limits::BROKEN_RECORDS_PER_BATCH_MAX)]
    TooManyBroken {
        /// What it did last.
        last: String,
    },
    /// A record failed, and the job's policy is to stop.
    #[error("{0}, and on-error=stop")]
    Stop(String),
}

/// A record that ends in no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its position in the chunk.
    pub position: u32,
    /// Why: the author's words, or what the guest did.
    pub reason: String,
    /// The guest broke on it; a replay takes this verdict and does not try again.
    pub by_host: bool,
}

/// What became of a chunk.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChunkAnswer {
    /// For each sink its rows, in the records' order.
    pub rows: Vec<Vec<Rows>>,
    /// One a record, ascending.
    pub faults: Vec<Fault>,
    /// Records that ended neither in a row nor in a fault.
    pub dropped: u64,
}

/// Verdicts of an earlier run of the same batch.
pub type Verdicts = BTreeMap<(Partition, Offset), String>;

/// How much may break in one batch before the version itself is at fault.
#[derive(Debug, Default)]
pub struct Budget(AtomicUsize);

impl Budget {
    /// A record that ran out of time counts tenfold, as it costs that much.
    fn spend(&self, fault: &GuestFault) -> bool {
        let cost = if matches!(fault, GuestFault::Time(_)) { 10 } else { 1 };
        self.0.fetch_add(cost, Ordering::Relaxed) + cost <= limits::BROKEN_RECORDS_PER_BATCH_MAX
    }
}

/// One worker's guest, of whichever version it ran last.
#[derive(Default)]
pub struct Lane {
    current: Option<(Arc<Runnable>, Box<dyn Guest>)>,
}

impl Lane {
    /// A batch begins.
    pub fn begin_batch(&mut self) {
        if let Some((_, guest)) = &mut self.current {
            guest.begin_batch();
        }
    }

    /// Runs a chunk to its end.
    pub fn run(
        &mut self,
        version: &Arc<Runnable>,
        chunk: &Chunk,
        verdicts: &Verdicts,
        budget: &Budget,
    ) -> Result<ChunkAnswer, VersionFault> {
        let mut job = ChunkRun { version, chunk, answer: ChunkAnswer::default(), touched: vec![false; chunk.len()] };
        job.answer.rows = vec![Vec::new(); version.shapes.len()];
        let mut todo: Vec<Range<usize>> = job.beside_verdicts(verdicts);
        todo.reverse();
        while let Some(range) = todo.pop() {
            match self.call(version, chunk, &range)? {
                Ok(answer) => job.take(answer, &range)?,
                Err(fault) if range.len() == 1 => {
                    if !budget.spend(&fault) {
                        return Err(VersionFault::TooManyBroken { last: fault.to_string() });
                    }
                    job.fault(range.start, fault.to_string(), true);
                }
                Err(_) => {
                    let middle = range.start + range.len() / 2;
                    todo.push(middle..range.end);
                    todo.push(range.start..middle);
                }
            }
        }
        Ok(job.finish())
    }

    /// The outer error is the version's, the inner one the records'.
    fn call(
        &mut self,
        version: &Arc<Runnable>,
        chunk: &Chunk,
        range: &Range<usize>,
    ) -> Result<Result<Answer, GuestFault>, VersionFault> {
        if !self.current.as_ref().is_some_and(|(current, _)| Arc::ptr_eq(current, version)) {
            self.current = None;
            self.current = Some((version.clone(), version.guest()?));
        }
        let Some((_, guest)) = &mut self.current else { unreachable!("set a line ago") };
        let stage = u32::from(chunk.partition.source);
        let answer = if range.len() == chunk.len() {
            guest.transform(stage, chunk, version.time)
        } else {
            guest.transform(stage, &part(chunk, range), patience(version.time, range.len(), chunk.len()))
        };
        if answer.is_err() {
            self.current = None;
        }
        Ok(answer)
    }
}

/// A verdict is given on a single record with all the time there is; on the way there a part gets its share, or an
/// endless loop would cost the whole time at each halving.
fn patience(time: Duration, part: usize, whole: usize) -> Duration {
    match part {
        1 => time,
        _ => (time * 2 * part as u32 / whole.max(1) as u32).clamp(10 * limits::EPOCH, time.max(10 * limits::EPOCH)),
    }
}

/// The records of a range.
fn part(chunk: &Chunk, range: &Range<usize>) -> Chunk {
    let mut part = Chunk::new(chunk.partition);
    range.clone().for_each(|i| part.push(chunk.get(i)));
    part
}

struct ChunkRun<'a> {
    version: &'a Runnable,
    chunk: &'a Chunk,
    answer: ChunkAnswer,
    touched: Vec<bool>,
}

impl ChunkRun<'_> {
    /// Notes the verdicts as faults, and gives the ranges between them.
    fn beside_verdicts(&mut self, verdicts: &Verdicts) -> Vec<Range<usize>> {
        let mut ranges = Vec::new();
        let mut from = 0;
        if !verdicts.is_empty() {
            for i in 0..self.chunk.len() {
                if let Some(reason) = verdicts.get(&(self.chunk.partition, self.chunk.offsets[i])) {
                    self.fault(i, reason.clone(), true);
                    ranges.push(from..i);
                    from = i + 1;
                }
            }
        }
        ranges.push(from..self.chunk.len());
        ranges.retain(|range| !range.is_empty());
        ranges
    }

    fn fault(&mut self, at: usize, reason: String, by_host: bool) {
        self.touched[at] = true;
        self.answer.faults.push(Fault { position: at as u32, reason, by_host });
    }

    fn take(&mut self, mut answer: Answer, range: &Range<usize>) -> Result<(), VersionFault> {
        let base = range.start;
        answer::check(&answer, range.len(), &self.version.shapes).map_err(VersionFault::Promise)?;
        for (position, reason) in std::mem::take(&mut answer.faults) {
            self.fault(base + position as usize, reason, false);
        }
        for (sink, mut rows) in answer.rows.into_iter().enumerate() {
            for (position, reason) in answer::take_unfit(&mut rows, &self.version.shapes[sink]) {
                self.fault(base + position as usize, reason, false);
            }
            for &position in &rows.positions {
                self.touched[base + position as usize] = true;
            }
            if !rows.is_empty() {
                self.answer.rows[sink].push(rows);
            }
        }
        Ok(())
    }

    /// Faults of one record in several branches are one fault.
    fn finish(mut self) -> ChunkAnswer {
        self.answer.dropped = self.touched.iter().filter(|touched| !**touched).count() as u64;
        let faults = &mut self.answer.faults;
        faults.sort_by_key(|fault| fault.position); // stable: the main chain's first
        faults.dedup_by(|next, first| {
            let same = next.position == first.position;
            if same && next.reason != first.reason {
                first.reason = format!("{}; {}", first.reason, next.reason);
                first.reason = super::instance::cut(std::mem::take(&mut first.reason), limits::REASON_BYTES_MAX);
            }
            same
        });
        self.answer
    }
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
