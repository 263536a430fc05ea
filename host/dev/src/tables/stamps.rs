//! The times that the store gives to what comes without one.

use std::sync::{Mutex, PoisonError};
use streamhost_core::clock::now_ms;

/// What HBase takes for "the time when it arrives".
pub(super) const LATEST_MS: i64 = i64::MAX;

/// The wall clock in milliseconds, but never back, and a put after a delete always later than it:
/// in HBase a put within the same millisecond as the delete before it is lost, which nobody wants
/// to learn from their own data.
#[derive(Debug, Default)]
pub(super) struct Stamps(Mutex<Given>);

#[derive(Debug, Default)]
struct Given {
    put_ms: i64,
    delete_ms: i64,
}

impl Stamps {
    /// A time for a put.
    pub(super) fn put_ms(&self) -> i64 {
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        given.put_ms = now_ms().max(given.put_ms).max(given.delete_ms + 1);
        given.put_ms
    }

    /// A time for a delete, which hides all puts before it.
    pub(super) fn delete_ms(&self) -> i64 {
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        given.delete_ms = now_ms().max(given.put_ms).max(given.delete_ms);
        given.delete_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_put_after_a_delete_is_later_and_a_delete_hides_the_puts_before() {
        let stamps = Stamps::default();
        let mut last_delete = 0;
        for _ in 0..1000 {
            let put = stamps.put_ms();
            assert!(put > last_delete);
            last_delete = stamps.delete_ms();
            assert!(last_delete >= put);
        }
    }
}
