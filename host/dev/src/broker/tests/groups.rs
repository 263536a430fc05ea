//! Members of consumer groups, each on connections of its own, and those who ask about groups.

use super::*;
use crate::broker::offsets;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use streamhost_core::limits::BROKER_GROUPS_MAX;

fn group() -> GroupId {
    GroupId(text("g"))
}

fn join_request(member: &str, instance: Option<&str>) -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol::default().with_name(text("range"));
    JoinGroupRequest::default()
        .with_group_id(group())
        .with_session_timeout_ms(60_000)
        .with_rebalance_timeout_ms(60_000)
        .with_member_id(text(member))
        .with_group_instance_id(instance.map(text))
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol.with_metadata(Bytes::from(member.to_owned()))])
}

/// The id that a newcomer is to join with.
fn member_id(broker: &Arc<Broker>) -> String {
    let told = ask(broker, &join_request("", None), 5);
    assert_eq!(told.error_code, ResponseError::MemberIdRequired.code());
    told.member_id.to_string()
}

/// Asks on a connection of its own, which waits if need be.
fn waiting<R>(
    broker: &Arc<Broker>,
    request: R,
    version: i16,
) -> std::thread::JoinHandle<R::Response>
where
    R: Request + Send + 'static,
    R::Response: Send,
{
    let broker = broker.clone();
    std::thread::spawn(move || ask(&broker, &request, version))
}

fn sync_request(member: &str, generation: i32, plan: &[(&str, &'static str)]) -> SyncGroupRequest {
    let assign = |(member, assignment): &(&str, &'static str)| {
        let assignment = Bytes::from_static(assignment.as_bytes());
        SyncGroupRequestAssignment::default()
            .with_member_id(text(member))
            .with_assignment(assignment)
    };
    SyncGroupRequest::default()
        .with_group_id(group())
        .with_generation_id(generation)
        .with_member_id(text(member))
        .with_assignments(plan.iter().map(assign).collect())
}

fn heartbeat(broker: &Arc<Broker>, member: &str, generation: i32) -> i16 {
    let beat = HeartbeatRequest::default()
        .with_group_id(group())
        .with_generation_id(generation);
    ask(broker, &beat.with_member_id(text(member)), 3).error_code
}

fn leave(broker: &Arc<Broker>, member: &str) -> i16 {
    let member = leave_group_request::MemberIdentity::default().with_member_id(text(member));
    let leave = LeaveGroupRequest::default()
        .with_group_id(group())
        .with_members(vec![member]);
    ask(broker, &leave, 3).members[0].error_code
}

#[test]
fn two_members_share_a_group_from_join_to_leave() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path());
    let ids = [member_id(&broker), member_id(&broker)];
    let joins = ids
        .clone()
        .map(|id| waiting(&broker, join_request(&id, None), 5));
    let welcomes = joins.map(|join| join.join().unwrap());
    let leader = welcomes[0].leader.to_string();
    for (welcome, id) in welcomes.iter().zip(&ids) {
        assert_eq!(
            (
                welcome.error_code,
                welcome.generation_id,
                welcome.leader.as_str()
            ),
            (0, 1, leader.as_str())
        );
        assert_eq!(
            welcome.members.len(),
            if *id == leader { 2 } else { 0 },
            "the leader knows the others"
        );
    }
    let follower = ids.iter().find(|id| **id != leader).unwrap();
    // On another connection than it joined on, as after a broken one.
    let following = waiting(&broker, sync_request(follower, 1, &[]), 3);
    while broker
        .groups
        .look("g", |group| !group.is_waiting_for_plan(follower))
        .unwrap()
    {
        std::thread::yield_now();
    }
    let plan = [(leader.as_str(), "zero"), (follower.as_str(), "one")];
    assert_eq!(
        ask(&broker, &sync_request(&leader, 1, &plan), 3).assignment,
        "zero"
    );
    assert_eq!(following.join().unwrap().assignment, "one");
    assert_eq!(
        (
            heartbeat(&broker, &leader, 1),
            heartbeat(&broker, follower, 1)
        ),
        (0, 0)
    );

    assert_eq!(leave(&broker, &leader), 0);
    assert_eq!(
        heartbeat(&broker, follower, 1),
        ResponseError::RebalanceInProgress.code()
    );
    let alone = ask(&broker, &join_request(follower, None), 5);
    assert_eq!(
        (alone.error_code, alone.generation_id, alone.leader.as_str()),
        (0, 2, follower.as_str())
    );
    assert_eq!(
        ask(&broker, &sync_request(follower, 2, &[(follower, "all")]), 3).assignment,
        "all"
    );
    assert_eq!(leave(&broker, follower), 0);
    assert_eq!(
        leave(&broker, follower),
        ResponseError::UnknownMemberId.code()
    );
}

#[test]
fn of_two_consumers_with_one_instance_the_older_one_is_fenced() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path());
    let other = member_id(&broker); // expected, so that the first round does not end yet
    let older = waiting(&broker, join_request("", Some("i")), 5);
    let member = |skip: Option<&String>| {
        broker
            .groups
            .look("g", |group| {
                group.members.keys().find(|id| Some(*id) != skip).cloned()
            })
            .unwrap()
    };
    let older_id = loop {
        if let Some(id) = member(None) {
            break id;
        }
        std::thread::yield_now();
    };
    let newer = waiting(&broker, join_request("", Some("i")), 5);
    let fenced = ResponseError::FencedInstanceId.code();
    assert_eq!(older.join().unwrap().error_code, fenced);
    assert_eq!(
        ask(&broker, &join_request(&older_id, Some("i")), 5).error_code,
        fenced,
        "it does not come back"
    );
    assert_eq!(leave(&broker, &other), 0);
    broker
        .groups
        .look("g", |group| {
            group.members.values().for_each(crate::broker::groups::wake)
        })
        .unwrap();
    assert_eq!(newer.join().unwrap().error_code, 0);
}

#[test]
fn more_groups_than_may_have_members_are_all_listed() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path());
    create(&broker, "t", 1, &[]);
    let mut write = broker.store.removal();
    let committed = offsets::Committed {
        offset: 1,
        leader_epoch: 0,
        metadata: String::new(),
    };
    for number in 0..=BROKER_GROUPS_MAX {
        offsets::stage(
            &broker.store,
            &mut write,
            (&format!("g{number}"), "t", 0),
            &committed,
        );
    }
    write.commit().unwrap();
    assert_eq!(
        ask(&broker, &ListGroupsRequest::default(), 4).groups.len(),
        BROKER_GROUPS_MAX + 1
    );
    assert!(broker.groups.names().is_empty(), "a look takes no place");
}
