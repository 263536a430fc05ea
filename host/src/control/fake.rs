//! Jobs that are only said to run, for tests of the API and of the command line.

use crate::api::{
    ActiveFacts, Audit, CanaryStatus, Checked, DeployRequest, Deployed, Deployment, HostFacts,
    JobFacts, JobState, JobStatus, Jobs, LetterEnd, LetterId, LettersAsk, LogLine, Peers, Refusal,
    ReplayRequest, ReplayStatus, ReplayView, RestoreRequest, ShadowRequest, ShadowView, StateAsk,
    StateFate, StateView, TakenSavepoint,
};
use std::collections::BTreeMap;
use std::fs::File;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use streamhost_connectors::kafka::letters::{LetterPositions, ReadLetters, StoredLetter};
use streamhost_core::job::memory::HostMemory;
use streamhost_core::job::{ColumnSpec, DeploymentKind, Share};
use streamhost_core::protocol::LetterMark;
use streamhost_core::types::Kind;

mod audit;
mod facts;
mod held;
mod kept;
mod peers;
mod canary;
mod replay;
mod savepoint;
mod shadow;

pub(crate) use kept::status_of;
pub(crate) use peers::FakePeers;

/// What a fake host keeps.
#[derive(Default)]
pub(crate) struct FakeJobs {
    jobs: Mutex<BTreeMap<String, Vec<Deployment>>>,
    pub(crate) audit: audit::FakeAudit,
    paused: Mutex<bool>,
    /// Jobs wait for something.
    pub(crate) retrying: Mutex<bool>,
    /// Where charts are kept.
    pub(crate) series_file: Mutex<Option<std::path::PathBuf>>,
    /// Jobs have stopped.
    pub(crate) stopped: Mutex<bool>,
    /// Why nothing can be written any more.
    pub(crate) broken: Mutex<Option<String>>,
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
    /// What is remembered of dead letters.
    marks: Mutex<BTreeMap<LetterId, LetterMark>>,
    /// The shadow and the replay of `clicks`.
    shadow: Mutex<Option<ShadowView>>,
    replay: Mutex<Option<ReplayView>>,
    /// The canary of `clicks`.
    canary: Mutex<Option<CanaryStatus>>,
    /// The other hosts, if there are any.
    pub(crate) peers: OnceLock<FakePeers>,
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
        fake.begin_beside();
        fake
    }

    /// Whether it was told to pause.
    pub(crate) fn is_paused(&self) -> bool {
        *locked(&self.paused)
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
            ..Deployed::default()
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
            replan: request.replan,
            component_bytes: Some(180_000),
            undeployed_at: None,
            sdk: None,
            signed_by: Some("ann".to_owned()),
            canary: None,
        };
        all.insert(0, entry);
    }
}

impl Jobs for FakeJobs {
    fn peers(&self) -> Option<&dyn Peers> {
        self.peers.get().map(|peers| peers as &dyn Peers)
    }

