//! What a stage keeps, as people look at it: a page of its entries, read beside the batches.
//!
//! Entries come in the order in which they are kept: by key; of windows by the window and then by
//! key; of joins by the key's length, then by key, side and time. What of a pane counts for some of
//! its windows alone comes behind all whole panes, as entries of its own.

use super::entry::{self, Running, SOME, TIME, VALUE};
use super::process;
use crate::job::{JoinSide, StageKind, StageSpec, WindowForm};
use crate::limits;
use crate::state::{Entries, Most, StoreError};
use std::ops::ControlFlow;

/// Which keys are looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum WantedKeys {
    /// All.
    #[default]
    All,
    /// This one.
    Key(Vec<u8>),
    /// Those that begin so.
    Prefix(Vec<u8>),
}

/// Where a page begins: at the first entry from here on, without its first results.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageStart {
    /// The entry's key in the store.
    pub from: Vec<u8>,
    /// How many of its values were shown already: a key may have several sessions.
    pub skip: usize,
}

/// What is kept for one key, of one window or one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The key, in the bytes of the SDK.
    pub key: Vec<u8>,
    /// Where its window begins and ends.
    pub window_ms: Option<(i64, i64)>,
    /// The time by which it goes, of the clock that its stage goes by.
    pub expires_ms: Option<i64>,
    /// Of a join: which side it is of, and its time.
    pub joined: Option<Joined>,
    /// The accumulator, or the item.
    pub value: Vec<u8>,
}

/// An item that waits in a join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joined {
    /// It is of the right side.
    pub right: bool,
    /// Its time.
    pub time_ms: i64,
}

/// A page of what a stage keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptPage {
    /// Its entries.
    pub entries: Vec<Kept>,
    /// Where the next page begins, if there may be more.
    pub next: Option<PageStart>,
}

/// Reads a page, `most` entries at most. `read` reads the stage's entries from one key on and below
/// another.
pub fn page(
    stage: &StageSpec,
    keys: &WantedKeys,
    start: PageStart,
    most: usize,
    read: impl Fn(&[u8], &[u8], Most) -> Result<Entries, StoreError>,
) -> Result<KeptPage, StoreError> {
    let mut look = Look {
        stage,
        keys,
        most,
        bytes: 0,
        page: KeptPage::default(),
        start,
    };
    let end = match is_panes(stage) {
        true => vec![SOME + 1], // which has nothing between the two
        false => vec![VALUE + 1],
    };
    let mut from = look.start.from.clone().max(vec![VALUE]);
    let portion = Most {
        entries: most
            .saturating_add(1)
            .min(limits::STATE_PORTION_ENTRIES_MAX),
        bytes: limits::STATE_PAGE_BYTES_MAX,
    };
    for _ in 0..limits::STATE_PAGE_READS_MAX {
        let found = match from < end {
            true => read(&from, &end, portion)?,
            false => Entries::new(),
        };
        let Some((last, _)) = found.last() else {
            return Ok(look.page);
        };
        from = [last, &[0][..]].concat(); // the least key above it
        for (key, value) in &found {
            match look.take(key, value) {
                ControlFlow::Continue(None) => {}
                ControlFlow::Continue(Some(to)) => {
                    from = to;
                    break;
                }
                ControlFlow::Break(()) => return Ok(look.page),
            }
        }
    }
    look.page.next = Some(PageStart { from, skip: 0 });
    Ok(look.page)
}

/// What stands in an entry's key before the item's own key, and that key. None: the entry is not as
/// it was written.
fn parts<'k>(stage: &StageSpec, name: &'k [u8]) -> Option<(&'k [u8], &'k [u8])> {
    let tag = *name.first()?;
    let (head, rest) = name.get(1..)?.split_at_checked(head_bytes(stage, tag))?;
    match stage.kind {
        StageKind::Join(_) => Some((head, entry::key_joined(&name[1..])?)),
        _ => Some((head, rest)),
    }
}

fn is_panes(stage: &StageSpec) -> bool {
    matches!(stage.kind, StageKind::Window(window) if matches!(window.form, WindowForm::Panes { .. }))
}

fn head_bytes(stage: &StageSpec, tag: u8) -> usize {
    match stage.kind {
        StageKind::Window(_) if is_panes(stage) && tag == SOME => 2 * TIME,
        StageKind::Window(_) if is_panes(stage) => TIME,
        StageKind::Join(_) => size_of::<u32>(),
        _ => 0,
    }
}

/// The head above this one; none: it is the last.
fn above(head: &[u8]) -> Option<Vec<u8>> {
    let mut next = head.to_vec();
    for byte in next.iter_mut().rev() {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            return Some(next);
        }
    }
    None
}

struct Look<'a> {
    stage: &'a StageSpec,
    keys: &'a WantedKeys,
    most: usize,
    bytes: usize,
    page: KeptPage,
    start: PageStart,
}

