//! What must hold in every state, and what once nothing more happens by itself.

use super::config::{Config, Fault, ROWS};
use super::state::{BatchIntent, Message, State};
use super::table::Cell;

/// What a run without faults makes of the same batches.
struct Undisturbed {
    cells: [Cell; ROWS],
    messages: Vec<Message>,
    letters: u16,
}

impl Config {
    pub(super) fn check_always(&self, state: &State) -> Option<String> {
        let log = state.log();
        let safe = state.synced().committed;
        let is_ahead = |group: [u8; 2]| group[0] > safe[0] || group[1] > safe[1];
        if !state.was_lost && state.group.is_some_and(is_ahead) {
            return Some("the group is ahead of the checkpoint".to_owned());
        }
        if state.has_regressed {
            return Some("a reader sees an older value return".to_owned());
        }
        let all = log.history.iter().chain(&log.intents);
        if !all.map(|intent| intent.deployment).is_sorted() {
            return Some("deployments change back over the offsets".to_owned());
        }
        let counted = log.history.iter().fold((0, 0), |before, intent| {
            (self.count_after(intent, before, true), intent.deployment)
        });
        let may_differ = !self.rules.reset_in_checkpoint && log.active != log.deployment;
        if self.keyed && !state.was_lost && !may_differ && counted.0 != log.count {
            let (count, counted) = (log.count, counted.0);
            return Some(format!(
                "the state counts {count}, offsets and versions say {counted}"
            ));
        }
        None
    }

    pub(super) fn check_at_rest(&self, state: &State) -> Option<String> {
        let stops = |record: &super::config::Record| record.fault == Fault::StopsVersion2;
        let waits_for_deploy = usize::from(state.newest) + 1 < self.deployments.len();
        if waits_for_deploy && self.records.iter().flatten().any(stops) {
            return None;
        }
        let is_done = state.is_up
            && state.log().committed == self.end()
            && state.batches.is_empty()
            && state.network.is_empty();
        if !is_done {
            return Some("stuck: nothing more happens, and not all is done".to_owned());
        }
        let wanted = self.undisturbed(state);
        self.check_table(state, &wanted)
            .or_else(|| self.check_topics(state, &wanted))
            .or_else(|| self.check_letters(state, wanted.letters))
    }

    fn undisturbed(&self, state: &State) -> Undisturbed {
        // After a loss the history is not known: as if one batch had taken everything.
        let whole = BatchIntent {
            batch: 1,
            from: [0, 0],
            to: self.end(),
            deployment: 0,
            parts: 0,
            time: 1,
            quarantined: self
                .runs([0, 0], self.end(), 0)
                .first()
                .copied()
                .unwrap_or(0),
            has_run: true,
        };
        let whole = [whole];
        let history = if state.was_lost {
            &whole[..]
        } else {
            &state.log().history[..]
        };
        let mut wanted = Undisturbed {
            cells: [Cell::default(); ROWS],
            messages: Vec::new(),
            letters: 0,
        };
        let mut before = (0, 0);
        for intent in history {
            let intent = &BatchIntent {
                parts: intent.deployment,
                ..intent.clone()
            };
            before = (self.count_after(intent, before, true), intent.deployment);
            for write in self.writes(intent, before.0) {
                wanted.cells[usize::from(write.row)].apply(&write, true);
            }
            wanted.messages.extend(self.messages(intent, before.0));
            wanted.letters |= intent.quarantined;
        }
        wanted
    }

    fn check_table(&self, state: &State, wanted: &Undisturbed) -> Option<String> {
        if !self.sinks.hbase {
            return None;
        }
        let count = |cells: &[Cell; ROWS]| cells[4].read().map(|(_, _, value)| value);
        if state.was_lost && self.keyed && count(&state.cells) != count(&wanted.cells) {
            return Some("the running count in the table is wrong".to_owned());
        }
        let rows = match (state.was_lost, self.has_replans()) {
            (true, _) => ROWS - 1,
            // What only the version wrote that was given up stays: the price that is told.
            (_, true) if !self.keyed => 2,
            _ => ROWS,
        };
        let differs = |row: &usize| state.cells[*row].read() != wanted.cells[*row].read();
        let row = (0..rows).find(differs)?;
        let shown = |cell: &Cell| match cell.read() {
            None => "nothing".to_owned(),
            Some((rank, version, _)) => format!("record {rank} by version {version}"),
        };
        let (found, wanted) = (shown(&state.cells[row]), shown(&wanted.cells[row]));
        Some(format!("row {row} shows {found}, undisturbed {wanted}"))
    }

    fn check_topics(&self, state: &State, wanted: &Undisturbed) -> Option<String> {
        let wanted: Vec<Message> = wanted.messages.iter().map(|m| self.compared(m)).collect();
        for sink in 0..self.sinks.transactional {
            let found = state.topics[sink].messages.iter();
            let found: Vec<Message> = found.map(|message| self.compared(message)).collect();
            let lacks = wanted.iter().any(|message| !found.contains(message));
            if lacks {
                return Some(format!("transactional sink {sink} lost a message"));
            }
            let (mut wanted, mut found) = (wanted.clone(), found);
            if state.was_lost {
                found.sort();
                wanted.sort();
            }
            if self.checks.exactly_once && found != wanted {
                return Some(format!("transactional sink {sink} holds a message twice"));
            }
        }
        let in_plain = |message: &Message| {
            let mut plain = state.plain.iter().map(|(other, _)| self.compared(other));
            plain.any(|other| other == *message)
        };
        if self.sinks.plain && !wanted.iter().all(in_plain) {
            return Some("the plain sink lost a message".to_owned());
        }
        None
    }

    fn has_replans(&self) -> bool {
        self.deployments.iter().any(|deployment| deployment.replans)
    }

    /// A message as it is compared. Where records are planned anew, a sink may hold them by either
    /// version.
    fn compared(&self, message: &Message) -> Message {
        match *message {
            Message::Row { record, .. } if self.has_replans() => {
                Message::Row { record, version: 0 }
            }
            other => other,
        }
    }

    fn check_letters(&self, state: &State, wanted: u16) -> Option<String> {
        for (record, &count) in state.letters.iter().enumerate() {
            match (wanted >> record & 1 == 1, count) {
                (true, 0) => return Some("a dead letter is lost".to_owned()),
                (false, 1..) => return Some("a record is dead letter and row".to_owned()),
                (true, 2..) if self.checks.letters_once => {
                    return Some("a dead letter is doubled".to_owned());
                }
                _ => {}
            }
        }
        None
    }
}
