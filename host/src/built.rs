//! What this program was built from.

/// The commit, shortened; none where it was built without git.
pub const COMMIT: Option<&str> = option_env!("STREAMHOST_COMMIT");

/// The WebAssembly engine, with its version.
pub const ENGINE: &str = concat!("wasmtime ", env!("WASMTIME_VERSION"));

/// The version, the commit, and the engine, as `--version` says them.
pub const VERSION: &str = env!("STREAMHOST_VERSION");
