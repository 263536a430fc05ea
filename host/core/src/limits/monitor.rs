//! What the host keeps of its jobs for the dashboard.

use std::time::Duration;

/// Durable batches of a job whose steps are kept.
pub const BATCHES_KEPT_MAX: usize = 300;
/// Records of a batch whose ages are looked at.
pub const LATENCY_SAMPLES_MAX: u64 = 128;
/// Ages above this many milliseconds count as this: a day.
pub const LATENCY_MS_MAX: u64 = 86_400_000;
/// Points of a job's charts that are kept: an hour.
pub const SERIES_POINTS_MAX: usize = 720;
/// A point of a chart stands for this many seconds.
pub const SERIES_STEP_SECONDS: u64 = 5;
/// How often what is kept of all jobs' charts is written to a file.
pub const SERIES_FILE_TIME: Duration = Duration::from_secs(60);
/// Bytes of that file; a larger one is left aside.
pub const SERIES_FILE_BYTES_MAX: u64 = 32 << 20;
/// Rates are means of this many seconds.
pub const RATE_SECONDS: usize = 10;
/// Minutes of which the list of jobs shows the records a second.
pub const RECENT_MINUTES: usize = 60;
/// Names of sources, stages and sinks under which a job's figures are counted since the host began;
/// those of further ones are counted together.
pub const METER_NAMES_MAX: usize = 200;
/// Partitions of a job that have metrics of their own.
pub const METRIC_PARTITIONS_MAX: usize = 128;
/// Batches whose traces wait to be sent; what is beyond is let go.
pub const TRACES_QUEUED_MAX: usize = 1000;
/// Traces of batches in one request to the collector.
pub const TRACES_PER_SEND_MAX: usize = 100;
/// How long a request to the collector may take, with all its attempts.
pub const TRACE_SEND_TIME: Duration = Duration::from_secs(5);
/// An answer of the collector.
pub const TRACE_ANSWER_BYTES_MAX: u64 = 64 << 10;
/// Files of the data folder whose lengths are added up.
pub const DATA_FILES_MAX: usize = 20_000;
/// How often that is done.
pub const DATA_FILES_TIME: Duration = Duration::from_secs(60);
/// Streams of events that are open at once.
pub const EVENT_STREAMS_MAX: usize = 64;
/// How long a stream of events is silent at most.
pub const EVENT_BEAT_TIME: Duration = Duration::from_secs(2);
/// After how long a silence a reader of the stream takes its host for dead.
pub const EVENT_SILENCE_TIME: Duration = Duration::from_secs(5);
/// Bytes of one event that the command line takes.
pub const EVENT_BYTES_MAX: usize = 16 << 20;
/// Batches of a job that one event tells.
pub const EVENT_BATCHES_MAX: usize = 100;

// Two beats may be late.
const _: () = assert!(EVENT_SILENCE_TIME.as_millis() > 2 * EVENT_BEAT_TIME.as_millis());
// Or readers could shut everybody else out.
const _: () = assert!(EVENT_STREAMS_MAX < super::HTTP_CONNECTIONS_MAX);
/// Dead letters that one call looks at.
pub const LETTERS_SCANNED_MAX: usize = 10_000;
/// How long it reads them.
pub const LETTERS_READ_TIME: Duration = Duration::from_secs(3);
/// Dead letters on one page.
pub const LETTERS_PAGE_MAX: usize = 200;
/// Bytes of a letter's key and value in a list.
pub const LETTER_SHOWN_BYTES: usize = 200;
/// Bytes of them where it is shown in full.
pub const LETTER_BYTES_MAX: usize = 1 << 20;
/// Dead letters that one call retries or drops.
pub const LETTERS_CHANGED_MAX: usize = 500;
/// Dead letters that are read, and given to the job, at once.
pub const LETTERS_PORTION_MAX: usize = 64;
/// Bytes of them; the last one may go beyond.
pub const LETTERS_PORTION_BYTES_MAX: usize = 16 << 20;
/// Letters that are read and not wanted between two that are, before the second one is sought.
pub const LETTERS_GAP_MAX: i64 = 500;
/// How long a call waits for the outcome of a portion of them. What is not taken by the job until
/// then is not retried.
pub const LETTERS_RETRY_TIME: Duration = Duration::from_secs(60);
/// Dead letters of a job that are remembered as retried or dropped. One more is refused, until the
/// topic no longer holds some of those that are remembered.
pub const LETTER_MARKS_MAX: usize = 100_000;
/// Of these, how many one write forgets.
pub const LETTER_MARKS_SWEEP_MAX: usize = 4096;
/// Reasons and stages that are counted apart.
pub const LETTER_COUNTS_MAX: usize = 20;
