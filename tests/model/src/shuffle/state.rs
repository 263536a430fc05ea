//! All of the system at one moment.

use super::WINDOWS;

/// A window's number; also a line: windows below it are closed.
pub(super) type Window = u8;

/// The checkpoint of a task with its state.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Checkpoint {
    pub(super) batch: u8,
    pub(super) committed: u8,
    /// The time of its HBase cells.
    pub(super) time: u8,
    /// A source task: the furthest window of its partition.
    pub(super) furthest: Window,
    /// The keyed task: what it counts, the windows that it has closed, and by sender the line and
    /// the last batch that it has heard.
    pub(super) counts: [u8; WINDOWS],
    pub(super) total: u8,
    pub(super) closed: Window,
    pub(super) lines: [Window; 2],
    pub(super) heard: [u8; 2],
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Intent {
    pub(super) batch: u8,
    pub(super) to: u8,
    pub(super) time: u8,
}

/// A batch's items for the keyed task.
#[derive(Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(super) struct Frame {
    pub(super) from: u8,
    pub(super) batch: u8,
    pub(super) counts: [u8; WINDOWS],
    pub(super) line: Window,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(super) enum Effect {
    Put { time: u8, total: u8 },
    Append(Frame),
}

/// A request on its way.
#[derive(Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(super) struct Request {
    pub(super) host: u8,
    pub(super) task: u8,
    pub(super) starts: u8,
    pub(super) batch: u8,
    pub(super) effect: Effect,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) enum Phase {
    #[default]
    Off,
    /// Fenced and not read, or read and not fenced.
    Starting,
    Running,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Delivery {
    ToSend,
    Sent,
    Acknowledged,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Batch {
    pub(super) intent: Intent,
    pub(super) delivery: Delivery,
}

/// What a host has in memory of a task.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Worker {
    pub(super) phase: Phase,
    /// How often it has started: requests of before are nobody's.
    pub(super) starts: u8,
    pub(super) fence: u8,
    pub(super) checkpoint: Checkpoint,
    pub(super) replay: Option<Intent>,
    pub(super) current: Option<Batch>,
}

impl Worker {
    pub(super) fn stop(&mut self) {
        self.phase = Phase::Off;
        (self.replay, self.current) = (None, None);
    }

    pub(super) fn is_idle(&self) -> bool {
        self.phase != Phase::Starting && self.current.is_none() && self.replay.is_none()
    }
}

#[derive(Clone, Hash, Debug, Default)]
pub(super) struct State {
    /// By task.
    pub(super) fences: [u8; 3],
    pub(super) checkpoints: [Checkpoint; 3],
    pub(super) intents: [Option<Intent>; 3],
    /// The keyed task's checkpoint before the newest one.
    pub(super) before: Option<Checkpoint>,
    /// The repartition topic.
    pub(super) frames: Vec<Frame>,
    /// Results of windows.
    pub(super) results: Vec<(Window, u8)>,
    pub(super) hosts: [[Worker; 3]; 2],
    /// By host: its local store of the keyed task's state.
    pub(super) stores: [Option<Checkpoint>; 2],
    pub(super) network: Vec<Request>,
    /// The table's cell: time and total; and the newest total that a reader has seen.
    pub(super) put: (u8, u8),
    pub(super) seen: u8,
    pub(super) has_regressed: bool,
    pub(super) takeovers: u8,
    pub(super) kills: u8,
    pub(super) time_outs: u8,
}

impl State {
    pub(super) fn is_taken(&self, task: usize) -> bool {
        self.hosts.iter().any(|host| host[task].phase != Phase::Off)
    }

    /// The batch under way that a request belongs to, if somebody waits for it.
    pub(super) fn waiting(&mut self, request: &Request) -> Option<&mut Batch> {
        let worker = &mut self.hosts[usize::from(request.host)][usize::from(request.task)];
        let batch = worker
            .current
            .as_mut()
            .filter(|_| worker.starts == request.starts)?;
        (batch.intent.batch == request.batch).then_some(batch)
    }
}
