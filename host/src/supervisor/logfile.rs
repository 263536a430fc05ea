//! Jobs' logs on disk, so that they outlive the host and the job: two files for each, a line of
//! JSON for each line. What cannot be written is still in the ring, and is told once.

use crate::api::LogLine;
use crate::lines::{LineBounds, LineFiles, Lines};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use streamhost_core::limits;

/// What is kept of one job. A crash of the machine may take its last lines.
const BOUNDS: LineBounds = LineBounds {
    file_bytes: limits::LOG_FILE_BYTES_MAX,
    files: 2,
    synced: false,
};

/// Where one job's lines are kept.
#[derive(Debug)]
pub(super) struct LogFile {
    folder: PathBuf,
    job: String,
    files: LineFiles,
    told: bool,
}

impl LogFile {
    /// That of a job, and the lines that it holds.
    pub(super) fn open(folder: &Path, job: &str) -> (LogFile, Vec<LogLine>) {
        // A job that says nothing, as its first deploy is refused, makes no file.
        let log = LogFile {
            folder: folder.to_owned(),
            job: job.to_owned(),
            files: LineFiles::new(folder, job, BOUNDS),
            told: false,
        };
        let kept = read(&log.files);
        (log, kept)
    }

    /// Adds a line.
    pub(super) fn append(&mut self, line: &LogLine) {
        let text = serde_json::to_vec(line).map_err(io::Error::from);
        if let Err(error) = text.and_then(|text| self.files.append(&text)) {
            self.tell(&error);
        }
    }

    fn tell(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.told, true) {
            let folder = self.folder.display();
            let job = &self.job;
            tracing::warn!("the log of job {job} is not kept in {folder}: {error}");
        }
    }
}

/// The newest lines that are kept of a job, oldest first; none where there are no files.
fn read(files: &LineFiles) -> Vec<LogLine> {
    let mut lines = Vec::new();
    let open = files.open().unwrap_or_default().into_iter().rev();
    for bytes in open.filter_map(|file: Lines| file.read().ok()) {
        let whole = bytes.split(|byte| *byte == b'\n');
        lines.extend(whole.filter_map(|line| serde_json::from_slice::<LogLine>(line).ok()));
    }
    let first = lines.len().saturating_sub(limits::LOG_LINES_KEPT_MAX);
    lines.split_off(first)
}

/// Deletes the logs of jobs that are gone, but for those that spoke last.
pub(super) fn sweep(folder: &Path, present: &BTreeSet<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    let mut gone: Vec<(SystemTime, PathBuf)> = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        let name = path.file_name().map(|name| name.to_string_lossy());
        let job = name.as_deref().and_then(|name| name.split('.').next());
        if job.is_some_and(|job| present.contains(job)) {
            continue;
        }
        let written = entry.metadata().and_then(|data| data.modified());
        gone.push((written.unwrap_or(SystemTime::UNIX_EPOCH), path));
    }
    gone.sort();
    let too_many = gone.len().saturating_sub(2 * limits::LOGS_OF_GONE_JOBS_MAX);
    for (_, path) in gone.iter().take(too_many) {
        if let Err(error) = std::fs::remove_file(path) {
            tracing::warn!("{} cannot be deleted: {error}", path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn newer(folder: &Path, job: &str) -> PathBuf {
        LineFiles::new(folder, job, BOUNDS).path(0)
    }

    fn read(folder: &Path, job: &str) -> Vec<LogLine> {
        LogFile::open(folder, job).1
    }

    fn line(number: u64, text: &str) -> LogLine {
        LogLine {
            number,
            version: None,
            line: text.to_owned(),
        }
    }

    #[test]
    fn lines_are_there_after_a_restart_and_a_torn_one_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let (mut log, none) = LogFile::open(folder.path(), "clicks");
        assert_eq!(none, []);
        log.append(&line(1, "one"));
        std::fs::File::options()
            .append(true)
            .open(newer(folder.path(), "clicks"))
            .and_then(|mut file| file.write_all(b"{\"number\":2,\"li"))
            .unwrap();
        let (mut log, kept) = LogFile::open(folder.path(), "clicks");
        assert_eq!(kept, [line(1, "one")]);
        log.append(&line(2, "two"));
        let kept = read(folder.path(), "clicks");
        assert_eq!(kept, [line(1, "one"), line(2, "two")]);
    }

    #[test]
    fn two_files_hold_the_newest_lines_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let (mut log, _) = LogFile::open(folder.path(), "clicks");
        let text = "x".repeat(limits::LOG_LINE_BYTES_MAX);
        let count = 3 * limits::LOG_FILE_BYTES_MAX / limits::LOG_LINE_BYTES_MAX as u64;
        (1..=count).for_each(|number| log.append(&line(number, &text)));
        let bytes = |path: PathBuf| path.metadata().unwrap().len();
        let slack = 2 * limits::LOG_LINE_BYTES_MAX as u64;
        let files = LineFiles::new(folder.path(), "clicks", BOUNDS);
        for age in 0..BOUNDS.files {
            assert!(bytes(files.path(age)) < limits::LOG_FILE_BYTES_MAX + slack);
        }
        let kept = read(folder.path(), "clicks");
        assert_eq!(kept.last().map(|line| line.number), Some(count));
        assert!(
            kept.windows(2)
                .all(|two| two[1].number == two[0].number + 1)
        );
    }

    #[test]
    fn of_jobs_that_are_gone_the_last_ones_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        for n in 0..2 * limits::LOGS_OF_GONE_JOBS_MAX + 3 {
            std::fs::write(newer(folder.path(), &format!("j{n}")), b"").unwrap();
        }
        std::fs::write(newer(folder.path(), "here"), b"").unwrap();
        sweep(folder.path(), &["here".to_owned()].into());
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 2 * limits::LOGS_OF_GONE_JOBS_MAX + 1);
        assert!(newer(folder.path(), "here").exists());
    }
}
