//! A host of three jobs under whatever may happen, drawn from a seed: `step` decides, and what it
//! says is done in memory, an action at a time, with crashes between any two, servers that are
//! away, writes and starts that fail, and changes at any moment. No thread, no file, and the clock
//! is a number. `SEED=42` replays one; `SEEDS=100000` tries as many.

mod act;
mod ask;
mod checks;
mod model;

use super::super::*;
use model::{ModelPipeline, Outside, Version};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use streamhost_core::protocol::beginning::Beginning;
use streamhost_core::protocol::memory::MemoryStore;
use streamhost_core::testing::xorshift;
use streamhost_core::types::TopicOffsets;
use streamhost_engine::pipeline::Slot;

/// The jobs that are deployed. The last one has a keyed stage.
const JOBS: [&str; 3] = ["a", "b", "keyed"];

/// Draws from a seed, the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        (xorshift(&mut self.0) >> 16) % below
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.roll(all.len() as u64) as usize]
    }
}

/// What survives the host.
#[derive(Default)]
struct Disk {
    jobs: BTreeMap<String, Result<JobRecord, UnreadableJob>>,
    /// Jobs that were undeployed, and whether they had batches.
    undeployed: BTreeMap<String, bool>,
    components: BTreeSet<String>,
    logs: BTreeMap<String, Rc<MemoryStore>>,
}

/// What does not.
#[derive(Default)]
struct Host {
    claims: Claims,
    actors: BTreeMap<String, ModelActor>,
    pipelines: Vec<ModelPipeline>,
    is_closing: bool,
}

/// A job's actor: its state, its queue, and what it is at.
struct ModelActor {
    control: JobControl,
    mail: VecDeque<Mail>,
    todo: VecDeque<Action>,
    /// What runs, or would.
    slot: Option<Slot<Version>>,
    prepared: Option<Prepared>,
    /// What its user was told of where the next pipeline begins.
    told: Option<Told>,
    ran: bool,
}

/// Where a deploy said that the job begins, and what the group held then.
type Told = (Beginning, TopicOffsets);

struct Prepared {
    version: Arc<Version>,
    /// Its component, if it is new.
    component: Option<String>,
    told: Option<Told>,
}

enum Mail {
    Asked(Asker, ask::Asked),
    Ended(Ended),
    OverBudget(OverBudget),
}

/// Who was promised an answer, and has none yet.
#[derive(Default)]
struct Askers {
    newest: Asker,
    waiting: BTreeSet<Asker>,
    /// Those of the present close of the host.
    closing: BTreeSet<Asker>,
}

