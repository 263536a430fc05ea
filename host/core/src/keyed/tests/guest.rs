//! A guest in plain Rust: accumulators are lists of numbers, and what follows a stage is a row for
//! each thing finished and perhaps an item for the next stage.

use crate::contract::{
    Calls, Combined, Finished, GroupFault, Made, Moment, Partials, VersionFault,
};
use crate::job::{JobSpec, StageKind, WindowForm};
use crate::keyed::StageWorkers;
use crate::types::{Column, Keyed, NO_TIME_MS, Rows};

/// How numbers are merged.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fold {
    /// For cases: what stands first is seen.
    InOrder,
    Sorted,
    Sum,
    Max,
}

impl Fold {
    pub(super) fn of(self, mut values: Vec<u64>) -> Vec<u64> {
        if !matches!(self, Fold::InOrder) {
            values.sort_unstable();
        }
        match self {
            Fold::InOrder | Fold::Sorted => values,
            Fold::Sum => vec![values.iter().sum()],
            Fold::Max => values.last().copied().into_iter().collect(),
        }
    }
}

/// What the next stage's key is made of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rekey {
    Same,
    Time,
    All,
}

impl Rekey {
    pub(super) fn of(self, key: &[u8], time_ms: i64) -> Vec<u8> {
        match self {
            Rekey::Same => key.to_vec(),
            Rekey::Time => format!("t{time_ms}").into_bytes(),
            Rekey::All => b"all".to_vec(),
        }
    }
}

pub(super) fn bytes(values: &[u64]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

pub(super) fn numbers(bytes: &[u8]) -> Vec<u64> {
    bytes
        .chunks(8)
        .map(|chunk| u64::from_le_bytes(chunk.try_into().unwrap()))
        .collect()
}

/// An item of a join or lookup: it knows its key.
pub(super) fn item(key: &[u8], values: &[u64]) -> Vec<u8> {
    [&[key.len() as u8], key, &bytes(values)].concat()
}

pub(super) fn read_item(item: &[u8]) -> (Vec<u8>, Vec<u64>) {
    let (key, values) = item[1..].split_at(usize::from(item[0]));
    (key.to_vec(), numbers(values))
}

pub(super) fn group_row(
    stage: usize,
    key: &[u8],
    values: &[u64],
    start_ms: i64,
    end_ms: i64,
) -> String {
    format!(
        "{stage}: {} {values:?} {start_ms}..{end_ms}",
        key.escape_ascii()
    )
}

pub(super) fn pair_row(
    stage: usize,
    key: &[u8],
    left: Option<&[u64]>,
    right: Option<&[u64]>,
    time_ms: i64,
) -> String {
    let left = left.map_or("None".to_owned(), |left| format!("{left:?}"));
    format!(
        "{stage}: {} {left} {right:?} at {time_ms}",
        key.escape_ascii()
    )
}

/// Groups with this number fail.
pub(super) const FAILS_IN_COMBINE: u64 = 1_000_001;
pub(super) const FAILS_IN_FINISH: u64 = 1_000_002;

pub(super) struct Guest<'a> {
    pub(super) spec: &'a JobSpec,
    pub(super) folds: &'a [Fold],
    /// Stage `i` feeds stage `i + 1`, if there is one.
    pub(super) rekeys: &'a [Rekey],
    /// Things in one of the calls that one ask becomes.
    pub(super) slice: usize,
    pub(super) asked: usize,
}

/// One thing that goes on: a key, numbers and an event time.
pub(super) type Onward = (Vec<u8>, Vec<u64>, i64);

/// Items for a stage, of one call.
pub(super) fn keyed(
    spec: &JobSpec,
    fold: Fold,
    to: usize,
    side: u8,
    clock_ms: i64,
    things: &[Onward],
) -> Keyed {
    let mut out = Keyed {
        stage: (spec.sources.len() + to) as u32,
        side,
        ..Keyed::default()
    };
    for (key, values, time_ms) in things {
        out.keys.push(key);
        match spec.stages[to].kind {
            StageKind::Join(_) | StageKind::Lookup | StageKind::Process(_) => {
                out.values.push(&item(key, values));
                out.times_ms.push(*time_ms);
            }
            StageKind::EachBatch | StageKind::Running { .. } => {
                out.values.push(&bytes(&fold.of(values.clone())));
                out.times_ms.push(0);
            }
            StageKind::Window(window) => {
                let time_ms = if window.processing_time {
                    clock_ms
                } else {
                    *time_ms
                };
                out.values.push(&bytes(&fold.of(values.clone())));
                match window.form {
                    WindowForm::Panes { hop_ms, .. } => {
                        out.times_ms
                            .push(super::pane(time_ms, hop_ms, window.offset_ms))
                    }
                    WindowForm::Session { .. } => {
                        out.times_ms.push(time_ms);
                        out.until_ms.push(time_ms);
                    }
                }
            }
        }
    }
    out
}

