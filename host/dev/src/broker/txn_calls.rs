//! The requests of transactional and idempotent producers.

use super::offset_calls::{check_metadata, committed};
use super::txns::{PendingOffset, Phase, Txn, lock};
use super::{Broker, BrokerError, CallError, code_of};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse, EndTxnRequest, EndTxnResponse, InitProducerIdRequest,
    InitProducerIdResponse, ProducerId, TxnOffsetCommitRequest, TxnOffsetCommitResponse,
};
use streamhost_core::clock::{monotonic, now_ms};
use streamhost_core::limits::{BROKER_TRANSACTION_ITEMS_MAX, BROKER_TRANSACTION_TIME_MAX};

/// Older versions do not know the newer word for it.
fn fenced(is_new_word_known: bool) -> ResponseError {
    if is_new_word_known {
        ResponseError::ProducerFenced
    } else {
        ResponseError::InvalidProducerEpoch
    }
}

impl Broker {
    pub(super) fn init_producer_id(
        &self,
        asked: &InitProducerIdRequest,
        version: i16,
    ) -> InitProducerIdResponse {
        let begun = match &asked.transactional_id {
            None => self
                .transactions
                .new_producer_id(&self.store)
                .map(|id| (id, 0))
                .map_err(CallError::from),
            Some(id) => self.init_transactional(id, asked, version),
        };
        let response = InitProducerIdResponse::default();
        match begun {
            Ok((id, epoch)) => response
                .with_producer_id(ProducerId(id))
                .with_producer_epoch(epoch),
            Err(error) => {
                let response = response
                    .with_producer_id(ProducerId(-1))
                    .with_producer_epoch(-1);
                response.with_error_code(error.code())
            }
        }
    }

    fn init_transactional(
        &self,
        id: &str,
        asked: &InitProducerIdRequest,
        version: i16,
    ) -> Result<(i64, i16), CallError> {
        if id.is_empty() {
            return Err(ResponseError::InvalidRequest.into());
        }
        let timeout_ms = i64::from(asked.transaction_timeout_ms);
        if !(1..=BROKER_TRANSACTION_TIME_MAX.as_millis() as i64).contains(&timeout_ms) {
            return Err(ResponseError::InvalidTransactionTimeout.into());
        }
        let present =
            (asked.producer_id.0 >= 0).then_some((asked.producer_id.0, asked.producer_epoch));
        self.begin_producer(id, timeout_ms, present, fenced(version >= 4), now_ms())
    }

    pub(super) fn add_partitions(
        &self,
        asked: AddPartitionsToTxnRequest,
        version: i16,
    ) -> AddPartitionsToTxnResponse {
        let names = &asked.v3_and_below_topics;
        let all = || {
            names.iter().flat_map(|topic| {
                topic
                    .partitions
                    .iter()
                    .map(|index| (topic.name.as_str(), *index))
            })
        };
        let is_known = |(topic, index)| self.topics.partition(topic, index).is_ok();
        let outcome = if all().all(is_known) {
            code_of(&self.try_add_partitions(&asked, version))
        } else {
            0
        };
        let is_any_unknown = !all().all(is_known);
        let code = |topic, index| match (is_any_unknown, is_known((topic, index))) {
            (false, _) => outcome,
            (true, true) => ResponseError::OperationNotAttempted.code(),
            (true, false) => ResponseError::UnknownTopicOrPartition.code(),
        };
        let topics = names.iter().map(|topic| {
            let results = topic.partitions.iter().map(|&index| {
                AddPartitionsToTxnPartitionResult::default()
                    .with_partition_index(index)
                    .with_partition_error_code(code(topic.name.as_str(), index))
            });
            let results = results.collect();
            AddPartitionsToTxnTopicResult::default()
                .with_name(topic.name.clone())
                .with_results_by_partition(results)
        });
        AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(topics.collect())
    }

    fn try_add_partitions(
        &self,
        asked: &AddPartitionsToTxnRequest,
        version: i16,
    ) -> Result<(), CallError> {
        let producer = (
            asked.v3_and_below_producer_id.0,
            asked.v3_and_below_producer_epoch,
        );
        self.change(
            &asked.v3_and_below_transactional_id,
            producer,
            fenced(version >= 2),
            |txn| {
                for topic in &asked.v3_and_below_topics {
                    for &index in &topic.partitions {
                        let key = self.topics.partition(&topic.name, index)?.key;
                        txn.partitions.insert((key.topic, key.partition));
                    }
                }
                Ok(())
            },
        )
    }

