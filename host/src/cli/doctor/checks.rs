//! What `doctor` looks at.

use super::Finding;
use crate::api::JobState;
use crate::built;
use crate::cli::CliError;
use crate::cli::client::{Client, ClientError};
use crate::cli::list::state;
use crate::cli::output::count;
use crate::cli::told::Told;
use crate::cli::toolchain::{TARGET, Toolchain};
use crate::config::{Config, ConfigError};
use serde::Deserialize;
use std::path::Path;
use std::process::Command;
use std::time::UNIX_EPOCH;
use streamhost_connectors::elasticsearch::{self, ElasticsearchSettings};
use streamhost_connectors::hbase::{HbaseSettings, table_names};
use streamhost_connectors::kafka::KafkaSettings;
use streamhost_connectors::kafka::topics::{TopicError, broker_count, topic_facts};
use streamhost_connectors::sql::DatabaseSettings;
use streamhost_connectors::{mysql, postgres};
use streamhost_core::job::connector::LETTERS;
use streamhost_core::{clock, limits};
use streamhost_engine::sink::SinkError;

/// Free space from which on there is nothing to say, and below which nothing goes.
const FREE_BYTES: (u64, u64) = (2 << 30, 200 << 20);
/// Clocks that differ by more make event times and logs hard to read, or certificates invalid.
const SKEW_MS: (i64, i64) = (1_000, 60_000);

/// Rust, and the target of jobs.
pub(super) fn toolchain() -> Vec<Finding> {
    let check = "toolchain";
    let asked = Command::new("rustc").arg("--version").output();
    let rust = match asked {
        Ok(said) if said.status.success() => {
            let version = String::from_utf8_lossy(&said.stdout).trim().to_owned();
            Finding::ok(check, version)
        }
        _ => {
            let mend =
                "to build jobs here install Rust from https://rustup.rs; a host runs without";
            return vec![Finding::warn(check, "there is no rustc", mend)];
        }
    };
    let target = match Toolchain::find(Path::new(".")) {
        Ok(_) => Finding::ok("Wasm target", format!("it compiles for {TARGET}")),
        Err(error) => Finding::warn(
            "Wasm target",
            error.to_string(),
            format!("to build jobs here: `rustup target add {TARGET}`; a host runs without"),
        ),
    };
    vec![rust, target]
}

/// Whether something keeps this machine's clock right, where the system tells. Rows carry its times,
/// and a clock that is wrong from the start looks like a right one to a host.
pub(super) fn time_service() -> Option<Finding> {
    let asked = Command::new("timedatectl")
        .args(["show", "-p", "NTPSynchronized", "--value"])
        .output();
    let said = asked.ok()?.stdout;
    kept(String::from_utf8_lossy(&said).trim())
}

fn kept(said: &str) -> Option<Finding> {
    let check = "time service";
    match said {
        "yes" => Some(Finding::ok(check, "it keeps this machine's clock right")),
        "no" => Some(Finding::warn(
            check,
            "nothing keeps this machine's clock right",
            "run systemd-timesyncd or chrony: rows carry the host's times, and those of a clock that is ahead hide later ones",
        )),
        _ => None,
    }
}

/// The configuration's file.
pub(super) fn config(named: Option<&Path>, read: &Result<Config, ConfigError>) -> Finding {
    let check = "configuration";
    let usual = Path::new("streamhost.toml");
    match (read, named) {
        (Err(error), _) => Finding::fail(
            check,
            error.to_string(),
            "mend the file: docs/src/configuration.md",
        ),
        (Ok(_), Some(path)) => Finding::ok(check, path.display().to_string()),
        (Ok(_), None) if usual.exists() => Finding::ok(check, usual.display().to_string()),
        (Ok(_), None) => Finding::ok(check, "no streamhost.toml here: the defaults"),
    }
}

/// A setting that is taken as it is.
pub(super) fn unsafe_setting(warning: &str) -> Finding {
    let (found, mend) = warning.split_once(": ").unwrap_or((warning, ""));
    Finding::warn("configuration", found, mend)
}

/// What a daemon says of itself, as far as it counts here.
#[derive(Deserialize)]
struct HostView {
    version: String,
    #[serde(default)]
    commit: Option<String>,
    now: String,
    disk: Disk,
    servers: Vec<Server>,
}

#[derive(Deserialize)]
struct Disk {
    path: String,
    free_bytes: u64,
    total_bytes: u64,
}

