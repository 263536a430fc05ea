//! The requests of a group's members.

use super::Broker;
use super::calls::{Caller, text};
use super::groups::{Application, Group, Joined};
use super::signal::Wake;
use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    LeaveGroupResponse, SyncGroupRequest, SyncGroupResponse,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use streamhost_core::clock::{monotonic, now_ms};
use streamhost_core::limits::{BROKER_GROUP_MEMBERS_MAX, BROKER_SESSION_TIME};

/// A member id that nobody has, not even one from before a restart.
fn new_member_id(client_id: &str) -> String {
    static GIVEN: AtomicU64 = AtomicU64::new(0);
    format!(
        "{client_id}-{:x}-{:x}",
        now_ms(),
        GIVEN.fetch_add(1, Ordering::Relaxed)
    )
}

impl Broker {
    pub(super) fn join_group(
        &self,
        caller: &Caller,
        asked: JoinGroupRequest,
        version: i16,
    ) -> JoinGroupResponse {
        let given = asked.member_id.to_string();
        let id = if given.is_empty() {
            new_member_id(&caller.client_id)
        } else {
            given.clone()
        };
        let answer = self.try_join(caller, &asked, &id, version);
        answer.unwrap_or_else(|error| {
            let id = if error == ResponseError::MemberIdRequired {
                id
            } else {
                given
            };
            refusal()
                .with_error_code(error.code())
                .with_member_id(text(&id))
        })
    }

    fn try_join(
        &self,
        caller: &Caller,
        asked: &JoinGroupRequest,
        id: &str,
        version: i16,
    ) -> Result<JoinGroupResponse, ResponseError> {
        let who = application(caller, asked, version)?;
        let is_fresh = asked.member_id.is_empty();
        if is_fresh && version >= 4 && who.instance.is_none() {
            let promise = |group: &mut Group| group.promise(id, who.session, monotonic());
            self.groups.with(&asked.group_id, promise)??;
            return Err(ResponseError::MemberIdRequired);
        }
        let instance = asked.group_instance_id.as_deref();
        let request = self.groups.with(&asked.group_id, |group| {
            group.join(id, is_fresh, who, monotonic())
        })??;
        loop {
            caller.signal.lower();
            let look = |group: &mut Group| {
                let joined = group.joined((id, instance), request, monotonic())?;
                Ok((
                    matches!(joined, Joined::Done).then(|| welcome(group, id)),
                    joined,
                ))
            };
            match self.groups.with(&asked.group_id, look)?? {
                (Some(welcome), _) => return Ok(welcome),
                (None, Joined::Wait(until)) if caller.signal.wait_until(until) != Wake::Closed => {}
                // The broker stops serving.
                (None, _) => return Err(ResponseError::CoordinatorNotAvailable),
            }
        }
    }

    pub(super) fn sync_group(&self, caller: &Caller, asked: SyncGroupRequest) -> SyncGroupResponse {
        match self.try_sync(caller, &asked) {
            Ok(assignment) => SyncGroupResponse::default().with_assignment(assignment),
            Err(error) => SyncGroupResponse::default().with_error_code(error.code()),
        }
    }

    fn try_sync(&self, caller: &Caller, asked: &SyncGroupRequest) -> Result<Bytes, ResponseError> {
        let plan: Vec<(String, Bytes)> = asked
            .assignments
            .iter()
            .map(|each| (each.member_id.to_string(), each.assignment.clone()))
            .collect();
        let member = (
            asked.member_id.as_str(),
            asked.generation_id,
            asked.group_instance_id.as_deref(),
        );
        let signal = Arc::downgrade(&caller.signal);
        loop {
            caller.signal.lower();
            let sync = |group: &mut Group| group.sync(member, &plan, &signal, monotonic());
            let synced = self.groups.with(&asked.group_id, sync)??;
            if let Some(assignment) = synced {
                return Ok(assignment);
            }
            // Who waits is woken by the leader's plan, by a new round, and by its own removal; the
            // limit is for clients that vanish while they wait.
            if caller
                .signal
                .wait_until(monotonic() + BROKER_SESSION_TIME.1)
                != Wake::Raised
            {
                return Err(ResponseError::RebalanceInProgress);
            }
        }
    }

