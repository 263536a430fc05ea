//! What is lost, and going on without it, as the user asked with `--skip-lost`. All of it is
//! decided before the first batch and durable then, so that no batch's span has a gap: an intent
//! whose records are partly gone could not be run again.

use super::committer::{Committer, failed};
use super::execute::LaneExecutor;
use super::recovery::{Recovery, asked};
use super::refused::Refused;
use super::{PipelineExit, PipelineStatus};
use std::collections::BTreeMap;
use std::sync::Arc;
use streamhost_core::job::settings::StartPosition;
use streamhost_core::protocol::recovery_policy::AlreadyWritten;
use streamhost_core::protocol::{BatchIntent, Checkpoint, Counters};
use streamhost_core::state::Delta;
use streamhost_core::types::{Offset, Positions, by_partition, by_topic};
use tracing::Level;

impl Recovery<'_> {
    /// Has the checkpoint stand where the sources can be read on. `anew`: topics that were made
    /// anew; `ids`: all that are known now.
    pub(super) fn pass_over(
        &mut self,
        checkpoint: &mut Checkpoint,
        anew: &[String],
        ids: BTreeMap<String, String>,
    ) -> Result<(), PipelineExit> {
        let before = checkpoint.clone();
        self.begin_topics(checkpoint, anew)?;
        // Of topics that are not read now they stay: they may be read again.
        checkpoint.topic_ids.extend(ids);
        if self.skip_lost {
            self.pass_over_gaps(checkpoint)?;
        }
        if *checkpoint != before {
            checkpoint.retried = None; // it is remembered already
            self.store
                .write(Some((&*checkpoint, &Delta::default())), None)
                .map_err(|error| failed(&error))?;
        }
        Ok(())
    }

    /// A topic that was made anew is another one: offsets and times of the old one say nothing of
    /// it. It is read from its first record, if the user asked to go on without what is lost.
    fn begin_topics(
        &mut self,
        checkpoint: &mut Checkpoint,
        anew: &[String],
    ) -> Result<(), PipelineExit> {
        let Some(first) = anew.first() else {
            return Ok(());
        };
        self.may_skip(&is_anew(first))?;
        let starts = asked(self.status, || self.source.start(StartPosition::Earliest))?;
        let mut starts = by_topic(&self.active.topics(), &starts);
        for topic in anew {
            skipped(
                self.status,
                &format!("{}; it is read from its first record", is_anew(topic)),
            );
            checkpoint.times.event_ms.remove(topic);
            checkpoint
                .already_written
                .values_mut()
                .for_each(|held| drop(held.remove(topic)));
            checkpoint
                .committed
                .insert(topic.clone(), starts.remove(topic).unwrap_or_default());
        }
        Ok(())
    }

    /// Partitions that cannot be read on go on where they can.
    fn pass_over_gaps(&mut self, checkpoint: &mut Checkpoint) -> Result<(), PipelineExit> {
        let topics = self.active.topics();
        let at: Positions = by_partition(&topics, &checkpoint.committed);
        let lost = asked(self.status, || self.source.lost(&at))?;
        for (partition, goes_on) in lost {
            let (topic, id) = (&topics[usize::from(partition.source)], partition.id);
            let Some(at) = checkpoint
                .committed
                .get_mut(topic)
                .and_then(|known| known.get_mut(&id))
            else {
                continue;
            };
            skipped(self.status, &gap(topic, id, *at, goes_on));
            if goes_on < *at {
                // Below there are other records now.
                forget(&mut checkpoint.already_written, topic, id);
            }
            *at = goes_on;
        }
        Ok(())
    }

    /// Whether the user asked to go on without what is lost.
    fn may_skip(&self, reason: &str) -> Result<(), PipelineExit> {
        if self.skip_lost {
            Ok(())
        } else {
            Err(PipelineExit::Failed(how_to_skip(self.job, reason)))
        }
    }

    /// The records of a planned batch are gone.
    pub(super) fn lost(
        &mut self,
        committer: &mut Committer<'_>,
        runs: &mut LaneExecutor,
        intent: &BatchIntent,
        reason: &str,
    ) -> Result<(), PipelineExit> {
        self.may_skip(&format!("{reason}; batch {} needs them", intent.batch))?;
        skipped(
            self.status,
            &format!("batch {} is left out: {reason}", intent.batch),
        );
        let (times, stages) = (
            committer.checkpoint.times.clone(),
            committer.checkpoint.stages.clone(),
        );
        let empty = BatchIntent {
            counts: Counters::default(),
            times,
            stages,
            finished: false,
            retried: None,
            refused: BTreeMap::new(),
            ..intent.clone()
        };
        committer.acknowledged(&empty, Arc::new(Delta::default()), &Refused::default());
        committer.settle()?;
        runs.executor.next = intent.batch + 1;
        Ok(())
    }
}

