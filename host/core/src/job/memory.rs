//! The most that a job, and a host with its jobs, may hold in memory: one sum of all limits.
//!
//! Not in it: the process that compiles a component, which has a limit of its own
//! (`COMPILE_MEMORY_BYTES_MAX`), code of components, which is mapped from the cache on disk, and
//! what an instance takes beyond its limit while a batch of before is replayed.

use super::JobSpec;
use super::connector::Connectors;
use super::settings::JobLimits;
use crate::limits;
use serde::{Deserialize, Serialize};

/// The most that a job may hold in memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobMemory {
    /// Memory of its instances: one a lane, and the next version's beside it during a swap.
    pub guests: u64,
    /// Records of the batches under way.
    pub records: u64,
    /// What was answered for these batches, as far as it needs no turn for large ones.
    pub answers: u64,
    /// Cache and calls of its keyed stages.
    pub state: u64,
    /// What its sources read ahead, and its sinks and dead letters are sending.
    pub buffers: u64,
    /// Its log, charts and batches of before.
    pub kept: u64,
}

impl JobMemory {
    /// That of a job with these limits on so many lanes. A connector that is not known adds
    /// nothing: such a job does not run.
    pub fn of(
        spec: &JobSpec,
        job_limits: &JobLimits,
        lanes: usize,
        connectors: &dyn Connectors,
    ) -> JobMemory {
        let rules = |name: &str| connectors.rules(name);
        let read = spec.sources.iter().filter_map(|source| {
            let rules = rules(&source.connector)?.source.as_ref()?;
            Some(rules.ahead_bytes)
        });
        let sent = spec.sinks.iter().filter_map(|sink| {
            let rules = rules(&sink.connector)?.sink.as_ref()?;
            Some(rules.sending_bytes)
        });
        let letters = limits::KAFKA_SEND_QUEUE_MAX.1;
        let record = limits::RECORD_AROUND_BYTES;
        let batch = job_limits.batch_bytes + job_limits.batch_records * record;
        let keyed = match spec.stages.is_empty() {
            true => 0,
            // One group may be as large as a guest.
            false => limits::memory::JOB_STATE_BYTES + job_limits.memory_bytes,
        };
        JobMemory {
            guests: (2 * lanes * job_limits.memory_bytes) as u64,
            records: (limits::BATCHES_IN_FLIGHT_MAX * batch) as u64,
            answers: (limits::BATCHES_IN_FLIGHT_MAX * limits::BATCH_ANSWERS_OWN_BYTES) as u64,
            state: keyed as u64,
            buffers: (read.sum::<usize>() + sent.sum::<usize>() + letters) as u64,
            kept: limits::memory::JOB_KEPT_BYTES as u64,
        }
    }

    /// All of it.
    pub fn sum(&self) -> u64 {
        self.named().iter().map(|(_, bytes)| bytes).sum()
    }

    fn named(&self) -> [(&'static str, u64); 6] {
        [
            ("instances", self.guests),
            ("records", self.records),
            ("answers", self.answers),
            ("keyed state", self.state),
            ("connectors", self.buffers),
            ("log and charts", self.kept),
        ]
    }

    /// What makes it up, largest part first: names and bytes.
    pub fn parts(&self) -> Vec<(&'static str, u64)> {
        let mut parts = self.named().to_vec();
        parts.retain(|(_, bytes)| *bytes > 0);
        parts.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
        parts
    }
}

/// How a host's memory is shared out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostMemory {
    /// What there is: as configured, or what the system has for the host.
    pub bytes: u64,
    /// It was configured, so jobs beyond it are refused. Else they are warned of, as most jobs take
    /// a small part of what they may.
    pub is_bound: bool,
}

impl HostMemory {
    /// How many batches of all jobs may be large at once.
    pub fn large_batches(&self) -> usize {
        let turns =
            self.bytes / limits::LARGE_BATCHES_PART / limits::BATCH_ANSWERS_BYTES_MAX as u64;
        usize::try_from(turns).map_or(limits::LARGE_BATCHES_MAX, |turns| {
            turns.clamp(1, limits::LARGE_BATCHES_MAX)
        })
    }

    /// What the host takes beside its jobs; the large batches only where the sum is a bound, as
    /// there are none in most jobs.
    pub fn own(&self) -> u64 {
        let large = match self.is_bound {
            true => self.large_batches() * limits::BATCH_ANSWERS_BYTES_MAX,
            false => 0,
        };
        (limits::memory::HOST_OWN_BYTES + large) as u64
    }

