//! Sockets, files and lines; files that are written.

use super::{BATCH_ANSWERS_BYTES_MAX, CHUNK_BYTES_MAX};
use std::time::Duration;

/// A line of a socket or file. A longer one becomes several records of this length, the last one
/// shorter.
pub const LINE_BYTES_MAX: usize = 1 << 20;
/// Bytes that are read at once where lines are looked for.
pub const LINES_READ_BYTES: usize = 64 << 10;
/// Bytes that lines take while they wait for a job's next fetch from its socket; beyond them the
/// socket is not read.
pub const SOCKET_AHEAD_BYTES_MAX: usize = 4 << 20;
/// After how long a silence the peer of a socket source is asked whether it is there, how often it
/// is asked again, and how many times in vain before the connection counts as broken.
pub const SOCKET_KEEPALIVE: (Duration, Duration, u32) =
    (Duration::from_secs(60), Duration::from_secs(10), 3);
/// Files of one folder that a job reads.
pub const FILES_MAX: usize = 10_000;
/// Files that one source holds open at once.
pub const FILES_OPEN_MAX: usize = 16;
/// How often a followed file or folder is looked at for more.
pub const FILE_LOOK_TIME: Duration = Duration::from_millis(500);
/// Bytes of a file whose digest is kept beside a position in it: what tells it from another file that
/// has its name later.
pub const FILE_MARK_BYTES: usize = 1 << 10;
/// Bytes that are taken of one followed file before it is the next one's turn.
pub const FILE_TURN_BYTES: i64 = 1 << 20;

/// A row of a file that is written, as JSON.
pub const FILES_ROW_BYTES_MAX: usize = 16 << 20;
/// Key columns of the rows of files.
pub const FILES_KEYS_MAX: usize = 32;
/// Bytes that are written to a file at once.
pub const FILES_WRITE_BYTES: usize = 256 << 10;
/// What of a batch is in memory beside its rows while a file is written: the longest row, and what
/// compression holds.
pub const FILES_SENDING_BYTES: usize = 48 << 20;
/// The schema that a folder of files keeps.
pub const FILES_SCHEMA_BYTES_MAX: usize = 1 << 20;
/// Columns that differ from those of a folder and are named one by one.
pub const FILES_FAULTS_SHOWN_MAX: usize = 20;

const _: () = assert!(
    FILES_ROW_BYTES_MAX <= BATCH_ANSWERS_BYTES_MAX
        && 2 * FILES_ROW_BYTES_MAX + FILES_WRITE_BYTES < FILES_SENDING_BYTES
);
const _: () = assert!(LINE_BYTES_MAX <= CHUNK_BYTES_MAX && LINES_READ_BYTES <= LINE_BYTES_MAX);
