//! Lines of a file, or of all plain files of a folder: not of those below it, nor of hidden ones,
//! nor of those whose names end in `.tmp` or `.part`, as they are still being written. `.gz` and
//! `.zst` files are uncompressed.
//!
//! A file is a partition; its number follows from its name alone, and offsets are the positions of
//! lines in its uncompressed content. A record's time is when the file was last changed. A line
//! longer than [`limits::LINE_BYTES_MAX`] becomes several records, and the log says so.
//!
//! Beside a position in a file stands a digest of what was read before it ([`mark`]): a file that is
//! put under the name of another one, or truncated and written anew, is not read on from there, in
//! this life of the host or a later one.
//!
//! Unless it is followed, a source has the files that it finds at first, is read to its end, and
//! must not change meanwhile, as a batch that is run again reads it again. Followed, new lines and
//! new files are taken as they come; times change as files grow, so the lines of a batch are kept
//! with its spec.
//!
//! A followed file may be taken away once it was read to its end. Its position is forgotten then,
//! and a file that comes under its name is a new one. So a log may be rotated by giving it another
//! name outside of the folder, or one that is not read there: under a name that is read it is a new
//! file, and is read again. One of the same name is told from the one before where the file system
//! says when a file was made, and for as long as this process lives: what is written to the older
//! one after a look has found the newer is not read.

mod folder;
mod known;
mod reader;
mod gzip;
mod mark;
mod errors;
mod connector;

pub(crate) use connector::CONNECTOR;

use crate::lines::Line;
use errors::{error, gone};
use known::KnownFile;
use mark::Mark;
use reader::{Fault, Form, Reader};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, UNIX_EPOCH};
use streamhost_core::job::SourceSpec;
use streamhost_core::job::settings::StartPosition;
use streamhost_core::types::{Marks, Offset, Partition, Positions, Record};
use streamhost_core::{clock, limits};
use streamhost_engine::batch::BatchBuilder;
use streamhost_engine::source::{Loss, Source, SourceError};

/// Reads lines of files.
pub struct FileSource {
    source: u16,
    place: PathBuf,
    /// It is looked at again and again.
    is_followed: bool,
    /// Its files may grow, whether it is looked at or not.
    grows: bool,
    is_table: bool,
    /// By name; those that went since they were found too.
    files: Vec<KnownFile>,
    /// The files' numbers, in their order, with their places in `files`.
    by_id: Vec<(i32, usize)>,
    looked: Option<Instant>,
    /// The last look succeeded, and whether it found no file at all.
    is_listed: bool,
    is_bare: bool,
    /// Files came or are over that nobody was told of.
    has_news: bool,
    assigned: Positions,
    /// What files are known by at the positions that were read to, by their numbers.
    marks: BTreeMap<i32, Mark>,
    /// The files that are open, the one used last at the end.
    open: VecDeque<(i32, Reader)>,
    /// The file whose turn it is, by its place in `files`.
    turn: usize,
    has_cut: bool,
}

/// A file that has something for a batch: its place in `files`, and how far the batch has come in
/// it.
struct ToDo {
    index: usize,
    at: Offset,
    until: Option<Offset>,
}

impl FileSource {
    /// The job's source of this number. `until_end`: a followed one, too, ends: at the end that it
    /// has at first.
    pub fn new(source: u16, spec: &SourceSpec, until_end: bool) -> Self {
        let grows = spec.options.is_on("follow");
        FileSource {
            source,
            place: PathBuf::from(&spec.target),
            is_followed: grows && !until_end,
            grows,
            is_table: spec.table,
            files: Vec::new(),
            by_id: Vec::new(),
            looked: None,
            is_listed: false,
            is_bare: false,
            has_news: false,
            assigned: Positions::new(),
            marks: BTreeMap::new(),
            open: VecDeque::new(),
            turn: 0,
            has_cut: false,
        }
    }

    fn partition(&self, known: &KnownFile) -> Partition {
        partition(self.source, known)
    }

    fn known(&self) -> impl Iterator<Item = &KnownFile> {
        self.files.iter().filter(|file| file.gone.is_none())
    }

