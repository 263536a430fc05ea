//! All that ApiVersions lists is understood, in each version.

use super::*;

/// Asks in every advertised version; that each is understood and answered is what is tried.
fn each_version<R: Request>(broker: &Arc<Broker>, request: &R) -> i16 {
    let api = APIS.iter().find(|api| api.key as i16 == R::KEY).unwrap();
    let min = api.min.max(api.key.valid_versions().min);
    (min..=api.max).for_each(|version| drop(ask(broker, request, version)));
    R::KEY
}

fn topic_name() -> TopicName {
    TopicName(text("t"))
}

fn group_id() -> GroupId {
    GroupId(text("g"))
}

fn txn_id() -> TransactionalId {
    TransactionalId(text("x"))
}

fn ask_all_of_records(broker: &Arc<Broker>) -> Vec<i16> {
    let produce_data =
        PartitionProduceData::default().with_records(Some(Bytes::from(plain(&[1, 2]))));
    vec![
        each_version(
            broker,
            &ProduceRequest::default().with_acks(1).with_topic_data(vec![
                TopicProduceData::default()
                    .with_name(topic_name())
                    .with_partition_data(vec![produce_data]),
            ]),
        ),
        each_version(broker, &fetch_request("t", 0, 0, true, 0)),
        each_version(broker, &fetch_request("none", 0, 0, false, 0)),
        each_version(
            broker,
            &ListOffsetsRequest::default().with_topics(vec![
                ListOffsetsTopic::default()
                    .with_name(topic_name())
                    .with_partitions(vec![ListOffsetsPartition::default()]),
            ]),
        ),
        each_version(
            broker,
            &OffsetForLeaderEpochRequest::default().with_topics(vec![
                offset_for_leader_epoch_request::OffsetForLeaderTopic::default()
                    .with_topic(topic_name())
                    .with_partitions(vec![
                        offset_for_leader_epoch_request::OffsetForLeaderPartition::default(),
                    ]),
            ]),
        ),
    ]
}

/// A transaction that gets on, so that the full forms of requests and answers are tried, from its
/// producer to its end.
fn ask_all_of_transactions(broker: &Arc<Broker>) -> Vec<i16> {
    let producer = InitProducerIdRequest::default().with_transactional_id(Some(txn_id()));
    let mut seen = vec![each_version(
        broker,
        &producer.with_transaction_timeout_ms(60_000),
    )];
    let (id, epoch) = init(broker, "x", 60_000);
    let add = AddPartitionsToTxnTopic::default()
        .with_name(topic_name())
        .with_partitions(vec![0]);
    let add = AddPartitionsToTxnRequest::default().with_v3_and_below_topics(vec![add]);
    let add = add
        .with_v3_and_below_transactional_id(txn_id())
        .with_v3_and_below_producer_id(ProducerId(id));
    seen.push(each_version(
        broker,
        &add.with_v3_and_below_producer_epoch(epoch),
    ));
    let add = AddOffsetsToTxnRequest::default()
        .with_transactional_id(txn_id())
        .with_group_id(group_id());
    seen.push(each_version(
        broker,
        &add.with_producer_id(ProducerId(id))
            .with_producer_epoch(epoch),
    ));
    let offset =
        TxnOffsetCommitRequestPartition::default().with_committed_metadata(Some(text("a note")));
    let offset = TxnOffsetCommitRequestTopic::default()
        .with_name(topic_name())
        .with_partitions(vec![offset]);
    let commit = TxnOffsetCommitRequest::default()
        .with_transactional_id(txn_id())
        .with_group_id(group_id());
    let commit = commit
        .with_producer_id(ProducerId(id))
        .with_producer_epoch(epoch);
    seen.push(each_version(broker, &commit.with_topics(vec![offset])));
    let end = EndTxnRequest::default()
        .with_transactional_id(txn_id())
        .with_producer_id(ProducerId(id));
    seen.push(each_version(
        broker,
        &end.with_producer_epoch(epoch).with_committed(true),
    ));
    assert_eq!(
        committed(broker, "g", "t", true),
        (0, 0, "a note".to_owned()),
        "all of it was understood"
    );
    seen
}

