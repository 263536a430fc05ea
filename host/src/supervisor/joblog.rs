//! What befell a job, in its own log and the host's: the last lines, bounded.

use super::Job;
use super::logfile::LogFile;
use crate::api::LogLine;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use streamhost_core::{clock, limits};
use streamhost_engine::guest::LogSink;
use streamhost_engine::pipeline::JobLogger;
use tracing::Level;

/// A ring of lines, and the files that keep them.
#[derive(Debug, Default)]
pub(super) struct JobLog {
    lines: Mutex<Lines>,
    /// The version that is active; 0: none yet.
    version: AtomicU64,
}

#[derive(Debug, Default)]
struct Lines {
    /// The number of the last one.
    count: u64,
    kept: VecDeque<LogLine>,
    file: Option<LogFile>,
}

impl Lines {
    fn lock(log: &JobLog) -> MutexGuard<'_, Lines> {
        log.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl JobLog {
    /// That of a job whose active version this is: it goes on where its files end.
    pub(super) fn open(folder: &Path, job: &str, version: u64) -> JobLog {
        let (file, kept) = LogFile::open(folder, job);
        let lines = Lines {
            count: kept.last().map_or(0, |line| line.number),
            kept: kept.into(),
            file: Some(file),
        };
        JobLog {
            lines: Mutex::new(lines),
            version: AtomicU64::new(version),
        }
    }

    /// Lines that no version says are of this one from now on.
    pub(super) fn active(&self, version: u64) {
        self.version.store(version, Ordering::Relaxed);
    }

    /// Adds a line of the version that is active; the oldest goes when the ring is full.
    fn line(&self, level: Level, text: &str) {
        let version = self.version.load(Ordering::Relaxed);
        self.line_of((version > 0).then_some(version), level, text);
    }

    fn line_of(&self, version: Option<u64>, level: Level, text: &str) {
        let mut lines = Lines::lock(self);
        lines.count += 1;
        let line = LogLine {
            number: lines.count,
            version,
            line: format!("{} {level:5} {text}", clock::rfc3339(clock::now_ms())),
        };
        if let Some(file) = &mut lines.file {
            file.append(&line);
        }
        lines.kept.push_back(line);
        if lines.kept.len() > limits::LOG_LINES_KEPT_MAX {
            lines.kept.pop_front();
        }
    }

    /// The lines after number `after`; all that are kept where there is no such number yet, as the
    /// log began anew since it was asked for.
    pub(super) fn after(&self, after: u64) -> Vec<LogLine> {
        let lines = Lines::lock(self);
        let after = if after > lines.count { 0 } else { after };
        let kept = lines.kept.iter();
        kept.filter(|line| line.number > after).cloned().collect()
    }
}

impl Job {
    /// Says a line in its own log, and with its name in the host's.
    pub(super) fn say(&self, level: Level, text: &str) {
        self.log.line(level, text);
        in_the_hosts(&self.name, level, text);
    }

    /// The same, for its pipelines.
    pub(super) fn teller(&self) -> JobLogger {
        let (log, name) = (self.log.clone(), self.name.clone());
        Box::new(move |level, text| {
            log.line(level, text);
            in_the_hosts(&name, level, text);
        })
    }

    /// Where the lines of a version's guests go: its own log, and what is worth it to the host's.
    pub(super) fn log_sink(&self, version: u64) -> LogSink {
        let (log, name) = (self.log.clone(), self.name.clone());
        Arc::new(move |level, text: &str| {
            log.line_of(Some(version), level, text);
            in_the_hosts(
                &name,
                if level == Level::INFO {
                    Level::DEBUG
                } else {
                    level
                },
                text,
            );
        })
    }
}

fn in_the_hosts(job: &str, level: Level, text: &str) {
    match level {
        Level::ERROR => tracing::error!(job, "{job}: {text}"),
        Level::WARN => tracing::warn!(job, "{job}: {text}"),
        Level::INFO => tracing::info!(job, "{job}: {text}"),
        _ => tracing::debug!(job, "{job}: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_lines_go_and_numbers_stay() {
        let log = JobLog::default();
        for n in 0..limits::LOG_LINES_KEPT_MAX + 5 {
            log.line(Level::INFO, &format!("line {n}"));
        }
        let all = log.after(0);
        assert_eq!((all.len(), all[0].number), (limits::LOG_LINES_KEPT_MAX, 6));
        assert!(all[0].line.ends_with("line 5"));
        assert_eq!(
            log.after(all[0].number + 1).len(),
            limits::LOG_LINES_KEPT_MAX - 2
        );
        let newest = all[all.len() - 1].number;
        assert_eq!(log.after(newest), []);
        assert_eq!(log.after(newest + 1), all, "who asks has seen another log");
    }

    #[test]
    fn a_line_is_of_the_version_that_said_it() {
        let log = JobLog::default();
        log.line(Level::INFO, "before any");
        log.active(2);
        log.line(Level::INFO, "the host's");
        log.line_of(Some(1), Level::INFO, "of a batch before");
        let versions: Vec<_> = log.after(0).iter().map(|line| line.version).collect();
        assert_eq!(versions, [None, Some(2), Some(1)]);
    }
}