/// The topics that have another id than before.
pub(super) fn made_anew(
    before: &BTreeMap<String, String>,
    now: &BTreeMap<String, String>,
) -> Vec<String> {
    let is_new =
        |(topic, id): &(&String, &String)| before.get(*topic).is_some_and(|before| before != *id);
    now.iter()
        .filter(is_new)
        .map(|(topic, _)| topic.clone())
        .collect()
}

/// The first of these topics that the intent has records of.
pub(super) fn moved<'a>(intent: &BatchIntent, topics: &'a [String]) -> Option<&'a String> {
    let moves = |topic: &&String| {
        intent
            .spans
            .get(*topic)
            .is_some_and(|all| all.values().any(|span| span.to > span.from))
    };
    topics.iter().find(moves)
}

/// In words, what befell a topic that was made anew.
pub(super) fn is_anew(topic: &str) -> String {
    format!("topic `{topic}` was deleted and made anew since it was read last")
}

/// In words, what befell records, and what the user can do.
pub(super) fn how_to_skip(job: &str, reason: &str) -> String {
    format!(
        "{reason}: go on without what is lost by `streamhost resume {job} --skip-lost`, or deploy with --reset-state to begin anew at `start`"
    )
}

fn gap(target: &str, id: i32, at: Offset, goes_on: Offset) -> String {
    match goes_on > at {
        true => {
            format!("offsets {at} to {goes_on} of `{target}` partition {id} are gone and skipped")
        }
        false => {
            format!(
                "`{target}` partition {id} was read to offset {at} and is shorter now, or another: it is read from {goes_on}"
            )
        }
    }
}

fn forget(already_written: &mut AlreadyWritten, topic: &str, id: i32) {
    for held in already_written
        .values_mut()
        .filter_map(|held| held.get_mut(topic))
    {
        held.remove(&id);
    }
}

/// Tells what is left out, as the user asked.
fn skipped(status: &PipelineStatus, what: &str) {
    let told = format!("--skip-lost: {what}");
    status.say(Level::ERROR, &told);
    status.error(&told);
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamhost_core::protocol::EventTimes;
    use streamhost_core::state::Stages;
    use streamhost_core::types::{Span, TopicSpans};

    fn ids(all: &[(&str, &str)]) -> BTreeMap<String, String> {
        all.iter()
            .map(|(topic, id)| (topic.to_string(), id.to_string()))
            .collect()
    }

    #[test]
    fn a_topic_with_another_id_was_made_anew() {
        let before = ids(&[("a", "1"), ("b", "2"), ("not read now", "3")]);
        assert_eq!(
            made_anew(&before, &ids(&[("a", "1"), ("b", "2"), ("new", "4")])),
            Vec::<String>::new()
        );
        assert_eq!(made_anew(&before, &ids(&[("a", "1"), ("b", "9")])), ["b"]);
        assert_eq!(
            made_anew(&ids(&[]), &ids(&[("a", "1")])),
            Vec::<String>::new(),
            "of a host that knew no ids"
        );
    }

    #[test]
    fn a_plan_is_lost_only_with_a_topic_that_it_has_records_of() {
        let span = |from, to| Span {
            from,
            to,
            records: 0,
        };
        let spans: TopicSpans = [
            ("a".to_string(), [(0, span(5, 5)), (1, span(5, 7))].into()),
            ("still".to_string(), [(0, span(5, 5))].into()),
            ("empty".to_string(), BTreeMap::new()),
        ]
        .into();
        let intent = BatchIntent {
            epoch: 1,
            batch: 1,
            deployment: 1,
            time_ms: 1,
            spans,
            quarantined: Vec::new(),
            digests: BTreeMap::new(),
            counts: Counters::default(),
            quarantined_groups: Vec::new(),
            times: EventTimes::default(),
            stages: Stages::new(),
            finished: false,
            retried: None,
            time_rules: None,
            refused: BTreeMap::new(),
            marks: BTreeMap::new(),
            retained_records: Vec::new(),
        };
        let names = |all: &[&str]| all.iter().map(|name| name.to_string()).collect::<Vec<_>>();
        assert_eq!(moved(&intent, &names(&["still", "empty", "other"])), None);
        assert_eq!(
            moved(&intent, &names(&["still", "a"])).map(String::as_str),
            Some("a")
        );
        assert_eq!(moved(&intent, &[]), None);
    }
}
