//! What is safe. Pure.

use super::recovery_policy::{AlreadyWritten, beyond};
use super::{BatchIntent, Checkpoint, Counters, EventTimes};
use crate::state::Stages;
use crate::types::{BatchNumber, TopicMarks, TopicOffsets};
use std::collections::BTreeMap;

/// How a chain of intents is broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokenChain {
    /// An intent of another life of the checkpoint.
    #[error("plan {batch} is of incarnation {found}, the ledger of {wanted}")]
    Epoch {
        /// The intent.
        batch: BatchNumber,
        /// The intent's.
        found: u64,
        /// The checkpoint's.
        wanted: u64,
    },
    /// Plans do not follow each other.
    #[error("after batch {after} comes plan {found}")]
    Number {
        /// The batch before.
        after: BatchNumber,
        /// The intent that follows.
        found: BatchNumber,
    },
    /// An intent's time does not rise.
    #[error("plan {batch} is at {found} ms, not 2 ms or more after {before} ms")]
    Time {
        /// The intent.
        batch: BatchNumber,
        /// Its time.
        found: i64,
        /// The time before.
        before: i64,
    },
    /// An intent's deployment is older than the one before.
    #[error("plan {batch} is of deployment {found}, after {before}")]
    Deployment {
        /// The intent.
        batch: BatchNumber,
        /// Its deployment.
        found: u64,
        /// The deployment before.
        before: u64,
    },
    /// An intent's own time, or its watermark, falls.
    #[error("plan {batch} goes back in time: {found} ms after {before} ms")]
    Clock {
        /// The intent.
        batch: BatchNumber,
        /// Its time or watermark.
        found: i64,
        /// The one before.
        before: i64,
    },
    /// An intent does not begin where the one before ended: data would be lost or doubled.
    #[error(
        "plan {batch} begins at offset {found} of `{topic}` partition {partition}, where {committed} was reached"
    )]
    Span {
        /// The intent.
        batch: BatchNumber,
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// Where it begins.
        found: i64,
        /// Where the one before ended.
        committed: i64,
    },
}

impl Checkpoint {
    /// A checkpoint that begins anew.
    pub fn begin(epoch: u64, deployment: u64, time_ms: i64, reached: TopicOffsets) -> Checkpoint {
        Checkpoint {
            epoch,
            batch: 0,
            deployment,
            time_ms,
            committed: reached,
            counters: Counters::default(),
            times: EventTimes::default(),
            stages: Stages::new(),
            finished: false,
            topic_ids: BTreeMap::new(),
            marks: BTreeMap::new(),
            already_written: AlreadyWritten::new(),
            retried: None,
            restored: None,
        }
    }

    /// The next intent's HBase time: near the wall clock, so that column TTLs keep working, and
    /// always after the last.
    pub fn next_time_ms(&self, now_ms: i64) -> i64 {
        now_ms.max(self.time_ms + 2)
    }

    /// Whether `intent` is the next one. A partition that the checkpoint does not know may begin
    /// anywhere; one that the intent does not name is over for good.
    pub fn check_next(&self, intent: &BatchIntent) -> Result<(), BrokenChain> {
        let batch = intent.batch;
        if intent.epoch != self.epoch {
            return Err(BrokenChain::Epoch {
                batch,
                found: intent.epoch,
                wanted: self.epoch,
            });
        }
        if batch != self.batch + 1 {
            return Err(BrokenChain::Number {
                after: self.batch,
                found: batch,
            });
        }
        if intent.time_ms < self.time_ms + 2 {
            return Err(BrokenChain::Time {
                batch,
                found: intent.time_ms,
                before: self.time_ms,
            });
        }
        if intent.deployment < self.deployment {
            return Err(BrokenChain::Deployment {
                batch,
                found: intent.deployment,
                before: self.deployment,
            });
        }
        let (new, old) = (&intent.times, &self.times);
        for (found, before) in [
            (new.clock_ms, old.clock_ms),
            (new.watermark_ms, old.watermark_ms),
        ] {
            if found < before {
                return Err(BrokenChain::Clock {
                    batch,
                    found,
                    before,
                });
            }
        }
        for (topic, partitions) in &intent.spans {
            for (&partition, span) in partitions {
                let known = self
                    .committed
                    .get(topic)
                    .and_then(|known| known.get(&partition));
                if let Some(&reached) = known
                    && (span.from != reached || span.to < span.from)
                {
                    return Err(BrokenChain::Span {
                        batch,
                        topic: topic.clone(),
                        partition,
                        found: span.from,
                        committed: reached,
                    });
                }
            }
        }
        Ok(())
    }

    /// The checkpoint once `intent`'s outcome is durable.
    pub fn after(&self, intent: &BatchIntent) -> Result<Checkpoint, BrokenChain> {
        self.check_next(intent)?;
        let mut reached = self.committed.clone();
        // An intent names every partition of its topics but those that are over for good: they are
        // forgotten.
        reached.extend(intent.ends());
        Ok(Checkpoint {
            already_written: beyond(&self.already_written, &reached),
            topic_ids: self.topic_ids.clone(),
            marks: self.marks_after(intent, &reached),
            epoch: self.epoch,
            batch: intent.batch,
            deployment: intent.deployment,
            time_ms: intent.time_ms,
            committed: reached,
            counters: self.counters.plus(&intent.counts),
            times: intent.times.clone(),
            stages: intent.stages.clone(),
            finished: intent.finished,
            retried: intent.retried.clone(),
            restored: None,
        })
    }
}

