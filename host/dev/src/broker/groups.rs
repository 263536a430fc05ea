//! Consumer groups of the classic protocol: who is a member, and the round that each change of
//! members needs. Members are not stored: after a restart they join again, as they do when their
//! coordinator moves.
//!
//! ```text
//! Empty ─ first join ─► Joining ─ all are here, or time is up ─► Syncing ─ leader's plan ─► Stable
//!   ▲                     ▲  a join, a leave, a silent member: from Syncing and Stable          │
//!   └── the last leaves   └──────────────────────────────────────────────────────────────────────┘
//! ```

use super::signal::Signal;
use bytes::Bytes;
use kafka_protocol::ResponseError;
use std::collections::{BTreeMap, HashMap};
use std::sync::Weak;
use std::time::{Duration, Instant};
use streamhost_core::limits::{BROKER_FIRST_JOIN_WAIT, BROKER_GROUP_MEMBERS_MAX};

/// Where a group is in the picture above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Phase {
    #[default]
    Empty,
    Joining,
    Syncing,
    Stable,
}

/// One member.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) client_id: String,
    pub(super) host: String,
    pub(super) instance: Option<String>,
    pub(super) session: Duration,
    pub(super) rebalance: Duration,
    /// The member's way of sharing partitions, the liked ones first, and what it says to the
    /// leader.
    pub(super) protocols: Vec<(String, Bytes)>,
    pub(super) assignment: Bytes,
    /// Waits in a join or sync request; such a member is not silent.
    waits_for: Option<Waits>,
    seen: Instant,
    signal: Weak<Signal>,
    /// Which of its join requests is the latest.
    request: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waits {
    Join,
    Sync,
}

/// What a member says when it joins.
#[derive(Debug, Clone)]
pub(super) struct Application {
    pub(super) client_id: String,
    pub(super) host: String,
    pub(super) instance: Option<String>,
    pub(super) session: Duration,
    pub(super) rebalance: Duration,
    pub(super) protocol_type: String,
    pub(super) protocols: Vec<(String, Bytes)>,
    pub(super) signal: Weak<Signal>,
}

/// One group.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) phase: Phase,
    pub(super) generation: i32,
    pub(super) protocol_type: String,
    pub(super) protocol: String,
    pub(super) leader: String,
    pub(super) members: BTreeMap<String, Member>,
    /// Ids that were given out to clients that have not joined with them yet, and until when they
    /// count.
    pub(super) promised: HashMap<String, Instant>,
    /// While joining: no earlier and no later than these does the round end.
    round: Option<(Instant, Instant)>,
    requests: u64,
    /// Taken out of the list of groups.
    pub(super) gone: bool,
}

/// How a join request stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Joined {
    /// The round is over, or was not needed.
    Done,
    /// Look again when woken, or at this moment.
    Wait(Instant),
}

impl Group {
    /// Gives out a member id with which the client is to join within its session timeout.
    pub(super) fn promise(
        &mut self,
        id: &str,
        session: Duration,
        now: Instant,
    ) -> Result<(), ResponseError> {
        if self.members.len() + self.promised.len() >= BROKER_GROUP_MEMBERS_MAX {
            return Err(ResponseError::GroupMaxSizeReached);
        }
        self.promised.insert(id.to_owned(), now + session);
        Ok(())
    }

    /// Takes a join request. `id` is new only if it was promised, or made for this request
    /// (`is_fresh`). Answers the request's number for [`Group::joined`].
    pub(super) fn join(
        &mut self,
        id: &str,
        is_fresh: bool,
        who: Application,
        now: Instant,
    ) -> Result<u64, ResponseError> {
        self.check_protocols(id, &who)?;
        let is_known = self.members.contains_key(id);
        if !is_known {
            let is_promised = self.promised.remove(id).is_some();
            if !is_promised && !is_fresh {
                // Fenced if another one bears its instance's name: it must not come back under that
                // name and put the other one out, who would do the same.
                self.check_member(id, who.instance.as_deref())?;
            }
            if self.members.len() >= BROKER_GROUP_MEMBERS_MAX {
                return Err(ResponseError::GroupMaxSizeReached);
            }
        }
        self.check_instance(id, who.instance.as_deref())?;
        self.requests += 1;
        let known = self.members.get(id);
        let is_same = known.is_some_and(|known| known.protocols == who.protocols);
        let needs_round = match self.phase {
            Phase::Empty => true,
            Phase::Joining => false, // there is one
            Phase::Syncing => !is_same,
            Phase::Stable => !is_same || self.leader == id,
        };
        let assignment = known
            .map(|known| known.assignment.clone())
            .unwrap_or_default();
        let member = Member {
            client_id: who.client_id,
            host: who.host,
            instance: who.instance,
            session: who.session,
            rebalance: who.rebalance,
            protocols: who.protocols,
            assignment,
            waits_for: None,
            seen: now,
            signal: who.signal,
            request: self.requests,
        };
        self.members.insert(id.to_owned(), member);
        self.protocol_type = who.protocol_type;
        if needs_round {
            self.begin_round(now);
        }
        if self.phase == Phase::Joining
            && let Some(member) = self.members.get_mut(id)
        {
            member.waits_for = Some(Waits::Join);
        }
        self.tick(now);
        Ok(self.requests)
    }

