//! What comes next after a start: a pure function of checkpoint, intents, markers and the consumer
//! group.

use super::beginning::{Beginning, BeginningFacts, beginning};
use super::{BatchIntent, BrokenChain, Checkpoint, check_chain};
use crate::limits;
use crate::protocol::Marker;
use crate::types::{BatchNumber, Guarantee, TopicOffsets};
use std::collections::{BTreeMap, BTreeSet};

/// What one sink says of itself after it was opened, which fences older producers first.
#[derive(Clone, Debug)]
pub struct SinkFacts {
    /// Its name.
    pub name: String,
    /// What a second delivery does.
    pub guarantee: Guarantee,
    /// A marker of it may be gone after a while, as brokers forget theirs.
    pub marker_expires: bool,
    /// Its marker, of the target that it has now.
    pub marker: Option<Marker>,
    /// The newest marker that names another target: what that one holds, this one does not.
    pub elsewhere: Option<Marker>,
    /// The source offsets that its marker carries.
    pub committed: TopicOffsets,
}

/// All that is found at a start.
#[derive(Clone, Debug)]
pub struct RecoveryFacts<'a> {
    /// The job's checkpoint.
    pub checkpoint: Option<&'a Checkpoint>,
    /// The intents beside it.
    pub intents: &'a [BatchIntent],
    /// The job's sinks.
    pub sinks: &'a [SinkFacts],
    /// What the consumer group holds.
    pub group: &'a TopicOffsets,
    /// The deployments whose versions are still there.
    pub deployments: &'a BTreeSet<u64>,
    /// The user said `--reset-state`: nothing of before counts.
    pub reset: bool,
    /// The job has keyed stages: without its checkpoint no offset to resume at would give the right
    /// results.
    pub keyed: bool,
    /// The wall clock.
    pub now_ms: i64,
    /// The user said `--skip-lost`.
    pub skip_lost: bool,
    /// Some of its sources would be read from their beginning: no group or marker holds how far a
    /// file was read.
    pub rereads: bool,
    /// The user said where to start.
    pub start_said: bool,
}

/// By a marked sink's name: the source offsets below which it holds every record's rows, from
/// before the checkpoint was lost. It is not given them again.
pub type AlreadyWritten = BTreeMap<String, TopicOffsets>;

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecoveryStep {
    /// A new job: an epoch, and its start position written before the first intent.
    Begin,
    /// The checkpoint is lost, and all sinks bear a repetition: a new epoch, from the group's
    /// offsets.
    ResumeFromGroup,
    /// The checkpoint is lost, and marked sinks say what they hold: a new epoch.
    ResumeAt {
        /// Where to read on: before it, no sink lacks anything. A partition that is not named is
        /// read from its first record.
        from: TopicOffsets,
        /// What marked sinks hold; [`beyond`] the offsets where it begins, it is left out.
        already_written: AlreadyWritten,
    },
    /// Each intent is run again and delivered to the sinks that do not hold it; then batches go on.
    Replay {
        /// For each intent the names of the sinks that hold it already.
        held: Vec<BTreeSet<String>>,
        /// Somebody moved the group's offsets: a warning, the checkpoint counts.
        group_ahead: bool,
    },
    /// Going on would lose or double data.
    Stop(RecoveryError),
}

