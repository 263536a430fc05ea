//! The end-to-end tests' harness: it drives the real `streamhost` binary as a user would, against
//! real servers.
//!
//! ```text
//!  clicks ─► feed ─► Kafka ─► streamhost serve ─► HBase ─► oracle (Python, outside clients) compares
//!                      ▲            ▲                ▲
//!                      └── servers ─┴── host, cli ───┘   started, killed and restarted by the tests
//! ```
//! The tests themselves are in `contract/`, one file a subject; how large they are is in [`sizes`].

pub mod sizes;
pub mod paths;
pub mod random;
pub mod wait;
pub mod clicks;
pub mod keyed;
pub mod feed;
pub mod command;
pub mod servers;
pub mod service;
pub mod postgres;
pub mod mariadb;
pub mod tables;
pub mod elastic;
pub mod secured;
pub mod outside;
pub mod guests;
pub mod host;
pub mod keyed_jobs;
pub mod hostile;
pub mod stamping;
pub mod replays;
pub mod fault_proxy;
pub mod gaps;
pub mod lines;
