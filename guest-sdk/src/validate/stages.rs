//! Keyed stages that cannot be, and what feeds them.

use super::number;
use crate::describe::{Scope, StageDef, StageKind, WindowDef, WindowForm};
use crate::job::{Chain, Edge, Plan, StageNode};
use crate::limits::{STAGE_SHAPE_BYTES_MAX, STAGE_TIME_MAX, STAGES_MAX, WINDOW_PANES_MAX};
use crate::schema::{ANY, UNSEEN};

/// The keyed stages with their inputs.
pub(super) fn stages(plan: &Plan<'_>) -> Result<Vec<StageDef>, String> {
    let first = plan.sources.len();
    if plan.stages.len() > STAGES_MAX {
        return Err(format!(
            "the job has {} keyed stages, and {STAGES_MAX} is the most that a job can have: make two of it",
            plan.stages.len()
        ));
    }
    let mut stages: Vec<StageDef> = plan.stages.iter().map(StageNode::describe).collect();
    let mut feeds: Vec<_> = plan
        .chains
        .iter()
        .flat_map(|chain| {
            chain
                .trail
                .feeds
                .iter()
                .map(|feed| (feed.to.get(), feed.side, number(chain), feed.table))
        })
        .collect();
    feeds.sort_unstable();
    for (to, _, from, _) in &feeds {
        stages[to - first].inputs.push(*from as u32);
    }
    for stage in &stages {
        check_stage(stage)?;
    }
    for (to, _, from, table) in feeds {
        let (to, keeps_late) = (&stages[to - first], plan.stages[to - first].keeps_late);
        let Some(from) = from.checked_sub(first).map(|i| &stages[i]) else {
            continue;
        };
        if early(from.kind) {
            return Err(format!(
                "`{}` gives early results, which it takes back later, and `{}` would keep them: leave \
                 `.early_results()` out, or end the chain in a sink",
                from.name, to.name
            ));
        }
        if to.kind.is_timed() && !table && !brings_time(plan, &stages, from) {
            return Err(format!(
                "`{}` goes by event time, and what comes out of `{}` has none: reduce by windows of event time there, \
                 or write `.processing_time()` on the windows here",
                to.name, from.name
            ));
        }
        if keeps_late && from.kind == StageKind::Lookup {
            return Err(format!(
                "`{}` stands behind `{}`, and what is late behind a lookup is counted and cannot be kept: leave \
                 `.late_to(…)` out, or let the window come first and look up what comes out of it",
                to.name, from.name
            ));
        }
    }
    Ok(stages)
}

fn early(kind: StageKind) -> bool {
    matches!(
        kind,
        StageKind::Reduce(Scope::Window(WindowDef { early: true, .. }))
    )
}

/// What comes out of a stage has event times: those of its windows, or those that came in.
fn brings_time(plan: &Plan<'_>, stages: &[StageDef], stage: &StageDef) -> bool {
    match (stage.kind, stage.inputs.first()) {
        (StageKind::Lookup, Some(&left)) => match (left as usize).checked_sub(plan.sources.len()) {
            Some(left) => brings_time(plan, stages, &stages[left]),
            None => true,
        },
        (kind, _) => kind.is_timed(),
    }
}

