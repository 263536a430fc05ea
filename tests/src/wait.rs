//! The one place of the tests that sleeps: between two looks at a condition.

use crate::sizes::LOOK;
use std::time::{Duration, Instant};

/// Looks again and again until `condition` gives a value. Panics with what was waited for once
/// `limit` is over.
pub fn wait_for<T>(what: &str, limit: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(
            start.elapsed() < limit,
            "waited {limit:?} in vain until {what}"
        );
        std::thread::sleep(LOOK);
    }
}

/// Looks again and again until `condition` is true. Panics with what was waited for once `limit` is
/// over.
pub fn wait_until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    wait_for(what, limit, || condition().then_some(()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_is_handed_out_once_it_is_there() {
        let mut looks = 0;
        let value = wait_for("three looks are over", Duration::from_secs(5), || {
            looks += 1;
            (looks == 3).then_some("here")
        });
        assert_eq!((value, looks), ("here", 3));
    }

    #[test]
    #[should_panic(expected = "in vain until pigs fly")]
    fn what_never_comes_is_named() {
        wait_until("pigs fly", Duration::from_millis(1), || false);
    }
}
