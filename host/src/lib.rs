//! The host: Kafka to HBase through WebAssembly functions that are swapped without a restart.
//!
//! ```text
//! command line ─► control API ─► supervisor ─► pipelines (engine), one for each job
//!                                     │            ├─ source, sink: connectors
//!                                     │            ├─ guest: guest
//!                                     │            └─ checkpoints, state: storage
//!                                     └─ catalog of deployed versions: storage
//! ```
//! This crate is the process: it reads the configuration, serves the API, and supervises the jobs.
//! What a job does is in `streamhost-engine`, what it is in `streamhost-core`.

pub mod built;
pub mod access;
pub mod allow;
pub mod memory;
pub mod api;
mod lines;
mod audit;
pub mod telemetry;
pub mod alerts;
pub mod monitor;
pub mod supervisor;
pub mod config;
mod cluster;
pub mod offline;
pub mod control;
pub mod cli;
pub mod hosting;
