//! Several hosts that share their jobs, with nothing but Kafka between them.
//!
//! Each host is a member of a group, which tells who lives. The one that the group names leads: it
//! writes which host runs which job into the control topic. A host takes the jobs that are placed on
//! it: it fences whoever had a job, reads the job's log into its own store, and runs it from there.
//! All that the store writes of the job goes into that log first. So what makes a job's results
//! exact is the fence alone; a placement that is late or wrong costs time.

mod control;
mod journal;
mod keeper;
mod leader;
mod names;
mod peers;
mod place;
mod records;

pub(crate) use journal::Journals;

use crate::config::ClusterSettings;
use crate::supervisor::Supervisor;
use control::Control;
use keeper::Hold;
use names::Names;
use records::{HostRecord, Record};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::thread::JoinHandle;
use streamhost_connectors::kafka::KafkaSettings;
use streamhost_connectors::kafka::log::{LogError, PlainLog, make_log};
use streamhost_connectors::kafka::members::{Member, Members};
use streamhost_core::{clock, limits};
use streamhost_engine::sink::CancelSignal;
use streamhost_storage::replica::Replica;

/// This host's part in a cluster.
pub(crate) struct Cluster {
    me: String,
    process: String,
    address: String,
    ca: Option<PathBuf>,
    names: Names,
    kafka: KafkaSettings,
    control: Control,
    says: PlainLog,
    journals: Arc<Journals>,
    replica: Replica,
    holds: Mutex<BTreeMap<String, Hold>>,
    host: OnceLock<Weak<Supervisor>>,
    leads: AtomicBool,
    is_draining: AtomicBool,
    is_closing: AtomicBool,
    /// Ends calls to the brokers.
    cancel: CancelSignal,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What a host brings into its cluster.
pub(crate) struct Joins {
    pub(crate) kafka: KafkaSettings,
    /// Where its control API answers.
    pub(crate) address: String,
    pub(crate) journals: Arc<Journals>,
    pub(crate) replica: Replica,
    pub(crate) host: Weak<Supervisor>,
}

impl Cluster {
    /// Joins. `Err`: the brokers do not answer, or another host has this name.
    pub(crate) fn join(settings: &ClusterSettings, joins: Joins) -> Result<Arc<Self>, String> {
        let (names, cancel) = (Names::of(&settings.name), CancelSignal::default());
        let me = name_of(settings);
        let topic = names.control();
        let joining = |error: LogError| format!("the cluster `{}`: {error}", settings.name);
        patiently(|| make_log(&joins.kafka, &topic)).map_err(joining)?;
        await_name(&joins.kafka, &names, &me)?;
        let cluster = Arc::new(Cluster {
            process: format!("{:x}-{:x}", std::process::id(), clock::now_ms()),
            address: settings.address.clone().unwrap_or(joins.address),
            ca: settings.ca.clone(),
            says: PlainLog::new(&joins.kafka, &topic, &cancel),
            control: Control::default(),
            holds: Mutex::default(),
            host: OnceLock::from(joins.host),
            leads: AtomicBool::new(false),
            is_draining: AtomicBool::new(false),
            is_closing: AtomicBool::new(false),
            threads: Mutex::default(),
            kafka: joins.kafka,
            journals: joins.journals,
            replica: joins.replica,
            me,
            names,
            cancel,
        });
        patiently(|| cluster.say_where(false)).map_err(joining)?;
        let member = Member::join(&cluster.kafka, &cluster.names.group(), &topic, &cluster.me);
        let member = member.map_err(joining)?;
        let begun = cluster.begin_threads(member);
        begun.map_err(|e| format!("no thread for the cluster: {e}"))?;
        Ok(cluster)
    }

