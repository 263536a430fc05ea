//! History that is run through a version beside its job, without touching what the job keeps: into
//! other places, or into nothing and held against what the job's places hold now.
//!
//! ```text
//! from ─ version ─► to: what its rows come to, in a store of its own ─┐
//!        active version ─► where the job is: what later records wrote ┤
//!                          the places, read back ─► held against it ──┴─► what differs ─► mends
//! ```
//! What a live job writes meanwhile is told apart by its own protocol: a batch is planned, durably,
//! before anything of it is written. So whatever was read back is of records before the ends of what
//! is planned after that reading, and the active version says which cells those records write.

use crate::pipeline::LoadedDeployment;
use crate::sink::{HeldPlace, Sink};
use crate::source::Source;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use streamhost_core::clock;
use streamhost_core::protocol::{Checkpoint, CheckpointLog};
use streamhost_core::types::Positions;

mod compare;
mod locked;
mod mend;
mod outputs;
mod pace;
mod place;
mod read;
mod report;
mod run;
mod settle;
mod tables;
mod task;

pub use report::{
    ExtraRows, PlaceReport, ReplayEnd, ReplayPhase, ReplayReport, ReplayedCell, ReplayedRow,
    RowKind,
};
pub use tables::{TableId, What, WriteTables};

/// Where a job is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobLedger {
    /// The epoch of its history.
    pub epoch: u64,
    /// The deployment that ran its last batch.
    pub deployment: u64,
    /// What its durable batches have passed.
    pub committed: Positions,
    /// What its planned batches will have passed.
    pub planned: Positions,
    /// The time of its last durable batch.
    pub time_ms: i64,
    /// That of the first one that is planned, if there is one.
    pub planned_ms: Option<i64>,
    /// Its watermark, with what is planned.
    pub watermark_ms: i64,
}

/// Tells where the job is now. `Err`: it is there no more, or cannot be told.
pub type LedgerReader = Box<dyn Fn() -> Result<JobLedger, String> + Send>;

/// One version, and what it runs on.
pub struct ReplayVersion {
    /// The version.
    pub loaded: Arc<LoadedDeployment>,
    /// Reads its sources, for it alone.
    pub source: Box<dyn Source>,
    /// What its keyed stages keep.
    pub store: Arc<dyn CheckpointLog>,
    /// The checkpoint of a savepoint whose state is in the store; none: it begins with nothing.
    pub saved: Option<Checkpoint>,
}

/// A place that is held against what is made of it.
pub struct ReplayPlace {
    /// The sink's name.
    pub name: String,
    /// The table.
    pub target: String,
    /// The numbers of the version's sinks that write it.
    pub sinks: Vec<usize>,
    /// The same of the active version.
    pub active_sinks: Vec<usize>,
    /// It, read back.
    pub held: Box<dyn HeldPlace>,
}

/// A place that the rows of a sink go to.
pub struct ReplayOutput {
    /// The number of the version's sink.
    pub sink: usize,
    /// It.
    pub into: Box<dyn Sink>,
}

/// What a replay is asked for.
#[derive(Clone, Debug)]
pub struct ReplayTerms {
    /// Where it begins.
    pub from: Positions,
    /// Where it ends.
    pub to: Positions,
    /// All records that there ever were are from `from` on, so a place has nothing else.
    pub is_all: bool,
    /// So many records a second at most.
    pub rate: Option<u64>,
    /// Rows that differ are written.
    pub writes: bool,
    /// Rows and cells that were not made are deleted then.
    pub deletes_extra: bool,
}

/// All that a replay is made of.
pub struct ReplayParts {
    /// The job's name.
    pub job: String,
    /// What is asked.
    pub terms: ReplayTerms,
    /// Where the job is as it begins.
    pub ledger: JobLedger,
    /// Where it is later.
    pub ledgers: LedgerReader,
    /// What history is run through.
    pub version: ReplayVersion,
    /// The active version, if that is another one.
    pub active: Option<ReplayVersion>,
    /// What is held against what is made.
    pub places: Vec<ReplayPlace>,
    /// Where rows go.
    pub outputs: Vec<ReplayOutput>,
    /// What rows come to.
    pub tables: Box<dyn WriteTables>,
}

/// A replay that runs, or ran.
pub struct Replay {
    stop: Arc<AtomicBool>,
    why: Mutex<Option<String>>,
    report: Mutex<ReplayReport>,
    cancel: crate::sink::CancelSignal,
}

impl Replay {
    /// Starts a replay. `ended` is told once when it has come to its end, on its thread. Calls of its
    /// places end with `cancel`.
    pub fn start(
        parts: ReplayParts,
        cancel: crate::sink::CancelSignal,
        ended: impl FnOnce(&Replay, &ReplayEnd) + Send + 'static,
    ) -> std::io::Result<Arc<Replay>> {
        let name = format!("{} replay", parts.job);
        let replay = Arc::new(Replay {
            stop: Arc::default(),
            why: Mutex::default(),
            report: Mutex::new(ReplayReport::of(&parts)),
            cancel,
        });
        let own = replay.clone();
        let run = move || {
            let end = task::run(&own, parts);
            own.report().ended = Some((clock::now_ms(), end.clone()));
            ended(&own, &end);
        };
        std::thread::Builder::new().name(name).spawn(run)?;
        Ok(replay)
    }

    fn report(&self) -> MutexGuard<'_, ReplayReport> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it has come to, so far.
    pub fn look(&self) -> ReplayReport {
        self.report().clone()
    }

    /// Ends it, if it has not ended yet. It does so by itself soon.
    pub fn end(&self, why: &str) {
        let mut told = self.why.lock().unwrap_or_else(PoisonError::into_inner);
        told.get_or_insert_with(|| why.to_owned());
        drop(told);
        self.stop.store(true, Ordering::SeqCst);
        self.cancel.cancel();
    }

    fn told(&self) -> Option<String> {
        let told = self.why.lock().unwrap_or_else(PoisonError::into_inner);
        told.clone()
    }

    /// Whether it runs no more.
    pub fn has_ended(&self) -> bool {
        self.report().ended.is_some()
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}
