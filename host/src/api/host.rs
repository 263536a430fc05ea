//! Where a host runs.

use std::path::PathBuf;
use streamhost_core::job::memory::HostMemory;

/// Where a host runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// Its data folder.
    pub data_dir: PathBuf,
    /// The servers that its configuration names: what each is, and its address.
    pub servers: Vec<(&'static str, String)>,
    /// Where the last hour's charts are kept; none: nowhere.
    pub series_file: Option<PathBuf>,
    /// What it and its jobs may take of memory.
    pub memory: HostMemory,
}
