//! What a runner tells of itself while it reads: how far the topics' ends are, its group's offsets,
//! what its threads use.

use super::Runner;
use crate::cpu::ThreadCpu;
use crate::pipeline::LoadedDeployment;
use std::time::{Duration, Instant};
use streamhost_core::job::settings::StartPosition;
use streamhost_core::types::{Positions, by_topic, positions};
use streamhost_core::{clock, limits};

/// What was last told, and when.
pub(in crate::pipeline) struct Told {
    batches: u64,
    lag_due: Instant,
    /// The ends of all partitions that are read were told.
    ends: bool,
    /// Ends that were asked for, as the source did not know all of them by itself yet.
    asked_ends: Option<Positions>,
    pub(in crate::pipeline) partitions_due: Instant,
    cpu: ThreadCpu,
    /// That of the other lanes.
    others_cpu: Duration,
}

impl Default for Told {
    fn default() -> Self {
        let now = clock::monotonic();
        Told {
            batches: 0,
            lag_due: now,
            ends: false,
            asked_ends: None,
            partitions_due: now,
            cpu: ThreadCpu::default(),
            others_cpu: Duration::ZERO,
        }
    }
}

impl Told {
    /// The source does not know all ends by itself, and was not asked for them yet.
    pub(super) fn lacks_ends(&self) -> bool {
        !self.ends && self.asked_ends.is_none()
    }
}

impl Runner<'_> {
    /// Tells the group and the board what is new.
    pub(super) fn tell(&mut self) {
        let now = clock::monotonic();
        if now < self.told.lag_due {
            return;
        }
        self.told.lag_due = now + limits::LAG_TIME;
        self.tell_now();
    }

    /// Asks where the topics end, where the source does not know it by itself yet, and tells it. An
    /// error is of no matter: who reads next meets it again.
    pub(super) fn ask_ends(&mut self, active: &LoadedDeployment) {
        let ends = self.source.ends();
        if self
            .at
            .keys()
            .any(|partition| !ends.contains_key(partition))
        {
            let asked = self.source.start(StartPosition::Latest);
            let mut asked = asked.unwrap_or_default();
            // A table begins at its oldest record whatever is asked, and others may have no end.
            asked.retain(|partition, _| {
                let source = active.spec.sources.get(usize::from(partition.source));
                source.is_some_and(|s| !s.table) && self.source.knows_ends(partition.source)
            });
            self.told.asked_ends = Some(asked);
        }
        self.tell_now();
    }

    fn tell_now(&mut self) {
        let meter = &self.status.meter;
        let others = self.runs.others_cpu();
        let more = others.saturating_sub(std::mem::replace(&mut self.told.others_cpu, others));
        meter.used(self.told.cpu.more() + more);
        let facts = self.status.snapshot();
        let mut ends = self.source.ends();
        for (partition, end) in self.told.asked_ends.iter().flatten() {
            if self.at.contains_key(partition) {
                ends.entry(*partition).or_insert(*end);
            }
        }
        self.told.ends = self.at.keys().all(|partition| ends.contains_key(partition));
        let durable = positions(self.topics, &facts.committed);
        ends.extend(
            durable
                .into_iter()
                .filter(|(partition, _)| !self.at.contains_key(partition)),
        ); // over for good
        let mut ends = by_topic(self.topics, &ends);
        for topic in self.topics {
            // A topic without a known end makes the lag unknown.
            ends.entry(topic.clone()).or_default();
        }
        self.status.ends(ends);
        if facts.batches != self.told.batches {
            self.told.batches = facts.batches;
            self.source
                .commit_progress(&positions(self.topics, &facts.committed));
        }
    }
}
