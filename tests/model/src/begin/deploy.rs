//! A deployment: the facts, the decision, what it does, and what is owed from then on.

use super::policy::{Decision, Facts, Markers, decide};
use super::state::{Checkpoint, Held, Job, Marker, State};
use super::steps::Start;
use super::{Begin, RECORDS, Sink, TARGETS};

impl Begin {
    pub(super) fn deploy(
        &self,
        state: &mut State,
        start: Option<Start>,
        reset: bool,
        retarget: bool,
    ) {
        let old = state.target;
        if retarget {
            state.target = 1 - old;
        }
        let facts = self.facts(state, start, reset, self.rules.marker_names_target);
        let decision = decide(&facts, self.rules.otherwise);
        self.owe(state, &self.facts(state, start, reset, true), start, old);
        match decision {
            Decision::GoOn if state.checkpoint.is_some() => state.job = Job::Running,
            Decision::Refuse => {
                state.job = Job::Refused;
                state.truth.needless_refusal = !self.is_justified(&facts);
            }
            _ => self.begin(state, decision, start),
        }
    }

    fn facts(&self, state: &State, start: Option<Start>, reset: bool, by_target: bool) -> Facts {
        let is_own =
            |sink: usize, marker: &Marker| !by_target || marker.target == state.target_of(sink);
        let marked = || (0..self.sinks.len()).filter(|&sink| self.sinks[sink] == Sink::Marked);
        let with_marker = marked()
            .filter(|&sink| state.sinks[sink].marker.is_some())
            .count();
        let owns = |sink: usize| {
            state.sinks[sink]
                .marker
                .as_ref()
                .is_some_and(|marker| is_own(sink, marker))
        };
        let markers = match (marked().count(), with_marker) {
            (0, _) => Markers::Unmarked,
            (_, 0) => Markers::Absent,
            (all, some) if some < all => Markers::Partial,
            _ if marked().any(owns) => Markers::Own,
            _ => Markers::OfOthers,
        };
        Facts {
            reset,
            checkpoint: state.checkpoint.is_some(),
            keyed: self.keyed,
            undeployed: state.undeployed,
            markers,
            group: state.group.is_some(),
            start_said: start.is_some(),
            rereads: self.rereads,
        }
    }

    fn start_offset(state: &State, start: Option<Start>) -> u8 {
        match start {
            Some(Start::Latest) => state.produced,
            Some(Start::Earliest) | None => 0,
        }
    }

    /// A new epoch, from where the decision says.
    fn begin(&self, state: &mut State, decision: Decision, start: Option<Start>) {
        let (committed, already_written) = match decision {
            Decision::AtGroup => (state.group.unwrap_or(0), [0; 2]),
            Decision::AtMarkers => self.held_by_sinks(state),
            _ => (Self::start_offset(state, start), [0; 2]),
        };
        state.epoch += 1;
        let epoch = if self.rules.epoch_is_new {
            state.epoch
        } else {
            1
        };
        let (batch, count) = (0, 0);
        state.checkpoint = Some(Checkpoint {
            epoch,
            batch,
            committed,
            count,
            already_written,
            already_in: state.target,
        });
        state.intent = None;
        state.delivered = [false; 2];
        state.undeployed = false;
        state.is_unresolved = !self.rules.latest_is_fixed && start == Some(Start::Latest);
        state.job = Job::Running;
        if self.rules.announces && !state.is_unresolved {
            self.announce(state, committed, already_written);
        }
    }

    /// The least of what the sinks hold, and what each exactly-once sink says that it holds.
    fn held_by_sinks(&self, state: &State) -> (u8, [u8; 2]) {
        let (mut least, mut already_written) = (state.produced, [0; 2]);
        for (sink, (kind, held)) in self.sinks.iter().zip(&state.sinks).enumerate() {
            let is_own = |marker: &&Marker| {
                !self.rules.marker_names_target || marker.target == state.target_of(sink)
            };
            let own = held
                .marker
                .as_ref()
                .filter(is_own)
                .map(|marker| marker.offset);
            already_written[sink] = own.unwrap_or(0);
            // A sink without a marker of its target holds what the group was told, at least. One
            // whose marker is missing is passed over: the policy refuses such a job.
            least = match (kind, own, &held.marker) {
                (Sink::Marked, Some(offset), _) => least.min(offset),
                (Sink::Marked, None, None) => least,
                _ => least.min(state.group.unwrap_or(0)),
            };
        }
        (least, already_written)
    }

