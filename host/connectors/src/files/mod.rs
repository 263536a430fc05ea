//! Files as a sink: each batch adds a whole file to a folder, under a name that follows from the batch
//! alone, so that writing twice equals writing once, and a reader never sees half a file.
//!
//! ```text
//! rows of the batch ─► _aside/NAME.1234-0 ─► synced ─► NAME, if nothing has it ─► _aside/… goes
//! ```

mod store;
mod disk;
mod words;
mod schema;
mod json;
mod connector;

pub(crate) use connector::FilesConnector;

use schema::Schema;
use std::io;
use store::Store;
use streamhost_core::clock::civil;
use streamhost_core::contract::render::{RowRef, RowsView};
use streamhost_core::job::SinkSpec;
use streamhost_core::job::connector::{DELETES, FILES_ROWS, FOLDERS};
use streamhost_core::protocol::Marker;
use streamhost_core::types::{Guarantee, RefusedRow, RowLimits, Rows};
use streamhost_engine::sink::{CancelSignal, Delivery, Refusals, Sink, SinkError};
use xxhash_rust::xxh3::xxh3_64;

/// After so many rows one looks whether the job is to stop.
const ROWS_AT_ONCE: usize = 4096;

/// A folder as a sink.
pub(crate) struct FilesSink {
    store: Box<dyn Store>,
    spec: SinkSpec,
    /// What the names of its files begin with.
    mark: String,
    cancel: CancelSignal,
    /// The columns of this version are in the folder's schema; none: it is not looked at yet.
    looked_at: Option<Schema>,
}

impl FilesSink {
    /// For a spec that was found good. `owner` is whose sink it is, such as `streamhost.JOB`.
    fn new(store: Box<dyn Store>, spec: &SinkSpec, owner: &str, cancel: &CancelSignal) -> Self {
        FilesSink {
            store,
            mark: FilesSink::mark(spec, owner),
            spec: spec.clone(),
            cancel: cancel.clone(),
            looked_at: None,
        }
    }

    fn mark(spec: &SinkSpec, owner: &str) -> String {
        let own = xxh3_64(format!("{owner}.{}", spec.name).as_bytes());
        format!("part-{own:016x}-")
    }

    fn error(&self, error: io::Error) -> SinkError {
        match self.cancel.is_cancelled() {
            true => SinkError::Cancelled,
            false => words::failure(&self.spec.target, &error),
        }
    }

    fn stored(&self) -> Result<Option<Schema>, SinkError> {
        let stored = self.store.read(schema::FILE);
        let stored = stored.map_err(|error| self.error(error))?;
        let read = |stored: Vec<u8>| Schema::read(&self.spec.target, &stored);
        stored.map(read).transpose()
    }

    /// Adds the version's columns to the folder's schema.
    fn look(&self) -> Result<Schema, SinkError> {
        let wanted = Schema::of(&self.spec)?;
        let had = self.stored()?;
        let all = match &had {
            Some(had) => wanted.beside(&self.spec.target, had)?,
            None => wanted.clone(),
        };
        if had.as_ref() != Some(&all) {
            let stored = self.store.replace(schema::FILE, &all.stored());
            stored.map_err(|error| self.error(error))?;
        }
        Ok(wanted)
    }

    /// A folder whose schema went has been emptied, or is another one: a disk that is not mounted any
    /// more leaves an empty folder behind.
    fn check_is_there(&self) -> Result<(), SinkError> {
        match self.stored()? {
            Some(_) => Ok(()),
            None => {
                let reason = format!(
                    "its {} went while the job ran, so the folder was emptied, or its disk is not mounted; \
                     `streamhost resume JOB` goes on with the folder as it is",
                    schema::FILE
                );
                Err(words::refused(&self.spec.target, reason))
            }
        }
    }

    /// The batch's file. Its rows are in the name: of a batch that was given up, the number is given
    /// again.
    fn name(&self, delivery: &Delivery<'_>, schema: &Schema) -> String {
        let mut rows = delivery.digest.as_bytes().to_vec();
        rows.extend(schema.stored());
        let at = civil(delivery.time_ms);
        let day = format!("dt={:04}-{:02}-{:02}/", at.year, at.month, at.day);
        let folder = match self.spec.options.text(FOLDERS, "none") {
            "day" => day,
            "hour" => format!("{day}hour={:02}/", at.hour),
            _ => String::new(),
        };
        format!(
            "{folder}{}{}-{:012}-{:016x}.{}",
            self.mark,
            delivery.epoch,
            delivery.batch,
            xxh3_64(&rows),
            json::extension(&self.spec)
        )
    }

    fn rows<'a>(&'a self, rows: &'a [Rows]) -> impl Iterator<Item = RowRef<'a>> {
        let columns = &self.spec.columns;
        rows.iter().flat_map(|rows| RowsView::new(rows, columns))
    }

    /// Whether a row cannot be written.
    fn is_refused(&self, row: &RowRef<'_>) -> bool {
        row.is_deleted() && !self.spec.options.is(DELETES, "column")
    }

    fn refuse(&self, rows: &[Rows], refusals: &mut dyn Refusals) -> Result<(), SinkError> {
        let told = |(row, _)| RefusedRow {
            row,
            reason: format!(
                "the row deletes, and files only grow: write a row that says so, or set `{DELETES}=column`"
            ),
        };
        let refused = self.rows(rows).enumerate();
        let refused = refused.filter(|(_, row)| self.is_refused(row));
        refusals.take(refused.take(refusals.most() + 1).map(told).collect())
    }
}

impl Sink for FilesSink {
    fn guarantee(&self) -> Guarantee {
        Guarantee::Idempotent
    }

    fn limits(&self) -> RowLimits {
        FILES_ROWS
    }

    fn reshape(&mut self, spec: &SinkSpec) {
        self.spec = spec.clone();
        self.looked_at = None;
    }

    fn open(&mut self) -> Result<Option<Marker>, SinkError> {
        let opened = self.store.open(&self.mark);
        opened.map_err(|error| self.error(error))?;
        self.looked_at = Some(self.look()?);
        Ok(None)
    }

    fn deliver(
        &mut self,
        delivery: &Delivery<'_>,
        rows: &[Rows],
        refusals: &mut dyn Refusals,
    ) -> Result<(), SinkError> {
        let schema = match self.looked_at.take() {
            Some(schema) => schema,
            None => self.look()?,
        };
        self.check_is_there()?;
        self.refuse(rows, refusals)?;
        let written = || self.rows(rows).filter(|row| !self.is_refused(row));
        if written().next().is_some() {
            let name = self.name(delivery, &schema);
            let added = self.store.add(&name, &mut |out| {
                let watched = written().enumerate().map_while(|(n, row)| {
                    let stops = n % ROWS_AT_ONCE == 0 && self.cancel.is_cancelled();
                    (!stops).then_some(row)
                });
                json::write(&self.spec, delivery.time_ms, watched, out)?;
                match self.cancel.is_cancelled() {
                    true => Err(io::ErrorKind::Interrupted.into()), // it may lack rows
                    false => Ok(()),
                }
            });
            added.map_err(|error| self.error(error))?;
        }
        self.looked_at = Some(schema);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