    /// Opens the producer's transaction if need be, changes it, and makes that durable.
    fn change(
        &self,
        id: &str,
        producer: (i64, i16),
        fenced: ResponseError,
        change: impl FnOnce(&mut Txn) -> Result<(), ResponseError>,
    ) -> Result<(), CallError> {
        let entry = self.transactions.get(id)?;
        let mut txn = lock(&entry);
        txn.check(producer, fenced)?;
        let mut next = txn.opened(now_ms());
        change(&mut next)?;
        if next
            .partitions
            .len()
            .max(next.offsets.len())
            .max(next.groups.len())
            > BROKER_TRANSACTION_ITEMS_MAX
        {
            return Err(ResponseError::PolicyViolation.into());
        }
        if next != *txn {
            let mut write = self.store.write()?;
            next.stage(&self.store, &mut write, id);
            write.commit().map_err(BrokerError::from)?;
            *txn = next;
        }
        Ok(())
    }

    pub(super) fn add_offsets(
        &self,
        asked: &AddOffsetsToTxnRequest,
        version: i16,
    ) -> AddOffsetsToTxnResponse {
        let producer = (asked.producer_id.0, asked.producer_epoch);
        let outcome = self.change(
            &asked.transactional_id,
            producer,
            fenced(version >= 2),
            |txn| {
                txn.groups.insert(asked.group_id.to_string());
                Ok(())
            },
        );
        AddOffsetsToTxnResponse::default().with_error_code(code_of(&outcome))
    }

    pub(super) fn txn_offset_commit(
        &self,
        asked: TxnOffsetCommitRequest,
        version: i16,
    ) -> TxnOffsetCommitResponse {
        let outcome = code_of(&self.try_txn_offset_commit(&asked, version));
        let topics = asked.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|partition| {
                TxnOffsetCommitResponsePartition::default()
                    .with_partition_index(partition.partition_index)
                    .with_error_code(outcome)
            });
            let partitions = partitions.collect();
            TxnOffsetCommitResponseTopic::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions)
        });
        TxnOffsetCommitResponse::default().with_topics(topics.collect())
    }

    /// All offsets or none.
    fn try_txn_offset_commit(
        &self,
        asked: &TxnOffsetCommitRequest,
        version: i16,
    ) -> Result<(), CallError> {
        let producer = (asked.producer_id.0, asked.producer_epoch);
        // This request never learnt the newer word for being fenced.
        self.change(
            &asked.transactional_id,
            producer,
            ResponseError::InvalidProducerEpoch,
            |txn| {
                if !txn.groups.contains(asked.group_id.as_str()) {
                    return Err(ResponseError::InvalidTxnState);
                }
                if version >= 3 && (asked.generation_id >= 0 || !asked.member_id.is_empty()) {
                    let member = (
                        asked.member_id.as_str(),
                        asked.generation_id,
                        asked.group_instance_id.as_deref(),
                    );
                    self.groups.with(&asked.group_id, |group| {
                        group.check_commit(member, monotonic())
                    })??;
                }
                for topic in &asked.topics {
                    for partition in &topic.partitions {
                        self.topics
                            .partition(&topic.name, partition.partition_index)?;
                        check_metadata(partition.committed_metadata.as_deref())?;
                        let metadata = partition.committed_metadata.as_deref();
                        put(
                            txn,
                            PendingOffset {
                                group: asked.group_id.to_string(),
                                topic: topic.name.to_string(),
                                partition: partition.partition_index,
                                committed: committed(
                                    partition.committed_offset,
                                    partition.committed_leader_epoch,
                                    metadata,
                                ),
                            },
                        );
                    }
                }
                Ok(())
            },
        )
    }

    pub(super) fn end_txn(&self, asked: &EndTxnRequest, version: i16) -> EndTxnResponse {
        EndTxnResponse::default().with_error_code(code_of(&self.try_end_txn(asked, version)))
    }

    fn try_end_txn(&self, asked: &EndTxnRequest, version: i16) -> Result<(), CallError> {
        let entry = self.transactions.get(&asked.transactional_id)?;
        let mut txn = lock(&entry);
        txn.check(
            (asked.producer_id.0, asked.producer_epoch),
            fenced(version >= 2),
        )?;
        match (txn.phase, asked.committed) {
            (Phase::Open, commit) => {
                Ok(self.end_open(&asked.transactional_id, &mut txn, commit, now_ms())?)
            }
            // The producer did not get its answer and asks again.
            (Phase::Committed, true) | (Phase::Aborted, false) => Ok(()),
            _ => Err(ResponseError::InvalidTxnState.into()),
        }
    }
}

/// The last offset of a partition in a transaction counts.
fn put(txn: &mut Txn, new: PendingOffset) {
    let same = |old: &&mut PendingOffset| {
        old.partition == new.partition && old.topic == new.topic && old.group == new.group
    };
    match txn.offsets.iter_mut().find(same) {
        Some(old) => *old = new,
        None => txn.offsets.push(new),
    }
}
