//! Planned batches that are given up, so that a new version runs their records: what a user asks for
//! with `--replan`, where no version can finish what was planned.
//!
//! The numbers and times of what is given up are passed over. So a request that is still on its way
//! is older than all that comes, and a marker of a batch that was given up says that its sink holds
//! it, and never speaks for another one.

use super::recovery_policy::{RecoveryError, SinkFacts, beyond, check_sinks_not_ahead};
use super::{BatchIntent, Checkpoint, Marker};
use crate::types::{Guarantee, TopicOffsets};

/// What comes of giving up planned batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replan {
    /// The checkpoint that batches go on from. Nothing is planned after it.
    pub checkpoint: Checkpoint,
    /// Exactly-once sinks that hold some of it and are given the rows of its records again, as the
    /// job's keyed stages made them of more than these records.
    pub repeated: Vec<String>,
}

/// Gives up what is planned after `checkpoint`. `Err`: another host runs the job, so it is not this
/// one's to give up.
pub fn replan(
    checkpoint: &Checkpoint,
    intents: &[BatchIntent],
    sinks: &[SinkFacts],
    keyed: bool,
) -> Result<Replan, RecoveryError> {
    let mut given = checkpoint.clone();
    let mut repeated = Vec::new();
    let Some(last) = intents.last() else {
        return Ok(Replan {
            checkpoint: given,
            repeated,
        });
    };
    check_sinks_not_ahead(sinks, (checkpoint.epoch, last.batch))?;
    given.batch = last.batch;
    given.time_ms = given.time_ms.max(last.time_ms);
    let marked = |sink: &&SinkFacts| sink.guarantee == Guarantee::Marked;
    for sink in sinks.iter().filter(marked) {
        let own = sink.marker.as_ref();
        let held = own.filter(|marker| marker.epoch == checkpoint.epoch);
        // One of a batch before says nothing of those that are given up.
        let of = |marker: &Marker| intents.iter().find(|intent| intent.batch == marker.batch);
        let Some(to) = held.and_then(of).map(BatchIntent::ends) else {
            continue;
        };
        if keyed {
            repeated.push(sink.name.clone());
            continue;
        }
        let offsets = given.already_written.entry(sink.name.clone()).or_default();
        raise(offsets, to);
    }
    given.already_written = beyond(&given.already_written, &given.committed);
    Ok(Replan {
        checkpoint: given,
        repeated,
    })
}

pub(super) fn raise(offsets: &mut TopicOffsets, to: TopicOffsets) {
    for (topic, partitions) in to {
        let known = offsets.entry(topic).or_default();
        for (partition, to) in partitions {
            let at = known.entry(partition).or_insert(to);
            *at = to.max(*at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{checkpoint, intent};

    fn sink(guarantee: Guarantee, marker: Option<(u64, u64)>) -> SinkFacts {
        let marker = marker.map(|(epoch, batch)| Marker {
            epoch,
            batch,
            digest: String::new(),
        });
        SinkFacts {
            marker_expires: true,
            name: "s".to_owned(),
            guarantee,
            marker,
            elsewhere: None,
            committed: TopicOffsets::new(),
        }
    }

    #[test]
    fn what_was_planned_is_passed_over() {
        use Guarantee::{AtLeastOnce, Idempotent, Marked};
        let before = checkpoint(4);
        let intents = [intent(5), intent(6)];
        let at = |batch: u64| intents[batch as usize - 5].spans["t"][&0].to;
        let epoch = before.epoch;
        // guarantee, marker, keyed: the offset below which the sink is given nothing; named as repeated
        let cases = [
            (Idempotent, None, false, None, false),
            (AtLeastOnce, None, false, None, false),
            (Marked, None, false, None, false),
            (Marked, Some((epoch, 4)), false, None, false),
            (Marked, Some((epoch - 1, 6)), false, None, false),
            (Marked, Some((epoch, 5)), false, Some(at(5)), false),
            (Marked, Some((epoch, 6)), false, Some(at(6)), false),
            (Marked, Some((epoch, 5)), true, None, true),
            (Marked, Some((epoch, 4)), true, None, false),
        ];
        for (guarantee, marker, keyed, held, repeated) in cases {
            let case = format!("{guarantee:?} {marker:?} keyed={keyed}");
            let given = replan(&before, &intents, &[sink(guarantee, marker)], keyed);
            let Replan {
                checkpoint: given,
                repeated: named,
            } = given.expect("it is this host's");
            assert_eq!(
                (given.batch, given.time_ms),
                (6, intents[1].time_ms),
                "{case}"
            );
            assert_eq!(given.committed, before.committed, "{case}");
            let of = given.already_written.get("s");
            assert_eq!(of.map(|offsets| offsets["t"][&0]), held, "{case}");
            assert_eq!(named == ["s"], repeated, "{case}: {named:?}");
        }
    }

    #[test]
    fn what_another_host_planned_is_not_given_up() {
        let before = checkpoint(4);
        let ahead = sink(Guarantee::Marked, Some((before.epoch, 7)));
        let refused = replan(&before, &[intent(5)], &[ahead], false);
        assert!(
            matches!(refused, Err(RecoveryError::MarkerAhead { .. })),
            "{refused:?}"
        );
    }

    #[test]
    fn what_a_sink_held_before_counts_on() {
        let mut before = checkpoint(4);
        let far = TopicOffsets::from([("t".to_owned(), [(0, 1_000), (9, 3)].into())]);
        before.already_written.insert("s".to_owned(), far.clone());
        let sinks = [sink(Guarantee::Marked, Some((before.epoch, 5)))];
        let given = replan(&before, &[intent(5)], &sinks, false).expect("it is this host's");
        assert_eq!(given.checkpoint.already_written["s"], far);
    }
}
