//! How large the tests are, in one place. `STREAMHOST_TEST_SIZE=full` makes them as large as the
//! product is promised for; the normal sizes fit a laptop. `STREAMHOST_SEED` replays a run.

use std::str::FromStr;
use std::time::Duration;

/// How large the tests are.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Generated clicks in a topic that is read from its beginning.
    pub clicks: u64,
    /// Deployments while records flow.
    pub swaps: usize,
    /// Records a second while versions are swapped.
    pub swap_rate: u32,
    /// The same where they go to HBase.
    pub swap_table_rate: u32,
    /// Shadows, promotions, canaries and rollbacks; `STREAMHOST_CHANGES` says another number.
    pub changes: usize,
    /// Records a second meanwhile; `STREAMHOST_CHANGES_RATE` says another number.
    pub changes_rate: u32,
    /// Records that two equal versions are compared over.
    pub shadow_records: u64,
    /// Records that each version of a swap must have stamped before the next one comes.
    pub swap_records: u64,
    /// Times that the host is killed.
    pub kills: usize,
    /// Records a second while the host is killed.
    pub kill_rate: u32,
    /// Records between two kills, at most; at least a fifth of it.
    pub kill_records_max: u64,
    /// Records a second while Kafka, the gateway or HBase is away.
    pub outage_rate: u32,
    /// Generated events of each keyed example.
    pub keyed_events: u64,
    /// Events a second of those that come while the job runs.
    pub keyed_rate: u32,
    /// Times that the host is killed while it is at them.
    pub keyed_kills: usize,
    /// Deployments meanwhile.
    pub keyed_swaps: usize,
    /// How long a bad week lasts; `STREAMHOST_SOAK_SECONDS` says another time.
    pub soak: Duration,
    /// Records a second meanwhile.
    pub soak_rate: u32,
    /// Once with each of these numbers of lanes.
    pub keyed_lanes: &'static [usize],
}

/// For every run.
const NORMAL: Sizes = Sizes {
    clicks: 50_000,
    swaps: 20,
    swap_rate: 2_000,
    swap_table_rate: 2_000,
    changes: 8,
    changes_rate: 1_500,
    shadow_records: 20_000,
    swap_records: 1_000,
    kills: 5,
    kill_rate: 3_000,
    kill_records_max: 10_000,
    outage_rate: 1_000,
    keyed_events: 20_000,
    keyed_rate: 4_000,
    keyed_kills: 3,
    keyed_swaps: 2,
    soak: Duration::from_secs(45),
    soak_rate: 2_000,
    keyed_lanes: &[2],
};

/// For a night.
const FULL: Sizes = Sizes {
    clicks: 500_000,
    swap_rate: 20_000,
    swap_table_rate: 5_000,
    changes: 200,
    changes_rate: 20_000,
    shadow_records: 1_000_000,
    swap_records: 10_000,
    kills: 20,
    kill_rate: 5_000,
    keyed_events: 200_000,
    keyed_kills: 20,
    keyed_swaps: 10,
    soak: Duration::from_secs(60 * 60),
    soak_rate: 5_000,
    keyed_lanes: &[1, 2, 4],
    ..NORMAL
};

/// The sizes of this run.
pub fn sizes() -> Sizes {
    let is_full = std::env::var("STREAMHOST_TEST_SIZE").is_ok_and(|size| size == "full");
    let mut sizes = if is_full { FULL } else { NORMAL };
    if let Some(seconds) = number("STREAMHOST_SOAK_SECONDS") {
        sizes.soak = Duration::from_secs(seconds);
    }
    if let Some(rate) = number("STREAMHOST_SOAK_RATE") {
        sizes.soak_rate = rate;
    }
    if let Some(changes) = number("STREAMHOST_CHANGES") {
        sizes.changes = changes;
    }
    if let Some(rate) = number("STREAMHOST_CHANGES_RATE") {
        sizes.changes_rate = rate;
    }
    sizes
}

fn number<N: FromStr>(variable: &str) -> Option<N> {
    std::env::var(variable).ok()?.parse().ok()
}

/// The seed of this run: `STREAMHOST_SEED`, or one from the clock. Tests print it.
pub fn seed() -> u64 {
    let from_clock = || {
        std::time::UNIX_EPOCH
            .elapsed()
            .map_or(1, |since| since.as_millis() as u64)
    };
    number("STREAMHOST_SEED").unwrap_or_else(from_clock)
}

/// How long a condition that depends on this machine alone may take to come true.
pub const SOON: Duration = Duration::from_secs(30);
/// How long it may take where servers restart or a whole topic is read.
pub const LATE: Duration = Duration::from_secs(180);
/// How long a job's first build may take, with all that it depends on, natively and for Wasm.
pub const BUILD: Duration = Duration::from_secs(15 * 60);
/// How long a program may run: the longest build the standard library for Wasm, or the workspace
/// for the demo.
pub const PROGRAM_TIME: Duration = Duration::from_secs(60 * 60);
/// How often a condition is looked at.
pub const LOOK: Duration = Duration::from_millis(50);
/// Partitions of the tests' topics.
pub const PARTITIONS: i32 = 4;
