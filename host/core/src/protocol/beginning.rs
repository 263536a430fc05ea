//! Where a job begins to read: one table of decisions, for what a deploy says beforehand and for
//! what the pipeline does. Pure. `docs/src/protocol.md` shows it with what each row excludes, and the
//! model checks it (`tests/model/src/begin`).

use super::recovery_policy::{AlreadyWritten, RecoveryError, SinkFacts};

use crate::types::{Guarantee, TopicOffsets};
use std::collections::BTreeMap;

/// What is known of a job that has no checkpoint here, or whose user says that it does not count.
#[derive(Clone, Copy, Debug)]
pub struct BeginningFacts<'a> {
    /// The user said `--reset-state`: nothing of before counts.
    pub reset: bool,
    /// It has keyed stages: without their state no offset in the middle is right.
    pub keyed: bool,
    /// It ran here, and was undeployed.
    pub undeployed: bool,
    /// Before that it had batches, and may have written rows.
    pub wrote: bool,
    /// The user said where to start.
    pub start_said: bool,
    /// Some of its sources would be read from their beginning: no group or marker holds how far a
    /// file was read.
    pub rereads: bool,
    /// Its sinks.
    pub sinks: &'a [SinkFacts],
    /// What the consumer group holds.
    pub group: &'a TopicOffsets,
}

/// Where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// At `start`, which is the first record unless the user says otherwise.
    AtStart,
    /// At `start`, as what its keyed stages kept was deleted with it, though the user did not say
    /// so.
    Anew,
    /// At the group's offsets.
    AtGroup,
    /// Where its exactly-once sinks say that they are.
    AtMarkers {
        /// Where to read on: before it, no sink lacks anything. A partition that is not named is
        /// read from its first record.
        from: TopicOffsets,
        /// What marked sinks hold; beyond the offsets where it begins, it is left out.
        already_written: AlreadyWritten,
    },
    /// Not at all.
    Refused(RecoveryError),
}

/// What the markers of the exactly-once sinks say, each of its sink's own target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Markers {
    /// There are no such sinks.
    Unmarked,
    /// No such sink has a marker.
    Absent,
    /// Some have one, of whatever target, and some have none.
    Partial,
    /// All have one, each of another target than the sink's.
    OfOthers,
    /// All have one, and some are of their sink's target.
    Own,
}

/// The first row that fits.
pub fn beginning(known: &BeginningFacts<'_>) -> Beginning {
    let (markers, group) = (markers(known.sinks), holds_offsets(known.group));
    let refuse = |sink: &SinkFacts| {
        let sink = sink.name.clone();
        Beginning::Refused(RecoveryError::LedgerLost { sink })
    };
    let unknown = || marked(known.sinks).find(|sink| !has_marker(sink));
    match markers {
        _ if known.reset => Beginning::AtStart,
        _ if known.keyed && known.undeployed => Beginning::Anew,
        Markers::Own if known.keyed => Beginning::Refused(RecoveryError::StateLost),
        _ if known.keyed && group => Beginning::Refused(RecoveryError::StateLost),
        Markers::Partial => unknown().map_or(Beginning::AtStart, refuse),
        Markers::Absent if group || known.wrote => unknown().map_or(Beginning::AtStart, refuse),
        Markers::Own => at_markers(known).unwrap_or_else(refuse),
        _ if known.start_said => Beginning::AtStart,
        _ if group => Beginning::AtGroup,
        Markers::Unmarked | Markers::Absent | Markers::OfOthers => Beginning::AtStart,
    }
}

fn marked(sinks: &[SinkFacts]) -> impl Iterator<Item = &SinkFacts> {
    sinks
        .iter()
        .filter(|sink| sink.guarantee == Guarantee::Marked)
}

fn has_marker(sink: &SinkFacts) -> bool {
    sink.marker.is_some() || sink.elsewhere.is_some()
}

