//! What the host may do, and what it does.

use super::state::{
    Action, Batch, GUEST, Host, IDEMPOTENT, Intent, LetterSets, MARKED, Marker, Producer, Request,
    RequestKind, Sending, Server, Set, State, Transaction,
};
use super::{Letters, Refusals, Sent, When};

impl Letters {
    pub(super) fn of_host(&self, state: &State, into: &mut Vec<Action>) {
        let Some(host) = &state.host else {
            into.push(Action::Start);
            return;
        };
        if host.has_stopped {
            return;
        }
        if state.kills > 0 {
            into.push(Action::Kill);
        }
        for server in [Server::Marked, Server::Letters] {
            let producer = &host.producers[server as usize];
            if !self.has_producer(server) {
                continue;
            }
            if !self.rules.fence_first && producer.marker.is_none() {
                into.push(Action::ReadMarker(server));
            } else if producer.fence == 0 {
                into.push(Action::Fence(server));
            }
        }
        match &host.batch {
            None => {
                let records = 1..=self.batch_records.min(self.end() - state.committed);
                into.extend(records.map(Action::Begin));
            }
            Some(batch) => self.of_batch(host, batch, into),
        }
    }

    fn has_producer(&self, server: Server) -> bool {
        match server {
            Server::Marked => self.marked,
            Server::Letters => self.rules.sent == Sent::WithMarker,
        }
    }

    fn of_batch(&self, host: &Host, batch: &Batch, into: &mut Vec<Action>) {
        let is_open = |server: Server| match host.producers[server as usize] {
            Producer {
                fence: 1..,
                marker: Some(marker),
            } => Some(marker),
            _ => None,
        };
        if self.marked {
            let held = is_open(Server::Marked).map(|marker| marker.batch >= batch.intent.batch);
            let notes_before = self.rules.refusals == Refusals::NotedBefore;
            let notes_after = self.rules.refusals == Refusals::NotedAfter;
            match (batch.transaction, held) {
                (Transaction::No, Some(true)) => into.push(Action::Skip(Server::Marked)),
                (Transaction::No, Some(false)) => into.push(Action::WriteRows),
                (Transaction::Written, _) if notes_before => into.push(Action::Note),
                (Transaction::Written | Transaction::Noted, _) => into.push(Action::Commit),
                (Transaction::Committed, _) if notes_after => into.push(Action::Note),
                _ => {}
            }
        }
        if self.idempotent {
            let unsent = self.rows_of(&batch.intent) & !batch.upserts_sent;
            into.extend(
                (0..self.end())
                    .filter(|record| unsent >> record & 1 == 1)
                    .map(Action::Upsert),
            );
        }
        let sinks_done = self.sinks_are_done(batch);
        let may_send = match self.rules.when {
            When::AtOnce => true,
            When::AfterSinks => sinks_done,
            When::AfterCheckpoint => batch.is_checkpointed,
        };
        let open = self.unsent_letters(batch);
        let has_open = open.iter().any(|&set| set != 0);
        if may_send && has_open && batch.sending != Sending::UnderWay {
            let marker = match self.rules.sent {
                Sent::Plainly => Some(Marker::default()),
                Sent::WithMarker => is_open(Server::Letters),
            };
            match marker {
                Some(marker) if self.letters_are_held(batch, marker) => {
                    into.push(Action::Skip(Server::Letters));
                }
                Some(_) => into.push(Action::SendLetters),
                None => {}
            }
        }
        let letters_done = !has_open && batch.sending != Sending::UnderWay;
        let may_checkpoint = letters_done || self.rules.when == When::AfterCheckpoint;
        if sinks_done && may_checkpoint && !batch.is_checkpointed {
            into.push(Action::Checkpoint);
        }
    }

    fn letters_are_held(&self, batch: &Batch, marker: Marker) -> bool {
        // What this host sent itself since it opened the topic does not speak for the rest.
        let sent_some = batch.letters_sent.iter().any(|&set| set != 0);
        let missing = marker.batch == 0 && self.rules.missing_is_sent;
        let by_marker = marker.batch >= batch.intent.batch;
        !sent_some && self.rules.sent == Sent::WithMarker && (by_marker || missing)
    }

    /// The records of a batch that make rows.
    fn rows_of(&self, intent: &Intent) -> Set {
        let all = (intent.from..intent.to).fold(0, |set, record| set | 1 << record);
        all & !self.poison(intent.from, intent.to)
    }

    fn sinks_are_done(&self, batch: &Batch) -> bool {
        let marked = !self.marked || batch.transaction == Transaction::Done;
        let rows = self.rows_of(&batch.intent);
        marked && (!self.idempotent || batch.upserts_answered == rows)
    }

    fn unsent_letters(&self, batch: &Batch) -> LetterSets {
        [GUEST, MARKED, IDEMPOTENT].map(|of| batch.letters[of] & !batch.letters_sent[of])
    }

    pub(super) fn take(&self, state: &mut State, action: Action) {
        match action {
            Action::Start => self.start(state),
            Action::Kill => {
                state.kills -= 1;
                state.host = None;
                state
                    .network
                    .iter_mut()
                    .for_each(|request| request.is_awaited = false);
                state.network.sort();
                state.network.dedup();
            }
            Action::Begin(records) => self.begin(state, records),
            Action::Fence(server) => self.fence(state, server),
            Action::ReadMarker(server) => self.read_marker(state, server),
            Action::Skip(server) => self.skip(state, server),
            Action::WriteRows => self.write_rows(state),
            Action::Note => self.note(state),
            Action::Checkpoint => self.checkpoint(state),
            Action::Commit | Action::Upsert(_) | Action::SendLetters => self.send(state, action),
            Action::Arrive(at) => self.arrive(state, at),
            Action::Vanish(at) => drop(state.network.remove(at)),
            Action::TimeOut(at) => self.time_out(state, at),
            Action::ChangeRules => {
                state.changes -= 1;
                state.is_strict = !state.is_strict;
            }
            Action::Expire => {
                state.expiries -= 1;
                state.expired_under_way |= state.intent.is_some();
                state.servers[Server::Letters as usize].marker = Marker::default();
            }
        }
    }

