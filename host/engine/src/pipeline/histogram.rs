//! How many measured times fell below each of some bounds.
//!
//! Our own: the histogram of `prometheus-client` takes one time after the other, and here one time
//! that was looked at stands for thousands of records.

use std::time::Duration;

/// Bounds in seconds, from a fast step of a batch to a record that waited for hours.
const BOUNDS_SECONDS: [f64; 17] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
    300.0, 3600.0,
];

/// Times, counted by bounds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TimeHistogram {
    /// Those up to each bound and above the one before; the last are above all bounds.
    counts: [u64; BOUNDS_SECONDS.len() + 1],
    sum_seconds: f64,
}

impl TimeHistogram {
    /// Counts a time so often.
    pub(super) fn add(&mut self, time: Duration, times: u64) {
        let seconds = time.as_secs_f64();
        let at = BOUNDS_SECONDS.partition_point(|bound| *bound < seconds);
        self.counts[at] += times;
        self.sum_seconds += seconds * times as f64;
    }

    /// Each bound in seconds, with how many times are up to it and above the one before; the last
    /// bound is infinite.
    pub fn buckets(&self) -> Vec<(f64, u64)> {
        let bounds = BOUNDS_SECONDS.into_iter().chain([f64::INFINITY]);
        bounds.zip(self.counts).collect()
    }

    /// How many times were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All of them together, in seconds.
    pub fn sum_seconds(&self) -> f64 {
        self.sum_seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_counted_below_the_first_bound_that_holds_it() {
        for (ms, bound) in [
            (0, 0.001),
            (1, 0.001),
            (2, 0.0025),
            (1000, 1.0),
            (3_600_000, 3600.0),
            (3_600_001, f64::INFINITY),
        ] {
            let mut times = TimeHistogram::default();
            times.add(Duration::from_millis(ms), 3);
            let found = times.buckets().into_iter().find(|(_, count)| *count == 3);
            assert_eq!(found.map(|(bound, _)| bound), Some(bound), "{ms} ms");
            assert_eq!(times.count(), 3);
            assert!((times.sum_seconds() - 0.003 * ms as f64).abs() < 1e-6);
        }
    }
}
