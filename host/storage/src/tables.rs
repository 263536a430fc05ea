//! The tables of a job in the store. Their numbers stand in journals, and never change.

use crate::fault::io;
use crate::store::Table;
use fjall::config::{BlockSizePolicy, PartitioningPolicy};
use fjall::{Database, KeyspaceCreateOptions};
use streamhost_core::limits::{STATE_BLOCK_BYTES, STATE_MEMTABLE_BYTES};
use streamhost_core::state::StoreError;

fn plain(db: &Database, name: &str, number: u8) -> Result<Table, StoreError> {
    let keyspace = db.keyspace(name, KeyspaceCreateOptions::default);
    Ok(Table::new(keyspace.map_err(io)?, number))
}

pub(crate) fn checkpoints(db: &Database) -> Result<Table, StoreError> {
    plain(db, "ledgers", 1)
}

pub(crate) fn intents(db: &Database) -> Result<Table, StoreError> {
    plain(db, "plans", 2).map(Table::of_long_values)
}

pub(crate) fn kept(db: &Database) -> Result<Table, StoreError> {
    plain(db, "kept", 3).map(Table::of_long_values)
}

/// For many small entries that are read one by one, most of which are there or never were. Tables
/// of the lower levels have their filters and indexes in parts: whole ones of a state of many
/// gigabytes would not fit into the block cache, and each read would push out another. Those of
/// level 0 and 1 (1/4 GiB) do, and cost less.
pub(crate) fn state(db: &Database) -> Result<Table, StoreError> {
    let options = || {
        let parts = PartitioningPolicy::new([false, false, true]);
        KeyspaceCreateOptions::default()
            .max_memtable_size(STATE_MEMTABLE_BYTES)
            .data_block_size_policy(BlockSizePolicy::all(STATE_BLOCK_BYTES))
            .filter_block_partitioning_policy(parts.clone())
            .index_block_partitioning_policy(parts)
    };
    let state = db.keyspace("state", options).map_err(io)?;
    Ok(Table::new(state, 4))
}

pub(crate) fn forgotten(db: &Database) -> Result<Table, StoreError> {
    plain(db, "forgotten", 5)
}

pub(crate) fn letters(db: &Database) -> Result<Table, StoreError> {
    plain(db, "letters", 6)
}

pub(crate) fn jobs(db: &Database) -> Result<Table, StoreError> {
    plain(db, "jobs", 7)
}

pub(crate) fn undeployed(db: &Database) -> Result<Table, StoreError> {
    plain(db, "undeployed", 8)
}

/// The number of the table of components.
pub(crate) const COMPONENTS: u8 = 9;

/// Which components the journal of a job holds. Here their bytes are files.
pub(crate) fn components(db: &Database) -> Result<Table, StoreError> {
    plain(db, "components", COMPONENTS)
}

/// All of them.
pub(crate) fn all(db: &Database) -> Result<Vec<Table>, StoreError> {
    let open = [
        checkpoints,
        intents,
        kept,
        state,
        forgotten,
        letters,
        jobs,
        undeployed,
        components,
    ];
    open.into_iter().map(|open| open(db)).collect()
}