/// Why a job does not start by itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryError {
    /// Plans do not follow the checkpoint.
    #[error(
        "the stored plans are damaged: {0}: restore the data folder, or deploy with --reset-state to begin anew at `start`"
    )]
    Chain(#[from] BrokenChain),
    /// An intent's version is not stored any more.
    #[error(
        "plan {batch} needs deployment {deployment}, whose component is gone from the data folder: restore it"
    )]
    VersionMissing {
        /// The intent.
        batch: BatchNumber,
        /// Its deployment.
        deployment: u64,
    },
    /// Another host ran the job, or the checkpoint is an old copy.
    #[error(
        "sink `{sink}` holds batch {batch} of incarnation {epoch}, beyond this ledger: another host ran this job, or the data folder is an old copy; run it there, or `undeploy` and `deploy` it to begin anew"
    )]
    MarkerAhead {
        /// The sink.
        sink: String,
        /// Its marker's epoch.
        epoch: u64,
        /// Its marker's batch.
        batch: BatchNumber,
    },
    /// The sink holds another outcome of the same batch.
    #[error(
        "sink `{sink}` holds another result of batch {batch}: the component is not deterministic: deploy a mended one with --replan, which leaves the sink what it holds of that batch, or with --reset-state to begin anew at `start`"
    )]
    OtherDigest {
        /// The sink.
        sink: String,
        /// The batch.
        batch: BatchNumber,
    },
    /// What an exactly-once sink holds of a batch is not known: its marker may have expired.
    #[error(
        "sink `{sink}` has no marker, and batch {batch} was planned so long ago that the brokers may have forgotten one: it is not known whether the sink holds the batch: go on without giving it to the sink by `streamhost resume JOB --skip-lost`, or deploy with --reset-state to begin anew at `start`"
    )]
    MarkerExpired {
        /// The sink.
        sink: String,
        /// The batch.
        batch: BatchNumber,
    },
    /// The job went on after the savepoint that it is begun from.
    #[error(
        "sink `{sink}` holds batches from after the savepoint, which is of batch {batch}: the job went on since, and its rows would be there twice (a savepoint that is taken with --stop is exact): `undeploy` it, and begin it with --repeat-rows if they may, or into another target with --set sink.{sink}=…"
    )]
    AheadOfSavepoint {
        /// The sink.
        sink: String,
        /// The savepoint's batch.
        batch: BatchNumber,
    },
    /// What an exactly-once sink holds from after the savepoint is not known.
    #[error(
        "sink `{sink}` has no marker, so whether it holds rows from after the savepoint is not known (the brokers forget a marker after `offsets.retention.minutes`; another cluster has none): `undeploy` the job, and begin it with --repeat-rows if rows may be there twice, or into another target with --set sink.{sink}=…"
    )]
    SavepointUnmarked {
        /// The sink.
        sink: String,
    },
    /// The checkpoint is lost, and with it what the keyed stages kept.
    #[error(
        "the ledger is lost, and with it the state of the keyed stages: restore the data folder, or deploy with --reset-state to begin anew at `start`"
    )]
    StateLost,
    /// The checkpoint is gone, and what an exactly-once sink holds is not known.
    #[error(
        "this job ran before, and sink `{sink}` has no marker that says what it holds of every source (the brokers forget one after `offsets.retention.minutes`, a sink that was not exactly once has none, and none says how far a file was read): restore the data folder, or deploy with --reset-state to begin anew at `start`"
    )]
    LedgerLost {
        /// The sink.
        sink: String,
    },
}

/// The first row of the recovery table that fits.
pub fn decide(found: &RecoveryFacts<'_>) -> RecoveryStep {
    let Some(checkpoint) = found.checkpoint else {
        return without_ledger(found);
    };
    if let Err(broken) = check_chain(checkpoint, found.intents) {
        return RecoveryStep::Stop(broken.into());
    }
    if let Some(intent) = found
        .intents
        .iter()
        .find(|intent| !found.deployments.contains(&intent.deployment))
    {
        return RecoveryStep::Stop(RecoveryError::VersionMissing {
            batch: intent.batch,
            deployment: intent.deployment,
        });
    }
    let last = found
        .intents
        .last()
        .map_or(checkpoint.batch, |intent| intent.batch);
    if let Err(halt) = check_sinks_not_ahead(found.sinks, (checkpoint.epoch, last)) {
        return RecoveryStep::Stop(halt);
    }
    let mut held = Vec::new();
    for intent in found.intents {
        let mut by = BTreeSet::new();
        for sink in found
            .sinks
            .iter()
            .filter(|sink| sink.guarantee == Guarantee::Marked)
        {
            match holds(sink.marker.as_ref(), intent, &sink.name) {
                Ok(true) => drop(by.insert(sink.name.clone())),
                Ok(false) if may_have_expired(sink, intent, found.now_ms) => {
                    match found.skip_lost {
                        true => drop(by.insert(sink.name.clone())),
                        false => {
                            return RecoveryStep::Stop(RecoveryError::MarkerExpired {
                                sink: sink.name.clone(),
                                batch: intent.batch,
                            });
                        }
                    }
                }
                Ok(false) => {}
                Err(halt) => return RecoveryStep::Stop(halt),
            }
        }
        held.push(by);
    }
    RecoveryStep::Replay {
        held,
        group_ahead: is_ahead(found.group, &checkpoint.committed),
    }
}

