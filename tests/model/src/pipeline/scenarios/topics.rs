//! Transactional topics and their markers; dead letters; a plain topic.

use super::*;

const PP: [Record; 3] = [PUT, DELETE, PUT];

/// A keyed job into transactional topics: one result a batch.
fn into(transactional: usize) -> Config {
    Config {
        keyed: true,
        sinks: Sinks {
            hbase: false,
            transactional,
            plain: false,
        },
        faults: Faults { kills: 2, ..FAULTS },
        ..base(&PP)
    }
}

pub(super) fn scenarios() -> Vec<Scenario> {
    let mut all = markers();
    all.extend(dead_letters());
    all
}

fn markers() -> Vec<Scenario> {
    let once = Faults {
        kills: 1,
        time_outs: 0,
        ..FAULTS
    };
    let with = |rules: Rules| Config {
        rules,
        faults: FAULTS,
        ..into(1)
    };
    let two = |rules: Rules| Config {
        rules,
        faults: once,
        ..into(2)
    };
    let flaky = [PUT, put_with(Fault::Flaky)];
    let early = Rules {
        intent: Intent::BeforeRun,
        ..RULES
    };
    let by_offsets = Rules {
        marker_by_number: false,
        ..RULES
    };
    let window = Config {
        empty_batch: true,
        ..into(1)
    };
    vec![
        holds(
            "pipeline/two-topics",
            "two transactional sinks, state, a result a batch",
            Config {
                faults: FAULTS,
                ..into(2)
            },
        )
        .or(into(2)),
        holds(
            "pipeline/two-topics-concurrent",
            "the same, three batches under way, all in the sinks",
            Config {
                in_flight: 3,
                batch_records: 1,
                faults: once,
                rules: Rules {
                    sink_order: SinkOrder::Concurrent,
                    ..RULES
                },
                ..into(2)
            },
        )
        .or(Config {
            in_flight: 3,
            batch_records: 1,
            faults: FAULTS,
            rules: Rules {
                sink_order: SinkOrder::Concurrent,
                ..RULES
            },
            ..into(2)
        }),
        holds(
            "pipeline/topic-and-table",
            "a transactional sink, an HBase table and state",
            Config {
                faults: once,
                sinks: Sinks {
                    hbase: true,
                    transactional: 1,
                    plain: false,
                },
                ..into(1)
            },
        )
        .or(Config {
            faults: FAULTS,
            sinks: Sinks {
                hbase: true,
                transactional: 2,
                plain: false,
            },
            ..into(2)
        }),
        breaks(
            "pipeline/no-marker",
            "no marker: a batch is sent again after a kill",
            [
                "transactional sink 0 holds a message twice",
                "the host checkpoints batch 2",
            ],
            with(Rules {
                marker: Marker::None,
                ..RULES
            }),
        ),
        breaks(
            "pipeline/shared-marker",
            "one marker for two sinks",
            ["transactional sink 1 lost", "the host checkpoints batch 2"],
            two(Rules {
                marker: Marker::Shared,
                ..RULES
            }),
        ),
        breaks(
            "pipeline/marker-before-fence",
            "the marker is read before the old producer is fenced",
            [
                "transactional sink 0 holds a message twice",
                "the host checkpoints batch 2",
            ],
            with(Rules {
                fence_first: false,
                ..RULES
            }),
        ),
        breaks(
            "pipeline/marker-without-intent",
            "markers, but no intent",
            ["transactional sink 0 lost", "the host checkpoints batch 2"],
            with(Rules {
                intent: Intent::Never,
                ..RULES
            }),
        ),
        breaks(
            "pipeline/marked-intent-before-run",
            "the intent before the run: state and marked sink disagree on a flaky record",
            [
                "a record is dead letter and row",
                "the host checkpoints batch 1",
            ],
            Config {
                records: [flaky.to_vec(), Vec::new()],
                ..with(early)
            },
        ),
        holds(
            "pipeline/marked-flaky-fault",
            "the same with the intent after the run",
            Config {
                records: [flaky.to_vec(), Vec::new()],
                faults: FAULTS,
                ..into(1)
            },
        )
        .or(Config {
            records: [vec![PUT, put_with(Fault::Flaky), PUT], Vec::new()],
            faults: FAULTS,
            ..into(2)
        }),
        breaks(
            "pipeline/marker-by-offsets",
            "the marker is compared by offsets: a window's result without records is lost",
            ["transactional sink 0 lost", "the host checkpoints batch 3"],
            Config {
                rules: by_offsets,
                faults: Faults {
                    kills: 0,
                    time_outs: 0,
                    ..FAULTS
                },
                ..window.clone()
            },
        ),
        holds(
            "pipeline/marker-by-number",
            "the same, compared by batch number",
            Config {
                faults: FAULTS,
                ..window.clone()
            },
        )
        .or(window),
        breaks(
            "pipeline/marker-in-monitors-group",
            "the marker is kept in the group of monitors",
            [
                "the group is ahead",
                "the transaction for sink 0 of batch 1 arrives",
            ],
            Config {
                rules: Rules {
                    marker: Marker::InMonitorsGroup,
                    ..RULES
                },
                ..into(1)
            },
        ),
    ]
}

