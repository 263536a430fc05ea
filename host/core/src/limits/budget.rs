//! What is looked at before a version is judged by its budgets.

use std::time::Duration;

/// The shortest and the longest time that a budget may be over.
pub const BUDGET_TIME: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3600));
/// Into so many parts that time is cut: what is older than it goes a part at a time.
pub const BUDGET_PARTS: usize = 60;
/// Records of that time before a share of them counts: of fewer, a few bad ones are many percent.
pub const BUDGET_RECORDS_MIN: u64 = 200;
/// Of a hundred records, how many may be later than `max-latency` says.
pub const BUDGET_LATE_PERCENT: u64 = 1;
/// The share of dead letters, in millionths of the records, that a version on probation may have
/// where `max-dead-letters` does not say otherwise.
pub const BUDGET_LETTERS_MILLIONTHS: u64 = 20_000;
/// Over so long.
pub const BUDGET_LETTERS_TIME: Duration = Duration::from_secs(60);
/// How many times the share of the version before it may have instead, where that is more: a job
/// whose input was always bad is not to be held up.
pub const BUDGET_LETTERS_TIMES: u64 = 2;
/// Alerts that wait for the webhook; what is beyond is let go.
pub const ALERTS_QUEUED_MAX: usize = 64;
/// How often one of them is tried.
pub const ALERT_ATTEMPTS_MAX: u32 = 4;
/// The wait before it is tried the second time; it doubles.
pub const ALERT_WAIT: Duration = Duration::from_millis(500);
/// How long one attempt may take.
pub const ALERT_SEND_TIME: Duration = Duration::from_secs(5);
/// Cores that `max-cpu` may name.
pub const BUDGET_CORES_MAX: u64 = 1024;
