//! Runs without servers, and builds beside a host.

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
/// A line that `produce` puts into a topic; its brokers take less, as they are set.
pub const PRODUCE_LINE_BYTES_MAX: usize = 16 << 20;
/// How long nothing more may be saved in a folder that is watched before it is built.
pub const WATCH_QUIET_TIME: Duration = Duration::from_millis(60);
/// How long it is waited for that at most, while something is saved all the time.
pub const WATCH_GATHER_TIME_MAX: Duration = Duration::from_secs(2);
/// How long a build, or the tests, of a folder that is watched may take.
pub const CARGO_TIME: Duration = Duration::from_secs(1_200);
/// What is kept of what cargo says of them.
pub const CARGO_OUTPUT_BYTES_MAX: usize = 1 << 20;
/// Differences between two cuts of one input that are shown.
pub const DIFFERENCES_SHOWN_MAX: usize = 20;
