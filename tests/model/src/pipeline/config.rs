//! What a scenario fixes: records, deployments, sinks, faults, and the rules of the protocol.

/// Rows 0 and 1 are written for records of partition 0 and 1, rows 2 and 3 by version 2 alone, and
/// row 4 is a running count.
pub(crate) const ROWS: usize = 5;

/// What a record does to its row.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Change {
    Put,
    /// Deletes the whole row.
    Delete,
}

/// What a guest makes of a record.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Fault {
    /// A row.
    None,
    /// Breaks on it: it is quarantined.
    Poison,
    /// The same in version 1 alone.
    PoisonInVersion1,
    /// Breaks on it at times, as a time limit does.
    Flaky,
    /// Version 2 stops the job at it.
    StopsVersion2,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) change: Change,
    pub(crate) fault: Fault,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Deployment {
    pub(crate) version: u8,
    /// The partition whose records another version runs, and that version: a canary.
    pub(crate) canary: Option<(usize, u8)>,
    /// State begins anew with it.
    pub(crate) resets_state: bool,
    /// What older ones have planned is given up, and its records planned anew.
    pub(crate) replans: bool,
}

/// When the intent of a batch is written.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Intent {
    Never,
    BeforeRun,
    AfterRun,
}

/// The times of HBase cells.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Times {
    /// The server's clock at arrival.
    Server,
    /// One for deletes and puts of a batch.
    OnePerBatch,
    /// Deletes at `t`, puts at `t + 1`.
    TwoPerBatch,
}

/// Whose marker a transactional sink reads.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Marker {
    None,
    /// One for all sinks.
    Shared,
    PerSink,
    /// Its own, kept in the group of monitors.
    InMonitorsGroup,
}

/// When a batch may enter the sinks.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum SinkOrder {
    /// Once the one before is checkpointed.
    Serial,
    /// Once all before are acknowledged.
    AfterAcknowledged,
    /// At once.
    Concurrent,
}

/// How dead letters are sent.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Letters {
    /// As soon as they are known, before the intent.
    WhileRunning,
    /// With the sinks, as plain records.
    Plain,
    /// In the transaction of the first transactional sink.
    InSinkTransaction,
}

/// Where a job goes on whose checkpoint log is lost.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum ResumeAt {
    Earliest,
    Group,
    /// The least of the markers, and of the group where there are other sinks.
    LeastMarker,
}

/// What is done when the checkpoint log is lost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AfterLoss {
    pub(crate) resume_at: ResumeAt,
    /// Times go on from the clock, not from 0.
    pub(crate) times_from_clock: bool,
    /// A new epoch: old markers are compared by offsets, not by batch.
    pub(crate) new_epoch: bool,
    /// A sink is not given records that its marker covers.
    pub(crate) leaves_out_records: bool,
    /// Sinks are fenced before their markers are read.
    pub(crate) fences: bool,
}

/// What is done when planned batches are given up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Replan {
    /// Their numbers are not used again.
    pub(crate) passes_numbers: bool,
    /// Nor their times.
    pub(crate) passes_times: bool,
    /// A sink is not given records that its marker covers.
    pub(crate) leaves_out: bool,
}

/// The rules of the protocol.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) intent: Intent,
    pub(crate) times: Times,
    pub(crate) sink_order: SinkOrder,
    /// A row goes over one connection: its requests arrive in order.
    pub(crate) row_in_order: bool,
    pub(crate) marker: Marker,
    /// Markers are compared by batch number, not by offsets.
    pub(crate) marker_by_number: bool,
    /// Fence, then read the marker.
    pub(crate) fence_first: bool,
    /// Sinks, then the checkpoint.
    pub(crate) checkpoint_last: bool,
    /// The checkpoint, then the consumer group.
    pub(crate) group_last: bool,
    /// A deployment's record is durable before a batch names it.
    pub(crate) record_first: bool,
    /// State is reset in a checkpoint, not at the deploy.
    pub(crate) reset_in_checkpoint: bool,
    pub(crate) letters: Letters,
    pub(crate) sync_intent: bool,
    pub(crate) sync_checkpoint: bool,
    /// The group is told of what is synced alone.
    pub(crate) group_after_sync: bool,
    pub(crate) after_loss: AfterLoss,
    pub(crate) replan: Replan,
    /// Which version runs which part is the deployment's that a batch names. Else it is what holds
    /// when the batch is run, or run again.
    pub(crate) parts_by_deployment: bool,
}

/// How often what may go wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    pub(crate) kills: u8,
    pub(crate) time_outs: u8,
    pub(crate) power_losses: u8,
    pub(crate) log_losses: u8,
    pub(crate) compactions: u8,
    /// Requests of a dead process, or given up, may still arrive.
    pub(crate) late_requests: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Sinks {
    pub(crate) hbase: bool,
    pub(crate) transactional: usize,
    pub(crate) plain: bool,
}

/// What is checked beyond what always holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checks {
    /// No reader of the table sees an older value return.
    pub(crate) readers: bool,
    /// Transactional sinks hold each result once; else: at least once.
    pub(crate) exactly_once: bool,
    /// No dead letter is doubled.
    pub(crate) letters_once: bool,
}

/// A scenario.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Of two partitions.
    pub(crate) records: [Vec<Record>; 2],
    /// In the order in which the user deploys them; the first one runs at the start.
    pub(crate) deployments: Vec<Deployment>,
    /// Most batches under way.
    pub(crate) in_flight: usize,
    /// Most records of a partition in a batch.
    pub(crate) batch_records: u8,
    /// The second batch may have no records, and a result all the same: a window closed.
    pub(crate) empty_batch: bool,
    /// The job keeps a count, and gives one result a batch.
    pub(crate) keyed: bool,
    pub(crate) sinks: Sinks,
    pub(crate) rules: Rules,
    pub(crate) faults: Faults,
    pub(crate) checks: Checks,
}
