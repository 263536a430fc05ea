//! What became of a batch that was run to its end: rows, dead letters, counts, digests. Nothing of it has left yet.

use super::Active;
use crate::batch::Cut;
use std::collections::BTreeMap;
use std::sync::Arc;
use streamhost_core::contract::{ChunkAnswer, GroupAside, RowDigest, SetAside, VersionFault};
use streamhost_core::job::settings::OnError;
use streamhost_core::keyed;
use streamhost_core::protocol::{Times, Totals};
use streamhost_core::state::{Delta, Stages};
use streamhost_core::types::{BatchNumber, Chunk, DeadLetter, Rows, Spans, TopicSpans, by_topic};

/// A batch that was run.
pub(super) struct Outcome {
    pub(super) active: Arc<Active>,
    pub(super) batch: BatchNumber,
    pub(super) spans: Spans,
    pub(super) topic_spans: TopicSpans,
    /// For each sink its rows: by partition and offset of their records, then those of the keyed stages.
    pub(super) rows: Vec<Vec<Rows>>,
    pub(super) letters: Vec<DeadLetter>,
    pub(super) set_aside: Vec<SetAside>,
    pub(super) groups_aside: Vec<GroupAside>,
    /// By the sink's name.
    pub(super) digests: BTreeMap<String, String>,
    pub(super) counts: Totals,
    pub(super) times: Times,
    /// What it changed in the stages' state, and where that is afterwards.
    pub(super) delta: Arc<Delta>,
    pub(super) stages: Stages,
    /// Records of sources that cannot be read twice.
    pub(super) kept: Vec<Chunk>,
    /// Every source has ended with it.
    pub(super) finished: bool,
}

impl Outcome {
    /// An outcome without rows yet.
    pub(super) fn begin(active: Arc<Active>, batch: BatchNumber, spans: Spans) -> Outcome {
        let topics = active.topics();
        let mut topic_spans: TopicSpans = by_topic(&topics, &spans);
        for topic in topics {
            topic_spans.entry(topic).or_default(); // or its last partition, once it is over, would not be forgotten
        }
        let counts = Totals { records_in: spans.values().map(|span| span.records).sum(), ..Totals::default() };
        Outcome {
            batch,
            topic_spans,
            rows: vec![Vec::new(); active.plan.sinks.len()],
            spans,
            active,
            counts,
            letters: Vec::new(),
            set_aside: Vec::new(),
            groups_aside: Vec::new(),
            digests: BTreeMap::new(),
            times: Times::default(),
            delta: Arc::default(),
            stages: Stages::new(),
            kept: Vec::new(),
            finished: false,
        }
    }

    /// Takes what the lanes answered for `cut`'s chunks, as the job's policy for failed records says.
    pub(super) fn take_answers(&mut self, cut: &Cut, answers: Vec<ChunkAnswer>) -> Result<(), VersionFault> {
        let topics = self.active.topics();
        for (chunk, answer) in cut.chunks.iter().zip(answers) {
            self.counts.dropped += answer.dropped;
            self.counts.late += answer.late;
            self.faults(chunk, &answer, &topics)?;
            for (sink, rows) in answer.rows.into_iter().enumerate() {
                self.rows[sink].extend(rows);
            }
        }
        Ok(())
    }

    /// Takes what the keyed stages made.
    pub(super) fn take_keyed(&mut self, made: keyed::Made) -> Result<(), VersionFault> {
        self.counts.late += made.late;
        for (sink, rows) in made.rows.into_iter().enumerate() {
            self.rows[sink].extend(rows);
        }
        for letter in made.letters {
            match self.active.settings.on_error {
                OnError::DeadLetter => self.letters.push(DeadLetter {
                    origin: None,
                    stage: letter.stage,
                    reason: letter.reason,
                    time_ms: letter.time_ms,
                    key: Some(letter.key),
                    value: Some(letter.value),
                }),
                OnError::Skip => self.counts.skipped += 1,
                OnError::Stop => {
                    let (stage, key) = (letter.stage, letter.key.escape_ascii().to_string());
                    return Err(VersionFault::Stop(format!("stage `{stage}`, key `{key}`: {}", letter.reason)));
                }
            }
        }
        Ok(())
    }

    /// Counts and digests what it has.
    pub(super) fn close(mut self) -> Outcome {
        self.counts.dead_letters = self.letters.len() as u64;
        for (sink, rows) in self.active.plan.sinks.iter().zip(&self.rows) {
            let mut digest = RowDigest::default();
            rows.iter().for_each(|rows| digest.add(rows));
            self.digests.insert(sink.name.clone(), digest.finish());
            self.counts.rows.insert(sink.name.clone(), rows.iter().map(|rows| rows.len() as u64).sum());
        }
        self
    }

    fn faults(&mut self, chunk: &Chunk, answer: &ChunkAnswer, topics: &[String]) -> Result<(), VersionFault> {
        let source = usize::from(chunk.partition.source);
        let (topic, stage) = (&topics[source], &self.active.plan.sources[source].name);
        for &cut in &answer.cuts {
            let (topic, offset) = (topic.clone(), chunk.offsets[cut as usize]);
            self.set_aside.push(SetAside { topic, partition: chunk.partition.id, offset, reason: None });
        }
        for fault in &answer.faults {
            let record = chunk.get(fault.position as usize);
            if fault.by_host {
                let (topic, reason) = (topic.clone(), Some(fault.reason.clone()));
                self.set_aside.push(SetAside { topic, partition: chunk.partition.id, offset: record.offset, reason });
            }
            match self.active.settings.on_error {
                OnError::DeadLetter => self.letters.push(DeadLetter {
                    origin: Some((chunk.partition, record.offset)),
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
        Ok(())
    }
}
