//! Where a job begins to read: one table of decisions. The first row that fits counts. Pure.

/// What the markers of the exactly-once sinks say, each of its sink's own target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Markers {
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

/// What is found when a job starts or is deployed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    /// The user says: begin anew, whatever is there.
    pub(super) reset: bool,
    pub(super) checkpoint: bool,
    /// It has keyed stages: without their state no offset in the middle is right.
    pub(super) keyed: bool,
    /// It ran here, and was undeployed.
    pub(super) undeployed: bool,
    pub(super) markers: Markers,
    /// The consumer group holds offsets.
    pub(super) group: bool,
    /// The user says where to start.
    pub(super) start_said: bool,
    /// Some sources have no offsets that a group or marker could hold: files.
    pub(super) rereads: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// From the checkpoint, with its intents.
    GoOn,
    /// At `start`, which is the first record unless the user says otherwise.
    AtStart,
    /// At the group's offsets.
    AtGroup,
    /// At the least of what the sinks hold. An exactly-once sink is not given again what it holds.
    AtMarkers,
    /// Not at all, with the reason.
    Refuse,
}

/// What a row asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum If {
    Reset,
    Checkpoint,
    Keyed,
    Undeployed,
    Group,
    StartSaid,
    Rereads,
    Markers(Markers),
}

/// A row: it fits if all that it asks for is so.
struct Row {
    name: &'static str,
    asks: &'static [If],
    decision: Decision,
}

const fn row(name: &'static str, asks: &'static [If], decision: Decision) -> Row {
    Row {
        name,
        asks,
        decision,
    }
}

use Decision::{AtGroup, AtMarkers, AtStart, GoOn, Refuse};
use If::{Checkpoint, Group, Keyed, Rereads, Reset, StartSaid, Undeployed};

/// The policy. `docs/src/protocol.md` shows it with what each row excludes.
const POLICY: [Row; 13] = [
    row("reset", &[Reset], AtStart),
    row("checkpoint", &[Checkpoint], GoOn),
    row("state-deleted", &[Keyed, Undeployed], AtStart),
    row(
        "state-lost-marker",
        &[Keyed, If::Markers(Markers::Own)],
        Refuse,
    ),
    row("state-lost-group", &[Keyed, Group], Refuse),
    row("marker-partial", &[If::Markers(Markers::Partial)], Refuse),
    row(
        "marker-absent-group",
        &[If::Markers(Markers::Absent), Group],
        Refuse,
    ),
    row(
        "marker-absent-undeployed",
        &[If::Markers(Markers::Absent), Undeployed],
        Refuse,
    ),
    row(
        "marker-of-files",
        &[If::Markers(Markers::Own), Rereads],
        Refuse,
    ),
    row("marker", &[If::Markers(Markers::Own)], AtMarkers),
    row("start", &[StartSaid], AtStart),
    row("group", &[Group], AtGroup),
    row("new", &[], AtStart),
];

impl Row {
    fn fits(&self, facts: &Facts) -> bool {
        self.asks.iter().all(|asks| match *asks {
            If::Reset => facts.reset,
            If::Checkpoint => facts.checkpoint,
            If::Keyed => facts.keyed,
            If::Undeployed => facts.undeployed,
            If::Group => facts.group,
            If::StartSaid => facts.start_said,
            If::Rereads => facts.rereads,
            If::Markers(markers) => facts.markers == markers,
        })
    }
}

/// The decision for these facts; `otherwise`: what a row by this name decides instead.
pub(super) fn decide(facts: &Facts, otherwise: Option<(&str, Decision)>) -> Decision {
    let fits = POLICY.iter().find(|row| row.fits(facts));
    match (fits, otherwise) {
        (Some(row), Some((name, decision))) if row.name == name => decision,
        (Some(row), _) => row.decision,
        (None, _) => Decision::Refuse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every row counts for some facts: none stands behind one that takes all of its own.
    #[test]
    fn every_row_is_needed() {
        let yes_or_no = [false, true];
        let mut used = [false; POLICY.len()];
        for bits in 0..1 << 7 {
            let bit = |at: usize| yes_or_no[bits >> at & 1];
            for markers in [
                Markers::Unmarked,
                Markers::Absent,
                Markers::Partial,
                Markers::OfOthers,
                Markers::Own,
            ] {
                let facts = Facts {
                    reset: bit(0),
                    checkpoint: bit(1),
                    keyed: bit(2),
                    undeployed: bit(3),
                    markers,
                    group: bit(4),
                    start_said: bit(5),
                    rereads: bit(6),
                };
                let fits = POLICY.iter().position(|row| row.fits(&facts));
                used[fits.expect("the last row fits all")] = true;
            }
        }
        assert_eq!(used, [true; POLICY.len()]);
    }
}
