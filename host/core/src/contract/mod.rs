//! What the host asks of a guest, what the guest answers, and what an answer must keep to.

mod calls;
mod processed;
mod text;
mod fault;
mod outcome;
mod quarantine;
pub mod render;
mod ahead;
mod answer;
mod validate;
mod slices;
mod digest;

pub use ahead::AheadRule;
pub use answer::{RowShape, take_unfit};
pub(crate) use answer::{check_ascending, check_column, check_rows};
pub use calls::{
    Calls, Combined, Finished, GroupFault, Groups, KeyItems, KeyOutcome, KeyTimes, Made, Moment,
    Pairs, Partials, Refusal,
};
pub use digest::RowDigest;
pub use fault::{GuestFault, VersionFault};
pub use outcome::{Answer, ChunkAnswer, Fault, PassedOver};
pub use processed::Processed;
pub use quarantine::{
    GroupQuarantines, Phase, Quarantine, QuarantinedGroup, QuarantinedRecord, RecordQuarantines,
};
pub(crate) use slices::places;
pub use slices::{Sliced, slices};
pub use text::truncate;
pub use validate::{AnswerRules, Asked, column_bytes, column_size};
