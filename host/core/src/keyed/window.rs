//! Windows of one size. What is kept is kept by pane; a window that is over is merged from its
//! panes and finished, and a pane goes with the last window that has it. What came too late for
//! some of its pane's windows is kept beside the pane, and counts for the others.

use super::KeyedError;
use super::merge;
use super::panes::{self, Part, WindowWalk};
use super::shuffle::{Groups, Item};
use super::stage::Stage;
use super::stage_store::StageStore;
use super::times::{self, StageTimes};
use crate::contract::VersionFault;
use crate::job::{Window, since_window_begin};
use crate::state::StoreError;
use crate::types::NO_TIME_MS;

/// The windows of one stage. Windows and panes are named by where they begin.
#[derive(Clone, Copy)]
pub(super) struct Panes {
    size_ms: i64,
    hop_ms: i64,
    offset_ms: i64,
    early: bool,
}

impl Panes {
    pub(super) fn new(window: Window, size_ms: i64, hop_ms: i64) -> Self {
        Panes {
            size_ms,
            hop_ms,
            offset_ms: window.offset_ms,
            early: window.early,
        }
    }

    /// The last window that is to be given, over or not.
    fn given_through(self, times: StageTimes) -> Option<i64> {
        times::through(times.given_threshold_ms, self.size_ms)
    }

    /// The last window that is over.
    fn over_through(self, times: StageTimes) -> Option<i64> {
        times::through(times.late_threshold_ms, self.size_ms)
    }

    fn end_of(self, window: i64) -> i64 {
        window.saturating_add(self.size_ms)
    }

    fn last_pane(self, window: i64) -> i64 {
        window.saturating_add(self.size_ms - self.hop_ms)
    }

    /// The first window that has a pane, given out or not.
    fn first_with(self, pane: i64) -> i64 {
        pane.saturating_sub(self.size_ms - self.hop_ms)
    }

    /// The first window that was not given out; each window before it that held something was.
    fn after(self, last_fired: Option<i64>) -> i64 {
        last_fired.map_or(i64::MIN, |fired| fired.saturating_add(self.hop_ms))
    }

    /// The first window that was not over by then.
    fn first_open(self, before_ms: i64) -> i64 {
        match before_ms {
            NO_TIME_MS => i64::MIN,
            _ => self.first_above(before_ms.saturating_sub(self.size_ms)),
        }
    }

    /// The first window that begins later than this.
    fn first_above(self, time_ms: i64) -> i64 {
        self.floor(time_ms).saturating_add(self.hop_ms)
    }

    /// The last window that begins then or before.
    fn floor(self, time_ms: i64) -> i64 {
        time_ms.saturating_sub(since_window_begin(time_ms, self.hop_ms, self.offset_ms))
    }

    /// Where an item is kept that counts for its pane's windows from `from` on: with the whole pane,
    /// if no window that is to come, from `after` on, tells them apart.
    fn part(self, pane: i64, from: i64, after: i64) -> Part {
        let whole_from = self.first_with(pane).max(after);
        let first = (from > whole_from).then_some(from);
        Part { first, pane }
    }

    /// The first window that holds something and was not given out.
    fn next_window(
        self,
        store: &mut StageStore<'_>,
        last_fired: Option<i64>,
    ) -> Result<Option<i64>, StoreError> {
        let after = self.after(last_fired);
        let whole = panes::first_whole(store, after)?
            .map(|pane| self.first_with(pane).max(after).min(pane));
        if self.size_ms == self.hop_ms {
            return Ok(whole);
        }
        let some = panes::first_for_some(store, after.saturating_sub(self.size_ms), after)?
            .map(|part| part.first.unwrap_or(part.pane).max(after));
        Ok(whole.into_iter().chain(some).min())
    }

    /// What a window is merged from, in order.
    fn of_window(self, store: &mut StageStore<'_>, window: i64) -> Result<Vec<Part>, StoreError> {
        let mut parts = panes::whole_between(store, window, self.last_pane(window))?;
        if self.size_ms > self.hop_ms {
            panes::add_for_some(
                store,
                window.saturating_sub(self.size_ms),
                window,
                &mut parts,
            )?;
            // Of windows that were given out before they are over, earlier ones may be there still.
            parts.retain(|part| part.pane >= window);
        }
        Ok(parts)
    }
}

