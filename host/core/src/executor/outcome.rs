//! What became of a batch that was run to its end: rows, dead letters, counts, digests. Nothing of
//! it has left yet.

use super::{Batch, BatchJob};
use crate::canary::{CanaryPlan, Side};
use crate::contract::{ChunkAnswer, QuarantinedGroup, QuarantinedRecord, RowDigest, VersionFault};
use crate::job::JobSpec;
use crate::job::settings::OnError;
use crate::keyed;
use crate::protocol::{Counters, EventTimes};
use crate::state::{Delta, Stages};
use crate::types::{BatchNumber, Chunk, DeadLetter, Rows, Spans, TimeRules, TopicSpans, by_topic};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A batch that was run.
#[derive(Clone, Debug)]
pub struct BatchOutcome {
    /// Its number.
    pub batch: BatchNumber,
    /// What was passed, of every partition.
    pub spans: Spans,
    /// The same by topic.
    pub topic_spans: TopicSpans,
    /// For each sink its rows: by partition and offset of their records, then those of the keyed
    /// stages.
    pub rows: Vec<Vec<Rows>>,
    /// For each sink, of its first rows the chunk in `records` that they come from; those behind them
    /// are of keyed stages.
    pub row_chunks: Vec<Vec<usize>>,
    /// The records, kept until the sinks have the rows: a server may refuse a row of one.
    pub records: Vec<Chunk>,
    /// What failed, if the job keeps it.
    pub dead_letters: Vec<DeadLetter>,
    /// How many of them the guest broke on, rather than refusing them, by their stage.
    pub broken: BTreeMap<String, u64>,
    /// The host's decisions on records.
    pub quarantined: Vec<QuarantinedRecord>,
    /// The host's decisions on groups.
    pub quarantined_groups: Vec<QuarantinedGroup>,
    /// By the sink's name.
    pub digests: BTreeMap<String, String>,
    /// What it counts.
    pub counts: Counters,
    /// The times after it.
    pub times: EventTimes,
    /// What it changed in the stages' state.
    pub delta: Arc<Delta>,
    /// Where that is afterwards.
    pub stages: Stages,
    /// Every source has ended with it.
    pub finished: bool,
    /// What it made of times.
    pub time_rules: Option<TimeRules>,
}

impl BatchOutcome {
    /// An outcome without rows yet.
    pub fn begin(spec: &JobSpec, batch: BatchNumber, spans: Spans) -> BatchOutcome {
        let topics = spec.topics();
        let mut topic_spans: TopicSpans = by_topic(&topics, &spans);
        for topic in topics {
            // Or its last partition, once it is over, would not be forgotten.
            topic_spans.entry(topic).or_default();
        }
        let counts = Counters {
            records_in: spans.values().map(|span| span.records).sum(),
            ..Counters::default()
        };
        BatchOutcome {
            batch,
            topic_spans,
            rows: vec![Vec::new(); spec.sinks.len()],
            row_chunks: vec![Vec::new(); spec.sinks.len()],
            records: Vec::new(),
            spans,
            counts,
            dead_letters: Vec::new(),
            broken: BTreeMap::new(),
            quarantined: Vec::new(),
            quarantined_groups: Vec::new(),
            digests: BTreeMap::new(),
            times: EventTimes::default(),
            delta: Arc::default(),
            stages: Stages::new(),
            finished: false,
            time_rules: None,
        }
    }

    /// Takes what the lanes answered for the batch's chunks, as the job's policy for failed records
    /// says.
    pub(super) fn take_answers(
        &mut self,
        job: BatchJob<'_>,
        batch: &Batch,
        answers: Vec<ChunkAnswer>,
    ) -> Result<(), VersionFault> {
        let topics = job.spec.topics();
        for (at, (chunk, answer)) in batch.chunks.iter().zip(answers).enumerate() {
            self.counts.dropped += answer.dropped;
            self.counts.late += answer.late;
            self.faults(job, chunk, &answer, &topics)?;
            for (sink, rows) in answer.rows.into_iter().enumerate() {
                self.row_chunks[sink].extend(rows.iter().map(|_| at));
                self.rows[sink].extend(rows);
            }
        }
        Ok(())
    }

