//! What the authors of jobs count and measure themselves.

use super::{Family, MetricType, Samples, Scrape, ScrapedJob, of_part};
use streamhost_core::job::MetricValues;

/// What a job's own metrics came to; those that nothing came to yet are there too.
fn own(job: &ScrapedJob<'_>) -> MetricValues {
    let spec = job.facts.spec.as_ref();
    let mut values = spec.map_or_else(MetricValues::default, |spec| {
        MetricValues::of(&spec.metrics)
    });
    values.add(&job.totals.metrics);
    values
}

fn counters(scrape: &Scrape<'_>, samples: &mut Samples) {
    for job in &scrape.jobs {
        for (name, sum) in own(job).counters {
            samples.add(of_part(job.facts, "counter", &name), sum);
        }
    }
}

fn histograms(scrape: &Scrape<'_>, samples: &mut Samples) {
    for job in &scrape.jobs {
        for (name, values) in own(job).histograms {
            samples.add(of_part(job.facts, "histogram", &name), values);
        }
    }
}

/// All of them.
pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "streamhost_job_counter_total",
        kind: MetricType::Counter,
        help: "A counter of the job's own, over durable batches since the host's start.",
        samples: counters,
    },
    Family {
        name: "streamhost_job_histogram",
        kind: MetricType::Histogram,
        help: "A histogram of the job's own, in the job's unit, over durable batches since the host's start.",
        samples: histograms,
    },
];
