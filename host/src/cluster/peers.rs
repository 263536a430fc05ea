//! What the control API asks of the cluster: which host answers for a job, and which hosts there
//! are.

use super::Cluster;
use super::records::{Claim, Record};
use crate::api::{Home, HostStatus, Peers, Refusal};
use std::path::Path;
use std::sync::atomic::Ordering;
use streamhost_core::limits;

impl Peers for Cluster {
    fn home(&self, job: &str) -> Home {
        let found = self.control.look(|view| {
            let host = view.host_of(job)?;
            let address = view.hosts.get(host).map(|host| host.address.clone());
            Some((host.to_owned(), address))
        });
        match found {
            None => Home::Nowhere,
            Some((host, _)) if host == self.me => match self.holds_job(job) {
                Ok(_) => Home::Here,
                Err(why) => Home::Coming(format!("job `{job}` is not ready: {why}; try again")),
            },
            Some((host, Some(address))) => Home::At { host, address },
            Some((host, None)) => Home::Coming(format!(
                "job `{job}` is placed on `{host}`, which has not said where it is; try again"
            )),
        }
    }

    fn claim(&self, job: &str) -> Result<Home, Refusal> {
        self.claim_for(job, false)
    }

    fn hosts(&self) -> Vec<HostStatus> {
        self.control.look(|view| {
            let all = view.hosts.iter();
            let status = all.map(|(name, host)| HostStatus {
                host: name.clone(),
                address: host.address.clone(),
                version: host.version.clone(),
                lives: view.placement.hosts.contains(name),
                leads: view.placement.leader == *name,
                draining: host.draining,
                jobs: (view.placement.jobs.iter())
                    .filter(|(_, at)| *at == name)
                    .map(|(job, _)| job.clone())
                    .collect(),
            });
            status.collect()
        })
    }

    fn me(&self) -> &str {
        &self.me
    }

    fn drain(&self, drains: bool) -> Result<Vec<HostStatus>, Refusal> {
        let said = self.say_where(drains);
        said.map_err(|error| Refusal::Unavailable(error.to_string()))?;
        // What is placed here is seen as soon as it is decided; it moves by itself.
        self.control.wait(limits::CLUSTER_CLAIM_TIME, |view| {
            let mine = view.hosts.get(&self.me);
            mine.is_some_and(|host| host.draining == drains)
                && (!drains || !view.placement.jobs.values().any(|host| *host == self.me))
        });
        Ok(self.hosts())
    }

    fn ca(&self) -> Option<&Path> {
        self.ca.as_deref()
    }
}

impl Cluster {
    /// Gives a job a host, if it has none. `pinned`: this one, until [`Cluster::unpin`].
    pub(crate) fn claim_for(&self, job: &str, pinned: bool) -> Result<Home, Refusal> {
        if self.home(job) == Home::Nowhere {
            self.ask_for(job, pinned)?;
        }
        let placed = self.control.wait(limits::CLUSTER_CLAIM_TIME, |view| {
            let host = view.host_of(job);
            host.is_some_and(|host| host != self.me || self.holds_job(job).is_ok())
        });
        match (placed, self.home(job)) {
            (true, home) => Ok(home),
            (false, Home::Coming(why)) => Err(Refusal::Unavailable(why)),
            (false, _) => {
                let trouble = self.control.look(|view| view.trouble.clone());
                let why = trouble.unwrap_or_else(|| "no host leads the cluster".to_owned());
                Err(Refusal::Unavailable(format!(
                    "job `{job}` has no host yet: {why}; try again"
                )))
            }
        }
    }

    /// A job that was restored may be moved.
    pub(crate) fn unpin(&self, job: &str) {
        let claim = self.control.look(|view| view.jobs.get(job).cloned());
        if let Some(claim) = claim.filter(|claim| claim.pinned) {
            let claim = Claim {
                pinned: false,
                ..claim
            };
            let said = self.say(&Record::Job(job.to_owned(), Some(claim)));
            if let Err(error) = said {
                tracing::warn!("the job `{job}` stays on this host: {error}");
            }
        }
    }

    /// Asks for a place for a job that has none.
    fn ask_for(&self, job: &str, pinned: bool) -> Result<(), Refusal> {
        if self.is_draining.load(Ordering::SeqCst) {
            return Err(Refusal::Unavailable(format!(
                "this host is being drained: deploy `{job}` by another one"
            )));
        }
        let claim = Claim {
            pinned,
            ..Claim::new(&self.me, None)
        };
        let said = self.say(&Record::Job(job.to_owned(), Some(claim)));
        said.map_err(|error| Refusal::Unavailable(error.to_string()))
    }

    /// Says that a job is there no more. Whether that was said.
    pub(super) fn let_go(&self, job: &str) -> bool {
        let said = self.say(&Record::Job(job.to_owned(), None));
        if let Err(error) = &said {
            tracing::warn!("the cluster still knows the job `{job}`: {error}");
        }
        said.is_ok()
    }

    /// A job is there no more, or never came to be. Waits until the cluster knows, for a while.
    pub(crate) fn left(&self, job: &str) {
        if !self.let_go(job) {
            return;
        }
        // Or a deploy that follows would take the job for one that has a host, and be cut off.
        self.control.wait(limits::CLUSTER_ANSWER_TIME, |view| {
            let is_known = view.jobs.contains_key(job) || view.placement.jobs.contains_key(job);
            !is_known && !self.is_held(job)
        });
    }
}
