//! What befell a job, in its own log and the host's: the last lines, bounded.

use super::Job;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use streamhost_core::{clock, limits};
use streamhost_engine::guest::LogSink;
use streamhost_engine::pipeline::JobLogger;
use tracing::Level;

/// A ring of numbered lines.
#[derive(Debug, Default)]
pub(super) struct JobLog {
    lines: Mutex<(u64, VecDeque<String>)>,
}

impl JobLog {
    /// Adds a line; the oldest goes when the ring is full.
    pub(super) fn line(&self, level: Level, text: &str) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let (number, kept) = &mut *lines;
        *number += 1;
        kept.push_back(format!(
            "{} {level:5} {text}",
            clock::rfc3339(clock::now_ms())
        ));
        if kept.len() > limits::LOG_LINES_KEPT_MAX {
            kept.pop_front();
        }
    }

    /// The lines after number `after`, with their numbers; all that are kept where there is no such
    /// number yet, as the log began anew since it was asked for.
    pub(super) fn after(&self, after: u64) -> Vec<(u64, String)> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let after = if after > lines.0 { 0 } else { after };
        let first = lines.0 + 1 - lines.1.len() as u64;
        let numbered = lines
            .1
            .iter()
            .enumerate()
            .map(|(i, line)| (first + i as u64, line.clone()));
        numbered.filter(|(number, _)| *number > after).collect()
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

    /// Where its guests' lines go: its own log, and what is worth it to the host's.
    pub(super) fn log_sink(&self) -> LogSink {
        let (log, name) = (self.log.clone(), self.name.clone());
        Arc::new(move |level, text: &str| {
            log.line(level, text);
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
        Level::ERROR => tracing::error!("{job}: {text}"),
        Level::WARN => tracing::warn!("{job}: {text}"),
        Level::INFO => tracing::info!("{job}: {text}"),
        _ => tracing::debug!("{job}: {text}"),
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
        assert_eq!((all.len(), all[0].0), (limits::LOG_LINES_KEPT_MAX, 6));
        assert!(all[0].1.ends_with("line 5"));
        assert_eq!(
            log.after(all[0].0 + 1).len(),
            limits::LOG_LINES_KEPT_MAX - 2
        );
        let newest = all[all.len() - 1].0;
        assert_eq!(log.after(newest), []);
        assert_eq!(log.after(newest + 1), all, "who asks has seen another log");
    }
}
