//! HBase sinks.

use super::TABLES_CALL_BYTES_MAX;
use std::time::Duration;

/// A call to HBase's gateway, from its first byte to the last one of its answer. It was seen to block 18 s while HBase restarts behind it.
pub const HBASE_CALL_TIME: Duration = Duration::from_secs(30);
/// From the first gateway of a list that is tried to the last one, where none answers; the others are tried by the next call.
pub const HBASE_CONNECT_TIME: Duration = Duration::from_secs(15);
/// Gateways that `hbase.thrift` may name.
pub const HBASE_GATEWAYS_MAX: usize = 16;
/// Rows in one call to HBase's gateway; below 1000 the call itself costs.
pub const HBASE_CALL_ROWS_MAX: usize = 2000;
/// Bytes in one call to HBase's gateway; a framed gateway refuses frames over 2 MB by default.
pub const HBASE_CALL_BYTES_MAX: usize = 1 << 20;
/// Connections to HBase's gateway for one sink, unless the configuration says otherwise.
pub const HBASE_CONNECTIONS_DEFAULT: usize = 2;
/// A message to a framed gateway (`hbase.regionserver.thrift.framed.max_frame_size_in_mb`).
pub const HBASE_FRAME_BYTES_MAX: usize = 2 << 20;
/// An answer of a gateway; what is longer is no answer. The longest is the list of all tables.
pub const HBASE_ANSWER_BYTES_MAX: usize = 16 << 20;
/// Items of all lists and maps in an answer of a gateway; room for them is made before they are
/// read, at most 200 bytes for each.
pub const HBASE_ANSWER_ITEMS_MAX: usize = 1 << 18;
/// A row key in HBase.
pub const HBASE_KEY_BYTES_MAX: usize = 32_767;
/// A cell in HBase (`hbase.client.keyvalue.maxsize`).
pub const HBASE_CELL_BYTES_MAX: usize = 10 << 20;
/// The most that `connections` in `streamhost.toml` may say.
pub const HBASE_CONNECTIONS_MAX: usize = 64;
/// Rows of one key in a batch, among which the one is looked for that HBase refuses: each costs a call.
pub const HBASE_ROWS_TRIED_MAX: usize = 20;
/// Rows that `scan` asks the gateway for at once.
pub const SCAN_ROWS_AT_ONCE: usize = 100;

const _: () = assert!(
    HBASE_CALL_BYTES_MAX <= TABLES_CALL_BYTES_MAX && HBASE_CELL_BYTES_MAX < TABLES_CALL_BYTES_MAX
);
