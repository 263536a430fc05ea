//! Session windows. A key has a list of open sessions, and each of them a timer at its last event.

use super::KeyedError;
use super::entry::{self, Session};
use super::merge::{self, Merge, Merged};
use super::shuffle::{Groups, Item};
use super::stage::Stage;
use super::stage_store::StageStore;
use super::timers::Timers;
use super::times::{self, StageTimes};
use crate::job::Window;
use crate::state::StoreError;
use std::ops::ControlFlow;

/// The sessions of one stage.
#[derive(Clone, Copy)]
pub(super) struct Sessions {
    gap_ms: i64,
    early: bool,
}

impl Sessions {
    pub(super) fn new(window: Window, gap_ms: i64) -> Self {
        Sessions {
            gap_ms,
            early: window.early,
        }
    }

    /// Sessions whose last event was then or before are over.
    fn over_through(self, times: StageTimes) -> Option<i64> {
        times::through(times.late_threshold_ms, self.gap_ms.saturating_add(1))
    }
}

/// Whether a session is over.
pub(super) fn is_due(
    store: &mut StageStore<'_>,
    sessions: Sessions,
    times: StageTimes,
) -> Result<bool, StoreError> {
    Timers::load(store)?.is_due(store, sessions.over_through(times))
}

/// Merges the batch's items into the open sessions, and finishes those that are over.
pub(super) fn run(
    stage: &mut Stage<'_>,
    mut items: Vec<Item<'_>>,
    sessions: Sessions,
) -> Result<(), KeyedError> {
    let before_ms = stage.times.before_ms;
    stage.drop_late(&mut items, |item| item.until_ms < before_ms);
    let over_through = sessions.over_through(stage.times);
    let groups = Groups::by_key(&items);
    let mut timers = Timers::load(&mut stage.store)?;
    let entry_of = |i| entry::of_key(groups.head(i, &items).key);
    merge::in_portions(
        stage,
        groups.len(),
        Some(&entry_of),
        |stage, i, merge| ask(stage, &items, groups.group(i), sessions, merge),
        |stage, i, key_sessions, merged| {
            let key = groups.head(i, &items).key;
            let early = sessions.early.then_some(over_through);
            take(
                stage,
                &mut timers,
                key,
                &key_sessions,
                merged,
                |stage, cluster, accumulator| {
                    let is_open =
                        early.is_some_and(|over| over.is_none_or(|over| cluster.last_ms > over));
                    let end_ms = cluster.last_ms.saturating_add(sessions.gap_ms);
                    if is_open {
                        stage.give_group(key, accumulator, cluster.first_ms, end_ms)
                    } else {
                        Ok(())
                    }
                },
            )
        },
    )?;
    timers.take_due(stage, over_through, |stage, timers, last_ms, key| {
        fire(
            stage,
            timers,
            sessions,
            over_through.unwrap_or(last_ms),
            (last_ms, key),
        )?;
        Ok(ControlFlow::Continue(()))
    })?;
    timers.store(&mut stage.store)?;
    Ok(())
}

/// What becomes of a key's sessions.
struct KeySessions {
    /// Its entry.
    kept: Vec<u8>,
    clusters: Vec<Cluster>,
}

/// Open sessions and items of the batch that belong together.
struct Cluster {
    first_ms: i64,
    last_ms: i64,
    open: Vec<Session>,
    items: Vec<u32>,
    /// Where its result is; none: it stays as it is.
    place: Option<usize>,
}

