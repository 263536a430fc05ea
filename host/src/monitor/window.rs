//! The last ten seconds of a job, and the rates in them.

use crate::api::JobFacts;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};
use streamhost_core::protocol::Counters;
use streamhost_core::{clock, limits};
use streamhost_engine::pipeline::MeterTotals;

/// A job's counts at one moment.
#[derive(Clone)]
pub(super) struct Sample {
    at: Instant,
    pub(super) counters: Counters,
    lag: Option<u64>,
    totals: MeterTotals,
    /// Who is at a delivery, and for how long.
    under_way: BTreeMap<String, Duration>,
}

impl Sample {
    pub(super) fn of(facts: &JobFacts, now_ms: i64) -> Sample {
        let under_way = facts.snapshot.under_way.iter().map(|(who, since)| {
            let for_ms = u64::try_from(now_ms - since).unwrap_or(0);
            (who.clone(), Duration::from_millis(for_ms))
        });
        Sample {
            at: clock::monotonic(),
            counters: facts.snapshot.counters.clone(),
            lag: facts.status.lag,
            totals: facts.meter.totals(),
            under_way: under_way.collect(),
        }
    }

    /// CPU time that the job's threads had used.
    pub(super) fn cpu(&self) -> Duration {
        self.totals.cpu
    }
}

/// Samples of the last ten seconds, oldest first.
#[derive(Default)]
pub(super) struct Window(VecDeque<Sample>);

impl Window {
    pub(super) fn push(&mut self, sample: Sample) {
        let anew = |last: &Sample| sample.counters.records_in < last.counters.records_in;
        if self.0.back().is_some_and(anew) {
            self.0.clear(); // the job began anew
        }
        self.0.push_back(sample);
        if self.0.len() > limits::RATE_SECONDS + 1 {
            self.0.pop_front();
        }
    }

    fn ends(&self) -> Option<(&Sample, &Sample, f64)> {
        let (first, last) = (self.0.front()?, self.0.back()?);
        let seconds = (last.at - first.at).as_secs_f64();
        (seconds > 0.0).then_some((first, last, seconds))
    }

    /// By how much a count rises in a second.
    pub(super) fn rate(&self, count: impl Fn(&Sample) -> u64) -> Option<f64> {
        let (first, last, seconds) = self.ends()?;
        Some(super::tenths(
            count(last).saturating_sub(count(first)) as f64 / seconds,
        ))
    }

    /// By how many records the lag rises in a second.
    pub(super) fn lag_change(&self) -> Option<f64> {
        let (first, last, seconds) = self.ends()?;
        // Between two checkpoints it rises, at each it falls: the mean of some tells the way.
        let some = (self.0.len() / 2).clamp(1, 4);
        let mean = |lags: &mut dyn Iterator<Item = &Sample>| {
            let lags: Option<Vec<u64>> = lags.take(some).map(|sample| sample.lag).collect();
            Some(lags?.iter().sum::<u64>() as f64 / some as f64)
        };
        let between = (self.0.len() - some) as f64 / (self.0.len() - 1) as f64;
        let (first_lag, last_lag) = (mean(&mut self.0.iter())?, mean(&mut self.0.iter().rev())?);
        (first.lag.is_some() && last.lag.is_some())
            .then(|| super::tenths((last_lag - first_lag) / (seconds * between)))
    }

    /// The share of the time that was spent so.
    fn share(&self, spent: impl Fn(&Sample) -> Duration) -> Option<f64> {
        let (first, last, seconds) = self.ends()?;
        let spent = spent(last).saturating_sub(spent(first)).as_secs_f64();
        Some(((spent / seconds).min(1.0) * 100.0).round() / 100.0)
    }

    /// Cores that the job's threads used.
    pub(super) fn cpu_cores(&self) -> Option<f64> {
        let (first, last, seconds) = self.ends()?;
        let spent = last.totals.cpu.saturating_sub(first.totals.cpu);
        Some((spent.as_secs_f64() / seconds * 100.0).round() / 100.0)
    }

    /// The share of the time in which the lanes were at work on records.
    pub(super) fn transform_busy(&self, lanes: usize) -> Option<f64> {
        let lanes = u32::try_from(lanes.max(1)).unwrap_or(1);
        self.share(|sample| sample.totals.transform / lanes)
    }

    /// The same of the keyed stages.
    pub(super) fn stages_busy(&self) -> Option<f64> {
        self.share(|sample| sample.totals.stages)
    }

    /// The same of a sink, or of the dead letters.
    pub(super) fn sink_busy(&self, sink: Option<&str>) -> Option<f64> {
        let who = sink.map_or("dead letters".to_owned(), |name| format!("sink `{name}`"));
        self.share(|sample| {
            let done = match sink {
                Some(name) => sample.totals.sinks.get(name).copied(),
                None => Some(sample.totals.dead_letters),
            };
            let under_way = sample.under_way.get(&who).copied();
            done.unwrap_or_default() + under_way.unwrap_or_default()
        })
    }

    /// Records a second of a source, by its number.
    pub(super) fn source_rate(&self, source: usize) -> Option<f64> {
        self.rate(|sample| sample.totals.records.get(source).copied().unwrap_or(0))
    }
}
