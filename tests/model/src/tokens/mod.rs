//! A source whose positions are tokens, not numbers: a stream of two shards. The first one, the
//! parent, is closed and has the second one as its child; both have records of the same key. The
//! service removes old records, and a read from a place that is gone begins at what is left.
//!
//! Offsets count the records of a shard. Beside each offset stands the token behind which the next
//! read begins.

mod steps;
mod scenarios;

use crate::checker::Model;
use steps::Action;

pub(crate) use scenarios::scenarios;

const PARENT: usize = 0;
const CHILD: usize = 1;

/// Where tokens are kept.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stored {
    /// In the write of the offsets.
    WithOffsets,
    /// In a write of their own, after it.
    Afterwards,
    /// Nowhere: a restart reads from the first record and passes over as many as the offset says.
    Nowhere,
}

/// What a replay must meet, or its records are gone. It asks for as many as its intent has.
#[derive(Clone, Copy, Debug, PartialEq)]
enum ReplayMust {
    /// Nothing: whatever comes is taken.
    Nothing,
    /// It ends at the intent's token.
    EndAtToken,
    /// The same, and it has as many records.
    EndAtTokenWithAll,
}

#[derive(Clone, Copy, Debug)]
struct Rules {
    stored: Stored,
    replay_must: ReplayMust,
    /// A read behind a token whose next record is removed says so: the source is `Gone` there.
    reads_notice_gaps: bool,
    /// A shard that has ended keeps its position as long as the service lists it.
    ended_keep_position: bool,
    /// A child is read once a batch has the end of its parent.
    child_waits: bool,
}

#[derive(Clone, Debug)]
struct Tokens {
    /// Records of parent and child.
    records: [u8; 2],
    kills: u8,
    /// How many records of the parent the service removes.
    removals: u8,
    /// How often the user lets the job go on behind a gap.
    skips: u8,
    /// Only replays are checked: what is lost without notice is not.
    replays_alone: bool,
    rules: Rules,
}

/// A position: how many records were taken, and the place behind the last one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
struct Position {
    offset: u8,
    token: u8,
    has_ended: bool,
}

/// By shard; none: it is not read yet, or not any more.
type Positions = [Option<Position>; 2];

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Intent {
    batch: u8,
    from: Positions,
    to: Positions,
}

/// A record: its shard and its place there.
type Record = (usize, u8);

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Host {
    positions: Positions,
    /// The records of the batch under way; none: they are to be read again for its intent.
    batch: Option<Vec<Record>>,
    delivered: bool,
    /// The source has a gap where the host reads.
    is_gone: bool,
}

#[derive(Clone, Hash, Debug)]
struct State {
    /// The service: records of the parent that are removed, and whether it lists the parent.
    removed: u8,
    lists_parent: bool,
    /// The checkpoint log.
    batch: u8,
    committed: Positions,
    /// Tokens that are still to be written.
    tokens_due: Option<[u8; 2]>,
    intent: Option<Intent>,
    host: Option<Host>,
    /// The exactly-once sink: its marker and its records.
    marker: u8,
    sink: Vec<Record>,
    kills: u8,
    removals: u8,
    skips: u8,
    /// For the checks: the records that the intent was written for, what the user gave up, and the
    /// first replay that differs.
    intended: Vec<Record>,
    given_up: Vec<Record>,
    replay_differs: bool,
}

impl Model for Tokens {
    type State = State;
    type Action = Action;

    fn initial(&self) -> State {
        let child = (!self.rules.child_waits).then(Position::default);
        State {
            removed: 0,
            lists_parent: true,
            batch: 0,
            committed: [Some(Position::default()), child],
            tokens_due: None,
            intent: None,
            host: None,
            marker: 0,
            sink: Vec::new(),
            kills: self.kills,
            removals: self.removals,
            skips: self.skips,
            intended: Vec::new(),
            given_up: Vec::new(),
            replay_differs: false,
        }
    }

    fn actions(&self, state: &State, into: &mut Vec<Action>) {
        self.possible(state, into);
    }

    fn apply(&self, state: &mut State, action: Action) {
        self.take(state, action);
    }

    fn is_progress(&self, action: Action) -> bool {
        use Action::{Kill, Remove, SkipLost, Unlist};
        !matches!(action, Kill | Remove | SkipLost | Unlist)
    }

    fn violation(&self, state: &State, at_rest: bool) -> Option<String> {
        if state.replay_differs {
            return Some("a replay has other records than its intent".to_owned());
        }
        if self.replays_alone {
            return None;
        }
        let sink = &state.sink;
        if (1..sink.len()).any(|at| sink[..at].contains(&sink[at])) {
            return Some("a record is taken twice".to_owned());
        }
        if !sink.is_sorted() {
            return Some("a child's record comes before its parent's".to_owned());
        }
        let waits_for_user = state.host.as_ref().is_some_and(|host| host.is_gone);
        if !at_rest || waits_for_user {
            return None;
        }
        let known = |record: &Record| sink.contains(record) || state.given_up.contains(record);
        let all = (0..2).flat_map(|shard| (0..self.records[shard]).map(move |at| (shard, at)));
        let lost = all.into_iter().find(|record| !known(record));
        lost.map(|_| "a record is lost, and nobody says so".to_owned())
    }

    fn describe(&self, state: &State, action: Action) -> String {
        let number = state
            .intent
            .as_ref()
            .map_or(state.batch + 1, |intent| intent.batch);
        match action {
            Action::Start => "the host starts".to_owned(),
            Action::Kill => "kill -9".to_owned(),
            Action::Remove => {
                format!(
                    "the service removes record {} of the parent",
                    state.removed + 1
                )
            }
            Action::Unlist => "the service lists the parent no more".to_owned(),
            Action::Cut(parent, child) => {
                format!(
                    "the host writes intent {number}: {parent} of the parent, {child} of the child"
                )
            }
            Action::Replay => format!("the host reads the records of intent {number} again"),
            Action::Deliver => format!("the sink has batch {number}"),
            Action::Checkpoint => format!("the host checkpoints batch {number}"),
            Action::WriteTokens => "the host writes the tokens".to_owned(),
            Action::SkipLost => "the user says --skip-lost".to_owned(),
        }
    }
}
