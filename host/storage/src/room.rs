//! Whether there is room on the disk for a write. A write that fails for want of room ends the whole
//! store until it is opened anew, so it is not begun.

use rustix::fs::statvfs;
use std::path::PathBuf;
use streamhost_core::limits;
use streamhost_core::state::StoreError;

/// A folder, and how much must be free on its disk.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    folder: PathBuf,
    needed: u64,
}

impl Room {
    pub(crate) fn of(folder: PathBuf) -> Self {
        let needed = limits::DISK_FREE_BYTES_MIN;
        Room { folder, needed }
    }

    /// The same, where other than [`limits::DISK_FREE_BYTES_MIN`] must be free.
    #[cfg(test)]
    pub(crate) fn needing(self, needed: u64) -> Self {
        Room { needed, ..self }
    }

    /// `Err`: there is too little. A disk that does not say how full it is has room.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let Ok(stat) = statvfs(&self.folder) else {
            return Ok(());
        };
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        match stat.f_blocks == 0 || free >= self.needed {
            true => Ok(()),
            false => Err(StoreError::Full {
                free,
                needed: self.needed,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_room_is_told_with_how_much_there_is() {
        let folder = tempfile::tempdir().unwrap();
        let room = Room::of(folder.path().to_owned());
        assert!(room.clone().needing(0).check().is_ok());
        let full = room.clone().needing(u64::MAX).check();
        assert!(
            matches!(full, Err(StoreError::Full { free, needed: u64::MAX }) if free < u64::MAX),
            "{full:?}"
        );
        let absent = Room::of(folder.path().join("none")).needing(u64::MAX);
        assert!(absent.check().is_ok(), "it does not say");
    }
}
