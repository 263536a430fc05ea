//! Which files there are: the one of a path, or the plain ones in a folder.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use streamhost_core::limits;

/// A file as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FoundFile {
    pub(super) path: PathBuf,
    /// Its partition: a number that its name gives, and nothing else.
    pub(super) id: i32,
    /// Bytes on the disk.
    pub(super) bytes: i64,
    /// When it was last changed, in milliseconds since 1970.
    pub(super) time_ms: i64,
    /// What tells it from another file that had its name before: device, number there, and when it
    /// was made. None: the file system does not say the last, and then the numbers are not to be
    /// trusted either.
    pub(super) identity: Option<(u64, u64, SystemTime)>,
}

impl FoundFile {
    /// False: it is known to be another one.
    pub(super) fn is_same_file(&self, other: &FoundFile) -> bool {
        self.identity
            .zip(other.identity)
            .is_none_or(|(one, other)| one == other)
    }
}

/// Why a path cannot be read.
#[derive(Debug)]
pub(super) enum Unlisted {
    /// The system says so, of this path.
    Io(PathBuf, io::Error),
    /// It makes no sense, in words.
    Senseless(String),
}

/// The files of a path, by name.
pub(super) fn list(place: &Path) -> Result<Vec<FoundFile>, Unlisted> {
    let failed = |error| Unlisted::Io(place.to_owned(), error);
    let metadata = fs::metadata(place).map_err(failed)?;
    if metadata.is_file() {
        return Ok(vec![found(place.to_owned(), &metadata)]);
    }
    if !metadata.is_dir() {
        return Err(Unlisted::Senseless(
            "it is neither a file nor a folder".to_owned(),
        ));
    }
    let mut all = Vec::new();
    for entry in fs::read_dir(place).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if is_left_out(path.file_name().unwrap_or_default()) {
            continue;
        }
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => all.push(found(path, &metadata)),
            Ok(_) => {}
            // It went in between, or is a dead link.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Unlisted::Io(path, error)),
        }
        if all.len() > limits::FILES_MAX {
            let most = limits::FILES_MAX;
            return Err(Unlisted::Senseless(format!(
                "it holds more than {most} files: spread them over several folders"
            )));
        }
    }
    all.sort_by(|a, b| a.path.cmp(&b.path));
    collision(&all).map_or(Ok(all), |words| Err(Unlisted::Senseless(words)))
}

/// A file as its path says.
fn found(path: PathBuf, metadata: &Metadata) -> FoundFile {
    let since = metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .unwrap_or_default();
    let id = id(path.file_name().unwrap_or(path.as_os_str()));
    let bytes = i64::try_from(metadata.len()).unwrap_or(i64::MAX);
    let identity = metadata
        .created()
        .ok()
        .map(|made| (metadata.dev(), metadata.ino(), made));
    FoundFile {
        path,
        id,
        bytes,
        time_ms: i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        identity,
    }
}

/// Hidden, or still being written.
fn is_left_out(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(b".") || name.ends_with(b".tmp") || name.ends_with(b".part")
}

/// A file's partition. Stored with positions, so it must never be worked out in another way.
pub(super) fn id(name: &OsStr) -> i32 {
    let digest = xxhash_rust::xxh3::xxh3_64(name.as_encoded_bytes());
    i32::try_from((digest ^ (digest >> 32)) & 0x7fff_ffff).unwrap_or(0) // 31 bits always fit
}

fn collision(all: &[FoundFile]) -> Option<String> {
    let mut by_id = BTreeMap::new();
    for file in all {
        if let Some(other) = by_id.insert(file.id, &file.path) {
            let name = |path: &Path| {
                path.file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned()
            };
            let (a, b) = (name(other), name(&file.path));
            return Some(format!(
                "its files `{a}` and `{b}` have the same number ({}): rename one of them",
                file.id
            ));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_its_plain_files_by_name() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "b.txt", "a.txt", ".hidden", "c.tmp", "d.part", "e.gz", "tmp",
        ] {
            fs::write(folder.path().join(name), "x\n").unwrap();
        }
        fs::create_dir(folder.path().join("below")).unwrap();
        let all = list(folder.path()).unwrap();
        let names: Vec<_> = all
            .iter()
            .map(|file| file.path.file_name().unwrap().to_str().unwrap())
            .collect();
        assert_eq!(names, ["a.txt", "b.txt", "e.gz", "tmp"]);
        assert_eq!(
            list(&all[0].path).unwrap(),
            all[..1],
            "alone or in its folder, a file is the same partition"
        );
        assert!(
            all.iter()
                .all(|file| file.bytes == 2 && file.time_ms > 0 && file.id >= 0)
        );
        assert!(
            matches!(list(&folder.path().join("none")), Err(Unlisted::Io(_, e)) if e.kind() == io::ErrorKind::NotFound)
        );
    }

    #[test]
    fn numbers_of_names_never_change_and_two_alike_are_refused() {
        for (name, want) in [("a.txt", 813_896_575), ("clicks.csv.gz", 252_241_618)] {
            assert_eq!(id(OsStr::new(name)), want, "{name}");
        }
        let file = |name: &str, id| FoundFile {
            path: PathBuf::from(name),
            id,
            bytes: 0,
            time_ms: 0,
            identity: None,
        };
        assert_eq!(collision(&[file("a", 1), file("b", 2)]), None);
        let words = collision(&[file("x/a", 1), file("x/b", 2), file("x/c", 1)]).unwrap();
        assert!(words.contains("`a` and `c`"), "{words}");
    }
}
