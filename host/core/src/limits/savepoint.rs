//! Savepoints: a job's checkpoint as a file.

use std::time::Duration;

/// The largest savepoint, unless `limits.savepoint-bytes` says otherwise.
pub const SAVEPOINT_BYTES_MAX: u64 = 16 << 30;
/// A section of one: a component, or a portion of state. What is larger was not written by a host.
pub const SAVEPOINT_SECTION_BYTES_MAX: usize = 256 << 20;
/// Savepoints that are taken, sent or restored at once; each has a file in the data folder as long.
pub const SAVEPOINTS_AT_ONCE_MAX: usize = 2;
/// What a job's batches replace while a savepoint is written is noted in memory; beyond so many bytes
/// its batches wait until the file has come further.
pub const SAVEPOINT_NOTES_BYTES_MAX: usize = 64 << 20;
/// How long a batch that waits so waits before it looks again.
pub const WALK_WAIT: Duration = Duration::from_millis(100);
/// How long a savepoint may take to come or to go.
pub const SAVEPOINT_TIME: Duration = Duration::from_secs(60 * 60);
/// Bytes of it that are read from the disk at once, and sent.
pub const SAVEPOINT_CHUNK_BYTES: usize = 256 << 10;
/// Such parts that wait on their way between the disk and a client.
pub const SAVEPOINT_CHUNKS_MAX: usize = 4;
/// Keys of each stage that `savepoint inspect` shows.
pub const SAVEPOINT_SAMPLE_KEYS_MAX: usize = 10;

const _: () = assert!(super::COMPONENT_BYTES_MAX <= SAVEPOINT_SECTION_BYTES_MAX);
