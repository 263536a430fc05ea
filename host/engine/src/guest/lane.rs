//! One worker's guest, whatever it does: a guest that breaks is replaced, and what it was called
//! with is asked in halves, down to the record or group that breaks it.
//!
//! Functions are pure, but their memory is not: a guest keeps caches, and fragments. So none gives
//! a decision but one that has answered nothing yet; what breaks an older one is asked of a new one
//! first.

use super::large::{LargeBatches, LargeTurn};
use super::{CallLimits, Guest, GuestVersion, LinesLeft, TellsWait};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use streamhost_core::contract::{GuestFault, Quarantine, VersionFault};
use streamhost_core::job::MetricValues;
use streamhost_core::limits;

/// What the calls of one batch share: how much may break before the version itself is at fault, and
/// how much all of them may answer.
pub(super) struct Budget {
    broken: AtomicUsize,
    bytes: AtomicUsize,
    terms: BudgetTerms,
    /// Taken by the first answer that goes beyond the batch's own share.
    turn: Mutex<Option<LargeTurn>>,
    /// It was said that calls are run in parts.
    told_parts: AtomicBool,
    /// What the job's own metrics came to.
    metrics: Mutex<MetricValues>,
}

/// How a batch comes to more memory than its own share.
#[derive(Clone)]
pub(super) struct BudgetTerms {
    pub(super) large: Arc<LargeBatches>,
    /// Ends the waiting for a turn.
    pub(super) stop: Arc<AtomicBool>,
    pub(super) tells_wait: TellsWait,
}

impl Default for BudgetTerms {
    fn default() -> Self {
        BudgetTerms {
            large: LargeBatches::of_one_job(),
            stop: Arc::default(),
            tells_wait: Arc::new(|_| {}),
        }
    }
}

impl Budget {
    /// Answers may have so many bytes together as `terms` say.
    pub(super) fn new(terms: BudgetTerms) -> Self {
        let (broken, bytes) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Budget {
            broken,
            bytes,
            terms,
            turn: Mutex::default(),
            told_parts: AtomicBool::new(false),
            metrics: Mutex::default(),
        }
    }

    /// One that ran out of time counts more, as it costs that much.
    fn spend(&self, fault: &GuestFault) -> Result<(), VersionFault> {
        let cost = if matches!(fault, GuestFault::Time { .. }) {
            limits::BROKEN_BY_TIME_COST
        } else {
            1
        };
        match self.broken.fetch_add(cost, Ordering::Relaxed) + cost {
            spent if spent <= limits::BROKEN_RECORDS_PER_BATCH_MAX => Ok(()),
            _ => Err(VersionFault::TooManyBroken {
                last: fault.to_string(),
            }),
        }
    }

    /// An answer is kept until the batch is delivered. `stage` is named if that is too much. Beyond
    /// the batch's own share its turn is waited for.
    pub(super) fn hold(&self, bytes: usize, stage: &str) -> Result<(), VersionFault> {
        let (held, large) = (
            self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes,
            &self.terms.large,
        );
        if held <= large.own_bytes() {
            return Ok(());
        }
        if held <= large.bytes_max() {
            return self.have_turn();
        }
        let max = bytesize::ByteSize(large.bytes_max() as u64);
        Err(VersionFault::TooMuch {
            what: format!("what it answered is over {max}, at stage `{stage}`"),
        })
    }

    /// Lanes that need it meanwhile wait with the first.
    fn have_turn(&self) -> Result<(), VersionFault> {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if turn.is_some() {
            return Ok(());
        }
        let mut waited = false;
        let tell = &self.terms.tells_wait;
        *turn = self.terms.large.take(&self.terms.stop, || {
            waited = true;
            tell(true);
        });
        if waited {
            tell(false);
        }
        match *turn {
            Some(_) => Ok(()),
            None => Err(VersionFault::Stopped),
        }
    }

    /// The batch's turn, if it needed one, to be kept with what was answered.
    pub(super) fn take_turn(&self) -> Option<LargeTurn> {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        turn.take()
    }

    /// The job's own metrics came to so much more in the batch.
    fn count(&self, metrics: &MetricValues) {
        if !metrics.is_empty() {
            let mut all = self.metrics.lock().unwrap_or_else(PoisonError::into_inner);
            all.add(metrics);
        }
    }

