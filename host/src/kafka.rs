//! What the Kafka source, sinks and dead letters share: where the brokers are, how a client is made, what its errors mean.

pub(crate) mod topic_ids;

use crate::limits;
use rdkafka::ClientContext;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

/// What errors call the server.
pub const SERVER: &str = "Kafka";

/// The `[kafka]` part of the configuration: where the brokers are, and librdkafka's own properties. A property may be
/// written plainly (`security.protocol = "sasl_plaintext"`) or quoted as one key; numbers and booleans are taken as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KafkaSettings {
    /// `host:port`, several with commas.
    pub brokers: String,
    /// librdkafka's properties by name, passed through. [`KafkaSettings::check`] refuses those that the host must decide.
    #[serde(flatten, deserialize_with = "properties")]
    pub properties: BTreeMap<String, String>,
}

impl Default for KafkaSettings {
    fn default() -> Self {
        KafkaSettings { brokers: "127.0.0.1:9092".to_owned(), properties: BTreeMap::new() }
    }
}

fn properties<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    fn flatten<E: serde::de::Error>(
        name: String,
        value: serde_json::Value,
        into: &mut BTreeMap<String, String>,
    ) -> Result<(), E> {
        use serde_json::Value;
        let text = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Bool(yes) => yes.to_string(),
            Value::Object(parts) => {
                return parts.into_iter().try_for_each(|(part, value)| flatten(format!("{name}.{part}"), value, into));
            }
            Value::Null | Value::Array(_) => {
                return Err(E::custom(format!("kafka property `{name}` must be a text, a number or a boolean")));
            }
        };
        into.insert(name, text);
        Ok(())
    }
    let mut flat = BTreeMap::new();
    for (name, value) in BTreeMap::<String, serde_json::Value>::deserialize(from)? {
        flatten(name, value, &mut flat)?;
    }
    Ok(flat)
}

const LEDGER: &str = "offsets are kept in the job's ledger, and the group is told after a checkpoint is durable";
const DURABLE: &str = "a batch counts as written only when every replica that is in sync has it";
const BOUNDED: &str = "the host bounds its memory itself";

/// Properties that would break a promise of the host, each with the reason.
const REFUSED: [(&str, &str); 35] = [
    ("bootstrap.servers", "say it as `brokers`"),
    ("metadata.broker.list", "say it as `brokers`"),
    ("group.id", "it belongs to a job: deploy with --set group=NAME"),
    ("group.instance.id", "the host assigns partitions itself"),
    ("group.protocol", "the host assigns partitions itself"),
    ("group.remote.assignor", "the host assigns partitions itself"),
    ("partition.assignment.strategy", "the host assigns partitions itself"),
    ("enable.auto.commit", LEDGER),
    ("auto.commit.enable", LEDGER),
    ("auto.commit.interval.ms", LEDGER),
    ("enable.auto.offset.store", LEDGER),
    (
        "auto.offset.reset",
        "records that are gone must stop the job, not be skipped; --set start=… says where one begins",
    ),
    ("isolation.level", "only committed records are read"),
    ("enable.partition.eof", "the host needs to know where a partition ends"),
    ("allow.auto.create.topics", "a mistyped topic must be an error"),
    ("check.crcs", "it is decided by the host"),
    ("transactional.id", "it belongs to a job's sink"),
    ("transaction.timeout.ms", "it is bound to the time that a batch may take"),
    ("enable.idempotence", DURABLE),
    ("enable.gapless.guarantee", DURABLE),
    ("acks", DURABLE),
    ("request.required.acks", DURABLE),
    ("retries", DURABLE),
    ("message.send.max.retries", DURABLE),
    ("max.in.flight", "more would break the order of a key's records"),
    ("max.in.flight.requests.per.connection", "more would break the order of a key's records"),
    ("delivery.timeout.ms", "it is bound to the time that a batch may take"),
    ("message.timeout.ms", "it is bound to the time that a batch may take"),
    ("delivery.report.only.error", "every record's delivery is counted"),
    ("partitioner", "a key must stay in its partition for ever, and where a Java client would put it"),
    ("queued.max.messages.kbytes", BOUNDED),
    ("queued.min.messages", BOUNDED),
    ("queue.buffering.max.messages", BOUNDED),
    ("queue.buffering.max.kbytes", BOUNDED),
    ("plugin.library.paths", "it would load foreign code into the host"),
];

