//! What an error of the disk means.

use std::io::{Error, ErrorKind};
use streamhost_engine::sink::SinkError;

const DISK: &str = "the disk";

/// An error of this folder or of what is in it.
pub(super) fn failure(folder: &str, error: &Error) -> SinkError {
    let refused = |reason: String| refused(folder, reason);
    match error.kind() {
        ErrorKind::NotFound => missing(folder),
        ErrorKind::PermissionDenied => SinkError::Denied {
            server: DISK,
            address: folder.to_owned(),
            reason: format!(
                "{error}: the host's user must be able to write the folder and what is below it"
            ),
        },
        ErrorKind::NotADirectory => refused(format!("{error}: name a folder")),
        ErrorKind::CrossesDevices => refused(
            "a folder in it is on another file system, and a file cannot get its name there in one step; \
             begin another folder there"
                .to_owned(),
        ),
        ErrorKind::Unsupported => refused(format!(
            "{error}: its file system has no hard links, by which a file gets its name once"
        )),
        ErrorKind::InvalidFilename => refused(error.to_string()),
        _ => SinkError::Away {
            server: DISK,
            address: folder.to_owned(),
            reason: error.to_string(),
        },
    }
}

/// What is there does not fit.
pub(super) fn refused(folder: &str, reason: String) -> SinkError {
    SinkError::Refused {
        server: DISK,
        name: folder.to_owned(),
        reason,
    }
}

/// A folder that is not there.
pub(super) fn missing(folder: &str) -> SinkError {
    SinkError::TableMissing {
        server: DISK,
        what: "folder",
        table: folder.to_owned(),
        mend: format!("deploy with --create-tables, or make it yourself: mkdir -p '{folder}'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamhost_engine::sink::Remedy;

    #[test]
    fn what_may_be_mended_meanwhile_is_tried_again() {
        for (kind, remedy) in [
            (ErrorKind::StorageFull, Remedy::Retry),
            (ErrorKind::QuotaExceeded, Remedy::Retry),
            (ErrorKind::ReadOnlyFilesystem, Remedy::Retry),
            (ErrorKind::PermissionDenied, Remedy::Retry),
            (ErrorKind::NotFound, Remedy::Stop),
            (ErrorKind::NotADirectory, Remedy::Stop),
            (ErrorKind::CrossesDevices, Remedy::Stop),
            (ErrorKind::Unsupported, Remedy::Stop),
        ] {
            let error = failure("/data/clicks", &kind.into());
            assert_eq!(error.remedy(), remedy, "{error}");
            assert!(error.to_string().contains("/data/clicks"), "{error}");
        }
    }
}
