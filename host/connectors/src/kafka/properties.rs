//! librdkafka's properties: those that the host decides, those that it only gives a default, and
//! the clients that are made of both. Whatever is in neither table is the user's alone.

use super::token::TOKEN;
use super::{KafkaSettings, access};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use streamhost_core::limits;

const LEDGER: &str =
    "offsets are kept in the job's ledger, and the group is told after a checkpoint is durable";
const DURABLE: &str = "a batch counts as written only when every replica that is in sync has it";
const BOUNDED: &str = "the host bounds its memory itself";
const ASSIGNED: &str = "the host assigns partitions itself";
const TIMED: &str = "it is bound to the time that a batch may take";

/// Properties that the host decides, under all their names, with the reason. To set one is refused.
const DECIDED: [(&[&str], &str); 30] = [
    (
        &["bootstrap.servers", "metadata.broker.list"],
        "say it as `brokers`",
    ),
    (&["test.mock.num.brokers"], "its brokers would keep nothing"),
    (
        &["group.id"],
        "it belongs to a job: deploy with --set group=NAME",
    ),
    (&["group.instance.id"], ASSIGNED),
    (&["group.protocol"], ASSIGNED),
    (&["group.remote.assignor"], ASSIGNED),
    (&["partition.assignment.strategy"], ASSIGNED),
    (&["enable.auto.commit", "auto.commit.enable"], LEDGER),
    (&["auto.commit.interval.ms"], LEDGER),
    (&["enable.auto.offset.store"], LEDGER),
    (
        &["auto.offset.reset"],
        "records that are gone must stop the job, not be skipped; --set start=… says where one begins",
    ),
    (&["isolation.level"], "only committed records are read"),
    (
        &["enable.partition.eof"],
        "the host needs to know where a partition ends",
    ),
    (
        &["allow.auto.create.topics"],
        "a mistyped topic must be an error",
    ),
    (
        &["check.crcs"],
        "it is the only guard against a broken disk",
    ),
    (&["transactional.id"], "it belongs to a job's sink"),
    (&["transaction.timeout.ms"], TIMED),
    (&["message.timeout.ms", "delivery.timeout.ms"], TIMED),
    (&["enable.idempotence"], DURABLE),
    (&["enable.gapless.guarantee"], DURABLE),
    (&["acks", "request.required.acks"], DURABLE),
    (&["retries", "message.send.max.retries"], DURABLE),
    (
        &["max.in.flight", "max.in.flight.requests.per.connection"],
        "more would break the order of a key's records",
    ),
    (
        &["delivery.report.only.error"],
        "every record's delivery is counted",
    ),
    (
        &["partitioner"],
        "a key must stay in its partition for ever, and where a Java client would put it",
    ),
    (
        &["message.max.bytes"],
        "a topic's own `max.message.bytes` decides",
    ),
    (
        &["queued.max.messages.kbytes", "queued.min.messages"],
        BOUNDED,
    ),
    (
        &[
            "fetch.max.bytes",
            "fetch.message.max.bytes",
            "max.partition.fetch.bytes",
        ],
        BOUNDED,
    ),
    (
        &["queue.buffering.max.messages", "queue.buffering.max.kbytes"],
        BOUNDED,
    ),
    (
        &["plugin.library.paths"],
        "it would load foreign code into the host",
    ),
];

/// Whose default it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    All,
    Readers,
    Writers,
}

/// A property that the host sets unless the user does.
struct Preset {
    of: Of,
    /// All its names.
    names: &'static [&'static str],
    value: &'static str,
    /// Another property; a user who sets that one may not expect our value beside it.
    with: Option<&'static str>,
}

const fn preset(
    of: Of,
    names: &'static [&'static str],
    value: &'static str,
    with: Option<&'static str>,
) -> Preset {
    Preset {
        of,
        names,
        value,
        with,
    }
}

