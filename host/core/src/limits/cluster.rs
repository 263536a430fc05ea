//! Hosts that share their jobs.

use std::time::Duration;

/// How long a host of a cluster may be silent before its jobs go to others. Brokers take no less by
/// their defaults.
pub const CLUSTER_SESSION_TIME: Duration = Duration::from_secs(6);
/// How often a host says that it lives.
pub const CLUSTER_BEAT_TIME: Duration = Duration::from_secs(1);
/// How often it is looked whether jobs have to be taken, given up or placed.
pub const CLUSTER_LOOK_TIME: Duration = Duration::from_millis(250);
/// How long a deploy of a new job waits for its place.
pub const CLUSTER_CLAIM_TIME: Duration = Duration::from_secs(15);
/// How long a host waits for another one of its name, which may be what is left of itself.
pub const CLUSTER_NAME_TIME: Duration = Duration::from_secs(20);
/// How long it waits before it tries again to take a job that it could not take.
pub const CLUSTER_RETRY_TIME: Duration = Duration::from_secs(1);
/// How often it is looked whether a job that a host holds was ever deployed: one that was not is let
/// go.
pub const CLUSTER_EMPTY_TIME: Duration = Duration::from_secs(600);
/// Jobs that a host takes at once.
pub const CLUSTER_TAKES_MAX: usize = 4;
/// Hosts of a cluster.
pub const CLUSTER_HOSTS_MAX: usize = 64;
/// How long another host has to answer, or to go on with its answer.
pub const CLUSTER_ANSWER_TIME: Duration = Duration::from_secs(5);
/// How old what a host remembers of a job's log may be. Topics keep removals for twice as long: what
/// is older is read anew.
pub const REPLICA_AGE_MAX: Duration = Duration::from_secs(12 * 3600);
/// Bytes of a job's log that are written to the store at once.
pub const REPLICA_PORTION_BYTES: usize = 4 << 20;
/// One look at a log that is read.
pub const LOG_READ_LOOK: Duration = Duration::from_millis(100);
/// How long the brokers may give nothing of a log that is read to its end.
pub const LOG_SILENCE_TIME: Duration = Duration::from_secs(30);

const _: () = assert!(CLUSTER_BEAT_TIME.as_millis() * 3 <= CLUSTER_SESSION_TIME.as_millis());