    /// What the job's own metrics came to in the batch.
    pub(super) fn take_metrics(&self) -> MetricValues {
        let mut all = self.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *all)
    }

    /// So much of what was held is let go.
    pub(super) fn release(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Default for Budget {
    fn default() -> Self {
        Budget::new(BudgetTerms::default())
    }
}

/// Decisions by their positions in what is asked.
pub(super) type KnownFaults = BTreeMap<usize, Quarantine>;

/// Something that is asked of a guest and can be asked in parts.
pub(super) trait Splittable {
    /// Asks a part, and takes its answer. Parts come in order. The outer error is the guest's, the
    /// inner one the version's.
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
    current: Option<(Arc<GuestVersion>, Box<dyn Guest>)>,
    /// It has answered something, which may have left its memory otherwise than a new one's.
    is_used: bool,
    batch: u64,
    call_limits: CallLimits,
    /// Of this batch.
    lines: LinesLeft,
    /// What the job's own metrics came to in the pass that is under way.
    metrics: MetricValues,
    /// Bytes of memory that its guest holds, for others to look at.
    memory_bytes: Arc<AtomicU64>,
}

/// What the calls of a pass came to.
#[derive(Default)]
struct Pass {
    /// It gave a decision.
    found: bool,
    /// How much was first asked in halves, and why.
    halved: Option<(usize, GuestFault)>,
    /// Where halves begin that went well.
    splits: Vec<usize>,
}

/// A call that came to nothing, and the guest with it.
struct Failed {
    fault: GuestFault,
    /// The guest had answered something before.
    was_used: bool,
}

impl Lane {
    /// Works for this batch now, on these terms; what is counted by batch is counted anew with
    /// each.
    pub(super) fn enter(&mut self, batch: u64, call_limits: &CallLimits) {
        if batch != self.batch {
            self.lines = LinesLeft::default();
        }
        if call_limits.replay != self.call_limits.replay {
            self.drop_guest(); // a replay's may have grown beyond what others may
        }
        self.batch = batch;
        self.call_limits.clone_from(call_limits);
    }

    /// A living guest of this version.
    fn guest(&mut self, version: &Arc<GuestVersion>) -> Result<&mut dyn Guest, VersionFault> {
        if !self
            .current
            .as_ref()
            .is_some_and(|(current, _)| Arc::ptr_eq(current, version))
        {
            self.drop_guest();
            let mut guest = version.guest()?;
            guest.bind(&self.call_limits);
            self.current = Some((version.clone(), guest));
        }
        let Some((_, guest)) = &mut self.current else {
            unreachable!("set a line ago")
        };
        Ok(guest.as_mut())
    }

    fn drop_guest(&mut self) {
        self.current = None;
        self.is_used = false;
        self.memory_bytes.store(0, Ordering::Relaxed);
    }

    /// Bytes of memory that its guest holds, as it says after each call.
    pub(super) fn memory_bytes(&self) -> Arc<AtomicU64> {
        self.memory_bytes.clone()
    }

    /// One call of whatever guest there is. The lines of one that breaks count only if this is a
    /// decision: else the same is asked again, and says the same. The outer error is the version's,
    /// or says that a stop came.
    fn call<A>(
        &mut self,
        version: &Arc<GuestVersion>,
        is_single: bool,
        ask: impl FnOnce(&mut dyn Guest) -> Result<A, GuestFault>,
    ) -> Result<Result<A, Failed>, VersionFault> {
        if self.call_limits.is_stopped() {
            return Err(VersionFault::Stopped);
        }
        let answer = ask(self.guest(version)?);
        if answer.is_err() && self.call_limits.is_stopped() {
            self.drop_guest();
            return Err(VersionFault::Stopped); // it may have been cut off in the middle
        }
        let was_used = self.is_used;
        // What its records are is no matter of the guest, which goes on.
        let is_of_data = matches!(&answer, Err(fault) if fault.is_of_data());
        if let Some((_, guest)) = &mut self.current {
            if answer.is_ok() || is_single && (!was_used || is_of_data) {
                guest.tell(&mut self.lines);
            } else if is_of_data {
                guest.tell(&mut LinesLeft::none());
            }
        }
        if let Some((_, guest)) = &self.current {
            let bytes = guest.memory_bytes();
            self.memory_bytes.store(bytes, Ordering::Relaxed);
        }
        if let (Some((_, guest)), true) = (&mut self.current, answer.is_ok()) {
            self.metrics.add(&guest.take_metrics());
        }
        self.is_used = true;
        Ok(answer.map_err(|fault| {
            if !is_of_data {
                self.drop_guest();
            }
            Failed {
                fault,
                was_used: was_used && !is_of_data,
            }
        }))
    }

    /// One call that cannot be asked in parts. A guest that has answered before is replaced once.
    pub(super) fn call_whole<A>(
        &mut self,
        version: &Arc<GuestVersion>,
        mut ask: impl FnMut(&mut dyn Guest) -> Result<A, GuestFault>,
    ) -> Result<Result<A, GuestFault>, VersionFault> {
        loop {
            match self.call(version, true, &mut ask)? {
                Ok(answer) => return Ok(Ok(answer)),
                Err(Failed { was_used: true, .. }) => {}
                Err(Failed { fault, .. }) => return Ok(Err(fault)),
            }
        }
    }

    /// Asks for all `items` as [`Lane::decide`] does. What the calls of its last pass counted is the
    /// batch's.
    pub(super) fn ask(
        &mut self,
        version: &Arc<GuestVersion>,
        items: usize,
        known: &mut KnownFaults,
        canonical: bool,
        budget: &Budget,
        work: &mut dyn Splittable,
    ) -> Result<(), VersionFault> {
        let asked = self.decide(version, items, known, canonical, budget, work);
        budget.count(&std::mem::take(&mut self.metrics));
        asked
    }

    /// Asks for all `items` beside what is `known`, and adds to it the decisions on those that
    /// break the guest.
    ///
    /// With `canonical` what is answered depends on where calls are cut (an accumulator is of one
    /// call's records, and sums of floats depend on their order), and a replay must cut them at the
    /// same places. It goes by the decisions in its intent: what lies between them is one call
    /// each. So what a pass came to says what is asked next:
    ///
    /// | the pass | not canonical | canonical |
    /// |---|---|---|
    /// | asked nothing in halves | done | done: these are the replay's calls |
    /// | gave a decision | done | all again, beside what is known now |
    /// | all halves went well | done | all again, once, of a new guest (not if time ran out, or for what the records are: a new one does the same) |
    /// | … and so again | | done: the cuts are decisions too |
    ///
    /// Of eight records the sixth breaks the guest: `[0..8]` breaks, `[0..4]` is good, `[4..8]`
    /// breaks, `[4..6]` breaks, `[4..5]` is good, `[5..6]` is the decision, `[6..8]` is good. Then,
    /// canonical: `[0..5]`, `[6..8]`, as in a replay.
    fn decide(
        &mut self,
        version: &Arc<GuestVersion>,
        items: usize,
        known: &mut KnownFaults,
        canonical: bool,
        budget: &Budget,
        work: &mut dyn Splittable,
    ) -> Result<(), VersionFault> {
        let mut once_more = true;
        loop {
            work.begin();
            self.metrics = MetricValues::default();
            let pass = self.pass(version, items, known, budget, work)?;
            let Some((part, fault)) = pass.halved else {
                return Ok(());
            };
            match (pass.found, canonical) {
                (true, false) => return Ok(()),
                (true, true) => once_more = true,
                (false, true) if once_more && !comes_again(&fault) => {
                    once_more = false;
                    self.drop_guest();
                }
                (false, _) => {
                    if canonical {
                        known.extend(pass.splits.into_iter().map(|at| (at, None)));
                    }
                    if fault.is_of_data() {
                        return Ok(());
                    }
                    return self.tell_parts(version, part, &fault, budget);
                }
            }
        }
    }

    /// Says once a batch that calls are run in parts, or a job that is a little too slow would only
    /// seem stuck.
    fn tell_parts(
        &mut self,
        version: &Arc<GuestVersion>,
        part: usize,
        fault: &GuestFault,
        budget: &Budget,
    ) -> Result<(), VersionFault> {
        if !budget.told_parts.swap(true, Ordering::Relaxed) {
            let text = format!(
                "{part} records or groups in one call are too much, so they are run in parts, which takes longer: {fault}"
            );
            self.guest(version)?.warn(&text);
        }
        Ok(())
    }

    fn pass(
        &mut self,
        version: &Arc<GuestVersion>,
        items: usize,
        known: &mut KnownFaults,
        budget: &Budget,
        work: &mut dyn Splittable,
    ) -> Result<Pass, VersionFault> {
        let mut todo: Vec<_> = beside(items, known)
            .into_iter()
            .map(|range| (range.clone(), range))
            .rev()
            .collect();
        let mut pass = Pass::default();
        while let Some((range, whole)) = todo.pop() {
            let is_single = range.len() == 1;
            let broke = pass.halved.as_ref();
            let broke = broke.is_some_and(|(_, fault)| !fault.is_of_data());
            if is_single && range != whole && self.is_used && broke {
                // Probably it breaks, and then a new one would have to say so too.
                self.drop_guest();
            }
            let time = if self.call_limits.replay {
                limits::GUEST_TIME_MAX
            } else {
                patience(version.time(), &range, &whole)
            };
            match self.call(version, is_single, |guest| work.ask(guest, &range, time))? {
                Ok(taken) => {
                    taken?;
                    pass.splits
                        .extend((range.start > whole.start).then_some(range.start));
                }
                Err(Failed { was_used: true, .. }) if is_single => todo.push((range, whole)),
                Err(Failed { fault, .. }) if is_single => {
                    if !fault.is_of_data() {
                        budget.spend(&fault)?;
                    }
                    known.insert(range.start, Some(fault.to_string()));
                    pass.found = true;
                }
                Err(Failed { fault, .. }) => {
                    pass.halved.get_or_insert((range.len(), fault));
                    let middle = range.start + range.len() / 2;
                    todo.push((middle..range.end, whole.clone()));
                    todo.push((range.start..middle, whole));
                }
            }
        }
        Ok(pass)
    }
}

/// A new guest would do the same.
fn comes_again(fault: &GuestFault) -> bool {
    matches!(fault, GuestFault::Time { .. }) || fault.is_of_data()
}

/// The ranges to be asked: what is set aside is left out, and where calls were cut before they are
/// cut again.
fn beside(items: usize, known: &KnownFaults) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut from = 0;
    for (&at, quarantine) in known {
        ranges.push(from..at);
        from = if quarantine.is_some() { at + 1 } else { at };
    }
    ranges.push(from..items);
    ranges.retain(|range| !range.is_empty());
    ranges
}

