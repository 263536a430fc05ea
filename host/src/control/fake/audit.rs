//! An audit log in memory, which fails when told to.

use super::locked;
use crate::api::{Audit, AuditAsk, AuditEntry, AuditPage, Refusal};
use std::sync::Mutex;

#[derive(Default)]
pub(crate) struct FakeAudit {
    /// Each entry as it was noted, in its order: one that was begun comes twice.
    pub(crate) noted: Mutex<Vec<AuditEntry>>,
    /// Nothing can be noted from this many on.
    pub(crate) room: Mutex<Option<usize>>,
}

impl Audit for FakeAudit {
    fn note(&self, entry: &mut AuditEntry) -> Result<(), Refusal> {
        let mut noted = locked(&self.noted);
        if locked(&self.room).is_some_and(|room| noted.len() >= room) {
            let words = "the audit log cannot be written: the disk is full";
            return Err(Refusal::Unavailable(words.to_owned()));
        }
        if entry.number == 0 {
            let newest = noted.iter().map(|entry| entry.number).max();
            entry.number = newest.unwrap_or(0) + 1;
            entry.at = "2026-11-21T08:00:00.000Z".to_owned();
        }
        noted.push(entry.clone());
        Ok(())
    }

    fn page(&self, ask: &AuditAsk) -> Result<AuditPage, Refusal> {
        let mut entries: Vec<AuditEntry> = Vec::new();
        for entry in locked(&self.noted).iter().rev() {
            let is_there = entries.iter().any(|other| other.number == entry.number);
            if !is_there && ask.fits(entry) {
                entries.push(entry.clone());
            }
        }
        let is_more = entries.len() > ask.limit;
        entries.truncate(ask.limit);
        let next = entries.last().filter(|_| is_more).map(|entry| entry.number);
        Ok(AuditPage { entries, next })
    }
}
