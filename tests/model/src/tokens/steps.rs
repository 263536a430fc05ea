//! What may happen, and what it does.

use super::{
    CHILD, Host, Intent, PARENT, Position, Positions, Record, ReplayMust, State, Stored, Tokens,
};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Action {
    Start,
    Kill,
    /// Retention removes a record of the parent.
    Remove,
    /// All of the parent is removed: the service forgets it.
    Unlist,
    /// Reads so many records of parent and child, and writes the intent.
    Cut(u8, u8),
    Replay,
    Deliver,
    Checkpoint,
    WriteTokens,
    SkipLost,
}

/// What a read found.
enum Read {
    Records(Vec<Record>, Position),
    /// What comes next is removed.
    Gone,
}

impl Tokens {
    pub(super) fn possible(&self, state: &State, into: &mut Vec<Action>) {
        if state.removals > 0 && state.removed < self.records[PARENT] {
            into.push(Action::Remove);
        }
        if state.lists_parent && state.removed == self.records[PARENT] {
            into.push(Action::Unlist);
        }
        let Some(host) = &state.host else {
            into.push(Action::Start);
            return;
        };
        if state.kills > 0 {
            into.push(Action::Kill);
        }
        if host.is_gone {
            into.extend((state.skips > 0).then_some(Action::SkipLost));
            return;
        }
        if state.tokens_due.is_some() {
            into.push(Action::WriteTokens);
            return;
        }
        match (&state.intent, &host.batch) {
            (None, _) => self.cuts(host, into),
            (Some(_), None) => into.push(Action::Replay),
            (Some(_), Some(_)) if !host.delivered => into.push(Action::Deliver),
            (Some(_), Some(_)) => into.push(Action::Checkpoint),
        }
    }

    fn cuts(&self, host: &Host, into: &mut Vec<Action>) {
        let left = |shard: usize| {
            let token = host.positions[shard].map_or(self.records[shard], |at| at.token);
            (self.records[shard] - token).min(2)
        };
        for parent in 0..=left(PARENT) {
            for child in 0..=left(CHILD) {
                if parent + child > 0 {
                    into.push(Action::Cut(parent, child));
                }
            }
        }
    }

    /// Reads up to `count` records behind a position.
    fn read(&self, state: &State, shard: usize, from: Position, count: u8) -> Read {
        let removed = if shard == PARENT { state.removed } else { 0 };
        if count > 0 && removed > from.token && self.rules.reads_notice_gaps {
            return Read::Gone;
        }
        let first = from.token.max(removed);
        let end = (first + count).min(self.records[shard]);
        let records = (first..end).map(|at| (shard, at)).collect();
        let has_ended = shard == PARENT && end == self.records[shard];
        let offset = from.offset + (end - first);
        Read::Records(
            records,
            Position {
                offset,
                token: end,
                has_ended,
            },
        )
    }

    pub(super) fn take(&self, state: &mut State, action: Action) {
        match action {
            Action::Start => self.start(state),
            Action::Kill => {
                state.kills -= 1;
                state.host = None;
                state.tokens_due = None;
            }
            Action::Remove => {
                state.removals -= 1;
                state.removed += 1;
            }
            Action::Unlist => state.lists_parent = false,
            Action::Cut(parent, child) => self.cut(state, [parent, child]),
            Action::Replay => self.replay(state),
            Action::Deliver => {
                let Some(host) = &mut state.host else { return };
                host.delivered = true;
                let number = state.intent.as_ref().map_or(0, |intent| intent.batch);
                if state.marker < number {
                    state.marker = number;
                    state.sink.extend(host.batch.iter().flatten());
                }
            }
            Action::Checkpoint => self.checkpoint(state),
            Action::WriteTokens => {
                let due = state.tokens_due.take().unwrap_or_default();
                for (position, token) in state.committed.iter_mut().zip(due) {
                    position
                        .iter_mut()
                        .for_each(|position| position.token = token);
                }
            }
            Action::SkipLost => self.skip_lost(state),
        }
    }

    fn start(&self, state: &mut State) {
        let mut positions = state.committed;
        if self.rules.stored == Stored::Nowhere {
            let removed = state.removed;
            for (shard, position) in positions.iter_mut().enumerate() {
                let first = if shard == PARENT { removed } else { 0 };
                let end = self.records[shard];
                position
                    .iter_mut()
                    .for_each(|at| at.token = (first + at.offset).min(end));
            }
        }
        // A shard that is listed and has no position is new.
        if positions[PARENT].is_none() && state.lists_parent {
            positions[PARENT] = Some(Position::default());
        }
        let (batch, delivered, is_gone) = (None, false, false);
        state.host = Some(Host {
            positions,
            batch,
            delivered,
            is_gone,
        });
    }

