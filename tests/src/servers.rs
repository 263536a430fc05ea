//! The real Kafka and HBase: one of each for all tests of a run.

use crate::command::{Said, say};
use crate::fault_proxy::FaultProxy;
use crate::paths::{cache, root};
use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{
    Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
};

/// A service script's verb.
#[derive(Clone, Copy, Debug)]
pub enum Verb {
    /// Starts what does not run, waits until it is ready.
    Start,
    /// Ends it in good order.
    Stop,
    /// `kill -9`.
    Kill,
}

/// A server that tests may take away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// The broker.
    Kafka,
    /// HBase's Thrift gateway.
    Gateway,
    /// HBase behind the gateway.
    Hbase,
}

/// A server that is halted: it holds its connections and answers nothing. It goes on when this is
/// dropped.
pub struct Frozen(String);

impl Drop for Frozen {
    fn drop(&mut self) {
        let said = say(Command::new("kill").args(["-CONT", &self.0]));
        if said.code != 0 {
            eprintln!("process {} does not go on: {}", self.0, said.err);
        }
    }
}

/// The running servers' addresses.
#[derive(Debug)]
pub struct Servers {
    folder: PathBuf,
    /// The broker's `host:port`.
    pub kafka: String,
    /// The gateway's `host:port`.
    pub gateway: String,
}

/// Keeps a test that takes servers away apart from all others.
static IN_USE: RwLock<()> = RwLock::new(());
static SERVERS: OnceLock<Servers> = OnceLock::new();
/// Two tests that start the same gateway start it once.
static SCRIPTS: Mutex<()> = Mutex::new(());
/// The broker names one address for clients that come through a proxy: one test listens there at a time.
static PROXIED: Mutex<()> = Mutex::new(());

/// A fault proxy before a server. It has its address to itself while it is held.
pub struct Proxied {
    proxy: FaultProxy,
    _turn: Option<MutexGuard<'static, ()>>,
}

impl Deref for Proxied {
    type Target = FaultProxy;

    fn deref(&self) -> &FaultProxy {
        &self.proxy
    }
}

impl From<FaultProxy> for Proxied {
    /// One whose address nobody else wants.
    fn from(proxy: FaultProxy) -> Self {
        Proxied { proxy, _turn: None }
    }
}

/// A folder for servers that end with this process. Those of processes that are gone are removed,
/// `tests/run.sh`'s too.
pub(crate) fn own_folder() -> PathBuf {
    let all = cache().join("services");
    for folder in fs::read_dir(&all).into_iter().flatten().flatten() {
        let owner = folder
            .file_name()
            .to_string_lossy()
            .trim_start_matches("run-")
            .parse::<u32>();
        if owner.is_ok_and(|owner| !Path::new("/proc").join(owner.to_string()).exists()) {
            _ = fs::remove_dir_all(folder.path());
        }
    }
    all.join(std::process::id().to_string())
}

/// The servers, beside other tests that use them.
pub struct Shared {
    _guard: RwLockReadGuard<'static, ()>,
}
/// The servers, for one test alone. All of them run again when it ends.
pub struct Alone {
    _guard: RwLockWriteGuard<'static, ()>,
}

impl Servers {
    /// The servers for a test that leaves them alone; started if they do not run.
    pub fn shared() -> (Shared, &'static Servers) {
        let guard = IN_USE.read().unwrap_or_else(PoisonError::into_inner);
        (Shared { _guard: guard }, Servers::get())
    }

    /// The servers for a test that takes them away.
    pub fn alone() -> (Alone, &'static Servers) {
        let guard = IN_USE.write().unwrap_or_else(PoisonError::into_inner);
        // First: if they do not start, there is nothing for `Alone` to bring back.
        let servers = Servers::get();
        (Alone { _guard: guard }, servers)
    }

