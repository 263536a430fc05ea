//! The actor of a job: it alone changes it. What is asked of the job, and what its pipeline tells,
//! are messages in its queue; it takes one after the other, has the machine decide, and does the
//! actions. It has a thread for as long as there are messages, and none while there are none.

use super::machine::{Answer, Ask, Asker, Ended, Event, JobControl, Kept, Over, Switch};
use super::machine::{step, stopping};
use super::mailbox::Mailbox;
use super::restore::{RestoreAsk, Restored};
use super::{Begin, Job, Supervisor};
use crate::api::{DeployRequest, Deployed, Refusal};
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use streamhost_core::job::Share;
use streamhost_core::job::budget::watch::OverBudget;
use streamhost_core::{clock, limits};
use streamhost_engine::pipeline::{LoadedDeployment, Pipeline, PipelineExit, Stop};
use streamhost_engine::sink::CancelSignal;
use streamhost_guest::CompiledJob;

/// Who changes a job.
pub(super) struct Actor {
    name: String,
    mail: Mailbox<Message>,
    /// Taken by whoever is at work.
    desk: Mutex<Desk>,
}

/// What a job's actor has before it.
pub(super) struct Desk {
    pub(super) control: JobControl,
    /// The job as others see it; none while it is not there.
    pub(super) job: Option<Arc<Job>>,
    /// The pipeline that was started last.
    pub(super) pipeline: Option<Pipeline>,
    /// Ends the pipeline's calls to its sinks.
    pub(super) cancel: CancelSignal,
    /// The deployment that is to become active.
    pub(super) prepared: Option<Prepared>,
    /// The job that is being undeployed may have written rows.
    pub(super) ran: bool,
    /// When its present stop was asked for.
    pub(super) stop_asked: Option<Instant>,
    /// Whoever waits for an answer.
    asker: Option<(Asker, Reply)>,
    askers: Asker,
}

/// A deployment that was checked, and can run.
pub(super) struct Prepared {
    /// The job as it is, or would be.
    pub(super) job: Arc<Job>,
    pub(super) component: Option<Vec<u8>>,
    pub(super) active: Arc<LoadedDeployment>,
    /// What is told of it. Its warnings are the switch's.
    pub(super) deployed: Deployed,
    /// The job begins with it.
    pub(super) begins: bool,
    /// The savepoint that the job begins from.
    pub(super) restored: Option<Restored>,
}

/// What a check of a deployment comes to.
pub(super) enum Ready {
    /// Just this is active already.
    AsItWas(Box<Deployed>),
    /// It can become active.
    Switch(Switch, Box<Prepared>),
}

/// What is sent to a job's actor.
enum Message {
    Asked(Asked, Reply),
    /// A pipeline has ended.
    Ended {
        life: u64,
        exit: PipelineExit,
        overtaken: bool,
    },
    /// The version that runs went over a budget.
    OverBudget(OverBudget),
}

/// What is asked of a job.
pub(super) enum Asked {
    Open(Begin),
    Deploy(Box<DeployAsk>),
    Restore(Box<RestoreAsk>),
    RollBack(Option<u64>),
    /// A canary becomes active, or runs another part.
    Promote(Option<Share>),
    Pause,
    Resume {
        skip_lost: bool,
    },
    Undeploy,
    Close {
        how: Stop,
        asked: Instant,
    },
}

/// A component that is compiled and says what it is.
#[derive(Clone)]
pub(super) struct DeployAsk {
    pub(super) name: String,
    pub(super) component: Vec<u8>,
    pub(super) digest: String,
    pub(super) signed_by: Option<String>,
    pub(super) request: DeployRequest,
    pub(super) loaded: Arc<CompiledJob>,
}

type Reply = SyncSender<Result<Told, Refusal>>;

/// What an asker is told.
#[derive(Default)]
pub(super) struct Told {
    /// Of a deploy or rollback.
    pub(super) deployed: Option<Deployed>,
    /// A pipeline was started for it, and where it begins is not durable yet.
    pub(super) begins: bool,
}

