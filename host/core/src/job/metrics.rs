//! Metrics of a job's own: what its author counts and measures, by name.

use super::names;
use super::validate::JobFault;
use crate::limits;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MetricKind {
    /// A sum that only rises.
    Counter,
    /// How values are spread.
    Histogram,
}

/// A metric as its component declares it, unchecked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricDescription {
    /// Its name.
    pub name: String,
    /// The number of its kind in the contract: 0 a counter, 1 a histogram.
    pub kind: u8,
}

/// A metric of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricSpec {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: MetricKind,
}

/// Proves the metrics that a component declares.
pub(super) fn check(
    declared: Vec<MetricDescription>,
    faults: &mut Vec<JobFault>,
) -> Vec<MetricSpec> {
    if declared.len() > limits::JOB_METRICS_MAX {
        faults.push(JobFault::TooManyMetrics);
        return Vec::new();
    }
    let mut specs: Vec<MetricSpec> = Vec::new();
    for metric in declared {
        match one(&metric, &specs) {
            Ok(spec) => specs.push(spec),
            Err(reason) => faults.push(JobFault::Metric {
                name: names::shown(&metric.name, limits::NAME_SHOWN_CHARS_MAX),
                reason,
            }),
        }
    }
    specs
}

fn one(metric: &MetricDescription, before: &[MetricSpec]) -> Result<MetricSpec, String> {
    names::parameter(&metric.name)?;
    let kind = match metric.kind {
        0 => MetricKind::Counter,
        1 => MetricKind::Histogram,
        other => return Err(format!("of kind {other}, which this host does not know")),
    };
    match before.iter().any(|spec| spec.name == metric.name) {
        true => Err("it is both a counter and a histogram: name one of them otherwise".to_owned()),
        false => Ok(MetricSpec {
            name: metric.name.clone(),
            kind,
        }),
    }
}

/// What the metrics of a job came to: in a call, in a batch, or since the host's start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricValues {
    /// Sums of counters, by name.
    pub counters: BTreeMap<String, u64>,
    /// Histograms, by name.
    pub histograms: BTreeMap<String, ValueHistogram>,
}

impl MetricValues {
    /// All of these at nothing.
    pub fn of(metrics: &[MetricSpec]) -> Self {
        let mut values = MetricValues::default();
        for MetricSpec { name, kind } in metrics {
            match kind {
                MetricKind::Counter => values.count(name, 0),
                MetricKind::Histogram => {
                    values.histogram(name);
                }
            }
        }
        values
    }

    /// Nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.counters.is_empty() && self.histograms.is_empty()
    }

    /// Counts more of a counter.
    pub fn count(&mut self, name: &str, by: u64) {
        match self.counters.get_mut(name) {
            Some(sum) => *sum = sum.saturating_add(by),
            None => {
                self.counters.insert(name.to_owned(), by);
            }
        }
    }

    /// The histogram of a name.
    pub fn histogram(&mut self, name: &str) -> &mut ValueHistogram {
        if !self.histograms.contains_key(name) {
            self.histograms
                .insert(name.to_owned(), ValueHistogram::default());
        }
        self.histograms.get_mut(name).expect("put there a line ago")
    }

    /// Leaves out what is none of these, if it is more than some versions of a job have.
    pub fn bound(&mut self, metrics: &[MetricSpec]) {
        if self.counters.len() + self.histograms.len() > limits::JOB_METRICS_KEPT_MAX {
            let is_one = |name: &String| metrics.iter().any(|spec| spec.name == *name);
            self.counters.retain(|name, _| is_one(name));
            self.histograms.retain(|name, _| is_one(name));
        }
    }

    /// What another part came to as well.
    pub fn add(&mut self, more: &MetricValues) {
        for (name, by) in &more.counters {
            self.count(name, *by);
        }
        for (name, values) in &more.histograms {
            self.histogram(name).add(values);
        }
    }
}

