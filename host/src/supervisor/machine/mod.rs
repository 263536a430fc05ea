//! What the control plane of a job decides: [`step`], one pure function from a job's control state
//! and what has happened to the state after it and what is to be done.
//!
//! ```text
//! asked, ended ─► step ─► actions ─► (the awaited one's outcome) ─► step ─► …
//! ```
//! A change is a few actions, one after the other: each `step` ends with at most one that is
//! awaited, and whoever carries them out (the job's actor, or the simulation) tells its outcome as
//! the next event. Nothing else is told until the change is done. No lock, I/O or clock is here.

use crate::alerts::AlertKind;
use crate::api::Refusal;
use streamhost_core::job::JobRecord;
use streamhost_core::job::budget::Beyond;
use streamhost_core::job::budget::watch::OverBudget;
use streamhost_engine::pipeline::{PipelineExit, Stop};
use streamhost_storage::catalog::UnreadableJob;
use tracing::Level;

mod claims;
mod record;
mod step;
#[cfg(test)]
mod tests;

pub(super) use claims::{Claimed, Claims};
pub(super) use record::{
    Draft, Limits, group_of, groups_needed, next_record, planned_before, under_limits,
};
pub(super) use step::{step, stopping};

/// Whoever waits for an answer.
pub(super) type Asker = u64;

/// A job's control state.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct JobControl {
    /// Its name.
    pub(super) name: String,
    /// What is durable of it.
    pub(super) kept: Kept,
    /// Why it cannot go on by itself. It has no pipeline then.
    pub(super) failed: Option<String>,
    /// The pipeline that was started and of whose end nothing has been told.
    pub(super) pipeline: Option<Life>,
    /// Pipelines that it had; an end that an older one tells is of no interest.
    pub(super) life: u64,
    /// The next pipeline goes on where records are gone, as the user asked. Not stored: after a
    /// crash the user is asked again.
    pub(super) skip_lost: bool,
    /// The next pipeline reads on though the job is finished, as the user asked. Not stored either.
    pub(super) reads_on: bool,
    /// The host is stopping, and nothing may change any more.
    pub(super) is_closed: bool,
    /// The change that is under way.
    pub(super) doing: Option<Doing>,
}

/// What is durable of a job.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kept {
    /// It is not there.
    Nothing,
    /// Its record.
    Record(JobRecord),
    /// There is a record, and it cannot be read, for this reason: nothing of it runs, and nothing
    /// of it is written.
    Unreadable(String),
}

/// A pipeline of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life {
    /// Which one it is.
    pub(super) life: u64,
    /// It ends once it has delivered what an older deployment has planned.
    pub(super) replay_only: bool,
}

/// A change that is under way, and the action that it waits for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Doing {
    pub(super) change: Change,
    pub(super) awaits: Awaited,
}

/// What a change is about.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    /// The host has started.
    Open {
        who: Asker,
        go: bool,
    },
    /// A deployment becomes active, as the user said.
    Switch {
        who: Asker,
        switch: Switch,
    },
    /// The host goes back from a version that proved unfit.
    GoBack {
        unfit: Unfit,
        switch: Switch,
    },
    /// The same, before it is known what to.
    WouldGoBack(Unfit),
    Pause(Asker),
    Resume {
        who: Asker,
        skip_lost: bool,
    },
    /// The same, of a job that runs.
    RunsOn(Asker),
    Undeploy(Asker),
    /// A pipeline has ended, and another one follows it.
    Restart {
        overtaken: bool,
    },
    Close(Asker),
    /// The version is over its budget, and its user wants it stopped then.
    StopOver(String),
    /// A mistake of the host's: what runs is stopped.
    Break,
}

/// The action that a change waits for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Awaited {
    Prepared,
    Admitted,
    Stored(JobRecord),
    Swapped,
    Stopped(Stop),
    Loaded,
    Started,
    Forgotten,
    Removed,
}

/// A deployment that was checked and whose version is compiled.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Switch {
    /// The job's record with it.
    pub(super) record: JobRecord,
    /// What its user should know, a sentence each.
    pub(super) warnings: Vec<String>,
}

/// A version that proved unfit while it was new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unfit {
    pub(super) version: u64,
    pub(super) reason: String,
    pub(super) back_to: u64,
    /// What is done where that cannot take over and this still runs.
    pub(super) beyond: Beyond,
}

/// What a webhook is told of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) what: AlertKind,
    pub(super) reason: String,
    pub(super) version: u64,
    pub(super) back_to: Option<u64>,
}

/// The version that runs went over a budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Over {
    pub(super) over: OverBudget,
    /// The job's durable batches, and the wall clock.
    pub(super) at: (u64, i64),
}

