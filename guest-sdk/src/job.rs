//! A job: its chains, erased once a call, never once a record.

use crate::call::{Input, Moment, Output, Partials};
use crate::columns::{Column, ColumnBuf};
use crate::describe::{SourceDef, StageDef};
use crate::flow::{Context, Flow};
use crate::row::{Row, RowShape, RowWriter};
use crate::sink::{Known, Sink};
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

    /// Runs the operators of one stage: of a source over its records, of a keyed stage over what it
    /// finished.
    pub(crate) fn run(mut self, stage: usize, moment: Moment, input: Input<'b>) -> Output {
        self.plan.number();
        let name = self
            .plan
            .stage_mut(stage)
            .map(|stage| std::mem::take(&mut stage.def.name));
        let chain = self.plan.chains.iter_mut().find_map(|chain| {
            let trail = &chain.strand(stage)?.trail;
            Some((trail.timed_bys == 0, trail.is_table(), chain))
        });
        let (own_times, table, chain) =
            chain.unwrap_or_else(|| panic!("the job has no stage {stage}"));
        let mut context = Context::new(moment, input.expect());
        (context.number, context.stage) = (stage, name.unwrap_or_default());
        (context.own_times, context.table) = (own_times, table);
        let sinks = self.plan.sinks.iter();
        context.out.rows = sinks
            .map(|(_, sink, shape)| RowWriter::new(sink.is_apart(shape)))
            .collect();
        chain.run.run(input, &mut context);
        context.finish()
    }

    /// Merges accumulators of one keyed stage: one for each group.
    pub(crate) fn combine(self, stage: usize, partials: Partials<'b>) -> ColumnBuf {
        let StageNode { def, combine, .. } = self.plan.stage(stage);
        let combine = combine
            .as_ref()
            .unwrap_or_else(|| panic!("stage `{}` merges nothing", def.name));
        combine(&def.name, partials)
    }

    /// Makes this version's accumulators of those that an older one kept.
    pub(crate) fn migrate(self, stage: usize, accumulators: Column<'b>) -> ColumnBuf {
        let StageNode { def, migrate, .. } = self.plan.stage(stage);
        let migrate = migrate
            .as_ref()
            .unwrap_or_else(|| panic!("stage `{}` migrates nothing", def.name));
        migrate(&def.name, accumulators)
    }
}

/// The number of a stage or sink, known once the whole job is.
pub(crate) type Index = Rc<Cell<usize>>;
/// Given the stage's name, for what it says.
pub(crate) type Combine<'b> = Box<dyn Fn(&str, Partials<'b>) -> ColumnBuf + 'b>;
/// As well.
pub(crate) type Migrate<'b> = Box<dyn Fn(&str, Column<'b>) -> ColumnBuf + 'b>;

#[derive(Default)]
pub(crate) struct Plan<'b> {
    pub(crate) sources: Vec<SourceNode>,
    /// Keyed stages, each after those that feed it: a stage is put here when it is made, and its
    /// inputs were before.
    pub(crate) stages: Vec<StageNode<'b>>,
    pub(crate) chains: Vec<Chain<'b>>,
    pub(crate) sinks: Vec<(Index, Sink, RowShape)>,
    /// What the builder saw and could not refuse.
    pub(crate) mistakes: Vec<String>,
}

pub(crate) struct SourceNode {
    pub(crate) index: Index,
    pub(crate) def: SourceDef,
    pub(crate) known: KnownSource,
    pub(crate) every: Option<Duration>,
}

/// What is known of a source without its host.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KnownSource {
    /// What it is called.
    pub(crate) what: &'static str,
    /// It is named by a path, in which more may be than in other names.
    pub(crate) is_path: bool,
    /// It may be a sink too.
    pub(crate) is_sink: bool,
    /// It has an end to which it can be read.
    pub(crate) ends: bool,
    /// It can be read on as it grows.
    pub(crate) follows: bool,
}

pub(crate) struct StageNode<'b> {
    pub(crate) index: Index,
    /// But for its inputs, which are known once the whole job is, and what `shapes` says.
    pub(crate) def: StageDef,
    pub(crate) shapes: Schemas,
    /// Its late items go to a sink.
    pub(crate) keeps_late: bool,
    /// It is a running reduction that gives a key again when its value has changed.
    pub(crate) gives_updates: bool,
    /// It is a running reduction that takes each item for one more.
    pub(crate) adds_up: bool,
    /// None: it merges nothing, as a join.
    pub(crate) combine: Option<Combine<'b>>,
    pub(crate) migrate: Option<Migrate<'b>>,
}

/// What a stage's keys and values look like: asked for by `describe` alone, while a chain is built
/// for every call.
#[derive(Clone, Copy)]
pub(crate) struct Schemas {
    pub(crate) key: fn() -> String,
    pub(crate) value: fn() -> String,
    /// Of a join's right items, or a table's.
    pub(crate) other: Option<fn() -> String>,
    /// Of the accumulators that can be migrated.
    pub(crate) old: Option<fn() -> String>,
}

impl StageNode<'_> {
    /// All but its inputs.
    pub(crate) fn describe(&self) -> StageDef {
        let Schemas {
            key,
            value,
            other,
            old,
        } = self.shapes;
        StageDef {
            key_shape: key(),
            value_shape: value() + &self.def.value_shape,
            other_shape: other.map(|shape| shape()).unwrap_or_default(),
            migrates: self
                .def
                .migrates
                .as_ref()
                .zip(old)
                .map(|((_, version), shape)| (shape() + &self.def.value_shape, *version)),
            ..self.def.clone()
        }
    }
}