    fn new_batch(&self, intent: Intent) -> Batch {
        let mut letters = LetterSets::default();
        letters[GUEST] = self.poison(intent.from, intent.to);
        Batch {
            intent,
            transaction: Transaction::No,
            upserts_sent: 0,
            upserts_answered: 0,
            letters,
            letters_sent: LetterSets::default(),
            sending: Sending::No,
            is_checkpointed: false,
        }
    }

    fn start(&self, state: &mut State) {
        let batch = state.intent.clone().map(|intent| self.new_batch(intent));
        let producers = Default::default();
        state.host = Some(Host {
            producers,
            batch,
            has_stopped: false,
        });
        for server in [Server::Marked, Server::Letters] {
            if self.has_producer(server) && self.rules.fence_first {
                self.fence(state, server);
            }
        }
    }

    fn begin(&self, state: &mut State, records: u8) {
        let (batch, from) = (state.batch + 1, state.committed);
        let intent = Intent {
            batch,
            from,
            to: from + records,
            noted: 0,
        };
        state.intent = Some(intent.clone());
        if let Some(host) = &mut state.host {
            host.batch = Some(self.new_batch(intent));
        }
    }

    fn fence(&self, state: &mut State, server: Server) {
        let at = server as usize;
        state.servers[at].fence += 1;
        let Some(host) = &mut state.host else { return };
        host.producers[at].fence = state.servers[at].fence;
        if self.rules.fence_first {
            self.read_marker(state, server);
        }
    }

    fn read_marker(&self, state: &mut State, server: Server) {
        let marker = state.servers[server as usize].marker;
        if let Some(host) = &mut state.host {
            host.producers[server as usize].marker = Some(marker);
        }
    }

    fn skip(&self, state: &mut State, server: Server) {
        let compares = self.rules.compares_letters;
        let refusals = self.rules.refusals;
        let Some(host) = &mut state.host else { return };
        let marker = host.producers[server as usize].marker.unwrap_or_default();
        let Some(batch) = &mut host.batch else { return };
        match server {
            Server::Marked => {
                batch.transaction = Transaction::Done;
                batch.letters[MARKED] = match refusals {
                    Refusals::InMarker => marker.refused,
                    Refusals::NotedBefore | Refusals::NotedAfter => batch.intent.noted,
                    Refusals::InMemory => 0,
                };
            }
            Server::Letters => {
                host.has_stopped = compares && marker.letters != batch.letters;
                batch.letters_sent = batch.letters;
            }
        }
    }

    /// Writes the rows into an open transaction: the server says which it refuses.
    fn write_rows(&self, state: &mut State) {
        let is_strict = state.is_strict;
        let Some(batch) = state.batch_mut() else {
            return;
        };
        let rows = self.rows_of(&batch.intent);
        let is_refused = |&record: &u8| rows >> record & 1 == 1 && self.refuses(record, is_strict);
        let refused = (0..self.end())
            .filter(is_refused)
            .fold(0, |set, record| set | 1 << record);
        (batch.letters[MARKED], batch.transaction) = (refused, Transaction::Written);
    }

    fn note(&self, state: &mut State) {
        let Some(batch) = state.batch_mut() else {
            return;
        };
        batch.intent.noted = batch.letters[MARKED];
        batch.transaction = match batch.transaction {
            Transaction::Committed => Transaction::Done,
            _ => Transaction::Noted,
        };
        state.intent = Some(batch.intent.clone());
    }

    fn send(&self, state: &mut State, action: Action) {
        let Some(host) = &mut state.host else { return };
        let fence = |server: Server| host.producers[server as usize].fence;
        let (marked_fence, letters_fence) = (fence(Server::Marked), fence(Server::Letters));
        let Some(batch) = &mut host.batch else { return };
        let number = batch.intent.batch;
        let kind = match action {
            Action::Commit => {
                batch.transaction = Transaction::Sent;
                let refused = batch.letters[MARKED];
                let rows = self.rows_of(&batch.intent) & !refused;
                let marker = Marker {
                    batch: number,
                    refused,
                    ..Marker::default()
                };
                RequestKind::Commit {
                    fence: marked_fence,
                    rows,
                    marker,
                }
            }
            Action::Upsert(record) => {
                batch.upserts_sent |= 1 << record;
                RequestKind::Upsert { record }
            }
            _ => {
                batch.sending = Sending::UnderWay;
                let letters = self.unsent_letters(batch);
                RequestKind::Letters {
                    fence: letters_fence,
                    batch: number,
                    letters,
                }
            }
        };
        state.network.push(Request {
            kind,
            is_awaited: true,
        });
    }

    fn checkpoint(&self, state: &mut State) {
        let Some(host) = &mut state.host else { return };
        let Some(batch) = &mut host.batch else { return };
        batch.is_checkpointed = true;
        (state.batch, state.committed) = (batch.intent.batch, batch.intent.to);
        state.intent = None;
        self.forget_if_over(state);
    }

    pub(super) fn forget_if_over(&self, state: &mut State) {
        let Some(host) = &mut state.host else { return };
        let is_over = |batch: &Batch| {
            let none_open = self.unsent_letters(batch).iter().all(|&set| set == 0);
            batch.is_checkpointed && none_open && batch.sending != Sending::UnderWay
        };
        host.batch = host.batch.take().filter(|batch| !is_over(batch));
    }
}
