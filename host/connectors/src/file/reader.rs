//! Lines of one open file, plain or compressed.

use super::gzip::Members;
use super::mark::Mark;
use crate::lines::{Line, Lines};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use streamhost_core::types::Offset;

/// How a file's content is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Plain,
    Gzip,
    Zstd,
}

impl Form {
    /// By the name's ending.
    pub(super) fn of(path: &Path) -> Form {
        match path.extension().map(|ending| ending.to_ascii_lowercase()) {
            Some(ending) if ending == "gz" => Form::Gzip,
            Some(ending) if ending == "zst" => Form::Zstd,
            _ => Form::Plain,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Form::Plain => "plain",
            Form::Gzip => "gzip",
            Form::Zstd => "zstd",
        }
    }
}

/// Why a file cannot be read on.
#[derive(Debug)]
pub(super) enum Fault {
    /// The system says so.
    Io(io::Error),
    /// Its content ends before the position that was asked for.
    Short,
    /// Its compressed data stop in the middle.
    Unfinished(String),
    /// Its compressed data cannot be.
    Damaged(String),
    /// Its text is in another encoding.
    Encoding(&'static str),
}

/// What was read from the disk, to say where damage is.
#[derive(Default)]
struct Meter {
    bytes: AtomicU64,
    has_failed: AtomicBool,
}

struct Metered {
    file: File,
    meter: Arc<Meter>,
}

impl Read for Metered {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(into);
        match &read {
            Ok(n) => drop(self.meter.bytes.fetch_add(*n as u64, Ordering::Relaxed)),
            Err(error) => self.meter.has_failed.store(
                error.kind() != io::ErrorKind::Interrupted,
                Ordering::Relaxed,
            ),
        }
        read
    }
}

/// An open file. Positions are those of its uncompressed content.
pub(super) struct Reader {
    form: Form,
    /// The same open file, to look at beside what is read.
    file: File,
    lines: Lines<Box<dyn Read + Send>>,
    meter: Arc<Meter>,
}

impl Reader {
    /// Opens a file at a position: a plain one goes there at once, a compressed one is read from
    /// its begin.
    pub(super) fn open(path: &Path, form: Form, at: Offset) -> Result<Reader, Fault> {
        let mut file = File::open(path).map_err(Fault::Io)?;
        let length = file.metadata().map_err(Fault::Io)?.len();
        let meter = Arc::new(Meter::default());
        if form == Form::Plain {
            let at_bytes = u64::try_from(at).unwrap_or(0);
            if at_bytes > length {
                return Err(Fault::Short);
            }
            file.seek(SeekFrom::Start(at_bytes)).map_err(Fault::Io)?;
        }
        let beside = file.try_clone().map_err(Fault::Io)?;
        let metered = Metered {
            file,
            meter: meter.clone(),
        };
        let input: Box<dyn Read + Send> = match form {
            Form::Plain => Box::new(metered),
            Form::Gzip | Form::Zstd if length == 0 => Box::new(io::empty()),
            Form::Gzip => Box::new(Members::new(metered)),
            Form::Zstd => Box::new(zstd::stream::read::Decoder::new(metered).map_err(Fault::Io)?),
        };
        let begin = if form == Form::Plain { at } else { 0 };
        let mut reader = Reader {
            form,
            file: beside,
            lines: Lines::new(input, begin),
            meter,
        };
        match reader.lines.skip_to(at) {
            Ok(true) => Ok(reader),
            Ok(false) => Err(Fault::Short),
            Err(error) => Err(reader.fault(error)),
        }
    }

    /// Where the next line begins.
    pub(super) fn at(&self) -> Offset {
        self.lines.at()
    }

    /// What the file is known by where it is read now.
    pub(super) fn mark(&self) -> io::Result<Option<Mark>> {
        Mark::of(&self.file, self.form, self.at())
    }

    /// Whether it may be the file of this mark.
    pub(super) fn fits(&self, mark: &Mark) -> io::Result<bool> {
        mark.fits(&self.file, self.form, self.at())
    }

    /// The next line; none: the file has no more now. With `last`, what is left without a line end
    /// is a line too.
    pub(super) fn next(&mut self, last: bool) -> Result<Option<Line<'_>>, Fault> {
        while !self.lines.has_line() {
            match self.lines.fill() {
                Ok(0) if last => return self.lines.rest().map(text).transpose(),
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(error) => return Err(self.fault(error)),
            }
        }
        self.lines.take().map(text).transpose()
    }

    fn fault(&self, error: io::Error) -> Fault {
        if self.form == Form::Plain || self.meter.has_failed.load(Ordering::Relaxed) {
            return Fault::Io(error);
        }
        let (form, near) = (self.form.name(), self.meter.bytes.load(Ordering::Relaxed));
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Fault::Unfinished(format!(
                "its {form} data stop in the middle, after byte {near}: it was not written whole"
            )),
            _ => Fault::Damaged(format!(
                "its {form} data are damaged before byte {near}: {error}"
            )),
        }
    }
}

/// A line of text. The mark that spreadsheets and editors put before UTF-8 is no part of a file's
/// first line; with the mark of another encoding a file would be read as something else.
fn text(mut line: Line<'_>) -> Result<Line<'_>, Fault> {
    if line.at == 0 {
        match line.bytes {
            [0xef, 0xbb, 0xbf, rest @ ..] => line.bytes = rest,
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => return Err(Fault::Encoding("UTF-16")),
            _ => {}
        }
    }
    Ok(line)
}

/// The position after the last line of a file that is read now: after its last line end, or its
/// very end where what is left without one is a line too (`last`).
pub(super) fn end(path: &Path, form: Form, last: bool) -> Result<Offset, Fault> {
    if form == Form::Plain {
        return plain_end(path, last).map_err(Fault::Io);
    }
    let mut reader = Reader::open(path, form, 0)?;
    while reader.next(last)?.is_some() {}
    Ok(reader.at())
}

fn plain_end(path: &Path, last: bool) -> io::Result<Offset> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut block = vec![0; streamhost_core::limits::LINES_READ_BYTES];
    let mut to = length;
    while !last && to > 0 {
        let from = to.saturating_sub(block.len() as u64);
        let part = &mut block[..(to - from) as usize];
        file.seek(SeekFrom::Start(from))?;
        file.read_exact(part)?;
        if let Some(n) = memchr::memrchr(b'\n', part) {
            return Ok((from + n as u64 + 1) as Offset);
        }
        to = from;
    }
    Ok(if last { length as Offset } else { 0 })
}