/// What runs when a stage has something: one of the places that its items come from.
pub(crate) struct Chain<'b> {
    pub(crate) strands: Vec<Strand>,
    pub(crate) run: Box<dyn Run<'b> + 'b>,
}

impl Chain<'_> {
    /// Its strand from a source or keyed stage, once they have numbers.
    fn strand(&self, stage: usize) -> Option<&Strand> {
        let mut strands = self.strands.iter();
        strands.find(|strand| strand.start.number() == Some(stage))
    }
}

/// A chain as it is for the items of one place.
#[derive(Clone, Debug)]
pub(crate) struct Strand {
    pub(crate) start: Start,
    pub(crate) trail: ChainInfo,
}

impl From<Start> for Strand {
    fn from(start: Start) -> Strand {
        Strand {
            start,
            trail: ChainInfo::default(),
        }
    }
}

/// Where a chain's items come from.
#[derive(Clone, Debug)]
pub(crate) enum Start {
    Source(Index),
    Stage(Index),
    /// Another chain, by `.also(…)`.
    Branch {
        id: usize,
    },
}

impl Start {
    /// The stage's number, once they have them. A branch has none.
    pub(crate) fn number(&self) -> Option<usize> {
        match self {
            Start::Source(index) | Start::Stage(index) => Some(index.get()),
            Start::Branch { .. } => None,
        }
    }
}

/// What a chain and its branches lead to.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChainInfo {
    pub(crate) feeds: Vec<Edge>,
    pub(crate) sinks: usize,
    /// Its own, and those of its branches.
    pub(crate) timed_bys: usize,
    /// The chain itself has one already.
    pub(crate) is_timed: bool,
}

/// A keyed stage that a chain leads to.
#[derive(Clone, Debug)]
pub(crate) struct Edge {
    pub(crate) to: Index,
    /// 0: what is reduced, or the left side. 1: the right side, or the table.
    pub(crate) side: u8,
    /// It is the table of a lookup.
    pub(crate) table: bool,
    /// A `timed_by` stands before it.
    pub(crate) timed_by: bool,
}

impl ChainInfo {
    /// It leads to tables alone.
    pub(crate) fn is_table(&self) -> bool {
        self.sinks == 0 && !self.feeds.is_empty() && self.feeds.iter().all(|feed| feed.table)
    }

    /// Takes over what a branch leads to.
    pub(crate) fn branch(&mut self, branch: &ChainInfo) {
        let timed_by = self.is_timed;
        let feeds = branch.feeds.iter().map(|feed| Edge {
            timed_by: feed.timed_by || timed_by,
            ..feed.clone()
        });
        self.feeds.extend(feeds);
        self.sinks += branch.sinks;
        self.timed_bys += branch.timed_bys;
    }
}

impl<'b> Plan<'b> {
    pub(crate) fn extend(&mut self, other: Plan<'b>) {
        self.sources.extend(other.sources);
        self.stages.extend(other.stages);
        self.chains.extend(other.chains);
        self.sinks.extend(other.sinks);
        self.mistakes.extend(other.mistakes);
    }

    /// Rows of type `R` go to `sink`, from all of these strands.
    pub(crate) fn add_sink<R: Row>(&mut self, sink: Sink, from: &mut [Strand]) -> Index {
        from.iter_mut().for_each(|strand| strand.trail.sinks += 1);
        let (index, shape) = (Index::default(), R::SHAPE);
        if sink.known == Known::Table
            && !shape.keys.is_empty()
            && shape.columns.is_empty()
            && !shape.dynamic
            && !R::DELETES
        {
            self.mistakes.push(format!(
                "rows for table `{}` have a key and no columns, and a table keeps no such row: give them one",
                sink.name
            ));
        }
        self.sinks.push((index.clone(), sink, shape));
        index
    }

    /// Gives sources, then keyed stages, and sinks their numbers.
    pub(crate) fn number(&self) {
        let stages = self
            .sources
            .iter()
            .map(|s| &s.index)
            .chain(self.stages.iter().map(|s| &s.index));
        stages.enumerate().for_each(|(i, index)| index.set(i));
        self.sinks
            .iter()
            .enumerate()
            .for_each(|(i, (index, ..))| index.set(i));
    }

    fn stage(&self, number: usize) -> &StageNode<'b> {
        let stage = number
            .checked_sub(self.sources.len())
            .and_then(|i| self.stages.get(i));
        stage.unwrap_or_else(|| panic!("the job has no keyed stage {number}"))
    }

    /// None: it is a source's, or there is none.
    fn stage_mut(&mut self, number: usize) -> Option<&mut StageNode<'b>> {
        number
            .checked_sub(self.sources.len())
            .and_then(|i| self.stages.get_mut(i))
    }
}

/// A chain of operators, from where its items come in to where they end.
pub(crate) trait Run<'b> {
    /// Runs it over one batch.
    fn run(&mut self, input: Input<'b>, context: &mut Context);
}

pub(crate) struct Sinking<F> {
    pub(crate) flow: F,
    pub(crate) index: Index,
}

impl<'b, F: Flow<'b>> Run<'b> for Sinking<F>
where
    F::Item: Row,
{
    fn run(&mut self, input: Input<'b>, context: &mut Context) {
        let sink = self.index.get();
        let mut rows = std::mem::take(&mut context.out.rows[sink]);
        let width = <F::Item as Row>::SHAPE.width(rows.is_apart());
        rows.reserve(context.expect, width);
        self.flow.each(input, context, |item, context| {
            item.write(&mut rows);
            if let Err(reason) = rows.end_row(context.position, width) {
                context.fault(reason);
            }
        });
        context.out.rows[sink] = rows;
    }
}
