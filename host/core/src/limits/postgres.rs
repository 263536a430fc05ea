//! PostgreSQL sinks.

use super::BATCH_ANSWERS_BYTES_MAX;
use std::time::Duration;

/// Connecting to a PostgreSQL server, its password and TLS included.
pub const POSTGRES_CONNECT_TIME: Duration = Duration::from_secs(10);
/// One statement of a batch, also as the server is told. It holds the whole `COPY` of a batch's rows.
pub const POSTGRES_STATEMENT_TIME: Duration = Duration::from_secs(60);
/// How long the server keeps the transaction of a host that says nothing any more, and with it the lock that the next one waits for.
pub const POSTGRES_IDLE_TIME: Duration = Duration::from_secs(30);
/// A name of a table, schema or column in PostgreSQL; it cuts longer ones.
pub const POSTGRES_NAME_BYTES_MAX: usize = 63;
/// Key columns of a PostgreSQL table; an index has no more.
pub const POSTGRES_KEYS_MAX: usize = 32;
/// The key of a row in PostgreSQL, all of its columns. What an index has room for is less, about 2,700 bytes once compressed, and the server refuses such a row itself.
pub const POSTGRES_KEY_BYTES_MAX: usize = 8 << 10;
/// A row in PostgreSQL, which would take values up to 1 GiB: what is more belongs elsewhere.
pub const POSTGRES_ROW_BYTES_MAX: usize = 16 << 20;
/// A portion of the rows' text on its way to PostgreSQL.
pub const POSTGRES_COPY_BYTES: usize = 256 << 10;
/// What of it is in memory beside the rows: a portion with the longest row, as text that is twice as long, and the same once more on its way.
pub const POSTGRES_SENDING_BYTES: usize = 65 << 20;

const _: () = assert!(
    2 * (2 * POSTGRES_ROW_BYTES_MAX + POSTGRES_COPY_BYTES) <= POSTGRES_SENDING_BYTES
        && POSTGRES_ROW_BYTES_MAX <= BATCH_ANSWERS_BYTES_MAX
);