    fn begin_threads(self: &Arc<Self>, member: Member) -> std::io::Result<()> {
        let live = move |cluster: Arc<Cluster>| cluster.live(&member);
        let follow = |cluster: Arc<Cluster>| {
            let topic = cluster.names.control();
            cluster
                .control
                .follow(&cluster.kafka, &topic, || cluster.goes_on());
        };
        let threads = [
            self.begin_thread("member", live)?,
            self.begin_thread("control topic", follow)?,
            self.begin_thread("leader", |cluster| cluster.lead())?,
            self.begin_thread("keeper", |cluster| cluster.keep())?,
        ];
        let mut all = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(threads);
        Ok(())
    }

    fn begin_thread(
        self: &Arc<Self>,
        name: &str,
        work: impl FnOnce(Arc<Cluster>) + Send + 'static,
    ) -> std::io::Result<JoinHandle<()>> {
        let cluster = Arc::clone(self);
        let thread = std::thread::Builder::new().name(name.to_owned());
        thread.spawn(move || work(cluster))
    }

    /// Says that this host lives, and does nothing else: no work delays it.
    fn live(&self, member: &Member) {
        while self.goes_on() {
            let leads = member.poll(limits::CLUSTER_LOOK_TIME / 5);
            if leads != self.leads.swap(leads, Ordering::SeqCst) {
                self.control.wake();
            }
        }
    }

    fn goes_on(&self) -> bool {
        !self.is_closing.load(Ordering::SeqCst)
    }

    /// Leaves the cluster, after the jobs were stopped: the others take them at once.
    pub(crate) fn leave(&self) {
        self.is_closing.store(true, Ordering::SeqCst);
        self.cancel.cancel();
        self.control.wake();
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the cluster broke");
            }
        }
    }

    fn say(&self, record: &Record) -> Result<(), LogError> {
        let (key, value) = record.write();
        self.says.write(&key, value.as_deref())
    }

    /// Says where this host is, and whether it is to run nothing.
    fn say_where(&self, draining: bool) -> Result<(), LogError> {
        self.is_draining.store(draining, Ordering::SeqCst);
        let record = HostRecord::new(&self.address, &self.process, draining);
        self.say(&Record::Host(self.me.clone(), Some(record)))
    }
}

/// Tries again for a while where the brokers are away: they may be as busy as this host at a start.
fn patiently<T>(mut ask: impl FnMut() -> Result<T, LogError>) -> Result<T, LogError> {
    let since = clock::monotonic();
    loop {
        match ask() {
            Err(LogError::Away(_)) if clock::since(since) < limits::CLUSTER_NAME_TIME => {
                std::thread::sleep(limits::CLUSTER_LOOK_TIME);
            }
            answered => return answered,
        }
    }
}

/// Waits until no other host has this name: one that was killed is a member for a while longer.
fn await_name(kafka: &KafkaSettings, names: &Names, me: &str) -> Result<(), String> {
    let since = clock::monotonic();
    let group = names.group();
    let members = Members::of(kafka, &group).map_err(|e| e.to_string())?;
    loop {
        let trouble = match members.now() {
            Ok(Some(live)) if live.len() >= limits::CLUSTER_HOSTS_MAX => format!(
                "the cluster has {} hosts already",
                limits::CLUSTER_HOSTS_MAX
            ),
            Ok(Some(live)) if !live.contains(me) => return Ok(()),
            Ok(Some(_)) => format!(
                "a host of the name `{me}` is there already: give this one another name, as `host` under [cluster]"
            ),
            Ok(None) => format!("the group `{group}` is not settled"),
            Err(error) => error.to_string(),
        };
        if clock::since(since) > limits::CLUSTER_NAME_TIME {
            return Err(trouble);
        }
        std::thread::sleep(limits::CLUSTER_LOOK_TIME);
    }
}

/// What a host with these settings is called.
pub(crate) fn name_of(settings: &ClusterSettings) -> String {
    settings.host.clone().unwrap_or_else(machine_name)
}

/// The machine's name.
fn machine_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "streamhost".to_owned(),
        name => name.to_owned(),
    }
}
