//! What `--replan` costs: told before it is done.

use crate::api::Refusal;
use streamhost_connectors::registry;
use streamhost_core::protocol::{BatchIntent, Checkpoint};
use streamhost_core::state::Stages;
use streamhost_core::types::Guarantee;
use streamhost_engine::pipeline::{LoadedDeployment, keeps_records};

/// What the keyed stages keep that a version goes on from: after the last batch that is planned for
/// it.
pub(super) fn kept_stages<'a>(
    active: &LoadedDeployment,
    checkpoint: &'a Checkpoint,
    intents: &'a [BatchIntent],
) -> &'a Stages {
    match intents.last() {
        Some(last) if !active.replans(intents) => &last.stages,
        _ => &checkpoint.stages,
    }
}

/// What giving up the planned batches comes to, if this deployment does. `Err`: records would be
/// lost.
pub(super) fn price(
    active: &LoadedDeployment,
    asked: bool,
    intents: &[BatchIntent],
) -> Result<Option<String>, Refusal> {
    let (true, Some(first), Some(last)) = (asked, intents.first(), intents.last()) else {
        let nothing = "--replan: nothing is planned, so nothing is given up".to_owned();
        return Ok(asked.then_some(nothing));
    };
    if let Some(batch) = keeps_records(intents) {
        return Err(Refusal::Conflict(format!(
            "--replan: batch {batch} keeps records that cannot be read again, and would lose them: mend what its sink waits for, and `streamhost resume {}`",
            active.spec.name
        )));
    }
    let records: u64 = intents.iter().map(|intent| intent.counts.records_in).sum();
    let keyed = !active.spec.stages.is_empty();
    let sinks: Vec<String> = active
        .spec
        .sinks
        .iter()
        .map(|sink| {
            format!(
                "`{}` {}",
                sink.name,
                keeps(registry::guarantee(sink), keyed)
            )
        })
        .collect();
    let what = match first.batch == last.batch {
        true => format!("batch {} is given up", first.batch),
        false => format!("batches {} to {} are given up", first.batch, last.batch),
    };
    Ok(Some(format!(
        "--replan: {what}, records: {records}, which the new version runs anew: of what sinks have of them already, {}; their dead letters may be sent again",
        sinks.join(", ")
    )))
}

/// What becomes of rows that a sink has already of a batch that is given up.
fn keeps(guarantee: Option<Guarantee>, keyed: bool) -> &'static str {
    match (guarantee, keyed) {
        (Some(Guarantee::Idempotent), _) => {
            "keeps the rows that the new version does not write over"
        }
        (Some(Guarantee::Marked), false) => "keeps the rows, and gets none of those records again",
        (Some(Guarantee::Marked | Guarantee::AtLeastOnce) | None, _) => {
            "keeps the rows, and gets those of the new version beside them"
        }
    }
}
