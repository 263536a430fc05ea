//! Joins the rooms for one job: the data plane.
//!
//! ```text
//! source ─► gather ─► cut ─► run (lanes) ─► intent ─► sinks, dead letters ─► checkpoint ─► group
//! └───────── runner, a thread ───────────┘  └─ committer, a thread ──────────────────┘  └ runner
//! ```
//! The runner gathers and runs batch `n + 1` while the committer has batch `n` in the sinks.
//! Between them is room for one batch, so a slow sink slows the source down and memory stays flat.

use crate::guest::{GuestVersion, LargeBatches};
use crate::sink::{DeadLetters, Sink};
use crate::source::Source;
use std::any::Any;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use streamhost_core::canary::CanaryPlan;
use streamhost_core::job::settings::{Settings, StartPosition};
use streamhost_core::job::{JobSpec, SinkSpec, StageKind, StageSpec, names};
use streamhost_core::protocol::{BatchIntent, Checkpoint, CheckpointLog};
use streamhost_core::{limits, system};

mod restore_state;
mod retries;
mod slot;
mod status;
mod histogram;
mod trace;
mod meter;
mod stop;
mod committer;
mod refused;
mod deliver;
mod trigger;
mod execute;
mod data_loss;
mod recovery;
mod runner;
mod shadow;
mod partitions;
mod restored;
mod replan;
mod retry;
#[cfg(test)]
mod tests;

pub use histogram::TimeHistogram;
pub use meter::{BatchUnderWay, MadeRows, MeterInterval, MeterTotals, PipelineMeter, StageLetters};
pub use replan::keeps_records;
pub use retries::{LetterRetry, Retries, RetryEnd};
pub use shadow::{BatchDifference, Shadow, ShadowEnd, ShadowReport, ShadowSlot, ShadowTerms};
pub use slot::{DeploymentSlot, Numbered, Slot};
pub use status::{BudgetTeller, JobLogger, Jump, PipelineStatus, StatusSnapshot};
pub use stop::{Backoff, Stop, StopSignal};
pub use trace::{BatchStep, BatchTrace, SinkTime, StepTime};

/// A deployment, ready to run.
pub struct LoadedDeployment {
    /// The deployment's number.
    pub deployment: u64,
    /// Its version.
    pub version: u64,
    /// What it is.
    pub spec: JobSpec,
    /// How the user wants it run.
    pub settings: Settings,
    /// The consumer group that shows its progress.
    pub group: String,
    /// The topic of its dead letters.
    pub dead_letter_topic: String,
    /// Where a new checkpoint begins, if the user said so; else at the group's offsets, or at the
    /// earliest record.
    pub start: Option<StartPosition>,
    /// The newest deployment up to this one that began the job anew: a checkpoint of an older one
    /// does not count.
    pub reset_at: Option<u64>,
    /// The newest deployment up to this one that gave up what was planned: a batch that an older one
    /// has planned does not count.
    pub replan_at: Option<u64>,
    /// Its code.
    pub guest_version: Arc<GuestVersion>,
    /// The version that runs a part of the records. Then `spec` is that of both.
    pub canary: Option<LoadedCanary>,
}

/// A version that runs a part of the records, ready to run.
pub struct LoadedCanary {
    /// Its version.
    pub version: u64,
    /// How its user wants it run.
    pub settings: Settings,
    /// Its code.
    pub guest_version: Arc<GuestVersion>,
    /// Which part, and how it goes together with the rest.
    pub plan: CanaryPlan,
}

impl LoadedDeployment {
    /// The topics that it reads, in order.
    pub fn topics(&self) -> Vec<String> {
        self.spec.topics()
    }

    /// Whether this checkpoint is of before the job was begun anew. Without a checkpoint: whether
    /// this deployment itself says so.
    pub fn resets(&self, checkpoint: Option<&Checkpoint>) -> bool {
        match checkpoint {
            Some(checkpoint) => self
                .reset_at
                .is_some_and(|number| checkpoint.deployment < number),
            None => self.reset_at == Some(self.deployment),
        }
    }

    /// Whether these planned batches are of before they were given up.
    pub fn replans(&self, intents: &[BatchIntent]) -> bool {
        let mut planned = intents.iter().map(|intent| intent.deployment);
        self.replan_at
            .is_some_and(|number| planned.any(|deployment| deployment < number))
    }

    /// Whether the checkpoint says that this deployment has finished: every source has ended, and
    /// all is delivered.
    pub fn has_finished(&self, checkpoint: &Checkpoint) -> bool {
        checkpoint.finished && checkpoint.deployment == self.deployment
    }

    /// Whether the end of its sources gives out what can be given out but once.
    pub fn has_windows(&self) -> bool {
        let is_window = |stage: &StageSpec| {
            matches!(
                stage.kind,
                StageKind::Window(_) | StageKind::Join(_) | StageKind::Process(_)
            )
        };
        self.spec.stages.iter().any(is_window)
    }

