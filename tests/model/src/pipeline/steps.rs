//! What the host's steps and the faults of its machine do.

use super::actions::Action;
use super::config::{Config, Intent, Letters, ResumeAt};
use super::state::{
    Batch, BatchIntent, Log, Message, Producer, Request, RequestKind, Sending, State,
};

impl Config {
    pub(super) fn take(&self, state: &mut State, action: Action) {
        match action {
            Action::Start => self.start(state),
            Action::Kill => {
                state.kills -= 1;
                self.go_down(state);
            }
            Action::LosePower(kept) => {
                state.power_losses -= 1;
                self.go_down(state);
                state.journal = vec![state.journal[kept].clone()];
            }
            Action::LoseCheckpoint => self.lose_checkpoint(state),
            Action::Deploy => self.deploy(state),
            Action::RecordDeployment => {
                let newest = state.newest;
                state.write(self, true, |log| log.active = newest);
            }
            Action::GiveUp => self.give_up(state),
            Action::Abandon => {
                let first = self.first_to_abandon(state).unwrap_or(state.batches.len());
                state.batches.truncate(first);
            }
            Action::Sync => {
                state.journal.drain(..state.journal.len() - 1);
            }
            Action::Cut { to, quarantined } => self.cut(state, to, quarantined),
            Action::Run { batch, quarantined } => self.run(state, batch, quarantined),
            Action::WriteIntent(at) => {
                let intent = state.batches[at].intent.clone();
                state.write(self, self.rules.sync_intent, |log| log.intents.push(intent));
                state.batches[at].is_ready = true;
            }
            Action::Checkpoint => self.checkpoint(state),
            Action::CommitGroup => state.group = self.for_group(state).or(state.group),
            Action::Compact => {
                state.compactions -= 1;
                state.cells.iter_mut().for_each(|cell| cell.compact());
            }
            Action::Arrive(at) => self.arrive(state, at),
            Action::Vanish(at) => drop(state.network.remove(at)),
            Action::TimeOut(at) => self.time_out(state, at),
            Action::Fence(_) | Action::ReadMarker(_) => self.open(state, action),
            Action::Skip { batch, sink } => {
                state.batches[batch].transactions[sink] = Sending::Done;
            }
            Action::SendCell { .. }
            | Action::SendTransaction { .. }
            | Action::SendPlain(_)
            | Action::SendLetters(_) => self.send(state, action),
        }
        if !self.rules.checkpoint_last {
            let is_over = |batch: &Batch| batch.is_checkpointed && self.is_acknowledged(batch);
            while state.batches.first().is_some_and(is_over) {
                state.batches.remove(0);
            }
        }
        state.network.sort();
    }

    /// The host reads its log and takes the intents up again.
    fn start(&self, state: &mut State) {
        state.is_up = true;
        let log = state.log().clone();
        state.newest = log.active;
        if self.is_to_give_up(state) {
            return;
        }
        let mut before = (log.count, log.deployment);
        for mut intent in log.intents {
            if !self.rules.parts_by_deployment {
                intent.parts = log.active;
            }
            let (has_run, deployment) = (intent.has_run, intent.deployment);
            let count = match has_run {
                true => self.count_after(&intent, before, false),
                false => before.0,
            };
            state.batches.push(Batch::new(intent, has_run, count));
            before = (count, deployment);
        }
    }

    fn go_down(&self, state: &mut State) {
        if !self.faults.late_requests {
            state.network.clear();
        }
        state.is_up = false;
        state.batches.clear();
        state.producers = [Producer::default(); 2];
        state.newest = 0;
        state
            .network
            .iter_mut()
            .for_each(|request| request.is_awaited = false);
        state.network.sort();
        state.network.dedup();
    }

    fn lose_checkpoint(&self, state: &mut State) {
        state.log_losses -= 1;
        state.was_lost = true;
        let rules = &self.rules.after_loss;
        let sinks = self.sinks.transactional;
        if rules.fences {
            state.topics[..sinks]
                .iter_mut()
                .for_each(|topic| topic.fence += 1);
        }
        let group = state.group.unwrap_or([0, 0]);
        let committed = match rules.resume_at {
            ResumeAt::Earliest => [0, 0],
            ResumeAt::Group => group,
            ResumeAt::LeastMarker => {
                let others = (self.sinks.hbase || self.sinks.plain).then_some(group);
                let markers = state.topics[..sinks].iter().map(|topic| topic.marker.to);
                let least = |a: [u8; 2], b: [u8; 2]| [a[0].min(b[0]), a[1].min(b[1])];
                markers.chain(others).reduce(least).unwrap_or([0, 0])
            }
        };
        let active = state.log().active;
        state.journal = vec![Log {
            // Far above all numbers of the old epoch: only offsets can be compared.
            batch: if rules.new_epoch { 20 } else { 0 },
            committed,
            count: 0,
            deployment: active,
            time: if rules.times_from_clock { 20 } else { 0 },
            intents: Vec::new(),
            active,
            left_out: [[0; 2]; 2],
            history: Vec::new(),
        }];
    }

