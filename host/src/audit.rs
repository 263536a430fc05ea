//! The audit log in the data folder: a line of JSON before a change begins and one when it is over,
//! so that no change is without a line, whenever the host dies. What is refused before it begins has
//! one line alone.

use crate::api::{Audit, AuditAsk, AuditEntry, AuditOutcome, AuditPage, Refusal};
use crate::lines::{LineBounds, LineFiles};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use streamhost_core::{clock, limits};

/// What the files are called.
const NAME: &str = "audit";

/// The audit log of a data folder.
pub(crate) struct AuditLog {
    folder: PathBuf,
    notes: Mutex<Notes>,
}

struct Notes {
    files: LineFiles,
    /// The number of the newest entry.
    last: u64,
    /// Numbers of those that are not over.
    under_way: BTreeSet<u64>,
}

impl AuditLog {
    /// Opens that of a data folder; its numbers go on.
    pub(crate) fn open(data: &Path) -> io::Result<AuditLog> {
        let bounds = LineBounds {
            file_bytes: limits::AUDIT_FILE_BYTES_MAX,
            files: limits::AUDIT_FILES_MAX,
            synced: true,
        };
        AuditLog::within(data, bounds)
    }

    fn within(data: &Path, bounds: LineBounds) -> io::Result<AuditLog> {
        let folder = data.join(NAME);
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&folder)?;
        let files = LineFiles::new(&folder, NAME, bounds);
        let mut last = 0;
        backwards(&files, |entry| {
            last = last.max(entry.number);
            !is_first(&entry) // what stands before it has smaller numbers
        })?;
        let notes = Mutex::new(Notes {
            files,
            last,
            under_way: BTreeSet::new(),
        });
        Ok(AuditLog { folder, notes })
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, ask: &AuditAsk) -> io::Result<AuditPage> {
        let (open, under_way) = {
            let notes = self.notes();
            (notes.files.open()?, notes.under_way.clone())
        };
        let (mut found, mut over) = (BTreeMap::new(), BTreeSet::new());
        each_backwards(open, |mut entry| {
            let (number, first) = (entry.number, is_first(&entry));
            if entry.outcome != AuditOutcome::UnderWay {
                over.insert(number);
            } else if over.contains(&number) {
                entry = AuditEntry::default(); // the line of how it went says all
            } else if !under_way.contains(&number) {
                entry.outcome = AuditOutcome::Unknown;
            }
            if entry.number == number && ask.fits(&entry) {
                found.insert(number, entry);
            }
            // Before the first line of an entry stand only those of smaller numbers.
            !first || found.range(number..).count() <= ask.limit
        })?;
        let mut entries: Vec<AuditEntry> = found.into_values().rev().collect();
        let is_more = entries.len() > ask.limit;
        entries.truncate(ask.limit);
        let next = entries.last().filter(|_| is_more);
        Ok(AuditPage {
            next: next.map(|entry| entry.number),
            entries,
        })
    }
}

impl Audit for AuditLog {
    fn note(&self, entry: &mut AuditEntry) -> Result<(), Refusal> {
        let mut notes = self.notes();
        let is_new = entry.number == 0;
        if is_new {
            entry.number = notes.last.saturating_add(1);
            entry.at = clock::rfc3339(clock::now_ms());
        }
        let line = serde_json::to_vec(entry).map_err(io::Error::from);
        let noted = line.and_then(|line| notes.files.append(&line));
        if noted.is_ok() || is_new {
            notes.last = notes.last.max(entry.number); // a line that may be there keeps its number
        }
        match (entry.outcome, &noted) {
            (AuditOutcome::UnderWay, Ok(())) => drop(notes.under_way.insert(entry.number)),
            _ => drop(notes.under_way.remove(&entry.number)),
        }
        noted.map_err(|error| {
            let folder = self.folder.display();
            Refusal::Unavailable(format!(
                "the audit log in {folder} cannot be written, and nothing is changed without it: {error}"
            ))
        })
    }

    fn page(&self, ask: &AuditAsk) -> Result<AuditPage, Refusal> {
        self.read(ask).map_err(|error| {
            let folder = self.folder.display();
            Refusal::Unavailable(format!("the audit log in {folder} cannot be read: {error}"))
        })
    }
}

/// Whether no line of the same entry stands before it: it has no time that it took.
fn is_first(entry: &AuditEntry) -> bool {
    entry.took_ms.is_none()
}

/// Reads lines from the newest one on, until `go_on` says no.
fn backwards(files: &LineFiles, go_on: impl FnMut(AuditEntry) -> bool) -> io::Result<()> {
    each_backwards(files.open()?, go_on)
}

fn each_backwards(
    open: Vec<crate::lines::Lines>,
    mut go_on: impl FnMut(AuditEntry) -> bool,
) -> io::Result<()> {
    for lines in open {
        let bytes = lines.read()?;
        for line in bytes.rsplit(|byte| *byte == b'\n') {
            // What is no entry is a half line, or somebody else's.
            if let Ok(entry) = serde_json::from_slice::<AuditEntry>(line)
                && !go_on(entry)
            {
                return Ok(());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