struct World {
    seed: u64,
    dice: Dice,
    now_ms: i64,
    disk: Disk,
    outside: Outside,
    host: Host,
    askers: Askers,
    /// Nothing fails by chance any more.
    is_calm: bool,
    /// How often what happened, so that a simulation in which nothing does is noticed.
    seen: BTreeMap<&'static str, u64>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        dice.roll(1);
        World {
            seed,
            dice,
            now_ms: 1_000_000,
            disk: Disk::default(),
            outside: Outside::default(),
            host: Host::default(),
            askers: Askers::default(),
            is_calm: false,
            seen: BTreeMap::new(),
        }
    }

    fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// Whether something fails by chance, once in so many times.
    fn fails(&mut self, once_in: u64) -> bool {
        !self.is_calm && self.dice.roll(once_in) == 0
    }

    /// Anything that may happen.
    fn happens(&mut self) {
        self.now_ms += self.dice.roll(1000) as i64;
        match self.dice.roll(200) {
            0 | 1 => self.crash(),
            2 => self.close(),
            3..=6 => self.outside.is_away = !self.outside.is_away,
            7..=16 => self.outside.end += 1 + self.dice.roll(3) as i64,
            17..=36 => {
                let job = self.dice.one_of(&JOBS);
                self.somebody_asks(job);
            }
            37..=110 => self.an_actor_moves(),
            _ => self.a_pipeline_moves(),
        }
        let closed = self.host.is_closing && self.askers.closing.is_empty();
        if closed {
            assert!(self.host.pipelines.is_empty(), "SEED={}", self.seed);
            self.starts();
        }
    }

    fn an_actor_moves(&mut self) {
        let names: Vec<_> = self.host.actors.keys().cloned().collect();
        if !names.is_empty() {
            let name = &names[self.dice.roll(names.len() as u64) as usize];
            self.moves(name);
        }
    }

    /// One action of an actor, or its next message. False: it has nothing to do, or waits.
    fn moves(&mut self, name: &str) -> bool {
        let actor = self.host.actors.get_mut(name).expect("an actor");
        if let Some(action) = actor.todo.pop_front() {
            return self.act(name, action);
        }
        assert!(actor.control.doing.is_none(), "SEED={}", self.seed);
        match actor.mail.pop_front() {
            Some(mail) => self.take(name, mail),
            None => {
                let is_gone = actor.control.kept == Kept::Nothing;
                if is_gone {
                    self.host.actors.remove(name);
                }
                return false;
            }
        }
        true
    }

    fn take(&mut self, name: &str, mail: Mail) {
        self.actor(name).prepared = None;
        match mail {
            Mail::Ended(ended) => self.feed(name, Event::Ended(ended)),
            Mail::OverBudget(over) => {
                let at = (self.batches(name), self.now_ms);
                self.feed(name, Event::OverBudget(Over { over, at }));
            }
            Mail::Asked(who, asked) => match self.ask_of(name, asked) {
                Ok(ask) => self.feed(name, Event::Asked { who, ask }),
                Err(refusal) => self.answered(name, who, &Answer::Refused(refusal)),
            },
        }
    }

    /// Has the machine decide.
    fn feed(&mut self, name: &str, event: Event) {
        let actor = self.host.actors.get_mut(name).expect("an actor");
        assert!(actor.todo.is_empty(), "nothing follows what is awaited");
        let (control, actions) = step(actor.control.clone(), event);
        actor.control = control;
        actor.todo = actions.into();
    }

    fn actor(&mut self, name: &str) -> &mut ModelActor {
        let control = || {
            let mut control = JobControl::new(name, Kept::Nothing);
            control.is_closed = self.host.is_closing;
            ModelActor::new(control)
        };
        let actors = &mut self.host.actors;
        actors.entry(name.to_owned()).or_insert_with(control)
    }

    fn log(&mut self, job: &str) -> Rc<MemoryStore> {
        let logs = &mut self.disk.logs;
        logs.entry(job.to_owned()).or_default().clone()
    }

    fn a_pipeline_moves(&mut self) {
        if self.host.pipelines.is_empty() {
            return;
        }
        let at = self.dice.roll(self.host.pipelines.len() as u64) as usize;
        let faults = (!self.is_calm, self.now_ms);
        let pipeline = &mut self.host.pipelines[at];
        let ended = pipeline.tick(&mut self.outside, &mut self.dice, faults);
        // In the calm what runs is to stay.
        let over_budget = pipeline.over_budget.take().filter(|_| !self.is_calm);
        if let Some(deployment) = over_budget {
            let job = pipeline.job.clone();
            let over = self.over_budget(deployment);
            self.actor(&job).mail.push_back(Mail::OverBudget(over));
            self.saw("a version was over its budget");
        }
        let pipeline = &mut self.host.pipelines[at];
        if let Some((exit, overtaken)) = ended {
            let (job, life) = (pipeline.job.clone(), pipeline.life);
            let batches = self.batches(&job);
            self.saw(match exit {
                PipelineExit::Stopped => "a pipeline stopped",
                PipelineExit::Finished if overtaken => "a finished pipeline was overtaken",
                PipelineExit::Finished => "a pipeline finished",
                PipelineExit::Failed(_) if overtaken => "a failed pipeline was overtaken",
                PipelineExit::Failed(_) => "a pipeline failed",
                PipelineExit::VersionFault { .. } => "a version was unfit",
            });
            let now_ms = self.now_ms;
            let ended = Ended {
                life,
                exit,
                overtaken,
                batches,
                now_ms,
            };
            self.actor(&job).mail.push_back(Mail::Ended(ended));
        }
    }

    /// A job's durable batches.
    fn batches(&mut self, job: &str) -> u64 {
        let log = self.log(job);
        let (checkpoint, _) = streamhost_core::protocol::CheckpointLog::load(&*log).unwrap();
        checkpoint.map_or(0, |checkpoint| checkpoint.batch)
    }

    fn over_budget(&mut self, deployment: u64) -> OverBudget {
        OverBudget {
            deployment,
            budget: "max-dead-letters",
            is_usual: self.dice.roll(4) == 0,
            reason: "over its budget".to_owned(),
            as_before: self.dice.roll(4) == 0,
            beyond: self.dice.one_of(&[Beyond::GoOn, Beyond::Stop]),
        }
    }

    /// The host dies, and is started again.
    fn crash(&mut self) {
        self.saw("a crash");
        if self.dice.roll(30) == 0
            && let Some((name, record)) = self.disk.jobs.iter_mut().next()
        {
            let (name, reason) = (name.clone(), "cut".to_owned());
            *record = Err(UnreadableJob { name, reason });
            self.saw("an unreadable record");
        }
        self.starts();
    }

    /// The host starts with what is on the disk.
    fn starts(&mut self) {
        self.host = Host::default();
        self.askers.waiting.clear(); // their connections are gone
        self.askers.closing.clear();
        let stored: Vec<_> = self.disk.jobs.values().cloned().collect();
        let found = stored.len();
        let controls = restored(stored);
        assert_eq!(controls.len(), found, "SEED={}: all are shown", self.seed);
        for control in controls {
            let name = control.name.clone();
            let needed = match control.record() {
                Some(record) => self.needed(record),
                None => [name.clone()].into(),
            };
            for group in needed {
                self.host.claims.keep(&name, group);
            }
            let actor = ModelActor::new(control);
            self.host.actors.insert(name.clone(), actor);
            self.asks(&name, ask::Asked::Open);
        }
    }

    /// The host is stopped in good order.
    fn close(&mut self) {
        if self.host.is_closing {
            return;
        }
        self.host.is_closing = true;
        self.saw("a close");
        let names: Vec<_> = self.host.actors.keys().cloned().collect();
        for name in names {
            let who = self.asks(&name, ask::Asked::Close);
            self.askers.closing.insert(who);
        }
    }

    /// The groups that a job needs.
    fn needed(&mut self, record: &JobRecord) -> BTreeSet<String> {
        let log = self.log(&record.name);
        let (_, intents) = streamhost_core::protocol::CheckpointLog::load(&*log).unwrap();
        groups_needed(record, &intents, &record.name)
    }
}

