//! All of the system at one moment, and what is owed.

use super::{Begin, RECORDS, TARGETS};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Checkpoint {
    pub(super) epoch: u8,
    pub(super) batch: u8,
    pub(super) committed: u8,
    /// The state of a keyed job.
    pub(super) count: u8,
    /// By sink: the offset below which it is given nothing, as it holds that already; and the target
    /// of the first sink that this is said of.
    pub(super) already_written: [u8; 2],
    pub(super) already_in: u8,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Intent {
    pub(super) epoch: u8,
    pub(super) batch: u8,
    pub(super) from: u8,
    pub(super) to: u8,
    /// The first sink's, by the deployment that the intent names.
    pub(super) target: u8,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Marker {
    pub(super) epoch: u8,
    pub(super) batch: u8,
    pub(super) target: u8,
    pub(super) offset: u8,
}

/// What a sink's servers hold: by target, how often each record of the present answer.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Held {
    pub(super) marker: Option<Marker>,
    pub(super) rows: [[u8; RECORDS]; TARGETS],
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Job {
    /// Not deployed.
    Absent,
    Running,
    /// Deployed and refused.
    Refused,
}

/// What is right, by what happened: for the checks alone. An *answer* begins whenever the user wants
/// all results anew.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Truth {
    /// The first record of the answer: where a keyed job's state begins.
    pub(super) answer_from: u8,
    /// By sink: from here on its target must hold every record.
    pub(super) owed_from: [u8; 2],
    /// Records before this one may not be repeated by any sink.
    pub(super) repeats_from: u8,
    /// Nothing was left that told of it.
    pub(super) no_trace: bool,
    /// The targets that the first sink has left.
    pub(super) left: [bool; TARGETS],
    pub(super) returned: bool,
    pub(super) needless_refusal: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct State {
    pub(super) produced: u8,
    pub(super) job: Job,
    /// The first sink's target, by the newest deployment.
    pub(super) target: u8,
    /// The data folder.
    pub(super) checkpoint: Option<Checkpoint>,
    pub(super) intent: Option<Intent>,
    pub(super) undeployed: bool,
    /// In memory: which sinks have acknowledged the batch under way.
    pub(super) delivered: [bool; 2],
    /// In memory: `latest` is still to be resolved.
    pub(super) is_unresolved: bool,
    pub(super) group: Option<u8>,
    pub(super) sinks: [Held; 2],
    /// The newest epoch that any host ever used.
    pub(super) epoch: u8,
    pub(super) kills: u8,
    pub(super) events: u8,
    pub(super) truth: Truth,
}

impl State {
    pub(super) fn new(config: &Begin) -> State {
        State {
            produced: config.produced,
            job: Job::Absent,
            target: 0,
            checkpoint: None,
            intent: None,
            undeployed: false,
            delivered: [false; 2],
            is_unresolved: false,
            group: None,
            sinks: Default::default(),
            epoch: 0,
            kills: config.kills,
            events: config.events,
            truth: Truth {
                answer_from: 0,
                owed_from: [0; 2],
                repeats_from: config.records,
                no_trace: false,
                left: [false; TARGETS],
                returned: false,
                needless_refusal: false,
            },
        }
    }

    /// The target of a sink: only the first one's may change.
    pub(super) fn target_of(&self, sink: usize) -> u8 {
        if sink == 0 { self.target } else { 0 }
    }

    /// The next record that no intent has.
    pub(super) fn next(&self) -> u8 {
        let committed = self
            .checkpoint
            .as_ref()
            .map_or(0, |checkpoint| checkpoint.committed);
        self.intent.as_ref().map_or(committed, |intent| intent.to)
    }
}
