//! Deploy, roll back, reset: checks first, then one durable record, then the change at a batch boundary.

use super::{Job, Supervisor};
use crate::checkpoint::{Ledger, Plan, Store};
use crate::clock;
use crate::guest::instance::LogSink;
use crate::guest::sha256;
use crate::job::check::in_words;
use crate::job::settings::Settings;
use crate::job::status::{DeployRequest, Deployed, DeploymentKind, Refusal};
use crate::job::{SinkKind, SourceKind, StageKind, StagePlan, names};
use crate::limits;
use crate::pipeline::{Active, ActiveCell, Stop};
use crate::registry::{DeploymentRecord, JobRecord};
use crate::sink::{Place, Remedy, SinkError};
use crate::source::{Source, SourceError, Start, mixed};
use crate::state::change::stages_after;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::UNIX_EPOCH;
use tracing::Level;

/// What a deployment is to be, before it has its number.
struct Draft {
    digest: String,
    kind: DeploymentKind,
    reason: Option<String>,
    settings: std::collections::BTreeMap<String, String>,
    reset: bool,
}

impl Supervisor {
    /// Checks, compiles, warms and activates a component.
    pub(super) fn deploy_component(&self, component: &[u8], request: DeployRequest) -> Result<Deployed, Refusal> {
        let _changes = self.change();
        let settings =
            Settings::parse(&request.settings, self.place.limits).map_err(|f| Refusal::Invalid(in_words(&f)))?;
        not_in_the_future(settings.start)?;
        let silent: LogSink = Arc::new(|_, _: &str| {}); // the job that logs is not known yet
        let (_, described) = self.load(&silent, &sha256(component), component, &settings).map_err(Refusal::Invalid)?;
        let name = request.name.clone().unwrap_or(described.name);
        names::job(&name).map_err(|reason| Refusal::Invalid(format!("the job's name `{name}`: {reason}")))?;
        let unavailable = |e: &dyn std::fmt::Display| Refusal::Unavailable(e.to_string());
        // What Kafka holds of an undeployed job tells where it was, and nothing of what its keyed stages kept.
        let begins_anew =
            !described.stages.is_empty() && self.registry.was_undeployed(&name).map_err(|e| unavailable(&e))?;
        let starts = request.settings.contains_key("start") && !request.reset_state;
        let draft = Draft {
            digest: sha256(component),
            kind: DeploymentKind::Deploy,
            reason: None,
            settings: request.settings,
            reset: request.reset_state || begins_anew,
        };
        let job = self.job(&name);
        if let Some(job) = &job
            && let Some(unchanged) = unchanged(job, &draft)
        {
            return Ok(unchanged);
        }
        if job.is_none() && self.jobs().len() >= limits::JOBS_MAX {
            return Err(Refusal::Unavailable(format!(
                "this host runs {} jobs already: undeploy one",
                limits::JOBS_MAX
            )));
        }
        let old = job.as_ref().map(|job| job.state().record.clone());
        let record = next_record(&name, old, draft);
        let job = job.unwrap_or_else(|| Arc::new(Job::new(record.clone())));
        let active =
            self.prove(&job.log_sink(), component, settings, record.active(), &record).map_err(Refusal::Invalid)?;
        let (ledger, plans) = self.ledgers.of(&name).load().map_err(|e| unavailable(&e))?;
        check_state(&active, ledger.as_ref(), &plans)?;
        self.check_places(&active, ledger.is_some(), request.create_tables)?;
        active.runnable.warm(self.place.lanes).map_err(|fault| Refusal::Invalid(fault.to_string()))?;
        self.registry.keep(component).map_err(|e| Refusal::Unavailable(e.to_string()))?;
        let mut done = self.switch(&job, record, Arc::new(active))?;
        if starts && ledger.is_some() {
            let ignored =
                "`start` is for a new job, and this one goes on where it is: --reset-state begins it anew there";
            job.say(Level::WARN, ignored);
            done.warnings.push(ignored.to_owned());
        }
        Ok(done)
    }

