//! What a host may do next, and what it does.

use super::{
    Action, Batch, CLOCKS, Delivery, Host, Intent, Phase, Request, State, Takeover, Times,
};

impl Takeover {
    pub(super) fn end(&self) -> u8 {
        self.puts.len() as u8
    }

    pub(super) fn steps_of(&self, state: &State, at: usize, into: &mut Vec<Action>) {
        let host = &state.hosts[at];
        let open = |first: bool| match first == self.rules.fence_before_read {
            true => Action::Fence(at),
            false => Action::Read(at),
        };
        match (host.phase, &host.current) {
            (Phase::Off, _) => {
                if !state.is_taken() || state.takeovers > 0 {
                    into.push(open(true));
                }
            }
            (Phase::Starting, _) => into.push(open(false)),
            (Phase::Running, None) if !host.replay.is_empty() => {
                into.push(Action::WriteIntent(at));
            }
            (Phase::Running, None) => {
                let to = (1..=2).map(|records| host.committed + records);
                into.extend(
                    to.filter(|&to| to <= self.end())
                        .map(|to| Action::Cut(at, to)),
                );
            }
            (Phase::Running, Some(batch)) => match (batch.is_planned, batch.delivery) {
                (false, _) => into.push(Action::WriteIntent(at)),
                (true, Delivery::ToSend) => into.push(Action::Send(at)),
                (true, Delivery::Acknowledged) => into.push(Action::Checkpoint(at)),
                (true, Delivery::Sent) => {}
            },
        }
    }

    pub(super) fn cut(&self, host: &mut Host, at: usize, to: u8) {
        let clock = CLOCKS[at];
        let time = match self.rules.times {
            Times::Clocks => clock + host.batch + 1,
            Times::Server | Times::ClocksAndCheckpoint => (host.time + 1).max(clock),
        };
        let (batch, from) = (host.batch + 1, host.committed);
        let intent = Intent {
            batch,
            from,
            to,
            time,
            host: at as u8,
        };
        let is_planned = !self.rules.intent;
        host.current = Some(Batch {
            intent,
            is_planned,
            delivery: Delivery::ToSend,
        });
    }

    /// Writes the intent of a batch that was cut, or takes up the next one of before.
    pub(super) fn write_intent(&self, state: &mut State, at: usize) {
        let host = &mut state.hosts[at];
        let delivery = Delivery::ToSend;
        if !host.replay.is_empty() {
            let intent = host.replay.remove(0);
            host.current = Some(Batch {
                intent,
                is_planned: true,
                delivery,
            });
        } else if self.rules.intent_is_fenced && state.log.fence != host.fence {
            (host.phase, host.current) = (Phase::Off, None);
        } else if let Some(batch) = &mut host.current {
            batch.is_planned = true;
            state.log.intents.push(batch.intent.clone());
        }
    }

    pub(super) fn send(&self, state: &mut State, at: usize) {
        let host = &mut state.hosts[at];
        let Some(Batch {
            intent, delivery, ..
        }) = &mut host.current
        else {
            return;
        };
        *delivery = Delivery::Sent;
        let put = self.puts[usize::from(intent.to) - 1];
        state.network.push(Request {
            host: at as u8,
            starts: host.starts,
            batch: intent.batch,
            delete: !put,
            time: if self.rules.times == Times::Server {
                0
            } else {
                2 * intent.time + put as u8
            },
            rank: intent.to,
        });
    }

    pub(super) fn checkpoint(&self, state: &mut State, at: usize) {
        let host = &mut state.hosts[at];
        let Some(Batch { intent, .. }) = host.current.take() else {
            return;
        };
        if self.rules.checkpoint_is_fenced && state.log.fence != host.fence {
            host.phase = Phase::Off;
            return;
        }
        let log = &mut state.log;
        (log.batch, log.committed, log.time) = (intent.batch, intent.to, intent.time);
        log.sink.push((intent.from, intent.to));
        log.intents.retain(|other| other.batch > intent.batch);
        (host.batch, host.committed, host.time) = (intent.batch, intent.to, intent.time);
        host.replay.retain(|other| other.batch > intent.batch);
    }
}