impl Supervisor {
    fn actors(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Actor>>> {
        self.actors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The actor of a job that is there.
    pub(super) fn add_actor(&self, control: JobControl, job: Arc<Job>) {
        let name = control.name.clone();
        let actor = Actor::new(control, Some(job));
        self.actors().insert(name, Arc::new(actor));
    }

    /// The actor of a job that is here no more.
    pub(super) fn forget_actor(&self, name: &str) {
        self.actors().remove(name);
    }

    /// Asks a job's actor, and waits for the answer.
    pub(super) fn ask(&self, name: &str, asked: Asked) -> Result<Told, Refusal> {
        let told = self.tell(name, asked)?;
        told.recv().unwrap_or_else(|_| Err(stopping()))
    }

    /// Asks a job's actor, without waiting.
    pub(super) fn tell(
        &self,
        name: &str,
        asked: Asked,
    ) -> Result<mpsc::Receiver<Result<Told, Refusal>>, Refusal> {
        let most = match asked {
            Asked::Close { .. } => usize::MAX,
            _ => limits::JOB_CHANGES_MAX,
        };
        let (reply, told) = mpsc::sync_channel(1);
        if let Some(actor) = self.put(name, Message::Asked(asked, reply), most)?
            && let Err(error) = self.set_to_work(&actor)
        {
            // Whoever asks waits anyway.
            tracing::warn!("no thread for a change of `{name}`: {error}");
            self.work(&actor);
        }
        Ok(told)
    }

    /// Tells a job's actor that a pipeline has ended, on that pipeline's thread.
    pub(super) fn tell_end(&self, name: &str, life: u64, exit: PipelineExit, overtaken: bool) {
        let ended = Message::Ended {
            life,
            exit,
            overtaken,
        };
        self.tell_from_pipeline(name, ended);
    }

    /// Tells a job's actor that the version that runs went over a budget, on its pipeline's thread.
    pub(super) fn tell_over_budget(&self, name: &str, over: OverBudget) {
        self.tell_from_pipeline(name, Message::OverBudget(over));
    }

    fn tell_from_pipeline(&self, name: &str, message: Message) {
        let Ok(Some(actor)) = self.put(name, message, usize::MAX) else {
            return;
        };
        // What follows waits for this thread, so it needs one of its own.
        while let Err(error) = self.set_to_work(&actor) {
            tracing::warn!("no thread for what `{name}` tells: {error}");
            std::thread::sleep(limits::BACKOFF.1);
        }
    }

    /// Puts a message into the queue of a job's actor. Gives the actor if nobody is at work there.
    fn put(
        &self,
        name: &str,
        message: Message,
        most: usize,
    ) -> Result<Option<Arc<Actor>>, Refusal> {
        let mut actors = self.actors();
        let new = || {
            let mut control = JobControl::new(name, Kept::Nothing);
            control.is_closed = self.is_closing();
            Arc::new(Actor::new(control, None))
        };
        let actor = actors.entry(name.to_owned()).or_insert_with(new);
        match actor.mail.put(message, most) {
            Ok(is_first) => Ok(is_first.then(|| actor.clone())),
            Err(_) => Err(Refusal::Unavailable(format!(
                "{most} changes of `{name}` wait already: `streamhost status {name}` says what it does"
            ))),
        }
    }

    fn set_to_work(&self, actor: &Arc<Actor>) -> std::io::Result<()> {
        let (host, at_work) = (self.me.clone(), actor.clone());
        let work = move || {
            if let Some(host) = host.upgrade() {
                host.work(&at_work);
            }
        };
        let thread = std::thread::Builder::new().name(actor.name.clone());
        thread.spawn(work).map(drop)
    }

    /// Takes an actor's messages until there are none.
    fn work(&self, actor: &Actor) {
        while let Some(message) = self.next(actor) {
            actor.desk().take(self, message);
        }
    }

    /// The next message; none: nobody is at work there any more. The actor of a job that is not
    /// there goes.
    fn next(&self, actor: &Actor) -> Option<Message> {
        let mut actors = self.actors(); // or a message would come to one that goes
        let message = actor.mail.take();
        if message.is_none() && actor.desk().control.kept == Kept::Nothing {
            actors.remove(&actor.name);
        }
        message
    }

    /// What a test does in the place of a job's actor.
    #[cfg(test)]
    pub(super) fn at_desk(&self, name: &str, act: impl FnOnce(&mut Desk)) {
        let actor = self.actors()[name].clone();
        act(&mut actor.desk());
    }

    /// Has all actors stop what runs, and waits for them, but not for ever: one may be in a call to
    /// a server.
    pub(super) fn close_actors(&self, how: Stop) {
        let asked = clock::monotonic();
        let names: Vec<_> = self.actors().keys().cloned().collect();
        let close = |name| self.tell(name, Asked::Close { how, asked }).ok();
        let told: Vec<_> = names.iter().map(|name| (name, close(name))).collect();
        let until = asked + patience(how) + 2 * limits::STOP_TIME;
        for (name, told) in told {
            let left = until.saturating_duration_since(clock::monotonic());
            if told.is_some_and(|told| told.recv_timeout(left).is_err()) {
                tracing::warn!("`{name}` has not stopped: its next start finishes what it did");
            }
        }
    }
}

/// How long a pipeline may take to stop so.
pub(super) fn patience(how: Stop) -> std::time::Duration {
    match how {
        Stop::Drain => limits::DRAIN_TIME + limits::STOP_TIME,
        Stop::Soon | Stop::Now => limits::STOP_TIME,
    }
}

impl Actor {
    fn new(control: JobControl, job: Option<Arc<Job>>) -> Self {
        Actor {
            name: control.name.clone(),
            mail: Mailbox::default(),
            desk: Mutex::new(Desk {
                control,
                job,
                pipeline: None,
                cancel: CancelSignal::default(),
                prepared: None,
                ran: true,
                stop_asked: None,
                asker: None,
                askers: 0,
            }),
        }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Desk {
    /// Does what a message asks for. A mistake of ours there stops this job alone.
    fn take(&mut self, host: &Supervisor, message: Message) {
        let taken = catch_unwind(AssertUnwindSafe(|| self.take_in(host, message)));
        if taken.is_err() {
            let end = catch_unwind(AssertUnwindSafe(|| self.run(host, Event::Broke)));
            if end.is_err() {
                self.control.doing = None;
            }
        }
        (self.prepared, self.stop_asked) = (None, None);
        if let Some((_, reply)) = self.asker.take() {
            let why = "the host broke while it did this, see its log".to_owned();
            drop(reply.send(Err(Refusal::Unavailable(why))));
        }
    }

    fn take_in(&mut self, host: &Supervisor, message: Message) {
        match message {
            Message::Asked(asked, reply) => {
                self.askers += 1;
                let who = self.askers;
                self.asker = Some((who, reply));
                match self.ask_of(host, asked) {
                    Ok(Some(ask)) => self.run(host, Event::Asked { who, ask }),
                    Ok(None) => {}
                    Err(refusal) => self.reply(Err(refusal)),
                }
            }
            Message::Ended {
                life,
                exit,
                overtaken,
            } => {
                let (batches, now_ms) = self.now();
                let ended = Ended {
                    life,
                    exit,
                    overtaken,
                    batches,
                    now_ms,
                };
                self.run(host, Event::Ended(ended));
            }
            Message::OverBudget(over) => {
                let at = self.now();
                self.run(host, Event::OverBudget(Over { over, at }));
            }
        }
    }

    /// The job's durable batches, and the wall clock.
    fn now(&self) -> (u64, i64) {
        let job = self.job.as_deref();
        let batches = job.map_or(0, |job| job.state().pipeline_status.durable());
        (batches, clock::now_ms())
    }

    /// What the machine is asked. What takes long is done here, and delays this job alone. None: it
    /// is answered already.
    fn ask_of(&mut self, host: &Supervisor, asked: Asked) -> Result<Option<Ask>, Refusal> {
        let ready = match asked {
            Asked::Close { how, asked } => {
                self.stop_asked = Some(asked);
                return Ok(Some(Ask::Close(how)));
            }
            _ if self.control.is_closed || host.is_closing() => return Err(stopping()),
            Asked::Pause => return Ok(Some(Ask::Pause)),
            Asked::Undeploy => return Ok(Some(Ask::Undeploy)),
            Asked::Open(begin) => {
                return Ok(Some(Ask::Open {
                    go: begin == Begin::Jobs,
                    changed: host.under_present_limits(&self.control),
                }));
            }
            Asked::Resume { skip_lost } => {
                let end = host.end_of(&self.control, self.job.as_deref());
                return Ok(Some(Ask::Resume { skip_lost, end }));
            }
            Asked::Deploy(ask) => host.prepare_deploy(self.job.as_ref(), *ask)?,
            Asked::Restore(ask) => host.prepare_restore(self.job.as_ref(), *ask)?,
            Asked::RollBack(version) => {
                let job = self.job.as_ref();
                let job = job.ok_or_else(|| host.unknown(&self.control.name))?;
                host.prepare_rollback(job, version, None)?
            }
            Asked::Promote(to) => {
                let job = self.job.as_ref();
                let job = job.ok_or_else(|| host.unknown(&self.control.name))?;
                host.prepare_promotion(job, to)?
            }
        };
        match ready {
            Ready::AsItWas(deployed) => {
                let deployed = Some(*deployed);
                let begins = false;
                self.reply(Ok(Told { deployed, begins }));
                Ok(None)
            }
            Ready::Switch(switch, prepared) => {
                self.prepared = Some(*prepared);
                Ok(Some(Ask::Switch(switch)))
            }
        }
    }

    /// Has the machine decide, and does what it says, until nothing is awaited.
    fn run(&mut self, host: &Supervisor, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let (control, actions) = step(self.control.clone(), event);
            self.control = control;
            self.publish();
            for action in actions {
                events.extend(self.act(host, action));
            }
        }
    }

    /// Shows others what was decided.
    pub(super) fn publish(&self) {
        let Some(job) = &self.job else { return };
        let mut state = job.state();
        if let Some(record) = self.control.record()
            && state.record != *record
        {
            state.record = record.clone();
        }
        state.failed = self.control.failed.clone();
        state.has_pipeline = self.control.pipeline.is_some();
    }

    pub(super) fn answer(&mut self, host: &Supervisor, answer: Answer) {
        let told = match answer {
            Answer::Done => Ok(Told::default()),
            Answer::Unknown => Err(host.unknown(&self.control.name)),
            Answer::Refused(refusal) => Err(refusal),
            Answer::Switched { stopped, started } => {
                let prepared = self.prepared.take();
                Ok(prepared.map_or_else(Told::default, |prepared| {
                    let mut deployed = prepared.deployed;
                    let stopped = stopped.filter(|_| !started);
                    let stopped = stopped.map(|why| format!("the job is stopped: {why}"));
                    deployed.warnings.extend(stopped);
                    Told {
                        deployed: Some(deployed),
                        begins: prepared.begins && started,
                    }
                }))
            }
        };
        self.reply(told);
    }

    fn reply(&mut self, told: Result<Told, Refusal>) {
        if let Some((_, reply)) = self.asker.take() {
            drop(reply.send(told)); // whoever asked may be gone
        }
    }
}
