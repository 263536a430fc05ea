//! The scenarios of where a job begins, as data.

use super::Decision::{self, AtGroup, AtMarkers, AtStart, GoOn, Refuse};
use super::Sink::{Marked, Plain};
use super::{Begin, Events, Rules, Sink};
use crate::scenario::{Scenario, breaks, holds};

const RULES: Rules = Rules {
    otherwise: None,
    marker_names_target: true,
    already_written_names_target: true,
    target_of_intent: true,
    epoch_is_new: true,
    latest_is_fixed: true,
    announces: true,
    announces_held: true,
    marker_keeps_held: true,
};

const ALL: Events = Events {
    lose_folder: true,
    undeploy: true,
    delete_group: true,
    expire_marker: true,
    retarget: true,
    reset: true,
    say_start: true,
};

fn base(sinks: &[Sink]) -> Begin {
    Begin {
        sinks: sinks.to_vec(),
        keyed: false,
        rereads: false,
        records: 2,
        produced: 1,
        kills: 1,
        events: 2,
        allowed: ALL,
        excuses_no_trace: true,
        excuses_return: true,
        rules: RULES,
    }
}

pub(crate) fn scenarios() -> Vec<Scenario> {
    let mut all = right();
    all.extend(rules());
    all.extend(otherwise());
    all
}

fn wide(begin: Begin) -> Begin {
    Begin {
        records: 3,
        events: 3,
        kills: 2,
        ..begin
    }
}

fn right() -> Vec<Scenario> {
    let keyed = |sinks: &[Sink]| Begin {
        keyed: true,
        ..base(sinks)
    };
    let file = |sinks: &[Sink]| Begin {
        rereads: true,
        ..base(sinks)
    };
    let case = |name, about, begin: Begin| holds(name, about, begin.clone()).or(wide(begin));
    vec![
        case(
            "begin/exactly-once",
            "an exactly-once sink",
            base(&[Marked]),
        ),
        case(
            "begin/exactly-once-twice",
            "two exactly-once sinks",
            base(&[Marked, Marked]),
        ),
        case(
            "begin/exactly-once-and-plain",
            "one beside a plain sink",
            base(&[Marked, Plain]),
        ),
        case("begin/plain", "a plain sink", base(&[Plain])),
        case(
            "begin/keyed-exactly-once",
            "a keyed job, exactly once",
            keyed(&[Marked]),
        ),
        case(
            "begin/keyed-plain",
            "a keyed job, a plain sink",
            keyed(&[Plain]),
        ),
        case(
            "begin/file",
            "a file into an exactly-once sink",
            file(&[Marked]),
        ),
    ]
}

fn rules() -> Vec<Scenario> {
    let with = |rules: Rules| Begin {
        rules,
        ..base(&[Marked])
    };
    let gone = Begin {
        events: 3,
        excuses_no_trace: false,
        ..base(&[Marked])
    };
    let back = Begin {
        events: 3,
        records: 3,
        excuses_return: false,
        ..base(&[Marked])
    };
    let silent = Rules {
        announces: false,
        ..RULES
    };
    vec![
        breaks(
            "begin/marker-without-target",
            "a marker does not name its target: a new one begins where the old one ended",
            [
                LACKS,
                "the user deploys, start=earliest, another target for sink 0",
            ],
            with(Rules {
                marker_names_target: false,
                ..RULES
            }),
        ),
        breaks(
            "begin/target-of-deployment",
            "a marker is compared with the target of the newest deployment, not of the intent",
            [TWICE, "sink 0 has batch 1"],
            with(Rules {
                target_of_intent: false,
                ..RULES
            }),
        ),
        breaks(
            "begin/already-written-elsewhere",
            "what a sink held already is not said of a target: a new one is not given it",
            [LACKS, "the host checkpoints batch 1"],
            Begin {
                sinks: vec![Marked, Marked],
                ..with(Rules {
                    already_written_names_target: false,
                    ..RULES
                })
            },
        ),
        breaks(
            "begin/epoch-again",
            "an epoch is used again: old markers speak for new batches",
            [LACKS, "the host checkpoints batch 1"],
            Begin {
                allowed: Events {
                    reset: false,
                    ..ALL
                },
                ..with(Rules {
                    epoch_is_new: false,
                    ..silent
                })
            },
        ),
        breaks(
            "begin/latest-not-fixed",
            "`latest` is resolved after the deploy is acknowledged: records between are lost",
            [LACKS, "the host resolves `latest`"],
            with(Rules {
                latest_is_fixed: false,
                ..RULES
            }),
        ),
        breaks(
            "begin/not-announced",
            "after --reset-state, group and marker say the old offsets until the first batch",
            [LACKS, "the user deploys"],
            with(silent),
        ),
        breaks(
            "begin/announced-too-low",
            "the marker of a new epoch takes back what the sink holds",
            [TWICE, "sink 0 has batch 1"],
            Begin {
                sinks: vec![Marked, Marked],
                ..with(Rules {
                    announces_held: false,
                    ..RULES
                })
            },
        ),
        breaks(
            "begin/marker-falls",
            "the marker of a batch that left records out takes back what the sink holds",
            [TWICE, "sink 0 has batch 1"],
            Begin {
                sinks: vec![Marked, Marked],
                ..with(Rules {
                    marker_keeps_held: false,
                    ..RULES
                })
            },
        ),
        breaks(
            "begin/no-trace",
            "data folder, group and marker are gone: nothing tells that the job ran",
            [TWICE, "sink 0 has batch 1"],
            gone,
        ),
        breaks(
            "begin/target-again",
            "a sink leaves a target and comes back, and the checkpoint is lost",
            [TWICE, "sink 0 has batch 1"],
            back,
        ),
    ]
}