    /// Where a file's lines end now.
    fn end(&self, known: &KnownFile) -> Result<Offset, SourceError> {
        if let Some(end) = known.end {
            return Ok(end);
        }
        let end = reader::end(&known.found.path, known.form, !self.is_followed);
        end.map_err(|fault| error(&known.found.path, fault, 0))
    }

    /// Appends what there is. Says whether the batch came further.
    fn take(&mut self, builder: &mut BatchBuilder) -> Result<bool, SourceError> {
        let steps = builder.steps();
        for ToDo { index, at, until } in self.to_do(builder)? {
            if builder.is_full() {
                break;
            }
            self.begin_newer(index, at);
            self.turn = index;
            if !self.read(index, at, until, builder)? {
                break; // the batch is full, and the next one goes on here
            }
            self.turn = index + 1;
        }
        Ok(builder.steps() > steps)
    }

    /// The files that have something for the batch, the one whose turn it is first. Every file is
    /// looked at each time, so both lists are gone through side by side.
    fn to_do(&self, builder: &BatchBuilder) -> Result<Vec<ToDo>, SourceError> {
        let mut all = Vec::new();
        let mut by_id = self.by_id.iter().peekable();
        for (partition, at, until) in builder.wanted_of(self.source) {
            while by_id.next_if(|(id, _)| *id < partition.id).is_some() {}
            let known = by_id
                .peek()
                .filter(|(id, _)| *id == partition.id)
                .map(|&&(_, index)| index);
            let has_more = |index: usize| {
                let known = &self.files[index];
                until.is_some()
                    || known.end.is_none_or(|end| at < end)
                    || (at == 0 && known.newer.is_some())
            };
            match known {
                Some(index) if has_more(index) && self.assigned.contains_key(&partition) => {
                    all.push(ToDo { index, at, until });
                }
                // It cannot be read again. Whoever read it to an end once need not.
                None if until.is_some() && self.assigned.contains_key(&partition) => {
                    let what =
                        format!("file number {} of `{}`", partition.id, self.place.display());
                    return Err(SourceError::Gone {
                        what,
                        offset: at,
                        reason: Loss::FileMissing,
                    });
                }
                _ => {}
            }
        }
        all.sort_unstable_by_key(|to_do| (to_do.index < self.turn, to_do.index));
        Ok(all)
    }

    /// Reads a file on. True: it is the next one's turn.
    fn read(
        &mut self,
        index: usize,
        at: Offset,
        until: Option<Offset>,
        builder: &mut BatchBuilder,
    ) -> Result<bool, SourceError> {
        let known = &self.files[index];
        let (found, form) = (known.found.clone(), known.form);
        let (id, path, time_ms) = (found.id, found.path, found.time_ms);
        let partition = self.partition(known);
        let has_fixed_end = self.grows && !self.is_followed && form == Form::Plain;
        let bound = until.or(known.end.filter(|_| has_fixed_end));
        let mut reader = self.reader(index, at)?;
        let enough = match bound {
            Some(bound) => bound,
            None if self.is_followed && form == Form::Plain => {
                at.saturating_add(limits::FILE_TURN_BYTES)
            }
            None => Offset::MAX, // one after the other, as a compressed file is best read in one go
        };
        let mut has_split = false;
        let outcome = loop {
            if builder.is_full() || reader.at() >= enough {
                break Ok(None);
            }
            match reader.next(!self.is_followed) {
                Ok(Some(line)) => {
                    has_split |= line.is_cut;
                    builder.push(partition, record(&line, time_ms));
                }
                Ok(None) => break Ok(Some(reader.at())),
                Err(fault) => break Err(fault),
            }
        };
        if has_split && !std::mem::replace(&mut self.has_cut, true) {
            let (path, most) = (path.display(), limits::LINE_BYTES_MAX);
            tracing::warn!(
                "file {path} has a line of more than {most} bytes: such become several records"
            );
        }
        let to = reader.at();
        builder.passed(partition, to);
        // Where it cannot be read now, the mark of before says still what stands before it.
        if let Some(mark) = reader.mark().ok().flatten() {
            builder.mark(partition, mark.text());
            self.marks.insert(id, mark);
        }
        let known = &mut self.files[index];
        match outcome {
            Ok(None) => {
                let is_done = reader.at() >= enough;
                self.keep_open(id, reader);
                return Ok(is_done);
            }
            Ok(Some(end)) => known.end = Some(end),
            Err(Fault::Unfinished(words)) if self.is_followed => known.stands_at(to, &words),
            Err(fault) => return Err(error(&path, fault, to)),
        }
        if bound.is_some_and(|bound| to < bound) {
            return Err(gone(&path, to, Loss::FileShort));
        }
        if known.gone.is_some() {
            self.has_news = true; // it is over
        } else if self.is_followed && form == Form::Plain {
            self.keep_open(id, reader);
        }
        Ok(true)
    }

