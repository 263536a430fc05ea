//! The columns of a folder's files, which `_streamhost.json` in it keeps: who writes there, now or
//! later, must fit. Pure.

use super::words::refused;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use streamhost_core::job::SinkSpec;
use streamhost_core::job::connector::{DELETES, FOLDERS};
use streamhost_core::limits;
use streamhost_core::types::Kind;
use streamhost_engine::sink::SinkError;

/// The file that keeps it.
pub(super) const FILE: &str = "_streamhost.json";

/// Says that a row is deleted.
pub(super) const DELETED: &str = "_deleted";
/// The batch's time: of two rows of a key the one of the later batch counts.
pub(super) const BATCH_MS: &str = "_batch_ms";

/// What of a folder's files must be alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Schema {
    /// The files' format.
    format: String,
    /// By which part of time they are in folders.
    folders: String,
    /// All columns that files have or had, and what they hold.
    columns: BTreeMap<String, String>,
}

impl Schema {
    /// That of a sink's files.
    ///
    /// # Errors
    /// A name that cannot be.
    pub(super) fn of(spec: &SinkSpec) -> Result<Schema, SinkError> {
        let folders = spec.options.text(FOLDERS, "none");
        let mut schema = Schema {
            format: "json".to_owned(),
            folders: folders.to_owned(),
            columns: BTreeMap::new(),
        };
        let mut faults = Vec::new();
        for column in spec.keys.iter().chain(&spec.columns) {
            let name = &column.name;
            if [DELETED, BATCH_MS].contains(&name.as_str()) {
                faults.push(format!(
                    "the column `{name}` is one of the sink's own: give it another name"
                ));
            }
            if folders != "none" && (name == "dt" || name == "hour") {
                faults.push(format!(
                    "the column `{name}` is called as its folders are: give it another name, or the sink `{FOLDERS}=none`"
                ));
            }
            let kind = column.kind.word().to_owned();
            if schema.columns.insert(name.clone(), kind).is_some() {
                faults.push(format!("the column `{name}` is there twice"));
            }
        }
        if spec.options.is(DELETES, "column") {
            let own = [(DELETED, Kind::Bool), (BATCH_MS, Kind::Time)];
            let own = own.map(|(name, kind)| (name.to_owned(), kind.word().to_owned()));
            schema.columns.extend(own);
            if spec.keys.is_empty() {
                faults.push(format!("`{DELETES}=column` needs rows with a key"));
            }
        }
        match faults.is_empty() {
            true => Ok(schema),
            false => Err(refused(&spec.target, faults.join("; "))),
        }
    }

    /// What a folder keeps, as it is stored.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn read(folder: &str, stored: &[u8]) -> Result<Schema, SinkError> {
        let most = limits::FILES_SCHEMA_BYTES_MAX;
        let read = match stored.len() > most {
            true => Err(format!("it has more than {most} bytes")),
            false => serde_json::from_slice(stored).map_err(|error| error.to_string()),
        };
        read.map_err(|reason| {
            let reason = format!("its {FILE} cannot be read: {reason}; begin another folder");
            refused(folder, reason)
        })
    }

    /// As it is stored.
    pub(super) fn stored(&self) -> Vec<u8> {
        // Text and maps of text always have a JSON form.
        let mut stored = serde_json::to_vec_pretty(self).unwrap_or_default();
        stored.push(b'\n');
        stored
    }

    /// What the folder has once this is written beside what it had. Columns may come; one that a
    /// version lacks is left out of its files, and readers see none there.
    ///
    /// # Errors
    /// All that does not fit.
    pub(super) fn beside(&self, folder: &str, had: &Schema) -> Result<Schema, SinkError> {
        let mut faults = Vec::new();
        if had.format != self.format {
            let (had, now) = (&had.format, &self.format);
            faults.push(format!("its files are {had}, and the job writes {now}"));
        }
        if had.folders != self.folders {
            let (had, now) = (&had.folders, &self.folders);
            faults.push(format!(
                "its files are in folders by `{had}`, and the job's by `{now}`"
            ));
        }
        let mut all = had.clone();
        for (name, kind) in &self.columns {
            match had.columns.get(name) {
                Some(other) if other != kind => faults.push(format!(
                    "column `{name}` holds {other} in its files, and the job gives {kind}"
                )),
                _ => drop(all.columns.insert(name.clone(), kind.clone())),
            }
        }
        if faults.is_empty() {
            return Ok(all);
        }
        faults.truncate(limits::FILES_FAULTS_SHOWN_MAX);
        faults.push("begin another folder: --set sink.NAME=FOLDER".to_owned());
        Err(refused(folder, faults.join("; ")))
    }
}
