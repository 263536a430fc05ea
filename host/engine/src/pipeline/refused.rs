//! Rows that servers refuse for what is in them: they are dead letters of their batch, sent once all
//! sinks have acknowledged the rest.

use super::committer::with_room;
use super::execute::ExecutedBatch;
use super::{PipelineExit, PipelineStatus};
use crate::sink::{Refusals, SinkError};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use streamhost_core::job::settings::OnError;
use streamhost_core::limits;
use streamhost_core::protocol::{BatchIntent, Checkpoint, CheckpointLog, LetterOutcome};
use streamhost_core::types::{DeadLetter, RefusedRow};
use tracing::Level;

type BySink = BTreeMap<String, Vec<RefusedRow>>;

/// What the sinks of one delivery tell of rows that their servers refuse.
pub(super) struct BatchRefusals<'a> {
    store: &'a dyn CheckpointLog,
    status: &'a PipelineStatus,
    intent: &'a BatchIntent,
    batch: &'a ExecutedBatch,
    known: Mutex<Known>,
}

struct Known {
    all: BySink,
    /// Those of exactly-once sinks, as they stand in the stored intent.
    noted: BySink,
}

impl<'a> BatchRefusals<'a> {
    /// Nothing is told yet but what was noted of exactly-once sinks before: one that holds the batch
    /// tells nothing more.
    pub(super) fn new(
        store: &'a dyn CheckpointLog,
        status: &'a PipelineStatus,
        intent: &'a BatchIntent,
        batch: &'a ExecutedBatch,
    ) -> Self {
        let (all, noted) = (intent.refused.clone(), intent.refused.clone());
        BatchRefusals {
            store,
            status,
            intent,
            batch,
            known: Mutex::new(Known { all, noted }),
        }
    }

    /// What takes the refusals of a sink that is given so many rows. A marked one's are noted.
    pub(super) fn of_sink<'r>(
        &'r self,
        sink: &'r str,
        rows: usize,
        marked: bool,
    ) -> SinkRefusals<'r, 'a> {
        SinkRefusals {
            all: self,
            sink,
            rows,
            marked,
        }
    }

    /// A retried letter stops no job.
    fn on_error(&self) -> OnError {
        match self.intent.retried {
            Some(_) => OnError::DeadLetter,
            None => self.batch.active.settings.on_error,
        }
    }

    fn note(&self, sink: &str, refused: Vec<RefusedRow>, marked: bool) -> Result<(), SinkError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        set(&mut known.all, sink, refused.clone());
        if !marked || !set(&mut known.noted, sink, refused) {
            return Ok(());
        }
        let intent = BatchIntent {
            refused: known.noted.clone(),
            ..self.intent.clone()
        };
        match with_room(self.status, || self.store.write(None, Some(&intent))) {
            Ok(()) => Ok(()),
            Err(PipelineExit::Failed(reason)) => {
                Err(SinkError::NotNoted(format!("sink `{sink}`: {reason}")))
            }
            Err(_) => Err(SinkError::Cancelled),
        }
    }

    /// What it comes to, once all sinks have acknowledged.
    pub(super) fn end(self) -> Refused {
        let on_error = self.on_error();
        let known = self.known.into_inner();
        let known = known.unwrap_or_else(PoisonError::into_inner).all;
        let (spec, mut end) = (&self.batch.active.spec, Refused::default());
        for (sink, described) in spec.sinks.iter().enumerate() {
            let Some(rows) = known.get(&described.name) else {
                continue;
            };
            let letters = self.batch.outcome.letters_of(spec, sink, rows);
            let count = rows.len() as u64;
            end.rows.insert(described.name.clone(), count);
            match on_error {
                OnError::Skip => end.skipped += letters.len() as u64,
                OnError::DeadLetter | OnError::Stop => end.letters.extend(letters),
            }
        }
        end
    }
}

/// Puts a sink's refused rows in the place of those that were told before. Whether anything changed.
fn set(by_sink: &mut BySink, sink: &str, refused: Vec<RefusedRow>) -> bool {
    let is_empty = refused.is_empty();
    let before = match is_empty {
        true => by_sink.remove(sink),
        false => by_sink.insert(sink.to_owned(), refused),
    };
    match (before, is_empty) {
        (None, true) => false,
        (Some(before), false) => by_sink.get(sink) != Some(&before),
        _ => true,
    }
}

/// Takes the refusals of one sink.
pub(super) struct SinkRefusals<'r, 'a> {
    all: &'r BatchRefusals<'a>,
    sink: &'r str,
    rows: usize,
    marked: bool,
}

impl Refusals for SinkRefusals<'_, '_> {
    fn most(&self) -> usize {
        match self.all.on_error() {
            OnError::Stop => 0,
            OnError::DeadLetter | OnError::Skip => {
                limits::REFUSED_ROWS_MIN.max(self.rows / limits::REFUSED_ROWS_PART)
            }
        }
    }

    fn take(&mut self, refused: Vec<RefusedRow>) -> Result<(), SinkError> {
        if let Some(first) = refused.first() {
            let (count, rows, sink) = (refused.len(), self.rows, self.sink);
            if count > self.most() {
                let why = match self.all.on_error() {
                    OnError::Stop => ", and the job has on-error=stop",
                    OnError::DeadLetter | OnError::Skip => {
                        ", which is more than 1 in 10: not rows are at fault, but the job or the server"
                    }
                };
                return Err(SinkError::TooManyRefused {
                    sink: sink.to_owned(),
                    refused: count,
                    rows,
                    why,
                    first: first.reason.clone(),
                });
            }
            let text = format!(
                "sink `{sink}`: its server refuses {count} of {rows} rows of batch {} for what is in them; the first: {}",
                self.all.intent.batch, first.reason
            );
            self.all.status.say(Level::WARN, &text);
        }
        self.all.note(self.sink, refused, self.marked)
    }
}

/// What became of a batch's refused rows.
#[derive(Default)]
pub(super) struct Refused {
    /// Their dead letters.
    pub(super) letters: Vec<DeadLetter>,
    /// How many records were left out, as the job says.
    skipped: u64,
    /// How many rows were refused, by the sink's name.
    rows: BTreeMap<String, u64>,
}

impl Refused {
    /// Counts them in the checkpoint of their batch, whose intent knew nothing of them.
    pub(super) fn count_in(&self, checkpoint: &mut Checkpoint) {
        let counters = &mut checkpoint.counters;
        counters.dead_letters += self.letters.len() as u64;
        counters.skipped += self.skipped;
        for (sink, refused) in &self.rows {
            if let Some(rows) = counters.rows.get_mut(sink) {
                *rows = rows.saturating_sub(*refused);
            }
        }
        if let (Some(retried), Some(letter)) = (&mut checkpoint.retried, self.letters.first()) {
            let reason = letter.reason.clone();
            retried.mark.outcome = LetterOutcome::DeadLetter { reason };
        }
    }
}
