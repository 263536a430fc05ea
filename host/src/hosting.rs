//! Puts a host together: the data folder, the supervisor, and for `dev` the embedded servers.

use crate::alerts::Alerts;
use crate::api::{
    Audit, Checked, DeployRequest, Deployed, Deployment, HostFacts, JobFacts, JobStatus, Jobs,
    LetterEnd, LetterId, LettersAsk, LogLine, Peers, Refusal, ReplayRequest, ReplayView,
    RestoreRequest, ShadowRequest, ShadowView, StateAsk, StateView, TakenSavepoint,
};
use crate::cli::{Dev, DevAddresses, Engine, Host, HostError};
use crate::cluster::{self, Cluster};
use crate::config::Config;
use crate::memory;
use crate::supervisor::{Begin, Environment, Supervisor};
use fjall::Database;
use std::fs::File;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use streamhost_connectors::hbase::AddFamilies;
use streamhost_connectors::kafka::letters::{LetterPositions, ReadLetters, StoredLetter};
use streamhost_connectors::registry::Registry;
use streamhost_core::job::memory::HostMemory;
use streamhost_core::job::{Share, names};
use streamhost_core::limits;
use streamhost_core::protocol::LetterMark;
use streamhost_dev::broker::{self, Broker};
use streamhost_dev::tables::{self, Tables};
use streamhost_engine::pipeline::Stop;
use streamhost_guest::Compiler;
use streamhost_guest::compiler::Wanted;
use streamhost_storage::identity;

mod clustered;

use clustered::{by_itself, clustered};

/// The host that the binary runs.
pub struct RealHost;

impl Host for RealHost {
    fn compiler(&self) -> std::io::Result<Compiler> {
        Compiler::this_program()
    }

    fn serve(&self, config: &Config) -> Result<Arc<dyn Engine>, HostError> {
        match &config.cluster {
            None => engine(config, DAEMON, Begin::Jobs),
            Some(_) => clustered(config),
        }
    }

    fn foreground(&self, config: &Config) -> Result<Arc<dyn Engine>, HostError> {
        engine(config, FOREGROUND, Begin::Nothing)
    }

    fn dev(&self, mut config: Config, addresses: DevAddresses) -> Result<Dev, HostError> {
        let db = open(&config.data_dir)?;
        let in_use = |what: &str, at, e: std::io::Error| {
            format!(
                "the {what} cannot listen on {at}: {e}; choose another port with --{what}-port, 0 for a free one"
            )
        };
        let broker = Broker::open(&db, broker::Settings::default())?;
        let broker = broker
            .listen(addresses.kafka)
            .map_err(|e| in_use("kafka", addresses.kafka, e))?;
        let tables = Tables::open(&db)?;
        let inside = Arc::clone(&tables);
        config.hbase.add_families = Some(AddFamilies::new(move |table, families| {
            inside.add_families(table, families)
        }));
        let tables = tables
            .listen(addresses.hbase)
            .map_err(|e| in_use("hbase", addresses.hbase, e))?;
        let addresses = DevAddresses {
            kafka: broker.address(),
            hbase: tables.address(),
        };
        config.kafka.brokers = addresses.kafka.to_string();
        config.hbase.name_gateways(&addresses.hbase.to_string());
        let environment = place(&config, DAEMON)?;
        let place = place_of(&config, environment.memory);
        let supervisor = Supervisor::open(
            &db,
            &config.data_dir,
            environment,
            Compiler::this_program()?,
            Begin::Jobs,
        )?;
        let embedded = Mutex::new(Some((broker, tables)));
        Ok(Dev {
            engine: Arc::new(Running {
                supervisor,
                place,
                embedded,
                cluster: None,
            }),
            addresses,
        })
    }
}

/// Whose consumer groups and transactional ids they are: a daemon's, of which there is one for each
/// job ("for ever", as its exactly-once sinks find what they hold by them).
const DAEMON: &str = "streamhost";
/// The same of a `run`, which has a checkpoint of its own: a daemon's job of the same name begins
/// where it would have begun.
const FOREGROUND: &str = "streamhost-run";

fn engine(
    config: &Config,
    owner: &'static str,
    begin: Begin,
) -> Result<Arc<dyn Engine>, HostError> {
    let db = open(&config.data_dir)?;
    by_itself(&db, &config.data_dir)?;
    let environment = place(config, owner)?;
    let place = place_of(config, environment.memory);
    let supervisor = Supervisor::open(
        &db,
        &config.data_dir,
        environment,
        Compiler::this_program()?,
        begin,
    )?;
    Ok(Arc::new(Running {
        supervisor,
        place,
        embedded: Mutex::default(),
        cluster: None,
    }))
}

