//! What a cluster's topics, groups and transactional ids are called. They begin with `streamhost.`
//! and the cluster's name, so that one rule for a prefix gives a host all rights that it needs.

/// The names of one cluster.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    cluster: String,
}

impl Names {
    pub(crate) fn of(cluster: &str) -> Self {
        Names {
            cluster: cluster.to_owned(),
        }
    }

    /// The topic that says which hosts and jobs there are, and where each job runs.
    pub(crate) fn control(&self) -> String {
        format!("streamhost.{}.control", self.cluster)
    }

    /// The topic of a job's log. Names of jobs have no dot in them.
    pub(crate) fn job(&self, job: &str) -> String {
        format!("streamhost.{}.{job}.tasks", self.cluster)
    }

    /// The group whose members are the hosts.
    pub(crate) fn group(&self) -> String {
        format!("streamhost.{}", self.cluster)
    }

    /// The transactional id of whoever places the jobs.
    pub(crate) fn leader(&self) -> String {
        format!("streamhost.{}.leader", self.cluster)
    }

    /// The transactional id of whoever runs a job.
    pub(crate) fn owner(&self, job: &str) -> String {
        format!("streamhost.{}.{job}.0", self.cluster)
    }
}
