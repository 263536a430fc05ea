//! What the control plane says of jobs, and what it is asked. The JSON names are part of the
//! command line's contract.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use streamhost_connectors::kafka::letters::{LetterPositions, ReadLetters, StoredLetter};
use streamhost_core::job::{DeploymentKind, Share};
use streamhost_core::protocol::LetterMark;
use utoipa::ToSchema;

mod audit;
mod canary;
mod changes;
mod checked;
mod facts;
mod host;
mod letters;
mod peers;
mod limits;
mod promote_if;
mod refusal;
mod replay;
mod request;
mod savepoint;
mod shadow;
mod state;

pub use audit::{Audit, AuditAsk, AuditEntry, AuditOutcome, AuditPage, AuditSetting};
pub use canary::{CanaryDeployed, CanaryStatus, SideView};
pub use changes::{Change, changed_places, changes};
pub use checked::{ActiveFacts, Checked, StateFate};
pub use facts::{DeploymentFacts, JobFacts};
pub use host::HostFacts;
pub use letters::{LetterEnd, LetterId, LettersAsk};
pub use limits::{LimitStatus, MemoryPart};
pub use peers::{Home, HostStatus, Peers};
pub use promote_if::PromoteIf;
pub use refusal::Refusal;
pub use replay::{
    ReplayBound, ReplayColumnView, ReplayOffset, ReplayRequest, ReplayRowView, ReplaySavepointView,
    ReplaySinkView, ReplayStatus, ReplayView,
};
pub use request::DeployRequest;
pub use savepoint::{RestoreRequest, TakenSavepoint};
pub use shadow::{
    BatchView, ColumnView, LetterView, LettersView, PairView, RowView, ShadowRequest, ShadowStatus,
    ShadowView, SinkView,
};
pub use state::{AskedKey, AskedKeys, StateAsk, StateView};

/// What a job is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// Batches are made as records come.
    Running,
    /// The user said `pause`.
    Paused,
    /// Something it needs is away; it tries again by itself.
    Retrying,
    /// It cannot go on by itself; `last_error` says why and how to mend it.
    Stopped,
    /// Every source has ended, and all is delivered.
    Finished,
}

/// What a job waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Waiting {
    /// What is away, and what it said.
    pub what: String,
    /// Since when, RFC 3339.
    pub since: String,
}

/// A source in a status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SourceStatus {
    /// Its connector.
    #[serde(rename = "kind")]
    pub connector: String,
    /// The job's name for it.
    pub name: String,
    /// The topic.
    #[serde(rename = "place")]
    pub target: String,
    /// The next offset to read of each partition, durable.
    #[serde(rename = "reached")]
    pub committed: BTreeMap<i32, i64>,
    /// The largest event time of each partition that has one, RFC 3339.
    #[serde(default)]
    pub event_times: BTreeMap<i32, String>,
    /// Partitions whose event time jumped ahead since the host started, and when it last did.
    #[serde(default)]
    pub jumps: BTreeMap<i32, JumpStatus>,
}

/// A partition's event time rose by more than an hour at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JumpStatus {
    /// When, RFC 3339.
    pub at: String,
    /// From which event time.
    pub from: String,
    /// To which.
    pub to: String,
}

/// A sink in a status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SinkStatus {
    /// Its connector.
    #[serde(rename = "kind")]
    pub connector: String,
    /// The job's name for it.
    pub name: String,
    /// The table or topic.
    #[serde(rename = "place")]
    pub target: String,
    /// Rows delivered.
    pub rows: u64,
}

/// A keyed stage in a status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StageStatus {
    /// The name under which it keeps its state.
    pub name: String,
    /// Entries that it keeps.
    pub keys: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// Until when a version that proves unfit is rolled back by the host: for so many batches, and until
/// a time, whichever is longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProbationStatus {
    /// The version that it would go back to.
    pub version: u64,
    /// Batches that are left.
    pub batches: u64,
    /// The time, RFC 3339.
    pub until: String,
}

/// A budget of the version that is active, and what there was of it in its time up to now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BudgetStatus {
    /// The setting that says it: `max-dead-letters`, `max-latency` or `max-cpu`.
    pub budget: String,
    /// How much it is, such as `1% over 1m`.
    pub most: String,
    /// It is what a version on probation has where nothing is said.
    pub usual: bool,
    /// What was used of it, in words.
    pub used: String,
    /// It is more than there is.
    pub over: bool,
}

