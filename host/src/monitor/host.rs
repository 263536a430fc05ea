//! The host itself: what it uses, which servers its jobs need, and its limits.

use super::{Monitor, process};
use crate::api::{HostFacts, HostStatus, JobFacts, JobState};
use crate::built;
use serde::Serialize;
use streamhost_core::{clock, limits};
use utoipa::ToSchema;

/// The host itself.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct HostView {
    /// The machine's name.
    pub name: String,
    version: &'static str,
    commit: Option<&'static str>,
    engine: &'static str,
    started: String,
    now: String,
    cpu: Cpu,
    memory: Memory,
    disk: Disk,
    servers: Vec<Server>,
    /// The hosts that it shares its jobs with, itself among them; null where it is by itself.
    cluster: Option<Vec<HostStatus>>,
    /// What people meet of its limits.
    pub limits: Vec<Limit>,
    /// The API wants a token.
    pub token: bool,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
struct Cpu {
    cores: usize,
    used: f64,
    guests: f64,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
struct Memory {
    used_bytes: u64,
    /// What there is for the host and its jobs: `limits.host-memory`, or what the system has.
    bound_bytes: u64,
    /// What its jobs may take at most, all together.
    jobs_bytes: u64,
    /// What it may take itself: its store, the API, and large batches.
    own_bytes: u64,
    guests_bytes: Option<u64>,
    state_bytes: u64,
}

#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub(super) struct Disk {
    path: String,
    /// By the files of the data folder; none while they are too many to be added up.
    used_bytes: Option<u64>,
    pub(super) free_bytes: u64,
    pub(super) total_bytes: u64,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
struct Server {
    name: &'static str,
    address: String,
    state: &'static str,
    what: Option<String>,
    since: Option<String>,
    round_trip_ms: Option<f64>,
}

/// One of the host's limits.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Limit {
    name: &'static str,
    value: u64,
    used: Option<u64>,
    unit: &'static str,
    meaning: &'static str,
}

impl Limit {
    /// A limit, and how much of it is used.
    pub fn new(
        name: &'static str,
        value: usize,
        used: Option<usize>,
        unit: &'static str,
        meaning: &'static str,
    ) -> Limit {
        let used = used.map(|used| used as u64);
        Limit {
            name,
            value: value as u64,
            used,
            unit,
            meaning,
        }
    }
}

impl Monitor {
    /// The host itself.
    pub fn host(&self, name: String, token: bool) -> HostView {
        let place = self.jobs.place();
        let seen = self.seen();
        let facts: Vec<&JobFacts> = seen.values().map(|seen| &seen.facts).collect();
        let guests = seen
            .values()
            .filter_map(|seen| seen.history.window.cpu_cores());
        let held = facts.iter().map(|facts| facts.meter.guest_memory_bytes());
        let may_take = facts.iter().map(|facts| &facts.status.limits.host_memory);
        let kept = facts
            .iter()
            .flat_map(|facts| facts.snapshot.stages.values());
        HostView {
            name,
            version: env!("CARGO_PKG_VERSION"),
            commit: built::COMMIT,
            engine: built::ENGINE,
            started: self.started(),
            now: clock::rfc3339(clock::now_ms()),
            cpu: Cpu {
                cores: std::thread::available_parallelism().map_or(1, usize::from),
                used: self.cpu_cores(),
                guests: (guests.sum::<f64>() * 100.0).round() / 100.0,
            },
            memory: Memory {
                used_bytes: process::memory_bytes(),
                bound_bytes: place.memory.bytes,
                jobs_bytes: may_take.flatten().map(|part| part.bytes).sum(),
                own_bytes: place.memory.own(),
                guests_bytes: Some(held.sum()),
                state_bytes: kept.map(|stage| stage.bytes).sum(),
            },
            disk: Disk {
                used_bytes: self.data_bytes(),
                ..disk(&place)
            },
            servers: place
                .servers
                .iter()
                .map(|(name, address)| server(name, address, &facts))
                .collect(),
            cluster: self.jobs.peers().map(|peers| peers.hosts()),
            limits: vec![
                Limit::new(
                    "JOBS_MAX",
                    limits::JOBS_MAX,
                    Some(facts.len()),
                    "count",
                    "jobs of one host",
                ),
                Limit::new(
                    "COMPONENT_BYTES_MAX",
                    limits::COMPONENT_BYTES_MAX,
                    None,
                    "bytes",
                    "a component",
                ),
            ],
            token,
        }
    }
}

impl Monitor {
    /// A line for each server that a job waits for.
    pub fn servers_away(&self) -> Vec<String> {
        let (place, seen) = (self.jobs.place(), self.seen());
        let facts: Vec<_> = seen.values().map(|seen| &seen.facts).collect();
        let servers = place.servers.iter();
        let servers = servers.map(|(name, address)| server(name, address, &facts));
        let away = servers.filter_map(|server| {
            let (what, since) = (server.what?, server.since?);
            let Server { name, address, .. } = server;
            Some(format!("{name} {address} is away since {since}: {what}"))
        });
        away.collect()
    }
}

/// The disk of the data folder.
pub(super) fn disk(place: &HostFacts) -> Disk {
    let path = place.data_dir.display().to_string();
    match rustix::fs::statvfs(place.data_dir.as_path()) {
        Ok(stat) => Disk {
            path,
            used_bytes: None,
            free_bytes: stat.f_bavail * stat.f_frsize,
            total_bytes: stat.f_blocks * stat.f_frsize,
        },
        Err(_) => Disk {
            path,
            ..Disk::default()
        },
    }
}

/// Each server's name and address, and whether it is there, if that is known.
pub(super) fn server_states(
    place: &HostFacts,
    facts: &[&JobFacts],
) -> Vec<(&'static str, String, Option<bool>)> {
    let state = |(name, address): &(&'static str, String)| {
        let up = match server(name, address, facts).state {
            "ok" => Some(true),
            "away" => Some(false),
            _ => None,
        };
        (*name, address.clone(), up)
    };
    place.servers.iter().map(state).collect()
}

/// A server is away while a job waits for it, and there while one runs that needs it.
fn server(name: &'static str, address: &str, facts: &[&JobFacts]) -> Server {
    let waits = facts
        .iter()
        .flat_map(|facts| facts.snapshot.waiting.values());
    let away = waits
        .filter(|(what, _)| what.contains(address))
        .min_by_key(|(_, since)| *since);
    let needs = |facts: &&&JobFacts| {
        let status = &facts.status;
        let reads = status.sources.iter().any(|s| s.connector == name);
        let writes = status.sinks.iter().any(|s| s.connector == name);
        status.state == JobState::Running && (writes || reads)
    };
    Server {
        name,
        address: address.to_owned(),
        state: match away {
            Some(_) => "away",
            None if facts.iter().any(|facts| needs(&facts)) => "ok",
            None => "unknown",
        },
        what: away.map(|(what, _)| what.clone()),
        since: away.map(|(_, since)| clock::rfc3339(*since)),
        round_trip_ms: None,
    }
}
