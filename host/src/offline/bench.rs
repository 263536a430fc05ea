//! How long a component takes for its input, and where that time goes.

use super::{Cuts, Input, OfflineJob, Run};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use streamhost_core::clock;
use streamhost_core::contract::{Answer, Finished, GuestFault, Moment, Partials};
use streamhost_core::executor::Watermark;
use streamhost_core::types::{Chunk, Column};
use streamhost_engine::guest::{CallLimits, Guest, LinesLeft};
use streamhost_guest::Instance;

/// What the guests of a job took, in nanoseconds.
#[derive(Debug, Default)]
pub(super) struct CallMeter {
    /// Whole calls, with what crosses the boundary.
    calls_ns: AtomicU64,
    /// In guest code.
    guest_ns: Arc<AtomicU64>,
    /// The most memory that an instance had.
    memory_bytes: AtomicU64,
}

/// An instance whose calls are measured.
pub(super) struct Metered {
    instance: Instance,
    meter: Arc<CallMeter>,
}

impl Metered {
    pub(super) fn new(mut instance: Instance, meter: &Arc<CallMeter>) -> Metered {
        instance.measure(Arc::clone(&meter.guest_ns));
        Metered {
            instance,
            meter: Arc::clone(meter),
        }
    }

    fn measured<T>(&mut self, call: impl FnOnce(&mut Instance) -> T) -> T {
        let began = clock::monotonic();
        let answer = call(&mut self.instance);
        let took = nanoseconds(clock::since(began));
        self.meter.calls_ns.fetch_add(took, Ordering::Relaxed);
        let memory = self.instance.memory_bytes();
        self.meter.memory_bytes.fetch_max(memory, Ordering::Relaxed);
        answer
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Guest for Metered {
    fn transform(
        &mut self,
        stage: u32,
        moment: Moment,
        chunk: &Chunk,
        time: Duration,
    ) -> Result<Answer, GuestFault> {
        self.measured(|guest| guest.transform(stage, moment, chunk, time))
    }

    fn combine(
        &mut self,
        stage: u32,
        partials: &Partials,
        time: Duration,
    ) -> Result<Column, GuestFault> {
        self.measured(|guest| guest.combine(stage, partials, time))
    }

    fn finish(
        &mut self,
        stage: u32,
        moment: Moment,
        finished: &Finished,
        time: Duration,
    ) -> Result<Answer, GuestFault> {
        self.measured(|guest| guest.finish(stage, moment, finished, time))
    }

    fn migrate(
        &mut self,
        stage: u32,
        accumulators: &Column,
        time: Duration,
    ) -> Result<Column, GuestFault> {
        self.measured(|guest| guest.migrate(stage, accumulators, time))
    }

    fn bind(&mut self, terms: &CallLimits) {
        self.instance.bind(terms);
    }

    fn tell(&mut self, left: &mut LinesLeft) {
        self.instance.tell(left);
    }

    fn memory_bytes(&self) -> u64 {
        self.instance.memory_bytes()
    }

    fn warn(&mut self, text: &str) {
        self.instance.warn(text);
    }
}

/// What passes of a job over its input took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// Records that were taken in.
    pub records: u64,
    /// From the first batch to the last one: host and guest, without sources and sinks.
    pub took: Duration,
    /// In calls of the guest.
    pub calls: Duration,
    /// In guest code.
    pub guest: Duration,
    /// The most memory that an instance had so far.
    pub memory_bytes: u64,
}

/// Where a pass's time went, each between 0 and 1; together they are 1.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Shares {
    /// In guest code.
    pub guest: f64,
    /// Between host and guest: records are copied into its memory, answers out of it.
    pub boundary: f64,
    /// In the host: the shuffle, keyed state, the answers' checks.
    pub host: f64,
}

impl Pass {
    /// Nanoseconds a record.
    pub fn ns_per_record(&self) -> f64 {
        self.took.as_nanos() as f64 / self.records.max(1) as f64
    }

    /// Where its time went.
    pub fn shares(&self) -> Shares {
        let all = self.took.as_secs_f64().max(f64::MIN_POSITIVE);
        let guest = (self.guest.as_secs_f64() / all).min(1.0);
        let calls = (self.calls.as_secs_f64() / all).clamp(guest, 1.0);
        Shares {
            guest,
            boundary: calls - guest,
            host: 1.0 - calls,
        }
    }
}

impl OfflineJob {
    /// Runs the job so often on its input, each time from nothing, in batches as large as a host
    /// makes them, on one lane. Instances are made, and batches built, before the time counts.
    ///
    /// # Errors
    /// As [`OfflineJob::run`].
    pub fn pass(&self, input: &Input, repeats: usize) -> anyhow::Result<Pass> {
        let mut pass = Pass::default();
        let limits = self.settings.limits.batch();
        for _ in 0..repeats {
            self.version.warm(1)?;
            let mut run = Run::begin(self)?;
            let batches = input.batches(&self.spec, Cuts::Limits(limits));
            let warmed = self.measured();
            let began = clock::monotonic();
            for batch in batches {
                let outcome = run.batch(batch, Watermark::Least { idle: [].into() })?;
                pass.records += outcome.counts.records_in;
            }
            let last = std::mem::take(&mut run.last);
            run.batch(last, Watermark::End)?;
            pass.took += clock::since(began);
            let now = self.measured();
            pass.calls += now.calls.saturating_sub(warmed.calls);
            pass.guest += now.guest.saturating_sub(warmed.guest);
        }
        pass.memory_bytes = self.measured().memory_bytes;
        Ok(pass)
    }

    /// All that was measured so far.
    fn measured(&self) -> Pass {
        let of = |ns: &AtomicU64| Duration::from_nanos(ns.load(Ordering::Relaxed));
        Pass {
            calls: of(&self.meter.calls_ns),
            guest: of(&self.meter.guest_ns),
            memory_bytes: self.meter.memory_bytes.load(Ordering::Relaxed),
            ..Pass::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_parts_of_one() {
        let ms = Duration::from_millis;
        let pass = Pass {
            records: 1000,
            took: ms(10),
            calls: ms(8),
            guest: ms(6),
            memory_bytes: 0,
        };
        let Shares {
            guest,
            boundary,
            host,
        } = pass.shares();
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(near(guest, 0.6) && near(boundary, 0.2) && near(host, 0.2));
        assert!(near(pass.ns_per_record(), 10_000.0));
        let Shares {
            guest,
            boundary,
            host,
        } = Pass::default().shares();
        assert!(near(guest + boundary + host, 1.0), "also of nothing");
    }
}
