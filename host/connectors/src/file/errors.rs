//! What goes wrong with files, as errors of a source.

use super::reader::Fault;
use std::io::{self, ErrorKind};
use std::path::Path;
use streamhost_core::system;
use streamhost_core::types::Offset;
use streamhost_engine::source::{Loss, SourceError};

pub(super) fn gone(path: &Path, offset: Offset, reason: Loss) -> SourceError {
    SourceError::Gone {
        what: format!("file `{}`", path.display()),
        offset,
        reason,
    }
}

pub(super) fn refused(what: &'static str, path: &Path, reason: String) -> SourceError {
    SourceError::Refused {
        what,
        target: path.display().to_string(),
        reason,
    }
}

pub(super) fn error(path: &Path, fault: Fault, at: Offset) -> SourceError {
    match fault {
        Fault::Io(error) if error.kind() == ErrorKind::NotFound => {
            gone(path, at, Loss::FileMissing)
        }
        Fault::Io(error) => io_error(path, error),
        Fault::Encoding(encoding) => refused(
            "file",
            path,
            format!(
                "it begins as text in {encoding} does, and lines are read as UTF-8: write it anew, as `iconv -f {encoding} -t UTF-8` does, and go on by `streamhost resume JOB`"
            ),
        ),
        Fault::Short => gone(path, at, Loss::FileShort),
        Fault::Unfinished(reason) | Fault::Damaged(reason) => refused(
            "file",
            path,
            format!(
                "{reason}: put a whole one in its place, or move it away, and go on by `streamhost resume JOB`"
            ),
        ),
    }
}

/// What the system says of a path. What may mend itself is tried again.
pub(super) fn io_error(path: &Path, error: io::Error) -> SourceError {
    let shown = path.display().to_string();
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => SourceError::PathMissing { path: shown },
        ErrorKind::PermissionDenied => refused(
            "file",
            path,
            "the host's user has no permission for it".to_owned(),
        ),
        ErrorKind::IsADirectory
        | ErrorKind::InvalidInput
        | ErrorKind::InvalidData
        | ErrorKind::Unsupported => refused("file", path, error.to_string()),
        _ => SourceError::Away {
            server: "file",
            address: shown,
            reason: system::with_limit(error),
        },
    }
}
