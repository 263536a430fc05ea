//! The checkpoint log is lost.

use super::*;

pub(super) fn scenarios() -> Vec<Scenario> {
    let lost = Config {
        faults: Faults {
            log_losses: 1,
            time_outs: 0,
            ..FAULTS
        },
        checks: AT_REST,
        ..base(&[PUT, DELETE, PUT])
    };
    let table = |after_loss: AfterLoss| Config {
        rules: Rules {
            after_loss,
            ..RULES
        },
        ..lost.clone()
    };
    let group = AfterLoss {
        resume_at: ResumeAt::Group,
        ..AFTER_LOSS
    };
    let topics = |transactional, after_loss: AfterLoss| Config {
        sinks: Sinks {
            hbase: false,
            transactional,
            plain: false,
        },
        ..table(after_loss)
    };
    let marker = AfterLoss {
        resume_at: ResumeAt::LeastMarker,
        new_epoch: true,
        ..AFTER_LOSS
    };
    let at_least_once = Checks {
        exactly_once: false,
        ..AT_REST
    };
    vec![
        holds(
            "pipeline/lost-earliest",
            "a table, from earliest",
            table(AFTER_LOSS),
        ),
        holds(
            "pipeline/lost-group",
            "a table, from the group's offsets",
            table(group),
        ),
        breaks(
            "pipeline/lost-times-from-batch",
            "times begin again at 0: new puts lie under old tombstones",
            ["row 0 shows nothing", "the host checkpoints batch 1"],
            table(AfterLoss {
                times_from_clock: false,
                ..group
            }),
        ),
        breaks(
            "pipeline/lost-count-from-group",
            "a running count goes on from the group's offsets, and begins at 0",
            [
                "the running count in the table is wrong",
                "the host checkpoints batch 1",
            ],
            Config {
                keyed: true,
                ..table(group)
            },
        ),
        holds(
            "pipeline/lost-count-from-earliest",
            "a running count is computed again from earliest",
            Config {
                keyed: true,
                ..table(AFTER_LOSS)
            },
        ),
        breaks(
            "pipeline/lost-topic-from-group",
            "a transactional sink, from the group's offsets",
            [
                "transactional sink 0 holds a message twice",
                "the host checkpoints batch 22",
            ],
            topics(
                1,
                AfterLoss {
                    new_epoch: true,
                    ..group
                },
            ),
        ),
        holds(
            "pipeline/lost-topic-from-marker",
            "a transactional sink, from its marker",
            topics(1, marker),
        ),
        breaks(
            "pipeline/lost-topic-not-fenced",
            "the same, the marker read before the fence",
            [
                "transactional sink 0 holds a message twice",
                "the host checkpoints batch 22",
            ],
            topics(
                1,
                AfterLoss {
                    fences: false,
                    ..marker
                },
            ),
        ),
        holds(
            "pipeline/lost-topics-already-written",
            "two sinks, from the least marker, each without the records below its own",
            topics(
                2,
                AfterLoss {
                    leaves_out_records: true,
                    ..marker
                },
            ),
        ),
        breaks(
            "pipeline/lost-topics-from-least",
            "two sinks, from the least marker alone",
            [
                "transactional sink 0 holds a message twice",
                "the host checkpoints batch 22",
            ],
            topics(2, marker),
        ),
        holds(
            "pipeline/lost-topics-nothing-lost",
            "the same: at least nothing is lost",
            Config {
                checks: at_least_once,
                ..topics(2, marker)
            },
        ),
        breaks(
            "pipeline/lost-numbers-restart",
            "numbers begin again in the same epoch, and old markers speak for new batches",
            ["transactional sink 0 lost", "the host checkpoints batch 2"],
            Config {
                checks: at_least_once,
                ..topics(1, AFTER_LOSS)
            },
        ),
    ]
}