fn markers(sinks: &[SinkFacts]) -> Markers {
    let with_one = marked(sinks).filter(|sink| has_marker(sink)).count();
    match (marked(sinks).count(), with_one) {
        (0, _) => Markers::Unmarked,
        (_, 0) => Markers::Absent,
        (all, some) if some < all => Markers::Partial,
        _ if marked(sinks).any(|sink| sink.marker.is_some()) => Markers::Own,
        _ => Markers::OfOthers,
    }
}

fn holds_offsets(group: &TopicOffsets) -> bool {
    group.values().any(|partitions| !partitions.is_empty())
}

/// Reads on at the least of what the sinks hold, so that none lacks a record. A marked sink says so
/// itself, and one that wrote another target before goes on where the others do. Sinks without
/// markers hold what the group was told at least, as it is told only of batches that all sinks have
/// acknowledged. They bear the repetition; a marked sink is spared it. `Err`: a sink whose marker
/// does not say what it holds of all that is read.
fn at_markers<'a>(known: &BeginningFacts<'a>) -> Result<Beginning, &'a SinkFacts> {
    let own = || marked(known.sinks).filter(|sink| sink.marker.is_some());
    if let Some(sink) = own().find(|sink| known.rereads || sink.committed.is_empty()) {
        return Err(sink);
    }
    let mut already_written = AlreadyWritten::new();
    let mut from: Option<TopicOffsets> = None;
    for sink in own() {
        already_written.insert(sink.name.clone(), sink.committed.clone());
        from = Some(match from {
            None => sink.committed.clone(),
            Some(from) => least(&from, &sink.committed),
        });
    }
    let mut from = from.unwrap_or_default();
    let is_marked = |sink: &SinkFacts| sink.guarantee == Guarantee::Marked;
    if !known.sinks.iter().all(is_marked) {
        from = least(&from, known.group);
    }
    Ok(Beginning::AtMarkers {
        from,
        already_written,
    })
}

