//! What is saved in a job's folder.

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};
use streamhost_core::{clock, limits};

/// The changes of a folder.
pub(super) struct Changes {
    folder: PathBuf,
    left_out: Vec<PathBuf>,
    watcher: RecommendedWatcher,
    /// The folders in it that are watched with all below them.
    watched: BTreeSet<PathBuf>,
    saved: Receiver<Instant>,
}

impl Changes {
    /// Those of a folder, but for what is made in it.
    pub(super) fn of(folder: &Path, left_out: &[&Path]) -> notify::Result<Changes> {
        let absolute = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path));
        let folder = absolute(folder)?;
        let left_out = left_out.iter().map(|path| absolute(path));
        let left_out: Vec<PathBuf> = left_out.collect::<Result<_, _>>()?;
        let (tell, saved) = sync_channel(1);
        let (root, not) = (folder.clone(), left_out.clone());
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            let counts = |path: &PathBuf| is_source(path, &root, &not);
            if !matches!(event.kind, EventKind::Access(_)) && event.paths.iter().any(counts) {
                let _ = tell.try_send(clock::monotonic()); // one that waits is enough
            }
        })?;
        let mut changes = Changes {
            watcher,
            folder,
            left_out,
            watched: BTreeSet::new(),
            saved,
        };
        let (folder, one) = (changes.folder.clone(), RecursiveMode::NonRecursive);
        changes.watcher.watch(&folder, one)?;
        changes.watch_folders()?;
        Ok(changes)
    }

    /// Waits so long for something that is saved, and then until no more is. When the first of it
    /// was.
    pub(super) fn next(&mut self, time: Duration) -> Option<Instant> {
        let first = self.saved.recv_timeout(time).ok()?;
        // Editors write in several steps, and people save several files.
        while clock::since(first) < limits::WATCH_GATHER_TIME_MAX
            && self.saved.recv_timeout(limits::WATCH_QUIET_TIME).is_ok()
        {}
        let _ = self.watch_folders(); // a new one whose watch fails is told of by its parent still
        Some(first)
    }

    /// Watches the folders that are new. The target folder has too many to watch.
    fn watch_folders(&mut self) -> notify::Result<()> {
        for entry in std::fs::read_dir(&self.folder)?.flatten() {
            let path = entry.path();
            let is_new = !self.watched.contains(&path);
            if is_new && path.is_dir() && is_source(&path, &self.folder, &self.left_out) {
                self.watcher.watch(&path, RecursiveMode::Recursive)?;
                self.watched.insert(path);
            }
        }
        Ok(())
    }
}

/// Whether a change there may change the job. What cargo itself writes does not, nor do the files
/// of version control and editors.
fn is_source(path: &Path, folder: &Path, left_out: &[PathBuf]) -> bool {
    let Ok(inside) = path.strip_prefix(folder) else {
        return false;
    };
    if left_out.iter().any(|not| path.starts_with(not)) {
        return false;
    }
    let mut parts = inside
        .components()
        .map(|part| part.as_os_str().to_string_lossy());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let of_editors = name.ends_with('~') || name.starts_with('#') || name == "4913";
    !inside.as_os_str().is_empty()
        && !name.starts_with("Cargo.lock") // and what cargo writes it by
        && !of_editors
        && !parts.any(|part| part.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_and_editors_write_is_no_source() {
        let (folder, target) = (Path::new("/job"), PathBuf::from("/job/target"));
        for (path, want) in [
            ("/job/src/lib.rs", true),
            ("/job/Cargo.toml", true),
            ("/job/input.txt", true),
            ("/job", false),
            ("/job/Cargo.lock", false),
            ("/job/Cargo.lockAb3dEf", false),
            ("/job/target/debug/x.d", false),
            ("/job/.git/index", false),
            ("/job/src/.lib.rs.swp", false),
            ("/job/src/lib.rs~", false),
            ("/elsewhere/lib.rs", false),
        ] {
            let found = is_source(Path::new(path), folder, std::slice::from_ref(&target));
            assert_eq!(found, want, "{path}");
        }
    }

    #[test]
    fn a_save_is_told_once_and_new_folders_are_watched() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("src")).expect("made");
        let target = folder.path().join("target");
        std::fs::create_dir(&target).expect("made");
        let mut changes = Changes::of(folder.path(), &[&target]).expect("watched");
        let long = Duration::from_secs(60);
        std::fs::write(target.join("made"), "x").expect("written");
        std::fs::write(folder.path().join("src/lib.rs"), "x").expect("written");
        std::fs::write(folder.path().join("src/other.rs"), "x").expect("written");
        assert!(changes.next(long).is_some());
        std::fs::create_dir(folder.path().join("tests")).expect("made");
        assert!(changes.next(long).is_some(), "a folder is new");
        std::fs::write(folder.path().join("tests/job.rs"), "x").expect("written");
        assert!(changes.next(long).is_some(), "and is watched");
        std::fs::write(target.join("made"), "y").expect("written");
        assert!(changes.next(Duration::from_millis(1)).is_none());
    }
}
