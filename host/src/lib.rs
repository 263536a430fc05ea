//! The host: Kafka to HBase through WebAssembly functions that are swapped without a restart.
//!
//! ```text
//!         ┌────────────── one job = one pipeline, batch after batch ──────────────┐
//! Kafka ─► source ─► batch ─► guest: transform ─► keyed stages ─► intent ─► sink ─► HBase, Kafka, console
//! socket      ▲                                   state, guest: combine, finish    │
//! file        └───────── checkpoint: offsets, counts, state ◄──────────────────────┘
//! control API ─► registry of deployed versions ─► supervisor: starts, swaps, watches pipelines
//! ```
//! Modules in the order of the data's way; a room knows `record` and its own trait, never its neighbour.

pub mod api;
pub mod supervisor;
pub mod config;
pub mod control;
pub mod cli;
pub mod hosting;
