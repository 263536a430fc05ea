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

/// Answers a request, whose body has been walked by [`super::wire::read_header`].
pub(super) fn answer(
    broker: &Arc<Broker>,
    caller: &Caller,
    header: &Header,
    mut body: Bytes,
    out: &mut BytesMut,
) -> Result<Answer, BadRequest> {
    let (key, version) = (header.api.key, header.version);
    let undecodable =
        |error: &dyn std::fmt::Display| BadRequest::Undecodable { key, version, reason: error.to_string() };
    macro_rules! reply {
        ($request:ty, |$asked:ident| $answer:expr) => {{
            let $asked = <$request>::decode(&mut body, version).map_err(|error| undecodable(&error))?;
            $answer.encode(out, version).map_err(|error| undecodable(&error))?
        }};
    }
    if header.is_newer_api_versions {
        let response = metadata::api_versions().with_error_code(ResponseError::UnsupportedVersion.code());
        response.encode(out, 0).map_err(|error| undecodable(&error))?;
        return Ok(Answer::Sent);
    }
    match key {
        ApiKey::Produce => {
            let asked = ProduceRequest::decode(&mut body, version).map_err(|error| undecodable(&error))?;
            let wants_answer = asked.acks != 0;
            let response = broker.produce(asked);
            if !wants_answer {
                let mut partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
                return match partitions.find(|partition| partition.error_code != 0) {
                    None => Ok(Answer::None),
                    Some(failed) => Err(BadRequest::Untold { code: failed.error_code }),
                };
            }
            response.encode(out, version).map_err(|error| undecodable(&error))?;
        }
        ApiKey::ApiVersions => reply!(ApiVersionsRequest, |_asked| metadata::api_versions()),
        ApiKey::Fetch => reply!(FetchRequest, |asked| broker.fetch(caller, asked)),
        ApiKey::ListOffsets => reply!(ListOffsetsRequest, |asked| broker.list_offsets(asked, version)),
        ApiKey::OffsetForLeaderEpoch => reply!(OffsetForLeaderEpochRequest, |asked| broker.offset_for_epoch(asked)),
        ApiKey::Metadata => reply!(MetadataRequest, |asked| broker.metadata(caller, asked, version)),
        ApiKey::DescribeCluster => reply!(DescribeClusterRequest, |_asked| metadata::describe_cluster(caller)),
        ApiKey::FindCoordinator => reply!(FindCoordinatorRequest, |asked| metadata::find_coordinator(caller, &asked)),
        ApiKey::CreateTopics => reply!(CreateTopicsRequest, |asked| broker.create_topics(asked)),
        ApiKey::DeleteTopics => reply!(DeleteTopicsRequest, |asked| broker.delete_topics(asked)),
        ApiKey::CreatePartitions => reply!(CreatePartitionsRequest, |asked| broker.create_partitions(asked)),
        ApiKey::DeleteRecords => reply!(DeleteRecordsRequest, |asked| broker.delete_records(asked)),
        ApiKey::DescribeConfigs => reply!(DescribeConfigsRequest, |asked| broker.describe_configs(asked)),
        ApiKey::JoinGroup => reply!(JoinGroupRequest, |asked| broker.join_group(caller, asked, version)),
        ApiKey::SyncGroup => reply!(SyncGroupRequest, |asked| broker.sync_group(caller, asked)),
        ApiKey::Heartbeat => reply!(HeartbeatRequest, |asked| broker.heartbeat(&asked)),
        ApiKey::LeaveGroup => reply!(LeaveGroupRequest, |asked| broker.leave_group(&asked, version)),
        ApiKey::OffsetCommit => reply!(OffsetCommitRequest, |asked| broker.offset_commit(asked)),
        ApiKey::OffsetFetch => reply!(OffsetFetchRequest, |asked| broker.offset_fetch(asked, version)),
        ApiKey::OffsetDelete => reply!(OffsetDeleteRequest, |asked| broker.offset_delete(asked)),
        ApiKey::ListGroups => reply!(ListGroupsRequest, |asked| broker.list_groups(&asked, version)),
        ApiKey::DescribeGroups => reply!(DescribeGroupsRequest, |asked| broker.describe_groups(asked, version)),
        ApiKey::DeleteGroups => reply!(DeleteGroupsRequest, |asked| broker.delete_groups(asked)),
        ApiKey::InitProducerId => reply!(InitProducerIdRequest, |asked| broker.init_producer_id(&asked, version)),
        ApiKey::AddPartitionsToTxn => reply!(AddPartitionsToTxnRequest, |asked| broker.add_partitions(asked, version)),
        ApiKey::AddOffsetsToTxn => reply!(AddOffsetsToTxnRequest, |asked| broker.add_offsets(&asked, version)),
        ApiKey::TxnOffsetCommit => reply!(TxnOffsetCommitRequest, |asked| broker.txn_offset_commit(asked, version)),
        ApiKey::EndTxn => reply!(EndTxnRequest, |asked| broker.end_txn(&asked, version)),
        other => return Err(BadRequest::UnknownApi { key: other as i16 }),
    }
    Ok(Answer::Sent)
}
