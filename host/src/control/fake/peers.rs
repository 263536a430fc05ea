//! Hosts that are only said to be there.

use super::locked;
use crate::api::{Home, HostStatus, Peers, Refusal};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// A cluster of this host, `here`, and another one, `there`.
#[derive(Default)]
pub(crate) struct FakePeers {
    /// Where each job is; those that are not named are nowhere.
    pub(crate) homes: Mutex<BTreeMap<String, Home>>,
    /// The address of `there`.
    pub(crate) there: String,
    /// `there` is away.
    pub(crate) is_away: Mutex<bool>,
    pub(crate) drains: Mutex<Option<bool>>,
    pub(crate) ca: Option<PathBuf>,
}

impl FakePeers {
    /// With these jobs at the other one, which answers at an address.
    pub(crate) fn with(there: &str, jobs: &[&str]) -> Self {
        let home = Home::At {
            host: "there".to_owned(),
            address: there.to_owned(),
        };
        let homes = jobs.iter().map(|job| ((*job).to_owned(), home.clone()));
        FakePeers {
            homes: Mutex::new(homes.collect()),
            there: there.to_owned(),
            ..FakePeers::default()
        }
    }
}

impl Peers for FakePeers {
    fn home(&self, job: &str) -> Home {
        let homes = locked(&self.homes);
        homes.get(job).cloned().unwrap_or(Home::Nowhere)
    }

    fn claim(&self, job: &str) -> Result<Home, Refusal> {
        match self.home(job) {
            Home::Nowhere => Ok(Home::Here),
            home => Ok(home),
        }
    }

    fn hosts(&self) -> Vec<HostStatus> {
        let host = |name: &str, address: &str, lives| HostStatus {
            host: name.to_owned(),
            address: address.to_owned(),
            version: "0.0.0".to_owned(),
            lives,
            leads: name == "here",
            draining: false,
            jobs: Vec::new(),
        };
        let lives = !*locked(&self.is_away);
        vec![
            host("here", "http://127.0.0.1:1", true),
            host("there", &self.there, lives),
        ]
    }

    fn me(&self) -> &str {
        "here"
    }

    fn drain(&self, drains: bool) -> Result<Vec<HostStatus>, Refusal> {
        *locked(&self.drains) = Some(drains);
        Ok(self.hosts())
    }

    fn ca(&self) -> Option<&Path> {
        self.ca.as_deref()
    }
}
