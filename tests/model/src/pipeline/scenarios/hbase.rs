//! An HBase table: intents, times, the order of sinks, compactions.

use super::*;

pub(super) fn scenarios() -> Vec<Scenario> {
    let mut all = right();
    all.extend(without_intents());
    all.extend(wrong_times());
    all.extend(wrong_order());
    all.extend(compactions());
    all
}

const PDP: [Record; 3] = [PUT, DELETE, PUT];

fn right() -> Vec<Scenario> {
    let order = |sink_order| Config {
        rules: Rules {
            sink_order,
            ..RULES
        },
        ..base(&PDP)
    };
    vec![
        holds(
            "pipeline/hbase",
            "the protocol, puts and deletes of one row",
            base(&PDP),
        )
        .or(Config {
            faults: Faults {
                kills: 2,
                time_outs: 2,
                ..FAULTS
            },
            ..base(&[PUT, PUT, DELETE, PUT])
        }),
        holds(
            "pipeline/hbase-next-when-acknowledged",
            "the next batch enters the sink once the last is acknowledged, before its checkpoint",
            order(SinkOrder::AfterAcknowledged),
        ),
        holds(
            "pipeline/hbase-concurrent",
            "two batches in the sink at once",
            order(SinkOrder::Concurrent),
        )
        .or(Config {
            in_flight: 3,
            batch_records: 1,
            rules: Rules {
                sink_order: SinkOrder::Concurrent,
                ..RULES
            },
            ..base(&[PUT, DELETE, PUT, PUT])
        }),
    ]
}

fn without_intents() -> Vec<Scenario> {
    let rules = Rules {
        intent: Intent::Never,
        ..RULES
    };
    let early = Rules {
        intent: Intent::BeforeRun,
        ..RULES
    };
    let in_time = Faults {
        time_outs: 0,
        late_requests: false,
        ..FAULTS
    };
    let back = vec![VERSION_1, VERSION_2, VERSION_1];
    let stop = [PUT, put_with(Fault::StopsVersion2)];
    vec![
        breaks(
            "pipeline/no-intent-delete",
            "no intent: a batch cut otherwise leaves a deleted row",
            ["row 0 shows", "the host checkpoints batch 1"],
            Config {
                rules,
                faults: in_time,
                checks: AT_REST,
                ..base(&[PUT, DELETE])
            },
        ),
        breaks(
            "pipeline/no-intent-tombstone",
            "no intent, two batches in the sink: a put stays under a tombstone",
            ["row 0 shows nothing", "the host checkpoints batch 2"],
            Config {
                rules: Rules {
                    sink_order: SinkOrder::Concurrent,
                    ..rules
                },
                faults: in_time,
                checks: AT_REST,
                batch_records: 3,
                ..base(&[PUT, DELETE, PUT, DELETE, PUT])
            },
        ),
        breaks(
            "pipeline/no-intent-readers",
            "no intent, puts alone: what a reader sees",
            [
                "a reader sees an older value return",
                "the put of row 0 for record 1 of batch 1 arrives",
            ],
            Config {
                rules,
                faults: in_time,
                ..base(&[PUT, PUT, PUT])
            },
        ),
        breaks(
            "pipeline/no-intent-rollback",
            "no intent: deploy, crash and rollback leave rows of the other version",
            ["row 2 shows", "the host checkpoints batch 1"],
            Config {
                rules,
                faults: in_time,
                checks: AT_REST,
                deployments: back.clone(),
                ..base(&[PUT])
            },
        ),
        holds(
            "pipeline/deploy-and-rollback",
            "the same with an intent, late requests and time-outs",
            Config {
                deployments: back.clone(),
                ..base(&[PUT, PUT])
            },
        )
        .or(Config {
            deployments: back.clone(),
            ..base(&[PUT, PUT, PUT])
        }),
        breaks(
            "pipeline/intent-before-run",
            "the intent is written before the run: a fault by time limit differs in the replay",
            ["row 0 shows", "the host checkpoints batch 1"],
            Config {
                rules: early,
                faults: in_time,
                checks: AT_REST,
                ..base(&[put_with(Fault::Flaky)])
            },
        ),
        holds(
            "pipeline/flaky-fault",
            "a fault by time limit, the intent written after the run with what it quarantined",
            base(&[PUT, put_with(Fault::Flaky), PUT]),
        ),
        breaks(
            "pipeline/stop-pinned",
            "the intent before the run pins the batch to a version that stops at it",
            ["stuck", "the user deploys deployment 3 (version 1)"],
            Config {
                rules: early,
                deployments: back.clone(),
                faults: Faults {
                    kills: 0,
                    time_outs: 0,
                    ..FAULTS
                },
                ..base(&stop)
            },
        ),
        holds(
            "pipeline/stop-and-rollback",
            "the same with the intent after the run: the rollback helps",
            Config {
                deployments: back,
                ..base(&[PUT, put_with(Fault::StopsVersion2), PUT])
            },
        ),
    ]
}

