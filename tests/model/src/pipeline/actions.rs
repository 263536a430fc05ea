//! What may happen next.

use super::config::{Config, Intent, Letters, Marker, SinkOrder};
use super::state::{Batch, RequestKind, Sending, State};

/// A step. A batch is named by its place among those under way, a request by its place on the
/// network.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Action {
    Start,
    Kill,
    /// Of the journal's writes, those up to this one are kept.
    LosePower(usize),
    LoseCheckpoint,
    /// The user deploys the next version.
    Deploy,
    /// A deployment's record becomes durable, where that is late.
    RecordDeployment,
    /// Batches with an intent are given up, as the newest deployment says.
    GiveUp,
    /// Batches without an intent are given up, since a newer deployment is there.
    Abandon,
    Cut {
        to: [u8; 2],
        quarantined: u16,
    },
    Run {
        batch: usize,
        quarantined: u16,
    },
    WriteIntent(usize),
    Sync,
    SendCell {
        batch: usize,
        index: u8,
    },
    /// The sink's marker says that it holds the batch.
    Skip {
        batch: usize,
        sink: usize,
    },
    SendTransaction {
        batch: usize,
        sink: usize,
    },
    SendPlain(usize),
    SendLetters(usize),
    /// A new producer fences the ones before; it reads the marker at once where that is the rule.
    Fence(usize),
    ReadMarker(usize),
    /// A request arrives at its server.
    Arrive(usize),
    /// A request is lost that nobody waits for.
    Vanish(usize),
    /// The host gives a request up; it stays on its way.
    TimeOut(usize),
    Compact,
    Checkpoint,
    CommitGroup,
}

impl Config {
    pub(super) fn possible(&self, state: &State, into: &mut Vec<Action>) {
        self.servers(state, into);
        if !state.is_up {
            into.push(Action::Start);
            if state.log_losses > 0 && (state.log().batch > 0 || !state.log().intents.is_empty()) {
                into.push(Action::LoseCheckpoint);
            }
            return;
        }
        self.faults_and_user(state, into);
        if self.is_to_give_up(state) {
            self.producers(state, into);
            if self.may_give_up(state) {
                into.push(Action::GiveUp);
            }
            return;
        }
        self.cuts(state, into);
        for at in 0..state.batches.len() {
            self.of_batch(state, at, into);
        }
        self.producers(state, into);
        self.ends(state, into);
    }

    fn servers(&self, state: &State, into: &mut Vec<Action>) {
        if state.compactions > 0 && state.cells.iter().any(|cell| cell.has_tombstone()) {
            into.push(Action::Compact);
        }
        for (at, request) in state.network.iter().enumerate() {
            if !(self.rules.row_in_order && is_behind_another(state, at)) {
                into.push(Action::Arrive(at));
            }
            if !request.is_awaited {
                into.push(Action::Vanish(at));
            }
            let retried = matches!(
                request.kind,
                RequestKind::Cell { .. } | RequestKind::Transaction { .. }
            );
            if retried && request.is_awaited && state.time_outs > 0 {
                into.push(Action::TimeOut(at));
            }
        }
    }

    fn faults_and_user(&self, state: &State, into: &mut Vec<Action>) {
        if state.kills > 0 {
            into.push(Action::Kill);
        }
        if state.power_losses > 0 {
            into.extend((0..state.journal.len()).map(Action::LosePower));
        }
        if usize::from(state.newest) + 1 < self.deployments.len() {
            into.push(Action::Deploy);
        }
        if state.newest != state.log().active {
            into.push(Action::RecordDeployment);
        }
        if state.journal.len() > 1 {
            into.push(Action::Sync);
        }
        if self.first_to_abandon(state).is_some() {
            into.push(Action::Abandon);
        }
    }

