//! What must be so, whatever happens.

use super::model::offset_of;
use super::*;
use streamhost_core::protocol::CheckpointLog;

/// What a run of many seeds must have come by.
pub(super) const TO_BE_SEEN: [&str; 18] = [
    "a crash",
    "a close",
    "an unreadable record",
    "a hot swap",
    "a deploy onto a pipeline that has ended",
    "a deploy of other places",
    "a replay for other places",
    "a pipeline failed",
    "a failed pipeline was overtaken",
    "a pipeline finished",
    "a finished pipeline was overtaken",
    "a version was unfit",
    "a version was over its budget",
    "a version was rolled back while it ran",
    "a job was stopped over its budget",
    "a group was claimed meanwhile",
    "a job begins at its group",
    "a job begins at its marker",
];

impl World {
    /// An asker gets one answer, and what it says is done is durable: a crash takes nothing else.
    pub(super) fn answered(&mut self, name: &str, who: Asker, answer: &Answer) {
        let seed = self.seed;
        assert!(
            self.askers.waiting.remove(&who),
            "SEED={seed}: answered twice"
        );
        let closing = self.askers.closing.remove(&who);
        let control = &self.host.actors[name].control;
        let durable = match self.disk.jobs.get(name) {
            None => Kept::Nothing,
            Some(Ok(record)) => Kept::Record(record.clone()),
            Some(Err(_)) => control.kept.clone(),
        };
        assert_eq!(
            control.kept, durable,
            "SEED={seed}: `{name}` is as it is told"
        );
        match answer {
            Answer::Switched { started, .. } => {
                let actor = &self.host.actors[name];
                let version = &actor.prepared.as_ref().expect("a deployment").version;
                let record = control.record().expect("a record");
                assert_eq!(record.active().number, version.deployment, "SEED={seed}");
                let runs = self.runs(name);
                assert!(
                    *started == runs,
                    "SEED={seed}: `{name}` runs, as it is told"
                );
            }
            Answer::Done if control.kept == Kept::Nothing && !closing => self.is_gone(name),
            _ => {}
        }
    }

    fn runs(&self, name: &str) -> bool {
        self.host
            .pipelines
            .iter()
            .any(|pipeline| pipeline.job == name)
    }

    /// An undeploy leaves nothing.
    fn is_gone(&self, name: &str) {
        let seed = self.seed;
        assert!(!self.runs(name), "SEED={seed}: `{name}` runs");
        assert!(
            self.host.claims.jobs().all(|job| job != name),
            "SEED={seed}"
        );
        let stored = self.disk.logs[name].load().unwrap();
        assert_eq!(stored, (None, Vec::new()), "SEED={seed}");
    }

    /// Numbers of deployments rise, and no record names what is not kept.
    pub(super) fn grows(&self, name: &str, record: &JobRecord) {
        let seed = self.seed;
        let numbers = |record: &JobRecord| -> Vec<_> {
            record.deployments.iter().map(|d| d.number).collect()
        };
        let all = numbers(record);
        assert!(all.is_sorted_by(|a, b| a < b), "SEED={seed}: {all:?}");
        match self.disk.jobs.get(name) {
            Some(Ok(before)) => {
                let (before, after) = (before.active(), record.active());
                let is_same = before.number == after.number;
                assert!(before.number <= after.number, "SEED={seed}");
                assert!(!is_same || before.digest == after.digest, "SEED={seed}");
            }
            Some(Err(_)) => panic!("SEED={seed}: an unreadable record is written over"),
            None => {}
        }
        let digest = &record.active().digest;
        assert!(
            self.disk.components.contains(digest),
            "SEED={seed}: {digest}"
        );
    }

