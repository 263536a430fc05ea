//! The embedded table store.

use super::HBASE_KEY_BYTES_MAX;
use std::time::Duration;

/// Connections to the embedded table store. Beyond them the one that has been idle longest is
/// closed.
pub const TABLES_CONNECTIONS_MAX: usize = 256;
/// One call to the embedded table store.
pub const TABLES_CALL_BYTES_MAX: usize = 16 << 20;
/// Items of one list or map in a call; room for them is made before they are read.
pub const TABLES_LIST_ITEMS_MAX: usize = 1 << 18;
/// Items of all lists and maps in a call, those within others included: some 60 MB once they are
/// read.
pub const TABLES_CALL_ITEMS_MAX: usize = 1 << 20;
/// How long a call may take to arrive, from its first byte on, and an answer to be taken.
pub const TABLES_CALL_TIME: Duration = Duration::from_secs(60);
/// A connection without a call is closed after this.
pub const TABLES_IDLE_TIME: Duration = Duration::from_secs(3600);
/// Bytes of one answer of the embedded table store. A scanner's answer ends early; others are
/// refused.
pub const TABLES_ANSWER_BYTES_MAX: usize = 32 << 20;
/// Bytes after which a scanner's answer ends, though more rows were asked for: clients take 16 MB
/// at most.
pub const TABLES_SCAN_BYTES: usize = 8 << 20;
/// Scanners that are open at once.
pub const TABLES_SCANNERS_MAX: usize = 1000;
/// A scanner that is not used for this long is closed.
pub const TABLES_SCANNER_IDLE_TIME: Duration = Duration::from_secs(600);
/// Tables of the embedded store.
pub const TABLES_MAX: usize = 256;
/// Families of one table.
pub const TABLE_FAMILIES_MAX: usize = 64;
/// The name of a table or family.
pub const TABLE_NAME_BYTES_MAX: usize = 200;
/// A key of the embedded store: row, family, qualifier and what surrounds them.
pub const TABLE_KEY_BYTES_MAX: usize = 65_000;
/// One put in so many, drawn by its hash, removes the old versions of its column.
pub const TABLE_TRIM_PUTS: u64 = 8;
/// Columns of one table of which it is remembered what was removed, so that it is not looked for
/// again.
pub const TABLE_TRIMMED_COLUMNS_MAX: usize = 1000;
/// Cells that one delete looks at, to remove from the disk those it hides; the others are hidden
/// all the same.
pub const TABLE_ERASED_CELLS_MAX: usize = 10_000;
/// Cells that one call removes from the disk because they are hidden or beyond what is kept.
pub const TABLE_CALL_ERASED_CELLS_MAX: usize = 100_000;

const _: () = assert!(
    TABLES_SCAN_BYTES <= TABLES_ANSWER_BYTES_MAX && HBASE_KEY_BYTES_MAX < TABLE_KEY_BYTES_MAX
);