    fn check_protocols(&self, id: &str, who: &Application) -> Result<(), ResponseError> {
        let is_shared = |name: &str| {
            let mut others = self
                .members
                .iter()
                .filter(|(other, _)| *other != id)
                .map(|(_, member)| member);
            others.all(|member| member.protocols.iter().any(|(other, _)| other == name))
        };
        let is_alone = self.members.keys().all(|other| other == id);
        let fits = !who.protocol_type.is_empty()
            && (is_alone || who.protocol_type == self.protocol_type)
            && who.protocols.iter().any(|(name, _)| is_shared(name));
        if fits {
            Ok(())
        } else {
            Err(ResponseError::InconsistentGroupProtocol)
        }
    }

    /// A member that comes back under its instance's name with a new id replaces its former self;
    /// with the id of a former self it is fenced.
    fn check_instance(&mut self, id: &str, instance: Option<&str>) -> Result<(), ResponseError> {
        let Some(instance) = instance else {
            return Ok(());
        };
        let same = |(other, member): (&String, &Member)| {
            (member.instance.as_deref() == Some(instance) && other != id).then(|| other.clone())
        };
        let Some(former) = self.members.iter().find_map(same) else {
            return Ok(());
        };
        if self.members.contains_key(id) {
            return Err(ResponseError::FencedInstanceId);
        }
        if let Some(member) = self.members.remove(&former) {
            wake(&member);
        }
        Ok(())
    }

    /// Whether join request number `request` of a member can be answered.
    pub(super) fn joined(
        &mut self,
        (id, instance): (&str, Option<&str>),
        request: u64,
        now: Instant,
    ) -> Result<Joined, ResponseError> {
        self.tick(now);
        self.check_member(id, instance)?;
        let member = self.members.get(id).ok_or(ResponseError::UnknownMemberId)?;
        if member.request != request {
            // A later request of the same member waits now.
            return Err(ResponseError::RebalanceInProgress);
        }
        match (member.waits_for, self.round) {
            (Some(Waits::Join), Some((earliest, latest))) => {
                Ok(Joined::Wait(if self.is_complete() {
                    earliest
                } else {
                    latest
                }))
            }
            _ => Ok(Joined::Done),
        }
    }

    #[cfg(test)]
    pub(super) fn is_waiting_for_plan(&self, id: &str) -> bool {
        self.members
            .get(id)
            .is_some_and(|member| member.waits_for == Some(Waits::Sync))
    }

    fn is_complete(&self) -> bool {
        self.promised.is_empty()
            && self
                .members
                .values()
                .all(|member| member.waits_for == Some(Waits::Join))
    }

    fn begin_round(&mut self, now: Instant) {
        let earliest = if self.phase == Phase::Empty {
            now + BROKER_FIRST_JOIN_WAIT
        } else {
            now
        };
        let longest = self
            .members
            .values()
            .map(|member| member.rebalance)
            .max()
            .unwrap_or_default();
        self.phase = Phase::Joining;
        self.round = Some((earliest, earliest + longest));
        for member in self.members.values_mut() {
            if member.waits_for == Some(Waits::Sync) {
                member.waits_for = None;
                member.seen = now;
            }
            wake(member);
        }
    }

    /// Ends what time has ended: promises, silent members, rounds.
    pub(super) fn tick(&mut self, now: Instant) {
        self.promised.retain(|_, until| now < *until);
        let silent =
            |member: &Member| member.waits_for.is_none() && now >= member.seen + member.session;
        let gone: Vec<String> = self
            .members
            .iter()
            .filter(|(_, m)| silent(m))
            .map(|(id, _)| id.clone())
            .collect();
        for id in gone {
            self.remove(&id, now);
        }
        if let Some((earliest, latest)) = self.round
            && now >= earliest
            && (now >= latest || self.is_complete())
        {
            self.end_round(now);
        }
    }

