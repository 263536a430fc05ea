//! What a pipeline tells of itself.

use super::meter::PipelineMeter;
use super::retries::Retries;
use super::stop::StopSignal;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use streamhost_core::job::budget::watch::{BudgetChange, OverBudget};
use streamhost_core::protocol::{Checkpoint, Counters, EventTimes};
use streamhost_core::state::Stages;
use streamhost_core::types::TopicOffsets;
use streamhost_core::{clock, limits};
use tracing::Level;

/// What a pipeline tells of itself at one moment.
#[derive(Clone, Debug, Default)]
pub struct StatusSnapshot {
    /// Counts of durable batches.
    pub counters: Counters,
    /// The last durable batch.
    pub batches: u64,
    /// Positions of the last durable batch.
    pub committed: TopicOffsets,
    /// The epoch of the job's history.
    pub epoch: u64,
    /// The ends of the partitions, as last heard, of the topics that are read now.
    pub ends: TopicOffsets,
    /// What is waited for and since when (milliseconds since 1970), by who waits.
    pub waiting: BTreeMap<String, (String, i64)>,
    /// Who is at one delivery and since when (milliseconds since 1970).
    pub under_way: BTreeMap<String, i64>,
    /// The last thing that went wrong; where the pipeline ends by an error, that one.
    pub last_error: Option<String>,
    /// The deployment of the last durable batch.
    pub deployment: u64,
    /// What is known of time.
    pub times: EventTimes,
    /// By topic the partitions whose event time jumped ahead, and when it last did.
    pub jumps: BTreeMap<String, BTreeMap<i32, Jump>>,
    /// What the keyed stages keep.
    pub stages: Stages,
    /// Every source has ended, and all is delivered.
    pub finished: bool,
    /// It ends by its last error, once its sinks have what was planned before.
    pub ends_by_error: bool,
}

/// A partition's event time rose by more than [`limits::JUMP_TIME`] in one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jump {
    /// When that was seen.
    pub at_ms: i64,
    /// The event time before.
    pub from_ms: i64,
    /// The event time after.
    pub to_ms: i64,
}

impl StatusSnapshot {
    /// Takes the times after a batch, and notes which partitions jumped.
    fn take_times(&mut self, times: &EventTimes, at_ms: i64) {
        let step_ms = i64::try_from(limits::JUMP_TIME.as_millis()).unwrap_or(i64::MAX);
        for (topic, now) in &times.event_ms {
            let before = self.times.event_ms.get(topic);
            for (&id, &to_ms) in now {
                let Some(&from_ms) = before.and_then(|before| before.get(&id)) else {
                    continue;
                };
                if to_ms.saturating_sub(from_ms) > step_ms {
                    let jump = Jump {
                        at_ms,
                        from_ms,
                        to_ms,
                    };
                    let of_topic = self.jumps.entry(topic.clone()).or_default();
                    of_topic.insert(id, jump);
                }
            }
        }
        self.times = times.clone();
    }

    /// Records behind the ends of the topics that are read now; none while an end is not known.
    pub fn lag(&self) -> Option<u64> {
        if self.finished {
            return Some(0); // every source has ended
        }
        let mut lag = 0;
        for (topic, ends) in &self.ends {
            for (partition, &reached) in self.committed.get(topic)? {
                lag += u64::try_from(ends.get(partition)? - reached).unwrap_or(0);
            }
        }
        (!self.ends.is_empty()).then_some(lag)
    }
}

/// Tells a job's user a line of this level: in the job's own log, and with the job's name in the
/// host's.
pub type JobLogger = Box<dyn Fn(Level, &str) + Send + Sync>;

/// Is told when the version that runs goes over a budget, on a thread of the pipeline.
pub type BudgetTeller = Box<dyn Fn(OverBudget) + Send + Sync>;

/// Shared between a pipeline's threads and the supervisor.
#[derive(Default)]
pub struct PipelineStatus {
    snapshot: Mutex<StatusSnapshot>,
    /// How it is asked to stop.
    pub stop: StopSignal,
    /// Dead letters that it is to take once more.
    pub retries: Retries,
    /// What its batches measure.
    pub meter: Arc<PipelineMeter>,
    say: Option<JobLogger>,
    over_budget: Option<BudgetTeller>,
    set_ahead_ms: SetAhead,
}

/// By how many milliseconds the machine's clock was set ahead.
struct SetAhead(Arc<dyn Fn() -> i64 + Send + Sync>);

