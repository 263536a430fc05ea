//! Lines for the job's log: `streamhost logs JOB` shows them. The host bounds how many a batch may
//! write.
//!
//! ```
//! streamhost::log::info("a fine batch");
//! streamhost::log::warn(format_args!("{} is an odd quantity", 4000));
//! ```
//!
//! In a native test the lines are kept by the driver ([`crate::testing::Driver::logs`]), or else go
//! to stderr.

use std::fmt::Display;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

/// Of use while a fault is looked for.
pub fn debug(message: impl Display) {
    write(Level::Debug, &message);
}

/// Worth knowing.
pub fn info(message: impl Display) {
    write(Level::Info, &message);
}

/// Odd, but dealt with.
pub fn warn(message: impl Display) {
    write(Level::Warn, &message);
}

/// Wrong. To set a record aside return an `Err` from [`try_map`](crate::Stream::try_map) instead.
pub fn error(message: impl Display) {
    write(Level::Error, &message);
}

#[cfg(target_family = "wasm")]
pub(crate) fn write(level: Level, message: &dyn Display) {
    crate::component::log(level, &message.to_string());
}

#[cfg(not(target_family = "wasm"))]
thread_local! {
    static KEPT: std::cell::RefCell<Option<Vec<String>>> = const { std::cell::RefCell::new(None) };
}

#[cfg(not(target_family = "wasm"))]
pub(crate) fn write(level: Level, message: &dyn Display) {
    let name = match level {
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    };
    let line = format!("{name}: {message}");
    KEPT.with_borrow_mut(|kept| match kept {
        Some(lines) => lines.push(line),
        None => eprintln!("{line}"),
    });
}

/// Runs `f` and gives back the lines that it logged.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn keep<T>(f: impl FnOnce() -> T) -> (T, Vec<String>) {
    KEPT.set(Some(Vec::new()));
    let result = f();
    (result, KEPT.take().unwrap_or_default())
}