#[derive(Deserialize)]
struct Server {
    name: String,
    address: String,
}

/// A daemon that answers.
pub(super) struct Daemon {
    host: HostView,
    /// Its clock less ours, in milliseconds, if it can be read.
    skew_ms: Option<i64>,
    jobs: Vec<Told>,
}

impl Daemon {
    /// Asks it all that is looked at.
    pub(super) fn ask(client: Client) -> Result<Daemon, ClientError> {
        let before = clock::now_ms();
        let host: HostView = client.get("/v1/host", &[])?;
        let after = clock::now_ms();
        let its = humantime::parse_rfc3339_weak(&host.now).ok();
        let its = its.and_then(|its| its.duration_since(UNIX_EPOCH).ok());
        let its = its.and_then(|its| i64::try_from(its.as_millis()).ok());
        Ok(Daemon {
            skew_ms: its.map(|its| its - i64::midpoint(before, after)),
            jobs: client.get("/v1/jobs", &[])?,
            host,
        })
    }
}

/// The daemon, its version, and its clock.
pub(super) fn daemon(asked: &Result<Daemon, CliError>) -> Vec<Finding> {
    let check = "daemon";
    let daemon = match asked {
        Ok(daemon) => daemon,
        Err(CliError::Client(ClientError::Unreachable { url, .. })) => {
            let mend = "start one with `streamhost dev` or `streamhost serve`, or name it with STREAMHOST_URL";
            return vec![Finding::warn(check, format!("none answers at {url}"), mend)];
        }
        Err(error) => {
            let mend = "name the daemon with STREAMHOST_URL, and its token with STREAMHOST_TOKEN";
            return vec![Finding::fail(check, error.to_string(), mend)];
        }
    };
    let own = env!("CARGO_PKG_VERSION");
    let its = &daemon.host.version;
    let commit = |commit: Option<&str>| commit.unwrap_or("not known").to_owned();
    let (own_commit, its_commit) = (commit(built::COMMIT), commit(daemon.host.commit.as_deref()));
    let version = match (its == own, its_commit == own_commit) {
        (true, true) => Finding::ok(check, format!("version {its}, as this command line")),
        (true, false) => Finding::ok(
            check,
            format!("version {its} of commit {its_commit}; this command line is of {own_commit}"),
        ),
        (false, _) => Finding::warn(
            check,
            format!("version {its}; this command line is {own}"),
            "use that daemon's own `streamhost`, or upgrade it",
        ),
    };
    vec![version, skew(daemon.skew_ms)]
}

fn skew(skew_ms: Option<i64>) -> Finding {
    let check = "clock";
    let mend = "let NTP set the clocks of both machines";
    let Some(skew_ms) = skew_ms else {
        return Finding::warn(check, "the daemon's time cannot be read", mend);
    };
    let found = format!("the daemon's differs from this machine's by {skew_ms} ms");
    match skew_ms.abs() {
        near if near <= SKEW_MS.0 => Finding::ok(check, found),
        far if far <= SKEW_MS.1 => Finding::warn(check, found, mend),
        _ => Finding::fail(check, found, mend),
    }
}

/// The servers that are looked at.
pub(super) struct Servers {
    pub(super) kafka: KafkaSettings,
    pub(super) hbase: HbaseSettings,
}

impl Servers {
    /// Those of a configuration that is named or at hand; else those of the daemon.
    pub(super) fn of(config: &Config, named: bool, daemon: Option<&Daemon>) -> Servers {
        let mut servers = Servers {
            kafka: config.kafka.clone(),
            hbase: config.hbase.clone(),
        };
        if named || Path::new("streamhost.toml").exists() {
            return servers;
        }
        for server in daemon.iter().flat_map(|daemon| &daemon.host.servers) {
            match server.name.as_str() {
                "kafka" => servers.kafka.brokers.clone_from(&server.address),
                "hbase" => servers.hbase.name_gateways(&server.address),
                _ => {}
            }
        }
        servers
    }
}

