//! History that is run through a version beside its job.

use std::time::Duration;

/// Replays of a host at once; a job has one at most.
pub const REPLAYS_MAX: usize = 2;
/// Of 100 parts of the time, how many a replay's thread may be at work, whatever its rate.
pub const REPLAY_SHARE: u32 = 70;
/// The most that `rate` may say, in records a second.
pub const REPLAY_RATE_MAX: u64 = 10_000_000;
/// Rows that differ and are shown: of each place, so many that are missing, so many that differ, and
/// so many that are there and were not made.
pub const REPLAY_SAMPLES_MAX: usize = 20;
/// Columns of one place that are told apart, where they differ.
pub const REPLAY_COLUMNS_MAX: usize = 100;
/// Rows that are read back, looked at or mended at once.
pub const REPLAY_ROWS_AT_ONCE: usize = 200;
/// Bytes of state that a replay remembers in memory; the rest is on the disk.
pub const REPLAY_CACHE_BYTES: usize = 16 << 20;
/// The block cache of a replay's store.
pub const REPLAY_STORE_CACHE_BYTES: u64 = 32 << 20;
/// Bytes on the disk that a replay may take for what its records made.
pub const REPLAY_DISK_BYTES_MAX: u64 = 32 << 30;
/// How far behind the clock cells of a job that stands still are mended: a batch that is about to be
/// planned has a time of its own by then, and lies above them.
pub const REPLAY_MEND_MARGIN: Duration = Duration::from_secs(5);
/// How long it is waited for a time at which rows can be mended, or until a page of rows can be,
/// while the job writes.
pub const REPLAY_MEND_WAIT: Duration = Duration::from_secs(60);
/// How long one try to read records waits for them.
pub const REPLAY_FETCH_TIME: Duration = Duration::from_millis(200);
/// How long servers may be away before a replay gives up.
pub const REPLAY_AWAY_TIME: Duration = Duration::from_secs(120);
