//! Jobs that are only said to run, for tests of the API and of the command line.

use crate::api::{
    DeployRequest, Deployed, Deployment, JobState, JobStatus, Jobs, LimitStatus, Refusal,
    SinkStatus, SourceStatus, StageStatus, Waiting,
};
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use streamhost_core::job::{DeploymentKind, SinkKind, SourceKind};

/// What a fake host keeps.
#[derive(Default)]
pub(crate) struct FakeJobs {
    jobs: Mutex<BTreeMap<String, Vec<Deployment>>>,
    paused: Mutex<bool>,
    /// Jobs wait for something.
    pub(crate) retrying: Mutex<bool>,
    /// How often `resume` was asked.
    pub(crate) resumes: Mutex<usize>,
    /// What the last `resume` was told of lost records.
    pub(crate) skipped: Mutex<bool>,
    /// The last deployment's bytes and request.
    pub(crate) asked: Mutex<Option<(Vec<u8>, DeployRequest)>>,
    /// How often `history` was asked.
    pub(crate) asked_history: Mutex<usize>,
    /// How often `pause` was asked.
    pub(crate) pauses: Mutex<usize>,
    /// A deployment that takes for ever was no longer wanted.
    pub(crate) unwanted: Mutex<bool>,
    /// While true, `history` and `pause` wait.
    held: Mutex<bool>,
    freed: Condvar,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FakeJobs {
    /// One that has the job `clicks` in two versions.
    pub(crate) fn with_clicks() -> Self {
        let fake = FakeJobs::default();
        for bytes in [b"one".to_vec(), b"two".to_vec()] {
            fake.deploy(bytes, DeployRequest::default(), &|| true)
                .expect("the fake takes all");
        }
        fake
    }

    /// Makes `history` and `pause` wait until they are let go.
    pub(crate) fn hold(&self, held: bool) {
        *locked(&self.held) = held;
        self.freed.notify_all();
    }

    fn wait_while_held(&self) {
        let held = self.freed.wait_while(locked(&self.held), |held| *held);
        drop(held.unwrap_or_else(PoisonError::into_inner));
    }

    fn deployments(&self, job: &str) -> Result<Vec<Deployment>, Refusal> {
        let missing = || {
            Refusal::NotFound(format!(
                "there is no job `{job}`: `streamhost list` shows those there are"
            ))
        };
        locked(&self.jobs).get(job).cloned().ok_or_else(missing)
    }

    fn said(&self, job: &str) -> Result<Deployed, Refusal> {
        let all = self.deployments(job)?;
        let active = all.iter().find(|d| d.active).expect("one is");
        Ok(Deployed {
            job: job.to_owned(),
            version: active.version,
            digest: active.digest.clone(),
            deployment: active.number,
            changed: true,
            paused: false,
            warnings: Vec::new(),
        })
    }

    fn activate(
        &self,
        job: &str,
        version: u64,
        digest: String,
        kind: DeploymentKind,
        request: DeployRequest,
    ) {
        let mut jobs = locked(&self.jobs);
        let all = jobs.entry(job.to_owned()).or_default();
        all.iter_mut().for_each(|d| d.active = false);
        let entry = Deployment {
            number: all.len() as u64 + 1,
            version,
            digest,
            at: "2026-11-21T08:00:00Z".to_owned(),
            kind,
            reason: None,
            settings: request.settings,
            active: true,
            reset: request.reset_state,
        };
        all.insert(0, entry);
    }
}

/// A status with everything in it.
pub(crate) fn status_of(job: &str, deployed: &Deployed, state: JobState) -> JobStatus {
    JobStatus {
        job: job.to_owned(),
        state,
        version: deployed.version,
        digest: deployed.digest.clone(),
        deployment: deployed.deployment,
        records_in: 1000,
        rows_out: 990,
        dead_letters: 7,
        dropped: 3,
        late: 2,
        batches: 12,
        lag: Some(5),
        last_error: Some("HBase said \"no\"\nand \u{1b}[31mmore".to_owned()),
        waiting_for: Some(Waiting {
            what: "Kafka".to_owned(),
            since: "2026-11-21T08:00:00Z".to_owned(),
        }),
        every_ms: 1000,
        group: format!("streamhost.{job}"),
        dead_letter_topic: format!("{job}.dead-letters"),
        epoch: 1,
        lanes: 2,
        sources: vec![SourceStatus {
            kind: SourceKind::Kafka,
            name: "clicks".to_owned(),
            target: "clicks".to_owned(),
            committed: [(0, 600), (1, 400)].into(),
        }],
        stages: vec![StageStatus {
            name: "count".to_owned(),
            keys: 4,
            bytes: 400,
        }],
        watermark: Some("2026-11-21T08:00:00Z".to_owned()),
        sinks: vec![SinkStatus {
            kind: SinkKind::Hbase,
            name: "clicks".to_owned(),
            target: "c\"2".to_owned(),
            rows: 990,
        }],
        limits: LimitStatus {
            memory_bytes: 64 << 20,
            time_ms: 2000,
            batch_records: 100_000,
            batch_bytes: 16 << 20,
        },
    }
}

impl Jobs for FakeJobs {
    fn deploy(
        &self,
        component: Vec<u8>,
        request: DeployRequest,
        wanted: &dyn Fn() -> bool,
    ) -> Result<Deployed, Refusal> {
        let digest = component
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect::<String>();
        let job = request.name.clone().unwrap_or_else(|| "clicks".to_owned());
        *locked(&self.asked) = Some((component.clone(), request.clone()));
        match component.as_slice() {
            b"invalid" => return Err(Refusal::Invalid("that is no job".to_owned())),
            b"conflict" => {
                return Err(Refusal::Conflict(
                    "another deployment is under way".to_owned(),
                ));
            }
            b"unavailable" => return Err(Refusal::Unavailable("HBase does not answer".to_owned())),
            b"panic" => panic!("the fake was told to"),
            b"slow" => {
                while wanted() {
                    std::thread::yield_now();
                }
                *locked(&self.unwanted) = true;
                return Err(Refusal::Unavailable("nobody waits for it".to_owned()));
            }
            _ => {}
        }
        if let Ok(now) = self.said(&job)
            && now.digest == digest
        {
            return Ok(Deployed {
                changed: false,
                ..now
            });
        }
        let version = locked(&self.jobs)
            .get(&job)
            .map_or(1, |all| all.len() as u64 + 1);
        let starts = request.settings.contains_key("start");
        self.activate(&job, version, digest, DeploymentKind::Deploy, request);
        let warnings = if starts {
            vec!["`start` is for\na new job".to_owned()]
        } else {
            Vec::new()
        };
        Ok(Deployed {
            warnings,
            ..self.said(&job)?
        })
    }

