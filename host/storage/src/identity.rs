//! Which data folder a store belongs to, and in which format both are.
//!
//! The folder has a file with a format number and a mark, and the store has the same mark. So a
//! store that was lost, emptied or swapped for another one is noticed at the start, before anything
//! is read from it or written to it.

use fjall::{Database, KeyspaceCreateOptions, PersistMode};
use serde::{Deserialize, Serialize};
use std::hash::{BuildHasher, Hasher};
use std::path::Path;

/// The format that this program writes, and the newest that it reads.
pub const FORMAT: u32 = 1;

/// The file's name in the data folder.
pub const FILE: &str = "format.json";

/// Why a data folder is not opened.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// It was written by a newer program.
    #[error(
        "it is in format {found}, and this streamhost reads format {FORMAT} at most: run the newer release that wrote it"
    )]
    Newer {
        /// The format it is in.
        found: u32,
    },
    /// The store is another one, or it is empty.
    #[error(
        "the store in it is not the one that belongs to it: it was {how}. Restore the whole folder from a backup, or choose an empty one to begin anew"
    )]
    Foreign {
        /// What became of it.
        how: &'static str,
    },
    /// The file is not as it was written.
    #[error("{FILE} in it cannot be read: {0}. Restore the folder from a backup")]
    Damaged(String),
    /// The disk, or the store above it.
    #[error("it cannot be read or written: {0}")]
    Io(String),
}

fn io(error: impl std::fmt::Display) -> IdentityError {
    IdentityError::Io(error.to_string())
}

#[derive(Serialize, Deserialize)]
struct Identity {
    format: u32,
    store: String,
}

/// Proves that the store belongs to the folder, and that this program can read both. A folder that
/// has no mark yet, as it is new or of the first release, gets one.
pub fn check(db: &Database, folder: &Path) -> Result<(), IdentityError> {
    let keyspace = db
        .keyspace("identity", KeyspaceCreateOptions::default)
        .map_err(io)?;
    let of_store = match keyspace.get("store").map_err(io)? {
        Some(bytes) => Some(read(&bytes)?),
        None => None,
    };
    let path = folder.join(FILE);
    let of_folder = match std::fs::read(&path) {
        Ok(bytes) => Some(read(&bytes)?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(io(error)),
    };
    for identity in of_store.iter().chain(&of_folder) {
        if identity.format > FORMAT {
            let found = identity.format;
            return Err(IdentityError::Newer { found });
        }
    }
    match (of_store, of_folder) {
        (Some(store), Some(folder)) if store.store == folder.store => Ok(()),
        (Some(_), Some(_)) => Err(IdentityError::Foreign {
            how: "made for another folder",
        }),
        (None, Some(_)) => Err(IdentityError::Foreign {
            how: "emptied or lost, and with it all jobs and their state",
        }),
        // The store's mark is durable before the folder's.
        (Some(store), None) => write(&path, &store),
        (None, None) => {
            let new = Identity {
                format: FORMAT,
                store: new_mark(),
            };
            let mut batch = db.batch().durability(Some(PersistMode::SyncAll));
            batch.insert(&keyspace, "store", serde_json::to_vec(&new).map_err(io)?);
            batch.commit().map_err(io)?;
            write(&path, &new)
        }
    }
}

fn read(bytes: &[u8]) -> Result<Identity, IdentityError> {
    serde_json::from_slice(bytes).map_err(|e| IdentityError::Damaged(e.to_string()))
}

/// Whole or not at all.
fn write(path: &Path, identity: &Identity) -> Result<(), IdentityError> {
    let beside = path.with_extension("new");
    std::fs::write(&beside, serde_json::to_vec(identity).map_err(io)?).map_err(io)?;
    let file = std::fs::File::open(&beside).map_err(io)?;
    file.sync_all().map_err(io)?;
    std::fs::rename(&beside, path).map_err(io)
}

/// Different for each store; the standard library seeds its hashers with the system's randomness.
fn new_mark() -> String {
    let random = || {
        std::collections::hash_map::RandomState::new()
            .build_hasher()
            .finish()
    };
    format!("{:016x}{:016x}", random(), random())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(folder: &Path, name: &str) -> Database {
        Database::builder(folder.join(name)).open().unwrap()
    }

    #[test]
    fn a_store_belongs_to_its_folder_and_to_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        {
            let db = store(at, "a");
            check(&db, at).unwrap();
            check(&db, at).unwrap();
            std::fs::remove_file(at.join(FILE)).unwrap();
            check(&db, at).unwrap(); // as after a crash between the two marks
        }
        check(&store(at, "a"), at).unwrap();
        let emptied = check(&store(at, "b"), at).unwrap_err().to_string();
        assert!(emptied.contains("emptied or lost"), "{emptied}");
        let other = tempfile::tempdir().unwrap();
        check(&store(other.path(), "c"), other.path()).unwrap();
        let swapped = check(&store(at, "a"), other.path()).unwrap_err();
        assert!(swapped.to_string().contains("another folder"), "{swapped}");
    }

    #[test]
    fn a_newer_format_and_a_damaged_file_are_refused_in_words() {
        for (text, words) in [
            (
                r#"{"format":2,"store":"a"}"#,
                "it is in format 2, and this streamhost reads format 1 at most",
            ),
            ("{", "format.json in it cannot be read"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join(FILE), text).unwrap();
            let refused = check(&store(folder.path(), "a"), folder.path()).unwrap_err();
            assert!(refused.to_string().contains(words), "{refused}");
        }
    }
}
