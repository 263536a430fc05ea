//! What `streamhost dev` embeds, so that everything runs in one process without a JVM: a broker
//! that speaks Kafka's protocol, and a table store that speaks HBase's Thrift protocol. Ordinary
//! clients of both can use them.

pub mod broker;
pub mod tables;
