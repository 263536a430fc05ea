//! What follows `key_by`: the shuffle and the keyed stages of a batch. The host owns keys, state,
//! time and watermarks; the guest supplies pure functions.
//!
//! ```text
//! transform's items ─► shuffle ─► stage: state + combine ─► finish ─► rows, letters, items of later stages
//! ```
//! A stage knows its own state and the calls, nothing of where either is. What it does depends on
//! the batch's items in their order, its times and its state, and on nothing else: a batch that is
//! run again has the same outcome.

use crate::contract::{Calls, VersionFault};
use crate::job::{JobSpec, StageKind, WindowForm};
use crate::state::{StageId, StageState, StateFound, StateRead, StoreError};
use crate::types::{Keyed, Rows};
use session::Sessions;
use shuffle::Item;
use stage::{Portion, Ready, Stage, StageOutput};
use stage_store::StageStore;
use std::collections::BTreeMap;
use window::Panes;

mod times;
mod shuffle;
mod stage;
mod merge;
mod panes;
mod reduce;
mod untimed;
mod window;
mod session;
mod join;
mod lookup;
mod process;
pub mod entry;
pub mod look;
mod stage_store;
mod timers;

pub use times::late_thresholds_after;

/// The times of one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchTimes<'a> {
    /// The batch's number; numbers what a join keeps.
    pub batch: u64,
    /// The batch's own time. It never falls from batch to batch.
    pub clock_ms: i64,
    /// The job's watermark before the batch: what late records were judged by.
    pub before_ms: i64,
    /// The job's watermark after it: windows that are over by it are finished in this batch.
    pub watermark_ms: i64,
    /// What [`late_thresholds_after`] gave for the batch before. A stage that is not among them
    /// stands where the watermark puts it.
    pub late_thresholds_ms: &'a BTreeMap<String, i64>,
    /// Keys that a version without expiry has left without a timer are given one. Not in the replay
    /// of what a host planned that gave them none.
    pub gives_timers: bool,
}

/// What the keyed stages made of a batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Made {
    /// For each sink its rows, in order.
    pub rows: Vec<Vec<Rows>>,
    /// Groups that ended in no row because the guest failed on them.
    pub dead_letters: Vec<GroupDeadLetter>,
    /// How many of them the guest broke on, rather than refusing them, by the stage's name.
    pub broken: BTreeMap<String, u64>,
    /// Items of a stage's own output that came too late for a later one.
    pub late: u64,
}

/// A group or pair, or an item of a key, that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupDeadLetter {
    /// The stage's name.
    pub stage: String,
    /// Why.
    pub reason: String,
    /// Where its window begins, or the batch's time.
    pub time_ms: i64,
    /// Its key, in the bytes of the SDK.
    pub key: Vec<u8>,
    /// What was to be merged or finished, in the bytes of the SDK: the accumulator; all partials,
    /// end to end; a pair's left item and, right behind it, its right one; or the items that were
    /// to be processed, end to end. Of what is too large the beginning.
    pub value: Vec<u8>,
}

