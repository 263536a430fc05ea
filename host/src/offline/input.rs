//! The records of a run: lines of text, or JSON lines with all that a record can have.

use super::Cuts;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use streamhost_core::executor::Batch;
use streamhost_core::job::JobSpec;
use streamhost_core::job::settings::BatchLimits;
use streamhost_core::limits;
use streamhost_core::types::{Offset, Partition, Positions, Record};
use streamhost_engine::batch::BatchBuilder;

/// A run's batches are as large as its input, which is bounded.
pub(super) const UNBOUNDED: BatchLimits = BatchLimits {
    records_max: usize::MAX,
    bytes_max: usize::MAX,
};

/// How a file holds records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputFormat {
    /// A line is a record's value; it has no key, and the time 0.
    Lines,
    /// A line is a JSON object: see [`Line`].
    Json,
}

/// A record as a JSON line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    /// The source, where the job has several.
    source: Option<String>,
    /// Its partition; 0 without it.
    #[serde(default)]
    partition: i32,
    /// Its key as text; without it the record has none.
    key: Option<String>,
    /// Its value: a string is text, `null` is none, all else is JSON.
    #[serde(borrow)]
    value: &'a RawValue,
    /// Its time: milliseconds since 1970, or as RFC 3339 writes it; 0 without it.
    time: Option<Time>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Time {
    Millis(i64),
    Text(String),
}

/// Why there are no records.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// A file cannot be read.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// More than is held in memory.
    #[error("{}: a run's input is held in memory, {} at most: cut it", path.display(), bytesize::ByteSize(limits::OFFLINE_INPUT_BYTES_MAX as u64).display().iec())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A line is no record.
    #[error("{}: line {line}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// Several sources, and nothing says which one is meant.
    #[error("the job has several sources: say which one, as in `--input {first}=FILE`, one of {}", all.join(", "))]
    WhichSource {
        /// One of them.
        first: String,
        /// All of them.
        all: Vec<String>,
    },
    /// No such source.
    #[error("the job has no source `{name}`, but {}", all.join(", "))]
    NoSource {
        /// The name.
        name: String,
        /// Those it has.
        all: Vec<String>,
    },
}

struct InputRecord {
    partition: Partition,
    offset: Offset,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    time_ms: i64,
}

/// The records of a run, in order.
#[derive(Default)]
pub struct Input {
    records: Vec<InputRecord>,
    next: BTreeMap<Partition, Offset>,
}

impl Input {
    /// How many records there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// No records.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Appends the records of a file. `source` is whose they are, where not each line says it.
    ///
    /// # Errors
    /// [`InputError`]; what was read before stays.
    pub fn read(
        &mut self,
        job: &JobSpec,
        path: &Path,
        source: Option<&str>,
        format: InputFormat,
    ) -> Result<(), InputError> {
        let file = |error| InputError::File {
            path: path.to_owned(),
            error,
        };
        let bytes = match std::fs::metadata(path).map_err(file)?.len() {
            length if length > limits::OFFLINE_INPUT_BYTES_MAX as u64 => {
                return Err(InputError::TooLarge {
                    path: path.to_owned(),
                });
            }
            _ => std::fs::read(path).map_err(file)?,
        };
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let usual = source.map(|name| number(job, name)).transpose()?;
        if bytes.is_empty() {
            return Ok(());
        }
        for (line, text) in (1..).zip(bytes.split(|&byte| byte == b'\n')) {
            let bad = |reason: String| InputError::Line {
                path: path.to_owned(),
                line,
                reason,
            };
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            match format {
                InputFormat::Lines => {
                    let source = usual.map_or_else(|| only(job), Ok)?;
                    self.push(Partition { source, id: 0 }, None, Some(text.to_vec()), 0);
                }
                InputFormat::Json if text.is_empty() => {}
                InputFormat::Json => {
                    let Line {
                        source,
                        partition,
                        key,
                        value,
                        time,
                    } = serde_json::from_slice(text).map_err(|e| bad(e.to_string()))?;
                    let source = match source {
                        Some(name) => number(job, &name).map_err(|e| bad(e.to_string()))?,
                        None => usual.map_or_else(|| only(job), Ok)?,
                    };
                    if partition < 0 {
                        return Err(bad(format!("a partition is 0 or more, not {partition}")));
                    }
                    let time_ms = time.map_or(Ok(0), time_of).map_err(bad)?;
                    let value = value_of(value).map_err(|e| bad(e.to_string()))?;
                    let at = Partition {
                        source,
                        id: partition,
                    };
                    self.push(at, key.map(String::into_bytes), value, time_ms);
                }
            }
        }
        Ok(())
    }

