//! From a request's bytes to its room, and from the room's answer to bytes.

use super::signal::Signal;
use super::wire::{BadRequest, Header};
use super::{Broker, metadata};
use bytes::{Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use std::net::SocketAddr;
use std::sync::Arc;

/// Who asks.
pub(super) struct Caller {
    /// Wakes this connection's thread.
    pub(super) signal: Arc<Signal>,
    pub(super) client_id: String,
    pub(super) peer: SocketAddr,
    /// The broker's address as this client reached it.
    pub(super) local: SocketAddr,
}

/// Whether there is something to send.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Sent,
    /// A producer that wants no acknowledgement.
    None,
}

/// A string for an answer.
pub(super) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// A request's body, and where its answer goes.
struct Exchange<'a> {
    key: ApiKey,
    version: i16,
    body: Bytes,
    out: &'a mut BytesMut,
}

impl Exchange<'_> {
    fn undecodable(&self, error: &dyn std::fmt::Display) -> BadRequest {
        BadRequest::Undecodable {
            key: self.key,
            version: self.version,
            reason: error.to_string(),
        }
    }

    fn read<Q: Decodable>(&mut self) -> Result<Q, BadRequest> {
        let asked = Q::decode(&mut self.body, self.version);
        asked.map_err(|error| self.undecodable(&error))
    }

    fn write<A: Encodable>(&mut self, response: &A, version: i16) -> Result<(), BadRequest> {
        let written = response.encode(self.out, version);
        written.map_err(|error| self.undecodable(&error))
    }

    fn reply<Q: Decodable, A: Encodable>(
        &mut self,
        answer: impl FnOnce(Q) -> A,
    ) -> Result<(), BadRequest> {
        let asked = self.read()?;
        self.write(&answer(asked), self.version)
    }
}

/// Answers a request, whose body has been walked by [`super::wire::read_header`].
pub(super) fn answer(
    broker: &Arc<Broker>,
    caller: &Caller,
    header: &Header,
    body: Bytes,
    out: &mut BytesMut,
) -> Result<Answer, BadRequest> {
    let (key, version) = (header.api.key, header.version);
    let mut exchange = Exchange {
        key,
        version,
        body,
        out,
    };
    if header.is_newer_api_versions {
        let response =
            metadata::api_versions().with_error_code(ResponseError::UnsupportedVersion.code());
        exchange.write(&response, 0)?;
        return Ok(Answer::Sent);
    }
    match key {
        ApiKey::Produce => return produce(broker, exchange),
        ApiKey::ApiVersions => {
            exchange.reply(|_asked: ApiVersionsRequest| metadata::api_versions())?
        }
        ApiKey::Fetch => exchange.reply(|asked: FetchRequest| broker.fetch(caller, asked))?,
        ApiKey::ListOffsets => {
            exchange.reply(|asked: ListOffsetsRequest| broker.list_offsets(asked, version))?
        }
        ApiKey::OffsetForLeaderEpoch => {
            exchange.reply(|asked: OffsetForLeaderEpochRequest| broker.offset_for_epoch(asked))?
        }
        ApiKey::Metadata => {
            exchange.reply(|asked: MetadataRequest| broker.metadata(caller, asked, version))?
        }
        ApiKey::DescribeCluster => {
            exchange.reply(|_asked: DescribeClusterRequest| metadata::describe_cluster(caller))?
        }
        ApiKey::FindCoordinator => exchange
            .reply(|asked: FindCoordinatorRequest| metadata::find_coordinator(caller, &asked))?,
        ApiKey::CreateTopics => {
            exchange.reply(|asked: CreateTopicsRequest| broker.create_topics(asked))?
        }
        ApiKey::DeleteTopics => {
            exchange.reply(|asked: DeleteTopicsRequest| broker.delete_topics(asked))?
        }
        ApiKey::CreatePartitions => {
            exchange.reply(|asked: CreatePartitionsRequest| broker.create_partitions(asked))?
        }
        ApiKey::DeleteRecords => {
            exchange.reply(|asked: DeleteRecordsRequest| broker.delete_records(asked))?
        }
        ApiKey::DescribeConfigs => {
            exchange.reply(|asked: DescribeConfigsRequest| broker.describe_configs(asked))?
        }
        _ => answer_groups(broker, caller, exchange)?,
    }
    Ok(Answer::Sent)
}

/// The calls of consumer groups and transactions.
fn answer_groups(
    broker: &Arc<Broker>,
    caller: &Caller,
    mut exchange: Exchange<'_>,
) -> Result<(), BadRequest> {
    let version = exchange.version;
    match exchange.key {
        ApiKey::JoinGroup => {
            exchange.reply(|asked: JoinGroupRequest| broker.join_group(caller, asked, version))
        }
        ApiKey::SyncGroup => {
            exchange.reply(|asked: SyncGroupRequest| broker.sync_group(caller, asked))
        }
        ApiKey::Heartbeat => exchange.reply(|asked: HeartbeatRequest| broker.heartbeat(&asked)),
        ApiKey::LeaveGroup => {
            exchange.reply(|asked: LeaveGroupRequest| broker.leave_group(&asked, version))
        }
        ApiKey::OffsetCommit => {
            exchange.reply(|asked: OffsetCommitRequest| broker.offset_commit(asked))
        }
        ApiKey::OffsetFetch => {
            exchange.reply(|asked: OffsetFetchRequest| broker.offset_fetch(asked, version))
        }
        ApiKey::OffsetDelete => {
            exchange.reply(|asked: OffsetDeleteRequest| broker.offset_delete(asked))
        }
        ApiKey::ListGroups => {
            exchange.reply(|asked: ListGroupsRequest| broker.list_groups(&asked, version))
        }
        ApiKey::DescribeGroups => {
            exchange.reply(|asked: DescribeGroupsRequest| broker.describe_groups(asked, version))
        }
        ApiKey::DeleteGroups => {
            exchange.reply(|asked: DeleteGroupsRequest| broker.delete_groups(asked))
        }
        ApiKey::InitProducerId => {
            exchange.reply(|asked: InitProducerIdRequest| broker.init_producer_id(&asked, version))
        }
        ApiKey::AddPartitionsToTxn => {
            exchange.reply(|asked: AddPartitionsToTxnRequest| broker.add_partitions(asked, version))
        }
        ApiKey::AddOffsetsToTxn => {
            exchange.reply(|asked: AddOffsetsToTxnRequest| broker.add_offsets(&asked, version))
        }
        ApiKey::TxnOffsetCommit => {
            exchange.reply(|asked: TxnOffsetCommitRequest| broker.txn_offset_commit(asked, version))
        }
        ApiKey::EndTxn => exchange.reply(|asked: EndTxnRequest| broker.end_txn(&asked, version)),
        other => Err(BadRequest::UnknownApi { key: other as i16 }),
    }
}

fn produce(broker: &Arc<Broker>, mut exchange: Exchange<'_>) -> Result<Answer, BadRequest> {
    let asked: ProduceRequest = exchange.read()?;
    let wants_answer = asked.acks != 0;
    let response = broker.produce(asked);
    if wants_answer {
        exchange.write(&response, exchange.version)?;
        return Ok(Answer::Sent);
    }
    let topics = response.responses.iter();
    let mut partitions = topics.flat_map(|topic| &topic.partition_responses);
    match partitions.find(|partition| partition.error_code != 0) {
        None => Ok(Answer::None),
        Some(failed) => Err(BadRequest::Untold {
            code: failed.error_code,
        }),
    }
}