const DEFAULTS: [Preset; 9] = [
    preset(Of::All, &["client.id"], "streamhost", None),
    preset(
        Of::All,
        &["reconnect.backoff.max.ms"],
        "1000",
        Some("reconnect.backoff.ms"),
    ),
    // The default of a second would starve a reader that is fast.
    preset(Of::Readers, &["fetch.queue.backoff.ms"], "5", None),
    // Records end the wait at once. It is short, as the client asks for what it is newly assigned
    // only when it is over; a shorter one costs idle jobs and their brokers more.
    preset(Of::Readers, &["fetch.wait.max.ms"], "200", None),
    preset(Of::Readers, &["fetch.error.backoff.ms"], "100", None),
    preset(
        Of::Writers,
        &["compression.type", "compression.codec"],
        "lz4",
        None,
    ),
    preset(
        Of::Writers,
        &["linger.ms", "queue.buffering.max.ms"],
        "2",
        None,
    ),
    preset(
        Of::Writers,
        &["retry.backoff.max.ms"],
        "1000",
        Some("retry.backoff.ms"),
    ),
    // Below the brokers' default limit of a batch: one that they refuse fails whole.
    preset(Of::Writers, &[BATCH_BYTES], "1000000", None),
];

/// The property that bounds a batch on its way to a broker.
pub(super) const BATCH_BYTES: &str = "batch.size";

impl KafkaSettings {
    /// Everything that is wrong with the settings, each a sentence; none if they are good. Asks no
    /// server.
    pub fn check(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self
            .brokers
            .split(',')
            .any(|broker| broker.trim().is_empty())
        {
            faults.push("kafka brokers must be `host:port`, several with commas".to_owned());
        }
        for (name, value) in self.properties.iter().filter(|(name, _)| *name != TOKEN) {
            if let Some((_, reason)) = DECIDED.iter().find(|(names, _)| names.contains(&&**name)) {
                faults.push(format!("kafka property `{name}` cannot be set: {reason}"));
            } else if let Err(error) = ClientConfig::new().set(name, value).create_native_config() {
                let reason = match error {
                    KafkaError::ClientConfig(_, reason, _, _) => reason,
                    other => other.to_string(),
                };
                let value = access::shown(name, value);
                faults.push(format!("kafka property `{name} = {value}`: {reason}"));
            }
        }
        faults
    }

    /// Why no client can be made of these settings, or none could log in: files that are not there,
    /// certificates that cannot be read, a key's wrong password. Asks no server.
    pub fn check_access(&self) -> Option<String> {
        let mut without = match self.with_defaults(Of::All) {
            Ok(config) => config,
            Err(error) => return Some(super::words(&error)),
        };
        without.remove("bootstrap.servers"); // so that it connects to nobody
        let made: Result<BaseConsumer, _> = without.create();
        let has_token = made.and_then(|client| self.tokens().begin(client.client()));
        has_token.err().map(|error| super::words(&error))
    }

