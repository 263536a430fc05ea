//! A job: its chains, erased once a call, never once a record.

use crate::flow::{Batch, Cx, Flow, Input, Output};
use crate::row::{Row, RowShape};
use crate::sink::Sink;
use std::cell::Cell;
use std::marker::PhantomData;
use std::rc::Rc;
use std::time::Duration;

/// Proof that a call is under way: ties what a chain borrows to that call's batch.
#[derive(Clone, Copy, Debug)]
pub struct Call<'b>(PhantomData<&'b ()>);

impl<'b> Call<'b> {
    pub(crate) fn new() -> Self {
        Call(PhantomData)
    }

    /// Gives a job its name. `#[job]` calls it.
    #[doc(hidden)]
    pub fn named(self, name: &'static str, job: Job<'b>) -> Job<'b> {
        Job { name, ..job }
    }
}

/// What a function with [`#[job]`](crate::job) returns: one or more chains that end in
/// [`.to(…)`](crate::Stream::to).
#[must_use]
pub struct Job<'b> {
    pub(crate) name: &'static str,
    pub(crate) plan: Plan<'b>,
}

impl<'b> Job<'b> {
    /// Another chain, from another source, in the same job: its batches hold records of both.
    pub fn and(mut self, other: Job<'b>) -> Job<'b> {
        self.plan.extend(other.plan);
        self
    }

    /// Runs the operators of one source's chain.
    pub(crate) fn run(mut self, stage: usize, batch: Batch<'b>) -> Output {
        self.plan.number_sinks();
        let mut cx = Cx { expect: batch.expect(), ..Cx::default() };
        cx.out.rows.resize_with(self.plan.sinks.len(), Default::default);
        self.plan.stages[stage].run.run(Input(Some(batch)), &mut cx);
        cx.out.faults.sort_by_key(|fault| fault.position); // branches tell theirs after the main chain
        cx.out
    }
}

/// A sink's number, known once the whole job is.
pub(crate) type Index = Rc<Cell<usize>>;

#[derive(Default)]
pub(crate) struct Plan<'b> {
    pub(crate) stages: Vec<Stage<'b>>,
    pub(crate) sinks: Vec<(Index, Sink, RowShape)>,
    /// What the builder saw and could not refuse.
    pub(crate) mistakes: Vec<String>,
}

pub(crate) struct Stage<'b> {
    pub(crate) kind: StageKind,
    pub(crate) run: Box<dyn Run<'b> + 'b>,
}

/// Where a chain's items come from.
pub(crate) enum StageKind {
    /// A topic.
    Source { name: String, every: Option<Duration> },
    /// Another chain, by `.also(…)`.
    Branch { id: usize },
}

impl<'b> Plan<'b> {
    pub(crate) fn extend(&mut self, other: Plan<'b>) {
        self.stages.extend(other.stages);
        self.sinks.extend(other.sinks);
        self.mistakes.extend(other.mistakes);
    }

    pub(crate) fn add_sink(&mut self, sink: Sink, shape: RowShape) -> Index {
        let index = Index::default();
        self.sinks.push((index.clone(), sink, shape));
        index
    }

    fn number_sinks(&self) {
        for (i, (index, ..)) in self.sinks.iter().enumerate() {
            index.set(i);
        }
    }
}

/// A chain of operators, from where its items come in to its sink.
pub(crate) trait Run<'b> {
    /// Runs it over one batch.
    fn run(&mut self, input: Input<'b>, cx: &mut Cx);
}

pub(crate) struct Sinking<F> {
    pub(crate) flow: F,
    pub(crate) index: Index,
}

impl<'b, F: Flow<'b>> Run<'b> for Sinking<F>
where
    F::Item: Row,
{
    fn run(&mut self, input: Input<'b>, cx: &mut Cx) {
        let sink = self.index.get();
        let width = 1 + <F::Item as Row>::SHAPE.columns.len();
        let mut rows = std::mem::take(&mut cx.out.rows[sink]);
        rows.reserve(cx.expect, width);
        self.flow.each(input, cx, |item, cx| {
            item.write(&mut rows);
            if let Err(reason) = rows.end_row(cx.position, width) {
                cx.fault(reason);
            }
        });
        cx.out.rows[sink] = rows;
    }
}
