//! A store for a while: what keyed stages keep and what rows come to while history is replayed. It is
//! never opened again, and its folder goes with it.

use crate::checkpoint_log::{CheckpointLogs, JobCheckpointLog};
use crate::fault::{damaged, io, unwritten};
use fjall::{Database, Keyspace, KeyspaceCreateOptions};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use streamhost_core::compare::LastWrites;
use streamhost_core::limits;
use streamhost_core::room::Room;
use streamhost_core::state::StoreError;

/// The folder of such stores in a data folder.
const FOLDER: &str = "replays";

/// Removes what hosts that died have left.
pub fn sweep(data: &Path) {
    // What cannot be removed now is only in the way of nothing.
    let _ = std::fs::remove_dir_all(data.join(FOLDER));
}

/// A store that goes when it is dropped.
pub struct Scratch {
    // Before the folder, as they hold its files open.
    rows: Keyspace,
    logs: CheckpointLogs,
    db: Database,
    room: Room,
    _folder: Folder,
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // The next start sweeps what is left.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Scratch {
    /// Makes an empty one in a data folder, under a name that no other has.
    pub fn open(data: &Path, name: &str) -> Result<Scratch, StoreError> {
        let path = data.join(FOLDER).join(name);
        let _ = std::fs::remove_dir_all(&path); // it may not be there
        std::fs::create_dir_all(&path).map_err(io)?;
        let folder = Folder(path.clone());
        let db = Database::builder(&path)
            .cache_size(limits::REPLAY_STORE_CACHE_BYTES)
            .open()
            .map_err(io)?;
        Ok(Scratch {
            rows: db
                .keyspace("rows", KeyspaceCreateOptions::default)
                .map_err(io)?,
            logs: CheckpointLogs::open(&db)?,
            room: Room::of(path),
            db,
            _folder: folder,
        })
    }

    /// What one of its versions keeps.
    pub fn log(&self, version: &str) -> JobCheckpointLog {
        self.logs.of(version)
    }

    /// What is kept of a row of a table.
    pub fn get(&self, table: [u8; 3], key: &[u8]) -> Result<Option<LastWrites>, StoreError> {
        let found = self.rows.get(whole(table, key)).map_err(io)?;
        found.map(|bytes| read(&bytes)).transpose()
    }

    /// Keeps these rows, in the place of what was kept of them.
    pub fn put(&self, table: [u8; 3], rows: Vec<(Vec<u8>, LastWrites)>) -> Result<(), StoreError> {
        self.room.check()?;
        let mut batch = self.db.batch();
        for (key, writes) in rows {
            let bytes = postcard::to_stdvec(&writes).map_err(damaged)?;
            batch.insert(&self.rows, whole(table, &key), bytes);
        }
        batch.commit().map_err(unwritten)
    }

    /// Forgets rows.
    pub fn remove(&self, table: [u8; 3], keys: &[Vec<u8>]) -> Result<(), StoreError> {
        let mut batch = self.db.batch();
        for key in keys {
            batch.remove(&self.rows, whole(table, key));
        }
        batch.commit().map_err(unwritten)
    }

    /// Rows with keys above `after`, ascending, `most` at most.
    pub fn next(
        &self,
        table: [u8; 3],
        after: Option<&[u8]>,
        most: usize,
    ) -> Result<Vec<(Vec<u8>, LastWrites)>, StoreError> {
        let from = match after {
            Some(after) => Bound::Excluded(whole(table, after)),
            None => Bound::Included(table.to_vec()),
        };
        let mut rows = Vec::new();
        for entry in self.rows.range((from, Bound::Unbounded)).take(most) {
            let (key, value) = entry.into_inner().map_err(io)?;
            let Some(key) = key.strip_prefix(&table) else {
                break;
            };
            rows.push((key.to_vec(), read(&value)?));
        }
        Ok(rows)
    }

    /// Bytes that it takes on the disk.
    pub fn bytes(&self) -> Result<u64, StoreError> {
        self.db.disk_space().map_err(io)
    }
}

fn whole(table: [u8; 3], key: &[u8]) -> Vec<u8> {
    [&table, key].concat()
}

fn read(bytes: &[u8]) -> Result<LastWrites, StoreError> {
    postcard::from_bytes(bytes).map_err(damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_apart_and_go_with_the_store() {
        let data = tempfile::tempdir().unwrap();
        let scratch = Scratch::open(data.path(), "a").unwrap();
        let row = |value: &str| LastWrites {
            is_erased: false,
            cells: [(b"c".to_vec(), Some(value.into()))].into(),
        };
        let (one, other) = ([1, 0, 0], [1, 0, 1]);
        let rows = |keys: &[&str]| {
            let rows = keys.iter().map(|key| (key.as_bytes().to_vec(), row(key)));
            rows.collect::<Vec<_>>()
        };
        scratch.put(one, rows(&["b", "a", "c"])).unwrap();
        scratch.put(other, rows(&["", "x"])).unwrap();
        scratch.remove(one, &[b"b".to_vec()]).unwrap();
        assert_eq!(scratch.next(one, None, 9).unwrap(), rows(&["a", "c"]));
        assert_eq!(scratch.next(one, None, 1).unwrap(), rows(&["a"]));
        assert_eq!(scratch.next(one, Some(b"a"), 9).unwrap(), rows(&["c"]));
        assert_eq!(scratch.next(other, None, 9).unwrap(), rows(&["", "x"]));
        assert_eq!(scratch.get(other, b"x").unwrap(), Some(row("x")));
        assert_eq!(scratch.get(one, b"x").unwrap(), None);
        assert!(scratch.bytes().is_ok());
        let folder = data.path().join(FOLDER);
        assert!(folder.join("a").exists());
        drop(scratch);
        assert!(!folder.join("a").exists());
        std::fs::create_dir_all(folder.join("left")).unwrap();
        sweep(data.path());
        assert!(!folder.exists());
    }
}
