//! Reads a savepoint, and proves all of it on the way.

use super::{
    DIGEST_BYTES, End, Kind, MAGIC, SAVEPOINT_FORMAT, SavepointError, SavepointFacts, Section,
    digest, hex,
};
use crate::catalog::sha256;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use streamhost_core::limits::{SAVEPOINT_SAMPLE_KEYS_MAX, SAVEPOINT_SECTION_BYTES_MAX};
use streamhost_core::state::{Entries, is_kept};

/// A savepoint that is being read, section by section.
pub struct SavepointReader<R> {
    from: R,
    sections: u64,
    all: Sha256,
    is_over: bool,
    stages: usize,
    /// The kind of the last section: kinds ascend.
    kind: u8,
    /// The stage and the key of the last entry.
    last: Option<(u32, Vec<u8>)>,
}

impl<R: Read> SavepointReader<R> {
    /// Begins to read one.
    pub fn begin(mut from: R) -> Result<(SavepointFacts, Self), SavepointError> {
        let mut head = [0; MAGIC.len() + size_of::<u32>()];
        let is_whole = filled(&mut from, &mut head)?;
        let (magic, format) = head.split_at(MAGIC.len());
        if magic != MAGIC || !is_whole {
            return Err(SavepointError::Other);
        }
        let found = format.iter().rev();
        let found = found.fold(0, |number, byte| number << 8 | u32::from(*byte));
        if found > SAVEPOINT_FORMAT {
            return Err(SavepointError::Newer {
                what: "its parts",
                found,
                known: SAVEPOINT_FORMAT,
            });
        }
        if found == 0 {
            return Err(SavepointError::Other); // there was none before the first
        }
        let mut reader = SavepointReader {
            from,
            sections: 0,
            all: Sha256::new(),
            is_over: false,
            stages: 0,
            kind: 0,
            last: None,
        };
        match reader.section()? {
            (Kind::Facts, payload) => {
                let facts = SavepointFacts::read(&payload)?;
                reader.stages = facts.checkpoint.stages.len();
                Ok((facts, reader))
            }
            _ => Err(reader.altered("it does not begin with its job")),
        }
    }

    /// The next section; none: all of it is read, and as it was written.
    pub fn read(&mut self) -> Result<Option<Section>, SavepointError> {
        if self.is_over {
            return Ok(None);
        }
        let before = (self.sections, hex(&self.all.clone().finalize()));
        let (kind, payload) = self.section()?;
        Ok(Some(match kind {
            Kind::Facts => return Err(self.altered("it has two jobs")),
            Kind::Component => Section::Component(payload),
            Kind::Marks => {
                let marks = serde_json::from_slice(&payload);
                Section::Marks(marks.map_err(|_| self.altered("its letters cannot be read"))?)
            }
            Kind::State => self.state(&payload)?,
            Kind::End => {
                let end: Option<End> = serde_json::from_slice(&payload).ok();
                let is_it = |end: End| (end.sections, end.digest) == before;
                let is_last = !filled(&mut self.from, &mut [0])?;
                if !end.is_some_and(is_it) || !is_last {
                    return Err(self.altered("its sections are not those that were written"));
                }
                self.is_over = true;
                return Ok(None);
            }
        }))
    }

    /// Entries ascend in a stage, and stages in the file.
    fn state(&mut self, payload: &[u8]) -> Result<Section, SavepointError> {
        let unreadable = self.altered("its state cannot be read");
        let Some((stage, entries)) = entries(payload) else {
            return Err(unreadable);
        };
        if stage as usize >= self.stages {
            return Err(self.altered("it has state of no stage"));
        }
        for (key, _) in &entries {
            let is_next =
                (self.last.as_ref()).is_none_or(|(before, last)| *before != stage || last < key);
            if !is_next {
                return Err(self.altered("its state is not in order"));
            }
            self.last = Some((stage, key.clone()));
        }
        Ok(Section::State(stage, entries))
    }

