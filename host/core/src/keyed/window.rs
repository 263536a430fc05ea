//! Windows of one size. What is kept is kept by pane; a window that is over is merged from its
//! panes and finished, and a pane goes with the last window that has it.

use super::KeyedError;
use super::entry::{self, VALUE};
use super::merge::{self, Merge};
use super::shuffle::{Groups, Item};
use super::stage::Stage;
use super::stage_store::{self, StageStore, Walk};
use super::times::{self, StageTimes};
use crate::contract::VersionFault;
use crate::job::Window;
use crate::state::StoreError;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::vec;

/// The windows of one stage. Windows and panes are named by where they begin.
#[derive(Clone, Copy)]
pub(super) struct Panes {
    size_ms: i64,
    hop_ms: i64,
    early: bool,
}

impl Panes {
    pub(super) fn new(window: Window, size_ms: i64, hop_ms: i64) -> Self {
        Panes {
            size_ms,
            hop_ms,
            early: window.early,
        }
    }

    /// The last window that is over.
    fn over_through(self, times: StageTimes) -> Option<i64> {
        times::through(times.late_threshold_ms, self.size_ms)
    }

    fn end_of(self, window: i64) -> i64 {
        window.saturating_add(self.size_ms)
    }

    /// The first window that has this pane and was not given out.
    fn first_window(self, pane: i64, last_fired: Option<i64>) -> i64 {
        let first = pane.saturating_sub(self.size_ms - self.hop_ms);
        let next = last_fired.map_or(i64::MIN, |given| given.saturating_add(self.hop_ms));
        first.max(next).min(pane)
    }

    fn is_late(self, pane: i64, before_ms: i64, last_fired: Option<i64>) -> bool {
        pane.saturating_add(self.hop_ms) <= before_ms
            || last_fired.is_some_and(|given| pane <= given)
    }

    /// The first window that holds something and was not given out. All panes up to the last one
    /// that was given out are gone, and looking begins behind them: a store may keep what was
    /// removed for a while.
    fn next_window(
        self,
        store: &mut StageStore<'_>,
        last_fired: Option<i64>,
    ) -> Result<Option<i64>, StoreError> {
        let pane = first_pane(
            store,
            last_fired.map_or(i64::MIN, |given| given.saturating_add(1)),
        )?;
        Ok(pane.map(|pane| self.first_window(pane, last_fired)))
    }

    /// A window's panes that hold something, in order.
    fn of_window(self, store: &mut StageStore<'_>, window: i64) -> Result<Vec<i64>, StoreError> {
        let last = window.saturating_add(self.size_ms - self.hop_ms);
        let mut found = Vec::new();
        let mut next = Some(window);
        while let Some(from) = next
            && let Some(pane) = first_pane(store, from)?
            && pane <= last
        {
            found.push(pane);
            next = pane.checked_add(1);
        }
        Ok(found)
    }
}

/// Whether a window is over.
pub(super) fn is_due(
    store: &mut StageStore<'_>,
    panes: Panes,
    times: StageTimes,
) -> Result<bool, StoreError> {
    let Some(over_through) = panes.over_through(times) else {
        return Ok(false);
    };
    let last_fired = store.note()?;
    Ok(panes
        .next_window(store, last_fired)?
        .is_some_and(|window| window <= over_through))
}

/// Merges the batch's items into their panes, and finishes what is over.
pub(super) fn run(
    stage: &mut Stage<'_>,
    mut items: Vec<Item<'_>>,
    panes: Panes,
) -> Result<(), KeyedError> {
    let last_fired = stage.store.note()?;
    let before_ms = stage.times.before_ms;
    stage.drop_late(&mut items, |item| {
        panes.is_late(item.time_ms, before_ms, last_fired)
    });
    let changed = merge_panes(stage, &items)?;
    let over_through = panes.over_through(stage.times);
    if let Some(over_through) = over_through {
        fire(stage, panes, last_fired, over_through)?;
    }
    if panes.early {
        fire_early(stage, panes, changed, over_through.max(last_fired))?;
    }
    Ok(())
}

