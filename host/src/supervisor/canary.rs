//! A version that runs a part of a job's records: begun, given another part, made active. Each is a
//! deployment of its own, which a batch names: a batch that is run again after a crash is split as
//! it was.

use super::actor::{DeployAsk, Ready};
use super::check::active_of;
use super::deploy::{check_state, may_change, unavailable};
use super::draft::{draft_of, kept, next_record_of, unchanged, with_kept};
use super::machine::Draft;
use super::{Asked, Job, State, Supervisor};
use crate::api::{CanaryDeployed, CanaryStatus, DeployRequest, Deployed, Refusal, SideView};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use streamhost_core::canary::CanaryPlan;
use streamhost_core::job::{CanaryRecord, DeploymentKind, DeploymentRecord, Share};
use streamhost_core::protocol::{Checkpoint, CheckpointLog};
use streamhost_core::{clock, limits};
use streamhost_engine::guest::SideFigures;
use streamhost_engine::pipeline::{LoadedCanary, LoadedDeployment};

/// What a canary's version would be by itself.
pub(super) fn deployment_of(
    deployment: &DeploymentRecord,
    canary: &CanaryRecord,
) -> DeploymentRecord {
    DeploymentRecord {
        version: canary.version,
        digest: canary.digest.clone(),
        settings: canary.settings.clone(),
        limits: Some(canary.limits),
        signed_by: canary.signed_by.clone(),
        canary: None,
        ..deployment.clone()
    }
}

/// The active version with a canary beside it. `Err`: why no part of the job can be run by it.
pub(super) fn with_canary(
    active: LoadedDeployment,
    canary: LoadedDeployment,
    share: Share,
) -> Result<LoadedDeployment, String> {
    let why = |reason: String| {
        format!(
            "version {} cannot run a part of what version {} runs: {reason}",
            canary.version, active.version
        )
    };
    let plan = CanaryPlan::new(&active.spec, &canary.spec, share).map_err(why)?;
    let one = |of: &LoadedDeployment| {
        (
            of.group.clone(),
            of.dead_letter_topic.clone(),
            of.settings.until_end,
            of.settings.on_error,
        )
    };
    if one(&active) != one(&canary) {
        return Err(why(
            "`group`, `dead-letter-topic`, `until-end` and `on-error` are for the whole job: \
             they change with a deploy"
                .to_owned(),
        ));
    }
    Ok(LoadedDeployment {
        spec: plan.spec.clone(),
        canary: Some(LoadedCanary {
            version: canary.version,
            settings: canary.settings,
            guest_version: canary.guest_version,
            plan,
        }),
        ..active
    })
}

