//! Gathers and runs batches, and hands them to the committer.

use super::committer::{Committer, QUEUE_MAX, Queue};
use super::deliver::Sinks;
use super::execute::{ExecutedBatch, LaneExecutor, SecondLanes, exit_of};
use super::recovery::{Recovery, asked};
use super::shadow::ShadowFeed;
use super::trigger::{BatchTrigger, IdlePartitions};
use super::{DeploymentSlot, LoadedDeployment, PipelineExit, PipelineParts, PipelineStatus, Stop};
use crate::batch::{Batch, BatchBuilder};
use crate::guest::{Lanes, TellsWait};
use crate::source::Source;
use cut::BatchCut;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{self, TrySendError};
use std::time::Duration;
use streamhost_core::contract::{GroupQuarantines, VersionFault};
use streamhost_core::executor::{BatchInputs, ExecutorError, Watermark};
use streamhost_core::types::{Partition, Positions, positions};
use streamhost_core::{clock, limits, system};
use tell::Told;
use tracing::Level;

mod cut;
mod tell;

/// Runs a pipeline to its end.
pub(super) fn run(mut parts: PipelineParts, status: &Arc<PipelineStatus>) -> PipelineExit {
    let lanes = match lanes(&parts, status) {
        Ok(lanes) => lanes,
        Err(error) => return PipelineExit::Failed(no_threads(&error)),
    };
    status.meter.begins();
    let active = parts.active.get();
    let recovery = Recovery {
        job: &parts.job,
        active: active.clone(),
        deployments: &parts.deployments,
        known: &parts.known,
        source: parts.source.as_mut(),
        store: parts.store.clone(),
        status,
        skip_lost: parts.skip_lost,
    };
    let sinks = Sinks::new(parts.sinks, parts.dead_letters);
    let recovered = match recovery.run(sinks, lanes, parts.replay_only) {
        Ok(recovered) => recovered,
        Err(end) => return end,
    };
    let (checkpoint, sinks, mut runs) = (recovered.checkpoint, recovered.sinks, recovered.runs);
    if parts.replay_only {
        return PipelineExit::Stopped;
    }
    if active.has_finished(&checkpoint) && (!parts.reads_on || active.has_windows()) {
        return PipelineExit::Finished;
    }
    status.reads_on();
    let topics = active.topics();
    let keeps = (0..topics.len()).any(|at| !parts.source.is_replayable(at as u16));
    status.stop.finish_batches(keeps);
    let at = positions(&topics, &checkpoint.committed);
    let topic_ids = checkpoint.topic_ids.clone();
    let committer = Committer {
        store: parts.store.as_ref(),
        sinks,
        status,
        checkpoint,
        unsettled: None,
        keeps,
    };
    let queue = Queue::default();
    let (send, batches) = mpsc::sync_channel(QUEUE_MAX);
    let runner = Runner {
        job: &parts.job,
        source: parts.source.as_mut(),
        runs: &mut runs,
        active: &parts.active,
        status,
        topics: &topics,
        at,
        idle: IdlePartitions::default(),
        loading: Positions::new(),
        forgotten: BTreeSet::new(),
        keeps,
        send,
        queue: &queue,
        at_work: Arc::new(()),
        topic_ids,
        told: Told::default(),
        cut: BatchCut::default(),
        shadow: ShadowFeed::new(parts.shadow.clone()),
    };
    let end = run_both(runner, committer, batches);
    let committed = positions(&topics, &status.snapshot().committed);
    parts.source.commit_progress(&committed);
    end
}

/// The job's lanes, and those of a canary, which start once there is one.
fn lanes(
    parts: &PipelineParts,
    status: &Arc<PipelineStatus>,
) -> std::io::Result<(Lanes, SecondLanes)> {
    let (job, count, stop) = (parts.job.clone(), parts.lanes, status.stop.interrupts());
    let own = Lanes::start(&job, count, stop.clone())?;
    let second = move || Ok(Lanes::start(&job, count, stop.clone())?.beside());
    let own = own.in_turns(parts.large.clone(), waits_told(status));
    Ok((own, SecondLanes::new(Box::new(second))))
}

fn no_threads(error: &std::io::Error) -> String {
    system::with_limit(format_args!("no threads can be started: {error}"))
}