fn dead_letters() -> Vec<Scenario> {
    let poison = [PUT, put_with(Fault::Poison), PUT];
    let in_one = [PUT, put_with(Fault::PoisonInVersion1)];
    let letters = Config {
        records: [poison.to_vec(), Vec::new()],
        ..into(1)
    };
    let once = Checks {
        letters_once: true,
        ..CHECKS
    };
    let swapped = Config {
        deployments: vec![VERSION_1, VERSION_2],
        records: [in_one.to_vec(), Vec::new()],
        faults: FAULTS,
        ..into(1)
    };
    vec![
        holds(
            "pipeline/letters-plain",
            "dead letters as plain records: none is lost",
            Config {
                faults: FAULTS,
                ..letters.clone()
            },
        )
        .or(letters.clone()),
        breaks(
            "pipeline/letters-plain-doubled",
            "dead letters as plain records: one is doubled by a kill before the checkpoint",
            ["a dead letter is doubled", "the host checkpoints batch 2"],
            Config {
                checks: once,
                ..letters.clone()
            },
        ),
        holds(
            "pipeline/letters-in-sink-transaction",
            "dead letters in a sink's transaction: each once",
            Config {
                checks: once,
                rules: Rules {
                    letters: Letters::InSinkTransaction,
                    ..RULES
                },
                ..letters.clone()
            },
        ),
        holds(
            "pipeline/plain-topic",
            "a plain Kafka sink beside it: nothing is lost",
            Config {
                sinks: Sinks {
                    plain: true,
                    hbase: false,
                    transactional: 1,
                },
                faults: Faults {
                    kills: 1,
                    time_outs: 0,
                    ..FAULTS
                },
                ..letters.clone()
            },
        )
        .or(Config {
            sinks: Sinks {
                plain: true,
                hbase: false,
                transactional: 1,
            },
            faults: FAULTS,
            ..letters
        }),
        breaks(
            "pipeline/letters-while-running",
            "dead letters sent before the intent: the next version makes a row of the record",
            [
                "a record is dead letter and row",
                "the host checkpoints batch 1",
            ],
            Config {
                rules: Rules {
                    letters: Letters::WhileRunning,
                    ..RULES
                },
                faults: Faults { kills: 0, ..FAULTS },
                ..swapped.clone()
            },
        ),
        holds(
            "pipeline/letters-with-sinks",
            "dead letters sent with the sinks, the version swapped",
            swapped.clone(),
        )
        .or(Config {
            records: [
                vec![PUT, put_with(Fault::PoisonInVersion1), PUT],
                Vec::new(),
            ],
            ..swapped
        }),
    ]
}
