//! Gathers and runs batches, and hands them to the committer.

use super::board::{Board, Stop};
use super::committer::Committer;
use super::deliver::Sinks;
use super::outcome::{Outcome, outcome};
use super::recovery::{Recovery, asked};
use super::{ActiveCell, Ended, Parts};
use crate::batch::{Cut, Gather};
use crate::checkpoint::{by_topic, positions};
use crate::clock;
use crate::guest::lanes::Lanes;
use crate::guest::run::{Verdicts, VersionFault};
use crate::limits;
use crate::record::Positions;
use crate::source::{Source, SourceError, Start};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

/// Runs a pipeline to its end.
pub(super) fn run(mut parts: Parts, board: &Board) -> Ended {
    let mut lanes = match Lanes::start(&parts.job, parts.lanes) {
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
        lanes: &mut lanes,
        store: parts.store.as_ref(),
        board,
    };
    let sinks = Sinks::new(parts.sinks, parts.letters, active.clone());
    let (ledger, sinks) = match recovery.run(sinks) {
        Ok(recovered) => recovered,
        Err(end) => return end,
    };
    if parts.replay_only {
        return Ended::Stopped;
    }
    let topics = active.topics();
    let at = positions(&topics, &ledger.reached);
    let mut committer = Committer { store: parts.store.as_ref(), sinks, board, ledger, unsettled: false };
    let queued = AtomicUsize::new(0);
    let (send, batches) = mpsc::sync_channel(limits::BATCHES_IN_FLIGHT_MAX - 2);
    let end = std::thread::scope(|scope| {
        // Held by the committer for as long as it lives, so that a runner with nothing to send notices its end.
        let at_work = Arc::new(());
        let held = at_work.clone();
        let (committer, queued) = (&mut committer, &queued);
        let committed = scope.spawn(move || {
            let _held = held;
            committer.run(batches, queued)
        });
        let source = parts.source.as_mut();
        let mut runner = Runner {
            source,
            lanes: &mut lanes,
            active: &parts.active,
            board,
            topics: &topics,
            at,
            send,
            queued,
            at_work,
            told: Told::default(),
        };
        let end = runner.run();
        drop(runner.send); // the committer finishes what it has
        let committed = committed
            .join()
            .unwrap_or_else(|_| Ended::Failed("the committer died: a mistake of the host's, see its log".into()));
        if committed == Ended::Stopped { end } else { committed }
    });
    parts.source.tell_group(&positions(&topics, &board.facts().reached));
    end
}

struct Runner<'a> {
    source: &'a mut dyn Source,
    lanes: &'a mut Lanes,
    active: &'a ActiveCell,
    board: &'a Board,
    topics: &'a [String],
    /// Where the next batch begins.
    at: Positions,
    send: mpsc::SyncSender<Outcome>,
    queued: &'a AtomicUsize,
    at_work: Arc<()>,
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

/// The rest of an interval.
enum Due {
    /// As soon as the pipeline is free and something is there.
    Free,
    At {
        next: Instant,
        every: Duration,
    },
}

impl Due {
    fn new(every: Duration) -> Due {
        if every.is_zero() { Due::Free } else { Due::At { next: clock::monotonic() + every, every } }
    }

    /// Keeps the beat unless the interval itself was changed.
    fn keep(self, every: Duration) -> Due {
        match self {
            Due::At { every: before, .. } if before == every => self,
            Due::Free if every.is_zero() => self,
            _ => Due::new(every),
        }
    }

    /// Whether an interval is over; the next one begins where this one ended.
    fn is_over(&mut self) -> bool {
        let Due::At { next, every } = self else { return false };
        let now = clock::monotonic();
        let over = now >= *next;
        while *next <= now {
            *next += *every;
        }
        over
    }

    fn wait(&self) -> Duration {
        match self {
            Due::Free => limits::FETCH_WAIT,
            Due::At { next, .. } => next.saturating_duration_since(clock::monotonic()).min(limits::FETCH_WAIT),
        }
    }
}

/// What became of gathering.
enum Gathered {
    /// The batch closed.
    Batch(Cut),
    /// The last batch before a stop.
    Last(Cut),
    /// Nothing came for a while, and it is time to look for new partitions.
    Nothing,
    /// Stop, and leave what was gathered: it is read again later.
    Stop,
}

