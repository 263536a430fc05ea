//! Committing, reading and deleting the offsets of consumer groups.

use super::calls::text;
use super::offsets::{self, Committed};
use super::topics::check_name;
use super::{Broker, BrokerError, CallError, code_of};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponsePartition, OffsetFetchResponseTopic,
};
use kafka_protocol::messages::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse,
    OffsetFetchRequest, OffsetFetchResponse, TopicName,
};
use streamhost_core::limits::BROKER_OFFSET_METADATA_BYTES_MAX;

pub(super) fn check_metadata(metadata: Option<&str>) -> Result<(), ResponseError> {
    let fits = metadata.is_none_or(|metadata| metadata.len() <= BROKER_OFFSET_METADATA_BYTES_MAX);
    if fits {
        Ok(())
    } else {
        Err(ResponseError::OffsetMetadataTooLarge)
    }
}

pub(super) fn committed(offset: i64, leader_epoch: i32, metadata: Option<&str>) -> Committed {
    Committed {
        offset,
        leader_epoch,
        metadata: metadata.unwrap_or_default().to_owned(),
    }
}

impl Broker {
    pub(super) fn offset_commit(&self, asked: OffsetCommitRequest) -> OffsetCommitResponse {
        let partitions = asked
            .topics
            .iter()
            .flat_map(|topic| topic.partitions.iter().map(move |each| (topic, each)));
        let checks = partitions.map(|(topic, each)| {
            self.topics.partition(&topic.name, each.partition_index)?;
            check_metadata(each.committed_metadata.as_deref())
        });
        let checks: Vec<Result<(), ResponseError>> = checks.collect();
        let (member, generation) = (
            asked.member_id.as_str(),
            asked.generation_id_or_member_epoch,
        );
        let instance = asked.group_instance_id.as_deref();
        // The group cannot change or be deleted between the check of the member and the write.
        let write = || self.write_offsets(&asked, &checks);
        let code = code_of(&self.groups.while_member(
            &asked.group_id,
            (member, generation, instance),
            write,
        ));
        let mut checks = checks.into_iter();
        let topics = asked.topics.iter().map(|topic| {
            let partitions =
                topic
                    .partitions
                    .iter()
                    .zip(checks.by_ref())
                    .map(|(partition, check)| {
                        OffsetCommitResponsePartition::default()
                            .with_partition_index(partition.partition_index)
                            .with_error_code(check.map_or_else(|error| error.code(), |()| code))
                    });
            let partitions = partitions.collect();
            OffsetCommitResponseTopic::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions)
        });
        OffsetCommitResponse::default().with_topics(topics.collect())
    }

    fn write_offsets(
        &self,
        asked: &OffsetCommitRequest,
        checks: &[Result<(), ResponseError>],
    ) -> Result<(), CallError> {
        let mut write = self.store.write_synced()?;
        let partitions = asked
            .topics
            .iter()
            .flat_map(|topic| topic.partitions.iter().map(move |each| (topic, each)));
        for ((topic, each), _) in partitions.zip(checks).filter(|(_, check)| check.is_ok()) {
            let metadata = each.committed_metadata.as_deref();
            let value = committed(each.committed_offset, each.committed_leader_epoch, metadata);
            offsets::stage(
                &self.store,
                &mut write,
                (&asked.group_id, &topic.name, each.partition_index),
                &value,
            );
        }
        Ok(write.commit().map_err(BrokerError::from)?)
    }

    pub(super) fn offset_fetch(
        &self,
        asked: OffsetFetchRequest,
        version: i16,
    ) -> OffsetFetchResponse {
        match self.try_offset_fetch(&asked, version) {
            Ok(topics) => OffsetFetchResponse::default().with_topics(topics),
            Err(error) => {
                let code = error.code();
                // Version 1 has an error for each partition only.
                let topics = asked.topics.into_iter().flatten().map(|topic| {
                    let failed = |index: &i32| no_offset(*index).with_error_code(code);
                    let failed = topic.partition_indexes.iter().map(failed).collect();
                    OffsetFetchResponseTopic::default()
                        .with_name(topic.name)
                        .with_partitions(failed)
                });
                let response = OffsetFetchResponse::default().with_topics(topics.collect());
                if version >= 2 {
                    response.with_error_code(code)
                } else {
                    response
                }
            }
        }
    }

    fn try_offset_fetch(
        &self,
        asked: &OffsetFetchRequest,
        version: i16,
    ) -> Result<Vec<OffsetFetchResponseTopic>, CallError> {
        let group = asked.group_id.as_str();
        // Before the offsets are read: a transaction that ends in between has then written them.
        let pending = if asked.require_stable {
            self.transactions.pending_of_group(group)
        } else {
            Default::default()
        };
        let answer = |topic: &str, index: i32, found: Option<Committed>| {
            if pending.contains(&(topic.to_owned(), index)) {
                return no_offset(index)
                    .with_error_code(ResponseError::UnstableOffsetCommit.code());
            }
            let Some(found) = found else {
                return no_offset(index);
            };
            let partition = no_offset(index)
                .with_committed_offset(found.offset)
                .with_metadata(Some(text(&found.metadata)));
            if version >= 5 {
                partition.with_committed_leader_epoch(found.leader_epoch)
            } else {
                partition
            }
        };
        // One view of all, or a transaction that ends meanwhile would be seen by half.
        let view = self.store.view();
        let mut topics: Vec<OffsetFetchResponseTopic> = Vec::new();
        let Some(wanted) = &asked.topics else {
            for (topic, index, found) in offsets::all_of_group(&view, &self.store, group)? {
                if topics.last().is_none_or(|last| last.name.as_str() != topic) {
                    topics.push(
                        OffsetFetchResponseTopic::default().with_name(TopicName(text(&topic))),
                    );
                }
                let last = topics.last_mut().expect("there is one now");
                last.partitions.push(answer(&topic, index, Some(found)));
            }
            return Ok(topics);
        };
        for topic in wanted {
            // No topic can have such a name, so nothing is committed for it; and two long names
            // would be no key.
            let is_topic = check_name(&topic.name).is_ok();
            let mut partitions = Vec::with_capacity(topic.partition_indexes.len());
            for &index in &topic.partition_indexes {
                let found = match is_topic {
                    true => offsets::get(&view, &self.store, group, &topic.name, index)?,
                    false => None,
                };
                partitions.push(answer(&topic.name, index, found));
            }
            topics.push(
                OffsetFetchResponseTopic::default()
                    .with_name(topic.name.clone())
                    .with_partitions(partitions),
            );
        }
        Ok(topics)
    }

    pub(super) fn offset_delete(&self, asked: OffsetDeleteRequest) -> OffsetDeleteResponse {
        // Kafka spares topics that members are subscribed to; here the group must be empty.
        let delete = || {
            if !offsets::has_group(&self.store, &asked.group_id) {
                return Err(ResponseError::GroupIdNotFound.into());
            }
            let mut write = self.store.removal();
            for topic in asked
                .topics
                .iter()
                .filter(|topic| self.topics.get(&topic.name).is_some())
            {
                for partition in &topic.partitions {
                    let place = (
                        asked.group_id.as_str(),
                        topic.name.as_str(),
                        partition.partition_index,
                    );
                    offsets::stage_forget(&self.store, &mut write, place);
                }
            }
            Ok(write.commit().map_err(BrokerError::from)?)
        };
        let outcome = self.groups.while_empty(&asked.group_id, delete);
        let topics = asked.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|partition| {
                let known = self
                    .topics
                    .partition(&topic.name, partition.partition_index);
                OffsetDeleteResponsePartition::default()
                    .with_partition_index(partition.partition_index)
                    .with_error_code(known.map_or_else(|error| error.code(), |_| 0))
            });
            let partitions = partitions.collect();
            OffsetDeleteResponseTopic::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions)
        });
        match &outcome {
            Ok(()) => OffsetDeleteResponse::default().with_topics(topics.collect()),
            Err(error) => OffsetDeleteResponse::default().with_error_code(error.code()),
        }
    }
}

fn no_offset(index: i32) -> OffsetFetchResponsePartition {
    OffsetFetchResponsePartition::default()
        .with_partition_index(index)
        .with_committed_offset(-1)
        .with_committed_leader_epoch(-1)
        .with_metadata(Some(text("")))
}
