//! Figures that each job has once.

use super::{Family, MetricType, Samples, Scrape, ScrapedJob, Value, of_job, of_part, seconds};
use crate::api::JobState;
use crate::monitor::summary::lag_seconds;
use streamhost_core::types::{END_OF_TIME_MS, NO_TIME_MS};
use streamhost_engine::pipeline::BatchStep;

const STATES: [(JobState, &str); 5] = [
    (JobState::Running, "running"),
    (JobState::Paused, "paused"),
    (JobState::Retrying, "retrying"),
    (JobState::Stopped, "stopped"),
    (JobState::Finished, "finished"),
];

/// A sample for each job of which it is known.
fn each<V: Into<Value>>(
    scrape: &Scrape<'_>,
    samples: &mut Samples,
    value: impl Fn(&ScrapedJob<'_>) -> Option<V>,
) {
    for job in &scrape.jobs {
        samples.known(of_job(job.facts), value(job));
    }
}

/// What a job is and does.
const STANDING: [Family; 8] = [
    Family {
        name: "streamhost_job_info",
        kind: MetricType::Gauge,
        help: "Always 1; its labels say what the next batch runs.",
        samples: |scrape, samples| {
            for job in &scrape.jobs {
                let facts = job.facts;
                let (status, mut labels) = (&facts.status, of_job(facts));
                labels.push(("version", status.version.to_string()));
                labels.push(("deployment", status.deployment.to_string()));
                labels.push(("digest", status.digest.clone()));
                labels.push(("group", status.group.clone()));
                samples.add(labels, 1);
            }
        },
    },
    Family {
        name: "streamhost_job_version",
        kind: MetricType::Gauge,
        help: "The version that the next batch runs.",
        samples: |scrape, samples| each(scrape, samples, |job| Some(job.facts.status.version)),
    },
    Family {
        name: "streamhost_job_deployment",
        kind: MetricType::Gauge,
        help: "The number of the deployment that is active.",
        samples: |scrape, samples| each(scrape, samples, |job| Some(job.facts.status.deployment)),
    },
    Family {
        name: "streamhost_job_state",
        kind: MetricType::Gauge,
        help: "1 for the state that the job is in, 0 for the others.",
        samples: |scrape, samples| {
            for job in &scrape.jobs {
                let facts = job.facts;
                for (state, name) in STATES {
                    let is = u64::from(facts.status.state == state);
                    samples.add(of_part(facts, "state", name), is);
                }
            }
        },
    },
    Family {
        name: "streamhost_job_over_budget",
        kind: MetricType::Gauge,
        help: "For each budget of the active version, 1 while it is over it, else 0.",
        samples: |scrape, samples| {
            for job in &scrape.jobs {
                let facts = job.facts;
                for budget in &facts.status.budgets {
                    let is_over = u64::from(budget.over);
                    samples.add(of_part(facts, "budget", &budget.budget), is_over);
                }
            }
        },
    },
    Family {
        name: "streamhost_job_rollbacks_total",
        kind: MetricType::Counter,
        help: "How often the host has rolled the job back by itself, since it started.",
        samples: |scrape, samples| each(scrape, samples, |job| Some(job.facts.rollbacks)),
    },
    Family {
        name: "streamhost_job_cpu_seconds_total",
        kind: MetricType::Counter,
        help: "CPU time of the job's threads, its guest's included; not of the Kafka client's.",
        samples: |scrape, samples| {
            each(scrape, samples, |job| Some(job.totals.cpu.as_secs_f64()));
        },
    },
    Family {
        name: "streamhost_job_guest_memory_bytes",
        kind: MetricType::Gauge,
        help: "Memory that the instances of the job's component hold, all lanes together.",
        samples: |scrape, samples| {
            each(scrape, samples, |job| {
                Some(job.facts.meter.guest_memory_bytes())
            });
        },
    },
];

/// Counts of durable batches, which are part of the checkpoint.
const COUNTS: [Family; 7] = [
    Family {
        name: "streamhost_job_records_in_total",
        kind: MetricType::Counter,
        help: "Records read, of durable batches.",
        samples: |scrape, samples| each(scrape, samples, |job| Some(job.facts.status.records_in)),
    },
    Family {
        name: "streamhost_job_rows_out_total",
        kind: MetricType::Counter,
        help: "Rows delivered, all sinks together.",
        samples: |scrape, samples| each(scrape, samples, |job| Some(job.facts.status.rows_out)),
    },
    Family {
        name: "streamhost_job_dead_letters_total",
        kind: MetricType::Counter,
        help: "Records sent to the dead letters.",
        samples: |scrape, samples| {
            each(scrape, samples, |job| Some(job.facts.status.dead_letters));
        },
    },
    Family {
        name: "streamhost_job_dropped_total",
        kind: MetricType::Counter,
        help: "Records that the author filtered away.",
        samples: |scrape, samples| each(scrape, samples, |job| Some(job.facts.status.dropped)),
    },
    Family {
        name: "streamhost_job_late_total",
        kind: MetricType::Counter,
        help: "Records that came too late for a window or join.",
        samples: |scrape, samples| each(scrape, samples, |job| Some(job.facts.status.late)),
    },
    Family {
        name: "streamhost_job_timeless_total",
        kind: MetricType::Counter,
        help: "Records without a time of their own, which had that of their batch.",
        samples: |scrape, samples| each(scrape, samples, |job| Some(job.facts.status.timeless)),
    },
    Family {
        name: "streamhost_job_batches_total",
        kind: MetricType::Counter,
        help: "Batches that are durable.",
        samples: |scrape, samples| each(scrape, samples, |job| Some(job.facts.status.batches)),
    },
];

/// How far behind it is, and how long things take.
const PACE: [Family; 9] = [
    Family {
        name: "streamhost_job_lag_records",
        kind: MetricType::Gauge,
        help: "Records behind the ends of all partitions; absent while not known.",
        samples: |scrape, samples| each(scrape, samples, |job| job.facts.status.lag),
    },
    Family {
        name: "streamhost_job_lag_seconds",
        kind: MetricType::Gauge,
        help: "Age of the oldest record that was read and is not durable; 0 at the ends; absent while not known.",
        samples: |scrape, samples| {
            let now_ms = scrape.now_ms;
            each(scrape, samples, |job| {
                lag_seconds(&job.facts.status, Some(job.history), now_ms)
            });
        },
    },
    Family {
        name: "streamhost_job_last_checkpoint_timestamp_seconds",
        kind: MetricType::Gauge,
        help: "When a batch became durable last, since 1970; absent until one does after the host's start.",
        samples: |scrape, samples| {
            each(scrape, samples, |job| job.history.durable_ms().map(seconds));
        },
    },
    Family {
        name: "streamhost_job_batch_under_way_seconds",
        kind: MetricType::Gauge,
        help: "How long the oldest batch that is not durable has been in its present step; 0 while there is none.",
        samples: |scrape, samples| {
            each(scrape, samples, |job| {
                let under_way = job.facts.meter.under_way();
                Some(under_way.map_or(0.0, |batch| batch.took.as_secs_f64()))
            });
        },
    },
    Family {
        name: "streamhost_job_watermark_timestamp_seconds",
        kind: MetricType::Gauge,
        help: "Event time up to which all partitions have come, since 1970; absent while there is none.",
        samples: |scrape, samples| {
            each(scrape, samples, |job| {
                let ms = job.facts.snapshot.times.watermark_ms;
                (ms > NO_TIME_MS && ms < END_OF_TIME_MS).then(|| seconds(ms))
            });
        },
    },
    Family {
        name: "streamhost_job_retries_total",
        kind: MetricType::Counter,
        help: "Deliveries to a sink that were tried again, since the host's start.",
        samples: |scrape, samples| {
            each(scrape, samples, |job| Some(job.totals.retries));
        },
    },
    Family {
        name: "streamhost_job_source_errors_total",
        kind: MetricType::Counter,
        help: "Times that a source was away, since the host's start.",
        samples: |scrape, samples| {
            each(scrape, samples, |job| {
                Some(job.totals.errors.get("source").copied().unwrap_or(0))
            });
        },
    },
    Family {
        name: "streamhost_batch_step_duration_seconds",
        kind: MetricType::Histogram,
        help: "How long each step of a durable batch took, since the host's start.",
        samples: |scrape, samples| {
            for job in &scrape.jobs {
                let facts = job.facts;
                for (step, times) in BatchStep::ALL.into_iter().zip(&job.totals.steps) {
                    samples.add(of_part(facts, "step", step.name()), times.clone());
                }
            }
        },
    },
    Family {
        name: "streamhost_record_latency_seconds",
        kind: MetricType::Histogram,
        help: "From a record's timestamp until all sinks had acknowledged it, since the host's start; some of each batch's records stand for the others.",
        samples: |scrape, samples| {
            each(scrape, samples, |job| Some(job.totals.latency.clone()));
        },
    },
];

/// All of them.
pub(super) const FAMILIES: [&[Family]; 3] = [&STANDING, &COUNTS, &PACE];
