//! What the Kafka source, sinks and dead letters share: where the brokers are, how a client is
//! made, what its errors mean.

mod properties;
pub mod access;
pub mod token;
mod trust;
mod connector;
mod held;
pub mod log;
pub mod members;
pub mod source;
pub mod sink;
mod dead_letters;
mod letter_cut;
#[cfg(test)]
mod dead_letters_tests;
pub mod letters;
pub mod topics;
mod topic_config;
mod background;
mod settling;
pub(crate) mod topic_ids;

use crate::secret::Secret;
use access::Heard;
use rdkafka::ClientContext;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{DefaultClientContext, OAuthToken};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::metadata::Metadata;
use std::collections::BTreeMap;
use std::error::Error;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use streamhost_core::job::names;
use streamhost_core::{clock, limits};
use token::Tokens;

use background::Client;
pub use connector::KafkaConnector;
pub use dead_letters::KafkaDeadLetters;
pub use sink::{KafkaProvision, KafkaSink};
pub use source::KafkaSource;
pub(crate) use topic_config::TopicConfig;

/// What the client calls a connection's failure in its log.
pub(crate) const FAILED: &str = "FAIL";

/// What errors call the server.
pub const SERVER: &str = "Kafka";

/// The `[kafka]` part of the configuration: where the brokers are, and librdkafka's own properties.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaSettings {
    /// `host:port`, several with commas.
    pub brokers: String,
    /// librdkafka's properties by name, passed through. [`KafkaSettings::check`] refuses those that
    /// the host must decide.
    pub properties: BTreeMap<String, String>,
    /// Properties that stand elsewhere, and are read whenever a client is made.
    pub secrets: BTreeMap<String, Secret>,
}

impl Default for KafkaSettings {
    fn default() -> Self {
        KafkaSettings {
            brokers: "127.0.0.1:9092".to_owned(),
            properties: BTreeMap::new(),
            secrets: BTreeMap::new(),
        }
    }
}

impl KafkaSettings {
    /// A client that only asks: about topics, and with a group about its offsets.
    pub(crate) fn asker(&self, group: Option<&str>) -> Result<Asker, KafkaError> {
        self.reading(self.asking(group)?).map(Client::new)
    }

    fn reading(&self, config: ClientConfig) -> Result<BaseConsumer<Quiet>, KafkaError> {
        let consumer = config.create_with_context(Quiet::of(self))?;
        self.tokens().begin(BaseConsumer::client(&consumer))?;
        Ok(consumer)
    }

    pub(crate) fn tokens(&self) -> Tokens {
        Tokens::of(self)
    }

    /// A client that reads.
    pub(crate) fn consumer(&self, group: &str) -> Result<BaseConsumer<Quiet>, KafkaError> {
        self.reading(self.reader(group)?)
    }

    /// A client that asks about topics' settings, and creates topics.
    pub(crate) fn admin(&self) -> Result<Client<AdminClient<DefaultClientContext>>, KafkaError> {
        let admin: AdminClient<_> = self.client()?.create()?;
        self.tokens().begin(admin.inner())?;
        Ok(Client::new(admin))
    }

    /// Creates a topic with the broker's defaults but for `config`, and waits until the brokers
    /// know it, for [`limits::CONNECT_TIME`] and one question at most. One that is there already is
    /// good too.
    pub(crate) fn create_topic(
        &self,
        topic: &str,
        config: &[(&str, &str)],
    ) -> Result<(), (Fault, String)> {
        self.create_topic_of(topic, None, config)
    }

    /// The same of so many partitions; none: the broker's default.
    pub(crate) fn create_topic_of(
        &self,
        topic: &str,
        partitions_wanted: Option<i32>,
        config: &[(&str, &str)],
    ) -> Result<(), (Fault, String)> {
        let words = |error: KafkaError| (fault(&error), words(&error));
        let admin = self.admin().map_err(words)?;
        let options = AdminOptions::new()
            .request_timeout(Some(limits::CONNECT_TIME))
            .operation_timeout(Some(limits::CONNECT_TIME));
        // -1: the broker's defaults.
        let count = partitions_wanted.unwrap_or(-1);
        let mut new = NewTopic::new(topic, count, TopicReplication::Fixed(-1));
        for (name, value) in config {
            new = new.set(name, value);
        }
        for result in wait_for(admin.create_topics([&new], &options)).map_err(words)? {
            match result {
                Ok(_) | Err((_, Code::TopicAlreadyExists)) => {}
                Err((_, code)) => {
                    return Err((
                        classify(code),
                        format!("it cannot be created: {}", code_words(code)),
                    ));
                }
            }
        }
        let asker = self.asker(None).map_err(words)?;
        // A broker answers in milliseconds, but may not have heard of the topic yet.
        let since = clock::monotonic();
        loop {
            match partitions(&asker, topic) {
                Err((Fault::Missing | Fault::Away, _))
                    if clock::since(since) < limits::CONNECT_TIME => {}
                done => return done.map(|_| ()),
            }
            std::thread::sleep(limits::CONNECT_TIME / 50);
        }
    }
}

/// A client that only asks.
pub(crate) type Asker = Client<BaseConsumer<Quiet>>;

/// A client's callbacks: librdkafka's own lines go to the debug log, as the host says in its own
/// words, and once, what is away.
pub(crate) struct Quiet {
    heard: Heard,
    tokens: Tokens,
}

