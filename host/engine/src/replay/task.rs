//! A replay's thread: its steps, one after the other.

use super::compare::Comparison;
use super::outputs::Outputs;
use super::pace::Pace;
use super::place::Places;
use super::read::patiently;
use super::run::{Broken, Run};
use super::settle::{count, settle};
use super::{
    ExtraRows, JobLedger, LedgerReader, Replay, ReplayEnd, ReplayParts, ReplayPhase, ReplayTerms,
    ReplayVersion, What, locked, mend,
};
use crate::sink::Mending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use streamhost_core::job::names;
use streamhost_core::types::Positions;
use streamhost_core::{clock, limits, system};

/// Runs a replay to its end.
pub(super) fn run(replay: &Replay, parts: ReplayParts) -> ReplayEnd {
    let done = catch_unwind(AssertUnwindSafe(|| steps(replay, parts)));
    replay.report().phase = ReplayPhase::Ended;
    replay.report().waits = None;
    let told = || {
        let told = replay.told();
        ReplayEnd::Told(told.unwrap_or_else(|| "it was stopped".to_owned()))
    };
    match done {
        Ok(Ok(())) => ReplayEnd::Done,
        Ok(Err(_)) if replay.is_stopped() => told(),
        Ok(Err(None)) => told(),
        Ok(Err(Some(why))) => ReplayEnd::Broke(why),
        Err(panic) => {
            let words = system::panic_words(&*panic);
            let words = names::shown(words, limits::FAULT_SHOWN_CHARS_MAX);
            ReplayEnd::Broke(format!("the replay died: {words}: a mistake of the host's"))
        }
    }
}

fn steps(replay: &Replay, parts: ReplayParts) -> Result<(), Broken> {
    let ReplayParts {
        terms,
        ledger,
        ledgers,
        version,
        active,
        places,
        outputs,
        tables,
        ..
    } = parts;
    let mut places = Places {
        list: places,
        tables,
    };
    for number in places.numbers() {
        patiently(replay, places.place(number), |place| place.held.prepare())?;
    }
    let mut outputs = Outputs::new(outputs);
    let mut own = Run::begin(replay, version, &terms.from)?;
    let mut pace = Pace::new(terms.rate);
    own.advance(&terms.to, &ledger, &mut pace, &mut |loaded, outcome| {
        outputs.deliver(replay, loaded, outcome)?;
        places.take(What::Made, loaded, outcome)?;
        let mut report = replay.report();
        report.batches += 1;
        report.counts = report.counts.plus(&outcome.counts);
        let reached = outcome.spans.iter();
        report.at = reached
            .map(|(partition, span)| (*partition, span.to))
            .collect();
        Ok(())
    })?;
    drop(outputs);
    if places.list.is_empty() {
        return Ok(());
    }
    let follower = follower(replay, own, active, &terms, &ledger, &places)?;
    let mut steps = Steps {
        replay,
        terms: &terms,
        first: &ledger,
        ledgers: &ledgers,
        follower,
        places: &mut places,
    };
    steps.compare()
}

/// The active version at where the replay ends, which knows what later records write.
fn follower<'a>(
    replay: &'a Replay,
    own: Run<'a>,
    active: Option<ReplayVersion>,
    terms: &ReplayTerms,
    ledger: &JobLedger,
    places: &Places,
) -> Result<Run<'a>, Broken> {
    let Some(active) = active else {
        return Ok(own);
    };
    drop(own);
    // What it makes of the same records tells which rows are there and were not made, and it has the
    // state that it needs for what follows. Where neither is of use it begins behind them.
    let keeps = active
        .loaded
        .spec
        .stages
        .iter()
        .any(|stage| stage.keeps_state());
    if terms.is_all && !keeps {
        return Run::begin(replay, active, &terms.to);
    }
    replay.report().phase = ReplayPhase::Following;
    let mut run = Run::begin(replay, active, &terms.from)?;
    let mut pace = Pace::new(terms.rate);
    run.advance(&terms.to, ledger, &mut pace, &mut |loaded, outcome| {
        replay.report().followed += outcome.counts.records_in;
        places.take(What::Active, loaded, outcome)
    })?;
    if !terms.is_all {
        replay.report().extra = ExtraRows::OfActive;
    }
    Ok(run)
}

/// What follows once history was run.
pub(super) struct Steps<'s, 'r> {
    pub(super) replay: &'r Replay,
    pub(super) terms: &'s ReplayTerms,
    /// Where the job was as it began.
    first: &'s JobLedger,
    ledgers: &'s LedgerReader,
    pub(super) follower: Run<'r>,
    pub(super) places: &'s mut Places,
}

