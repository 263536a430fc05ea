//! Whether the host's memory holds what its jobs may take.

use super::Supervisor;
use crate::api::{MemoryPart, Refusal};
use streamhost_core::job::memory::JobMemory;
use streamhost_engine::pipeline::LoadedDeployment;

impl Supervisor {
    /// The most that this may hold in memory.
    pub(super) fn memory_of(&self, active: &LoadedDeployment) -> JobMemory {
        let environment = &self.environment;
        let limits = &active.settings.limits;
        JobMemory::of(
            &active.spec,
            limits,
            environment.lanes,
            &environment.connectors,
        )
    }

    /// The same by its parts.
    pub(super) fn memory_parts(&self, active: &LoadedDeployment) -> Vec<MemoryPart> {
        let parts = self.memory_of(active).parts().into_iter();
        let part = |(name, bytes): (&str, u64)| MemoryPart {
            name: name.to_owned(),
            bytes,
        };
        parts.map(part).collect()
    }

    /// The most that these jobs may hold in memory.
    fn memory_of_jobs(&self, counts: impl Fn(&str) -> bool) -> u64 {
        let jobs: Vec<_> = self.jobs().values().cloned().collect();
        let counted = jobs.iter().filter(|job| counts(&job.name));
        let loaded = counted.filter_map(|job| Some(job.state().active.as_ref()?.get()));
        loaded.map(|loaded| self.memory_of(&loaded).sum()).sum()
    }

    /// Whether there is memory for this beside all jobs, where the configuration says how much there
    /// may be.
    pub(super) fn beside_fits(&self, what: &str, loaded: &LoadedDeployment) -> Result<(), Refusal> {
        let memory = self.memory_of(loaded);
        match self
            .environment
            .memory
            .objection(&memory, self.memory_of_jobs(|_| true))
        {
            Some(reason) if self.environment.memory.is_bound => {
                Err(Refusal::Invalid(format!("{what}: {reason}")))
            }
            _ => Ok(()),
        }
    }

    /// Whether there is memory for this beside the other jobs. A warning where the configuration
    /// does not say how much there may be.
    pub(super) fn memory_fits(&self, active: &LoadedDeployment) -> Result<Option<String>, Refusal> {
        let (name, host) = (&active.spec.name, &self.environment.memory);
        let others = self.memory_of_jobs(|job| job != name);
        let memory = self.memory_of(active);
        match host.objection(&memory, others) {
            None => Ok(None),
            Some(reason) if host.refuses(&memory) => {
                Err(Refusal::Invalid(format!("`{name}`: {reason}")))
            }
            Some(reason) => Ok(Some(format!("`{name}`: {reason}"))),
        }
    }
}
