//! Keyed stages: groups, windows, joins, expiry.

use super::{
    BATCH_ANSWERS_BYTES_MAX, CHUNK_BYTES_MAX, GUEST_MEMORY_BYTES_MAX, GUEST_OUTPUT_BYTES_MAX,
    STATE_KEY_BYTES_MAX,
};

/// Groups or pairs of a keyed stage that are asked of the guest's lanes at once.
pub const KEYED_PORTION_GROUPS_MAX: usize = 1 << 16;
/// Bytes of them: keys, accumulators and partials, or both sides.
pub const KEYED_PORTION_BYTES_MAX: usize = 32 << 20;
/// Entries of a stage's state that are read at once.
pub const KEYED_SCAN_ENTRIES_MAX: usize = 512;
/// Bytes of them; the last entry may go beyond.
pub const KEYED_SCAN_BYTES_MAX: usize = 4 << 20;
/// Bytes that the dead letter of a group shows of it that is larger than a guest's memory, and so
/// was not merged.
pub const GROUP_SHOWN_BYTES_MAX: usize = 1 << 20;
/// Pairs that a join may make in one batch, as they are held in memory until their batch is
/// planned.
pub const JOIN_PAIRS_PER_BATCH_MAX: u64 = 1_000_000;
/// Early results, or updates by late records, that a stage of windows may give in one batch: each is
/// merged from all panes of
/// its window.
pub const EARLY_WINDOWS_PER_BATCH_MAX: usize = 1_000_000;
/// Hops of a window with early results, or with updates by late records: a record changes as many
/// windows, each of which is merged
/// anew.
pub const EARLY_WINDOW_HOPS_MAX: i64 = 60;
/// The timer of a silent key stands at a multiple of this part of the time that it is kept: finer
/// steps make smaller portions of what is forgotten at once, and wake the job more often.
pub const EXPIRY_STEPS: u64 = 16;
/// How far apart these multiples are, in milliseconds, at least.
pub const EXPIRY_STEP_MS_MIN: i64 = 1000;
/// Keys whose timer is due that one batch looks at; the next batch goes on.
pub const EXPIRY_KEYS_PER_BATCH_MAX: usize = 50_000;
/// Bytes of their entries; the last one may go beyond.
pub const EXPIRY_BYTES_PER_BATCH_MAX: usize = 32 << 20;
/// Timers of event time, and of the batches' time, that a key may have at once: each stands in the
/// key's entry, which is read and written as a whole.
pub const KEY_TIMERS_MAX: usize = 1_000;
/// Timers of event time of one key that go off in one batch, those included that are set meanwhile;
/// what is left is due in the next one. So a timer that always sets another ends.
pub const KEY_TIMERS_FIRED_MAX: usize = 10_000;
/// Groups or pairs in one call of the guest. As with records, more would only make bisecting
/// longer.
pub const KEYED_CALL_GROUPS_MAX: usize = 4096;
/// Bytes of groups or pairs in one call of the guest; one larger group is a call of its own.
pub const KEYED_CALL_BYTES_MAX: usize = 1 << 20;
/// A key of a keyed stage. State keeps it with what surrounds it, and where order matters each byte
/// may take two.
pub const KEYED_KEY_BYTES_MAX: usize = 32_000;

// As a column counts bytes in 32 bits.
const _: () = assert!(KEYED_PORTION_BYTES_MAX + GUEST_MEMORY_BYTES_MAX < u32::MAX as usize);
const _: () = assert!(
    KEYED_CALL_BYTES_MAX <= CHUNK_BYTES_MAX && GUEST_OUTPUT_BYTES_MAX <= BATCH_ANSWERS_BYTES_MAX
);
const _: () = assert!(2 * KEYED_KEY_BYTES_MAX + 100 <= STATE_KEY_BYTES_MAX);
