//! The shuffle: what calls made for a stage, in canonical order, grouped by key. A group stands
//! where its first item does; nothing depends on a hash.

use crate::job::{JobSpec, StageKind, WindowForm};
use crate::types::Keyed;
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// One item on its way to a stage.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item<'a> {
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
    /// 0: what is reduced, or the left side; 1: the right side, or the table.
    pub(super) side: u8,
    /// Where its pane begins, a session's first event, or its event time.
    pub(super) time_ms: i64,
    /// A session's last event; of what is in hopping windows the first one that it counts for, or
    /// a time before it.
    pub(super) until_ms: i64,
    /// A table's item that is to be removed.
    pub(super) deleted: bool,
}

/// All items of these parts, in order.
pub(super) fn items(parts: &[Keyed]) -> Vec<Item<'_>> {
    let mut out = Vec::with_capacity(parts.iter().map(|part| part.keys.len()).sum());
    for part in parts {
        let mut deleted = part.deleted.iter().copied().peekable();
        for i in 0..part.keys.len() {
            out.push(Item {
                key: part.keys.get(i),
                value: part.values.get(i),
                side: part.side,
                time_ms: part.times_ms[i],
                until_ms: part.until_ms.get(i).copied().unwrap_or(i64::MIN),
                deleted: deleted.next_if_eq(&(i as u32)).is_some(),
            });
        }
    }
    out
}

/// Holds a part against the contract, so that nothing below it fails. `from` is the stage that made
/// it; none: a source.
pub(super) fn check(part: &Keyed, spec: &JobSpec, from: Option<u32>) -> Result<(), String> {
    let (sources, to) = (spec.sources.len() as u32, part.stage);
    let Some(stage) = to
        .checked_sub(sources)
        .and_then(|i| spec.stages.get(i as usize))
    else {
        return Err(format!("items go to stage {to}, which is no keyed stage"));
    };
    let name = &stage.name;
    if from.is_some_and(|from| from >= to) {
        return Err(format!(
            "items go to stage `{name}`, which does not come after the one that made them"
        ));
    }
    let items = part.keys.len();
    let is_until = match stage.kind {
        StageKind::Window(window) => match window.form {
            WindowForm::Session { .. } => part.until_ms.len() == items,
            WindowForm::Panes { size_ms, hop_ms } if size_ms > hop_ms => {
                [0, items].contains(&part.until_ms.len())
            }
            WindowForm::Panes { .. } => part.until_ms.is_empty(),
        },
        _ => part.until_ms.is_empty(),
    };
    if !is_until || (part.values.len(), part.times_ms.len()) != (items, items) {
        return Err(format!(
            "items for stage `{name}`: its lists are not of one length"
        ));
    }
    let sides = if matches!(stage.kind, StageKind::Join(_) | StageKind::Lookup) {
        2
    } else {
        1
    };
    if part.side >= sides {
        return Err(format!(
            "items for stage `{name}` go to side {}, of {sides}",
            part.side
        ));
    }
    let deleted = &part.deleted;
    let may_delete = stage.kind == StageKind::Lookup && part.side == 1;
    if !deleted.is_sorted_by(|a, b| a < b)
        || deleted
            .last()
            .is_some_and(|&i| !may_delete || i as usize >= items)
    {
        return Err(format!(
            "items for stage `{name}`: `deleted` does not ascend, or is beyond them, or no table's"
        ));
    }
    if let StageKind::Window(window) = stage.kind {
        let fits = |i: usize| match window.form {
            WindowForm::Panes { .. } => {
                let (pane, first) = (part.times_ms[i], part.until_ms.get(i));
                window.may_begin(pane) && first.is_none_or(|&first| window.has_pane(first, pane))
            }
            WindowForm::Session { .. } => part.times_ms[i] <= part.until_ms[i],
        };
        if let Some(i) = (0..items).find(|&i| !fits(i)) {
            return Err(format!(
                "items for stage `{name}`: {} ms is not where a pane, its window or a session begins",
                part.times_ms[i]
            ));
        }
    }
    Ok(())
}

/// Items by group, groups in order of first sight, each one's items in their order.
pub(super) struct Groups {
    /// Which items, group after group.
    order: Vec<u32>,
    /// Where each group ends in `order`.
    ends: Vec<u32>,
}

impl Groups {
    pub(super) fn by_key(items: &[Item<'_>]) -> Self {
        Self::by(items, |_| 0, |_| 0)
    }

    /// By pane, first window and key.
    pub(super) fn by_times_and_key(items: &[Item<'_>]) -> Self {
        Self::by(items, |item| item.time_ms, |item| item.until_ms)
    }

    fn by<'a>(
        items: &[Item<'a>],
        time: impl Fn(&Item<'a>) -> i64,
        until: impl Fn(&Item<'a>) -> i64,
    ) -> Self {
        let mut first_of: Vec<u32> = Vec::new();
        let mut sizes: Vec<u32> = Vec::new();
        let mut group_of: Vec<u32> = Vec::with_capacity(items.len());
        let mut known: HashTable<u32> = HashTable::new();
        let hash = |item: &Item<'a>| xxh3_64_with_seed(item.key, time(item) as u64);
        for (i, item) in items.iter().enumerate() {
            let is_it = |&group: &u32| {
                let first = &items[first_of[group as usize] as usize];
                first.key == item.key && time(first) == time(item) && until(first) == until(item)
            };
            let rehash = |&group: &u32| hash(&items[first_of[group as usize] as usize]);
            let group = *known
                .entry(hash(item), is_it, rehash)
                .or_insert(first_of.len() as u32)
                .get();
            if group as usize == first_of.len() {
                first_of.push(i as u32);
                sizes.push(0);
            }
            sizes[group as usize] += 1;
            group_of.push(group);
        }
        let mut ends = Vec::with_capacity(sizes.len());
        let mut next = Vec::with_capacity(sizes.len());
        let mut at = 0;
        for size in sizes {
            next.push(at);
            at += size;
            ends.push(at);
        }
        let mut order = vec![0; items.len()];
        for (i, group) in group_of.into_iter().enumerate() {
            let place = &mut next[group as usize];
            order[*place as usize] = i as u32;
            *place += 1;
        }
        Groups { order, ends }
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The places of a group's items, ascending; at least one.
    pub(super) fn group(&self, i: usize) -> &[u32] {
        let from = if i == 0 { 0 } else { self.ends[i - 1] as usize };
        &self.order[from..self.ends[i] as usize]
    }

    /// A group's first item.
    pub(super) fn head<'a>(&self, i: usize, items: &[Item<'a>]) -> Item<'a> {
        items[self.group(i)[0] as usize]
    }

    /// The values of a group's items.
    pub(super) fn values<'a>(
        &self,
        i: usize,
        items: &[Item<'a>],
    ) -> impl Iterator<Item = &'a [u8]> {
        self.group(i)
            .iter()
            .map(|&place| items[place as usize].value)
    }
}
