//! Delivers a planned batch to its sinks, side by side, each until it has acknowledged everything.

use super::execute::ExecutedBatch;
use super::refused::{BatchRefusals, Refused};
use super::{Backoff, LoadedDeployment, PipelineExit, PipelineStatus};
use crate::cpu;
use crate::sink::{DeadLetters, Delivery, Remedy, Sink, SinkError};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use streamhost_core::clock;
use streamhost_core::protocol::recovery_policy::{holds_letters, holds_now};
use streamhost_core::protocol::{BatchIntent, CheckpointLog, Marker};
use streamhost_core::types::{BatchNumber, DeadLetter, Guarantee, Rows};
use tracing::Level;

/// The job's sinks, and which columns they were told last.
pub(super) struct Sinks {
    pub(super) sinks: Vec<Box<dyn Sink>>,
    letters: LetterBox,
    /// None: they were made for a deployment that may not be the one that runs the first batch.
    shape: Option<Arc<LoadedDeployment>>,
}

impl Sinks {
    pub(super) fn new(sinks: Vec<Box<dyn Sink>>, letters: Box<dyn DeadLetters>) -> Self {
        Sinks {
            sinks,
            letters: LetterBox::new(letters),
            shape: None,
        }
    }

    /// Delivers `batch` as `intent` says, but not to those that hold it already: first to its sinks,
    /// side by side, then its dead letters. `Ok`: all is acknowledged.
    pub(super) fn deliver(
        &mut self,
        store: &dyn CheckpointLog,
        intent: &BatchIntent,
        batch: &ExecutedBatch,
        held: &BTreeSet<String>,
        status: &PipelineStatus,
    ) -> Result<Refused, PipelineExit> {
        self.reshape(&batch.active);
        let refusals = BatchRefusals::new(store, status, intent, batch);
        self.deliver_rows(intent, batch, held, &refusals, status)?;
        let refused = refusals.end();
        status.meter.refused(intent.batch, &refused.letters);
        let own = &batch.outcome.dead_letters;
        if own.is_empty() && refused.letters.is_empty() {
            return Ok(refused); // it pays nothing: no transaction, and no connection
        }
        let began = clock::monotonic();
        let delivery = delivery(intent, batch, "");
        let letters = match refused.letters.is_empty() {
            true => Cow::Borrowed(own),
            false => Cow::Owned([&own[..], &refused.letters].concat()),
        };
        let end = self.letters.deliver(intent, &delivery, &letters, status);
        let count = letters.len() as u64;
        status
            .meter
            .sunk(intent.batch, None, count, clock::since(began));
        end.map(|()| refused)
    }

    fn deliver_rows(
        &mut self,
        intent: &BatchIntent,
        batch: &ExecutedBatch,
        held: &BTreeSet<String>,
        refusals: &BatchRefusals<'_>,
        status: &PipelineStatus,
    ) -> Result<(), PipelineExit> {
        let mut tasks: Vec<Task<'_>> = Vec::new();
        for ((sink, described), rows) in self
            .sinks
            .iter_mut()
            .zip(&batch.active.spec.sinks)
            .zip(&batch.outcome.rows)
        {
            // A marked sink is given every batch, so that its marker moves; others only what there
            // is.
            let has_work = !rows.is_empty() || sink.guarantee() == Guarantee::Marked;
            if has_work && !held.contains(&described.name) {
                tasks.push(Task {
                    name: &described.name,
                    sink: sink.as_mut(),
                    rows,
                });
            }
        }
        let Some(last) = tasks.pop() else {
            return Ok(());
        };
        let given_up = &AtomicBool::new(false);
        std::thread::scope(|scope| {
            let run = |task: Task<'_>| {
                let (began, sink, rows) = (clock::monotonic(), task.name, task.rows());
                let waits = Waits {
                    status,
                    given_up,
                    batch: Some(intent.batch),
                };
                let end = task.run(intent, batch, refusals, waits);
                let meter = &status.meter;
                meter.sunk(intent.batch, Some(sink), rows, clock::since(began));
                // Those that wait need not: the intent is durable.
                given_up.fetch_or(end.is_err(), Ordering::SeqCst);
                end
            };
            // Its thread is of this delivery alone: what it used is all of it.
            let alone = move |task| (run(task), status.meter.used(cpu::of_this_thread())).0;
            let others: Vec<_> = tasks
                .into_iter()
                .map(|task| scope.spawn(move || alone(task)))
                .collect();
            let mut end = run(last);
            for other in others {
                end = worse(
                    end,
                    other
                        .join()
                        .unwrap_or_else(|panic| Err(PipelineExit::died("a sink", &*panic))),
                );
            }
            end
        })
    }

    fn reshape(&mut self, active: &Arc<LoadedDeployment>) {
        if !self
            .shape
            .as_ref()
            .is_some_and(|shape| Arc::ptr_eq(shape, active))
        {
            for (sink, intent) in self.sinks.iter_mut().zip(&active.spec.sinks) {
                sink.reshape(intent);
            }
            self.shape = Some(active.clone());
        }
    }
}

/// What says most: a sink that gave up since another one failed has only stopped.
fn worse(a: Result<(), PipelineExit>, b: Result<(), PipelineExit>) -> Result<(), PipelineExit> {
    match (a, b) {
        (Ok(()), b) => b,
        (Err(PipelineExit::Stopped), b @ Err(_)) => b,
        (a, _) => a,
    }
}

/// What ends the waiting for a sink that is away.
#[derive(Clone, Copy)]
struct Waits<'a> {
    status: &'a PipelineStatus,
    /// Another sink of the batch has failed for good.
    given_up: &'a AtomicBool,
    /// The batch that is delivered.
    batch: Option<BatchNumber>,
}

