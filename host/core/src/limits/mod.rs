//! Every bound of the host, by area, and how they fit together. Units end the names. A relation
//! between limits is checked at compile time, beside the first of them.

mod batch;
mod guest;
mod job;
mod budget;
mod state;
mod keyed;
mod kafka;
mod cluster;
mod hbase;
mod postgres;
mod elasticsearch;
mod files;
mod control;
mod monitor;
mod replay;
mod savepoint;
mod shadow;
mod offline;
mod broker;
mod tables;
pub(crate) mod memory;

pub use batch::*;
pub use broker::*;
pub use budget::*;
pub use cluster::*;
pub use control::*;
pub use elasticsearch::*;
pub use files::*;
pub use guest::*;
pub use hbase::*;
pub use job::*;
pub use kafka::*;
pub use keyed::*;
pub use memory::*;
pub use monitor::*;
pub use offline::*;
pub use postgres::*;
pub use replay::*;
pub use savepoint::*;
pub use shadow::*;
pub use state::*;
pub use tables::*;
