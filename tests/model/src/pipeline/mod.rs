//! One host runs one job: source, up to three batches under way, an HBase table, two transactional
//! Kafka sinks, a plain one, dead letters, the checkpoint log and the consumer group.
//!
//! Everything interleaves: steps of the host, requests that servers apply late or never, time-outs,
//! `kill -9`, power loss, a lost checkpoint log, deployments and major compactions.

mod config;
mod batch;
mod state;
mod table;
mod actions;
mod steps;
mod replan;
mod requests;
mod checks;
mod words;
mod scenarios;

use crate::checker::Model;
use actions::Action;
use config::Config;
use state::State;

pub(crate) use scenarios::scenarios;

impl Model for Config {
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
        use Action::{CommitGroup, Compact, Deploy, Kill, LoseCheckpoint, LosePower, TimeOut};
        let faults = matches!(
            action,
            Kill | LosePower(_) | LoseCheckpoint | Compact | TimeOut(_)
        );
        // Nothing waits for the group: it is for monitors.
        !faults && !matches!(action, Deploy | CommitGroup)
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
