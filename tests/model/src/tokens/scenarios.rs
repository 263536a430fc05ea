//! The scenarios of tokens, as data.

use super::{ReplayMust, Rules, Stored, Tokens};
use crate::scenario::{Scenario, breaks, holds};

const RULES: Rules = Rules {
    stored: Stored::WithOffsets,
    replay_must: ReplayMust::EndAtTokenWithAll,
    reads_notice_gaps: true,
    ended_keep_position: true,
    child_waits: true,
};

const BASE: Tokens = Tokens {
    records: [3, 2],
    kills: 2,
    removals: 3,
    skips: 1,
    replays_alone: false,
    rules: RULES,
};

pub(crate) fn scenarios() -> Vec<Scenario> {
    let with = |rules: Rules| Tokens { rules, ..BASE };
    let replays = |rules: Rules| Tokens {
        replays_alone: true,
        ..with(rules)
    };
    let silent = Rules {
        reads_notice_gaps: false,
        ..RULES
    };
    vec![
        holds(
            "tokens/protocol",
            "tokens beside offsets, retention, a closed shard and its child, kills",
            BASE,
        )
        .or(Tokens {
            records: [4, 3],
            kills: 3,
            removals: 4,
            skips: 2,
            ..BASE
        }),
        holds(
            "tokens/replay-meets-intent",
            "a service that does not tell of gaps: a replay never has other records",
            replays(silent),
        ),
        breaks(
            "tokens/replay-takes-any",
            "the same, and a replay takes what comes",
            [
                "a replay has other records than its intent",
                "the host reads the records of intent 1 again",
            ],
            replays(Rules {
                replay_must: ReplayMust::Nothing,
                ..silent
            }),
        ),
        breaks(
            "tokens/replay-short",
            "the same, and a replay must end at the token, but may have fewer records",
            [
                "a replay has other records than its intent",
                "the host reads the records of intent 1 again",
            ],
            replays(Rules {
                replay_must: ReplayMust::EndAtToken,
                ..silent
            }),
        ),
        breaks(
            "tokens/gap-unnoticed",
            "a read behind a token that is gone begins at what is left, and nobody notices",
            [
                "a record is lost, and nobody says so",
                "the host checkpoints batch 2",
            ],
            with(silent),
        ),
        breaks(
            "tokens/offsets-alone",
            "a restart counts from the first record that is left",
            ["a record is lost, and nobody says so", "the host starts"],
            with(Rules {
                stored: Stored::Nowhere,
                ..RULES
            }),
        ),
        breaks(
            "tokens/token-in-second-write",
            "the token is written after the offset",
            ["a record is taken twice", "the sink has batch 2"],
            with(Rules {
                stored: Stored::Afterwards,
                ..RULES
            }),
        ),
        breaks(
            "tokens/ended-shard-forgotten",
            "a shard that has ended loses its position while the service lists it",
            ["a record is taken twice", "the sink has batch 3"],
            with(Rules {
                ended_keep_position: false,
                ..RULES
            }),
        ),
        breaks(
            "tokens/child-at-once",
            "a child is read before its parent has ended",
            [
                "a child's record comes before its parent's",
                "the sink has batch 2",
            ],
            with(Rules {
                child_waits: false,
                ..RULES
            }),
        ),
    ]
}