    fn end_round(&mut self, now: Instant) {
        self.round = None;
        let is_here = |member: &Member| member.waits_for == Some(Waits::Join);
        self.members
            .values()
            .filter(|member| !is_here(member))
            .for_each(wake);
        self.members.retain(|_, member| is_here(member));
        self.generation = self.generation.wrapping_add(1).max(1);
        if self.members.is_empty() {
            self.become_empty();
            return;
        }
        if !self.members.contains_key(&self.leader) {
            self.leader = self.members.keys().next().cloned().unwrap_or_default();
        }
        self.protocol = self.choose_protocol();
        self.phase = Phase::Syncing;
        for member in self.members.values_mut() {
            member.waits_for = None;
            member.assignment = Bytes::new();
            member.seen = now;
            wake(member);
        }
    }

    /// Of the protocols that all share, the one that most members like best.
    fn choose_protocol(&self) -> String {
        let is_shared = |name: &str| {
            self.members
                .values()
                .all(|m| m.protocols.iter().any(|(other, _)| other == name))
        };
        let mut votes = BTreeMap::<&str, usize>::new();
        for member in self.members.values() {
            if let Some((liked, _)) = member.protocols.iter().find(|(name, _)| is_shared(name)) {
                *votes.entry(liked).or_default() += 1;
            }
        }
        votes
            .into_iter()
            .max_by_key(|(_, count)| *count)
            .map(|(name, _)| name.to_owned())
            .unwrap_or_default()
    }

    /// Takes a sync request; the leader's brings everyone's assignment. `Some` is the member's;
    /// `None`: `signal` is raised when there is one.
    pub(super) fn sync(
        &mut self,
        (id, generation, instance): (&str, i32, Option<&str>),
        plan: &[(String, Bytes)],
        signal: &Weak<Signal>,
        now: Instant,
    ) -> Result<Option<Bytes>, ResponseError> {
        self.tick(now);
        self.check_member(id, instance)?;
        if self.phase == Phase::Joining {
            return Err(ResponseError::RebalanceInProgress);
        }
        if generation != self.generation {
            return Err(ResponseError::IllegalGeneration);
        }
        if self.phase == Phase::Syncing && self.leader == id {
            self.phase = Phase::Stable;
            for (id, assignment) in plan {
                if let Some(member) = self.members.get_mut(id) {
                    member.assignment = assignment.clone();
                }
            }
            for member in self.members.values_mut() {
                member.waits_for = None;
                member.seen = now;
                wake(member);
            }
        }
        let is_stable = self.phase == Phase::Stable;
        let member = self
            .members
            .get_mut(id)
            .ok_or(ResponseError::UnknownMemberId)?;
        member.waits_for = (!is_stable).then_some(Waits::Sync);
        // It may have joined on another connection.
        member.signal = signal.clone();
        Ok(is_stable.then(|| member.assignment.clone()))
    }

    pub(super) fn heartbeat(
        &mut self,
        (id, generation, instance): (&str, i32, Option<&str>),
        now: Instant,
    ) -> Result<(), ResponseError> {
        self.tick(now);
        self.check_member(id, instance)?;
        let generation_now = self.generation;
        let phase = self.phase;
        if let Some(member) = self.members.get_mut(id) {
            member.seen = now;
        }
        match phase {
            Phase::Joining => Err(ResponseError::RebalanceInProgress),
            _ if generation != generation_now => Err(ResponseError::IllegalGeneration),
            _ => Ok(()),
        }
    }

    /// Removes a member by its id, or by its instance's name.
    pub(super) fn leave(
        &mut self,
        id: &str,
        instance: Option<&str>,
        now: Instant,
    ) -> Result<(), ResponseError> {
        let by_instance = |(other, member): (&String, &Member)| {
            (instance.is_some() && member.instance.as_deref() == instance).then(|| other.clone())
        };
        let id = match id {
            "" => self
                .members
                .iter()
                .find_map(by_instance)
                .ok_or(ResponseError::UnknownMemberId)?,
            id => id.to_owned(),
        };
        if self.promised.remove(&id).is_some() {
            return Ok(());
        }
        self.check_member(&id, instance)?;
        self.remove(&id, now);
        self.tick(now);
        Ok(())
    }

