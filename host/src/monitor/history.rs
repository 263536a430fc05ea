//! What is kept of a job: its last ten seconds, its last hour, and when it changed.

use super::kept::KeptSeries;
use super::points::Point;
use super::window::{Sample, Window};
use crate::api::{JobFacts, JobState};
use std::collections::{BTreeMap, VecDeque};
use streamhost_core::limits;
use streamhost_core::types::Offset;

const STEP_SECONDS: i64 = limits::SERIES_STEP_SECONDS as i64;
const MINUTE_MS: i64 = 60_000;

/// When something was seen first.
#[derive(Clone, PartialEq)]
struct Since<T> {
    what: T,
    /// None: it was so when the host started.
    since_ms: Option<i64>,
}

impl<T: PartialEq> Since<T> {
    fn see(&mut self, what: T, now_ms: i64) {
        if self.what != what {
            (self.what, self.since_ms) = (what, Some(now_ms));
        }
    }
}

/// What is kept of a job.
pub(super) struct History {
    state: Since<JobState>,
    error: Since<Option<String>>,
    pub(super) window: Window,
    pub(super) points: VecDeque<Point>,
    /// Where the point that is under way begins, and the counts there.
    point_from: (i64, Sample),
    /// Minutes since 1970, and the records a second in them.
    minutes: VecDeque<(i64, f64)>,
    /// When the minute that is under way was seen first, and the records then.
    minute_from: (i64, u64),
    /// How far each partition was, and when it was seen to move; by topic and number.
    moved: BTreeMap<(String, i32), (Offset, Option<i64>)>,
    durable_ms: Option<i64>,
    oldest_ms: Option<i64>,
    guest_memory_bytes: u64,
}

impl History {
    /// What is seen first. `started_ms`: when the host began; a job that runs then runs since then.
    pub(super) fn begin(facts: &JobFacts, now_ms: i64, started_ms: i64) -> History {
        let runs = is_running(facts.status.state);
        let first = Sample::of(facts, now_ms);
        let mut history = History {
            state: Since {
                what: facts.status.state,
                since_ms: runs.then_some(started_ms.max(now_ms)),
            },
            error: Since {
                what: facts.status.last_error.clone(),
                since_ms: None,
            },
            window: Window::default(),
            points: VecDeque::new(),
            point_from: (now_ms, first.clone()),
            minutes: VecDeque::new(),
            minute_from: (now_ms, first.counters.records_in),
            moved: BTreeMap::new(),
            durable_ms: None,
            oldest_ms: None,
            guest_memory_bytes: 0,
        };
        history.window.push(first);
        history.see(facts, now_ms);
        history
    }

    /// What is kept of it over a restart of the host.
    pub(super) fn kept(&self) -> KeptSeries {
        KeptSeries {
            points: self.points.clone(),
            minutes: self.minutes.clone(),
        }
    }

    /// Goes on where the host's life before ended.
    pub(super) fn goes_on(&mut self, kept: KeptSeries) {
        (self.points, self.minutes) = (kept.points, kept.minutes);
    }

    /// Takes what is seen now.
    pub(super) fn look(&mut self, facts: &JobFacts, now_ms: i64) {
        let sample = Sample::of(facts, now_ms);
        self.state.see(facts.status.state, now_ms);
        self.error.see(facts.status.last_error.clone(), now_ms);
        self.see(facts, now_ms);
        self.minute(sample.counters.records_in, now_ms);
        let (from_ms, before) = &self.point_from;
        let (from, now) = (
            from_ms.div_euclid(1000 * STEP_SECONDS),
            now_ms.div_euclid(1000 * STEP_SECONDS),
        );
        if now > from {
            let seconds = (now_ms - from_ms) as f64 / 1000.0;
            let point = Point::between(facts, before, &sample, now * STEP_SECONDS, seconds);
            self.points.push_back(point);
            if self.points.len() > limits::SERIES_POINTS_MAX {
                self.points.pop_front();
            }
            self.point_from = (now_ms, sample.clone());
        } else if now < from {
            self.point_from = (now_ms, sample.clone()); // somebody put the clock back
        }
        self.window.push(sample);
    }

    fn see(&mut self, facts: &JobFacts, now_ms: i64) {
        self.durable_ms = facts.meter.durable_ms().or(self.durable_ms);
        self.oldest_ms = facts.meter.oldest_ms();
        self.guest_memory_bytes = facts.meter.guest_memory_bytes();
        let first = self.moved.is_empty();
        for (topic, partitions) in &facts.snapshot.committed {
            for (&id, &offset) in partitions {
                let known = self
                    .moved
                    .entry((topic.clone(), id))
                    .or_insert((offset, None));
                if known.0 != offset {
                    *known = (offset, (!first).then_some(now_ms));
                }
            }
        }
    }

    fn minute(&mut self, records: u64, now_ms: i64) {
        let (from_ms, before) = self.minute_from;
        let minute = from_ms.div_euclid(MINUTE_MS);
        if now_ms.div_euclid(MINUTE_MS) == minute {
            return;
        }
        let seconds = ((now_ms - from_ms) as f64 / 1000.0).max(1.0);
        let rate = records.saturating_sub(before) as f64 / seconds;
        self.minutes.push_back((minute, super::tenths(rate)));
        if self.minutes.len() > limits::RECENT_MINUTES {
            self.minutes.pop_front();
        }
        self.minute_from = (now_ms, records);
    }

    /// Records a second of each of the last hour's minutes, oldest first.
    pub(super) fn recent(&self, now_ms: i64) -> Vec<Option<f64>> {
        let now = now_ms.div_euclid(MINUTE_MS);
        let of = |minute| {
            let at = self.minutes.binary_search_by_key(&minute, |(at, _)| *at);
            at.ok().map(|at| self.minutes[at].1)
        };
        (now - limits::RECENT_MINUTES as i64..now).map(of).collect()
    }

    /// Since when the job is in its state, if the host saw it.
    pub(super) fn since_ms(&self, state: JobState) -> Option<i64> {
        self.state.since_ms.filter(|_| self.state.what == state)
    }

    /// When the last error was seen first.
    pub(super) fn error_ms(&self) -> Option<i64> {
        self.error.since_ms
    }

    /// When the job's last batch became durable, since the host started.
    pub(super) fn durable_ms(&self) -> Option<i64> {
        self.durable_ms
    }

    /// Memory that its guests hold.
    pub(super) fn guest_memory_bytes(&self) -> u64 {
        self.guest_memory_bytes
    }

    /// How old the oldest record is that was read and is not durable.
    pub(super) fn oldest_seconds(&self, now_ms: i64) -> Option<f64> {
        let oldest_ms = self.oldest_ms?;
        Some(super::tenths((now_ms - oldest_ms).max(0) as f64 / 1000.0))
    }

    /// When a partition was seen to move, in milliseconds since 1970.
    pub(super) fn moved_ms(&self, topic: &str, id: i32) -> Option<i64> {
        self.moved.get(&(topic.to_owned(), id))?.1
    }
}

/// Whether the job is at work, or would be if a server were not away.
pub(super) fn is_running(state: JobState) -> bool {
    matches!(state, JobState::Running | JobState::Retrying)
}
