//! Whether there is room on the disk for a write. A write that fails for want of room ends the whole
//! store until it is opened anew, so it is not begun.

use crate::limits;
use crate::state::StoreError;
use rustix::fs::statvfs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A folder, and how much must be free on its disk.
#[derive(Clone, Debug)]
pub struct Room {
    folder: PathBuf,
    needed: Arc<AtomicU64>,
}

impl Room {
    /// [`limits::DISK_FREE_BYTES_MIN`] must be free where the folder is.
    pub fn of(folder: PathBuf) -> Self {
        let needed = Arc::new(AtomicU64::new(limits::DISK_FREE_BYTES_MIN));
        Room { folder, needed }
    }

    /// From now on so many bytes must be free: a test fills no disk.
    pub fn need(&self, bytes: u64) {
        self.needed.store(bytes, Ordering::Relaxed);
    }

    /// `Err`: there is too little. A disk that does not say how full it is has room.
    pub fn check(&self) -> Result<(), StoreError> {
        let Ok(stat) = statvfs(&self.folder) else {
            return Ok(());
        };
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        let needed = self.needed.load(Ordering::Relaxed);
        match stat.f_blocks == 0 || free >= needed {
            true => Ok(()),
            false => Err(StoreError::Full { free, needed }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_room_is_told_with_how_much_there_is() {
        let folder = std::env::temp_dir();
        let room = Room::of(folder.clone());
        room.need(0);
        assert!(room.check().is_ok());
        room.need(u64::MAX);
        let full = room.check();
        assert!(
            matches!(full, Err(StoreError::Full { free, needed: u64::MAX }) if free < u64::MAX),
            "{full:?}"
        );
        let absent = Room::of(folder.join("streamhost-none"));
        absent.need(u64::MAX);
        assert!(absent.check().is_ok(), "it does not say");
    }
}