/// Whether the brokers answer.
pub(super) fn kafka(settings: &KafkaSettings) -> Finding {
    let check = "Kafka";
    let faults = settings.check();
    if !faults.is_empty() {
        return Finding::fail(check, faults.join("; "), "mend [kafka] of streamhost.toml");
    }
    match broker_count(settings) {
        Ok(1) => Finding::ok(check, format!("a broker answers at {}", settings.brokers)),
        Ok(count) => Finding::ok(
            check,
            format!("{count} brokers answer at {}", settings.brokers),
        ),
        Err(error @ TopicError::Denied { .. }) => Finding::fail(
            check,
            error.to_string(),
            "mend [kafka] of streamhost.toml: docs/src/security.md",
        ),
        Err(error) => Finding::fail(
            check,
            error.to_string(),
            "start Kafka (or `streamhost dev`), or mend `kafka.brokers`",
        ),
    }
}

/// Whether the gateway answers.
pub(super) fn hbase(settings: &HbaseSettings, section: &str) -> Finding {
    let check = "HBase";
    match table_names(settings.clone()) {
        Ok(tables) => {
            let tables = count(tables.len() as u64, "table", "tables");
            let at = settings.addresses();
            Finding::ok(check, format!("the gateway at {at} answers, with {tables}"))
        }
        Err(error) => Finding::fail(
            check,
            error.to_string(),
            format!(
                "start HBase's Thrift gateway (or `streamhost dev`), or mend `[{section}]`; jobs without tables run without"
            ),
        ),
    }
}

/// Whether a database of PostgreSQL answers.
pub(super) fn postgres(settings: &DatabaseSettings) -> Finding {
    database("PostgreSQL", settings, postgres::server_version(settings))
}

/// The same of MySQL or MariaDB.
pub(super) fn mysql(settings: &DatabaseSettings) -> Finding {
    database("MySQL", settings, mysql::server_version(settings))
}

fn database(
    server: &'static str,
    settings: &DatabaseSettings,
    version: Result<String, SinkError>,
) -> Finding {
    match version {
        Ok(version) => Finding::ok(
            server,
            format!("{version} answers at {}", settings.address()),
        ),
        Err(error) => Finding::fail(
            server,
            error.to_string(),
            format!(
                "start it, or mend `[{}]`; jobs without its tables run without",
                settings.section()
            ),
        ),
    }
}

/// Whether a cluster answers.
pub(super) fn elasticsearch(settings: &ElasticsearchSettings) -> Finding {
    match elasticsearch::server_version(settings) {
        Ok(version) => Finding::ok(
            "Elasticsearch",
            format!("{version} answers at {}", settings.addresses()),
        ),
        Err(error) => Finding::fail(
            "Elasticsearch",
            error.to_string(),
            format!(
                "start it, or mend `[{}]`; jobs without its indices run without",
                settings.section
            ),
        ),
    }
}

/// How full the daemon's disk is.
pub(super) fn disk_of(daemon: &Daemon) -> Vec<Finding> {
    let Disk {
        path,
        free_bytes,
        total_bytes,
    } = &daemon.host.disk;
    match total_bytes {
        0 => Vec::new(), // it does not say
        _ => vec![space(path, *free_bytes)],
    }
}

fn space(path: &str, free: u64) -> Finding {
    let check = "data folder";
    let size = bytesize::ByteSize(free).display().iec();
    let found = format!("{path}: {size} are free");
    let mend = "make room: without any, no checkpoint can be written and every job waits";
    match free {
        much if much >= FREE_BYTES.0 => Finding::ok(check, found),
        some if some >= FREE_BYTES.1 => Finding::warn(check, found, mend),
        _ => Finding::fail(check, found, mend),
    }
}

/// Whether a host could write its folder, and how full its disk is.
pub(super) fn data_folder(folder: &Path) -> Vec<Finding> {
    let check = "data folder";
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let there = absolute.ancestors().find(|path| path.exists());
    let Some(there) = there else {
        return Vec::new(); // the root is there
    };
    let shown = folder.display().to_string();
    if let Err(error) = tempfile::tempfile_in(there) {
        let mend = format!("let this user write {}, or set `data-dir`", there.display());
        return vec![Finding::fail(check, format!("{shown}: {error}"), mend)];
    }
    match rustix::fs::statvfs(there) {
        Ok(stat) => vec![space(&shown, stat.f_bavail * stat.f_frsize)],
        Err(error) => vec![Finding::warn(
            check,
            format!("{shown}: how full its disk is cannot be asked: {error}"),
            "look at it with `df`",
        )],
    }
}

