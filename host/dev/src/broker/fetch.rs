//! Fetching: reads what there is, or waits for it.

use super::calls::Caller;
use super::log::Partition;
use super::read::{Found, Isolation, Room};
use super::signal::Wake;
use super::{Broker, CallError};
use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_request::FetchPartition;
use kafka_protocol::messages::fetch_response::{
    AbortedTransaction, FetchableTopicResponse, PartitionData,
};
use kafka_protocol::messages::{BrokerId, FetchRequest, FetchResponse, ProducerId};
use std::sync::Arc;
use std::time::Duration;
use streamhost_core::clock::monotonic;
use streamhost_core::limits::{BROKER_FETCH_BYTES_MAX, BROKER_FETCH_WAIT_MAX};

impl Broker {
    pub(super) fn fetch(&self, caller: &Caller, asked: FetchRequest) -> FetchResponse {
        // Sessions are never handed out (the answer's is 0, so every fetch is a full one); one that
        // is asked for is not ours.
        if asked.session_id != 0 {
            return FetchResponse::default()
                .with_error_code(ResponseError::FetchSessionIdNotFound.code());
        }
        let wait = Duration::from_millis(u64::try_from(asked.max_wait_ms).unwrap_or(0))
            .min(BROKER_FETCH_WAIT_MAX);
        let deadline = monotonic() + wait;
        let enough = usize::try_from(asked.min_bytes)
            .unwrap_or(0)
            .min(BROKER_FETCH_BYTES_MAX);
        while !self.has(&asked, enough) {
            caller.signal.lower();
            self.wait_for(caller, &asked);
            // Once more: what came before we were known to wait.
            if self.has(&asked, enough) || caller.signal.wait_until(deadline) != Wake::Raised {
                break;
            }
        }
        FetchResponse::default().with_responses(self.gather(&asked))
    }

    /// Whether there is something to answer now: enough bytes, or an error. Reads no records.
    fn has(&self, asked: &FetchRequest, enough: usize) -> bool {
        let isolation = Isolation::from_level(asked.isolation_level);
        let mut bytes = 0;
        for topic in &asked.topics {
            for partition in &topic.partitions {
                let (room, left) = (room(asked, partition, bytes), enough.saturating_sub(bytes));
                let weigh = |found: Arc<Partition>| {
                    found.weigh(&self.store, partition.fetch_offset, room, isolation, left)
                };
                match self.fetched(&topic.topic, partition).and_then(weigh) {
                    Ok(more) => bytes += more,
                    Err(_) => return true,
                }
            }
        }
        bytes >= enough
    }

    fn wait_for(&self, caller: &Caller, asked: &FetchRequest) {
        for topic in &asked.topics {
            for partition in &topic.partitions {
                if let Ok(partition) = self.topics.partition(&topic.topic, partition.partition) {
                    partition.lock().wait(&caller.signal);
                }
            }
        }
    }

    fn gather(&self, asked: &FetchRequest) -> Vec<FetchableTopicResponse> {
        let isolation = Isolation::from_level(asked.isolation_level);
        let mut bytes = 0;
        let mut topics = Vec::with_capacity(asked.topics.len());
        for topic in &asked.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in &topic.partitions {
                let room = room(asked, partition, bytes);
                let read = |found: Arc<Partition>| {
                    found.read(&self.store, partition.fetch_offset, room, isolation)
                };
                let result = self.fetched(&topic.topic, partition).and_then(read);
                bytes += result.as_ref().map_or(0, |found| found.records.len());
                partitions.push(partition_data(partition.partition, result, isolation));
            }
            let response = FetchableTopicResponse::default().with_topic(topic.topic.clone());
            topics.push(response.with_partitions(partitions));
        }
        topics
    }

    fn fetched(&self, topic: &str, asked: &FetchPartition) -> Result<Arc<Partition>, CallError> {
        // There is one leader epoch for ever: 0.
        if asked.current_leader_epoch > 0 {
            return Err(ResponseError::UnknownLeaderEpoch.into());
        }
        Ok(self.topics.partition(topic, asked.partition)?)
    }
}

/// The room that a partition has in an answer behind `taken` bytes.
fn room(asked: &FetchRequest, partition: &FetchPartition, taken: usize) -> Room {
    let bytes_max = usize::try_from(asked.max_bytes)
        .unwrap_or(0)
        .min(BROKER_FETCH_BYTES_MAX);
    let of_partition = usize::try_from(partition.partition_max_bytes).unwrap_or(0);
    Room {
        bytes: bytes_max.saturating_sub(taken).min(of_partition),
        one_at_least: taken == 0,
    }
}

fn partition_data(
    index: i32,
    result: Result<Found, CallError>,
    isolation: Isolation,
) -> PartitionData {
    let data = PartitionData::default()
        .with_partition_index(index)
        .with_preferred_read_replica(BrokerId(-1));
    let found = match result {
        Ok(found) => found,
        Err(error) => {
            let data = data
                .with_error_code(error.code())
                .with_high_watermark(-1)
                .with_last_stable_offset(-1);
            return data
                .with_log_start_offset(-1)
                .with_records(Some(Bytes::new()));
        }
    };
    let aborted = found.aborted.iter().map(|aborted| {
        let entry = AbortedTransaction::default().with_producer_id(ProducerId(aborted.producer_id));
        entry.with_first_offset(aborted.first)
    });
    let aborted = (isolation == Isolation::Committed).then(|| aborted.collect());
    data.with_high_watermark(found.next)
        .with_last_stable_offset(found.last_stable)
        .with_log_start_offset(found.start)
        .with_aborted_transactions(aborted)
        .with_records(Some(found.records))
}
