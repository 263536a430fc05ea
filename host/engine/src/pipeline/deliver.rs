//! Delivers a planned batch to its sinks, side by side, each until it has acknowledged everything.

use super::execute::ExecutedBatch;
use super::{Backoff, LoadedDeployment, PipelineExit, PipelineStatus};
use crate::cpu;
use crate::sink::{DeadLetters, Delivery, Remedy, Sink, SinkError};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use streamhost_core::clock;
use streamhost_core::protocol::recovery_policy::holds_now;
use streamhost_core::protocol::{BatchIntent, Marker};
use streamhost_core::types::{BatchNumber, DeadLetter, Guarantee, Rows, Spans};

/// The job's sinks, and which columns they were told last.
pub(super) struct Sinks {
    pub(super) sinks: Vec<Box<dyn Sink>>,
    pub(super) dead_letters: Box<dyn DeadLetters>,
    /// None: they were made for a deployment that may not be the one that runs the first batch.
    shape: Option<Arc<LoadedDeployment>>,
}

impl Sinks {
    pub(super) fn new(sinks: Vec<Box<dyn Sink>>, letters: Box<dyn DeadLetters>) -> Self {
        Sinks {
            sinks,
            dead_letters: letters,
            shape: None,
        }
    }

    /// Delivers `batch` as `intent` says, but not to those that hold it already. `Ok`: all is
    /// acknowledged.
    pub(super) fn deliver(
        &mut self,
        intent: &BatchIntent,
        batch: &ExecutedBatch,
        held: &BTreeSet<String>,
        status: &PipelineStatus,
    ) -> Result<(), PipelineExit> {
        self.reshape(&batch.active);
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
                tasks.push(Task::Rows {
                    name: &described.name,
                    sink: sink.as_mut(),
                    rows,
                });
            }
        }
        if !batch.outcome.dead_letters.is_empty() {
            tasks.push(Task::Letters {
                sink: self.dead_letters.as_mut(),
                letters: &batch.outcome.dead_letters,
            });
        }
        let version = batch.active.version;
        let Some(last) = tasks.pop() else {
            return Ok(());
        };
        let given_up = &AtomicBool::new(false);
        std::thread::scope(|scope| {
            let run = |task: Task<'_>| {
                let (began, sink, rows) = (clock::monotonic(), task.sink(), task.rows());
                let waits = Waits {
                    status,
                    given_up,
                    batch: Some(intent.batch),
                };
                let end = task.run(intent, &batch.outcome.spans, version, waits);
                let meter = &status.meter;
                meter.sunk(intent.batch, sink, rows, began.elapsed());
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
                        .unwrap_or_else(|_| Err(PipelineExit::died("a sink"))),
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

enum Task<'a> {
    Rows {
        name: &'a str,
        sink: &'a mut dyn Sink,
        rows: &'a [Rows],
    },
    Letters {
        sink: &'a mut dyn DeadLetters,
        letters: &'a [DeadLetter],
    },
}

impl<'a> Task<'a> {
    /// The sink's name; none for the dead letters.
    fn sink(&self) -> Option<&'a str> {
        match self {
            Task::Rows { name, .. } => Some(name),
            Task::Letters { .. } => None,
        }
    }

    /// How many rows or letters there are.
    fn rows(&self) -> u64 {
        match self {
            Task::Rows { rows, .. } => rows.iter().map(|rows| rows.len() as u64).sum(),
            Task::Letters { letters, .. } => letters.len() as u64,
        }
    }

    fn run(
        self,
        intent: &BatchIntent,
        spans: &Spans,
        version: u64,
        waits: Waits<'_>,
    ) -> Result<(), PipelineExit> {
        let delivery = |digest| Delivery {
            epoch: intent.epoch,
            batch: intent.batch,
            time_ms: intent.time_ms,
            digest,
            spans,
            version,
        };
        match self {
            Task::Rows { name, sink, rows } => {
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
                    Ok(sink.deliver(&delivery(digest), rows)?)
                })
            }
            Task::Letters { sink, letters } => until_done("dead letters", waits, |_| {
                Ok(sink.deliver(&delivery(""), letters)?)
            }),
        }
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