    fn list(&self) -> Vec<JobStatus> {
        let names: Vec<String> = locked(&self.jobs).keys().cloned().collect();
        names
            .iter()
            .filter_map(|job| self.status(job).ok())
            .collect()
    }

    fn status(&self, job: &str) -> Result<JobStatus, Refusal> {
        assert_ne!(job, "panic", "the fake was told to");
        let state = match (*locked(&self.paused), *locked(&self.retrying)) {
            (true, _) => JobState::Paused,
            (false, true) => JobState::Retrying,
            (false, false) => JobState::Running,
        };
        Ok(status_of(job, &self.said(job)?, state))
    }

    fn history(&self, job: &str) -> Result<Vec<Deployment>, Refusal> {
        *locked(&self.asked_history) += 1;
        self.wait_while_held();
        self.deployments(job)
    }

    fn rollback(&self, job: &str, version: Option<u64>) -> Result<Deployed, Refusal> {
        let all = self.deployments(job)?;
        let version = version.unwrap_or(1);
        let Some(old) = all.iter().find(|d| d.version == version) else {
            return Err(Refusal::NotFound(format!(
                "job `{job}` has no version {version}"
            )));
        };
        self.activate(
            job,
            version,
            old.digest.clone(),
            DeploymentKind::Rollback,
            DeployRequest::default(),
        );
        self.said(job)
    }

    fn pause(&self, job: &str) -> Result<JobStatus, Refusal> {
        *locked(&self.pauses) += 1;
        self.wait_while_held();
        *locked(&self.paused) = true;
        self.status(job)
    }

    fn resume(&self, job: &str, skip_lost: bool) -> Result<JobStatus, Refusal> {
        *locked(&self.paused) = false;
        *locked(&self.skipped) = skip_lost;
        *locked(&self.resumes) += 1;
        self.status(job)
    }

    fn undeploy(&self, job: &str) -> Result<(), Refusal> {
        self.deployments(job)?;
        locked(&self.jobs).remove(job);
        Ok(())
    }

    fn logs(&self, job: &str, after: u64) -> Result<Vec<(u64, String)>, Refusal> {
        self.deployments(job)?;
        Ok((after + 1..=3)
            .map(|n| (n, format!("line {n}\u{1b}[2J")))
            .collect())
    }
}