/// Jobs that do not go on.
pub(super) fn jobs(daemon: &Daemon) -> Vec<Finding> {
    let one = |told: &Told| {
        let job = &told.status;
        let waits = job.waiting_for.as_ref().map(|waiting| waiting.what.clone());
        let reason = told.moving.reason.clone().or(waits);
        let reason = reason.or_else(|| job.last_error.clone());
        let found = match reason {
            Some(reason) => format!("{}: {reason}", state(job.state)),
            None => state(job.state).to_owned(),
        };
        let check = format!("job `{}`", job.job);
        let mend = |verb: &str| format!("`streamhost {verb} {}`", job.job);
        match job.state {
            JobState::Stopped => {
                let mend = format!("mend that, then {}", mend("resume"));
                Finding::fail(check, found, mend)
            }
            JobState::Retrying => {
                Finding::warn(check, found, "it goes on by itself once that is there")
            }
            JobState::Paused => Finding::warn(check, found, mend("resume")),
            JobState::Running | JobState::Finished => Finding::ok(check, state(job.state)),
        }
    };
    daemon.jobs.iter().map(one).collect()
}

/// Whether the topics of the jobs are there, and as they should be.
pub(super) fn topics(daemon: &Daemon, kafka: &KafkaSettings) -> Vec<Finding> {
    let mut found = Vec::new();
    for told in &daemon.jobs {
        let job = &told.status;
        let sources = job.sources.iter().filter(|s| s.connector == LETTERS);
        let sinks = job.sinks.iter().filter(|s| s.connector == LETTERS);
        let read = sources.map(|source| source.target.as_str());
        let written = sinks.map(|sink| sink.target.as_str());
        for topic in read.chain(written) {
            let check = format!("topic `{topic}`");
            found.push(match topic_facts(kafka, topic) {
                Ok(facts) => Finding::ok(check, format!("{} partitions", facts.partitions)),
                Err(error) => {
                    let mend = format!("job `{}` needs it: create it", job.job);
                    Finding::fail(check, error.to_string(), mend)
                }
            });
        }
        found.extend(letters_topic(&job.dead_letter_topic, kafka));
    }
    found
}

/// A topic of dead letters; it may be missing, as the host creates it with the first letter.
fn letters_topic(topic: &str, kafka: &KafkaSettings) -> Option<Finding> {
    let facts = topic_facts(kafka, topic).ok()?;
    let check = format!("topic `{topic}`");
    if facts.compacted {
        let found = "it is compacted, and dead letters without a key are refused by it";
        return Some(Finding::warn(
            check,
            found,
            "set its cleanup.policy to `delete`",
        ));
    }
    let bytes = facts.message_bytes_max?;
    let size = bytesize::ByteSize(bytes as u64).display().iec();
    (bytes < limits::KAFKA_LETTER_BYTES_MAX).then(|| {
        let found =
            format!("it takes letters of {size} at most; larger ones come without key and value");
        Finding::warn(
            check,
            found,
            "raise its max.message.bytes to 15 MiB if records are that large",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::Grade;
    use super::*;

    #[test]
    fn space_and_clocks_have_grades() {
        for (free, want) in [
            (5 << 30, Grade::Ok),
            (1 << 30, Grade::Warn),
            (1, Grade::Fail),
        ] {
            let found = space("/data", free);
            assert_eq!(
                (found.grade, found.mend.is_some()),
                (want, want != Grade::Ok)
            );
        }
        for (ms, want) in [
            (Some(-900), Grade::Ok),
            (Some(5_000), Grade::Warn),
            (Some(-100_000), Grade::Fail),
            (None, Grade::Warn),
        ] {
            assert_eq!(skew(ms).grade, want, "{ms:?}");
        }
    }

    #[test]
    fn a_clock_that_nothing_keeps_right_is_told() {
        let grade = |said: &str| kept(said).map(|found| found.grade);
        assert_eq!(grade("yes"), Some(Grade::Ok));
        assert_eq!(grade("no"), Some(Grade::Warn));
        assert_eq!(grade(""), None, "the system does not tell");
    }

    #[test]
    fn a_folder_that_cannot_be_written_fails() {
        let folder = tempfile::tempdir().expect("a folder");
        let well = data_folder(&folder.path().join("not/there/yet"));
        assert!(
            well.iter()
                .all(|found| found.grade != Grade::Fail || found.found.contains("free"))
        );
        let file = folder.path().join("file");
        std::fs::write(&file, "x").expect("written");
        let bad = data_folder(&file.join("data"));
        assert_eq!(bad[0].grade, Grade::Fail, "{bad:?}");
    }
}
