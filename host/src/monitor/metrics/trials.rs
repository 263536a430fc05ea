//! Figures of versions that are tried beside the active one: shadows and canaries. There are none of
//! a job that tries none.

use super::{Family, MetricType, Samples, Scrape, Value, of_job};
use crate::api::{ShadowStatus, SideView};

/// A sample for each job with a shadow that runs.
fn shadows(
    scrape: &Scrape<'_>,
    samples: &mut Samples,
    parts: impl Fn(&ShadowStatus) -> Vec<(Option<&'static str>, u64)>,
) {
    for job in &scrape.jobs {
        let shadow = job.facts.status.shadow.as_ref();
        let Some(shadow) = shadow.filter(|shadow| shadow.running) else {
            continue;
        };
        for (result, value) in parts(shadow) {
            let mut labels = of_job(job.facts);
            labels.push(("version", shadow.version.to_string()));
            labels.extend(result.map(|result| ("result", result.to_owned())));
            samples.add(labels, value);
        }
    }
}

/// A sample for each side of each job with a canary.
fn canaries<V: Into<Value>>(
    scrape: &Scrape<'_>,
    samples: &mut Samples,
    value: impl Fn(&SideView) -> V,
) {
    for job in &scrape.jobs {
        let status = &job.facts.status;
        let Some(canary) = &status.canary else {
            continue;
        };
        let sides = [
            ("active", status.version, &canary.active),
            ("canary", canary.version, &canary.canary),
        ];
        for (side, version, figures) in sides {
            let mut labels = of_job(job.facts);
            labels.push(("side", side.to_owned()));
            labels.push(("version", version.to_string()));
            samples.add(labels, value(figures));
        }
    }
}

/// What both versions made of the same batches.
const SHADOWS: [Family; 4] = [
    Family {
        name: "streamhost_shadow_batches_total",
        kind: MetricType::Counter,
        help: "Batches that the job's shadow ran beside the active version, since it began.",
        samples: |scrape, samples| shadows(scrape, samples, |of| vec![(None, of.batches)]),
    },
    Family {
        name: "streamhost_shadow_skipped_batches_total",
        kind: MetricType::Counter,
        help: "Batches that the job's shadow left out, as it could not keep up.",
        samples: |scrape, samples| shadows(scrape, samples, |of| vec![(None, of.skipped)]),
    },
    Family {
        name: "streamhost_shadow_compared_total",
        kind: MetricType::Counter,
        help: "Rows and dead letters of both versions that were compared: result is alike or differing.",
        samples: |scrape, samples| {
            shadows(scrape, samples, |of| {
                vec![(Some("alike"), of.alike), (Some("differing"), of.differing)]
            });
        },
    },
    Family {
        name: "streamhost_shadow_state_bytes",
        kind: MetricType::Gauge,
        help: "Memory that the state of the job's shadow takes.",
        samples: |scrape, samples| shadows(scrape, samples, |of| vec![(None, of.state_bytes)]),
    },
];

/// What each version did of its part.
const CANARIES: [Family; 4] = [
    Family {
        name: "streamhost_canary_records_total",
        kind: MetricType::Counter,
        help: "Records that each side of a job with a canary ran, since its part was set or the host was started.",
        samples: |scrape, samples| canaries(scrape, samples, |side| side.records),
    },
    Family {
        name: "streamhost_canary_rows_total",
        kind: MetricType::Counter,
        help: "Rows of each side that were written.",
        samples: |scrape, samples| canaries(scrape, samples, |side| side.rows),
    },
    Family {
        name: "streamhost_canary_failed_total",
        kind: MetricType::Counter,
        help: "Records and groups that failed on each side: refused, or its guest broke on them.",
        samples: |scrape, samples| canaries(scrape, samples, |side| side.failed),
    },
    Family {
        name: "streamhost_canary_busy_seconds_total",
        kind: MetricType::Counter,
        help: "Time that the guests of each side were at work.",
        samples: |scrape, samples| canaries(scrape, samples, |side| side.busy_us as f64 / 1e6),
    },
];

/// All of them.
pub(super) const FAMILIES: [&[Family]; 2] = [&SHADOWS, &CANARIES];
