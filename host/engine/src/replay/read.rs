//! Reads places back: by keys, or from front to back.

use super::compare::Comparison;
use super::run::Broken;
use super::{Replay, ReplayPlace, TableId, What};
use crate::sink::{Remedy, SinkError};
use std::collections::BTreeMap;
use streamhost_core::compare::{HeldRow, LastWrites};
use streamhost_core::{clock, limits};

impl Comparison<'_> {
    /// Copies a place that is only read from front to back.
    pub(super) fn copy(&mut self, number: u16) -> Result<bool, Broken> {
        let table = TableId {
            what: What::There,
            place: number,
        };
        loop {
            let next = self.patiently(number, |place| place.held.next_written().transpose())?;
            let Some(rows) = next else {
                return Ok(false);
            };
            if rows.is_empty() {
                return Ok(true);
            }
            let mut last: BTreeMap<Vec<u8>, LastWrites> = BTreeMap::new();
            for (key, writes) in rows {
                last.entry(key).or_default().then(writes);
            }
            self.places.add(table, last)?;
        }
    }

    /// The rows of these keys that are there.
    pub(super) fn rows(
        &mut self,
        number: u16,
        keys: Vec<Vec<u8>>,
    ) -> Result<BTreeMap<Vec<u8>, HeldRow>, Broken> {
        if keys.is_empty() {
            return Ok(BTreeMap::new());
        }
        let rows = match self.is_copied {
            true => {
                let there = |key: Vec<u8>| Ok((self.places.of(What::There, number, &key)?, key));
                let all = keys
                    .into_iter()
                    .map(there)
                    .collect::<Result<Vec<_>, Broken>>()?;
                let rows = all.into_iter().map(|(of, key)| HeldRow::of(key, of));
                rows.filter(|row| !row.cells.is_empty()).collect()
            }
            false => self.patiently(number, |place| place.held.rows(&keys))?,
        };
        let by_key = rows.into_iter().map(|row| (row.key.clone(), row));
        Ok(by_key.collect())
    }

    /// The next rows of a place that was copied. Deleted ones are among them, without a cell.
    pub(super) fn copied(&self, number: u16, after: Option<&[u8]>) -> Result<Vec<HeldRow>, Broken> {
        let page = self.places.next(What::There, number, after)?;
        let rows = page.into_iter().map(|(key, of)| HeldRow::of(key, of));
        Ok(rows.collect())
    }

    pub(super) fn patiently<T>(
        &mut self,
        number: u16,
        ask: impl FnMut(&mut ReplayPlace) -> Result<T, SinkError>,
    ) -> Result<T, Broken> {
        patiently(self.replay, self.places.place(number), ask)
    }
}

/// Asks a place, and again while its server is away, but not for ever.
pub(super) fn patiently<T>(
    replay: &Replay,
    place: &mut ReplayPlace,
    mut ask: impl FnMut(&mut ReplayPlace) -> Result<T, SinkError>,
) -> Result<T, Broken> {
    let began = clock::monotonic();
    loop {
        if replay.is_stopped() {
            return Err(None);
        }
        let error = match ask(place) {
            Ok(answer) => {
                replay.report().waits = None;
                return Ok(answer);
            }
            Err(SinkError::Cancelled) => return Err(None),
            Err(error) => error,
        };
        if error.remedy() == Remedy::Stop || clock::since(began) >= limits::REPLAY_AWAY_TIME {
            return Err(Some(error.to_string()));
        }
        replay.report().waits = Some(error.to_string());
        std::thread::sleep(limits::BACKOFF.0);
    }
}
