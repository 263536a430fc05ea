//! The times that a stage goes by.

use super::BatchTimes;
use crate::job::{JobPlan, StageKind, StagePlan};
use crate::record::{END_OF_TIME_MS, NO_TIME_MS};

/// The times of one stage in one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StageTimes {
    /// The batch's number.
    pub(super) batch: u64,
    /// The batch's own time.
    pub(super) clock_ms: i64,
    /// What late items are judged by: the stage's watermark before the batch.
    pub(super) before_ms: i64,
    /// What is over is judged by this: the stage's watermark after the batch, or its clock.
    pub(super) now_ms: i64,
}

/// Each stage's times, in the order of the plan.
pub(super) fn of_stages(plan: &JobPlan, times: BatchTimes) -> Vec<StageTimes> {
    let before = watermarks(plan, times.before_ms);
    let after = watermarks(plan, times.watermark_ms);
    let of_stage = |(i, stage): (usize, &StagePlan)| {
        let (before_ms, now_ms) = match stage.kind {
            StageKind::Window(window) if window.processing_time => {
                let at_end = times.watermark_ms == END_OF_TIME_MS;
                (NO_TIME_MS, if at_end { END_OF_TIME_MS } else { times.clock_ms })
            }
            _ => (before[i].unwrap_or(times.before_ms), after[i].unwrap_or(times.watermark_ms)),
        };
        StageTimes { batch: times.batch, clock_ms: times.clock_ms, before_ms, now_ms }
    };
    plan.stages.iter().enumerate().map(of_stage).collect()
}

/// For each stage the least over its inputs; none where no input has event times.
fn watermarks(plan: &JobPlan, job_ms: i64) -> Vec<Option<i64>> {
    let mut found: Vec<Option<i64>> = Vec::with_capacity(plan.stages.len());
    for stage in &plan.stages {
        let of_input = |&input: &u32| {
            let input = input as usize;
            match input.checked_sub(plan.sources.len()) {
                None => plan.sources[input].timed.then_some(job_ms),
                Some(i) => found[i].map(|time_ms| earlier(time_ms, plan.stages[i].delay_ms())),
            }
        };
        found.push(stage.inputs.iter().filter_map(of_input).min());
    }
    found
}

fn earlier(time_ms: i64, delay_ms: i64) -> i64 {
    match time_ms {
        NO_TIME_MS | END_OF_TIME_MS => time_ms,
        _ => time_ms.saturating_sub(delay_ms),
    }
}

/// The last time that lies at least `back_ms` before now; none: there is none yet. At the end of time all are.
pub(super) fn through(now_ms: i64, back_ms: i64) -> Option<i64> {
    match now_ms {
        NO_TIME_MS => None,
        END_OF_TIME_MS => Some(END_OF_TIME_MS),
        _ => now_ms.checked_sub(back_ms),
    }
}
