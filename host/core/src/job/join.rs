//! Which items a join pairs, and until when they wait for each other.

use super::spec::since_window_begin;
use crate::types::{END_OF_TIME_MS, NO_TIME_MS};
use serde::{Deserialize, Serialize};

/// A join of two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", try_from = "StoredJoin")]
pub struct Join {
    /// Which items of one key are partners.
    pub partners: Partners,
    /// How far a record may be behind the largest event time of its partition; of windows beyond
    /// the end of its window.
    pub lateness_ms: i64,
    /// Lefts without a partner are given too, once none can come any more.
    pub left: bool,
    /// Rights without a partner likewise.
    pub right: bool,
}

/// Which items of one key are partners, by their event times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Partners {
    /// A right that is at most so far before the left, or so far after it.
    #[serde(rename_all = "kebab-case")]
    Between {
        /// How far before.
        before_ms: i64,
        /// How far after.
        after_ms: i64,
    },
    /// Two that are in one tumbling window.
    #[serde(rename_all = "kebab-case")]
    Window {
        /// How long a window is.
        size_ms: i64,
    },
}

/// The two sides of a join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinSide {
    /// The stream that `join` is called on.
    Left,
    /// The one that it is given.
    Right,
}

impl JoinSide {
    /// The side that the contract numbers so.
    pub fn of(number: u8) -> JoinSide {
        match number {
            0 => JoinSide::Left,
            _ => JoinSide::Right,
        }
    }
}

impl Partners {
    /// At most so far apart, either way.
    pub const fn within(ms: i64) -> Self {
        Partners::Between {
            before_ms: ms,
            after_ms: ms,
        }
    }

    /// The first and the last event time that a partner of an item may have.
    pub fn times(self, side: JoinSide, time_ms: i64) -> (i64, i64) {
        match (self, side) {
            (
                Partners::Between {
                    before_ms,
                    after_ms,
                },
                JoinSide::Left,
            ) => (
                time_ms.saturating_sub(before_ms),
                time_ms.saturating_add(after_ms),
            ),
            (
                Partners::Between {
                    before_ms,
                    after_ms,
                },
                JoinSide::Right,
            ) => (
                time_ms.saturating_sub(after_ms),
                time_ms.saturating_add(before_ms),
            ),
            (Partners::Window { size_ms }, _) => {
                let size_ms = size_ms.max(1);
                let start_ms = time_ms.saturating_sub(since_window_begin(time_ms, size_ms, 0));
                (start_ms, start_ms.saturating_add(size_ms - 1))
            }
        }
    }

    /// An item of then came too late for a stage whose line stands there.
    pub fn is_late(self, time_ms: i64, line_ms: i64) -> bool {
        match self {
            Partners::Between { .. } => time_ms < line_ms,
            Partners::Window { .. } => self.times(JoinSide::Left, time_ms).1 < line_ms,
        }
    }

    /// How long after its event time an item's last partner may be; none: that is not the same for
    /// all items.
    fn reach_ms(self, side: JoinSide) -> Option<i64> {
        match (self, side) {
            (Partners::Between { after_ms, .. }, JoinSide::Left) => Some(after_ms),
            (Partners::Between { before_ms, .. }, JoinSide::Right) => Some(before_ms),
            (Partners::Window { .. }, _) => None,
        }
    }

    /// How far behind the stage's line the event times of its results may lie.
    pub fn behind_ms(self) -> i64 {
        match self {
            Partners::Between {
                before_ms,
                after_ms,
            } => before_ms.max(after_ms),
            Partners::Window { size_ms } => size_ms,
        }
    }
}

