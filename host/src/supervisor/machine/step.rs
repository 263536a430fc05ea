//! The one function that decides: from a job's state and what has happened to what is next.

use super::{
    Action, Answer, Ask, Asker, Awaited, Change, Doing, End, Ended, Event, JobControl, Kept, Life,
    Limits, Switch, record::LIMITS_CHANGED,
};
use crate::api::Refusal;
use streamhost_core::job::JobRecord;
use streamhost_engine::pipeline::{PipelineExit, Stop};
use tracing::Level;

mod unfit;

/// The state after this, and what is to be done, in order. An action that is awaited is the last
/// one.
pub(crate) fn step(mut control: JobControl, event: Event) -> (JobControl, Vec<Action>) {
    let doing = control.doing.take();
    let actions = Vec::new();
    let mut next = Next { control, actions };
    match (doing, event) {
        (None, Event::Asked { who, ask }) => next.asked(who, ask),
        (None, Event::Ended(ended)) => next.ended(ended),
        (None, Event::OverBudget(over)) => next.over_budget(over),
        (Some(doing), Event::Done) => next.done(doing),
        (Some(doing), Event::Started { replay_only }) => next.started(doing.change, replay_only),
        (Some(doing), Event::Prepared(switch)) => next.prepared(doing.change, switch),
        (Some(doing), Event::Failed(why)) => next.failed(doing, why),
        (doing, Event::Broke) => next.broke(doing.map(|doing| doing.change)),
        (doing, event) => panic!("{event:?} during {doing:?}"),
    }
    (next.control, next.actions)
}

/// Nothing is changed any more.
pub(crate) fn stopping() -> Refusal {
    Refusal::Unavailable("the host is stopping: try again when it is back".to_owned())
}

/// The state on its way to the next one, and what is to be done.
struct Next {
    control: JobControl,
    actions: Vec<Action>,
}

/// What is asked of a job.
impl Next {
    fn asked(&mut self, who: Asker, ask: Ask) {
        let is_close = matches!(ask, Ask::Close(_));
        if self.control.is_closed && !is_close {
            return self.refuse(who, stopping());
        }
        match (&self.control.kept, &ask) {
            // What cannot be read is not written over.
            (Kept::Unreadable(why), Ask::Switch(_) | Ask::Pause | Ask::Resume { .. }) => {
                let why = format!("`{}`: {why}", self.control.name);
                return self.refuse(who, Refusal::Conflict(why));
            }
            (Kept::Nothing, Ask::Pause | Ask::Resume { .. } | Ask::Undeploy) => {
                return self.answer(who, Answer::Unknown);
            }
            _ => {}
        }
        match ask {
            Ask::Open { go, changed } => self.open(who, go, changed),
            Ask::Switch(switch) => self.go(Change::Switch { who, switch }, Awaited::Admitted),
            Ask::Pause => self.set_paused(Change::Pause(who), true),
            Ask::Resume { skip_lost, end } => self.resume(who, skip_lost, end),
            Ask::Undeploy => self.stop(Change::Undeploy(who), Stop::Soon),
            Ask::Close(how) => {
                self.control.is_closed = true;
                self.stop(Change::Close(who), how);
            }
        }
    }

    fn open(&mut self, who: Asker, go: bool, changed: Result<Option<Limits>, String>) {
        let change = Change::Open { who, go };
        match (&self.control.kept, changed) {
            (Kept::Nothing, _) => self.answer(who, Answer::Done),
            (Kept::Unreadable(why), _) => {
                let why = why.clone();
                self.stopped(&why);
                self.answer(who, Answer::Done);
            }
            (Kept::Record(_), Ok(None)) => self.load(change),
            (Kept::Record(_), Ok(Some(Limits::Follow(record) | Limits::TakeOver(record)))) => {
                self.go(change, Awaited::Stored(record));
            }
            (Kept::Record(_), Err(why)) => {
                self.stopped(&why);
                self.answer(who, Answer::Done);
            }
        }
    }

