//! What a pipeline tells of itself, and how it is asked to stop.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use streamhost_core::protocol::{Ledger, Times, Totals};
use streamhost_core::state::Stages;
use streamhost_core::types::TopicOffsets;
use streamhost_core::{clock, limits};
use tracing::Level;

/// How to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// Cut what was gathered, and finish it.
    Drain,
    /// Finish the batch that is planned if its sinks take it; what was only gathered or run is read again later. Where
    /// it could not be, it is planned too.
    Soon,
    /// It had its time: what is only being run is let go, whether it can be read again or not.
    Now,
}

/// What stands on the board.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Counts of durable batches.
    pub totals: Totals,
    /// The last durable batch.
    pub batches: u64,
    /// Positions of the last durable batch.
    pub reached: TopicOffsets,
    /// The ledger's life.
    pub incarnation: u64,
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
    pub times: Times,
    /// What the keyed stages keep.
    pub stages: Stages,
    /// Every source has ended, and all is delivered.
    pub finished: bool,
    /// It ends by its last error, once its sinks have what was planned before.
    pub ends_by_error: bool,
}

impl Facts {
    /// Records behind the ends of the topics that are read now; none while an end is not known.
    pub fn lag(&self) -> Option<u64> {
        if self.finished {
            return Some(0); // every source has ended
        }
        let mut lag = 0;
        for (topic, ends) in &self.ends {
            for (partition, &reached) in self.reached.get(topic)? {
                lag += u64::try_from(ends.get(partition)? - reached).unwrap_or(0);
            }
        }
        (!self.ends.is_empty()).then_some(lag)
    }
}

/// Tells a job's user a line of this level: in the job's own log, and with the job's name in the host's.
pub type Say = Box<dyn Fn(Level, &str) + Send + Sync>;

/// Shared between a pipeline's threads and the supervisor.
#[derive(Default)]
pub struct Board {
    facts: Mutex<Facts>,
    stop: Mutex<Option<Stop>>,
    /// A stop lets go of the batch that is being run; for those who look often.
    soon: Arc<AtomicBool>,
    runs_on: AtomicBool,
    stopped: Condvar,
    say: Option<Say>,
}

impl Board {
    /// An empty board, whose lines go to `say`. Without one they go nowhere.
    pub fn telling(say: Say) -> Self {
        Board { say: Some(say), ..Board::default() }
    }

