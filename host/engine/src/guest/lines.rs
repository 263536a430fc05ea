//! What a guest logs, bounded by batch.

use std::sync::Arc;
use streamhost_core::limits;

/// Where the lines go that a guest logs.
pub type LogSink = Arc<dyn Fn(tracing::Level, &str) + Send + Sync>;

/// How many lines a lane may still hand on for its batch.
#[derive(Debug)]
pub struct LinesLeft {
    /// Lines.
    pub lines: usize,
    /// The guest's log says already that others are left out.
    pub told: bool,
}

impl LinesLeft {
    /// Of lines that nobody is to hear: the same is asked again, and says them again.
    pub(super) fn none() -> LinesLeft {
        LinesLeft {
            lines: 0,
            told: true,
        }
    }
}

impl Default for LinesLeft {
    fn default() -> Self {
        LinesLeft {
            lines: limits::LOG_LINES_PER_BATCH_MAX,
            told: false,
        }
    }
}