struct Task<'a> {
    name: &'a str,
    sink: &'a mut dyn Sink,
    rows: &'a [Rows],
}

impl Task<'_> {
    /// How many rows there are.
    fn rows(&self) -> u64 {
        self.rows.iter().map(|rows| rows.len() as u64).sum()
    }

    fn run(
        self,
        intent: &BatchIntent,
        batch: &ExecutedBatch,
        refusals: &BatchRefusals<'_>,
        waits: Waits<'_>,
    ) -> Result<(), PipelineExit> {
        let count = self.rows() as usize;
        let Task { name, sink, rows } = self;
        let marked = sink.guarantee() == Guarantee::Marked;
        let mut refusals = refusals.of_sink(name, count, marked);
        let digest = intent.digests.get(name).map_or("", String::as_str);
        let who = format!("sink `{name}`");
        until_done(&who, waits, |again| {
            if again {
                let marker = sink.open()?;
                if holds_now(marker.as_ref(), intent, name)
                    .map_err(|halt| Halted::For(halt.to_string()))?
                {
                    return Ok(());
                }
            }
            Ok(sink.deliver(&delivery(intent, batch, digest), rows, &mut refusals)?)
        })
    }
}

/// The job's dead letters, and whether it is known what their topic holds.
struct LetterBox {
    sink: Box<dyn DeadLetters>,
    /// Its marker was read, and nothing has failed since.
    open: bool,
    /// The user was told that letters may be doubled here.
    said: bool,
}

impl LetterBox {
    fn new(sink: Box<dyn DeadLetters>) -> Self {
        LetterBox {
            sink,
            open: false,
            said: false,
        }
    }

    /// Sends the letters of a batch whose sinks have all acknowledged it, unless the topic holds
    /// them.
    fn deliver(
        &mut self,
        intent: &BatchIntent,
        delivery: &Delivery<'_>,
        letters: &[DeadLetter],
        status: &PipelineStatus,
    ) -> Result<(), PipelineExit> {
        let waits = Waits {
            status,
            given_up: &AtomicBool::new(false),
            batch: Some(intent.batch),
        };
        until_done("dead letters", waits, |_| {
            if !std::mem::take(&mut self.open) {
                let marker = self.sink.open()?;
                self.say_guarantee(status);
                let held = holds_letters(marker.as_ref(), intent);
                if held.map_err(|halt| Halted::For(halt.to_string()))? {
                    self.open = true;
                    return Ok(());
                }
            }
            self.sink.deliver(delivery, letters)?;
            self.open = true;
            Ok(())
        })
    }

    fn say_guarantee(&mut self, status: &PipelineStatus) {
        let is_weak = self.sink.guarantee() != Guarantee::Marked;
        if is_weak && !std::mem::replace(&mut self.said, true) {
            status.say(Level::WARN, LETTERS_AT_LEAST_ONCE);
        }
    }
}

/// What the job's log says where dead letters have no marker.
const LETTERS_AT_LEAST_ONCE: &str = "the brokers give this job no transaction for its dead \
    letters (see the host's log for why): those of a batch that a crash interrupts may be there twice";

/// What a sink needs of a durable intent.
fn delivery<'a>(
    intent: &'a BatchIntent,
    batch: &'a ExecutedBatch,
    digest: &'a str,
) -> Delivery<'a> {
    Delivery {
        epoch: intent.epoch,
        batch: intent.batch,
        time_ms: intent.time_ms,
        digest,
        spans: &batch.outcome.spans,
        version: batch.active.version,
    }
}

/// Why an attempt failed.
enum Halted {
    Sink(SinkError),
    For(String),
}

impl From<SinkError> for Halted {
    fn from(error: SinkError) -> Self {
        Halted::Sink(error)
    }
}

/// Tries until it is done, with pauses that grow; ends early when the error has no remedy, or a
/// stop comes.
fn until_done(
    who: &str,
    waits: Waits<'_>,
    attempt: impl FnMut(bool) -> Result<(), Halted>,
) -> Result<(), PipelineExit> {
    waits.status.starts_on(who);
    let end = attempts(who, waits, attempt);
    waits.status.done_with(who);
    end
}

fn attempts(
    who: &str,
    Waits {
        status,
        given_up,
        batch,
    }: Waits<'_>,
    mut attempt: impl FnMut(bool) -> Result<(), Halted>,
) -> Result<(), PipelineExit> {
    let mut backoff = Backoff::new();
    let mut again = false;
    loop {
        let error = match attempt(again) {
            Ok(()) => {
                status.resumed(who);
                return Ok(());
            }
            Err(Halted::For(reason)) => return Err(PipelineExit::Failed(reason)),
            Err(Halted::Sink(error)) => error,
        };
        match error.remedy() {
            Remedy::Stop => return Err(PipelineExit::Failed(error.in_a_stopped_job())),
            Remedy::Retry if matches!(error, SinkError::Cancelled) => {
                return Err(PipelineExit::Stopped);
            } // as below
            Remedy::Retry => status.waiting(who, &error.to_string()),
        }
        if backoff.wait(&status.stop) || given_up.load(Ordering::SeqCst) {
            // The intent is durable: the next start delivers it again.
            return Err(PipelineExit::Stopped);
        }
        again = true;
        if let Some(batch) = batch {
            status.meter.retried(batch);
        }
    }
}

/// Opens a sink, however long it is away.
pub(super) fn open(
    name: &str,
    sink: &mut dyn Sink,
    status: &PipelineStatus,
) -> Result<Option<Marker>, PipelineExit> {
    let mut marker = None;
    let waits = Waits {
        status,
        given_up: &AtomicBool::new(false),
        batch: None,
    };
    until_done(&format!("sink `{name}`"), waits, |_| {
        marker = sink.open()?;
        Ok(())
    })?;
    Ok(marker)
}