    fn remove(&mut self, id: &str, now: Instant) {
        if let Some(member) = self.members.remove(id) {
            wake(&member);
        }
        match self.phase {
            _ if self.members.is_empty() => {
                self.generation = self.generation.wrapping_add(1).max(1);
                self.become_empty();
            }
            Phase::Syncing | Phase::Stable => self.begin_round(now),
            Phase::Empty | Phase::Joining => {}
        }
    }

    fn become_empty(&mut self) {
        (self.phase, self.round) = (Phase::Empty, None);
        self.leader.clear();
        self.protocol.clear();
    }

    fn check_member(&self, id: &str, instance: Option<&str>) -> Result<(), ResponseError> {
        let has_instance =
            |member: &Member| instance.is_some() && member.instance.as_deref() == instance;
        match self.members.get(id) {
            Some(member) if instance.is_none() || has_instance(member) => Ok(()),
            _ if self.members.values().any(has_instance) => Err(ResponseError::FencedInstanceId),
            _ => Err(ResponseError::UnknownMemberId),
        }
    }

    /// Whether this member may commit offsets. Who is no member (generation below 0) may, while
    /// there are none.
    pub(super) fn check_commit(
        &mut self,
        (id, generation, instance): (&str, i32, Option<&str>),
        now: Instant,
    ) -> Result<(), ResponseError> {
        self.tick(now);
        if generation < 0 && id.is_empty() && self.members.is_empty() {
            return Ok(());
        }
        self.check_member(id, instance)?;
        if generation != self.generation {
            return Err(ResponseError::IllegalGeneration);
        }
        if self.phase == Phase::Syncing {
            return Err(ResponseError::RebalanceInProgress);
        }
        if let Some(member) = self.members.get_mut(id) {
            member.seen = now;
        }
        Ok(())
    }
}

