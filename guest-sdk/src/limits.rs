//! What a job may have at most, as its host has it: of the same names in `host/core/src/limits`,
//! and held equal by a test.

use std::time::Duration;

/// Sources and sinks of a job.
pub(crate) const PLACES_MAX: usize = 32;
/// Declared columns of a sink.
pub(crate) const COLUMNS_MAX: usize = 1000;
/// A column's name.
pub(crate) const COLUMN_NAME_BYTES_MAX: usize = 1024;
/// A path.
pub(crate) const PLACE_BYTES_MAX: usize = 4096;
/// The longest batch interval.
pub(crate) const EVERY_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Records a second of a rate generator.
pub(crate) const RATE_MAX: u32 = 1_000_000;
/// The longest time that a stage goes by.
pub(crate) const STAGE_TIME_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// What the keys or the values of a stage look like, in words.
pub(crate) const STAGE_SHAPE_BYTES_MAX: usize = 16 << 10;
/// A key's bytes in a keyed stage; longer ones are set aside.
pub(crate) const KEYED_KEY_BYTES_MAX: usize = 32_000;
/// Timers of event time, and of the batches' time, that a key may have at once.
pub(crate) const KEY_TIMERS_MAX: usize = 1_000;
/// Timers of a key that go off in one batch; what is left is due in the next one.
pub(crate) const KEY_TIMERS_FIRED_MAX: usize = 10_000;
