//! Joins and lookups.

use super::model::{Bytes, Kind, Pair, Part};
use super::stages::Reached;
use std::collections::BTreeMap;

/// The items of a join that may still find partners, by key; left and right, each in order of time
/// and arrival.
pub(super) type Sides = BTreeMap<Bytes, [Vec<Held>; 2]>;

/// An item that waits for partners.
#[derive(Clone, Debug)]
pub(super) struct Held {
    time_ms: i64,
    value: Bytes,
    paired: bool,
}

/// Each pair when its second item arrives, and then the lefts that stay alone.
pub(super) fn join(sides: &mut Sides, kind: Kind, parts: &[Part], reached: Reached) -> Vec<Pair> {
    let Kind::Join {
        within_ms,
        lateness_ms,
        left,
    } = kind
    else {
        unreachable!("a join")
    };
    let mut pairs = Vec::new();
    for part in parts {
        let own = usize::from(part.side);
        for item in &part.items {
            let held = sides.entry(item.key.clone()).or_default();
            let mut paired = false;
            for other in &mut held[1 - own] {
                if other.time_ms.abs_diff(item.time_ms) > within_ms.unsigned_abs() {
                    continue;
                }
                (other.paired, paired) = (true, true);
                let (left, right) = if own == 0 {
                    (&item.value, &other.value)
                } else {
                    (&other.value, &item.value)
                };
                let time_ms = item.time_ms.max(other.time_ms);
                pairs.push(Pair {
                    key: item.key.clone(),
                    left: left.clone(),
                    right: Some(right.clone()),
                    time_ms,
                });
            }
            let at = held[own].partition_point(|other| other.time_ms <= item.time_ms);
            let (time_ms, value) = (item.time_ms, item.value.clone());
            let new = Held {
                time_ms,
                value,
                paired,
            };
            held[own].insert(at, new);
        }
    }
    let last_ms = |held: &Held| {
        held.time_ms
            .saturating_add(within_ms)
            .saturating_add(lateness_ms)
    };
    let is_over = |held: &Held| reached.is_end() || reached.now_ms > last_ms(held);
    let mut alone = Vec::new();
    for (key, [lefts, rights]) in &mut *sides {
        let over = lefts
            .iter()
            .filter(|held| left && !held.paired && is_over(held));
        alone.extend(over.map(|h| Pair {
            key: key.clone(),
            left: h.value.clone(),
            right: None,
            time_ms: h.time_ms,
        }));
        lefts.retain(|held| !is_over(held));
        rights.retain(|held| !is_over(held));
    }
    sides.retain(|_, [lefts, rights]| !(lefts.is_empty() && rights.is_empty()));
    alone.sort_by(|a, b| (a.time_ms, a.key.len(), &a.key).cmp(&(b.time_ms, b.key.len(), &b.key)));
    pairs.extend(alone);
    pairs
}

/// The table's changes first, then one pair for each left item.
pub(super) fn lookup(table: &mut BTreeMap<Bytes, Bytes>, parts: &[Part]) -> Vec<Pair> {
    for item in parts
        .iter()
        .filter(|part| part.side == 1)
        .flat_map(|part| &part.items)
    {
        if item.deleted {
            table.remove(&item.key);
        } else {
            table.insert(item.key.clone(), item.value.clone());
        }
    }
    let lefts = parts
        .iter()
        .filter(|part| part.side == 0)
        .flat_map(|part| &part.items);
    let pair = |item: &super::model::Item| Pair {
        key: item.key.clone(),
        left: item.value.clone(),
        right: table.get(&item.key).cloned(),
        time_ms: item.time_ms,
    };
    lefts.map(pair).collect()
}
