//! What may happen, and what the host does batch by batch.

use super::state::{Intent, Job, Marker, State};
use super::{Begin, Sink};

/// Where the user says that a job starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Start {
    Earliest,
    Latest,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Action {
    /// A record is appended to the topic.
    Produce,
    Deploy {
        start: Option<Start>,
        reset: bool,
        retarget: bool,
    },
    Undeploy,
    Kill,
    LoseFolder,
    DeleteGroup,
    ExpireMarker(usize),
    /// `latest` is resolved, where that was not done at the deploy.
    Resolve,
    Intend(u8),
    Deliver(usize),
    Checkpoint,
    CommitGroup,
}

impl Begin {
    pub(super) fn possible(&self, state: &State, into: &mut Vec<Action>) {
        if state.produced < self.records {
            into.push(Action::Produce);
        }
        self.events(state, into);
        self.deploys(state, into);
        if state.job != Job::Running {
            return;
        }
        if state.kills > 0 {
            into.push(Action::Kill);
        }
        if state.is_unresolved {
            into.push(Action::Resolve);
            return;
        }
        match &state.intent {
            Some(_) => {
                let all = 0..self.sinks.len();
                into.extend(
                    all.clone()
                        .filter(|&sink| !state.delivered[sink])
                        .map(Action::Deliver),
                );
                if all.clone().all(|sink| state.delivered[sink]) {
                    into.push(Action::Checkpoint);
                }
            }
            None => {
                let most = state.produced.saturating_sub(state.next()).min(2);
                into.extend((1..=most).map(Action::Intend));
            }
        }
        let committed = state
            .checkpoint
            .as_ref()
            .map(|checkpoint| checkpoint.committed);
        let has_batch = state
            .checkpoint
            .as_ref()
            .is_some_and(|checkpoint| checkpoint.batch > 0);
        if !self.rereads && has_batch && state.group != committed {
            into.push(Action::CommitGroup);
        }
    }

    fn events(&self, state: &State, into: &mut Vec<Action>) {
        if state.events == 0 {
            return;
        }
        let allowed = &self.allowed;
        let has_folder = state.checkpoint.is_some() || state.undeployed;
        if allowed.lose_folder && has_folder {
            into.push(Action::LoseFolder);
        }
        if allowed.undeploy && state.job == Job::Running {
            into.push(Action::Undeploy);
        }
        if allowed.delete_group && state.group.is_some() {
            into.push(Action::DeleteGroup);
        }
        // A marker lives for a week after its batch: no job that runs loses it.
        if allowed.expire_marker && state.job != Job::Running {
            let has_marker = |&sink: &usize| state.sinks[sink].marker.is_some();
            into.extend((0..2).filter(has_marker).map(Action::ExpireMarker));
        }
    }

    fn deploys(&self, state: &State, into: &mut Vec<Action>) {
        let may = |allowed: bool| state.events > 0 && allowed;
        if state.job != Job::Refused {
            into.push(Action::Deploy {
                start: None,
                reset: false,
                retarget: false,
            });
        }
        if state.job == Job::Absent {
            if may(self.allowed.retarget) {
                into.push(Action::Deploy {
                    start: None,
                    reset: false,
                    retarget: true,
                });
            }
            if self.allowed.say_start {
                for start in [Start::Earliest, Start::Latest] {
                    let start = Some(start);
                    into.push(Action::Deploy {
                        start,
                        reset: false,
                        retarget: false,
                    });
                    if may(self.allowed.retarget) {
                        into.push(Action::Deploy {
                            start,
                            reset: false,
                            retarget: true,
                        });
                    }
                }
            }
        } else if state.job == Job::Running && may(self.allowed.retarget) {
            into.push(Action::Deploy {
                start: None,
                reset: false,
                retarget: true,
            });
        }
        if may(self.allowed.reset) {
            into.push(Action::Deploy {
                start: None,
                reset: true,
                retarget: false,
            });
        }
    }

