//! A shadow's thread: runs the batches that it is given, and compares.

use super::inbox::{Next, Work};
use super::{Shadow, ShadowEnd};
use crate::cpu;
use crate::guest::{Lanes, LargeBatches, VersionLanes};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use streamhost_core::compare::{Difference, Run};
use streamhost_core::contract::GroupQuarantines;
use streamhost_core::executor::{
    Batch, BatchExecutor, BatchInputs, BatchJob, BatchOutcome, ExecutorFork, restore_state,
};
use streamhost_core::job::names;
use streamhost_core::state::StateFork;
use streamhost_core::{clock, limits, system};

/// What a shadow runs on.
struct Worker<'a> {
    shadow: &'a Shadow,
    lanes: Lanes,
    /// None until it begins, and after it broke.
    at: Option<(BatchExecutor, Arc<StateFork>)>,
    /// How often one after the other it broke on a batch.
    faults: u32,
}

/// A batch that both versions ran.
struct Ran {
    difference: Difference,
    /// CPU time of the active version, and of the shadow.
    cpu: (Duration, Duration),
    /// Memory of the largest of the active version's guests.
    memory_bytes: u64,
}

/// Runs a shadow to its end.
pub(super) fn run(shadow: &Shadow) -> ShadowEnd {
    let lanes = Lanes::start(&shadow.loaded.spec.name, 1, shadow.stop.clone());
    let lanes = match lanes {
        Ok(lanes) => lanes,
        Err(error) => return ShadowEnd::Broke(format!("no thread can be started: {error}")),
    };
    // It has no turns: what needs more memory than each job has for itself is too much.
    let large = LargeBatches::new(0, limits::BATCH_ANSWERS_OWN_BYTES);
    let mut worker = Worker {
        shadow,
        lanes: lanes.in_turns(large, Arc::new(|_| {})),
        at: None,
        faults: 0,
    };
    let end = catch_unwind(AssertUnwindSafe(|| worker.until_ended()));
    end.unwrap_or_else(|panic| {
        let words = names::shown(system::panic_words(&*panic), limits::FAULT_SHOWN_CHARS_MAX);
        ShadowEnd::Broke(format!("the shadow died: {words}: a mistake of the host's"))
    })
}

impl Worker<'_> {
    fn until_ended(&mut self) -> ShadowEnd {
        let until = clock::monotonic() + self.shadow.terms.time;
        loop {
            let work = match self.shadow.inbox.next(until) {
                Next::Run(work) => work,
                Next::End(end) => return end,
            };
            let began = clock::monotonic();
            if let Some(end) = self.take(*work) {
                return end;
            }
            let rest = (100 - limits::SHADOW_SHARE) * 1000 / limits::SHADOW_SHARE;
            self.shadow.inbox.rest(clock::since(began) * rest / 1000);
        }
    }

    /// Runs a batch and compares it. Some: that was the last one.
    fn take(&mut self, work: Work) -> Option<ShadowEnd> {
        let batch = work.outcome.batch;
        let done = self.run(work);
        if self.shadow.stop.load(Ordering::Relaxed) {
            return None; // what it was cut off in counts for nothing; the reason is in the inbox
        }
        if self
            .at
            .as_ref()
            .is_some_and(|(_, state)| state.is_detached())
        {
            // Another pipeline may have written meanwhile what this one has read.
            self.at = None;
            self.shadow.report().skipped += 1 + self.shadow.inbox.start_over();
            return None;
        }
        let state_bytes = self.at.as_ref().map_or(0, |(_, state)| state.bytes());
        let mut report = self.shadow.report();
        report.state_bytes = state_bytes as u64;
        report.shadow_memory_bytes = self.lanes.memory_bytes();
        match done {
            Ok(ran) => {
                self.faults = 0;
                report.active_cpu += ran.cpu.0;
                report.shadow_cpu += ran.cpu.1;
                report.active_memory_bytes = ran.memory_bytes;
                report.take(batch, ran.difference);
            }
            Err(why) => {
                self.faults += 1;
                report.faults += 1;
                report.last_fault = Some(format!("batch {batch}: {why}"));
                self.at = None;
                report.skipped += self.shadow.inbox.start_over();
                if self.faults >= limits::SHADOW_FAULTS_MAX {
                    return Some(ShadowEnd::Broke(why));
                }
            }
        }
        if state_bytes > limits::SHADOW_STATE_BYTES_MAX {
            self.at = None;
            report.skipped += self.shadow.inbox.start_over();
        }
        let most = self.shadow.terms.batches;
        (most.is_some_and(|most| report.batches >= most)).then_some(ShadowEnd::Done)
    }

    fn run(&mut self, work: Work) -> Result<Ran, String> {
        let shadow = self.shadow;
        let (active, mut ours) = (work.active, work.outcome);
        if let Some((fork, epoch)) = work.fork {
            self.begin(&fork, epoch)?;
            shadow.report().forks += 1;
        }
        let batch = Batch {
            spans: ours.spans.clone(),
            chunks: std::mem::take(&mut ours.records),
            marks: Default::default(),
        };
        let (theirs, cpu) = self.run_batch(batch, work.given)?;
        let active = Run {
            spec: &active.spec,
            outcome: &ours,
        };
        let other = Run {
            spec: &shadow.loaded.spec,
            outcome: &theirs,
        };
        Ok(Ran {
            difference: Difference::of(active, other),
            cpu: (work.cpu, cpu),
            memory_bytes: work.memory_bytes,
        })
    }

    /// Begins where the active version was.
    fn begin(&mut self, fork: &ExecutorFork, epoch: u64) -> Result<(), String> {
        self.at = None; // the state of before is in use no more
        let loaded = &self.shadow.loaded;
        let mut executor = BatchExecutor::after_fork(fork, limits::SHADOW_CACHE_BYTES);
        let mut calls = self
            .lanes
            .calls(&loaded.guest_version, GroupQuarantines::new());
        let stages = restore_state(
            &loaded.spec,
            &fork.stages,
            epoch,
            &*fork.state,
            &mut calls,
            &|| self.shadow.stop.load(Ordering::Relaxed),
        );
        executor.begin_stages(stages.map_err(|error| error.to_string())?);
        self.at = Some((executor, fork.state.clone()));
        Ok(())
    }

    /// Runs a batch on its own state; what it took of a processor.
    fn run_batch(
        &mut self,
        batch: Batch,
        given: BatchInputs,
    ) -> Result<(BatchOutcome, Duration), String> {
        let loaded = &self.shadow.loaded;
        let (executor, state) = self.at.as_mut().ok_or("it has not begun")?;
        let job = BatchJob {
            spec: &loaded.spec,
            on_error: loaded.settings.on_error,
            memory_bytes: loaded.settings.limits.memory_bytes,
            canary: None,
        };
        let given = BatchInputs {
            time_rules: Some(loaded.settings.time_rules(true)),
            ..given
        };
        let before = cpu::of_this_thread();
        let mut workers = VersionLanes::new(&mut self.lanes, &loaded.guest_version);
        let stopped = || self.shadow.stop.load(Ordering::Relaxed);
        let outcome = executor.run_batch(job, batch, given, &mut workers, &stopped);
        let outcome = outcome.map_err(|error| error.to_string())?;
        let cpu = cpu::of_this_thread().saturating_sub(before);
        state.keep(&outcome.delta);
        executor.state.settled(outcome.batch);
        Ok((outcome, cpu))
    }
}