/// A job's status. Counts are of durable batches alone, and survive restarts. In a job without
/// branches and keyed stages `records_in = dropped + late + dead_letters + records that made rows`.
/// With branches a record may be a row and a dead letter both; letters and late items of keyed
/// stages are counted as well, and are no records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobStatus {
    /// Its name.
    pub job: String,
    /// What it is doing.
    pub state: JobState,
    /// The version that the next batch runs, from 1.
    pub version: u64,
    /// That version's component, SHA-256 in hex.
    pub digest: String,
    /// The number of the deployment that made it active; rises with every deploy and rollback.
    pub deployment: u64,
    /// When that was, RFC 3339.
    #[serde(default)]
    pub deployed_at: Option<String>,
    /// The host of the cluster that runs it; null where the host is by itself.
    #[serde(default)]
    pub host: Option<String>,
    /// The trusted key that has signed its component; null where the host asked for no signature.
    #[serde(default)]
    pub signed_by: Option<String>,
    /// While a failing version is rolled back by the host.
    #[serde(default)]
    pub probation: Option<ProbationStatus>,
    /// Its version's budgets.
    #[serde(default)]
    pub budgets: Vec<BudgetStatus>,
    /// Which of them it is over, in words; none while it is within all.
    #[serde(default)]
    pub over_budget: Option<String>,
    /// Records read.
    pub records_in: u64,
    /// Rows delivered, all sinks together.
    pub rows_out: u64,
    /// Records sent to the dead letters.
    pub dead_letters: u64,
    /// Records that the author filtered away.
    pub dropped: u64,
    /// Records that came too late for a window or join.
    pub late: u64,
    /// Records without a time of their own, which had that of their batch.
    #[serde(default)]
    pub timeless: u64,
    /// Batches that are durable.
    pub batches: u64,
    /// Records behind the ends of all partitions; none while that is not known.
    pub lag: Option<u64>,
    /// The last thing that went wrong.
    pub last_error: Option<String>,
    /// What it waits for while `retrying`.
    pub waiting_for: Option<Waiting>,
    /// Its batch interval in milliseconds; 0: as soon as the pipeline is free.
    pub every_ms: u64,
    /// The consumer group that shows its progress to monitors.
    pub group: String,
    /// The topic of its dead letters.
    pub dead_letter_topic: String,
    /// The life of its checkpoint.
    #[serde(rename = "incarnation")]
    pub epoch: u64,
    /// Worker threads, each with its own instance.
    pub lanes: usize,
    /// Where it reads.
    pub sources: Vec<SourceStatus>,
    /// Its keyed stages.
    pub stages: Vec<StageStatus>,
    /// Up to where event time is complete, RFC 3339; none while some partition has had no record,
    /// or without windows.
    pub watermark: Option<String>,
    /// Where it writes.
    pub sinks: Vec<SinkStatus>,
    /// Its limits.
    pub limits: LimitStatus,
    /// Its parameters.
    #[serde(default)]
    pub parameters: Vec<ParameterStatus>,
    /// The version that runs beside the active one, or did so last.
    #[serde(default)]
    pub shadow: Option<ShadowStatus>,
    /// The version that runs a part of the records.
    #[serde(default)]
    pub canary: Option<CanaryStatus>,
    /// History that is run through a version beside the job, or was last.
    #[serde(default)]
    pub replay: Option<ReplayStatus>,
}

/// A parameter of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ParameterStatus {
    /// Its name, as in `--set param.NAME=…`.
    pub name: String,
    /// What its value is: `text`, `int`, `uint`, `float`, `bool` or `duration`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is where nothing is set.
    pub default: String,
    /// What it is.
    pub value: String,
}