/// Tells of a batch that waits for its turn.
fn waits_told(status: &Arc<PipelineStatus>) -> TellsWait {
    const WHO: &str = "a large batch";
    let status = status.clone();
    Arc::new(move |waits| {
        match waits {
        true => status.waiting(WHO, "other jobs' large batches have all memory for such, until their sinks have them: smaller `limits.batch-bytes`, or more `limits.host-memory`, would help"),
        false => status.resumed(WHO),
    }
    })
}

/// Runs the runner here and the committer on a thread of its own, until both have ended.
fn run_both(
    mut runner: Runner<'_>,
    mut committer: Committer<'_>,
    batches: mpsc::Receiver<ExecutedBatch>,
) -> PipelineExit {
    std::thread::scope(|scope| {
        // Held by the committer for as long as it lives, so that a runner with nothing to send
        // notices its end.
        let held = runner.at_work.clone();
        let (committer, queue) = (&mut committer, runner.queue);
        let committed = scope.spawn(move || {
            let _held = held;
            committer.run(&batches, queue)
        });
        let end = runner.run();
        drop(runner.send); // the committer finishes what it has
        end.with(
            committed
                .join()
                .unwrap_or_else(|panic| Err(PipelineExit::died("the committer", &*panic))),
        )
    })
}

impl PipelineExit {
    /// The pipeline's end, given the runner's and the committer's. A stop hides no reason.
    fn with(self, committed: Result<(), PipelineExit>) -> PipelineExit {
        match (self, committed) {
            (end, Ok(())) => end,
            (
                end @ (PipelineExit::Failed(_) | PipelineExit::VersionFault { .. }),
                Err(PipelineExit::Stopped),
            ) => end,
            (_, Err(end)) => end,
        }
    }
}

pub(super) struct Runner<'a> {
    pub(super) job: &'a str,
    pub(super) source: &'a mut dyn Source,
    pub(super) runs: &'a mut LaneExecutor,
    pub(super) active: &'a DeploymentSlot,
    pub(super) status: &'a PipelineStatus,
    pub(super) topics: &'a [String],
    /// Where the next batch begins.
    pub(super) at: Positions,
    /// Which partitions have been silent, and since when.
    pub(super) idle: IdlePartitions,
    /// Tables' partitions that are not read to these ends yet: until they are, nothing else is
    /// read.
    pub(super) loading: Positions,
    /// Partitions that are over for good since the last batch: the next one no longer names them,
    /// and only then may one begin anew under the same number.
    pub(super) forgotten: BTreeSet<Partition>,
    /// Some records cannot be read again.
    pub(super) keeps: bool,
    pub(super) send: mpsc::SyncSender<ExecutedBatch>,
    pub(super) queue: &'a Queue,
    pub(super) at_work: Arc<()>,
    pub(super) topic_ids: BTreeMap<String, String>,
    pub(super) told: Told,
    /// How many records a batch may have for now.
    pub(super) cut: BatchCut,
    pub(super) shadow: ShadowFeed,
}

/// What became of gathering.
enum Built {
    /// The batch closed.
    Batch(Batch),
    /// The last batch before a stop.
    Last(Batch),
    /// The last batch there is: every source has ended.
    End(Batch),
    /// Nothing came for a while, and it is time to look for new partitions.
    Nothing,
    /// Stop, and leave what was gathered: it is read again later.
    Stop,
}

