//! What may happen, and what it does.

use super::state::{Batch, Checkpoint, Delivery, Effect, Intent, Phase, Request, State};
use super::{Frames, KEYED, LocalStore, Shuffle};

/// A step: of a host (the first number) at a task (the second), or of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Action {
    Fence(usize, usize),
    Read(usize, usize),
    /// Cuts a batch up to a position, runs it, writes its intent where there is one, and sends.
    Cut(usize, usize, u8),
    Replay(usize, usize),
    /// Sends again what timed out.
    Send(usize, usize),
    Checkpoint(usize, usize),
    Arrive(usize),
    TimeOut(usize),
    Vanish(usize),
    /// Kills a host.
    Kill(usize),
}

/// The clocks of the two hosts.
const CLOCKS: [u8; 2] = [40, 0];
/// No start of a host has this number: the request is nobody's.
const NOBODY: u8 = 99;

impl Shuffle {
    pub(super) fn possible(&self, state: &State, into: &mut Vec<Action>) {
        for (at, request) in state.network.iter().enumerate() {
            into.push(Action::Arrive(at));
            if state.time_outs > 0 {
                into.push(Action::TimeOut(at));
            }
            let worker = &state.hosts[usize::from(request.host)][usize::from(request.task)];
            if worker.starts != request.starts || worker.phase == Phase::Off {
                into.push(Action::Vanish(at));
            }
        }
        for host in 0..2 {
            let runs = |task: usize| state.hosts[host][task].phase != Phase::Off;
            if state.kills > 0 && self.killed().any(runs) {
                into.push(Action::Kill(host));
            }
            for task in 0..3 {
                self.of_task(state, host, task, into);
            }
        }
    }

    fn of_task(&self, state: &State, host: usize, task: usize, into: &mut Vec<Action>) {
        let worker = &state.hosts[host][task];
        let open = |first: bool| match first == self.rules.fence_before_read {
            true => Action::Fence(host, task),
            false => Action::Read(host, task),
        };
        match (worker.phase, &worker.current) {
            (Phase::Off, _) if self.may_take(state, host, task) => into.push(open(true)),
            (Phase::Off, _) => {}
            (Phase::Starting, _) => into.push(open(false)),
            (Phase::Running, None) if worker.replay.is_some() => {
                into.push(Action::Replay(host, task));
            }
            (Phase::Running, None) => {
                let to = (1..=2).map(|more| worker.checkpoint.committed + more);
                let to = to.filter(|&to| to <= self.end(state, task));
                into.extend(to.map(|to| Action::Cut(host, task, to)));
            }
            (Phase::Running, Some(batch)) => match batch.delivery {
                Delivery::ToSend => into.push(Action::Send(host, task)),
                Delivery::Acknowledged => into.push(Action::Checkpoint(host, task)),
                Delivery::Sent => {}
            },
        }
    }

    /// The tasks of a host that a kill stops.
    fn killed(&self) -> impl Iterator<Item = usize> {
        (0..3).filter(|&task| self.kill_stops_host || self.faulty[task])
    }

    /// A task that nobody has is first taken by host 0: the hosts are alike. Only tasks that faults
    /// may hit are taken over.
    fn may_take(&self, state: &State, host: usize, task: usize) -> bool {
        if state.is_taken(task) {
            return state.takeovers > 0 && self.faulty[task];
        }
        host == 0 || state.hosts[0][task].starts > 0
    }

    pub(super) fn take(&self, state: &mut State, action: Action) {
        match action {
            Action::Fence(host, task) => {
                advance(state, host, task);
                state.fences[task] += 1;
                state.hosts[host][task].fence = state.fences[task];
            }
            Action::Read(host, task) => {
                advance(state, host, task);
                self.read(state, host, task);
            }
            Action::Cut(host, task, to) => self.cut(state, host, task, to),
            Action::Replay(host, task) => {
                let worker = &mut state.hosts[host][task];
                let intent = worker.replay.take();
                worker.current = intent.map(|intent| Batch {
                    intent,
                    delivery: Delivery::ToSend,
                });
                self.send(state, host, task);
            }
            Action::Send(host, task) => self.send(state, host, task),
            Action::Checkpoint(host, task) => self.checkpoint(state, host, task),
            Action::TimeOut(at) => {
                state.time_outs -= 1;
                let request = state.network[at].clone();
                if let Some(batch) = state.waiting(&request) {
                    batch.delivery = Delivery::ToSend;
                }
                state.network[at].starts = NOBODY;
            }
            Action::Vanish(at) => drop(state.network.remove(at)),
            Action::Arrive(at) => arrive(state, at),
            Action::Kill(host) => {
                state.kills -= 1;
                self.killed()
                    .for_each(|task| state.hosts[host][task].stop());
            }
        }
        state.network.sort();
    }

