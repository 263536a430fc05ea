//! A job's checkpoint as a file.

use super::DeployRequest;
use std::fs::File;

/// A savepoint that was taken.
#[derive(Debug)]
pub struct TakenSavepoint {
    /// The job.
    pub job: String,
    /// The last batch that it has.
    pub batch: u64,
    /// The file, from its beginning. It has no name, and is gone once nobody has it.
    pub file: File,
    /// Its length.
    pub bytes: u64,
}

/// What is asked beside the savepoint itself, where a job begins from one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestoreRequest {
    /// As of a deploy. Settings are changes to those of the savepoint.
    pub deploy: DeployRequest,
    /// Exactly-once sinks may be given again what they hold from after the savepoint.
    pub repeat_rows: bool,
}
