//! Write a stream job as a plain Rust function: records of a Kafka topic in, rows of a table out.
//! The host does the rest: batches, delivery, recovery, deployment of the next version between two
//! batches.
//!
//! ```text
//! kafka(…) ─► try_map · map · filter · flat_map · also ─► .to(hbase(…) · kafka(…) · console())
//!             └───────── one loop over a batch ───────┘
//!             … ─► key_by ─► window · each_batch · running ─► count · sum · fold … ─► map … ─► .to(…)
//!                            join · lookup
//!                  └ the host brings together what has one key, and keeps it ──┘
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
//! The library has `crate-type = ["cdylib", "rlib"]`, and is built for the target
//! `wasm32-unknown-unknown`.
//!
//! # Operators
//!
//! [`map`](Stream::map), [`try_map`](Stream::try_map), [`filter`](Stream::filter),
//! [`flat_map`](Stream::flat_map) are `Iterator`'s; [`also`](Stream::also) copies items to a branch
//! with a sink of its own; [`Job::and`] joins the chains of several sources in one job;
//! [`every`](Stream::every) sets the batch interval.
//!
//! Sources are [`kafka`], [`file`](fn@file), [`socket`], and [`rate`] for trying things.
//!
//! # Keyed jobs
//!
//! [`key_by`](Stream::key_by) brings together what has one key, from all partitions. Then comes
//! over what:
//!
//! - [`each_batch`](KeyedBy::each_batch): each batch by itself; nothing is kept.
//! - [`running`](KeyedBy::running): all time; the keys that a batch changed are given as they
//!   stand, as [`Update`]s.
//! - [`window`](KeyedBy::window): [`tumbling`], [`hopping`] or [`session`] windows, each given
//!   once, when it is over.
//!
//! and then what: [`count`](Scoped::count), [`sum`](Scoped::sum), [`min`](Scoped::min),
//! [`max`](Scoped::max), [`distinct`](Scoped::distinct), [`reduce`](Scoped::reduce),
//! [`fold`](Scoped::fold); [`avg`](Scoped::avg), [`first`](Scoped::first),
//! [`last`](Scoped::last), [`collect`](Scoped::collect),
//! [`approx_distinct`](Scoped::approx_distinct), [`percentiles`](Scoped::percentiles); or several at
//! once, by [`aggregate`](Scoped::aggregate). It yields [`Group`]s, of which [`top`](Stream::top) takes the largest;
//! and the stream goes on, to a sink or to another `key_by`. Two keyed streams become one by
//! [`join`](KeyedBy::join) and [`left_join`](KeyedBy::left_join), which pair items that are close
//! in time, and by [`lookup`](KeyedBy::lookup), which finds what a table says of a key.
//!
//! ```
//! use streamhost::{Group, Job, Row, Time, fields, hbase, job, kafka, minutes, testing, tumbling};
//!
//! #[derive(Row)]
//! #[row(separator = "/")]
//! struct Sold<'a> {
//!     #[row(key)]
//!     shop: &'a str,
//!     #[row(key)]
//!     from: Time,
//!     #[row("sold:cents")]
//!     cents: u64,
//! }
//!
//! #[job]
//! fn sales() -> Job {
//!     kafka("sales")
//!         .try_map(|record| {
//!             let [shop, cents] = fields(record.text()?, ',')?;
//!             Ok::<_, String>((shop, cents.parse::<u64>().map_err(|e| format!("cents: {e}"))?))
//!         })
//!         .key_by(|(shop, _)| *shop)
//!         .window(tumbling(minutes(1)))
//!         .sum(|(_, cents)| cents)
//!         .map(|Group { key, value, window, .. }| Sold { shop: key, from: window.start, cents: value })
//!         .to(hbase("sales"))
//! }
//!
//! # use streamhost::Record;
//! let mut job = testing::run(sales);
//! job.send("sales", [Record::from("a,5").at(1_000), Record::from("a,7").at(59_999), Record::from("b,1").at(60_000)]);
//! assert_eq!(job.rows("sales"), ["key=a/0 sold:cents=12"]); // the minute is over
//! ```
//!
//! **Event time.** Windows and joins go by the items' own times: the record's, or what
//! [`timed_by`](Stream::timed_by) says. Each partition has got as far as the largest time seen in
//! it, and the job as far as the slowest partition: then windows are over.
//! [`watermark`](Windows::watermark) has them wait for what is out of order, and
//! [`allowed_lateness`](Windows::allowed_lateness) late records change what was given. What comes
//! later than both is late: it is counted, and [`late_to`](Scoped::late_to) sends it somewhere. So results do not depend on how fast records
//! come, or on how they are cut into batches. [`processing_time`](Windows::processing_time) goes by
//! the batches' clock instead.
//!
//! **Reductions run in parts**: each call reduces its own records, and the host has the parts
//! merged. So what is given to [`reduce`](Scoped::reduce) and [`fold`](Scoped::fold) must not
//! depend on where the cuts are, nor on the order of records of different partitions.
//!
//! **State has a name**: that of its stage ([`named`](KeyedBy::named)). It is carried on to the
//! next version of the job if keys and values look the same there and the
//! [`version`](KeyedBy::version) is the same; else the deploy is refused, unless the stage says how
//! to [`migrate`](Stream::migrate_from) or the state is to be dropped. Of an enum in the values
//! only the variants' names, and what the first one holds, are compared: change the version where
//! another one changes. A part that checks what it is read from (a date, an address) hides what
//! stands behind it: a stage with such values is refused until its author counts versions. Values
//! are read back as they were written, field by field, so none may be left out: see [`Value`].
//!
//! # Rows and keys
//!
//! What reaches a sink is a [`Row`]: a struct with [`#[derive(Row)]`](derive@Row), which says its
//! key and columns once. A column is text, bytes, a number, a `bool`, a [`Time`]; an `Option` of it
//! leaves the cell out where it is `None`; an [`Edit`] can also delete it, and [`Change`] deletes
//! whole rows. Numbers stay numbers: the sink renders them, as text in HBase and as JSON numbers in
//! Kafka. A [`Record`] is a row too: its key, and its value raw.
//!
//! # Faults
//!
//! An `Err` in [`try_map`](Stream::try_map) sets that one record aside: it goes to the job's dead
//! letters with the error's text, and the batch goes on. So write reasons that help. What else the
//! record had become (behind a [`flat_map`](Stream::flat_map), or in a branch) stays. A panic, an
//! endless loop or too much memory sets a record aside too, more slowly and with all that it had
//! become, and can harm nothing but its own batch. [`log`] writes to the job's log.
//!
//! # Borrow, and keep nothing
//!
//! The chain is built anew for each call of the host, which is for one portion of a batch. So:
//! - Items borrow from the batch (`&str`, `&[u8]`), with one ordinary lifetime. Copying each field
//!   into a `String` costs more than twice the time.
//! - What is dear to build (a pattern, a table of names) goes into a `static` with
//!   [`LazyLock`](std::sync::LazyLock), or it is built again for every portion.
//! - A job is a pure function of its records. The host runs a portion again after a crash, in other
//!   cuts, on another instance, and must get the same rows: no clocks, no randomness, no counting
//!   in statics. The contract gives a component nothing of the kind; what is left is up to you, and
//!   [`testing`] finds most of it.

