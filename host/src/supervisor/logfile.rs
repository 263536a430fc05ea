//! Jobs' logs on disk, so that they outlive the host and the job: two files for each, a line of
//! JSON for each line. What cannot be written is still in the ring, and is told once.

use crate::api::LogLine;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use streamhost_core::limits;

/// Where one job's lines are kept.
#[derive(Debug)]
pub(super) struct LogFile {
    folder: PathBuf,
    job: String,
    file: Option<File>,
    bytes: u64,
    told: bool,
}

impl LogFile {
    /// That of a job, and the lines that it holds.
    pub(super) fn open(folder: &Path, job: &str) -> (LogFile, Vec<LogLine>) {
        // A job that says nothing, as its first deploy is refused, makes no file.
        let log = LogFile {
            folder: folder.to_owned(),
            job: job.to_owned(),
            file: None,
            bytes: 0,
            told: false,
        };
        (log, read(folder, job))
    }

    /// Adds a line.
    pub(super) fn append(&mut self, line: &LogLine) {
        if let Err(error) = self.write(line) {
            self.file = None; // the next line tries anew
            self.tell(&error);
        }
    }

    fn write(&mut self, line: &LogLine) -> io::Result<()> {
        if self.bytes >= limits::LOG_FILE_BYTES_MAX {
            self.file = None;
            std::fs::rename(
                newer(&self.folder, &self.job),
                older(&self.folder, &self.job),
            )?;
        }
        if self.file.is_none() {
            self.begin()?;
        }
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        if let Some(file) = &mut self.file {
            file.write_all(&text)?;
            self.bytes += text.len() as u64;
        }
        Ok(())
    }

    /// Opens the newer file. A line that was cut off by a crash ends there.
    fn begin(&mut self) -> io::Result<()> {
        let path = newer(&self.folder, &self.job);
        let mut options = File::options();
        let mut file = options.create(true).read(true).append(true).open(path)?;
        self.bytes = file.metadata()?.len();
        if self.bytes > 0 {
            file.seek(SeekFrom::End(-1))?;
            let mut last = [0];
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
            }
        }
        self.file = Some(file);
        Ok(())
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
fn read(folder: &Path, job: &str) -> Vec<LogLine> {
    let mut lines = Vec::new();
    for path in [older(folder, job), newer(folder, job)] {
        // A file of the host is a line larger at most; what others put there fills no memory.
        let most = 2 * limits::LOG_FILE_BYTES_MAX;
        let mut bytes = Vec::new();
        let file = File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes));
        if file.is_err() {
            continue;
        }
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

fn newer(folder: &Path, job: &str) -> PathBuf {
    folder.join(format!("{job}.log"))
}

fn older(folder: &Path, job: &str) -> PathBuf {
    folder.join(format!("{job}.1.log"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        for path in [
            newer(folder.path(), "clicks"),
            older(folder.path(), "clicks"),
        ] {
            assert!(bytes(path) < limits::LOG_FILE_BYTES_MAX + slack);
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