impl Checkpoint {
    /// The marks of the partitions that have a position: the intent's, and where it read nothing,
    /// those of before.
    fn marks_after(&self, intent: &BatchIntent, reached: &TopicOffsets) -> TopicMarks {
        let mut marks = self.marks.clone();
        for (topic, of) in &intent.marks {
            let known = marks.entry(topic.clone()).or_default();
            known.extend(of.iter().map(|(&id, mark)| (id, mark.clone())));
        }
        for (topic, known) in &mut marks {
            let there = reached.get(topic);
            known.retain(|id, _| there.is_some_and(|there| there.contains_key(id)));
        }
        marks.retain(|_, known| !known.is_empty());
        marks
    }
}

/// Whether the intents follow the checkpoint and each other.
pub fn check_chain(checkpoint: &Checkpoint, intents: &[BatchIntent]) -> Result<(), BrokenChain> {
    intents
        .iter()
        .try_fold(checkpoint.clone(), |checkpoint, intent| {
            checkpoint.after(intent)
        })
        .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{checkpoint, intent};
    use crate::types::Span;

    #[test]
    fn a_partition_keeps_its_mark_until_it_has_another_or_is_over() {
        let marks = |all: &[(i32, &str)]| -> TopicMarks {
            let of = all.iter().map(|(id, mark)| (*id, mark.to_string()));
            [("t".to_owned(), of.collect())].into()
        };
        let mut before = checkpoint(4);
        before.marks = marks(&[(0, "a"), (9, "over")]);
        let after = before.after(&intent(5)).unwrap();
        assert_eq!(after.marks, marks(&[(0, "a")]), "9 has no position");
        let mut read = intent(6);
        read.marks = marks(&[(0, "b")]);
        assert_eq!(after.after(&read).unwrap().marks, marks(&[(0, "b")]));
    }

    #[test]
    fn a_chain_without_a_gap_is_whole() {
        assert_eq!(check_chain(&checkpoint(4), &[intent(5), intent(6)]), Ok(()));
        let after = checkpoint(4).after(&intent(5)).unwrap();
        assert_eq!(
            (
                after.batch,
                after.committed["t"][&0],
                after.counters.records_in
            ),
            (5, 50, 10)
        );
    }

    #[test]
    fn every_break_is_named() {
        let broken = |change: fn(&mut BatchIntent)| {
            let mut intent = intent(5);
            change(&mut intent);
            checkpoint(4).check_next(&intent).unwrap_err()
        };
        assert!(matches!(
            broken(|p| p.epoch = 8),
            BrokenChain::Epoch { found: 8, .. }
        ));
        assert!(matches!(
            broken(|p| p.batch = 6),
            BrokenChain::Number { after: 4, found: 6 }
        ));
        assert!(matches!(
            broken(|p| p.time_ms -= 1),
            BrokenChain::Time { .. }
        ));
        assert!(matches!(
            broken(|p| p.deployment = 2),
            BrokenChain::Deployment {
                found: 2,
                before: 3,
                ..
            }
        ));
        let shift =
            |p: &mut BatchIntent| p.spans.get_mut("t").unwrap().get_mut(&0).unwrap().from += 1;
        assert!(matches!(
            broken(shift),
            BrokenChain::Span {
                found: 41,
                committed: 40,
                ..
            }
        ));
        let back = |p: &mut BatchIntent| p.spans.get_mut("t").unwrap().get_mut(&0).unwrap().to = 39;
        assert!(matches!(
            broken(back),
            BrokenChain::Span {
                found: 40,
                committed: 40,
                ..
            }
        ));
        for back in [
            |t: &mut EventTimes| t.clock_ms = 49,
            |t: &mut EventTimes| t.watermark_ms = 39,
        ] {
            let mut before = checkpoint(4);
            (before.times.clock_ms, before.times.watermark_ms) = (50, 40);
            let mut intent = intent(5);
            intent.times = before.times.clone();
            assert_eq!(before.check_next(&intent), Ok(()));
            back(&mut intent.times);
            assert!(matches!(
                before.check_next(&intent),
                Err(BrokenChain::Clock {
                    found: 49,
                    before: 50,
                    ..
                } | BrokenChain::Clock {
                    found: 39,
                    before: 40,
                    ..
                })
            ));
        }
    }

    #[test]
    fn time_follows_the_clock_and_never_stands_still() {
        assert_eq!(checkpoint(4).next_time_ms(5000), 5000);
        assert_eq!(checkpoint(4).next_time_ms(3), 1010);
    }

    #[test]
    fn what_a_plan_does_not_name_of_its_topics_is_forgotten() {
        let mut before = checkpoint(4);
        before.committed.get_mut("t").unwrap().insert(1, 7);
        before
            .committed
            .insert("not read now".into(), [(0, 3)].into());
        let after = before.after(&intent(5)).unwrap();
        assert_eq!(
            after.committed,
            [
                ("t".into(), [(0, 50)].into()),
                ("not read now".into(), [(0, 3)].into())
            ]
            .into()
        );
    }

    #[test]
    fn a_new_partition_may_begin_anywhere() {
        let mut intent = intent(5);
        intent.spans.get_mut("t").unwrap().insert(
            1,
            Span {
                from: 77,
                to: 78,
                records: 1,
            },
        );
        assert_eq!(checkpoint(4).after(&intent).unwrap().committed["t"][&1], 78);
    }
}
