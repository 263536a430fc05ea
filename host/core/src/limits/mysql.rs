//! Sinks of MySQL and MariaDB.

use super::BATCH_ANSWERS_BYTES_MAX;
use std::time::Duration;

/// Connecting to a MySQL server, its password and TLS included.
pub const MYSQL_CONNECT_TIME: Duration = Duration::from_secs(10);
/// One statement of a batch, and how long it waits for a lock, also as the server is told.
pub const MYSQL_STATEMENT_TIME: Duration = Duration::from_secs(60);
/// How long the server keeps the transaction of a host that says nothing any more, and with it the lock that the next one waits for.
pub const MYSQL_IDLE_TIME: Duration = Duration::from_secs(30);
/// How long the end of a session may take to be told to the server.
pub const MYSQL_QUIT_TIME: Duration = Duration::from_secs(1);
/// How often a call that waits for MySQL looks whether its job is to stop.
pub const MYSQL_STOP_LOOK_TIME: Duration = Duration::from_millis(50);
/// A name of a table, database or column in MySQL, in characters.
pub const MYSQL_NAME_CHARS_MAX: usize = 64;
/// Key columns of a MySQL table; an index has no more.
pub const MYSQL_KEYS_MAX: usize = 16;
/// The key of a row in MySQL, all of its columns: what an index of InnoDB has room for.
pub const MYSQL_KEY_BYTES_MAX: usize = 3072;
/// A row in MySQL, which has its own limit, `max_allowed_packet`: a row above that is refused too.
pub const MYSQL_ROW_BYTES_MAX: usize = 16 << 20;
/// Rows of one statement to MySQL. Fewer are statements of a quarter, and so on: a server is given no statement that it has not read before.
pub const MYSQL_STATEMENT_ROWS: usize = 1024;
/// Rows that one statement deletes in MySQL.
pub const MYSQL_DELETE_ROWS: usize = 256;
/// Values of one statement to MySQL; it counts them in 16 bits.
pub const MYSQL_STATEMENT_VALUES_MAX: usize = 65_535;
/// Bytes of the rows of one statement to MySQL; more only where one row has more.
pub const MYSQL_STATEMENT_BYTES: usize = 1 << 20;
/// Statements that a session with MySQL keeps prepared.
pub const MYSQL_STATEMENTS_KEPT: usize = 64;
/// What of a statement is in memory beside the rows: its values, the same as a packet, and twice on its way.
pub const MYSQL_SENDING_BYTES: usize = 80 << 20;

const _: () = assert!(
    4 * (MYSQL_ROW_BYTES_MAX + MYSQL_STATEMENT_BYTES + 32 * MYSQL_STATEMENT_VALUES_MAX)
        <= MYSQL_SENDING_BYTES
        && MYSQL_ROW_BYTES_MAX <= BATCH_ANSWERS_BYTES_MAX
        && MYSQL_DELETE_ROWS <= MYSQL_STATEMENT_ROWS
);