    fn section(&mut self) -> Result<(Kind, Vec<u8>), SavepointError> {
        self.sections += 1;
        let section = self.sections;
        let mut head = [0; 1 + size_of::<u64>() + DIGEST_BYTES];
        if !filled(&mut self.from, &mut head)? {
            return Err(SavepointError::Cut { section });
        }
        let (of_kind, rest) = head.split_at(1);
        let (length, wanted) = rest.split_at(size_of::<u64>());
        let length = length.iter().rev();
        let length = length.fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        let kind = Kind::of(of_kind[0]);
        if length > SAVEPOINT_SECTION_BYTES_MAX as u64 {
            return Err(self.altered("a section is too large"));
        }
        // As it comes, or an altered length would take memory for nothing.
        let mut payload = Vec::new();
        (&mut self.from).take(length).read_to_end(&mut payload)?;
        if payload.len() as u64 != length {
            return Err(SavepointError::Cut { section });
        }
        let found = digest(of_kind[0], &payload);
        if found != wanted {
            return Err(self.altered("its checksum is another one"));
        }
        self.all.update(found);
        match kind {
            Some(kind) if (kind as u8) < self.kind => {
                Err(self.altered("its sections are not in order"))
            }
            Some(kind) => {
                self.kind = kind as u8;
                Ok((kind, payload))
            }
            None => Err(self.altered("a section is of no known kind")),
        }
    }

    fn altered(&self, what: &'static str) -> SavepointError {
        let section = self.sections;
        SavepointError::Altered { section, what }
    }
}

/// Reads as much as there is room; false: it ends before.
fn filled(from: &mut impl Read, into: &mut [u8]) -> Result<bool, SavepointError> {
    match from.read_exact(into) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A stage's place and its entries. None: they are not as they were written.
fn entries(payload: &[u8]) -> Option<(u32, Entries)> {
    fn number(rest: &mut &[u8]) -> Option<u32> {
        let (number, left) = rest.split_first_chunk::<4>()?;
        *rest = left;
        Some(u32::from_le_bytes(*number))
    }
    fn bytes(rest: &mut &[u8]) -> Option<Vec<u8>> {
        let length = number(rest)? as usize;
        let (bytes, left) = rest.split_at_checked(length)?;
        *rest = left;
        Some(bytes.to_vec())
    }
    let mut rest = payload;
    let (stage, mut entries) = (number(&mut rest)?, Entries::new());
    while !rest.is_empty() {
        entries.push((bytes(&mut rest)?, bytes(&mut rest)?));
    }
    Some((stage, entries))
}

/// What is in a savepoint, all of which is proven.
#[derive(Debug)]
pub struct Summary {
    /// What it says of itself.
    pub facts: SavepointFacts,
    /// Its components' lengths, by digest.
    pub components: BTreeMap<String, u64>,
    /// Letters that are remembered.
    pub marks: u64,
    /// By stage, in the order of their names.
    pub stages: Vec<StageSummary>,
}

/// What is in a savepoint of one stage.
#[derive(Debug, Default)]
pub struct StageSummary {
    /// Its name.
    pub name: String,
    /// Entries, those among them that are kept for keys, and bytes.
    pub entries: u64,
    /// Entries that are kept for keys.
    pub keys: u64,
    /// Bytes of all entries, keys included.
    pub bytes: u64,
    /// Some of what is kept for keys: the first ones.
    pub samples: Entries,
}

/// Reads a savepoint to its end.
pub fn summary(from: impl Read) -> Result<Summary, SavepointError> {
    let (facts, mut reader) = SavepointReader::begin(from)?;
    let stage = |name: &String| StageSummary {
        name: name.clone(),
        ..StageSummary::default()
    };
    let mut found = Summary {
        components: BTreeMap::new(),
        marks: 0,
        stages: facts.checkpoint.stages.keys().map(stage).collect(),
        facts,
    };
    while let Some(section) = reader.read()? {
        match section {
            Section::Component(bytes) => {
                let digest = sha256(&bytes);
                found.components.insert(digest, bytes.len() as u64);
            }
            Section::Marks(marks) => found.marks += marks.len() as u64,
            Section::State(stage, entries) => {
                let Some(of) = found.stages.get_mut(stage as usize) else {
                    return Err(reader.altered("it has state of no stage"));
                };
                of.take(entries);
            }
        }
    }
    let active = &found.facts.record.active().digest;
    match found.components.contains_key(active) {
        true => Ok(found),
        false => Err(reader.altered("the component of its active version is not in it")),
    }
}

impl StageSummary {
    fn take(&mut self, entries: Entries) {
        for (key, value) in entries {
            self.entries += 1;
            self.bytes += (key.len() + value.len()) as u64;
            if is_kept(&key) {
                self.keys += 1;
                if self.samples.len() < SAVEPOINT_SAMPLE_KEYS_MAX {
                    self.samples.push((key, value));
                }
            }
        }
    }
}