impl KafkaSettings {
    /// Everything that is wrong with the settings, each a sentence; none if they are good. Asks no server.
    pub fn check(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.brokers.split(',').any(|broker| broker.trim().is_empty()) {
            faults.push("kafka brokers must be `host:port`, several with commas".to_owned());
        }
        for (name, value) in &self.properties {
            if let Some((_, reason)) = REFUSED.iter().find(|(refused, _)| refused == name) {
                faults.push(format!("kafka property `{name}` cannot be set: {reason}"));
            } else if let Err(error) = ClientConfig::new().set(name, value).create_native_config() {
                let reason = match error {
                    KafkaError::ClientConfig(_, reason, _, _) => reason,
                    other => other.to_string(),
                };
                faults.push(format!("kafka property `{name} = {value}`: {reason}"));
            }
        }
        faults
    }

    /// A client's configuration: what the user set. The caller adds what the host decides, which wins.
    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("client.id", "streamhost");
        let wordy = self.properties.contains_key("debug");
        config.set_log_level(if wordy { RDKafkaLogLevel::Debug } else { RDKafkaLogLevel::Info });
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config.set("bootstrap.servers", &self.brokers);
        config
    }

    /// A client that only asks: about topics, and with a group about its offsets.
    pub(crate) fn asker(&self, group: Option<&str>) -> Result<BaseConsumer<Quiet>, KafkaError> {
        let mut config = self.client();
        config.set("enable.auto.commit", "false").set("isolation.level", "read_committed");
        if let Some(group) = group {
            config.set("group.id", group);
        }
        config.create_with_context(Quiet)
    }

    /// Creates a topic with the broker's defaults but for `config`, and waits until the brokers know it. One that is there
    /// already is good too.
    pub(crate) fn create_topic(&self, topic: &str, config: &[(&str, &str)]) -> Result<(), (Fault, String)> {
        let words = |error: KafkaError| (fault(&error), words(&error));
        let admin: AdminClient<DefaultClientContext> = self.client().create().map_err(words)?;
        let options = AdminOptions::new()
            .request_timeout(Some(limits::CONNECT_TIME))
            .operation_timeout(Some(limits::CONNECT_TIME));
        let mut new = NewTopic::new(topic, -1, TopicReplication::Fixed(-1)); // -1: the broker's defaults
        for (name, value) in config {
            new = new.set(name, value);
        }
        for result in wait_for(admin.create_topics([&new], &options)).map_err(words)? {
            match result {
                Ok(_) | Err((_, Code::TopicAlreadyExists)) => {}
                Err((_, code)) => return Err((classify(code), format!("it cannot be created: {}", code_words(code)))),
            }
        }
        let asker = self.asker(None).map_err(words)?;
        let mut tries_left = 50; // a broker answers in milliseconds, but may not have heard of the topic yet
        loop {
            match partitions(&asker, topic) {
                Err((Fault::Missing | Fault::Away, _)) if tries_left > 0 => tries_left -= 1,
                done => return done.map(|_| ()),
            }
            std::thread::sleep(limits::CONNECT_TIME / 50);
        }
    }
}

/// A client's callbacks: librdkafka's own lines go to the debug log, as the host says in its own words, and once, what is away.
pub(crate) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _level: RDKafkaLogLevel, place: &str, line: &str) {
        tracing::debug!(target: "librdkafka", place, "{line}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", %error, "{reason}");
    }

    fn stats_raw(&self, _statistics: &[u8]) {}
}

impl ConsumerContext for Quiet {}

/// What an error of the client means to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It may go away by itself.
    Away,
    /// There is no such topic or partition.
    Missing,
    /// The offset that was to be read is not there.
    Gone,
    /// It would be so again.
    Refused,
    /// Another producer has our transactional id.
    Fenced,
}