fn wrong_times() -> Vec<Scenario> {
    let server = Rules {
        times: Times::Server,
        row_in_order: true,
        ..RULES
    };
    let two = Rules {
        sink_order: SinkOrder::Concurrent,
        ..server
    };
    let none = Faults {
        kills: 0,
        time_outs: 0,
        ..FAULTS
    };
    let in_time = Faults {
        time_outs: 0,
        late_requests: false,
        ..FAULTS
    };
    vec![
        holds(
            "pipeline/server-times-no-late-requests",
            "times by the server, if no request outlives its process",
            Config {
                rules: server,
                faults: Faults {
                    kills: 2,
                    ..in_time
                },
                checks: AT_REST,
                ..base(&PDP)
            },
        ),
        holds(
            "pipeline/server-times-two-at-rest",
            "the same with two batches in the sink: the table at rest",
            Config {
                rules: two,
                faults: in_time,
                checks: AT_REST,
                ..base(&PDP)
            },
        ),
        breaks(
            "pipeline/server-times-resend",
            "times by the server, two in the sink: one time-out and a resend",
            ["row 0 shows nothing", "the host checkpoints batch 2"],
            Config {
                rules: two,
                faults: Faults {
                    kills: 0,
                    late_requests: false,
                    ..FAULTS
                },
                checks: AT_REST,
                ..base(&PDP)
            },
        ),
        breaks(
            "pipeline/server-times-readers",
            "times by the server, two in the sink: what a reader sees after a kill",
            [
                "a reader sees an older value return",
                "the put of row 0 for record 1 of batch 1 arrives",
            ],
            Config {
                rules: two,
                faults: in_time,
                ..base(&PDP)
            },
        ),
        breaks(
            "pipeline/server-times-late-after-kill",
            "times by the server, one batch in the sink: a late request of the killed process",
            ["row 0 shows nothing", "the host checkpoints batch 2"],
            Config {
                rules: server,
                faults: Faults {
                    time_outs: 0,
                    ..FAULTS
                },
                checks: AT_REST,
                ..base(&PDP)
            },
        ),
        breaks(
            "pipeline/server-times-late-after-time-out",
            "times by the server, no kill: a request that timed out arrives late",
            ["row 0 shows nothing", "the host checkpoints batch 2"],
            Config {
                rules: server,
                faults: Faults { kills: 0, ..FAULTS },
                checks: AT_REST,
                ..base(&PDP)
            },
        ),
        breaks(
            "pipeline/server-times-one-call",
            "times by the server, no fault: delete and put of a row in one call",
            ["row 0 shows nothing", "the host checkpoints batch 2"],
            Config {
                rules: Rules {
                    row_in_order: false,
                    ..server
                },
                faults: none,
                checks: AT_REST,
                ..base(&PDP)
            },
        ),
        breaks(
            "pipeline/one-time-per-batch",
            "one time for deletes and puts of a batch",
            ["row 0 shows nothing", "the host checkpoints batch 2"],
            Config {
                rules: Rules {
                    times: Times::OnePerBatch,
                    ..RULES
                },
                faults: none,
                checks: AT_REST,
                ..base(&PDP)
            },
        ),
    ]
}

fn wrong_order() -> Vec<Scenario> {
    vec![breaks(
        "pipeline/checkpoint-first",
        "the checkpoint before the sinks",
        [
            "row 0 shows nothing",
            "the host starts and takes its intents up",
        ],
        Config {
            rules: Rules {
                checkpoint_last: false,
                ..RULES
            },
            ..base(&PDP)
        },
    )]
}

fn compactions() -> Vec<Scenario> {
    let compacting = Faults {
        compactions: 1,
        ..FAULTS
    };
    let in_time = Faults {
        time_outs: 0,
        late_requests: false,
        ..compacting
    };
    let pd = [PUT, DELETE];
    let pdpd = [PUT, DELETE, PUT, DELETE];
    let order = |sink_order| Rules {
        sink_order,
        ..RULES
    };
    vec![
        breaks(
            "pipeline/compaction-late-request",
            "a request that arrives after a major compaction brings a deleted cell back",
            ["row 0 shows", "the host checkpoints batch 2"],
            Config {
                faults: compacting,
                checks: AT_REST,
                ..base(&pd)
            },
        ),
        holds(
            "pipeline/compaction-serial",
            "a major compaction and no late requests: the table, and what readers see",
            Config {
                faults: Faults {
                    late_requests: false,
                    kills: 1,
                    ..compacting
                },
                ..base(&pdpd)
            },
        )
        .or(Config {
            faults: Faults {
                late_requests: false,
                kills: 2,
                ..compacting
            },
            ..base(&pdpd)
        }),
        breaks(
            "pipeline/compaction-rows-out-of-order",
            "two in the sink, a row's requests not in order",
            ["row 0 shows", "the host checkpoints batch 3"],
            Config {
                rules: order(SinkOrder::Concurrent),
                faults: in_time,
                checks: AT_REST,
                ..base(&pdpd)
            },
        ),
        holds(
            "pipeline/compaction-rows-in-order",
            "the same with a row's requests in order: the table at rest",
            Config {
                rules: Rules {
                    row_in_order: true,
                    ..order(SinkOrder::Concurrent)
                },
                faults: Faults {
                    kills: 2,
                    ..in_time
                },
                checks: AT_REST,
                ..base(&pdpd)
            },
        ),
        breaks(
            "pipeline/compaction-readers-concurrent",
            "two in the sink: what a reader sees",
            [
                "a reader sees an older value return",
                "the put of row 0 for record 1 of batch 1 arrives",
            ],
            Config {
                rules: order(SinkOrder::Concurrent),
                faults: in_time,
                ..base(&pd)
            },
        ),
        breaks(
            "pipeline/compaction-readers-acknowledged",
            "the next in the sink once the last is acknowledged: what a reader sees",
            [
                "a reader sees an older value return",
                "the put of row 0 for record 1 of batch 1 arrives",
            ],
            Config {
                rules: order(SinkOrder::AfterAcknowledged),
                faults: in_time,
                ..base(&pd)
            },
        ),
        holds(
            "pipeline/compaction-after-acknowledged",
            "the same, the table at rest",
            Config {
                rules: order(SinkOrder::AfterAcknowledged),
                faults: Faults {
                    kills: 2,
                    ..in_time
                },
                checks: AT_REST,
                ..base(&pdpd)
            },
        ),
    ]
}
