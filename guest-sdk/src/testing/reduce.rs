//! Reductions: what is kept of each scope, and which groups are over.

use super::calls::Guest;
use super::model::{Bytes, FinishedGroup, Group, GroupId, Kind, Part, Times, Timing};
use super::stages::Reached;
use super::{merge, sessions};
use std::collections::{BTreeMap, BTreeSet};

/// What one reduction keeps.
#[derive(Clone, Debug)]
pub(super) enum Kept {
    Nothing,
    /// The clock of its last record's batch, and the accumulator.
    Running(BTreeMap<Bytes, (i64, Bytes)>),
    /// By the pane's begin.
    Panes(BTreeMap<(i64, Bytes), Bytes>),
    Sessions(BTreeMap<Bytes, Vec<sessions::Session>>),
}

impl Kept {
    pub(super) fn of(kind: Kind) -> Kept {
        match kind {
            Kind::Running { .. } => Kept::Running(BTreeMap::new()),
            Kind::Panes { .. } => Kept::Panes(BTreeMap::new()),
            Kind::Session { .. } => Kept::Sessions(BTreeMap::new()),
            _ => Kept::Nothing,
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Kept::Nothing => 0,
            Kept::Running(keys) => keys.len(),
            Kept::Panes(panes) => panes.len(),
            Kept::Sessions(keys) => keys.values().map(Vec::len).sum(),
        }
    }

    pub(super) fn accumulators(&mut self) -> Vec<&mut Bytes> {
        match self {
            Kept::Nothing => Vec::new(),
            Kept::Running(keys) => keys
                .values_mut()
                .map(|(_, accumulator)| accumulator)
                .collect(),
            Kept::Panes(panes) => panes.values_mut().collect(),
            Kept::Sessions(keys) => keys
                .values_mut()
                .flatten()
                .map(|session| &mut session.accumulator)
                .collect(),
        }
    }

    /// Merges a batch, and gives what is to be finished in it. `cuts` is the same batch in other
    /// cuts.
    pub(super) fn run(
        &mut self,
        guest: &Guest<'_>,
        stage: usize,
        parts: &[Part],
        cuts: &[Vec<Part>],
        times: Times,
        reached: Reached,
    ) -> Vec<FinishedGroup> {
        let kind = guest.kinds[stage];
        let expire_ms = match kind {
            Kind::Running { expire_ms } => expire_ms,
            _ => None,
        };
        if let (Kept::Running(keys), Some(expire_ms)) = (&mut *self, expire_ms) {
            keys.retain(|_, (last_ms, _)| times.clock_ms.saturating_sub(*last_ms) <= expire_ms);
        }
        let groups = self.groups(kind, parts);
        let cuts = cuts.iter().map(|parts| self.groups(kind, parts)).collect();
        let merged = merge::merge(guest, stage, times, &groups, cuts);
        let changed: Vec<(GroupId, Bytes)> = groups
            .into_iter()
            .map(|group| group.id)
            .zip(merged)
            .collect();
        match (self, kind) {
            (Kept::Nothing, _) => changed
                .into_iter()
                .map(|(id, acc)| as_it_stands(id.key, acc, times))
                .collect(),
            (Kept::Running(keys), _) => {
                for (id, accumulator) in &changed {
                    keys.insert(id.key.clone(), (times.clock_ms, accumulator.clone()));
                }
                changed
                    .into_iter()
                    .map(|(id, acc)| as_it_stands(id.key, acc, times))
                    .collect()
            }
            (
                Kept::Panes(panes),
                Kind::Panes {
                    size_ms,
                    hop_ms,
                    timing,
                },
            ) => {
                let windows = Windows {
                    size_ms,
                    hop_ms,
                    timing,
                    reached,
                };
                let touched = changed
                    .iter()
                    .map(|(id, _)| (id.time_ms, id.key.clone()))
                    .collect();
                panes.extend(
                    changed
                        .into_iter()
                        .map(|(id, acc)| ((id.time_ms, id.key), acc)),
                );
                windows.finish(guest, stage, panes, &touched)
            }
            (Kept::Sessions(keys), Kind::Session { gap_ms, timing }) => {
                sessions::finish(keys, changed, gap_ms, timing, reached)
            }
            (kept, kind) => unreachable!("{kind:?} keeps {kept:?}"),
        }
    }

