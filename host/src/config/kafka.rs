//! Reads the section of Kafka: the brokers, and librdkafka's properties, some of which are secrets
//! or name files.

use super::reader::{Reader, Section, host_and_port, plain};
use streamhost_connectors::kafka::token::TOKEN;
use streamhost_connectors::kafka::{KafkaSettings, access};
use streamhost_connectors::secret::{Secret, open_to_all};
use streamhost_core::job::names;
use toml::de::{DeTable, DeValue};

impl Reader<'_> {
    pub(super) fn kafka(&mut self, mut section: Section<'_>, kafka: &mut KafkaSettings) {
        section.known.push("brokers");
        if let Some((_, value)) = section.entries.remove("brokers") {
            let at = value.span().start;
            match addresses(value.into_inner(), "brokers") {
                Ok(brokers) => kafka.brokers = brokers.join(","),
                Err(reason) => self.fault(at, format!("`kafka.brokers`: {reason}")),
            }
        }
        let before = self.faults.len();
        let mut access_at = None;
        for (key, (at, value)) in section.entries {
            if ["security", "sasl", "ssl"].contains(&key.split('.').next().unwrap_or_default()) {
                access_at = Some(at);
            }
            self.property(&key, at, value.into_inner(), kafka);
        }
        if let (Some(at), true) = (access_at, self.faults.len() == before)
            && let Some(reason) = kafka.check_access()
        {
            self.fault(
                at,
                format!("no client of Kafka can be made of `[kafka]`: {reason}"),
            );
        }
    }

    /// One property of librdkafka; `a.b = 1` without quotes arrives as tables within tables.
    fn property(&mut self, key: &str, at: usize, value: DeValue<'_>, kafka: &mut KafkaSettings) {
        let value = match value {
            DeValue::Table(table) => {
                if access::may_stand_elsewhere(key)
                    && let Some(secret) = self.elsewhere(&table)
                {
                    return self.secret(key, at, secret, kafka);
                }
                for (inner, value) in table {
                    let at = inner.span().start;
                    self.property(
                        &format!("{key}.{}", inner.get_ref()),
                        at,
                        value.into_inner(),
                        kafka,
                    );
                }
                return;
            }
            DeValue::String(text) => text.into_owned(),
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) => plain(&value),
            DeValue::Array(_) | DeValue::Datetime(_) => {
                return self.fault(
                    at,
                    format!("`kafka.\"{key}\"`: a property is a text, a number, or true or false"),
                );
            }
        };
        if !key.contains('.') && names::nearest(key, ["brokers"]).is_some() {
            return self.fault(
                at,
                format!("`kafka.{key}` is no key: did you mean `brokers`?"),
            );
        }
        self.plain_property(key, at, value, kafka);
    }

    /// One that stands here as it is.
    fn plain_property(&mut self, key: &str, at: usize, value: String, kafka: &mut KafkaSettings) {
        let value = match access::is_file(key) {
            true => match self.file_at(key, &value) {
                Ok(path) => path,
                Err(reason) => return self.fault(at, reason),
            },
            false => value,
        };
        if key == TOKEN {
            let what = "a token does not last, so it is read from where it is kept fresh";
            return self.fault(at, format!("`kafka.\"{key}\"`: {what}: {{ file = \"…\" }}"));
        }
        if access::is_secret(key) {
            self.warnings.push(format!(
                "`kafka.\"{key}\"` stands in the configuration as it is: put it into a file of its own, \
                 and name that: {{ file = \"…\" }}"
            ));
        }
        if value.contains('\0') {
            return self.fault(at, format!("`kafka.\"{key}\"` has a zero byte in it"));
        }
        if kafka.properties.contains_key(key) || kafka.secrets.contains_key(key) {
            self.fault(at, format!("`kafka.\"{key}\"` is set twice"));
        } else if let Some(other) = kafka.other_name(key) {
            self.fault(
                at,
                format!("`kafka.\"{key}\"` is set as `{other}` already: they are two names of one property"),
            );
        }
        let alone = KafkaSettings {
            properties: [(key.to_owned(), value.clone())].into(),
            ..KafkaSettings::default()
        };
        for reason in alone.check() {
            self.fault(at, reason);
        }
        kafka.properties.insert(key.to_owned(), value);
    }

    /// `{ file = "…" }` or `{ env = "…" }`.
    pub(super) fn elsewhere(&self, table: &DeTable<'_>) -> Option<Secret> {
        let mut entries = table.iter();
        let (Some((name, value)), None) = (entries.next(), entries.next()) else {
            return None;
        };
        let text = value.get_ref().as_str()?;
        match name.get_ref().as_ref() {
            "file" => Some(Secret::File(self.folder.join(text))),
            "env" => Some(Secret::Env(text.to_owned())),
            _ => None,
        }
    }

    /// A property that stands elsewhere. It is read whenever a client is made, and here as well, as
    /// one that is missing stops the start.
    fn secret(&mut self, key: &str, at: usize, secret: Secret, kafka: &mut KafkaSettings) {
        self.warnings.extend(secret.warning());
        if let Err(reason) = secret.read() {
            return self.fault(at, format!("`kafka.\"{key}\"`: {reason}"));
        }
        if kafka.properties.contains_key(key)
            || kafka.secrets.insert(key.to_owned(), secret).is_some()
        {
            self.fault(at, format!("`kafka.\"{key}\"` is set twice"));
        }
    }

    /// A file or folder that a property names, with the configuration's folder before it.
    fn file_at(&mut self, key: &str, named: &str) -> Result<String, String> {
        if named == "probe" {
            return Ok(named.to_owned()); // librdkafka looks where systems have their authorities
        }
        let path = self.folder.join(named);
        let wrong = |reason: &str| format!("`kafka.\"{key}\" = \"{named}\"`: {reason}");
        std::fs::metadata(&path).map_err(|e| wrong(&format!("it cannot be read: {e}")))?;
        if key == "ssl.key.location" || key == "ssl.keystore.location" {
            self.warnings.extend(open_to_all(&path));
        }
        let path = path.into_os_string().into_string();
        path.map_err(|_| wrong("its path is no text"))
    }
}

/// `HOST:PORT` of several servers: a text with commas, or a list.
pub(super) fn addresses(value: DeValue<'_>, what: &str) -> Result<Vec<String>, String> {
    let list: Vec<String> = match value {
        DeValue::String(text) => text.split(',').map(|part| part.trim().to_owned()).collect(),
        DeValue::Array(parts) => parts
            .iter()
            .map(|part| part.get_ref().as_str().map(|text| text.trim().to_owned()))
            .collect::<Option<_>>()
            .ok_or_else(|| format!("a list of {what} is a list of texts"))?,
        other => {
            return Err(format!(
                "\"HOST:PORT,HOST:PORT\" belongs here, not {}",
                other.type_str()
            ));
        }
    };
    match list.iter().find(|part| !host_and_port(part)) {
        None if list.is_empty() => Err("it is empty: name at least one HOST:PORT".to_owned()),
        None => Ok(list),
        Some(part) => Err(format!("`{part}` is not HOST:PORT")),
    }
}
