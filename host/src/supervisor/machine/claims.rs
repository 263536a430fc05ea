//! What jobs may not share: places among the host's jobs, and consumer groups. Claimed before a
//! record is written and held for as long as a batch may need it, so that two changes at once
//! cannot be given the same.

use std::collections::{BTreeMap, BTreeSet};
use streamhost_core::limits;

/// The groups of each job that is there, or is being deployed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Claims(BTreeMap<String, BTreeSet<String>>);

/// Why a claim is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Claimed {
    /// There are as many jobs as may be.
    Full,
    /// This job has the group.
    By(String),
}

impl Claims {
    /// Whether there is room for a job of this name.
    pub(crate) fn has_room(&self, job: &str) -> bool {
        self.0.contains_key(job) || self.0.len() < limits::JOBS_MAX
    }

    /// The other job that has this group: a group holds the positions of one job, and two with the
    /// same would begin at each other's.
    pub(crate) fn other(&self, job: &str, group: &str) -> Option<&str> {
        let mut others = self.0.iter().filter(|(name, _)| *name != job);
        let (name, _) = others.find(|(_, groups)| groups.contains(group))?;
        Some(name)
    }

    /// Claims a place and a group for a job, beside the groups that it has.
    pub(crate) fn claim(&mut self, job: &str, group: &str) -> Result<(), Claimed> {
        if !self.has_room(job) {
            return Err(Claimed::Full);
        }
        if let Some(other) = self.other(job, group) {
            return Err(Claimed::By(other.to_owned()));
        }
        self.keep(job, group.to_owned());
        Ok(())
    }

    /// Notes what a job has from a time before it was asked who else does.
    pub(crate) fn keep(&mut self, job: &str, group: String) {
        self.0.entry(job.to_owned()).or_default().insert(group);
    }

    /// A job has these groups alone; none: it is not there.
    pub(crate) fn release(&mut self, job: &str, needed: BTreeSet<String>) {
        match needed.is_empty() {
            true => drop(self.0.remove(job)),
            false => drop(self.0.insert(job.to_owned(), needed)),
        }
    }

    /// The jobs.
    #[cfg(test)]
    pub(crate) fn jobs(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_one_jobs_until_it_is_released() {
        let mut claims = Claims::default();
        assert_eq!(claims.claim("a", "g"), Ok(()));
        assert_eq!(claims.claim("a", "h"), Ok(()), "beside the one that it had");
        for group in ["g", "h"] {
            let refused = Err(Claimed::By("a".to_owned()));
            assert_eq!(claims.claim("b", group), refused);
        }
        assert_eq!(claims.claim("a", "g"), Ok(()), "its own");
        claims.release("a", ["h".to_owned()].into());
        assert_eq!(claims.claim("b", "g"), Ok(()));
        claims.release("a", BTreeSet::new());
        assert!(claims.jobs().eq(["b"]));
    }

    #[test]
    fn a_place_is_taken_with_the_claim() {
        let mut claims = Claims::default();
        for job in 0..limits::JOBS_MAX {
            let job = job.to_string();
            assert_eq!(claims.claim(&job, &job), Ok(()));
        }
        assert_eq!(claims.claim("more", "more"), Err(Claimed::Full));
        assert_eq!(claims.claim("0", "other"), Ok(()), "it is there already");
    }
}
