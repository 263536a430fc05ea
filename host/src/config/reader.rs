//! Reads the sections of the configuration; all faults are told at once.

use super::{Config, ControlConfig, Fault, line_of};
use crate::access::{Tls, Tokens};
use crate::allow::{self, Allow};
use crate::telemetry::TraceSettings;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use streamhost_connectors::secret::open_to_all;
use streamhost_core::job::{names, settings};
use streamhost_core::limits;
use streamhost_guest::signature::TrustedKeys;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Takes keys out of tables, and notes what is wrong.
pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) folder: &'a Path,
    pub(super) faults: Vec<Fault>,
    /// What is taken, and could be better.
    pub(super) warnings: Vec<String>,
}

/// One table, with its name as written in front of its keys.
pub(super) struct Section<'i> {
    pub(super) name: String,
    pub(super) entries: BTreeMap<String, (usize, Spanned<DeValue<'i>>)>,
    pub(super) known: Vec<&'static str>,
}

impl<'a> Reader<'a> {
    pub(super) fn fault(&mut self, at: usize, what: impl Into<String>) {
        self.faults.push(Fault {
            line: line_of(self.text, at),
            what: what.into(),
        });
    }

    pub(super) fn section<'i>(
        &mut self,
        name: impl Into<String>,
        table: DeTable<'i>,
    ) -> Section<'i> {
        let entries = table
            .into_iter()
            .map(|(k, v)| (k.get_ref().to_string(), (k.span().start, v)))
            .collect();
        Section {
            name: name.into(),
            entries,
            known: Vec::new(),
        }
    }

    pub(super) fn file(&mut self, table: DeTable<'_>) -> Config {
        let mut top = self.section("", table);
        let mut config = Config::default();
        if let Some((at, path)) = self.text_of(&mut top, "data-dir") {
            if path.is_empty() {
                self.fault(at, "`data-dir` is empty: name a folder");
            }
            config.data_dir = self.folder.join(path);
        }
        if let Some(section) = self.table_of(&mut top, "control") {
            self.control(section, &mut config.control);
        }
        let cluster = top.entries.get("cluster").map_or(0, |(at, _)| *at);
        if let Some(section) = self.table_of(&mut top, "cluster") {
            config.cluster = self.hosts_of_cluster(cluster, section);
        }
        if let Some(section) = self.table_of(&mut top, "kafka") {
            self.kafka(section, &mut config.kafka);
        }
        if let Some(section) = self.table_of(&mut top, "hbase") {
            self.hbase_sections(section, &mut config);
        }
        let postgres = top.entries.get("postgres").map_or(0, |(at, _)| *at);
        if let Some(section) = self.table_of(&mut top, "postgres") {
            self.postgres(postgres, section, &mut config.postgres);
        }
        let mysql = top.entries.get("mysql").map_or(0, |(at, _)| *at);
        if let Some(section) = self.table_of(&mut top, "mysql") {
            self.mysql(mysql, section, &mut config.mysql);
        }
        let elasticsearch = top.entries.get("elasticsearch").map_or(0, |(at, _)| *at);
        if let Some(section) = self.table_of(&mut top, "elasticsearch") {
            self.elasticsearch(elasticsearch, section, &mut config.elasticsearch);
        }
        if let Some(section) = self.table_of(&mut top, "allow") {
            self.allow(section, &mut config.allow);
        }
        if let Some(section) = self.table_of(&mut top, "limits") {
            self.limits(section, &mut config);
        }
        if let Some(section) = self.table_of(&mut top, "alerts") {
            self.alerts(section, &mut config.webhook);
        }
        if let Some(section) = self.table_of(&mut top, "telemetry") {
            self.telemetry(section, &mut config.telemetry);
        }
        self.rest(top);
        config
    }

    fn control(&mut self, mut section: Section<'_>, control: &mut ControlConfig) {
        let listen = self.text_of(&mut section, "listen");
        if let Some((at, text)) = &listen {
            match listen_address(text) {
                Some(address) => control.listen = address,
                None => self.fault(
                    *at,
                    format!("`control.listen = \"{text}\"`: an address is IP:PORT, such as 127.0.0.1:7070"),
                ),
            }
        }
        let mut token_named = false;
        if let Some((at, file)) = self.text_of(&mut section, "token-file") {
            token_named = true;
            let path = self.folder.join(&file);
            self.warnings.extend(open_to_all(&path));
            match Tokens::read(&path) {
                Ok(tokens) => control.guard.tokens = Some(tokens),
                Err(reason) => {
                    self.fault(at, format!("`control.token-file = \"{file}\"`: {reason}"))
                }
            }
        }
        if let (Some((at, text)), false) = (&listen, token_named)
            && !control.listen.ip().is_loopback()
        {
            self.fault(
                *at,
                format!(
                    "`control.listen = \"{text}\"` is open to other machines: name a file with a secret in \
                     `token-file`, or listen on 127.0.0.1"
                ),
            );
        }
        let certificate = self.text_of(&mut section, "certificate");
        let key = self.text_of(&mut section, "key");
        match (certificate, key) {
            (Some((at, certificate)), Some((_, key))) => {
                let (certificate, key) = (self.folder.join(certificate), self.folder.join(key));
                self.warnings.extend(open_to_all(&key));
                match Tls::read(&certificate, &key) {
                    Ok(tls) => control.guard.tls = Some(tls),
                    Err(reason) => self.fault(at, format!("`control.certificate`: {reason}")),
                }
            }
            (Some((at, _)), None) => {
                self.fault(
                    at,
                    "`control.certificate` needs its private key: name it as `control.key`",
                );
            }
            (None, Some((at, _))) => {
                self.fault(
                    at,
                    "`control.key` needs its certificate: name it as `control.certificate`",
                );
            }
            (None, None) => {}
        }
        section.known.push("trusted-keys");
        if let Some((at, value)) = section.entries.remove("trusted-keys") {
            match trusted_keys(value.into_inner()) {
                Ok(trusted) => control.trusted = Some(trusted),
                Err(reason) => self.fault(at, format!("`control.trusted-keys`: {reason}")),
            }
        }
        self.rest(section);
    }

    fn allow(&mut self, mut section: Section<'_>, allowed: &mut Allow) {
        for list in allow::LISTS {
            let key = allow::key(list);
            section.known.push(key);
            let Some((_, value)) = section.entries.remove(key) else {
                continue;
            };
            let at = value.span().start;
            let read = patterns(value.into_inner());
            let read = read.and_then(|patterns| allowed.only(list, self.folder, &patterns));
            if let Err(reason) = read {
                self.fault(at, format!("`allow.{key}`: {reason}"));
            }
        }
        self.rest(section);
    }

    fn limits(&mut self, mut section: Section<'_>, config: &mut Config) {
        let memory = |text: &str| {
            settings::bytes(
                text,
                limits::GUEST_MEMORY_BYTES_MIN,
                limits::GUEST_MEMORY_BYTES_MAX,
            )
        };
        let mut lanes = 0;
        self.judged(&mut section, "lanes", &mut lanes, |text| {
            settings::count(text, limits::LANES_MAX)
        });
        config.lanes = (lanes > 0).then_some(lanes);
        self.judged(&mut section, "host-memory", &mut config.host_memory, |t| {
            let (least, most) = (limits::HOST_MEMORY_BYTES_MIN, limits::HOST_MEMORY_BYTES_MAX);
            settings::bytes(t, least, most).map(Some)
        });
        let mut savepoint = usize::try_from(config.savepoint_bytes).unwrap_or(usize::MAX);
        self.judged(&mut section, "savepoint-bytes", &mut savepoint, |text| {
            settings::bytes(text, limits::COMPONENT_BYTES_MAX, usize::MAX)
        });
        config.savepoint_bytes = savepoint as u64;
        let to = &mut config.limits;
        self.judged(&mut section, "memory", &mut to.memory_bytes, memory);
        self.judged(&mut section, "time", &mut to.time, settings::guest_time);
        self.judged(&mut section, "batch-records", &mut to.batch_records, |t| {
            settings::count(t, limits::BATCH_RECORDS_MAX)
        });
        self.judged(&mut section, "batch-bytes", &mut to.batch_bytes, |t| {
            settings::bytes(t, 1, limits::BATCH_BYTES_MAX)
        });
        self.rest(section);
    }

    fn alerts(&mut self, mut section: Section<'_>, webhook: &mut Option<String>) {
        if let Some((at, text)) = self.text_of(&mut section, "webhook") {
            match is_webhook(&text) {
                true => *webhook = Some(text),
                // It may have a secret in it.
                false => self.fault(
                    at,
                    "`alerts.webhook`: it is an address such as https://alerts.example.org/streamhost",
                ),
            }
        }
        self.rest(section);
    }

    fn telemetry(&mut self, mut section: Section<'_>, traces: &mut TraceSettings) {
        if let Some((at, text)) = self.text_of(&mut section, "otlp-endpoint") {
            match is_collector(&text) {
                true => traces.endpoint = Some(text),
                false => self.fault(
                    at,
                    format!(
                        "`telemetry.otlp-endpoint = \"{text}\"`: it is http://HOST:PORT, such as \
                         http://127.0.0.1:4318; a collector beside the host goes on with TLS"
                    ),
                ),
            }
        }
        let percent = |text: &str| settings::count(text, 100);
        self.judged(
            &mut section,
            "sample-percent",
            &mut traces.sample_percent,
            percent,
        );
        self.rest(section);
    }

    /// A number, or a text with a unit, judged as its setting is.
    pub(super) fn judged<T>(
        &mut self,
        section: &mut Section<'_>,
        key: &'static str,
        to: &mut T,
        judge: impl Fn(&str) -> Result<T, String>,
    ) {
        section.known.push(key);
        let Some((at, value)) = section.entries.remove(key) else {
            return;
        };
        let text = match value.into_inner() {
            DeValue::String(text) => text.into_owned(),
            value @ DeValue::Integer(_) => plain(&value),
            other => {
                let what = format!(
                    "`{}{key}`: {} cannot be here",
                    section.name,
                    other.type_str()
                );
                return self.fault(at, what);
            }
        };
        match judge(&text) {
            Ok(value) => *to = value,
            Err(reason) => self.fault(at, format!("`{}{key} = {text}`: {reason}", section.name)),
        }
    }

    pub(super) fn text_of(
        &mut self,
        section: &mut Section<'_>,
        key: &'static str,
    ) -> Option<(usize, String)> {
        section.known.push(key);
        let (at, value) = section.entries.remove(key)?;
        match value.into_inner() {
            DeValue::String(text) => Some((at, text.into_owned())),
            other => {
                self.fault(
                    at,
                    format!(
                        "`{}{key}`: a text in quotes belongs here, not {}",
                        section.name,
                        other.type_str()
                    ),
                );
                None
            }
        }
    }

    /// Takes the tables out of a connector's section that are not `keys` of it: each is another
    /// instance of the connector, by its name.
    pub(super) fn instances_of<'i>(
        &mut self,
        section: &mut Section<'i>,
        keys: &[&str],
    ) -> Vec<(String, usize, Section<'i>)> {
        let is_one = |key: &String, value: &DeValue<'_>| {
            !keys.contains(&key.as_str()) && matches!(value, DeValue::Table(_))
        };
        let names: Vec<String> = section
            .entries
            .iter()
            .filter(|(key, (_, value))| is_one(key, value.get_ref()))
            .map(|(key, _)| key.clone())
            .collect();
        let mut found = Vec::with_capacity(names.len());
        for name in names {
            let Some((at, value)) = section.entries.remove(&name) else {
                continue;
            };
            if let DeValue::Table(table) = value.into_inner() {
                let own = self.section(format!("{}{name}.", section.name), table);
                found.push((name, at, own));
            }
        }
        found
    }

    fn table_of<'i>(&mut self, top: &mut Section<'i>, key: &'static str) -> Option<Section<'i>> {
        top.known.push(key);
        let (at, value) = top.entries.remove(key)?;
        let name = match key {
            "control" => "control.",
            "kafka" => "kafka.",
            "hbase" => "hbase.",
            "postgres" => "postgres.",
            "mysql" => "mysql.",
            "elasticsearch" => "elasticsearch.",
            "alerts" => "alerts.",
            "telemetry" => "telemetry.",
            _ => "limits.",
        };
        match value.into_inner() {
            DeValue::Table(table) => Some(self.section(name, table)),
            other => {
                self.fault(
                    at,
                    format!(
                        "`{key}` is a section: write `[{key}]`, not {}",
                        other.type_str()
                    ),
                );
                None
            }
        }
    }

    /// What nobody took is unknown.
    pub(super) fn rest(&mut self, section: Section<'_>) {
        for (key, (at, _)) in section.entries {
            let meant = names::meant(&key, &section.known);
            self.fault(at, format!("`{}{key}` is no key: {meant}", section.name));
        }
    }
}