/// Whether the job was undeployed before is not asked: a deploy has looked at that, and a keyed job
/// is reset by it.
fn without_ledger(found: &RecoveryFacts<'_>) -> RecoveryStep {
    let known = BeginningFacts {
        reset: found.reset,
        keyed: found.keyed,
        undeployed: false,
        wrote: false,
        start_said: found.start_said,
        rereads: found.rereads,
        sinks: found.sinks,
        group: found.group,
    };
    match beginning(&known) {
        Beginning::AtStart | Beginning::Anew => RecoveryStep::Begin,
        Beginning::AtGroup => RecoveryStep::ResumeFromGroup,
        Beginning::AtMarkers {
            from,
            already_written,
        } => RecoveryStep::ResumeAt {
            from,
            already_written,
        },
        Beginning::Refused(error) => RecoveryStep::Stop(error),
    }
}

/// What is still to be left out once `reached` is reached.
pub fn beyond(already_written: &AlreadyWritten, reached: &TopicOffsets) -> AlreadyWritten {
    let is_ahead = |topic: &str, partition: i32, offset: i64| {
        reached
            .get(topic)
            .and_then(|known| known.get(&partition))
            .is_none_or(|&reached| offset > reached)
    };
    let ahead = |offsets: &TopicOffsets| -> TopicOffsets {
        let of = |(topic, offsets): (&String, &BTreeMap<i32, i64>)| {
            let left: BTreeMap<i32, i64> = offsets
                .iter()
                .map(|(&p, &offset)| (p, offset))
                .filter(|&(p, o)| is_ahead(topic, p, o))
                .collect();
            (!left.is_empty()).then(|| (topic.clone(), left))
        };
        offsets.iter().filter_map(of).collect()
    };
    let sinks = already_written
        .iter()
        .map(|(sink, offsets)| (sink.clone(), ahead(offsets)));
    sinks.filter(|(_, offsets)| !offsets.is_empty()).collect()
}

/// Whether a marked sink holds `intent` already. A marker of an older epoch counts as none.
pub fn holds(
    marker: Option<&Marker>,
    intent: &BatchIntent,
    sink: &str,
) -> Result<bool, RecoveryError> {
    let Some(marker) = marker.filter(|marker| marker.epoch == intent.epoch) else {
        return Ok(false);
    };
    if marker.batch == intent.batch
        && intent
            .digests
            .get(sink)
            .is_some_and(|digest| *digest != marker.digest)
    {
        return Err(RecoveryError::OtherDigest {
            sink: sink.to_string(),
            batch: intent.batch,
        });
    }
    Ok(marker.batch >= intent.batch)
}

/// Whether the marker of an intent's batch, if there is none, may have been forgotten: it is not
/// older than the intent.
fn may_have_expired(sink: &SinkFacts, intent: &BatchIntent, now_ms: i64) -> bool {
    if sink.marker.is_some() || !sink.marker_expires {
        return false;
    }
    let most = i64::try_from(limits::MARKER_TIME.as_millis()).unwrap_or(i64::MAX);
    now_ms.saturating_sub(intent.time_ms) > most
}

/// The same for the batch that is being delivered: nobody but another host can have written a later
/// one.
pub fn holds_now(
    marker: Option<&Marker>,
    intent: &BatchIntent,
    sink: &str,
) -> Result<bool, RecoveryError> {
    check_not_ahead(marker, (intent.epoch, intent.batch), sink)?;
    holds(marker, intent, sink)
}

