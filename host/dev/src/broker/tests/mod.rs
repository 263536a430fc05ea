//! The broker as its clients see it: requests in, answers out, through the bytes of the protocol.

mod versions;
mod promises;
mod connections;
mod groups;
mod reading;

use super::calls::{Answer, Caller, answer, text};
use super::record_batch::sample;
use super::signal::Signal;
use super::wire::{APIS, read_header};
use super::{Broker, Settings};
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Encodable, Request};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use streamhost_core::clock::now_ms;

fn open(path: &Path) -> Arc<Broker> {
    Broker::open(
        &fjall::Database::builder(path).open().unwrap(),
        Settings::default(),
    )
    .unwrap()
}

fn caller() -> Caller {
    let address: SocketAddr = "127.0.0.1:9092".parse().unwrap();
    Caller {
        signal: Arc::new(Signal::default()),
        client_id: "test".into(),
        peer: address,
        local: address,
    }
}

fn request_bytes<R: Request>(request: &R, version: i16) -> Bytes {
    let mut bytes = BytesMut::new();
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version);
    let header = header
        .with_correlation_id(5)
        .with_client_id(Some(text("test")));
    header
        .encode(&mut bytes, R::header_version(version))
        .unwrap();
    request.encode(&mut bytes, version).unwrap();
    bytes.freeze()
}

/// Asks as a client does, all bytes of the protocol included.
fn ask_as<R: Request>(
    broker: &Arc<Broker>,
    caller: &Caller,
    request: &R,
    version: i16,
) -> R::Response {
    let mut bytes = request_bytes(request, version);
    let header = read_header(&mut bytes).unwrap();
    let mut out = BytesMut::new();
    assert_eq!(
        answer(broker, caller, &header, bytes, &mut out).unwrap(),
        Answer::Sent
    );
    R::Response::decode(&mut out.freeze(), version).unwrap()
}

fn ask<R: Request>(broker: &Arc<Broker>, request: &R, version: i16) -> R::Response {
    ask_as(broker, &caller(), request, version)
}

fn create(broker: &Arc<Broker>, name: &str, partitions: i32, configs: &[(&str, &str)]) -> i16 {
    let configs = configs.iter().map(|(name, value)| {
        CreatableTopicConfig::default()
            .with_name(text(name))
            .with_value(Some(text(value)))
    });
    let topic = CreatableTopic::default()
        .with_name(TopicName(text(name)))
        .with_num_partitions(partitions);
    let topic = topic
        .with_replication_factor(1)
        .with_configs(configs.collect());
    ask(
        broker,
        &CreateTopicsRequest::default().with_topics(vec![topic]),
        4,
    )
    .topics[0]
        .error_code
}

fn produce(
    broker: &Arc<Broker>,
    txn: Option<&str>,
    topic: &str,
    partition: i32,
    batch: Vec<u8>,
) -> (i16, i64) {
    let data = PartitionProduceData::default()
        .with_index(partition)
        .with_records(Some(Bytes::from(batch)));
    let topic = TopicProduceData::default()
        .with_name(TopicName(text(topic)))
        .with_partition_data(vec![data]);
    let request = ProduceRequest::default()
        .with_acks(-1)
        .with_transactional_id(txn.map(|id| TransactionalId(text(id))))
        .with_topic_data(vec![topic]);
    let response = ask(broker, &request, 8);
    let partition = &response.responses[0].partition_responses[0];
    (partition.error_code, partition.base_offset)
}

fn plain(times_ms: &[i64]) -> Vec<u8> {
    sample((-1, -1, -1), false, times_ms)
}

fn fetch_request(
    topic: &str,
    partition: i32,
    offset: i64,
    committed: bool,
    wait_ms: i32,
) -> FetchRequest {
    let partition = FetchPartition::default()
        .with_partition(partition)
        .with_fetch_offset(offset);
    let partitions = vec![partition.with_partition_max_bytes(1 << 20)];
    FetchRequest::default()
        .with_max_wait_ms(wait_ms)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_isolation_level(i8::from(committed))
        .with_topics(vec![
            FetchTopic::default()
                .with_topic(TopicName(text(topic)))
                .with_partitions(partitions),
        ])
}

fn fetch(broker: &Arc<Broker>, topic: &str, offset: i64, committed: bool) -> PartitionData {
    let mut response = ask(broker, &fetch_request(topic, 0, offset, committed, 0), 11);
    response.responses.remove(0).partitions.remove(0)
}

