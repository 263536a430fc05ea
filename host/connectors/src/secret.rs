//! Passwords, keys and tokens that stand in a file or in the environment. They are read whenever a
//! client is made, so that they can be changed without a restart, and kept by nobody.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use streamhost_core::limits;

/// Bits of a file's mode by which users that are neither its owner nor of its group may read it.
const OTHERS: u32 = 0o007;

/// Where a secret stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// In this file. A line end behind it is not part of it.
    File(PathBuf),
    /// In the environment variable of this name.
    Env(String),
}

/// Why a secret cannot be read. It says where it should stand, and never what stands there.
#[derive(Debug, thiserror::Error)]
#[error("{place} {reason}")]
pub struct SecretError {
    place: String,
    reason: String,
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Secret::File(path) => write!(f, "the file {}", path.display()),
            Secret::Env(name) => write!(f, "the environment variable {name}"),
        }
    }
}

impl Secret {
    /// Reads it.
    ///
    /// # Errors
    /// It is not there, empty, no text, or longer than [`limits::SECRET_BYTES_MAX`].
    pub fn read(&self) -> Result<String, SecretError> {
        let wrong = |reason: String| SecretError {
            place: self.to_string(),
            reason,
        };
        let text = match self {
            Secret::File(path) => {
                read_file(path).map_err(|e| wrong(format!("cannot be read: {e}")))?
            }
            Secret::Env(name) => std::env::var(name).map_err(|e| match e {
                std::env::VarError::NotPresent => wrong("is not set".to_owned()),
                std::env::VarError::NotUnicode(_) => wrong("is no text".to_owned()),
            })?,
        };
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        match text {
            "" => Err(wrong("is empty".to_owned())),
            _ if text.len() > limits::SECRET_BYTES_MAX => Err(wrong(format!(
                "has more than {} bytes",
                limits::SECRET_BYTES_MAX
            ))),
            _ if text.contains('\0') => Err(wrong("has a zero byte in it".to_owned())),
            _ => Ok(text.to_owned()),
        }
    }

    /// A warning where every user of the machine may read it.
    pub fn warning(&self) -> Option<String> {
        match self {
            Secret::File(path) => open_to_all(path),
            Secret::Env(_) => None,
        }
    }
}

/// A warning where every user of the machine may read or write a file that nobody else should.
pub fn open_to_all(path: &Path) -> Option<String> {
    let mode = std::fs::metadata(path).ok()?.mode();
    (mode & OTHERS != 0).then(|| {
        let path = path.display();
        format!("every user of this machine may read {path}, which holds a secret: chmod o= {path}")
    })
}

/// A device or pipe would never end, or never begin.
fn read_file(path: &Path) -> io::Result<String> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut text = String::new();
    // Room for the line end, and one byte to see that there is more.
    let most = limits::SECRET_BYTES_MAX as u64 + 3;
    File::open(path)?.take(most).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_is_read_anew_each_time_and_its_faults_name_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("password");
        let secret = Secret::File(path.clone());
        let refused = |part: &str| {
            let words = secret.read().expect_err(part).to_string();
            assert!(
                words.contains(part) && words.contains("password"),
                "{words}"
            );
        };
        refused("cannot be read");
        for (text, want) in [("one\n", "one"), ("two\r\n", "two"), ("  three", "  three")] {
            std::fs::write(&path, text).expect("written");
            assert_eq!(secret.read().expect("it is there"), want);
        }
        for (text, part) in [
            ("\n".to_owned(), "is empty"),
            ("x".repeat(limits::SECRET_BYTES_MAX + 1), "more than"),
            ("x".repeat(limits::SECRET_BYTES_MAX * 2), "more than"),
            ("a\0b".to_owned(), "zero byte"),
        ] {
            std::fs::write(&path, text).expect("written");
            refused(part);
        }
        std::fs::write(&path, [0xff, 0xfe]).expect("written");
        refused("cannot be read");
        let folder = Secret::File(folder.path().to_owned());
        assert!(
            folder
                .read()
                .is_err_and(|e| e.to_string().contains("no file"))
        );
        let never = Secret::Env("STREAMHOST_NO_SUCH_VARIABLE".to_owned());
        assert!(
            never
                .read()
                .is_err_and(|e| e.to_string().contains("is not set"))
        );
    }

    #[test]
    fn a_file_that_all_may_read_is_warned_about() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("password");
        std::fs::write(&path, "x").expect("written");
        for (mode, warned) in [(0o600, false), (0o640, false), (0o644, true), (0o602, true)] {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(&path, mode).expect("ours");
            assert_eq!(Secret::File(path.clone()).warning().is_some(), warned);
        }
    }
}
