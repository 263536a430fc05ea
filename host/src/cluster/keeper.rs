//! Takes the jobs that are placed on this host, and gives up those that are not any more.
//!
//! ```text
//! take:    fence ─► read the log to its end into the store ─► start
//! give up: stop the pipeline ─► forget the writer
//! ```
//! Nobody is waited for: whoever had a job before is fenced, and finds that out with its next write.

use super::Cluster;
use super::records::{Claim, Record};
use crate::api::Jobs;
use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Instant;
use streamhost_connectors::kafka::log::{LogError, LogReader, LogWriter, make_log};
use streamhost_core::state::StoreError;
use streamhost_core::{clock, limits};
use streamhost_engine::pipeline::Stop;
use streamhost_storage::replica::Position;

/// How a job stands that is, or was, placed on this host.
pub(super) enum Hold {
    Taking,
    Here {
        since: Instant,
    },
    Giving,
    /// It could not be taken.
    Failed {
        why: String,
        at: Instant,
    },
}

/// What stands in the way of taking a job.
#[derive(Debug, thiserror::Error)]
enum TakeError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Other(String),
}

impl Cluster {
    fn holds(&self) -> MutexGuard<'_, BTreeMap<String, Hold>> {
        self.holds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this host has a job, and may answer for it. `Err`: why not yet.
    pub(super) fn holds_job(&self, job: &str) -> Result<bool, String> {
        match self.holds().get(job) {
            Some(Hold::Here { .. }) => Ok(true),
            Some(Hold::Taking) | None => Err("it is being taken over by this host".to_owned()),
            Some(Hold::Giving) => Err("it is moving to another host".to_owned()),
            Some(Hold::Failed { why, .. }) => Err(format!("this host cannot take it over: {why}")),
        }
    }

    /// Whether this host has, takes or gives up a job.
    pub(super) fn is_held(&self, job: &str) -> bool {
        self.holds().contains_key(job)
    }

    /// Does so for as long as the cluster goes on.
    pub(super) fn keep(self: &Arc<Self>) {
        while self.goes_on() {
            self.control.await_change(limits::CLUSTER_LOOK_TIME);
            let (mine, whole) = self.control.look(|view| {
                let placed = view.placement.jobs.iter();
                let mine = placed.filter(|(_, host)| **host == self.me);
                let mine: Vec<String> = mine.map(|(job, _)| job.clone()).collect();
                (mine, view.is_whole)
            });
            if whole {
                self.look_at(&mine);
            }
        }
    }

    fn look_at(self: &Arc<Self>, mine: &[String]) {
        let mut holds = self.holds();
        let mut taking = holds.values().filter(|h| matches!(h, Hold::Taking)).count();
        let (mut begun, mut empty) = (Vec::new(), Vec::new());
        for (job, hold) in holds.iter_mut() {
            let is_mine = mine.contains(job);
            match hold {
                Hold::Here { .. } if !is_mine || self.journals.is_lost(job) => {
                    *hold = Hold::Giving;
                    begun.push((job.clone(), false));
                }
                // A deploy that was never made, of a host that may be gone.
                Hold::Here { since } if clock::since(*since) > limits::CLUSTER_EMPTY_TIME => {
                    *since = clock::monotonic();
                    empty.push(job.clone());
                }
                Hold::Failed { at, .. }
                    if is_mine
                        && taking < limits::CLUSTER_TAKES_MAX
                        && clock::since(*at) > limits::CLUSTER_RETRY_TIME =>
                {
                    taking += 1;
                    *hold = Hold::Taking;
                    begun.push((job.clone(), true));
                }
                _ => {}
            }
        }
        holds.retain(|job, hold| mine.contains(job) || !matches!(hold, Hold::Failed { .. }));
        for job in mine {
            if !holds.contains_key(job) && taking < limits::CLUSTER_TAKES_MAX {
                taking += 1;
                holds.insert(job.clone(), Hold::Taking);
                begun.push((job.clone(), true));
            }
        }
        drop(holds);
        for (job, takes) in begun {
            self.begin(job, takes);
        }
        for job in empty {
            let host = self.supervisor();
            if host.is_ok_and(|host| host.status(&job).is_err()) {
                self.let_go(&job);
            }
        }
    }