/// What one of librdkafka's codes means.
pub(crate) fn classify(code: Code) -> Fault {
    match code {
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => Fault::Missing,
        Code::OffsetOutOfRange | Code::AutoOffsetReset => Fault::Gone,
        Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch => Fault::Fenced,
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed
        | Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::SSL
        | Code::MessageSizeTooLarge
        | Code::MessageBatchTooLarge
        | Code::InvalidMessageSize
        | Code::InvalidTopic
        | Code::InvalidRecord
        | Code::InvalidTimestamp
        | Code::InvalidArgument
        | Code::InvalidConfig
        | Code::InvalidTransactionTimeout
        | Code::InvalidReplicationFactor
        | Code::InvalidPartitions
        | Code::PolicyViolation
        | Code::UnsupportedForMessageFormat
        | Code::UnsupportedCompressionType
        | Code::UnsupportedVersion
        | Code::UnsupportedFeature
        | Code::NotImplemented
        | Code::BadCompression
        | Code::BadMessage => Fault::Refused,
        _ => Fault::Away, // a code that we do not know is tried again, and its words are shown meanwhile
    }
}

/// What an error of the client means.
pub(crate) fn fault(error: &KafkaError) -> Fault {
    match error {
        KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_) | KafkaError::Nul(_) => Fault::Refused,
        other => other.rdkafka_error_code().map_or(Fault::Away, classify),
    }
}

/// Why Kafka would not take this as a topic's name.
pub(crate) fn name_fault(topic: &str) -> Option<&'static str> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    match topic {
        "" | "." | ".." => Some("this is no name for a topic"),
        long if long.len() > 249 => Some("a topic's name has 249 characters at most"),
        odd if !odd.chars().all(legal) => Some("a topic's name is made of letters, digits, `.`, `_` and `-`"),
        _ => None,
    }
}

/// How many partitions a topic has. Asks the brokers, for [`limits::CONNECT_TIME`] at most, and never creates it.
pub(crate) fn partitions(asker: &BaseConsumer<Quiet>, topic: &str) -> Result<i32, (Fault, String)> {
    if let Some(reason) = name_fault(topic) {
        return Err((Fault::Refused, reason.to_owned()));
    }
    let metadata =
        asker.fetch_metadata(Some(topic), limits::CONNECT_TIME).map_err(|error| (fault(&error), words(&error)))?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let code = |found: &rdkafka::metadata::MetadataTopic| found.error().map(Code::from);
    match found.map(|found| (code(found), found.partitions().len())) {
        Some((None, count)) if count > 0 => Ok(i32::try_from(count).unwrap_or(i32::MAX)),
        Some((Some(code), _)) => Err((classify(code), code_words(code))),
        Some((None, _)) | None => Err((Fault::Missing, "the brokers do not list it".to_owned())),
    }
}

/// An error in words for a person: the code's own, without the crate's.
pub(crate) fn words(error: &KafkaError) -> String {
    match error {
        KafkaError::Transaction(inner) => inner.string(),
        KafkaError::ClientCreation(reason) => reason.clone(),
        KafkaError::ClientConfig(_, reason, name, value) => format!("property `{name} = {value}`: {reason}"),
        other => other.rdkafka_error_code().map_or_else(|| other.to_string(), code_words),
    }
}

/// A code in words for a person.
pub(crate) fn code_words(code: Code) -> String {
    match code {
        Code::AllBrokersDown | Code::BrokerTransportFailure | Code::OperationTimedOut => "no broker answers".to_owned(),
        Code::MessageTimedOut => "the brokers did not acknowledge it in time".to_owned(),
        other => {
            // `Name (Origin: words)`
            let text = other.to_string();
            let words = text.split_once(" (").and_then(|(_, rest)| rest.strip_suffix(')'));
            words.map_or(text.clone(), |words| {
                words.trim_start_matches("Broker: ").trim_start_matches("Local: ").to_owned()
            })
        }
    }
}

