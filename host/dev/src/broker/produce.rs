//! Producing: each partition's batch is checked, judged and written by itself.

use super::record_batch::check_produced;
use super::{Broker, CallError};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse};
use streamhost_core::clock::now_ms;

impl Broker {
    pub(super) fn produce(&self, asked: ProduceRequest) -> ProduceResponse {
        let transactional_id = asked.transactional_id.as_ref().map(|id| id.as_str());
        let mut topics = Vec::with_capacity(asked.topic_data.len());
        for topic in &asked.topic_data {
            let mut partitions = Vec::with_capacity(topic.partition_data.len());
            for partition in &topic.partition_data {
                let records = partition.records.as_deref().unwrap_or_default();
                let result = match asked.acks {
                    -1..=1 => {
                        self.produce_batch(transactional_id, &topic.name, partition.index, records)
                    }
                    _ => Err(ResponseError::InvalidRequiredAcks.into()),
                };
                let response = PartitionProduceResponse::default().with_index(partition.index);
                partitions.push(match result {
                    Ok((base_offset, start)) => response
                        .with_base_offset(base_offset)
                        .with_log_start_offset(start),
                    Err(error) => response.with_base_offset(-1).with_error_code(error.code()),
                });
            }
            let response = TopicProduceResponse::default().with_name(topic.name.clone());
            topics.push(response.with_partition_responses(partitions));
        }
        ProduceResponse::default().with_responses(topics)
    }

    /// Answers the batch's first offset and the partition's.
    fn produce_batch(
        &self,
        transactional_id: Option<&str>,
        topic: &str,
        partition: i32,
        records: &[u8],
    ) -> Result<(i64, i64), CallError> {
        let unknown = ResponseError::UnknownTopicOrPartition;
        let topic = self.topics.get(topic).ok_or(unknown)?;
        let partition = topic.partition(partition).ok_or(unknown)?;
        let header = check_produced(records, topic.config.batch_bytes_max())?;
        let append = || partition.append(&self.store, records, &header, now_ms());
        let base_offset = match (header.is_transactional(), transactional_id) {
            (false, _) => append()?,
            (true, None) => return Err(ResponseError::InvalidTxnState.into()),
            // The transaction cannot end before the batch is in, or it would be open for ever.
            (true, Some(id)) => {
                let producer = (header.producer_id, header.producer_epoch);
                self.transactions
                    .while_open(id, producer, partition.key, append)?
            }
        };
        Ok((base_offset, partition.lock().bounds.start))
    }
}