impl Default for SetAhead {
    fn default() -> Self {
        SetAhead(Arc::new(clock::set_ahead_ms))
    }
}

impl PipelineStatus {
    /// An empty status, whose lines go to `say`. Without one they go nowhere.
    pub fn telling(say: JobLogger) -> Self {
        PipelineStatus {
            say: Some(say),
            ..PipelineStatus::default()
        }
    }

    /// The same, that measures on where the job's pipeline before it ended.
    pub fn measuring(self, meter: Arc<PipelineMeter>) -> Self {
        PipelineStatus { meter, ..self }
    }

    /// The same, that tells of budgets.
    pub fn judging(self, tell: BudgetTeller) -> Self {
        PipelineStatus {
            over_budget: Some(tell),
            ..self
        }
    }

    /// The same, with another watch over the machine's clock: for tests.
    pub fn watching(self, set_ahead_ms: Arc<dyn Fn() -> i64 + Send + Sync>) -> Self {
        PipelineStatus {
            set_ahead_ms: SetAhead(set_ahead_ms),
            ..self
        }
    }

    /// Waits while the machine's clock is far ahead of what it should show: what is written then
    /// would hide what is written later. True: a stop came meanwhile.
    pub(super) fn waits_for_clock(&self) -> bool {
        while let Some(ahead) = self.clock_ahead() {
            let by = humantime::format_duration(Duration::from_secs(ahead.as_secs()));
            self.waiting(
                "clock",
                &format!(
                    "the machine's clock was set {by} ahead while the host ran, and rows of then would hide those of later: set it right; if it is right now, restart the host"
                ),
            );
            if self.stop.pause(limits::BACKOFF.0) {
                return true;
            }
        }
        self.resumed("clock");
        false
    }

    /// By how much the machine's clock is ahead, if it is so far that nothing is to be written.
    pub(super) fn clock_ahead(&self) -> Option<Duration> {
        let ahead_ms = u64::try_from((self.set_ahead_ms.0)()).unwrap_or(0);
        let ahead = Duration::from_millis(ahead_ms);
        (ahead > limits::CLOCK_AHEAD_MAX).then_some(ahead)
    }

    /// Says a line in the job's log and the host's.
    pub fn say(&self, level: Level, text: &str) {
        if let Some(say) = &self.say {
            say(level, text);
        }
    }

    fn lock(&self) -> MutexGuard<'_, StatusSnapshot> {
        self.snapshot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of it. Who has been at one delivery for long waits, though no call has failed yet.
    pub fn snapshot(&self) -> StatusSnapshot {
        let mut snapshot = self.lock().clone();
        let long_ago = clock::now_ms()
            - i64::try_from(limits::SLOW_DELIVERY_TIME.as_millis()).unwrap_or(i64::MAX);
        for (who, &since) in snapshot
            .under_way
            .iter()
            .filter(|(_, since)| **since < long_ago)
        {
            let silent = || (format!("{who} has not acknowledged its batch yet"), since);
            snapshot.waiting.entry(who.clone()).or_insert_with(silent);
        }
        snapshot
    }

    /// The last durable batch.
    pub fn durable(&self) -> u64 {
        self.lock().batches
    }

    /// Notes that `who` begins a delivery.
    pub fn starts_on(&self, who: &str) {
        self.lock()
            .under_way
            .insert(who.to_string(), clock::now_ms());
    }

    /// Notes that `who` has ended it, one way or another.
    pub fn done_with(&self, who: &str) {
        self.lock().under_way.remove(who);
    }

    /// Notes a checkpoint.
    pub fn settle(&self, checkpoint: &Checkpoint) {
        let mut snapshot = self.lock();
        snapshot.counters = checkpoint.counters.clone();
        snapshot.batches = checkpoint.batch;
        snapshot.committed = checkpoint.committed.clone();
        snapshot.epoch = checkpoint.epoch;
        snapshot.deployment = checkpoint.deployment;
        snapshot.take_times(&checkpoint.times, clock::now_ms());
        snapshot.stages = checkpoint.stages.clone();
        snapshot.finished = checkpoint.finished;
        drop(snapshot);
        for change in self.meter.durable(checkpoint.batch, &checkpoint.counters) {
            match (change, &self.over_budget) {
                (BudgetChange::Over(over), Some(tell)) => tell(over),
                (BudgetChange::Over(_), None) => {}
                (BudgetChange::Within(text), _) => self.say(Level::INFO, &text),
            }
        }
        if let Some(letter) = &checkpoint.retried {
            self.retries.durable(letter);
        }
    }