fn ask(
    stage: &mut Stage<'_>,
    items: &[Item<'_>],
    group: &[u32],
    sessions: Sessions,
    merge: &mut Merge,
) -> Result<KeySessions, KeyedError> {
    let key = items[group[0] as usize].key;
    let kept = stage.store.get(&entry::of_key(key))?.unwrap_or_default();
    let open = entry::sessions(&kept).ok_or_else(|| entry::damaged("a list of sessions"))?;
    let mut clusters = cluster(open, items, group, sessions.gap_ms);
    for cluster in clusters
        .iter_mut()
        .filter(|cluster| !cluster.items.is_empty())
    {
        let mut accumulators = cluster
            .open
            .iter()
            .map(|session| &kept[session.accumulator.clone()]);
        let so_far = accumulators.next();
        let partials = cluster.items.iter().map(|&i| items[i as usize].value);
        cluster.place = Some(merge.add(key, so_far, accumulators.chain(partials)));
    }
    Ok(KeySessions { kept, clusters })
}

/// Puts together what is at most a gap apart, in order of time.
fn cluster(open: Vec<Session>, items: &[Item<'_>], group: &[u32], gap_ms: i64) -> Vec<Cluster> {
    let alone = |first_ms, last_ms| Cluster {
        first_ms,
        last_ms,
        open: Vec::new(),
        items: Vec::new(),
        place: None,
    };
    let of_item = |&i: &u32| {
        let item = &items[i as usize];
        Cluster {
            items: vec![i],
            ..alone(item.time_ms, item.until_ms)
        }
    };
    let mut all: Vec<Cluster> = group.iter().map(of_item).collect();
    all.extend(open.into_iter().map(|session| {
        let (first_ms, last_ms) = (session.first_ms, session.last_ms);
        Cluster {
            open: vec![session],
            ..alone(first_ms, last_ms)
        }
    }));
    all.sort_by_key(|cluster| cluster.first_ms); // stable, and made canonical below
    let mut clusters: Vec<Cluster> = Vec::new();
    for next in all {
        match clusters.last_mut() {
            Some(last) if next.first_ms <= last.last_ms.saturating_add(gap_ms) => {
                last.last_ms = last.last_ms.max(next.last_ms);
                last.open.extend(next.open);
                last.items.extend(next.items);
            }
            _ => clusters.push(next),
        }
    }
    clusters
        .iter_mut()
        .for_each(|cluster| cluster.items.sort_unstable());
    clusters
}

/// Writes a key's sessions anew. A cluster that failed stays in the sessions that it had.
fn take<'a>(
    stage: &mut Stage<'a>,
    timers: &mut Timers,
    key: &[u8],
    key_sessions: &KeySessions,
    merged: &Merged,
    mut changed: impl FnMut(&mut Stage<'a>, &Cluster, &[u8]) -> Result<(), KeyedError>,
) -> Result<(), KeyedError> {
    let KeySessions { kept, clusters } = key_sessions;
    let mut value = Vec::new();
    for cluster in clusters {
        let accumulator = match cluster.place.map(|place| merged.get(place)) {
            Some(Ok(accumulator)) => accumulator,
            unmerged => {
                if let Some(Err(failed)) = unmerged {
                    // The open sessions were not lost: what they hold is no part of the letter.
                    let value = failed.value_behind(cluster.open.len().saturating_sub(1));
                    stage.letter(failed.reason, cluster.first_ms, key, value);
                }
                for session in &cluster.open {
                    entry::put_session(
                        &mut value,
                        session.first_ms,
                        session.last_ms,
                        &kept[session.accumulator.clone()],
                    );
                }
                continue;
            }
        };
        entry::put_session(&mut value, cluster.first_ms, cluster.last_ms, accumulator);
        let has_timer = cluster
            .open
            .iter()
            .any(|session| session.last_ms == cluster.last_ms);
        for session in cluster
            .open
            .iter()
            .filter(|session| session.last_ms != cluster.last_ms)
        {
            timers.clear(&mut stage.store, session.last_ms, key)?;
        }
        if !has_timer {
            timers.set(&mut stage.store, cluster.last_ms, key)?;
        }
        changed(stage, cluster, accumulator)?;
    }
    if !value.is_empty() && value != *kept {
        stage.store.put(&entry::of_key(key), &value)?;
    }
    Ok(())
}

/// Gives all sessions of a key that are over, when the first one's timer is due: its list is
/// written once, however many there are.
fn fire(
    stage: &mut Stage<'_>,
    timers: &mut Timers,
    sessions: Sessions,
    over_through: i64,
    (timer_ms, key): (i64, &[u8]),
) -> Result<(), KeyedError> {
    let entry_key = entry::of_key(key);
    let kept = stage.store.get(&entry_key)?.unwrap_or_default();
    let open = entry::sessions(&kept).ok_or_else(|| entry::damaged("a list of sessions"))?;
    let (over, open): (Vec<_>, Vec<_>) = open
        .into_iter()
        .partition(|session| session.last_ms <= over_through);
    if !over.iter().any(|session| session.last_ms == timer_ms) {
        return Err(entry::damaged("a session's timer").into());
    }
    if open.is_empty() {
        stage.store.remove(&entry_key)?;
    } else {
        let mut value = Vec::new();
        for session in open {
            entry::put_session(
                &mut value,
                session.first_ms,
                session.last_ms,
                &kept[session.accumulator],
            );
        }
        stage.store.put(&entry_key, &value)?;
    }
    for session in over {
        if session.last_ms != timer_ms {
            timers.clear(&mut stage.store, session.last_ms, key)?;
        }
        let end_ms = session.last_ms.saturating_add(sessions.gap_ms);
        stage.give_group(key, &kept[session.accumulator], session.first_ms, end_ms)?;
    }
    Ok(())
}
