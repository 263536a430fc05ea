//! Delivers a replay's rows to other places than the job's.

use super::run::Broken;
use super::{Replay, ReplayOutput};
use crate::pipeline::LoadedDeployment;
use crate::sink::{Delivery, Refusals, Remedy, Sink, SinkError};
use streamhost_core::executor::BatchOutcome;
use streamhost_core::protocol::Marker;
use streamhost_core::types::RefusedRow;
use streamhost_core::{clock, limits};

/// Where rows go.
pub(super) struct Outputs {
    all: Vec<ReplayOutput>,
    /// Tells this replay from others before it, to sinks that mark what they hold.
    epoch: u64,
    time_ms: i64,
    is_open: bool,
}

/// A replay has no dead letters: what is refused is an error.
struct NoRefusals;

impl Refusals for NoRefusals {
    fn most(&self) -> usize {
        0
    }

    fn take(&mut self, refused: Vec<RefusedRow>) -> Result<(), SinkError> {
        match refused.into_iter().next() {
            None => Ok(()),
            Some(first) => Err(SinkError::NotNoted(format!(
                "a replay has no dead letters; the first: {}",
                first.reason
            ))),
        }
    }
}

impl Outputs {
    pub(super) fn new(all: Vec<ReplayOutput>) -> Outputs {
        let now_ms = clock::now_ms();
        Outputs {
            all,
            epoch: u64::try_from(now_ms).unwrap_or(1),
            time_ms: now_ms,
            is_open: false,
        }
    }

    /// Delivers the rows of a batch: each once, unless the place cannot tell.
    pub(super) fn deliver(
        &mut self,
        replay: &Replay,
        loaded: &LoadedDeployment,
        outcome: &BatchOutcome,
    ) -> Result<(), Broken> {
        self.time_ms = clock::now_ms().max(self.time_ms + 2);
        let is_open = std::mem::replace(&mut self.is_open, true);
        for ReplayOutput { sink, into } in &mut self.all {
            let name = &loaded.spec.sinks[*sink].name;
            let none = String::new();
            let delivery = Delivery {
                epoch: self.epoch,
                batch: outcome.batch,
                time_ms: self.time_ms,
                digest: outcome.digests.get(name).unwrap_or(&none),
                spans: &outcome.spans,
                version: loaded.version,
            };
            let mut is_open = is_open;
            let began = clock::monotonic();
            loop {
                let error = match attempt(into.as_mut(), is_open, &delivery, outcome, *sink) {
                    Ok(()) => break,
                    Err(SinkError::Cancelled) => return Err(None),
                    Err(error) => error,
                };
                let is_over = clock::since(began) >= limits::REPLAY_AWAY_TIME;
                if error.remedy() == Remedy::Stop || is_over {
                    return Err(Some(error.to_string()));
                }
                is_open = false;
                replay.report().waits = Some(error.to_string());
                std::thread::sleep(limits::BACKOFF.0);
            }
            let mut report = replay.report();
            report.waits = None;
            let rows = outcome.counts.rows.get(name).copied().unwrap_or(0);
            *report.delivered.entry(name.clone()).or_default() += rows;
        }
        Ok(())
    }
}

/// Opens a sink that is not open, and delivers unless its marker says that the batch is there.
fn attempt(
    into: &mut dyn Sink,
    is_open: bool,
    delivery: &Delivery<'_>,
    outcome: &BatchOutcome,
    sink: usize,
) -> Result<(), SinkError> {
    if !is_open {
        let is_there =
            |marker: Marker| (marker.epoch, marker.batch) == (delivery.epoch, delivery.batch);
        if into.open()?.is_some_and(is_there) {
            return Ok(());
        }
    }
    into.deliver(delivery, &outcome.rows[sink], &mut NoRefusals)
}
