//! What became of a batch that was run to its end: rows, dead letters, counts, digests. Nothing of it has left yet.

use super::Active;
use crate::batch::Cut;
use crate::checkpoint::{SetAside, TopicSpans, Totals, by_topic};
use crate::guest::digest::RowDigest;
use crate::guest::run::{ChunkAnswer, VersionFault};
use crate::job::settings::OnError;
use crate::record::{Chunk, DeadLetter, Rows, Spans};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A batch that was run.
pub(super) struct Outcome {
    pub(super) active: Arc<Active>,
    pub(super) spans: Spans,
    pub(super) topic_spans: TopicSpans,
    /// For each sink its rows, by partition and offset of their records.
    pub(super) rows: Vec<Vec<Rows>>,
    pub(super) letters: Vec<DeadLetter>,
    pub(super) set_aside: Vec<SetAside>,
    /// By the sink's name.
    pub(super) digests: BTreeMap<String, String>,
    pub(super) counts: Totals,
}

/// Puts the chunks' answers together, as the job's policy for failed records says.
pub(super) fn outcome(active: Arc<Active>, cut: Cut, answers: Vec<ChunkAnswer>) -> Result<Outcome, VersionFault> {
    let topics = active.topics();
    let sinks = active.plan.sinks.len();
    let mut all = Outcome {
        spans: cut.spans,
        topic_spans: TopicSpans::new(),
        rows: vec![Vec::new(); sinks],
        letters: Vec::new(),
        set_aside: Vec::new(),
        digests: BTreeMap::new(),
        counts: Totals::default(),
        active,
    };
    all.topic_spans = by_topic(&topics, &all.spans);
    all.counts.records_in = all.spans.values().map(|span| span.records).sum();
    for (chunk, answer) in cut.chunks.iter().zip(answers) {
        all.counts.dropped += answer.dropped;
        all.faults(chunk, &answer, &topics)?;
        for (sink, rows) in answer.rows.into_iter().enumerate() {
            all.rows[sink].extend(rows);
        }
    }
    for (sink, rows) in all.active.plan.sinks.iter().zip(&all.rows) {
        let mut digest = RowDigest::default();
        rows.iter().for_each(|rows| digest.add(rows));
        all.digests.insert(sink.name.clone(), digest.finish());
        all.counts.rows.insert(sink.name.clone(), rows.iter().map(|rows| rows.len() as u64).sum());
    }
    Ok(all)
}

impl Outcome {
    fn faults(&mut self, chunk: &Chunk, answer: &ChunkAnswer, topics: &[String]) -> Result<(), VersionFault> {
        let source = usize::from(chunk.partition.source);
        let (topic, stage) = (&topics[source], &self.active.plan.sources[source].name);
        for fault in &answer.faults {
            let record = chunk.get(fault.position as usize);
            if fault.by_host {
                let (topic, reason) = (topic.clone(), fault.reason.clone());
                self.set_aside.push(SetAside { topic, partition: chunk.partition.id, offset: record.offset, reason });
            }
            match self.active.settings.on_error {
                OnError::DeadLetter => self.letters.push(DeadLetter {
                    partition: chunk.partition,
                    offset: record.offset,
                    stage: stage.clone(),
                    reason: fault.reason.clone(),
                    time_ms: record.time_ms,
                    key: record.key.map(<[u8]>::to_vec),
                    value: record.value.map(<[u8]>::to_vec),
                }),
                OnError::Skip => self.counts.skipped += 1,
                OnError::Stop => {
                    let (partition, offset) = (chunk.partition.id, record.offset);
                    let place = format!("topic `{topic}` partition {partition} offset {offset}");
                    return Err(VersionFault::Stop(format!("{place}: {}", fault.reason)));
                }
            }
        }
        self.counts.dead_letters = self.letters.len() as u64;
        Ok(())
    }
}