    /// Whether a running pipeline can go over from this deployment to the other at a batch
    /// boundary: the same sources and sinks in the same places, the same state, and the same group
    /// and dead letters. Columns may differ.
    pub fn can_hot_swap(&self, other: &LoadedDeployment) -> bool {
        let target = |sink: &SinkSpec| {
            (
                sink.connector.clone(),
                sink.instance.clone(),
                sink.name.clone(),
                sink.target.clone(),
                sink.options.clone(),
            )
        };
        let state = |spec: &JobSpec| {
            let kept = spec.stages.iter().filter(|stage| stage.keeps_state());
            kept.map(|stage| (stage.name.clone(), stage.fingerprint()))
                .collect::<BTreeSet<_>>()
        };
        self.spec.sources == other.spec.sources
            && state(&self.spec) == state(&other.spec)
            && self.settings.until_end == other.settings.until_end
            && self
                .spec
                .sinks
                .iter()
                .map(target)
                .eq(other.spec.sinks.iter().map(target))
            && self.group == other.group
            && self.dead_letter_topic == other.dead_letter_topic
            && self.reset_at == other.reset_at
            && self.replan_at == other.replan_at
    }
}

/// Finds a deployment that an intent names; none, if its version is not stored any more.
pub type Deployments = Box<dyn Fn(u64) -> Option<Arc<LoadedDeployment>> + Send>;

/// All that a pipeline is made of.
pub struct PipelineParts {
    /// The job's name.
    pub job: String,
    /// Which deployment runs.
    pub active: DeploymentSlot,
    /// Deployments by number, for intents of before.
    pub deployments: Deployments,
    /// The numbers of those that are there.
    pub known: BTreeSet<u64>,
    /// Where records come from.
    pub source: Box<dyn Source>,
    /// Where rows go, in the order of the job's sinks.
    pub sinks: Vec<Box<dyn Sink>>,
    /// Where dead letters go.
    pub dead_letters: Box<dyn DeadLetters>,
    /// Ledger and intents.
    pub store: Arc<dyn CheckpointLog>,
    /// Workers.
    pub lanes: usize,
    /// The turns that its large batches take with those of other jobs.
    pub large: Arc<LargeBatches>,
    /// End once the intents of before are delivered.
    pub replay_only: bool,
    /// Go on after records that are gone, as the user asked.
    pub skip_lost: bool,
    /// Read on though every source had ended, as the user asked. What gives out windows at the end
    /// stays ended.
    pub reads_on: bool,
    /// The shadow that runs beside it, if there is one.
    pub shadow: ShadowSlot,
}

/// How a pipeline came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PipelineExit {
    /// It was asked to, or its replay is done.
    Stopped,
    /// Every source has ended, and all is delivered.
    Finished,
    /// It cannot go on; the reason says how to mend it.
    Failed(String),
    /// The version is at fault; another one may go on where this one stood.
    VersionFault {
        /// The deployment that ran it.
        deployment: u64,
        /// What it did.
        reason: String,
        /// The job's policy is to stop at a failed record: going back would not be what the user
        /// asked for.
        by_policy: bool,
    },
}

impl PipelineExit {
    /// It panicked, and this is what with.
    fn died(who: &str, panic: &(dyn Any + Send)) -> PipelineExit {
        let words = names::shown(system::panic_words(panic), limits::FAULT_SHOWN_CHARS_MAX);
        PipelineExit::Failed(format!(
            "{who} died: {words}: a mistake of the host's, whose log says where"
        ))
    }
}

/// A running pipeline.
pub struct Pipeline {
    /// What it tells of itself, and how it is stopped.
    pub status: Arc<PipelineStatus>,
    thread: JoinHandle<PipelineExit>,
}

impl Pipeline {
    /// Starts a pipeline on a thread of its own. It begins with what was left undone. `ended` is told
    /// how it came to its end, and whether a deployment was set that no batch of it has named.
    pub fn start(
        parts: PipelineParts,
        status: Arc<PipelineStatus>,
        ended: impl FnOnce(&PipelineExit, bool) + Send + 'static,
    ) -> std::io::Result<Self> {
        let name = parts.job.clone();
        let (told, slot) = (status.clone(), parts.active.clone());
        slot.open();
        let run = move || {
            let _closing = told.retries.closing();
            let end = catch_unwind(AssertUnwindSafe(|| runner::run(parts, &told)));
            let end = end.unwrap_or_else(|panic| PipelineExit::died("the pipeline", &*panic));
            told.meter.holds(0); // its guests are gone
            ended(&end, slot.close());
            end
        };
        let thread = std::thread::Builder::new().name(name).spawn(run)?;
        Ok(Pipeline { status, thread })
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(self, how: Stop) -> PipelineExit {
        self.status.stop.request(how);
        self.join()
    }

    /// Waits for its end.
    pub fn join(self) -> PipelineExit {
        self.thread
            .join()
            .unwrap_or_else(|panic| PipelineExit::died("the pipeline", &*panic))
    }

    /// It has ended by itself.
    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }
}
