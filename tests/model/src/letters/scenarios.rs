//! The scenarios of dead letters, as data.

use super::Content::{Disputed, Fine, Poison, Refused};
use super::{Content, Doubles, Letters, Refusals, Rules, Sent, When};
use crate::scenario::{Scenario, breaks, holds};

const RULES: Rules = Rules {
    sent: Sent::WithMarker,
    when: When::AfterSinks,
    refusals: Refusals::InMarker,
    fence_first: true,
    missing_is_sent: false,
    compares_letters: false,
};

fn base(records: &[Content]) -> Letters {
    Letters {
        records: records.to_vec(),
        batch_records: 2,
        marked: true,
        idempotent: false,
        kills: 2,
        time_outs: 1,
        changes: 0,
        expiries: 0,
        doubles: Doubles::Never,
        rules: RULES,
    }
}

pub(crate) fn scenarios() -> Vec<Scenario> {
    let mut all = right();
    all.extend(letters());
    all.extend(refusals());
    all.extend(missing_markers());
    all
}

fn right() -> Vec<Scenario> {
    let noted = Rules {
        refusals: Refusals::NotedBefore,
        ..RULES
    };
    let both = Letters {
        idempotent: true,
        kills: 1,
        ..base(&[Refused, Fine, Poison])
    };
    let one = Letters {
        records: vec![Refused, Poison],
        ..both.clone()
    };
    let idempotent = Letters {
        marked: false,
        idempotent: true,
        ..base(&[Refused, Poison, Fine])
    };
    vec![
        holds(
            "letters/marked-sink",
            "a marked sink refuses a row: each is a row or a dead letter, once",
            base(&[Refused, Poison, Fine]),
        )
        .or(Letters {
            kills: 3,
            time_outs: 2,
            ..base(&[Refused, Poison, Fine])
        }),
        holds(
            "letters/marked-sink-noted",
            "the refused rows are noted beside the intent instead of in the marker",
            Letters {
                rules: noted,
                changes: 1,
                ..base(&[Disputed, Poison])
            },
        )
        .or(Letters {
            rules: noted,
            changes: 2,
            ..base(&[Disputed, Poison, Fine])
        }),
        holds(
            "letters/marked-sink-changes",
            "a marked sink whose server changes its mind",
            Letters {
                changes: 1,
                ..base(&[Disputed, Poison, Fine])
            },
        )
        .or(Letters {
            changes: 2,
            ..base(&[Disputed, Poison, Disputed])
        }),
        holds(
            "letters/idempotent-sink",
            "an idempotent sink refuses a row",
            Letters {
                kills: 1,
                ..idempotent.clone()
            },
        )
        .or(idempotent),
        holds(
            "letters/idempotent-sink-changes",
            "the same, its server changes its mind: a record may be both then, and is never lost",
            Letters {
                marked: false,
                idempotent: true,
                kills: 1,
                changes: 1,
                ..base(&[Disputed, Refused])
            },
        )
        .or(Letters {
            marked: false,
            idempotent: true,
            changes: 2,
            ..base(&[Disputed, Refused, Fine])
        }),
        holds(
            "letters/both-sinks",
            "both sinks refuse the same row: a dead letter of each",
            one,
        )
        .or(both),
        holds(
            "letters/slow-sink-many-kills",
            "five kills while a slow sink holds the batch: no dead letter is doubled",
            Letters {
                kills: 5,
                time_outs: 0,
                ..base(&[Poison, Refused])
            },
        )
        .or(Letters {
            kills: 9,
            time_outs: 1,
            ..base(&[Poison, Refused])
        }),
    ]
}

