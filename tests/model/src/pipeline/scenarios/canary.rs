//! A canary: one version runs a part of the records, and another one the rest. What runs which part
//! is a deployment's; to widen it is another deployment.

use super::*;

pub(super) fn scenarios() -> Vec<Scenario> {
    let part = Deployment {
        canary: Some((1, 2)),
        ..VERSION_1
    };
    let topic = Sinks {
        hbase: false,
        transactional: 1,
        plain: false,
    };
    let canary = Config {
        records: [vec![PUT, PUT], vec![PUT, DELETE]],
        deployments: vec![VERSION_1, part, VERSION_2],
        batch_records: 1,
        sinks: topic,
        faults: Faults {
            kills: 1,
            time_outs: 0,
            ..FAULTS
        },
        ..base(&[])
    };
    let dropped = Config {
        records: [vec![PUT], vec![put_with(Fault::PoisonInVersion1), PUT]],
        deployments: vec![part, VERSION_1],
        sinks: Sinks {
            hbase: true,
            ..topic
        },
        ..canary.clone()
    };
    let in_memory = Rules {
        parts_by_deployment: false,
        ..RULES
    };
    vec![
        holds(
            "pipeline/canary",
            "a version runs one partition's records beside the active one, and then all",
            canary.clone(),
        )
        .or(Config {
            faults: FAULTS,
            ..canary.clone()
        }),
        holds(
            "pipeline/canary-dropped",
            "a canary ends, and the version before it runs all records again",
            dropped.clone(),
        ),
        breaks(
            "pipeline/canary-part-not-named",
            "a batch that is run again is split as the canary stands then, into a topic",
            ["transactional sink 0 lost", "the host checkpoints batch 2"],
            Config {
                rules: in_memory,
                ..canary
            },
        ),
        breaks(
            "pipeline/canary-part-not-named-table",
            "the same, into a table",
            ["row 3 shows nothing", "the host checkpoints batch 2"],
            Config {
                rules: in_memory,
                sinks: HBASE,
                ..dropped
            },
        ),
    ]
}
