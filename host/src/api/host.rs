//! Where a host runs.

use std::path::PathBuf;

/// Where a host runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// Its data folder.
    pub data_dir: PathBuf,
    /// The servers that its configuration names: what each is, and its address.
    pub servers: Vec<(&'static str, String)>,
    /// Where the last hour's charts are kept; none: nowhere.
    pub series_file: Option<PathBuf>,
}
