//! Gathers and runs batches, and hands them to the committer.

use super::board::{Board, Stop};
use super::committer::{Committer, QUEUE_MAX, Queue};
use super::deliver::Sinks;
use super::due::{Due, Idle};
use super::execute::{Given, Runs, Watermark};
use super::losses::{how_to_skip, is_anew, made_anew};
use super::outcome::Outcome;
use super::recovery::{Recovered, Recovery, asked};
use super::{Active, ActiveCell, Ended, Parts};
use crate::batch::{Cut, Gather};
use crate::guest::Lanes;
use crate::source::{Source, SourceError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{self, TrySendError};
use std::time::{Duration, Instant};
use streamhost_core::contract::GroupVerdicts;
use streamhost_core::job::settings::Start;
use streamhost_core::types::{Partition, Positions, by_topic, positions};
use streamhost_core::{clock, limits};
use tracing::Level;

/// Runs a pipeline to its end.
pub(super) fn run(mut parts: Parts, board: &Board) -> Ended {
    let lanes = match Lanes::start(&parts.job, parts.lanes, board.stops_soon()) {
        Ok(lanes) => lanes,
        Err(error) => return Ended::Failed(format!("no threads can be started: {error}")),
    };
    let active = parts.active.get();
    let recovery = Recovery {
        job: &parts.job,
        active: active.clone(),
        deployments: &parts.deployments,
        known: &parts.known,
        source: parts.source.as_mut(),
        store: parts.store.clone(),
        board,
        skip_lost: parts.skip_lost,
    };
    let sinks = Sinks::new(parts.sinks, parts.letters);
    let Recovered { ledger, sinks, mut runs } = match recovery.run(sinks, lanes, parts.replay_only) {
        Ok(recovered) => recovered,
        Err(end) => return end,
    };
    if parts.replay_only {
        return Ended::Stopped;
    }
    let reads_on = parts.reads_on && !active.has_windows();
    if active.is_over(&ledger) && !reads_on {
        return Ended::Finished;
    }
    board.reads_on();
    let topics = active.topics();
    let keeps = (0..).take(topics.len()).any(|source| !parts.source.replays(source));
    board.runs_on(keeps);
    let (at, topic_ids) = (positions(&topics, &ledger.reached), ledger.topic_ids.clone());
    let mut committer = Committer { store: parts.store.as_ref(), sinks, board, ledger, unsettled: None, keeps };
    let queue = Queue::default();
    let (send, batches) = mpsc::sync_channel(QUEUE_MAX);
    let end = std::thread::scope(|scope| {
        // Held by the committer for as long as it lives, so that a runner with nothing to send notices its end.
        let at_work = Arc::new(());
        let held = at_work.clone();
        let (committer, queue) = (&mut committer, &queue);
        let committed = scope.spawn(move || {
            let _held = held;
            committer.run(&batches, queue)
        });
        let mut runner = Runner {
            job: &parts.job,
            source: parts.source.as_mut(),
            runs: &mut runs,
            active: &parts.active,
            board,
            topics: &topics,
            at,
            idle: Idle::default(),
            loading: Positions::new(),
            forgotten: BTreeSet::new(),
            keeps,
            send,
            queue,
            at_work,
            topic_ids,
            told: Told::default(),
        };
        let end = runner.run();
        drop(runner.send); // the committer finishes what it has
        end.with(committed.join().unwrap_or_else(|_| Err(Ended::died("the committer"))))
    });
    parts.source.tell_group(&positions(&topics, &board.facts().reached));
    end
}

impl Ended {
    /// The pipeline's end, given the runner's and the committer's. A stop hides no reason.
    fn with(self, committed: Result<(), Ended>) -> Ended {
        match (self, committed) {
            (end, Ok(())) => end,
            (end @ (Ended::Failed(_) | Ended::VersionFault { .. }), Err(Ended::Stopped)) => end,
            (_, Err(end)) => end,
        }
    }
}

struct Runner<'a> {
    job: &'a str,
    source: &'a mut dyn Source,
    runs: &'a mut Runs,
    active: &'a ActiveCell,
    board: &'a Board,
    topics: &'a [String],
    /// Where the next batch begins.
    at: Positions,
    /// Which partitions have been silent, and since when.
    idle: Idle,
    /// Tables' partitions that are not read to these ends yet: until they are, nothing else is read.
    loading: Positions,
    /// Partitions that are over for good since the last batch: the next one no longer names them, and only then may one
    /// begin anew under the same number.
    forgotten: BTreeSet<Partition>,
    /// Some records cannot be read again.
    keeps: bool,
    send: mpsc::SyncSender<Outcome>,
    queue: &'a Queue,
    at_work: Arc<()>,
    topic_ids: BTreeMap<String, String>,
    told: Told,
}

