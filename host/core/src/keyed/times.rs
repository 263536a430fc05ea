//! The times that a stage goes by.
//!
//! All of them follow from one number, the stage's **line**: its watermark less the lateness that
//! it allows. What a stage let go is gone, so its line never falls, though a newer version may
//! allow more; and a newer version that allows less begins where the older one stood. With the line
//! before a batch, `before`, and the line after it, `line`:
//!
//! | stage | an item is late if | over is what has | its results are not before |
//! |---|---|---|---|
//! | panes | window + size <= before, of each window by itself | window + size <= line | before |
//! | sessions | last event < before | last event + gap < line | before - 1 |
//! | join | time < before | last partner's time < line | before - the longer distance |
//! | join by windows | window + size <= before | window + size <= line | before - size |
//! | by the batches' time | never | the same, with the clock as the line | (they have no event time) |
//! | each batch, running, lookup | never | | its watermark |
//!
//! Windows that late records may change are given before they are over: once their end is passed by
//! the line that a lateness without its part for updates would give.
//!
//! A stage's watermark is the least of what its inputs are not before. A source that is timed is
//! not before the job's watermark, late records apart, which the guest has left out.

use super::BatchTimes;
use crate::job::{JobSpec, StageKind, StageSpec};
use crate::types::{END_OF_TIME_MS, NO_TIME_MS};
use std::collections::BTreeMap;

/// The times of one stage in one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StageTimes {
    /// The batch's number.
    pub(super) batch: u64,
    /// The batch's own time.
    pub(super) clock_ms: i64,
    /// The line before the batch: what late items are judged by.
    pub(super) before_ms: i64,
    /// The line after it: what is over is judged by this.
    pub(super) late_threshold_ms: i64,
    /// What is given before it is over is judged by this: not before the line.
    pub(super) given_threshold_ms: i64,
    /// Keys without a timer are given one.
    pub(super) gives_timers: bool,
}

/// Each stage's times, in the order of the plan.
pub(super) fn of_stages(spec: &JobSpec, times: BatchTimes<'_>) -> Vec<StageTimes> {
    let kept = |i: usize| times.late_thresholds_ms.get(&spec.stages[i].name).copied();
    let before = lines(spec, times.before_ms, |i, own_ms| kept(i).unwrap_or(own_ms));
    let after = lines(spec, times.watermark_ms, |i, own_ms| {
        own_ms.max(before[i].ms)
    });
    let of_stage = |(i, stage): (usize, &StageSpec)| {
        let (before_ms, late_threshold_ms, given_threshold_ms) = match stage.kind {
            StageKind::Window(window) if window.processing_time => {
                let line_ms = match times.watermark_ms {
                    END_OF_TIME_MS => END_OF_TIME_MS,
                    _ => times.clock_ms,
                };
                (NO_TIME_MS, line_ms, line_ms)
            }
            StageKind::Window(window) => {
                // By the lateness of this version, though an older one's line may stand further on.
                let given_ms = earlier(after[i].own_ms, -window.updates_ms);
                (before[i].ms, after[i].ms, given_ms.max(after[i].ms))
            }
            _ => (before[i].ms, after[i].ms, after[i].ms),
        };
        StageTimes {
            batch: times.batch,
            clock_ms: times.clock_ms,
            before_ms,
            late_threshold_ms,
            given_threshold_ms,
            gives_timers: times.gives_timers,
        }
    };
    spec.stages.iter().enumerate().map(of_stage).collect()
}

/// The lines after a batch, by the names of the stages that go by event time: what the next batch
/// is to be given.
pub fn late_thresholds_after(spec: &JobSpec, times: BatchTimes<'_>) -> BTreeMap<String, i64> {
    let timed = spec
        .stages
        .iter()
        .zip(of_stages(spec, times))
        .filter(|(stage, _)| stage.is_timed());
    timed
        .map(|(stage, times)| (stage.name.clone(), times.late_threshold_ms))
        .collect()
}

/// Where a stage's line stands.
struct Line {
    ms: i64,
    /// Where it would stand by the stage's own watermark and lateness.
    own_ms: i64,
}

/// Each stage's line at a watermark of the job. `line` makes it of what the stage's own watermark
/// and lateness say.
fn lines(spec: &JobSpec, job_ms: i64, line: impl Fn(usize, i64) -> i64) -> Vec<Line> {
    let mut lines = Vec::with_capacity(spec.stages.len());
    // What each stage's results are not before; none where no input has event times.
    let mut results: Vec<Option<i64>> = Vec::with_capacity(spec.stages.len());
    for (i, stage) in spec.stages.iter().enumerate() {
        let of_input = |&input: &u32| match (input as usize).checked_sub(spec.sources.len()) {
            None => spec.sources[input as usize].timed.then_some(job_ms),
            Some(stage) => results[stage],
        };
        let watermark_ms = stage.inputs.iter().filter_map(of_input).min();
        let own_ms = earlier(watermark_ms.unwrap_or(job_ms), stage.lateness_ms());
        let ms = line(i, own_ms);
        results.push(watermark_ms.map(|_| earlier(ms, stage.behind_ms())));
        lines.push(Line { ms, own_ms });
    }
    lines
}

fn earlier(time_ms: i64, by_ms: i64) -> i64 {
    match time_ms {
        NO_TIME_MS | END_OF_TIME_MS => time_ms,
        _ => time_ms.saturating_sub(by_ms),
    }
}

/// The last time that lies at least `back_ms` before a line; none: there is none yet. At the end of
/// time all are.
pub(super) fn through(late_threshold_ms: i64, back_ms: i64) -> Option<i64> {
    match late_threshold_ms {
        NO_TIME_MS => None,
        END_OF_TIME_MS => Some(END_OF_TIME_MS),
        _ => late_threshold_ms.checked_sub(back_ms),
    }
}
