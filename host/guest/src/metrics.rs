//! The metrics that a component counts: what it declares, and what its calls came to.

use std::collections::BTreeMap;
use std::sync::Arc;
use streamhost_core::job::{MetricDescription, MetricKind, MetricSpec, MetricValues, names};
use streamhost_core::limits;

/// A job's metrics, by name.
pub(crate) type Known = Arc<BTreeMap<String, MetricKind>>;

/// By name.
pub(crate) fn known(metrics: &[MetricSpec]) -> Known {
    let all = metrics.iter();
    Arc::new(all.map(|spec| (spec.name.clone(), spec.kind)).collect())
}

/// What an instance has counted.
#[derive(Default)]
pub(crate) struct Measured {
    pub(crate) known: Known,
    /// Those that were declared, while it says what it is.
    pub(crate) declared: Option<Vec<MetricDescription>>,
    /// Of the call that is under way, or was the last one.
    values: MetricValues,
    /// A name that is none of the job's has been told.
    told: bool,
}

impl Measured {
    /// A call begins: what another one counted is of no interest any more.
    pub(crate) fn begin(&mut self) {
        self.values = MetricValues::default();
    }

    /// What the last call came to.
    pub(crate) fn take(&mut self) -> MetricValues {
        std::mem::take(&mut self.values)
    }

    /// What the component says while it is asked what it is: the job has this metric.
    pub(crate) fn declare(&mut self, name: &str, kind: u8) {
        let Some(declared) = &mut self.declared else {
            return;
        };
        // A longer name is refused: so much of it shows that. One more than there may be tells that
        // there are too many.
        let name = name.chars().take(limits::PLACE_BYTES_MAX).collect();
        let metric = MetricDescription { name, kind };
        if declared.len() <= limits::JOB_METRICS_MAX && !declared.contains(&metric) {
            declared.push(metric);
        }
    }

    /// Adds to a counter. Err: what is to be logged, as the job has none of that name.
    pub(crate) fn count(&mut self, name: &str, by: u64) -> Result<(), String> {
        if self.has(name, MetricKind::Counter)? {
            self.values.count(name, by);
        }
        Ok(())
    }

    /// Puts values into a histogram. Err: the same.
    pub(crate) fn observe(&mut self, name: &str, values: &[u64]) -> Result<(), String> {
        if self.has(name, MetricKind::Histogram)? {
            let histogram = self.values.histogram(name);
            values.iter().for_each(|value| histogram.observe(*value));
        }
        Ok(())
    }

    /// Whether the job has this metric. The first name that it does not have is to be told.
    fn has(&mut self, name: &str, kind: MetricKind) -> Result<bool, String> {
        if self.known.get(name) == Some(&kind) {
            return Ok(true);
        }
        let is_new = self.declared.is_none() && !std::mem::replace(&mut self.told, true);
        match is_new {
            false => Ok(false),
            true => Err(format!(
                "the job has no metric `{}`, so it is not counted: ask for it in the job's function, not in a closure",
                names::shown(name, limits::NAME_SHOWN_CHARS_MAX)
            )),
        }
    }
}