    /// The first batch that may be cut again by a newer deployment: its intent is not written.
    pub(super) fn first_to_abandon(&self, state: &State) -> Option<usize> {
        let is_old = |batch: &Batch| batch.intent.deployment != state.newest;
        let first = match self.rules.intent {
            Intent::BeforeRun => None,
            Intent::AfterRun => state
                .batches
                .iter()
                .position(|batch| !batch.is_checkpointed && !has_intent(state, batch.intent.batch)),
            Intent::Never => state
                .batches
                .iter()
                .position(|batch| is_old(batch) && !batch.is_ready),
        };
        first.filter(|&at| is_old(&state.batches[at]))
    }

    fn cuts(&self, state: &State, into: &mut Vec<Action>) {
        let runs_first = self.runs_before_intent();
        let all_ran = state
            .batches
            .iter()
            .all(|batch| !runs_first || batch.is_ready || batch.intent.has_run);
        if state.batches.len() >= self.in_flight || !all_ran {
            return;
        }
        let (from, after) = self.tail(state);
        let end = self.end();
        for first in 0..=self.batch_records.min(end[0] - from[0]) {
            for second in 0..=self.batch_records.min(end[1] - from[1]) {
                if first + second == 0 && !(self.empty_batch && after == 1) {
                    continue;
                }
                let to = [from[0] + first, from[1] + second];
                if runs_first {
                    let outcomes = self.runs(from, to, state.newest);
                    into.extend(
                        outcomes
                            .into_iter()
                            .map(|quarantined| Action::Cut { to, quarantined }),
                    );
                } else {
                    into.push(Action::Cut { to, quarantined: 0 });
                }
            }
        }
    }

    fn of_batch(&self, state: &State, at: usize, into: &mut Vec<Action>) {
        let (before, batch) = (&state.batches[..at], &state.batches[at]);
        let intent = &batch.intent;
        if !intent.has_run && before.iter().all(|other| other.intent.has_run) {
            let outcomes = self.runs(intent.from, intent.to, intent.deployment);
            into.extend(outcomes.into_iter().map(|quarantined| Action::Run {
                batch: at,
                quarantined,
            }));
        }
        if intent.has_run && !batch.is_ready && before.iter().all(|other| other.is_ready) {
            into.push(Action::WriteIntent(at));
        }
        let early_letters = self.rules.letters == Letters::WhileRunning;
        let unsent = intent.quarantined != 0 && batch.letters == Sending::No;
        if early_letters && intent.has_run && unsent {
            into.push(Action::SendLetters(at));
            return;
        }
        let must_checkpoint = !self.rules.checkpoint_last && !batch.is_checkpointed;
        if batch.is_ready && !must_checkpoint && self.may_enter_sinks(state, at) {
            self.sinks(state, at, into);
        }
    }

    fn may_enter_sinks(&self, state: &State, at: usize) -> bool {
        let before = &state.batches[..at];
        let in_turn = match self.rules.sink_order {
            SinkOrder::Serial => at == 0 || !self.rules.checkpoint_last,
            SinkOrder::AfterAcknowledged => before.iter().all(|batch| self.is_acknowledged(batch)),
            SinkOrder::Concurrent => true,
        };
        let all_sent = |batch: &Batch| {
            let writes = self.writes(&batch.intent, batch.count_after).len();
            batch.cells_sent.count_ones() as usize == writes
        };
        in_turn && (!self.rules.row_in_order || before.iter().all(all_sent))
    }