impl StageWorkers for Guest<'_> {}

impl Calls for Guest<'_> {
    fn combine(&mut self, stage: u32, partials: &Partials) -> Result<Combined, VersionFault> {
        assert!(!partials.group_ends.is_empty());
        self.asked += 1;
        let fold = self.folds[stage as usize - self.spec.sources.len()];
        let mut out = Combined::default();
        let mut at = 0;
        for (group, &end) in partials.group_ends.iter().enumerate() {
            let mut values = numbers(partials.accumulators.get(group));
            assert_eq!(values.is_empty(), partials.absent.contains(&(group as u32)));
            for partial in at..end as usize {
                values.extend(numbers(partials.partials.get(partial)));
            }
            at = end as usize;
            if values.contains(&FAILS_IN_COMBINE) {
                out.faults.push(GroupFault {
                    at: group,
                    reason: "does not combine".into(),
                    by_host: false,
                });
                out.accumulators.push(b"");
            } else {
                out.accumulators.push(&bytes(&fold.of(values)));
            }
        }
        Ok(out)
    }

    fn finish(
        &mut self,
        stage: u32,
        moment: Moment,
        finished: &Finished,
    ) -> Result<Made, VersionFault> {
        assert!(!finished.is_empty());
        assert_eq!(
            (moment.watermark_ms, moment.partition_ms),
            (NO_TIME_MS, NO_TIME_MS)
        );
        self.asked += 1;
        let stage = stage as usize - self.spec.sources.len();
        let mut made = Made {
            rows: vec![Vec::new()],
            ..Made::default()
        };
        let mut onward = Vec::new();
        let mut rows = Rows::default();
        for i in 0..finished.len() {
            let (text, thing) = match finished {
                Finished::Keys(_) => unreachable!("`processes` has a guest of its own"),
                Finished::Groups(groups) => {
                    let (key, values) = (groups.keys.get(i), numbers(groups.accumulators.get(i)));
                    if values.contains(&FAILS_IN_FINISH) {
                        made.faults.push(GroupFault {
                            at: i,
                            reason: "does not finish".into(),
                            by_host: false,
                        });
                        continue;
                    }
                    let (start_ms, end_ms) = (groups.starts_ms[i], groups.ends_ms[i]);
                    let key_on = self.rekeys[stage].of(key, start_ms);
                    (
                        group_row(stage, key, &values, start_ms, end_ms),
                        (key_on, values, end_ms - 1),
                    )
                }
                Finished::Pairs(pairs) => {
                    let at = i as u32;
                    let item = |side: &Column, absent: &[u32]| {
                        (!absent.contains(&at)).then(|| read_item(side.get(i)))
                    };
                    let left = item(&pairs.lefts, &pairs.absent_lefts);
                    let right = item(&pairs.rights, &pairs.absent_rights);
                    let key = left
                        .as_ref()
                        .or(right.as_ref())
                        .expect("one is there")
                        .0
                        .clone();
                    let (left, right) = (left.map(|l| l.1), right.map(|r| r.1));
                    let time_ms = pairs.times_ms[i];
                    if left.iter().flatten().any(|&value| value == FAILS_IN_FINISH) {
                        made.faults.push(GroupFault {
                            at: i,
                            reason: "does not finish".into(),
                            by_host: false,
                        });
                        continue;
                    }
                    let text = pair_row(stage, &key, left.as_deref(), right.as_deref(), time_ms);
                    let both = [left.unwrap_or_default(), right.unwrap_or_default()].concat();
                    (text, (self.rekeys[stage].of(&key, time_ms), both, time_ms))
                }
            };
            rows.positions.push(i as u32);
            rows.cells.push(text.as_bytes());
            onward.push(thing);
        }
        made.rows[0].push(rows);
        if stage + 1 < self.spec.stages.len() {
            for part in onward.chunks(self.slice) {
                made.keyed.push(keyed(
                    self.spec,
                    self.folds[stage + 1],
                    stage + 1,
                    0,
                    moment.batch_ms,
                    part,
                ));
            }
        }
        Ok(made)
    }

    fn migrate(&mut self, _: u32, _: &Column) -> Result<Column, VersionFault> {
        unreachable!("nothing is migrated here")
    }
}
