//! What the process uses of its machine, as Linux says it.

use std::collections::VecDeque;
use std::time::Instant;
use streamhost_core::{clock, limits};

/// The unit of CPU times in `/proc`, the same on all machines: a second has so many.
const TICKS_PER_SECOND: f64 = 100.0;
/// The unit of memory in `/proc/self/statm` where pages are the usual ones.
const PAGE_BYTES: u64 = 4096;

/// The CPU time that the process had used, the last seconds' looks, oldest first.
#[derive(Default)]
pub(super) struct CpuTimes(VecDeque<(Instant, u64)>);

impl CpuTimes {
    pub(super) fn look(&mut self) {
        let Some(ticks) = cpu_ticks(&read("/proc/self/stat")) else {
            return;
        };
        self.0.push_back((clock::monotonic(), ticks));
        if self.0.len() > limits::RATE_SECONDS + 1 {
            self.0.pop_front();
        }
    }

    /// Cores that were used, over these seconds.
    pub(super) fn cores(&self) -> f64 {
        let (Some((from, before)), Some((to, now))) = (self.0.front(), self.0.back()) else {
            return 0.0;
        };
        let seconds = (*to - *from).as_secs_f64();
        match seconds > 0.0 {
            true => {
                let ticks = now.saturating_sub(*before) as f64;
                (ticks / TICKS_PER_SECOND / seconds * 100.0).round() / 100.0
            }
            false => 0.0,
        }
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// User and system time of a process. Its name, in parentheses, may hold spaces.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

/// Memory that the process holds.
pub(super) fn memory_bytes() -> u64 {
    resident_pages(&read("/proc/self/statm")).unwrap_or(0) * PAGE_BYTES
}

fn resident_pages(statm: &str) -> Option<u64> {
    statm.split(' ').nth(1)?.parse().ok()
}

/// What the process may hold, if its control group says so.
pub(super) fn memory_bound_bytes() -> Option<u64> {
    read("/sys/fs/cgroup/memory.max").trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_is_read() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 9 0 1 1 1";
        for (text, want) in [(stat, Some(300)), ("", None), ("42 (a) S 1", None)] {
            assert_eq!(cpu_ticks(text), want, "{text}");
        }
        for (text, want) in [("500 120 9 1 0 1 0", Some(120)), ("", None)] {
            assert_eq!(resident_pages(text), want, "{text}");
        }
        assert!(memory_bytes() > 0);
    }
}
