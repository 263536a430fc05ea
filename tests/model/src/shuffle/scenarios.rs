//! The scenarios of two stages, as data.

use super::{Frames, LocalStore, Rules, Shuffle, Watermark};
use crate::scenario::{Scenario, breaks, holds};

const RULES: Rules = Rules {
    frames: Frames::Numbered,
    source_intents: true,
    keyed_intents: true,
    intent_is_fenced: true,
    checkpoint_is_fenced: true,
    fence_before_read: true,
    watermark: Watermark::Least,
    times_after_checkpoint: true,
    local_store: LocalStore::AfterCheckpoint,
    restores_to_end: true,
};

/// Faults hit a source task. HBase adds nothing there.
fn at_source() -> Shuffle {
    Shuffle {
        records: [vec![0], vec![1, 0]],
        takeovers: 1,
        kills: 1,
        time_outs: 1,
        faulty: [false, true, false],
        kill_stops_host: false,
        hbase: false,
        rules: RULES,
    }
}

/// Faults hit the keyed task.
fn at_keyed() -> Shuffle {
    Shuffle {
        faulty: [false, false, true],
        hbase: true,
        ..at_source()
    }
}

pub(crate) fn scenarios() -> Vec<Scenario> {
    let mut all = right();
    all.extend(fencing());
    all.extend(frames_and_lines());
    all.extend(state());
    all
}

fn right() -> Vec<Scenario> {
    let in_transaction = Rules {
        frames: Frames::InTransaction,
        ..RULES
    };
    let short = |base: Shuffle| Shuffle {
        records: [vec![0], vec![1]],
        ..base
    };
    vec![
        holds(
            "shuffle/source-zombie-kill",
            "numbered frames; a source task: zombie and kill",
            short(Shuffle {
                time_outs: 0,
                ..at_source()
            }),
        )
        .or(Shuffle {
            kill_stops_host: true,
            time_outs: 0,
            ..at_source()
        }),
        holds(
            "shuffle/source-zombie-time-out",
            "the same: zombie and time-out",
            short(Shuffle {
                kills: 0,
                ..at_source()
            }),
        )
        .or(Shuffle {
            kills: 0,
            ..at_source()
        }),
        holds(
            "shuffle/keyed-zombie-kill",
            "numbered frames; the keyed task: zombie and kill",
            short(Shuffle {
                time_outs: 0,
                ..at_keyed()
            }),
        )
        .or(Shuffle {
            kill_stops_host: true,
            time_outs: 0,
            ..at_keyed()
        }),
        holds(
            "shuffle/keyed-zombie-time-out",
            "the same: zombie and time-out",
            short(Shuffle {
                kills: 0,
                ..at_keyed()
            }),
        )
        .or(Shuffle {
            kills: 0,
            ..at_keyed()
        }),
        holds(
            "shuffle/in-transaction-source",
            "frames in the transaction of a source task, which has no intent then",
            short(Shuffle {
                rules: in_transaction,
                time_outs: 0,
                ..at_source()
            }),
        )
        .or(Shuffle {
            rules: in_transaction,
            kill_stops_host: true,
            time_outs: 0,
            ..at_source()
        }),
        holds(
            "shuffle/in-transaction-keyed",
            "the same, faults at the keyed task",
            short(Shuffle {
                rules: in_transaction,
                time_outs: 0,
                ..at_keyed()
            }),
        )
        .or(Shuffle {
            rules: in_transaction,
            time_outs: 0,
            ..at_keyed()
        }),
        holds(
            "shuffle/more-records",
            "no fault, more records",
            Shuffle {
                records: [vec![0, 1], vec![1, 0, 1]],
                rules: in_transaction,
                takeovers: 0,
                kills: 0,
                time_outs: 0,
                ..at_source()
            },
        ),
        holds(
            "shuffle/source-there-and-back",
            "a source task is taken over there and back",
            short(Shuffle {
                takeovers: 2,
                kills: 0,
                time_outs: 0,
                ..at_source()
            }),
        )
        .or(Shuffle {
            takeovers: 2,
            kills: 0,
            time_outs: 0,
            ..at_source()
        }),
        holds(
            "shuffle/keyed-there-and-back",
            "the keyed task is taken over there and back",
            short(Shuffle {
                takeovers: 2,
                kills: 0,
                time_outs: 0,
                ..at_keyed()
            }),
        )
        .or(Shuffle {
            takeovers: 2,
            kills: 0,
            time_outs: 0,
            ..at_keyed()
        }),
    ]
}

