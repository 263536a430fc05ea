//! A `streamhost` daemon of a test's own, in a temporary folder, on free ports; and its command
//! line.

use crate::command::{Said, say};
use crate::guests::component;
use crate::paths::streamhost;
use crate::servers::Servers;
use crate::sizes::SOON;
use crate::wait::{wait_for, wait_until};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs::{File, read_to_string, write};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};
use tempfile::TempDir;

/// Lines of its log that are shown where a test fails.
const LOG_LINES_SHOWN: usize = 60;

/// The exit code of `status` for a job that is stopped.
const STOPPED: i32 = 3;

/// A port that nobody listens on. It lies below those that the system gives to whoever connects, or
/// one of them could have it before it is used.
pub fn free_port() -> u16 {
    const PORTS: Range<u16> = 15_000..32_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let own = (std::process::id() % 1000) as u16 * 17; // tests of other runs begin elsewhere
    for _ in PORTS {
        let number = own.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + number % (PORTS.end - PORTS.start);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("a loopback port is free");
}

/// What an HTTP GET of `path` answers: the status code and the body. None: nobody answers.
pub fn http_get(address: &str, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(SOON)).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// A running daemon. It ends with the test, and shows the end of its log where that fails.
pub struct Host {
    folder: TempDir,
    arguments: Vec<String>,
    child: Option<Child>,
    /// Its control API's `host:port`.
    pub address: String,
    /// Where its builds go, if it builds.
    target: Option<PathBuf>,
}

impl Host {
    /// `streamhost serve` against the servers.
    #[track_caller]
    pub fn serve(servers: &Servers) -> Host {
        Host::serve_with(|data, address| configuration(data, address, servers))
    }

    /// The same with so many lanes a job.
    #[track_caller]
    pub fn serve_on(lanes: usize, servers: &Servers) -> Host {
        let lanes = format!("[limits]\nlanes = {lanes}\n");
        Host::serve_with(|data, address| configuration(data, address, servers) + &lanes)
    }

    /// The same with more lines in its `streamhost.toml` and more arguments.
    #[track_caller]
    pub fn serve_more(servers: &Servers, lines: &str, arguments: &[&str]) -> Host {
        let mut host =
            Host::serve_with(|data, address| configuration(data, address, servers) + lines);
        if !arguments.is_empty() {
            host.stop();
            let more = arguments.iter().map(|&argument| argument.to_owned());
            host.arguments.extend(more);
            host.restart();
        }
        host
    }

    /// The same with these lines more under `[control]`; they may name files of the folder.
    #[track_caller]
    pub fn serve_control(servers: &Servers, lines: impl FnOnce(&Path) -> String) -> Host {
        Host::serve_with(|data, address| {
            let folder = data.parent().expect("it has one");
            let control = format!("[control]\n{}", lines(folder));
            configuration(data, address, servers).replace("[control]\n", &control)
        })
    }

    /// `streamhost serve` with this section of Kafka, and no HBase.
    #[track_caller]
    pub fn serve_kafka(section: &str) -> Host {
        Host::serve_with(|data, address| {
            let data = data.display();
            format!("data-dir = \"{data}\"\n[control]\nlisten = \"{address}\"\n{section}")
        })
    }

    /// `streamhost serve` with this section of HBase.
    #[track_caller]
    pub fn serve_hbase(servers: &Servers, section: &str) -> Host {
        Host::serve_with(|data, address| {
            let all = configuration(data, address, servers);
            let before = all.split("[hbase]").next().unwrap_or_default();
            format!("{before}{section}")
        })
    }

    #[track_caller]
    fn serve_with(configuration: impl FnOnce(&Path, &str) -> String) -> Host {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let address = format!("127.0.0.1:{}", free_port());
        let config = folder.path().join("streamhost.toml");
        write(
            &config,
            configuration(&folder.path().join("data"), &address),
        )
        .expect("the folder can be written");
        let arguments = vec![
            "serve".into(),
            "--config".into(),
            config.display().to_string(),
        ];
        Host::start(folder, arguments, address)
    }

    /// `streamhost serve` against the framed and compact gateway, configured for it or, unless
    /// `fits`, as for any other.
    #[track_caller]
    pub fn serve_framed(servers: &Servers, gateway: &str, fits: bool) -> Host {
        let lines = match fits {
            true => "transport = \"framed\"\nprotocol = \"compact\"\n",
            false => "",
        };
        Host::serve_with(|data, address| through(data, address, servers, gateway) + lines)
    }

    /// `streamhost serve` that reaches HBase at another address.
    #[track_caller]
    pub fn serve_through(servers: &Servers, gateway: &str) -> Host {
        Host::serve_with(|data, address| through(data, address, servers, gateway))
    }

    /// The same with Kafka at another address too.
    #[track_caller]
    pub fn serve_between(servers: &Servers, kafka: &str, gateway: &str) -> Host {
        Host::serve_with(|data, address| {
            through(data, address, servers, gateway).replace(&servers.kafka, kafka)
        })
    }

    /// `streamhost dev` with these ports of its broker and its table store.
    #[track_caller]
    pub fn dev(kafka_port: u16, hbase_port: u16) -> Host {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Host::dev_in(folder, kafka_port, hbase_port)
    }

    /// The same over a data folder that lies in `folder` already.
    #[track_caller]
    pub fn dev_in(folder: TempDir, kafka_port: u16, hbase_port: u16) -> Host {
        let control_port = free_port();
        let mut arguments = vec![
            "dev".to_owned(),
            "--data".to_owned(),
            folder.path().join("data").display().to_string(),
        ];
        let ports = [
            ("--kafka-port", kafka_port),
            ("--hbase-port", hbase_port),
            ("--control-port", control_port),
        ];
        arguments.extend(
            ports
                .into_iter()
                .flat_map(|(name, port)| [name.to_owned(), port.to_string()]),
        );
        Host::start(folder, arguments, format!("127.0.0.1:{control_port}"))
    }

    /// The same with free ports, watching a job's folder. Cargo builds into `target`.
    #[track_caller]
    pub fn dev_watching(project: &Path, target: &Path) -> (Host, String) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (kafka, control_port) = (free_port(), free_port());
        let data = folder.path().join("data").display().to_string();
        let (kafka_port, control) = (kafka.to_string(), control_port.to_string());
        let project = project.display().to_string();
        let arguments = [
            ["dev", "--watch", &project, "--data", &data],
            [
                "--kafka-port",
                &kafka_port,
                "--hbase-port",
                "0",
                "--control-port",
            ],
        ];
        let mut arguments: Vec<_> = arguments.concat().into_iter().map(str::to_owned).collect();
        arguments.push(control);
        let mut host = Host {
            folder,
            arguments,
            child: None,
            address: format!("127.0.0.1:{control_port}"),
            target: Some(target.to_owned()),
        };
        host.restart();
        (host, format!("127.0.0.1:{kafka}"))
    }

    fn start(folder: TempDir, arguments: Vec<String>, address: String) -> Host {
        let mut host = Host {
            folder,
            arguments,
            child: None,
            address,
            target: None,
        };
        host.restart();
        host
    }

    /// Starts it again after [`Host::kill`] or [`Host::stop`], with the same data; waits until it
    /// is ready.
    #[track_caller]
    pub fn restart(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log())
            .expect("the folder can be written");
        // `setpriv`: it must not outlive the test, however that ends.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL"])
            .arg(streamhost())
            .args(&self.arguments);
        command.envs(
            self.target
                .iter()
                .map(|target| ("CARGO_TARGET_DIR", target)),
        );
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file handle"))
            .stderr(log);
        self.child = Some(
            command
                .spawn()
                .expect("setpriv is part of every Debian and Ubuntu"),
        );
        wait_until("the host is ready", SOON, || {
            let ended = self
                .child
                .as_mut()
                .and_then(|child| child.try_wait().ok().flatten());
            assert!(
                ended.is_none(),
                "the host ended ({ended:?}):\n{}",
                self.log_end()
            );
            http_get(&self.address, "/healthz").is_some_and(|(code, _)| code == 200)
        });
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            _ = child.kill();
            _ = child.wait();
        }
    }

    /// Asks it to end (SIGTERM); returns its exit code.
    #[track_caller]
    pub fn stop(&mut self) -> i32 {
        let mut child = self.child.take().expect("it runs");
        say(Command::new("kill").arg(child.id().to_string())).ok();
        let ended = wait_for("the host has stopped", SOON, || {
            child.try_wait().expect("it is our child")
        });
        ended.code().unwrap_or(-1)
    }

    /// Sends it a signal, such as `STOP`.
    #[track_caller]
    pub fn signal(&self, name: &str) {
        let child = self.child.as_ref().expect("it runs");
        let said = say(Command::new("kill").args(["-s", name, &child.id().to_string()]));
        assert_eq!(said.code, 0, "{said:?}");
    }

    /// Memory that it holds, as the system says.
    pub fn resident_bytes(&self) -> Option<u64> {
        let process = self.child.as_ref()?.id();
        let status = read_to_string(format!("/proc/{process}/status")).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
        let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kib << 10)
    }

    /// Runs a verb of the command line against it.
    #[track_caller]
    pub fn cli<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Said {
        let mut command = Command::new(streamhost());
        say(command
            .env("STREAMHOST_URL", format!("http://{}", self.address))
            .args(arguments))
    }

    /// The same with a token.
    #[track_caller]
    pub fn cli_as<A: AsRef<OsStr>>(
        &self,
        token: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Said {
        Host::ask_as(&self.address, token, arguments)
    }

    /// The same of a host that may be gone.
    #[track_caller]
    pub fn ask_as<A: AsRef<OsStr>>(
        address: &str,
        token: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Said {
        let mut command = Command::new(streamhost());
        command.env("STREAMHOST_URL", format!("http://{address}"));
        say(command.env("STREAMHOST_TOKEN", token).args(arguments))
    }

    /// A verb's `--output json`, with a token.
    #[track_caller]
    pub fn as_json(&self, token: &str, arguments: &[&str]) -> Value {
        let all = [arguments, &["--output", "json"]].concat();
        let said = self.cli_as(token, all).ok();
        let json = serde_json::from_str(&said);
        json.unwrap_or_else(|error| panic!("{arguments:?} prints no JSON ({error}): {said}"))
    }

    /// A verb's `--output json`.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        let said = self.cli([arguments, &["--output", "json"]].concat()).ok();
        serde_json::from_str(&said)
            .unwrap_or_else(|error| panic!("{arguments:?} prints no JSON ({error}): {said}"))
    }

    /// A job's status.
    #[track_caller]
    pub fn status(&self, job: &str) -> Value {
        let said = self.cli(["status", job, "--output", "json"]);
        assert!([0, STOPPED].contains(&said.code), "{said:?}");
        let status = serde_json::from_str(&said.out);
        status.unwrap_or_else(|error| panic!("a status is no JSON ({error}): {}", said.out))
    }

    /// What Prometheus is given.
    #[track_caller]
    pub fn metrics(&self) -> String {
        http_get(&self.address, "/metrics").expect("it answers").1
    }

    /// Deploys a file.
    #[track_caller]
    pub fn deploy(&self, file: &Path, arguments: &[&str]) -> Said {
        let file = file.as_os_str();
        self.cli(
            [OsStr::new("deploy"), file]
                .into_iter()
                .chain(arguments.iter().map(|&argument| OsStr::new(argument))),
        )
    }

    /// Deploys a component as `job`, whose batches close at once, with these settings and arguments.
    pub fn deploy_as(&self, file: &Path, job: &str, set: &[String], more: &[&str]) -> Said {
        let mut arguments = vec!["--name", job, "--set", "every=0"];
        for pair in set {
            arguments.extend(["--set", pair]);
        }
        arguments.extend(more);
        self.deploy(file, &arguments)
    }

    /// Deploys the clicks example as `job`, from a topic and to a table of the same name, which it
    /// creates.
    #[track_caller]
    pub fn deploy_clicks(&self, job: &str) {
        self.try_clicks(job, job).ok();
    }

    /// The same into another table, where it may be refused.
    #[track_caller]
    pub fn try_clicks(&self, job: &str, table: &str) -> Said {
        let places = [
            format!("source.clicks={job}"),
            format!("sink.clicks={table}"),
        ];
        let clicks = component("examples/clicks");
        self.deploy_as(&clicks, job, &places, &["--create-tables"])
    }

    /// Waits until `job` has read and delivered `records` records; returns its status then.
    #[track_caller]
    pub fn wait_records(&self, job: &str, records: u64, limit: Duration) -> Value {
        wait_for(&format!("{job} has read {records} records"), limit, || {
            let status = self.status(job);
            assert_ne!(status["state"], "stopped", "{job} stopped: {status}");
            (status["records_in"].as_u64() >= Some(records)).then_some(status)
        })
    }

    /// How many records of `job` are durable.
    #[track_caller]
    pub fn records(&self, job: &str) -> u64 {
        self.status(job)["records_in"].as_u64().unwrap_or_default()
    }

    /// Waits until `job` is in `state`; returns its status then.
    #[track_caller]
    pub fn wait_state(&self, job: &str, state: &str, limit: Duration) -> Value {
        wait_for(&format!("{job} is {state}"), limit, || {
            let status = self.status(job);
            (status["state"] == state).then_some(status)
        })
    }

    /// A file of its own folder, for the test to write.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The file of all that it says: its console's rows, and its log.
    pub fn log(&self) -> PathBuf {
        self.file("host.log")
    }

    /// All that it said so far.
    pub fn log_text(&self) -> String {
        read_to_string(self.log()).unwrap_or_default()
    }

    /// The end of its log.
    pub fn log_end(&self) -> String {
        let log = self.log_text();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- the end of the host's log:\n{}\n---", self.log_end());
        }
    }
}

/// A `streamhost.toml` for these servers.
pub fn configuration(data: &Path, address: &str, servers: &Servers) -> String {
    format!(
        "data-dir = \"{}\"\n[control]\nlisten = \"{address}\"\n[kafka]\nbrokers = \"{}\"\n[hbase]\nthrift = \"{}\"\n",
        data.display(),
        servers.kafka,
        servers.gateway
    )
}

/// The same with HBase at another address.
fn through(data: &Path, address: &str, servers: &Servers, gateway: &str) -> String {
    configuration(data, address, servers).replace(&servers.gateway, gateway)
}

/// A name that no other test of any run has: for a job, its topic and its table.
pub fn unique(what: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let since = UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
    format!(
        "{what}-{since}-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}
