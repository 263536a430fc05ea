//! A version that runs beside the active one of its job: started, looked at, promoted, ended. It is
//! the host's own, and nothing of it is stored: it ends with the host.

use super::actor::DeployAsk;
use super::canary::runs_no_canary;
use super::deploy::{check_state, may_change, unavailable, wrong_name};
use super::draft::{draft_of, kept, next_record_of, with_kept};
use super::machine::Draft;
use super::{Asked, Job, Supervisor};
use crate::api::{
    BatchView, Deployed, PairView, PromoteIf, Refusal, ShadowRequest, ShadowStatus, ShadowView,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use streamhost_core::clock;
use streamhost_core::compare::Difference;
use streamhost_core::job::{DeploymentRecord, names};
use streamhost_core::protocol::CheckpointLog;
use streamhost_engine::guest::LogSink;
use streamhost_engine::pipeline::{
    LoadedDeployment, Shadow, ShadowEnd, ShadowReport, ShadowSlot, ShadowTerms,
};
use streamhost_guest::compiler::Wanted;
use streamhost_storage::catalog::sha256;
use tracing::Level;

/// The shadow of a job, as others see it.
#[derive(Default)]
pub(super) struct Shadows {
    /// The one that the job's pipelines feed.
    pub(super) slot: ShadowSlot,
    kept: Mutex<Option<KeptShadow>>,
}

/// A shadow and what is needed to make it active.
struct KeptShadow {
    shadow: Arc<Shadow>,
    /// What a deploy of it asks.
    ask: DeployAsk,
    /// What its deployment would be.
    deployment: DeploymentRecord,
    /// The version that it runs beside.
    beside: u64,
    promote_if: Option<PromoteIf>,
    /// What became of it at its end.
    became: Option<String>,
}

impl Shadows {
    fn kept(&self) -> MutexGuard<'_, Option<KeptShadow>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the shadow that runs, if one does.
    pub(super) fn end(&self, why: &str) {
        if let Some(shadow) = self.slot.set(None) {
            shadow.end(why);
        }
    }

    /// In short, if there is or was one.
    pub(super) fn status(&self) -> Option<ShadowStatus> {
        let kept = self.kept();
        let view = kept.as_ref()?.view("");
        Some(ShadowStatus {
            version: view.version,
            running: view.running,
            batches: view.batches,
            skipped: view.skipped,
            alike: view.alike,
            differing: view.differing,
            state_bytes: view.state_bytes,
            why: view.why,
        })
    }
}

impl Supervisor {
    /// Checks and compiles a component, and runs it beside its job's active version.
    pub(super) fn begin_shadow(
        &self,
        component: Vec<u8>,
        request: ShadowRequest,
        wanted: Wanted<'_>,
    ) -> Result<ShadowView, Refusal> {
        if request.deploy.reset_state || request.deploy.replan {
            return Err(Refusal::Invalid(
                "a shadow goes on from the active version's state and positions: it takes no \
                 --reset-state and no --replan"
                    .to_owned(),
            ));
        }
        let settings = self.settings_of(&request.deploy.given())?;
        let signed_by = self.signer_of(&component)?; // before any of its code is compiled
        let silent: LogSink = Arc::new(|_, _: &str| {}); // its lines would be taken for the active one's
        let digest = sha256(&component);
        let (loaded, first) = self
            .load(&silent, &digest, &component, &settings, wanted)
            .map_err(Refusal::Invalid)?;
        let name = request.deploy.name.clone().unwrap_or(first.name);
        names::job(&name).map_err(|reason| Refusal::Invalid(wrong_name(&name, &reason)))?;
        let job = self.known(&name)?;
        let ask = DeployAsk {
            name: name.clone(),
            component,
            digest,
            request: request.deploy.clone(),
            loaded,
            signed_by,
        };
        runs_no_canary(&job)?;
        let (active, deployment) = self.prepare_shadow(&job, &ask)?;
        let (beside, number) = {
            let state = job.state();
            let active = state.record.active();
            (active.version, active.number)
        };
        let terms = ShadowTerms {
            time: request.time,
            batches: request.batches,
        };
        let mut kept = job.shadows.kept();
        if kept.as_ref().is_some_and(|kept| !kept.shadow.has_ended()) {
            return Err(Refusal::Conflict(format!(
                "job `{name}` has a shadow already: `streamhost diff {name}` shows it, \
                 `streamhost drop-shadow {name}` ends it"
            )));
        }
        let shadow = self.start_shadow(&name, active, number, terms)?;
        let new = KeptShadow {
            shadow: shadow.clone(),
            ask,
            deployment,
            beside,
            promote_if: request.promote_if,
            became: None,
        };
        let view = new.view(&name);
        *kept = Some(new);
        drop(kept);
        job.shadows.slot.set(Some(shadow));
        let text = format!(
            "a shadow, version {}, runs beside version {beside}",
            view.version
        );
        job.say(Level::INFO, &text);
        Ok(view)
    }

    fn start_shadow(
        &self,
        name: &str,
        loaded: LoadedDeployment,
        beside: u64,
        terms: ShadowTerms,
    ) -> Result<Arc<Shadow>, Refusal> {
        let (host, told) = (self.me.clone(), name.to_owned());
        let ended = move |shadow: &Shadow, end: &ShadowEnd| {
            if let Some(host) = host.upgrade() {
                host.shadow_ended(&told, shadow, end);
            }
        };
        let shadow = Shadow::start(Arc::new(loaded), beside, terms, ended);
        shadow.map_err(|e| {
            Refusal::Unavailable(format!("no thread can be started for the shadow: {e}"))
        })
    }

    /// All that is asked of a shadow before it runs: what would refuse it as a deployment, but for
    /// what only what it writes would meet.
    fn prepare_shadow(
        &self,
        job: &Arc<Job>,
        ask: &DeployAsk,
    ) -> Result<(LoadedDeployment, DeploymentRecord), Refusal> {
        may_change(job)?;
        let before = super::check::active_of(job);
        let set = ask.request.settings_after(Some(&before.set))?;
        let (settings, described) = self.described_under(&set, &ask.loaded)?;
        let draft = draft_of(
            ask.digest.clone(),
            &ask.request,
            (&set, settings.limits),
            false,
        );
        let signed_by = ask.signed_by.clone();
        let draft = Draft { signed_by, ..draft };
        let stored = self.checkpoint_logs.of(&job.name).load();
        let (checkpoint, intents) = stored.map_err(|e| unavailable(&e))?;
        let record = next_record_of(
            &job.name,
            Some(&**job),
            draft,
            (checkpoint.as_ref(), &intents[..]),
        )?;
        let silent: LogSink = Arc::new(|_, _: &str| {});
        let (loaded, deployment) = (ask.loaded.clone(), record.active());
        let active = self.prove(&silent, loaded, described, settings, deployment, &record);
        let kept = kept(&ask.request, &set);
        let active = active.map_err(|reason| Refusal::Invalid(with_kept(reason, &kept)))?;
        self.is_allowed(&active)?;
        check_state(&active, checkpoint.as_ref(), &intents)?;
        let runs = before.spec.ok_or_else(|| {
            Refusal::Conflict(format!(
                "job `{}` does not run: a shadow runs on the active version's batches",
                job.name
            ))
        })?;
        if runs.sources != active.spec.sources {
            return Err(Refusal::Invalid(
                "a shadow runs on the active version's batches, and this version reads other \
                 sources: deploy it under another name (--name) to try it by itself"
                    .to_owned(),
            ));
        }
        self.beside_fits("the shadow", &active)?;
        let warm = active.guest_version.warm(1);
        warm.map_err(|fault| Refusal::Invalid(fault.to_string()))?;
        Ok((active, record.active().clone()))
    }

    /// How a job's shadow differs, or did.
    pub(super) fn look_at_shadow(&self, name: &str) -> Result<ShadowView, Refusal> {
        let job = self.known(name)?;
        let kept = job.shadows.kept();
        let kept = kept.as_ref().ok_or_else(|| no_shadow(name))?;
        Ok(kept.view(name))
    }

    /// Makes a job's shadow active.
    pub(super) fn promote_shadow(&self, name: &str) -> Result<Deployed, Refusal> {
        let job = self.known(name)?;
        let (ask, shadow, version) = {
            let kept = job.shadows.kept();
            let kept = kept.as_ref().ok_or_else(|| no_shadow(name))?;
            let version = kept.deployment.version;
            (kept.ask.clone(), kept.shadow.clone(), version)
        };
        let active = job.state().record.active().clone();
        if active.number != shadow.beside {
            return Err(Refusal::Conflict(format!(
                "version {} of `{name}` became active since the shadow began: what was compared \
                 is not what runs; deploy the shadow's component anew",
                active.version
            )));
        }
        let told = self.ask(name, Asked::Deploy(Box::new(ask)))?;
        let text = format!("it is active, as version {version}");
        shadow.end(&text);
        job.shadows.slot.set(None);
        if let Some(kept) = job.shadows.kept().as_mut() {
            kept.became = Some(text);
        }
        self.with_beginning(name, told)
    }

    /// Ends a job's shadow and forgets it.
    pub(super) fn forget_shadow(&self, name: &str) -> Result<(), Refusal> {
        let job = self.known(name)?;
        job.shadows.end("it was dropped");
        let dropped = job.shadows.kept().take();
        if dropped.is_none() {
            return Err(no_shadow(name));
        }
        job.say(Level::INFO, "the shadow was dropped");
        Ok(())
    }

    /// A shadow has come to its end, on its own thread.
    fn shadow_ended(&self, name: &str, shadow: &Shadow, end: &ShadowEnd) {
        let Some(job) = self.job(name) else { return };
        let verdict = {
            let kept = job.shadows.kept();
            let of_it = |kept: &&KeptShadow| std::ptr::eq(&*kept.shadow, shadow);
            let Some(kept) = kept.as_ref().filter(of_it) else {
                return; // it was dropped
            };
            let condition = kept.promote_if.as_ref();
            condition.map(|condition| condition.failing(&kept.view(name)))
        };
        let became = match (end, verdict) {
            (ShadowEnd::Done, Some(failing)) if failing.is_empty() => {
                match self.promote_shadow(name) {
                    Ok(deployed) => {
                        self.note_promoted(&deployed);
                        format!("it is active, as version {}", deployed.version)
                    }
                    Err(refusal) => format!("it did not become active: {refusal}"),
                }
            }
            (ShadowEnd::Done, Some(failing)) => {
                format!("it did not become active: {}", failing.join("; "))
            }
            (ShadowEnd::Done, None) => "it has run as long as it was to".to_owned(),
            (ShadowEnd::Broke(why), _) => format!("it cannot go on: {why}"),
            (ShadowEnd::Told(why), _) => why.clone(),
        };
        if let Some(kept) = job.shadows.kept().as_mut() {
            kept.became.get_or_insert_with(|| became.clone());
        }
        job.say(Level::INFO, &format!("the shadow has ended: {became}"));
    }
}

fn no_shadow(name: &str) -> Refusal {
    Refusal::NotFound(format!(
        "job `{name}` has no shadow: `streamhost deploy FILE.wasm --shadow` starts one; one that \
         ran when the host ended is gone"
    ))
}

impl KeptShadow {
    fn view(&self, job: &str) -> ShadowView {
        let (report, terms) = (self.shadow.look(), self.shadow.terms());
        let until_ms = report.began_ms.saturating_add(millis(terms.time));
        let ended = report.ended.as_ref();
        let why = self.became.clone();
        let Difference {
            sinks,
            letters,
            records,
            ..
        } = report.difference.clone();
        let sinks = sinks.into_iter().map(|(name, of)| (name, of.into()));
        ShadowView {
            job: job.to_owned(),
            version: self.deployment.version,
            digest: self.deployment.digest.clone(),
            settings: self.deployment.settings.clone(),
            beside: self.beside,
            running: !self.shadow.has_ended(),
            began: clock::rfc3339(report.began_ms),
            ended: ended.map(|(at_ms, _)| clock::rfc3339(*at_ms)),
            why: why.or_else(|| ended.map(|(_, end)| words(end))),
            until: clock::rfc3339(until_ms),
            batches_max: terms.batches,
            promote_if: self.promote_if.as_ref().map(PromoteIf::to_string),
            batches: report.batches,
            skipped: report.skipped,
            forks: report.forks,
            faults: report.faults,
            last_fault: report.last_fault.clone(),
            records,
            alike: report.difference.alike(),
            differing: report.difference.differing(),
            sinks: sinks.collect(),
            dead_letters: letters.into(),
            counts: counts(&report),
            state_bytes: report.state_bytes,
            recent: report.recent.into_iter().map(BatchView::from).collect(),
        }
    }
}

fn words(end: &ShadowEnd) -> String {
    match end {
        ShadowEnd::Done => "it has run as long as it was to".to_owned(),
        ShadowEnd::Broke(why) => format!("it cannot go on: {why}"),
        ShadowEnd::Told(why) => why.clone(),
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn counts(report: &ShadowReport) -> BTreeMap<String, PairView> {
    let of = &report.difference;
    let cpu = PairView {
        active: u64::try_from(report.active_cpu.as_micros()).unwrap_or(u64::MAX),
        shadow: u64::try_from(report.shadow_cpu.as_micros()).unwrap_or(u64::MAX),
    };
    let memory = PairView {
        active: report.active_memory_bytes,
        shadow: report.shadow_memory_bytes,
    };
    let all = [
        ("dead_letters", of.dead_letters.into()),
        ("skipped", of.skipped.into()),
        ("late", of.late.into()),
        ("dropped", of.dropped.into()),
        ("broken", of.broken.into()),
        ("cpu_us", cpu),
        ("memory_bytes", memory),
    ];
    all.map(|(name, pair)| (name.to_owned(), pair)).into()
}
