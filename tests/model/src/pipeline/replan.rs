//! Planned batches that are given up: a deployment has their records planned anew.

use super::config::Config;
use super::state::State;

impl Config {
    /// Batches are planned that the newest deployment gives up.
    pub(super) fn is_to_give_up(&self, state: &State) -> bool {
        let log = state.log();
        let active = usize::from(log.active);
        let replans = |at: &usize| self.deployments[*at].replans;
        (0..=active).rev().find(replans).is_some_and(|at| {
            let is_older = |intent: &super::state::BatchIntent| usize::from(intent.deployment) < at;
            log.intents.iter().any(is_older)
        })
    }

    /// All that the decision rests on is known: what the exactly-once sinks hold, read after they
    /// were fenced.
    pub(super) fn may_give_up(&self, state: &State) -> bool {
        let sinks = &state.producers[..self.sinks.transactional];
        self.is_to_give_up(state)
            && sinks
                .iter()
                .all(|producer| producer.fence > 0 && producer.marker.is_some())
    }

    /// One write: nothing is planned, and batches go on after the number and time of the last one.
    pub(super) fn give_up(&self, state: &mut State) {
        let (rules, producers) = (self.rules.replan, state.producers);
        state.write(self, true, |log| {
            let Some(last) = log.intents.last().cloned() else {
                return;
            };
            for (sink, producer) in producers.iter().enumerate() {
                let Some(marker) = producer.marker.filter(|marker| marker.batch > log.batch) else {
                    continue;
                };
                let held = &mut log.left_out[sink];
                if rules.leaves_out {
                    *held = [held[0].max(marker.to[0]), held[1].max(marker.to[1])];
                }
            }
            if rules.passes_numbers {
                log.batch = last.batch;
            }
            if rules.passes_times {
                log.time = last.time;
            }
            log.intents.clear();
        });
    }
}