fn check_stage(stage: &StageDef) -> Result<(), String> {
    let StageDef { name, .. } = stage;
    let span = |what: &str, ms: u64| match ms {
        0 => Err(format!(
            "stage `{name}`: {what} is 0, or below a millisecond"
        )),
        _ if u128::from(ms) > STAGE_TIME_MAX.as_millis() => Err(format!(
            "stage `{name}`: {what} is longer than {} days",
            STAGE_TIME_MAX.as_secs() / (24 * 60 * 60)
        )),
        _ => Ok(()),
    };
    let lateness = |ms: u64| {
        if ms == 0 {
            Ok(())
        } else {
            span("the allowed lateness", ms)
        }
    };
    check_shapes(stage)?;
    if stage
        .migrates
        .as_ref()
        .is_some_and(|(shape, version)| (shape, version) == (&stage.value_shape, &stage.version))
    {
        return Err(format!(
            "stage `{name}` migrates from what it is already: count its version up, `.key_by(…).version({})`",
            stage.version + 1
        ));
    }
    match stage.kind {
        StageKind::Lookup
        | StageKind::Reduce(Scope::EachBatch | Scope::Running { expire_ms: None }) => Ok(()),
        StageKind::Reduce(Scope::Running {
            expire_ms: Some(ms),
        }) => span("the time after which keys expire", ms),
        StageKind::Join {
            within_ms,
            lateness_ms,
            ..
        } => {
            if within_ms > 0 {
                span("`within`", within_ms)?;
            }
            lateness(lateness_ms)
        }
        StageKind::Reduce(Scope::Window(window)) => {
            if window.processing_time && window.lateness_ms > 0 {
                return Err(format!(
                    "stage `{name}`: windows of processing time have no late records: leave `.allowed_lateness(…)` out"
                ));
            }
            lateness(window.lateness_ms)?;
            match window.form {
                WindowForm::Session { gap_ms } => span("the gap", gap_ms),
                WindowForm::Panes { size_ms, hop_ms } => {
                    span("the windows' size", size_ms)?;
                    span("the windows' hop", hop_ms)?;
                    check_panes(name, size_ms, hop_ms)
                }
            }
        }
    }
}

/// What is kept must be told from what another version keeps.
fn check_shapes(stage: &StageDef) -> Result<(), String> {
    let StageDef {
        name,
        kind,
        key_shape,
        value_shape,
        other_shape,
        version,
        ..
    } = stage;
    let own = match kind {
        StageKind::Reduce(_) => "accumulators",
        StageKind::Join { .. } | StageKind::Lookup => "the left side's items",
    };
    let keeps_own = !matches!(
        kind,
        StageKind::Reduce(Scope::EachBatch) | StageKind::Lookup
    );
    let values = [
        (own, value_shape, keeps_own),
        ("the other side's items", other_shape, true),
    ];
    for (what, shape, _) in values.into_iter().chain([("keys", key_shape, true)]) {
        if shape.len() > STAGE_SHAPE_BYTES_MAX {
            return Err(format!(
                "stage `{name}`: it takes more than {STAGE_SHAPE_BYTES_MAX} bytes to say what {what} look like: \
                 simplify them"
            ));
        }
    }
    for (what, shape, is_kept) in values {
        if shape.contains(ANY) {
            return Err(format!(
                "stage `{name}`: {what} have a part whose type only the data knows (`serde_json::Value`, \
                 `#[serde(untagged)]`, `#[serde(flatten)]`), which is kept without that: give it a type"
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

fn check_panes(name: &str, size_ms: u64, hop_ms: u64) -> Result<(), String> {
    if !size_ms.is_multiple_of(hop_ms) {
        return Err(format!(
            "stage `{name}`: a window of {size_ms} ms is no multiple of its hop of {hop_ms} ms: windows are kept in \
             panes of one hop"
        ));
    }
    if i64::try_from(size_ms / hop_ms).is_ok_and(|panes| panes > WINDOW_PANES_MAX) {
        return Err(format!(
            "stage `{name}`: a window of {size_ms} ms has {} hops of {hop_ms} ms, and {WINDOW_PANES_MAX} is the most: hop \
             further",
            size_ms / hop_ms
        ));
    }
    Ok(())
}

/// For each stage, sources included: something behind it goes by its items' event times.
pub(super) fn timed(plan: &Plan<'_>, stages: &[StageDef]) -> Vec<bool> {
    let first = plan.sources.len();
    let mut timed = vec![false; first + stages.len()];
    // A stage stands after its inputs, so one pass from the last one is enough.
    let mut chains: Vec<&Chain<'_>> = plan.chains.iter().collect();
    chains.sort_by_key(|chain| std::cmp::Reverse(number(chain)));
    for chain in chains {
        let behind = |feed: &Edge| {
            let to = feed.to.get();
            !feed.table && (stages[to - first].kind.is_timed() || timed[to])
        };
        timed[number(chain)] = chain.trail.feeds.iter().any(behind);
    }
    timed
}
