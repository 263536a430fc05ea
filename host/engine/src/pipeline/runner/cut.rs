//! A batch that makes too much at once, such as the pairs of a hot key, is gathered anew in parts:
//! what is too much for one batch may be little for each of two.

use streamhost_core::job::settings::BatchLimits;

/// Batches of a size that go well before a larger one is tried again.
const TRIES: u32 = 16;

/// How many records a batch may have for now.
#[derive(Debug, Default)]
pub(in super::super) struct BatchCut {
    records_max: Option<usize>,
    went_well: u32,
}

impl BatchCut {
    /// The job's limits, or less of them.
    pub(super) fn limits(&self, job: BatchLimits) -> BatchLimits {
        let records_max = self.records_max.unwrap_or(job.records_max);
        BatchLimits {
            records_max: records_max.min(job.records_max),
            ..job
        }
    }

    /// So many records made too much: how many may come at once from now on. None: one alone makes
    /// too much.
    pub(super) fn halve(&mut self, records: u64) -> Option<usize> {
        let half = usize::try_from(records / 2).unwrap_or(usize::MAX);
        if half == 0 {
            return None;
        }
        (self.records_max, self.went_well) = (Some(half), 0);
        self.records_max
    }

    /// A batch went well.
    pub(super) fn passed(&mut self, job: BatchLimits) {
        let Some(records_max) = self.records_max else {
            return;
        };
        self.went_well += 1;
        if self.went_well >= TRIES {
            let twice = records_max.saturating_mul(2);
            self.records_max = (twice < job.records_max).then_some(twice);
            self.went_well = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_halved_and_grow_again() {
        let job = BatchLimits {
            records_max: 1000,
            bytes_max: 1,
        };
        let mut cut = BatchCut::default();
        assert_eq!(cut.limits(job).records_max, 1000);
        assert_eq!(cut.halve(301), Some(150));
        assert_eq!(cut.limits(job).records_max, 150);
        for want in [300, 600, 1000] {
            (0..TRIES).for_each(|_| cut.passed(job));
            assert_eq!(cut.limits(job).records_max, want);
        }
        assert_eq!((cut.halve(2), cut.halve(1)), (Some(1), None));
    }
}
