//! What must never be.

use super::state::{Job, State};
use super::{RECORDS, Savepoint, Sink};

pub(super) const TWICE: &str = "an exactly-once sink holds a record twice";
pub(super) const LACKS: &str = "a sink lacks a record";
pub(super) const WRONG: &str = "the table shows another end result";
pub(super) const NEEDLESS: &str = "refused, though the savepoint stopped its job";
pub(super) const COUNTS: &str = "the state counts a record twice, or not at all";

impl Savepoint {
    pub(super) fn check(&self, state: &State, at_rest: bool) -> Option<String> {
        let is_twice = state.rows.iter().any(|&count| count > 1);
        if self.sink == Sink::Marked && is_twice {
            return Some(TWICE.to_owned());
        }
        let checkpoints = state
            .hosts
            .iter()
            .filter_map(|host| host.checkpoint.as_ref());
        if checkpoints.clone().any(|made| made.count != made.committed) {
            return Some(COUNTS.to_owned());
        }
        let refused = |host: usize| state.hosts[host].job == Job::Refused;
        if state.stopped && state.restored && (refused(0) || refused(1)) {
            return Some(NEEDLESS.to_owned());
        }
        // One that is refused, or paused, is for its user to look after.
        let is_over = state.hosts.iter().any(|host| {
            let made = host.checkpoint.as_ref();
            host.job == Job::Runs && made.is_some_and(|made| usize::from(made.committed) == RECORDS)
        });
        if !at_rest || !is_over {
            return None;
        }
        if self.sink == Sink::Idempotent && usize::from(state.cell.1) != RECORDS {
            return Some(WRONG.to_owned());
        }
        let lacks = state.rows.contains(&0);
        lacks.then(|| LACKS.to_owned())
    }
}