/// Whether the dead letters of `intent` are in their topic already, by its marker. It is compared by
/// number alone: which rows a server refuses may change from one delivery to the next. A marker of
/// another epoch counts as none, and so does one that the brokers have forgotten.
pub fn holds_letters(marker: Option<&Marker>, intent: &BatchIntent) -> Result<bool, RecoveryError> {
    let Some(marker) = marker.filter(|marker| marker.epoch == intent.epoch) else {
        return Ok(false);
    };
    check_not_ahead(Some(marker), (intent.epoch, intent.batch), DEAD_LETTERS)?;
    Ok(marker.batch == intent.batch)
}

/// What errors call the dead letters, which are a sink to the protocol.
const DEAD_LETTERS: &str = "dead letters";

/// None of the marked sinks is beyond the newest epoch and batch that are known here.
pub(super) fn check_sinks_not_ahead(
    sinks: &[SinkFacts],
    newest: (u64, BatchNumber),
) -> Result<(), RecoveryError> {
    let mut marked = sinks
        .iter()
        .filter(|sink| sink.guarantee == Guarantee::Marked);
    // Of whatever target: whoever wrote it was ahead of this checkpoint.
    marked.try_for_each(|sink| {
        check_not_ahead(sink.marker.as_ref(), newest, &sink.name)?;
        check_not_ahead(sink.elsewhere.as_ref(), newest, &sink.name)
    })
}

/// A marker beyond the newest epoch and batch that are known here is another host's, or the
/// checkpoint an old copy.
fn check_not_ahead(
    marker: Option<&Marker>,
    newest: (u64, BatchNumber),
    sink: &str,
) -> Result<(), RecoveryError> {
    match marker {
        Some(m) if (m.epoch, m.batch) > newest => {
            let (sink, epoch, batch) = (sink.to_string(), m.epoch, m.batch);
            Err(RecoveryError::MarkerAhead { sink, epoch, batch })
        }
        _ => Ok(()),
    }
}