    /// A pipeline that is at the end of its sources is about to end: it is none that runs on.
    fn resume(&mut self, who: Asker, skip_lost: bool, end: End) {
        match end {
            End::Final(refusal) => self.refuse(who, refusal),
            End::Ahead if self.control.runs() => self.set_paused(Change::RunsOn(who), false),
            End::Ahead | End::Reached => {
                self.set_paused(Change::Resume { who, skip_lost }, false);
            }
        }
    }

    fn set_paused(&mut self, change: Change, paused: bool) {
        let record = self.record().clone();
        self.go(change, Awaited::Stored(JobRecord { paused, ..record }));
    }
}

/// What a pipeline tells.
impl Next {
    fn ended(&mut self, ended: Ended) {
        let is_it = |pipeline: &Life| pipeline.life == ended.life;
        let Some(pipeline) = self.control.pipeline.take_if(|pipeline| is_it(pipeline)) else {
            return; // somebody stopped it, or started another
        };
        self.actions.push(Action::Reap);
        if self.control.is_closed {
            return;
        }
        match ended.exit {
            // It is given a pipeline of its own.
            PipelineExit::Finished | PipelineExit::Failed(_) if ended.overtaken => {
                self.load(Change::Restart { overtaken: true });
            }
            PipelineExit::Stopped if pipeline.replay_only => {
                self.load(Change::Restart { overtaken: false });
            }
            PipelineExit::Stopped => {}
            PipelineExit::Finished => {
                self.say(Level::INFO, "finished: every source has ended");
            }
            PipelineExit::Failed(reason) => self.stopped(&reason),
            PipelineExit::VersionFault {
                deployment,
                reason,
                by_policy,
            } => self.unfit(deployment, reason, by_policy, (ended.batches, ended.now_ms)),
        }
    }
}

/// What an action did.
impl Next {
    fn prepared(&mut self, change: Change, switch: Switch) {
        match change {
            Change::WouldGoBack(unfit) => {
                self.go(Change::GoBack { unfit, switch }, Awaited::Admitted);
            }
            change => panic!("prepared during {change:?}"),
        }
    }

    fn done(&mut self, Doing { change, awaits }: Doing) {
        match (change, awaits) {
            (change @ (Change::Switch { .. } | Change::GoBack { .. }), Awaited::Admitted) => {
                let record = change.switch().record.clone();
                self.go(change, Awaited::Stored(record));
            }
            (change, Awaited::Stored(record)) => self.stored(change, record),
            (change, Awaited::Swapped) => self.switched(change, true),
            (change, Awaited::Stopped(_)) => {
                self.control.pipeline = None;
                self.halted(change);
            }
            (Change::Open { who, go }, Awaited::Loaded) => {
                self.control.failed = None;
                match go && !self.record().paused {
                    true => self.start(Change::Open { who, go }),
                    false => self.answer(who, Answer::Done),
                }
            }
            (change, Awaited::Loaded) => {
                self.control.failed = None;
                self.start(change);
            }
            (change, Awaited::Forgotten) => self.go(change, Awaited::Removed),
            (Change::Undeploy(who), Awaited::Removed) => {
                self.control = JobControl {
                    life: self.control.life,
                    ..JobControl::new(&self.control.name, Kept::Nothing)
                };
                self.actions.extend([Action::Release, Action::Sweep]);
                self.answer(who, Answer::Done);
            }
            (change, awaits) => panic!("{awaits:?} is done during {change:?}"),
        }
    }

    fn stored(&mut self, change: Change, record: JobRecord) {
        let took_over = |record: &JobRecord| (record.active().number, record.active().version);
        let before = self.control.record().map(took_over);
        let after = took_over(&record);
        self.control.kept = Kept::Record(record);
        match change {
            Change::Open { .. } => {
                if before != Some(after) {
                    let number = after.0;
                    let text = format!("{LIMITS_CHANGED}: deployment {number} takes over");
                    self.say(Level::INFO, &text);
                }
                self.load(change);
            }
            Change::Switch { .. } | Change::GoBack { .. } => {
                self.active(&change);
                match self.control.runs() {
                    true => self.go(change, Awaited::Swapped),
                    false => self.stop(change, Stop::Soon),
                }
            }
            Change::RunsOn(who) => self.answer(who, Answer::Done),
            change => self.stop(change, Stop::Soon),
        }
    }

