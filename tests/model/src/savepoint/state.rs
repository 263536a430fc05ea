//! All of the system at one moment.

use super::{RECORDS, Savepoint};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Checkpoint {
    pub(super) epoch: u8,
    pub(super) batch: u8,
    pub(super) committed: u8,
    /// The state of the job.
    pub(super) count: u8,
    pub(super) time: u8,
    /// The marked sink is not given what lies below.
    pub(super) already: u8,
    /// The epoch and batch of the savepoint that it is of, until its first batch.
    pub(super) restored: Option<(u8, u8)>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Intent {
    pub(super) batch: u8,
    pub(super) from: u8,
    pub(super) to: u8,
    pub(super) time: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Job {
    Absent,
    /// Its sinks are not open.
    Starts,
    Runs,
    Paused,
    /// It stopped, and says why.
    Refused,
}

/// One data folder, and what its host has in memory.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Host {
    pub(super) job: Job,
    pub(super) checkpoint: Option<Checkpoint>,
    pub(super) intent: Option<Intent>,
    /// In memory: the sink has acknowledged the batch under way.
    pub(super) delivered: bool,
    /// Times go by the clock.
    pub(super) by_clock: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Marker {
    pub(super) epoch: u8,
    pub(super) batch: u8,
    pub(super) offset: u8,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct State {
    pub(super) hosts: [Host; 2],
    /// The file.
    pub(super) saved: Option<Checkpoint>,
    /// It stopped its job, which has not run since.
    pub(super) stopped: bool,
    pub(super) restored: bool,
    pub(super) now: u8,
    pub(super) epoch: u8,
    /// The cell: time and value.
    pub(super) cell: (u8, u8),
    /// A request that is still on its way.
    pub(super) late: Option<(u8, u8)>,
    /// How often the sink has each record.
    pub(super) rows: [u8; RECORDS],
    pub(super) marker: Option<Marker>,
    /// Whoever fenced last.
    pub(super) owner: u8,
    pub(super) kills: u8,
}

impl State {
    pub(super) fn new(config: &Savepoint) -> State {
        let host = |job| Host {
            job,
            checkpoint: None,
            intent: None,
            delivered: false,
            by_clock: true,
        };
        let mut first = host(Job::Starts);
        first.checkpoint = Some(Checkpoint {
            epoch: 1,
            batch: 0,
            committed: 0,
            count: 0,
            time: 0,
            already: 0,
            restored: None,
        });
        State {
            hosts: [first, host(Job::Absent)],
            saved: None,
            stopped: false,
            restored: false,
            now: 1,
            epoch: 1,
            cell: (0, 0),
            late: None,
            rows: [0; RECORDS],
            marker: None,
            owner: 0,
            kills: config.kills,
        }
    }

    pub(super) fn put(&mut self, (time, value): (u8, u8)) {
        if time >= self.cell.0 {
            self.cell = (time, value);
        }
    }
}
