//! Sockets, files and lines.

use super::CHUNK_BYTES_MAX;
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

const _: () = assert!(LINE_BYTES_MAX <= CHUNK_BYTES_MAX && LINES_READ_BYTES <= LINE_BYTES_MAX);