/// The bounds of values of any unit: 1, 2, 5, 10 and so on to 10^12.
const BOUNDS: [u64; 37] = bounds();

const fn bounds() -> [u64; 37] {
    let mut bounds = [0; 37];
    let (mut at, mut ten) = (0, 1);
    while at < 36 {
        bounds[at] = ten;
        bounds[at + 1] = 2 * ten;
        bounds[at + 2] = 5 * ten;
        (at, ten) = (at + 3, ten * 10);
    }
    bounds[36] = ten;
    bounds
}

/// Whole numbers, counted by bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct ValueHistogram {
    /// Those up to each bound and above the one before; the last are above all bounds.
    counts: [u64; BOUNDS.len() + 1],
    sum: f64,
}

impl Default for ValueHistogram {
    fn default() -> Self {
        ValueHistogram {
            counts: [0; BOUNDS.len() + 1],
            sum: 0.0,
        }
    }
}

impl ValueHistogram {
    /// Counts a value.
    pub fn observe(&mut self, value: u64) {
        self.counts[BOUNDS.partition_point(|bound| *bound < value)] += 1;
        self.sum += value as f64;
    }

    /// What another part counted as well.
    pub fn add(&mut self, more: &ValueHistogram) {
        for (count, by) in self.counts.iter_mut().zip(more.counts) {
            *count += by;
        }
        self.sum += more.sum;
    }

    /// Each bound, with how many values are up to it and above the one before; the last bound is
    /// infinite.
    pub fn buckets(&self) -> Vec<(f64, u64)> {
        let bounds = BOUNDS.iter().map(|bound| *bound as f64);
        let bounds = bounds.chain([f64::INFINITY]);
        bounds.zip(self.counts).collect()
    }

    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All of them together.
    pub fn sum(&self) -> f64 {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_counted_below_the_first_bound_that_holds_it() {
        for (value, bound) in [
            (0, 1.0),
            (1, 1.0),
            (2, 2.0),
            (3, 5.0),
            (1_000_000_000_000, 1e12),
            (1_000_000_000_001, f64::INFINITY),
            (u64::MAX, f64::INFINITY),
        ] {
            let mut values = ValueHistogram::default();
            values.observe(value);
            let found = values.buckets().into_iter().find(|(_, count)| *count == 1);
            assert_eq!(found.map(|(bound, _)| bound), Some(bound), "{value}");
        }
    }

    #[test]
    fn parts_come_to_a_sum_that_ends_nowhere() {
        let mut all = MetricValues::default();
        let mut part = MetricValues::default();
        part.count("seen", u64::MAX - 1);
        part.histogram("size").observe(7);
        all.add(&part);
        all.add(&part);
        assert_eq!(all.counters["seen"], u64::MAX);
        let size = &all.histograms["size"];
        assert_eq!((size.count(), size.sum()), (2, 14.0));
    }

    #[test]
    fn what_is_declared_is_proved() {
        let metric = |name: &str, kind| MetricDescription {
            name: name.to_owned(),
            kind,
        };
        let words = |declared: Vec<MetricDescription>| {
            let mut faults = Vec::new();
            let specs = check(declared, &mut faults);
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            (specs.len(), faults.join("; "))
        };
        assert_eq!(words(vec![metric("a", 0), metric("b-2", 1)]).0, 2);
        for (declared, part) in [
            (vec![metric("", 0)], "empty"),
            (vec![metric("a b", 0)], "letters"),
            (vec![metric("a", 2)], "of kind 2"),
            (vec![metric("a", 0), metric("a", 1)], "both a counter"),
            (
                (0..=limits::JOB_METRICS_MAX)
                    .map(|n| metric(&format!("m{n}"), 0))
                    .collect(),
                "more than",
            ),
        ] {
            let (_, faults) = words(declared);
            assert!(faults.contains(part), "{faults}");
        }
    }
}
