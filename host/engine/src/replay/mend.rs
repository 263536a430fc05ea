//! Writes what differs, at a time above all that was read back and below all that the live job writes
//! later.
//!
//! A batch has a time of 2 ms or more after the one before it, and of the clock at least; it deletes at
//! that time and puts one millisecond later. So the millisecond after the last durable batch's time
//! lies above all that those batches wrote, and below all that comes. Where a job stands still that
//! would lie far behind the clock, and under what others have written since: then it is a time some
//! seconds behind the clock, as a batch that is planned from now on has the clock's.

use super::place::{Page, Pages, Places};
use super::read::patiently;
use super::run::Broken;
use super::{JobLedger, Replay, TableId, What};
use streamhost_core::compare::LastWrites;
use streamhost_core::{clock, limits};

/// The latest time at which cells can be mended, if it is `now_ms` and this was read of the job then.
pub(super) fn mend_ms(ledger: &JobLedger, now_ms: i64) -> i64 {
    let margin = i64::try_from(limits::REPLAY_MEND_MARGIN.as_millis()).unwrap_or(i64::MAX);
    let behind = now_ms.saturating_sub(margin);
    let idle = ledger.planned_ms.map_or(behind, |at| behind.min(at - 1));
    idle.max(ledger.time_ms + 1)
}

/// Waits until cells can be mended at a time above this one. Gives where the job is then, and the
/// time.
pub(super) fn await_time(
    replay: &Replay,
    above_ms: i64,
    ledger: impl Fn() -> Result<JobLedger, Broken>,
) -> Result<(JobLedger, i64), Broken> {
    let began = clock::monotonic();
    loop {
        let now_ms = clock::now_ms(); // before the ledger is read
        let at = ledger()?;
        let mend_ms = mend_ms(&at, now_ms);
        if mend_ms > above_ms {
            return Ok((at, mend_ms));
        }
        if replay.is_stopped() {
            return Err(None);
        }
        if clock::since(began) >= limits::REPLAY_MEND_WAIT {
            return Err(Some(
                "the job has a batch under way that does not come to its end, so there is no time at which rows could be \
                 mended: `streamhost status` says what it waits for"
                    .to_owned(),
            ));
        }
        std::thread::sleep(limits::BACKOFF.0);
    }
}

/// Writes what is left of what differs at this time.
pub(super) fn write(
    replay: &Replay,
    places: &mut Places,
    at_ms: i64,
    with_extra: bool,
) -> Result<(), Broken> {
    for number in places.at_time() {
        let mut pages = Pages::of(What::Held, number);
        while let Some(page) = pages.next(places)? {
            let rows = wanted(places, number, &page, with_extra)?;
            let place = places.place(number);
            patiently(replay, place, |place| place.held.mend(at_ms, &rows))?;
            let name = place.name.clone();
            if let Some(report) = replay.report().places.get_mut(&name) {
                report.mended += rows.len() as u64;
            }
        }
    }
    Ok(())
}

/// What is to be written of these rows.
fn wanted(places: &Places, number: u16, page: &Page, with_extra: bool) -> Result<Page, Broken> {
    let mut rows = Page::new();
    for (key, _) in page {
        let mut cells = places.of(What::Mends, number, key)?.cells;
        if with_extra {
            cells.extend(places.of(What::Extra, number, key)?.cells);
        }
        if !cells.is_empty() {
            let is_erased = false;
            rows.push((key.clone(), LastWrites { is_erased, cells }));
        }
    }
    Ok(rows)
}

/// Reads back what was written, and keeps what is not as it was written: the live job may have
/// written it since.
pub(super) fn verify(replay: &Replay, places: &mut Places, with_extra: bool) -> Result<(), Broken> {
    for number in places.at_time() {
        let mut pages = Pages::of(What::Held, number);
        while let Some(page) = pages.next(places)? {
            let rows = wanted(places, number, &page, with_extra)?;
            let keys: Vec<_> = rows.iter().map(|(key, _)| key.clone()).collect();
            let place = places.place(number);
            let there = patiently(replay, place, |place| place.held.rows(&keys))?;
            let mut unmended = Page::new();
            for (key, mut writes) in rows {
                let row = there.iter().find(|row| row.key == key);
                let held = |column: &[u8]| row.and_then(|row| row.cells.get(column));
                writes.cells.retain(|column, wanted| {
                    held(column).map(|cell| &cell.value) != wanted.as_ref()
                });
                if !writes.cells.is_empty() {
                    unmended.push((key, writes));
                }
            }
            let table = TableId {
                what: What::Unmended,
                place: number,
            };
            places.put(table, unmended)?;
        }
    }
    Ok(())
}

/// How many rows are not as they were written, by place, though no later record wrote them.
pub(super) fn unmended(places: &Places) -> Result<Vec<(u16, u64)>, Broken> {
    let mut all = Vec::new();
    for number in places.at_time() {
        let mut count = 0;
        let mut pages = Pages::of(What::Unmended, number);
        while let Some(page) = pages.next(places)? {
            for (key, writes) in &page {
                let later = places.of(What::Later, number, key)?;
                let is_left = |column: &Vec<u8>| !later.covers(column);
                count += u64::from(writes.cells.keys().any(is_left));
            }
        }
        all.push((number, count));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamhost_core::types::Positions;

    #[test]
    fn mends_lie_above_what_is_durable_and_below_what_comes() {
        let ledger = |time_ms, planned_ms| JobLedger {
            epoch: 1,
            deployment: 1,
            committed: Positions::new(),
            planned: Positions::new(),
            time_ms,
            planned_ms,
            watermark_ms: 0,
        };
        // The last batch's time, the next one's if it is planned, the clock: the time of a mend.
        let cases = [
            (1000, None, 1001, 1001),         // it was just now
            (1000, None, 60_000, 55_000),     // the job stands still
            (1000, Some(1002), 60_000, 1001), // a batch is under way for long
            (1000, Some(58_000), 60_000, 55_000),
            (90_000, None, 60_000, 90_001), // the clock was set back
            (1000, Some(50_000), 60_000, 49_999),
        ];
        for (time_ms, planned_ms, now_ms, want) in cases {
            let at = mend_ms(&ledger(time_ms, planned_ms), now_ms);
            assert_eq!(at, want, "{time_ms} {planned_ms:?} {now_ms}");
            assert!(at > time_ms && planned_ms.is_none_or(|planned| at < planned));
        }
    }
}