/// One entry of a job's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Deployment {
    /// Rises with every deploy and rollback.
    pub number: u64,
    /// The version that it made active, from 1; the same component and settings keep their version.
    pub version: u64,
    /// The component's SHA-256 in hex.
    pub digest: String,
    /// When, RFC 3339.
    pub at: String,
    /// How it came about: `deploy`, `rollback`, `automatic-rollback` or `canary`.
    #[schema(value_type = String)]
    pub kind: DeploymentKind,
    /// Why the host made it by itself, if it did: it went back, or its own limits were changed.
    pub reason: Option<String>,
    /// The `--set` pairs it was deployed with.
    pub settings: BTreeMap<String, String>,
    /// It is the active one.
    pub active: bool,
    /// It began the job anew at `start`.
    #[serde(default)]
    pub reset: bool,
    /// It gave up what was planned, and ran its records anew.
    #[serde(default)]
    pub replan: bool,
    /// When the job was undeployed, RFC 3339; none while it is there.
    #[serde(default)]
    pub undeployed_at: Option<String>,
    /// The component's length, if it is kept.
    #[serde(default)]
    pub component_bytes: Option<u64>,
    /// The SDK that it was made with, if it says so; components do not yet.
    #[serde(default)]
    pub sdk: Option<String>,
    /// The trusted key that has signed its component; null where the host asked for no signature.
    #[serde(default)]
    pub signed_by: Option<String>,
    /// The version that runs a part of the records with it.
    #[serde(default)]
    pub canary: Option<CanaryDeployed>,
}

/// One line of a job's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogLine {
    /// Rises by one with each line, from 1 at the host's start.
    pub number: u64,
    /// The version that said it, or that was active then.
    #[serde(default)]
    pub version: Option<u64>,
    /// `TIME LEVEL TEXT`: RFC 3339, and the level in five columns.
    pub line: String,
}

/// What became of a `deploy` or `rollback`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Deployed {
    /// The job's name.
    pub job: String,
    /// The version that is active now.
    pub version: u64,
    /// Its component, SHA-256 in hex.
    pub digest: String,
    /// The deployment's number.
    pub deployment: u64,
    /// False: it was active already, and nothing changed.
    pub changed: bool,
    /// The job is paused: the version runs once it is resumed.
    #[serde(default)]
    pub paused: bool,
    /// What the user should know: each a sentence.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Sources, sinks and settings that are others than before.
    #[serde(default)]
    pub changes: Vec<Change>,
    /// Settings of before that stay, though they were not given again.
    #[serde(default)]
    pub kept: BTreeMap<String, String>,
    /// The version that runs a part of the records from now on; the others are run by `version`.
    #[serde(default)]
    pub canary: Option<CanaryDeployed>,
}

