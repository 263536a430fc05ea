//! History that is run through a version beside a job: started, looked at, ended. Nothing of it is
//! stored: it ends with the host.

use super::deploy::{may_change, unavailable};
use super::restore::saved::Saved;
use super::{Job, Supervisor};
use crate::api::{Refusal, ReplayRequest, ReplayStatus, ReplayView};
use positions::Bounds;
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use streamhost_core::limits;
use streamhost_engine::replay::{
    JobLedger, Replay, ReplayEnd, ReplayOutput, ReplayPlace, ReplayTerms,
};
use streamhost_engine::sink::CancelSignal;
use streamhost_engine::source::Source;
use streamhost_guest::compiler::Wanted;
use tracing::Level;
use versions::{Ready, Versions};

mod by_batch;
mod ledger;
mod parts;
mod positions;
mod saved;
mod versions;

/// The replay of a job, as others see it.
#[derive(Default)]
pub(super) struct Replays(Mutex<Option<KeptReplay>>);

/// A replay, and what is said of it that it does not know.
struct KeptReplay {
    replay: Arc<Replay>,
    topics: Vec<String>,
    /// What was said when it began.
    said: ReplayView,
}

impl KeptReplay {
    fn view(&self) -> ReplayView {
        let mut view = self.said.clone();
        view.take(self.replay.look(), &self.topics);
        view
    }
}

impl Replays {
    fn kept(&self) -> MutexGuard<'_, Option<KeptReplay>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the one that runs, if one does.
    pub(super) fn end(&self, why: &str) {
        if let Some(kept) = self.kept().as_ref() {
            kept.replay.end(why);
        }
    }

    /// In short, if there is or was one.
    pub(super) fn status(&self) -> Option<ReplayStatus> {
        let kept = self.kept();
        Some(ReplayStatus::of(&kept.as_ref()?.view()))
    }

    fn runs(&self) -> bool {
        let kept = self.kept();
        kept.as_ref().is_some_and(|kept| !kept.replay.has_ended())
    }
}

impl Supervisor {
    /// Checks what is asked, and runs history through a version beside its job; from a savepoint on, if
    /// there is one.
    pub(super) fn begin_replay(
        &self,
        component: Option<Vec<u8>>,
        savepoint: Option<File>,
        request: ReplayRequest,
        wanted: Wanted<'_>,
    ) -> Result<ReplayView, Refusal> {
        let name = request.deploy.name.clone().unwrap_or_default();
        let job = self.known(&name)?;
        may_change(&job)?;
        check_request(&request, component.is_some(), savepoint.is_some())?;
        self.has_room_for_replay(&job)?;
        let saved = savepoint.map(Saved::read).transpose()?;
        let of_other = saved.as_ref().map(|saved| saved::is_of(saved, &job));
        let of_other = of_other.transpose()?.flatten();
        let first = self.ledger_of(&job)?;
        let versions = self.versions_of(&job, component, &request, wanted)?;
        self.is_allowed(&versions.own.loaded)?;
        let by_batch = by_batch::check(&versions.own.loaded.spec, &request)?;
        self.beside_fits("the replay", &versions.own.loaded)?;
        let mut own = self.opened(&name, &versions.own.loaded)?;
        let bounds = bounds(own.as_mut(), &versions, (&first, &request), saved.as_ref())?;
        let cancel = CancelSignal::default();
        let (places, not_compared) = self.places_of(&versions, &request, &cancel)?;
        let outputs = self.outputs_of(&versions, &request, &cancel)?;
        let warned = of_other.into_iter().chain(by_batch);
        let mut said = begun(&versions.own, &request, warned, not_compared);
        said.savepoint = saved.as_ref().map(saved::view);
        let terms = ReplayTerms {
            from: bounds.from,
            to: bounds.to,
            is_all: bounds.is_all,
            rate: request.rate,
            writes: request.write,
            deletes_extra: request.delete_extra,
        };
        let topics = versions.own.loaded.topics();
        let beside = (places, outputs, saved);
        let parts = self.replay_parts(&job, versions, own, (first, terms), beside)?;
        let mut kept = job.replays.kept();
        if kept.as_ref().is_some_and(|kept| !kept.replay.has_ended()) {
            return Err(runs_already(&name));
        }
        let (host, told) = (self.me.clone(), name.clone());
        let ended = move |_: &Replay, end: &ReplayEnd| {
            if let Some(job) = host.upgrade().and_then(|host| host.job(&told)) {
                job.say(Level::INFO, &words(end));
            }
        };
        let replay = Replay::start(parts, cancel, ended);
        let replay = replay.map_err(|e| {
            Refusal::Unavailable(format!("no thread can be started for the replay: {e}"))
        })?;
        said.take(replay.look(), &topics);
        let text = format!("a replay of version {} runs beside the job", said.version);
        *kept = Some(KeptReplay {
            replay,
            topics,
            said: said.clone(),
        });
        drop(kept);
        job.say(Level::INFO, &text);
        Ok(said)
    }

