//! A host of a cluster, and what is another one's affair.

use super::{DAEMON, Running, open, place, place_of};
use crate::api::{Home, Jobs, Refusal};
use crate::cli::{Engine, HostError};
use crate::cluster::{Cluster, Joins, Journals};
use crate::config::Config;
use crate::supervisor::{Begin, Supervisor};
use fjall::Database;
use std::path::Path;
use std::sync::{Arc, Mutex};
use streamhost_guest::Compiler;
use streamhost_storage::replica::Replica;
use streamhost_storage::store::Store;

/// A host of a cluster: it has no jobs but those that it takes.
pub(super) fn clustered(config: &Config) -> Result<Arc<dyn Engine>, HostError> {
    let settings = config.cluster.as_ref().ok_or("there is no [cluster]")?;
    let (db, folder) = (open(&config.data_dir)?, &config.data_dir);
    let journals = Arc::new(Journals::default());
    let store = Store::with_journal(&db, journals.clone())?;
    let replica = Replica::open(&store, &folder.join("components"))?;
    if let Some(job) = replica.foreign()? {
        return Err(format!(
            "the data folder {} holds the job `{job}` of a host by itself: take a savepoint of each job there, and restore them in the cluster from an empty folder",
            folder.display()
        )
        .into());
    }
    let environment = place(config, DAEMON)?;
    let kafka = environment.kafka.clone();
    let place = place_of(config, environment.memory);
    let compiler = Compiler::this_program()?;
    let supervisor = Supervisor::open(&store, folder, environment, compiler, Begin::Taken)?;
    let scheme = match config.control.guard.tls {
        Some(_) => "https",
        None => "http",
    };
    let joins = Joins {
        kafka,
        address: format!("{scheme}://{}", config.control.listen),
        journals,
        replica,
        host: Arc::downgrade(&supervisor),
    };
    let cluster = Cluster::join(settings, joins)?;
    Ok(Arc::new(Running {
        supervisor,
        place,
        embedded: Mutex::default(),
        cluster: Some(cluster),
    }))
}

/// What a host of a cluster remembers of jobs is no host's by itself: others may run them.
pub(super) fn by_itself(db: &Database, folder: &Path) -> Result<(), HostError> {
    let replica = Replica::open(&Store::from(db), &folder.join("components"))?;
    match replica.any()? {
        None => Ok(()),
        Some(job) => Err(format!(
            "the data folder {} is a cluster's, which runs the job `{job}`: name the cluster under [cluster], or choose another folder",
            folder.display()
        )
        .into()),
    }
}

impl Running {
    /// Sees to it that a job which is there or is about to be is this host's. `Err`: another host
    /// has it.
    pub(super) fn here(&self, job: &str, pinned: bool) -> Result<(), Refusal> {
        let Some(cluster) = &self.cluster else {
            return Ok(());
        };
        match cluster.claim_for(job, pinned)? {
            Home::Here => Ok(()),
            Home::Coming(why) => Err(Refusal::Unavailable(why)),
            Home::At { host, address } => Err(Refusal::Unavailable(format!(
                "job `{job}` belongs to the host `{host}`: ask it, by --url {address}"
            ))),
            Home::Nowhere => Err(Refusal::Unavailable(format!(
                "job `{job}` has no host yet: try again"
            ))),
        }
    }

    /// What is not there after a change is not the cluster's either.
    pub(super) fn left(&self, job: &str) {
        if let Some(cluster) = &self.cluster
            && self.supervisor.status(job).is_err()
        {
            cluster.left(job);
        }
    }
}
