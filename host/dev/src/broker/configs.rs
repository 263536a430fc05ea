//! Settings of topics and of the broker, as far as Kafka's words for them are true here.

use super::calls::text;
use super::topics::TopicConfig;
use super::{Broker, Settings};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult,
};
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};
use streamhost_core::limits::BROKER_BATCH_BYTES_MAX;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const SOURCE_TOPIC: i8 = 1;
const SOURCE_DEFAULT: i8 = 5;

/// Settings of segments and replicas, of which there are none here: they change nothing that a
/// client can see.
const WITHOUT_MEANING: [&str; 15] = [
    "segment.bytes",
    "segment.ms",
    "segment.index.bytes",
    "segment.jitter.ms",
    "index.interval.bytes",
    "file.delete.delay.ms",
    "flush.messages",
    "flush.ms",
    "preallocate",
    "unclean.leader.election.enable",
    "min.cleanable.dirty.ratio",
    "min.compaction.lag.ms",
    "max.compaction.lag.ms",
    "delete.retention.ms",
    "message.timestamp.difference.max.ms",
];

/// Reads a new topic's settings. The error says which one cannot be had.
pub(super) fn parse_topic_config<'a>(
    pairs: impl Iterator<Item = (&'a str, Option<&'a str>)>,
) -> Result<TopicConfig, String> {
    let mut config = TopicConfig::default();
    for (name, value) in pairs {
        let number = || {
            let number = value
                .and_then(|value| value.parse::<i64>().ok())
                .filter(|number| *number >= -1);
            number.ok_or_else(|| format!("{name} must be a number, or -1 for no bound"))
        };
        match (name, value) {
            ("retention.ms", _) => config.retention_ms = Some(number()?),
            ("retention.bytes", _) => config.retention_bytes = Some(number()?),
            ("cleanup.policy", Some("delete"))
            | ("compression.type", Some("producer"))
            | ("message.timestamp.type", Some("CreateTime")) => {}
            ("max.message.bytes", _)
                if (0..=BROKER_BATCH_BYTES_MAX as i64).contains(&number()?) =>
            {
                config.max_message_bytes = u32::try_from(number()?).ok();
            }
            ("min.insync.replicas", Some("1")) => {}
            (name, _) if WITHOUT_MEANING.contains(&name) => {}
            (name, value) => {
                let value = value.unwrap_or("null");
                return Err(format!(
                    "the embedded broker cannot do {name}={value}; leave it out, or use a real Kafka"
                ));
            }
        }
    }
    Ok(config)
}

/// One setting: name, value, and whether the topic itself says so.
type Setting = (&'static str, String, bool);

fn topic_settings(config: TopicConfig, settings: &Settings) -> Vec<Setting> {
    let retention_ms = config
        .retention_ms
        .map_or(settings.retention.as_millis().to_string(), |ms| {
            ms.to_string()
        });
    let retention_bytes = config
        .retention_bytes
        .map_or(settings.retention_bytes.to_string(), |n| n.to_string());
    vec![
        ("cleanup.policy", "delete".to_owned(), false),
        ("compression.type", "producer".to_owned(), false),
        (
            "max.message.bytes",
            config.batch_bytes_max().to_string(),
            config.max_message_bytes.is_some(),
        ),
        ("message.timestamp.type", "CreateTime".to_owned(), false),
        ("min.insync.replicas", "1".to_owned(), false),
        (
            "retention.bytes",
            retention_bytes,
            config.retention_bytes.is_some(),
        ),
        ("retention.ms", retention_ms, config.retention_ms.is_some()),
    ]
}

fn broker_settings(settings: &Settings) -> Vec<Setting> {
    vec![
        (
            "auto.create.topics.enable",
            settings.auto_create_topics.to_string(),
            false,
        ),
        ("default.replication.factor", "1".to_owned(), false),
        ("log.cleanup.policy", "delete".to_owned(), false),
        (
            "log.retention.bytes",
            settings.retention_bytes.to_string(),
            false,
        ),
        (
            "log.retention.ms",
            settings.retention.as_millis().to_string(),
            false,
        ),
        (
            "message.max.bytes",
            BROKER_BATCH_BYTES_MAX.to_string(),
            false,
        ),
        (
            "num.partitions",
            settings.partitions_default.to_string(),
            false,
        ),
    ]
}

impl Broker {
    pub(super) fn describe_configs(
        &self,
        asked: DescribeConfigsRequest,
    ) -> DescribeConfigsResponse {
        let results = asked.resources.iter().map(|resource| {
            let result = DescribeConfigsResult::default()
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name.clone());
            match self.settings_of(resource) {
                Ok(settings) => result.with_configs(describe(resource, settings)),
                Err(error) => result.with_error_code(error.code()),
            }
        });
        DescribeConfigsResponse::default().with_results(results.collect())
    }

    fn settings_of(
        &self,
        resource: &DescribeConfigsResource,
    ) -> Result<Vec<Setting>, ResponseError> {
        match (resource.resource_type, resource.resource_name.as_str()) {
            (TOPIC, name) => {
                let topic = self
                    .topics
                    .get(name)
                    .ok_or(ResponseError::UnknownTopicOrPartition)?;
                Ok(topic_settings(topic.config, &self.settings))
            }
            (BROKER, "1" | "") => Ok(broker_settings(&self.settings)),
            _ => Err(ResponseError::InvalidRequest),
        }
    }
}

fn describe(
    resource: &DescribeConfigsResource,
    settings: Vec<Setting>,
) -> Vec<DescribeConfigsResourceResult> {
    let is_wanted = |name: &str| {
        let wanted = resource.configuration_keys.as_ref();
        wanted.is_none_or(|keys| keys.iter().any(|key| key.as_str() == name))
    };
    let settings = settings.into_iter().filter(|(name, ..)| is_wanted(name));
    let describe = |(name, value, is_own): Setting| {
        DescribeConfigsResourceResult::default()
            .with_name(text(name))
            .with_value(Some(text(&value)))
            .with_read_only(true)
            .with_config_source(if is_own { SOURCE_TOPIC } else { SOURCE_DEFAULT })
    };
    settings.map(describe).collect()
}
