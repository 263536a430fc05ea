//! A deployment over several tasks. Each task has a source half, which cuts its partition and sends a
//! frame to every partition of the repartition topic, and a keyed half, which takes the frames of its
//! own partition. Version 1 is replaced by version 2.

use crate::checker::Model;
use crate::scenario::{Scenario, breaks, holds};

const TASKS: usize = 2;

/// When a keyed half goes over to the new deployment.
#[derive(Clone, Copy, Debug, PartialEq)]
enum KeyedSwitch {
    /// When its host has read the deployment's record.
    Record,
    /// At its own cut, or before the first frame of the new deployment.
    FirstFrame,
    /// When all tasks have said that no frame of the old one follows.
    AllEnds,
}

#[derive(Clone, Debug)]
struct Rollout {
    /// Batches of each source half.
    cuts: u8,
    kills: u8,
    /// State begins anew with version 2. Else it carries on.
    begins_anew: bool,
    keyed_switch: KeyedSwitch,
    /// A source half cuts under version 2 only when it has heard the ends of all.
    source_waits: bool,
    /// The ends that a task has heard are in its checkpoint, not in memory.
    ends_in_checkpoint: bool,
    /// A source half that has sent its end never cuts under version 1 again.
    end_binds: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Frame {
    Items {
        version: u8,
    },
    /// No frame of version 1 by this task follows.
    End {
        from: usize,
    },
}

/// What is durable of a task.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Task {
    version: u8,
    has_ended: bool,
    cuts_left: u8,
    position: usize,
    keyed_version: u8,
    heard: [bool; TASKS],
}

#[derive(Clone, Hash, Debug)]
struct State {
    deployed: u8,
    /// By task's host: the newest record that it has read, and the ends heard since it started.
    known: [u8; TASKS],
    heard_since_start: [[bool; TASKS]; TASKS],
    tasks: [Task; TASKS],
    partitions: [Vec<Frame>; TASKS],
    kills: u8,
    broken: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Action {
    Deploy,
    ReadRecord(usize),
    Cut(usize),
    SendEnd(usize),
    TakeFrame(usize),
    SwitchKeyed(usize),
    Kill(usize),
}

impl Rollout {
    fn has_heard_all(&self, state: &State, task: usize) -> bool {
        let heard = match self.ends_in_checkpoint {
            true => &state.tasks[task].heard,
            false => &state.heard_since_start[task],
        };
        heard.iter().all(|&heard| heard)
    }

    fn may_cut(&self, state: &State, at: usize) -> bool {
        let task = &state.tasks[at];
        let has_waited = !self.source_waits || self.has_heard_all(state, at);
        if task.cuts_left == 0 {
            return false;
        }
        match (self.begins_anew && task.version == 1, state.known[at]) {
            (false, _) => true,
            (true, 2) => task.has_ended && has_waited,
            (true, _) => !(self.end_binds && task.has_ended),
        }
    }

    /// A frame of a newer deployment makes the host read the record: it is durable by then.
    fn switch_for_frame(&self, state: &mut State, at: usize, version: u8) {
        let may_switch = match self.keyed_switch {
            KeyedSwitch::FirstFrame => true,
            KeyedSwitch::AllEnds => self.has_heard_all(state, at),
            KeyedSwitch::Record => false,
        };
        if may_switch {
            state.tasks[at].keyed_version = version;
            state.known[at] = state.deployed;
        }
    }

    fn take_frame(&self, state: &mut State, at: usize) {
        match state.partitions[at][state.tasks[at].position] {
            Frame::End { from } => {
                state.tasks[at].heard[from] = true;
                state.heard_since_start[at][from] = true;
            }
            Frame::Items { version } => {
                if version > state.tasks[at].keyed_version {
                    self.switch_for_frame(state, at, version);
                }
                let keyed = state.tasks[at].keyed_version;
                if version > keyed {
                    state.broken = Some(format!(
                        "a frame of version {version} is merged by version {keyed}"
                    ));
                } else if self.begins_anew && version < keyed {
                    state.broken = Some("state began anew, and a frame of before comes".to_owned());
                }
            }
        }
        state.tasks[at].position += 1;
    }
}

impl Model for Rollout {
    type State = State;
    type Action = Action;

    fn initial(&self) -> State {
        let task = Task {
            version: 1,
            has_ended: false,
            cuts_left: self.cuts,
            position: 0,
            keyed_version: 1,
            heard: [false; TASKS],
        };
        State {
            deployed: 1,
            known: [1; TASKS],
            heard_since_start: [[false; TASKS]; TASKS],
            tasks: [task.clone(), task],
            partitions: Default::default(),
            kills: self.kills,
            broken: None,
        }
    }

    fn actions(&self, state: &State, into: &mut Vec<Action>) {
        if state.deployed == 1 {
            into.push(Action::Deploy);
        }
        for (at, task) in state.tasks.iter().enumerate() {
            let knows = state.known[at] == 2;
            if state.known[at] < state.deployed {
                into.push(Action::ReadRecord(at));
            }
            if self.may_cut(state, at) {
                into.push(Action::Cut(at));
            }
            if self.begins_anew && knows && !task.has_ended {
                into.push(Action::SendEnd(at));
            }
            if task.position < state.partitions[at].len() {
                into.push(Action::TakeFrame(at));
            }
            let may_switch = match self.keyed_switch {
                KeyedSwitch::AllEnds => self.has_heard_all(state, at),
                _ => !self.begins_anew,
            };
            if task.keyed_version == 1 && knows && may_switch {
                into.push(Action::SwitchKeyed(at));
            }
            if state.kills > 0 {
                into.push(Action::Kill(at));
            }
        }
    }

