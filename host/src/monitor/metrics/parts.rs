//! Figures of a job's sources, partitions, keyed stages and sinks.

use super::{Family, Labels, MetricType, Samples, Scrape, of_job, of_part};
use crate::api::{JobFacts, StageStatus};
use streamhost_core::limits;
use streamhost_core::types::{Offset, TopicOffsets};
use streamhost_engine::pipeline::{MeterTotals, StageLetters};

/// Calls `see` with each job's partitions, as many as have metrics: the job, labels, topic, number,
/// and how far it is read.
fn each_partition(scrape: &Scrape<'_>, mut see: impl FnMut(&JobFacts, Labels, &str, i32, Offset)) {
    for facts in scrape.jobs.iter().map(|job| job.facts) {
        let mut left = limits::METRIC_PARTITIONS_MAX;
        for source in &facts.status.sources {
            for (&id, &committed) in source.committed.iter().take(left) {
                let mut labels = of_part(facts, "source", &source.name);
                labels.push(("partition", id.to_string()));
                see(facts, labels, &source.target, id, committed);
            }
            left = left.saturating_sub(source.committed.len());
        }
    }
}

fn each_stage(scrape: &Scrape<'_>, samples: &mut Samples, value: impl Fn(&StageStatus) -> u64) {
    for facts in scrape.jobs.iter().map(|job| job.facts) {
        for stage in &facts.status.stages {
            samples.add(of_part(facts, "stage", &stage.name), value(stage));
        }
    }
}

fn offset_of(offsets: &TopicOffsets, topic: &str, id: i32) -> Option<Offset> {
    offsets.get(topic)?.get(&id).copied()
}

fn each_sink(
    scrape: &Scrape<'_>,
    samples: &mut Samples,
    value: impl Fn(&MeterTotals, &str) -> f64,
) {
    for job in &scrape.jobs {
        for sink in &job.facts.status.sinks {
            let labels = of_part(job.facts, "sink", &sink.name);
            samples.add(labels, value(&job.totals, &sink.name));
        }
    }
}

/// Dead letters of all that may have some: sources and keyed stages.
fn letters(scrape: &Scrape<'_>, samples: &mut Samples) {
    for job in &scrape.jobs {
        let facts = job.facts;
        let counted = &job.totals.letters;
        let sources = facts.status.sources.iter().map(|source| &source.name);
        let stages = facts.status.stages.iter().map(|stage| &stage.name);
        for name in sources.chain(stages) {
            let StageLetters { refused, broke } = counted.get(name).copied().unwrap_or_default();
            for (class, count) in [("refused", refused), ("broke", broke)] {
                let mut labels = of_part(facts, "stage", name);
                labels.push(("class", class.to_owned()));
                samples.add(labels, count);
            }
        }
    }
}

/// Sources and their partitions.
const SOURCES: [Family; 5] = [
    Family {
        name: "streamhost_source_records_total",
        kind: MetricType::Counter,
        help: "Records of durable batches by source, since the host's start.",
        samples: |scrape, samples| {
            for job in &scrape.jobs {
                let facts = job.facts;
                let records = &job.totals.records;
                for (number, source) in facts.status.sources.iter().enumerate() {
                    let records = records.get(number).copied().unwrap_or(0);
                    samples.add(of_part(facts, "source", &source.name), records);
                }
            }
        },
    },
    Family {
        name: "streamhost_job_partitions",
        kind: MetricType::Gauge,
        help: "Partitions that the job reads; beyond a limit they have no metrics of their own.",
        samples: |scrape, samples| {
            for job in &scrape.jobs {
                let facts = job.facts;
                let of_sources = facts
                    .status
                    .sources
                    .iter()
                    .map(|s| s.committed.len() as u64);
                samples.add(of_job(facts), of_sources.sum::<u64>());
            }
        },
    },
    Family {
        name: "streamhost_partition_committed_offset",
        kind: MetricType::Gauge,
        help: "The next offset to read, durable.",
        samples: |scrape, samples| {
            each_partition(scrape, |_, labels, _, _, at| samples.add(labels, at as f64));
        },
    },
    Family {
        name: "streamhost_partition_lag_records",
        kind: MetricType::Gauge,
        help: "Records behind the partition's end; absent while not known.",
        samples: |scrape, samples| {
            each_partition(scrape, |facts, labels, topic, id, at| {
                let end = offset_of(&facts.snapshot.ends, topic, id);
                let lag = end.map(|end| u64::try_from(end.saturating_sub(at)).unwrap_or(0));
                samples.known(labels, lag);
            });
        },
    },
    Family {
        name: "streamhost_partition_event_timestamp_seconds",
        kind: MetricType::Gauge,
        help: "The largest event time of the partition, since 1970; absent without event time.",
        samples: |scrape, samples| {
            each_partition(scrape, |facts, labels, topic, id, _| {
                let ms = offset_of(&facts.snapshot.times.event_ms, topic, id);
                samples.known(labels, ms.map(super::seconds));
            });
        },
    },
];

/// Keyed stages, and whatever may have dead letters.
const STAGES: [Family; 3] = [
    Family {
        name: "streamhost_stage_keys",
        kind: MetricType::Gauge,
        help: "Entries that a keyed stage keeps.",
        samples: |scrape, samples| each_stage(scrape, samples, |stage| stage.keys),
    },
    Family {
        name: "streamhost_stage_bytes",
        kind: MetricType::Gauge,
        help: "Bytes that a keyed stage keeps.",
        samples: |scrape, samples| each_stage(scrape, samples, |stage| stage.bytes),
    },
    Family {
        name: "streamhost_stage_dead_letters_total",
        kind: MetricType::Counter,
        help: "Dead letters by the source or keyed stage they are of, since the host's start: refused by the job's code, a sink's limits or its server, or the guest broke on them.",
        samples: letters,
    },
];

const SINKS: [Family; 3] = [
    Family {
        name: "streamhost_sink_rows_total",
        kind: MetricType::Counter,
        help: "Rows delivered to one sink.",
        samples: |scrape, samples| {
            for job in &scrape.jobs {
                let facts = job.facts;
                for sink in &facts.status.sinks {
                    let mut labels = of_part(facts, "sink", &sink.name);
                    labels.push(("place", sink.target.clone()));
                    samples.add(labels, sink.rows);
                }
            }
        },
    },
    Family {
        name: "streamhost_sink_errors_total",
        kind: MetricType::Counter,
        help: "Attempts at a sink that failed and are tried again, since the host's start.",
        samples: |scrape, samples| {
            each_sink(scrape, samples, |totals, sink| {
                let who = format!("sink `{sink}`");
                let errors = totals.errors.get(&who).copied();
                errors.unwrap_or(0) as f64
            });
        },
    },
    Family {
        name: "streamhost_sink_busy_seconds_total",
        kind: MetricType::Counter,
        help: "How long the sink had deliveries, with all their attempts, since the host's start.",
        samples: |scrape, samples| {
            each_sink(scrape, samples, |totals, sink| {
                let busy = totals.sinks.get(sink).copied();
                busy.unwrap_or_default().as_secs_f64()
            });
        },
    },
];

/// All of them.
pub(super) const FAMILIES: [&[Family]; 3] = [&SOURCES, &STAGES, &SINKS];
