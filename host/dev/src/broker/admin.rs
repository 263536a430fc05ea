//! Creating, changing and deleting topics.

use super::calls::text;
use super::configs::parse_topic_config;
use super::metadata::BROKER;
use super::{Broker, BrokerError, CallError, code_of};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse,
    DeleteRecordsRequest, DeleteRecordsResponse, DeleteTopicsRequest, DeleteTopicsResponse,
};
use streamhost_core::limits::{
    BROKER_PARTITIONS_MAX, BROKER_TOPIC_PARTITIONS_MAX, BROKER_TOPICS_MAX,
};

/// A refusal, and in words what to do about it.
struct Told {
    error: CallError,
    words: Option<String>,
}

impl<E: Into<CallError>> From<E> for Told {
    fn from(error: E) -> Told {
        Told {
            error: error.into(),
            words: None,
        }
    }
}

fn told(error: ResponseError, words: impl Into<String>) -> Told {
    Told {
        error: error.into(),
        words: Some(words.into()),
    }
}

impl Broker {
    pub(super) fn create_topics(&self, asked: CreateTopicsRequest) -> CreateTopicsResponse {
        let results = asked.topics.iter().map(|topic| {
            let result = CreatableTopicResult::default().with_name(topic.name.clone());
            match self.create_topic(topic, asked.validate_only) {
                Ok(()) => result,
                Err(Told { error, words }) => result
                    .with_error_code(error.code())
                    .with_error_message(words.as_deref().map(text)),
            }
        });
        CreateTopicsResponse::default().with_topics(results.collect())
    }

    fn create_topic(&self, asked: &CreatableTopic, only_check: bool) -> Result<(), Told> {
        if !matches!(asked.replication_factor, -1 | 1) {
            let words = "the embedded broker is one broker: ask for replication factor 1";
            return Err(told(ResponseError::InvalidReplicationFactor, words));
        }
        if asked
            .assignments
            .iter()
            .any(|assigned| assigned.broker_ids != [BROKER])
        {
            return Err(told(
                ResponseError::InvalidReplicaAssignment,
                "the only broker is number 1",
            ));
        }
        let partitions = match (asked.assignments.len(), asked.num_partitions) {
            (0, -1) => self.settings.partitions_default,
            (0, partitions) => u32::try_from(partitions).unwrap_or(0),
            (assigned, _) => u32::try_from(assigned).unwrap_or(u32::MAX),
        };
        if !(1..=BROKER_TOPIC_PARTITIONS_MAX).contains(&partitions) {
            let words =
                format!("{partitions} partitions: ask for 1 to {BROKER_TOPIC_PARTITIONS_MAX}");
            return Err(told(ResponseError::InvalidPartitions, words));
        }
        let pairs = asked
            .configs
            .iter()
            .map(|config| (config.name.as_str(), config.value.as_deref()));
        let config =
            parse_topic_config(pairs).map_err(|words| told(ResponseError::InvalidConfig, words))?;
        match self
            .topics
            .create(&self.store, &asked.name, partitions, config, only_check)
        {
            Ok(_) => Ok(()),
            Err(CallError::Refused(ResponseError::PolicyViolation)) => {
                let words =
                    format!("there are {BROKER_TOPICS_MAX} topics already: delete one first");
                Err(told(ResponseError::PolicyViolation, words))
            }
            Err(CallError::Refused(ResponseError::InvalidPartitions)) => {
                let words = format!(
                    "all topics together may have {BROKER_PARTITIONS_MAX} partitions: delete one first"
                );
                Err(told(ResponseError::InvalidPartitions, words))
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn delete_topics(&self, asked: DeleteTopicsRequest) -> DeleteTopicsResponse {
        let results = asked.topic_names.into_iter().map(|name| {
            let code = code_of(&self.topics.delete(&self.store, &name));
            DeletableTopicResult::default()
                .with_name(Some(name))
                .with_error_code(code)
        });
        DeleteTopicsResponse::default().with_responses(results.collect())
    }

    pub(super) fn create_partitions(
        &self,
        asked: CreatePartitionsRequest,
    ) -> CreatePartitionsResponse {
        let results = asked.topics.iter().map(|topic| {
            let code = code_of(&self.grow_topic(topic, asked.validate_only));
            CreatePartitionsTopicResult::default()
                .with_name(topic.name.clone())
                .with_error_code(code)
        });
        CreatePartitionsResponse::default().with_results(results.collect())
    }

    fn grow_topic(&self, asked: &CreatePartitionsTopic, only_check: bool) -> Result<(), CallError> {
        let count = u32::try_from(asked.count).map_err(|_| ResponseError::InvalidPartitions)?;
        let mut assigned = asked.assignments.iter().flatten();
        if assigned.any(|assigned| assigned.broker_ids != [BROKER]) {
            return Err(ResponseError::InvalidReplicaAssignment.into());
        }
        self.topics
            .grow(&self.store, &asked.name, count, only_check)
    }

    pub(super) fn delete_records(&self, asked: DeleteRecordsRequest) -> DeleteRecordsResponse {
        let mut topics = Vec::with_capacity(asked.topics.len());
        for topic in asked.topics {
            let partitions = topic.partitions.iter().map(|partition| {
                let found = self
                    .topics
                    .partition(&topic.name, partition.partition_index)
                    .map_err(CallError::from);
                let start =
                    found.and_then(|found| found.delete_before(&self.store, partition.offset));
                DeleteRecordsPartitionResult::default()
                    .with_partition_index(partition.partition_index)
                    .with_error_code(code_of(&start))
                    .with_low_watermark(start.unwrap_or(-1))
            });
            let partitions = partitions.collect();
            topics.push(
                DeleteRecordsTopicResult::default()
                    .with_name(topic.name)
                    .with_partitions(partitions),
            );
        }
        DeleteRecordsResponse::default().with_topics(topics)
    }

    /// Applies retention, and removes what deleted topics left: a bounded part of each. `true`:
    /// there is more.
    pub(super) fn remove_old(&self, now_ms: i64) -> Result<bool, BrokerError> {
        let mut is_more = self.topics.sweep(&self.store)?;
        for topic in self.topics.all() {
            let retention = topic.config.retention(&self.settings);
            for partition in topic.partitions() {
                is_more |= partition.retain(&self.store, retention, now_ms)?;
            }
        }
        Ok(is_more)
    }
}
