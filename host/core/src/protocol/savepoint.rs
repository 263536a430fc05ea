//! A job that begins from a savepoint: a checkpoint that was written out whole. Pure. The rules are
//! in `docs/src/protocol.md`, and the model checks them (`tests/model/src/savepoint`).
//!
//! The checkpoint that it begins with has an epoch of its own, and times above the clock and all that
//! is known: the job that the savepoint was taken of may have gone on since.

use super::recovery_policy::{AlreadyWritten, RecoveryError, SinkFacts, beyond};
use super::replan::raise;
use super::{BatchIntent, Checkpoint};
use crate::state::{STAGES_PER_EPOCH, StageId};
use crate::types::{BatchNumber, Guarantee};
use serde::{Deserialize, Serialize};

/// What a checkpoint remembers of the savepoint that it is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoredFrom {
    /// The epoch of the job that it was taken of.
    #[serde(rename = "incarnation")]
    pub epoch: u64,
    /// Its last batch there.
    pub batch: BatchNumber,
    /// The user said that exactly-once sinks may be given again what they hold.
    #[serde(default)]
    pub repeats: bool,
}

/// What the new checkpoint must be above.
#[derive(Clone, Copy, Debug, Default)]
pub struct Above {
    /// Of what was forgotten of the job here, the newest time.
    pub forgotten_ms: Option<i64>,
    /// The newest epoch of a marker of its sinks.
    pub epoch: u64,
    /// The wall clock.
    pub now_ms: i64,
}

/// The checkpoint that a job begins with, of a savepoint's. With it, for each stage of the savepoint
/// in the order of the stages' names, where its state is to be.
pub fn begun_from(saved: &Checkpoint, above: Above, repeats: bool) -> (Checkpoint, Vec<StageId>) {
    let clock = u64::try_from(above.now_ms).unwrap_or(1);
    let epoch = clock.max(saved.epoch + 1).max(above.epoch + 1);
    let time_ms = [above.now_ms, above.forgotten_ms.unwrap_or(0), saved.time_ms];
    let mut begun = Checkpoint {
        epoch,
        time_ms: time_ms.into_iter().max().unwrap_or(0),
        restored: Some(RestoredFrom {
            epoch: saved.epoch,
            batch: saved.batch,
            repeats,
        }),
        retried: None, // it is among the marks
        ..saved.clone()
    };
    let first = epoch.saturating_mul(STAGES_PER_EPOCH);
    let mut ids = Vec::new();
    for (facts, id) in begun.stages.values_mut().zip(first..) {
        facts.id = id;
        ids.push(id);
    }
    (begun, ids)
}

