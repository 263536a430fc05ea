//! What keyed stages are to give, said as plainly as can be: of all events at once, with their
//! batches, in no hurry.

use super::guest::{self, Fold};
use crate::job::{Join, JoinSide, StageKind, Window, WindowForm};
use std::collections::{BTreeMap, BTreeSet};

/// An event that was not late, in canonical order within its batch.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) side: u8,
    pub(super) key: Vec<u8>,
    pub(super) time_ms: i64,
    /// Windows that ended by then do not have it.
    pub(super) over_ms: i64,
    pub(super) values: Vec<u64>,
    pub(super) batch: usize,
    pub(super) deleted: bool,
}

/// What a stage gives in a batch: its row, and what goes on.
pub(super) struct Expected {
    pub(super) batch: usize,
    pub(super) row: String,
    pub(super) key: Vec<u8>,
    /// For a next stage's key: where the window begins, or the pair's time.
    pub(super) at_ms: i64,
    pub(super) time_ms: i64,
    pub(super) values: Vec<u64>,
}

pub(super) struct Model<'a> {
    pub(super) stage: usize,
    /// By batch: what the version that ran it says of the stage. All are of one form.
    pub(super) kinds: &'a [StageKind],
    pub(super) fold: Fold,
    pub(super) events: &'a [Event],
    /// By batch: its clock.
    pub(super) clocks: &'a [i64],
    /// By batch: what this stage goes by after it, its lateness taken off.
    pub(super) lines: &'a [i64],
    /// By batch: the same with its part for updates put on again.
    pub(super) given: &'a [i64],
}

