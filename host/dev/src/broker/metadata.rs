//! What clients ask first: what is supported, which topics there are, and where everything is,
//! which is here.

use super::calls::{Caller, text};
use super::topics::{Topic, TopicConfig};
use super::wire::APIS;
use super::{Broker, CallError};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    ApiVersionsResponse, BrokerId, DescribeClusterResponse, FindCoordinatorRequest,
    FindCoordinatorResponse, MetadataRequest, MetadataResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;

/// The only broker's number.
pub(super) const BROKER: BrokerId = BrokerId(1);
const CLUSTER: &str = "streamhost-dev";
/// From here on Metadata tells topics' ids.
const TOPIC_IDS_VERSION: i16 = 10;

pub(super) fn api_versions() -> ApiVersionsResponse {
    let entry = |api: &super::wire::Api| {
        ApiVersion::default()
            .with_api_key(api.key as i16)
            .with_min_version(api.min)
            .with_max_version(api.max)
    };
    ApiVersionsResponse::default().with_api_keys(APIS.iter().map(entry).collect())
}

/// The broker's host, as the client reached it.
fn host(caller: &Caller) -> StrBytes {
    text(&caller.local.ip().to_canonical().to_string())
}

fn port(caller: &Caller) -> i32 {
    i32::from(caller.local.port())
}

pub(super) fn describe_cluster(caller: &Caller) -> DescribeClusterResponse {
    let broker = DescribeClusterBroker::default()
        .with_broker_id(BROKER)
        .with_host(host(caller))
        .with_port(port(caller));
    DescribeClusterResponse::default()
        .with_cluster_id(text(CLUSTER))
        .with_controller_id(BROKER)
        .with_brokers(vec![broker])
}

pub(super) fn find_coordinator(
    caller: &Caller,
    asked: &FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    let response = FindCoordinatorResponse::default();
    if !(0..=1).contains(&asked.key_type) {
        return response
            .with_error_code(ResponseError::InvalidRequest.code())
            .with_node_id(BrokerId(-1))
            .with_port(-1);
    }
    response
        .with_node_id(BROKER)
        .with_host(host(caller))
        .with_port(port(caller))
}

impl Broker {
    pub(super) fn metadata(
        &self,
        caller: &Caller,
        asked: MetadataRequest,
        version: i16,
    ) -> MetadataResponse {
        let topics = match asked.topics {
            Some(topics) if version > 0 || !topics.is_empty() => {
                let names = topics.into_iter().filter_map(|topic| topic.name);
                names
                    .map(|name| {
                        self.describe_or_create(name, asked.allow_auto_topic_creation, version)
                    })
                    .collect()
            }
            _ => self
                .topics
                .all()
                .iter()
                .map(|topic| describe(topic, version))
                .collect(),
        };
        let broker = MetadataResponseBroker::default().with_node_id(BROKER);
        MetadataResponse::default()
            .with_brokers(vec![broker.with_host(host(caller)).with_port(port(caller))])
            .with_cluster_id(Some(text(CLUSTER)))
            .with_controller_id(BROKER)
            .with_topics(topics)
    }

    fn describe_or_create(
        &self,
        name: TopicName,
        may_create: bool,
        version: i16,
    ) -> MetadataResponseTopic {
        let topic = match self.topics.get(&name) {
            Some(topic) => Ok(topic),
            None if may_create && self.settings.auto_create_topics => self.auto_create(&name),
            None => Err(ResponseError::UnknownTopicOrPartition.into()),
        };
        match topic {
            Ok(topic) => describe(&topic, version),
            Err(error) => MetadataResponseTopic::default()
                .with_name(Some(name))
                .with_error_code(error.code()),
        }
    }

    fn auto_create(&self, name: &str) -> Result<std::sync::Arc<Topic>, CallError> {
        let partitions = self.settings.partitions_default;
        match self
            .topics
            .create(&self.store, name, partitions, TopicConfig::default(), false)
        {
            // Another connection was faster.
            Err(CallError::Refused(ResponseError::TopicAlreadyExists)) => self
                .topics
                .get(name)
                .ok_or(ResponseError::UnknownTopicOrPartition.into()),
            created => created,
        }
    }
}

fn describe(topic: &Topic, version: i16) -> MetadataResponseTopic {
    let partition = |index| {
        MetadataResponsePartition::default()
            .with_partition_index(index)
            .with_leader_id(BROKER)
            .with_leader_epoch(0)
            .with_replica_nodes(vec![BROKER])
            .with_isr_nodes(vec![BROKER])
    };
    let partitions = (0..topic.partition_count() as i32).map(partition).collect(); // 1000 at most
    let described = MetadataResponseTopic::default()
        .with_name(Some(TopicName(text(&topic.name))))
        .with_partitions(partitions);
    if version < TOPIC_IDS_VERSION {
        return described; // the encoder refuses what a version lacks
    }
    described.with_topic_id(
        topic
            .uuid()
            .to_vec()
            .try_into()
            .expect("an id has 16 bytes"),
    )
}