    fn apply(&self, state: &mut State, action: Action) {
        match action {
            Action::Deploy => state.deployed = 2,
            Action::ReadRecord(at) => state.known[at] = state.deployed,
            Action::Cut(at) => {
                let version = state.known[at];
                state.tasks[at].version = version;
                state.tasks[at].cuts_left -= 1;
                let frames = state.partitions.iter_mut();
                frames.for_each(|frames| frames.push(Frame::Items { version }));
            }
            Action::SendEnd(at) => {
                state.tasks[at].has_ended = true;
                let frames = state.partitions.iter_mut();
                frames.for_each(|frames| frames.push(Frame::End { from: at }));
            }
            Action::TakeFrame(at) => self.take_frame(state, at),
            Action::SwitchKeyed(at) => state.tasks[at].keyed_version = 2,
            Action::Kill(at) => {
                state.kills -= 1;
                state.known[at] = state.tasks[at].version;
                state.heard_since_start[at] = [false; TASKS];
            }
        }
    }

    fn is_progress(&self, action: Action) -> bool {
        !matches!(action, Action::Kill(_))
    }

    fn violation(&self, state: &State, at_rest: bool) -> Option<String> {
        let is_behind = |task: &Task| {
            let must_switch = task.version == 2 || self.begins_anew;
            task.cuts_left > 0 || task.keyed_version != state.deployed && must_switch
        };
        let is_stuck = at_rest && state.tasks.iter().any(is_behind);
        let stuck = || "stuck: nothing more happens, and not all is done".to_owned();
        state.broken.clone().or_else(|| is_stuck.then(stuck))
    }

    fn describe(&self, state: &State, action: Action) -> String {
        match action {
            Action::Deploy => "the record of deployment 2 is durable".to_owned(),
            Action::ReadRecord(at) => format!("task {at}: reads the record"),
            Action::Cut(at) => {
                format!(
                    "task {at}: cuts, and sends frames of version {}",
                    state.known[at]
                )
            }
            Action::SendEnd(at) => format!("task {at}: sends its end of version 1 to all"),
            Action::TakeFrame(at) => {
                let frame = match state.partitions[at][state.tasks[at].position] {
                    Frame::End { from } => format!("the end of task {from}"),
                    Frame::Items { version } => format!("a frame of version {version}"),
                };
                format!("task {at}: takes {frame}")
            }
            Action::SwitchKeyed(at) => format!("task {at}: its keyed half goes over to version 2"),
            Action::Kill(at) => format!("kill -9 of task {at}"),
        }
    }
}

/// All scenarios of a deployment over several tasks.
pub(crate) fn scenarios() -> Vec<Scenario> {
    let carries_on = Rollout {
        cuts: 2,
        kills: 2,
        begins_anew: false,
        keyed_switch: KeyedSwitch::FirstFrame,
        source_waits: true,
        ends_in_checkpoint: true,
        end_binds: true,
    };
    let anew = Rollout {
        begins_anew: true,
        keyed_switch: KeyedSwitch::AllEnds,
        ..carries_on.clone()
    };
    let once = |rollout: &Rollout| Rollout {
        kills: 1,
        ..rollout.clone()
    };
    vec![
        holds(
            "rollout/carries-on",
            "state carries on: a keyed half goes over at its own cut or the first new frame",
            once(&carries_on),
        )
        .or(carries_on.clone()),
        breaks(
            "rollout/at-record",
            "a keyed half goes over when its host has read the record",
            [
                "a frame of version 2 is merged by version 1",
                "task 0: takes a frame of version 2",
            ],
            Rollout {
                keyed_switch: KeyedSwitch::Record,
                ..carries_on
            },
        ),
        holds(
            "rollout/begins-anew",
            "state begins anew: ends to all, all wait for all ends",
            once(&anew),
        )
        .or(anew.clone()),
        breaks(
            "rollout/source-does-not-wait",
            "state begins anew: a source half does not wait for the ends",
            [
                "a frame of version 2 is merged by version 1",
                "task 0: takes a frame of version 2",
            ],
            Rollout {
                source_waits: false,
                ..anew.clone()
            },
        ),
        breaks(
            "rollout/anew-at-first-frame",
            "state begins anew at the first new frame",
            [
                "state began anew, and a frame of before comes",
                "task 0: takes a frame of version 1",
            ],
            Rollout {
                source_waits: false,
                keyed_switch: KeyedSwitch::FirstFrame,
                ..anew.clone()
            },
        ),
        breaks(
            "rollout/end-does-not-bind",
            "a source half that sent its end cuts under the old version after a restart",
            [
                "state began anew, and a frame of before comes",
                "task 0: takes a frame of version 1",
            ],
            Rollout {
                end_binds: false,
                ..anew.clone()
            },
        ),
        breaks(
            "rollout/ends-in-memory",
            "the ends that a task has heard are not in its checkpoint",
            [
                "a frame of version 2 is merged by version 1",
                "task 0: takes a frame of version 2",
            ],
            Rollout {
                ends_in_checkpoint: false,
                ..anew
            },
        ),
    ]
}
