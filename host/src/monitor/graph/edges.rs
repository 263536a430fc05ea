//! What flows from where to where in a pipeline.

use super::super::history::{History, is_running};
use super::{DEAD_LETTERS, TRANSFORM};
use crate::api::JobFacts;
use serde::Serialize;
use std::collections::BTreeSet;
use streamhost_core::job::{JobSpec, StageSpec};
use utoipa::ToSchema;

/// What flows from one node to another.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::monitor) struct Edge {
    from: String,
    to: String,
    unit: &'static str,
    /// None where the host does not count it.
    total: Option<u64>,
    per_second: Option<f64>,
}

impl Edge {
    fn new(from: String, to: String, unit: &'static str) -> Edge {
        Edge {
            from,
            to,
            unit,
            total: None,
            per_second: None,
        }
    }

    fn counted(self, total: u64, per_second: Option<f64>) -> Edge {
        Edge {
            total: Some(total),
            per_second,
            ..self
        }
    }
}

/// The edges of a job that does not run, whose rows come from its last stages if it has some.
pub(super) fn of_spec(spec: &JobSpec) -> Vec<Edge> {
    let zero = |edge: Edge| edge.counted(0, None);
    let transforms = spec.stages.is_empty();
    let all = sources(spec)
        .chain(between(spec))
        .chain(rows(spec, |_| (transforms, !transforms)))
        .chain([letters()]);
    all.map(zero).collect()
}

/// The edges of a job, with what was counted.
pub(super) fn of(facts: &JobFacts, spec: &JobSpec, history: &History) -> Vec<Edge> {
    let runs = is_running(facts.status.state);
    let window = &history.window;
    let status = &facts.status;
    let totals = facts.meter.totals();
    let one = spec.sources.len() == 1;
    let read = sources(spec).enumerate().map(|(i, edge)| match one {
        true => edge.counted(status.records_in, window.rate(|at| at.counters.records_in)),
        false => {
            // Since the host started: what is durable is counted for all sources together.
            let total = totals.records.get(i).copied().unwrap_or(0);
            edge.counted(total, window.source_rate(i))
        }
    });
    let transforms = |sink: &str| match totals.rows.get(sink) {
        _ if spec.stages.is_empty() => (true, false),
        Some(rows) => (
            rows.transform > 0,
            rows.transform < rows.all || rows.all == 0,
        ),
        None => (false, true),
    };
    let ends = last_stages(spec).len();
    let made = rows(spec, transforms).map(|edge| {
        let sink = edge.to.trim_start_matches("sink/").to_owned();
        let total = facts.snapshot.counters.rows.get(&sink).copied();
        let rate = window.rate(|at| at.counters.rows.get(&sink).copied().unwrap_or(0));
        let shares = totals.rows.get(&sink).copied().unwrap_or_default();
        let of_transform = match (transforms(&sink), shares.all) {
            ((true, false), _) => 1.0,
            (_, 0) => 0.0,
            (_, all) => shares.transform as f64 / all as f64,
        };
        let share = match edge.from == TRANSFORM {
            true => of_transform,
            false if ends == 1 => 1.0 - of_transform,
            false => return edge, // which of the stages made it is not counted
        };
        let total = (total.unwrap_or(0) as f64 * share).round() as u64;
        edge.counted(total, rate.map(|rate| super::super::tenths(rate * share)))
    });
    let refused = letters().counted(
        status.dead_letters,
        window.rate(|at| at.counters.dead_letters),
    );
    let mut all: Vec<Edge> = read
        .chain(between(spec))
        .chain(made)
        .chain([refused])
        .collect();
    for edge in all.iter_mut().filter(|_| !runs) {
        edge.per_second = None;
    }
    all
}

fn sources(spec: &JobSpec) -> impl Iterator<Item = Edge> {
    spec.sources.iter().map(|source| {
        Edge::new(
            format!("source/{}", source.name),
            TRANSFORM.to_owned(),
            "records",
        )
    })
}

/// Into the keyed stages.
fn between(spec: &JobSpec) -> impl Iterator<Item = Edge> {
    let into = |stage: &StageSpec| {
        let to = format!("stage/{}", stage.name);
        let from: BTreeSet<Option<String>> = stage
            .inputs
            .iter()
            .map(|input| {
                let before = (*input as usize).checked_sub(spec.sources.len())?;
                Some(spec.stages.get(before)?.name.clone())
            })
            .collect();
        from.into_iter().map(move |from| match from {
            None => Edge::new(TRANSFORM.to_owned(), to.clone(), "records"),
            Some(stage) => Edge::new(format!("stage/{stage}"), to.clone(), "results"),
        })
    };
    spec.stages.iter().flat_map(into)
}

/// The stages that no other reads.
fn last_stages(spec: &JobSpec) -> Vec<&StageSpec> {
    let is_read = |number: usize| {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        spec.stages
            .iter()
            .any(|stage| stage.inputs.contains(&number))
    };
    let numbered = spec.stages.iter().enumerate();
    let last = numbered.filter(|(i, _)| !is_read(spec.sources.len() + i));
    last.map(|(_, stage)| stage).collect()
}

/// Into the sinks. `from` says of a sink whether the transform and whether stages make its rows.
fn rows(spec: &JobSpec, from: impl Fn(&str) -> (bool, bool)) -> impl Iterator<Item = Edge> {
    let mut edges = Vec::new();
    for sink in &spec.sinks {
        let (transform, stages) = from(&sink.name);
        let to = || format!("sink/{}", sink.name);
        if transform {
            edges.push(Edge::new(TRANSFORM.to_owned(), to(), "rows"));
        }
        if stages {
            let last = last_stages(spec);
            let made =
                |stage: &&StageSpec| Edge::new(format!("stage/{}", stage.name), to(), "rows");
            edges.extend(last.iter().map(made));
        }
    }
    edges.into_iter()
}

fn letters() -> Edge {
    Edge::new(
        TRANSFORM.to_owned(),
        DEAD_LETTERS.to_owned(),
        "dead-letters",
    )
}