impl Runner<'_> {
    fn run(&mut self) -> PipelineExit {
        let (Ok(end) | Err(end)) = self.until_stopped();
        // The committer may wait for sinks that are away: meanwhile it is seen what the job will
        // end by.
        if let PipelineExit::Failed(reason) | PipelineExit::VersionFault { reason, .. } = &end {
            self.status.ends_by(reason);
        }
        end
    }

    fn until_stopped(&mut self) -> Result<PipelineExit, PipelineExit> {
        self.new_partitions(true)?;
        self.tables_first()?;
        self.assign(self.at.clone())?;
        let mut due = BatchTrigger::new(self.active.get().spec.every);
        loop {
            due = due.keep(self.active.get().spec.every);
            match self.build_batch(&mut due)? {
                Built::Batch(batch) => drop(self.pass_on(batch, false)?),
                Built::Last(batch) => {
                    self.pass_on(batch, false)?; // what is not passed on is read again later
                    return Ok(PipelineExit::Stopped);
                }
                Built::End(batch) => {
                    if self.pass_on(batch, true)? {
                        return Ok(PipelineExit::Finished);
                    }
                }
                Built::Nothing => {}
                Built::Stop => return Ok(PipelineExit::Stopped),
            }
            let looks =
                self.source.has_new_partitions() || clock::monotonic() >= self.told.partitions_due;
            if self.loaded() || looks && self.new_partitions(false)? {
                self.assign(self.at.clone())?;
            }
        }
    }

    /// Reads on from here; while a table is not read to its end, tables alone.
    fn assign(&mut self, mut at: Positions) -> Result<(), PipelineExit> {
        if !self.loading.is_empty() {
            at.retain(|partition, _| self.loading.contains_key(partition));
        }
        asked(self.status, || self.source.assign(&at))
    }

    /// Gathers until the batch closes.
    fn build_batch(&mut self, due: &mut BatchTrigger) -> Result<Built, PipelineExit> {
        let active = self.active.get();
        let limits = self.cut.limits(active.settings.limits.batch());
        let mut builder = BatchBuilder::open(&self.at, limits);
        let mut gathers = false;
        loop {
            self.tell();
            match self.status.stop.requested() {
                Some(how)
                    if (how == Stop::Drain || self.keeps && how < Stop::Now)
                        && !builder.is_empty() =>
                {
                    return Ok(Built::Last(builder.close()));
                }
                Some(_) => return Ok(Built::Stop),
                // It says why it ended.
                None if Arc::strong_count(&self.at_work) == 1 => return Ok(Built::Stop),
                None if builder.is_empty()
                    && (self.source.has_new_partitions()
                        || clock::monotonic() >= self.told.partitions_due) =>
                {
                    return Ok(Built::Nothing);
                }
                None => {}
            }
            let retries = self.retry_letter()?;
            if self.loading.is_empty() && self.source.is_exhausted(&builder.end_positions()) {
                return Ok(Built::End(builder.close()));
            }
            let is_free = self.queue.is_empty();
            let is_time = match due {
                BatchTrigger::Free => is_free,
                BatchTrigger::At { .. } if !self.loading.is_empty() => is_free,
                BatchTrigger::At { .. } => due.is_over(),
            };
            if builder.is_full() || is_time && (!builder.is_empty() || self.is_due(&active)?) {
                return Ok(Built::Batch(builder.close()));
            }
            let wait = match () {
                () if retries => Duration::ZERO, // there may be more
                () if builder.is_empty() || is_free => due.wait(),
                () => due.wait().min(Duration::from_millis(2)),
            };
            self.fetch(&mut builder, wait)?;
            if !gathers && !builder.is_empty() {
                gathers = true;
                self.status.meter.gathers(builder.oldest_ms());
            }
        }
    }

    fn fetch(&mut self, builder: &mut BatchBuilder, wait: Duration) -> Result<(), PipelineExit> {
        match self.source.fetch(builder, wait) {
            Ok(()) => {
                self.status.resumed("source");
                self.idle.heard(clock::monotonic());
            }
            Err(error) if error.may_pass() => {
                self.status.waiting("source", &error.to_string());
                self.status.stop.pause(limits::BACKOFF.0);
            }
            Err(error) => return Err(PipelineExit::Failed(error.to_string())),
        }
        Ok(())
    }

    /// Whether a batch without records would do something: forget partitions, or finish a window by
    /// the clock, or as partitions were let go.
    fn is_due(&mut self, active: &LoadedDeployment) -> Result<bool, PipelineExit> {
        if !self.forgotten.is_empty() {
            return Ok(true);
        }
        if active.spec.stages.is_empty() || !self.loading.is_empty() {
            return Ok(false);
        }
        let idle = self.idle_now(active);
        let watermark_ms =
            self.runs
                .executor
                .watermark(&active.spec, self.at.keys().copied(), &idle);
        let clock_ms = self.runs.clock_ms();
        self.runs
            .executor
            .is_due(&active.spec, clock_ms, watermark_ms)
            .map_err(|error| PipelineExit::Failed(error.to_string()))
    }

    pub(super) fn idle_now(&mut self, active: &LoadedDeployment) -> BTreeSet<Partition> {
        if active.spec.sources.iter().all(|source| !source.timed) {
            return BTreeSet::new();
        }
        self.idle.partitions(
            clock::monotonic(),
            &self.at,
            &self.source.ends(),
            active.settings.idle,
        )
    }

    /// Runs a batch with the version that is active now, and hands it on. `last`: every source has
    /// ended with it. False: it makes too much at once, and is gathered anew in parts.
    fn pass_on(&mut self, batch: Batch, last: bool) -> Result<bool, PipelineExit> {
        if self.status.waits_for_clock() {
            return Err(PipelineExit::Stopped);
        }
        let active = self.active.name();
        let reached = batch.end_positions();
        self.runs.executor.state.settled(self.status.durable());
        let kept = batch
            .chunks
            .iter()
            .filter(|chunk| !self.source.is_replayable(chunk.partition.source))
            .cloned()
            .collect();
        self.idle.moved(clock::monotonic(), &self.at, &reached);
        let watermark = match last {
            true => Watermark::End,
            false => Watermark::Least {
                idle: self.idle_now(&active),
            },
        };
        let given = BatchInputs {
            clock_ms: self.runs.clock_ms(),
            watermark,
            quarantines: None,
            group_quarantines: GroupQuarantines::new(),
            retries: false,
            time_rules: Some(active.settings.time_rules(true)),
        };
        if self.told.lacks_ends() {
            self.ask_ends(&active); // or the lag would not be known before the batch is run
        }
        let meter = &self.status.meter;
        meter.closed(self.runs.executor.next, &active, &batch);
        let records = batch.records();
        let turn = self.shadow.before(self.runs, &active, &given);
        let done = self.runs.run_batch(&active, batch, given, self.status);
        let mut done = match done {
            Ok(done) => done,
            Err(error) => return self.cut(records, &error, active.deployment),
        };
        if let Some(turn) = turn {
            let epoch = self.status.snapshot().epoch;
            self.shadow.after(turn, self.runs, &done, epoch);
        }
        let meter = &self.status.meter;
        meter.ran(self.runs.figures(), &done);
        meter.holds(self.runs.memory_bytes());
        done.retained_records = kept;
        self.hand_over(done)?;
        self.at = reached;
        self.cut.passed(active.settings.limits.batch());
        self.passed_on();
        Ok(true)
    }

    /// Has a batch gathered anew in parts, where that may help; else the pipeline ends by it.
    fn cut(
        &mut self,
        records: u64,
        error: &ExecutorError,
        deployment: u64,
    ) -> Result<bool, PipelineExit> {
        let is_too_much = matches!(error, ExecutorError::Version(VersionFault::TooMuch { .. }));
        // What cannot be read again is gone with its batch.
        let parts = (is_too_much && !self.keeps).then(|| self.cut.halve(records));
        let Some(most) = parts.flatten() else {
            return Err(exit_of(error, deployment));
        };
        let text = format!(
            "{records} records in one batch are too much, so they are gathered anew, {most} at once: {error}"
        );
        self.status.say(Level::WARN, &text);
        self.assign(self.at.clone())?;
        Ok(false)
    }

    /// A batch was handed on: it did not name partitions that are over for good any more.
    pub(super) fn passed_on(&mut self) {
        if !std::mem::take(&mut self.forgotten).is_empty() {
            self.told.partitions_due = clock::monotonic(); // one of them may have come again
        }
    }

    /// Waits until the committer has room, and tells meanwhile what is new.
    pub(super) fn hand_over(&mut self, mut done: ExecutedBatch) -> Result<(), PipelineExit> {
        self.queue.joins();
        loop {
            match self.send.try_send(done) {
                Ok(()) => return Ok(()),
                // The committer says why it ended.
                Err(TrySendError::Disconnected(_)) => return Err(PipelineExit::Stopped),
                Err(TrySendError::Full(back)) => done = back,
            }
            self.queue.room(limits::LAG_TIME);
            self.tell();
        }
    }
}
