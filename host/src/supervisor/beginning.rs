//! Where a deployment begins to read, told before it does. Pure; `checkpoint::step` and the
//! pipeline's recovery act by the same rules.

/// What is known of a job when a component is deployed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BeginningFacts {
    /// It has a checkpoint here that this deployment goes on from.
    pub(super) has_checkpoint: bool,
    /// It was undeployed here, and its state with it.
    pub(super) was_undeployed: bool,
    /// The user said `--reset-state`.
    pub(super) reset: bool,
    /// The user said where to start.
    pub(super) starts: bool,
    /// It has keyed stages.
    pub(super) keyed: bool,
    /// It has sinks that say themselves what they hold.
    pub(super) marked: bool,
    /// The consumer group holds offsets of it.
    pub(super) group_holds: bool,
}

/// Where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beginning {
    /// Where it is. `told`: the user said where to start, which is for new jobs.
    GoesOn {
        /// Whether `start` was said.
        told: bool,
    },
    /// At `start`.
    AtStart,
    /// At `start`, as what it kept is gone, though the user did not say so.
    Anew,
    /// Where the consumer group says that it was.
    AtGroup,
    /// Where its exactly-once sinks say that they are. `told`: the user said where to start, which
    /// does not count.
    AtMarkers {
        /// Whether `start` was said.
        told: bool,
    },
    /// Nowhere: it ran before, and its state is not here.
    StateLost,
}

/// The first that fits.
pub(super) fn beginning(known: BeginningFacts) -> Beginning {
    match known {
        BeginningFacts { reset: true, .. } => Beginning::AtStart,
        BeginningFacts {
            has_checkpoint: true,
            starts,
            ..
        } => Beginning::GoesOn { told: starts },
        BeginningFacts {
            was_undeployed: true,
            keyed: true,
            ..
        } => Beginning::Anew,
        BeginningFacts {
            group_holds: false, ..
        } => Beginning::AtStart,
        BeginningFacts { keyed: true, .. } => Beginning::StateLost,
        BeginningFacts {
            marked: true,
            starts,
            ..
        } => Beginning::AtMarkers { told: starts },
        BeginningFacts { starts: true, .. } => Beginning::AtStart,
        BeginningFacts { .. } => Beginning::AtGroup,
    }
}

impl Beginning {
    /// What the user should know of it: where it is not what the command said.
    pub(super) fn warning(self, group: &str) -> Option<String> {
        let from = format!(
            "Kafka holds offsets of the group `{group}` (of a job that was undeployed, or a lost data folder)"
        );
        match self {
            Beginning::AtStart | Beginning::GoesOn { told: false } | Beginning::StateLost => None,
            Beginning::GoesOn { told: true } => Some(
                "`start` is for a new job, and this one goes on where it is: --reset-state begins it anew there".to_owned(),
            ),
            Beginning::Anew => Some(
                "this job was undeployed, and the state of its keyed stages with it: it begins anew at `start`, and sends its results again"
                    .to_owned(),
            ),
            Beginning::AtGroup => Some(format!(
                "{from}: this job goes on from them, and reads nothing before them; --set start=earliest begins at the first record, another group with --set group=… as well"
            )),
            Beginning::AtMarkers { told } => Some(format!(
                "{from}: this job goes on where its exactly-once sinks say that they are{}; --reset-state begins it anew at `start`",
                if told { ", and `start` does not count" } else { "" }
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_begin_is_told() {
        let new = BeginningFacts::default();
        let undeployed = BeginningFacts {
            was_undeployed: true,
            group_holds: true,
            ..new
        };
        let goes_on = BeginningFacts {
            has_checkpoint: true,
            group_holds: true,
            ..new
        };
        let cases: [(BeginningFacts, Beginning, &str); 17] = [
            (new, Beginning::AtStart, ""),
            (
                BeginningFacts {
                    starts: true,
                    ..new
                },
                Beginning::AtStart,
                "",
            ),
            (
                BeginningFacts {
                    keyed: true,
                    marked: true,
                    ..new
                },
                Beginning::AtStart,
                "",
            ),
            (goes_on, Beginning::GoesOn { told: false }, ""),
            (
                BeginningFacts {
                    keyed: true,
                    ..goes_on
                },
                Beginning::GoesOn { told: false },
                "",
            ),
            (
                BeginningFacts {
                    starts: true,
                    ..goes_on
                },
                Beginning::GoesOn { told: true },
                "--reset-state",
            ),
            (
                BeginningFacts {
                    reset: true,
                    starts: true,
                    ..goes_on
                },
                Beginning::AtStart,
                "",
            ),
            (undeployed, Beginning::AtGroup, "--set start=earliest"),
            (
                BeginningFacts {
                    starts: true,
                    ..undeployed
                },
                Beginning::AtStart,
                "",
            ),
            (
                BeginningFacts {
                    reset: true,
                    ..undeployed
                },
                Beginning::AtStart,
                "",
            ),
            (
                BeginningFacts {
                    marked: true,
                    ..undeployed
                },
                Beginning::AtMarkers { told: false },
                "--reset-state",
            ),
            (
                BeginningFacts {
                    marked: true,
                    starts: true,
                    ..undeployed
                },
                Beginning::AtMarkers { told: true },
                "`start` does not count",
            ),
            (
                BeginningFacts {
                    keyed: true,
                    ..undeployed
                },
                Beginning::Anew,
                "sends its results again",
            ),
            (
                BeginningFacts {
                    keyed: true,
                    group_holds: false,
                    ..undeployed
                },
                Beginning::Anew,
                "begins anew",
            ),
            (
                BeginningFacts {
                    reset: true,
                    keyed: true,
                    ..undeployed
                },
                Beginning::AtStart,
                "",
            ),
            (
                BeginningFacts {
                    group_holds: true,
                    ..new
                },
                Beginning::AtGroup,
                "streamhost.clicks",
            ),
            (
                BeginningFacts {
                    group_holds: true,
                    keyed: true,
                    ..new
                },
                Beginning::StateLost,
                "",
            ),
        ];
        for (known, want, words) in cases {
            let found = beginning(known);
            assert_eq!(found, want, "{known:?}");
            let warning = found.warning("streamhost.clicks");
            assert!(
                warning.is_some() != words.is_empty(),
                "{known:?}: {warning:?}"
            );
            assert!(warning.unwrap_or_default().contains(words), "{known:?}");
        }
    }
}
