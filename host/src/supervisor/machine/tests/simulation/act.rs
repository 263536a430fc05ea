//! What the machine says is done, in memory.

use super::*;
use streamhost_core::protocol::CheckpointLog;

fn failed(what: &str) -> Event {
    Event::Failed(Refusal::Unavailable(what.to_owned()))
}

impl World {
    /// Does one action of an actor. False: it waits for its pipeline.
    pub(super) fn act(&mut self, name: &str, action: Action) -> bool {
        let doing = self.actor(name).control.doing.clone();
        match doing.map(|doing| doing.change) {
            Some(Change::GoBack { .. }) if action == Action::Swap => {
                self.saw("a version was rolled back while it ran");
            }
            Some(Change::StopOver(_)) => self.saw("a job was stopped over its budget"),
            _ => {}
        }
        let event = match action {
            Action::Prepare { version, why } => {
                match self.prepares_rollback(name, version, Some(why)) {
                    Ok(switch) => Event::Prepared(switch),
                    Err(refusal) => Event::Failed(refusal),
                }
            }
            Action::Admit(record) => {
                let group = group_of(record.active(), name);
                match self.host.claims.claim(name, &group) {
                    Ok(()) => Event::Done,
                    Err(_) => {
                        self.saw("a group was claimed meanwhile");
                        failed("it is another job's")
                    }
                }
            }
            Action::Store(record) => match self.stores(name, record) {
                Some(event) => event,
                None => return true, // it died meanwhile
            },
            Action::Swap => self.swaps(name),
            Action::Stop(how) => {
                if !self.stops(name, how) {
                    let todo = &mut self.actor(name).todo;
                    todo.push_front(Action::Stop(how));
                    return false;
                }
                Event::Done
            }
            Action::Load { .. } => self.loads(name),
            Action::Start {
                life,
                skip_lost: _,
                reads_on,
            } => self.starts_pipeline(name, life, reads_on),
            Action::Forget => self.forgets(name),
            Action::Remove => {
                if self.fails(40) {
                    failed("injected")
                } else {
                    let ran = self.actor(name).ran;
                    self.disk.jobs.remove(name);
                    self.disk.undeployed.insert(name.to_owned(), ran);
                    Event::Done
                }
            }
            other => return self.does(name, other),
        };
        self.feed(name, event);
        true
    }

    /// What is not awaited.
    fn does(&mut self, name: &str, action: Action) -> bool {
        match action {
            Action::Activate => {
                let actor = self.actor(name);
                let prepared = actor.prepared.as_mut().expect("a deployment");
                actor.slot = Some(Slot::new(prepared.version.clone()));
                actor.told = prepared.told.take();
            }
            Action::Reap => {
                let is_it = |p: &ModelPipeline| p.job == name && p.has_ended();
                self.host.pipelines.retain(|pipeline| !is_it(pipeline));
            }
            Action::Release => {
                let control = &self.host.actors[name].control;
                let needed = match control.kept.clone() {
                    Kept::Nothing => BTreeSet::new(),
                    Kept::Record(record) => self.needed(&record),
                    Kept::Unreadable(_) => return true,
                };
                self.host.claims.release(name, needed);
            }
            Action::Sweep => self.sweeps(),
            Action::Answer(who, answer) => self.answered(name, who, &answer),
            Action::Say(..) | Action::NoteError(_) | Action::Alert(_) => {}
            other => panic!("{other:?} is awaited"),
        }
        true
    }

    /// The component, and then the record. Between the two the host may die.
    fn stores(&mut self, name: &str, record: JobRecord) -> Option<Event> {
        if self.fails(40) {
            return Some(failed("injected"));
        }
        let actor = self.actor(name);
        let prepared = actor.prepared.as_ref();
        if let Some(component) = prepared.and_then(|prepared| prepared.component.clone()) {
            self.disk.components.insert(component);
        }
        if self.fails(25) {
            self.crash();
            return None;
        }
        self.grows(name, &record);
        self.disk.undeployed.remove(name);
        self.disk.jobs.insert(name.to_owned(), Ok(record));
        Some(Event::Done)
    }

    fn swaps(&mut self, name: &str) -> Event {
        let actor = self.actor(name);
        let version = actor
            .prepared
            .as_ref()
            .expect("a deployment")
            .version
            .clone();
        let slot = actor.slot.clone().expect("something runs");
        let fits = slot.get().can_hot_swap(&version);
        let swapped = fits && slot.set(version);
        self.saw(match (fits, swapped) {
            (_, true) => "a hot swap",
            (true, false) => "a deploy onto a pipeline that has ended",
            (false, false) => "a deploy of other places",
        });
        match swapped {
            true => Event::Done,
            false => failed("it needs another pipeline"),
        }
    }

    /// Whether nothing of the job runs any more.
    fn stops(&mut self, name: &str, how: Stop) -> bool {
        let pipelines = &mut self.host.pipelines;
        pipelines.retain(|pipeline| pipeline.job != name || !pipeline.has_ended());
        let mut of_job = pipelines.iter_mut().filter(|pipeline| pipeline.job == name);
        match of_job.next() {
            Some(pipeline) => {
                pipeline.stop = pipeline.stop.max(Some(how));
                false
            }
            None => true,
        }
    }

    fn loads(&mut self, name: &str) -> Event {
        if self.fails(40) {
            return failed("injected");
        }
        let actor = self.actor(name);
        let record = actor.control.record().expect("a record").clone();
        let version = Version::of(&record, record.active().number);
        actor.slot = Some(Slot::new(version.clone()));
        let has = self.disk.components.contains(&version.digest);
        assert!(has, "SEED={}: a component is gone", self.seed);
        Event::Done
    }

    fn starts_pipeline(&mut self, name: &str, life: u64, reads_on: bool) -> Event {
        if self.fails(40) {
            return failed("injected");
        }
        let log = self.log(name);
        let (checkpoint, intents) = log.load().unwrap();
        let actor = &self.host.actors[name];
        let record = actor.control.record().expect("a record").clone();
        let mut slot = actor.slot.clone().expect("it is loaded");
        let active = slot.get();
        assert_eq!(active.deployment, record.active().number, "what is loaded");
        let mut replay_only = false;
        let before = planned_before(&record, active.deployment, &intents);
        if let Some(before) = before.filter(|_| !active.resets(checkpoint.as_ref())) {
            let before = Version::of(&record, before.number);
            if !before.can_hot_swap(&active) {
                (slot, replay_only) = (Slot::new(before), true);
                self.saw("a replay for other places");
            }
        }
        let said = (replay_only, reads_on);
        let mut pipeline = ModelPipeline::new((name, life), slot, &record, said, log);
        pipeline.told = self.actor(name).told.take().filter(|_| !replay_only);
        self.may_run(&pipeline);
        self.host.pipelines.push(pipeline);
        Event::Started { replay_only }
    }

    fn forgets(&mut self, name: &str) -> Event {
        if self.fails(40) {
            return failed("injected");
        }
        let log = self.log(name);
        let (checkpoint, intents) = log.load().unwrap();
        let has_batch = checkpoint.is_some_and(|checkpoint| checkpoint.batch > 0);
        self.actor(name).ran = has_batch || !intents.is_empty();
        log.forget().unwrap();
        Event::Done
    }

    /// Components that no job names go, unless it is not known what one names.
    fn sweeps(&mut self) {
        let mut named = BTreeSet::new();
        for job in self.disk.jobs.values() {
            let Ok(record) = job else { return };
            named.extend(record.deployments.iter().map(|d| d.digest.clone()));
        }
        self.disk.components.retain(|digest| named.contains(digest));
    }
}