    pub(super) fn heartbeat(&self, asked: &HeartbeatRequest) -> HeartbeatResponse {
        let member = (
            asked.member_id.as_str(),
            asked.generation_id,
            asked.group_instance_id.as_deref(),
        );
        let outcome = self.groups.with(&asked.group_id, |group| {
            group.heartbeat(member, monotonic())
        });
        HeartbeatResponse::default().with_error_code(plain_code(outcome))
    }

    pub(super) fn leave_group(
        &self,
        asked: &LeaveGroupRequest,
        version: i16,
    ) -> LeaveGroupResponse {
        let leave = |id: &str, instance: Option<&str>| {
            plain_code(self.groups.with(&asked.group_id, |group| {
                group.leave(id, instance, monotonic())
            }))
        };
        if version < 3 {
            return LeaveGroupResponse::default().with_error_code(leave(&asked.member_id, None));
        }
        let members = asked.members.iter().map(|member| {
            let code = leave(&member.member_id, member.group_instance_id.as_deref());
            MemberResponse::default()
                .with_member_id(member.member_id.clone())
                .with_group_instance_id(member.group_instance_id.clone())
                .with_error_code(code)
        });
        LeaveGroupResponse::default().with_members(members.collect())
    }
}

fn plain_code(outcome: Result<Result<(), ResponseError>, ResponseError>) -> i16 {
    outcome
        .and_then(|inner| inner)
        .map_or_else(|error| error.code(), |()| 0)
}

fn application(
    caller: &Caller,
    asked: &JoinGroupRequest,
    version: i16,
) -> Result<Application, ResponseError> {
    let session = Duration::from_millis(u64::try_from(asked.session_timeout_ms).unwrap_or(0));
    if !(BROKER_SESSION_TIME.0..=BROKER_SESSION_TIME.1).contains(&session) {
        return Err(ResponseError::InvalidSessionTimeout);
    }
    // The oldest version has one timeout for both.
    let rebalance = match version {
        0 => session,
        _ => Duration::from_millis(u64::try_from(asked.rebalance_timeout_ms).unwrap_or(0))
            .min(BROKER_SESSION_TIME.1),
    };
    if asked.protocols.len() > BROKER_GROUP_MEMBERS_MAX {
        return Err(ResponseError::InconsistentGroupProtocol);
    }
    Ok(Application {
        client_id: caller.client_id.clone(),
        host: format!("/{}", caller.peer.ip().to_canonical()),
        instance: asked
            .group_instance_id
            .as_ref()
            .map(|instance| instance.to_string()),
        session,
        rebalance,
        protocol_type: asked.protocol_type.to_string(),
        protocols: asked
            .protocols
            .iter()
            .map(|each| (each.name.to_string(), each.metadata.clone()))
            .collect(),
        signal: Arc::downgrade(&caller.signal),
    })
}

fn refusal() -> JoinGroupResponse {
    JoinGroupResponse::default()
        .with_generation_id(-1)
        .with_protocol_name(Some(text("")))
}

/// The answer to a member whose round is over; the leader is also told who the others are.
fn welcome(group: &Group, id: &str) -> JoinGroupResponse {
    let said = |protocols: &[(String, Bytes)]| {
        let chosen = protocols.iter().find(|(name, _)| *name == group.protocol);
        chosen
            .map(|(_, metadata)| metadata.clone())
            .unwrap_or_default()
    };
    let members = group
        .members
        .iter()
        .filter(|_| group.leader == id)
        .map(|(id, member)| {
            JoinGroupResponseMember::default()
                .with_member_id(text(id))
                .with_group_instance_id(member.instance.as_deref().map(text))
                .with_metadata(said(&member.protocols))
        });
    JoinGroupResponse::default()
        .with_generation_id(group.generation)
        .with_protocol_name(Some(text(&group.protocol)))
        .with_leader(text(&group.leader))
        .with_member_id(text(id))
        .with_members(members.collect())
}