    /// Takes or gives up a job, on a thread of its own.
    fn begin(self: &Arc<Self>, job: String, takes: bool) {
        let (cluster, named) = (Arc::clone(self), job.clone());
        let work = move || match takes {
            true => cluster.take(&named),
            false => cluster.give(&named),
        };
        let thread = std::thread::Builder::new().name(format!("{job} moves"));
        if let Err(error) = thread.spawn(work) {
            let (why, at) = (format!("no thread for it: {error}"), clock::monotonic());
            self.holds().insert(job, Hold::Failed { why, at });
        }
    }

    fn take(&self, job: &str) {
        let since = clock::monotonic();
        let hold = match self.try_to_take(job) {
            Ok(()) => {
                let ms = clock::since(since).as_millis();
                tracing::info!("this host runs `{job}` now; that took {ms} ms");
                let since = clock::monotonic();
                Hold::Here { since }
            }
            Err(error) => {
                if let Ok(host) = self.supervisor() {
                    host.give_up(job, Stop::Now);
                }
                self.journals.remove(job);
                let why = error.to_string();
                if self.goes_on() {
                    tracing::warn!("`{job}` cannot be taken over: {why}");
                }
                Hold::Failed {
                    why,
                    at: clock::monotonic(),
                }
            }
        };
        self.holds().insert(job.to_owned(), hold);
        self.control.wake();
    }

    fn try_to_take(&self, job: &str) -> Result<(), TakeError> {
        let (topic, kafka) = (self.names.job(job), &self.kafka);
        let topic_id = make_log(kafka, &topic)?;
        let claim = self.control.look(|view| view.jobs.get(job).cloned());
        let claim = claim.unwrap_or_else(|| Claim::new(&self.me, None));
        let known = claim.topic_id.clone();
        if known.is_some() && topic_id.is_some() && known != topic_id {
            return Err(TakeError::Other(format!(
                "topic `{topic}`, which held all of the job, was deleted and made anew: undeploy the job, and restore it from a savepoint"
            )));
        }
        let writer = LogWriter::open(kafka, &topic, &self.names.owner(job), &self.cancel)?;
        self.replicate(job, &topic, topic_id.as_deref().unwrap_or_default())?;
        self.journals.put(job, writer);
        if known.is_none() && topic_id.is_some() {
            let claim = Claim { topic_id, ..claim };
            self.say(&Record::Job(job.to_owned(), Some(claim)))?;
        }
        let host = self.supervisor()?;
        host.take_over(job).map_err(TakeError::Other)
    }

    /// Makes the store what the job's log says. Nobody writes that log meanwhile.
    fn replicate(&self, job: &str, topic: &str, mark: &str) -> Result<(), TakeError> {
        let replica = &self.replica;
        let known = replica.position(job)?.filter(|known| {
            let age_ms = clock::now_ms().saturating_sub(known.at_ms);
            known.mark == mark
                && u128::try_from(age_ms).is_ok_and(|ms| ms < limits::REPLICA_AGE_MAX.as_millis())
        });
        let known = match known {
            Some(known) if replica.has_components(job)? => Some(known),
            _ => None,
        };
        // An offset that the topic does not hold is one of before it was cut.
        let tail = known.and_then(|at| LogReader::open(&self.kafka, topic, Some(at.offset)).ok());
        let mut reader = match tail {
            Some(tail) => tail,
            None => {
                replica.wipe(job)?;
                LogReader::open(&self.kafka, topic, None)?
            }
        };
        let (_, end) = reader.ends();
        let goes_on = || self.goes_on();
        reader.to_end(limits::REPLICA_PORTION_BYTES, goes_on, |entries| {
            replica.apply(entries).map_err(TakeError::Store)
        })?;
        replica.reached(
            job,
            &Position {
                mark: mark.to_owned(),
                offset: end,
                at_ms: clock::now_ms(),
            },
        )?;
        Ok(())
    }

    fn give(&self, job: &str) {
        if let Ok(host) = self.supervisor() {
            // Another host may run it already: what is under way here is of no use to anybody.
            let how = match self.journals.is_lost(job) {
                true => Stop::Now,
                false => Stop::Soon,
            };
            host.give_up(job, how);
        }
        self.journals.remove(job);
        self.holds().remove(job);
        tracing::info!("this host runs `{job}` no more");
        self.control.wake();
    }

    fn supervisor(&self) -> Result<Arc<crate::supervisor::Supervisor>, TakeError> {
        let host = self.host.get().and_then(std::sync::Weak::upgrade);
        host.ok_or_else(|| TakeError::Other("the host is stopping".to_owned()))
    }
}