const TWICE: &str = "an exactly-once sink holds a record twice";
const LACKS: &str = "an exactly-once sink lacks a record";
const NEEDLESS: &str = "refused, though nothing would be lost or doubled";
const COUNTS: &str = "the state counts";
const PLAIN_LACKS: &str = "a plain sink lacks a record";
const PLAIN_REPEATS: &str = "a plain sink repeats more than the lag";

/// A row of the policy that decides otherwise, and what comes of it.
fn otherwise() -> Vec<Scenario> {
    let one = base(&[Marked]);
    let two = base(&[Marked, Marked]);
    let plain = base(&[Plain]);
    let keyed = Begin {
        keyed: true,
        ..one.clone()
    };
    let keyed_plain = Begin {
        keyed: true,
        ..plain.clone()
    };
    let file = Begin {
        rereads: true,
        ..one.clone()
    };
    let long = Begin {
        events: 3,
        ..one.clone()
    };
    let unsaid = Events {
        say_start: false,
        ..ALL
    };
    let silent_start = Begin {
        allowed: unsaid,
        ..one.clone()
    };
    let two_silent = Begin {
        allowed: unsaid,
        ..two.clone()
    };
    let case = |name, about, row: (&'static str, Decision), begin: &Begin, expected| {
        let rules = Rules {
            otherwise: Some(row),
            ..RULES
        };
        breaks(
            name,
            about,
            expected,
            Begin {
                rules,
                ..begin.clone()
            },
        )
    };
    vec![
        case(
            "begin/reset-goes-on",
            "--reset-state, and the job goes on",
            ("reset", GoOn),
            &one,
            [LACKS, "the user deploys, --reset-state"],
        ),
        case(
            "begin/reset-at-marker",
            "--reset-state, and the marker counts",
            ("reset", AtMarkers),
            &one,
            [LACKS, "the user deploys, --reset-state"],
        ),
        case(
            "begin/checkpoint-at-group",
            "a checkpoint, and the group counts",
            ("checkpoint", AtGroup),
            &one,
            [TWICE, "sink 0 has batch 1"],
        ),
        case(
            "begin/checkpoint-at-start",
            "a checkpoint, and `start` counts",
            ("checkpoint", AtStart),
            &one,
            [TWICE, "sink 0 has batch 1"],
        ),
        case(
            "begin/checkpoint-at-marker",
            "a checkpoint, and the marker counts",
            ("checkpoint", AtMarkers),
            &keyed,
            [COUNTS, "the user deploys"],
        ),
        case(
            "begin/deleted-at-marker",
            "state was deleted, and the marker counts",
            ("state-deleted", AtMarkers),
            &keyed,
            [COUNTS, "the user deploys"],
        ),
        case(
            "begin/deleted-at-group",
            "state was deleted, and the group counts",
            ("state-deleted", AtGroup),
            &keyed_plain,
            [COUNTS, "the user deploys"],
        ),
        case(
            "begin/lost-at-marker",
            "state is lost, and the marker counts",
            ("state-lost-marker", AtMarkers),
            &keyed,
            [COUNTS, "the user deploys"],
        ),
        case(
            "begin/lost-at-start",
            "state is lost, and `start` counts",
            ("state-lost-marker", AtStart),
            &Begin {
                allowed: Events {
                    say_start: false,
                    ..ALL
                },
                ..keyed.clone()
            },
            [TWICE, "sink 0 has batch 1"],
        ),
        case(
            "begin/lost-at-group",
            "state is lost, and the group counts",
            ("state-lost-group", AtGroup),
            &keyed_plain,
            [COUNTS, "the user deploys"],
        ),
        case(
            "begin/partial-at-marker",
            "one of two sinks has a marker, and it counts",
            ("marker-partial", AtMarkers),
            &two_silent,
            [LACKS, "the user deploys"],
        ),
        case(
            "begin/partial-at-start",
            "one of two sinks has a marker, and `start` counts",
            ("marker-partial", AtStart),
            &two,
            [TWICE, "sink 0 has batch 1"],
        ),
        case(
            "begin/absent-at-group",
            "no marker, and the group counts",
            ("marker-absent-group", AtGroup),
            &silent_start,
            [TWICE, "sink 0 has batch 1"],
        ),
        case(
            "begin/absent-at-start",
            "no marker, undeployed, and `start` counts",
            ("marker-absent-undeployed", AtStart),
            &long,
            [TWICE, "sink 0 has batch 1"],
        ),
        case(
            "begin/file-at-marker",
            "a file, and the marker counts",
            ("marker-of-files", AtMarkers),
            &file,
            [TWICE, "sink 0 has batch 1"],
        ),
        case(
            "begin/marker-at-group",
            "a marker, and the group counts",
            ("marker", AtGroup),
            &one,
            [TWICE, "sink 0 has batch 1"],
        ),
        case(
            "begin/marker-at-start",
            "a marker, and `start` counts",
            ("marker", AtStart),
            &one,
            [LACKS, "the user deploys, start=latest"],
        ),
        case(
            "begin/marker-refused",
            "a marker, and the job is refused",
            ("marker", Refuse),
            &one,
            [NEEDLESS, "the user deploys"],
        ),
        case(
            "begin/start-at-group",
            "`start` is said, and the group counts",
            ("start", AtGroup),
            &plain,
            [
                PLAIN_LACKS,
                "the user deploys, start=earliest, another target for sink 0",
            ],
        ),
        case(
            "begin/group-at-start",
            "the group holds offsets, and `start` counts",
            ("group", AtStart),
            &plain,
            [PLAIN_REPEATS, "sink 0 has batch 1"],
        ),
        case(
            "begin/new-refused",
            "a new job is refused",
            ("new", Refuse),
            &one,
            [NEEDLESS, "the user deploys"],
        ),
    ]
}