impl Model<'_> {
    pub(super) fn given(&self) -> Vec<Expected> {
        match self.kinds[0] {
            StageKind::EachBatch => self.each_batch(),
            StageKind::Running { .. } => self.running(),
            StageKind::Window(window) => match window.form {
                WindowForm::Panes { size_ms, hop_ms } => self.windows(window, size_ms, hop_ms),
                WindowForm::Session { gap_ms } => self.sessions(window, gap_ms),
            },
            StageKind::Join(join) => self.join(join),
            StageKind::Lookup => self.lookup(),
            StageKind::Process(_) => unreachable!("`processes` has a model of its own"),
        }
    }

    fn group(
        &self,
        batch: usize,
        key: &[u8],
        values: Vec<u64>,
        start_ms: i64,
        end_ms: i64,
    ) -> Expected {
        let values = self.fold.of(values);
        let row = guest::group_row(self.stage, key, &values, start_ms, end_ms);
        Expected {
            batch,
            row,
            key: key.to_vec(),
            at_ms: start_ms,
            time_ms: end_ms - 1,
            values,
        }
    }

    fn pair(
        &self,
        batch: usize,
        left: Option<&Event>,
        right: Option<&[u64]>,
        time_ms: i64,
        key: &[u8],
    ) -> Expected {
        let left = left.map(|left| &left.values[..]);
        let row = guest::pair_row(self.stage, key, left, right, time_ms);
        let values = [left.unwrap_or_default(), right.unwrap_or_default()].concat();
        Expected {
            batch,
            row,
            key: key.to_vec(),
            at_ms: time_ms,
            time_ms,
            values,
        }
    }

    /// The first batch in which something is over.
    fn first_batch(&self, is_over: impl Fn(usize, i64) -> bool) -> Option<usize> {
        let mut lines = self.lines.iter().enumerate();
        lines.position(|(batch, &line)| {
            line == i64::MAX || (line != i64::MIN && is_over(batch, line))
        })
    }

    fn each_batch(&self) -> Vec<Expected> {
        let mut sums: BTreeMap<(usize, &[u8]), Vec<u64>> = BTreeMap::new();
        for event in self.events {
            sums.entry((event.batch, &event.key))
                .or_default()
                .extend(&event.values);
        }
        let give = |((batch, key), values)| {
            self.group(batch, key, values, self.clocks[batch], self.clocks[batch])
        };
        sums.into_iter().map(give).collect()
    }

    fn running(&self) -> Vec<Expected> {
        let mut given = Vec::new();
        let mut kept: BTreeMap<&[u8], (i64, Vec<u64>)> = BTreeMap::new();
        for (batch, &clock) in self.clocks.iter().enumerate() {
            let StageKind::Running { expire_ms } = self.kinds[batch] else {
                unreachable!("of one form")
            };
            let events: Vec<_> = self
                .events
                .iter()
                .filter(|event| event.batch == batch)
                .collect();
            for event in &events {
                let (last, values) = kept.entry(&event.key).or_insert((clock, Vec::new()));
                if expire_ms.is_some_and(|expire| clock - *last > expire as i64) {
                    values.clear();
                }
                *last = clock;
                values.extend(&event.values);
            }
            let keys: BTreeSet<&[u8]> = events.iter().map(|event| event.key.as_slice()).collect();
            given.extend(
                keys.into_iter()
                    .map(|key| self.group(batch, key, kept[key].1.clone(), clock, clock)),
            );
        }
        given
    }

    fn time_of(&self, window: Window, event: &Event) -> i64 {
        if window.processing_time {
            self.clocks[event.batch]
        } else {
            event.time_ms
        }
    }

    fn windows(&self, window: Window, size_ms: i64, hop_ms: i64) -> Vec<Expected> {
        let mut windows: BTreeMap<(i64, &[u8]), Vec<&Event>> = BTreeMap::new();
        for event in self.events {
            let time = self.time_of(window, event);
            for start in time - size_ms..=time {
                let is_open = window.processing_time || start + size_ms > event.over_ms;
                if is_open
                    && (start - window.offset_ms).rem_euclid(hop_ms) == 0
                    && time < start + size_ms
                {
                    windows.entry((start, &event.key)).or_default().push(event);
                }
            }
        }
        let mut given = Vec::new();
        for ((start, key), events) in windows {
            let end = start + size_ms;
            let over = self.first_batch(|_, line| line >= end);
            let is_passed = |&line: &i64| line == i64::MAX || (line != i64::MIN && line >= end);
            let first = self.given.iter().position(is_passed);
            given.extend(self.stands(window, (first, over), key, &events, |_| (start, end)));
        }
        given
    }

    fn sessions(&self, window: Window, gap_ms: i64) -> Vec<Expected> {
        let keys: BTreeSet<&[u8]> = self
            .events
            .iter()
            .map(|event| event.key.as_slice())
            .collect();
        let mut given = Vec::new();
        for key in keys {
            let mut events: Vec<_> = self
                .events
                .iter()
                .filter(|event| event.key == key)
                .collect();
            events.sort_by_key(|event| self.time_of(window, event));
            let ends = |events: &[&Event]| {
                let (first, last) = (
                    self.time_of(window, events[0]),
                    self.time_of(window, events[events.len() - 1]),
                );
                (first, last + gap_ms)
            };
            let over = |session: &[&Event]| self.first_batch(|_, line| line > ends(session).1);
            for session in self.runs(window, gap_ms, &events) {
                let without_early = Window {
                    early: false,
                    ..window
                };
                let over = over(&session);
                given.extend(self.stands(without_early, (over, over), key, &session, ends));
            }
            if !window.early {
                continue;
            }
            for batch in 0..self.clocks.len() {
                let so_far: Vec<_> = events
                    .iter()
                    .copied()
                    .filter(|event| event.batch <= batch)
                    .collect();
                for session in self.runs(window, gap_ms, &so_far) {
                    let is_changed = session.iter().any(|event| event.batch == batch);
                    if is_changed && over(&session).is_none_or(|over| over > batch) {
                        given.push(self.stand(batch, key, &session, ends(&session)));
                    }
                }
            }
        }
        given
    }

    fn runs<'e>(&self, window: Window, gap_ms: i64, events: &[&'e Event]) -> Vec<Vec<&'e Event>> {
        let are_near =
            |a: &&Event, b: &&Event| self.time_of(window, b) - self.time_of(window, a) <= gap_ms;
        events.chunk_by(are_near).map(<[&Event]>::to_vec).collect()
    }

    fn stand(
        &self,
        batch: usize,
        key: &[u8],
        events: &[&Event],
        (start, end): (i64, i64),
    ) -> Expected {
        self.group(
            batch,
            key,
            events
                .iter()
                .flat_map(|event| event.values.clone())
                .collect(),
            start,
            end,
        )
    }

    /// A window when it is first given, or over at the latest; then as it stands after each batch
    /// that changed it; and where early results are asked for, before too.
    fn stands(
        &self,
        window: Window,
        (first, over): (Option<usize>, Option<usize>),
        key: &[u8],
        events: &[&Event],
        ends: impl Fn(&[&Event]) -> (i64, i64),
    ) -> Vec<Expected> {
        assert!(
            events
                .iter()
                .all(|event| over.is_none_or(|over| event.batch <= over)),
            "what is over gets nothing any more"
        );
        let mut batches: BTreeSet<usize> = events.iter().map(|event| event.batch).collect();
        let came_before = |&first: &usize| events.iter().any(|event| event.batch < first);
        batches.extend(first.filter(came_before));
        batches.retain(|&batch| window.early || first.is_some_and(|first| batch >= first));
        let stand = |batch| {
            let so_far: Vec<_> = events
                .iter()
                .copied()
                .filter(|event| event.batch <= batch)
                .collect();
            self.stand(batch, key, &so_far, ends(events))
        };
        batches.into_iter().map(stand).collect()
    }

    fn join(&self, join: Join) -> Vec<Expected> {
        let partners = |batch: usize| match self.kinds[batch] {
            StageKind::Join(join) => join.partners,
            _ => unreachable!("of one form"),
        };
        let are = |left: &Event, right: &Event| {
            let (first, last) =
                partners(left.batch.max(right.batch)).times(JoinSide::Left, left.time_ms);
            left.key == right.key && (first..=last).contains(&right.time_ms)
        };
        let over = |event: &Event| {
            let last = |batch| {
                partners(batch)
                    .times(JoinSide::of(event.side), event.time_ms)
                    .1
            };
            self.first_batch(|batch, line| line > last(batch))
        };
        let of = |side: u8| self.events.iter().filter(move |event| event.side == side);
        let mut given = Vec::new();
        for left in of(0) {
            let partners: Vec<_> = of(1).filter(|right| are(left, right)).collect();
            for right in &partners {
                let (batch, time) = (left.batch.max(right.batch), left.time_ms.max(right.time_ms));
                given.push(self.pair(batch, Some(left), Some(&right.values), time, &left.key));
            }
            if let Some(over) = over(left)
                && join.left
                && partners.is_empty()
            {
                given.push(self.pair(over, Some(left), None, left.time_ms, &left.key));
            }
        }
        for right in of(1) {
            if let Some(over) = over(right)
                && join.right
                && !of(0).any(|left| are(left, right))
            {
                given.push(self.pair(over, None, Some(&right.values), right.time_ms, &right.key));
            }
        }
        given
    }

    fn lookup(&self) -> Vec<Expected> {
        let look = |left: &Event| {
            let is_of_it = |event: &&Event| {
                event.side == 1 && event.key == left.key && event.batch <= left.batch
            };
            let last = self
                .events
                .iter()
                .filter(is_of_it)
                .max_by_key(|event| event.batch); // the last of the greatest
            let right = last
                .filter(|event| !event.deleted)
                .map(|event| event.values.as_slice());
            self.pair(left.batch, Some(left), right, left.time_ms, &left.key)
        };
        self.events
            .iter()
            .filter(|event| event.side == 0)
            .map(look)
            .collect()
    }
}