/// What was last told, and when.
struct Told {
    batches: u64,
    lag_due: Instant,
    partitions_due: Instant,
}

impl Default for Told {
    fn default() -> Self {
        let now = clock::monotonic();
        Told { batches: 0, lag_due: now, partitions_due: now }
    }
}

/// What became of gathering.
enum Gathered {
    /// The batch closed.
    Batch(Cut),
    /// The last batch before a stop.
    Last(Cut),
    /// The last batch there is: every source has ended.
    End(Cut),
    /// Nothing came for a while, and it is time to look for new partitions.
    Nothing,
    /// Stop, and leave what was gathered: it is read again later.
    Stop,
}

impl Runner<'_> {
    fn run(&mut self) -> Ended {
        let (Ok(end) | Err(end)) = self.until_stopped();
        // The committer may wait for sinks that are away: meanwhile it is seen what the job will end by.
        if let Ended::Failed(reason) | Ended::VersionFault { reason, .. } = &end {
            self.board.ends_by(reason);
        }
        end
    }

    fn until_stopped(&mut self) -> Result<Ended, Ended> {
        self.new_partitions(true)?;
        self.tables_first()?;
        self.assign(self.at.clone())?;
        let mut due = Due::new(self.active.get().plan.every);
        loop {
            due = due.keep(self.active.get().plan.every);
            match self.gather(&mut due)? {
                Gathered::Batch(cut) => self.pass_on(cut, false)?,
                Gathered::Last(cut) => {
                    self.pass_on(cut, false)?;
                    return Ok(Ended::Stopped);
                }
                Gathered::End(cut) => {
                    self.pass_on(cut, true)?;
                    return Ok(Ended::Finished);
                }
                Gathered::Nothing => {}
                Gathered::Stop => return Ok(Ended::Stopped),
            }
            let looks = self.source.has_new_partitions() || clock::monotonic() >= self.told.partitions_due;
            if self.loaded() || looks && self.new_partitions(false)? {
                self.assign(self.at.clone())?;
            }
        }
    }

    /// A table is read to the end that it has now before anything is looked up in it.
    fn tables_first(&mut self) -> Result<(), Ended> {
        let active = self.active.get();
        if active.plan.sources.iter().any(|source| source.table) {
            let ends = asked(self.board, || self.source.table_ends())?;
            let behind = |(partition, end): &(Partition, i64)| self.at.get(partition).is_none_or(|at| at < end);
            self.loading = ends.into_iter().filter(behind).collect();
        }
        Ok(())
    }

    /// Whether the last table came to its end just now.
    fn loaded(&mut self) -> bool {
        let was_loading = !self.loading.is_empty();
        self.loading.retain(|partition, end| self.at.get(partition).is_none_or(|at| at < end));
        was_loading && self.loading.is_empty()
    }

    /// Reads on from here; while a table is not read to its end, tables alone.
    fn assign(&mut self, mut at: Positions) -> Result<(), Ended> {
        if !self.loading.is_empty() {
            at.retain(|partition, _| self.loading.contains_key(partition));
        }
        asked(self.board, || self.source.assign(&at))
    }

    /// Gathers until the batch closes.
    fn gather(&mut self, due: &mut Due) -> Result<Gathered, Ended> {
        let active = self.active.get();
        let mut gather = Gather::open(&self.at, active.settings.limits.batch());
        loop {
            self.tell();
            match self.board.stopping() {
                Some(how) if (how == Stop::Drain || self.keeps && how < Stop::Now) && !gather.is_empty() => {
                    return Ok(Gathered::Last(gather.cut()));
                }
                Some(_) => return Ok(Gathered::Stop),
                None if Arc::strong_count(&self.at_work) == 1 => return Ok(Gathered::Stop), // it says why it ended
                None if gather.is_empty()
                    && (self.source.has_new_partitions() || clock::monotonic() >= self.told.partitions_due) =>
                {
                    return Ok(Gathered::Nothing);
                }
                None => {}
            }
            if self.loading.is_empty() && self.source.is_over(&gather.reached()) {
                return Ok(Gathered::End(gather.cut()));
            }
            let is_free = self.queue.is_empty();
            let is_time = match due {
                Due::Free => is_free,
                Due::At { .. } if !self.loading.is_empty() => is_free,
                Due::At { .. } => due.is_over(),
            };
            if gather.is_full() || is_time && (!gather.is_empty() || self.is_due(&active)?) {
                return Ok(Gathered::Batch(gather.cut()));
            }
            let wait = if gather.is_empty() || is_free { due.wait() } else { due.wait().min(Duration::from_millis(2)) };
            self.fetch(&mut gather, wait)?;
        }
    }

    fn fetch(&mut self, gather: &mut Gather, wait: Duration) -> Result<(), Ended> {
        match self.source.fetch(gather, wait) {
            Ok(()) => {
                self.board.goes_on("source");
                self.idle.heard(clock::monotonic());
            }
            Err(error @ SourceError::Away { .. }) => {
                self.board.waits("source", &error.to_string());
                self.board.pause(limits::BACKOFF.0);
            }
            Err(error) => return Err(Ended::Failed(error.to_string())),
        }
        Ok(())
    }

    /// Whether a batch without records would do something: forget partitions, or finish a window by the clock, or as
    /// partitions were let go.
    fn is_due(&mut self, active: &Active) -> Result<bool, Ended> {
        if !self.forgotten.is_empty() {
            return Ok(true);
        }
        if active.plan.stages.is_empty() || !self.loading.is_empty() {
            return Ok(false);
        }
        let idle = self.idle_now(active);
        let watermark_ms = self.runs.watermark(active, self.at.keys().copied(), &idle);
        let clock_ms = self.runs.clock_ms();
        self.runs.is_due(active, clock_ms, watermark_ms).map_err(|error| Ended::Failed(error.to_string()))
    }

    fn idle_now(&mut self, active: &Active) -> BTreeSet<Partition> {
        if active.plan.sources.iter().all(|source| !source.timed) {
            return BTreeSet::new();
        }
        self.idle.partitions(clock::monotonic(), &self.at, &self.source.ends(), active.settings.idle)
    }

    /// Runs a batch with the version that is active now, and hands it on. `last`: every source has ended with it.
    fn pass_on(&mut self, cut: Cut, last: bool) -> Result<(), Ended> {
        let active = self.active.get();
        let reached = cut.reached();
        self.runs.state.settled(self.board.durable());
        let kept = cut.chunks.iter().filter(|chunk| !self.source.replays(chunk.partition.source)).cloned().collect();
        self.idle.moved(clock::monotonic(), &self.at, &reached);
        let watermark = match last {
            true => Watermark::End,
            false => Watermark::Least { idle: self.idle_now(&active) },
        };
        let given =
            Given { clock_ms: self.runs.clock_ms(), watermark, verdicts: None, group_verdicts: GroupVerdicts::new() };
        let done = self.runs.batch(&active, cut, given, self.board);
        let mut done = done.map_err(|error| error.ends(active.deployment))?;
        done.kept = kept;
        self.hand_over(done)?;
        self.at = reached;
        if !std::mem::take(&mut self.forgotten).is_empty() {
            self.told.partitions_due = clock::monotonic(); // one of them may have come again
        }
        Ok(())
    }

    /// Waits until the committer has room, and tells meanwhile what is new.
    fn hand_over(&mut self, mut done: Outcome) -> Result<(), Ended> {
        self.queue.joins();
        loop {
            match self.send.try_send(done) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Disconnected(_)) => return Err(Ended::Stopped), // the committer says why it ended
                Err(TrySendError::Full(back)) => done = back,
            }
            self.queue.room(limits::LAG_TIME);
            self.tell();
        }
    }

    /// Tells the group and the board what is new.
    fn tell(&mut self) {
        let now = clock::monotonic();
        if now < self.told.lag_due {
            return;
        }
        self.told.lag_due = now + limits::LAG_TIME;
        let facts = self.board.facts();
        let mut ends = self.source.ends();
        let durable = positions(self.topics, &facts.reached);
        ends.extend(durable.into_iter().filter(|(partition, _)| !self.at.contains_key(partition))); // over for good
        let mut ends = by_topic(self.topics, &ends);
        for topic in self.topics {
            ends.entry(topic.clone()).or_default(); // a topic without a known end makes the lag unknown
        }
        self.board.ends(ends);
        if facts.batches != self.told.batches {
            self.told.batches = facts.batches;
            self.source.tell_group(&positions(self.topics, &facts.reached));
        }
    }

    /// Forgets partitions that are over for good, and reads those that the job has not seen yet from their first record.
    /// True: there are some.
    fn new_partitions(&mut self, at_start: bool) -> Result<bool, Ended> {
        self.told.partitions_due = clock::monotonic() + limits::PARTITIONS_TIME;
        let there = match self.source.partitions() {
            Ok(there) => there,
            Err(error @ SourceError::Away { .. }) if !at_start => {
                self.board.waits("source", &error.to_string());
                self.board.pause(limits::BACKOFF.0); // one of several may have news, and is not asked at once again
                return Ok(false);
            }
            Err(SourceError::Away { .. }) => asked(self.board, || self.source.partitions())?,
            Err(error) => return Err(Ended::Failed(error.to_string())),
        };
        // At the start the recovery has just looked.
        if !at_start
            && let Ok(ids) = self.source.topic_ids()
            && let Some(topic) = made_anew(&self.topic_ids, &ids).first()
        {
            return Err(Ended::Failed(how_to_skip(self.job, &is_anew(topic))));
        }
        let forgot = self.forget();
        let is_new = |partition: &Partition| !self.at.contains_key(partition) && !self.forgotten.contains(partition);
        if !there.iter().any(is_new) {
            return Ok(forgot);
        }
        let first = asked(self.board, || self.source.start(Start::Earliest))?;
        for (partition, offset) in first {
            if !self.at.contains_key(&partition) && !self.forgotten.contains(&partition) {
                let topic = &self.topics[usize::from(partition.source)];
                self.board.say(Level::INFO, &format!("a new partition: {} of `{topic}`", partition.id));
                self.at.insert(partition, offset);
            }
        }
        Ok(true)
    }

    /// Forgets what is over for good, unless the watermark still needs it. True: there was something.
    fn forget(&mut self) -> bool {
        let active = self.active.get();
        let mut over = self.source.retired(&self.at);
        over.retain(|partition| self.at.contains_key(partition) && self.runs.may_forget(&active, *partition));
        for partition in &over {
            self.at.remove(partition);
            self.loading.remove(partition);
        }
        self.forgotten.extend(&over);
        !over.is_empty()
    }
}
