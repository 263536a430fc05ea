//! The scenarios of savepoints, as data.

use super::Sink::{Idempotent, Marked, Plain};
use super::checks::{COUNTS, LACKS, NEEDLESS, TWICE, WRONG};
use super::{Rules, Savepoint, Sink, Written};
use crate::scenario::{Scenario, breaks, holds};

const RULES: Rules = Rules {
    written: Written::Checkpoint,
    by_clock: true,
    epoch_is_new: true,
    minds_markers: true,
    after_fence: true,
    stops_whole: true,
    old_has_ended: true,
};

fn keyed(sink: Sink, rules: Rules) -> Savepoint {
    Savepoint {
        sink,
        keyed: true,
        kills: 1,
        rules,
    }
}

fn stateless(sink: Sink, rules: Rules) -> Savepoint {
    Savepoint {
        keyed: false,
        ..keyed(sink, rules)
    }
}

pub(crate) fn scenarios() -> Vec<Scenario> {
    let mut all = right();
    all.extend(naive());
    all
}

fn right() -> Vec<Scenario> {
    let runs_on = Rules {
        old_has_ended: false,
        ..RULES
    };
    let case = |name, about, model: Savepoint| {
        let wide = Savepoint {
            kills: 3,
            ..model.clone()
        };
        holds(name, about, model).or(wide)
    };
    vec![
        case(
            "savepoint/table",
            "a keyed job and a table, restored here or elsewhere; requests of before are late",
            keyed(Idempotent, RULES),
        ),
        case(
            "savepoint/exactly-once",
            "a keyed job and an exactly-once sink: exact after --stop, else refused where it is ahead",
            keyed(Marked, RULES),
        ),
        case(
            "savepoint/exactly-once-stateless",
            "without state it is not given again what it holds",
            stateless(Marked, RULES),
        ),
        case(
            "savepoint/plain",
            "a plain sink lacks nothing",
            keyed(Plain, RULES),
        ),
        case(
            "savepoint/exactly-once-old-host",
            "the old host runs on: one of the two stops, and nothing is there twice",
            keyed(Marked, runs_on),
        ),
    ]
}

fn naive() -> Vec<Scenario> {
    let written = |written| Rules { written, ..RULES };
    vec![
        breaks(
            "savepoint/state-ahead",
            "positions of the checkpoint, and the state as it is in memory",
            [COUNTS, "a job begins from the savepoint on the first host"],
            keyed(Idempotent, written(Written::StateAhead)),
        ),
        breaks(
            "savepoint/batch-under-way",
            "the batch under way is written as if it were done",
            [LACKS, "the first host opens the sink"],
            keyed(Marked, written(Written::Planned)),
        ),
        breaks(
            "savepoint/times-of-savepoint",
            "times go on from the savepoint's alone: what the old run wrote since hides them",
            [WRONG, "the first host checkpoints batch 2"],
            keyed(
                Idempotent,
                Rules {
                    by_clock: false,
                    ..RULES
                },
            ),
        ),
        breaks(
            "savepoint/epoch-kept",
            "the epoch goes on: a marker of the old run speaks for a new batch",
            [TWICE, "the first host delivers batch 2"],
            keyed(
                Marked,
                Rules {
                    epoch_is_new: false,
                    old_has_ended: false,
                    ..RULES
                },
            ),
        ),
        breaks(
            "savepoint/marker-ahead",
            "a keyed job begins though an exactly-once sink is ahead of the savepoint",
            [TWICE, "the first host delivers batch 1"],
            keyed(
                Marked,
                Rules {
                    minds_markers: false,
                    ..RULES
                },
            ),
        ),
        breaks(
            "savepoint/marker-before-fence",
            "what the deploy has seen of the marker is believed at the start",
            [TWICE, "the second host delivers batch 1"],
            keyed(
                Marked,
                Rules {
                    after_fence: false,
                    old_has_ended: false,
                    ..RULES
                },
            ),
        ),
        breaks(
            "savepoint/stopped-while-planned",
            "--stop, and a batch is planned that its sink may have",
            [NEEDLESS, "the second host opens the sink"],
            keyed(
                Marked,
                Rules {
                    stops_whole: false,
                    ..RULES
                },
            ),
        ),
        breaks(
            "savepoint/old-host-runs-on",
            "the old host runs on beside the new one: in a table the slower one has the last word",
            [WRONG, "the first host is gone for good"],
            keyed(
                Idempotent,
                Rules {
                    old_has_ended: false,
                    ..RULES
                },
            ),
        ),
    ]
}