fn is_ahead(group: &TopicOffsets, reached: &TopicOffsets) -> bool {
    group.iter().any(|(topic, partitions)| {
        partitions.iter().any(|(partition, &offset)| {
            reached
                .get(topic)
                .and_then(|known| known.get(partition))
                .is_some_and(|&reached| offset > reached)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{checkpoint, intent};

    fn sink(guarantee: Guarantee, marker: Option<(u64, u64, &str)>) -> SinkFacts {
        let marker = marker.map(|(epoch, batch, digest)| Marker {
            epoch,
            batch,
            digest: digest.into(),
        });
        let reached = marker.as_ref().map_or_else(TopicOffsets::new, |_| at(30));
        SinkFacts {
            name: "s".into(),
            guarantee,
            marker_expires: true,
            marker,
            elsewhere: None,
            committed: reached,
        }
    }

    fn at(offset: i64) -> TopicOffsets {
        [("t".to_string(), [(0, offset)].into())].into()
    }

    fn step(
        checkpoint: Option<&Checkpoint>,
        intents: &[BatchIntent],
        sinks: &[SinkFacts],
        group: i64,
    ) -> RecoveryStep {
        let group: TopicOffsets = match group {
            0 => TopicOffsets::new(),
            to => at(to),
        };
        decide(&found(checkpoint, intents, sinks, &group, &[3].into()))
    }

    fn found<'a>(
        checkpoint: Option<&'a Checkpoint>,
        intents: &'a [BatchIntent],
        sinks: &'a [SinkFacts],
        group: &'a TopicOffsets,
        deployments: &'a BTreeSet<u64>,
    ) -> RecoveryFacts<'a> {
        RecoveryFacts {
            checkpoint,
            intents,
            sinks,
            group,
            deployments,
            reset: false,
            keyed: false,
            rereads: false,
            start_said: false,
            now_ms: 2000,
            skip_lost: false,
        }
    }

    /// A row of the table of its own, as it needs a clock.
    #[test]
    fn an_old_plan_without_a_marker_is_asked_about() {
        use Guarantee::{AtLeastOnce, Idempotent, Marked};
        let (at_4, intents, nothing, deployments) =
            (checkpoint(4), [intent(5)], TopicOffsets::new(), [3].into());
        let day = limits::MARKER_TIME.as_millis() as i64;
        let expired = || {
            RecoveryStep::Stop(RecoveryError::MarkerExpired {
                sink: "s".into(),
                batch: 5,
            })
        };
        let cases = [
            (sink(Marked, None), day, false, replay(&[&[]], false)),
            (sink(Marked, None), day + 1, false, expired()),
            // a marker that is never forgotten would be there
            (
                SinkFacts {
                    marker_expires: false,
                    ..sink(Marked, None)
                },
                day + 1,
                false,
                replay(&[&[]], false),
            ),
            // the user says that the batch is not to be given to it
            (sink(Marked, None), day + 1, true, replay(&[&["s"]], false)),
            (sink(Marked, None), day, true, replay(&[&[]], false)),
            // a marker speaks, however old, and whatever it says
            (
                sink(Marked, Some((7, 5, "digest 5"))),
                day + 1,
                false,
                replay(&[&["s"]], false),
            ),
            (
                sink(Marked, Some((7, 4, "digest 4"))),
                day + 1,
                false,
                replay(&[&[]], false),
            ),
            (
                sink(Marked, Some((6, 99, ""))),
                day + 1,
                false,
                replay(&[&[]], false),
            ),
            // others have none
            (
                sink(Idempotent, None),
                day + 1,
                false,
                replay(&[&[]], false),
            ),
            (
                sink(AtLeastOnce, None),
                day + 1,
                false,
                replay(&[&[]], false),
            ),
        ];
        for (sink, age, skip_lost, expected) in cases {
            let now_ms = intents[0].time_ms + age;
            let sinks = [sink];
            let found = found(Some(&at_4), &intents, &sinks, &nothing, &deployments);
            assert_eq!(
                decide(&RecoveryFacts {
                    now_ms,
                    skip_lost,
                    ..found
                }),
                expected,
                "{sinks:?} after {age} ms"
            );
        }
    }

    fn replay(held: &[&[&str]], group_ahead: bool) -> RecoveryStep {
        let held = held
            .iter()
            .map(|names| names.iter().map(|n| n.to_string()).collect())
            .collect();
        RecoveryStep::Replay { held, group_ahead }
    }

    /// The recovery table, a row a case.
    #[test]
    fn each_row_of_the_recovery_table() {
        use Guarantee::{AtLeastOnce, Idempotent, Marked};
        let at_4 = checkpoint(4);
        let two = [intent(5), intent(6)];
        // no checkpoint, no markers, no group
        assert_eq!(
            step(None, &[], &[sink(Marked, None)], 0),
            RecoveryStep::Begin
        );
        // no checkpoint, but group offsets; markers have a test of their own
        assert_eq!(
            step(None, &[], &[sink(Idempotent, None)], 30),
            RecoveryStep::ResumeFromGroup
        );
        assert_eq!(
            step(None, &[], &[sink(AtLeastOnce, None)], 30),
            RecoveryStep::ResumeFromGroup
        );
        // intents that do not join
        let gap = step(Some(&at_4), &[intent(6)], &[], 0);
        assert!(
            matches!(
                gap,
                RecoveryStep::Stop(RecoveryError::Chain(BrokenChain::Number {
                    after: 4,
                    found: 6
                }))
            ),
            "{gap:?}"
        );
        // a version that is gone
        let mut other = intent(5);
        other.deployment = 9;
        let gone = step(Some(&at_4), &[other], &[], 0);
        assert_eq!(
            gone,
            RecoveryStep::Stop(RecoveryError::VersionMissing {
                batch: 5,
                deployment: 9
            })
        );
        // a marker of a newer epoch, or beyond the last intent
        for marker in [(8, 1, ""), (7, 7, "")] {
            let halt = step(Some(&at_4), &two, &[sink(Marked, Some(marker))], 0);
            assert!(
                matches!(halt, RecoveryStep::Stop(RecoveryError::MarkerAhead { .. })),
                "{halt:?}"
            );
        }
        // the same, whatever its target: who wrote it was ahead of this checkpoint
        let ahead = Marker {
            epoch: 7,
            batch: 7,
            digest: String::new(),
        };
        let elsewhere = SinkFacts {
            elsewhere: Some(ahead),
            ..sink(Marked, None)
        };
        let halt = step(Some(&at_4), &two, std::slice::from_ref(&elsewhere), 0);
        assert!(
            matches!(halt, RecoveryStep::Stop(RecoveryError::MarkerAhead { .. })),
            "{halt:?}"
        );
        // one of another target that is not ahead speaks for no batch
        let of_5 = Marker {
            epoch: 7,
            batch: 5,
            digest: "digest 5".into(),
        };
        let elsewhere = SinkFacts {
            elsewhere: Some(of_5),
            ..elsewhere
        };
        assert_eq!(
            step(Some(&at_4), &two, &[elsewhere], 0),
            replay(&[&[], &[]], false)
        );
        // a marker of an older epoch, or none, counts as batch 0
        assert_eq!(
            step(Some(&at_4), &two, &[sink(Marked, Some((6, 99, "")))], 0),
            replay(&[&[], &[]], false)
        );
        assert_eq!(
            step(Some(&at_4), &two, &[sink(Marked, None)], 0),
            replay(&[&[], &[]], false)
        );
        // the same batch, another digest
        let differs = step(Some(&at_4), &two, &[sink(Marked, Some((7, 5, "else")))], 0);
        assert_eq!(
            differs,
            RecoveryStep::Stop(RecoveryError::OtherDigest {
                sink: "s".into(),
                batch: 5
            })
        );
        // a marked sink skips what it holds
        let holds_5 = [sink(Marked, Some((7, 5, "digest 5")))];
        assert_eq!(
            step(Some(&at_4), &two, &holds_5, 0),
            replay(&[&["s"], &[]], false)
        );
        let holds_6 = [sink(Marked, Some((7, 6, "digest 6")))];
        assert_eq!(
            step(Some(&at_4), &two, &holds_6, 0),
            replay(&[&["s"], &["s"]], false)
        );
        // other sinks are sent everything again
        assert_eq!(
            step(Some(&at_4), &two, &[sink(Idempotent, None)], 0),
            replay(&[&[], &[]], false)
        );
        // somebody moved the group
        assert_eq!(step(Some(&at_4), &[], &[], 41), replay(&[], true));
        // nothing left to do
        assert_eq!(step(Some(&at_4), &[], &[], 40), replay(&[], false));
    }

    /// What the sinks hold, what the group was told, where to read on: offsets of the partitions 0,
    /// 1, …; -1: none.
    #[test]
    fn without_a_ledger_no_sink_lacks_a_record_and_no_marked_one_gets_it_twice() {
        use Guarantee::{AtLeastOnce, Idempotent, Marked};
        let offsets = |of: &[i64]| -> TopicOffsets {
            let there: BTreeMap<i32, i64> = (0..)
                .zip(of.iter().copied())
                .filter(|&(_, offset)| offset >= 0)
                .collect();
            if there.is_empty() {
                TopicOffsets::new()
            } else {
                [("t".to_string(), there)].into()
            }
        };
        type Case = (
            &'static [(Guarantee, &'static [i64])],
            &'static [i64],
            Option<&'static [i64]>,
        );
        let cases: &[Case] = &[
            // marked sinks alone: the least marker; the group is behind, ahead or gone, and is not
            // asked
            (&[(Marked, &[30])], &[], Some(&[30])),
            (&[(Marked, &[30])], &[20], Some(&[30])),
            (&[(Marked, &[30])], &[99], Some(&[30])),
            (
                &[(Marked, &[30, 7]), (Marked, &[40, 9])],
                &[30, 7],
                Some(&[30, 7]),
            ),
            (
                &[(Marked, &[40, 7]), (Marked, &[30, 9])],
                &[],
                Some(&[30, 7]),
            ),
            // a partition that only the later marker knows is new: the other sink holds nothing of
            // it
            (&[(Marked, &[30]), (Marked, &[40, 9])], &[], Some(&[30])),
            // others beside them: never ahead of what the group was told, and never ahead of a
            // marker
            (&[(Marked, &[30]), (Idempotent, &[])], &[30], Some(&[30])),
            (&[(Marked, &[30]), (Idempotent, &[])], &[20], Some(&[20])),
            (&[(Marked, &[30]), (AtLeastOnce, &[])], &[20], Some(&[20])),
            (&[(Marked, &[30]), (AtLeastOnce, &[])], &[99], Some(&[30])),
            (
                &[(AtLeastOnce, &[]), (Marked, &[40, 9]), (Marked, &[30, 9])],
                &[20, 9],
                Some(&[20, 9]),
            ),
            // the group does not know a partition, or nothing: so it is read from its first record
            (&[(Marked, &[30, 9]), (Idempotent, &[])], &[20], Some(&[20])),
            (&[(Marked, &[30]), (Idempotent, &[])], &[], Some(&[])),
            // a marked sink that does not say what it holds
            (&[(Marked, &[30]), (Marked, &[])], &[30], None),
        ];
        for (sinks, group, from) in cases {
            let marker = Marker {
                epoch: 7,
                batch: 4,
                digest: "d".into(),
            };
            let all = sinks
                .iter()
                .enumerate()
                .map(|(i, (guarantee, reached))| SinkFacts {
                    name: format!("s{i}"),
                    guarantee: *guarantee,
                    marker_expires: true,
                    marker: (!reached.is_empty()).then(|| marker.clone()),
                    elsewhere: None,
                    committed: offsets(reached),
                });
            let (sinks, group): (Vec<_>, _) = (all.collect(), offsets(group));
            let deployments = [3].into();
            let found = found(None, &[], &sinks, &group, &deployments);
            let marked = sinks.iter().filter(|sink| sink.guarantee == Marked);
            let expected = match from {
                Some(from) => RecoveryStep::ResumeAt {
                    from: offsets(from),
                    already_written: marked
                        .map(|sink| (sink.name.clone(), sink.committed.clone()))
                        .collect(),
                },
                None => RecoveryStep::Stop(RecoveryError::LedgerLost { sink: "s1".into() }),
            };
            assert_eq!(decide(&found), expected, "{sinks:?} {group:?}");
            let with_a_file = decide(&RecoveryFacts {
                rereads: true,
                ..found.clone()
            });
            assert!(
                matches!(
                    with_a_file,
                    RecoveryStep::Stop(RecoveryError::LedgerLost { .. })
                ),
                "{with_a_file:?}"
            );
            assert_eq!(
                decide(&RecoveryFacts {
                    reset: true,
                    ..found
                }),
                RecoveryStep::Begin
            );
        }
    }

    #[test]
    fn what_is_left_out_ends_where_the_sinks_were() {
        let offsets = |all: &[(i32, i64)]| -> TopicOffsets {
            [("t".to_string(), all.iter().copied().collect())].into()
        };
        let already_written: AlreadyWritten = [
            ("a".to_string(), offsets(&[(0, 30), (1, 9)])),
            ("b".to_string(), offsets(&[(0, 20), (1, 7)])),
        ]
        .into();
        assert_eq!(
            beyond(&already_written, &TopicOffsets::new()),
            already_written
        );
        assert_eq!(
            beyond(&already_written, &offsets(&[(0, 20), (1, 7)])),
            [already_written.get_key_value("a").unwrap()]
                .map(|(name, all)| (name.clone(), all.clone()))
                .into()
        );
        assert_eq!(
            beyond(&already_written, &offsets(&[(0, 30), (1, 8)])),
            [("a".to_string(), offsets(&[(1, 9)]))].into()
        );
        assert_eq!(
            beyond(&already_written, &offsets(&[(0, 30), (1, 9)])),
            AlreadyWritten::new()
        );
    }

    #[test]
    fn a_later_marker_during_a_delivery_is_another_hosts() {
        let marker = |epoch, batch| {
            Some(Marker {
                epoch,
                batch,
                digest: "digest 5".into(),
            })
        };
        let now = |marker: Option<Marker>| holds_now(marker.as_ref(), &intent(5), "s");
        assert_eq!(now(None), Ok(false));
        assert_eq!(now(marker(7, 4)), Ok(false));
        assert_eq!(now(marker(6, 9)), Ok(false));
        assert_eq!(now(marker(7, 5)), Ok(true));
        for later in [marker(7, 6), marker(8, 1)] {
            assert!(matches!(now(later), Err(RecoveryError::MarkerAhead { .. })));
        }
    }
}
