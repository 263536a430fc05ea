//! Gives a dead letter to the job once more: a batch of its own, of one record, that moves no
//! partition.

use super::PipelineExit;
use super::execute::exit_of;
use super::retries::LetterRetry;
use super::runner::Runner;
use crate::batch::Batch;
use streamhost_core::clock;
use streamhost_core::contract::GroupQuarantines;
use streamhost_core::executor::{BatchInputs, BatchOutcome, ExecutorError, Watermark};
use streamhost_core::protocol::{LetterMark, LetterOutcome, MarkedLetter};
use streamhost_core::types::{Chunk, Marks, Offset, Partition, Positions, Record, Span, borrowed};

impl Runner<'_> {
    /// Runs the next letter that waits, and hands it on. True: there was one. What is gathered
    /// meanwhile is of no matter: no position changes.
    pub(super) fn retry_letter(&mut self) -> Result<bool, PipelineExit> {
        // A table that is looked up in must be whole, and the clock right.
        let may = self.loading.is_empty() && self.status.clock_ahead().is_none();
        let next = || self.status.retries.next();
        let Some(letter) = may.then(next).flatten() else {
            return Ok(false);
        };
        let active = self.active.name();
        let Some(source) = self.topics.iter().position(|topic| *topic == letter.topic) else {
            let why = no_source(active.version, &letter.topic);
            self.status.retries.skip(letter.place, why);
            return Ok(true);
        };
        let partition = Partition {
            source: source as u16,
            id: letter.partition,
        };
        let batch = batch_of(&letter, partition, &self.at);
        let given = BatchInputs {
            clock_ms: self.runs.clock_ms(),
            watermark: Watermark::Least {
                idle: self.idle_now(&active),
            },
            quarantines: None,
            group_quarantines: GroupQuarantines::new(),
            retries: true,
            time_rules: Some(active.settings.time_rules(true)),
        };
        self.runs.executor.state.settled(self.status.durable());
        let retained = batch.chunks.clone();
        let mut done = match self.runs.run_batch(&active, batch, given, self.status) {
            Ok(done) => done,
            // The job goes on as if it had not been asked, or stops with what it has gathered.
            Err(error @ (ExecutorError::Version(_) | ExecutorError::Stopped)) => {
                let (place, version) = (letter.place, active.version);
                let why = format!("version {version} did not take it: {error}");
                self.status.retries.skip(place, why);
                return Ok(true);
            }
            Err(error) => return Err(exit_of(&error, active.deployment)),
        };
        self.status.meter.holds(self.runs.memory_bytes());
        let mark = LetterMark {
            sent_ms: letter.sent_ms,
            at_ms: clock::now_ms(),
            version: active.version,
            batch: done.outcome.batch,
            outcome: outcome_of(&done.outcome, (partition, letter.offset)),
        };
        let place = letter.place;
        done.retried = Some(MarkedLetter { place, mark });
        done.retained_records = retained; // a replay needs nothing but them
        self.hand_over(done)?;
        self.passed_on();
        Ok(true)
    }
}

/// In words, why a record of this topic cannot be given to a version.
fn no_source(version: u64, topic: &str) -> String {
    format!("version {version} has no source `{topic}`")
}

/// A batch that stands at these positions, with the letter's record.
fn batch_of(letter: &LetterRetry, partition: Partition, at: &Positions) -> Batch {
    let standing = |(&partition, &from): (&Partition, &Offset)| {
        let (to, records) = (from, 0);
        (partition, Span { from, to, records })
    };
    let mut chunk = Chunk::new(partition);
    chunk.push(Record {
        offset: letter.offset,
        time_ms: letter.time_ms,
        key: letter.key.as_deref(),
        value: letter.value.as_deref(),
        headers: &borrowed(&letter.headers),
    });
    Batch {
        spans: at.iter().map(standing).collect(),
        chunks: vec![chunk],
        marks: Marks::new(),
    }
}

fn outcome_of(outcome: &BatchOutcome, origin: (Partition, Offset)) -> LetterOutcome {
    let letters = || outcome.dead_letters.iter();
    let counts = &outcome.counts;
    let rows = counts.rows.values().sum();
    let own = letters().find(|letter| letter.origin == Some(origin));
    match (own, letters().next()) {
        (Some(letter), _) => LetterOutcome::DeadLetter {
            reason: letter.reason.clone(),
        },
        (None, Some(group)) => LetterOutcome::DeadLetter {
            reason: format!("stage `{}`: {}", group.stage, group.reason),
        },
        (None, None) if counts.dropped > 0 => LetterOutcome::Filtered,
        (None, None) if counts.late > 0 && rows == 0 => LetterOutcome::Late,
        (None, None) => LetterOutcome::Delivered { rows },
    }
}
