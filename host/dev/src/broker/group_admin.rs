//! What monitors and administrators ask about groups.

use super::calls::text;
use super::groups::{Group, Phase};
use super::{Broker, BrokerError, CallError, code_of, offsets};
use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse,
    GroupId, ListGroupsRequest, ListGroupsResponse,
};
use std::collections::BTreeSet;
use streamhost_core::clock::monotonic;

/// Kafka's word for a group that is not there.
const DEAD: &str = "Dead";

impl Broker {
    pub(super) fn list_groups(
        &self,
        asked: &ListGroupsRequest,
        version: i16,
    ) -> ListGroupsResponse {
        let mut names: BTreeSet<String> = match offsets::groups(&self.store) {
            Ok(names) => names,
            Err(error) => {
                return ListGroupsResponse::default()
                    .with_error_code(CallError::from(error).code());
            }
        };
        names.extend(self.groups.names());
        let is_wanted = |state: &str| {
            let mut wanted = asked.states_filter.iter();
            asked.states_filter.is_empty()
                || wanted.any(|wanted| wanted.eq_ignore_ascii_case(state))
        };
        let listed = names.iter().filter_map(|name| {
            let look =
                |group: &mut Group| (group.protocol_type.clone(), self.state_of(name, group));
            let (kind, state) = self.groups.look(name, look).ok()?;
            let listed = ListedGroup::default()
                .with_group_id(GroupId(text(name)))
                .with_protocol_type(text(&kind));
            let listed = if version >= 4 {
                listed.with_group_state(text(state))
            } else {
                listed
            };
            (state != DEAD && is_wanted(state)).then_some(listed)
        });
        ListGroupsResponse::default().with_groups(listed.collect())
    }

    pub(super) fn describe_groups(
        &self,
        asked: DescribeGroupsRequest,
        version: i16,
    ) -> DescribeGroupsResponse {
        let describe = |name: GroupId| {
            let described = self.groups.look(&name, |group| {
                group.tick(monotonic());
                describe(group, self.state_of(&name, group), version)
            });
            let described = described
                .unwrap_or_else(|error| DescribedGroup::default().with_error_code(error.code()));
            described.with_group_id(name)
        };
        DescribeGroupsResponse::default()
            .with_groups(asked.groups.into_iter().map(describe).collect())
    }

    fn state_of(&self, name: &str, group: &Group) -> &'static str {
        match group.phase {
            Phase::Empty if offsets::has_group(&self.store, name) => "Empty",
            Phase::Empty => DEAD,
            Phase::Joining => "PreparingRebalance",
            Phase::Syncing => "CompletingRebalance",
            Phase::Stable => "Stable",
        }
    }

    pub(super) fn delete_groups(&self, asked: DeleteGroupsRequest) -> DeleteGroupsResponse {
        let results = asked.groups_names.into_iter().map(|name| {
            let outcome = self.groups.while_empty(&name, || {
                if !offsets::has_group(&self.store, &name) {
                    return Err(ResponseError::GroupIdNotFound.into());
                }
                let mut write = self.store.removal();
                offsets::stage_forget_group(&self.store, &mut write, &name)?;
                Ok(write.commit().map_err(BrokerError::from)?)
            });
            DeletableGroupResult::default()
                .with_group_id(name)
                .with_error_code(code_of(&outcome))
        });
        DeleteGroupsResponse::default().with_results(results.collect())
    }
}

fn describe(group: &Group, state: &str, version: i16) -> DescribedGroup {
    let is_settled = group.phase == Phase::Stable;
    let said = |protocols: &[(String, Bytes)]| {
        let chosen = protocols
            .iter()
            .find(|(name, _)| is_settled && *name == group.protocol);
        chosen
            .map(|(_, metadata)| metadata.clone())
            .unwrap_or_default()
    };
    let members = group.members.iter().map(|(id, member)| {
        let described = DescribedGroupMember::default()
            .with_member_id(text(id))
            .with_client_id(text(&member.client_id))
            .with_client_host(text(&member.host))
            .with_member_metadata(said(&member.protocols))
            .with_member_assignment(if is_settled {
                member.assignment.clone()
            } else {
                Bytes::new()
            });
        match version {
            4.. => described.with_group_instance_id(member.instance.as_deref().map(text)),
            _ => described,
        }
    });
    DescribedGroup::default()
        .with_group_state(text(state))
        .with_protocol_type(text(&group.protocol_type))
        .with_protocol_data(text(&group.protocol))
        .with_members(members.collect())
}