fn fencing() -> Vec<Scenario> {
    let source = |rules: Rules| Shuffle {
        rules,
        kills: 0,
        time_outs: 0,
        ..at_source()
    };
    let keyed = |rules: Rules| Shuffle {
        rules,
        kills: 0,
        time_outs: 0,
        ..at_keyed()
    };
    let intent = Rules {
        intent_is_fenced: false,
        ..RULES
    };
    let read = Rules {
        fence_before_read: false,
        ..RULES
    };
    let checkpoint = Rules {
        checkpoint_is_fenced: false,
        ..RULES
    };
    vec![
        breaks(
            "shuffle/source-intent-not-fenced",
            "a zombie's intent is accepted: a source task",
            ["at rest", "host b, source task 1: checkpoints batch 1"],
            source(intent),
        ),
        breaks(
            "shuffle/keyed-intent-not-fenced",
            "a zombie's intent is accepted: the keyed task",
            [
                "HBase: an older total comes back",
                "the put of batch 1 (host a, keyed task) arrives",
            ],
            keyed(intent),
        ),
        breaks(
            "shuffle/source-read-before-fence",
            "checkpoint and intent are read before the fence: a source task",
            ["at rest", "host b, source task 1: checkpoints batch 1"],
            source(read),
        ),
        breaks(
            "shuffle/keyed-read-before-fence",
            "checkpoint and intent are read before the fence: the keyed task",
            [
                "HBase: an older total comes back",
                "the put of batch 1 (host a, keyed task) arrives",
            ],
            keyed(read),
        ),
        breaks(
            "shuffle/keyed-checkpoint-not-fenced",
            "a zombie's checkpoint is accepted",
            [
                "a window's result is given twice",
                "host b, keyed task: checkpoints batch 1",
            ],
            keyed(checkpoint),
        ),
        breaks(
            "shuffle/host-clocks",
            "times of HBase cells by each host's clock alone",
            [
                "at rest the table shows",
                "host b, keyed task: checkpoints batch 2",
            ],
            keyed(Rules {
                times_after_checkpoint: false,
                ..RULES
            }),
        ),
    ]
}

fn frames_and_lines() -> Vec<Scenario> {
    let alone = |base: Shuffle| Shuffle {
        takeovers: 0,
        ..base
    };
    let not_numbered = Rules {
        frames: Frames::NotNumbered,
        ..RULES
    };
    let no_intent = Rules {
        source_intents: false,
        ..RULES
    };
    let calm = |watermark| Shuffle {
        rules: Rules { watermark, ..RULES },
        kills: 0,
        time_outs: 0,
        ..alone(at_source())
    };
    vec![
        breaks(
            "shuffle/not-numbered-time-out",
            "frames without numbers: a time-out",
            [
                "the state counts",
                "host a, keyed task: checkpoints batch 2",
            ],
            alone(Shuffle {
                rules: not_numbered,
                kills: 0,
                ..at_source()
            }),
        ),
        breaks(
            "shuffle/not-numbered-kill",
            "frames without numbers: a kill",
            [
                "the state counts 3 of 2",
                "host a, keyed task: checkpoints batch 2",
            ],
            alone(Shuffle {
                rules: not_numbered,
                time_outs: 0,
                ..at_source()
            }),
        ),
        breaks(
            "shuffle/source-without-intent",
            "a source task without an intent: a frame dropped as known holds other records",
            ["at rest", "host a, keyed task: checkpoints batch 2"],
            alone(Shuffle {
                records: [vec![0], vec![1, 1]],
                rules: no_intent,
                time_outs: 0,
                ..at_source()
            }),
        ),
        breaks(
            "shuffle/largest-line",
            "the watermark is the largest line",
            ["window 1 counts", "host a, keyed task: checkpoints batch 1"],
            Shuffle {
                records: [vec![0, 1], vec![1, 0, 1]],
                ..calm(Watermark::Largest)
            },
        ),
        breaks(
            "shuffle/heard-lines",
            "the watermark is the least line of the tasks heard so far",
            ["window 1 counts", "host a, keyed task: checkpoints batch 1"],
            Shuffle {
                records: [vec![0, 1], vec![1, 0, 1]],
                ..calm(Watermark::LeastHeard)
            },
        ),
    ]
}

fn state() -> Vec<Scenario> {
    let killed = |rules: Rules| Shuffle {
        rules,
        time_outs: 0,
        takeovers: 0,
        ..at_keyed()
    };
    let no_intent = Rules {
        keyed_intents: false,
        ..RULES
    };
    let changelog = Rules {
        local_store: LocalStore::None,
        ..RULES
    };
    let early = Rules {
        local_store: LocalStore::BeforeCheckpoint,
        ..RULES
    };
    vec![
        breaks(
            "shuffle/keyed-without-intent",
            "the keyed task writes HBase without an intent",
            [
                "HBase: an older total comes back",
                "the put of batch 1 (host a, keyed task) arrives",
            ],
            killed(no_intent),
        ),
        holds(
            "shuffle/keyed-without-intent-inside",
            "the keyed task without outside sinks needs no intent",
            Shuffle {
                rules: no_intent,
                hbase: false,
                kills: 0,
                time_outs: 0,
                ..at_keyed()
            },
        ),
        breaks(
            "shuffle/local-store-early",
            "the local store is written before the checkpoint, and trusted",
            ["at rest", "host a, keyed task: checkpoints batch 1"],
            Shuffle {
                time_outs: 0,
                rules: early,
                ..at_keyed()
            },
        ),
        holds(
            "shuffle/no-local-store",
            "no local store: all is restored from the topic",
            Shuffle {
                records: [vec![0], vec![1]],
                ..killed(changelog)
            },
        )
        .or(Shuffle {
            kill_stops_host: true,
            time_outs: 0,
            rules: changelog,
            ..at_keyed()
        }),
        breaks(
            "shuffle/restored-short",
            "state is restored, but not to the end",
            [
                "HBase: an older total comes back",
                "the put of batch 2 (host a, keyed task) arrives",
            ],
            killed(Rules {
                restores_to_end: false,
                ..changelog
            }),
        ),
    ]
}
