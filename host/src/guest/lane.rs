//! One worker's guest, whatever it does: a guest that breaks is replaced, and what it was called with is asked in
//! halves, down to the record or group that breaks it. Functions are pure, which makes this safe.

use super::GuestFault;
use super::run::{Guest, Runnable, VersionFault};
use crate::limits;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How much may break in one batch before the version itself is at fault.
#[derive(Debug, Default)]
pub(super) struct Budget(AtomicUsize);

impl Budget {
    /// One that ran out of time counts tenfold, as it costs that much.
    fn spend(&self, fault: &GuestFault) -> Result<(), VersionFault> {
        let cost = if matches!(fault, GuestFault::Time(_)) { 10 } else { 1 };
        match self.0.fetch_add(cost, Ordering::Relaxed) + cost {
            spent if spent <= limits::BROKEN_RECORDS_PER_BATCH_MAX => Ok(()),
            _ => Err(VersionFault::TooManyBroken { last: fault.to_string() }),
        }
    }
}

/// Positions on which the guest broke, and what it did. They are not tried again.
pub(super) type Broken = BTreeMap<usize, String>;

/// Something that is asked of a guest and can be asked in parts.
pub(super) trait Portions {
    /// Asks a part, and takes its answer. Parts come in order. The outer error is the guest's, the inner one the
    /// version's.
    fn ask(
        &mut self,
        guest: &mut dyn Guest,
        range: &Range<usize>,
        time: Duration,
    ) -> Result<Result<(), VersionFault>, GuestFault>;

    /// Nothing of this pass counts: all is asked again from the beginning.
    fn begin(&mut self);
}

/// One worker's guest, of whichever version it ran last.
#[derive(Default)]
pub(super) struct Lane {
    current: Option<(Arc<Runnable>, Box<dyn Guest>)>,
    batch: u64,
}

impl Lane {
    /// Works for this batch now; what is counted by batch is counted anew with each.
    pub(super) fn enter(&mut self, batch: u64) {
        if let Some((_, guest)) = &mut self.current
            && batch != self.batch
        {
            guest.begin_batch();
        }
        self.batch = batch;
    }

    /// A living guest of this version.
    pub(super) fn guest(&mut self, version: &Arc<Runnable>) -> Result<&mut dyn Guest, VersionFault> {
        if !self.current.as_ref().is_some_and(|(current, _)| Arc::ptr_eq(current, version)) {
            self.current = None;
            self.current = Some((version.clone(), version.guest()?));
        }
        let Some((_, guest)) = &mut self.current else { unreachable!("set a line ago") };
        Ok(guest.as_mut())
    }

    /// The guest has broken.
    pub(super) fn drop_guest(&mut self) {
        self.current = None;
    }

    /// Asks for all `items` but those in `broken`, and adds those that break the guest.
    ///
    /// With `canonical` what is answered depends on where calls are cut (an accumulator is of one call's records, and
    /// sums of floats depend on their order). Halves are not where a replay would cut: it knows all of `broken` from
    /// its plan, and calls what lies between them in one piece each. So after a pass in which the guest broke, all is
    /// asked again from the beginning beside what is known by now, until a pass finds nothing new: the calls of that
    /// pass are the replay's. A pass may find nothing though a call failed: halves of it went well. Then a fresh guest
    /// tries once more, as the old one's memory may have been at fault; when it fails too, halves it is, here and in
    /// the replay.
    pub(super) fn ask(
        &mut self,
        version: &Arc<Runnable>,
        items: usize,
        broken: &mut Broken,
        canonical: bool,
        budget: &Budget,
        work: &mut dyn Portions,
    ) -> Result<(), VersionFault> {
        let mut once_more = true;
        loop {
            work.begin();
            let known = broken.len();
            let failed = self.pass(version, items, broken, budget, work)?;
            let found = broken.len() > known;
            if !canonical || !failed || !(found || once_more) {
                return Ok(());
            }
            if !found {
                self.drop_guest();
            }
            once_more = found;
        }
    }

    /// True: a call failed.
    fn pass(
        &mut self,
        version: &Arc<Runnable>,
        items: usize,
        broken: &mut Broken,
        budget: &Budget,
        work: &mut dyn Portions,
    ) -> Result<bool, VersionFault> {
        let mut todo = beside(items, broken);
        todo.reverse();
        let mut failed = false;
        while let Some((range, whole)) = todo.pop() {
            let time = patience(version.time(), range.len(), whole);
            let fault = match work.ask(self.guest(version)?, &range, time) {
                Ok(taken) => {
                    taken?;
                    continue;
                }
                Err(fault) => fault,
            };
            failed = true;
            self.drop_guest();
            if range.len() == 1 {
                budget.spend(&fault)?;
                broken.insert(range.start, fault.to_string());
            } else {
                let middle = range.start + range.len() / 2;
                todo.push((middle..range.end, whole));
                todo.push((range.start..middle, whole));
            }
        }
        Ok(failed)
    }
}

/// The ranges between what is broken, and the length of each.
fn beside(items: usize, broken: &Broken) -> Vec<(Range<usize>, usize)> {
    let ends = broken.keys().copied().chain([items]);
    let begins = [0].into_iter().chain(broken.keys().map(|&at| at + 1));
    let ranges = begins.zip(ends).filter(|(from, to)| from < to);
    ranges.map(|(from, to)| (from..to, to - from)).collect()
}

/// A verdict is given on a single record or group with all the time there is; on the way there a part gets its share,
/// or an endless loop would cost the whole time at each halving.
fn patience(time: Duration, part: usize, whole: usize) -> Duration {
    match part {
        1 => time,
        part if part == whole => time,
        _ => (time * 2 * part as u32 / whole.max(1) as u32).clamp(10 * limits::EPOCH, time.max(10 * limits::EPOCH)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_shrinks_on_the_way_to_a_verdict_and_not_for_it() {
        let time = Duration::from_secs(2);
        assert_eq!(patience(time, 4096, 4096), time);
        assert_eq!(patience(time, 2048, 4096), time);
        assert_eq!(patience(time, 1024, 4096), time / 2);
        assert_eq!(patience(time, 2, 4096), Duration::from_millis(100));
        assert_eq!(patience(time, 1, 4096), time);
    }

    #[test]
    fn what_is_broken_is_not_asked() {
        let broken = |at: &[usize]| at.iter().map(|&at| (at, String::new())).collect::<Broken>();
        let ranges = |items, at: &[usize]| beside(items, &broken(at)).into_iter().map(|(r, _)| r).collect::<Vec<_>>();
        let whole = |items| 0..items;
        assert_eq!(ranges(5, &[]), [whole(5)]);
        assert_eq!(ranges(5, &[0, 2, 3]), [1..2, 4..5]);
        assert_eq!(ranges(5, &[4]), [whole(4)]);
        assert!(ranges(1, &[0]).is_empty() && ranges(0, &[]).is_empty());
    }
}
