//! Calls of a job, as its host makes them: everything crosses in bytes, and each answer is held to
//! the contract.

use super::connectors::TestConnectors;
use super::convert;
use crate::job::{Call, Job};
use crate::log;
use crate::metrics::{self, Metric};
use crate::parameter::told;
use std::cell::{Cell, RefCell};
use streamhost_core::contract::{Answer, AnswerRules, Asked, Finished, Moment, Partials, RowShape};
use streamhost_core::job::connector::Connectors;
use streamhost_core::job::{JobSpec, SinkSpec};
use streamhost_core::types::{Chunk, Column, NO_TIME_MS};

/// A job that can be called.
pub(super) struct Guest<'a> {
    job: &'a dyn for<'b> Fn(Call<'b>) -> Job<'b>,
    pub(super) spec: &'a JobSpec,
    pub(super) rules: AnswerRules,
    quiet: Cell<bool>,
    logs: RefCell<Vec<String>>,
    /// What the job's metrics came to.
    metrics: RefCell<Vec<Metric>>,
}

impl<'a> Guest<'a> {
    pub(super) fn new(
        job: &'a dyn for<'b> Fn(Call<'b>) -> Job<'b>,
        spec: &'a JobSpec,
    ) -> Guest<'a> {
        let shape = |sink: &SinkSpec| {
            let rules = TestConnectors.rules(&sink.connector);
            let rules = rules.and_then(|rules| rules.sink.as_ref());
            let rules = rules.expect("the job was checked");
            RowShape::new(sink, rules.limits.clone())
        };
        Guest {
            job,
            spec,
            rules: AnswerRules::new(spec.sinks.iter().map(shape).collect(), spec),
            quiet: Cell::new(false),
            logs: RefCell::default(),
            metrics: RefCell::default(),
        }
    }

    /// Accumulators of a keyed stage hold numbers with a fraction.
    pub(super) fn has_floats(&self, stage: usize) -> bool {
        let shape = &self.spec.stages[stage].value_shape;
        shape.contains("f64") || shape.contains("f32")
    }

    /// Calls whose log lines are of no interest, as they repeat others.
    pub(super) fn quietly<T>(&self, f: impl FnOnce() -> T) -> T {
        let before = self.quiet.replace(true);
        let result = f();
        self.quiet.set(before);
        result
    }

    /// The lines that were logged, and what the job's metrics came to.
    pub(super) fn into_told(self) -> (Vec<String>, Vec<Metric>) {
        (self.logs.into_inner(), self.metrics.into_inner())
    }

    fn call<'b, T>(&self, f: impl FnOnce(Job<'b>) -> T) -> T {
        let (result, metrics) = metrics::keep(|| self.call_logged(f));
        for metric in &metrics {
            let mut known = self.spec.metrics.iter();
            assert!(
                known.any(|spec| spec.name == metric.name),
                "the job has no metric `{}`: ask for it in the job's function, not in a closure",
                metric.name
            );
        }
        if !self.quiet.get() {
            self.metrics.borrow_mut().extend(metrics);
        }
        result
    }

    fn call_logged<'b, T>(&self, f: impl FnOnce(Job<'b>) -> T) -> T {
        let set = self.spec.parameters.iter();
        let set = set.map(|parameter| (parameter.name.clone(), parameter.value.clone()));
        let run = || told(set.collect(), || f((self.job)(Call::new()))).0;
        let (result, lines) = log::keep(run);
        if !self.quiet.get() {
            self.logs.borrow_mut().extend(lines);
        }
        result
    }

    /// The export `transform`.
    pub(super) fn transform(&self, source: u32, moment: Moment, chunk: &Chunk) -> Answer {
        let headers = convert::headers(chunk);
        let target = self.spec.sources.get(source as usize);
        let target = target.map_or("", |source| source.target.as_str());
        let output = self.call(|job| {
            job.run(
                source as usize,
                convert::moment(moment),
                convert::records(chunk, target, &headers),
            )
        });
        let asked = Asked {
            stage: source,
            items: chunk.len(),
            partition_ms: moment.partition_ms,
        };
        self.checked(asked, convert::answer(output))
    }

    /// The export `combine`.
    pub(super) fn combine(&self, stage: u32, partials: &Partials) -> Column {
        // How often it is called depends on how records were cut: what it counts is left out.
        let combine =
            || self.call_logged(|job| job.combine(stage as usize, convert::partials(partials)));
        let (made, _) = metrics::keep(combine);
        self.items("combine", partials.group_ends.len(), convert::column(made))
    }

    /// The export `finish`.
    pub(super) fn finish(&self, stage: u32, moment: Moment, finished: &Finished) -> Answer {
        let input = match finished {
            Finished::Groups(groups) => convert::groups(groups),
            Finished::Pairs(pairs) => convert::pairs(pairs),
            Finished::Keys(keys) => convert::keys(keys),
        };
        let output = self.call(|job| job.run(stage as usize, convert::moment(moment), input));
        let asked = Asked {
            stage,
            items: finished.len(),
            partition_ms: NO_TIME_MS,
        };
        self.checked(asked, convert::answer(output))
    }

    /// The export `migrate`.
    pub(super) fn migrate(&self, stage: u32, accumulators: &Column) -> Column {
        let migrate =
            || self.call_logged(|job| job.migrate(stage as usize, convert::view(accumulators)));
        let (made, _) = metrics::keep(migrate);
        self.items("migrate", accumulators.len(), convert::column(made))
    }

    fn items(&self, call: &str, wanted: usize, made: Column) -> Column {
        if let Err(broken) = self.rules.check_column(call, &made, wanted) {
            panic!("the job breaks a promise to its host: {broken}");
        }
        made
    }

    fn checked(&self, asked: Asked, answer: Answer) -> Answer {
        if let Err(broken) = self.rules.check(&answer, asked) {
            panic!("the job breaks a promise to its host: {broken}");
        }
        answer
    }
}