    /// Another name, that is set already, of the property of this name.
    pub fn other_name(&self, name: &str) -> Option<&'static str> {
        let names = DEFAULTS
            .iter()
            .map(|default| default.names)
            .find(|names| names.contains(&name))?;
        names
            .iter()
            .copied()
            .find(|other| *other != name && self.properties.contains_key(*other))
    }

    fn with_defaults(&self, of: Of) -> Result<ClientConfig, KafkaError> {
        let mut config = ClientConfig::new();
        let wordy = self.properties.contains_key("debug");
        config.set_log_level(if wordy {
            RDKafkaLogLevel::Debug
        } else {
            RDKafkaLogLevel::Info
        });
        let is_set = |name: &&str| self.properties.contains_key(*name);
        for default in DEFAULTS
            .iter()
            .filter(|default| default.of == Of::All || default.of == of)
        {
            if !default.names.iter().chain(&default.with).any(is_set) {
                config.set(default.names[0], default.value);
            }
        }
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        for (name, secret) in self.secrets.iter().filter(|(name, _)| *name != TOKEN) {
            let missing =
                |e| KafkaError::ClientCreation(format!("{}: `{name}`: {e}", access::MISSING));
            config.set(name, secret.read().map_err(missing)?);
        }
        config.set("bootstrap.servers", &self.brokers);
        Ok(config)
    }

    /// A client's configuration: what the user set, and the host's defaults. What the host decides
    /// comes on top.
    pub(crate) fn client(&self) -> Result<ClientConfig, KafkaError> {
        self.with_defaults(Of::All)
    }

    /// The configuration of a client that asks about topics, and with a group about its offsets.
    pub(super) fn asking(&self, group: Option<&str>) -> Result<ClientConfig, KafkaError> {
        let mut config = self.client()?;
        config
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed");
        if let Some(group) = group {
            config.set("group.id", group);
        }
        Ok(config)
    }

    /// The configuration of a client that reads.
    pub(crate) fn reader(&self, group: &str) -> Result<ClientConfig, KafkaError> {
        let (answer_bytes, partition_bytes) = limits::KAFKA_FETCH_BYTES_MAX;
        let mut config = self.with_defaults(Of::Readers)?;
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("isolation.level", "read_committed")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "error")
            .set("allow.auto.create.topics", "false")
            .set("check.crcs", "true") // 1 % of a fetch, and the only guard against a broken disk
            .set(
                "queued.max.messages.kbytes",
                (limits::FETCH_AHEAD_BYTES_MAX >> 10).to_string(),
            )
            // So that bytes alone bound what is fetched ahead.
            .set("queued.min.messages", "1000000")
            .set("fetch.max.bytes", answer_bytes.to_string())
            .set("fetch.message.max.bytes", partition_bytes.to_string());
        Ok(config)
    }

    /// The configuration of a client that writes to a topic which takes batches of `batch_bytes`,
    /// if that is known; with a transactional id it writes in transactions.
    pub(crate) fn writer(
        &self,
        batch_bytes: Option<usize>,
        transactional_id: Option<&str>,
    ) -> Result<ClientConfig, KafkaError> {
        let (records, bytes) = limits::KAFKA_SEND_QUEUE_MAX;
        let time_ms = limits::KAFKA_DELIVERY_TIME.as_millis().to_string();
        let mut config = self.with_defaults(Of::Writers)?;
        if let Some(bytes) = batch_bytes.filter(|_| !self.properties.contains_key(BATCH_BYTES)) {
            config.set(BATCH_BYTES, bytes.to_string());
        }
        config
            .set("enable.idempotence", "true") // acks=all, and a key's order whatever is sent again
            .set("partitioner", "murmur2_random") // as Java clients place a key
            .set("message.timeout.ms", &time_ms)
            .set("queue.buffering.max.messages", records.to_string())
            .set("queue.buffering.max.kbytes", (bytes >> 10).to_string())
            .set(
                "message.max.bytes",
                limits::KAFKA_LETTER_BYTES_MAX.to_string(),
            ); // the topic's own limit decides
        if let Some(id) = transactional_id {
            config
                .set("transactional.id", id)
                .set("transaction.timeout.ms", &time_ms);
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::producer::BaseProducer;

    fn settings(properties: &[(&str, &str)]) -> KafkaSettings {
        let properties = properties
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect();
        KafkaSettings {
            properties,
            ..KafkaSettings::default()
        }
    }

    /// One of each kind.
    fn clients(settings: &KafkaSettings) -> [ClientConfig; 4] {
        [
            settings.client(),
            settings.asking(Some("g")),
            settings.reader("g"),
            settings.writer(Some(1000), Some("id")),
        ]
        .map(|config| config.expect("no secret is missing"))
    }

    #[test]
    fn settings_that_break_promises_or_do_not_exist_are_refused_by_name() {
        let cases = [
            ("linger.ms", "1", None),
            ("compression.type", "lz4", None),
            ("batch.size", "1000", None),
            ("client.id", "mine", None),
            ("linger.ms", "soon", Some("linger.ms")),
            ("linger.mss", "1", Some("linger.mss")),
            ("group.id", "g", Some("--set group=")),
            ("acks", "1", Some("replica")),
            ("auto.offset.reset", "latest", Some("skipped")),
            ("enable.idempotence", "false", Some("replica")),
            ("max.partition.fetch.bytes", "1000", Some("memory")),
            ("message.max.bytes", "1000", Some("max.message.bytes")),
        ];
        for (name, value, expected) in cases {
            let faults = settings(&[(name, value)]).check();
            match expected {
                None => assert_eq!(faults, Vec::<String>::new(), "{name}"),
                Some(part) => assert!(
                    faults.len() == 1 && faults[0].contains(part),
                    "{name}: {faults:?}"
                ),
            }
        }
        for brokers in ["", "a:1,,b:2", " "] {
            let settings = KafkaSettings {
                brokers: brokers.to_owned(),
                ..KafkaSettings::default()
            };
            assert_eq!(settings.check().len(), 1, "{brokers:?}");
        }
    }

    #[test]
    fn what_the_host_sets_is_refused_or_honoured() {
        let names = || DEFAULTS.iter().map(|default| default.names);
        for config in clients(&settings(&[])) {
            for name in config.config_map().into_keys() {
                let decided = DECIDED.iter().any(|(names, _)| names.contains(&name));
                let given = names().any(|names| names.contains(&name));
                assert!(
                    decided != given,
                    "`{name}`: decided {decided}, a default {given}"
                );
            }
        }
        for name in names().flatten() {
            assert_eq!(
                settings(&[(name, "1")]).check().len(),
                usize::from(name.starts_with("compression")),
                "{name}"
            );
        }
    }

    /// Whatever name it has, the user's value is the one that each client has.
    #[test]
    fn a_default_yields_to_any_name_of_its_property() {
        for default in &DEFAULTS {
            for name in default.names {
                let value = if name.starts_with("compression") {
                    "gzip"
                } else {
                    "77"
                };
                for (i, config) in clients(&settings(&[(name, value)])).into_iter().enumerate() {
                    let native = config.create_native_config().expect("good properties");
                    for name in default.names {
                        let found = native.get(name).expect("it has a value");
                        assert_eq!(found.trim_end_matches('\0'), value, "client {i}, {name}");
                    }
                }
            }
        }
        let twice = settings(&[("linger.ms", "1")]);
        assert_eq!(
            twice.other_name("queue.buffering.max.ms"),
            Some("linger.ms")
        );
        assert_eq!(
            (twice.other_name("linger.ms"), twice.other_name("debug")),
            (None, None)
        );
    }

    #[test]
    fn a_default_that_another_property_bounds_yields_to_it_too() {
        let slow = settings(&[
            ("reconnect.backoff.ms", "2000"),
            ("retry.backoff.ms", "3000"),
        ]);
        let (reader, writer) = (slow.reader("g").unwrap(), slow.writer(None, None).unwrap());
        assert!(reader.create::<BaseConsumer>().is_ok());
        assert!(writer.create::<BaseProducer>().is_ok());
    }

    #[test]
    fn every_name_is_one_that_the_client_knows() {
        let decided = DECIDED.iter().flat_map(|(names, _)| names.iter());
        for name in decided.chain(
            DEFAULTS
                .iter()
                .flat_map(|default| default.names.iter().chain(&default.with)),
        ) {
            let error = ClientConfig::new()
                .set(*name, "?")
                .create_native_config()
                .err()
                .map(|e| e.to_string());
            assert!(
                !error.is_some_and(|e| e.contains("No such configuration property")),
                "{name}"
            );
        }
    }
}