/// Whether a window is over.
pub(super) fn is_due(
    store: &mut StageStore<'_>,
    panes: Panes,
    times: StageTimes,
) -> Result<bool, StoreError> {
    let Some(given_through) = panes.given_through(times) else {
        return Ok(false);
    };
    let over_through = panes.over_through(times);
    let last_fired = store.note()?;
    if is_next(store, panes, (last_fired, over_through))? {
        return Ok(true);
    }
    if Some(given_through) == over_through {
        return Ok(false);
    }
    let given = last_fired.max(store.given()?);
    is_next(store, panes, (given, Some(given_through)))
}

/// Whether there is a window above one and up to another that holds something.
fn is_next(
    store: &mut StageStore<'_>,
    panes: Panes,
    (above, through): (Option<i64>, Option<i64>),
) -> Result<bool, StoreError> {
    let Some(through) = through else {
        return Ok(false);
    };
    let next = panes.next_window(store, above)?;
    Ok(next.is_some_and(|window| window <= through))
}

/// Merges the batch's items into their panes, and finishes what is over.
pub(super) fn run(
    stage: &mut Stage<'_>,
    mut items: Vec<Item<'_>>,
    panes: Panes,
) -> Result<(), KeyedError> {
    let last_fired = stage.store.note()?;
    let after = panes.after(last_fired);
    let open_from = panes.first_open(stage.times.before_ms).max(after);
    stage.drop_late(&mut items, |item| {
        item.until_ms.max(open_from) > item.time_ms
    });
    for item in &mut items {
        // What is kept together is merged together.
        let part = panes.part(item.time_ms, item.until_ms.max(open_from), after);
        item.until_ms = part.first.unwrap_or(i64::MIN);
    }
    let changed = merge_panes(stage, &items)?;
    let given = stage.store.given()?.max(last_fired);
    if given > last_fired {
        // Before what is over is removed: it may have changed once more.
        give_changed(stage, panes, &changed, (last_fired, given))?;
    }
    let fired = remove_over(stage, panes, last_fired, given)?;
    let given = give_before_over(stage, panes, given.max(fired))?;
    if panes.early {
        give_changed(stage, panes, &changed, (given, None))?;
    }
    Ok(())
}

/// Gives back what of which keys changed.
fn merge_panes<'i>(
    stage: &mut Stage<'_>,
    items: &[Item<'i>],
) -> Result<Vec<(Part, &'i [u8])>, KeyedError> {
    let groups = Groups::by_times_and_key(items);
    let mut changed = Vec::new();
    let part_of = |i| {
        let head = groups.head(i, items);
        let part = Part {
            first: (head.until_ms > i64::MIN).then_some(head.until_ms),
            pane: head.time_ms,
        };
        (part, part.key(head.key))
    };
    merge::in_portions(
        stage,
        groups.len(),
        Some(&|i| part_of(i).1),
        |stage, i, merge| {
            let (part, key) = part_of(i);
            let kept = stage.store.get(&key)?;
            let place = merge.add(
                groups.head(i, items).key,
                kept.as_deref(),
                groups.values(i, items),
            );
            Ok((place, part, key))
        },
        |stage, i, (place, part, key), merged| {
            let head = groups.head(i, items);
            match merged.get(place) {
                Ok(accumulator) => {
                    stage.store.put(&key, accumulator)?;
                    changed.push((part, head.key));
                }
                Err(failed) => stage.letter(failed.reason, head.time_ms, head.key, failed.value()),
            }
            Ok(())
        },
    )?;
    Ok(changed)
}

/// Gives what is over and was not given yet, and removes all that is over. The last window that is.
fn remove_over(
    stage: &mut Stage<'_>,
    panes: Panes,
    before: Option<i64>,
    given: Option<i64>,
) -> Result<Option<i64>, KeyedError> {
    let Some(over_through) = panes.over_through(stage.times) else {
        return Ok(before);
    };
    let mut last_fired = before;
    while let Some(window) = panes.next_window(&mut stage.store, last_fired)?
        && window <= over_through
    {
        let gives = Some(window) > given;
        fire_window(
            stage,
            panes,
            window,
            Fire {
                gives,
                removes: true,
            },
        )?;
        last_fired = last_fired.max(Some(window));
    }
    match last_fired {
        Some(fired) if last_fired != before => stage.store.set_note(fired)?,
        _ => {}
    }
    Ok(last_fired)
}