/// A number or truth value as it is written in decimal.
pub(super) fn plain(value: &DeValue<'_>) -> String {
    match value {
        DeValue::Integer(n) => {
            match i128::from_str_radix(&n.as_str().replace('_', ""), n.radix()) {
                Ok(n) => n.to_string(),
                Err(_) => n.as_str().to_owned(),
            }
        }
        DeValue::Float(n) => n.as_str().to_owned(),
        DeValue::Boolean(b) => b.to_string(),
        DeValue::String(text) => text.to_string(),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => String::new(),
    }
}

/// A list of patterns, or one.
fn patterns(value: DeValue<'_>) -> Result<Vec<String>, String> {
    let wrong = || "a list of patterns belongs here, such as [\"/srv/in/**\"]".to_owned();
    match value {
        DeValue::String(text) => Ok(vec![text.into_owned()]),
        DeValue::Array(all) if all.len() <= limits::PATTERNS_MAX => all
            .iter()
            .map(|one| one.get_ref().as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or_else(wrong),
        DeValue::Array(_) => Err(format!(
            "there are more than {} patterns",
            limits::PATTERNS_MAX
        )),
        _ => Err(wrong()),
    }
}

/// A list of public keys. An empty one would take anything, and look as if it did not.
fn trusted_keys(value: DeValue<'_>) -> Result<TrustedKeys, String> {
    let wrong = "a list of public keys belongs here, such as [\"release:AQ…\"]: `streamhost sign keygen NAME` makes one";
    let DeValue::Array(all) = value else {
        return Err(wrong.to_owned());
    };
    let texts = all.iter().map(|one| one.get_ref().as_str());
    let texts: Vec<&str> = texts.collect::<Option<_>>().ok_or(wrong)?;
    match TrustedKeys::parse(texts) {
        Ok(Some(trusted)) => Ok(trusted),
        Ok(None) => {
            Err("it is empty: name a key, or leave it out and any component is taken".to_owned())
        }
        Err(error) => Err(error.to_string()),
    }
}

/// `HOST:PORT`; an IPv6 host stands in brackets.
pub(super) fn host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let bare = !host.contains(':') || (host.starts_with('[') && host.ends_with(']'));
    let fits = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | ',' | '@');
    !host.is_empty()
        && bare
        && host.chars().all(fits)
        && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// `http://HOST:PORT`, with a path if need be.
fn is_webhook(text: &str) -> bool {
    let schemes = ["http://", "https://"];
    let Some(rest) = schemes.iter().find_map(|scheme| text.strip_prefix(scheme)) else {
        return false;
    };
    let host = rest.split(['/', '?', ':']).next().unwrap_or_default();
    !host.is_empty() && text.chars().all(|c| c.is_ascii_graphic())
}

fn is_collector(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("http://") else {
        return false;
    };
    let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
    let fits = |c: char| c.is_ascii_alphanumeric() || "/-_.~".contains(c);
    host_and_port(address) && path.chars().all(fits)
}

fn listen_address(text: &str) -> Option<SocketAddr> {
    let text = text
        .strip_prefix("localhost:")
        .map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    text.parse().ok()
}
