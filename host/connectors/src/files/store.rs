//! Where files go. A local disk is the one place so far; what a place must be able to do is this trait.

use std::io::{self, Write};

/// Writes a file's content.
pub(super) type Content<'a> = dyn FnMut(&mut dyn Write) -> io::Result<()> + 'a;

/// A folder of files that readers may look into at any time.
pub(super) trait Store: Send {
    /// It is there, can be written, and can give a file a name only once. What this owner left behind
    /// unfinished goes.
    ///
    /// # Errors
    /// The system's.
    fn open(&self, owner: &str) -> io::Result<()>;

    /// Adds a file under a name with `/` between its folders, whole or not at all. One that is there
    /// stays as it is.
    ///
    /// # Errors
    /// The system's; nothing is known then, and the same may be tried again.
    fn add(&self, name: &str, content: &mut Content<'_>) -> io::Result<()>;

    /// A small file of the folder itself; none: it is not there.
    ///
    /// # Errors
    /// The system's.
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>>;

    /// Puts a small file in the place of the one of its name, whole or not at all.
    ///
    /// # Errors
    /// The system's.
    fn replace(&self, name: &str, content: &[u8]) -> io::Result<()>;
}
