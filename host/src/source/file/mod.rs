//! Lines of a file, or of all plain files of a folder: not of those below it, nor of hidden ones, nor of those whose
//! names end in `.tmp` or `.part`, as they are still being written. `.gz` and `.zst` files are uncompressed.
//!
//! A file is a partition; its number follows from its name alone, and offsets are the positions of lines in its
//! uncompressed content. A record's time is when the file was last changed. A line longer than
//! [`limits::LINE_BYTES_MAX`] becomes several records, and the log says so.
//!
//! Unless it is followed, a source has the files that it finds at first, is read to its end, and must not change
//! meanwhile, as a batch that is run again reads it again. Followed, new lines and new files are taken as they come;
//! times change as files grow, so the lines of a batch are kept with its plan. A file may be taken away once it was read
//! to its end.

mod folder;
mod reader;

use super::{Loss, Source, SourceError, Start};
use crate::batch::Gather;
use crate::clock;
use crate::job::SourcePlan;
use crate::limits;
use crate::record::{Offset, Partition, Positions, Record};
use folder::{Found, Unlisted};
use reader::{Fault, Form, Reader};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, UNIX_EPOCH};

/// Reads lines of files.
pub struct FileSource {
    source: u16,
    place: PathBuf,
    is_followed: bool,
    is_table: bool,
    /// By name; those that went since they were found too.
    files: Vec<Known>,
    looked: Option<Instant>,
    has_news: bool,
    assigned: Positions,
    /// The files that are open, the one used last at the end.
    open: VecDeque<(i32, Reader)>,
    /// The file whose turn it is, by its place in `files`.
    turn: usize,
    has_cut: bool,
}

/// What is known of a file.
struct Known {
    found: Found,
    form: Form,
    /// Where its lines were seen to end, as long as it does not change.
    end: Option<Offset>,
    /// It is no longer there.
    is_gone: bool,
    /// The log says that it is not whole.
    is_told: bool,
}

impl FileSource {
    /// The job's source of this number. `until_end`: a followed one, too, ends at its end.
    pub fn new(source: u16, plan: &SourcePlan, until_end: bool) -> Self {
        FileSource {
            source,
            place: PathBuf::from(&plan.place),
            is_followed: plan.follow && !until_end,
            is_table: plan.table,
            files: Vec::new(),
            looked: None,
            has_news: false,
            assigned: Positions::new(),
            open: VecDeque::new(),
            turn: 0,
            has_cut: false,
        }
    }

    fn partition(&self, id: i32) -> Partition {
        Partition { source: self.source, id }
    }

    fn known(&self) -> impl Iterator<Item = &Known> {
        self.files.iter().filter(|file| !file.is_gone)
    }

    /// Finds the files that there are: once, or again and again if they are followed.
    fn look(&mut self) -> Result<(), SourceError> {
        if self.looked.is_some() && !self.is_followed {
            return Ok(());
        }
        let found = folder::list(&self.place).map_err(|unlisted| match unlisted {
            Unlisted::Io(path, error) => io_error(&path, error),
            Unlisted::Senseless(reason) => {
                SourceError::Refused { what: "folder", place: self.place.display().to_string(), reason }
            }
        })?;
        let mut before: BTreeMap<i32, Known> = self.files.drain(..).map(|known| (known.found.id, known)).collect();
        for found in found {
            let known = before.remove(&found.id);
            self.has_news |= known.is_none();
            let is_same = |known: &Known| (known.found.bytes, known.found.time_ms) == (found.bytes, found.time_ms);
            match known {
                Some(known) if is_same(&known) => self.files.push(Known { is_gone: false, ..known }),
                changed => {
                    let form = Form::of(&found.path);
                    if form != Form::Plain {
                        self.open.retain(|(id, _)| *id != found.id); // its data may be others now
                    }
                    let is_told = changed.is_some_and(|known| known.is_told);
                    self.files.push(Known { found, form, end: None, is_gone: false, is_told });
                }
            }
        }
        self.files.extend(before.into_values().map(|known| Known { is_gone: true, ..known }));
        self.files.sort_by(|a, b| a.found.path.cmp(&b.found.path));
        if self.files.is_empty() && self.looked.is_none() {
            tracing::warn!("folder {} has no files to read", self.place.display());
        }
        self.looked = Some(clock::monotonic());
        Ok(())
    }

    /// Where a file's lines end now.
    fn end(&self, known: &Known) -> Result<Offset, SourceError> {
        if let Some(end) = known.end {
            return Ok(end);
        }
        let end = reader::end(&known.found.path, known.form, !self.is_followed);
        end.map_err(|fault| error(&known.found.path, fault, 0))
    }