fn list_request(topic: &str, time_ms: i64) -> ListOffsetsRequest {
    let partition = ListOffsetsPartition::default().with_timestamp(time_ms);
    let topic = ListOffsetsTopic::default()
        .with_name(TopicName(text(topic)))
        .with_partitions(vec![partition]);
    ListOffsetsRequest::default().with_topics(vec![topic])
}

fn list(broker: &Arc<Broker>, topic: &str, time_ms: i64) -> (i64, i64) {
    let response = ask(broker, &list_request(topic, time_ms), 5);
    let partition = &response.topics[0].partitions[0];
    (partition.offset, partition.timestamp)
}

fn init(broker: &Arc<Broker>, id: &str, timeout_ms: i32) -> (i64, i16) {
    let request =
        InitProducerIdRequest::default().with_transactional_id(Some(TransactionalId(text(id))));
    let response = ask(broker, &request.with_transaction_timeout_ms(timeout_ms), 4);
    assert_eq!(response.error_code, 0);
    (response.producer_id.0, response.producer_epoch)
}

fn add_partition(
    broker: &Arc<Broker>,
    id: &str,
    (producer, epoch): (i64, i16),
    topic: &str,
) -> i16 {
    let topics = vec![
        AddPartitionsToTxnTopic::default()
            .with_name(TopicName(text(topic)))
            .with_partitions(vec![0]),
    ];
    let request = AddPartitionsToTxnRequest::default()
        .with_v3_and_below_transactional_id(TransactionalId(text(id)))
        .with_v3_and_below_producer_id(ProducerId(producer))
        .with_v3_and_below_producer_epoch(epoch)
        .with_v3_and_below_topics(topics);
    let response = ask(broker, &request, 2);
    response.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code
}

fn end(broker: &Arc<Broker>, id: &str, (producer, epoch): (i64, i16), commit: bool) -> i16 {
    let request = EndTxnRequest::default()
        .with_transactional_id(TransactionalId(text(id)))
        .with_producer_id(ProducerId(producer))
        .with_producer_epoch(epoch)
        .with_committed(commit);
    ask(broker, &request, 2).error_code
}

fn committed(broker: &Arc<Broker>, group: &str, topic: &str, stable: bool) -> (i16, i64, String) {
    let topics = vec![
        OffsetFetchRequestTopic::default()
            .with_name(TopicName(text(topic)))
            .with_partition_indexes(vec![0]),
    ];
    let request = OffsetFetchRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_topics(Some(topics));
    let response = ask(broker, &request.with_require_stable(stable), 7);
    let partition = &response.topics[0].partitions[0];
    (
        partition.error_code,
        partition.committed_offset,
        partition.metadata.as_ref().unwrap().to_string(),
    )
}

fn txn_commit_offset(
    broker: &Arc<Broker>,
    id: &str,
    (producer, epoch): (i64, i16),
    group: &str,
    offset: i64,
) -> i16 {
    let request = AddOffsetsToTxnRequest::default()
        .with_transactional_id(TransactionalId(text(id)))
        .with_producer_id(ProducerId(producer))
        .with_producer_epoch(epoch)
        .with_group_id(GroupId(text(group)));
    assert_eq!(ask(broker, &request, 2).error_code, 0);
    let partition = TxnOffsetCommitRequestPartition::default().with_committed_offset(offset);
    let partitions = vec![partition.with_committed_metadata(Some(text("a note")))];
    let topics = vec![
        TxnOffsetCommitRequestTopic::default()
            .with_name(TopicName(text("t")))
            .with_partitions(partitions),
    ];
    let request = TxnOffsetCommitRequest::default()
        .with_transactional_id(TransactionalId(text(id)))
        .with_producer_id(ProducerId(producer))
        .with_producer_epoch(epoch)
        .with_group_id(GroupId(text(group)))
        .with_topics(topics);
    ask(broker, &request, 3).topics[0].partitions[0].error_code
}

/// What `kill -9` leaves: the files as they are, without anything that a closing would do.
fn killed(path: &Path) -> (tempfile::TempDir, Arc<Broker>) {
    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let target = to.join(entry.file_name());
            match entry.file_type().unwrap().is_dir() {
                true => copy(&entry.path(), &target),
                false => drop(std::fs::copy(entry.path(), target).unwrap()),
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    copy(path, folder.path());
    let broker = open(folder.path());
    (folder, broker)
}
