//! The sum of what is in memory: of a job beside its settings, and of a host beside its jobs.

use super::{
    BATCH_ANSWERS_BYTES_MAX, BATCHES_KEPT_MAX, COMPONENT_BYTES_MAX, EVENT_STREAMS_MAX,
    HTTP_BODY_BYTES_MAX, HTTP_CALLS_MAX, HTTP_CHANGES_MAX, HTTP_UPLOADS_MAX,
    KEYED_PORTION_BYTES_MAX, LOG_LINE_BYTES_MAX, LOG_LINES_KEPT_MAX, SERIES_POINTS_MAX,
    STATE_CACHE_BYTES, STATE_MEMTABLE_BYTES, STORE_CACHE_BYTES,
};

/// What a record takes in a batch beside its key and value: where they end, its offset and times.
pub const RECORD_AROUND_BYTES: usize = 48;
/// What is kept of a batch for the dashboard, at most.
pub const BATCH_KEPT_BYTES: usize = 4 << 10;
/// The same of one point of a job's charts.
pub const SERIES_POINT_BYTES: usize = 512;
/// A stream of events, with one event on its way.
pub const EVENT_STREAM_BYTES: usize = 1 << 20;
/// What the program takes before there is a job.
pub const PROGRAM_BYTES: usize = 96 << 20;
/// Batches of a host's jobs that may be large at once, however much memory there is.
pub const LARGE_BATCHES_MAX: usize = 8;
/// A host's memory is divided by this, to say how much of it large batches may take.
pub const LARGE_BATCHES_PART: u64 = 4;
/// The least that `limits.host-memory` may say: the host itself, one large batch, and some jobs.
pub const HOST_MEMORY_BYTES_MIN: usize = 3 << 30;
/// The most that it may say.
pub const HOST_MEMORY_BYTES_MAX: usize = 1 << 40;

/// A job's lines, charts and batches of before.
pub(crate) const JOB_KEPT_BYTES: usize = LOG_LINES_KEPT_MAX * LOG_LINE_BYTES_MAX
    + BATCHES_KEPT_MAX * BATCH_KEPT_BYTES
    + SERIES_POINTS_MAX * SERIES_POINT_BYTES;

/// What keyed stages take beside a batch's answers: the cache, and what is asked of the guest at
/// once and comes back.
pub(crate) const JOB_STATE_BYTES: usize = STATE_CACHE_BYTES + 2 * KEYED_PORTION_BYTES_MAX;

/// What a host takes beside its jobs and large batches: the store, which counts about half of what
/// its memtables take, and the control API.
pub(crate) const HOST_OWN_BYTES: usize = PROGRAM_BYTES
    + STORE_CACHE_BYTES as usize
    + 5 * 2 * STATE_MEMTABLE_BYTES as usize
    + (HTTP_CALLS_MAX + HTTP_CHANGES_MAX) * HTTP_BODY_BYTES_MAX
    + HTTP_UPLOADS_MAX * COMPONENT_BYTES_MAX
    + EVENT_STREAMS_MAX * EVENT_STREAM_BYTES;

const _: () = assert!(HOST_OWN_BYTES <= 640 << 20);
const _: () = assert!(HOST_OWN_BYTES + BATCH_ANSWERS_BYTES_MAX < HOST_MEMORY_BYTES_MIN);
