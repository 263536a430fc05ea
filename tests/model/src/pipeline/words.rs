//! Steps in words, for counterexamples.

use super::actions::Action;
use super::config::Config;
use super::state::{RequestKind, State};
use super::table::Write;

impl Config {
    pub(super) fn words(&self, state: &State, action: Action) -> String {
        let batch = |at: usize| state.batches[at].intent.batch;
        match action {
            Action::Start => "the host starts and takes its intents up".to_owned(),
            Action::Kill => "kill -9".to_owned(),
            Action::LosePower(kept) => {
                let lost = state.journal.len() - 1 - kept;
                format!("power loss: {lost} unsynced writes of the log are gone")
            }
            Action::LoseCheckpoint => "the checkpoint log is lost; a new one begins".to_owned(),
            Action::Deploy => format!("the user deploys {}", self.named(state.newest + 1)),
            Action::RecordDeployment => {
                format!("the record of {} becomes durable", self.named(state.newest))
            }
            Action::GiveUp => "the host gives up what is planned".to_owned(),
            Action::Abandon => "the host gives up batches without an intent".to_owned(),
            Action::Cut { to, quarantined } => {
                let at = state
                    .batches
                    .last()
                    .map_or(state.log().batch, |last| last.intent.batch);
                let aside = if quarantined == 0 {
                    ""
                } else {
                    ", quarantining a record"
                };
                let runs = if self.runs_before_intent() {
                    "cuts and runs"
                } else {
                    "cuts and plans"
                };
                format!(
                    "the host {runs} batch {} to {}/{}{aside}",
                    at + 1,
                    to[0],
                    to[1]
                )
            }
            Action::Run {
                batch: at,
                quarantined,
            } => {
                let aside = if quarantined == 0 {
                    ""
                } else {
                    ", quarantining a record"
                };
                format!("the host runs batch {}{aside}", batch(at))
            }
            Action::WriteIntent(at) => format!("the host writes the intent of batch {}", batch(at)),
            Action::Sync => "the log is synced".to_owned(),
            Action::SendCell { batch: at, index } => {
                let of = &state.batches[at];
                let write = self.writes(&of.intent, of.count_after)[usize::from(index)];
                format!("the host sends {} of batch {}", cell(&write), batch(at))
            }
            Action::Skip { batch: at, sink } => {
                format!(
                    "the marker of sink {sink} says that it holds batch {}",
                    batch(at)
                )
            }
            Action::SendTransaction { batch: at, sink } => {
                format!(
                    "the host sends batch {} and its marker to sink {sink}",
                    batch(at)
                )
            }
            Action::SendPlain(at) => {
                format!("the host sends batch {} to the plain topic", batch(at))
            }
            Action::SendLetters(at) => {
                format!("the host sends the dead letters of batch {}", batch(at))
            }
            Action::Fence(sink) => format!("the host fences sink {sink}"),
            Action::ReadMarker(sink) => format!("the host reads the marker of sink {sink}"),
            Action::Arrive(at) => format!("{} arrives", request(state, at)),
            Action::Vanish(at) => format!("{} is lost", request(state, at)),
            Action::TimeOut(at) => format!("time-out: the host gives up on {}", request(state, at)),
            Action::Compact => "a major compaction removes tombstones".to_owned(),
            Action::Checkpoint => {
                let open = state.batches.iter().find(|batch| !batch.is_checkpointed);
                let number = open.map_or(0, |batch| batch.intent.batch);
                format!("the host checkpoints batch {number}")
            }
            Action::CommitGroup => "the consumer group is told".to_owned(),
        }
    }

    fn named(&self, deployment: u8) -> String {
        format!(
            "deployment {} (version {})",
            deployment + 1,
            self.version(deployment)
        )
    }
}

fn cell(write: &Write) -> String {
    let kind = if write.delete {
        "the delete"
    } else {
        "the put"
    };
    format!("{kind} of row {} for record {}", write.row, write.rank)
}

fn request(state: &State, at: usize) -> String {
    let request = &state.network[at];
    let late = if request.is_awaited { "" } else { "late: " };
    let what = match &request.kind {
        RequestKind::Cell { write, .. } => cell(write),
        RequestKind::Transaction { sink, .. } => format!("the transaction for sink {sink}"),
        RequestKind::Messages(_) => "the plain messages".to_owned(),
        RequestKind::Letters(_) => "the dead letters".to_owned(),
    };
    format!("{late}{what} of batch {}", request.batch)
}
