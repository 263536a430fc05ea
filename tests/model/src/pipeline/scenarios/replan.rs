//! Planned batches that are given up, so that a new version runs their records.

use super::*;

pub(super) fn scenarios() -> Vec<Scenario> {
    let replanning = Deployment {
        version: 2,
        canary: None,
        resets_state: false,
        replans: true,
    };
    let topic = Sinks {
        hbase: false,
        transactional: 1,
        plain: false,
    };
    let both = Sinks {
        hbase: true,
        plain: true,
        ..topic
    };
    let into_topic = Config {
        deployments: vec![VERSION_1, replanning],
        sinks: topic,
        checks: AT_REST,
        ..base(&[PUT, PUT, PUT])
    };
    let into_table = Config {
        sinks: HBASE,
        ..into_topic.clone()
    };
    let counts = Config {
        records: [vec![PUT, PUT], Vec::new()],
        keyed: true,
        ..into_table.clone()
    };
    let with = |replan, config: &Config| Config {
        rules: Rules { replan, ..RULES },
        ..config.clone()
    };
    vec![
        holds(
            "pipeline/replan-topic",
            "planned batches are given up: a transactional sink has each record once",
            into_topic.clone(),
        )
        .or(Config {
            sinks: both,
            ..into_topic.clone()
        }),
        holds(
            "pipeline/replan-table",
            "the same with a table: at rest it shows what the new version wrote",
            into_table.clone(),
        ),
        holds(
            "pipeline/replan-state",
            "the same with a running count: each record is counted once",
            Config {
                faults: Faults {
                    time_outs: 0,
                    ..FAULTS
                },
                ..counts.clone()
            },
        )
        .or(counts),
        breaks(
            "pipeline/replan-numbers-again",
            "the numbers of what was given up are used again: an old marker speaks for a new batch",
            [
                "transactional sink 0 lost a message",
                "the host checkpoints batch 2",
            ],
            with(
                Replan {
                    passes_numbers: false,
                    ..REPLAN
                },
                &into_topic,
            ),
        ),
        breaks(
            "pipeline/replan-times-again",
            "the times of what was given up are used again: a late request has the last word",
            ["row 0 shows", "the host checkpoints batch 3"],
            with(
                Replan {
                    passes_times: false,
                    ..REPLAN
                },
                &into_table,
            ),
        ),
        breaks(
            "pipeline/replan-given-twice",
            "a sink is given the rows of records that it has of a batch that was given up",
            [
                "transactional sink 0 holds a message twice",
                "the host checkpoints batch 3",
            ],
            with(
                Replan {
                    leaves_out: false,
                    ..REPLAN
                },
                &into_topic,
            ),
        ),
    ]
}