    fn name_of(&self, component: &[u8], _: &dyn Fn() -> bool) -> Result<String, Refusal> {
        Ok(String::from_utf8_lossy(component).into_owned())
    }

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
        if let Some(share) = &request.canary {
            return self.begin_canary(&job, &digest, share);
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

    fn check(
        &self,
        component: Vec<u8>,
        request: DeployRequest,
        _wanted: &dyn Fn() -> bool,
    ) -> Result<Checked, Refusal> {
        if component == b"invalid" {
            return Err(Refusal::Invalid("that is no job".to_owned()));
        }
        let job = request.name.unwrap_or_else(|| "clicks".to_owned());
        let facts = self.facts().pop();
        let active = facts.map(|facts| ActiveFacts {
            deployment: facts.deployments[facts.deployments.len() - 1],
            digest: facts.status.digest.clone(),
            spec: facts.spec,
            set: [("idle".to_owned(), "1s".to_owned())].into(),
        });
        let mut spec = active
            .as_ref()
            .and_then(|active| active.spec.as_deref().cloned());
        if let Some(spec) = &mut spec {
            spec.sinks[0].columns.push(ColumnSpec {
                name: "f:new".to_owned(),
                kind: Kind::Text,
                optional: false,
            });
        }
        Ok(Checked {
            dead_letter_topic: format!("{job}.dead-letters"),
            job,
            digest: "new".to_owned(),
            component_bytes: component.len(),
            contract: "0.2".to_owned(),
            imports: vec!["streamhost:job/log@0.2.0".to_owned()],
            spec: spec.map(Arc::new),
            exists: vec![Some(true)],
            errors: Vec::new(),
            warnings: vec!["mind the gap".to_owned()],
            active,
            set: request.settings,
            state: StateFate::Kept,
            starts: "where the job is".to_owned(),
            creates: Vec::new(),
        })
    }

    fn spool(&self) -> Result<File, Refusal> {
        let file = tempfile::tempfile();
        file.map_err(|e| Refusal::Unavailable(e.to_string()))
    }

    fn savepoint_bytes_max(&self) -> u64 {
        1 << 20
    }

    fn savepoint(&self, job: &str, stop: bool) -> Result<TakenSavepoint, Refusal> {
        self.deployments(job)?;
        *locked(&self.paused) |= stop;
        savepoint::taken(job)
    }

    fn restore(
        &self,
        savepoint: File,
        request: RestoreRequest,
        wanted: &dyn Fn() -> bool,
    ) -> Result<Deployed, Refusal> {
        self.deploy(savepoint::component_of(savepoint)?, request.deploy, wanted)
    }

    fn check_restore(
        &self,
        savepoint: File,
        request: RestoreRequest,
        wanted: &dyn Fn() -> bool,
    ) -> Result<Checked, Refusal> {
        self.check(savepoint::component_of(savepoint)?, request.deploy, wanted)
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
        let stopped = *locked(&self.stopped);
        let state = match (*locked(&self.paused), *locked(&self.retrying)) {
            _ if stopped => JobState::Stopped,
            (true, _) => JobState::Paused,
            (false, true) => JobState::Retrying,
            (false, false) => JobState::Running,
        };
        Ok(JobStatus {
            canary: locked(&self.canary).clone(),
            replay: locked(&self.replay).as_ref().map(ReplayStatus::of),
            ..status_of(job, &self.said(job)?, state)
        })
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

    fn shadow(
        &self,
        component: Vec<u8>,
        request: ShadowRequest,
        _wanted: &dyn Fn() -> bool,
    ) -> Result<ShadowView, Refusal> {
        self.begin_shadow(&component, &request)
    }

    fn shadow_of(&self, job: &str) -> Result<ShadowView, Refusal> {
        self.look_at_shadow(job)
    }

    fn promote(&self, job: &str, to: Option<Share>) -> Result<Deployed, Refusal> {
        self.promote_version(job, to.as_ref())
    }

    fn drop_shadow(&self, job: &str) -> Result<(), Refusal> {
        self.forget_shadow(job)
    }

    fn replay(
        &self,
        component: Option<Vec<u8>>,
        savepoint: Option<File>,
        request: ReplayRequest,
        _wanted: &dyn Fn() -> bool,
    ) -> Result<ReplayView, Refusal> {
        self.begin_replay(component.as_deref(), savepoint.is_some(), &request)
    }

    fn replay_of(&self, job: &str) -> Result<ReplayView, Refusal> {
        self.look_at_replay(job)
    }

    fn stop_replay(&self, job: &str) -> Result<ReplayView, Refusal> {
        self.end_replay(job)
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

    fn logs(&self, job: &str, after: u64) -> Result<Vec<LogLine>, Refusal> {
        self.deployments(job)?;
        Ok((after + 1..=3)
            .map(|number| LogLine {
                number,
                version: Some(2),
                line: format!("line {number}\u{1b}[2J"),
            })
            .collect())
    }

    fn letters(
        &self,
        job: &str,
        below: &LetterPositions,
        most: usize,
    ) -> Result<ReadLetters, Refusal> {
        self.deployments(job)?;
        let letters = (0..5)
            .rev()
            .map(kept::letter_at)
            .filter(|letter| below.get(&0).is_none_or(|below| letter.offset < *below));
        let letters: Vec<_> = letters.take(most).collect();
        Ok(ReadLetters {
            letters,
            down_to: [(0, 0)].into(),
            first: [(0, 0)].into(),
        })
    }

    fn letter(
        &self,
        job: &str,
        partition: i32,
        offset: i64,
    ) -> Result<Option<StoredLetter>, Refusal> {
        self.deployments(job)?;
        Ok((partition == 0 && offset != 9).then(|| kept::letter_at(offset)))
    }

    fn letter_marks(
        &self,
        job: &str,
        ids: &[LetterId],
    ) -> Result<Vec<Option<LetterMark>>, Refusal> {
        self.deployments(job)?;
        let marks = locked(&self.marks);
        Ok(ids.iter().map(|id| marks.get(id).cloned()).collect())
    }

    fn change_letters(
        &self,
        job: &str,
        ids: &[LetterId],
        ask: LettersAsk,
    ) -> Result<Vec<LetterEnd>, Refusal> {
        self.deployments(job)?;
        if ask != LettersAsk::Drop && *locked(&self.paused) {
            let words = format!("job `{job}` is paused: `streamhost resume {job}`, then ask again");
            return Err(Refusal::Conflict(words));
        }
        Ok(kept::change(&mut locked(&self.marks), ids, ask))
    }

    fn look(&self, job: &str, ask: &StateAsk) -> Result<StateView, Refusal> {
        self.deployments(job)?;
        kept::look(job, ask)
    }

    fn audit(&self) -> &dyn Audit {
        &self.audit
    }

    fn broken(&self) -> Option<String> {
        locked(&self.broken).clone()
    }

    fn place(&self) -> HostFacts {
        HostFacts {
            data_dir: "/".into(),
            servers: vec![("kafka", "127.0.0.1:9092".to_owned())],
            series_file: locked(&self.series_file).clone(),
            memory: HostMemory {
                bytes: 8 << 30,
                is_bound: true,
            },
        }
    }

    fn facts(&self) -> Vec<JobFacts> {
        let of = |status: JobStatus| {
            let deployments = self.deployments(&status.job).unwrap_or_default();
            facts::facts_of(status, &deployments)
        };
        self.list().into_iter().map(of).collect()
    }
}