    fn deploy(&self, state: &mut State) {
        state.newest += 1;
        if self.rules.record_first {
            let newest = state.newest;
            let resets = !self.rules.reset_in_checkpoint && self.resets(newest);
            state.write(self, true, |log| {
                log.active = newest;
                log.count = if resets { 0 } else { log.count };
            });
        }
        if self.deployments[usize::from(state.newest)].replans {
            // Its pipeline ends, and one begins that gives up what was planned.
            self.go_down(state);
        }
    }

    fn cut(&self, state: &mut State, to: [u8; 2], quarantined: u16) {
        let has_run = self.runs_before_intent();
        let deployment = state.newest;
        let (from, number, time, before) = match state.batches.last() {
            Some(Batch {
                intent,
                count_after,
                ..
            }) => (
                intent.to,
                intent.batch,
                intent.time,
                (*count_after, intent.deployment),
            ),
            None => {
                let log = state.log();
                (
                    log.committed,
                    log.batch,
                    log.time,
                    (log.count, log.deployment),
                )
            }
        };
        let intent = BatchIntent {
            batch: number + 1,
            from,
            to,
            deployment,
            parts: deployment,
            time: time + 1,
            quarantined,
            has_run,
        };
        let count = if has_run {
            self.count_after(&intent, before, false)
        } else {
            before.0
        };
        if !has_run {
            let intent = intent.clone();
            state.write(self, self.rules.sync_intent, |log| log.intents.push(intent));
        }
        let is_ready = self.rules.intent == Intent::Never;
        state.batches.push(Batch::new(intent, is_ready, count));
    }

    fn run(&self, state: &mut State, at: usize, quarantined: u16) {
        let before = match at.checked_sub(1) {
            None => (state.log().count, state.log().deployment),
            Some(before) => {
                let before = &state.batches[before];
                (before.count_after, before.intent.deployment)
            }
        };
        let batch = &mut state.batches[at];
        (batch.intent.quarantined, batch.intent.has_run) = (quarantined, true);
        batch.count_after = self.count_after(&batch.intent, before, false);
        batch.is_ready = true;
    }

    fn checkpoint(&self, state: &mut State) {
        let Some(at) = state
            .batches
            .iter()
            .position(|batch| !batch.is_checkpointed)
        else {
            return;
        };
        state.batches[at].is_checkpointed = true;
        let (intent, count) = (
            state.batches[at].intent.clone(),
            state.batches[at].count_after,
        );
        state.write(self, self.rules.sync_checkpoint, |log| {
            log.batch = intent.batch;
            log.committed = intent.to;
            log.count = count;
            log.deployment = intent.deployment;
            log.time = intent.time;
            log.intents.retain(|other| other.batch > intent.batch);
            log.history.push(intent);
        });
        if self.rules.checkpoint_last {
            state.batches.remove(0);
        }
    }

    fn send(&self, state: &mut State, action: Action) {
        let (at, kind) = match action {
            Action::SendCell { batch: at, index } => {
                let batch = &mut state.batches[at];
                batch.cells_sent |= 1 << index;
                let writes = self.writes(&batch.intent, batch.count_after);
                (
                    at,
                    RequestKind::Cell {
                        index,
                        write: writes[usize::from(index)],
                    },
                )
            }
            Action::SendTransaction { batch: at, sink } => {
                state.batches[at].transactions[sink] = Sending::UnderWay;
                (at, self.transaction(state, at, sink))
            }
            Action::SendPlain(at) => {
                let batch = &mut state.batches[at];
                batch.plain = Sending::UnderWay;
                (
                    at,
                    RequestKind::Messages(self.messages(&batch.intent, batch.count_after)),
                )
            }
            Action::SendLetters(at) => {
                state.batches[at].letters = Sending::UnderWay;
                (
                    at,
                    RequestKind::Letters(state.batches[at].intent.quarantined),
                )
            }
            _ => return,
        };
        let batch = state.batches[at].intent.batch;
        state.network.push(Request {
            kind,
            batch,
            is_awaited: true,
        });
    }

    fn transaction(&self, state: &State, at: usize, sink: usize) -> RequestKind {
        let (batch, producer) = (&state.batches[at], &state.producers[sink]);
        let mut messages = self.messages(&batch.intent, batch.count_after);
        if let Some(marker) = producer.marker
            && state.was_lost
            && self.rules.after_loss.leaves_out_records
        {
            messages.retain(|message| match message {
                Message::Row { record, .. } => *record >= marker.to[0],
                Message::Result { .. } => true,
            });
        }
        let left_out = state.log().left_out[sink][0];
        messages.retain(|message| match message {
            Message::Row { record, .. } => *record >= left_out,
            Message::Result { .. } => true,
        });
        let with_letters = sink == 0 && self.rules.letters == Letters::InSinkTransaction;
        let letters = if with_letters {
            batch.intent.quarantined
        } else {
            0
        };
        let (fence, to) = (producer.fence, batch.intent.to);
        RequestKind::Transaction {
            sink: sink as u8,
            fence,
            to,
            messages,
            letters,
        }
    }
}