extern crate self as streamhost;

pub mod flow; // operators: one loop over a batch
pub mod log;
#[cfg(not(target_family = "wasm"))]
pub mod testing; // a host in memory

mod columns; // what crosses the boundary
mod record; // what comes in
mod headers;
mod fields;
mod reason;
mod parameter; // what a deployment tells a job
mod metrics; // what a job counts of its own
mod stream; // the chain
mod key;
mod value;
mod schema; // what a value looks like, so that a changed one is noticed
pub mod keyed; // what follows `key_by`
mod sink;
mod cell; // what goes out
mod row;
mod change;
mod call; // what a call brings, and what it gives back
mod job; // what is run
mod describe; // what is said of it
mod validate; // and what is wrong with it
mod limits;

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

pub use cell::{Cell, Edit, Json, KeyPart, Kind, Put, Time, TimeError};
pub use change::Change;
pub use describe::{
    Description, Partners, Scope, SinkDef, SourceDef, StageDef, StageKind, WindowDef, WindowForm,
};
pub use fields::{FieldCount, fields};
pub use headers::{HeaderValue, Headers};
pub use job::{Call, Job};
pub use key::Key;
pub use keyed::{
    Comparable, Each, Group, JoinBy, KeyedBy, Number, ProcessContext as Context, Ranked, Scoped,
    TableChange, Timer, Update, Weekday, Window, Windows, Within, between, calendar_days,
    calendar_months, calendar_weeks, hopping, session, tumbling, within,
};
pub use metrics::{Counter, Histogram, counter, histogram};
pub use parameter::{Parameter, param};
pub use reason::{Reason, Refusal, ok};
pub use record::{Record, RecordError};
pub use row::{ColumnDef, Row, RowShape, RowWriter};
pub use sink::{
    Sink, console, elasticsearch, exactly_once, hbase, json_files, mysql, postgres, sink,
};
pub use stream::{Source, Stream, file, kafka, kafka_topics, rate, socket, source};
pub use streamhost_macros::{Key, Row, job};
pub use value::Value;

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

/// That many hours.
pub const fn hours(n: u64) -> Duration {
    minutes(60 * n)
}

/// That many days of 24 hours.
pub const fn days(n: u64) -> Duration {
    hours(24 * n)
}