    /// Reads the batch from `from`; none if the source is gone there.
    fn read_all(&self, state: &State, from: Positions, counts: [u8; 2]) -> Option<Batch> {
        let (mut records, mut to) = (Vec::new(), from);
        for shard in [PARENT, CHILD] {
            let Some(position) = from[shard] else {
                continue;
            };
            match self.read(state, shard, position, counts[shard]) {
                Read::Gone => return None,
                Read::Records(some, after) => {
                    records.extend(some);
                    to[shard] = Some(after);
                }
            }
        }
        Some(Batch { records, to })
    }

    fn cut(&self, state: &mut State, counts: [u8; 2]) {
        let Some(from) = state.host.as_ref().map(|host| host.positions) else {
            return;
        };
        let Some(read) = self.read_all(state, from, counts) else {
            state.host.iter_mut().for_each(|host| host.is_gone = true);
            return;
        };
        let mut to = read.to;
        let parent_is_over = to[PARENT].is_none_or(|parent| parent.has_ended);
        if to[CHILD].is_none() && parent_is_over {
            to[CHILD] = Some(Position::default());
        }
        state.intent = Some(Intent {
            batch: state.batch + 1,
            from,
            to,
        });
        state.intended = read.records.clone();
        if let Some(host) = &mut state.host {
            (host.batch, host.positions, host.delivered) = (Some(read.records), to, false);
        }
    }

    fn replay(&self, state: &mut State) {
        let Some(intent) = state.intent.clone() else {
            return;
        };
        let taken = |shard: usize| match (intent.from[shard], intent.to[shard]) {
            (Some(from), Some(to)) => to.offset - from.offset,
            _ => 0,
        };
        let read = self.read_all(state, intent.from, [taken(PARENT), taken(CHILD)]);
        let must = self.rules.replay_must;
        let is_right = |read: &Batch| {
            let token = |positions: &Positions, shard: usize| positions[shard].map(|at| at.token);
            let ends = |shard: usize| {
                taken(shard) == 0 || token(&read.to, shard) == token(&intent.to, shard)
            };
            let has_all = read.records.len() == usize::from(taken(PARENT) + taken(CHILD));
            match must {
                ReplayMust::Nothing => true,
                ReplayMust::EndAtToken => (0..2).all(ends),
                ReplayMust::EndAtTokenWithAll => (0..2).all(ends) && has_all,
            }
        };
        let read = read.filter(is_right);
        let Some(host) = &mut state.host else { return };
        match read {
            None => host.is_gone = true,
            Some(read) => {
                state.replay_differs |= read.records != state.intended;
                (host.batch, host.positions) = (Some(read.records), intent.to);
            }
        }
    }

    fn checkpoint(&self, state: &mut State) {
        let Some(intent) = state.intent.take() else {
            return;
        };
        let Some(host) = &mut state.host else { return };
        state.batch = intent.batch;
        let mut committed = intent.to;
        let ended = committed[PARENT].is_some_and(|parent| parent.has_ended);
        let keeps = self.rules.ended_keep_position && state.lists_parent;
        if ended && !keeps {
            committed[PARENT] = None;
        }
        if self.rules.stored == Stored::Afterwards {
            let old = state.committed;
            let token = |positions: &Positions, shard: usize| positions[shard].map(|at| at.token);
            state.tokens_due = Some([0, 1].map(|shard| token(&committed, shard).unwrap_or(0)));
            for (shard, position) in committed.iter_mut().enumerate() {
                let stale = token(&old, shard).unwrap_or(0);
                position
                    .iter_mut()
                    .for_each(|position| position.token = stale);
            }
        }
        state.committed = committed;
        host.batch = None;
        host.positions = intent.to;
        if ended && !keeps {
            host.positions[PARENT] = None;
        }
    }

    /// The user lets the job go on behind the gap; a batch whose records are gone is given up.
    fn skip_lost(&self, state: &mut State) {
        state.skips -= 1;
        let Some(host) = &mut state.host else { return };
        host.is_gone = false;
        let from = state.committed[PARENT].map_or(0, |position| position.token);
        let gap = (from..state.removed).map(|at| (PARENT, at));
        state
            .given_up
            .extend(gap.filter(|record| !state.sink.contains(record)));
        if let Some(parent) = &mut state.committed[PARENT] {
            parent.token = parent.token.max(state.removed);
            parent.has_ended = parent.token == self.records[PARENT];
            if parent.has_ended && state.committed[CHILD].is_none() {
                state.committed[CHILD] = Some(Position::default());
            }
        }
        // Only what no sink holds is planned anew.
        if state.marker < state.intent.as_ref().map_or(0, |intent| intent.batch) {
            state.intent = None;
            host.positions = state.committed;
        } else if let Some(intent) = &state.intent {
            host.batch = Some(state.intended.clone());
            (host.positions, host.delivered) = (intent.to, true);
        }
    }
}

struct Batch {
    records: Vec<Record>,
    to: Positions,
}