/// A member of a group of its own for each version, from join to leave.
fn ask_all_of_members(broker: &Arc<Broker>) -> Vec<i16> {
    for version in 0..=5 {
        let group = GroupId(text(&format!("members-{version}")));
        let protocol =
            join_group_request::JoinGroupRequestProtocol::default().with_name(text("range"));
        let join = JoinGroupRequest::default()
            .with_group_id(group.clone())
            .with_session_timeout_ms(60_000)
            .with_protocol_type(text("consumer"))
            .with_protocols(vec![protocol.with_metadata(Bytes::from_static(b"said"))]);
        let join = if version >= 1 {
            join.with_rebalance_timeout_ms(60_000)
        } else {
            join
        };
        let mut welcome = ask(broker, &join, version);
        if version >= 4 {
            welcome = ask(broker, &join.with_member_id(welcome.member_id), version);
        }
        assert_eq!(
            (welcome.error_code, welcome.members.len()),
            (0, 1),
            "version {version}"
        );
        assert_eq!(&welcome.members[0].metadata[..], b"said");
        let id = welcome.member_id;
        let assignment =
            sync_group_request::SyncGroupRequestAssignment::default().with_member_id(id.clone());
        let sync = SyncGroupRequest::default()
            .with_group_id(group.clone())
            .with_generation_id(1);
        let sync = sync.with_member_id(id.clone());
        let sync =
            sync.with_assignments(vec![assignment.with_assignment(Bytes::from_static(b"all"))]);
        assert_eq!(&ask(broker, &sync, version.min(3)).assignment[..], b"all");
        let beat = HeartbeatRequest::default()
            .with_group_id(group.clone())
            .with_generation_id(1);
        assert_eq!(
            ask(broker, &beat.with_member_id(id.clone()), version.min(3)).error_code,
            0
        );
        let describe = DescribeGroupsRequest::default().with_groups(vec![group]);
        let described = ask(broker, &describe, version.min(4)).groups.remove(0);
        assert_eq!(
            (
                &*described.group_state,
                &described.members[0].member_assignment[..]
            ),
            ("Stable", &b"all"[..])
        );
    }
    [ApiKey::JoinGroup, ApiKey::SyncGroup, ApiKey::Heartbeat]
        .map(|key| key as i16)
        .to_vec()
}

fn ask_all_of_groups(broker: &Arc<Broker>) -> Vec<i16> {
    vec![
        each_version(
            broker,
            &OffsetCommitRequest::default()
                .with_group_id(group_id())
                .with_topics(vec![
                    OffsetCommitRequestTopic::default()
                        .with_name(topic_name())
                        .with_partitions(vec![
                            OffsetCommitRequestPartition::default().with_committed_offset(1),
                        ]),
                ]),
        ),
        each_version(
            broker,
            &OffsetFetchRequest::default()
                .with_group_id(group_id())
                .with_topics(Some(vec![
                    OffsetFetchRequestTopic::default()
                        .with_name(topic_name())
                        .with_partition_indexes(vec![0, 1]),
                ])),
        ),
        each_version(
            broker,
            &FindCoordinatorRequest::default().with_key(text("g")),
        ),
        each_version(
            broker,
            &DescribeGroupsRequest::default().with_groups(vec![group_id()]),
        ),
        each_version(broker, &ListGroupsRequest::default()),
        each_version(
            broker,
            &DeleteGroupsRequest::default().with_groups_names(vec![GroupId(text("none"))]),
        ),
        each_version(
            broker,
            &OffsetDeleteRequest::default().with_group_id(group_id()),
        ),
    ]
}

fn ask_all_of_admin(broker: &Arc<Broker>) -> Vec<i16> {
    vec![
        each_version(
            broker,
            &MetadataRequest::default().with_topics(Some(vec![
                metadata_request::MetadataRequestTopic::default().with_name(Some(topic_name())),
            ])),
        ),
        each_version(broker, &ApiVersionsRequest::default()),
        each_version(broker, &DescribeClusterRequest::default()),
        each_version(
            broker,
            &CreateTopicsRequest::default()
                .with_topics(vec![CreatableTopic::default().with_name(topic_name())]),
        ),
        each_version(
            broker,
            &DeleteTopicsRequest::default().with_topic_names(vec![TopicName(text("none"))]),
        ),
        each_version(
            broker,
            &DescribeConfigsRequest::default().with_resources(vec![
                describe_configs_request::DescribeConfigsResource::default()
                    .with_resource_type(2)
                    .with_resource_name(text("t")),
            ]),
        ),
        each_version(
            broker,
            &CreatePartitionsRequest::default().with_topics(vec![
                create_partitions_request::CreatePartitionsTopic::default()
                    .with_name(topic_name())
                    .with_count(2),
            ]),
        ),
        each_version(
            broker,
            &DeleteRecordsRequest::default().with_topics(vec![
                delete_records_request::DeleteRecordsTopic::default()
                    .with_name(topic_name())
                    .with_partitions(vec![
                        delete_records_request::DeleteRecordsPartition::default(),
                    ]),
            ]),
        ),
    ]
}

/// Its two forms exclude each other.
fn ask_all_leaves(broker: &Arc<Broker>) -> i16 {
    for version in 0..=3 {
        let leave = LeaveGroupRequest::default().with_group_id(group_id());
        let member =
            || vec![leave_group_request::MemberIdentity::default().with_member_id(text("m"))];
        let leave = if version < 3 {
            leave.with_member_id(text("m"))
        } else {
            leave.with_members(member())
        };
        ask(broker, &leave, version);
    }
    ApiKey::LeaveGroup as i16
}

#[test]
fn every_advertised_version_is_understood_and_answered() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path());
    assert_eq!(create(&broker, "t", 1, &[]), 0);
    let mut seen = ask_all_of_records(&broker);
    seen.extend(ask_all_of_transactions(&broker));
    seen.extend(ask_all_of_members(&broker));
    seen.extend(ask_all_of_groups(&broker));
    seen.extend(ask_all_of_admin(&broker));
    seen.push(ask_all_leaves(&broker));
    for api in APIS {
        assert!(
            seen.contains(&(api.key as i16)),
            "{:?} is advertised and not tried",
            api.key
        );
    }
}