fn open(folder: &Path) -> Result<Database, HostError> {
    let store = folder.join("store");
    // State and dead letters hold what records hold: nobody else's to read.
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&store)
        .map_err(|e| format!("the data folder {} cannot be made: {e}", folder.display()))?;
    let db = Database::builder(&store).cache_size(limits::STORE_CACHE_BYTES).open().map_err(|error| {
        let folder = folder.display();
        match error {
            fjall::Error::Locked => {
                format!("the data folder {folder} is in use by another streamhost: stop it, or choose another folder")
            }
            error => format!("the data folder {folder} cannot be opened: {error}"),
        }
    })?;
    identity::check(&db, folder)
        .map_err(|e| format!("the data folder {} is not opened: {e}", folder.display()))?;
    Ok(db)
}

fn place(config: &Config, owner: &'static str) -> Result<Environment, HostError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let faults = config.kafka.check();
    if !faults.is_empty() {
        return Err(faults.join("; ").into());
    }
    Ok(Environment {
        owner,
        host: config.cluster.as_ref().map(cluster::name_of),
        kafka: config.kafka.clone(),
        connectors: Registry::new(config.kafka.clone(), config.hbase.clone())
            .with_hbase(config.other_hbase.clone())
            .with_postgres(config.postgres.clone())
            .with_mysql(config.mysql.clone())
            .with_elasticsearch(config.elasticsearch.clone()),
        allow: config.allow.clone(),
        alerts: alerts(config)?,
        trusted: config.control.trusted.clone(),
        lanes: config.lanes.unwrap_or(cores),
        limits: config.limits,
        memory: memory::of(config.host_memory),
        savepoint_bytes: config.savepoint_bytes,
    })
}

fn alerts(config: &Config) -> Result<Option<Alerts>, HostError> {
    let webhook = config.webhook.as_deref();
    let started = webhook.map(Alerts::start).transpose();
    started.map_err(|e| format!("no thread for alerts: {e}").into())
}

/// Where a host with this configuration runs.
fn place_of(config: &Config, memory: HostMemory) -> HostFacts {
    HostFacts {
        data_dir: config.data_dir.clone(),
        series_file: Some(config.data_dir.join("series.json")),
        servers: vec![
            ("kafka", config.kafka.brokers.clone()),
            ("hbase", config.hbase.addresses()),
        ],
        memory,
    }
}

/// A supervisor, and the servers beside it.
struct Running {
    supervisor: Arc<Supervisor>,
    place: HostFacts,
    embedded: Mutex<Option<(broker::Listening, tables::Listening)>>,
    cluster: Option<Arc<Cluster>>,
}

impl Engine for Running {
    fn stop(&self) {
        self.supervisor.close(Stop::Drain);
        if let Some(cluster) = &self.cluster {
            cluster.leave();
        }
        let embedded = self
            .embedded
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some((broker, tables)) = embedded {
            broker.stop();
            tables.stop();
        }
    }
}

/// All calls go to the supervisor.
impl Jobs for Running {
    fn deploy(
        &self,
        component: Vec<u8>,
        request: DeployRequest,
        wanted: Wanted<'_>,
    ) -> Result<Deployed, Refusal> {
        if self.cluster.is_none() {
            return self.supervisor.deploy(component, request, wanted);
        }
        let name = match &request.name {
            Some(name) => name.clone(),
            None => self.name_of(&component, wanted)?,
        };
        names::job(&name).map_err(Refusal::Invalid)?;
        self.here(&name, false)?;
        let deployed = self.supervisor.deploy(component, request, wanted);
        if deployed.is_err() {
            self.left(&name);
        }
        deployed
    }

    fn peers(&self) -> Option<&dyn Peers> {
        self.cluster.as_deref().map(|cluster| cluster as &dyn Peers)
    }

    fn name_of(&self, component: &[u8], wanted: Wanted<'_>) -> Result<String, Refusal> {
        self.supervisor.name_of(component, wanted)
    }

    fn check(
        &self,
        component: Vec<u8>,
        request: DeployRequest,
        wanted: Wanted<'_>,
    ) -> Result<Checked, Refusal> {
        self.supervisor.check(component, request, wanted)
    }

    fn spool(&self) -> Result<File, Refusal> {
        self.supervisor.spool()
    }

    fn savepoint_bytes_max(&self) -> u64 {
        self.supervisor.savepoint_bytes_max()
    }

    fn savepoint(&self, job: &str, stop: bool) -> Result<TakenSavepoint, Refusal> {
        self.supervisor.savepoint(job, stop)
    }