    /// The tables and topics must be there, and fit.
    fn check_places(&self, active: &Active, has_ledger: bool, create: bool) -> Result<(), Refusal> {
        let refused = |error: SinkError| match error.remedy() {
            Remedy::Retry => Refusal::Unavailable(error.to_string()),
            Remedy::Stop => Refusal::Invalid(error.to_string()),
        };
        for sink in &active.plan.sinks {
            match sink.kind {
                SinkKind::Hbase => {
                    crate::sink::hbase::HbasePlace::new(self.place.hbase.clone())
                        .check(sink, create)
                        .map_err(refused)?;
                }
                SinkKind::Kafka => {
                    crate::sink::kafka::KafkaPlace::new(&self.place.kafka).check(sink, create).map_err(refused)?;
                }
                SinkKind::Console => {}
            }
        }
        if create {
            for source in active.plan.sources.iter().filter(|source| source.kind == SourceKind::Kafka) {
                crate::sink::kafka::KafkaPlace::new(&self.place.kafka).topic(&source.place, true).map_err(refused)?;
            }
        }
        let mut source = mixed::open(&self.place.kafka, &active.plan.sources, &active.group, false)
            .map_err(|e| Refusal::Invalid(e.to_string()))?;
        match source.partitions() {
            Ok(_) if has_ledger => Ok(()),
            Ok(_) => check_group(active, source.as_mut()),
            Err(error @ SourceError::Away { .. }) => Err(Refusal::Unavailable(error.to_string())),
            Err(error) => Err(Refusal::Invalid(error.to_string())),
        }
    }

    /// Makes an older version active again.
    pub(super) fn roll_back(&self, name: &str, version: Option<u64>, why: Option<String>) -> Result<Deployed, Refusal> {
        let job = self.known(name)?;
        let record = job.state().record.clone();
        let target = match version {
            Some(version) => record.of_version(version).ok_or_else(|| {
                Refusal::NotFound(format!("`{name}` has no version {version}: `streamhost history {name}` lists them"))
            })?,
            None => record.before_active().ok_or_else(|| {
                Refusal::Conflict(format!("`{name}` has had one version only: there is nothing to go back to"))
            })?,
        };
        let draft = Draft {
            digest: target.digest.clone(),
            kind: if why.is_some() { DeploymentKind::AutomaticRollback } else { DeploymentKind::Rollback },
            reason: why,
            settings: target.settings.clone(),
            reset: false,
        };
        if let Some(unchanged) = unchanged(&job, &draft) {
            return Ok(unchanged);
        }
        let record = next_record(name, Some(record), draft);
        let active = self.activate(&job, &record, record.active()).map_err(Refusal::Invalid)?;
        let (ledger, plans) = self.ledgers.of(name).load().map_err(|e| Refusal::Unavailable(e.to_string()))?;
        check_state(&active, ledger.as_ref(), &plans)?;
        let warm = active.runnable.warm(self.place.lanes);
        warm.map_err(|fault| Refusal::Invalid(fault.to_string()))?;
        self.switch(&job, record, active)
    }

    /// Makes the record durable, and only then lets the next batch name it.
    fn switch(&self, job: &Arc<Job>, record: JobRecord, active: Arc<Active>) -> Result<Deployed, Refusal> {
        self.registry.save(&record).map_err(|e| Refusal::Unavailable(e.to_string()))?;
        self.jobs().entry(job.name.clone()).or_insert_with(|| job.clone()); // durable first, visible then
        let mut done = deployed(&record, true);
        done.warnings = self.shared_tables(&active);
        let goes_over = {
            let mut state = job.state();
            state.record = record.clone();
            state.since_batch = state.board.facts().batches;
            let running = state.failed.is_none() && state.pipeline.as_ref().is_some_and(|p| !p.has_ended());
            match &state.active {
                Some(cell) if running && cell.get().fits(&active) => {
                    cell.set(active.clone());
                    true
                }
                _ => false,
            }
        };
        let (version, number) = (done.version, done.deployment);
        let anew = if record.active().reset { ", which begins the job anew at `start`" } else { "" };
        job.say(Level::INFO, &format!("version {version} is active (deployment {number}){anew}"));
        done.warnings.iter().for_each(|warning| job.say(Level::WARN, warning));
        if !goes_over {
            job.halt(Stop::Soon);
            {
                let mut state = job.state();
                state.active = Some(ActiveCell::new(active.clone()));
                state.failed = None; // whatever the version before failed of
            }
            if !record.paused {
                self.start(job, active, &record).map_err(|reason| job.cannot_go_on(reason, Refusal::Unavailable))?;
            }
        }
        self.sweep();
        Ok(done)
    }

    /// Of each table that another job writes as well, a sentence.
    fn shared_tables(&self, active: &Active) -> Vec<String> {
        let tables = |active: &Active| -> BTreeSet<String> {
            let sinks = active.plan.sinks.iter().filter(|sink| sink.kind == SinkKind::Hbase);
            sinks.map(|sink| sink.place.clone()).collect()
        };
        let ours = tables(active);
        let others: Vec<_> = self.jobs().values().filter(|job| job.name != active.plan.name).cloned().collect();
        let mut warnings = Vec::new();
        for other in others {
            let Some(cell) = other.state().active.clone() else { continue };
            for table in tables(&cell.get()).intersection(&ours) {
                let name = &other.name;
                warnings.push(format!(
                    "job `{name}` writes table `{table}` as well: of a cell that both write, the later batch's value stays"
                ));
            }
        }
        warnings
    }

