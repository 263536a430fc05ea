//! Reads the section of the hosts that share their jobs.

use super::reader::{Reader, Section};
use std::path::PathBuf;
use streamhost_core::job::names;

/// The `[cluster]` part of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterSettings {
    /// The cluster's name: hosts of one name, at one Kafka, share their jobs.
    pub name: String,
    /// This host's name; none: the machine's.
    pub host: Option<String>,
    /// Where other hosts reach its control API; none: where it listens.
    pub address: Option<String>,
    /// Who has signed the certificates of the hosts' control APIs; none: whom the system trusts.
    pub ca: Option<PathBuf>,
}

impl Reader<'_> {
    pub(super) fn hosts_of_cluster(
        &mut self,
        at: usize,
        mut section: Section<'_>,
    ) -> Option<ClusterSettings> {
        let name = self.text_of(&mut section, "name");
        let host = self.text_of(&mut section, "host");
        let address = self.text_of(&mut section, "address");
        let ca = self.text_of(&mut section, "ca");
        self.rest(section);
        for (key, named) in [("name", &name), ("host", &host)] {
            if let Some((at, text)) = named
                && let Err(reason) = names::job(&text.to_ascii_lowercase())
            {
                self.fault(*at, format!("`cluster.{key} = \"{text}\"`: {reason}"));
            }
        }
        if let Some((at, text)) = &address
            && !is_url(text)
        {
            self.fault(
                *at,
                format!(
                    "`cluster.address = \"{text}\"`: it is http://HOST:PORT or https://HOST:PORT, as other hosts reach this one"
                ),
            );
        }
        let ca = ca.map(|(at, file)| {
            let path = self.folder.join(&file);
            if let Err(error) = std::fs::metadata(&path) {
                self.fault(at, format!("`cluster.ca = \"{file}\"`: {error}"));
            }
            path
        });
        let Some((_, name)) = name else {
            self.fault(
                at,
                "`cluster.name` is missing: hosts of one name share their jobs",
            );
            return None;
        };
        Some(ClusterSettings {
            name,
            host: host.map(|(_, host)| host),
            address: address.map(|(_, address)| address),
            ca,
        })
    }
}

fn is_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    rest.and_then(|rest| rest.rsplit_once(':'))
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}