/// A decision is given on a single record or group with all the time there is; on the way there a
/// part gets its share, or an endless loop would cost the whole time at each halving.
fn patience(time: Duration, part: &Range<usize>, whole: &Range<usize>) -> Duration {
    if part.len() == 1 || part == whole {
        return time;
    }
    let share = time * 2 * part.len() as u32 / whole.len().max(1) as u32;
    share.clamp(10 * limits::EPOCH, time.max(10 * limits::EPOCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_shrinks_on_the_way_to_a_verdict_and_not_for_it() {
        let time = Duration::from_secs(2);
        let patience = |part| patience(time, &(0..part), &(0..4096));
        assert_eq!(patience(4096), time);
        assert_eq!(patience(2048), time);
        assert_eq!(patience(1024), time / 2);
        assert_eq!(patience(2), Duration::from_millis(100));
        assert_eq!(patience(1), time);
    }

    #[test]
    fn what_is_broken_is_not_asked_and_cuts_are_kept() {
        let broken = |at: &usize| (*at, Some(String::new()));
        let ranges = |items, broken_at: &[usize], splits: &[usize]| {
            let splits = splits.iter().map(|at| (*at, None));
            beside(
                items,
                &broken_at
                    .iter()
                    .map(broken)
                    .chain(splits)
                    .collect::<KnownFaults>(),
            )
        };
        let whole = |items| 0..items;
        assert_eq!(ranges(5, &[], &[]), [whole(5)]);
        assert_eq!(ranges(5, &[0, 2, 3], &[]), [1..2, 4..5]);
        assert_eq!(ranges(5, &[4], &[]), [whole(4)]);
        assert!(ranges(1, &[0], &[]).is_empty() && ranges(0, &[], &[]).is_empty());
        assert_eq!(ranges(8, &[3], &[1, 4, 6]), [0..1, 1..3, 4..6, 6..8]);
    }
}
