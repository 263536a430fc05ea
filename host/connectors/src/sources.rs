//! Opens the sources of a job.

use crate::file::FileSource;
use crate::kafka::{KafkaSettings, KafkaSource};
use crate::rate::RateSource;
use crate::socket::SocketSource;
use std::collections::BTreeSet;
use streamhost_core::job::{SourceKind, SourceSpec};
use streamhost_engine::source::mixed::{self, Part};
use streamhost_engine::source::{Source, SourceError};

/// Opens a job's sources, in their order. `until_end`: topics and followed files are read to the
/// ends that they have when they are first assigned, connections until their peers close them.
///
/// # Errors
/// [`SourceError::Refused`] if settings or names cannot be. What is away is noticed later.
pub fn open(
    settings: &KafkaSettings,
    spec: &[SourceSpec],
    group: &str,
    until_end: bool,
) -> Result<Box<dyn Source>, SourceError> {
    let mut parts = Vec::new();
    let topics = numbers(spec, SourceKind::Kafka);
    if !topics.is_empty() {
        let kafka = KafkaSource::new(settings, spec, group)?;
        let kafka = if until_end { kafka.until_end() } else { kafka };
        parts.push(Part::new(topics, Box::new(kafka)));
    }
    for (i, spec) in (0..).zip(spec) {
        let source: Box<dyn Source> = match spec.kind {
            SourceKind::Kafka => continue,
            SourceKind::Socket => Box::new(SocketSource::new(i, spec, until_end)),
            SourceKind::File => Box::new(FileSource::new(i, spec, until_end)),
            SourceKind::Rate => Box::new(RateSource::new(i, spec)),
        };
        parts.push(Part::new([i].into(), source));
    }
    Ok(mixed::join(parts))
}

fn numbers(spec: &[SourceSpec], kind: SourceKind) -> BTreeSet<u16> {
    (0..)
        .zip(spec)
        .filter(|(_, source)| source.kind == kind)
        .map(|(i, _)| i)
        .collect()
}

#[cfg(test)]
#[path = "sources_tests.rs"]
mod tests;
