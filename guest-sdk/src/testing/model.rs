//! The driver's own view of what crosses the boundary: plain lists of items, where the contract has
//! columns.

use crate::describe::{Scope, StageKind, WindowForm};

/// What the job's types were made to.
pub(super) type Bytes = Vec<u8>;

/// Words about records, groups or pairs, each with its position in the call.
pub(super) type Placed = Vec<(usize, String)>;

/// What one call of `transform` or `finish` made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Made {
    /// Reasons, one for each position at most.
    pub(super) faults: Placed,
    /// For each sink its rows.
    pub(super) rows: Vec<Placed>,
    /// What goes to keyed stages.
    pub(super) parts: Vec<Part>,
    /// Positions that came too late.
    pub(super) late: Vec<usize>,
    /// The largest event time of the partition after the call.
    pub(super) largest_ms: i64,
}

/// Items of one call on their way to one side of a keyed stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Counts the keyed stages from 0.
    pub(super) stage: usize,
    pub(super) side: u8,
    /// The positions that went in.
    pub(super) positions: Vec<usize>,
    pub(super) items: Vec<Item>,
}

/// A partial accumulator, or an item of a join or lookup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) key: Bytes,
    pub(super) value: Bytes,
    /// The pane's begin, a session's first event, an item's event time; else 0.
    pub(super) time_ms: i64,
    /// A session's last event; else `time_ms`.
    pub(super) until_ms: i64,
    /// It deletes its key from a table.
    pub(super) deleted: bool,
}

/// A reduction as `combine` is asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) id: GroupId,
    /// The accumulator so far.
    pub(super) so_far: Option<Bytes>,
    pub(super) partials: Vec<Bytes>,
}

/// What tells groups of one stage apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GroupId {
    /// The pane's begin, or the session's first event; else 0.
    pub(super) time_ms: i64,
    pub(super) key: Bytes,
    /// The session's last event; else `time_ms`.
    pub(super) until_ms: i64,
}

/// What `finish` is given.
#[derive(Clone, Debug)]
pub(super) enum Finished {
    Groups(Vec<FinishedGroup>),
    Pairs(Vec<Pair>),
}

/// A reduction that is over, or as it stands.
#[derive(Clone, Debug)]
pub(super) struct FinishedGroup {
    pub(super) key: Bytes,
    pub(super) accumulator: Bytes,
    pub(super) start_ms: i64,
    pub(super) end_ms: i64,
}

/// A pair of a join or lookup.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) key: Bytes,
    pub(super) left: Bytes,
    pub(super) right: Option<Bytes>,
    pub(super) time_ms: i64,
}

/// The times of one batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// The batch's clock.
    pub(super) clock_ms: i64,
    /// The clock of the batch before.
    pub(super) clock_before_ms: i64,
    /// The job's watermark after the batch, and before it.
    pub(super) watermark_ms: i64,
    pub(super) before_ms: i64,
}

/// Nothing came yet.
pub(super) const NO_TIME_MS: i64 = i64::MIN;
/// Nothing can come any more.
pub(super) const END_OF_TIME_MS: i64 = i64::MAX;

impl Finished {
    pub(super) fn len(&self) -> usize {
        match self {
            Finished::Groups(groups) => groups.len(),
            Finished::Pairs(pairs) => pairs.len(),
        }
    }

    /// The key of one of them, for its dead letter.
    pub(super) fn key(&self, at: usize) -> &[u8] {
        match self {
            Finished::Groups(groups) => &groups[at].key,
            Finished::Pairs(pairs) => &pairs[at].key,
        }
    }

    /// Some of them.
    pub(super) fn part(&self, range: std::ops::Range<usize>) -> Finished {
        match self {
            Finished::Groups(groups) => Finished::Groups(groups[range].to_vec()),
            Finished::Pairs(pairs) => Finished::Pairs(pairs[range].to_vec()),
        }
    }
}

