//! The scenarios of a takeover, as data.

use super::{Rules, Takeover, Times};
use crate::scenario::{Scenario, breaks, holds};

const RULES: Rules = Rules {
    intent: true,
    intent_is_fenced: true,
    checkpoint_is_fenced: true,
    fence_before_read: true,
    times: Times::ClocksAndCheckpoint,
};

/// All scenarios of a takeover.
pub(crate) fn scenarios() -> Vec<Scenario> {
    let base = Takeover {
        puts: vec![true, false, true],
        takeovers: 2,
        time_outs: 1,
        readers: true,
        rules: RULES,
    };
    let longer = Takeover {
        puts: vec![true, false, true, true],
        ..base.clone()
    };
    let with = |rules: Rules| Takeover {
        rules,
        readers: false,
        ..base.clone()
    };
    vec![
        holds(
            "takeover/protocol",
            "a zombie, time-outs, taken over there and back",
            base.clone(),
        )
        .or(longer),
        holds(
            "takeover/ends-in-delete",
            "the same, the last record deletes the row",
            Takeover {
                puts: vec![true, true, false],
                ..base.clone()
            },
        ),
        breaks(
            "takeover/intent-not-fenced",
            "a zombie's effects belong to no intent that the successor reads",
            ["the table shows", "host b checkpoints batch 2"],
            with(Rules {
                intent_is_fenced: false,
                ..RULES
            }),
        ),
        breaks(
            "takeover/read-before-fence",
            "checkpoint and intents are read before the fence",
            [
                "the transactional sink lost a batch or holds it twice",
                "host b checkpoints batch 1",
            ],
            with(Rules {
                fence_before_read: false,
                ..RULES
            }),
        ),
        breaks(
            "takeover/server-times",
            "times by the server: a zombie's put arrives late",
            ["the table shows", "host a checkpoints batch 2"],
            with(Rules {
                times: Times::Server,
                ..RULES
            }),
        ),
        breaks(
            "takeover/host-clocks",
            "times by each host's clock alone",
            ["the table shows", "host b checkpoints batch 2"],
            with(Rules {
                times: Times::Clocks,
                ..RULES
            }),
        ),
        breaks(
            "takeover/no-intent",
            "no intent",
            ["the table shows", "host b checkpoints batch 2"],
            with(Rules {
                intent: false,
                ..RULES
            }),
        ),
        breaks(
            "takeover/checkpoint-not-fenced",
            "a zombie's checkpoint is accepted",
            [
                "the transactional sink lost a batch or holds it twice",
                "host b checkpoints batch 1",
            ],
            with(Rules {
                checkpoint_is_fenced: false,
                ..RULES
            }),
        ),
    ]
}