    /// The groups of a batch, in order of first sight.
    fn groups(&self, kind: Kind, parts: &[Part]) -> Vec<Group> {
        if let (Kept::Sessions(keys), Kind::Session { gap_ms, .. }) = (self, kind) {
            return sessions::groups(keys, parts, gap_ms);
        }
        let mut groups: Vec<Group> = Vec::new();
        let mut places: BTreeMap<(i64, &[u8]), usize> = BTreeMap::new();
        for item in parts.iter().flat_map(|part| &part.items) {
            let place = *places.entry((item.time_ms, &item.key)).or_insert_with(|| {
                let id = GroupId {
                    time_ms: item.time_ms,
                    key: item.key.clone(),
                    until_ms: item.until_ms,
                };
                groups.push(Group {
                    so_far: self.so_far(&id),
                    id,
                    partials: Vec::new(),
                });
                groups.len() - 1
            });
            groups[place].partials.push(item.value.clone());
        }
        groups
    }

    fn so_far(&self, id: &GroupId) -> Option<Bytes> {
        match self {
            Kept::Running(keys) => keys
                .get(&id.key)
                .map(|(_, accumulator)| accumulator.clone()),
            Kept::Panes(panes) => panes.get(&(id.time_ms, id.key.clone())).cloned(),
            Kept::Nothing | Kept::Sessions(_) => None,
        }
    }
}

fn as_it_stands(key: Bytes, accumulator: Bytes, times: Times) -> FinishedGroup {
    FinishedGroup {
        key,
        accumulator,
        start_ms: times.clock_ms,
        end_ms: times.clock_ms,
    }
}

/// Windows that are made of panes.
struct Windows {
    size_ms: i64,
    hop_ms: i64,
    timing: Timing,
    reached: Reached,
}

impl Windows {
    /// Those that are over, and then, if early results are asked for, those that changed. Panes
    /// that no open window has are forgotten.
    fn finish(
        &self,
        guest: &Guest<'_>,
        stage: usize,
        panes: &mut BTreeMap<(i64, Bytes), Bytes>,
        touched: &BTreeSet<(i64, Bytes)>,
    ) -> Vec<FinishedGroup> {
        let over = self
            .windows(panes.keys())
            .into_iter()
            .filter(|(start_ms, _)| self.is_due(*start_ms));
        let early = self
            .windows(touched.iter())
            .into_iter()
            .filter(|(start_ms, _)| !self.is_over(*start_ms));
        let wanted: Vec<(i64, Bytes)> = if self.timing.early {
            over.chain(early).collect()
        } else {
            over.collect()
        };
        let begins: BTreeSet<i64> = panes.keys().map(|(pane_ms, _)| *pane_ms).collect();
        let groups: Vec<Group> = wanted
            .into_iter()
            .map(|window| self.group(panes, &begins, window))
            .collect();
        let merged = guest.combine(stage, &groups);
        panes.retain(|(pane_ms, _), _| !self.is_over(*pane_ms));
        let finished = |(group, accumulator): (Group, Bytes)| FinishedGroup {
            start_ms: group.id.time_ms,
            end_ms: group.id.time_ms.saturating_add(self.size_ms),
            key: group.id.key,
            accumulator,
        };
        groups.into_iter().zip(merged).map(finished).collect()
    }

    /// The windows that hold these panes, by begin and key.
    fn windows<'a>(&self, panes: impl Iterator<Item = &'a (i64, Bytes)>) -> BTreeSet<(i64, Bytes)> {
        let back = 0..self.size_ms / self.hop_ms;
        panes
            .flat_map(|(pane_ms, key)| {
                back.clone()
                    .map(move |i| (pane_ms.saturating_sub(i * self.hop_ms), key.clone()))
            })
            .collect()
    }

    /// A window is its panes' accumulators, merged in the order of time. `begins` is where panes
    /// begin that hold anything.
    fn group(
        &self,
        panes: &BTreeMap<(i64, Bytes), Bytes>,
        begins: &BTreeSet<i64>,
        (start_ms, key): (i64, Bytes),
    ) -> Group {
        let inside = begins.range(start_ms..start_ms.saturating_add(self.size_ms));
        let partials = inside
            .filter_map(|pane_ms| panes.get(&(*pane_ms, key.clone())))
            .cloned()
            .collect();
        Group {
            id: GroupId {
                time_ms: start_ms,
                key,
                until_ms: start_ms,
            },
            so_far: None,
            partials,
        }
    }

    fn end_ms(&self, start_ms: i64) -> i64 {
        start_ms
            .saturating_add(self.size_ms)
            .saturating_add(self.timing.lateness_ms)
    }

    fn is_over(&self, start_ms: i64) -> bool {
        self.reached.now_ms >= self.end_ms(start_ms)
    }

    /// It is over, and was not before this batch.
    fn is_due(&self, start_ms: i64) -> bool {
        self.is_over(start_ms) && self.reached.before_ms < self.end_ms(start_ms)
    }
}