    pub(super) fn take(&self, state: &mut State, action: Action) {
        match action {
            Action::Produce => state.produced += 1,
            Action::Deploy {
                start,
                reset,
                retarget,
            } => {
                state.events -= u8::from(reset) + u8::from(retarget);
                self.deploy(state, start, reset, retarget);
            }
            Action::Undeploy => {
                state.events -= 1;
                let wrote = |state: &State| {
                    state
                        .checkpoint
                        .as_ref()
                        .is_some_and(|checkpoint| checkpoint.batch > 0)
                };
                state.undeployed |= wrote(state) || state.intent.is_some();
                self.forget(state);
            }
            Action::LoseFolder => {
                state.events -= 1;
                state.undeployed = false;
                self.forget(state);
            }
            Action::Kill => {
                state.kills -= 1;
                state.delivered = [false; 2];
                let committed = state
                    .checkpoint
                    .as_ref()
                    .map(|checkpoint| checkpoint.committed);
                let repeats_from = state.truth.repeats_from;
                state.truth.repeats_from = repeats_from.min(committed.unwrap_or(repeats_from));
                let position_in_memory = !self.rules.latest_is_fixed
                    && state.intent.is_none()
                    && state
                        .checkpoint
                        .as_ref()
                        .is_some_and(|checkpoint| checkpoint.batch == 0);
                state.is_unresolved |= position_in_memory;
            }
            Action::DeleteGroup => {
                state.events -= 1;
                state.group = None;
            }
            Action::ExpireMarker(sink) => {
                state.events -= 1;
                state.sinks[sink].marker = None;
            }
            Action::Resolve => {
                state.is_unresolved = false;
                let produced = state.produced;
                if let Some(checkpoint) = &mut state.checkpoint {
                    checkpoint.committed = produced;
                }
            }
            Action::Intend(records) => self.intend(state, records),
            Action::Deliver(sink) => self.deliver(state, sink),
            Action::Checkpoint => self.checkpoint(state),
            Action::CommitGroup => {
                state.group = state
                    .checkpoint
                    .as_ref()
                    .map(|checkpoint| checkpoint.committed);
            }
        }
    }

    /// The checkpoint log is gone, and what the host had in memory.
    fn forget(&self, state: &mut State) {
        state.job = Job::Absent;
        (state.checkpoint, state.intent) = (None, None);
        (state.delivered, state.is_unresolved) = ([false; 2], false);
    }

    fn intend(&self, state: &mut State, records: u8) {
        let (target, from) = (state.target, state.next());
        let Some(checkpoint) = &state.checkpoint else {
            return;
        };
        let (epoch, batch) = (checkpoint.epoch, checkpoint.batch + 1);
        state.intent = Some(Intent {
            epoch,
            batch,
            from,
            to: from + records,
            target,
        });
    }

    fn deliver(&self, state: &mut State, sink: usize) {
        state.delivered[sink] = true;
        let active = state.target_of(sink);
        let (Some(intent), Some(checkpoint)) = (&state.intent, &state.checkpoint) else {
            return;
        };
        let target = if sink == 0 { intent.target } else { 0 };
        let compared = if self.rules.target_of_intent {
            target
        } else {
            active
        };
        let held = &mut state.sinks[sink];
        let is_held = held.marker.as_ref().is_some_and(|marker| {
            let same_target = !self.rules.marker_names_target || marker.target == compared;
            same_target && marker.epoch == intent.epoch && marker.batch >= intent.batch
        });
        if self.sinks[sink] == Sink::Marked && is_held {
            return;
        }
        let same = target == checkpoint.already_in || sink > 0;
        let counts = same || !self.rules.already_written_names_target;
        let already = if counts {
            checkpoint.already_written[sink]
        } else {
            0
        };
        let first = intent.from.max(already);
        for record in first..intent.to {
            let count = &mut held.rows[usize::from(target)][usize::from(record)];
            *count = (*count + 1).min(2);
        }
        if self.sinks[sink] == Sink::Marked {
            let Intent { epoch, batch, .. } = *intent;
            let floor = if self.rules.marker_keeps_held {
                already
            } else {
                0
            };
            let offset = if self.rereads {
                0
            } else {
                intent.to.max(floor)
            };
            held.marker = Some(Marker {
                epoch,
                batch,
                target,
                offset,
            });
        }
    }

    fn checkpoint(&self, state: &mut State) {
        let (Some(intent), Some(checkpoint)) = (state.intent.take(), &mut state.checkpoint) else {
            return;
        };
        checkpoint.batch = intent.batch;
        checkpoint.committed = intent.to;
        checkpoint.count += intent.to - intent.from;
        state.delivered = [false; 2];
    }
}
