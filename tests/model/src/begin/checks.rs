//! What must hold in every state, and once nothing more happens by itself.

use super::state::{Job, State};
use super::{Begin, Sink};

impl Begin {
    pub(super) fn check_always(&self, state: &State) -> Option<String> {
        if state.truth.needless_refusal {
            return Some("refused, though nothing would be lost or doubled".to_owned());
        }
        let excused = self.is_excused(state);
        for (sink, kind) in self.sinks.iter().enumerate() {
            let targets = &state.sinks[sink].rows;
            for (record, &count) in targets.iter().flat_map(|rows| rows.iter().enumerate()) {
                let may_repeat = match kind {
                    Sink::Marked => excused,
                    Sink::Plain => record as u8 >= state.truth.repeats_from,
                };
                if count > 1 && !may_repeat {
                    return Some(match kind {
                        Sink::Marked => "an exactly-once sink holds a record twice".to_owned(),
                        Sink::Plain => "a plain sink repeats more than the lag".to_owned(),
                    });
                }
            }
        }
        let checkpoint = state.checkpoint.as_ref()?;
        let counted = checkpoint.committed.saturating_sub(state.truth.answer_from);
        let is_known = self.keyed && !state.is_unresolved && !excused;
        let is_wrong = is_known && checkpoint.count != counted;
        is_wrong.then(|| format!("the state counts {} of {counted}", checkpoint.count))
    }

    /// What is not promised has happened.
    fn is_excused(&self, state: &State) -> bool {
        self.excuses_no_trace && state.truth.no_trace || self.excuses_return && state.truth.returned
    }

    pub(super) fn check_at_rest(&self, state: &State) -> Option<String> {
        if state.job != Job::Running {
            return None;
        }
        if state.intent.is_some() || state.next() != self.records {
            return Some("stuck: nothing more happens, and not all is done".to_owned());
        }
        if self.is_excused(state) {
            return None;
        }
        for (sink, kind) in self.sinks.iter().enumerate() {
            let target = usize::from(state.target_of(sink));
            let owed = usize::from(state.truth.owed_from[sink])..usize::from(self.records);
            if state.sinks[sink].rows[target][owed].contains(&0) {
                return Some(match kind {
                    Sink::Marked => "an exactly-once sink lacks a record".to_owned(),
                    Sink::Plain => "a plain sink lacks a record".to_owned(),
                });
            }
        }
        None
    }
}
