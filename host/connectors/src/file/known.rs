//! What is known of the files, as one look after the other finds them.

use super::errors::{io_error, refused};
use super::{FileSource, folder, reader};
use crate::file::folder::{FoundFile, Unlisted};
use crate::file::reader::Form;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use streamhost_core::clock;
use streamhost_core::types::{Offset, Positions};
use streamhost_engine::source::{Loss, SourceError};

/// What is known of a file.
pub(super) struct KnownFile {
    pub(super) found: FoundFile,
    pub(super) form: Form,
    /// Where its lines were seen to end, as long as it does not change.
    pub(super) end: Option<Offset>,
    /// It is no longer there, as it was removed or replaced. Whoever holds it open reads it to its
    /// end all the same.
    pub(super) gone: Option<Loss>,
    /// The file that has its name now. It is read once the job forgets the position in this one, or
    /// if nothing of this one was read.
    pub(super) newer: Option<FoundFile>,
    /// The log says that it is not whole.
    pub(super) is_told: bool,
}

impl KnownFile {
    /// It ends in the middle of something for now, as `words` say; told once.
    pub(super) fn stands_at(&mut self, end: Offset, words: &str) {
        if !self.is_told {
            let path = self.found.path.display();
            tracing::warn!("file {path}: {words}; it is read on once it changes");
        }
        (self.end, self.is_told) = (Some(end), true);
    }

    fn new(found: FoundFile) -> KnownFile {
        let form = Form::of(&found.path);
        KnownFile {
            found,
            form,
            end: None,
            gone: None,
            newer: None,
            is_told: false,
        }
    }

    /// Whether nothing more comes of it for a job that stands here.
    pub(super) fn is_exhausted(&self, at: Offset) -> bool {
        self.gone.is_some() && self.end.is_some_and(|end| end <= at)
    }
}

impl FileSource {
    /// Finds the files that there are: once, or again and again if they are followed.
    pub(super) fn look(&mut self) -> Result<(), SourceError> {
        if self.looked.is_some() && !self.is_followed {
            return Ok(());
        }
        self.is_listed = false;
        let found = self.list()?;
        self.is_listed = true;
        self.is_bare = found.is_empty();
        let mut before: BTreeMap<i32, KnownFile> = self
            .files
            .drain(..)
            .map(|known| (known.found.id, known))
            .collect();
        for found in found {
            let known = match before.remove(&found.id) {
                Some(known) => self.again(known, found),
                None => {
                    self.has_news = true;
                    KnownFile::new(found)
                }
            };
            self.files.push(known);
        }
        for known in before.into_values() {
            let known = self.went(known, None);
            self.files.push(known);
        }
        self.sort();
        if self.looked.is_none() {
            self.note_ends()?;
            if self.files.is_empty() {
                tracing::warn!("folder {} has no files to read", self.place.display());
            }
        }
        self.looked = Some(clock::monotonic());
        Ok(())
    }

    fn list(&self) -> Result<Vec<FoundFile>, SourceError> {
        let is_alone = |known: &KnownFile| known.found.path == self.place;
        match folder::list(&self.place) {
            Ok(found) => Ok(found),
            // A followed file may be away between two of its name.
            Err(Unlisted::Io(path, error))
                if error.kind() == ErrorKind::NotFound
                    && path == self.place
                    && self.files.iter().any(is_alone) =>
            {
                Ok(Vec::new())
            }
            Err(Unlisted::Io(path, error)) => Err(io_error(&path, error)),
            Err(Unlisted::Senseless(reason)) => Err(refused("folder", &self.place, reason)),
        }
    }

    /// A name that was there before.
    fn again(&mut self, known: KnownFile, found: FoundFile) -> KnownFile {
        if !known.found.is_same_file(&found) {
            return self.went(known, Some(found));
        }
        let (gone, newer) = (None, None);
        if (known.found.bytes, known.found.time_ms) == (found.bytes, found.time_ms) {
            return KnownFile {
                gone,
                newer,
                ..known
            };
        }
        if known.form != Form::Plain {
            self.open.retain(|(id, _)| *id != found.id); // its data may be others now
        }
        KnownFile {
            found,
            end: None,
            gone,
            newer,
            ..known
        }
    }

    /// A file that is no longer there, with what has its name now.
    fn went(&mut self, known: KnownFile, newer: Option<FoundFile>) -> KnownFile {
        let id = known.found.id;
        let is_first = known.gone.is_none();
        // It may have grown between the last look and its end.
        let end = known
            .end
            .filter(|_| !is_first || self.open.iter().all(|(open, _)| *open != id));
        self.has_news |= end.is_some() && (is_first || known.newer.is_none() && newer.is_some());
        let loss = if newer.is_some() {
            Loss::FileReplaced
        } else {
            Loss::FileMissing
        };
        KnownFile {
            gone: Some(loss),
            newer,
            end,
            ..known
        }
    }

    /// Lines up what is known for those who look for a file by its number.
    fn sort(&mut self) {
        self.files.sort_by(|a, b| a.found.path.cmp(&b.found.path));
        self.by_id = self
            .files
            .iter()
            .enumerate()
            .map(|(i, known)| (known.found.id, i))
            .collect();
        self.by_id.sort_unstable();
    }

    /// Files that may grow, and are to be read to their ends, are read to the ends that they have
    /// now: to a line end, as the rest of a line may be under way.
    fn note_ends(&mut self) -> Result<(), SourceError> {
        for known in self
            .files
            .iter_mut()
            .filter(|known| self.grows && !self.is_followed && known.form == Form::Plain)
        {
            let end = reader::end(&known.found.path, known.form, false);
            known.end = Some(end.map_err(|fault| super::error(&known.found.path, fault, 0))?);
        }
        Ok(())
    }

    /// Reads the file that has this one's name now, if nothing of this one was read.
    pub(super) fn begin_newer(&mut self, index: usize, at: Offset) {
        let known = &mut self.files[index];
        if at == 0
            && let Some(newer) = known.newer.take()
        {
            self.open.retain(|(id, _)| *id != newer.id);
            *known = KnownFile::new(newer);
        }
    }

    /// Forgets files that are no longer there, once the job has no position in them: or a folder's
    /// past would pile up.
    pub(super) fn forget_gone(&mut self, at: &Positions) {
        let mut kept = Vec::new();
        for mut known in self.files.drain(..) {
            if known.gone.is_none() || at.contains_key(&super::partition(self.source, &known)) {
                kept.push(known);
                continue;
            }
            self.open.retain(|(id, _)| *id != known.found.id);
            if let Some(newer) = known.newer.take() {
                self.has_news = true;
                kept.push(KnownFile::new(newer));
            }
        }
        self.files = kept;
        self.sort();
    }
}
