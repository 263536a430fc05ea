//! Savepoints of jobs that are only said to run.

use super::kept;
use crate::api::{Refusal, TakenSavepoint};
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use streamhost_core::job::JobRecord;
use streamhost_core::state::StageFacts;
use streamhost_core::testing::{checkpoint, deployment};
use streamhost_storage::catalog::sha256;
use streamhost_storage::savepoint::{SavepointFacts, SavepointReader, SavepointWriter, Section};

/// The component of all fake savepoints.
const COMPONENT: &[u8] = b"saved";

fn failed(error: impl std::fmt::Display) -> Refusal {
    Refusal::Unavailable(error.to_string())
}

/// A savepoint with something of everything.
pub(super) fn taken(job: &str) -> Result<TakenSavepoint, Refusal> {
    let mut saved = checkpoint(12);
    let count = StageFacts {
        id: 9,
        fingerprint: "f".to_owned(),
        shape: ("u64".to_owned(), 1),
        keys: 2,
        bytes: 14,
    };
    saved.stages = [("count".to_owned(), count)].into();
    let facts = SavepointFacts {
        taken_ms: 1_795_960_800_000,
        program: "0.1.0".to_owned(),
        stopped: false,
        record: JobRecord {
            name: job.to_owned(),
            paused: false,
            deployments: vec![deployment(3, 1, &sha256(COMPONENT))],
            newest_version: 1,
        },
        checkpoint: saved,
        stages: vec![kept::count_stage()],
    };
    let to = tempfile::tempfile().map_err(failed)?;
    let mut writer = SavepointWriter::begin(to, &facts).map_err(failed)?;
    writer.component(COMPONENT).map_err(failed)?;
    let entry = |key: &[u8]| ([&[1], key].concat(), vec![0xe8, 7]);
    let entries = [entry(b"ann"), entry(b"bob")];
    writer.state(0, &entries).map_err(failed)?;
    let (mut file, bytes) = writer.end().map_err(failed)?;
    file.rewind().map_err(failed)?;
    Ok(TakenSavepoint {
        job: job.to_owned(),
        batch: 12,
        file,
        bytes,
    })
}

/// The component of a savepoint, or, of anything else, what it says.
pub(super) fn component_of(mut file: File) -> Result<Vec<u8>, Refusal> {
    let begun = SavepointReader::begin(BufReader::new(&file));
    let Ok((_, mut reader)) = begun else {
        let mut bytes = Vec::new();
        file.rewind().map_err(failed)?;
        file.read_to_end(&mut bytes).map_err(failed)?;
        return Ok(bytes);
    };
    match reader.read() {
        Ok(Some(Section::Component(component))) => Ok(component),
        other => Err(Refusal::Invalid(format!("no component: {other:?}"))),
    }
}
