//! What the control API asks of the host.

use super::actor::Told;
use super::budgets::budgets_of;
use super::canary::canary_status;
use super::{Asked, Job, State, Supervisor};
use crate::api::{
    Audit, Checked, DeployRequest, Deployed, Deployment, JobFacts, JobState, JobStatus, Jobs,
    JumpStatus, LetterEnd, LetterId, LettersAsk, LimitStatus, LogLine, ParameterStatus,
    ProbationStatus, Refusal, ReplayRequest, ReplayView, RestoreRequest, ShadowRequest, ShadowView,
    SinkStatus, SourceStatus, StageStatus, StateAsk, StateView, TakenSavepoint, Waiting,
};
use std::collections::BTreeMap;
use std::fs::File;
use streamhost_connectors::kafka::letters::{LetterPositions, ReadLetters, StoredLetter};
use streamhost_core::clock;
use streamhost_core::job::{JobSpec, Share, SinkSpec, SourceSpec, StageSpec};
use streamhost_core::protocol::{CheckpointLog, LetterMark};
use streamhost_core::types::{END_OF_TIME_MS, NO_TIME_MS};
use streamhost_engine::pipeline::{Jump, LoadedDeployment, PipelineStatus, StatusSnapshot};
use streamhost_guest::compiler::Wanted;

impl Jobs for Supervisor {
    fn deploy(
        &self,
        component: Vec<u8>,
        request: DeployRequest,
        wanted: Wanted<'_>,
    ) -> Result<Deployed, Refusal> {
        self.deploy_component(component, request, wanted)
    }

    fn check(
        &self,
        component: Vec<u8>,
        request: DeployRequest,
        wanted: Wanted<'_>,
    ) -> Result<Checked, Refusal> {
        self.check_component(&component, request, wanted)
    }

    fn spool(&self) -> Result<File, Refusal> {
        self.spool_file()
    }

    fn savepoint_bytes_max(&self) -> u64 {
        self.environment.savepoint_bytes
    }

    fn savepoint(&self, job: &str, stop: bool) -> Result<TakenSavepoint, Refusal> {
        self.take_savepoint(job, stop)
    }

    fn restore(
        &self,
        savepoint: File,
        request: RestoreRequest,
        wanted: Wanted<'_>,
    ) -> Result<Deployed, Refusal> {
        self.restore_job(savepoint, request, wanted)
    }

    fn check_restore(
        &self,
        savepoint: File,
        request: RestoreRequest,
        wanted: Wanted<'_>,
    ) -> Result<Checked, Refusal> {
        self.check_savepoint(savepoint, request, wanted)
    }

    fn list(&self) -> Vec<JobStatus> {
        let jobs: Vec<_> = self.jobs().values().cloned().collect();
        jobs.iter().map(|job| self.status_of(job)).collect()
    }

    fn status(&self, job: &str) -> Result<JobStatus, Refusal> {
        Ok(self.status_of(&*self.known(job)?))
    }

    fn history(&self, job: &str) -> Result<Vec<Deployment>, Refusal> {
        match self.job(job) {
            Some(job) => Ok(self.history_of(&job.state().record, None)),
            None => self.history_of_gone(job),
        }
    }

    fn rollback(&self, name: &str, version: Option<u64>) -> Result<Deployed, Refusal> {
        let told = self.ask_known(name, Asked::RollBack(version))?;
        self.with_beginning(name, told)
    }

    fn shadow(
        &self,
        component: Vec<u8>,
        request: ShadowRequest,
        wanted: Wanted<'_>,
    ) -> Result<ShadowView, Refusal> {
        self.begin_shadow(component, request, wanted)
    }

    fn shadow_of(&self, job: &str) -> Result<ShadowView, Refusal> {
        self.look_at_shadow(job)
    }

    fn promote(&self, job: &str, to: Option<Share>) -> Result<Deployed, Refusal> {
        self.promote_version(job, to)
    }