    fn restore(
        &self,
        savepoint: File,
        request: RestoreRequest,
        wanted: Wanted<'_>,
    ) -> Result<Deployed, Refusal> {
        if self.cluster.is_none() {
            return self.supervisor.restore(savepoint, request, wanted);
        }
        let (savepoint, name) = self.supervisor.name_of_savepoint(savepoint, &request)?;
        self.here(&name, true)?;
        let restored = self.supervisor.restore(savepoint, request, wanted);
        match (&restored, &self.cluster) {
            (Ok(_), Some(cluster)) => cluster.unpin(&name),
            _ => self.left(&name),
        }
        restored
    }

    fn check_restore(
        &self,
        savepoint: File,
        request: RestoreRequest,
        wanted: Wanted<'_>,
    ) -> Result<Checked, Refusal> {
        self.supervisor.check_restore(savepoint, request, wanted)
    }

    fn list(&self) -> Vec<JobStatus> {
        self.supervisor.list()
    }

    fn status(&self, job: &str) -> Result<JobStatus, Refusal> {
        self.supervisor.status(job)
    }

    fn history(&self, job: &str) -> Result<Vec<Deployment>, Refusal> {
        self.supervisor.history(job)
    }

    fn rollback(&self, job: &str, version: Option<u64>) -> Result<Deployed, Refusal> {
        self.supervisor.rollback(job, version)
    }

    fn shadow(
        &self,
        component: Vec<u8>,
        request: ShadowRequest,
        wanted: Wanted<'_>,
    ) -> Result<ShadowView, Refusal> {
        self.supervisor.shadow(component, request, wanted)
    }

    fn shadow_of(&self, job: &str) -> Result<ShadowView, Refusal> {
        self.supervisor.shadow_of(job)
    }

    fn promote(&self, job: &str, to: Option<Share>) -> Result<Deployed, Refusal> {
        self.supervisor.promote(job, to)
    }

    fn drop_shadow(&self, job: &str) -> Result<(), Refusal> {
        self.supervisor.drop_shadow(job)
    }

    fn replay(
        &self,
        component: Option<Vec<u8>>,
        savepoint: Option<File>,
        request: ReplayRequest,
        wanted: Wanted<'_>,
    ) -> Result<ReplayView, Refusal> {
        self.supervisor
            .replay(component, savepoint, request, wanted)
    }

    fn replay_of(&self, job: &str) -> Result<ReplayView, Refusal> {
        self.supervisor.replay_of(job)
    }

    fn stop_replay(&self, job: &str) -> Result<ReplayView, Refusal> {
        self.supervisor.stop_replay(job)
    }

    fn pause(&self, job: &str) -> Result<JobStatus, Refusal> {
        self.supervisor.pause(job)
    }

    fn resume(&self, job: &str, skip_lost: bool) -> Result<JobStatus, Refusal> {
        self.supervisor.resume(job, skip_lost)
    }

    fn undeploy(&self, job: &str) -> Result<(), Refusal> {
        self.supervisor.undeploy(job)?;
        self.left(job);
        Ok(())
    }

    fn logs(&self, job: &str, after: u64) -> Result<Vec<LogLine>, Refusal> {
        self.supervisor.logs(job, after)
    }

    fn letters(
        &self,
        job: &str,
        below: &LetterPositions,
        most: usize,
    ) -> Result<ReadLetters, Refusal> {
        self.supervisor.letters(job, below, most)
    }

    fn letter(
        &self,
        job: &str,
        partition: i32,
        offset: i64,
    ) -> Result<Option<StoredLetter>, Refusal> {
        self.supervisor.letter(job, partition, offset)
    }

    fn letter_marks(
        &self,
        job: &str,
        ids: &[LetterId],
    ) -> Result<Vec<Option<LetterMark>>, Refusal> {
        self.supervisor.letter_marks(job, ids)
    }

    fn change_letters(
        &self,
        job: &str,
        ids: &[LetterId],
        ask: LettersAsk,
    ) -> Result<Vec<LetterEnd>, Refusal> {
        self.supervisor.change_letters(job, ids, ask)
    }

    fn look(&self, job: &str, ask: &StateAsk) -> Result<StateView, Refusal> {
        self.supervisor.look(job, ask)
    }

    fn audit(&self) -> &dyn Audit {
        self.supervisor.audit()
    }

    fn place(&self) -> HostFacts {
        self.place.clone()
    }

    fn broken(&self) -> Option<String> {
        self.supervisor.broken()
    }

    fn alerts(&self) -> Option<(u64, u64)> {
        self.supervisor.alerts()
    }

    fn facts(&self) -> Vec<JobFacts> {
        self.supervisor.facts()
    }

    fn facts_of(&self, job: &str) -> Option<JobFacts> {
        self.supervisor.facts_of(job)
    }
}
