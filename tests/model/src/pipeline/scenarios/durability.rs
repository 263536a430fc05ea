//! What is synced when: power loss, and the consumer group.

use super::*;

pub(super) fn scenarios() -> Vec<Scenario> {
    let power = Config {
        keyed: true,
        sinks: Sinks {
            hbase: true,
            transactional: 1,
            plain: false,
        },
        faults: Faults {
            power_losses: 1,
            time_outs: 0,
            ..FAULTS
        },
        rules: Rules {
            sync_checkpoint: false,
            ..RULES
        },
        ..base(&[PUT, DELETE, PUT])
    };
    vec![
        breaks(
            "pipeline/group-first",
            "the group is told before the checkpoint",
            ["the group is ahead", "the consumer group is told"],
            Config {
                rules: Rules {
                    group_last: false,
                    ..RULES
                },
                ..base(&[PUT, DELETE, PUT])
            },
        ),
        holds(
            "pipeline/power-loss",
            "intents are synced, which covers the checkpoint before; the group after the sync",
            Config {
                faults: Faults {
                    kills: 0,
                    ..power.faults
                },
                sinks: HBASE,
                ..power.clone()
            },
        )
        .or(power.clone()),
        breaks(
            "pipeline/nothing-synced",
            "power loss, nothing is synced",
            [
                "a reader sees an older value return",
                "late: the put of row 0 for record 1 of batch 1 arrives",
            ],
            Config {
                rules: Rules {
                    sync_intent: false,
                    ..power.rules
                },
                ..power.clone()
            },
        ),
        breaks(
            "pipeline/group-before-sync",
            "power loss, the group is told of a checkpoint that is not synced",
            ["the group is ahead", "the consumer group is told"],
            Config {
                rules: Rules {
                    group_after_sync: false,
                    ..power.rules
                },
                ..power
            },
        ),
    ]
}
