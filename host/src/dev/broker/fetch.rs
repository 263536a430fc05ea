//! Fetching: reads what there is, or waits for it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_request::FetchPartition;
use kafka_protocol::messages::fetch_response::{AbortedTransaction, FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::{BrokerId, FetchRequest, FetchResponse, ProducerId};

use super::calls::Caller;
use super::read::{Found, Isolation, Room};
use super::signal::Wake;
use super::{Broker, CallError};
use crate::limits::{BROKER_FETCH_BYTES_MAX, BROKER_FETCH_WAIT_MAX};

/// What one look over all partitions of a fetch has gathered.
#[derive(Default)]
struct Gathered {
    topics: Vec<FetchableTopicResponse>,
    bytes: usize,
    has_error: bool,
}

impl Broker {
    pub(super) fn fetch(&self, caller: &Caller, asked: FetchRequest) -> FetchResponse {
        // Sessions are never handed out (the answer's is 0, so every fetch is a full one); one that is asked for is not ours.
        if asked.session_id != 0 {
            return FetchResponse::default().with_error_code(ResponseError::FetchSessionIdNotFound.code());
        }
        let wait = Duration::from_millis(u64::try_from(asked.max_wait_ms).unwrap_or(0)).min(BROKER_FETCH_WAIT_MAX);
        let deadline = Instant::now() + wait;
        let bytes_least = usize::try_from(asked.min_bytes).unwrap_or(0).min(BROKER_FETCH_BYTES_MAX);
        let mut gathered = self.gather(&asked);
        while gathered.bytes < bytes_least && !gathered.has_error {
            caller.signal.lower();
            self.wait_for(caller, &asked);
            gathered = self.gather(&asked); // what came before we were known to wait
            let is_enough = gathered.bytes >= bytes_least || gathered.has_error;
            if is_enough || caller.signal.wait_until(deadline) != Wake::Raised {
                break;
            }
            gathered = self.gather(&asked);
        }
        FetchResponse::default().with_responses(gathered.topics)
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

    fn gather(&self, asked: &FetchRequest) -> Gathered {
        let bytes_max = usize::try_from(asked.max_bytes).unwrap_or(0).min(BROKER_FETCH_BYTES_MAX);
        let isolation = Isolation::from_level(asked.isolation_level);
        let mut gathered = Gathered::default();
        for topic in &asked.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in &topic.partitions {
                let room = Room {
                    bytes: bytes_max
                        .saturating_sub(gathered.bytes)
                        .min(usize::try_from(partition.partition_max_bytes).unwrap_or(0)),
                    one_at_least: gathered.bytes == 0,
                };
                let result = self.fetch_partition(&topic.topic, partition, room, isolation);
                gathered.has_error |= result.is_err();
                gathered.bytes += result.as_ref().map_or(0, |found| found.records.len());
                partitions.push(partition_data(partition.partition, result, isolation));
            }
            let response = FetchableTopicResponse::default().with_topic(topic.topic.clone());
            gathered.topics.push(response.with_partitions(partitions));
        }
        gathered
    }

    fn fetch_partition(
        &self,
        topic: &str,
        asked: &FetchPartition,
        room: Room,
        isolation: Isolation,
    ) -> Result<Found, CallError> {
        // There is one leader epoch for ever: 0.
        if asked.current_leader_epoch > 0 {
            return Err(ResponseError::UnknownLeaderEpoch.into());
        }
        self.topics.partition(topic, asked.partition)?.read(&self.store, asked.fetch_offset, room, isolation)
    }
}

fn partition_data(index: i32, result: Result<Found, CallError>, isolation: Isolation) -> PartitionData {
    let data = PartitionData::default().with_partition_index(index).with_preferred_read_replica(BrokerId(-1));
    let found = match result {
        Ok(found) => found,
        Err(error) => {
            let data = data.with_error_code(error.code()).with_high_watermark(-1).with_last_stable_offset(-1);
            return data.with_log_start_offset(-1).with_records(Some(Bytes::new()));
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