    /// A deployment is active.
    fn active(&mut self, change: &Change) {
        let active = self.record().active();
        let (version, number) = (active.version, active.number);
        let anew = match active.reset {
            true => ", which begins the job anew at `start`",
            false => "",
        };
        let text = format!("version {version} is active (deployment {number}){anew}");
        self.say(Level::INFO, &text);
        for warning in &change.switch().warnings {
            self.say(Level::WARN, warning);
        }
    }

    /// Nothing of it runs any more.
    fn halted(&mut self, change: Change) {
        match change {
            Change::Switch { .. } | Change::GoBack { .. } => {
                self.control.failed = None; // whatever the version before failed of
                self.actions.push(Action::Activate);
                match self.record().paused {
                    true => self.switched(change, false),
                    false => self.start(change),
                }
            }
            Change::Resume { skip_lost, .. } => {
                (self.control.skip_lost, self.control.reads_on) = (skip_lost, true);
                self.load(change);
            }
            Change::Undeploy(_) => self.go(change, Awaited::Forgotten),
            Change::Pause(who) | Change::Close(who) => self.answer(who, Answer::Done),
            Change::StopOver(why) => self.stopped_over(why),
            Change::Break => self.broken(),
            change => panic!("stopped during {change:?}"),
        }
    }

    fn started(&mut self, change: Change, replay_only: bool) {
        let life = self.control.life;
        self.control.pipeline = Some(Life { life, replay_only });
        if !replay_only {
            // The pipeline that only delivers what was planned before passes it on to this one.
            (self.control.skip_lost, self.control.reads_on) = (false, false);
            self.actions.push(Action::Release);
        }
        match change {
            Change::Open { who, .. } | Change::Resume { who, .. } => {
                self.answer(who, Answer::Done);
            }
            Change::Restart { .. } => {}
            change => self.switched(change, true),
        }
    }

    /// A deployment runs, or would if its job were not paused.
    fn switched(&mut self, change: Change, started: bool) {
        self.actions.push(Action::Sweep);
        match change {
            Change::Switch { who, .. } => {
                let stopped = self.control.failed.clone();
                self.answer(who, Answer::Switched { stopped, started });
            }
            Change::GoBack { unfit, .. } => {
                self.rolled_back(&unfit);
            }
            change => panic!("switched during {change:?}"),
        }
    }

    fn failed(&mut self, Doing { change, awaits }: Doing, why: Refusal) {
        match (change, awaits) {
            (change @ (Change::Switch { .. } | Change::GoBack { .. }), Awaited::Swapped) => {
                self.stop(change, Stop::Soon);
            }
            // The deployment is active all the same.
            (change @ (Change::Switch { .. } | Change::GoBack { .. }), Awaited::Started) => {
                self.stopped(&why.to_string());
                self.switched(change, false);
            }
            (Change::Switch { who, .. }, _) => {
                self.actions.push(Action::Release);
                self.refuse(who, why);
            }
            (Change::WouldGoBack(unfit) | Change::GoBack { unfit, .. }, _) => {
                self.actions.push(Action::Release);
                self.cannot_go_back(&unfit, &why);
            }
            (Change::Pause(who) | Change::RunsOn(who), _) => self.refuse(who, why),
            (Change::Resume { who, .. }, Awaited::Stored(_)) => self.refuse(who, why),
            (Change::Resume { who, .. }, _) => {
                self.stopped(&why.to_string());
                self.refuse(who, Refusal::Conflict(why.to_string()));
            }
            (Change::Undeploy(who), _) => {
                self.stopped(&why.to_string());
                self.refuse(who, Refusal::Unavailable(why.to_string()));
            }
            (Change::Open { who, .. }, _) => {
                self.stopped(&why.to_string());
                self.answer(who, Answer::Done);
            }
            (Change::Restart { .. }, _) => self.stopped(&why.to_string()),
            (change @ (Change::Close(_) | Change::StopOver(_) | Change::Break), awaits) => {
                panic!("{awaits:?} failed during {change:?}")
            }
        }
    }