pub(super) fn wake(member: &Member) {
    if let Some(signal) = member.signal.upgrade() {
        signal.raise();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn who(instance: Option<&str>, metadata: &'static str) -> Application {
        Application {
            client_id: "c".into(),
            host: "/127.0.0.1".into(),
            instance: instance.map(str::to_owned),
            session: 10 * SECOND,
            rebalance: 30 * SECOND,
            protocol_type: "consumer".into(),
            protocols: vec![("range".into(), Bytes::from_static(metadata.as_bytes()))],
            signal: Weak::new(),
        }
    }

    /// A group of the members `a` and `b` in its second generation, and the moment.
    fn stable() -> (Group, Instant) {
        let mut group = Group::default();
        let mut now = Instant::now();
        let first = group.join("a", true, who(None, "1"), now).unwrap();
        assert_eq!(
            group.joined(("a", None), first, now),
            Ok(Joined::Wait(now + BROKER_FIRST_JOIN_WAIT))
        );
        now += BROKER_FIRST_JOIN_WAIT;
        assert_eq!(group.joined(("a", None), first, now), Ok(Joined::Done));
        assert_eq!(
            (group.phase, group.generation, group.leader.as_str()),
            (Phase::Syncing, 1, "a")
        );
        let plan = [("a".to_owned(), Bytes::from_static(b"all"))];
        assert_eq!(
            group.sync(("a", 1, None), &plan, &Weak::new(), now),
            Ok(Some(Bytes::from_static(b"all")))
        );

        let second = group.join("b", true, who(None, "1"), now).unwrap();
        assert_eq!(
            group.heartbeat(("a", 1, None), now),
            Err(ResponseError::RebalanceInProgress)
        );
        assert!(matches!(
            group.joined(("b", None), second, now),
            Ok(Joined::Wait(_))
        ));
        let first = group.join("a", false, who(None, "1"), now).unwrap();
        assert_eq!(group.joined(("a", None), first, now), Ok(Joined::Done));
        assert_eq!(group.joined(("b", None), second, now), Ok(Joined::Done));
        assert_eq!(
            group.sync(("b", 2, None), &[], &Weak::new(), now),
            Ok(None),
            "the leader's plan is not there yet"
        );
        let plan = [
            ("a".to_owned(), Bytes::from_static(b"0")),
            ("b".to_owned(), Bytes::from_static(b"1")),
        ];
        assert_eq!(
            group.sync(("a", 2, None), &plan, &Weak::new(), now),
            Ok(Some(Bytes::from_static(b"0")))
        );
        assert_eq!(
            group.sync(("b", 2, None), &[], &Weak::new(), now),
            Ok(Some(Bytes::from_static(b"1")))
        );
        (group, now)
    }

    #[test]
    fn a_silent_member_is_put_out() {
        let (mut group, mut now) = stable();
        now += 9 * SECOND;
        assert_eq!(group.heartbeat(("a", 2, None), now), Ok(()));
        now += 2 * SECOND;
        assert_eq!(
            group.heartbeat(("a", 2, None), now),
            Err(ResponseError::RebalanceInProgress)
        );
        assert_eq!(
            group.heartbeat(("b", 2, None), now),
            Err(ResponseError::UnknownMemberId)
        );
        let request = group.join("a", false, who(None, "1"), now).unwrap();
        assert_eq!(group.joined(("a", None), request, now), Ok(Joined::Done));
        assert_eq!((group.generation, group.members.len()), (3, 1));
    }

    #[test]
    fn a_round_ends_without_those_who_do_not_come() {
        let (mut group, mut now) = stable();
        let request = group.join("b", false, who(None, "2"), now).unwrap();
        let Ok(Joined::Wait(until)) = group.joined(("b", None), request, now) else {
            panic!("a is not here yet")
        };
        for _ in 0..3 {
            now += 9 * SECOND; // alive, but does not join
            assert_eq!(
                group.heartbeat(("a", 2, None), now),
                Err(ResponseError::RebalanceInProgress)
            );
        }
        assert_eq!(group.joined(("b", None), request, until), Ok(Joined::Done));
        assert_eq!((group.leader.as_str(), group.members.len()), ("b", 1));
    }

    #[test]
    fn only_members_of_this_generation_commit() {
        let (mut group, now) = stable();
        assert_eq!(group.check_commit(("a", 2, None), now), Ok(()));
        assert_eq!(
            group.check_commit(("a", 1, None), now),
            Err(ResponseError::IllegalGeneration)
        );
        assert_eq!(
            group.check_commit(("z", 2, None), now),
            Err(ResponseError::UnknownMemberId)
        );
        assert_eq!(
            group.check_commit(("", -1, None), now),
            Err(ResponseError::UnknownMemberId)
        );
        for member in ["a", "b"] {
            group.leave(member, None, now).unwrap();
        }
        assert_eq!(
            (group.phase, group.check_commit(("", -1, None), now)),
            (Phase::Empty, Ok(()))
        );
    }

    #[test]
    fn ids_must_be_promised_and_promises_end() {
        let mut group = Group::default();
        let now = Instant::now();
        assert_eq!(
            group.join("x", false, who(None, "1"), now),
            Err(ResponseError::UnknownMemberId)
        );
        group.promise("x", SECOND, now).unwrap();
        group.promise("y", SECOND, now).unwrap();
        let request = group.join("x", false, who(None, "1"), now).unwrap();
        let later = now + BROKER_FIRST_JOIN_WAIT;
        assert!(
            matches!(
                group.joined(("x", None), request, later),
                Ok(Joined::Wait(_))
            ),
            "y is still expected"
        );
        assert_eq!(
            group.joined(("x", None), request, now + SECOND),
            Ok(Joined::Done)
        );
        assert_eq!(
            group.join("y", false, who(None, "1"), now + SECOND),
            Err(ResponseError::UnknownMemberId)
        );
    }

    #[test]
    fn an_instance_replaces_its_former_self() {
        let mut group = Group::default();
        let now = Instant::now();
        let waiting = group.join("a", true, who(Some("i"), "1"), now).unwrap();
        group.join("b", true, who(Some("i"), "1"), now).unwrap();
        assert_eq!(group.members.keys().collect::<Vec<_>>(), ["b"]);
        assert_eq!(
            group.heartbeat(("a", 0, Some("i")), now),
            Err(ResponseError::FencedInstanceId)
        );
        assert_eq!(
            group.joined(("a", Some("i")), waiting, now),
            Err(ResponseError::FencedInstanceId),
            "who waits is told why it waits in vain"
        );
        for (id, instance) in [("a", Some("i")), ("never", Some("i"))] {
            assert_eq!(
                group.join(id, false, who(instance, "1"), now),
                Err(ResponseError::FencedInstanceId)
            );
        }
        assert_eq!(
            group.members.keys().collect::<Vec<_>>(),
            ["b"],
            "the newer one stays"
        );
        let mut odd = who(None, "1");
        odd.protocols[0].0 = "sticky".into();
        assert_eq!(
            group.join("c", true, odd, now),
            Err(ResponseError::InconsistentGroupProtocol)
        );
    }
}