    /// Appends a record behind those of its partition.
    pub(super) fn push(
        &mut self,
        partition: Partition,
        key: Option<Vec<u8>>,
        value: Option<Vec<u8>>,
        time_ms: i64,
    ) {
        let next = self.next.entry(partition).or_default();
        let offset = *next;
        *next += 1;
        self.records.push(InputRecord {
            partition,
            offset,
            key,
            value,
            time_ms,
        });
    }

    /// Has the next record of a partition be at this offset.
    pub(super) fn begin_at(&mut self, partition: Partition, offset: Offset) {
        self.next.insert(partition, offset);
    }

    /// The batches of a run: tables first, then all others.
    pub(super) fn batches(&self, job: &JobSpec, cuts: Cuts) -> Vec<Batch> {
        let is_table =
            |record: &&InputRecord| job.sources[usize::from(record.partition.source)].table;
        let (tables, others): (Vec<_>, Vec<_>) = self.records.iter().partition(is_table);
        let mut positions = Positions::new();
        for record in &self.records {
            positions.entry(record.partition).or_insert(record.offset);
        }
        let limits = match cuts {
            Cuts::Whole => UNBOUNDED,
            Cuts::Single => BatchLimits {
                records_max: 1,
                ..UNBOUNDED
            },
            Cuts::Limits(limits) => limits,
        };
        let parts = [tables, others];
        let parts = parts.iter().flat_map(|part| cut(part, limits));
        parts.map(|part| batch(&mut positions, part)).collect()
    }

    /// Bytes of all keys and values.
    pub fn bytes(&self) -> usize {
        self.records.iter().map(InputRecord::bytes).sum()
    }
}

impl InputRecord {
    fn bytes(&self) -> usize {
        let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        length(&self.key) + length(&self.value)
    }
}

/// The records in pieces, each within the limits or one record.
fn cut<'r>(mut records: &'r [&'r InputRecord], limits: BatchLimits) -> Vec<&'r [&'r InputRecord]> {
    let mut pieces = Vec::new();
    while !records.is_empty() {
        let (mut bytes, mut count) = (0, 0);
        while let Some(record) = records.get(count)
            && count < limits.records_max
            && bytes < limits.bytes_max
        {
            bytes += record.bytes();
            count += 1;
        }
        let (piece, rest) = records.split_at(count.max(1));
        pieces.push(piece);
        records = rest;
    }
    pieces
}

/// A batch of these records, with a span of every partition.
fn batch(positions: &mut Positions, records: &[&InputRecord]) -> Batch {
    let mut builder = BatchBuilder::open(positions, UNBOUNDED);
    for record in records {
        let bytes = Record {
            offset: record.offset,
            time_ms: record.time_ms,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &[],
        };
        builder.push(record.partition, bytes);
    }
    let batch = builder.close();
    *positions = batch.end_positions();
    batch
}

/// The number of a source by its name.
pub(super) fn number(job: &JobSpec, name: &str) -> Result<u16, InputError> {
    let found = (0..)
        .zip(&job.sources)
        .find(|(_, source)| source.name == name);
    found
        .map(|(number, _)| number)
        .ok_or_else(|| InputError::NoSource {
            name: name.to_owned(),
            all: names(job),
        })
}

/// The number of a job's only source.
pub(super) fn only(job: &JobSpec) -> Result<u16, InputError> {
    match job.sources.as_slice() {
        [_] => Ok(0),
        sources => Err(InputError::WhichSource {
            first: sources
                .first()
                .map_or_else(String::new, |source| source.name.clone()),
            all: names(job),
        }),
    }
}

fn names(job: &JobSpec) -> Vec<String> {
    let name = |source: &streamhost_core::job::SourceSpec| format!("`{}`", source.name);
    job.sources.iter().map(name).collect()
}

fn time_of(time: Time) -> Result<i64, String> {
    match time {
        Time::Millis(time_ms) => Ok(time_ms),
        Time::Text(text) => {
            let time = humantime::parse_rfc3339_weak(&text)
                .map_err(|e| format!("the time `{text}`: {e}; as in 2026-01-31T08:00:00Z"))?;
            let since = time.duration_since(std::time::UNIX_EPOCH);
            let since = since.map_err(|_| format!("the time `{text}` is before 1970"))?;
            i64::try_from(since.as_millis()).map_err(|e| e.to_string())
        }
    }
}

fn value_of(value: &RawValue) -> Result<Option<Vec<u8>>, serde_json::Error> {
    match value.get().as_bytes() {
        b"null" => Ok(None),
        [b'"', ..] => {
            serde_json::from_str::<String>(value.get()).map(|text| Some(text.into_bytes()))
        }
        json => Ok(Some(json.to_vec())),
    }
}