    /// Stops what runs, as it is not known how far the change had come.
    fn broke(&mut self, change: Option<Change>) {
        if let Some(who) = change.as_ref().and_then(Change::asker) {
            let why = "the host broke while it did this, see its log".to_owned();
            self.refuse(who, Refusal::Unavailable(why));
        }
        match self.control.pipeline.is_some() && change != Some(Change::Break) {
            true => self.stop(Change::Break, Stop::Soon),
            false => self.broken(),
        }
    }

    fn broken(&mut self) {
        self.control.pipeline = None;
        if self.control.kept != Kept::Nothing {
            let name = &self.control.name;
            self.stopped(&format!(
                "the host broke while it started or stopped this job, see its log; `streamhost resume {name}` tries again"
            ));
        }
    }
}

/// What is done.
impl Next {
    /// The record of a change that has one.
    fn record(&self) -> &JobRecord {
        let record = self.control.record();
        record.expect("a job that is changed has a record")
    }

    /// Goes on with a change: with the action whose outcome it waits for.
    fn go(&mut self, change: Change, awaits: Awaited) {
        let action = match &awaits {
            Awaited::Prepared => change.preparation(),
            Awaited::Admitted => Action::Admit(change.switch().record.clone()),
            Awaited::Stored(record) => Action::Store(record.clone()),
            Awaited::Swapped => Action::Swap,
            Awaited::Stopped(how) => Action::Stop(*how),
            Awaited::Loaded => Action::Load {
                overtaken: change == Change::Restart { overtaken: true },
            },
            Awaited::Started => Action::Start {
                life: self.control.life,
                skip_lost: self.control.skip_lost,
                reads_on: self.control.reads_on,
            },
            Awaited::Forgotten => Action::Forget,
            Awaited::Removed => Action::Remove,
        };
        self.actions.push(action);
        self.control.doing = Some(Doing { change, awaits });
    }

    fn load(&mut self, change: Change) {
        self.go(change, Awaited::Loaded);
    }

    fn start(&mut self, change: Change) {
        self.control.life += 1;
        self.go(change, Awaited::Started);
    }

    fn stop(&mut self, change: Change, how: Stop) {
        self.go(change, Awaited::Stopped(how));
    }

    /// Nothing of it runs, and it does not go on by itself.
    fn stopped(&mut self, reason: &str) {
        self.say(Level::ERROR, &format!("stopped: {reason}"));
        self.actions.push(Action::NoteError(reason.to_owned()));
        self.control.failed = Some(reason.to_owned());
        // They were for this start alone.
        (self.control.skip_lost, self.control.reads_on) = (false, false);
    }

    fn say(&mut self, level: Level, text: &str) {
        self.actions.push(Action::Say(level, text.to_owned()));
    }

    fn answer(&mut self, who: Asker, answer: Answer) {
        self.actions.push(Action::Answer(who, answer));
    }

    fn refuse(&mut self, who: Asker, refusal: Refusal) {
        self.answer(who, Answer::Refused(refusal));
    }
}

impl Change {
    /// Whoever waits for it.
    fn asker(&self) -> Option<Asker> {
        match self {
            Change::Open { who, .. } | Change::Switch { who, .. } | Change::Resume { who, .. } => {
                Some(*who)
            }
            Change::Pause(who) | Change::RunsOn(who) | Change::Undeploy(who) => Some(*who),
            Change::Close(who) => Some(*who),
            Change::GoBack { .. } | Change::WouldGoBack(_) => None,
            Change::Restart { .. } | Change::StopOver(_) | Change::Break => None,
        }
    }

    fn switch(&self) -> &Switch {
        match self {
            Change::Switch { switch, .. } | Change::GoBack { switch, .. } => switch,
            change => panic!("{change:?} has no deployment"),
        }
    }

    fn preparation(&self) -> Action {
        match self {
            Change::WouldGoBack(unfit) => Action::Prepare {
                version: unfit.back_to,
                why: unfit.why(),
            },
            change => panic!("{change:?} is prepared before it is asked"),
        }
    }
}