/// Why a batch's keyed stages could not be run.
#[derive(Debug, thiserror::Error)]
pub enum KeyedError {
    /// The version's.
    #[error(transparent)]
    Version(#[from] VersionFault),
    /// The store's.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The job is to stop. What the batch changed is to be abandoned, as after any other error.
    #[error("the job is to stop")]
    Stopped,
}

/// What a keyed stage asks for: calls of the guest, and reads of its state.
pub trait StageWorkers: Calls {
    /// Does these reads, on as many threads as there are, and gives what each found.
    fn read(
        &mut self,
        reads: Vec<StateRead>,
    ) -> Result<Vec<Result<StateFound, StoreError>>, VersionFault> {
        Ok(reads.iter().map(StateRead::run).collect())
    }
}

/// Says whose state is damaged, and what to do.
fn of_stage(name: &str, error: StoreError) -> StoreError {
    match error {
        StoreError::Damaged(what) => StoreError::Damaged(format!(
            "the state of stage `{name}`: {what}: restore the data folder, or deploy with --reset-state to begin anew"
        )),
        error => error,
    }
}

/// Runs the keyed stages of one batch, in the job's order. `parts` is what `transform` made for
/// them, by partition and offset of its records; `ids` says where each stage's state is, in the
/// order of `spec.stages`. No more is merged for one key than
/// `memory_bytes`, a guest's memory; `stopped` is asked again and again whether to leave it.
pub fn run(
    spec: &JobSpec,
    ids: &[StageId],
    parts: Vec<Keyed>,
    times: BatchTimes<'_>,
    state: &mut dyn StageState,
    calls: &mut dyn StageWorkers,
    (memory_bytes, stopped): (usize, &dyn Fn() -> bool),
) -> Result<Made, KeyedError> {
    run_in(
        spec,
        ids,
        parts,
        times,
        state,
        calls,
        (Portion::of(memory_bytes), stopped),
    )
}

fn run_in(
    spec: &JobSpec,
    ids: &[StageId],
    parts: Vec<Keyed>,
    times: BatchTimes<'_>,
    state: &mut dyn StageState,
    calls: &mut dyn StageWorkers,
    (portion, stopped): (Portion, &dyn Fn() -> bool),
) -> Result<Made, KeyedError> {
    let mut out = StageOutput::new(spec);
    for part in parts {
        out.send(spec, None, part)?;
    }
    for (i, stage_times) in times::of_stages(spec, times).into_iter().enumerate() {
        let parts = out.take(i);
        let mut stage = Stage {
            job: spec,
            spec: &spec.stages[i],
            number: (spec.sources.len() + i) as u32,
            times: stage_times,
            portion,
            store: StageStore::new(&mut *state, ids[i]),
            calls: &mut *calls,
            out: &mut out,
            ready: Ready::default(),
            stopped,
        };
        run_stage(&mut stage, shuffle::items(&parts))
            .and_then(|()| stage.flush())
            .map_err(|error| match error {
                KeyedError::Store(error) => {
                    KeyedError::Store(of_stage(&spec.stages[i].name, error))
                }
                error => error,
            })?;
    }
    Ok(out.made)
}

fn run_stage(stage: &mut Stage<'_>, items: Vec<Item<'_>>) -> Result<(), KeyedError> {
    match stage.spec.kind {
        StageKind::EachBatch => reduce::each_batch(stage, &items),
        StageKind::Running { expire_ms } => reduce::running(stage, &items, expire_ms),
        StageKind::Window(window) => match window.form {
            WindowForm::Panes { size_ms, hop_ms } => {
                window::run(stage, items, Panes::new(window, size_ms, hop_ms))
            }
            WindowForm::Session { gap_ms } => {
                session::run(stage, items, Sessions::new(window, gap_ms))
            }
        },
        StageKind::Join(join) => join::run(stage, items, join),
        StageKind::Lookup => lookup::run(stage, &items),
        StageKind::Process(process) => process::run(stage, &items, process),
    }
}

/// Whether a batch without records would do something at these times: a window is over, a key
/// expires, an item of a join is let go. One short look a stage.
pub fn is_due(
    spec: &JobSpec,
    ids: &[StageId],
    times: BatchTimes<'_>,
    state: &mut dyn StageState,
) -> Result<bool, StoreError> {
    for (i, stage_times) in times::of_stages(spec, times).into_iter().enumerate() {
        let store = &mut StageStore::new(&mut *state, ids[i]);
        let is_due = match spec.stages[i].kind {
            StageKind::EachBatch | StageKind::Lookup => Ok(false),
            StageKind::Running { expire_ms } => reduce::is_due(store, times.clock_ms, expire_ms),
            StageKind::Window(window) => match window.form {
                WindowForm::Panes { size_ms, hop_ms } => {
                    window::is_due(store, Panes::new(window, size_ms, hop_ms), stage_times)
                }
                WindowForm::Session { gap_ms } => {
                    session::is_due(store, Sessions::new(window, gap_ms), stage_times)
                }
            },
            StageKind::Join(join) => join::is_due(store, join, stage_times),
            StageKind::Process(process) => process::is_due(store, process, stage_times),
        };
        if is_due.map_err(|error| of_stage(&spec.stages[i].name, error))? {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests;
