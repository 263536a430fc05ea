//! What a version may use, answer and log.

use super::CHUNK_BYTES_MAX;
use std::time::Duration;

/// A guest's linear memory, unless `limits.memory` says otherwise.
pub const GUEST_MEMORY_BYTES_DEFAULT: usize = 64 << 20;
/// The most that `limits.memory` may say.
pub const GUEST_MEMORY_BYTES_MAX: usize = 1 << 30;
/// Linear memories of one component; `limits.memory` is of their sum. One that is composed of
/// others has a memory for each.
pub const GUEST_MEMORIES_MAX: usize = 16;
/// One call of the guest, unless `limits.time` says otherwise. Each half of a bisected chunk gets
/// it anew.
pub const GUEST_TIME_DEFAULT: Duration = Duration::from_secs(2);
/// The most that `limits.time` may say.
pub const GUEST_TIME_MAX: Duration = Duration::from_secs(600);
/// How exactly a guest's time is kept.
pub const EPOCH: Duration = Duration::from_millis(10);
/// Bytes that one call may answer, all columns together.
pub const GUEST_OUTPUT_BYTES_MAX: usize = 120 << 20;
/// Records set aside in one batch because the guest broke on them (not by its `Err`). Beyond it the
/// version is at fault.
pub const BROKEN_RECORDS_PER_BATCH_MAX: usize = 100;
/// How many of them one counts as that ran out of time, as it costs that much.
pub const BROKEN_BY_TIME_COST: usize = 10;
/// Lines that a lane's guests may log for one batch.
pub const LOG_LINES_PER_BATCH_MAX: usize = 100;
/// Bytes of one logged line.
pub const LOG_LINE_BYTES_MAX: usize = 2048;
/// Bytes of a reason in a dead letter.
pub const REASON_BYTES_MAX: usize = 2048;
/// Resources of WASI (streams, what is waited for, networks) that one instance may hold at once.
pub const STUB_HANDLES_MAX: usize = 1024;
/// Random bytes that a component may ask WASI for at once.
pub const STUB_RANDOM_BYTES_MAX: u64 = 1 << 20;
/// Bytes that a stream of WASI says that it has room for; more are taken all the same.
pub const STUB_WRITE_BYTES_MAX: u64 = 64 << 10;
/// Lines kept of each job's log.
pub const LOG_LINES_KEPT_MAX: usize = 1000;
/// Bytes of a file that keeps them, after which another is begun; a job has two such files.
pub const LOG_FILE_BYTES_MAX: u64 = 1 << 20;
/// Jobs that are gone and whose logs are kept; beyond them those go that spoke least lately.
pub const LOGS_OF_GONE_JOBS_MAX: usize = 100;
/// A component that is uploaded.
pub const COMPONENT_BYTES_MAX: usize = 64 << 20;
/// Bytes of a component's signature.
pub const SIGNATURE_BYTES_MAX: usize = 16 << 10;
/// Signatures of one component that are looked at.
pub const SIGNATURES_MAX: usize = 16;
/// Keys in `control.trusted-keys`.
pub const TRUSTED_KEYS_MAX: usize = 100;
/// The name of a key that signs components.
pub const SIGNING_KEY_NAME_BYTES_MAX: usize = 64;
/// Bytes of a file that holds such a key.
pub const SIGNING_KEY_FILE_BYTES_MAX: u64 = 4 << 10;
/// Components within one another in a file that is deployed; a job is one, and needs none in it.
pub const COMPONENT_NESTING_MAX: usize = 100;
/// Address space of the process that compiles a component, its own code and stacks included.
pub const COMPILE_MEMORY_BYTES_MAX: u64 = 1 << 30;
/// Time that compiling a component may take, by the clock and by the processors.
pub const COMPILE_TIME: Duration = Duration::from_secs(60);
/// The stack on which a component is checked and compiled.
pub const COMPILE_STACK_BYTES: usize = 64 << 20;
/// Components that are compiled at once, each in a process of its own.
pub const COMPILES_MAX: usize = 2;
/// Compiled code of one component.
pub const COMPILED_BYTES_MAX: usize = 512 << 20;
/// The least that `limits.memory` may say: a guest with its stack, one chunk and its answer.
pub const GUEST_MEMORY_BYTES_MIN: usize = 4 << 20;
/// The most worker threads that `lanes` in `streamhost.toml` may ask for.
pub const LANES_MAX: usize = 64;
/// Batches after a deployment in which a version that proves unfit is rolled back by the host; or
/// [`ROLLBACK_TIME`], whichever is longer.
pub const ROLLBACK_BATCHES_MAX: u64 = 100;
/// Time after a deployment in which a version that proves unfit is rolled back by the host: a busy
/// job has a hundred batches within a second.
pub const ROLLBACK_TIME: Duration = Duration::from_secs(15 * 60);
/// How much longer a cell may become as JSON: a control character takes six.
pub const JSON_GROWTH_MAX: usize = 6;
/// What surrounds a cell as JSON, rounded up: quotes, a colon, a comma.
pub const JSON_AROUND_BYTES: usize = 10;

// The code is in the process's memory before it is written.
const _: () = assert!((COMPILED_BYTES_MAX as u64) < COMPILE_MEMORY_BYTES_MAX);
// A chunk, its answer, and room to work.
const _: () = assert!(GUEST_MEMORY_BYTES_DEFAULT >= 16 * CHUNK_BYTES_MAX);
const _: () = assert!(GUEST_MEMORY_BYTES_DEFAULT <= GUEST_MEMORY_BYTES_MAX);
const _: () = assert!(
    GUEST_MEMORY_BYTES_MIN >= 4 * CHUNK_BYTES_MAX
        && GUEST_MEMORY_BYTES_MIN <= GUEST_MEMORY_BYTES_DEFAULT
);
