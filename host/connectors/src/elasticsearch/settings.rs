//! Where an Elasticsearch or OpenSearch cluster is, and how one gets in.

use crate::link::Called;
use crate::secret::{Secret, SecretError};
use crate::tls_files::TlsFiles;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::net::IpAddr;
use streamhost_core::limits;

/// Who the host is to the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// A user, and where the password stands.
    User(String, Secret),
    /// Where an API key stands, as the server gives it (`encoded`).
    ApiKey(Secret),
}

/// Where a cluster is, and how one gets in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElasticsearchSettings {
    /// What its settings are called, such as `elasticsearch` or `elasticsearch.eu`.
    pub section: String,
    /// `HOST:PORT` of each node that may be asked, at least one; any of them serves any call.
    pub hosts: Vec<String>,
    /// What stands before each path, for a proxy; it begins with `/`, or is empty.
    pub path: String,
    /// Who the host is; nobody by default.
    pub access: Option<Access>,
    /// TLS, where they speak it.
    pub tls: Option<TlsFiles>,
    /// Connections of one sink; from 1 to [`limits::ELASTICSEARCH_CONNECTIONS_MAX`].
    pub connections: usize,
}

impl Default for ElasticsearchSettings {
    /// The node on this machine that no section names.
    fn default() -> Self {
        ElasticsearchSettings {
            section: "elasticsearch".to_owned(),
            hosts: vec!["127.0.0.1:9200".to_owned()],
            path: String::new(),
            access: None,
            tls: None,
            connections: limits::ELASTICSEARCH_CONNECTIONS_DEFAULT,
        }
    }
}

impl ElasticsearchSettings {
    /// All hosts, with commas between.
    pub fn addresses(&self) -> String {
        self.hosts.join(",")
    }

    /// Nothing leaves this machine.
    pub fn is_local(&self) -> bool {
        self.hosts.iter().all(|one| {
            let host = one.rsplit_once(':').map_or("", |(host, _)| host);
            let host = host.trim_start_matches('[').trim_end_matches(']');
            host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
        })
    }

    /// What every request says of who asks. Reads the secret.
    pub(super) fn authorization(&self) -> Result<Option<String>, (&'static str, SecretError)> {
        Ok(match &self.access {
            None => None,
            Some(Access::User(user, password)) => {
                let password = password.read().map_err(|e| ("password", e))?;
                let both = STANDARD.encode(format!("{user}:{password}"));
                Some(format!("Basic {both}"))
            }
            Some(Access::ApiKey(key)) => {
                let key = key.read().map_err(|e| ("api-key", e))?;
                Some(format!("ApiKey {key}"))
            }
        })
    }

    pub(super) fn called(&self) -> Called {
        let section = self.section.clone();
        Called {
            server: "the server",
            no_tls: format!(
                "it may speak HTTP without TLS: take `{section}.tls` away, or name its HTTPS port"
            ),
            section,
            named_in: "hosts",
        }
    }
}