    /// Components that no history names go.
    pub(super) fn sweep(&self) {
        let jobs: Vec<_> = self.jobs().values().cloned().collect();
        let digests =
            |job: &Arc<Job>| job.state().record.deployments.iter().map(|d| d.digest.clone()).collect::<Vec<_>>();
        let named: BTreeSet<String> = jobs.iter().flat_map(digests).collect();
        self.registry.sweep(&named);
        self.guests.sweep(&named);
    }

    pub(super) fn known(&self, name: &str) -> Result<Arc<Job>, Refusal> {
        self.job(name).ok_or_else(|| {
            let all: Vec<String> = self.jobs().keys().map(|name| format!("`{name}`")).collect();
            let there =
                if all.is_empty() { "there are none".to_string() } else { format!("there are {}", all.join(", ")) };
            Refusal::NotFound(format!("there is no job `{name}`: {there}"))
        })
    }
}

/// A job that begins at a time to come would begin at the end, and miss what comes until then.
fn not_in_the_future(start: Start) -> Result<(), Refusal> {
    let Start::At(time) = start else { return Ok(()) };
    let ms = time.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    if ms <= clock::now_ms() {
        return Ok(());
    }
    let (start, now) = (clock::rfc3339(ms), clock::rfc3339(clock::now_ms()));
    Err(Refusal::Invalid(format!("start={start}: it is {now} now; say start=latest for what comes from now on")))
}

/// `Some`: just this is active already, and nothing is wrong with it.
/// The version must be able to go on with what was kept.
fn check_state(active: &Active, ledger: Option<&Ledger>, plans: &[Plan]) -> Result<(), Refusal> {
    let Some(ledger) = ledger.filter(|ledger| !active.resets(Some(ledger))) else { return Ok(()) };
    let has_windows = |stage: &StagePlan| matches!(stage.kind, StageKind::Window(_) | StageKind::Join(_));
    if ledger.finished && active.plan.stages.iter().any(has_windows) {
        return Err(Refusal::Conflict(format!(
            "`{}` is finished, and its windows are all given out: deploy with --reset-state to run it again from `start`",
            active.plan.name
        )));
    }
    let kept = plans.last().map_or(&ledger.stages, |plan| &plan.stages);
    match stages_after(kept, &active.plan, ledger.incarnation) {
        Ok(_) => Ok(()),
        Err(refusals) => Err(Refusal::Conflict(in_words(&refusals))),
    }
}

/// A keyed job that Kafka knows and this data folder has no ledger of has lost its state, or runs elsewhere.
fn check_group(active: &Active, source: &mut dyn Source) -> Result<(), Refusal> {
    if active.plan.stages.is_empty() || active.resets(None) {
        return Ok(());
    }
    match source.group().map_err(|e| Refusal::Unavailable(e.to_string()))?.is_empty() {
        true => Ok(()),
        false => Err(Refusal::Conflict(format!(
            "Kafka holds offsets of the group `{}`, and this data folder has no state of `{}`: restore the folder or run the job where it was, deploy with --reset-state to begin anew at `start`, or give it another group with --set group=…",
            active.group, active.plan.name
        ))),
    }
}

fn unchanged(job: &Job, draft: &Draft) -> Option<Deployed> {
    let state = job.state();
    let active = state.record.active();
    let same = active.digest == draft.digest && active.settings == draft.settings;
    (same && !draft.reset && state.failed.is_none()).then(|| deployed(&state.record, false))
}

fn deployed(record: &JobRecord, changed: bool) -> Deployed {
    let active = record.active();
    Deployed {
        job: record.name.clone(),
        version: active.version,
        digest: active.digest.clone(),
        deployment: active.number,
        changed,
        paused: record.paused,
        warnings: Vec::new(),
    }
}

fn next_record(name: &str, old: Option<JobRecord>, draft: Draft) -> JobRecord {
    let empty = JobRecord { name: name.to_string(), paused: false, deployments: Vec::new() };
    let mut record = old.unwrap_or(empty);
    let number = record.deployments.last().map_or(1, |last| last.number + 1);
    let version = record.version_of(&draft.digest, &draft.settings);
    record.push(DeploymentRecord {
        number,
        version,
        digest: draft.digest,
        at_ms: clock::now_ms(),
        kind: draft.kind,
        reason: draft.reason,
        settings: draft.settings,
        reset: draft.reset,
    });
    record
}