impl Look<'_> {
    /// Takes an entry if it is wanted. Continue: with the entry behind it, or with the first one
    /// from another key on. Break: the page is done.
    fn take(&mut self, name: &[u8], value: &[u8]) -> ControlFlow<(), Option<Vec<u8>>> {
        let Some((head, key)) = parts(self.stage, name) else {
            return ControlFlow::Continue(None); // not as it was written: its stage will say so
        };
        let (wanted, is_begin) = match self.keys {
            WantedKeys::All => (&[][..], true),
            WantedKeys::Key(wanted) => (wanted.as_slice(), false),
            WantedKeys::Prefix(wanted) => (wanted.as_slice(), true),
        };
        let fits = key == wanted || is_begin && key.starts_with(wanted);
        if fits {
            return self.give(name, key, value);
        }
        let is_join = matches!(self.stage.kind, StageKind::Join(_));
        let length = u32::try_from(wanted.len())
            .unwrap_or(u32::MAX)
            .to_be_bytes();
        let tag = name[0];
        let to = match () {
            // Shorter keys stand first in a join.
            () if is_join && head < &length[..] => Some([&[VALUE], &length[..], wanted].concat()),
            () if is_join && !is_begin && head > &length[..] => None,
            () if key < wanted => Some([&[tag], head, wanted].concat()),
            () => above(head).map(|head| [&[tag], &head[..], wanted].concat()),
        };
        match to {
            Some(to) => ControlFlow::Continue(Some(to)),
            None => ControlFlow::Break(()),
        }
    }

    /// Gives what an entry holds, as far as there is room.
    fn give(&mut self, name: &[u8], key: &[u8], value: &[u8]) -> ControlFlow<(), Option<Vec<u8>>> {
        let is_first = name == self.start.from;
        let skip = if is_first { self.start.skip } else { 0 };
        for (i, kept) in kept(self.stage, name, key, value)
            .into_iter()
            .enumerate()
            .skip(skip)
        {
            let is_full = self.bytes >= limits::STATE_PAGE_BYTES_MAX;
            if self.page.entries.len() >= self.most || is_full {
                self.page.next = Some(PageStart {
                    from: name.to_vec(),
                    skip: i,
                });
                return ControlFlow::Break(());
            }
            self.bytes += kept.key.len() + kept.value.len();
            self.page.entries.push(kept);
        }
        ControlFlow::Continue(None)
    }
}

/// What an entry holds. One that is not as it was written is given as it is: its stage will say so.
fn kept(stage: &StageSpec, name: &[u8], key: &[u8], value: &[u8]) -> Vec<Kept> {
    let plain = Kept {
        key: key.to_vec(),
        window_ms: None,
        expires_ms: None,
        joined: None,
        value: value.to_vec(),
    };
    let read = match stage.kind {
        StageKind::EachBatch | StageKind::Lookup => None,
        StageKind::Running { expire_ms } => running(&plain, expire_ms),
        StageKind::Process(process) => return process::looked_at(&plain, process),
        StageKind::Window(window) => match window.form {
            WindowForm::Panes { size_ms, hop_ms } => {
                // Where its pane begins.
                let begin = entry::time_at(name, 1 + head_bytes(stage, name[0]) - TIME);
                begin.map(|begin_ms| {
                    let over_ms = begin_ms.saturating_add(size_ms);
                    vec![Kept {
                        window_ms: Some((begin_ms, begin_ms.saturating_add(hop_ms))),
                        expires_ms: Some(over_ms.saturating_add(stage.lateness_ms())),
                        ..plain.clone()
                    }]
                })
            }
            WindowForm::Session { gap_ms } => sessions(&plain, gap_ms, stage.lateness_ms()),
        },
        StageKind::Join(join) => entry::side_and_time(&name[1..]).and_then(|(side, time_ms)| {
            let side = JoinSide::of(side);
            let item = match join.notes_partner(side) {
                true => value.get(1..)?,
                false => value,
            };
            let over_ms = join.partners.times(side, time_ms).1;
            Some(vec![Kept {
                joined: Some(Joined {
                    right: side == JoinSide::Right,
                    time_ms,
                }),
                expires_ms: Some(over_ms.saturating_add(join.lateness_ms)),
                value: item.to_vec(),
                ..plain.clone()
            }])
        }),
    };
    read.unwrap_or_else(|| vec![plain])
}

fn running(plain: &Kept, expire_ms: Option<u64>) -> Option<Vec<Kept>> {
    let (head, accumulator) = Running::read(&plain.value).ok()?;
    let expire_ms = expire_ms.map(|ms| i64::try_from(ms).unwrap_or(i64::MAX));
    Some(vec![Kept {
        expires_ms: expire_ms.map(|ms| head.last_ms.saturating_add(ms)),
        value: accumulator.to_vec(),
        ..plain.clone()
    }])
}

fn sessions(plain: &Kept, gap_ms: i64, lateness_ms: i64) -> Option<Vec<Kept>> {
    let open = entry::sessions(&plain.value)?;
    let one = |session: entry::Session| {
        let end_ms = session.last_ms.saturating_add(gap_ms);
        Kept {
            key: plain.key.clone(),
            window_ms: Some((session.first_ms, end_ms)),
            expires_ms: Some(end_ms.saturating_add(lateness_ms)),
            joined: None,
            value: plain.value[session.accumulator].to_vec(),
        }
    };
    Some(open.into_iter().map(one).collect())
}

#[cfg(test)]
#[path = "look_tests.rs"]
mod tests;
