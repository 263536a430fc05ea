//! Two hosts and one task: its checkpoint log and a transactional sink are in Kafka, an HBase table
//! is outside of it. A host that was replaced goes on until Kafka refuses it: a zombie.

mod steps;
mod scenarios;

use crate::checker::Model;

pub(crate) use scenarios::scenarios;

/// A scenario.
#[derive(Clone, Debug)]
struct Takeover {
    /// Whether a record puts the row; else it deletes it.
    puts: Vec<bool>,
    /// How often a host takes the task while the other one has it.
    takeovers: u8,
    time_outs: u8,
    /// Whether readers must not see an older value return; else the table counts at rest.
    readers: bool,
    rules: Rules,
}

#[derive(Clone, Copy, Debug)]
struct Rules {
    intent: bool,
    /// A write of a replaced host is refused.
    intent_is_fenced: bool,
    checkpoint_is_fenced: bool,
    fence_before_read: bool,
    times: Times,
}

/// The times of HBase cells.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Times {
    Server,
    /// Each host's clock: the second one's is behind.
    Clocks,
    /// The same, and after the one in the checkpoint.
    ClocksAndCheckpoint,
}

/// The clocks of the two hosts.
const CLOCKS: [u8; 2] = [40, 0];

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Intent {
    batch: u8,
    from: u8,
    to: u8,
    time: u8,
    host: u8,
}

/// What Kafka holds of the task.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Log {
    /// Rises with every host that fences the ones before.
    fence: u8,
    batch: u8,
    committed: u8,
    time: u8,
    intents: Vec<Intent>,
    /// The spans that the transactional sink holds.
    sink: Vec<(u8, u8)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
enum Phase {
    #[default]
    Off,
    /// Fenced and not read, or read and not fenced.
    Starting,
    Running,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Delivery {
    ToSend,
    Sent,
    Acknowledged,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Batch {
    intent: Intent,
    is_planned: bool,
    delivery: Delivery,
}

/// A host's memory.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Host {
    phase: Phase,
    /// How often it has started: requests of before are nobody's.
    starts: u8,
    fence: u8,
    batch: u8,
    committed: u8,
    time: u8,
    /// Intents of before, to replay.
    replay: Vec<Intent>,
    current: Option<Batch>,
}

/// A request to the table.
#[derive(Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
struct Request {
    host: u8,
    starts: u8,
    batch: u8,
    delete: bool,
    time: u8,
    rank: u8,
}

/// No start of a host has this number: the request is nobody's.
const NOBODY: u8 = 99;

#[derive(Clone, Hash, Debug, Default)]
struct State {
    log: Log,
    hosts: [Host; 2],
    network: Vec<Request>,
    /// Time and rank of the newest delete and of the put that shows.
    tombstone: (u8, u8),
    put: Option<(u8, u8)>,
    seen: u8,
    has_regressed: bool,
    takeovers: u8,
    time_outs: u8,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Action {
    Fence(usize),
    Read(usize),
    Cut(usize, u8),
    WriteIntent(usize),
    Send(usize),
    Checkpoint(usize),
    Arrive(usize),
    TimeOut(usize),
    Vanish(usize),
}

impl State {
    fn is_taken(&self) -> bool {
        self.hosts.iter().any(|host| host.phase != Phase::Off)
    }

    /// The host goes on from Off, or from Starting.
    fn advance(&mut self, at: usize) -> &mut Host {
        if self.hosts[at].phase == Phase::Off {
            self.takeovers -= u8::from(self.is_taken());
            self.hosts[at].starts += 1;
            self.hosts[at].phase = Phase::Starting;
        } else {
            self.hosts[at].phase = Phase::Running;
        }
        &mut self.hosts[at]
    }

    /// The batch under way that a request belongs to, if somebody waits for it.
    fn waiting(&mut self, request: &Request) -> Option<&mut Batch> {
        let host = &mut self.hosts[usize::from(request.host)];
        let batch = host
            .current
            .as_mut()
            .filter(|_| host.starts == request.starts)?;
        (batch.intent.batch == request.batch).then_some(batch)
    }

    fn write_cell(&mut self, request: &Request, rules: &Rules) {
        let newest = self.tombstone.0.max(self.put.map_or(0, |put| put.0));
        let time = if rules.times == Times::Server {
            newest + 1
        } else {
            request.time
        };
        if request.delete {
            if time >= self.tombstone.0 {
                self.tombstone = (time, request.rank);
            }
            self.put = self.put.filter(|put| put.0 > self.tombstone.0);
        } else if time > self.tombstone.0 && self.put.is_none_or(|put| time >= put.0) {
            self.put = Some((time, request.rank));
        }
    }
}

impl Model for Takeover {
    type State = State;
    type Action = Action;

    fn initial(&self) -> State {
        State {
            takeovers: self.takeovers,
            time_outs: self.time_outs,
            ..State::default()
        }
    }