/// What a keyed stage does. Durations are in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    EachBatch,
    Running {
        expire_ms: Option<i64>,
    },
    Panes {
        size_ms: i64,
        hop_ms: i64,
        timing: Timing,
    },
    Session {
        gap_ms: i64,
        timing: Timing,
    },
    Join {
        within_ms: i64,
        lateness_ms: i64,
        left: bool,
    },
    Lookup,
}

/// By which time windows end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timing {
    pub(super) lateness_ms: i64,
    /// By the batches' clock.
    pub(super) processing: bool,
    pub(super) early: bool,
}

impl Kind {
    pub(super) fn of(kind: StageKind) -> Kind {
        let ms = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        match kind {
            StageKind::Reduce(Scope::EachBatch) => Kind::EachBatch,
            StageKind::Reduce(Scope::Running { expire_ms }) => Kind::Running {
                expire_ms: expire_ms.map(ms),
            },
            StageKind::Reduce(Scope::Window(window)) => {
                let timing = Timing {
                    lateness_ms: ms(window.lateness_ms),
                    processing: window.processing_time,
                    early: window.early,
                };
                match window.form {
                    WindowForm::Panes { size_ms, hop_ms } => Kind::Panes {
                        size_ms: ms(size_ms),
                        hop_ms: ms(hop_ms),
                        timing,
                    },
                    WindowForm::Session { gap_ms } => Kind::Session {
                        gap_ms: ms(gap_ms),
                        timing,
                    },
                }
            }
            StageKind::Join {
                within_ms,
                lateness_ms,
                left,
            } => Kind::Join {
                within_ms: ms(within_ms),
                lateness_ms: ms(lateness_ms),
                left,
            },
            StageKind::Lookup => Kind::Lookup,
        }
    }

    /// How far behind the stage's watermark the event times of its results may lie.
    pub(super) fn delay_ms(self) -> i64 {
        match self {
            Kind::Panes { timing, .. } => timing.lateness_ms,
            // A session is over one millisecond later than a pane with the same end.
            Kind::Session { timing, .. } => timing.lateness_ms.saturating_add(1),
            Kind::Join {
                within_ms,
                lateness_ms,
                ..
            } => within_ms.saturating_add(lateness_ms),
            Kind::EachBatch | Kind::Running { .. } | Kind::Lookup => 0,
        }
    }

    /// What the item belongs to is over, once event time has reached so far.
    pub(super) fn is_late(self, time_ms: i64, until_ms: i64, reached_ms: i64) -> bool {
        match self {
            Kind::Panes { hop_ms, timing, .. } if !timing.processing => {
                time_ms
                    .saturating_add(hop_ms)
                    .saturating_add(timing.lateness_ms)
                    <= reached_ms
            }
            Kind::Session { timing, .. } if !timing.processing => {
                until_ms.saturating_add(timing.lateness_ms) < reached_ms
            }
            Kind::Join { lateness_ms, .. } => time_ms.saturating_add(lateness_ms) < reached_ms,
            _ => false,
        }
    }

    /// What is kept can be carried on only by a stage that keeps it in the same way.
    pub(super) fn keeps_like(self, other: Kind) -> bool {
        match (self, other) {
            (
                Kind::Panes {
                    size_ms,
                    hop_ms,
                    timing,
                },
                Kind::Panes {
                    size_ms: size,
                    hop_ms: hop,
                    timing: other,
                },
            ) => (size_ms, hop_ms, timing.processing) == (size, hop, other.processing),
            (
                Kind::Session { gap_ms, timing },
                Kind::Session {
                    gap_ms: gap,
                    timing: other,
                },
            ) => (gap_ms, timing.processing) == (gap, other.processing),
            (Kind::Join { left, .. }, Kind::Join { left: other, .. }) => left == other,
            (one, other) => std::mem::discriminant(&one) == std::mem::discriminant(&other),
        }
    }
}