    fn drop_shadow(&self, job: &str) -> Result<(), Refusal> {
        self.forget_shadow(job)
    }

    fn replay(
        &self,
        component: Option<Vec<u8>>,
        savepoint: Option<File>,
        request: ReplayRequest,
        wanted: Wanted<'_>,
    ) -> Result<ReplayView, Refusal> {
        self.begin_replay(component, savepoint, request, wanted)
    }

    fn replay_of(&self, job: &str) -> Result<ReplayView, Refusal> {
        self.look_at_replay(job)
    }

    fn stop_replay(&self, job: &str) -> Result<ReplayView, Refusal> {
        self.end_replay(job)
    }

    fn pause(&self, name: &str) -> Result<JobStatus, Refusal> {
        self.ask_known(name, Asked::Pause)?;
        self.status(name)
    }

    fn resume(&self, name: &str, skip_lost: bool) -> Result<JobStatus, Refusal> {
        self.ask_known(name, Asked::Resume { skip_lost })?;
        let job = self.known(name)?;
        job.await_first_word();
        Ok(self.status_of(&job))
    }

    fn undeploy(&self, name: &str) -> Result<(), Refusal> {
        self.ask_known(name, Asked::Undeploy).map(drop)
    }

    fn logs(&self, job: &str, after: u64) -> Result<Vec<LogLine>, Refusal> {
        match self.job(job) {
            Some(job) => Ok(job.log.after(after)),
            None => self.logs_of_gone(job, after),
        }
    }

    fn letters(
        &self,
        job: &str,
        below: &LetterPositions,
        most: usize,
    ) -> Result<ReadLetters, Refusal> {
        self.read_letters(job, below, most)
    }

    fn letter(
        &self,
        job: &str,
        partition: i32,
        offset: i64,
    ) -> Result<Option<StoredLetter>, Refusal> {
        self.read_letter(job, partition, offset)
    }

    fn letter_marks(
        &self,
        job: &str,
        ids: &[LetterId],
    ) -> Result<Vec<Option<LetterMark>>, Refusal> {
        self.marks_of(job, ids)
    }

    fn change_letters(
        &self,
        job: &str,
        ids: &[LetterId],
        ask: LettersAsk,
    ) -> Result<Vec<LetterEnd>, Refusal> {
        self.retry_or_drop(job, ids, ask)
    }

    fn look(&self, job: &str, ask: &StateAsk) -> Result<StateView, Refusal> {
        self.look_at(job, ask)
    }

    fn audit(&self) -> &dyn Audit {
        &self.audit
    }

    fn broken(&self) -> Option<String> {
        self.checkpoint_logs.broken()
    }

    fn alerts(&self) -> Option<(u64, u64)> {
        let alerts = self.environment.alerts.as_ref();
        alerts.map(crate::alerts::Alerts::counts)
    }

    fn facts(&self) -> Vec<JobFacts> {
        let jobs: Vec<_> = self.jobs().values().cloned().collect();
        jobs.iter().map(|job| self.facts_for_monitor(job)).collect()
    }

    fn facts_of(&self, job: &str) -> Option<JobFacts> {
        Some(self.facts_for_monitor(&*self.job(job)?))
    }
}

impl Supervisor {
    /// Asks the actor of a job that is there.
    fn ask_known(&self, name: &str, asked: Asked) -> Result<Told, Refusal> {
        self.known(name)?;
        self.ask(name, asked)
    }

    /// What is told of a deployment that is active, once it is known where it begins.
    pub(super) fn with_beginning(&self, name: &str, told: Told) -> Result<Deployed, Refusal> {
        let mut deployed = told.deployed.unwrap_or_default();
        if told.begins
            && let Some(job) = self.job(name)
        {
            deployed.warnings.extend(job.await_beginning());
        }
        Ok(deployed)
    }

