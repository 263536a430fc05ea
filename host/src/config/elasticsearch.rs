//! Reads the sections of Elasticsearch's and OpenSearch's clusters: `[elasticsearch]`, and
//! `[elasticsearch.NAME]` beside it.

use super::hbase::{is_path, is_user};
use super::kafka::addresses;
use super::reader::{Reader, Section};
use std::collections::BTreeMap;
use streamhost_connectors::elasticsearch::{Access, ElasticsearchSettings};
use streamhost_core::job::settings;
use streamhost_core::limits;
use toml::de::DeValue;

/// The keys of a section; a table of another name is a cluster of its own.
const KEYS: [&str; 10] = [
    "hosts",
    "path",
    "username",
    "password",
    "api-key",
    "connections",
    "tls",
    "ca",
    "certificate",
    "key",
];

impl Reader<'_> {
    pub(super) fn elasticsearch(
        &mut self,
        at: usize,
        mut section: Section<'_>,
        all: &mut BTreeMap<String, ElasticsearchSettings>,
    ) {
        for (name, at, own) in self.instances_of(&mut section, &KEYS) {
            let settings = self.cluster(at, own);
            all.insert(name, settings);
        }
        if !section.entries.is_empty() {
            let settings = self.cluster(at, section);
            all.insert(String::new(), settings);
        }
    }

    fn cluster(&mut self, at: usize, mut section: Section<'_>) -> ElasticsearchSettings {
        let name = section.name.clone();
        let mut settings = ElasticsearchSettings {
            section: name.trim_end_matches('.').to_owned(),
            ..ElasticsearchSettings::default()
        };
        section.known.push("hosts");
        match section.entries.remove("hosts") {
            Some((_, value)) => {
                let at = value.span().start;
                match hosts(value.into_inner()) {
                    Ok(hosts) => settings.hosts = hosts,
                    Err(reason) => self.fault(at, format!("`{name}hosts`: {reason}")),
                }
            }
            None => self.fault(
                at,
                format!("`{name}hosts` is missing: it names HOST:PORT of the cluster's nodes"),
            ),
        }
        if let Some((at, path)) = self.text_of(&mut section, "path") {
            match is_path(&path) {
                true => settings.path = path,
                false => self.fault(
                    at,
                    format!("`{name}path = \"{path}\"`: a path begins with `/`, and has no blanks"),
                ),
            }
        }
        let connections = |text: &str| settings::count(text, limits::ELASTICSEARCH_CONNECTIONS_MAX);
        self.judged(
            &mut section,
            "connections",
            &mut settings.connections,
            connections,
        );
        settings.tls = self.tls_of(&mut section);
        settings.access = self.access_of(&mut section);
        if let (Some(_), None, false) = (&settings.access, &settings.tls, settings.is_local()) {
            self.warnings.push(format!(
                "the secret of `[{}]` and all rows go over the network as they are: set `{name}tls = true`",
                settings.section
            ));
        }
        self.rest(section);
        settings
    }

    /// `username` and `password`, or `api-key`.
    fn access_of(&mut self, section: &mut Section<'_>) -> Option<Access> {
        let name = section.name.clone();
        let username = self.text_of(section, "username");
        let password = self.secret_of(section, "password");
        let key = self.secret_of(section, "api-key");
        if let Some((at, user)) = &username
            && !is_user(user)
        {
            let what = format!("`{name}username = \"{user}\"` is no name of a user");
            self.fault(*at, what);
        }
        let what = match (username, password, key) {
            (Some((_, user)), Some((_, password)), None) => {
                return Some(Access::User(user, password));
            }
            (None, None, Some((_, key))) => return Some(Access::ApiKey(key)),
            (None, None, None) => return None,
            (Some((at, _)), None, None) => (
                at,
                format!(
                    "`{name}username` needs a password: name where it stands as `{name}password`"
                ),
            ),
            (None, Some((at, _)), None) => (
                at,
                format!("`{name}password` needs its user: name it as `{name}username`"),
            ),
            (_, _, Some((at, _))) => (
                at,
                format!(
                    "`{name}api-key` is instead of a user and a password: take one of the two away"
                ),
            ),
        };
        self.fault(what.0, what.1);
        None
    }
}

fn hosts(value: DeValue<'_>) -> Result<Vec<String>, String> {
    let hosts = addresses(value, "hosts").map_err(|reason| match reason.contains("://") {
        true => format!("{reason}: leave the scheme away, and for HTTPS set `tls = true`"),
        false => reason,
    })?;
    let most = limits::ELASTICSEARCH_HOSTS_MAX;
    if hosts.len() > most {
        return Err(format!("there are more than {most} hosts"));
    }
    match (1..hosts.len()).find(|&n| hosts[..n].contains(&hosts[n])) {
        Some(n) => Err(format!("`{}` is named twice", hosts[n])),
        None => Ok(hosts),
    }
}