    /// Notes that a finished job reads on, as a newer deployment says.
    pub fn reads_on(&self) {
        self.lock().finished = false;
    }

    /// Notes the partitions' ends.
    pub fn ends(&self, ends: TopicOffsets) {
        self.lock().ends = ends;
    }

    /// Notes that `who` waits; said once in the log.
    pub fn waiting(&self, who: &str, what: &str) {
        self.meter.erred(who);
        let is_new = {
            let mut snapshot = self.lock();
            if !snapshot.ends_by_error {
                snapshot.last_error = Some(what.to_string());
            }
            let since = snapshot
                .waiting
                .get(who)
                .map_or_else(clock::now_ms, |(_, since)| *since);
            snapshot
                .waiting
                .insert(who.to_string(), (what.to_string(), since))
                .is_none()
        };
        if is_new {
            self.say(Level::WARN, &format!("{who} waits: {what}"));
        }
    }

    /// Notes that `who` goes on.
    pub fn resumed(&self, who: &str) {
        let waited = self.lock().waiting.remove(who);
        if let Some((_, since)) = waited {
            self.say(
                Level::INFO,
                // Whoever waited for the clock did so while it was wrong.
                &format!(
                    "{who} goes on after {} ms",
                    (clock::now_ms() - since).max(0)
                ),
            );
        }
    }

    /// Notes an error.
    pub fn error(&self, what: &str) {
        self.lock().last_error = Some(what.to_string());
    }

    /// Notes an error that the pipeline ends by. What waits meanwhile does not hide it.
    pub fn ends_by(&self, what: &str) {
        let mut snapshot = self.lock();
        (snapshot.last_error, snapshot.ends_by_error) = (Some(what.to_string()), true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_befalls_a_job_is_in_its_log_once_and_what_waits_hides_no_end() {
        let logged: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = logged.clone();
        let status = PipelineStatus::telling(Box::new(move |level, text| {
            log.lock().unwrap().push(format!("{level} {text}"))
        }));
        status.waiting("sink `s`", "away");
        status.waiting("sink `s`", "still away");
        assert_eq!(status.snapshot().last_error.as_deref(), Some("still away"));
        status.ends_by("no such topic");
        status.waiting("sink `s`", "away");
        assert_eq!(
            status.snapshot().last_error.as_deref(),
            Some("no such topic")
        );
        status.resumed("sink `s`");
        status.resumed("sink `s`");
        let logged = logged.lock().unwrap();
        assert_eq!(
            (logged.len(), logged[0].as_str()),
            (2, "WARN sink `s` waits: away")
        );
        assert!(logged[1].starts_with("INFO sink `s` goes on after "));
    }

    #[test]
    fn an_event_time_that_jumps_is_told_and_one_that_is_new_is_none() {
        let hour_ms = 3_600_000;
        let times = |ms: &[i64]| EventTimes {
            event_ms: [("t".to_owned(), (0..).zip(ms.iter().copied()).collect())].into(),
            ..EventTimes::default()
        };
        let mut snapshot = StatusSnapshot::default();
        snapshot.take_times(&times(&[5]), 1);
        snapshot.take_times(&times(&[5 + hour_ms, 9 * hour_ms]), 2);
        assert!(snapshot.jumps.is_empty());
        snapshot.take_times(&times(&[5 + hour_ms, 11 * hour_ms]), 3);
        snapshot.take_times(&times(&[6 + hour_ms, 11 * hour_ms]), 4);
        let jump = Jump {
            at_ms: 3,
            from_ms: 9 * hour_ms,
            to_ms: 11 * hour_ms,
        };
        assert_eq!(
            snapshot.jumps,
            [("t".to_owned(), [(1, jump)].into())].into()
        );
    }

    #[test]
    fn the_lag_is_of_the_topics_that_are_read_and_unknown_until_all_ends_are() {
        let mut snapshot = StatusSnapshot::default();
        assert_eq!(snapshot.lag(), None);
        snapshot.committed = [
            ("t".into(), [(0, 5), (1, 7)].into()),
            ("before".into(), [(0, 1)].into()),
        ]
        .into();
        snapshot.ends = [("t".into(), [(0, 9)].into())].into();
        assert_eq!(snapshot.lag(), None);
        snapshot.ends = [("t".into(), [(0, 9), (1, 6)].into())].into();
        assert_eq!(snapshot.lag(), Some(4));
    }
}
