//! What the process uses of its machine, as Linux says it.

use rustix::process::{Resource, getrlimit};
use std::collections::VecDeque;
use std::time::Instant;
use streamhost_core::{clock, limits};

/// The unit of CPU times in `/proc`, the same on all machines: a second has so many.
const TICKS_PER_SECOND: f64 = 100.0;

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

/// What `/proc/self/stat` says from the third field on: that of before, in parentheses, is the
/// process' name and may hold spaces.
fn field(stat: &str, number: usize) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(number.checked_sub(3)?)?.parse().ok()
}

/// User and system time.
fn cpu_ticks(stat: &str) -> Option<u64> {
    Some(field(stat, 14)? + field(stat, 15)?)
}

/// What the process uses; what the system does not tell is none.
#[derive(Default)]
pub(super) struct ProcessFigures {
    pub(super) cpu_seconds: Option<f64>,
    pub(super) resident_bytes: Option<u64>,
    pub(super) virtual_bytes: Option<u64>,
    pub(super) threads: Option<u64>,
    pub(super) open_fds: Option<u64>,
    pub(super) fds_max: Option<u64>,
}

impl ProcessFigures {
    pub(super) fn now() -> Self {
        let stat = read("/proc/self/stat");
        let fds = std::fs::read_dir("/proc/self/fd");
        ProcessFigures {
            cpu_seconds: cpu_ticks(&stat).map(|ticks| ticks as f64 / TICKS_PER_SECOND),
            resident_bytes: resident_bytes(&read("/proc/self/status")),
            virtual_bytes: field(&stat, 23),
            threads: field(&stat, 20),
            open_fds: fds.ok().map(|fds| fds.count() as u64),
            fds_max: getrlimit(Resource::Nofile).current,
        }
    }
}

/// Memory that the process holds.
pub(super) fn memory_bytes() -> u64 {
    resident_bytes(&read("/proc/self/status")).unwrap_or(0)
}

fn resident_bytes(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
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
        assert_eq!((field(stat, 20), field(stat, 22)), (Some(9), Some(1)));
        for (text, want) in [
            ("VmSize:\t 9 kB\nVmRSS:\t   3 kB\n", Some(3 << 10)),
            ("", None),
        ] {
            assert_eq!(resident_bytes(text), want, "{text}");
        }
        let now = ProcessFigures::now();
        let all = [
            now.resident_bytes,
            now.virtual_bytes,
            now.threads,
            now.open_fds,
            now.fds_max,
        ];
        assert!(memory_bytes() > 0 && all.iter().all(|figure| figure.is_some_and(|n| n > 0)));
    }
}