impl Steps<'_, '_> {
    fn compare(&mut self) -> Result<(), Broken> {
        // What was written already before it is read back is left out at once.
        let first = self.first;
        self.follow(&first.committed, first)?;
        let has_active = self.replay.report().extra == ExtraRows::OfActive;
        if self.terms.is_all {
            self.replay.report().extra = ExtraRows::OfPlace;
        }
        self.replay.report().phase = ReplayPhase::Comparing;
        let mut comparison = Comparison {
            replay: self.replay,
            places: self.places,
            is_all: self.terms.is_all,
            has_active,
            newest_ms: 0,
            is_copied: false,
        };
        comparison.run()?;
        let newest_ms = comparison.newest_ms;
        let read_ms = clock::now_ms();
        // All that the job had written by then is of batches that are planned by now.
        let ledger = self.ledger()?;
        self.follow(&ledger.planned, &ledger)?;
        self.settle()?;
        count(self.replay, self.places)?;
        match self.terms.writes && self.replay.report().not_alike() > 0 {
            true => self.mend(read_ms, newest_ms),
            false => Ok(()),
        }
    }

    fn settle(&mut self) -> Result<(), Broken> {
        let gone = settle(self.places)?;
        let mut report = self.replay.report();
        for (place, gone) in self.places.list.iter().zip(gone) {
            if let Some(report) = report.places.get_mut(&place.name) {
                report.overtaken += gone;
            }
        }
        Ok(())
    }

    /// Writes what differs.
    fn mend(&mut self, read_ms: i64, newest_ms: i64) -> Result<(), Broken> {
        self.replay.report().phase = ReplayPhase::Writing;
        if !self.places.at_time().is_empty() {
            self.mend_at_time(read_ms, newest_ms)?;
        }
        for number in self.places.mended(Mending::Locked) {
            locked::mend(self, number)?;
        }
        Ok(())
    }

    /// Writes cells that differ. Those in the future are beyond all mending.
    fn mend_at_time(&mut self, read_ms: i64, newest_ms: i64) -> Result<(), Broken> {
        let margin = i64::try_from(limits::REPLAY_MEND_WAIT.as_millis()).unwrap_or(0);
        let above_ms = newest_ms.min(read_ms + margin / 2).max(read_ms);
        let (ledger, mend_ms) = mend::await_time(self.replay, above_ms, || self.ledger())?;
        // What became durable meanwhile has times below that one: its rows are left alone.
        self.follow(&ledger.planned, &ledger)?;
        settle(self.places)?;
        let with_extra = self.terms.deletes_extra;
        self.replay.report().mended_ms = Some(mend_ms);
        mend::write(self.replay, self.places, mend_ms, with_extra)?;
        mend::verify(self.replay, self.places, with_extra)?;
        let ledger = self.ledger()?;
        self.follow(&ledger.planned, &ledger)?;
        let unmended = mend::unmended(self.places)?;
        let mut report = self.replay.report();
        for (number, unmended) in unmended {
            let name = &self.places.place(number).name;
            if let Some(report) = report.places.get_mut(name) {
                report.unmended = unmended;
                report.mended = report.mended.saturating_sub(unmended);
            }
        }
        Ok(())
    }

    /// Where the job is now. It must still be the one that it was.
    pub(super) fn ledger(&self) -> Result<JobLedger, Broken> {
        let now = (self.ledgers)().map_err(Some)?;
        if now.epoch != self.first.epoch {
            return Err(Some(
                "the job was begun anew meanwhile: start the replay again".to_owned(),
            ));
        }
        let is_known = [self.first.deployment, self.follower.loaded.deployment];
        match is_known.contains(&now.deployment) {
            true => Ok(now),
            false => Err(Some(
                "another version became active meanwhile, and which rows it writes is not known here: start the replay \
                 again"
                    .to_owned(),
            )),
        }
    }

    /// Runs the active version on to these positions, and notes what those records write.
    pub(super) fn follow(&mut self, until: &Positions, ledger: &JobLedger) -> Result<(), Broken> {
        let mut pace = Pace::new(None); // it has to come up with the job
        let (replay, places) = (self.replay, &*self.places);
        self.follower
            .advance(until, ledger, &mut pace, &mut |loaded, outcome| {
                replay.report().followed += outcome.counts.records_in;
                places.take(What::Later, loaded, outcome)
            })
    }
}