    /// `STREAMHOST_TEST_SERVICES` names the folder of servers that outlive this process. Without it
    /// they end with it.
    fn get() -> &'static Servers {
        SERVERS.get_or_init(|| {
            let given =
                std::env::var_os("STREAMHOST_TEST_SERVICES").filter(|folder| !folder.is_empty());
            let folder = given.map_or_else(own_folder, PathBuf::from);
            let mut servers = Servers {
                folder,
                kafka: String::new(),
                gateway: String::new(),
            };
            servers.kafka = servers
                .call(Server::Kafka, Verb::Start)
                .ok()
                .trim()
                .to_owned();
            servers.gateway = servers
                .script("hbase.sh", "start", "hbase", None)
                .ok()
                .trim()
                .to_owned();
            servers
        })
    }

    /// Starts, stops or kills one of the servers. Panics with the script's words where it fails.
    pub fn tell(&self, server: Server, verb: Verb) {
        self.call(server, verb).ok();
    }

    /// Halts a server until the answer is dropped.
    #[track_caller]
    pub fn freeze(&self, server: Server) -> Frozen {
        let status = match server {
            Server::Kafka => self.script("kafka.sh", "status", "kafka", None),
            Server::Gateway => self.script("hbase.sh", "status", "hbase", Some("gateway")),
            Server::Hbase => self.script("hbase.sh", "status", "hbase", Some("hbase")),
        };
        let status = status.ok();
        let pid = status
            .split_whitespace()
            .nth(2)
            .unwrap_or_else(|| panic!("{server:?} does not run: {status}"));
        say(Command::new("kill").args(["-STOP", pid])).ok();
        Frozen(pid.to_owned())
    }

    /// Starts a second gateway that speaks framed and compact; its `host:port`. It ends with the
    /// servers.
    #[track_caller]
    pub fn framed_gateway(&self) -> String {
        self.script("hbase.sh", "start", "hbase", Some("framed"))
            .ok()
            .trim()
            .to_owned()
    }

    /// Starts these gateways and what stands before them, by their names in
    /// `tests/services/hbase.sh`. They end with the servers.
    #[track_caller]
    pub fn start_hbase(&self, which: &[&str]) {
        for name in which {
            self.script("hbase.sh", "start", "hbase", Some(name)).ok();
        }
    }

    /// The `host:port` of one of them.
    #[track_caller]
    pub fn hbase_port(&self, name: &str) -> String {
        let port = fs::read_to_string(self.folder.join("hbase").join(format!("{name}.port")));
        let port = port.unwrap_or_else(|error| panic!("the gateway {name}: {error}"));
        format!("127.0.0.1:{}", port.trim())
    }

    /// A file of their certificates.
    pub fn hbase_tls(&self, name: &str) -> PathBuf {
        self.folder.join("hbase/tls").join(name)
    }

    /// Makes a namespace, which no gateway can.
    #[track_caller]
    pub fn make_namespace(&self, name: &str) {
        self.script("hbase.sh", "namespace", "hbase", Some(name))
            .ok();
    }

    /// A fault proxy before the broker, and the `host:port` by which clients come through it, whatever the broker tells them.
    /// Waits until no other test has one.
    #[track_caller]
    pub fn kafka_proxy(&self) -> (Proxied, String) {
        let turn = PROXIED.lock().unwrap_or_else(PoisonError::into_inner);
        let address = |name: &str| {
            let port = fs::read_to_string(self.folder.join("kafka").join(name));
            format!(
                "127.0.0.1:{}",
                port.unwrap_or_else(|error| panic!("the broker's {name}: {error}"))
                    .trim()
            )
        };
        let proxied = address("proxied.port");
        let proxy = FaultProxy::listen(&proxied, &address("behind.port"));
        let proxied_by = Proxied {
            proxy: proxy.unwrap_or_else(|error| panic!("{error:#}")),
            _turn: Some(turn),
        };
        (proxied_by, proxied)
    }

    /// What Kafka's own tool `class` says.
    pub fn kafka_tool(&self, class: &str, arguments: &[&str]) -> Said {
        let script = root().join("tests/services/kafka.sh");
        say(Command::new(script)
            .args(["tool", class, "--bootstrap-server", &self.kafka])
            .args(arguments))
    }

    /// Deletes records of partitions of a topic, each below an offset, as retention does.
    #[track_caller]
    pub fn delete_below(&self, topic: &str, below: &[(u32, u64)]) {
        let below: Vec<String> = below
            .iter()
            .map(|(id, offset)| {
                format!("{{\"topic\": \"{topic}\", \"partition\": {id}, \"offset\": {offset}}}")
            })
            .collect();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("below.json");
        let all = format!("{{\"version\": 1, \"partitions\": [{}]}}", below.join(", "));
        std::fs::write(&file, all).expect("the folder can be written");
        let tool = "org.apache.kafka.tools.DeleteRecordsCommand";
        self.kafka_tool(tool, &["--offset-json-file", &file.display().to_string()])
            .ok();
    }

    fn call(&self, server: Server, verb: Verb) -> Said {
        let verb = match verb {
            Verb::Start => "start",
            Verb::Stop => "stop",
            Verb::Kill => "kill",
        };
        match server {
            Server::Kafka => self.script("kafka.sh", verb, "kafka", None),
            Server::Gateway => self.script("hbase.sh", verb, "hbase", Some("gateway")),
            Server::Hbase => self.script("hbase.sh", verb, "hbase", Some("hbase")),
        }
    }

    fn script(&self, name: &str, verb: &str, folder: &str, which: Option<&str>) -> Said {
        let _turn = SCRIPTS.lock().unwrap_or_else(PoisonError::into_inner);
        let mut command = Command::new(root().join("tests/services").join(name));
        command.arg(verb).arg(self.folder.join(folder)).args(which);
        if std::env::var_os("SERVICE_OWNER").is_none() {
            command.env("SERVICE_OWNER", std::process::id().to_string());
        }
        say(&mut command)
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let Some(servers) = SERVERS.get() else { return };
        for server in [Server::Kafka, Server::Hbase, Server::Gateway] {
            let said = servers.call(server, Verb::Start);
            if said.code != 0 {
                eprintln!("{server:?} does not come back: {}", said.err);
            }
        }
    }
}
