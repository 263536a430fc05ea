//! What stands in a cluster's control topic.
//!
//! | key | value | who writes it |
//! |---|---|---|
//! | `host/NAME` | [`HostRecord`] | that host |
//! | `job/NAME` | [`Claim`] | the host where it is deployed first, then the one that runs it |
//! | `placement` | [`Placement`] | the leader, in fenced transactions |

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::{BTreeMap, BTreeSet};

/// The format that this program writes, and the newest that it reads.
const FORMAT: u32 = 1;

/// A host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HostRecord {
    pub(crate) format: u32,
    /// Where its control API answers, as other hosts reach it.
    pub(crate) address: String,
    /// Which process it is.
    pub(crate) process: String,
    /// Its release.
    pub(crate) version: String,
    /// It is to run nothing.
    pub(crate) draining: bool,
}

/// A job that there is, or is about to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    pub(crate) format: u32,
    /// The host that asked for it first.
    pub(crate) host: String,
    /// The id of the topic that is its log, once that is there.
    pub(crate) topic_id: Option<String>,
    /// It stays on that host while it is restored from a savepoint, which is there.
    #[serde(default)]
    pub(crate) pinned: bool,
}

/// Where each job runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Placement {
    pub(crate) format: u32,
    /// It rises.
    pub(crate) number: u64,
    /// Who wrote it.
    pub(crate) leader: String,
    /// The hosts that lived then.
    pub(crate) hosts: BTreeSet<String>,
    /// The host of each job.
    pub(crate) jobs: BTreeMap<String, String>,
}

/// An entry of the topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    Host(String, Option<HostRecord>),
    Job(String, Option<Claim>),
    Placement(Placement),
}

impl HostRecord {
    pub(crate) fn new(address: &str, process: &str, draining: bool) -> Self {
        HostRecord {
            format: FORMAT,
            address: address.to_owned(),
            process: process.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            draining,
        }
    }
}

impl Claim {
    pub(crate) fn new(host: &str, topic_id: Option<String>) -> Self {
        Claim {
            format: FORMAT,
            host: host.to_owned(),
            topic_id,
            pinned: false,
        }
    }
}

impl Placement {
    pub(crate) fn new(number: u64, leader: &str) -> Self {
        Placement {
            format: FORMAT,
            number,
            leader: leader.to_owned(),
            ..Placement::default()
        }
    }
}

impl Record {
    /// The topic's key and value.
    pub(crate) fn write(&self) -> (Vec<u8>, Option<Vec<u8>>) {
        let json = |value: Result<Vec<u8>, _>| value.expect("it has nothing that JSON has not");
        match self {
            Record::Host(name, record) => (
                format!("host/{name}").into_bytes(),
                record.as_ref().map(|r| json(serde_json::to_vec(r))),
            ),
            Record::Job(name, claim) => (
                format!("job/{name}").into_bytes(),
                claim.as_ref().map(|c| json(serde_json::to_vec(c))),
            ),
            Record::Placement(placement) => (
                b"placement".to_vec(),
                Some(json(serde_json::to_vec(placement))),
            ),
        }
    }

    /// What [`Record::write`] wrote. None: a newer release's, of a kind that this one does not know.
    pub(crate) fn read(key: &[u8], value: Option<&[u8]>) -> Result<Option<Self>, String> {
        let key = std::str::from_utf8(key).map_err(|e| e.to_string())?;
        Ok(match (key.split_once('/'), key) {
            (Some(("host", name)), _) => {
                Some(Record::Host(name.to_owned(), value.map(read).transpose()?))
            }
            (Some(("job", name)), _) => {
                Some(Record::Job(name.to_owned(), value.map(read).transpose()?))
            }
            (None, "placement") => value.map(read).transpose()?.map(Record::Placement),
            _ => None,
        })
    }
}

fn read<T: DeserializeOwned>(value: &[u8]) -> Result<T, String> {
    #[derive(Deserialize)]
    struct Number {
        format: u32,
    }
    let Number { format } = serde_json::from_slice(value).map_err(|e| e.to_string())?;
    if format > FORMAT {
        return Err(format!(
            "it has format {format}, and this streamhost reads format {FORMAT} at most: run the newer release here too"
        ));
    }
    serde_json::from_slice(value).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_and_newer_ones_are_refused_in_words() {
        let mut placement = Placement::new(3, "a");
        placement.jobs = [("j".to_owned(), "a".to_owned())].into();
        let host = HostRecord::new("http://127.0.0.1:1", "p", true);
        for record in [
            Record::Host("a".into(), Some(host)),
            Record::Host("a".into(), None),
            Record::Job("j".into(), Some(Claim::new("a", None))),
            Record::Job("j".into(), None),
            Record::Placement(placement),
        ] {
            let (key, value) = record.write();
            let read = Record::read(&key, value.as_deref()).unwrap();
            assert_eq!(read, Some(record));
        }
        assert_eq!(Record::read(b"other/x", Some(b"{}")), Ok(None));
        let newer = Record::read(b"job/j", Some(br#"{"format":2}"#)).unwrap_err();
        assert!(newer.contains("format 2"), "{newer}");
        assert!(Record::read(b"job/j", Some(b"{")).is_err());
    }
}
