//! Deployments: swaps, rollbacks, state that begins anew.

use super::*;

pub(super) fn scenarios() -> Vec<Scenario> {
    let resetting = Deployment {
        version: 2,
        canary: None,
        resets_state: true,
        replans: false,
    };
    let two = Config {
        records: [vec![PUT, PUT], vec![PUT]],
        deployments: vec![VERSION_1, VERSION_2, VERSION_1],
        batch_records: 1,
        keyed: true,
        sinks: Sinks {
            hbase: true,
            transactional: 1,
            plain: false,
        },
        faults: Faults {
            kills: 1,
            time_outs: 0,
            ..FAULTS
        },
        ..base(&[])
    };
    let topic = Sinks {
        hbase: false,
        transactional: 1,
        plain: false,
    };
    let reset = Config {
        deployments: vec![VERSION_1, resetting],
        sinks: topic,
        ..two.clone()
    };
    vec![
        holds(
            "pipeline/swap-and-rollback",
            "two partitions, version 1, 2, 1, state and a transactional sink",
            Config {
                sinks: topic,
                ..two.clone()
            },
        )
        .or(two.clone()),
        holds(
            "pipeline/reset-in-checkpoint",
            "a version that begins state anew does so in a checkpoint",
            reset.clone(),
        )
        .or(Config {
            faults: FAULTS,
            ..reset.clone()
        }),
        breaks(
            "pipeline/deployment-used-early",
            "a batch uses a deployment before its record is durable",
            [
                "deployments change back",
                "the host writes the intent of batch 2",
            ],
            Config {
                rules: Rules {
                    record_first: false,
                    ..RULES
                },
                sinks: topic,
                ..two
            },
        ),
        breaks(
            "pipeline/reset-at-deploy",
            "state is reset when the version is deployed, not in a checkpoint",
            ["the state counts", "the host checkpoints batch 2"],
            Config {
                rules: Rules {
                    reset_in_checkpoint: false,
                    ..RULES
                },
                sinks: Sinks {
                    hbase: false,
                    transactional: 0,
                    plain: false,
                },
                ..reset
            },
        ),
    ]
}
