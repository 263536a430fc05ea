//! Figures of the host and its process.

use super::{Family, MetricType, seconds};
use crate::api::HostStatus;
use crate::built::{COMMIT, ENGINE};
use crate::monitor::Monitor;
use crate::monitor::host::server_states;
use crate::telemetry::Tracer;
use streamhost_core::clock;

/// What is known of the host beside its process.
pub(super) struct HostFigures {
    started_ms: i64,
    /// Bytes of the data folder's files.
    data_bytes: Option<u64>,
    /// Bytes that are free on its disk, and all.
    disk: Option<(u64, u64)>,
    /// Each server's name and address, and whether it is there, if that is known.
    servers: Vec<(&'static str, String, Option<bool>)>,
    /// Traces that were sent, and that were let go, where a collector is named.
    traces: Option<(u64, u64)>,
    /// Alerts that the webhook took, and that were let go, where one is named.
    alerts: Option<(u64, u64)>,
    /// The hosts of the cluster, and whether this one leads; none where it is by itself.
    cluster: Option<(Vec<HostStatus>, bool)>,
}

impl Monitor {
    pub(super) fn host_figures(&self) -> HostFigures {
        let place = self.jobs.place();
        let (seen, disk) = (self.seen(), super::super::host::disk(&place));
        let facts: Vec<_> = seen.values().map(|seen| &seen.facts).collect();
        HostFigures {
            started_ms: self.started_ms,
            data_bytes: self.data_bytes(),
            disk: (disk.total_bytes > 0).then_some((disk.free_bytes, disk.total_bytes)),
            servers: server_states(&place, &facts),
            traces: self.tracer.as_ref().map(Tracer::counts),
            alerts: self.jobs.alerts(),
            cluster: self.jobs.peers().map(|peers| {
                let hosts = peers.hosts();
                let leads = hosts.iter().any(|h| h.leads && h.host == peers.me());
                (hosts, leads)
            }),
        }
    }
}

/// Figures that there are once.
pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "streamhost_build_info",
        kind: MetricType::Gauge,
        help: "Always 1; its labels say what runs.",
        samples: |_, samples| {
            let labels = vec![
                ("version", env!("CARGO_PKG_VERSION").to_owned()),
                ("commit", COMMIT.unwrap_or("unknown").to_owned()),
                ("engine", ENGINE.to_owned()),
            ];
            samples.add(labels, 1);
        },
    },
    Family {
        name: "streamhost_jobs",
        kind: MetricType::Gauge,
        help: "Jobs that are deployed.",
        samples: |scrape, samples| samples.add(Vec::new(), scrape.jobs.len() as u64),
    },
    Family {
        name: "streamhost_server_up",
        kind: MetricType::Gauge,
        help: "0 while a job waits for the server, 1 while one runs that needs it; absent while none does.",
        samples: |scrape, samples| {
            for (name, address, up) in &scrape.host.servers {
                let labels = vec![("server", (*name).to_owned()), ("address", address.clone())];
                samples.known(labels, up.map(u64::from));
            }
        },
    },
    Family {
        name: "streamhost_data_bytes",
        kind: MetricType::Gauge,
        help: "Bytes of the files in the data folder, added up once a minute; absent while they are too many.",
        samples: |scrape, samples| samples.known(Vec::new(), scrape.host.data_bytes),
    },
    Family {
        name: "streamhost_data_disk_free_bytes",
        kind: MetricType::Gauge,
        help: "Bytes that are free on the data folder's disk.",
        samples: |scrape, samples| {
            samples.known(Vec::new(), scrape.host.disk.map(|(free, _)| free))
        },
    },
    Family {
        name: "streamhost_data_disk_size_bytes",
        kind: MetricType::Gauge,
        help: "Bytes that the data folder's disk has.",
        samples: |scrape, samples| {
            samples.known(Vec::new(), scrape.host.disk.map(|(_, size)| size))
        },
    },
    Family {
        name: "streamhost_clock_skew_seconds",
        kind: MetricType::Gauge,
        help: "By how much the machine's clock was set ahead since the host's start; below 0: back.",
        samples: |_, samples| samples.add(Vec::new(), seconds(clock::set_ahead_ms())),
    },
    Family {
        name: "streamhost_alerts_sent_total",
        kind: MetricType::Counter,
        help: "Alerts that the webhook took; absent where none is named.",
        samples: |scrape, samples| {
            samples.known(Vec::new(), scrape.host.alerts.map(|(sent, _)| sent))
        },
    },
    Family {
        name: "streamhost_alerts_failed_total",
        kind: MetricType::Counter,
        help: "Alerts that were let go, as the webhook was away, refused them, or too many came.",
        samples: |scrape, samples| {
            samples.known(Vec::new(), scrape.host.alerts.map(|(_, failed)| failed));
        },
    },
    Family {
        name: "streamhost_cluster_host_up",
        kind: MetricType::Gauge,
        help: "Whether a host of the cluster is there, as this one sees it; absent where the host is by itself.",
        samples: |scrape, samples| {
            let hosts = scrape.host.cluster.iter().flat_map(|(hosts, _)| hosts);
            for host in hosts {
                samples.add(vec![("host", host.host.clone())], u64::from(host.lives));
            }
        },
    },
    Family {
        name: "streamhost_cluster_leads",
        kind: MetricType::Gauge,
        help: "Whether this host places the jobs of its cluster: one of them does.",
        samples: |scrape, samples| {
            let leads = scrape
                .host
                .cluster
                .as_ref()
                .map(|(_, leads)| u64::from(*leads));
            samples.known(Vec::new(), leads);
        },
    },
    Family {
        name: "streamhost_traces_sent_total",
        kind: MetricType::Counter,
        help: "Traces of batches that the collector took; absent where none is named.",
        samples: |scrape, samples| {
            samples.known(Vec::new(), scrape.host.traces.map(|(sent, _)| sent))
        },
    },
    Family {
        name: "streamhost_traces_dropped_total",
        kind: MetricType::Counter,
        help: "Traces of batches that were let go, as the collector was away or slow.",
        samples: |scrape, samples| {
            samples.known(Vec::new(), scrape.host.traces.map(|(_, dropped)| dropped));
        },
    },
    Family {
        name: "process_cpu_seconds_total",
        kind: MetricType::Counter,
        help: "CPU time of the process, user and system.",
        samples: |scrape, samples| samples.known(Vec::new(), scrape.process.cpu_seconds),
    },
    Family {
        name: "process_resident_memory_bytes",
        kind: MetricType::Gauge,
        help: "Memory that the process holds.",
        samples: |scrape, samples| samples.known(Vec::new(), scrape.process.resident_bytes),
    },
    Family {
        name: "process_virtual_memory_bytes",
        kind: MetricType::Gauge,
        help: "Addresses that the process holds; instances of components reserve many.",
        samples: |scrape, samples| samples.known(Vec::new(), scrape.process.virtual_bytes),
    },
    Family {
        name: "process_open_fds",
        kind: MetricType::Gauge,
        help: "File descriptors that are open.",
        samples: |scrape, samples| samples.known(Vec::new(), scrape.process.open_fds),
    },
    Family {
        name: "process_max_fds",
        kind: MetricType::Gauge,
        help: "File descriptors that may be open.",
        samples: |scrape, samples| samples.known(Vec::new(), scrape.process.fds_max),
    },
    Family {
        name: "process_threads",
        kind: MetricType::Gauge,
        help: "Threads of the process.",
        samples: |scrape, samples| samples.known(Vec::new(), scrape.process.threads),
    },
    Family {
        name: "process_start_time_seconds",
        kind: MetricType::Gauge,
        help: "When the host began, since 1970.",
        samples: |scrape, samples| samples.add(Vec::new(), seconds(scrape.host.started_ms)),
    },
];
