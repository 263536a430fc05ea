//! A version that is run beside the active one, and compared with it.

use std::time::Duration;

/// How long a shadow runs, unless it is said.
pub const SHADOW_TIME_DEFAULT: Duration = Duration::from_secs(10 * 60);
/// How long it may run: the store keeps for so long what the state was when it began.
pub const SHADOW_TIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Of 100 parts of the time, how many a shadow's thread may be at work. It leaves batches out, and
/// rests, rather than take more.
pub const SHADOW_SHARE: u32 = 50;
/// Bytes of state that a shadow may hold in memory, beside what it has from the active version; beyond
/// it begins anew with the active version's.
pub const SHADOW_STATE_BYTES_MAX: usize = 256 << 20;
/// How often one after the other a shadow may break on a whole batch before it ends.
pub const SHADOW_FAULTS_MAX: u32 = 5;
/// Rows and dead letters that differ and are shown: of each sink, and of dead letters, so many that
/// both versions have, so many of the active one alone, and so many of the shadow.
pub const SHADOW_SAMPLES_MAX: usize = 20;
/// Columns of one sink that are told apart, where they differ.
pub const SHADOW_COLUMNS_MAX: usize = 100;
/// Characters of a value that differs and is shown.
pub const SHADOW_SHOWN_CHARS_MAX: usize = 200;
/// Batches that wait for a shadow. Each is a copy.
pub const SHADOW_BATCHES_WAITING_MAX: usize = 2;
/// Bytes of records and rows of a batch that is given to a shadow; a larger one is left out.
pub const SHADOW_BATCH_BYTES_MAX: usize = 32 << 20;
/// Bytes of state that a shadow remembers beside that.
pub const SHADOW_CACHE_BYTES: usize = 16 << 20;
/// Batches whose differences are told one by one.
pub const SHADOW_BATCHES_KEPT_MAX: usize = 50;
/// Partitions that a canary may be given by their numbers.
pub const CANARY_PARTITIONS_MAX: usize = 1000;
