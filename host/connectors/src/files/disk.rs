//! A folder of a local disk, or of one that is mounted.

use super::store::{Content, Store};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use streamhost_core::limits;

/// What is being written; readers of tables leave names out that begin with `_`.
const ASIDE: &str = "_aside";

/// Makes names of unfinished files differ within the process.
static UNFINISHED: AtomicU64 = AtomicU64::new(0);

/// The folder.
pub(super) struct Disk {
    root: PathBuf,
}

impl Disk {
    pub(super) fn new(root: &str) -> Disk {
        Disk { root: root.into() }
    }

    /// Writes what nobody sees yet, durably.
    fn aside(&self, name: &str, content: &mut Content<'_>) -> io::Result<Aside> {
        let folder = self.root.join(ASIDE);
        make_folder(&folder)?;
        // Two hosts that take each other for dead write to two files.
        let n = UNFINISHED.fetch_add(1, Ordering::Relaxed);
        let name = name.rsplit('/').next().unwrap_or(name);
        let path = folder.join(format!("{name}.{}-{n}", std::process::id()));
        let mut options = OpenOptions::new();
        let file = match options.write(true).create_new(true).open(&path) {
            Ok(file) => file,
            // A host of that number died here before, and its name is free.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                fs::remove_file(&path)?;
                options.open(&path)?
            }
            Err(error) => return Err(error),
        };
        let aside = Aside { path };
        let mut out = BufWriter::with_capacity(limits::FILES_WRITE_BYTES, file);
        content(&mut out)?;
        out.flush()?;
        out.get_ref().sync_all()?;
        Ok(aside)
    }
}

impl Store for Disk {
    fn open(&self, owner: &str) -> io::Result<()> {
        if !fs::metadata(&self.root)?.is_dir() {
            return Err(ErrorKind::NotADirectory.into());
        }
        let folder = self.root.join(ASIDE);
        make_folder(&folder)?;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(owner) {
                remove(&entry.path())?;
            }
        }
        // Rights, room, and whether names can be given once, are seen before the first rows.
        let probe = self.aside(&format!("{owner}probe"), &mut |_| Ok(()))?;
        let named = Aside {
            path: probe.path.with_extension("named"),
        };
        remove(&named.path)?;
        fs::hard_link(&probe.path, &named.path)
    }

    fn add(&self, name: &str, content: &mut Content<'_>) -> io::Result<()> {
        let path = self.root.join(name);
        let folder = path.parent().unwrap_or(&self.root);
        if !path.try_exists()? {
            let aside = self.aside(name, content)?;
            self.make_folders(name)?;
            // A rename would take the place of what is there.
            match fs::hard_link(&aside.path, &path) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        // Also where it was there: who gave it its name may have died before this.
        sync(folder)
    }

    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match File::open(self.root.join(name)) {
            Ok(file) => {
                let mut content = Vec::new();
                let most = limits::FILES_SCHEMA_BYTES_MAX as u64 + 1;
                io::Read::read_to_end(&mut io::Read::take(file, most), &mut content)?;
                Ok(Some(content))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn replace(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let aside = self.aside(name, &mut |out| out.write_all(content))?;
        fs::rename(&aside.path, self.root.join(name))?;
        sync(&self.root)
    }
}

impl Disk {
    /// The folders of a name below the root, which itself is not made: a disk that is not mounted any
    /// more has none.
    fn make_folders(&self, name: &str) -> io::Result<()> {
        let mut folder = self.root.clone();
        let mut parts: Vec<&str> = name.split('/').collect();
        parts.pop();
        for part in parts {
            let above = folder.clone();
            folder.push(part);
            if make_folder(&folder)? {
                sync(&above)?;
            }
        }
        Ok(())
    }
}

/// A file that is not finished, which goes with whoever writes it.
struct Aside {
    path: PathBuf,
}

impl Drop for Aside {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path) {
            let path = self.path.display();
            tracing::warn!("{path} stays behind, and goes when the sink is opened again: {error}");
        }
    }
}

/// Makes a folder in one that is there; `false`: it was there.
fn make_folder(path: &Path) -> io::Result<bool> {
    match fs::create_dir(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes the names in a folder durable.
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
