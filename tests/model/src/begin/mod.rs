//! Where a job begins to read, when its checkpoint is there, lost or deleted, its exactly-once sinks
//! have markers of this target, of another one or none, and the user says this or that.
//!
//! Servers answer at once here: what late requests do is shown by the room `pipeline`.

mod policy;
mod state;
mod steps;
mod deploy;
mod checks;
mod words;
mod scenarios;

use crate::checker::Model;
use policy::Decision;
use state::State;
use steps::Action;

pub(crate) use scenarios::scenarios;

/// Most records of the source, and most targets of a sink.
const RECORDS: usize = 3;
const TARGETS: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Sink {
    /// Exactly once: rows and marker in one transaction.
    Marked,
    /// May repeat the batch under way.
    Plain,
}

/// What may be done to the job, and what the user may say.
#[derive(Clone, Copy, Debug)]
struct Events {
    lose_folder: bool,
    undeploy: bool,
    delete_group: bool,
    expire_marker: bool,
    /// The first sink gets another target.
    retarget: bool,
    reset: bool,
    /// The user may say `start` when the job is deployed.
    say_start: bool,
}

#[derive(Clone, Copy, Debug)]
struct Rules {
    /// A row of the policy by this name decides otherwise.
    otherwise: Option<(&'static str, Decision)>,
    /// A marker names its target, and one of another target is not this sink's.
    marker_names_target: bool,
    /// What a sink holds already is said of a target too: a new one is given all.
    already_written_names_target: bool,
    /// A marker is compared with the target of the intent, not of the newest deployment.
    target_of_intent: bool,
    /// A new epoch was never used before.
    epoch_is_new: bool,
    /// `latest` is resolved and written before the deploy is acknowledged.
    latest_is_fixed: bool,
    /// Before a deploy that begins an epoch is acknowledged, the group and a marker of batch 0 say
    /// where it begins.
    announces: bool,
    /// No marker takes back what an older one says that the sink holds: not that of batch 0, and not
    /// that of a batch which left something out.
    announces_held: bool,
    marker_keeps_held: bool,
}

#[derive(Clone, Debug)]
struct Begin {
    sinks: Vec<Sink>,
    keyed: bool,
    rereads: bool,
    records: u8,
    /// Records that are there before the job is deployed.
    produced: u8,
    kills: u8,
    /// How many of the events happen at most.
    events: u8,
    allowed: Events,
    /// Rows may be doubled where nothing is left that could tell: no checkpoint, group or marker.
    excuses_no_trace: bool,
    /// Rows may be doubled in a target that a sink left and came back to.
    excuses_return: bool,
    rules: Rules,
}

impl Model for Begin {
    type State = State;
    type Action = Action;

    fn initial(&self) -> State {
        State::new(self)
    }

    fn actions(&self, state: &State, into: &mut Vec<Action>) {
        self.possible(state, into);
    }

    fn apply(&self, state: &mut State, action: Action) {
        self.take(state, action);
    }

    fn is_progress(&self, action: Action) -> bool {
        use Action::{Checkpoint, Deliver, Intend, Produce, Resolve};
        matches!(
            action,
            Checkpoint | Deliver(_) | Intend(_) | Produce | Resolve
        )
    }

    fn violation(&self, state: &State, at_rest: bool) -> Option<String> {
        self.check_always(state).or_else(|| {
            if at_rest {
                self.check_at_rest(state)
            } else {
                None
            }
        })
    }

    fn describe(&self, state: &State, action: Action) -> String {
        self.words(state, action)
    }
}
