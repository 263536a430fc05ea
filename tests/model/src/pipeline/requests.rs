//! What servers do with requests, and what the host does when they do not answer.

use super::actions::Action;
use super::config::{Config, Marker as Whose, ROWS, Times};
use super::state::{Marker, Message, Producer, RequestKind, Sending, State};
use super::table::Write;

impl Config {
    pub(super) fn arrive(&self, state: &mut State, at: usize) {
        let request = state.network.remove(at);
        match request.kind {
            RequestKind::Cell { index, write } => {
                self.write_cell(state, &write);
                if let Some(batch) = state
                    .batch_mut(request.batch)
                    .filter(|_| request.is_awaited)
                {
                    batch.cells_acknowledged |= 1 << index;
                }
            }
            RequestKind::Transaction {
                sink,
                fence,
                to,
                messages,
                letters,
            } => {
                let sink = usize::from(sink);
                if state.topics[sink].fence != fence {
                    return;
                }
                let marker = Marker {
                    batch: request.batch,
                    to,
                };
                state.topics[sink].messages.extend(messages);
                state.topics[sink].marker = marker;
                if self.rules.marker == Whose::InMonitorsGroup {
                    state.group = Some(to);
                }
                add_letters(state, letters);
                if request.is_awaited {
                    state.producers[sink].marker = Some(marker);
                    if let Some(batch) = state.batch_mut(request.batch) {
                        batch.transactions[sink] = Sending::Done;
                    }
                }
            }
            RequestKind::Messages(messages) => {
                messages
                    .into_iter()
                    .for_each(|message| add_message(state, message));
                if let Some(batch) = state
                    .batch_mut(request.batch)
                    .filter(|_| request.is_awaited)
                {
                    batch.plain = Sending::Done;
                }
            }
            RequestKind::Letters(letters) => {
                add_letters(state, letters);
                if let Some(batch) = state
                    .batch_mut(request.batch)
                    .filter(|_| request.is_awaited)
                {
                    batch.letters = Sending::Done;
                }
            }
        }
    }

    fn write_cell(&self, state: &mut State, write: &Write) {
        let row = usize::from(write.row);
        state.cells[row].apply(write, self.rules.times == Times::Server);
        let rank = state.cells[row].rank();
        if self.checks.readers {
            state.has_regressed |= rank < state.seen[row];
            state.seen[row] = rank;
        } else {
            state.seen = [0; ROWS];
        }
    }

    /// The answer does not come in time. The request stays on its way, unless requests are never
    /// late in this scenario.
    pub(super) fn time_out(&self, state: &mut State, at: usize) {
        state.time_outs -= 1;
        let request = &mut state.network[at];
        request.is_awaited = false;
        let (number, kind) = (request.batch, request.kind.clone());
        match kind {
            RequestKind::Cell { index, .. } => {
                if let Some(batch) = state.batch_mut(number) {
                    batch.cells_sent &= !(1 << index);
                }
            }
            RequestKind::Transaction { sink, .. } => {
                let sink = usize::from(sink);
                state.producers[sink] = Producer::default();
                if let Some(batch) = state.batch_mut(number) {
                    batch.transactions[sink] = Sending::No;
                }
            }
            RequestKind::Messages(_) | RequestKind::Letters(_) => {}
        }
        if !self.faults.late_requests {
            state.network.remove(at);
        }
    }

    pub(super) fn open(&self, state: &mut State, action: Action) {
        match action {
            Action::Fence(sink) => {
                state.topics[sink].fence += 1;
                state.producers[sink].fence = state.topics[sink].fence;
                // Nothing of an older producer can land between the two.
                if self.rules.fence_first {
                    state.producers[sink].marker = Some(self.read_marker(state, sink));
                }
            }
            Action::ReadMarker(sink) => {
                state.producers[sink].marker = Some(self.read_marker(state, sink));
            }
            _ => {}
        }
    }

    fn read_marker(&self, state: &State, sink: usize) -> Marker {
        match self.rules.marker {
            Whose::Shared => {
                let all = state.topics[..self.sinks.transactional].iter();
                all.map(|topic| topic.marker)
                    .max_by_key(|marker| marker.batch)
                    .unwrap_or_default()
            }
            _ => state.topics[sink].marker,
        }
    }
}

/// Counts to 2: once is right, more is not.
fn add_letters(state: &mut State, letters: u16) {
    for (record, count) in state.letters.iter_mut().enumerate() {
        if letters >> record & 1 == 1 {
            *count = (*count + 1).min(2);
        }
    }
}

fn add_message(state: &mut State, message: Message) {
    match state.plain.iter_mut().find(|(other, _)| *other == message) {
        Some((_, count)) => *count = 2,
        None => {
            state.plain.push((message, 1));
            state.plain.sort();
        }
    }
}