impl Supervisor {
    /// Checks a component that is compiled and is to run a part of a job's records.
    pub(super) fn prepare_canary(
        &self,
        job: Option<&Arc<Job>>,
        ask: DeployAsk,
        share: Share,
    ) -> Result<Ready, Refusal> {
        let DeployAsk {
            name,
            component,
            digest,
            signed_by,
            request,
            loaded,
        } = ask;
        goes_on(&request)?;
        let job = job.ok_or_else(|| self.unknown(&name))?;
        may_change(job)?;
        let set = request.settings_after(Some(&active_of(job).set))?;
        let (settings, described) = self.described_under(&set, &loaded)?;
        let before = job.state().record.clone();
        let now = before.active();
        if now.digest == digest && now.settings == set {
            return Err(Refusal::Conflict(format!(
                "just this is active already, as version {}: a canary is another version",
                now.version
            )));
        }
        let canary = CanaryRecord {
            version: before.version_of(&digest, &set),
            digest: digest.clone(),
            settings: set.clone(),
            limits: settings.limits,
            signed_by,
            share: share.clone(),
        };
        let of_canary = draft_of(digest, &request, (&set, settings.limits), false);
        let draft = beside(now, Some(canary.clone()), of_canary);
        if let Some(unchanged) = unchanged(job, &draft) {
            self.keep(&name, &component)?; // it may have been damaged
            return Ok(Ready::AsItWas(Box::new(self.as_it_was(job, unchanged))));
        }
        let stored = self.checkpoint_logs.of(&name).load();
        let (checkpoint, intents) = stored.map_err(|e| unavailable(&e))?;
        let before_it = (checkpoint.as_ref(), &intents[..]);
        let record = next_record_of(&name, Some(job), draft, before_it)?;
        let notice = loaded.notice();
        let own = deployment_of(record.active(), &canary);
        let log = job.log_sink(canary.version);
        let alone = self.prove(&log, loaded, described, settings, &own, &record);
        let kept = kept(&request, &set);
        let alone = alone.map_err(|reason| Refusal::Invalid(with_kept(reason, &kept)))?;
        self.is_allowed(&alone)?;
        self.beside_fits("the canary", &alone)?;
        let plain = DeploymentRecord {
            canary: None,
            ..record.active().clone()
        };
        let active = self.activate_alone(job, &record, &plain);
        let active = active.map_err(Refusal::Invalid)?;
        let active = with_canary(active, alone, share).map_err(Refusal::Invalid)?;
        check_state(&active, checkpoint.as_ref(), &intents)?;
        has_partitions(&canary.share, checkpoint.as_ref())?;
        let missing = self.missing_targets(&active, request.create_tables)?;
        self.warm(&active)?;
        self.create_targets(&missing)?;
        job.shadows.end("a canary runs");
        let said = (notice.into_iter().collect(), Vec::new(), kept);
        Ok(self.ready(job.clone(), record, Some(component), Arc::new(active), said))
    }

    /// Checks that a job's canary can become active, or run another part.
    pub(super) fn prepare_promotion(
        &self,
        job: &Arc<Job>,
        to: Option<Share>,
    ) -> Result<Ready, Refusal> {
        may_change(job)?;
        let now = job.state().record.active().clone();
        let Some(canary) = now.canary.clone() else {
            return Err(no_canary(&job.name));
        };
        let signed_by = self.signer_of_kept(&canary.digest)?;
        let draft = Draft {
            digest: canary.digest.clone(),
            kind: DeploymentKind::Deploy,
            reason: None,
            settings: canary.settings.clone(),
            limits: canary.limits,
            reset: false,
            replan: false,
            signed_by,
            canary: None,
            at_ms: clock::now_ms(),
        };
        match to {
            None => self.prepare_kept(job, draft),
            Some(share) => {
                let stored = self.checkpoint_logs.of(&job.name).load();
                let (checkpoint, _) = stored.map_err(|e| unavailable(&e))?;
                has_partitions(&share, checkpoint.as_ref())?;
                let canary = CanaryRecord { share, ..canary };
                self.prepare_kept(job, beside(&now, Some(canary), draft))
            }
        }
    }

    /// Makes a job's canary active, or has it run another part; where there is none, makes its
    /// shadow active.
    pub(super) fn promote_version(
        &self,
        name: &str,
        to: Option<Share>,
    ) -> Result<Deployed, Refusal> {
        let job = self.known(name)?;
        let has_canary = job.state().record.active().canary.is_some();
        match (has_canary, &to) {
            (true, _) => {
                let told = self.ask(name, Asked::Promote(to))?;
                self.with_beginning(name, told)
            }
            (false, Some(_)) => Err(no_canary(name)),
            (false, None) => self.promote_shadow(name),
        }
    }

    /// Makes a deployment's guests, so that its first batch finds them.
    pub(super) fn warm(&self, active: &LoadedDeployment) -> Result<(), Refusal> {
        let canary = active.canary.as_ref().map(|canary| &canary.guest_version);
        for version in [&active.guest_version].into_iter().chain(canary) {
            let warm = version.warm(self.environment.lanes);
            warm.map_err(|fault| Refusal::Invalid(fault.to_string()))?;
        }
        Ok(())
    }
}