    /// Says a line in the job's log and the host's.
    pub fn say(&self, level: Level, text: &str) {
        if let Some(say) = &self.say {
            say(level, text);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of what stands on it. Who has been at one delivery for long waits, though no call has failed yet.
    pub fn facts(&self) -> Facts {
        let mut facts = self.lock().clone();
        let long_ago = clock::now_ms() - i64::try_from(limits::SLOW_DELIVERY_TIME.as_millis()).unwrap_or(i64::MAX);
        for (who, &since) in facts.under_way.iter().filter(|(_, since)| **since < long_ago) {
            let silent = || (format!("{who} has not acknowledged its batch yet"), since);
            facts.waiting.entry(who.clone()).or_insert_with(silent);
        }
        facts
    }

    /// The last durable batch.
    pub fn durable(&self) -> u64 {
        self.lock().batches
    }

    /// Notes that `who` begins a delivery.
    pub fn starts_on(&self, who: &str) {
        self.lock().under_way.insert(who.to_string(), clock::now_ms());
    }

    /// Notes that `who` has ended it, one way or another.
    pub fn done_with(&self, who: &str) {
        self.lock().under_way.remove(who);
    }

    /// Notes a checkpoint.
    pub fn settle(&self, ledger: &Ledger) {
        let mut facts = self.lock();
        facts.totals = ledger.totals.clone();
        facts.batches = ledger.batch;
        facts.reached = ledger.reached.clone();
        facts.incarnation = ledger.incarnation;
        facts.deployment = ledger.deployment;
        facts.times = ledger.times.clone();
        facts.stages = ledger.stages.clone();
        facts.finished = ledger.finished;
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
    pub fn waits(&self, who: &str, what: &str) {
        let is_new = {
            let mut facts = self.lock();
            if !facts.ends_by_error {
                facts.last_error = Some(what.to_string());
            }
            let since = facts.waiting.get(who).map_or_else(clock::now_ms, |(_, since)| *since);
            facts.waiting.insert(who.to_string(), (what.to_string(), since)).is_none()
        };
        if is_new {
            self.say(Level::WARN, &format!("{who} waits: {what}"));
        }
    }

    /// Notes that `who` goes on.
    pub fn goes_on(&self, who: &str) {
        let waited = self.lock().waiting.remove(who);
        if let Some((_, since)) = waited {
            self.say(Level::INFO, &format!("{who} goes on after {} ms", clock::now_ms() - since));
        }
    }

    /// Notes an error.
    pub fn error(&self, what: &str) {
        self.lock().last_error = Some(what.to_string());
    }

    /// Notes an error that the pipeline ends by. What waits meanwhile does not hide it.
    pub fn ends_by(&self, what: &str) {
        let mut facts = self.lock();
        (facts.last_error, facts.ends_by_error) = (Some(what.to_string()), true);
    }

    /// Asks to stop; a later call can only ask for more haste.
    pub fn stop(&self, how: Stop) {
        let mut stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner);
        *stop = (*stop).max(Some(how));
        let runs_on = self.runs_on.load(Ordering::Relaxed);
        let leaves = *stop >= Some(if runs_on { Stop::Now } else { Stop::Soon });
        self.soon.store(leaves, Ordering::Relaxed);
        self.stopped.notify_all();
    }

    /// Whether to stop, and how.
    pub fn stopping(&self) -> Option<Stop> {
        *self.stop.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True once a stop has come that waits for no batch that is only being run.
    pub fn stops_soon(&self) -> Arc<AtomicBool> {
        self.soon.clone()
    }

    /// `keeps`: from now on a batch is run to its end, as its records cannot be read again; [`Stop::Now`] alone ends it.
    pub fn runs_on(&self, keeps: bool) {
        self.runs_on.store(keeps, Ordering::Relaxed);
    }

    /// Whether the batch whose run began then is to be left for a stop, to be read again later.
    pub fn leaves_batch(&self, began: Instant) -> bool {
        match self.runs_on.load(Ordering::Relaxed) {
            true => self.stopping() == Some(Stop::Now),
            false => self.gives_up(began),
        }
    }

    /// Whether what began then is to be left for a stop: at once, or if it is a drain, once it had its time.
    pub fn gives_up(&self, began: Instant) -> bool {
        match self.stopping() {
            Some(Stop::Soon | Stop::Now) => true,
            Some(Stop::Drain) => began.elapsed() > limits::DRAIN_TIME,
            None => false,
        }
    }

    /// Waits, but no longer than until a stop. True: stop.
    pub fn pause(&self, time: Duration) -> bool {
        let stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner);
        let (stop, _) =
            self.stopped.wait_timeout_while(stop, time, |stop| stop.is_none()).unwrap_or_else(PoisonError::into_inner);
        stop.is_some()
    }
}

/// The shortest wait. The host's own tests fail thousands of times, with nothing to wait for.
const SHORTEST: Duration = if cfg!(test) { Duration::from_millis(1) } else { limits::BACKOFF.0 };

/// Waits that double, between two bounds, for as long as a fault lasts.
pub struct Backoff {
    next: Duration,
    began: Instant,
}

impl Backoff {
    /// Begins with the shortest.
    pub fn new() -> Self {
        Backoff { next: SHORTEST, began: clock::monotonic() }
    }

    /// Waits. True: a stop came, and enough was tried. A drain is given some more time, as something may come back.
    pub fn wait(&mut self, board: &Board) -> bool {
        if board.gives_up(self.began) {
            return true;
        }
        match board.stopping() {
            Some(_) => std::thread::sleep(SHORTEST),
            None => drop(board.pause(self.next)),
        }
        self.next = (self.next * 2).min(limits::BACKOFF.1);
        board.stopping() >= Some(Stop::Soon)
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn what_befalls_a_job_is_in_its_log_once_and_what_waits_hides_no_end() {
        let logged: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = logged.clone();
        let board = Board::telling(Box::new(move |level, text| log.lock().unwrap().push(format!("{level} {text}"))));
        board.waits("sink `s`", "away");
        board.waits("sink `s`", "still away");
        assert_eq!(board.facts().last_error.as_deref(), Some("still away"));
        board.ends_by("no such topic");
        board.waits("sink `s`", "away");
        assert_eq!(board.facts().last_error.as_deref(), Some("no such topic"));
        board.goes_on("sink `s`");
        board.goes_on("sink `s`");
        let logged = logged.lock().unwrap();
        assert_eq!((logged.len(), logged[0].as_str()), (2, "WARN sink `s` waits: away"));
        assert!(logged[1].starts_with("INFO sink `s` goes on after "));
    }

    #[test]
    fn the_lag_is_of_the_topics_that_are_read_and_unknown_until_all_ends_are() {
        let mut facts = Facts::default();
        assert_eq!(facts.lag(), None);
        facts.reached = [("t".into(), [(0, 5), (1, 7)].into()), ("before".into(), [(0, 1)].into())].into();
        facts.ends = [("t".into(), [(0, 9)].into())].into();
        assert_eq!(facts.lag(), None);
        facts.ends = [("t".into(), [(0, 9), (1, 6)].into())].into();
        assert_eq!(facts.lag(), Some(4));
    }
}