impl Join {
    /// What SQL calls it.
    pub fn name(self) -> &'static str {
        match (self.left, self.right) {
            (false, false) => "join",
            (true, false) => "left join",
            (false, true) => "right join",
            (true, true) => "outer join",
        }
    }

    /// Items of this side that had no partner are given.
    pub fn gives_alone(self, side: JoinSide) -> bool {
        match side {
            JoinSide::Left => self.left,
            JoinSide::Right => self.right,
        }
    }

    /// No partner of an item can come any more to a stage whose line stands there.
    pub fn is_over(self, side: JoinSide, time_ms: i64, line_ms: i64) -> bool {
        line_ms == END_OF_TIME_MS || self.partners.times(side, time_ms).1 < line_ms
    }

    /// When an item's timer stands, which is due through [`over_through`](Self::over_through): at
    /// its own time where it is given alone, so that a version with other distances finds all that
    /// are over by them. What is given with a partner alone may wait longer.
    pub fn timer_ms(self, side: JoinSide, time_ms: i64) -> i64 {
        let longer = |reach_ms: i64| reach_ms.saturating_sub(self.base_ms()).max(0);
        let shift_ms = self.partners.reach_ms(side).map_or(0, longer);
        time_ms.saturating_add(shift_ms)
    }

    /// Items whose timers stand then or before may be over, and no others are.
    pub fn over_through(self, line_ms: i64) -> Option<i64> {
        match (line_ms, self.partners) {
            (NO_TIME_MS, _) => None,
            (END_OF_TIME_MS, _) => Some(END_OF_TIME_MS),
            (_, Partners::Between { .. }) => line_ms.checked_sub(self.base_ms().saturating_add(1)),
            (_, Partners::Window { .. }) => self
                .partners
                .times(JoinSide::Left, line_ms)
                .0
                .checked_sub(1),
        }
    }

    /// The distance that timers go by.
    fn base_ms(self) -> i64 {
        let Partners::Between {
            before_ms,
            after_ms,
        } = self.partners
        else {
            return 0;
        };
        match (self.left, self.right) {
            (true, false) => after_ms,
            (false, true) => before_ms,
            (true, true) | (false, false) => before_ms.min(after_ms),
        }
    }

    /// How its state is kept: what carries on another's has the same.
    pub(super) fn fingerprint(self) -> String {
        let name = self.name();
        match self.partners {
            Partners::Window { size_ms } => format!("{name} in windows of {size_ms} ms"),
            // The timers of the side that waits longer stand by both distances.
            Partners::Between {
                before_ms,
                after_ms,
            } if self.left && self.right && before_ms != after_ms => {
                format!("{name} from {before_ms} ms before to {after_ms} ms after")
            }
            Partners::Between { .. } => name.to_string(),
        }
    }

    /// What is kept of this side begins with whether it had a partner: always of lefts, and of
    /// rights where it is asked for.
    pub fn notes_partner(self, side: JoinSide) -> bool {
        side == JoinSide::Left || self.right
    }
}

/// As it stands in records, of earlier releases too, which had one distance for both ways.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct StoredJoin {
    partners: Option<Partners>,
    within_ms: Option<i64>,
    lateness_ms: i64,
    left: bool,
    #[serde(default)]
    right: bool,
}

impl TryFrom<StoredJoin> for Join {
    type Error = &'static str;

    fn try_from(stored: StoredJoin) -> Result<Self, Self::Error> {
        let within = stored.within_ms.map(Partners::within);
        Ok(Join {
            partners: stored
                .partners
                .or(within)
                .ok_or("a join without its partners")?,
            lateness_ms: stored.lateness_ms,
            left: stored.left,
            right: stored.right,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partners_are_the_same_from_either_side() {
        let kinds = [
            Partners::within(0),
            Partners::within(7),
            Partners::Between {
                before_ms: 2,
                after_ms: 9,
            },
            Partners::Between {
                before_ms: 5,
                after_ms: 0,
            },
            Partners::Window { size_ms: 10 },
            Partners::Window { size_ms: 1 },
        ];
        for partners in kinds {
            for left in -25..25 {
                for right in -25..25 {
                    let is_in = |(first, last), time| (first..=last).contains(&time);
                    let from_left = is_in(partners.times(JoinSide::Left, left), right);
                    let from_right = is_in(partners.times(JoinSide::Right, right), left);
                    assert_eq!(from_left, from_right, "{partners:?}: {left} and {right}");
                }
            }
        }
    }

    #[test]
    fn timers_are_due_when_their_items_are_over_and_never_later() {
        let bounds = [0, 1, 4, 9];
        for before_ms in bounds {
            for after_ms in bounds {
                for partners in [
                    Partners::Between {
                        before_ms,
                        after_ms,
                    },
                    Partners::Window {
                        size_ms: before_ms + 1,
                    },
                ] {
                    for (left, right) in
                        [(false, false), (true, false), (false, true), (true, true)]
                    {
                        let join = Join {
                            partners,
                            lateness_ms: 0,
                            left,
                            right,
                        };
                        for (time, line) in (-15..15).flat_map(|t| (-30..40).map(move |l| (t, l))) {
                            for side in [JoinSide::Left, JoinSide::Right] {
                                let due = join
                                    .over_through(line)
                                    .is_some_and(|through| join.timer_ms(side, time) <= through);
                                let over = join.is_over(side, time, line);
                                if join.gives_alone(side) {
                                    assert_eq!(due, over, "{join:?} {side:?} {time} {line}");
                                } else {
                                    assert!(!due || over, "{join:?} {side:?} {time} {line}");
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn what_an_earlier_release_stored_is_read() {
        let old = r#"{"within-ms":5,"lateness-ms":3,"left":true}"#;
        let join = Join {
            partners: Partners::within(5),
            lateness_ms: 3,
            left: true,
            right: false,
        };
        assert_eq!(serde_json::from_str::<Join>(old).unwrap(), join);
        let outer = Join {
            partners: Partners::Window { size_ms: 60 },
            right: true,
            ..join
        };
        let text = serde_json::to_string(&outer).unwrap();
        assert_eq!(serde_json::from_str::<Join>(&text).unwrap(), outer);
        let neither = r#"{"lateness-ms":3,"left":true}"#;
        assert!(serde_json::from_str::<Join>(neither).is_err());
    }
}