impl Runner<'_> {
    fn run(&mut self) -> Ended {
        match self.until_stopped() {
            Ok(()) => Ended::Stopped,
            Err(end) => end,
        }
    }

    fn until_stopped(&mut self) -> Result<(), Ended> {
        self.new_partitions(true)?;
        asked(self.board, || self.source.assign(&self.at))?;
        let mut due = Due::new(self.active.get().plan.every);
        loop {
            due = due.keep(self.active.get().plan.every);
            match self.gather(&mut due)? {
                Gathered::Batch(cut) => self.pass_on(cut)?,
                Gathered::Last(cut) => return self.pass_on(cut),
                Gathered::Nothing => {}
                Gathered::Stop => return Ok(()),
            }
            if clock::monotonic() >= self.told.partitions_due && self.new_partitions(false)? {
                asked(self.board, || self.source.assign(&self.at))?;
            }
        }
    }

    /// Gathers until the batch closes.
    fn gather(&mut self, due: &mut Due) -> Result<Gathered, Ended> {
        let settings = self.active.get();
        let mut gather = Gather::open(&self.at, settings.settings.limits.batch());
        loop {
            self.tell();
            match self.board.stopping() {
                Some(Stop::Drain) if !gather.is_empty() => return Ok(Gathered::Last(gather.cut())),
                Some(_) => return Ok(Gathered::Stop),
                None if Arc::strong_count(&self.at_work) == 1 => return Ok(Gathered::Stop), // it says why it ended
                None if gather.is_empty() && clock::monotonic() >= self.told.partitions_due => {
                    return Ok(Gathered::Nothing);
                }
                None => {}
            }
            let is_free = self.queued.load(Ordering::SeqCst) == 0;
            let closes = gather.is_full()
                || match due {
                    Due::Free => is_free && !gather.is_empty(),
                    Due::At { .. } => due.is_over() && !gather.is_empty(),
                };
            if closes {
                return Ok(Gathered::Batch(gather.cut()));
            }
            let wait = if gather.is_empty() || is_free { due.wait() } else { due.wait().min(Duration::from_millis(2)) };
            match self.source.fetch(&mut gather, wait) {
                Ok(()) => self.board.goes_on("source"),
                Err(error @ SourceError::Away { .. }) => {
                    self.board.waits("source", &error.to_string());
                    self.board.pause(limits::BACKOFF.0);
                }
                Err(error) => return Err(Ended::Failed(error.to_string())),
            }
        }
    }

    /// Runs a batch with the version that is active now, and hands it on.
    fn pass_on(&mut self, cut: Cut) -> Result<(), Ended> {
        let active = self.active.get();
        let reached = cut.reached();
        let (chunks, answers) = self.lanes.run(&active.runnable, cut.chunks, Verdicts::new());
        let cut = Cut { chunks, spans: cut.spans };
        let deployment = active.deployment;
        let done = answers.and_then(|answers| outcome(active, cut, answers));
        let done = done.map_err(|fault| Ended::VersionFault {
            deployment,
            reason: fault.to_string(),
            by_policy: matches!(fault, VersionFault::Stop(_)),
        })?;
        self.queued.fetch_add(1, Ordering::SeqCst);
        self.send.send(done).map_err(|_| Ended::Stopped)?; // the committer says why it ended
        self.at = reached;
        Ok(())
    }

    /// Tells the group and the board what is new.
    fn tell(&mut self) {
        let now = clock::monotonic();
        if now < self.told.lag_due {
            return;
        }
        self.told.lag_due = now + limits::LAG_TIME;
        let mut ends = by_topic(self.topics, &self.source.ends());
        for topic in self.topics {
            ends.entry(topic.clone()).or_default(); // a topic without a known end makes the lag unknown
        }
        self.board.ends(ends);
        let facts = self.board.facts();
        if facts.batches != self.told.batches {
            self.told.batches = facts.batches;
            self.source.tell_group(&positions(self.topics, &facts.reached));
        }
    }

    /// Partitions that the job has not seen yet are read from their first record. True: there are some.
    fn new_partitions(&mut self, at_start: bool) -> Result<bool, Ended> {
        self.told.partitions_due = clock::monotonic() + limits::PARTITIONS_TIME;
        let there = match self.source.partitions() {
            Ok(there) => there,
            Err(SourceError::Away { .. }) if !at_start => return Ok(false),
            Err(SourceError::Away { .. }) => asked(self.board, || self.source.partitions())?,
            Err(error) => return Err(Ended::Failed(error.to_string())),
        };
        if there.iter().all(|partition| self.at.contains_key(partition)) {
            return Ok(false);
        }
        let first = asked(self.board, || self.source.start(Start::Earliest))?;
        for (partition, offset) in first {
            if let std::collections::btree_map::Entry::Vacant(new) = self.at.entry(partition) {
                tracing::info!("a new partition: {} of `{}`", partition.id, self.topics[usize::from(partition.source)]);
                new.insert(offset);
            }
        }
        Ok(true)
    }
}
