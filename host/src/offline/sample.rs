//! Records of a live topic as a run's input.

use super::Input;
use super::input::{number, only};
use anyhow::{Context, bail};
use std::time::{Duration, Instant};
use streamhost_connectors::kafka::{KafkaSettings, KafkaSource};
use streamhost_core::job::settings::BatchLimits;
use streamhost_core::job::{JobSpec, SourceSpec};
use streamhost_core::types::{Partition, Positions};
use streamhost_core::{clock, limits};
use streamhost_engine::batch::BatchBuilder;
use streamhost_engine::source::{Source, SourceError};

/// A slice of one partition of a topic.
#[derive(Clone, Debug)]
pub struct TopicSample {
    /// The topic.
    pub topic: String,
    /// The source that it stands for; none: the job's only one.
    pub source: Option<String>,
    /// The partition.
    pub partition: i32,
    /// The first offset.
    pub offset: i64,
    /// How many records at most.
    pub count: usize,
}

/// The consumer group that a sample's reader names. It commits nothing.
const GROUP: &str = "streamhost-test";

impl TopicSample {
    /// Appends the records, with their offsets. It ends where the partition does.
    ///
    /// # Errors
    /// What the brokers said, the topic or partition that is not there, or an offset whose record
    /// is gone.
    pub fn read(
        &self,
        kafka: &KafkaSettings,
        job: &JobSpec,
        input: &mut Input,
    ) -> anyhow::Result<()> {
        let own = match &self.source {
            Some(name) => number(job, name)?,
            None => only(job)?,
        };
        let spec = SourceSpec {
            name: self.topic.clone(),
            target: self.topic.clone(),
            ..SourceSpec::default()
        };
        let mut source = KafkaSource::new(kafka, &[spec], &[0].into(), GROUP)?.until_end();
        let at = Partition {
            source: 0,
            id: self.partition,
        };
        let until = clock::monotonic() + limits::SAMPLE_TIME;
        let assigned: Positions = [(at, self.offset)].into();
        patient(until, || {
            if !source.partitions()?.contains(&at) {
                return Ok(false);
            }
            source.assign(&assigned).map(|()| true)
        })?
        .then_some(())
        .with_context(|| format!("topic `{}` has no partition {}", self.topic, self.partition))?;
        let mut builder = BatchBuilder::open(
            &assigned,
            BatchLimits {
                records_max: self.count,
                bytes_max: limits::OFFLINE_INPUT_BYTES_MAX,
            },
        );
        while !builder.is_full() && !source.is_exhausted(&builder.end_positions()) {
            patient(until, || source.fetch(&mut builder, limits::LOOK_TIME))?;
            if clock::monotonic() > until {
                bail!(
                    "topic `{}` gave {} records of {} in {}",
                    self.topic,
                    builder.records(),
                    self.count,
                    humantime::format_duration(limits::SAMPLE_TIME)
                );
            }
        }
        let own = Partition {
            source: own,
            id: self.partition,
        };
        let mut left = self.count;
        for chunk in builder.close().chunks {
            for i in 0..chunk.len().min(left) {
                let record = chunk.get(i);
                input.begin_at(own, record.offset);
                let (key, value) = (
                    record.key.map(<[u8]>::to_vec),
                    record.value.map(<[u8]>::to_vec),
                );
                input.push(own, key, value, record.time_ms);
            }
            left -= chunk.len().min(left);
        }
        Ok(())
    }
}

/// Calls again while the brokers are away, until a time.
fn patient<T>(
    until: Instant,
    mut call: impl FnMut() -> Result<T, SourceError>,
) -> Result<T, SourceError> {
    loop {
        match call() {
            Err(error) if error.may_pass() && clock::monotonic() < until => {
                std::thread::sleep(RETRY);
            }
            done => return done,
        }
    }
}

/// Between two calls.
const RETRY: Duration = Duration::from_millis(100);
