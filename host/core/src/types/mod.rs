//! The words that all modules share: columns, records, partitions, positions, rows.

mod column;
mod partition;
mod record;
mod rows;
mod keyed;
mod dead_letter;
mod refused;
mod positions;
mod row_limits;
mod guarantee;
mod headers;
mod time_rules;

pub use column::Column;
pub use dead_letter::DeadLetter;
pub use guarantee::Guarantee;
pub use headers::{Header, Headers, OwnedHeader, OwnedHeaders, borrowed};
pub use keyed::{END_OF_TIME_MS, Keyed, NO_TIME_MS};
pub use partition::{BatchNumber, Offset, Partition, Positions, Span, Spans};
pub use positions::{
    Marks, TopicMarks, TopicOffsets, TopicSpans, by_partition, by_topic, positions, spans,
};
pub use record::{Chunk, Record};
pub use refused::RefusedRow;
pub use row_limits::{ColumnNames, Measure, RowLimits};
pub use rows::{ExtraCells, Kind, Rows};
pub use time_rules::TimeRules;
