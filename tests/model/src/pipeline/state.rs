//! All of the system at one moment.

use super::config::{Config, ROWS};
use super::table::{Cell, Write};

/// What a batch is.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct BatchIntent {
    pub(super) batch: u8,
    pub(super) from: [u8; 2],
    pub(super) to: [u8; 2],
    pub(super) deployment: u8,
    /// The deployment whose versions run its parts: that one, if all is well.
    pub(super) parts: u8,
    pub(super) time: u8,
    /// A bit for each record that the host quarantined.
    pub(super) quarantined: u16,
    pub(super) has_run: bool,
}

/// What the checkpoint log holds after one of its writes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Log {
    /// The checkpoint: its batch, the offsets committed, the running count, deployment and time.
    pub(super) batch: u8,
    pub(super) committed: [u8; 2],
    pub(super) count: u8,
    pub(super) deployment: u8,
    pub(super) time: u8,
    pub(super) intents: Vec<BatchIntent>,
    /// The deployment that the next batches use.
    pub(super) active: u8,
    /// What each transactional sink holds of records that are planned anew: the offsets below which
    /// it is given none.
    pub(super) left_out: [[u8; 2]; 2],
    /// For the checks alone: all batches that were checkpointed.
    pub(super) history: Vec<BatchIntent>,
}

/// How far something is that a batch sends.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Sending {
    No,
    UnderWay,
    Done,
}

/// A batch under way, in memory.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Batch {
    pub(super) intent: BatchIntent,
    /// It may enter the sinks: it has run, and its intent is written.
    pub(super) is_ready: bool,
    pub(super) count_after: u8,
    pub(super) is_checkpointed: bool,
    /// A bit for each of its writes.
    pub(super) cells_sent: u16,
    pub(super) cells_acknowledged: u16,
    pub(super) transactions: [Sending; 2],
    pub(super) plain: Sending,
    pub(super) letters: Sending,
}

impl Batch {
    pub(super) fn new(intent: BatchIntent, is_ready: bool, count_after: u8) -> Batch {
        Batch {
            intent,
            is_ready,
            count_after,
            is_checkpointed: false,
            cells_sent: 0,
            cells_acknowledged: 0,
            transactions: [Sending::No; 2],
            plain: Sending::No,
            letters: Sending::No,
        }
    }
}

/// What a topic holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(crate) enum Message {
    /// A row of one record.
    Row { record: u8, version: u8 },
    /// A keyed job's result of a batch.
    Result {
        from: [u8; 2],
        to: [u8; 2],
        version: u8,
        count: u8,
    },
}

/// A request on its way to a server.
#[derive(Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(crate) struct Request {
    pub(super) kind: RequestKind,
    pub(super) batch: u8,
    /// Somebody waits for the answer. Else its process is dead, or gave it up.
    pub(super) is_awaited: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(crate) enum RequestKind {
    Cell {
        index: u8,
        write: Write,
    },
    Transaction {
        sink: u8,
        fence: u8,
        to: [u8; 2],
        messages: Vec<Message>,
        letters: u16,
    },
    Messages(Vec<Message>),
    Letters(u16),
}

/// A transactional topic with its marker.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Topic {
    /// Rises with every producer that fences the ones before.
    pub(super) fence: u8,
    pub(super) marker: Marker,
    pub(super) messages: Vec<Message>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Marker {
    pub(super) batch: u8,
    pub(super) to: [u8; 2],
}

/// The host's producer for a transactional sink.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Producer {
    /// 0: not open.
    pub(super) fence: u8,
    pub(super) marker: Option<Marker>,
}

/// All of the system at one moment.
#[derive(Clone, Hash, Debug)]
pub(crate) struct State {
    /// The checkpoint log after each write since the last sync; a power loss keeps one of them.
    pub(super) journal: Vec<Log>,
    pub(super) is_up: bool,
    /// The deployment that the host knows as the newest.
    pub(super) newest: u8,
    pub(super) batches: Vec<Batch>,
    pub(super) producers: [Producer; 2],
    pub(super) network: Vec<Request>,
    pub(super) cells: [Cell; ROWS],
    /// The newest record that a reader has seen in each row.
    pub(super) seen: [u8; ROWS],
    /// A reader saw an older value return.
    pub(super) has_regressed: bool,
    pub(super) topics: [Topic; 2],
    /// What the plain topic holds, and how often: 2 stands for more as well.
    pub(super) plain: Vec<(Message, u8)>,
    /// How often each record is a dead letter; 2 stands for more as well.
    pub(super) letters: Vec<u8>,
    pub(super) group: Option<[u8; 2]>,
    pub(super) kills: u8,
    pub(super) time_outs: u8,
    pub(super) power_losses: u8,
    pub(super) log_losses: u8,
    pub(super) compactions: u8,
    /// The checkpoint log was lost.
    pub(super) was_lost: bool,
}

impl State {
    pub(super) fn new(config: &Config) -> State {
        let log = Log {
            batch: 0,
            committed: [0, 0],
            count: 0,
            deployment: 0,
            time: 0,
            intents: Vec::new(),
            active: 0,
            left_out: [[0; 2]; 2],
            history: Vec::new(),
        };
        State {
            journal: vec![log],
            is_up: false,
            newest: 0,
            batches: Vec::new(),
            producers: [Producer::default(); 2],
            network: Vec::new(),
            cells: [Cell::default(); ROWS],
            seen: [0; ROWS],
            has_regressed: false,
            topics: [Topic::default(), Topic::default()],
            plain: Vec::new(),
            letters: vec![0; config.records[0].len() + config.records[1].len()],
            group: None,
            kills: config.faults.kills,
            time_outs: config.faults.time_outs,
            power_losses: config.faults.power_losses,
            log_losses: config.faults.log_losses,
            compactions: config.faults.compactions,
            was_lost: false,
        }
    }

    /// The checkpoint log as the host reads it.
    pub(super) fn log(&self) -> &Log {
        &self.journal[self.journal.len() - 1]
    }

    /// What a power loss leaves at least.
    pub(super) fn synced(&self) -> &Log {
        &self.journal[0]
    }

    /// Writes to the checkpoint log. `sync`: durable at return, and all writes before with it.
    pub(super) fn write(&mut self, config: &Config, sync: bool, change: impl FnOnce(&mut Log)) {
        let mut log = self.log().clone();
        change(&mut log);
        // Without a power loss to come, an unsynced write is as good as a synced one.
        if sync || config.faults.power_losses == 0 {
            self.journal.clear();
        }
        self.journal.push(log);
    }

    pub(super) fn batch_mut(&mut self, number: u8) -> Option<&mut Batch> {
        self.batches
            .iter_mut()
            .find(|batch| batch.intent.batch == number)
    }
}