/// What has happened.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Event {
    /// Somebody asks for a change, and waits for an answer.
    Asked { who: Asker, ask: Ask },
    /// A pipeline has ended.
    Ended(Ended),
    /// The version that runs went over a budget.
    OverBudget(Over),
    /// The awaited action is done.
    Done,
    /// The awaited start is done.
    Started { replay_only: bool },
    /// The deployment that was to be prepared is.
    Prepared(Switch),
    /// The awaited action failed, and has changed nothing.
    Failed(Refusal),
    /// A mistake of the host's ended the change that was under way.
    Broke,
}

/// What is asked of a job.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Ask {
    /// The host has started; the job is to run if `go` and it is not paused. With it the record as
    /// it is under the host's present limits, if that is another one, or why that is not known.
    Open {
        go: bool,
        changed: Result<Option<Limits>, String>,
    },
    /// Make this deployment active.
    Switch(Switch),
    Pause,
    Resume {
        skip_lost: bool,
        end: End,
    },
    Undeploy,
    Close(Stop),
}

/// Whether a job has come to the end of its sources, by its checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It has not.
    Ahead,
    /// It has, and can read on from there.
    Reached,
    /// It cannot read on, for this reason, or whether it can is not known.
    Final(Refusal),
}

/// How a pipeline ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ended {
    /// Which one.
    pub(super) life: u64,
    pub(super) exit: PipelineExit,
    /// A deployment was given to it that it has not come to run.
    pub(super) overtaken: bool,
    /// The job's durable batches.
    pub(super) batches: u64,
    /// The wall clock.
    pub(super) now_ms: i64,
}

/// What is to be done. Those up to `Remove` are awaited: the outcome is the next event.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    /// Make ready to go back to this version, for this reason.
    Prepare { version: u64, why: String },
    /// Claim a place among the host's jobs, and the group of this record's active deployment.
    Admit(JobRecord),
    /// Make the record durable, and before it the component of the prepared deployment, if it has
    /// one.
    Store(JobRecord),
    /// Give the prepared deployment to the running pipeline. Fails if that cannot go over to it.
    Swap,
    /// Stop the pipeline, if there is one, and wait for it.
    Stop(Stop),
    /// Make the stored active deployment ready. `overtaken`: it must be able to go on with what
    /// is stored, which has not been looked at since it was deployed.
    Load { overtaken: bool },
    /// Start a pipeline, the one of this number.
    Start {
        life: u64,
        skip_lost: bool,
        reads_on: bool,
    },
    /// Forget the job's checkpoint, its planned batches and its state.
    Forget,
    /// Take the job's record away.
    Remove,
    /// The prepared deployment is the one that runs from now on, or would.
    Activate,
    /// Wait for the thread of a pipeline that has ended.
    Reap,
    /// Give up the claims that the job needs no more.
    Release,
    /// Delete the components that no job names.
    Sweep,
    /// A line of the job's log.
    Say(Level, String),
    /// Tell the webhook, if there is one.
    Alert(Told),
    /// What `status` shows as the last error.
    NoteError(String),
    /// The outcome, to whoever waits for it.
    Answer(Asker, Answer),
}

/// What an asker is told.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    /// It is done, and durable.
    Done,
    /// The deployment is durable and active. `stopped`: why its pipeline does not start.
    Switched {
        stopped: Option<String>,
        started: bool,
    },
    /// There is no such job.
    Unknown,
    /// It is not done.
    Refused(Refusal),
}

/// The jobs that are found at a start. One whose record cannot be read keeps no other from running.
pub(super) fn restored(stored: Vec<Result<JobRecord, UnreadableJob>>) -> Vec<JobControl> {
    let control = |found: Result<JobRecord, _>| match found {
        Ok(record) => JobControl::new(&record.name.clone(), Kept::Record(record)),
        Err(UnreadableJob { name, reason }) => {
            let reason = format!(
                "its record in the data folder cannot be read: {reason}; restore the folder from a backup, or `streamhost undeploy {name}` forgets the job and its state"
            );
            JobControl::new(&name, Kept::Unreadable(reason))
        }
    };
    stored.into_iter().map(control).collect()
}

impl JobControl {
    /// A job of which this is durable, before anything has happened to it.
    pub(super) fn new(name: &str, kept: Kept) -> Self {
        let failed = match &kept {
            Kept::Unreadable(reason) => Some(reason.clone()),
            Kept::Nothing | Kept::Record(_) => None,
        };
        JobControl {
            name: name.to_owned(),
            kept,
            failed,
            pipeline: None,
            life: 0,
            skip_lost: false,
            reads_on: false,
            is_closed: false,
            doing: None,
        }
    }

    /// Its record, if there is one that can be read.
    pub(super) fn record(&self) -> Option<&JobRecord> {
        match &self.kept {
            Kept::Record(record) => Some(record),
            Kept::Nothing | Kept::Unreadable(_) => None,
        }
    }

    /// Whether a pipeline of it is at work, as far as is known.
    pub(super) fn runs(&self) -> bool {
        self.pipeline.is_some() && self.failed.is_none()
    }
}