    /// What its pipeline says, or where none has begun to since the host started, what its
    /// checkpoint says.
    pub(super) fn facts_of(
        &self,
        state: &State,
        loaded: Option<&LoadedDeployment>,
    ) -> StatusSnapshot {
        let facts = state.pipeline_status.snapshot();
        if facts.epoch != 0 {
            return facts;
        }
        let checkpoint = match self.checkpoint_logs.of(&state.record.name).load() {
            Ok((Some(checkpoint), _)) => checkpoint,
            Ok((None, _)) => return facts,
            // Or its zeros would be taken for counts.
            Err(error) => {
                let why = format!(
                    "what it has counted is not known, as the store cannot be read: {error}"
                );
                return StatusSnapshot {
                    last_error: Some(why),
                    ..facts
                };
            }
        };
        if loaded.is_some_and(|loaded| loaded.resets(Some(&checkpoint))) {
            return facts;
        }
        let StatusSnapshot {
            ends,
            waiting,
            under_way,
            last_error,
            ..
        } = facts;
        let told = PipelineStatus::default();
        told.settle(&checkpoint);
        StatusSnapshot {
            ends,
            waiting,
            under_way,
            last_error,
            ..told.snapshot()
        }
    }

    pub(super) fn status_of(&self, job: &Job) -> JobStatus {
        let state = job.state();
        let active = state.record.active();
        let loaded = state.active.as_ref().map(|cell| cell.get());
        let facts = self.facts_of(&state, loaded.as_deref());
        let spec = loaded.as_ref().map(|loaded| &loaded.spec);
        let (sources, sinks) = spec.map_or_else(Default::default, |spec| ends_of(spec, &facts));
        let limits = loaded
            .as_ref()
            .map_or(self.environment.limits, |loaded| loaded.settings.limits);
        let probation = probation_of(&state, &facts);
        let (budgets, over_budget) = budgets_of(&state, loaded.as_deref(), probation.is_some());
        JobStatus {
            job: job.name.clone(),
            state: what_it_does(&state, &facts),
            version: active.version,
            digest: active.digest.clone(),
            deployment: active.number,
            deployed_at: Some(clock::rfc3339(active.at_ms)),
            probation,
            budgets,
            over_budget,
            host: self.environment.host.clone(),
            signed_by: active.signed_by.clone(),
            records_in: facts.counters.records_in,
            rows_out: facts.counters.rows.values().sum(),
            dead_letters: facts.counters.dead_letters,
            dropped: facts.counters.dropped + facts.counters.skipped,
            late: facts.counters.late,
            timeless: facts.counters.timeless,
            batches: facts.batches,
            lag: facts.lag(),
            last_error: state.failed.clone().or_else(|| facts.last_error.clone()),
            waiting_for: longest_wait(&facts),
            every_ms: loaded.as_ref().map_or(0, |l| {
                u64::try_from(l.spec.every.as_millis()).unwrap_or(u64::MAX)
            }),
            group: loaded
                .as_ref()
                .map_or_else(String::new, |loaded| loaded.group.clone()),
            dead_letter_topic: loaded
                .as_ref()
                .map_or_else(String::new, |loaded| loaded.dead_letter_topic.clone()),
            epoch: facts.epoch,
            lanes: self.environment.lanes,
            sources,
            stages: loaded
                .as_ref()
                .map_or_else(Vec::new, |loaded| stages(loaded, &facts)),
            watermark: watermark(&facts),
            sinks,
            limits: LimitStatus {
                memory_bytes: limits.memory_bytes as u64,
                time_ms: u64::try_from(limits.time.as_millis()).unwrap_or(u64::MAX),
                batch_records: limits.batch_records as u64,
                batch_bytes: limits.batch_bytes as u64,
                host_memory: (loaded.as_ref()).map_or_else(Vec::new, |l| self.memory_parts(l)),
            },
            parameters: spec.map_or_else(Vec::new, parameters_of),
            shadow: job.shadows.status(),
            canary: canary_status(&state, loaded.as_deref()),
            replay: job.replays.status(),
        }
    }
}

