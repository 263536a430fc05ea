//! What servers do with requests, and what else may happen outside of the host.

use super::state::{
    Action, IDEMPOTENT, MARKED, Marker, Producer, RequestKind, Sending, Server, State, Transaction,
    add,
};
use super::{Letters, Refusals, Sent};

impl Letters {
    pub(super) fn of_servers(&self, state: &State, into: &mut Vec<Action>) {
        for (at, request) in state.network.iter().enumerate() {
            into.push(Action::Arrive(at));
            if !request.is_awaited {
                into.push(Action::Vanish(at));
            } else if state.time_outs > 0 {
                into.push(Action::TimeOut(at));
            }
        }
        if state.changes > 0 {
            into.push(Action::ChangeRules);
        }
        let has_marker = state.servers[Server::Letters as usize].marker.batch > 0;
        if state.expiries > 0 && has_marker && state.host.is_none() {
            into.push(Action::Expire);
        }
    }

    pub(super) fn arrive(&self, state: &mut State, at: usize) {
        let request = state.network.remove(at);
        let is_awaited = request.is_awaited;
        match request.kind {
            RequestKind::Commit {
                fence,
                rows,
                marker,
            } => {
                let server = &mut state.servers[Server::Marked as usize];
                if server.fence != fence {
                    return;
                }
                server.marker = marker;
                add(&mut state.rows, rows);
                if is_awaited {
                    self.committed(state, marker);
                }
            }
            RequestKind::Upsert { record } => {
                let is_refused = self.refuses(record, state.is_strict);
                state.upserted |= u8::from(!is_refused) << record;
                if let Some(batch) = state.batch_mut().filter(|_| is_awaited) {
                    batch.upserts_answered |= 1 << record;
                    batch.letters[IDEMPOTENT] |= u8::from(is_refused) << record;
                }
            }
            RequestKind::Letters {
                fence,
                batch,
                letters,
            } => {
                let server = &mut state.servers[Server::Letters as usize];
                if self.rules.sent == Sent::WithMarker {
                    if server.fence != fence {
                        return;
                    }
                    server.marker = Marker {
                        batch,
                        letters,
                        ..Marker::default()
                    };
                }
                for (counts, set) in state.letters.iter_mut().zip(letters) {
                    add(counts, set);
                }
                if let Some(open) = state.batch_mut().filter(|_| is_awaited) {
                    let sent = open.letters_sent.iter_mut().zip(letters);
                    sent.for_each(|(sent, set)| *sent |= set);
                    open.sending = Sending::Done;
                }
                self.forget_if_over(state);
            }
        }
    }

    /// The marked sink's answer reaches the host.
    fn committed(&self, state: &mut State, marker: Marker) {
        let notes = self.rules.refusals == Refusals::NotedAfter;
        if let Some(batch) = state.batch_mut() {
            batch.letters[MARKED] = marker.refused;
            batch.transaction = if notes {
                Transaction::Committed
            } else {
                Transaction::Done
            };
        }
    }

    /// The answer does not come. Whether a transaction is committed is not known then: the producer
    /// is given up.
    pub(super) fn time_out(&self, state: &mut State, at: usize) {
        state.time_outs -= 1;
        state.network[at].is_awaited = false;
        let kind = state.network[at].kind.clone();
        let Some(host) = &mut state.host else { return };
        let server = match kind {
            RequestKind::Upsert { .. } => None,
            RequestKind::Commit { .. } => Some(Server::Marked),
            RequestKind::Letters { .. } => Some(Server::Letters),
        };
        if let Some(server) = server {
            host.producers[server as usize] = Producer::default();
        }
        let Some(batch) = &mut host.batch else { return };
        match kind {
            RequestKind::Commit { .. } => batch.transaction = Transaction::No,
            RequestKind::Upsert { record } => batch.upserts_sent &= !(1 << record),
            RequestKind::Letters { .. } => batch.sending = Sending::No,
        }
    }
}