/// What the control API asks of the host. All calls block, and return when the outcome is durable.
/// They may be repeated, but for a `deploy` that resets, which does it again each time, and a
/// `rollback` without a version, which goes back by one more each time.
pub trait Jobs: Send + Sync {
    /// Checks, compiles, warms and activates a component.
    /// While it compiles it is asked whether it is still `wanted`.
    fn deploy(
        &self,
        component: Vec<u8>,
        request: DeployRequest,
        wanted: &dyn Fn() -> bool,
    ) -> Result<Deployed, Refusal>;
    /// What a component is, and what its deployment would do. Changes nothing. `wanted` as above.
    fn check(
        &self,
        component: Vec<u8>,
        request: DeployRequest,
        wanted: &dyn Fn() -> bool,
    ) -> Result<Checked, Refusal>;
    /// All jobs by name.
    fn list(&self) -> Vec<JobStatus>;
    /// One job.
    fn status(&self, job: &str) -> Result<JobStatus, Refusal>;
    /// A job's deployments, newest first.
    fn history(&self, job: &str) -> Result<Vec<Deployment>, Refusal>;
    /// Makes an older version active: the given one, or the one that stood before the active one
    /// was deployed. Never goes forward by itself.
    fn rollback(&self, job: &str, version: Option<u64>) -> Result<Deployed, Refusal>;
    /// Stops a job after the batch under way, until `resume`.
    fn pause(&self, job: &str) -> Result<JobStatus, Refusal>;
    /// Goes on after `pause`, tries again after `stopped`, reads on after `finished`; a job whose
    /// end gave out windows is refused then. `skip_lost`: this time it goes on where records that
    /// it was to read are gone; the host says in the job's log which. A job that runs goes on as it
    /// does.
    fn resume(&self, job: &str, skip_lost: bool) -> Result<JobStatus, Refusal>;
    /// Stops a job and forgets it. Its rows, dead letters and consumer group stay.
    fn undeploy(&self, job: &str) -> Result<(), Refusal>;
    /// The last lines of a job's log, oldest first; those after `after` alone.
    fn logs(&self, job: &str, after: u64) -> Result<Vec<LogLine>, Refusal>;
    /// The newest dead letters below these positions, so many at most.
    fn letters(
        &self,
        job: &str,
        below: &LetterPositions,
        most: usize,
    ) -> Result<ReadLetters, Refusal>;
    /// One dead letter; none where there is none at this place of its topic.
    fn letter(
        &self,
        job: &str,
        partition: i32,
        offset: i64,
    ) -> Result<Option<StoredLetter>, Refusal>;
    /// What is remembered of dead letters, in their order.
    fn letter_marks(&self, job: &str, ids: &[LetterId])
    -> Result<Vec<Option<LetterMark>>, Refusal>;
    /// Retries or drops dead letters, and says of each what became of it, in their order.
    fn change_letters(
        &self,
        job: &str,
        ids: &[LetterId],
        ask: LettersAsk,
    ) -> Result<Vec<LetterEnd>, Refusal>;
    /// A page of what a keyed stage keeps, as of the newest checkpoint. The job need not run.
    fn look(&self, job: &str, ask: &StateAsk) -> Result<StateView, Refusal>;
    /// Where changes are noted.
    fn audit(&self) -> &dyn Audit;
    /// Where the host runs.
    fn place(&self) -> HostFacts {
        HostFacts::default()
    }
    /// Why the host must be started anew, if so: a write to its data folder has failed, and nothing
    /// can be written there any more.
    fn broken(&self) -> Option<String> {
        None
    }
    /// The hosts that share their jobs with this one; none: it is by itself.
    fn peers(&self) -> Option<&dyn Peers> {
        None
    }
    /// What the job of a component is called. `wanted` as above.
    fn name_of(&self, component: &[u8], wanted: &dyn Fn() -> bool) -> Result<String, Refusal> {
        let _ = (component, wanted);
        Err(Refusal::Invalid("name the job: `name=JOB`".to_owned()))
    }
    /// Alerts that the webhook took, and that were let go; none where no webhook is named.
    fn alerts(&self) -> Option<(u64, u64)> {
        None
    }
    /// All jobs as they are now, for the monitor. Does not wait for changes that are under way.
    fn facts(&self) -> Vec<JobFacts>;
    /// The same of one job; none: it is not there.
    fn facts_of(&self, job: &str) -> Option<JobFacts> {
        let mut all = self.facts().into_iter();
        all.find(|facts| facts.status.job == job)
    }
    /// Checks, compiles, warms a component, and runs it beside the active version of its job.
    /// `wanted` as above.
    fn shadow(
        &self,
        component: Vec<u8>,
        request: ShadowRequest,
        wanted: &dyn Fn() -> bool,
    ) -> Result<ShadowView, Refusal>;
    /// How the job's shadow differs, or did.
    fn shadow_of(&self, job: &str) -> Result<ShadowView, Refusal>;
    /// Makes a shadow active, at a batch boundary.
    fn promote(&self, job: &str, to: Option<Share>) -> Result<Deployed, Refusal>;
    /// Ends a shadow and forgets it.
    fn drop_shadow(&self, job: &str) -> Result<(), Refusal>;
    /// Runs history through a component, or a version, from a savepoint on. `wanted` as above.
    fn replay(
        &self,
        component: Option<Vec<u8>>,
        savepoint: Option<File>,
        request: ReplayRequest,
        wanted: &dyn Fn() -> bool,
    ) -> Result<ReplayView, Refusal>;
    /// What a job's replay has come to.
    fn replay_of(&self, job: &str) -> Result<ReplayView, Refusal>;
    /// Ends a job's replay, if it runs, and says what it came to.
    fn stop_replay(&self, job: &str) -> Result<ReplayView, Refusal>;
    /// An empty file that nobody else finds, for a savepoint that comes.
    fn spool(&self) -> Result<File, Refusal>;
    /// How long a savepoint may be.
    fn savepoint_bytes_max(&self) -> u64;
    /// Writes what belongs to a job's newest checkpoint into a file, while the job goes on; or, where
    /// it is to `stop`, once it is paused and all that it planned is delivered.
    fn savepoint(&self, job: &str, stop: bool) -> Result<TakenSavepoint, Refusal>;
    /// Begins a job from a savepoint. `wanted` as above.
    fn restore(
        &self,
        savepoint: File,
        request: RestoreRequest,
        wanted: &dyn Fn() -> bool,
    ) -> Result<Deployed, Refusal>;
    /// What a savepoint would begin. Changes nothing. `wanted` as above.
    fn check_restore(
        &self,
        savepoint: File,
        request: RestoreRequest,
        wanted: &dyn Fn() -> bool,
    ) -> Result<Checked, Refusal>;
}
