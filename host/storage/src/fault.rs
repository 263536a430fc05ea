//! What the embedded store and the codecs say, as the core's errors.

use streamhost_core::state::StoreError;
use streamhost_core::system;

pub(crate) fn io(error: impl std::fmt::Display) -> StoreError {
    StoreError::Io(system::with_limit(error))
}

pub(crate) fn damaged(error: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged(error.to_string())
}

/// The error of a write. The embedded store takes no more of them after one that failed.
pub(crate) fn unwritten(error: impl std::fmt::Display) -> StoreError {
    StoreError::Broken(system::with_limit(error))
}
