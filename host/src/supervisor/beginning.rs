//! Where a deployment begins to read, told before it does. Pure; `checkpoint::step` and the pipeline's recovery act by
//! the same rules.

/// What is known of a job when a component is deployed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    /// It has a ledger here that this deployment goes on from.
    pub(super) has_ledger: bool,
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
    /// Where its exactly-once sinks say that they are. `told`: the user said where to start, which does not count.
    AtMarkers {
        /// Whether `start` was said.
        told: bool,
    },
    /// Nowhere: it ran before, and its state is not here.
    StateLost,
}

/// The first that fits.
pub(super) fn beginning(known: Known) -> Beginning {
    match known {
        Known { reset: true, .. } => Beginning::AtStart,
        Known { has_ledger: true, starts, .. } => Beginning::GoesOn { told: starts },
        Known { was_undeployed: true, keyed: true, .. } => Beginning::Anew,
        Known { group_holds: false, .. } => Beginning::AtStart,
        Known { keyed: true, .. } => Beginning::StateLost,
        Known { marked: true, starts, .. } => Beginning::AtMarkers { told: starts },
        Known { starts: true, .. } => Beginning::AtStart,
        Known { .. } => Beginning::AtGroup,
    }
}

impl Beginning {
    /// What the user should know of it: where it is not what the command said.
    pub(super) fn warning(self, group: &str) -> Option<String> {
        let from =
            format!("Kafka holds offsets of the group `{group}` (of a job that was undeployed, or a lost data folder)");
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
        let new = Known::default();
        let undeployed = Known { was_undeployed: true, group_holds: true, ..new };
        let goes_on = Known { has_ledger: true, group_holds: true, ..new };
        let cases: [(Known, Beginning, &str); 17] = [
            (new, Beginning::AtStart, ""),
            (Known { starts: true, ..new }, Beginning::AtStart, ""),
            (Known { keyed: true, marked: true, ..new }, Beginning::AtStart, ""),
            (goes_on, Beginning::GoesOn { told: false }, ""),
            (Known { keyed: true, ..goes_on }, Beginning::GoesOn { told: false }, ""),
            (Known { starts: true, ..goes_on }, Beginning::GoesOn { told: true }, "--reset-state"),
            (Known { reset: true, starts: true, ..goes_on }, Beginning::AtStart, ""),
            (undeployed, Beginning::AtGroup, "--set start=earliest"),
            (Known { starts: true, ..undeployed }, Beginning::AtStart, ""),
            (Known { reset: true, ..undeployed }, Beginning::AtStart, ""),
            (Known { marked: true, ..undeployed }, Beginning::AtMarkers { told: false }, "--reset-state"),
            (
                Known { marked: true, starts: true, ..undeployed },
                Beginning::AtMarkers { told: true },
                "`start` does not count",
            ),
            (Known { keyed: true, ..undeployed }, Beginning::Anew, "sends its results again"),
            (Known { keyed: true, group_holds: false, ..undeployed }, Beginning::Anew, "begins anew"),
            (Known { reset: true, keyed: true, ..undeployed }, Beginning::AtStart, ""),
            (Known { group_holds: true, ..new }, Beginning::AtGroup, "streamhost.clicks"),
            (Known { group_holds: true, keyed: true, ..new }, Beginning::StateLost, ""),
        ];
        for (known, want, words) in cases {
            let found = beginning(known);
            assert_eq!(found, want, "{known:?}");
            let warning = found.warning("streamhost.clicks");
            assert!(warning.is_some() != words.is_empty(), "{known:?}: {warning:?}");
            assert!(warning.unwrap_or_default().contains(words), "{known:?}");
        }
    }
}
