//! Compiled code on the disk. wasmtime runs what it is given: code with one bit changed may do
//! anything, so each file carries a digest that is proven before the code is used.
//!
//! ```text
//! NAME.cwasm = SHA-256(key, SHA-256(NAME), SHA-256(code)), code
//! ```
//! The key lies beside the cache's folder. Who may write to that folder, and cannot read the key,
//! cannot make the host run code of their own.

use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use streamhost_core::limits;

const DIGEST_BYTES: usize = 32;
type Key = [u8; DIGEST_BYTES];

/// A folder of compiled code.
pub(crate) struct CodeCache {
    folder: PathBuf,
    key: Key,
}

impl CodeCache {
    /// Opens the folder, which is created if it is missing, and its key. Without a readable key
    /// there is a new one, and all code is compiled anew.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let path = folder.with_extension("key");
        let key = match read_key(&path) {
            Ok(key) => key,
            Err(error) => {
                if error.kind() != ErrorKind::NotFound {
                    tracing::warn!(
                        "{} is no key of compiled code, and is made anew: {error}",
                        path.display()
                    );
                }
                make_key(&path)?
            }
        };
        Ok(CodeCache {
            folder: folder.to_path_buf(),
            key,
        })
    }

    /// The code kept under this name, if it is what was kept.
    pub(crate) fn get(&self, name: &str) -> Option<Vec<u8>> {
        let path = self.path(name);
        let mut bytes = Vec::new();
        let most = (DIGEST_BYTES + limits::COMPILED_BYTES_MAX) as u64;
        let read = File::open(&path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes));
        match read {
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!("{} cannot be read: {error}", path.display());
                return None;
            }
            Ok(_) => {}
        }
        let sound = bytes
            .split_at_checked(DIGEST_BYTES)
            .is_some_and(|(digest, code)| digest == self.digest(name, code));
        if !sound {
            tracing::warn!(
                "{} is not as it was written, and is compiled anew",
                path.display()
            );
            return None;
        }
        bytes.drain(..DIGEST_BYTES);
        Some(bytes)
    }

    /// Keeps code under this name. Written beside, made durable and renamed, so that a crash leaves
    /// no half of a file.
    pub(crate) fn keep(&self, name: &str, code: &[u8]) {
        let path = self.path(name);
        let write = || {
            let beside = path.with_extension("new");
            let mut file = File::create(&beside)?;
            file.write_all(&self.digest(name, code))?;
            file.write_all(code)?;
            file.sync_all()?;
            std::fs::rename(&beside, &path)
        };
        if let Err(error) = write() {
            let path = path.display();
            tracing::warn!(
                "{path} cannot be written, so the component is compiled anew at the next start: {error}"
            );
        }
    }

    /// Deletes all code but that of these names.
    pub(crate) fn sweep(&self, named: &BTreeSet<String>) {
        let Ok(folder) = std::fs::read_dir(&self.folder) else {
            return;
        };
        for path in folder.flatten().map(|entry| entry.path()) {
            let file = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default();
            let is_named = file
                .strip_suffix(".cwasm")
                .is_some_and(|name| named.contains(name));
            if !is_named && std::fs::remove_file(&path).is_err() {
                tracing::warn!(
                    "{} is of no more use, but cannot be deleted",
                    path.display()
                );
            }
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.cwasm"))
    }

    /// Of the three digests' bytes, whose number is fixed: nobody can append to them.
    fn digest(&self, name: &str, code: &[u8]) -> Key {
        let mut all = Sha256::new();
        all.update(self.key);
        all.update(Sha256::digest(name));
        all.update(Sha256::digest(code));
        all.finalize().into()
    }
}

fn read_key(path: &Path) -> io::Result<Key> {
    let mut key = Key::default();
    File::open(path)?.read_exact(&mut key)?;
    Ok(key)
}

fn make_key(path: &Path) -> io::Result<Key> {
    let mut key = Key::default();
    File::open("/dev/urandom")?.read_exact(&mut key)?;
    let beside = path.with_extension("key.new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    file.write_all(&key)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_given_back_as_it_was_kept_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let cache = CodeCache::open(&folder.path().join("cache")).unwrap();
        let code: Vec<u8> = (0..200).collect();
        cache.keep("a", &code);
        cache.keep("b", &code);
        assert_eq!(cache.get("a"), Some(code.clone()));
        assert_eq!(cache.get("never"), None);
        let (a, b) = (cache.path("a"), cache.path("b"));
        let sound = std::fs::read(&a).unwrap();
        for bit in 0..sound.len() * 8 {
            let mut flipped = sound.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&a, flipped).unwrap();
            assert_eq!(cache.get("a"), None, "bit {bit}");
        }
        for length in [0, 1, DIGEST_BYTES, sound.len() - 1] {
            std::fs::write(&a, &sound[..length]).unwrap();
            assert_eq!(cache.get("a"), None, "{length} bytes");
        }
        std::fs::copy(&b, &a).unwrap();
        assert_eq!(cache.get("a"), None, "another's code");
    }

    #[test]
    fn the_key_stays_and_what_is_no_key_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (place, key) = (folder.path().join("cache"), folder.path().join("cache.key"));
        let open = || CodeCache::open(&place).unwrap();
        open().keep("a", b"code");
        assert_eq!(open().get("a"), Some(b"code".to_vec()));
        std::fs::write(&key, b"short").unwrap();
        assert_eq!(open().get("a"), None, "the key is another");
        let made = std::fs::read(&key).unwrap();
        assert_eq!(made.len(), DIGEST_BYTES);
        open();
        assert_eq!(std::fs::read(&key).unwrap(), made);
    }
}
