//! What is safe. Pure.

use super::recovery_policy::{LeaveOut, beyond};
use super::{Ledger, Plan, Times, Totals};
use crate::state::Stages;
use crate::types::{BatchNumber, TopicOffsets};
use std::collections::BTreeMap;

/// How a chain of plans is broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokenChain {
    /// A plan of another life of the ledger.
    #[error("plan {batch} is of incarnation {found}, the ledger of {wanted}")]
    Incarnation {
        /// The plan.
        batch: BatchNumber,
        /// The plan's.
        found: u64,
        /// The ledger's.
        wanted: u64,
    },
    /// Plans do not follow each other.
    #[error("after batch {after} comes plan {found}")]
    Number {
        /// The batch before.
        after: BatchNumber,
        /// The plan that follows.
        found: BatchNumber,
    },
    /// A plan's time does not rise.
    #[error("plan {batch} is at {found} ms, not 2 ms or more after {before} ms")]
    Time {
        /// The plan.
        batch: BatchNumber,
        /// Its time.
        found: i64,
        /// The time before.
        before: i64,
    },
    /// A plan's deployment is older than the one before.
    #[error("plan {batch} is of deployment {found}, after {before}")]
    Deployment {
        /// The plan.
        batch: BatchNumber,
        /// Its deployment.
        found: u64,
        /// The deployment before.
        before: u64,
    },
    /// A plan's own time, or its watermark, falls.
    #[error("plan {batch} goes back in time: {found} ms after {before} ms")]
    Clock {
        /// The plan.
        batch: BatchNumber,
        /// Its time or watermark.
        found: i64,
        /// The one before.
        before: i64,
    },
    /// A plan does not begin where the one before ended: data would be lost or doubled.
    #[error("plan {batch} begins at offset {found} of `{topic}` partition {partition}, where {reached} was reached")]
    Span {
        /// The plan.
        batch: BatchNumber,
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// Where it begins.
        found: i64,
        /// Where the one before ended.
        reached: i64,
    },
}

impl Ledger {
    /// A ledger that begins anew.
    pub fn begin(incarnation: u64, deployment: u64, time_ms: i64, reached: TopicOffsets) -> Ledger {
        Ledger {
            incarnation,
            batch: 0,
            deployment,
            time_ms,
            reached,
            totals: Totals::default(),
            times: Times::default(),
            stages: Stages::new(),
            finished: false,
            topic_ids: BTreeMap::new(),
            leave_out: LeaveOut::new(),
        }
    }

    /// The next plan's HBase time: near the wall clock, so that column TTLs keep working, and always after the last.
    pub fn next_time_ms(&self, now_ms: i64) -> i64 {
        now_ms.max(self.time_ms + 2)
    }

    /// Whether `plan` is the next one. A partition that the ledger does not know may begin anywhere; one that the plan
    /// does not name is over for good.
    pub fn check_next(&self, plan: &Plan) -> Result<(), BrokenChain> {
        let batch = plan.batch;
        if plan.incarnation != self.incarnation {
            return Err(BrokenChain::Incarnation { batch, found: plan.incarnation, wanted: self.incarnation });
        }
        if batch != self.batch + 1 {
            return Err(BrokenChain::Number { after: self.batch, found: batch });
        }
        if plan.time_ms < self.time_ms + 2 {
            return Err(BrokenChain::Time { batch, found: plan.time_ms, before: self.time_ms });
        }
        if plan.deployment < self.deployment {
            return Err(BrokenChain::Deployment { batch, found: plan.deployment, before: self.deployment });
        }
        let (new, old) = (&plan.times, &self.times);
        for (found, before) in [(new.clock_ms, old.clock_ms), (new.watermark_ms, old.watermark_ms)] {
            if found < before {
                return Err(BrokenChain::Clock { batch, found, before });
            }
        }
        for (topic, partitions) in &plan.spans {
            for (&partition, span) in partitions {
                let known = self.reached.get(topic).and_then(|known| known.get(&partition));
                if let Some(&reached) = known
                    && (span.from != reached || span.to < span.from)
                {
                    return Err(BrokenChain::Span {
                        batch,
                        topic: topic.clone(),
                        partition,
                        found: span.from,
                        reached,
                    });
                }
            }
        }
        Ok(())
    }