    /// Whether this is refused: it goes beyond the bound, or beyond what there is by itself.
    pub fn refuses(&self, job: &JobMemory) -> bool {
        self.is_bound || job.sum() > self.bytes
    }

    /// Why a job that may take `job` cannot be beside jobs that may take `others` all together.
    pub fn objection(&self, job: &JobMemory, others: u64) -> Option<String> {
        let sum = self.own() + others + job.sum();
        if sum <= self.bytes {
            return None;
        }
        let parts: Vec<String> = (job.parts().iter())
            .map(|(name, bytes)| format!("{name} {}", shown(*bytes)))
            .collect();
        let beside = match others {
            0 => String::new(),
            others => format!(" and other jobs up to {}", shown(others)),
        };
        Some(format!(
            "it may take up to {} of memory ({}), the host itself up to {}{beside}: {} in all, and \
             there are {}; lower limits.memory or limits.batch-bytes, {}",
            shown(job.sum()),
            parts.join(", "),
            shown(self.own()),
            shown(sum),
            shown(self.bytes),
            match self.is_bound {
                true => "undeploy a job, or raise limits.host-memory in streamhost.toml",
                false => "or set limits.host-memory in streamhost.toml to have such jobs refused",
            }
        ))
    }
}

fn shown(bytes: u64) -> String {
    bytesize::ByteSize(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::connector::{HBASE, KAFKA};
    use crate::job::{SinkSpec, SourceSpec};
    use std::time::Duration;

    fn clicks(job_limits: &JobLimits, lanes: usize) -> JobMemory {
        let spec = JobSpec {
            parameters: Vec::new(),
            metrics: Vec::new(),
            name: "clicks".into(),
            every: Duration::ZERO,
            sources: vec![SourceSpec {
                connector: "kafka".into(),
                ..SourceSpec::default()
            }],
            stages: Vec::new(),
            sinks: vec![SinkSpec {
                connector: "hbase".into(),
                ..SinkSpec::default()
            }],
        };
        JobMemory::of(&spec, job_limits, lanes, &[&KAFKA, &HBASE])
    }

    #[test]
    fn a_job_may_take_the_sum_of_its_limits_and_lower_ones_take_less() {
        let memory = clicks(&JobLimits::default(), 2);
        assert_eq!(memory.guests, 2 * 2 * (64 << 20));
        assert_eq!(
            memory.sum(),
            memory.parts().iter().map(|(_, bytes)| bytes).sum::<u64>()
        );
        let small = JobLimits {
            memory_bytes: 4 << 20,
            batch_bytes: 1 << 20,
            ..JobLimits::default()
        };
        let small = clicks(&small, 1);
        assert_eq!(small.guests, 8 << 20);
        assert!(small.sum() < memory.sum() / 2);
    }

    /// The most jobs that a host takes, each with every limit at its default.
    #[test]
    fn a_host_holds_its_jobs_or_says_why_not() {
        let (job, is_bound) = (clicks(&JobLimits::default(), 2), true);
        let others = job.sum() * (limits::JOBS_MAX as u64 - 1);
        let host = |bytes| HostMemory { bytes, is_bound };
        let enough = host(0).own() + 8 * (1 << 30) + others + job.sum();
        assert_eq!(host(enough).objection(&job, others), None);
        let small = host(limits::HOST_MEMORY_BYTES_MIN as u64);
        assert_eq!(small.objection(&job, 0), None);
        let refused = small.objection(&job, 1 << 30).unwrap();
        assert!(refused.contains("instances 256.0 MiB"), "{refused}");
        assert!(refused.contains("other jobs up to 1.0 GiB"), "{refused}");
        assert!(refused.contains("limits.host-memory"), "{refused}");
    }

    /// Where nothing is configured, jobs are warned of that would go on well in most cases.
    #[test]
    fn a_job_that_fits_alone_is_refused_only_beyond_a_bound() {
        let job = clicks(&JobLimits::default(), 2);
        let host = HostMemory {
            bytes: 1 << 30,
            is_bound: false,
        };
        assert!(host.objection(&job, 0).is_some() && !host.refuses(&job));
        let large = JobLimits {
            memory_bytes: 1 << 30,
            ..JobLimits::default()
        };
        assert!(host.refuses(&clicks(&large, 2)));
    }

    #[test]
    fn large_batches_have_a_part_of_the_memory() {
        let turns = |gib: u64| {
            let host = HostMemory {
                bytes: gib << 30,
                is_bound: false,
            };
            host.large_batches()
        };
        assert_eq!([1, 4, 8, 16, 64].map(turns), [1, 1, 2, 4, 8]);
    }
}
