//! Keyed stages, what feeds them, and what only the chain and its types tell of them. All else that
//! is wrong with stages the host says, as it holds what is described against its own rules.

use super::{number, strands};
use crate::describe::{Scope, StageDef, StageKind};
use crate::job::{Edge, Plan, StageNode, Strand};
use crate::schema::{ANY, UNORDERED, UNSEEN};

/// The keyed stages with their inputs.
pub(super) fn stages(plan: &Plan<'_>) -> Result<Vec<StageDef>, String> {
    let first = plan.sources.len();
    let mut stages: Vec<StageDef> = plan.stages.iter().map(StageNode::describe).collect();
    let mut feeds: Vec<_> = strands(plan)
        .flat_map(|strand| {
            let feeds = strand.trail.feeds.iter();
            feeds.map(|feed| (feed.to.get(), feed.side, number(strand), feed.table))
        })
        .collect();
    feeds.sort_unstable();
    for (to, _, from, _) in &feeds {
        stages[to - first].inputs.push(*from as u32);
    }
    for stage in &mut stages {
        check_shapes(stage)?;
        check_lateness(stage)?;
        if let StageKind::Process { .. } = stage.kind {
            stage.other_shape.clear(); // nothing of it is kept
        }
    }
    for &(to, _, from, _) in &feeds {
        check_updates(plan, from.checked_sub(first), to - first)?;
    }
    for (to, _, from, _) in feeds {
        let from = from.checked_sub(first).map(|i| &stages[i]);
        let looked_up = from.filter(|from| from.kind == StageKind::Lookup);
        if let Some(from) = looked_up
            && plan.stages[to - first].keeps_late
        {
            return Err(format!(
                "`{}` stands behind `{}`, and what is late behind a lookup is counted and cannot be kept: leave \
                 `.late_to(…)` out, or let the window come first and look up what comes out of it",
                stages[to - first].name,
                from.name
            ));
        }
    }
    Ok(stages)
}

/// An update is a later value of a key, and no further item: what adds up would take it for one.
fn check_updates(plan: &Plan<'_>, from: Option<usize>, to: usize) -> Result<(), String> {
    let to = &plan.stages[to];
    match from.map(|from| &plan.stages[from]) {
        Some(from) if from.gives_updates && to.adds_up => Err(format!(
            "stage `{}` would take each update of `{}` for one more item, and a key whose value changes would be in it \
             several times: reduce by `.each_batch()` or a window first, take `.distinct()` where keys are to be \
             counted, or keep a `.table(…)`, whose changes say what they replace, and `.group_by(…)` its keys",
            to.def.name, from.def.name
        )),
        _ => Ok(()),
    }
}

/// The host would take no notice of it.
fn check_lateness(stage: &StageDef) -> Result<(), String> {
    match stage.kind {
        StageKind::Reduce(Scope::Window(window))
            if window.processing_time && window.lateness_ms > 0 =>
        {
            Err(format!(
                "stage `{}`: windows of processing time have no late records: leave `.watermark(…)` and \
                 `.allowed_lateness(…)` out",
                stage.name
            ))
        }
        _ => Ok(()),
    }
}

/// What is kept must be told from what another version keeps.
fn check_shapes(stage: &StageDef) -> Result<(), String> {
    let StageDef {
        name,
        kind,
        value_shape,
        other_shape,
        version,
        ..
    } = stage;
    let own = match kind {
        StageKind::Reduce(_) => "accumulators",
        StageKind::Join { .. } | StageKind::Lookup => "the left side's items",
        StageKind::Process { .. } => "states",
    };
    let (other, keeps_other) = match kind {
        StageKind::Process { .. } => ("items", false),
        _ => ("the other side's items", true),
    };
    let keeps_own = !matches!(
        kind,
        StageKind::Reduce(Scope::EachBatch) | StageKind::Lookup
    );
    let values = [
        (own, value_shape, keeps_own),
        (other, other_shape, keeps_other),
    ];
    for (what, shape, is_kept) in values {
        if shape.contains(ANY) {
            return Err(format!(
                "stage `{name}`: {what} have a part whose type only the data knows (`serde_json::Value`, \
                 `#[serde(untagged)]`, `#[serde(flatten)]`), which is kept without that: give it a type"
            ));
        }
        if shape.contains(UNORDERED) {
            return Err(format!(
                "stage `{name}`: {what} have a `HashMap` or `HashSet`, whose order is another one each time, so that a \
                 replay would come to something else: take a `BTreeMap` or `BTreeSet`"
            ));
        }
        if shape.contains(UNSEEN) && is_kept && *version == 0 {
            return Err(format!(
                "stage `{name}`: {what} look like `{shape}`, and the part where that ends (a date, an address, a type \
                 that checks what it is read from) hides what comes behind it, so that a later version's changes could \
                 not be seen: give it a plain type, or take it on yourself to count such changes, beginning with \
                 `.key_by(…).version(1)`"
            ));
        }
    }
    Ok(())
}

/// For each stage, sources included: something behind it goes by its items' event times.
pub(super) fn timed(plan: &Plan<'_>, stages: &[StageDef]) -> Vec<bool> {
    let first = plan.sources.len();
    let mut timed = vec![false; first + stages.len()];
    // A stage stands after its inputs, so one pass from the last one is enough.
    let mut strands: Vec<&Strand> = strands(plan).collect();
    strands.sort_by_key(|strand| std::cmp::Reverse(number(strand)));
    for strand in strands {
        let behind = |feed: &Edge| {
            let to = feed.to.get();
            !feed.table && (stages[to - first].kind.is_timed() || timed[to])
        };
        timed[number(strand)] = strand.trail.feeds.iter().any(behind);
    }
    timed
}
