//! Sessions: events of one key that are near enough to their neighbours.

use super::model::{Bytes, FinishedGroup, Group, GroupId, Item, Part, Timing};
use super::stages::Reached;
use std::collections::BTreeMap;

/// A session that may still grow.
#[derive(Clone, Debug)]
pub(super) struct Session {
    first_ms: i64,
    last_ms: i64,
    pub(super) accumulator: Bytes,
}

type Keys = BTreeMap<Bytes, Vec<Session>>;

/// What is to be merged: sessions of the batch with each other and with those that are kept. Keys
/// in order of first sight, and of each key its sessions in order of time.
pub(super) fn groups(keys: &Keys, parts: &[Part], gap_ms: i64) -> Vec<Group> {
    let mut order: Vec<&Bytes> = Vec::new();
    let mut by_key: BTreeMap<&Bytes, Vec<&Item>> = BTreeMap::new();
    for item in parts.iter().flat_map(|part| &part.items) {
        let items = by_key.entry(&item.key).or_default();
        if items.is_empty() {
            order.push(&item.key);
        }
        items.push(item);
    }
    order
        .into_iter()
        .flat_map(|key| groups_of(key, keys.get(key), &by_key[key], gap_ms))
        .collect()
}

fn groups_of(key: &Bytes, kept: Option<&Vec<Session>>, items: &[&Item], gap_ms: i64) -> Vec<Group> {
    let kept = kept.map(Vec::as_slice).unwrap_or_default();
    let old = kept
        .iter()
        .map(|session| (session.first_ms, session.last_ms));
    let mut spans: Vec<(i64, i64)> = old
        .chain(items.iter().map(|item| (item.time_ms, item.until_ms)))
        .collect();
    spans.sort_unstable();
    let mut joined: Vec<(i64, i64)> = Vec::new();
    for (first_ms, last_ms) in spans {
        match joined.last_mut() {
            Some((_, end_ms)) if first_ms <= end_ms.saturating_add(gap_ms) => {
                *end_ms = last_ms.max(*end_ms)
            }
            _ => joined.push((first_ms, last_ms)),
        }
    }
    let group = |(first_ms, last_ms): (i64, i64)| {
        let inside = |at_ms: i64| (first_ms..=last_ms).contains(&at_ms);
        let new = items
            .iter()
            .filter(|item| inside(item.time_ms))
            .map(|item| item.value.clone());
        let mut old = kept
            .iter()
            .filter(|session| inside(session.first_ms))
            .map(|s| s.accumulator.clone());
        let id = GroupId {
            time_ms: first_ms,
            key: key.clone(),
            until_ms: last_ms,
        };
        let (so_far, fresh) = (old.next(), new.collect::<Vec<_>>());
        (!fresh.is_empty()).then(|| Group {
            id,
            so_far,
            partials: old.chain(fresh).collect(),
        })
    };
    joined.into_iter().filter_map(group).collect()
}

/// Keeps what was merged, and gives those that changed, if early results are asked for, and then
/// those that are over.
pub(super) fn finish(
    keys: &mut Keys,
    changed: Vec<(GroupId, Bytes)>,
    gap_ms: i64,
    timing: Timing,
    reached: Reached,
) -> Vec<FinishedGroup> {
    let is_over = |last_ms: i64| {
        reached.now_ms
            > last_ms
                .saturating_add(gap_ms)
                .saturating_add(timing.lateness_ms)
    };
    let is_over = |last_ms: i64| is_over(last_ms) || reached.is_end();
    let finished = |key: &Bytes, session: &Session| FinishedGroup {
        key: key.clone(),
        accumulator: session.accumulator.clone(),
        start_ms: session.first_ms,
        end_ms: session.last_ms.saturating_add(gap_ms),
    };
    let mut early = Vec::new();
    for (id, accumulator) in changed {
        let sessions = keys.entry(id.key.clone()).or_default();
        sessions.retain(|session| !(id.time_ms..=id.until_ms).contains(&session.first_ms));
        let session = Session {
            first_ms: id.time_ms,
            last_ms: id.until_ms,
            accumulator,
        };
        if timing.early && !is_over(session.last_ms) {
            early.push(finished(&id.key, &session));
        }
        let at = sessions.partition_point(|other| other.first_ms < session.first_ms);
        sessions.insert(at, session);
    }
    let mut over = Vec::new();
    for (key, sessions) in &mut *keys {
        let (done, open): (Vec<_>, Vec<_>) = sessions
            .drain(..)
            .partition(|session| is_over(session.last_ms));
        over.extend(done.iter().map(|session| finished(key, session)));
        *sessions = open;
    }
    keys.retain(|_, sessions| !sessions.is_empty());
    over.sort_by(|a, b| (a.end_ms, &a.key).cmp(&(b.end_ms, &b.key)));
    early.extend(over);
    early
}