    fn sinks(&self, state: &State, at: usize, into: &mut Vec<Action>) {
        let (before, batch) = (&state.batches[..at], &state.batches[at]);
        if self.sinks.hbase {
            let writes = self.writes(&batch.intent, batch.count_after).len() as u8;
            let next = (0..writes).find(|&index| batch.cells_sent >> index & 1 == 0);
            into.extend(next.map(|index| Action::SendCell { batch: at, index }));
        }
        for sink in 0..self.sinks.transactional {
            let in_turn = batch.transactions[sink] == Sending::No
                && before
                    .iter()
                    .all(|other| other.transactions[sink] == Sending::Done);
            let producer = &state.producers[sink];
            let Some(marker) = producer.marker.filter(|_| in_turn && producer.fence > 0) else {
                continue;
            };
            let by_offsets =
                !self.rules.marker_by_number || state.was_lost && self.rules.after_loss.new_epoch;
            let is_held = match self.rules.marker {
                Marker::None => false,
                _ if by_offsets => (0..2).all(|of| marker.to[of] >= batch.intent.to[of]),
                _ => marker.batch >= batch.intent.batch,
            };
            into.push(match is_held {
                true => Action::Skip { batch: at, sink },
                false => Action::SendTransaction { batch: at, sink },
            });
        }
        if self.sinks.plain && batch.plain == Sending::No {
            into.push(Action::SendPlain(at));
        }
        let own_letters = self.rules.letters != Letters::InSinkTransaction;
        if own_letters && batch.intent.quarantined != 0 && batch.letters == Sending::No {
            into.push(Action::SendLetters(at));
        }
    }

    fn producers(&self, state: &State, into: &mut Vec<Action>) {
        for sink in 0..self.sinks.transactional {
            let producer = &state.producers[sink];
            if !self.rules.fence_first && producer.marker.is_none() {
                into.push(Action::ReadMarker(sink));
            } else if producer.fence == 0 {
                into.push(Action::Fence(sink));
            }
        }
    }

    fn ends(&self, state: &State, into: &mut Vec<Action>) {
        if let Some(batch) = state.batches.iter().find(|batch| !batch.is_checkpointed) {
            let early = !self.rules.checkpoint_last;
            let in_turn = early || !state.batches[0].is_checkpointed;
            if batch.is_ready && (early || self.is_acknowledged(batch)) && in_turn {
                into.push(Action::Checkpoint);
            }
        }
        let told = self.for_group(state);
        if told.is_some_and(|to| state.group != Some(to) && to != [0, 0]) {
            into.push(Action::CommitGroup);
        }
    }

    /// What the consumer group may be told now.
    pub(super) fn for_group(&self, state: &State) -> Option<[u8; 2]> {
        let first = state.batches.first();
        let early = first.filter(|batch| {
            !self.rules.group_last && batch.is_ready && self.is_acknowledged(batch)
        });
        if let Some(batch) = early {
            return Some(batch.intent.to);
        }
        let synced = state.journal.len() == 1 || !self.rules.group_after_sync;
        synced.then(|| state.log().committed)
    }

    /// All sinks have acknowledged all of it.
    pub(super) fn is_acknowledged(&self, batch: &Batch) -> bool {
        let writes = match self.sinks.hbase {
            true => (1_u16 << self.writes(&batch.intent, batch.count_after).len()) - 1,
            false => 0,
        };
        let sinks = &batch.transactions[..self.sinks.transactional];
        let letters_done = self.rules.letters == Letters::InSinkTransaction
            || batch.intent.quarantined == 0
            || batch.letters == Sending::Done;
        batch.cells_acknowledged & writes == writes
            && sinks.iter().all(|&sending| sending == Sending::Done)
            && (!self.sinks.plain || batch.plain == Sending::Done)
            && letters_done
    }

    /// Where the next batch begins, and the number of the one before it.
    fn tail(&self, state: &State) -> ([u8; 2], u8) {
        match state.batches.last() {
            Some(batch) => (batch.intent.to, batch.intent.batch),
            None => (state.log().committed, state.log().batch),
        }
    }
}

fn has_intent(state: &State, batch: u8) -> bool {
    state
        .log()
        .intents
        .iter()
        .any(|intent| intent.batch == batch)
}

/// Whether a request for the same row was sent before this one and is still on its way.
fn is_behind_another(state: &State, at: usize) -> bool {
    let request = &state.network[at];
    let RequestKind::Cell { index, write } = &request.kind else {
        return false;
    };
    request.is_awaited
        && state.network.iter().any(|other| match &other.kind {
            RequestKind::Cell {
                index: other_index,
                write: other_write,
            } => {
                other.is_awaited
                    && other_write.row == write.row
                    && (other.batch, *other_index) < (request.batch, *index)
            }
            _ => false,
        })
}
