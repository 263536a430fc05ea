//! Steps in words, for counterexamples.

use super::Begin;
use super::state::State;
use super::steps::{Action, Start};

impl Begin {
    pub(super) fn words(&self, state: &State, action: Action) -> String {
        let number = state
            .checkpoint
            .as_ref()
            .map_or(1, |checkpoint| checkpoint.batch + 1);
        let span = |from: u8, to: u8| match from + 1 == to {
            true => format!("record {to}"),
            false => format!("records {} to {to}", from + 1),
        };
        match action {
            Action::Produce => format!("record {} is written to the topic", state.produced + 1),
            Action::Deploy {
                start,
                reset,
                retarget,
            } => {
                let start = match start {
                    None => "",
                    Some(Start::Earliest) => ", start=earliest",
                    Some(Start::Latest) => ", start=latest",
                };
                let reset = if reset { ", --reset-state" } else { "" };
                let target = if retarget {
                    ", another target for sink 0"
                } else {
                    ""
                };
                format!("the user deploys{start}{reset}{target}")
            }
            Action::Undeploy => "the user undeploys".to_owned(),
            Action::Kill => "kill -9, and the host starts again".to_owned(),
            Action::LoseFolder => "the data folder is lost".to_owned(),
            Action::DeleteGroup => "the consumer group is deleted".to_owned(),
            Action::ExpireMarker(sink) => format!("the marker of sink {sink} expires"),
            Action::Resolve => "the host resolves `latest`".to_owned(),
            Action::Intend(records) => {
                let from = state.next();
                format!(
                    "the host writes intent {number}: {}",
                    span(from, from + records)
                )
            }
            Action::Deliver(sink) => format!("sink {sink} has batch {number}"),
            Action::Checkpoint => format!("the host checkpoints batch {number}"),
            Action::CommitGroup => "the consumer group is told".to_owned(),
        }
    }
}