impl ModelActor {
    fn new(control: JobControl) -> Self {
        ModelActor {
            control,
            mail: VecDeque::new(),
            todo: VecDeque::new(),
            slot: None,
            prepared: None,
            told: None,
            ran: true,
        }
    }
}

fn live_through(seed: u64) -> BTreeMap<&'static str, u64> {
    let mut world = World::new(seed);
    for _ in 0..600 {
        world.happens();
    }
    world.calms_down();
    world.is_well();
    world.seen
}

fn number(name: &str) -> Option<u64> {
    let said = std::env::var(name).ok()?;
    Some(said.parse().expect("SEED and SEEDS are numbers"))
}

#[test]
fn whatever_happens_to_jobs_they_end_as_they_were_asked_to() {
    if let Some(seed) = number("SEED") {
        println!("{:#?}", live_through(seed));
        return;
    }
    let mut seen = BTreeMap::new();
    for seed in 1..=number("SEEDS").unwrap_or(5000) {
        let died = std::panic::catch_unwind(|| live_through(seed));
        let of_seed = died.unwrap_or_else(|_| panic!("SEED={seed} replays it"));
        for (what, times) in of_seed {
            *seen.entry(what).or_default() += times;
        }
    }
    println!("{seen:#?}");
    for what in checks::TO_BE_SEEN {
        assert!(
            seen.get(what).is_some_and(|&times: &u64| times > 0),
            "{what}"
        );
    }
}
