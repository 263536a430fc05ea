//! A version as the lanes run it, and what can become of what it is asked.

use super::LinesLeft;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use streamhost_core::contract::{
    Answer, AnswerRules, Asked, Finished, Groups, GuestFault, KeyItems, Moment, Pairs, Partials,
    RowShape, VersionFault,
};
use streamhost_core::job::{JobSpec, MetricValues, StageKind};
use streamhost_core::types::{Chunk, Column, NO_TIME_MS, Partition};

/// One living guest. After a fault it is of no more use.
pub trait Guest: Send {
    /// Runs one stage over a chunk, within `time`. Must depend on nothing but its arguments.
    fn transform(
        &mut self,
        stage: u32,
        moment: Moment,
        chunk: &Chunk,
        time: Duration,
    ) -> Result<Answer, GuestFault>;

    /// Merges groups of a keyed stage, within `time`.
    fn combine(
        &mut self,
        stage: u32,
        partials: &Partials,
        time: Duration,
    ) -> Result<Column, GuestFault>;

    /// Runs what follows a keyed stage, within `time`.
    fn finish(
        &mut self,
        stage: u32,
        moment: Moment,
        finished: &Finished,
        time: Duration,
    ) -> Result<Answer, GuestFault>;

    /// Makes this version's accumulators of an older version's, within `time`.
    fn migrate(
        &mut self,
        stage: u32,
        accumulators: &Column,
        time: Duration,
    ) -> Result<Column, GuestFault>;

    /// What its calls are bounded by beside their time. Asked once, before its first call for a
    /// batch.
    fn bind(&mut self, _terms: &CallLimits) {}

    /// Hands on the lines that it logged since it was last asked, as many as are left.
    fn tell(&mut self, _left: &mut LinesLeft) {}

    /// What the metrics of the job's own came to in its last call, which is to count.
    fn take_metrics(&mut self) -> MetricValues {
        MetricValues::default()
    }

    /// Memory that it holds.
    fn memory_bytes(&self) -> u64 {
        0
    }

    /// Puts a line of the host's own beside those that it logs.
    fn warn(&mut self, _text: &str) {}
}

/// What holds for all calls of a batch.
#[derive(Clone, Debug, Default)]
pub struct CallLimits {
    /// Once it is set calls end soon, and what they were asked counts for nothing.
    pub stop: Arc<AtomicBool>,
    /// The batch was planned before: all that is asked went well then, and is not judged again by
    /// limits that may have changed, or by how busy the machine is. Calls have as much time and
    /// memory as any guest may have.
    pub replay: bool,
}

impl CallLimits {
    /// A stop has come.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Makes a guest of a version.
pub type Maker = Box<dyn Fn() -> Result<Box<dyn Guest>, GuestFault> + Send + Sync>;

/// A version as the lanes run it.
pub struct GuestVersion {
    make: Maker,
    time: Duration,
    rules: AnswerRules,
    minds_cuts: bool,
    spares: Mutex<Vec<Box<dyn Guest>>>,
}

impl GuestVersion {
    /// A version without guests yet. `time` is what one call may take, `shapes` what its rows must
    /// look like, by sink, and `intent` what it says of its sources and keyed stages.
    pub fn new(make: Maker, time: Duration, shapes: Vec<RowShape>, spec: &JobSpec) -> Self {
        GuestVersion {
            make,
            time,
            rules: AnswerRules::new(shapes, spec),
            minds_cuts: false,
            spares: Mutex::new(Vec::new()),
        }
    }

    /// The same, of a component whose answers depend on how calls are cut, such as one that draws
    /// random numbers: a replay cuts them at the same places.
    #[must_use]
    pub fn minding_cuts(self, minds_cuts: bool) -> Self {
        GuestVersion { minds_cuts, ..self }
    }

    /// Makes `lanes` guests and calls all that they export once with nothing, so that the first
    /// batch finds them warm.
    pub fn warm(&self, lanes: usize) -> Result<(), VersionFault> {
        let mut lines = LinesLeft::default();
        for _ in 0..lanes {
            let mut guest = self.guest()?;
            self.call_all(guest.as_mut())?;
            guest.tell(&mut lines);
            self.spares
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(guest);
        }
        Ok(())
    }

    fn call_all(&self, guest: &mut dyn Guest) -> Result<(), VersionFault> {
        let moment = Moment {
            batch_ms: 0,
            watermark_ms: NO_TIME_MS,
            partition_ms: NO_TIME_MS,
        };
        let broke = |call, stage| {
            let stage = self.rules.name(stage).to_string();
            move |fault| VersionFault::Warm { call, stage, fault }
        };
        let check = |answer: &Answer, stage| {
            let asked = Asked {
                stage,
                items: 0,
                partition_ms: NO_TIME_MS,
            };
            self.rules
                .check(answer, asked)
                .map_err(VersionFault::Contract)
        };
        let check_column = |call, column: &Column| {
            self.rules
                .check_column(call, column, 0)
                .map_err(VersionFault::Contract)
        };
        let nothing = Chunk::new(Partition { source: 0, id: 0 });
        for stage in 0..self.rules.sources() {
            let answer = guest.transform(stage, moment, &nothing, self.time);
            check(&answer.map_err(broke("transform", stage))?, stage)?;
        }
        for (stage, spec) in self.rules.keyed() {
            let nothing = match spec.kind {
                StageKind::Join(_) | StageKind::Lookup => Finished::Pairs(Pairs::default()),
                StageKind::Process(_) => Finished::Keys(KeyItems::default()),
                StageKind::EachBatch | StageKind::Running { .. } | StageKind::Window(_) => {
                    Finished::Groups(Groups::default())
                }
            };
            if matches!(nothing, Finished::Groups(_)) {
                let merged = guest.combine(stage, &Partials::default(), self.time);
                check_column("combine", &merged.map_err(broke("combine", stage))?)?;
            }
            let answer = guest.finish(stage, moment, &nothing, self.time);
            check(&answer.map_err(broke("finish", stage))?, stage)?;
            if spec.migrates.is_some() {
                let migrated = guest.migrate(stage, &Column::default(), self.time);
                check_column("migrate", &migrated.map_err(broke("migrate", stage))?)?;
            }
        }
        Ok(())
    }

    pub(super) fn guest(&self) -> Result<Box<dyn Guest>, VersionFault> {
        let spare = self
            .spares
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        match spare {
            Some(guest) => Ok(guest),
            None => (self.make)().map_err(VersionFault::Start),
        }
    }

    pub(super) fn time(&self) -> Duration {
        self.time
    }

    /// Whether a replay must cut the calls of a stage at the same places.
    pub(super) fn minds_cuts(&self, stage: u32) -> bool {
        self.minds_cuts || self.rules.feeds(stage)
    }

    pub(super) fn rules(&self) -> &AnswerRules {
        &self.rules
    }
}

#[cfg(test)]
#[path = "version_tests.rs"]
mod tests;