    fn actions(&self, state: &State, into: &mut Vec<Action>) {
        for (at, request) in state.network.iter().enumerate() {
            into.push(Action::Arrive(at));
            if state.time_outs > 0 {
                into.push(Action::TimeOut(at));
            }
            let host = &state.hosts[usize::from(request.host)];
            if host.starts != request.starts || host.phase == Phase::Off {
                into.push(Action::Vanish(at));
            }
        }
        (0..2).for_each(|at| self.steps_of(state, at, into));
    }

    fn apply(&self, state: &mut State, action: Action) {
        match action {
            Action::Fence(at) => {
                state.log.fence += 1;
                let fence = state.log.fence;
                state.advance(at).fence = fence;
            }
            Action::Read(at) => {
                let log = state.log.clone();
                let host = state.advance(at);
                (host.batch, host.committed, host.time) = (log.batch, log.committed, log.time);
                (host.replay, host.current) = (log.intents, None);
            }
            Action::Cut(at, to) => self.cut(&mut state.hosts[at], at, to),
            Action::WriteIntent(at) => self.write_intent(state, at),
            Action::Send(at) => self.send(state, at),
            Action::Checkpoint(at) => self.checkpoint(state, at),
            Action::TimeOut(at) => {
                state.time_outs -= 1;
                let request = state.network[at].clone();
                if let Some(batch) = state.waiting(&request) {
                    batch.delivery = Delivery::ToSend;
                }
                state.network[at].starts = NOBODY;
            }
            Action::Vanish(at) => drop(state.network.remove(at)),
            Action::Arrive(at) => {
                let request = state.network.remove(at);
                state.write_cell(&request, &self.rules);
                if self.readers {
                    let rank = state.put.map_or(state.tombstone.1, |put| put.1);
                    state.has_regressed |= rank < state.seen;
                    state.seen = rank;
                }
                if let Some(batch) = state.waiting(&request) {
                    batch.delivery = Delivery::Acknowledged;
                }
            }
        }
        state.network.sort();
    }

    fn is_progress(&self, action: Action) -> bool {
        !matches!(action, Action::TimeOut(_))
    }

    fn violation(&self, state: &State, at_rest: bool) -> Option<String> {
        if state.has_regressed {
            return Some("a reader sees an older value return".to_owned());
        }
        let mut committed = 0;
        for &(from, to) in &state.log.sink {
            if from != committed {
                return Some("the transactional sink lost a batch or holds it twice".to_owned());
            }
            committed = to;
        }
        // A takeover may still come, so a state like this one is never at rest by itself.
        let is_idle = |host: &Host| {
            let has_nothing = host.current.is_none() && host.replay.is_empty();
            let is_done = host.phase == Phase::Off || host.committed == self.end();
            host.phase != Phase::Starting && has_nothing && is_done
        };
        let is_quiet = state.network.is_empty() && state.hosts.iter().all(is_idle);
        if is_quiet && state.log.committed == self.end() {
            let wanted = self.puts.last().filter(|&&puts| puts).map(|_| self.end());
            let found = state.put.map(|put| put.1);
            if found != wanted {
                return Some(format!("the table shows {found:?}, undisturbed {wanted:?}"));
            }
        }
        let is_stuck = at_rest && state.log.committed != self.end();
        is_stuck.then(|| "stuck: nothing more happens, and not all is done".to_owned())
    }

    fn describe(&self, state: &State, action: Action) -> String {
        let name = |at: usize| ["host a", "host b"][at];
        let number = |at: usize| {
            let host = &state.hosts[at];
            let current = host.current.as_ref().map(|batch| batch.intent.batch);
            current
                .or_else(|| host.replay.first().map(|intent| intent.batch))
                .unwrap_or(0)
        };
        let request = |at: usize| {
            let request = &state.network[at];
            let kind = if request.delete { "delete" } else { "put" };
            format!(
                "the {kind} of batch {} by {}",
                request.batch,
                name(request.host.into())
            )
        };
        match action {
            Action::Fence(at) => format!("{} fences", name(at)),
            Action::Read(at) => format!("{} reads the checkpoint and intents", name(at)),
            Action::Cut(at, to) => {
                format!(
                    "{} cuts batch {} to {to}",
                    name(at),
                    state.hosts[at].batch + 1
                )
            }
            Action::WriteIntent(at) if state.hosts[at].replay.is_empty() => {
                format!("{} writes the intent of batch {}", name(at), number(at))
            }
            Action::WriteIntent(at) => format!("{} takes up intent {}", name(at), number(at)),
            Action::Send(at) => format!("{} sends batch {} to the table", name(at), number(at)),
            Action::Checkpoint(at) => format!("{} checkpoints batch {}", name(at), number(at)),
            Action::Arrive(at) => format!("{} arrives", request(at)),
            Action::TimeOut(at) => format!("time-out of {}", request(at)),
            Action::Vanish(at) => format!("{} is lost", request(at)),
        }
    }
}