    /// The file at this position.
    fn reader(&mut self, index: usize, at: Offset) -> Result<Reader, SourceError> {
        let known = &self.files[index];
        let path = &known.found.path;
        let held = self
            .open
            .iter()
            .position(|(id, _)| *id == known.found.id)
            .and_then(|i| self.open.remove(i));
        if let Some(loss) = known.gone {
            let held = held
                .map(|(_, reader)| reader)
                .filter(|reader| reader.at() == at);
            return held.ok_or_else(|| gone(path, at, loss));
        }
        let is_short =
            |path: &Path| std::fs::metadata(path).is_ok_and(|file| file.len() < at as u64);
        match held {
            Some((_, reader)) if reader.at() == at => {
                if known.form == Form::Plain && is_short(path) {
                    return Err(gone(path, at, Loss::FileShort));
                }
                mark::recognized(&self.marks, known, reader)
            }
            _ => {
                let reader = Reader::open(path, known.form, at);
                let reader = reader.map_err(|fault| error(path, fault, at))?;
                mark::recognized(&self.marks, known, reader)
            }
        }
    }

    /// Files that went before this process could read them.
    fn tell_missing(&self, files: usize) {
        if files > 0 {
            let place = self.place.display();
            tracing::warn!(
                "{files} files of `{place}` that the job knows are not there any more; whatever it has not read of them is not read"
            );
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
        Ok(self.known().map(|known| self.partition(known)).collect())
    }

    fn start(&mut self, start: StartPosition) -> Result<Positions, SourceError> {
        self.look()?;
        let mut all = Positions::new();
        for known in self.known() {
            let from_begin = match start {
                _ if self.is_table => true,
                StartPosition::Earliest => true,
                StartPosition::Latest => false,
                StartPosition::At(time) => {
                    let ms = time
                        .duration_since(UNIX_EPOCH)
                        .map_or(0, |since| since.as_millis());
                    known.found.time_ms >= i64::try_from(ms).unwrap_or(i64::MAX)
                }
            };
            all.insert(
                self.partition(known),
                if from_begin { 0 } else { self.end(known)? },
            );
        }
        Ok(all)
    }

    fn high_watermarks(&mut self) -> Result<Positions, SourceError> {
        if !self.is_table {
            return Ok(Positions::new());
        }
        self.look()?;
        self.known()
            .map(|known| Ok((self.partition(known), self.end(known)?)))
            .collect()
    }

    fn group(&mut self) -> Result<Positions, SourceError> {
        Ok(Positions::new())
    }

    fn has_new_partitions(&self) -> bool {
        // Or whoever asks which they are would be refused, again and again.
        self.has_news && self.is_listed
    }

    fn finished_partitions(&self, at: &Positions) -> Vec<Partition> {
        if !self.is_followed || self.looked.is_none() || self.is_bare {
            return Vec::new(); // a folder without any file may be one that is not mounted
        }
        let known: BTreeMap<Partition, &KnownFile> = self
            .files
            .iter()
            .map(|known| (self.partition(known), known))
            .collect();
        let mine = at
            .iter()
            .filter(|(partition, _)| partition.source == self.source);
        let (over, went): (Vec<_>, Vec<_>) = mine
            .filter(|(partition, at)| {
                known
                    .get(partition)
                    .is_none_or(|known| known.is_exhausted(**at))
            })
            .map(|(&partition, _)| partition)
            .partition(|partition| known.contains_key(partition));
        self.tell_missing(went.len());
        [over, went].concat()
    }

    fn lost(&mut self, at: &Positions) -> Result<Positions, SourceError> {
        self.look()?;
        let is_short = |known: &&KnownFile| {
            // Of compressed data, those that are damaged are told of when they are read.
            let length = if known.form == Form::Plain {
                Some(known.found.bytes)
            } else {
                self.end(known).ok()
            };
            at.get(&self.partition(known)).is_some_and(|at| {
                length.is_some_and(|length| length < *at) || mark::is_other(&self.marks, known, *at)
            })
        };
        Ok(self
            .known()
            .filter(is_short)
            .map(|known| (self.partition(known), 0))
            .collect())
    }

    fn recognize(&mut self, marks: &Marks) {
        let own = marks.iter().filter(|(p, _)| p.source == self.source);
        let own = own.filter_map(|(p, text)| Some((p.id, Mark::read(text)?)));
        self.marks.extend(own);
    }

    fn assign(&mut self, at: &Positions) -> Result<(), SourceError> {
        self.look()?;
        let mine = at
            .iter()
            .filter(|(partition, _)| partition.source == self.source);
        let at: Positions = mine.map(|(&partition, &at)| (partition, at)).collect();
        let there: BTreeSet<Partition> = self
            .files
            .iter()
            .map(|known| self.partition(known))
            .collect();
        self.tell_missing(
            at.keys()
                .filter(|p| !there.contains(p) && !self.assigned.contains_key(p))
                .count(),
        );
        self.forget_gone(&at);
        self.assigned = at;
        Ok(())
    }

    fn fetch(&mut self, builder: &mut BatchBuilder, wait: Duration) -> Result<(), SourceError> {
        let deadline = clock::monotonic() + wait;
        while !builder.is_full() {
            let next_look = self.looked.map(|looked| looked + limits::FILE_LOOK_TIME);
            if next_look.is_none_or(|next| self.is_followed && clock::monotonic() >= next) {
                self.look()?;
            }
            let left = deadline.saturating_duration_since(clock::monotonic());
            if self.take(builder)? || left.is_zero() {
                break;
            }
            std::thread::sleep(left.min(limits::FILE_LOOK_TIME)); // nobody tells when a file grows
        }
        Ok(())
    }

    fn ends(&mut self) -> Positions {
        // Of a file that went before this process: where the job stands.
        let mut ends = self.assigned.clone();
        for known in &self.files {
            let partition = self.partition(known);
            match known
                .end
                .or((known.form == Form::Plain).then_some(known.found.bytes))
            {
                Some(end) if ends.contains_key(&partition) => drop(ends.insert(partition, end)),
                Some(_) => {}
                None => drop(ends.remove(&partition)), // only known once it is uncompressed
            }
        }
        ends
    }

    fn is_replayable(&self, _source: u16) -> bool {
        !self.grows
    }

    fn rereads(&self, _source: u16) -> bool {
        true
    }

    fn is_exhausted(&self, at: &Positions) -> bool {
        let is_read = |known: &KnownFile| {
            let at = at.get(&self.partition(known));
            at.is_some_and(|at| known.end.is_some_and(|end| end <= *at))
        };
        !self.is_followed && self.looked.is_some() && self.known().all(is_read)
    }

    fn commit_progress(&mut self, _reached: &Positions) {}
}

/// A line as a record of its file's time.
fn record<'a>(line: &Line<'a>, time_ms: i64) -> Record<'a> {
    Record {
        offset: line.at,
        time_ms,
        key: None,
        value: Some(line.bytes),
        headers: &[],
    }
}

fn partition(source: u16, known: &KnownFile) -> Partition {
    Partition {
        source,
        id: known.found.id,
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
