//! The other hosts of a cluster, as the control API asks for them.

use super::Refusal;
use serde::{Deserialize, Serialize};
use std::path::Path;
use utoipa::ToSchema;

/// Which host answers for a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Home {
    /// This one.
    Here,
    /// Another one.
    At {
        /// Its name.
        host: String,
        /// Where its control API answers.
        address: String,
    },
    /// One that cannot yet, in words.
    Coming(String),
    /// None: there is no such job.
    Nowhere,
}

/// A host of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HostStatus {
    /// Its name.
    #[schema(example = "h1")]
    pub host: String,
    /// Where its control API answers.
    #[schema(example = "http://10.0.0.1:7070")]
    pub address: String,
    /// Its release.
    #[schema(example = "0.2.0")]
    pub version: String,
    /// It is a member of the cluster now.
    pub lives: bool,
    /// It places the jobs.
    pub leads: bool,
    /// It is to run nothing.
    pub draining: bool,
    /// The jobs that are placed on it.
    pub jobs: Vec<String>,
}

/// The hosts that share their jobs.
pub trait Peers: Send + Sync {
    /// Which host answers for a job.
    fn home(&self, job: &str) -> Home;
    /// The same of a job that is about to be deployed: one that is nowhere is given a host first.
    fn claim(&self, job: &str) -> Result<Home, Refusal>;
    /// All hosts that there were, by name.
    fn hosts(&self) -> Vec<HostStatus>;
    /// This host's name.
    fn me(&self) -> &str;
    /// Has this host run nothing from now on, or as others again. Returns when its jobs are placed
    /// elsewhere, or a while later. Gives all hosts.
    fn drain(&self, drains: bool) -> Result<Vec<HostStatus>, Refusal>;
    /// Who has signed the hosts' certificates; none: whom the system trusts.
    fn ca(&self) -> Option<&Path>;
}