    /// Takes what the keyed stages made.
    pub(super) fn take_keyed(
        &mut self,
        job: BatchJob<'_>,
        made: keyed::Made,
    ) -> Result<(), VersionFault> {
        self.counts.late += made.late;
        for (sink, rows) in made.rows.into_iter().enumerate() {
            self.rows[sink].extend(rows);
        }
        for (stage, broken) in made.broken {
            *self.broken.entry(stage).or_default() += broken;
        }
        for letter in made.dead_letters {
            let is_of = |(plan, _): &(&CanaryPlan, u64)| plan.side_of(&letter.key) == Side::Canary;
            let version = job.canary.filter(is_of).map(|(_, version)| version);
            match job.on_error {
                OnError::DeadLetter => self.dead_letters.push(DeadLetter {
                    origin: None,
                    stage: letter.stage,
                    sink: None,
                    reason: letter.reason,
                    time_ms: letter.time_ms,
                    key: Some(letter.key),
                    value: Some(letter.value),
                    headers: Vec::new(),
                    version,
                }),
                OnError::Skip => self.counts.skipped += 1,
                OnError::Stop => {
                    let (stage, key) = (letter.stage, letter.key.escape_ascii().to_string());
                    return Err(VersionFault::Stop(format!(
                        "stage `{stage}`, key `{key}`: {}",
                        letter.reason
                    )));
                }
            }
        }
        Ok(())
    }

    /// Counts and digests what it has.
    pub(super) fn close(mut self, spec: &JobSpec) -> BatchOutcome {
        self.counts.dead_letters = self.dead_letters.len() as u64;
        for (sink, rows) in spec.sinks.iter().zip(&self.rows) {
            let mut digest = RowDigest::default();
            rows.iter().for_each(|rows| digest.add(rows));
            self.digests.insert(sink.name.clone(), digest.finish());
            self.counts.rows.insert(
                sink.name.clone(),
                rows.iter().map(|rows| rows.len() as u64).sum(),
            );
        }
        self
    }

    fn faults(
        &mut self,
        job: BatchJob<'_>,
        chunk: &Chunk,
        answer: &ChunkAnswer,
        topics: &[String],
    ) -> Result<(), VersionFault> {
        let source = usize::from(chunk.partition.source);
        let (topic, stage) = (&topics[source], &job.spec.sources[source].name);
        let mut quarantine = |position: u32, reason: Option<&String>, canary| {
            self.quarantined.push(QuarantinedRecord {
                topic: topic.clone(),
                partition: chunk.partition.id,
                offset: chunk.offsets[position as usize],
                reason: reason.cloned(),
                canary,
            });
        };
        for (splits, canary) in [(&answer.splits, false), (&answer.canary_splits, true)] {
            splits.iter().for_each(|&at| quarantine(at, None, canary));
        }
        for passed in &answer.passed_over {
            quarantine(passed.position, Some(&passed.reason), passed.canary);
        }
        for fault in answer.faults.iter().filter(|fault| fault.by_host) {
            quarantine(fault.position, Some(&fault.reason), fault.canary);
        }
        for fault in &answer.faults {
            let record = chunk.get(fault.position as usize);
            if fault.by_host {
                *self.broken.entry(stage.clone()).or_default() += 1;
            }
            match job.on_error {
                OnError::DeadLetter => self.dead_letters.push(DeadLetter {
                    origin: Some((chunk.partition, record.offset)),
                    stage: stage.clone(),
                    sink: None,
                    reason: fault.reason.clone(),
                    time_ms: record.time_ms,
                    key: record.key.map(<[u8]>::to_vec),
                    value: record.value.map(<[u8]>::to_vec),
                    headers: chunk.headers.owned(fault.position as usize),
                    version: job
                        .canary
                        .filter(|_| fault.canary)
                        .map(|(_, version)| version),
                }),
                OnError::Skip => self.counts.skipped += 1,
                OnError::Stop => {
                    let (partition, offset) = (chunk.partition.id, record.offset);
                    let place = format!("topic `{topic}` partition {partition} offset {offset}");
                    return Err(VersionFault::Stop(format!("{place}: {}", fault.reason)));
                }
            }
        }
        Ok(())
    }
}