fn letters() -> Vec<Scenario> {
    let with = |rules: Rules| Letters {
        rules,
        ..base(&[Poison, Fine])
    };
    vec![
        breaks(
            "letters/plain",
            "dead letters as plain records: a kill before the checkpoint doubles one",
            [
                "a dead letter is doubled",
                "the dead letters 1 (guest) arrives",
            ],
            with(Rules {
                sent: Sent::Plainly,
                ..RULES
            }),
        ),
        breaks(
            "letters/marker-before-fence",
            "the marker of the dead letters is read before the fence",
            [
                "a dead letter is doubled",
                "the dead letters 1 (guest) arrives",
            ],
            Letters {
                marked: false,
                idempotent: true,
                ..with(Rules {
                    fence_first: false,
                    ..RULES
                })
            },
        ),
        breaks(
            "letters/after-checkpoint",
            "dead letters after the checkpoint: a kill between loses them",
            [
                "a poison record is no dead letter",
                "the host starts and takes its intent up",
            ],
            with(Rules {
                when: When::AfterCheckpoint,
                ..RULES
            }),
        ),
        breaks(
            "letters/at-once-two-parts",
            "dead letters at once: the marker of the first part speaks for the second",
            [
                "a refused row of the marked sink is lost",
                "the host checkpoints batch 1",
            ],
            Letters {
                doubles: Doubles::May,
                rules: Rules {
                    when: When::AtOnce,
                    ..RULES
                },
                ..base(&[Poison, Refused])
            },
        ),
        breaks(
            "letters/at-once-not-committed",
            "dead letters at once: the sink's transaction fails, and takes the row the next time",
            [
                "a row of the marked sink is a dead letter as well",
                "the host checkpoints batch 1",
            ],
            Letters {
                rules: Rules {
                    when: When::AtOnce,
                    ..RULES
                },
                changes: 1,
                ..base(&[Disputed])
            },
        ),
        breaks(
            "letters/compared-by-content",
            "a marker with other letters of the batch stops the job, though only a server changed",
            ["stuck", "by its marker the dead letters has batch 1"],
            Letters {
                marked: false,
                idempotent: true,
                changes: 1,
                rules: Rules {
                    compares_letters: true,
                    ..RULES
                },
                ..base(&[Disputed, Refused])
            },
        ),
    ]
}

fn refusals() -> Vec<Scenario> {
    let with = |refusals: Refusals| Letters {
        rules: Rules { refusals, ..RULES },
        ..base(&[Refused])
    };
    vec![
        breaks(
            "letters/refusals-in-memory",
            "the sink holds the batch and the host forgot which rows were refused",
            [
                "a refused row of the marked sink is lost",
                "the host checkpoints batch 1",
            ],
            with(Refusals::InMemory),
        ),
        breaks(
            "letters/refusals-noted-late",
            "the refused rows are noted after the sink's commit",
            [
                "a refused row of the marked sink is lost",
                "the host checkpoints batch 1",
            ],
            with(Refusals::NotedAfter),
        ),
    ]
}

fn missing_markers() -> Vec<Scenario> {
    let expiring = Letters {
        expiries: 1,
        doubles: Doubles::OnceExpired,
        ..base(&[Poison, Refused])
    };
    vec![
        holds(
            "letters/marker-expires",
            "the marker expires while the host is down: sent again only if a batch was under way",
            expiring.clone(),
        )
        .or(Letters {
            kills: 3,
            expiries: 2,
            ..expiring.clone()
        }),
        breaks(
            "letters/marker-expired-doubled",
            "what that costs: the letters of that batch are there twice",
            [
                "a dead letter is doubled",
                "the dead letters 1 (guest) arrives",
            ],
            Letters {
                doubles: Doubles::Never,
                ..expiring.clone()
            },
        ),
        breaks(
            "letters/missing-marker-as-sent",
            "a missing marker is taken as: sent",
            [
                "a poison record is no dead letter",
                "the host checkpoints batch 1",
            ],
            Letters {
                rules: Rules {
                    missing_is_sent: true,
                    ..RULES
                },
                expiries: 0,
                ..expiring.clone()
            },
        ),
        holds(
            "letters/plain-nothing-lost",
            "dead letters as plain records: none is lost",
            Letters {
                rules: Rules {
                    sent: Sent::Plainly,
                    ..RULES
                },
                doubles: Doubles::May,
                expiries: 0,
                ..expiring
            },
        ),
    ]
}
