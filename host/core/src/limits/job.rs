//! What a job may describe, and what is kept of jobs.

use std::time::Duration;

/// Jobs of one host.
pub const JOBS_MAX: usize = 64;
/// Sources and sinks of one job.
pub const PLACES_MAX: usize = 32;
/// Columns of one sink.
pub const COLUMNS_MAX: usize = 1000;
/// Names of undeployed jobs that are remembered; beyond them one is forgotten.
pub const UNDEPLOYED_MAX: usize = 1000;
/// Deployments that a job's history keeps; older ones are forgotten with their components.
pub const HISTORY_MAX: usize = 100;
/// Deployments that a job's history keeps beyond [`HISTORY_MAX`] because a batch under way may
/// still name them. More are refused until the batch is delivered.
pub const HISTORY_NEEDED_MAX: usize = 1000;
/// First and longest wait before something that is away is tried again; it doubles in between.
pub const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// Connecting to anything.
pub const CONNECT_TIME: Duration = Duration::from_secs(5);
/// The longest interval of batches that a job may ask for.
pub const EVERY_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Characters of a name from data that an error repeats.
pub const NAME_SHOWN_CHARS_MAX: usize = 100;
/// Characters of one fault of a job; it may repeat what a component says, of whatever length.
pub const FAULT_SHOWN_CHARS_MAX: usize = 1000;
/// Faults of one job that are told.
pub const FAULTS_SHOWN_MAX: usize = 100;
/// The name of a column: HBase's `family:qualifier`, or a field.
pub const COLUMN_NAME_BYTES_MAX: usize = 1024;
/// A sink that is at one batch for longer is shown as waited for, though no call has failed yet.
pub const SLOW_DELIVERY_TIME: Duration = Duration::from_secs(15);
/// How long a drain waits for what is away.
pub const DRAIN_TIME: Duration = Duration::from_secs(10);
/// How long a job that is to stop soon may still be in a call to one of its sinks, before that is
/// cut.
pub const STOP_TIME: Duration = Duration::from_secs(5);
/// How long `resume` waits to hear how the job goes.
pub const FIRST_WORD_TIME: Duration = Duration::from_secs(2);
/// Changes of one job that wait for the one that is under way.
pub const JOB_CHANGES_MAX: usize = 64;
const _: () = assert!(JOB_CHANGES_MAX > super::HTTP_CHANGES_MAX + super::HTTP_UPLOADS_MAX);
/// How often it is looked whether a job has stopped, or has said how it goes.
pub const LOOK_TIME: Duration = Duration::from_millis(10);
/// How often the topics are asked for new partitions.
pub const PARTITIONS_TIME: Duration = Duration::from_secs(30);
/// Keyed stages of one job.
pub const STAGES_MAX: usize = 32;
/// How often others may be said to feed one keyed stage; each chain that ends in it counts.
pub const STAGE_INPUTS_MAX: usize = 1000;
/// What a stage says of the shape of its keys or values.
pub const STAGE_SHAPE_BYTES_MAX: usize = 16 << 10;
/// Panes of one hopping window, all of which are merged when it ends.
pub const WINDOW_PANES_MAX: i64 = 10_000;
/// The longest window, gap, lateness, distance of a join's partners, or time until a silent key is
/// forgotten.
pub const STAGE_TIME_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// Records a second of a rate generator.
pub const RATE_MAX: u32 = 1_000_000;
/// A path of a file source, or the name of any other source's place.
pub const PLACE_BYTES_MAX: usize = 4096;
/// Options of one source or sink.
pub const OPTIONS_MAX: usize = 64;
/// Metrics of its own that a job may have.
pub const JOB_METRICS_MAX: usize = 64;
/// Metrics of its own that are kept of all versions of a job; beyond that those of the active one
/// alone.
pub const JOB_METRICS_KEPT_MAX: usize = 256;
/// Parameters of one job.
pub const PARAMETERS_MAX: usize = 64;
/// The value of a parameter, or its default.
pub const PARAMETER_BYTES_MAX: usize = 4096;
