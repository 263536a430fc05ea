//! Writes a savepoint.

use super::{End, Kind, MAGIC, SAVEPOINT_FORMAT, SavepointError, SavepointFacts, digest, hex};
use sha2::{Digest, Sha256};
use std::io::Write;
use streamhost_core::limits::SAVEPOINT_SECTION_BYTES_MAX;
use streamhost_core::protocol::MarkedLetter;
use streamhost_core::state::Entry;

/// Letters of one section.
const MARKS_AT_ONCE: usize = 1000;

/// A savepoint that is being written, section by section.
pub struct SavepointWriter<W> {
    to: W,
    sections: u64,
    bytes: u64,
    all: Sha256,
}

impl<W: Write> SavepointWriter<W> {
    /// Begins one.
    pub fn begin(mut to: W, facts: &SavepointFacts) -> Result<Self, SavepointError> {
        to.write_all(MAGIC)?;
        to.write_all(&SAVEPOINT_FORMAT.to_le_bytes())?;
        let mut writer = SavepointWriter {
            to,
            sections: 0,
            bytes: (MAGIC.len() + size_of::<u32>()) as u64,
            all: Sha256::new(),
        };
        writer.section(Kind::Facts, &facts.stored()?)?;
        Ok(writer)
    }

    /// A component.
    pub fn component(&mut self, bytes: &[u8]) -> Result<(), SavepointError> {
        self.section(Kind::Component, bytes)
    }

    /// What is remembered of dead letters.
    pub fn marks(&mut self, marks: &[MarkedLetter]) -> Result<(), SavepointError> {
        for some in marks.chunks(MARKS_AT_ONCE) {
            self.section(Kind::Marks, &serde_json::to_vec(some)?)?;
        }
        Ok(())
    }

    /// Entries of a stage, by its place among the stages' names.
    pub fn state(&mut self, stage: u32, entries: &[Entry]) -> Result<(), SavepointError> {
        let mut payload = stage.to_le_bytes().to_vec();
        for bytes in entries.iter().flat_map(|(key, value)| [key, value]) {
            let too_large = |_| SavepointError::TooLarge { bytes: bytes.len() };
            let length = u32::try_from(bytes.len()).map_err(too_large)?;
            payload.extend(length.to_le_bytes());
            payload.extend(bytes);
        }
        self.section(Kind::State, &payload)
    }

    /// Ends it. Gives what was written to, and how much.
    pub fn end(mut self) -> Result<(W, u64), SavepointError> {
        let end = End {
            sections: self.sections,
            digest: hex(&self.all.clone().finalize()),
        };
        self.section(Kind::End, &serde_json::to_vec(&end)?)?;
        self.to.flush()?;
        Ok((self.to, self.bytes))
    }

    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn section(&mut self, kind: Kind, payload: &[u8]) -> Result<(), SavepointError> {
        let bytes = payload.len();
        if bytes > SAVEPOINT_SECTION_BYTES_MAX {
            return Err(SavepointError::TooLarge { bytes });
        }
        let digest = digest(kind as u8, payload);
        self.all.update(digest);
        self.sections += 1;
        let head = [&[kind as u8][..], &(bytes as u64).to_le_bytes(), &digest].concat();
        self.to.write_all(&head)?;
        self.to.write_all(payload)?;
        self.bytes += (head.len() + bytes) as u64;
        Ok(())
    }
}
