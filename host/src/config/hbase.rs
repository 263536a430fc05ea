//! Reads the section of HBase: its gateways, how they speak, and who the host is to them.

use super::kafka::addresses;
use super::reader::{Reader, Section};
use std::net::IpAddr;
use std::path::PathBuf;
use streamhost_connectors::hbase::{HbaseSettings, Protocol, TlsFiles, Transport};
use streamhost_connectors::secret::{Secret, open_to_all};
use streamhost_core::job::settings;
use streamhost_core::limits;
use toml::de::DeValue;

impl Reader<'_> {
    pub(super) fn hbase(&mut self, mut section: Section<'_>, hbase: &mut HbaseSettings) {
        section.known.push("thrift");
        if let Some((_, value)) = section.entries.remove("thrift") {
            let at = value.span().start;
            match gateways(value.into_inner()) {
                Ok(gateways) => hbase.gateways = gateways,
                Err(reason) => self.fault(at, format!("`hbase.thrift`: {reason}")),
            }
        }
        if let Some((at, text)) = self.text_of(&mut section, "transport") {
            match Transport::ALL.into_iter().find(|one| one.name() == text) {
                Some(transport) => hbase.transport = transport,
                None => self.fault(
                    at,
                    format!(
                        "`hbase.transport = \"{text}\"`: it is \"buffered\", \"framed\" or \"http\""
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
                    format!("`hbase.protocol = \"{text}\"`: it is \"binary\" or \"compact\""),
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
        self.hbase_tls(&mut section, hbase);
        self.hbase_http(&mut section, hbase);
        self.rest(section);
    }

    fn hbase_tls(&mut self, section: &mut Section<'_>, hbase: &mut HbaseSettings) {
        let tls = self.truth_of(section, "tls");
        let ca = self.text_of(section, "ca");
        let certificate = self.text_of(section, "certificate");
        let key = self.text_of(section, "key");
        let named = [("ca", &ca), ("certificate", &certificate), ("key", &key)];
        let first_at = named
            .into_iter()
            .find_map(|(name, file)| file.as_ref().map(|(at, _)| (name, *at)));
        let [ca, certificate, key] = [ca, certificate, key]
            .map(|named| named.map(|(at, file)| (at, self.folder.join(file))));
        if !tls {
            if let Some((name, at)) = first_at {
                self.fault(
                    at,
                    format!("`hbase.{name}` is for TLS: set `hbase.tls = true`"),
                );
            }
            return;
        }
        let file = |named: Option<(usize, PathBuf)>| named.map(|(_, path)| path);
        let own = match (certificate, key) {
            (Some((_, certificate)), Some((_, key))) => Some((certificate, key)),
            (Some((at, _)), None) => {
                let what = "`hbase.certificate` needs its private key: name it as `hbase.key`";
                return self.fault(at, what);
            }
            (None, Some((at, _))) => {
                let what = "`hbase.key` needs its certificate: name it as `hbase.certificate`";
                return self.fault(at, what);
            }
            (None, None) => None,
        };
        self.warnings
            .extend(own.iter().filter_map(|(_, key)| open_to_all(key)));
        let files = TlsFiles { ca: file(ca), own };
        if let Err(reason) = files.check() {
            self.fault(first_at.map_or(0, |(_, at)| at), reason);
        }
        hbase.tls = Some(files);
    }

    fn hbase_http(&mut self, section: &mut Section<'_>, hbase: &mut HbaseSettings) {
        let path = self.text_of(section, "path");
        let username = self.text_of(section, "username");
        let do_as = self.text_of(section, "do-as");
        let password = self.hbase_password(section);
        let named = [("path", &path), ("username", &username), ("do-as", &do_as)];
        let first = named
            .into_iter()
            .find_map(|(name, text)| text.as_ref().map(|(at, _)| (name, *at)));
        let first = first.or(password.as_ref().map(|(at, _)| ("password", *at)));
        if let (Some((name, at)), true) = (first, hbase.transport != Transport::Http) {
            let what = format!(
                "`hbase.{name}` is for HTTP: set `hbase.transport = \"http\"`; the gateway's own \
                 protocol knows no users"
            );
            return self.fault(at, what);
        }
        if let Some((at, path)) = path {
            match is_path(&path) {
                true => hbase.http.path = path,
                false => self.fault(
                    at,
                    format!("`hbase.path = \"{path}\"`: a path begins with `/`, and has no blanks"),
                ),
            }
        }
        for (name, user) in [("username", &username), ("do-as", &do_as)] {
            if let Some((at, user)) = user
                && !is_user(user)
            {
                self.fault(
                    *at,
                    format!("`hbase.{name} = \"{user}\"` is no name of a user"),
                );
            }
        }
        hbase.http.do_as = do_as.map(|(_, user)| user);
        match (username, password) {
            (Some((_, user)), Some((_, password))) => {
                if hbase.tls.is_none() && !all_on_this_machine(&hbase.gateways) {
                    let what =
                        "`hbase.password` goes over the network as it is: set `hbase.tls = true`";
                    self.warnings.push(what.to_owned());
                }
                hbase.http.user = Some((user, password));
            }
            (Some((at, _)), None) => {
                let what =
                    "`hbase.username` needs a password: name where it stands as `hbase.password`";
                self.fault(at, what);
            }
            (None, Some((at, _))) => {
                let what = "`hbase.password` needs its user: name it as `hbase.username`";
                self.fault(at, what);
            }
            (None, None) => {}
        }
    }

    /// Where the password stands. It is read whenever a connection is made, and here as well, as
    /// one that is missing stops the start.
    fn hbase_password(&mut self, section: &mut Section<'_>) -> Option<(usize, Secret)> {
        section.known.push("password");
        let (at, value) = section.entries.remove("password")?;
        let secret = match value.into_inner() {
            DeValue::Table(table) => self.elsewhere(&table),
            _ => None,
        };
        let Some(secret) = secret else {
            let what = "`hbase.password`: a password does not stand here: { file = \"…\" } or \
                        { env = \"…\" } says where it does";
            self.fault(at, what);
            return Some((at, Secret::Env(String::new())));
        };
        self.warnings.extend(secret.warning());
        if let Err(reason) = secret.read() {
            self.fault(at, format!("`hbase.password`: {reason}"));
        }
        Some((at, secret))
    }

    fn truth_of(&mut self, section: &mut Section<'_>, key: &'static str) -> bool {
        section.known.push(key);
        let Some((at, value)) = section.entries.remove(key) else {
            return false;
        };
        match value.get_ref() {
            DeValue::Boolean(is) => *is,
            _ => {
                let name = section.name;
                self.fault(at, format!("`{name}{key}`: true or false belongs here"));
                false
            }
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

fn is_path(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_graphic() && !matches!(c, '#' | '"' | '<' | '>' | '\\');
    text.starts_with('/') && text.chars().all(fits)
}

/// A name that can stand in a header, and before a password.
fn is_user(text: &str) -> bool {
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
