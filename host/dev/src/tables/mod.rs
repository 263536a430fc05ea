//! The table store of `streamhost dev`: tables as HBase has them, behind HBase's Thrift 1 protocol,
//! in one process.
//!
//! ```text
//! socket ─► server ─► wire ─► protocol ─► handler ─► change ─► write ─┐
//!           a thread  bounds  refuses     a method   a call,          ├─► key ─► fjall
//!           each              nonsense    a call     atomic    table ─┘
//!                                            └─► scan ─► filter ─► rows ─► table
//! ```
//! **What it does.** Tables (create, disable, delete, describe), puts and deletes with and without
//! times, gets and rows with columns, times and versions, scanners of all kinds (stop row, prefix,
//! time, columns, reversed, batches, sorted columns), counters, append, check-and-put. One port
//! takes buffered and framed transport, binary (strict) and compact protocol. Filters of a scan:
//! `PrefixFilter`, `KeyOnlyFilter`, `FirstKeyOnlyFilter`, `PageFilter`, `ColumnPrefixFilter`,
//! joined by `AND`.
//!
//! **What it refuses, with words.** Other filters, access control, `getRegionInfo`, a put without a
//! qualifier (HBase drops it silently), a check-and-put that deletes (HBase puts an empty value), a
//! `timeToLive` of 0 (HBase lets all cells expire). Attributes of calls, `writeToWAL = false`,
//! caching hints, compression and Bloom filters are accepted and change nothing. Namespaces need
//! not be made first. A call's size, an answer, open scanners, connections, tables: all bounded in
//! `limits.rs`.
//!
//! **Time.** A cell is a value at (row, column, time); the same one again overwrites. A delete is a
//! tombstone: it hides every put of its column, family or row at its time or before, also those
//! that arrive after it. So the order of arrival never counts, only the times, but for two puts at
//! the very same (row, column, time). Tombstones are kept for ever. A family keeps its newest
//! versions; what is beyond them is never seen again, whatever range of times is asked for. As in
//! HBase 2, `family:` is the column with the empty name and `family` all of the family. What comes
//! without a time gets the wall clock's, and a put always a later one than the delete before it,
//! which HBase does not promise. In one `mutateRow` without a time puts win over deletes, in one
//! `mutateRows` deletes win over puts, as in HBase.
//!
//! **Durability.** A call that changes something is one atomic write, synced to the disk before it
//! is answered: it survives `kill -9` and the loss of power, whole or not at all. (HBase promises
//! that for a row only.) Only `incrementRows` over more than one table is one write for each.

mod catalog;
mod change;
mod fault;
mod filter;
mod handler;
mod key;
mod protocol;
mod rows;
mod scan;
mod schema;
mod server;
mod table;
mod stamps;
mod wire;
mod write;

#[cfg(test)]
mod model_test;
#[cfg(test)]
mod reading_test;
#[cfg(test)]
mod server_test;

pub use server::Listening;

use fjall::{Database, Keyspace};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, RwLock};

/// All tables of one database.
pub struct Tables {
    database: Database,
    catalog: Keyspace,
    /// By name. Whoever changes it holds it for writing until the change is on the disk.
    tables: RwLock<HashMap<Vec<u8>, Arc<table::Table>>>,
    stamps: stamps::Stamps,
    scanners: scan::Scanners,
}

/// Why the tables cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum TablesError {
    /// The store below failed.
    #[error(
        "the embedded table store cannot be read or written: {0}; is the disk full, or the data folder damaged?"
    )]
    Storage(#[from] fjall::Error),
    /// What is stored of a table makes no sense.
    #[error(
        "the stored description of table `{table}` is damaged: {reason}; restore the data folder or start with an empty one"
    )]
    Damaged {
        /// The table's name as stored.
        table: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Tables {
    /// Opens the tables in `database`, whose other keyspaces are left alone; ours begin with
    /// `tables-`.
    ///
    /// # Errors
    /// The store cannot be read, or what it says of a table is damaged.
    pub fn open(database: &Database) -> Result<Arc<Tables>, TablesError> {
        catalog::open(database).map(Arc::new)
    }

    /// Serves the tables at `address`; port 0 takes a free one. Stops when the answer is stopped or
    /// dropped.
    ///
    /// # Errors
    /// The address cannot be listened at, as when another process does.
    pub fn listen(self: &Arc<Self>, address: SocketAddr) -> std::io::Result<Listening> {
        server::listen(Arc::clone(self), address)
    }
}
