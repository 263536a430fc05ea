//! What is outside of the host: Kafka, HBase, PostgreSQL, MySQL, Elasticsearch, files, sockets, the console. One folder for each;
//! none knows another, and the registry alone names them all.

mod lines;
mod certificate;
mod halves;
pub mod tls_files;
mod link;
pub mod secret;
pub mod connector;
pub mod kafka;
pub mod hbase;
pub mod sql;
pub mod postgres;
pub mod mysql;
pub mod elasticsearch;
pub mod file;
mod files;
pub mod socket;
pub mod rate;
pub mod console;
pub mod registry;

#[cfg(test)]
mod contract_tests;
