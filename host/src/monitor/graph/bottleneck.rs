//! The node that keeps a job from doing more.

use super::super::history::{History, is_running};
use super::{Node, TRANSFORM};
use crate::api::JobFacts;
use serde::Serialize;
use std::time::Duration;
use streamhost_core::limits;
use streamhost_engine::pipeline::{BatchStep, BatchTrace};
use utoipa::ToSchema;

/// A node that was busier than this may be one.
const BUSY_MIN: f64 = 0.8;
/// Batches that wait longer than this for their turn wait.
const QUEUE_MS_MIN: u128 = 20;

/// The node that keeps a job from doing more.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::monitor) struct Bottleneck {
    node: String,
    why: String,
}

pub(super) fn of(facts: &JobFacts, history: &History, nodes: &[Node]) -> Option<Bottleneck> {
    if !is_running(facts.status.state) {
        return None;
    }
    let queued = mean_queue(&facts.meter.batches_after(0).0);
    let rises = history
        .window
        .lag_change()
        .is_some_and(|change| change > 0.0);
    let waits = queued.as_millis() >= QUEUE_MS_MIN;
    let (busiest, busy) = nodes
        .iter()
        .filter_map(|node| Some((node, node.busy?)))
        .max_by(|(_, a), (_, b)| a.total_cmp(b))?;
    if busy < BUSY_MIN || !waits && !rises {
        return None;
    }
    let share = (busy * 100.0).round();
    let sees = match waits {
        true => format!("closed batches wait {} ms for it", queued.as_millis()),
        false => "the lag rises".to_owned(),
    };
    let helps = match busiest.kind {
        TRANSFORM => "More lanes (`lanes` of the host), or a function that does less, would help.",
        "stage" => {
            "Fewer or smaller groups before it would help: combine earlier, or in larger batches."
        }
        _ => "Larger batches, or a faster server, would help.",
    };
    Some(Bottleneck {
        node: busiest.id.clone(),
        why: format!("It was busy {share} % of the last 10 s, and {sees}. {helps}"),
    })
}

/// How long the last batches waited for their turn.
fn mean_queue(traces: &[BatchTrace]) -> Duration {
    let last = traces.iter().rev().take(limits::RATE_SECONDS);
    let queued = |trace: &BatchTrace| {
        let steps = trace.steps.iter();
        let queue = steps.filter(|time| time.step == BatchStep::Queue);
        queue.map(|time| time.took).sum::<Duration>()
    };
    let waits: Vec<Duration> = last.map(queued).collect();
    let count = u32::try_from(waits.len().max(1)).unwrap_or(1);
    waits.iter().sum::<Duration>() / count
}
