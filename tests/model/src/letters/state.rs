//! All of the system at one moment.

use super::Letters;

/// A bit for each record.
pub(super) type Set = u8;

/// Where a dead letter comes from: the guest, or a sink whose server refused the row.
pub(super) const GUEST: usize = 0;
pub(super) const MARKED: usize = 1;
pub(super) const IDEMPOTENT: usize = 2;
pub(super) const ORIGINS: usize = 3;

/// Dead letters by origin.
pub(super) type LetterSets = [Set; ORIGINS];

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Intent {
    pub(super) batch: u8,
    pub(super) from: u8,
    pub(super) to: u8,
    /// The rows that the marked sink refused, where they are noted beside the intent.
    pub(super) noted: Set,
}

/// The transactional servers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(super) enum Server {
    Marked,
    Letters,
}

/// A marker; batch 0: none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, PartialOrd, Ord)]
pub(super) struct Marker {
    pub(super) batch: u8,
    /// The marked sink: the refused rows. Dead letters: which they are.
    pub(super) refused: Set,
    pub(super) letters: LetterSets,
}

/// What a transactional server holds beside its rows.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Fenced {
    pub(super) fence: u8,
    pub(super) marker: Marker,
}

/// The host's producer; fence 0: not open.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Producer {
    pub(super) fence: u8,
    pub(super) marker: Option<Marker>,
}

/// How far the marked sink's transaction is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Transaction {
    No,
    /// The rows are in the open transaction, and the server has said which it refuses.
    Written,
    Noted,
    Sent,
    Committed,
    Done,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Sending {
    No,
    UnderWay,
    Done,
}

/// The batch under way, in memory.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Batch {
    pub(super) intent: Intent,
    pub(super) transaction: Transaction,
    pub(super) upserts_sent: Set,
    pub(super) upserts_answered: Set,
    /// What is known as refused by now, and the poison of the guest.
    pub(super) letters: LetterSets,
    pub(super) letters_sent: LetterSets,
    pub(super) sending: Sending,
    pub(super) is_checkpointed: bool,
}

/// The host while it is up. By server: its producers.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Host {
    pub(super) producers: [Producer; 2],
    pub(super) batch: Option<Batch>,
    /// It found other letters in the topic than it has.
    pub(super) has_stopped: bool,
}

/// A request on its way.
#[derive(Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(super) struct Request {
    pub(super) kind: RequestKind,
    pub(super) is_awaited: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(super) enum RequestKind {
    /// Commits rows with a marker.
    Commit {
        fence: u8,
        rows: Set,
        marker: Marker,
    },
    Upsert {
        record: u8,
    },
    /// Sends letters; the fence counts where they have a marker.
    Letters {
        fence: u8,
        batch: u8,
        letters: LetterSets,
    },
}

#[derive(Clone, Hash, Debug)]
pub(super) struct State {
    /// The checkpoint log.
    pub(super) batch: u8,
    pub(super) committed: u8,
    pub(super) intent: Option<Intent>,
    pub(super) host: Option<Host>,
    pub(super) network: Vec<Request>,
    /// The servers, by [`Server`].
    pub(super) servers: [Fenced; 2],
    /// How often the marked sink holds each row; 2 stands for more as well.
    pub(super) rows: Vec<u8>,
    pub(super) upserted: Set,
    /// By origin: how often each record is a dead letter; 2 stands for more as well.
    pub(super) letters: [Vec<u8>; ORIGINS],
    pub(super) is_strict: bool,
    pub(super) expired_under_way: bool,
    pub(super) kills: u8,
    pub(super) time_outs: u8,
    pub(super) changes: u8,
    pub(super) expiries: u8,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Action {
    Start,
    Kill,
    /// Runs so many records and writes the intent.
    Begin(u8),
    Fence(Server),
    ReadMarker(Server),
    /// The marker says that the server holds the batch.
    Skip(Server),
    WriteRows,
    Note,
    Commit,
    Upsert(u8),
    SendLetters,
    Checkpoint,
    Arrive(usize),
    Vanish(usize),
    TimeOut(usize),
    ChangeRules,
    Expire,
}

impl State {
    pub(super) fn new(config: &Letters) -> State {
        let none = vec![0; config.records.len()];
        State {
            batch: 0,
            committed: 0,
            intent: None,
            host: None,
            network: Vec::new(),
            servers: Default::default(),
            rows: none.clone(),
            upserted: 0,
            letters: [none.clone(), none.clone(), none],
            is_strict: true,
            expired_under_way: false,
            kills: config.kills,
            time_outs: config.time_outs,
            changes: config.changes,
            expiries: config.expiries,
        }
    }

    pub(super) fn batch_is_open(&self) -> bool {
        let in_memory = self.host.as_ref().is_some_and(|host| host.batch.is_some());
        self.intent.is_some() || in_memory
    }

    /// The batch under way, while the host is up.
    pub(super) fn batch_mut(&mut self) -> Option<&mut Batch> {
        self.host.as_mut()?.batch.as_mut()
    }
}

/// Adds one to the count of each record of the set.
pub(super) fn add(counts: &mut [u8], set: Set) {
    for (record, count) in counts.iter_mut().enumerate() {
        *count = (*count + (set >> record & 1)).min(2);
    }
}
