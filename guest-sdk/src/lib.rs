//! Write a stream job as a plain Rust function: records of a Kafka topic in, rows of a table out. The host does the
//! rest: batches, delivery, recovery, deployment of the next version between two batches.
//!
//! ```text
//! kafka(…) ─► try_map · map · filter · flat_map · also ─► .to(hbase(…) · kafka(…) · console())
//!             └───────── one loop over a batch ───────┘
//! ```
//!
//! # A job in twenty lines
//!
//! ```
//! use streamhost::{Job, Record, Row, fields, hbase, job, kafka, seconds};
//!
//! #[derive(Row, Clone)]
//! struct Click<'a> {
//!     #[row(key)]
//!     id: &'a str,
//!     #[row("clickinfo:url")]
//!     url: &'a str,
//! }
//!
//! fn parse(record: Record<'_>) -> Result<Click<'_>, String> {
//!     let [id, url] = fields(record.text()?, ',')?;
//!     Ok(Click { id, url })
//! }
//!
//! #[job]
//! fn clicks() -> Job {
//!     kafka("clicks").every(seconds(10)).try_map(parse).filter(|click| click.url != "/health").to(hbase("clicks"))
//! }
//!
//! # // A test of it; it needs no Wasm and no servers.
//! let mut job = streamhost::testing::run(clicks);
//! job.send("clicks", ["1,/home", "2,/health", "3"]);
//! assert_eq!(job.rows("clicks"), ["key=1 clickinfo:url=/home"]);
//! assert_eq!(job.dead_letters(), ["clicks@2: the line has 1 field, not 2"]);
//! ```
//!
//! The library has `crate-type = ["cdylib", "rlib"]`, and is built for the target `wasm32-unknown-unknown`.
//!
//! # Operators
//!
//! [`map`](Stream::map), [`try_map`](Stream::try_map), [`filter`](Stream::filter), [`flat_map`](Stream::flat_map) are
//! `Iterator`'s; [`also`](Stream::also) copies items to a branch with a sink of its own; [`Job::and`] joins the chains of
//! several sources in one job; [`every`](Stream::every) sets the batch interval.
//!
//! # Rows and keys
//!
//! What reaches a sink is a [`Row`]: a struct with [`#[derive(Row)]`](derive@Row), which says its key and columns once. A
//! column is text, bytes, a number, a `bool`, a [`Time`]; an `Option` of it leaves the cell out where it is `None`; an
//! [`Edit`] can also delete it, and [`Change`] deletes whole rows. Numbers stay numbers: the sink renders them, as text
//! in HBase and as JSON numbers in Kafka. A [`Record`] is a row too: its key, and its value raw.
//!
//! # Faults
//!
//! An `Err` in [`try_map`](Stream::try_map) sets that one record aside: it goes to the job's dead letters with the
//! error's text, and the batch goes on. So write reasons that help. A panic, an endless loop or too much memory does the
//! same, more slowly, and can harm nothing but its own batch. [`log`] writes to the job's log.
//!
//! # Borrow, and keep nothing
//!
//! The chain is built anew for each call of the host, which is for one portion of a batch. So:
//! - Items borrow from the batch (`&str`, `&[u8]`), with one ordinary lifetime. Copying each field into a `String` costs
//!   more than twice the time.
//! - What is dear to build (a pattern, a table of names) goes into a `static` with [`LazyLock`](std::sync::LazyLock), or
//!   it is built again for every portion.
//! - A job is a pure function of its records. The host runs a portion again after a crash, in other cuts, on another
//!   instance, and must get the same rows: no clocks, no randomness, no counting in statics. The contract gives a
//!   component nothing of the kind; what is left is up to you, and [`testing`] finds most of it.

extern crate self as streamhost;

pub mod flow; // operators: one loop over a batch
pub mod log;
#[cfg(not(target_family = "wasm"))]
pub mod testing; // a host in memory

mod columns; // what crosses the boundary
mod record; // what comes in
mod fields;
mod stream; // the chain
mod sink;
mod cell; // what goes out
mod row;
mod change;
mod job; // what is run
mod describe; // and what is said of it

#[cfg(target_family = "wasm")]
#[expect(
    clippy::allow_attributes_without_reason,
    clippy::unwrap_used,
    unreachable_pub,
    unsafe_code,
    reason = "generated from wit/ by the test `bindings`; the calls across the boundary are unsafe by nature"
)]
#[doc(hidden)]
#[rustfmt::skip]
pub mod bindings;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod component; // the job as a component

pub use cell::{Cell, Edit, KeyPart, Kind, Put, Time};
pub use change::Change;
pub use describe::{Description, SinkDef};
pub use fields::{FieldCount, fields};
pub use job::{Call, Job};
pub use record::{Record, RecordError};
pub use row::{ColumnDef, Row, RowShape, RowWriter};
pub use sink::{Sink, SinkKind, console, exactly_once, hbase};
pub use stream::{Source, Stream, kafka};
pub use streamhost_macros::{Row, job};

use std::time::Duration;

/// That many milliseconds.
pub const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// That many seconds.
pub const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// That many minutes.
pub const fn minutes(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}