    /// Group and markers say where the epoch begins: who loses the folder now begins there again.
    fn announce(&self, state: &mut State, committed: u8, already_written: [u8; 2]) {
        if !self.rereads {
            state.group = Some(committed);
        }
        for (sink, kind) in self.sinks.iter().enumerate() {
            let held = if self.rules.announces_held {
                already_written[sink]
            } else {
                0
            };
            let offset = if self.rereads { 0 } else { committed.max(held) };
            let (epoch, target) = (state.epoch, state.target_of(sink));
            if *kind == Sink::Marked {
                state.sinks[sink].marker = Some(Marker {
                    epoch,
                    batch: 0,
                    target,
                    offset,
                });
            }
        }
    }

    /// What is owed from now on, by what happened and what the user said: whatever is decided.
    fn owe(&self, state: &mut State, facts: &Facts, start: Option<Start>, old: u8) {
        let offset = Self::start_offset(state, start);
        let deleted = facts.keyed && facts.undeployed && !facts.checkpoint;
        let has_rows = |held: &Held| held.rows.iter().flatten().any(|&count| count > 0);
        let has_rows = state.sinks.iter().any(has_rows);
        let has_effects =
            has_rows || facts.group || facts.checkpoint || facts.markers == Markers::Own;
        // Nothing is known of this target: the user gets what a new job would give.
        let is_elsewhere = !facts.checkpoint && !facts.group && facts.markers == Markers::OfOthers;
        if facts.reset || deleted || !has_effects || is_elsewhere {
            state
                .sinks
                .iter_mut()
                .for_each(|held| held.rows = [[0; RECORDS]; TARGETS]);
            state.truth.answer_from = offset;
            state.truth.owed_from = [offset; 2];
            state.truth.repeats_from = if is_elsewhere { 0 } else { self.records };
            state.truth.left = [false; TARGETS];
            return;
        }
        if state.target != old {
            self.owe_new_target(state, facts, old);
        }
        if facts.checkpoint {
            return;
        }
        let group = state.group.unwrap_or(0);
        state.truth.repeats_from = state.truth.repeats_from.min(group);
        // The user's word counts where no exactly-once sink says what it holds.
        if start.is_some() && facts.markers != Markers::Own && !self.keyed {
            state.truth.owed_from = [offset; 2];
            state.truth.repeats_from = state.truth.repeats_from.min(offset);
        }
        let is_traceless = !facts.group && !facts.undeployed && facts.markers_tell_nothing();
        state.truth.no_trace |= is_traceless;
    }

    /// The new target is owed what the old one was not given.
    fn owe_new_target(&self, state: &mut State, facts: &Facts, old: u8) {
        let rows = &state.sinks[0].rows[usize::from(old)];
        let lacks =
            (state.truth.owed_from[0]..self.records).find(|&record| rows[usize::from(record)] == 0);
        let next = if facts.checkpoint {
            state.next()
        } else {
            lacks.unwrap_or(self.records)
        };
        state.truth.owed_from[0] = next;
        state.truth.left[usize::from(old)] = true;
        state.truth.returned |= state.truth.left[usize::from(state.target)];
    }

    /// Whether going on would need what is not known.
    fn is_justified(&self, facts: &Facts) -> bool {
        let is_own = facts.markers == Markers::Own;
        let state_is_lost = self.keyed && !facts.undeployed && (facts.group || is_own);
        let ran_before = facts.group || facts.undeployed;
        let marker_is_lost =
            facts.markers == Markers::Partial || facts.markers == Markers::Absent && ran_before;
        let not_held = self.rereads && is_own;
        state_is_lost || not_held || marker_is_lost
    }
}

impl Facts {
    fn markers_tell_nothing(&self) -> bool {
        !matches!(self.markers, Markers::Own | Markers::Partial)
    }
}