    fn read(&self, state: &mut State, host: usize, task: usize) {
        let newest = state.checkpoints[task].clone();
        // Position and time come from the newest write; the state from where it is restored.
        let with_state_of = |other: &Checkpoint| Checkpoint {
            batch: newest.batch,
            committed: newest.committed,
            time: newest.time,
            ..other.clone()
        };
        let mut checkpoint = newest.clone();
        if task == KEYED {
            if let Some(before) = state
                .before
                .as_ref()
                .filter(|_| !self.rules.restores_to_end)
            {
                checkpoint = with_state_of(before);
            }
            let stored = state.stores[host]
                .as_ref()
                .filter(|store| store.batch >= newest.batch);
            if let Some(store) = stored {
                checkpoint = with_state_of(store);
            }
        }
        let intent = state.intents[task].clone();
        let worker = &mut state.hosts[host][task];
        worker.replay = intent.filter(|intent| intent.batch == newest.batch + 1);
        (worker.checkpoint, worker.current) = (checkpoint, None);
    }

    fn writes_intents(&self, task: usize) -> bool {
        match task {
            KEYED => self.rules.keyed_intents,
            _ => self.rules.source_intents && self.rules.frames != Frames::InTransaction,
        }
    }

    fn cut(&self, state: &mut State, host: usize, task: usize, to: u8) {
        let Checkpoint { batch, time, .. } = state.hosts[host][task].checkpoint;
        let time = match self.rules.times_after_checkpoint {
            true => (time + 1).max(CLOCKS[host]),
            false => CLOCKS[host] + batch + 1,
        };
        let intent = Intent {
            batch: batch + 1,
            to,
            time,
        };
        if self.writes_intents(task) {
            if task == KEYED && self.rules.local_store == LocalStore::BeforeCheckpoint {
                let made = self.run(state, task, &state.hosts[host][task].checkpoint, &intent);
                state.stores[host] = Some(made.checkpoint);
            }
            if self.rules.intent_is_fenced && state.fences[task] != state.hosts[host][task].fence {
                state.hosts[host][task].stop();
                return;
            }
            state.intents[task] = Some(intent.clone());
        }
        state.hosts[host][task].current = Some(Batch {
            intent,
            delivery: Delivery::ToSend,
        });
        self.send(state, host, task);
    }

    /// Sends what the batch has for the outside. It may arrive at any time from now on.
    fn send(&self, state: &mut State, host: usize, task: usize) {
        let Some(Batch { intent, .. }) = state.hosts[host][task].current.clone() else {
            return;
        };
        let made = self.run(state, task, &state.hosts[host][task].checkpoint, &intent);
        let effect = match task {
            KEYED if !self.hbase => None,
            KEYED => Some(Effect::Put {
                time: intent.time,
                total: made.checkpoint.total,
            }),
            _ if self.rules.frames == Frames::InTransaction => None,
            _ => Some(Effect::Append(made.frame)),
        };
        let worker = &mut state.hosts[host][task];
        let delivery = if effect.is_none() {
            Delivery::Acknowledged
        } else {
            Delivery::Sent
        };
        let (batch, starts) = (intent.batch, worker.starts);
        worker.current = Some(Batch { intent, delivery });
        let (host, task) = (host as u8, task as u8);
        let request = effect.map(|effect| Request {
            host,
            task,
            starts,
            batch,
            effect,
        });
        state.network.extend(request);
    }

    /// One write: checkpoint, state and results, and frames where they are in the transaction.
    fn checkpoint(&self, state: &mut State, host: usize, task: usize) {
        let Some(Batch { intent, .. }) = state.hosts[host][task].current.take() else {
            return;
        };
        let made = self.run(state, task, &state.hosts[host][task].checkpoint, &intent);
        if self.rules.checkpoint_is_fenced && state.fences[task] != state.hosts[host][task].fence {
            state.hosts[host][task].stop();
            return;
        }
        if task == KEYED {
            state.before = Some(state.checkpoints[KEYED].clone());
            if self.rules.local_store == LocalStore::AfterCheckpoint {
                state.stores[host] = Some(made.checkpoint.clone());
            }
        } else if self.rules.frames == Frames::InTransaction {
            state.frames.push(made.frame);
        }
        state.checkpoints[task] = made.checkpoint.clone();
        state.intents[task] = None;
        state.results.extend(made.results);
        state.hosts[host][task].checkpoint = made.checkpoint;
        state.hosts[host][task].replay = None;
    }
}

/// A host goes on from Off to Starting, or from Starting to Running.
fn advance(state: &mut State, host: usize, task: usize) {
    if state.hosts[host][task].phase == Phase::Off {
        state.takeovers -= u8::from(state.is_taken(task));
        state.hosts[host][task].starts += 1;
        state.hosts[host][task].phase = Phase::Starting;
    } else {
        state.hosts[host][task].phase = Phase::Running;
    }
}

fn arrive(state: &mut State, at: usize) {
    let request = state.network.remove(at);
    if let Some(batch) = state.waiting(&request) {
        batch.delivery = Delivery::Acknowledged;
    }
    match request.effect {
        Effect::Append(frame) => state.frames.push(frame),
        Effect::Put { time, total } => {
            if time >= state.put.0 {
                state.put = (time, total);
            }
            state.has_regressed |= state.put.1 < state.seen;
            state.seen = state.put.1;
        }
    }
}
