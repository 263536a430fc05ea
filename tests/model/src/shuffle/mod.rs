//! Two stages over a repartition topic. Tasks 0 and 1 read a source partition each and send
//! *frames*: the items of a batch for one partition. Task 2, the keyed one, reads the frames, counts
//! windows and a total, writes the total to HBase, and each window's result to a Kafka topic in the
//! transaction of its checkpoint.
//!
//! A task's checkpoint, intent and state are one partition of a topic: each of its writes is atomic
//! and fenced. Two hosts; each may take a task over while the other, a zombie, goes on with it.

mod state;
mod run;
mod steps;
mod words;
mod scenarios;

use crate::checker::Model;
use state::{State, Window};
use steps::Action;

pub(crate) use scenarios::scenarios;

/// The keyed task.
const KEYED: usize = 2;
const WINDOWS: usize = 3;
/// The line of a source that has ended: beyond all windows.
const END: Window = 9;

/// How a task's items reach the keyed one.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Frames {
    /// Sent plainly after the intent; the reader leaves out numbers that it has heard.
    Numbered,
    /// The same, and the reader takes all.
    NotNumbered,
    /// In the transaction of the sender's checkpoint. Then it needs no intent.
    InTransaction,
}

/// The keyed task's watermark.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Watermark {
    /// The least line of all tasks; one that was not heard yet holds it back.
    Least,
    LeastHeard,
    Largest,
}

/// A host's own copy of the keyed task's state.
#[derive(Clone, Copy, Debug, PartialEq)]
enum LocalStore {
    None,
    /// Written after the checkpoint, with its batch number.
    AfterCheckpoint,
    BeforeCheckpoint,
}

#[derive(Clone, Copy, Debug)]
struct Rules {
    frames: Frames,
    source_intents: bool,
    keyed_intents: bool,
    intent_is_fenced: bool,
    checkpoint_is_fenced: bool,
    fence_before_read: bool,
    watermark: Watermark,
    /// Times of HBase cells go on after the checkpoint's, not by the host's clock alone.
    times_after_checkpoint: bool,
    local_store: LocalStore,
    /// State is restored up to the end of the topic.
    restores_to_end: bool,
}

#[derive(Clone, Debug)]
struct Shuffle {
    /// The window of each record of the two source partitions.
    records: [Vec<Window>; 2],
    takeovers: u8,
    kills: u8,
    time_outs: u8,
    /// The tasks that faults may hit.
    faulty: [bool; 3],
    /// A kill stops all tasks of a host. Else the faulty ones alone, which is less to explore.
    kill_stops_host: bool,
    hbase: bool,
    rules: Rules,
}

impl Model for Shuffle {
    type State = State;
    type Action = Action;

    fn initial(&self) -> State {
        State {
            takeovers: self.takeovers,
            kills: self.kills,
            time_outs: self.time_outs,
            ..State::default()
        }
    }

    fn actions(&self, state: &State, into: &mut Vec<Action>) {
        self.possible(state, into);
    }

    fn apply(&self, state: &mut State, action: Action) {
        self.take(state, action);
    }

    fn is_progress(&self, action: Action) -> bool {
        !matches!(action, Action::Kill(_) | Action::TimeOut(_))
    }

    fn violation(&self, state: &State, at_rest: bool) -> Option<String> {
        if state.has_regressed {
            return Some("HBase: an older total comes back".to_owned());
        }
        let (counts, total) = self.undisturbed();
        let mut next = 0;
        for &(window, count) in &state.results {
            let wanted = counts[usize::from(window)];
            if window < next {
                return Some("a window's result is given twice".to_owned());
            }
            if count != wanted {
                return Some(format!("window {window} counts {count}, wanted {wanted}"));
            }
            next = window + 1;
        }
        let counted = state.checkpoints[KEYED].total;
        if counted > total {
            return Some(format!("the state counts {counted} of {total}"));
        }
        if !self.is_quiet(state) {
            return at_rest.then(|| "stuck: nothing more happens, and not all is done".to_owned());
        }
        if counted != total {
            return Some(format!(
                "at rest the state counts {counted}, wanted {total}"
            ));
        }
        if state.results.len() != counts.iter().filter(|&&count| count > 0).count() {
            return Some("at rest results of windows are missing".to_owned());
        }
        if self.hbase && state.put.1 != total {
            return Some(format!(
                "at rest the table shows {}, wanted {total}",
                state.put.1
            ));
        }
        None
    }

    fn describe(&self, state: &State, action: Action) -> String {
        self.words(state, action)
    }
}

impl Shuffle {
    /// What a run without faults counts: by window, and in all. A record behind its own partition's
    /// furthest one is late.
    fn undisturbed(&self) -> ([u8; WINDOWS], u8) {
        let mut counts = [0; WINDOWS];
        for records in &self.records {
            let mut furthest = 0;
            for &window in records {
                counts[usize::from(window)] += u8::from(window >= furthest);
                furthest = furthest.max(window);
            }
        }
        (counts, counts.iter().sum())
    }

    /// All is read and done, and nothing is on its way.
    fn is_quiet(&self, state: &State) -> bool {
        let all_done = (0..3).all(|task| {
            let is_read = state.checkpoints[task].committed == self.end(state, task);
            is_read && state.intents[task].is_none()
        });
        let has_started = (0..KEYED).all(|task| state.checkpoints[task].committed > 0);
        let all_idle = state.hosts.iter().flatten().all(|worker| worker.is_idle());
        has_started && all_done && all_idle && state.network.is_empty()
    }

    /// Where a task's input ends as yet.
    fn end(&self, state: &State, task: usize) -> u8 {
        match task {
            KEYED => state.frames.len() as u8,
            _ => self.records[task].len() as u8,
        }
    }
}