/// For each partition the lesser offset; a partition that one of them does not name is not in it,
/// as there it has nothing.
fn least(a: &TopicOffsets, b: &TopicOffsets) -> TopicOffsets {
    let topic = |(topic, offsets): (&String, &BTreeMap<i32, i64>)| {
        let others = b.get(topic)?;
        let both = offsets
            .iter()
            .filter_map(|(p, &offset)| Some((*p, offset.min(*others.get(p)?))));
        Some((topic.clone(), both.collect::<BTreeMap<_, _>>())).filter(|(_, both)| !both.is_empty())
    };
    a.iter().filter_map(topic).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Marker;

    /// Where a sink's marker is of, if it has one.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Of {
        Nothing,
        Other,
        Own,
    }

    fn at(offset: i64) -> TopicOffsets {
        [("t".to_owned(), [(0, offset)].into())].into()
    }

    fn sink(name: &str, of: Of) -> SinkFacts {
        let marker = Marker {
            epoch: 7,
            batch: 4,
            digest: "d".to_owned(),
        };
        SinkFacts {
            name: name.to_owned(),
            guarantee: Guarantee::Marked,
            marker_expires: true,
            marker: (of == Of::Own).then(|| marker.clone()),
            elsewhere: (of == Of::Other).then_some(marker),
            committed: if of == Of::Own {
                at(30)
            } else {
                TopicOffsets::new()
            },
        }
    }

    fn plain() -> SinkFacts {
        SinkFacts {
            guarantee: Guarantee::AtLeastOnce,
            ..sink("plain", Of::Nothing)
        }
    }

    /// Words for a decision, so that a table of them is read at a glance.
    fn words(decided: Beginning) -> String {
        match decided {
            Beginning::AtStart => "start".to_owned(),
            Beginning::Anew => "anew".to_owned(),
            Beginning::AtGroup => "group".to_owned(),
            Beginning::AtMarkers { from, .. } => {
                format!("markers at {}", from["t"][&0])
            }
            Beginning::Refused(RecoveryError::StateLost) => "state lost".to_owned(),
            Beginning::Refused(RecoveryError::LedgerLost { sink }) => format!("unknown {sink}"),
            Beginning::Refused(other) => other.to_string(),
        }
    }

    /// `asks`: letters of what is so: reset, keyed, undeployed, undeployed after it wrote, start
    /// said, files, group.
    fn decided(asks: &str, sinks: &[SinkFacts]) -> String {
        let group = if asks.contains('g') {
            at(20)
        } else {
            TopicOffsets::new()
        };
        words(beginning(&BeginningFacts {
            reset: asks.contains('r'),
            keyed: asks.contains('k'),
            undeployed: asks.contains(['u', 'w']),
            wrote: asks.contains('w'),
            start_said: asks.contains('s'),
            rereads: asks.contains('f'),
            sinks,
            group: &group,
        }))
    }

    #[test]
    fn every_row_of_the_table() {
        let (nothing, other, own) = (
            [sink("a", Of::Nothing)],
            [sink("a", Of::Other)],
            [sink("a", Of::Own)],
        );
        let cases: &[(&str, &[SinkFacts], &str)] = &[
            ("", &[], "start"),
            ("", &nothing, "start"),
            ("ruskg", &own, "start"),
            ("rg", &nothing, "start"),
            ("kug", &own, "anew"),
            ("ku", &[], "anew"),
            ("k", &own, "state lost"),
            ("kg", &[], "state lost"),
            ("kgs", &other, "state lost"),
            // a topic that another one's marker is about holds nothing of this job
            ("k", &other, "start"),
            ("", &other, "start"),
            ("u", &other, "start"),
            ("g", &other, "group"),
            ("gs", &other, "start"),
            // nobody knows what the topic holds
            ("g", &nothing, "unknown a"),
            ("w", &nothing, "unknown a"),
            // it was undeployed before it wrote anything
            ("u", &nothing, "start"),
            ("gs", &nothing, "unknown a"),
            // the marker counts, whatever the group holds and whatever `start` says
            ("", &own, "markers at 30"),
            ("u", &own, "markers at 30"),
            ("g", &own, "markers at 30"),
            ("us", &own, "markers at 30"),
            ("f", &own, "unknown a"),
            // no exactly-once sinks
            ("g", &[plain()], "group"),
            ("gu", &[plain()], "group"),
            ("gs", &[plain()], "start"),
            ("u", &[plain()], "start"),
        ];
        for (asks, sinks, expected) in cases {
            assert_eq!(decided(asks, sinks), *expected, "{asks:?} {sinks:?}");
        }
    }

    #[test]
    fn several_exactly_once_sinks_count_together() {
        let two = |a: Of, b: Of| [sink("a", a), sink("b", b)];
        let cases = [
            (Of::Own, Of::Nothing, "unknown b"),
            (Of::Nothing, Of::Other, "unknown a"),
            // a new target is owed what the old one was not given
            (Of::Own, Of::Other, "markers at 30"),
            (Of::Other, Of::Own, "markers at 30"),
            (Of::Other, Of::Other, "group"),
        ];
        for (a, b, expected) in cases {
            assert_eq!(decided("g", &two(a, b)), expected, "{a:?} {b:?}");
        }
        let with_plain = [sink("a", Of::Own), plain()];
        assert_eq!(
            decided("g", &with_plain),
            "markers at 20",
            "the plain sink is given again what the group had not passed"
        );
    }

    #[test]
    fn a_new_target_is_not_spared_what_the_old_one_holds() {
        let sinks = [sink("a", Of::Own), sink("b", Of::Other)];
        let group = TopicOffsets::new();
        let known = BeginningFacts {
            reset: false,
            keyed: false,
            undeployed: false,
            wrote: false,
            start_said: false,
            rereads: false,
            sinks: &sinks,
            group: &group,
        };
        let Beginning::AtMarkers {
            already_written, ..
        } = beginning(&known)
        else {
            panic!("it has a marker")
        };
        assert_eq!(already_written, [("a".to_owned(), at(30))].into());
    }
}
