//! Dead letters of one host: records that the guest breaks on, and rows that a server refuses by
//! their content. A marked sink (rows and marker in one transaction), an idempotent one (an upsert
//! for each row), and the topic of dead letters.
//!
//! A server's rules may change while a batch is under way: a row that it refused is taken later, or
//! the other way round.

mod state;
mod host;
mod servers;
mod words;
mod scenarios;

use crate::checker::Model;
use state::{Action, GUEST, IDEMPOTENT, MARKED, Set, State};

pub(crate) use scenarios::scenarios;

/// What becomes of a record.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Content {
    /// A row that every server takes.
    Fine,
    /// The guest breaks on it.
    Poison,
    /// A row that the servers refuse.
    Refused,
    /// A row that the servers refuse while their rules are strict.
    Disputed,
}

/// How dead letters are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Sent {
    Plainly,
    /// In a transaction of their own, with a marker that names the batch.
    WithMarker,
}

/// When dead letters are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    /// As soon as they are known.
    AtOnce,
    /// Once all sinks have acknowledged the batch.
    AfterSinks,
    AfterCheckpoint,
}

/// Where it is kept which rows a marked sink refused.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Refusals {
    InMemory,
    /// In the sink, in the transaction of the rows.
    InMarker,
    /// In the checkpoint log beside the intent, before the sink's transaction is committed.
    NotedBefore,
    NotedAfter,
}

#[derive(Clone, Copy, Debug)]
struct Rules {
    sent: Sent,
    when: When,
    refusals: Refusals,
    fence_first: bool,
    /// Dead letters without a marker are taken as sent.
    missing_is_sent: bool,
    /// A marker with other letters of the same batch stops the job.
    compares_letters: bool,
}

/// What is checked of a dead letter that is there twice.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Doubles {
    Never,
    /// Only if the marker expired while a batch was under way.
    OnceExpired,
    May,
}

#[derive(Clone, Debug)]
struct Letters {
    records: Vec<Content>,
    /// Most records of a batch.
    batch_records: u8,
    marked: bool,
    idempotent: bool,
    kills: u8,
    time_outs: u8,
    /// How often the servers' rules change. They begin strict.
    changes: u8,
    /// How often the marker of the dead letters expires, while the host is down.
    expiries: u8,
    doubles: Doubles,
    rules: Rules,
}

impl Letters {
    fn end(&self) -> u8 {
        self.records.len() as u8
    }

    fn content(&self, record: u8) -> Content {
        self.records[usize::from(record)]
    }

    /// The records of a span on which the guest breaks.
    fn poison(&self, from: u8, to: u8) -> Set {
        let is_poison = |&record: &u8| self.content(record) == Content::Poison;
        (from..to)
            .filter(is_poison)
            .fold(0, |set, record| set | 1 << record)
    }

    fn refuses(&self, record: u8, is_strict: bool) -> bool {
        match self.content(record) {
            Content::Refused => true,
            Content::Disputed => is_strict,
            Content::Fine | Content::Poison => false,
        }
    }

    /// Records, each of which must be a row or a dead letter.
    fn check_record(&self, state: &State, record: usize) -> Option<String> {
        let letter = |origin: usize| state.letters[origin][record] > 0;
        let (row, upserted) = (state.rows[record] > 0, state.upserted >> record & 1 == 1);
        if self.records[record] == Content::Poison {
            let is_right = letter(GUEST) && !row && !upserted;
            return (!is_right).then(|| "a poison record is no dead letter".to_owned());
        }
        if self.marked && row == letter(MARKED) {
            return Some(match row {
                true => "a row of the marked sink is a dead letter as well".to_owned(),
                false => "a refused row of the marked sink is lost".to_owned(),
            });
        }
        if self.idempotent && !upserted && !letter(IDEMPOTENT) {
            return Some("a refused row of the idempotent sink is lost".to_owned());
        }
        if self.idempotent && upserted && letter(IDEMPOTENT) && self.changes == state.changes {
            return Some("a row of the idempotent sink is a dead letter as well".to_owned());
        }
        None
    }
}

impl Model for Letters {
    type State = State;
    type Action = Action;

    fn initial(&self) -> State {
        State::new(self)
    }

    fn actions(&self, state: &State, into: &mut Vec<Action>) {
        self.of_servers(state, into);
        self.of_host(state, into);
    }

    fn apply(&self, state: &mut State, action: Action) {
        self.take(state, action);
        state.network.sort();
    }

    fn is_progress(&self, action: Action) -> bool {
        use Action::{ChangeRules, Expire, Kill, TimeOut};
        !matches!(action, Kill | TimeOut(_) | ChangeRules | Expire)
    }

    fn violation(&self, state: &State, at_rest: bool) -> Option<String> {
        let may_double = match self.doubles {
            Doubles::Never => false,
            Doubles::OnceExpired => state.expired_under_way,
            Doubles::May => true,
        };
        if !may_double && state.letters.iter().flatten().any(|&count| count > 1) {
            return Some("a dead letter is doubled".to_owned());
        }
        if state.rows.iter().any(|&count| count > 1) {
            return Some("a row of the marked sink is doubled".to_owned());
        }
        if !at_rest {
            return None;
        }
        if state.committed != self.end() || state.batch_is_open() {
            return Some("stuck: nothing more happens, and not all is done".to_owned());
        }
        (0..self.records.len()).find_map(|record| self.check_record(state, record))
    }

    fn describe(&self, state: &State, action: Action) -> String {
        self.words(state, action)
    }
}
