//! How much the data folder holds.

use std::path::Path;
use std::time::Instant;
use streamhost_core::{clock, limits};

/// Bytes of the folder's files, and when they were added up.
#[derive(Default)]
pub(super) struct FolderBytes {
    bytes: Option<u64>,
    at: Option<Instant>,
}

impl FolderBytes {
    pub(super) fn is_due(&self) -> bool {
        self.at
            .is_none_or(|at| clock::monotonic() - at >= limits::DATA_FILES_TIME)
    }

    pub(super) fn take(&mut self, bytes: Option<u64>) {
        (self.bytes, self.at) = (bytes, Some(clock::monotonic()));
    }

    pub(super) fn bytes(&self) -> Option<u64> {
        self.bytes
    }
}

/// The lengths of all files in a folder; none where there are more than
/// [`limits::DATA_FILES_MAX`], or no folder. What goes meanwhile is left out.
pub(super) fn bytes(folder: &Path) -> Option<u64> {
    let (mut sum, mut left) = (0, limits::DATA_FILES_MAX);
    let mut folders = vec![folder.to_owned()];
    std::fs::metadata(folder).ok()?;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            left = left.checked_sub(1)?;
            match entry.metadata() {
                Ok(data) if data.is_dir() => folders.push(entry.path()),
                Ok(data) => sum += data.len(),
                Err(_) => {}
            }
        }
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_all_folders_are_added_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let inner = folder.path().join("inner");
        std::fs::create_dir(&inner).expect("a folder");
        std::fs::write(folder.path().join("a"), [0; 10]).expect("a file");
        std::fs::write(inner.join("b"), [0; 32]).expect("a file");
        assert_eq!(bytes(folder.path()), Some(42));
        assert_eq!(bytes(&inner.join("none")), None);
    }
}