/// Gives back which panes of which keys changed.
fn merge_panes<'i>(
    stage: &mut Stage<'_>,
    items: &[Item<'i>],
) -> Result<Vec<(i64, &'i [u8])>, KeyedError> {
    let groups = Groups::by_time_and_key(items);
    let mut changed = Vec::new();
    merge::in_portions(
        stage,
        groups.len(),
        |stage, i, merge| {
            let head = groups.head(i, items);
            let key = entry::of_time(VALUE, head.time_ms, head.key);
            let kept = stage.store.get(&key)?;
            Ok((merge.add(kept.as_deref(), groups.values(i, items)), key))
        },
        |stage, i, (place, key), merged| {
            let head = groups.head(i, items);
            match merged.get(place) {
                Ok(accumulator) => {
                    stage.store.put(&key, accumulator)?;
                    changed.push((head.time_ms, head.key));
                }
                Err(failed) => stage.letter(failed.reason, head.time_ms, head.key, failed.value()),
            }
            Ok(())
        },
    )?;
    Ok(changed)
}

fn fire(
    stage: &mut Stage<'_>,
    panes: Panes,
    mut last_fired: Option<i64>,
    over_through: i64,
) -> Result<(), KeyedError> {
    let before = last_fired;
    while let Some(window) = panes.next_window(&mut stage.store, last_fired)?
        && window <= over_through
    {
        fire_window(stage, panes, window)?;
        last_fired = last_fired.max(Some(window));
    }
    match last_fired {
        Some(given) if last_fired != before => Ok(stage.store.set_note(given)?),
        _ => Ok(()),
    }
}

/// Finishes all keys of a window, in their order, and removes the pane that no later window has.
fn fire_window(stage: &mut Stage<'_>, panes: Panes, window: i64) -> Result<(), KeyedError> {
    let end_ms = panes.end_of(window);
    let kept = panes.of_window(&mut stage.store, window)?;
    let mut walk = WindowWalk::new(stage, &kept)?;
    loop {
        stage.check_stop()?;
        let mut merge = Merge::default();
        let mut keys = Vec::new();
        while !merge.is_full(stage.portion)
            && let Some((key, values)) = walk.next(&mut stage.store)?
        {
            merge.add(None, values.iter().map(|(_, value)| value.as_slice()));
            if values[0].0 == window {
                stage.store.remove(&entry::of_time(VALUE, window, &key))?;
            }
            keys.push(key);
        }
        if keys.is_empty() {
            return Ok(());
        }
        let merged = merge.run(stage)?;
        for (place, key) in keys.iter().enumerate() {
            match merged.get(place) {
                Ok(accumulator) => stage.give_group(key, accumulator, window, end_ms)?,
                Err(failed) => stage.letter(failed.reason, window, key, failed.value()),
            }
        }
    }
}

/// Finishes, as they stand, windows that changed and are not over.
fn fire_early(
    stage: &mut Stage<'_>,
    panes: Panes,
    changed: Vec<(i64, &[u8])>,
    over_through: Option<i64>,
) -> Result<(), KeyedError> {
    let windows = changed_windows(stage, panes, changed, over_through)?;
    let mut kept = (None, Vec::new());
    merge::in_portions(
        stage,
        windows.len(),
        |stage, i, merge| {
            let (window, key) = windows[i];
            if kept.0 != Some(window) {
                kept = (Some(window), panes.of_window(&mut stage.store, window)?);
            }
            let mut values = Vec::new();
            for &pane in &kept.1 {
                values.extend(stage.store.get(&entry::of_time(VALUE, pane, key))?);
            }
            Ok(merge.add(None, values.iter().map(Vec::as_slice)))
        },
        |stage, i, place, merged| {
            let (window, key) = windows[i];
            match merged.get(place) {
                Ok(accumulator) => {
                    stage.give_group(key, accumulator, window, panes.end_of(window))?
                }
                Err(failed) => stage.letter(failed.reason, window, key, failed.value()),
            }
            Ok(())
        },
    )
}

