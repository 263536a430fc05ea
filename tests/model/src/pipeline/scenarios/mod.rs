//! The scenarios of one host, as data: what holds, and what breaks without a rule.

mod hbase;
mod topics;
mod changes;
mod canary;
mod replan;
mod durability;
mod loss;

use super::config::{
    AfterLoss, Change, Checks, Config, Deployment, Fault, Faults, Intent, Letters, Marker, Record,
    Replan, ResumeAt, Rules, SinkOrder, Sinks, Times,
};
use crate::scenario::{Scenario, breaks, holds};

const PUT: Record = Record {
    change: Change::Put,
    fault: Fault::None,
};
const DELETE: Record = Record {
    change: Change::Delete,
    fault: Fault::None,
};

const fn put_with(fault: Fault) -> Record {
    Record {
        change: Change::Put,
        fault,
    }
}

/// The protocol.
const RULES: Rules = Rules {
    intent: Intent::AfterRun,
    times: Times::TwoPerBatch,
    sink_order: SinkOrder::Serial,
    row_in_order: false,
    marker: Marker::PerSink,
    marker_by_number: true,
    fence_first: true,
    checkpoint_last: true,
    group_last: true,
    record_first: true,
    reset_in_checkpoint: true,
    letters: Letters::Plain,
    sync_intent: true,
    sync_checkpoint: true,
    group_after_sync: true,
    after_loss: AFTER_LOSS,
    replan: REPLAN,
    parts_by_deployment: true,
};

const REPLAN: Replan = Replan {
    passes_numbers: true,
    passes_times: true,
    leaves_out: true,
};

const AFTER_LOSS: AfterLoss = AfterLoss {
    resume_at: ResumeAt::Earliest,
    times_from_clock: true,
    new_epoch: false,
    leaves_out_records: false,
    fences: true,
};

const FAULTS: Faults = Faults {
    kills: 1,
    time_outs: 1,
    power_losses: 0,
    log_losses: 0,
    compactions: 0,
    late_requests: true,
};

const CHECKS: Checks = Checks {
    readers: true,
    exactly_once: true,
    letters_once: false,
};
/// The table counts as it is at rest; what a reader sees on the way does not.
const AT_REST: Checks = Checks {
    readers: false,
    ..CHECKS
};

const HBASE: Sinks = Sinks {
    hbase: true,
    transactional: 0,
    plain: false,
};

const VERSION_1: Deployment = Deployment {
    version: 1,
    canary: None,
    resets_state: false,
    replans: false,
};
const VERSION_2: Deployment = Deployment {
    version: 2,
    canary: None,
    resets_state: false,
    replans: false,
};

/// One partition into an HBase table.
fn base(records: &[Record]) -> Config {
    Config {
        records: [records.to_vec(), Vec::new()],
        deployments: vec![VERSION_1],
        in_flight: 2,
        batch_records: 2,
        empty_batch: false,
        keyed: false,
        sinks: HBASE,
        rules: RULES,
        faults: FAULTS,
        checks: CHECKS,
    }
}

/// All scenarios of one host.
pub(crate) fn scenarios() -> Vec<Scenario> {
    [
        hbase::scenarios(),
        topics::scenarios(),
        changes::scenarios(),
        canary::scenarios(),
        replan::scenarios(),
        durability::scenarios(),
        loss::scenarios(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
