//! The data plane of one job: records in, batches through the guest, rows out, and what makes them
//! durable.
//!
//! ```text
//! source ─► batch ─► guest: transform ─► keyed stages ─► intent ─► sink
//!    ▲                                  state, guest: combine, finish  │
//!    └──────────── checkpoint: offsets, counts, state ◄──────────────────┘
//! ```
//! `pipeline` joins the other modules, which do not know each other but that a source fills a
//! batch; what is outside the process is behind the traits [`source::Source`], [`sink::Sink`],
//! [`sink::DeadLetters`] and [`guest::Guest`].

mod cpu;
pub mod batch;
pub mod source;
pub mod guest;
pub mod sink;
pub mod pipeline;
pub mod replay;