    /// Appends what there is. Says whether the batch came further.
    fn take(&mut self, gather: &mut Gather) -> Result<bool, SourceError> {
        let mine = |(p, ..): &(Partition, Offset, Option<Offset>)| self.assigned.contains_key(p);
        let wanted: BTreeMap<i32, (Offset, Option<Offset>)> =
            gather.wanted().filter(mine).map(|(p, at, until)| (p.id, (at, until))).collect();
        self.check_missing(&wanted)?;
        let mut moved = false;
        for _ in 0..self.files.len() {
            if gather.is_full() {
                break;
            }
            self.turn %= self.files.len();
            let known = &self.files[self.turn];
            match wanted.get(&known.found.id) {
                Some(&(at, until)) if until.is_some() || known.end.is_none_or(|end| at < end) => {
                    let (to, is_done) = self.read(self.turn, at, until, gather)?;
                    moved |= to > at;
                    if !is_done {
                        break; // the batch is full, and the next one goes on here
                    }
                }
                _ => {}
            }
            self.turn += 1;
        }
        Ok(moved)
    }

    /// A file that is not there at all cannot be read again; and whoever read it to an end once need not.
    fn check_missing(&self, wanted: &BTreeMap<i32, (Offset, Option<Offset>)>) -> Result<(), SourceError> {
        let there: BTreeSet<i32> = self.files.iter().map(|known| known.found.id).collect();
        let lost = wanted.iter().find(|(id, (_, until))| until.is_some() && !there.contains(id));
        match lost {
            Some((id, (at, _))) => Err(SourceError::Gone {
                what: format!("file number {id} of `{}`", self.place.display()),
                offset: *at,
                reason: Loss::FileMissing,
            }),
            None => Ok(()),
        }
    }

    /// Reads a file on. Returns how far it came, and whether it is the next one's turn.
    fn read(
        &mut self,
        index: usize,
        at: Offset,
        until: Option<Offset>,
        gather: &mut Gather,
    ) -> Result<(Offset, bool), SourceError> {
        let (id, path) = (self.files[index].found.id, self.files[index].found.path.clone());
        let (partition, time_ms) = (self.partition(id), self.files[index].found.time_ms);
        let form = self.files[index].form;
        let mut reader = self.reader(index, at)?;
        let enough = match (until, self.is_followed) {
            (Some(until), _) => until,
            (None, true) if form == Form::Plain => at.saturating_add(limits::FILE_TURN_BYTES),
            (None, _) => Offset::MAX, // one after the other, as a compressed file is best read in one go
        };
        let outcome = loop {
            if gather.is_full() || reader.at() >= enough {
                break Ok(None);
            }
            match reader.next(!self.is_followed) {
                Ok(Some(line)) => {
                    gather.push(partition, Record { offset: line.at, time_ms, key: None, value: Some(line.bytes) });
                    if line.is_cut && !self.has_cut {
                        self.has_cut = true;
                        let (path, most) = (path.display(), limits::LINE_BYTES_MAX);
                        tracing::warn!("file {path} has a line of more than {most} bytes: such become several records");
                    }
                }
                Ok(None) => break Ok(Some(reader.at())),
                Err(fault) => break Err(fault),
            }
        };
        let to = reader.at();
        gather.passed(partition, to);
        let known = &mut self.files[index];
        match outcome {
            Ok(None) => {
                let is_done = reader.at() >= enough;
                self.keep_open(id, reader);
                return Ok((to, is_done));
            }
            Ok(Some(end)) => known.end = Some(end),
            Err(Fault::Unfinished(words)) if self.is_followed => {
                if !known.is_told {
                    tracing::warn!("file {}: {words}; it is read on once it changes", path.display());
                }
                (known.end, known.is_told) = (Some(to), true);
            }
            Err(fault) => return Err(error(&path, fault, to)),
        }
        if until.is_some_and(|until| to < until) {
            return Err(gone(&path, to, Loss::FileShort));
        }
        if self.is_followed && form == Form::Plain {
            self.keep_open(id, reader);
        }
        Ok((to, true))
    }

    /// The file at this position.
    fn reader(&mut self, index: usize, at: Offset) -> Result<Reader, SourceError> {
        let known = &self.files[index];
        let path = &known.found.path;
        let held = self.open.iter().position(|(id, _)| *id == known.found.id).and_then(|i| self.open.remove(i));
        if known.is_gone {
            return Err(gone(path, at, Loss::FileMissing));
        }
        let is_short = |path: &Path| std::fs::metadata(path).is_ok_and(|file| file.len() < at as u64);
        match held {
            Some((_, reader)) if reader.at() == at => {
                if known.form == Form::Plain && is_short(path) {
                    return Err(gone(path, at, Loss::FileShort));
                }
                Ok(reader)
            }
            _ => Reader::open(path, known.form, at).map_err(|fault| error(path, fault, at)),
        }
    }

    fn keep_open(&mut self, id: i32, reader: Reader) {
        self.open.push_back((id, reader));
        if self.open.len() > limits::FILES_OPEN_MAX {
            self.open.pop_front();
        }
    }
}

impl Source for FileSource {
    fn partitions(&mut self) -> Result<Vec<Partition>, SourceError> {
        self.look()?;
        self.has_news = false;
        Ok(self.known().map(|known| self.partition(known.found.id)).collect())
    }

