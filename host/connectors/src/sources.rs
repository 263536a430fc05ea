//! Opens the sources of a job.

use crate::file::FileSource;
use crate::kafka::{KafkaSettings, KafkaSource};
use crate::rate::RateSource;
use crate::socket::SocketSource;
use std::collections::BTreeSet;
use streamhost_core::job::{SourceKind, SourcePlan};
use streamhost_engine::source::mixed::{self, Part};
use streamhost_engine::source::{Source, SourceError};

/// Opens a job's sources, in their order. `until_end`: topics and followed files are read to the ends that they have
/// when they are first assigned, connections until their peers close them.
///
/// # Errors
/// [`SourceError::Refused`] if settings or names cannot be. What is away is noticed later.
pub fn open(
    settings: &KafkaSettings,
    plan: &[SourcePlan],
    group: &str,
    until_end: bool,
) -> Result<Box<dyn Source>, SourceError> {
    let mut parts = Vec::new();
    let topics = numbers(plan, SourceKind::Kafka);
    if !topics.is_empty() {
        let kafka = KafkaSource::new(settings, plan, group)?;
        let kafka = if until_end { kafka.until_end() } else { kafka };
        parts.push(Part::new(topics, Box::new(kafka)));
    }
    for (i, plan) in (0..).zip(plan) {
        let source: Box<dyn Source> = match plan.kind {
            SourceKind::Kafka => continue,
            SourceKind::Socket => Box::new(SocketSource::new(i, plan, until_end)),
            SourceKind::File => Box::new(FileSource::new(i, plan, until_end)),
            SourceKind::Rate => Box::new(RateSource::new(i, plan)),
        };
        parts.push(Part::new([i].into(), source));
    }
    Ok(mixed::join(parts))
}

fn numbers(plan: &[SourcePlan], kind: SourceKind) -> BTreeSet<u16> {
    (0..).zip(plan).filter(|(_, source)| source.kind == kind).map(|(i, _)| i).collect()
}

#[cfg(test)]
#[path = "sources_tests.rs"]
mod tests;
