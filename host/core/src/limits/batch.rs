//! Records, batches and how they are fetched.

use std::time::Duration;

/// Records in one call of the guest. From 100 on the call itself no longer counts; more only makes
/// bisecting longer.
pub const CHUNK_RECORDS_MAX: usize = 4096;
/// Bytes of keys and values in one call of the guest; one longer record is a chunk of its own.
pub const CHUNK_BYTES_MAX: usize = 1 << 20;
/// Records in one batch.
pub const BATCH_RECORDS_MAX: usize = 100_000;
/// Bytes of keys and values in one batch, unless `limits.batch-bytes` says otherwise. Twice as many
/// took a third more memory and no less time (the example `throughput`).
pub const BATCH_BYTES_DEFAULT: usize = 8 << 20;
/// The most that `limits.batch-bytes` may say.
pub const BATCH_BYTES_MAX: usize = 16 << 20;
/// Rows of a batch that a sink's server may refuse for what is in them, however few rows there are.
pub const REFUSED_ROWS_MIN: usize = 100;
/// A batch's rows divided by this may be refused, if that is more: beyond it not rows are at fault, but
/// the job or the server, and the job stops.
pub const REFUSED_ROWS_PART: usize = 10;
/// Batches of a job that are under way at once: one is gathered and run, one waits, one is in the
/// sinks.
pub const BATCHES_IN_FLIGHT_MAX: usize = 3;
/// Bytes that the Kafka client fetches ahead for one job: a batch of the default size. Twice as many
/// took 80 MiB more memory, as each message costs some hundred bytes of its own, and no less time
/// (the example `throughput`).
pub const FETCH_AHEAD_BYTES_MAX: usize = 8 << 20;
/// The longest one may wait for records before looking at what else is to do: a stop, a swap. A shorter
/// one costs idle jobs more.
pub const FETCH_WAIT: Duration = Duration::from_millis(100);
/// Bytes that a guest may answer for one batch, all its calls together: rows, what goes to keyed
/// stages, accumulators. All of it is in memory until the batch is planned, and its rows until they
/// are delivered: of [`BATCHES_IN_FLIGHT_MAX`] batches at most.
pub const BATCH_ANSWERS_BYTES_MAX: usize = 1 << 30;
/// So much of them each batch has for itself. One that needs more takes one of the host's turns for
/// large batches, or waits for it, and has it until it is delivered.
pub const BATCH_ANSWERS_OWN_BYTES: usize = 32 << 20;
/// How long a source may not have answered before nothing is known of its partitions: the watermark
/// does not go on then as if they had been silent.
pub const UNHEARD_TIME: Duration = Duration::from_secs(1);
/// How long a checkpoint waits for the next plan, to be written with it. A job that has more than
/// one batch in this time pays one sync a batch.
pub const CHECKPOINT_WAIT: Duration = Duration::from_millis(5);
/// How old a plan may be for a missing marker to mean that its batch was not delivered. Brokers
/// forget a marker some days after it was written (`offsets.retention.minutes`, a week unless it
/// was changed).
pub const MARKER_TIME: Duration = Duration::from_secs(24 * 60 * 60);
/// How often the lag is worked out.
pub const LAG_TIME: Duration = Duration::from_millis(250);
/// How long a partition of a timed source may be silent at its end before it no longer holds the
/// watermark back.
pub const IDLE_TIME: Duration = Duration::from_secs(30);
/// How far ahead of its record's own time an event time may be, unless `ahead` says otherwise. A
/// wrong unit or year is off by far more; a wrong time zone by less, and costs half a day of late
/// records at most.
pub const AHEAD_TIME: Duration = Duration::from_secs(24 * 60 * 60);
/// How far the machine's clock may be set ahead while the host runs before jobs wait, as they would
/// write rows that hide those of later, once it is right again. It is noticed by the time since the
/// machine's start, which nobody sets.
pub const CLOCK_AHEAD_MAX: Duration = Duration::from_secs(10 * 60);
/// By how much the two must differ from one look to the next for it to be a setting of the clock;
/// clocks are kept right in far smaller steps.
pub const CLOCK_STEP: Duration = Duration::from_secs(1);
/// By how much the event time of a partition must rise in one batch for `status` to show it.
pub const JUMP_TIME: Duration = Duration::from_secs(60 * 60);
/// How long one of a job's sources may keep the others waiting while it waits itself; all of them
/// together no longer than [`FETCH_WAIT`]. All topics count as one.
pub const MIXED_WAIT: Duration = Duration::from_millis(5);

const _: () =
    assert!(CHUNK_RECORDS_MAX <= BATCH_RECORDS_MAX && CHUNK_BYTES_MAX <= BATCH_BYTES_DEFAULT);
const _: () = assert!(BATCH_BYTES_DEFAULT <= BATCH_BYTES_MAX);
const _: () = assert!(
    UNHEARD_TIME.as_millis() > 4 * FETCH_WAIT.as_millis()
        && UNHEARD_TIME.as_secs() < IDLE_TIME.as_secs()
);
// Or the first would take all of it.
const _: () = assert!(MIXED_WAIT.as_millis() * 2 <= FETCH_WAIT.as_millis());
// Or a column of them could not be counted.
const _: () = assert!(BATCH_ANSWERS_BYTES_MAX < u32::MAX as usize);
