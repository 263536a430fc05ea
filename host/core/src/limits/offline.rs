//! Runs without servers.

use std::time::Duration;

/// The input of a run without servers, which is held in memory.
pub const OFFLINE_INPUT_BYTES_MAX: usize = 256 << 20;
/// Reading a sample of a topic.
pub const SAMPLE_TIME: Duration = Duration::from_secs(30);
/// Records of a sample.
pub const SAMPLE_RECORDS_MAX: usize = 1_000_000;
/// Rounds of a bench.
pub const BENCH_ROUNDS_MAX: usize = 10_000;
/// How long a round of a bench is meant to take: a short input is run several times in it.
pub const BENCH_ROUND_TIME: Duration = Duration::from_millis(100);
/// How often a round runs its input at most.
pub const BENCH_REPEATS_MAX: usize = 10_000;
/// Differences between two cuts of one input that are shown.
pub const DIFFERENCES_SHOWN_MAX: usize = 20;
