//! Keyed state: in memory and in the embedded store.

/// Bytes of entries that a job's keyed state holds in memory, what surrounds them included. The
/// block cache below it is [`STORE_CACHE_BYTES`]; what is not durable yet comes on top, and is
/// bounded by what batches under way change.
pub const STATE_CACHE_BYTES: usize = 64 << 20;
/// What an entry costs in that cache beside its key and value: its slot in a table that is half
/// full, and the allocator.
pub const STATE_CACHE_ENTRY_BYTES: usize = 96;
/// A key in a stage's state. The store takes 65,535 bytes with the job's name and the stage's
/// number before it.
pub const STATE_KEY_BYTES_MAX: usize = 65_000;
/// Entries that one read of a range of state takes from the store.
pub const STATE_PORTION_ENTRIES_MAX: usize = 4096;
/// Entries that one lane reads at a time, ahead of the stage that needs them. Large enough that
/// handing it over costs nothing beside it, small enough that no lane waits long for another.
pub const STATE_READ_KEYS: usize = 512;
/// Bytes that such a read gives; the last entry may go beyond.
pub const STATE_READ_BYTES_MAX: usize = 1 << 20;
/// Entries that are read ahead at once, by all lanes. With their bytes they fit into the young half
/// of the cache, or they would be forgotten before they are used.
pub const STATE_READ_AHEAD: usize = 8192;
/// Fewer entries than these are read one by one when they are needed.
pub const STATE_READ_KEYS_MIN: usize = 64;
/// Entries that one write of a sweep removes; other writes wait for it.
pub const STATE_SWEEP_ENTRIES_MAX: usize = 4096;
/// Bytes of them; the last entry may go beyond.
pub const STATE_PORTION_BYTES_MAX: usize = 8 << 20;
/// Entries that are migrated at once.
pub const STATE_MIGRATE_ENTRIES_MAX: usize = 1000;
/// Bytes of them; the last entry may go beyond.
pub const STATE_MIGRATE_BYTES_MAX: usize = 16 << 20;
/// Ranges without entries that are remembered for each kind of entry of a stage.
pub const STATE_GAPS_MAX: usize = 16;
/// A memtable of the state, as the embedded store counts it (about half of what it takes); then it
/// goes to the disk. Up to five of them are in memory while the disk is slower than the job.
pub const STATE_MEMTABLE_BYTES: u64 = 16 << 20;
/// A block of the state on disk, and so what reading one entry costs.
pub const STATE_BLOCK_BYTES: u32 = 4 << 10;
/// Blocks of the embedded store that are kept in memory, of all jobs together.
pub const STORE_CACHE_BYTES: u64 = 64 << 20;
/// Bytes that must be free on the data folder's disk for a batch to be written. Below it jobs wait,
/// and the embedded broker and table store take nothing: a store whose write failed takes no more of
/// them until it is opened anew. It is room for what the
/// store writes by itself meanwhile: memtables, merged tables, its journal.
pub const DISK_FREE_BYTES_MIN: u64 = 128 << 20;

// The longest name of a job, a NUL, a number.
const _: () = assert!(STATE_KEY_BYTES_MAX + 64 + 1 + 8 <= u16::MAX as usize);
/// Entries on one page of a look into a stage's state.
pub const STATE_PAGE_MAX: usize = 500;
/// Bytes of a page's entries; the last one may go beyond.
pub const STATE_PAGE_BYTES_MAX: usize = 8 << 20;
/// Reads of the store for one page. What is searched through by then is not searched again: the
/// page says where it goes on.
pub const STATE_PAGE_READS_MAX: usize = 5000;
/// Bytes of an entry's key and value that a page shows.
pub const STATE_SHOWN_BYTES: usize = 16 << 10;
/// How deep the shape of a value may nest, for its value to be shown as JSON.
pub const STATE_SHAPE_DEPTH_MAX: usize = 64;
/// Parts of a value that are shown as JSON.
pub const STATE_SHAPE_PARTS_MAX: usize = 100_000;

const _: () = assert!(STATE_READ_AHEAD.is_multiple_of(STATE_READ_KEYS));
const _: () = assert!(
    STATE_READ_AHEAD / STATE_READ_KEYS * STATE_READ_BYTES_MAX
        + STATE_READ_AHEAD * STATE_CACHE_ENTRY_BYTES
        < STATE_CACHE_BYTES / 2
);
