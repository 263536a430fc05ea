//! Reads the section of HBase: its gateways, how they speak, and who the host is to them.

use super::Config;
use super::kafka::addresses;
use super::reader::{Reader, Section};
use std::net::IpAddr;
use streamhost_connectors::hbase::{HbaseSettings, Protocol, Transport};
use streamhost_core::job::settings;
use streamhost_core::limits;
use toml::de::DeValue;

/// The keys of a section; a table of another name is a cluster of its own.
const KEYS: [&str; 12] = [
    "thrift",
    "transport",
    "protocol",
    "connections",
    "tls",
    "ca",
    "certificate",
    "key",
    "path",
    "username",
    "password",
    "do-as",
];

impl Reader<'_> {
    /// `[hbase]`, and `[hbase.NAME]` beside it.
    pub(super) fn hbase_sections(&mut self, mut section: Section<'_>, config: &mut Config) {
        for (name, at, own) in self.instances_of(&mut section, &KEYS) {
            let mut settings = HbaseSettings::default();
            if !own.entries.contains_key("thrift") {
                let what = format!(
                    "`{}thrift` is missing: it names the gateways of this cluster",
                    own.name
                );
                self.fault(at, what);
            }
            self.hbase(own, &mut settings);
            config.other_hbase.insert(name, settings);
        }
        self.hbase(section, &mut config.hbase);
    }

    fn hbase(&mut self, mut section: Section<'_>, hbase: &mut HbaseSettings) {
        let name = section.name.clone();
        section.known.push("thrift");
        if let Some((_, value)) = section.entries.remove("thrift") {
            let at = value.span().start;
            match gateways(value.into_inner()) {
                Ok(gateways) => hbase.gateways = gateways,
                Err(reason) => self.fault(at, format!("`{name}thrift`: {reason}")),
            }
        }
        if let Some((at, text)) = self.text_of(&mut section, "transport") {
            match Transport::ALL.into_iter().find(|one| one.name() == text) {
                Some(transport) => hbase.transport = transport,
                None => self.fault(
                    at,
                    format!(
                        "`{name}transport = \"{text}\"`: it is \"buffered\", \"framed\" or \"http\""
                    ),
                ),
            }
        }
        if let Some((at, text)) = self.text_of(&mut section, "protocol") {
            match &*text {
                "binary" => hbase.protocol = Protocol::Binary,
                "compact" => hbase.protocol = Protocol::Compact,
                _ => self.fault(
                    at,
                    format!("`{name}protocol = \"{text}\"`: it is \"binary\" or \"compact\""),
                ),
            }
        }
        let connections = |text: &str| settings::count(text, limits::HBASE_CONNECTIONS_MAX);
        self.judged(
            &mut section,
            "connections",
            &mut hbase.connections,
            connections,
        );
        hbase.tls = self.tls_of(&mut section);
        self.hbase_http(&mut section, hbase);
        self.rest(section);
    }

    fn hbase_http(&mut self, section: &mut Section<'_>, hbase: &mut HbaseSettings) {
        let own = section.name.clone();
        let path = self.text_of(section, "path");
        let username = self.text_of(section, "username");
        let do_as = self.text_of(section, "do-as");
        let password = self.password_of(section);
        let named = [("path", &path), ("username", &username), ("do-as", &do_as)];
        let first = named
            .into_iter()
            .find_map(|(name, text)| text.as_ref().map(|(at, _)| (name, *at)));
        let first = first.or(password.as_ref().map(|(at, _)| ("password", *at)));
        if let (Some((name, at)), true) = (first, hbase.transport != Transport::Http) {
            let what = format!(
                "`{own}{name}` is for HTTP: set `{own}transport = \"http\"`; the gateway's own \
                 protocol knows no users"
            );
            return self.fault(at, what);
        }
        if let Some((at, path)) = path {
            match is_path(&path) {
                true => hbase.http.path = path,
                false => self.fault(
                    at,
                    format!("`{own}path = \"{path}\"`: a path begins with `/`, and has no blanks"),
                ),
            }
        }
        for (name, user) in [("username", &username), ("do-as", &do_as)] {
            if let Some((at, user)) = user
                && !is_user(user)
            {
                self.fault(
                    *at,
                    format!("`{own}{name} = \"{user}\"` is no name of a user"),
                );
            }
        }
        hbase.http.do_as = do_as.map(|(_, user)| user);
        match (username, password) {
            (Some((_, user)), Some((_, password))) => {
                if hbase.tls.is_none() && !all_on_this_machine(&hbase.gateways) {
                    self.warnings.push(format!(
                        "`{own}password` goes over the network as it is: set `{own}tls = true`"
                    ));
                }
                hbase.http.user = Some((user, password));
            }
            (Some((at, _)), None) => {
                let what = format!(
                    "`{own}username` needs a password: name where it stands as `{own}password`"
                );
                self.fault(at, what);
            }
            (None, Some((at, _))) => {
                let what = format!("`{own}password` needs its user: name it as `{own}username`");
                self.fault(at, what);
            }
            (None, None) => {}
        }
    }
}

fn gateways(value: DeValue<'_>) -> Result<Vec<String>, String> {
    let gateways = addresses(value, "gateways")?;
    let most = limits::HBASE_GATEWAYS_MAX;
    if gateways.len() > most {
        return Err(format!("there are more than {most} gateways"));
    }
    for (n, one) in gateways.iter().enumerate() {
        if gateways[..n].contains(one) {
            return Err(format!("`{one}` is named twice"));
        }
    }
    Ok(gateways)
}

pub(super) fn is_path(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_graphic() && !matches!(c, '#' | '"' | '<' | '>' | '\\');
    text.starts_with('/') && text.chars().all(fits)
}

/// A name that can stand in a header, and before a password.
pub(super) fn is_user(text: &str) -> bool {
    !text.is_empty() && !text.contains(':') && text.chars().all(|c| c.is_ascii_graphic())
}

/// Nothing leaves the machine.
fn all_on_this_machine(gateways: &[String]) -> bool {
    gateways.iter().all(|gateway| {
        let host = gateway.rsplit_once(':').map_or("", |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    })
}
