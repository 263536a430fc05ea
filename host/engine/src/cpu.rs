//! How much of a processor a thread has used.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// The CPU time that the thread that asks has used since it began.
pub(crate) fn of_this_thread() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// The CPU time of one thread, asked again and again by that thread.
#[derive(Default)]
pub(crate) struct ThreadCpu(Duration);

impl ThreadCpu {
    /// What the thread has used since it was asked last, or since it began.
    pub(crate) fn more(&mut self) -> Duration {
        let now = of_this_thread();
        now.saturating_sub(std::mem::replace(&mut self.0, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_takes_cpu_time_and_is_told_once() {
        let mut cpu = ThreadCpu::default();
        cpu.more();
        let mut sum = 0_u64;
        let mut told = Duration::ZERO;
        while told < Duration::from_millis(1) {
            sum = std::hint::black_box(sum + 1);
            told += cpu.more();
        }
        assert!(told <= of_this_thread());
    }
}
