//! Offsets by time, and the ends of partitions.

use super::read::Isolation;
use super::{Broker, CallError};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use kafka_protocol::messages::{
    ListOffsetsRequest, ListOffsetsResponse, OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
};

/// Kafka's words for the ends of a partition, in place of a time.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;

impl Broker {
    pub(super) fn list_offsets(
        &self,
        asked: ListOffsetsRequest,
        version: i16,
    ) -> ListOffsetsResponse {
        let isolation = Isolation::from_level(asked.isolation_level);
        let mut topics = Vec::with_capacity(asked.topics.len());
        for topic in asked.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in topic.partitions {
                let response = ListOffsetsPartitionResponse::default()
                    .with_partition_index(partition.partition_index);
                let found = self.offset_at(
                    &topic.name,
                    partition.partition_index,
                    partition.timestamp,
                    isolation,
                );
                partitions.push(match found {
                    Ok(Some((offset, time_ms))) => {
                        let response = response.with_offset(offset).with_timestamp(time_ms);
                        if version >= 4 {
                            response.with_leader_epoch(0)
                        } else {
                            response
                        }
                    }
                    Ok(None) => response,
                    Err(error) => response.with_error_code(error.code()),
                });
            }
            topics.push(
                ListOffsetsTopicResponse::default()
                    .with_name(topic.name)
                    .with_partitions(partitions),
            );
        }
        ListOffsetsResponse::default().with_topics(topics)
    }

    fn offset_at(
        &self,
        topic: &str,
        partition: i32,
        time_ms: i64,
        isolation: Isolation,
    ) -> Result<Option<(i64, i64)>, CallError> {
        let partition = self.topics.partition(topic, partition)?;
        match time_ms {
            LATEST => {
                let state = partition.lock();
                let end = if isolation == Isolation::Committed {
                    state.last_stable()
                } else {
                    state.bounds.next
                };
                Ok(Some((end, -1)))
            }
            EARLIEST => Ok(Some((partition.lock().bounds.start, -1))),
            time_ms if time_ms < 0 => Err(ResponseError::UnsupportedVersion.into()),
            time_ms => {
                let found = partition.find_time(&self.store, time_ms)?;
                let (start, stable) = {
                    let state = partition.lock();
                    (state.bounds.start, state.last_stable())
                };
                // A batch may begin before what is left of it.
                let found = found.map(|(offset, time_ms)| (offset.max(start), time_ms));
                Ok(found
                    .filter(|(offset, _)| isolation == Isolation::Uncommitted || *offset < stable))
            }
        }
    }

    /// There is one leader epoch for ever, so a reader's history is never cut: its end is the
    /// partition's.
    pub(super) fn offset_for_epoch(
        &self,
        asked: OffsetForLeaderEpochRequest,
    ) -> OffsetForLeaderEpochResponse {
        let mut topics = Vec::with_capacity(asked.topics.len());
        for topic in asked.topics {
            let ends = topic.partitions.iter().map(|partition| {
                let end = EpochEndOffset::default().with_partition(partition.partition);
                match self.topics.partition(&topic.topic, partition.partition) {
                    Ok(found) if partition.leader_epoch == 0 => end
                        .with_leader_epoch(0)
                        .with_end_offset(found.lock().bounds.next),
                    Ok(_) => end.with_error_code(ResponseError::UnknownLeaderEpoch.code()),
                    Err(error) => end.with_error_code(error.code()),
                }
            });
            let ends = ends.collect();
            topics.push(
                OffsetForLeaderTopicResult::default()
                    .with_topic(topic.topic)
                    .with_partitions(ends),
            );
        }
        OffsetForLeaderEpochResponse::default().with_topics(topics)
    }
}
