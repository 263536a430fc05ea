//! How long nothing was written: what a swap costs, seen from outside. It is shown, not judged:
//! these machines are noisy.

use std::ops::Range;

/// Times between two batches that follow each other, in milliseconds, sorted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// Those in which versions were swapped, or right after.
    pub swapping: Vec<i64>,
    /// All others.
    pub steady: Vec<i64>,
}

impl Gaps {
    /// Sorts out when it was written. `swaps`: from when the deploy was asked for until the new
    /// version had written.
    pub fn new(mut times_ms: Vec<i64>, swaps: &[Range<i64>]) -> Gaps {
        times_ms.sort_unstable();
        times_ms.dedup();
        let mut gaps = Gaps::default();
        for pair in times_ms.windows(2) {
            let swapping = swaps
                .iter()
                .any(|swap| pair[0] < swap.end && swap.start < pair[1]);
            let those = if swapping {
                &mut gaps.swapping
            } else {
                &mut gaps.steady
            };
            those.push(pair[1] - pair[0]);
        }
        gaps.swapping.sort_unstable();
        gaps.steady.sort_unstable();
        gaps
    }
}

impl std::fmt::Display for Gaps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let longest = |gaps: &[i64]| {
            let last: Vec<String> = gaps.iter().rev().take(5).map(i64::to_string).collect();
            format!("{} ms", last.join(", "))
        };
        write!(
            f,
            "longest gaps while swapping {}; else {}",
            longest(&self.swapping),
            longest(&self.steady)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_belongs_to_the_swap_that_it_overlaps() {
        let gaps = Gaps::new(
            vec![30, 10, 10, 0, 80, 100, 110],
            std::iter::once(25..40).collect::<Vec<_>>().as_slice(),
        );
        assert_eq!(
            gaps,
            Gaps {
                swapping: vec![20, 50],
                steady: vec![10, 10, 20]
            }
        );
    }
}