    /// One pipeline of a job at a time, and one job of a consumer group.
    pub(super) fn may_run(&self, new: &ModelPipeline) {
        for other in self
            .host
            .pipelines
            .iter()
            .filter(|other| !other.has_ended())
        {
            let seed = self.seed;
            assert_ne!(other.job, new.job, "SEED={seed}: a job runs twice");
            let (one, two) = (&other.version.group, &new.version.group);
            let names = (&other.job, &new.job);
            assert_ne!(one, two, "SEED={seed}: a group of two jobs, {names:?}");
        }
    }

    /// Whether nobody has anything to do.
    fn is_quiet(&self) -> bool {
        let at_rest = |actor: &ModelActor| actor.todo.is_empty() && actor.mail.is_empty();
        let quiet = |pipeline: &ModelPipeline| pipeline.is_quiet(&self.outside);
        self.host.actors.values().all(at_rest) && self.host.pipelines.iter().all(quiet)
    }

    fn until_quiet(&mut self) {
        for _ in 0..20_000 {
            if self.is_quiet() {
                return;
            }
            self.now_ms += 1;
            self.an_actor_moves();
            self.a_pipeline_moves();
            if self.host.is_closing && self.askers.closing.is_empty() {
                self.starts();
            }
        }
        panic!("SEED={}: it does not come to rest", self.seed);
    }

    /// Servers are there and stay, nothing fails by chance, and users see after what has failed.
    pub(super) fn calms_down(&mut self) {
        (self.is_calm, self.outside.is_away) = (true, false);
        self.until_quiet();
        for job in JOBS {
            let actor = self.host.actors.get(job);
            if actor.is_some_and(|actor| actor.control.failed.is_some()) {
                self.asks(job, ask::Asked::Resume);
            }
        }
        self.until_quiet();
        self.outside.end += 3;
        self.until_quiet();
    }

    /// Nobody waits, and each job does what its record says.
    pub(super) fn is_well(&self) {
        let seed = self.seed;
        let mut claims = self.host.claims.jobs();
        let is_there = |job: &String| self.disk.jobs.contains_key(job);
        assert!(
            claims.all(is_there),
            "SEED={seed}: a claim of a job that is gone"
        );
        let waiting = &self.askers.waiting;
        assert!(waiting.is_empty(), "SEED={seed}: no answer: {waiting:?}");
        for (name, stored) in &self.disk.jobs {
            let control = &self.host.actors[name].control;
            let Ok(record) = stored else {
                assert!(matches!(control.kept, Kept::Unreadable(_)), "SEED={seed}");
                assert!(!self.runs(name), "SEED={seed}: `{name}` runs");
                continue;
            };
            assert_eq!(control.record(), Some(record), "SEED={seed}");
            let (checkpoint, intents) = self.disk.logs[name].load().unwrap();
            let deployment = checkpoint.as_ref().map(|checkpoint| checkpoint.deployment);
            let is_finished = checkpoint.as_ref().is_some_and(|c| c.finished);
            let active = record.active().number;
            match (&control.failed, self.runs(name)) {
                (None, true) => {
                    let reached = checkpoint.map(|c| offset_of(&c.committed));
                    let (at, want) = ((deployment, reached), (active, self.outside.end));
                    let want = (Some(want.0), Some(want.1));
                    assert_eq!(at, want, "SEED={seed}: `{name}` runs as deployed");
                    assert_eq!(intents, [], "SEED={seed}: planned and not finished");
                }
                (None, false) if record.paused => {}
                (None, false) => {
                    let ended = is_finished && deployment == Some(active);
                    assert!(
                        ended,
                        "SEED={seed}: nobody runs deployment {active} of `{name}`"
                    );
                }
                (Some(why), runs) => {
                    assert!(!runs, "SEED={seed}: `{name}` runs and has failed");
                    let words = [
                        "it traps",
                        "over its budget",
                        "the ledger is lost",
                        "this job ran before",
                    ];
                    let is_of_job = words.iter().any(|word| why.contains(word));
                    assert!(is_of_job, "SEED={seed}: `{name}`: {why}");
                }
            }
        }
    }
}
