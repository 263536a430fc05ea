//! What runs a version: its guests, spread over lanes. A guest that breaks is replaced, and what
//! broke it is set aside.
//!
//! ```text
//! batch ─► chunks, groups ─► lanes ─► a lane's guest ─► answer, checked ─► taken
//!          lanes, group_calls  lane, its halves                           stages, groups
//! ```

mod lines;
mod version;
mod large;
mod lane;
mod lanes;
mod stages;
mod groups;
mod group_calls;
mod canary;

pub use canary::{CanaryLanes, CanaryQuarantines, SideFigures, SideLanes};
pub use group_calls::GuestCalls;
pub use lanes::{LaneFigures, Lanes, VersionLanes};
pub use large::{LargeBatches, LargeTurn};
pub use lines::{LinesLeft, LogSink};
pub use streamhost_core::executor::RunTimes;
pub use version::{CallLimits, Guest, GuestVersion, Maker};

/// Hears when a batch begins to wait for its turn (true) and when it goes on.
pub type TellsWait = std::sync::Arc<dyn Fn(bool) + Send + Sync>;