/// Waits for a future of the client on this thread. The client's own threads drive it.
fn wait_for<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_users_write_them() {
        let json = r#"{"brokers":"a:1,b:2","security":{"protocol":"plaintext"},"socket.timeout.ms":1000,"x":true}"#;
        let settings: KafkaSettings = serde_json::from_str(json).unwrap();
        let expected = [("security.protocol", "plaintext"), ("socket.timeout.ms", "1000"), ("x", "true")];
        assert_eq!(settings.brokers, "a:1,b:2");
        assert_eq!(settings.properties, expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
        assert_eq!(serde_json::from_str::<KafkaSettings>("{}").unwrap(), KafkaSettings::default());
        assert!(serde_json::from_str::<KafkaSettings>(r#"{"x":[1]}"#).unwrap_err().to_string().contains("`x`"));
    }

    #[test]
    fn settings_that_break_promises_or_do_not_exist_are_refused_by_name() {
        let cases = [
            ("linger.ms", "1", None),
            ("compression.type", "lz4", None),
            ("client.id", "mine", None),
            ("linger.ms", "soon", Some("linger.ms")),
            ("linger.mss", "1", Some("linger.mss")),
            ("group.id", "g", Some("--set group=")),
            ("acks", "1", Some("replica")),
            ("auto.offset.reset", "latest", Some("skipped")),
            ("enable.idempotence", "false", Some("replica")),
        ];
        for (name, value, expected) in cases {
            let settings =
                KafkaSettings { properties: [(name.to_owned(), value.to_owned())].into(), ..KafkaSettings::default() };
            let faults = settings.check();
            match expected {
                None => assert_eq!(faults, Vec::<String>::new(), "{name}"),
                Some(part) => assert!(faults.len() == 1 && faults[0].contains(part), "{name}: {faults:?}"),
            }
        }
        for brokers in ["", "a:1,,b:2", " "] {
            let settings = KafkaSettings { brokers: brokers.to_owned(), ..KafkaSettings::default() };
            assert_eq!(settings.check().len(), 1, "{brokers:?}");
        }
    }

    #[test]
    fn every_refused_property_is_one_that_the_client_knows() {
        for (name, _) in REFUSED {
            let error = ClientConfig::new().set(name, "?").create_native_config().err().map(|e| e.to_string());
            assert!(!error.is_some_and(|e| e.contains("No such configuration property")), "{name}");
        }
    }

    #[test]
    fn codes_have_meanings() {
        let cases = [
            (Code::AllBrokersDown, Fault::Away),
            (Code::MessageTimedOut, Fault::Away),
            (Code::NotEnoughReplicas, Fault::Away),
            (Code::UnknownTopicOrPartition, Fault::Missing),
            (Code::AutoOffsetReset, Fault::Gone),
            (Code::OffsetOutOfRange, Fault::Gone),
            (Code::MessageSizeTooLarge, Fault::Refused),
            (Code::TopicAuthorizationFailed, Fault::Refused),
            (Code::BadMessage, Fault::Refused),
            (Code::Fenced, Fault::Fenced),
            (Code::InvalidProducerEpoch, Fault::Fenced),
        ];
        for (code, expected) in cases {
            assert_eq!(classify(code), expected, "{code:?}");
        }
    }

    #[test]
    fn codes_have_words() {
        for (code, expected) in [
            (Code::AllBrokersDown, "no broker answers"),
            (Code::TopicAuthorizationFailed, "Topic authorization failed"),
            (Code::MessageSizeTooLarge, "Message size too large"),
        ] {
            assert_eq!(code_words(code), expected);
        }
    }

    #[test]
    fn names_of_topics() {
        for good in ["a", "clicks", "A.b_c-9", "..."] {
            assert_eq!(name_fault(good), None, "{good}");
        }
        for bad in ["", ".", "..", "a b", "a\0b", "ä", &"x".repeat(250)] {
            assert!(name_fault(bad).is_some(), "{bad}");
        }
    }
}