    /// The ledger once `plan`'s outcome is durable.
    pub fn after(&self, plan: &Plan) -> Result<Ledger, BrokenChain> {
        self.check_next(plan)?;
        let mut reached = self.reached.clone();
        for (topic, partitions) in &plan.spans {
            // A plan names every partition of its topics but those that are over for good: they are forgotten.
            reached.insert(topic.clone(), partitions.iter().map(|(&partition, span)| (partition, span.to)).collect());
        }
        Ok(Ledger {
            leave_out: beyond(&self.leave_out, &reached),
            topic_ids: self.topic_ids.clone(),
            incarnation: self.incarnation,
            batch: plan.batch,
            deployment: plan.deployment,
            time_ms: plan.time_ms,
            reached,
            totals: self.totals.plus(&plan.counts),
            times: plan.times.clone(),
            stages: plan.stages.clone(),
            finished: plan.finished,
        })
    }
}

/// Whether the plans follow the ledger and each other.
pub fn check_chain(ledger: &Ledger, plans: &[Plan]) -> Result<(), BrokenChain> {
    plans.iter().try_fold(ledger.clone(), |ledger, plan| ledger.after(plan)).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ledger, plan};
    use crate::types::Span;

    #[test]
    fn a_chain_without_a_gap_is_whole() {
        assert_eq!(check_chain(&ledger(4), &[plan(5), plan(6)]), Ok(()));
        let after = ledger(4).after(&plan(5)).unwrap();
        assert_eq!((after.batch, after.reached["t"][&0], after.totals.records_in), (5, 50, 10));
    }

    #[test]
    fn every_break_is_named() {
        let broken = |change: fn(&mut Plan)| {
            let mut plan = plan(5);
            change(&mut plan);
            ledger(4).check_next(&plan).unwrap_err()
        };
        assert!(matches!(broken(|p| p.incarnation = 8), BrokenChain::Incarnation { found: 8, .. }));
        assert!(matches!(broken(|p| p.batch = 6), BrokenChain::Number { after: 4, found: 6 }));
        assert!(matches!(broken(|p| p.time_ms -= 1), BrokenChain::Time { .. }));
        assert!(matches!(broken(|p| p.deployment = 2), BrokenChain::Deployment { found: 2, before: 3, .. }));
        let shift = |p: &mut Plan| p.spans.get_mut("t").unwrap().get_mut(&0).unwrap().from += 1;
        assert!(matches!(broken(shift), BrokenChain::Span { found: 41, reached: 40, .. }));
        let back = |p: &mut Plan| p.spans.get_mut("t").unwrap().get_mut(&0).unwrap().to = 39;
        assert!(matches!(broken(back), BrokenChain::Span { found: 40, reached: 40, .. }));
        for back in [|t: &mut Times| t.clock_ms = 49, |t: &mut Times| t.watermark_ms = 39] {
            let mut before = ledger(4);
            (before.times.clock_ms, before.times.watermark_ms) = (50, 40);
            let mut plan = plan(5);
            plan.times = before.times.clone();
            assert_eq!(before.check_next(&plan), Ok(()));
            back(&mut plan.times);
            assert!(matches!(
                before.check_next(&plan),
                Err(BrokenChain::Clock { found: 49, before: 50, .. } | BrokenChain::Clock { found: 39, before: 40, .. })
            ));
        }
    }

    #[test]
    fn time_follows_the_clock_and_never_stands_still() {
        assert_eq!(ledger(4).next_time_ms(5000), 5000);
        assert_eq!(ledger(4).next_time_ms(3), 1010);
    }

    #[test]
    fn what_a_plan_does_not_name_of_its_topics_is_forgotten() {
        let mut before = ledger(4);
        before.reached.get_mut("t").unwrap().insert(1, 7);
        before.reached.insert("not read now".into(), [(0, 3)].into());
        let after = before.after(&plan(5)).unwrap();
        assert_eq!(after.reached, [("t".into(), [(0, 50)].into()), ("not read now".into(), [(0, 3)].into())].into());
    }

    #[test]
    fn a_new_partition_may_begin_anywhere() {
        let mut plan = plan(5);
        plan.spans.get_mut("t").unwrap().insert(1, Span { from: 77, to: 78, records: 1 });
        assert_eq!(ledger(4).after(&plan).unwrap().reached["t"][&1], 78);
    }
}
