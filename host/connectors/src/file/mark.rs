//! What a file is known by beside a position in it, so that another one that has its name later is
//! not read on from there: a digest of some of what was read of it.

use super::errors::{gone, io_error};
use super::known::KnownFile;
use super::reader::{Form, Reader};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use streamhost_core::limits;
use streamhost_core::types::Offset;
use streamhost_engine::source::{Loss, SourceError};
use xxhash_rust::xxh3::xxh3_128;

/// A digest of a part of a file. Of a plain one it is what stands before the position: a file that
/// has other lines there is another one, however long it is. Of a compressed one, whose positions
/// are those of its content, it is how the file begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    from: u64,
    bytes: usize,
    digest: u128,
}

impl Mark {
    /// The mark of an open file at a position. None: nothing was read of it.
    pub(super) fn of(file: &File, form: Form, at: Offset) -> io::Result<Option<Mark>> {
        let most = limits::FILE_MARK_BYTES;
        let read = match form {
            Form::Plain => u64::try_from(at).unwrap_or(0),
            Form::Gzip | Form::Zstd => file.metadata()?.len().min(most as u64),
        };
        let bytes = usize::try_from(read).unwrap_or(most).min(most);
        if at <= 0 || bytes == 0 {
            return Ok(None);
        }
        let from = read - bytes as u64;
        let digest = digest(file, from, bytes)?;
        Ok(Some(Mark {
            from,
            bytes,
            digest,
        }))
    }

    /// Whether an open file may be the one of the mark, for whoever reads on at this position. Of
    /// what stood behind the position the mark says nothing.
    pub(super) fn fits(&self, file: &File, form: Form, at: Offset) -> io::Result<bool> {
        let before = u64::try_from(at).unwrap_or(0);
        if before == 0 || form == Form::Plain && self.from + self.bytes as u64 > before {
            return Ok(true);
        }
        match digest(file, self.from, self.bytes) {
            Ok(digest) => Ok(digest == self.digest),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The mark as text: where its bytes begin, how many they are, their digest.
    pub(super) fn text(&self) -> String {
        format!("{} {} {:032x}", self.from, self.bytes, self.digest)
    }

    /// Reads what [`Mark::text`] wrote.
    pub(super) fn read(text: &str) -> Option<Mark> {
        let words: Vec<&str> = text.split(' ').collect();
        let [from, bytes, digest] = words[..] else {
            return None;
        };
        let bytes: usize = bytes.parse().ok()?;
        let mark = Mark {
            from: from.parse().ok()?,
            bytes: bytes.min(limits::FILE_MARK_BYTES),
            digest: u128::from_str_radix(digest, 16).ok()?,
        };
        (mark.text() == text).then_some(mark)
    }
}

/// Reads beside the file's own position, which stays where it is.
fn digest(file: &File, from: u64, bytes: usize) -> io::Result<u128> {
    let mut part = vec![0; bytes];
    file.read_exact_at(&mut part, from)?;
    Ok(xxh3_128(&part))
}

/// The same reader, if its file may be the one that was read to there: one that was truncated and
/// has grown again, or was put in its place, is not.
pub(super) fn recognized(
    marks: &BTreeMap<i32, Mark>,
    known: &KnownFile,
    reader: Reader,
) -> Result<Reader, SourceError> {
    let Some(mark) = marks.get(&known.found.id) else {
        return Ok(reader);
    };
    match reader.fits(mark) {
        Ok(true) => Ok(reader),
        Ok(false) => Err(gone(&known.found.path, reader.at(), Loss::FileChanged)),
        Err(io) => Err(io_error(&known.found.path, io)),
    }
}

/// Whether a file is known to be another one than was read to this position.
pub(super) fn is_other(marks: &BTreeMap<i32, Mark>, known: &KnownFile, at: Offset) -> bool {
    let (mark, file) = (
        marks.get(&known.found.id),
        File::open(&known.found.path).ok(),
    );
    mark.zip(file)
        .is_some_and(|(mark, file)| mark.fits(&file, known.form, at).is_ok_and(|fits| !fits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_is_known_by_what_stands_before_a_position() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let open = || File::open(&path).unwrap();
        let whole = "line\n".repeat(1000);
        fs::write(&path, &whole).unwrap();
        assert_eq!(Mark::of(&open(), Form::Plain, 0).unwrap(), None);
        let mark = Mark::of(&open(), Form::Plain, 4000).unwrap().unwrap();
        assert_eq!(Mark::read(&mark.text()), Some(mark.clone()));
        let fits = |content: &str, at: Offset| {
            fs::write(&path, content).unwrap();
            mark.fits(&open(), Form::Plain, at).unwrap()
        };
        assert!(fits(&whole, 4000));
        assert!(fits(&(whole.clone() + "more\n"), 5000), "it grew");
        assert!(!fits(&whole[..3000], 4000), "it is shorter");
        let other = "else\n".repeat(2000);
        assert!(!fits(&other, 4000), "it is another one, and longer");
        assert!(fits(&other, 0), "it is read from its begin");
        assert!(fits(&other, 100), "of before the mark nothing is known");
        for bad in ["", "1 2", "1 2 x", "01 2 00", "1 2 3 4"] {
            assert_eq!(Mark::read(bad), None, "{bad}");
        }
    }
}