    /// What a job's replay has come to.
    pub(super) fn look_at_replay(&self, name: &str) -> Result<ReplayView, Refusal> {
        let job = self.known(name)?;
        let kept = job.replays.kept();
        let kept = kept.as_ref().ok_or_else(|| no_replay(name))?;
        Ok(kept.view())
    }

    /// Ends a job's replay, and says what it came to.
    pub(super) fn end_replay(&self, name: &str) -> Result<ReplayView, Refusal> {
        let job = self.known(name)?;
        job.replays.end("it was stopped");
        self.look_at_replay(name)
    }

    fn has_room_for_replay(&self, job: &Job) -> Result<(), Refusal> {
        if job.replays.runs() {
            return Err(runs_already(&job.name));
        }
        let jobs: Vec<_> = self.jobs().values().cloned().collect();
        let running = jobs.iter().filter(|job| job.replays.runs()).count();
        match running < limits::REPLAYS_MAX {
            true => Ok(()),
            false => Err(Refusal::Unavailable(format!(
                "{running} replays run on this host, and no more may at once: wait for one of them, or stop it by \
                 `streamhost replay JOB --stop`"
            ))),
        }
    }
}

/// Where it begins and ends: at a savepoint, if there is one.
fn bounds(
    source: &mut dyn Source,
    versions: &Versions,
    (first, request): (&JobLedger, &ReplayRequest),
    saved: Option<&Saved>,
) -> Result<Bounds, Refusal> {
    let own = &versions.own.loaded;
    let Some(saved) = saved else {
        return positions::resolve(source, own, first, request, None);
    };
    saved::fits(saved, versions)?;
    let topics = source.topic_ids().map_err(|e| unavailable(&e))?;
    saved::same_topics(saved, &topics)?;
    let at = saved::at(saved, own);
    positions::resolve(source, own, first, request, Some(at))
}

/// What is said of a replay as it begins.
fn begun(
    own: &Ready,
    request: &ReplayRequest,
    warned: impl Iterator<Item = String>,
    not_compared: Vec<String>,
) -> ReplayView {
    ReplayView {
        job: request.deploy.name.clone().unwrap_or_default(),
        version: own.version,
        digest: own.digest.clone(),
        settings: own.settings.clone(),
        rate: request.rate,
        writes: request.write,
        warnings: warned.chain(not_compared.iter().cloned()).collect(),
        not_compared,
        ..ReplayView::default()
    }
}

/// What is asked must go together.
fn check_request(
    request: &ReplayRequest,
    has_component: bool,
    has_savepoint: bool,
) -> Result<(), Refusal> {
    let compares = request.diff || request.write;
    let wrong = match () {
        () if has_component && request.version.is_some() => {
            "name a version or send a component, not both"
        }
        () if has_savepoint && request.from.is_some() => {
            "a savepoint has its own positions, and its state is that of just there: say --from or --state, not both"
        }
        () if has_savepoint && request.empty_state => {
            "--state begins with the state of a savepoint, and --empty-state with none: say one of them"
        }
        () if !compares && request.sinks.is_empty() => {
            "say what becomes of the rows: --diff compares them with what is there, --write mends what differs, --sink \
             NAME=OTHER writes them to another table or topic"
        }
        () if request.delete_extra && !request.write => {
            "--delete-extra is a part of --write: without it nothing is changed"
        }
        () => return Ok(()),
    };
    Err(Refusal::Invalid(wrong.to_owned()))
}

fn runs_already(name: &str) -> Refusal {
    Refusal::Conflict(format!(
        "a replay of job `{name}` runs already: `streamhost replay {name} --show` shows it, `streamhost replay {name} \
         --stop` ends it"
    ))
}

fn no_replay(name: &str) -> Refusal {
    Refusal::NotFound(format!(
        "job `{name}` has no replay: `streamhost replay {name} --diff` starts one; one that ran when the host ended is \
         gone"
    ))
}

fn words(end: &ReplayEnd) -> String {
    match end {
        ReplayEnd::Done => "the replay has ended: all of it is done".to_owned(),
        ReplayEnd::Broke(why) => format!("the replay has ended: it cannot go on: {why}"),
        ReplayEnd::Told(why) => format!("the replay has ended: {why}"),
    }
}

/// Places that are held against what is made, and sinks whose places cannot be.
type Compared = (Vec<ReplayPlace>, Vec<String>);

/// What is beside the versions: places, outputs, and a savepoint.
type Beside = (Vec<ReplayPlace>, Vec<ReplayOutput>, Option<Saved>);