/// The windows that changed and are not over, with their keys, in order.
fn changed_windows<'i>(
    stage: &Stage<'_>,
    panes: Panes,
    mut changed: Vec<(i64, &'i [u8])>,
    over_through: Option<i64>,
) -> Result<Vec<(i64, &'i [u8])>, KeyedError> {
    // By key and then by pane: each window is met once, from the first pane of it that changed.
    changed.sort_unstable_by_key(|&(pane, key)| (key, pane));
    let mut windows: Vec<(i64, &[u8])> = Vec::new();
    for (pane, key) in changed {
        let last = windows
            .last()
            .filter(|(_, before)| *before == key)
            .map(|&(window, _)| window);
        let mut next = Some(panes.first_window(pane, last));
        while let Some(window) = next.filter(|&window| window <= pane) {
            if last.max(over_through).is_none_or(|known| window > known) {
                windows.push((window, key));
            }
            next = window.checked_add(panes.hop_ms);
        }
        if windows.len() > stage.portion.early {
            let (name, max) = (&stage.spec.name, stage.portion.early);
            let what = format!(
                "stage `{name}` has more than {max} early results: hop farther, or leave .early_results() out"
            );
            return Err(VersionFault::TooMuch { what }.into());
        }
    }
    windows.sort_unstable();
    Ok(windows)
}

/// The first pane from one on that holds something.
fn first_pane(store: &mut StageStore<'_>, from: i64) -> Result<Option<i64>, StoreError> {
    let found = stage_store::first(store, &entry::of_time(VALUE, from, &[]), &[VALUE + 1])?;
    found
        .map(|key| entry::time_at(&key, 1).ok_or_else(|| entry::damaged("a pane")))
        .transpose()
}

/// What one key has in some panes, in order of time.
type KeyPanes = (Vec<u8>, Vec<(i64, Vec<u8>)>);

/// Goes over some panes at once, key by key.
struct WindowWalk {
    panes: Vec<PaneWalk>,
    /// The next key of each pane that has one.
    heads: BinaryHeap<Reverse<(Vec<u8>, usize)>>,
}

struct PaneWalk {
    pane: i64,
    walk: Walk,
    portion: vec::IntoIter<(Vec<u8>, Vec<u8>)>,
    value: Vec<u8>,
}

impl WindowWalk {
    fn new(stage: &mut Stage<'_>, panes: &[i64]) -> Result<Self, KeyedError> {
        let most = stage.portion.look_beside(panes.len());
        let of_pane = |&pane: &i64| PaneWalk {
            pane,
            walk: Walk::new(
                entry::of_time(VALUE, pane, &[]),
                entry::above_time(VALUE, pane),
                most,
            ),
            portion: Vec::new().into_iter(),
            value: Vec::new(),
        };
        let mut walk = WindowWalk {
            panes: panes.iter().map(of_pane).collect(),
            heads: BinaryHeap::new(),
        };
        for i in 0..panes.len() {
            walk.advance(i, &mut stage.store)?;
        }
        Ok(walk)
    }

    fn advance(&mut self, i: usize, store: &mut StageStore<'_>) -> Result<(), KeyedError> {
        let pane = &mut self.panes[i];
        if pane.portion.len() == 0 {
            pane.portion = pane.walk.next(store)?.into_iter();
        }
        if let Some((mut key, value)) = pane.portion.next() {
            key.drain(..1 + entry::TIME);
            pane.value = value;
            self.heads.push(Reverse((key, i)));
        }
        Ok(())
    }

    fn next(&mut self, store: &mut StageStore<'_>) -> Result<Option<KeyPanes>, KeyedError> {
        let Some(Reverse((key, first))) = self.heads.pop() else {
            return Ok(None);
        };
        let mut values = Vec::with_capacity(1);
        let mut next = Some(first);
        while let Some(i) = next {
            values.push((self.panes[i].pane, std::mem::take(&mut self.panes[i].value)));
            self.advance(i, store)?;
            let is_same = self
                .heads
                .peek()
                .is_some_and(|Reverse((head, _))| *head == key);
            next = if is_same {
                self.heads.pop().map(|Reverse((_, i))| i)
            } else {
                None
            };
        }
        Ok(Some((key, values)))
    }
}