/// Gives what is not over and was not given yet, but is to be. The last window that was given.
fn give_before_over(
    stage: &mut Stage<'_>,
    panes: Panes,
    before: Option<i64>,
) -> Result<Option<i64>, KeyedError> {
    let Some(given_through) = panes.given_through(stage.times) else {
        return Ok(before);
    };
    let mut given = before;
    while let Some(window) = panes.next_window(&mut stage.store, given)?
        && window <= given_through
    {
        let fire = Fire {
            gives: true,
            removes: false,
        };
        fire_window(stage, panes, window, fire)?;
        given = given.max(Some(window));
    }
    if Some(given_through) > panes.over_through(stage.times) {
        // Those that hold nothing count as given: what comes for them later is a change.
        given = given.max(Some(panes.floor(given_through)));
    }
    match given {
        Some(window) if given != before => stage.store.set_given(window)?,
        _ => {}
    }
    Ok(given)
}

/// What becomes of a window.
#[derive(Clone, Copy)]
struct Fire {
    /// Its keys are finished.
    gives: bool,
    /// What no later window has is removed.
    removes: bool,
}

/// Finishes all keys of a window, in their order, or removes what no later window has, or both.
fn fire_window(
    stage: &mut Stage<'_>,
    panes: Panes,
    window: i64,
    fire: Fire,
) -> Result<(), KeyedError> {
    let end_ms = panes.end_of(window);
    let kept = panes.of_window(&mut stage.store, window)?;
    let mut walk = WindowWalk::new(stage, &kept)?;
    loop {
        stage.check_stop()?;
        let mut merge = stage.merge();
        let mut keys = Vec::new();
        while !merge.is_full(stage.portion)
            && let Some((key, values)) = walk.next(&mut stage.store)?
        {
            if fire.gives {
                merge.add(&key, None, values.iter().map(|(_, value)| value.as_slice()));
            }
            let own = |part: &Part| fire.removes && part.pane == window;
            for (part, _) in values.iter().filter(|(part, _)| own(part)) {
                stage.store.remove(&part.key(&key))?;
            }
            keys.push(key);
            if !fire.gives && keys.len() >= stage.portion.groups {
                break;
            }
        }
        if keys.is_empty() {
            return Ok(());
        }
        if !fire.gives {
            continue;
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

/// Finishes, as they stand, windows that changed, of those above one and up to another.
fn give_changed(
    stage: &mut Stage<'_>,
    panes: Panes,
    changed: &[(Part, &[u8])],
    windows: (Option<i64>, Option<i64>),
) -> Result<(), KeyedError> {
    let windows = changed_windows(stage, panes, changed, windows)?;
    let mut kept = (None, Vec::new());
    merge::in_portions(
        stage,
        windows.len(),
        None, // the panes that changed were written just now
        |stage, i, merge| {
            let (window, key) = windows[i];
            if kept.0 != Some(window) {
                kept = (Some(window), panes.of_window(&mut stage.store, window)?);
            }
            let mut values = Vec::new();
            for part in &kept.1 {
                values.extend(stage.store.get(&part.key(key))?);
            }
            Ok(merge.add(key, None, values.iter().map(Vec::as_slice)))
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

/// The windows that changed, of those above one and up to another, with their keys, in order.
fn changed_windows<'i>(
    stage: &Stage<'_>,
    panes: Panes,
    changed: &[(Part, &'i [u8])],
    (above, through): (Option<i64>, Option<i64>),
) -> Result<Vec<(i64, &'i [u8])>, KeyedError> {
    // By key, and then by the first window that changed: each one is met once.
    let mut changed: Vec<(&[u8], i64, i64)> = changed
        .iter()
        .map(|&(part, key)| {
            let first = part.first.unwrap_or_else(|| panes.first_with(part.pane));
            (key, first, part.pane)
        })
        .collect();
    changed.sort_unstable();
    let mut windows: Vec<(i64, &[u8])> = Vec::new();
    for (key, first, pane) in changed {
        let last = windows
            .last()
            .filter(|(_, before)| *before == key)
            .map(|&(window, _)| window);
        let above = last.max(above);
        let pane = through.map_or(pane, |through| pane.min(through));
        let mut next = Some(above.map_or(first, |above| first.max(panes.first_above(above))));
        while let Some(window) = next.filter(|&window| window <= pane) {
            windows.push((window, key));
            next = window.checked_add(panes.hop_ms);
        }
        if windows.len() > stage.portion.early {
            let (name, max) = (&stage.spec.name, stage.portion.early);
            let what = format!(
                "stage `{name}` has more than {max} results of windows that changed: hop farther, or leave .early_results() and .allowed_lateness(…) out"
            );
            return Err(VersionFault::TooMuch { what }.into());
        }
    }
    windows.sort_unstable();
    Ok(windows)
}
