//! What is outside of the host: Kafka, HBase, files, sockets, the console. One folder for each;
//! none knows another.

mod lines;
pub mod secret;
pub mod kafka;
pub mod hbase;
pub mod file;
pub mod socket;
pub mod rate;
pub mod console;
pub mod sources;
pub mod sinks;