/// A canary has one state and one checkpoint with the active version.
fn goes_on(request: &DeployRequest) -> Result<(), Refusal> {
    match request.reset_state || request.replan {
        false => Ok(()),
        true => Err(Refusal::Invalid(
            "a canary goes on from the active version's state and positions: it takes no \
             --reset-state and no --replan"
                .to_owned(),
        )),
    }
}

/// A canary of partitions that nothing is read from would run nothing, and say nothing. Before the
/// first checkpoint it is not known which there are.
fn has_partitions(share: &Share, checkpoint: Option<&Checkpoint>) -> Result<(), Refusal> {
    let (Share::Partitions(asked), Some(checkpoint)) = (share, checkpoint) else {
        return Ok(());
    };
    let read = checkpoint.committed.values().flat_map(BTreeMap::keys);
    let read: BTreeSet<i32> = read.copied().collect();
    let Some(other) = asked.iter().find(|id| !read.contains(id)) else {
        return Ok(());
    };
    let shown = read
        .iter()
        .take(limits::FAULTS_SHOWN_MAX)
        .map(i32::to_string);
    let shown: Vec<String> = shown.collect();
    let more = match read.len() - shown.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Err(Refusal::Invalid(format!(
        "partition {other} is none that the job reads: it reads {}{more}",
        shown.join(", ")
    )))
}

/// The active version's deployment with another canary. What `asked` asks for beside its version
/// holds.
fn beside(active: &DeploymentRecord, canary: Option<CanaryRecord>, asked: Draft) -> Draft {
    Draft {
        digest: active.digest.clone(),
        kind: DeploymentKind::Canary,
        settings: active.settings.clone(),
        limits: active.limits.unwrap_or(asked.limits),
        signed_by: active.signed_by.clone(),
        canary,
        ..asked
    }
}

fn no_canary(name: &str) -> Refusal {
    Refusal::Conflict(format!(
        "job `{name}` has no canary: `streamhost deploy FILE.wasm --canary 5%` begins one"
    ))
}

/// A shadow is compared with one version.
pub(super) fn runs_no_canary(job: &Job) -> Result<(), Refusal> {
    let name = &job.name;
    match job.state().record.active().canary {
        None => Ok(()),
        Some(_) => Err(Refusal::Conflict(format!(
            "job `{name}` has a canary: `streamhost promote {name}` or `streamhost rollback {name}` \
             ends it, and then a shadow can run"
        ))),
    }
}

impl CanaryDeployed {
    /// What is told of a canary that a deployment has.
    pub(super) fn of(canary: &CanaryRecord) -> Self {
        CanaryDeployed {
            version: canary.version,
            digest: canary.digest.clone(),
            share: canary.share.to_string(),
        }
    }
}

/// What a job's status shows of its canary, if it has one.
pub(super) fn canary_status(
    state: &State,
    active: Option<&LoadedDeployment>,
) -> Option<CanaryStatus> {
    let deployment = state.record.active();
    let canary = deployment.canary.as_ref()?;
    let meter = &state.pipeline_status.meter;
    let sides = meter.sides(deployment.number).unwrap_or_default();
    let [of_active, of_canary] = sides.map(side);
    Some(CanaryStatus {
        version: canary.version,
        digest: canary.digest.clone(),
        share: canary.share.to_string(),
        since: clock::rfc3339(deployment.at_ms),
        by_key: active.is_some_and(|active| !active.spec.stages.is_empty()),
        active: of_active,
        canary: of_canary,
    })
}

fn side(figures: SideFigures) -> SideView {
    let counts = figures.counts;
    let busy_us = u64::try_from(figures.busy.as_micros()).unwrap_or(u64::MAX);
    SideView {
        records: counts.records,
        rows: counts.rows,
        failed: counts.failed,
        broken: counts.broken,
        late: counts.late,
        dropped: counts.dropped,
        busy_us,
        ns_per_record: busy_us.saturating_mul(1000).checked_div(counts.records),
    }
}
