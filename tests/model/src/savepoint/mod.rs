//! A checkpoint written out whole, and a job that begins from it: after the job that it was taken of
//! went on, died, was undeployed, or still runs, on the same data folder or on another one.

mod checks;
mod scenarios;
mod state;
mod steps;
mod words;

use crate::checker::Model;
use state::State;
use steps::Action;

pub(crate) use scenarios::scenarios;

/// Records of the source.
const RECORDS: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Sink {
    /// A cell with a time: the latest one counts. Requests may be late.
    Idempotent,
    /// Rows and marker in one transaction.
    Marked,
    /// May repeat what was read again.
    Plain,
}

/// What is written out.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Written {
    /// The newest durable checkpoint with its state.
    Checkpoint,
    /// The positions of the checkpoint, with the state as it is in memory.
    StateAhead,
    /// The batch under way as if it were done.
    Planned,
}

#[derive(Clone, Copy, Debug)]
struct Rules {
    written: Written,
    /// Times of the job that begins are above the clock, not above the savepoint's alone.
    by_clock: bool,
    /// The job that begins has an epoch of its own.
    epoch_is_new: bool,
    /// A keyed job does not begin where a marked sink is ahead of the savepoint; one without state is
    /// not given again what the sink holds.
    minds_markers: bool,
    /// The markers are read once the job has fenced everybody else.
    after_fence: bool,
    /// A savepoint that stops its job is of one that has nothing planned.
    stops_whole: bool,
    /// The job that it was taken of has ended before another one begins.
    old_has_ended: bool,
}

#[derive(Clone, Debug)]
struct Savepoint {
    sink: Sink,
    keyed: bool,
    kills: u8,
    rules: Rules,
}

impl Model for Savepoint {
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
        use Action::{Checkpoint, Deliver, Intend, Land, Open, Restore};
        matches!(
            action,
            Checkpoint(_) | Deliver(_) | Intend(..) | Land | Open(_) | Restore(_)
        )
    }

    fn violation(&self, state: &State, at_rest: bool) -> Option<String> {
        self.check(state, at_rest)
    }

    fn describe(&self, state: &State, action: Action) -> String {
        self.words(state, action)
    }
}