/// What marked sinks hold already, and are not given again, of a job whose checkpoint is of a
/// savepoint; of any other as it was. `intents` are planned after it. `Err`: a sink holds rows from
/// after the savepoint, or that is not known, and they would be there twice.
pub fn already_written(
    checkpoint: &Checkpoint,
    intents: &[BatchIntent],
    sinks: &[SinkFacts],
    keyed: bool,
) -> Result<AlreadyWritten, RecoveryError> {
    let mut already = checkpoint.already_written.clone();
    let Some(restored) = &checkpoint.restored else {
        return Ok(already);
    };
    let marked = |sink: &&SinkFacts| sink.guarantee == Guarantee::Marked;
    for sink in sinks.iter().filter(marked) {
        let ahead = || RecoveryError::AheadOfSavepoint {
            sink: sink.name.clone(),
            batch: restored.batch,
        };
        match (&sink.marker, &sink.elsewhere) {
            // A batch of its own was begun since: what the sink held before it is known.
            (Some(marker), _) if marker.epoch == checkpoint.epoch => {}
            (Some(marker), _)
                if (marker.epoch, marker.batch) > (restored.epoch, restored.batch) =>
            {
                match () {
                    () if restored.repeats => {}
                    () if keyed || sink.committed.is_empty() => return Err(ahead()),
                    () => {
                        let offsets = already.entry(sink.name.clone()).or_default();
                        raise(offsets, sink.committed.clone());
                    }
                }
            }
            // As far as the savepoint; or the sink has another target now, which is owed what
            // follows.
            (Some(_), _) | (None, Some(_)) => {}
            (None, None) => {
                let rows = checkpoint.counters.rows.get(&sink.name);
                if rows.is_some_and(|rows| *rows > 0) && !restored.repeats {
                    return Err(RecoveryError::SavepointUnmarked {
                        sink: sink.name.clone(),
                    });
                }
            }
        }
    }
    already = beyond(&already, &checkpoint.committed);
    // What is planned was made before it was known.
    let moved = (already != checkpoint.already_written).then_some(&already);
    match moved
        .filter(|_| !intents.is_empty())
        .and_then(|moved| moved.keys().next())
    {
        Some(sink) => Err(RecoveryError::AheadOfSavepoint {
            sink: sink.clone(),
            batch: restored.batch,
        }),
        None => Ok(already),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Marker;
    use crate::state::{StageFacts, Stages};
    use crate::testing::{checkpoint, intent};
    use crate::types::TopicOffsets;

    fn at(offset: i64) -> TopicOffsets {
        [("t".to_owned(), [(0, offset)].into())].into()
    }

    fn sink(guarantee: Guarantee, marker: Option<(u64, u64, i64)>) -> SinkFacts {
        let of = |(epoch, batch, _)| Marker {
            epoch,
            batch,
            digest: String::new(),
        };
        SinkFacts {
            name: "s".to_owned(),
            guarantee,
            marker_expires: true,
            marker: marker.map(of),
            elsewhere: None,
            committed: marker.map_or_else(TopicOffsets::new, |(_, _, offset)| match offset {
                0 => TopicOffsets::new(),
                offset => at(offset),
            }),
        }
    }

    fn begun(repeats: bool) -> Checkpoint {
        let mut saved = checkpoint(4);
        saved.counters.rows = [("s".to_owned(), 9)].into();
        let above = Above {
            now_ms: 9_000,
            ..Above::default()
        };
        begun_from(&saved, above, repeats).0
    }

    #[test]
    fn every_marker_is_minded() {
        use Guarantee::{AtLeastOnce, Idempotent, Marked};
        let epoch = checkpoint(4).epoch;
        let own = begun(false).epoch;
        let ends = checkpoint(4).committed["t"][&0];
        // guarantee, marker, keyed, repeats: below what it is given nothing, or a word of the refusal
        let none: Result<Option<i64>, &str> = Ok(None);
        let cases = [
            (Idempotent, None, true, false, none),
            (AtLeastOnce, None, true, false, none),
            (Marked, Some((epoch, 4, ends)), true, false, none),
            (Marked, Some((epoch, 3, ends)), true, false, none),
            (Marked, Some((epoch - 1, 9, ends)), true, false, none),
            (
                Marked,
                Some((epoch, 5, ends + 9)),
                true,
                false,
                Err("--repeat-rows"),
            ),
            (Marked, Some((epoch, 5, ends + 9)), true, true, none),
            (
                Marked,
                Some((epoch, 5, ends + 9)),
                false,
                false,
                Ok(Some(ends + 9)),
            ),
            (
                Marked,
                Some((epoch, 5, 0)),
                false,
                false,
                Err("--repeat-rows"),
            ),
            (
                Marked,
                Some((epoch + 1, 1, ends)),
                true,
                false,
                Err("--repeat-rows"),
            ),
            (Marked, Some((own, 5, ends + 9)), true, false, none),
            (Marked, None, true, false, Err("no marker")),
            (Marked, None, false, false, Err("no marker")),
            (Marked, None, true, true, none),
        ];
        for (guarantee, marker, keyed, repeats, want) in cases {
            let case = format!("{guarantee:?} {marker:?} keyed={keyed} repeats={repeats}");
            let found = already_written(&begun(repeats), &[], &[sink(guarantee, marker)], keyed);
            match (found, want) {
                (Ok(found), Ok(want)) => {
                    let of = found.get("s").map(|offsets| offsets["t"][&0]);
                    assert_eq!(of, want, "{case}");
                }
                (Err(refused), Err(words)) => {
                    assert!(refused.to_string().contains(words), "{case}: {refused}");
                }
                (found, _) => panic!("{case}: {found:?}"),
            }
        }
    }

    #[test]
    fn another_target_is_owed_what_follows_and_a_job_of_its_own_minds_nothing() {
        let mut elsewhere = sink(Guarantee::Marked, None);
        elsewhere.elsewhere = Some(Marker {
            epoch: 99,
            batch: 99,
            digest: String::new(),
        });
        assert!(already_written(&begun(false), &[], &[elsewhere], true).is_ok());
        let own = checkpoint(4);
        let ahead = sink(Guarantee::Marked, Some((own.epoch, 9, 99)));
        assert_eq!(
            already_written(&own, &[], &[ahead], true),
            Ok(AlreadyWritten::new())
        );
    }

    #[test]
    fn what_moves_behind_a_plan_stops_the_job() {
        let begun = begun(false);
        let ends = begun.committed["t"][&0];
        let epoch = checkpoint(4).epoch;
        let ahead = [sink(Guarantee::Marked, Some((epoch, 5, ends + 9)))];
        let refused = already_written(&begun, &[intent(5)], &ahead, false);
        assert!(matches!(
            refused,
            Err(RecoveryError::AheadOfSavepoint { batch: 4, .. })
        ));
        let exact = [sink(Guarantee::Marked, Some((epoch, 4, ends)))];
        assert!(already_written(&begun, &[intent(5)], &exact, false).is_ok());
    }

    #[test]
    fn what_begins_is_above_all_that_is_known() {
        let mut saved = checkpoint(4);
        let facts = |id| StageFacts {
            id,
            fingerprint: "f".to_owned(),
            shape: ("u64".to_owned(), 1),
            keys: 1,
            bytes: 9,
        };
        saved.stages = Stages::from([("b".to_owned(), facts(3)), ("a".to_owned(), facts(8))]);
        for (now_ms, forgotten_ms, epoch, time_ms, least) in [
            (9_000, None, 0, 9_000, 9_000),
            (9_000, Some(9_500), 0, 9_500, 9_000),
            (5, None, 70_000, saved.time_ms, 70_001),
            (5, None, 0, saved.time_ms, saved.epoch + 1),
        ] {
            let above = Above {
                forgotten_ms,
                epoch,
                now_ms,
            };
            let (begun, ids) = begun_from(&saved, above, false);
            assert_eq!((begun.time_ms, begun.epoch), (time_ms, least));
            let first = begun.epoch * STAGES_PER_EPOCH;
            assert_eq!(ids, [first, first + 1]);
            assert_eq!(begun.stages["a"].id, first);
            assert_eq!(begun.stages["a"].keys, 1);
            let kept = (&begun.committed, begun.batch, begun.deployment);
            assert_eq!(kept, (&saved.committed, saved.batch, saved.deployment));
        }
        let next = begun(false).after(&BatchIntent {
            epoch: begun(false).epoch,
            time_ms: 99_999,
            ..intent(5)
        });
        assert_eq!(next.map(|next| next.restored), Ok(None), "its first batch");
    }
}