fn parameters_of(spec: &JobSpec) -> Vec<ParameterStatus> {
    let parameters = spec.parameters.iter();
    let shown = parameters.map(|parameter| ParameterStatus {
        name: parameter.name.clone(),
        kind: parameter.kind.to_string(),
        default: parameter.default.clone(),
        value: parameter.value.clone(),
    });
    shown.collect()
}

/// A job that is stopped or was never loaded is on probation too: it may be resumed.
fn probation_of(state: &State, facts: &StatusSnapshot) -> Option<ProbationStatus> {
    let probation = state.record.probation(facts.batches, clock::now_ms())?;
    Some(ProbationStatus {
        version: probation.back_to,
        batches: probation.batches,
        until: clock::rfc3339(probation.until_ms),
    })
}

/// Where a job reads and writes, and how far it is there.
fn ends_of(spec: &JobSpec, facts: &StatusSnapshot) -> (Vec<SourceStatus>, Vec<SinkStatus>) {
    let source = |source: &SourceSpec| SourceStatus {
        connector: source.connector.clone(),
        name: source.name.clone(),
        target: source.target.clone(),
        committed: facts
            .committed
            .get(&source.target)
            .cloned()
            .unwrap_or_default(),
        event_times: event_times(source, facts),
        jumps: jumps(source, facts),
    };
    let sink = |sink: &SinkSpec| SinkStatus {
        connector: sink.connector.clone(),
        name: sink.name.clone(),
        target: sink.target.clone(),
        rows: facts.counters.rows.get(&sink.name).copied().unwrap_or(0),
    };
    let sources = spec.sources.iter().map(source).collect();
    (sources, spec.sinks.iter().map(sink).collect())
}

/// Of partitions that are timed and have had a record.
fn event_times(source: &SourceSpec, facts: &StatusSnapshot) -> BTreeMap<i32, String> {
    let all = facts.times.event_ms.get(&source.target);
    let all = all.filter(|_| source.timed).into_iter().flatten();
    all.map(|(&id, &ms)| (id, clock::rfc3339(ms))).collect()
}

fn jumps(source: &SourceSpec, facts: &StatusSnapshot) -> BTreeMap<i32, JumpStatus> {
    let all = facts.jumps.get(&source.target);
    let all = all.filter(|_| source.timed).into_iter().flatten();
    let told = |jump: &Jump| JumpStatus {
        at: clock::rfc3339(jump.at_ms),
        from: clock::rfc3339(jump.from_ms),
        to: clock::rfc3339(jump.to_ms),
    };
    all.map(|(&id, jump)| (id, told(jump))).collect()
}

fn what_it_does(state: &State, facts: &StatusSnapshot) -> JobState {
    match () {
        () if state.record.paused => JobState::Paused,
        () if state.failed.is_some() => JobState::Stopped,
        () if facts.finished => JobState::Finished,
        () if !facts.waiting.is_empty() => JobState::Retrying,
        () => JobState::Running,
    }
}

fn stages(active: &LoadedDeployment, facts: &StatusSnapshot) -> Vec<StageStatus> {
    let stage = |stage: &StageSpec| {
        let kept = facts.stages.get(&stage.name);
        let (keys, bytes) = kept.map_or((0, 0), |kept| (kept.keys, kept.bytes));
        StageStatus {
            name: stage.name.clone(),
            keys,
            bytes,
        }
    };
    active.spec.stages.iter().map(stage).collect()
}

fn watermark(facts: &StatusSnapshot) -> Option<String> {
    let watermark_ms = facts.times.watermark_ms;
    (watermark_ms > NO_TIME_MS && watermark_ms < END_OF_TIME_MS)
        .then(|| clock::rfc3339(watermark_ms))
}

/// What is waited for the longest.
fn longest_wait(facts: &StatusSnapshot) -> Option<Waiting> {
    let (what, since) = facts.waiting.values().min_by_key(|(_, since)| *since)?;
    Some(Waiting {
        what: what.clone(),
        since: clock::rfc3339(*since),
    })
}
