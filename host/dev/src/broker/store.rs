//! What the broker keeps on disk: six keyspaces of the host's one database, and how their keys are
//! made.

use super::BrokerError;
use fjall::{
    Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, OwnedWriteBatch, PersistMode,
    Snapshot,
};
use streamhost_core::room::Room;

/// One partition of one topic. Topic ids are never used twice, so what is left of a deleted topic
/// is never read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PartitionKey {
    pub(super) topic: u32,
    pub(super) partition: u32,
}

impl PartitionKey {
    pub(super) fn prefix(self) -> [u8; 8] {
        let mut key = [0; 8];
        key[..4].copy_from_slice(&self.topic.to_be_bytes());
        key[4..].copy_from_slice(&self.partition.to_be_bytes());
        key
    }

    /// The key of the batch whose last offset is `offset`; so `range(at(o)..)` begins with the
    /// batch that holds `o`.
    pub(super) fn at(self, offset: i64) -> [u8; 16] {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&self.prefix());
        key[8..].copy_from_slice(&offset.to_be_bytes());
        key
    }

    /// A key in `partitions`: the prefix, what it is, and the rest.
    pub(super) fn tagged(self, tag: u8, rest: &[i64]) -> Vec<u8> {
        let mut key = Vec::with_capacity(9 + 8 * rest.len());
        key.extend_from_slice(&self.prefix());
        key.push(tag);
        for number in rest {
            key.extend_from_slice(&number.to_be_bytes());
        }
        key
    }
}

/// The last offset in a key made by [`PartitionKey::at`].
pub(super) fn offset_of(key: &[u8]) -> Result<i64, BrokerError> {
    let tail =
        key.get(8..16)
            .and_then(|tail| tail.try_into().ok())
            .ok_or(BrokerError::Damaged {
                what: "a batch's key",
            })?;
    Ok(i64::from_be_bytes(tail))
}

/// The keyspaces. All of them are in one database, so any of their changes can be one atomic write.
pub(super) struct Store {
    db: Database,
    pub(super) room: Room,
    /// Topics (`t` name → JSON), deleted topics not yet swept (`d` id), counters (`c` name).
    pub(super) meta: Keyspace,
    /// Record batches as they came, by [`PartitionKey::at`].
    pub(super) log: Keyspace,
    /// For each batch its size and times, by the same key, so that looking one up by time or size
    /// reads no records.
    pub(super) index: Keyspace,
    /// A partition's bounds, producers, open and aborted transactions, by [`PartitionKey::tagged`].
    pub(super) partitions: Keyspace,
    /// Committed offsets of consumer groups.
    pub(super) offsets: Keyspace,
    /// Transactional ids (id → JSON).
    pub(super) transactions: Keyspace,
}

impl Store {
    pub(super) fn open(db: &Database) -> Result<Store, BrokerError> {
        let small = |name| db.keyspace(name, KeyspaceCreateOptions::default);
        // Batches are large and written once: kept apart from their keys they are not copied by
        // each compaction.
        let large = || {
            KeyspaceCreateOptions::default()
                .with_kv_separation(Some(KvSeparationOptions::default()))
        };
        let meta = small("broker-meta")?;
        Ok(Store {
            db: db.clone(),
            room: Room::of(meta.path().to_owned()),
            meta,
            log: db.keyspace("broker-log", large)?,
            index: small("broker-index")?,
            partitions: small("broker-partitions")?,
            offsets: small("broker-offsets")?,
            transactions: small("broker-transactions")?,
        })
    }

    /// All keyspaces as they are at this moment. What is read without it is not one moment's: a
    /// write that is committed meanwhile may be seen by half.
    pub(super) fn view(&self) -> Snapshot {
        self.db.snapshot()
    }

    /// A write that survives the death of the process once committed. `Err`: the disk is nearly
    /// full.
    pub(super) fn write(&self) -> Result<OwnedWriteBatch, BrokerError> {
        self.room.check().map_err(BrokerError::Full)?;
        Ok(self.removal())
    }

    /// The same for what makes room, however little there is.
    pub(super) fn removal(&self) -> OwnedWriteBatch {
        self.db.batch().durability(Some(PersistMode::Buffer))
    }

    /// A write that survives a power loss once committed, and with it every write before it.
    /// `Err`: the disk is nearly full.
    pub(super) fn write_synced(&self) -> Result<OwnedWriteBatch, BrokerError> {
        self.room.check().map_err(BrokerError::Full)?;
        Ok(self.removal_synced())
    }

    /// The same for what makes room, however little there is.
    pub(super) fn removal_synced(&self) -> OwnedWriteBatch {
        self.db.batch().durability(Some(PersistMode::SyncData))
    }

    /// Makes every write so far survive a power loss.
    pub(super) fn sync(&self) -> Result<(), BrokerError> {
        Ok(self.db.persist(PersistMode::SyncData)?)
    }
}
