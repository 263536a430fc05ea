//! Lines in files of a bounded number and size, for jobs' logs and the audit log: the newest file
//! grows, and when it is full all of them are renamed, and the oldest goes.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// How much is kept, and how surely.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LineBounds {
    /// Bytes of a file, after which another is begun. The last line may go beyond.
    pub(crate) file_bytes: u64,
    /// How many files there are.
    pub(crate) files: usize,
    /// Whether a line is on the disk, and not only with the system, once it is appended.
    pub(crate) synced: bool,
}

/// Files of lines: `NAME.log` is the newest, `NAME.1.log` the one before.
#[derive(Debug)]
pub(crate) struct LineFiles {
    folder: PathBuf,
    name: String,
    bounds: LineBounds,
    newest: Option<File>,
    bytes: u64,
}

impl LineFiles {
    /// Those of this name in a folder that is there. Nothing is made before the first line.
    pub(crate) fn new(folder: &Path, name: &str, bounds: LineBounds) -> Self {
        LineFiles {
            folder: folder.to_owned(),
            name: name.to_owned(),
            bounds,
            newest: None,
            bytes: 0,
        }
    }

    /// The file before which so many were begun.
    pub(crate) fn path(&self, age: usize) -> PathBuf {
        let (folder, name) = (&self.folder, &self.name);
        match age {
            0 => folder.join(format!("{name}.log")),
            age => folder.join(format!("{name}.{age}.log")),
        }
    }

    /// Appends a line. `Ok`: it is with the system, or on the disk where that is wanted. `Err`: it
    /// is not there; a part of it that may be goes with the next line.
    pub(crate) fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let appended = self.write(line);
        if appended.is_err() {
            self.newest = None;
        }
        appended
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.newest.is_none() {
            self.begin()?;
        }
        if self.bytes >= self.bounds.file_bytes {
            self.rotate()?;
            self.begin()?;
        }
        if let Some(file) = &mut self.newest {
            file.write_all(&[line, b"\n"].concat())?;
            self.bytes += line.len() as u64 + 1;
            if self.bounds.synced {
                file.sync_data()?;
            }
        }
        Ok(())
    }

    /// Opens the newest file. A half line that a crash left at its end is dropped.
    fn begin(&mut self) -> io::Result<()> {
        let mut options = File::options();
        // What users name and records hold may be in it: nobody else's to read.
        options.create(true).read(true).append(true).mode(0o600);
        let mut file = options.open(self.path(0))?;
        let there = file.metadata()?.len();
        self.bytes = there - half_line(&mut file, there, self.bounds.file_bytes)?;
        if self.bytes < there {
            file.set_len(self.bytes)?;
        }
        if self.bounds.synced {
            file.sync_all()?;
            File::open(&self.folder)?.sync_all()?; // its name, and those of the others
        }
        self.newest = Some(file);
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.newest = None;
        for age in (1..self.bounds.files).rev() {
            match std::fs::rename(self.path(age - 1), self.path(age)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// What is there now, newest first, to be read while lines are appended: what comes later is
    /// not part of it.
    pub(crate) fn open(&self) -> io::Result<Vec<Lines>> {
        let mut all = Vec::new();
        for age in 0..self.bounds.files {
            match File::open(self.path(age)) {
                Ok(file) => {
                    // A file of the host is a line larger at most; what others put there fills no
                    // memory.
                    let bytes = file.metadata()?.len().min(2 * self.bounds.file_bytes);
                    all.push(Lines { file, bytes });
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }
}

/// How many bytes at the end of a file are no whole line.
fn half_line(file: &mut File, there: u64, most: u64) -> io::Result<u64> {
    let looked = there.min(2 * most);
    file.seek(SeekFrom::Start(there - looked))?;
    let mut bytes = Vec::new();
    file.take(looked).read_to_end(&mut bytes)?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n');
    Ok((bytes.len() - whole.map_or(0, |end| end + 1)) as u64)
}

/// One file of lines.
pub(crate) struct Lines {
    file: File,
    bytes: u64,
}

impl Lines {
    /// All that it holds: lines, each with its end.
    pub(crate) fn read(self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.file.take(self.bytes).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn files(folder: &Path, synced: bool) -> LineFiles {
        let bounds = LineBounds {
            file_bytes: 20,
            files: 3,
            synced,
        };
        LineFiles::new(folder, "a", bounds)
    }

    fn all(files: &LineFiles) -> Vec<String> {
        let open = files.open().unwrap().into_iter();
        let text = |lines: Lines| String::from_utf8(lines.read().unwrap()).unwrap();
        open.map(text).collect()
    }

    #[test]
    fn full_files_are_renamed_and_the_oldest_goes() {
        for synced in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let mut lines = files(folder.path(), synced);
            assert!(all(&lines).is_empty() && !lines.path(0).exists());
            for n in 10..22 {
                lines.append(format!("line {n}").as_bytes()).unwrap();
            }
            let want = [
                "line 19\nline 20\nline 21\n",
                "line 16\nline 17\nline 18\n",
                "line 13\nline 14\nline 15\n",
            ];
            assert_eq!(all(&lines), want);
            let mode = lines.path(0).metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            // Another process goes on with a file that is full.
            files(folder.path(), synced).append(b"line 22").unwrap();
            assert_eq!(all(&lines)[..2], ["line 22\n", want[0]]);
        }
    }

    #[test]
    fn a_half_line_goes_when_its_file_is_opened_for_the_next() {
        let cases = [
            ("", "next\n"),
            ("{\"half", "next\n"),
            ("one\n", "one\nnext\n"),
            ("one\ntw", "one\nnext\n"),
            ("one\n\0\0\0", "one\nnext\n"), // as a disk that lost power may leave it
        ];
        for (there, want) in cases {
            let folder = tempfile::tempdir().unwrap();
            let mut lines = files(folder.path(), true);
            std::fs::write(lines.path(0), there).unwrap();
            lines.append(b"next").unwrap();
            assert_eq!(all(&lines), [want], "{there:?}");
        }
    }

    #[test]
    fn what_cannot_be_written_is_told_and_the_next_line_tries_anew() {
        let folder = tempfile::tempdir().unwrap();
        let mut lines = files(folder.path(), true);
        std::fs::create_dir(lines.path(0)).unwrap();
        assert!(lines.append(b"one").is_err());
        std::fs::remove_dir(lines.path(0)).unwrap();
        lines.append(b"two").unwrap();
        assert_eq!(all(&lines), ["two\n"]);
    }
}