impl Quiet {
    fn of(settings: &KafkaSettings) -> Quiet {
        Quiet {
            heard: Heard::of(settings),
            tokens: settings.tokens(),
        }
    }
}

impl ClientContext for Quiet {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        Ok(self.tokens.read()?)
    }

    fn log(&self, _level: RDKafkaLogLevel, place: &str, line: &str) {
        tracing::debug!(target: "librdkafka", place, "{line}");
        if place == FAILED {
            self.heard.take_line(line);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", %error, "{reason}");
        let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
        self.heard.take(code, reason);
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
    /// The brokers do not let the host in: its credentials or certificates, or theirs, do not do.
    Denied,
}

/// What one of librdkafka's codes means.
pub(crate) fn classify(code: Code) -> Fault {
    match code {
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => {
            Fault::Missing
        }
        Code::OffsetOutOfRange | Code::AutoOffsetReset => Fault::Gone,
        Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch => Fault::Fenced,
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed
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
        Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::SSL => Fault::Denied,
        // A code that we do not know is tried again, and its words are shown meanwhile.
        _ => Fault::Away,
    }
}

/// Whether an error is about the consumer group alone. A client that reads must have one; who says
/// nothing to it need not be allowed to.
pub(crate) fn is_of_group(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(Code::GroupAuthorizationFailed)
}

/// What an error of the client means.
pub(crate) fn fault(error: &KafkaError) -> Fault {
    match error {
        // What it is made of stands in files, which may be mended while a job waits.
        KafkaError::ClientCreation(reason) if access::is_about(reason) => Fault::Denied,
        KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_) | KafkaError::Nul(_) => {
            Fault::Refused
        }
        other => other.rdkafka_error_code().map_or(Fault::Away, classify),
    }
}

/// How many partitions a topic has. Asks the brokers, for [`limits::CONNECT_TIME`] at most, and
/// never creates it. What is heard meanwhile of the connections is the answer where there is no
/// other; the client must have no messages.
pub(crate) fn partitions(asker: &BaseConsumer<Quiet>, topic: &str) -> Result<i32, (Fault, String)> {
    names::topic(topic).map_err(|reason| (Fault::Refused, reason))?;
    partitions_in(&metadata(asker, Some(topic))?, topic)
}

/// The same for a client that must not be polled, in this time.
pub(crate) fn partitions_within(
    client: &BaseConsumer<Quiet>,
    topic: &str,
    time: Duration,
) -> Result<i32, (Fault, String)> {
    names::topic(topic).map_err(|reason| (Fault::Refused, reason))?;
    let metadata = client.fetch_metadata(Some(topic), time);
    partitions_in(
        &metadata.map_err(|error| (fault(&error), words(&error)))?,
        topic,
    )
}

/// Asks the brokers about a topic, or about all, for [`limits::CONNECT_TIME`] at most. Earlier it
/// ends where none of them lets the host in.
pub(crate) fn metadata(
    asker: &BaseConsumer<Quiet>,
    topic: Option<&str>,
) -> Result<Metadata, (Fault, String)> {
    let heard = &asker.context().heard;
    let hear = || {
        while asker.poll(LISTEN).is_some() {}
        heard.denied()
    };
    let ask = |time| {
        let asked = asker.fetch_metadata(topic, time);
        asked.map_err(|error| (fault(&error), words(&error)))
    };
    let asked = patiently(ask, hear);
    asked.map_err(|(fault, words)| match fault {
        Fault::Away => heard.or(fault, words),
        _ => (fault, words),
    })
}

/// One look at what a client says.
const LISTEN: Duration = Duration::from_millis(10);
/// How long one question lasts before that look.
const SLICE: Duration = Duration::from_millis(250);

/// Asks for [`limits::CONNECT_TIME`] at most. It ends earlier where `hear` says why no answer can
/// come.
fn patiently<T>(
    mut ask: impl FnMut(Duration) -> Result<T, (Fault, String)>,
    mut hear: impl FnMut() -> Option<(Fault, String)>,
) -> Result<T, (Fault, String)> {
    let since = clock::monotonic();
    loop {
        let left = limits::CONNECT_TIME.saturating_sub(clock::since(since));
        let (fault, words) = match ask(left.min(SLICE)) {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        if let Some(denied) = hear() {
            return Err(denied);
        }
        if fault != Fault::Away || left.is_zero() {
            return Err((fault, words));
        }
    }
}

/// How many partitions an answer says that a topic has.
fn partitions_in(metadata: &Metadata, topic: &str) -> Result<i32, (Fault, String)> {
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
        KafkaError::ClientConfig(_, reason, name, value) => {
            format!(
                "property `{name} = {}`: {reason}",
                access::shown(name, value)
            )
        }
        other => other
            .rdkafka_error_code()
            .map_or_else(|| other.to_string(), code_words),
    }
}

/// A code in words for a person.
pub(crate) fn code_words(code: Code) -> String {
    match code {
        Code::AllBrokersDown | Code::BrokerTransportFailure | Code::OperationTimedOut => {
            "no broker answers".to_owned()
        }
        Code::MessageTimedOut => "the brokers did not acknowledge it in time".to_owned(),
        other => {
            // `Name (Origin: words)`
            let text = other.to_string();
            let words = text
                .split_once(" (")
                .and_then(|(_, rest)| rest.strip_suffix(')'));
            words.map_or(text.clone(), |words| {
                words
                    .trim_start_matches("Broker: ")
                    .trim_start_matches("Local: ")
                    .to_owned()
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
}
