//! Where a deployment begins to read, told before it does. The pipeline's recovery decides by the
//! same table, in core.

use crate::api::DeployRequest;
use streamhost_core::protocol::Checkpoint;
use streamhost_core::protocol::beginning::{Beginning, BeginningFacts, beginning};
use streamhost_core::protocol::recovery_policy::RecoveryError;
use streamhost_engine::pipeline::LoadedDeployment;
use streamhost_storage::catalog::Undeployed;

/// What a deploy knows without asking a server.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BeginningAsk {
    /// The job has a checkpoint here that this deployment goes on from.
    pub(super) has_checkpoint: bool,
    /// Whether it was undeployed here, and its state with it.
    pub(super) undeployed: Undeployed,
    /// The user said `--reset-state`.
    pub(super) reset: bool,
    /// The user said where to start.
    pub(super) starts: bool,
}

impl BeginningAsk {
    /// What a deploy of this version knows.
    pub(super) fn of(
        active: &LoadedDeployment,
        checkpoint: Option<&Checkpoint>,
        undeployed: Undeployed,
        request: &DeployRequest,
        starts: bool,
    ) -> BeginningAsk {
        BeginningAsk {
            has_checkpoint: checkpoint.is_some(),
            undeployed,
            reset: request.reset_state || checkpoint.is_some() && active.resets(checkpoint),
            starts,
        }
    }
}

/// Where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Begins {
    /// Where its checkpoint is.
    GoesOn,
    /// The table decides.
    By(Beginning),
}

/// The checkpoint counts, unless it is reset; else the table does.
pub(super) fn begins(asked: BeginningAsk, known: &BeginningFacts<'_>) -> Begins {
    match asked.has_checkpoint && !asked.reset {
        true => Begins::GoesOn,
        false => Begins::By(beginning(known)),
    }
}

impl Begins {
    /// What the user should know of it: where it is not what the command said. `Err`: the job is
    /// not begun.
    pub(super) fn warning(
        &self,
        asked: BeginningAsk,
        group: &str,
    ) -> Result<Option<String>, String> {
        Ok(match self {
            Begins::GoesOn if asked.starts => Some(
                "`start` is for a new job, and this one goes on where it is: --reset-state begins it anew there".to_owned(),
            ),
            Begins::GoesOn | Begins::By(Beginning::AtStart) => None,
            Begins::By(Beginning::Anew) => Some(
                "this job was undeployed, and the state of its keyed stages with it: it begins anew at `start`, and sends its results again"
                    .to_owned(),
            ),
            Begins::By(Beginning::AtGroup) => Some(format!(
                "Kafka holds offsets of the group `{group}` (of a job that was undeployed, or a lost data folder): this job goes on from them, and reads nothing before them; --set start=earliest begins at the first record, another group with --set group=… as well"
            )),
            Begins::By(Beginning::AtMarkers { already_written, .. }) => {
                let sinks: Vec<String> = already_written.keys().map(|sink| format!("`{sink}`")).collect();
                Some(format!(
                    "Kafka holds markers of exactly-once sinks of this job, {} (of a job that was undeployed, or a lost data folder): this job goes on where they say that it was{}; --reset-state begins it anew at `start`, and writes its rows again",
                    sinks.join(", "),
                    if asked.starts { ", and `start` does not count" } else { "" }
                ))
            }
            Begins::By(Beginning::Refused(RecoveryError::StateLost)) => return Err(format!(
                "Kafka holds offsets of the group `{group}` or markers of this job's sinks, and this data folder has no state of it: restore the folder or run the job where it was, deploy with --reset-state to begin anew at `start`, or give it another group with --set group=…"
            )),
            Begins::By(Beginning::Refused(error)) => return Err(error.to_string()),
        })
    }

    /// Where it begins, in a few words.
    pub(super) fn in_short(&self, asked: BeginningAsk) -> String {
        match self {
            Begins::GoesOn => "where the job is",
            Begins::By(Beginning::AtStart) if asked.reset => "anew at `start`",
            Begins::By(Beginning::AtStart) => "at `start`",
            Begins::By(Beginning::Anew) => "anew at `start`, as its state is gone",
            Begins::By(Beginning::AtGroup) => "at the offsets of its consumer group",
            Begins::By(Beginning::AtMarkers { .. }) => "where its exactly-once sinks are",
            Begins::By(Beginning::Refused(RecoveryError::StateLost)) => {
                "nowhere: its state is not here"
            }
            Begins::By(Beginning::Refused(_)) => "nowhere: what its sinks hold is not known",
        }
        .to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamhost_core::types::TopicOffsets;

    #[test]
    fn what_is_not_as_the_command_says_is_told() {
        let (new, says) = (
            BeginningAsk::default(),
            BeginningAsk {
                starts: true,
                ..BeginningAsk::default()
            },
        );
        let at_markers = || {
            Begins::By(Beginning::AtMarkers {
                from: TopicOffsets::new(),
                already_written: [("clicks".to_owned(), TopicOffsets::new())].into(),
            })
        };
        let cases = [
            (new, Begins::GoesOn, ""),
            (says, Begins::GoesOn, "--reset-state"),
            (new, Begins::By(Beginning::AtStart), ""),
            (says, Begins::By(Beginning::AtStart), ""),
            (new, Begins::By(Beginning::Anew), "sends its results again"),
            (new, Begins::By(Beginning::AtGroup), "--set start=earliest"),
            (new, Begins::By(Beginning::AtGroup), "streamhost.clicks"),
            (new, at_markers(), "`clicks`"),
            (new, at_markers(), "--reset-state"),
            (says, at_markers(), "`start` does not count"),
        ];
        for (asked, begins, words) in cases {
            let warning = begins.warning(asked, "streamhost.clicks");
            let warning = warning.unwrap_or_else(|refused| panic!("{begins:?}: {refused}"));
            assert_eq!(warning.is_some(), !words.is_empty(), "{begins:?}");
            assert!(warning.unwrap_or_default().contains(words), "{begins:?}");
        }
    }

    #[test]
    fn what_is_not_begun_says_how_it_can_be() {
        let unknown = RecoveryError::LedgerLost {
            sink: "clicks".to_owned(),
        };
        for error in [RecoveryError::StateLost, unknown] {
            let begins = Begins::By(Beginning::Refused(error));
            let refused = begins
                .warning(BeginningAsk::default(), "g")
                .expect_err("refused");
            assert!(refused.contains("--reset-state"), "{refused}");
        }
    }
}