    fn start(&mut self, start: Start) -> Result<Positions, SourceError> {
        self.look()?;
        let mut all = Positions::new();
        for known in self.known() {
            let from_begin = match start {
                _ if self.is_table => true,
                Start::Earliest => true,
                Start::Latest => false,
                Start::At(time) => {
                    let ms = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
                    known.found.time_ms >= i64::try_from(ms).unwrap_or(i64::MAX)
                }
            };
            all.insert(self.partition(known.found.id), if from_begin { 0 } else { self.end(known)? });
        }
        Ok(all)
    }

    fn table_ends(&mut self) -> Result<Positions, SourceError> {
        if !self.is_table {
            return Ok(Positions::new());
        }
        self.look()?;
        self.known().map(|known| Ok((self.partition(known.found.id), self.end(known)?))).collect()
    }

    fn group(&mut self) -> Result<Positions, SourceError> {
        Ok(Positions::new())
    }

    fn has_new_partitions(&self) -> bool {
        self.has_news
    }

    fn assign(&mut self, at: &Positions) -> Result<(), SourceError> {
        self.look()?;
        let mine = at.iter().filter(|(partition, _)| partition.source == self.source);
        let at: Positions = mine.map(|(&partition, &at)| (partition, at)).collect();
        let there: BTreeSet<i32> = self.files.iter().map(|known| known.found.id).collect();
        let went = at.keys().filter(|p| !there.contains(&p.id) && !self.assigned.contains_key(p)).count();
        if went > 0 {
            let place = self.place.display();
            tracing::warn!(
                "{went} files of `{place}` that the job knows are not there any more; whatever it has not read of them is not read"
            );
        }
        let source = self.source;
        let is_read = |known: &Known| {
            let at = at.get(&Partition { source, id: known.found.id });
            at.is_some_and(|at| known.end.is_some_and(|end| end <= *at))
        };
        self.files.retain(|known| !known.is_gone || !is_read(known)); // or a folder's past would pile up
        self.assigned = at;
        Ok(())
    }

    fn fetch(&mut self, gather: &mut Gather, wait: Duration) -> Result<(), SourceError> {
        let deadline = clock::monotonic() + wait;
        while !gather.is_full() {
            let next_look = self.looked.map(|looked| looked + limits::FILE_LOOK_TIME);
            if next_look.is_none_or(|next| self.is_followed && clock::monotonic() >= next) {
                self.look()?;
            }
            let left = deadline.saturating_duration_since(clock::monotonic());
            if self.take(gather)? || left.is_zero() {
                break;
            }
            std::thread::sleep(left.min(limits::FILE_LOOK_TIME)); // nobody tells when a file grows
        }
        Ok(())
    }

    fn ends(&mut self) -> Positions {
        let mut ends = self.assigned.clone(); // of a file that went before this process: where the job stands
        for known in &self.files {
            let partition = self.partition(known.found.id);
            match known.end.or((known.form == Form::Plain).then_some(known.found.bytes)) {
                Some(end) if ends.contains_key(&partition) => drop(ends.insert(partition, end)),
                Some(_) => {}
                None => drop(ends.remove(&partition)), // only known once it is uncompressed
            }
        }
        ends
    }

    fn replays(&self, _source: u16) -> bool {
        !self.is_followed
    }

    fn is_over(&self, at: &Positions) -> bool {
        let is_read = |known: &Known| {
            let at = at.get(&self.partition(known.found.id));
            at.is_some_and(|at| known.end.is_some_and(|end| end <= *at))
        };
        !self.is_followed && self.looked.is_some() && self.known().all(is_read)
    }

    fn tell_group(&mut self, _reached: &Positions) {}
}

fn gone(path: &Path, offset: Offset, reason: Loss) -> SourceError {
    SourceError::Gone { what: format!("file `{}`", path.display()), offset, reason }
}

fn error(path: &Path, fault: Fault, at: Offset) -> SourceError {
    let refused = |reason| SourceError::Refused { what: "file", place: path.display().to_string(), reason };
    match fault {
        Fault::Io(error) if error.kind() == ErrorKind::NotFound => gone(path, at, Loss::FileMissing),
        Fault::Io(error) => io_error(path, error),
        Fault::Short => gone(path, at, Loss::FileShort),
        Fault::Unfinished(reason) | Fault::Damaged(reason) => refused(reason),
    }
}

/// What the system says of a path. What may mend itself is tried again.
fn io_error(path: &Path, error: io::Error) -> SourceError {
    let shown = path.display().to_string();
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => SourceError::PathMissing { path: shown },
        ErrorKind::PermissionDenied => {
            let reason = "the host's user has no permission for it".to_owned();
            SourceError::Refused { what: "file", place: shown, reason }
        }
        ErrorKind::IsADirectory | ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::Unsupported => {
            SourceError::Refused { what: "file", place: shown, reason: error.to_string() }
        }
        _ => SourceError::Away { server: "file", address: shown, reason: error.to_string() },
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
