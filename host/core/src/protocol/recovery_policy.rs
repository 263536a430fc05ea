//! What comes next after a start: a pure function of ledger, plans, markers and the consumer group.

use super::{BrokenChain, Ledger, Plan, check_chain};
use crate::limits;
use crate::protocol::{Guarantee, Marker};
use crate::types::{BatchNumber, TopicOffsets};
use std::collections::{BTreeMap, BTreeSet};

/// What one sink says of itself after it was opened, which fences older producers first.
#[derive(Clone, Debug)]
pub struct FoundSink {
    /// Its name.
    pub name: String,
    /// What a second delivery does.
    pub guarantee: Guarantee,
    /// Its marker.
    pub marker: Option<Marker>,
    /// The source offsets that its marker carries.
    pub reached: TopicOffsets,
}

/// All that is found at a start.
#[derive(Clone, Debug)]
pub struct Found<'a> {
    /// The job's ledger.
    pub ledger: Option<&'a Ledger>,
    /// The plans beside it.
    pub plans: &'a [Plan],
    /// The job's sinks.
    pub sinks: &'a [FoundSink],
    /// What the consumer group holds.
    pub group: &'a TopicOffsets,
    /// The deployments whose versions are still there.
    pub deployments: &'a BTreeSet<u64>,
    /// The user said `--reset-state`: nothing of before counts.
    pub reset: bool,
    /// The job has keyed stages: without its ledger no offset to resume at would give the right results.
    pub keyed: bool,
    /// The wall clock.
    pub now_ms: i64,
    /// The user said `--skip-lost`.
    pub skip_lost: bool,
    /// Some of its sources would be read from their beginning: no group or marker holds how far a file was read.
    pub rereads: bool,
}

/// By a marked sink's name: the source offsets below which it holds every record's rows, from before the ledger was lost. It
/// is not given them again.
pub type LeaveOut = BTreeMap<String, TopicOffsets>;

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A new job: an incarnation, and its start position written before the first plan.
    Begin,
    /// The ledger is lost, and all sinks bear a repetition: a new incarnation, from the group's offsets.
    ResumeFromGroup,
    /// The ledger is lost, and marked sinks say what they hold: a new incarnation.
    ResumeAt {
        /// Where to read on: before it, no sink lacks anything. A partition that is not named is read from its first record.
        from: TopicOffsets,
        /// What marked sinks hold; [`beyond`] the offsets where it begins, it is left out.
        leave_out: LeaveOut,
    },
    /// Each plan is run again and delivered to the sinks that do not hold it; then batches go on.
    Replay {
        /// For each plan the names of the sinks that hold it already.
        held: Vec<BTreeSet<String>>,
        /// Somebody moved the group's offsets: a warning, the ledger counts.
        group_ahead: bool,
    },
    /// Going on would lose or double data.
    Stop(Halt),
}

/// Why a job does not start by itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Halt {
    /// Plans do not follow the ledger.
    #[error(
        "the stored plans are damaged: {0}: restore the data folder, or deploy with --reset-state to begin anew at `start`"
    )]
    Chain(#[from] BrokenChain),
    /// A plan's version is not stored any more.
    #[error("plan {batch} needs deployment {deployment}, whose component is gone from the data folder: restore it")]
    VersionMissing {
        /// The plan.
        batch: BatchNumber,
        /// Its deployment.
        deployment: u64,
    },
    /// Another host ran the job, or the ledger is an old copy.
    #[error(
        "sink `{sink}` holds batch {batch} of incarnation {incarnation}, beyond this ledger: another host ran this job, or the data folder is an old copy; run it there, or `undeploy` and `deploy` it to begin anew"
    )]
    MarkerAhead {
        /// The sink.
        sink: String,
        /// Its marker's incarnation.
        incarnation: u64,
        /// Its marker's batch.
        batch: BatchNumber,
    },
    /// The sink holds another outcome of the same batch.
    #[error(
        "sink `{sink}` holds another result of batch {batch}: the component is not deterministic: deploy a mended one with --reset-state to begin anew at `start`"
    )]
    OtherDigest {
        /// The sink.
        sink: String,
        /// The batch.
        batch: BatchNumber,
    },
    /// What an exactly-once sink holds of a batch is not known: its marker may have expired.
    #[error(
        "sink `{sink}` has no marker, and batch {batch} was planned so long ago that the brokers may have forgotten one: it is not known whether the sink holds the batch: go on without giving it to the sink by `streamhost resume JOB --skip-lost`, or deploy with --reset-state to begin anew at `start`"
    )]
    MarkerExpired {
        /// The sink.
        sink: String,
        /// The batch.
        batch: BatchNumber,
    },
    /// The ledger is lost, and with it what the keyed stages kept.
    #[error(
        "the ledger is lost, and with it the state of the keyed stages: restore the data folder, or deploy with --reset-state to begin anew at `start`"
    )]
    StateLost,
    /// The ledger is lost, and what an exactly-once sink holds is not known.
    #[error(
        "the ledger is lost, and sink `{sink}` has no marker that says what it holds of every source: restore the data folder, or deploy with --reset-state to begin anew at `start`"
    )]
    LedgerLost {
        /// The sink.
        sink: String,
    },
}

/// The first row of the recovery table that fits.
pub fn next_step(found: &Found<'_>) -> Step {
    let Some(ledger) = found.ledger else { return without_ledger(found) };
    if let Err(broken) = check_chain(ledger, found.plans) {
        return Step::Stop(broken.into());
    }
    if let Some(plan) = found.plans.iter().find(|plan| !found.deployments.contains(&plan.deployment)) {
        return Step::Stop(Halt::VersionMissing { batch: plan.batch, deployment: plan.deployment });
    }
    let last = found.plans.last().map_or(ledger.batch, |plan| plan.batch);
    for sink in found.sinks.iter().filter(|sink| sink.guarantee == Guarantee::Marked) {
        if let Err(halt) = check_not_ahead(sink.marker.as_ref(), (ledger.incarnation, last), &sink.name) {
            return Step::Stop(halt);
        }
    }
    let mut held = Vec::new();
    for plan in found.plans {
        let mut by = BTreeSet::new();
        for sink in found.sinks.iter().filter(|sink| sink.guarantee == Guarantee::Marked) {
            match holds(sink.marker.as_ref(), plan, &sink.name) {
                Ok(true) => drop(by.insert(sink.name.clone())),
                Ok(false) if sink.marker.is_none() && may_have_expired(plan, found.now_ms) => match found.skip_lost {
                    true => drop(by.insert(sink.name.clone())),
                    false => return Step::Stop(Halt::MarkerExpired { sink: sink.name.clone(), batch: plan.batch }),
                },
                Ok(false) => {}
                Err(halt) => return Step::Stop(halt),
            }
        }
        held.push(by);
    }
    Step::Replay { held, group_ahead: is_ahead(found.group, &ledger.reached) }
}

fn without_ledger(found: &Found<'_>) -> Step {
    if found.reset {
        return Step::Begin;
    }
    let holds_offsets = found.group.values().any(|partitions| !partitions.is_empty());
    let has_marker = found.sinks.iter().any(|sink| sink.marker.is_some());
    if found.keyed && (holds_offsets || has_marker) {
        return Step::Stop(Halt::StateLost);
    }
    if let Some(marked) = found.sinks.iter().find(|sink| sink.marker.is_some()) {
        return resume(found, marked);
    }
    match holds_offsets {
        true => Step::ResumeFromGroup,
        false => Step::Begin,
    }
}

/// Reads on at the least of what the sinks hold, so that none lacks a record. A marked sink says so itself; the others hold
/// what the group was told at least, as it is told only of batches that all sinks have acknowledged. They bear the
/// repetition; a marked sink is spared it.
fn resume(found: &Found<'_>, marked: &FoundSink) -> Step {
    let mut from = marked.reached.clone();
    let mut leave_out = LeaveOut::new();
    for sink in found.sinks {
        match sink.guarantee {
            // No marker, or one without offsets of all that is read: nobody knows whether its rows would be there twice.
            Guarantee::Marked if sink.reached.is_empty() || found.rereads => {
                return Step::Stop(Halt::LedgerLost { sink: sink.name.clone() });
            }
            Guarantee::Marked => {
                from = least(&from, &sink.reached);
                leave_out.insert(sink.name.clone(), sink.reached.clone());
            }
            Guarantee::Idempotent | Guarantee::AtLeastOnce => from = least(&from, found.group),
        }
    }
    Step::ResumeAt { from, leave_out }
}

/// For each partition the lesser offset; a partition that one of them does not name is not in it, as there it has nothing.
fn least(a: &TopicOffsets, b: &TopicOffsets) -> TopicOffsets {
    let topic = |(topic, offsets): (&String, &BTreeMap<i32, i64>)| {
        let others = b.get(topic)?;
        let both = offsets.iter().filter_map(|(p, &offset)| Some((*p, offset.min(*others.get(p)?))));
        Some((topic.clone(), both.collect::<BTreeMap<_, _>>())).filter(|(_, both)| !both.is_empty())
    };
    a.iter().filter_map(topic).collect()
}

/// What is still to be left out once `reached` is reached.
pub fn beyond(leave_out: &LeaveOut, reached: &TopicOffsets) -> LeaveOut {
    let is_ahead = |topic: &str, partition: i32, offset: i64| {
        reached.get(topic).and_then(|known| known.get(&partition)).is_none_or(|&reached| offset > reached)
    };
    let ahead = |offsets: &TopicOffsets| -> TopicOffsets {
        let of = |(topic, offsets): (&String, &BTreeMap<i32, i64>)| {
            let left: BTreeMap<i32, i64> =
                offsets.iter().map(|(&p, &offset)| (p, offset)).filter(|&(p, o)| is_ahead(topic, p, o)).collect();
            (!left.is_empty()).then(|| (topic.clone(), left))
        };
        offsets.iter().filter_map(of).collect()
    };
    let sinks = leave_out.iter().map(|(sink, offsets)| (sink.clone(), ahead(offsets)));
    sinks.filter(|(_, offsets)| !offsets.is_empty()).collect()
}

/// Whether a marked sink holds `plan` already. A marker of an older incarnation counts as none.
pub fn holds(marker: Option<&Marker>, plan: &Plan, sink: &str) -> Result<bool, Halt> {
    let Some(marker) = marker.filter(|marker| marker.incarnation == plan.incarnation) else { return Ok(false) };
    if marker.batch == plan.batch && plan.digests.get(sink).is_some_and(|digest| *digest != marker.digest) {
        return Err(Halt::OtherDigest { sink: sink.to_string(), batch: plan.batch });
    }
    Ok(marker.batch >= plan.batch)
}

/// Whether the marker of a plan's batch, if there is none, may have been forgotten: it is not older than the plan.
fn may_have_expired(plan: &Plan, now_ms: i64) -> bool {
    let most = i64::try_from(limits::MARKER_TIME.as_millis()).unwrap_or(i64::MAX);
    now_ms.saturating_sub(plan.time_ms) > most
}

/// The same for the batch that is being delivered: nobody but another host can have written a later one.
pub fn holds_now(marker: Option<&Marker>, plan: &Plan, sink: &str) -> Result<bool, Halt> {
    check_not_ahead(marker, (plan.incarnation, plan.batch), sink)?;
    holds(marker, plan, sink)
}

/// A marker beyond the newest incarnation and batch that are known here is another host's, or the ledger an old copy.
fn check_not_ahead(marker: Option<&Marker>, newest: (u64, BatchNumber), sink: &str) -> Result<(), Halt> {
    match marker {
        Some(m) if (m.incarnation, m.batch) > newest => {
            let (sink, incarnation, batch) = (sink.to_string(), m.incarnation, m.batch);
            Err(Halt::MarkerAhead { sink, incarnation, batch })
        }
        _ => Ok(()),
    }
}

fn is_ahead(group: &TopicOffsets, reached: &TopicOffsets) -> bool {
    group.iter().any(|(topic, partitions)| {
        partitions.iter().any(|(partition, &offset)| {
            reached.get(topic).and_then(|known| known.get(partition)).is_some_and(|&reached| offset > reached)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ledger, plan};

    fn sink(guarantee: Guarantee, marker: Option<(u64, u64, &str)>) -> FoundSink {
        let marker = marker.map(|(incarnation, batch, digest)| Marker { incarnation, batch, digest: digest.into() });
        let reached = marker.as_ref().map_or_else(TopicOffsets::new, |_| at(30));
        FoundSink { name: "s".into(), guarantee, marker, reached }
    }

    fn at(offset: i64) -> TopicOffsets {
        [("t".to_string(), [(0, offset)].into())].into()
    }

    fn step(ledger: Option<&Ledger>, plans: &[Plan], sinks: &[FoundSink], group: i64) -> Step {
        let group: TopicOffsets = match group {
            0 => TopicOffsets::new(),
            to => at(to),
        };
        next_step(&found(ledger, plans, sinks, &group, &[3].into()))
    }

    fn found<'a>(
        ledger: Option<&'a Ledger>,
        plans: &'a [Plan],
        sinks: &'a [FoundSink],
        group: &'a TopicOffsets,
        deployments: &'a BTreeSet<u64>,
    ) -> Found<'a> {
        Found {
            ledger,
            plans,
            sinks,
            group,
            deployments,
            reset: false,
            keyed: false,
            rereads: false,
            now_ms: 2000,
            skip_lost: false,
        }
    }

    /// A row of the table of its own, as it needs a clock.
    #[test]
    fn an_old_plan_without_a_marker_is_asked_about() {
        use Guarantee::{AtLeastOnce, Idempotent, Marked};
        let (at_4, plans, nothing, deployments) = (ledger(4), [plan(5)], TopicOffsets::new(), [3].into());
        let day = limits::MARKER_TIME.as_millis() as i64;
        let expired = || Step::Stop(Halt::MarkerExpired { sink: "s".into(), batch: 5 });
        let cases = [
            (sink(Marked, None), day, false, replay(&[&[]], false)),
            (sink(Marked, None), day + 1, false, expired()),
            // the user says that the batch is not to be given to it
            (sink(Marked, None), day + 1, true, replay(&[&["s"]], false)),
            (sink(Marked, None), day, true, replay(&[&[]], false)),
            // a marker speaks, however old, and whatever it says
            (sink(Marked, Some((7, 5, "digest 5"))), day + 1, false, replay(&[&["s"]], false)),
            (sink(Marked, Some((7, 4, "digest 4"))), day + 1, false, replay(&[&[]], false)),
            (sink(Marked, Some((6, 99, ""))), day + 1, false, replay(&[&[]], false)),
            // others have none
            (sink(Idempotent, None), day + 1, false, replay(&[&[]], false)),
            (sink(AtLeastOnce, None), day + 1, false, replay(&[&[]], false)),
        ];
        for (sink, age, skip_lost, expected) in cases {
            let now_ms = plans[0].time_ms + age;
            let sinks = [sink];
            let found = found(Some(&at_4), &plans, &sinks, &nothing, &deployments);
            assert_eq!(next_step(&Found { now_ms, skip_lost, ..found }), expected, "{sinks:?} after {age} ms");
        }
    }

    fn replay(held: &[&[&str]], group_ahead: bool) -> Step {
        let held = held.iter().map(|names| names.iter().map(|n| n.to_string()).collect()).collect();
        Step::Replay { held, group_ahead }
    }

    /// The recovery table, a row a case.
    #[test]
    fn each_row_of_the_recovery_table() {
        use Guarantee::{AtLeastOnce, Idempotent, Marked};
        let at_4 = ledger(4);
        let two = [plan(5), plan(6)];
        // no ledger, no markers, no group
        assert_eq!(step(None, &[], &[sink(Marked, None)], 0), Step::Begin);
        // no ledger, but group offsets; markers have a test of their own
        assert_eq!(step(None, &[], &[sink(Idempotent, None)], 30), Step::ResumeFromGroup);
        assert_eq!(step(None, &[], &[sink(AtLeastOnce, None)], 30), Step::ResumeFromGroup);
        // plans that do not join
        let gap = step(Some(&at_4), &[plan(6)], &[], 0);
        assert!(matches!(gap, Step::Stop(Halt::Chain(BrokenChain::Number { after: 4, found: 6 }))), "{gap:?}");
        // a version that is gone
        let mut other = plan(5);
        other.deployment = 9;
        let gone = step(Some(&at_4), &[other], &[], 0);
        assert_eq!(gone, Step::Stop(Halt::VersionMissing { batch: 5, deployment: 9 }));
        // a marker of a newer incarnation, or beyond the last plan
        for marker in [(8, 1, ""), (7, 7, "")] {
            let halt = step(Some(&at_4), &two, &[sink(Marked, Some(marker))], 0);
            assert!(matches!(halt, Step::Stop(Halt::MarkerAhead { .. })), "{halt:?}");
        }
        // a marker of an older incarnation, or none, counts as batch 0
        assert_eq!(step(Some(&at_4), &two, &[sink(Marked, Some((6, 99, "")))], 0), replay(&[&[], &[]], false));
        assert_eq!(step(Some(&at_4), &two, &[sink(Marked, None)], 0), replay(&[&[], &[]], false));
        // the same batch, another digest
        let differs = step(Some(&at_4), &two, &[sink(Marked, Some((7, 5, "else")))], 0);
        assert_eq!(differs, Step::Stop(Halt::OtherDigest { sink: "s".into(), batch: 5 }));
        // a marked sink skips what it holds
        let holds_5 = [sink(Marked, Some((7, 5, "digest 5")))];
        assert_eq!(step(Some(&at_4), &two, &holds_5, 0), replay(&[&["s"], &[]], false));
        let holds_6 = [sink(Marked, Some((7, 6, "digest 6")))];
        assert_eq!(step(Some(&at_4), &two, &holds_6, 0), replay(&[&["s"], &["s"]], false));
        // other sinks are sent everything again
        assert_eq!(step(Some(&at_4), &two, &[sink(Idempotent, None)], 0), replay(&[&[], &[]], false));
        // somebody moved the group
        assert_eq!(step(Some(&at_4), &[], &[], 41), replay(&[], true));
        // nothing left to do
        assert_eq!(step(Some(&at_4), &[], &[], 40), replay(&[], false));
    }

    /// What the sinks hold, what the group was told, where to read on: offsets of the partitions 0, 1, …; -1: none.
    #[test]
    fn without_a_ledger_no_sink_lacks_a_record_and_no_marked_one_gets_it_twice() {
        use Guarantee::{AtLeastOnce, Idempotent, Marked};
        let offsets = |of: &[i64]| -> TopicOffsets {
            let there: BTreeMap<i32, i64> = (0..).zip(of.iter().copied()).filter(|&(_, offset)| offset >= 0).collect();
            if there.is_empty() { TopicOffsets::new() } else { [("t".to_string(), there)].into() }
        };
        type Case = (&'static [(Guarantee, &'static [i64])], &'static [i64], Option<&'static [i64]>);
        let cases: &[Case] = &[
            // marked sinks alone: the least marker; the group is behind, ahead or gone, and is not asked
            (&[(Marked, &[30])], &[], Some(&[30])),
            (&[(Marked, &[30])], &[20], Some(&[30])),
            (&[(Marked, &[30])], &[99], Some(&[30])),
            (&[(Marked, &[30, 7]), (Marked, &[40, 9])], &[30, 7], Some(&[30, 7])),
            (&[(Marked, &[40, 7]), (Marked, &[30, 9])], &[], Some(&[30, 7])),
            // a partition that only the later marker knows is new: the other sink holds nothing of it
            (&[(Marked, &[30]), (Marked, &[40, 9])], &[], Some(&[30])),
            // others beside them: never ahead of what the group was told, and never ahead of a marker
            (&[(Marked, &[30]), (Idempotent, &[])], &[30], Some(&[30])),
            (&[(Marked, &[30]), (Idempotent, &[])], &[20], Some(&[20])),
            (&[(Marked, &[30]), (AtLeastOnce, &[])], &[20], Some(&[20])),
            (&[(Marked, &[30]), (AtLeastOnce, &[])], &[99], Some(&[30])),
            (&[(AtLeastOnce, &[]), (Marked, &[40, 9]), (Marked, &[30, 9])], &[20, 9], Some(&[20, 9])),
            // the group does not know a partition, or nothing: so it is read from its first record
            (&[(Marked, &[30, 9]), (Idempotent, &[])], &[20], Some(&[20])),
            (&[(Marked, &[30]), (Idempotent, &[])], &[], Some(&[])),
            // a marked sink that does not say what it holds
            (&[(Marked, &[30]), (Marked, &[])], &[30], None),
        ];
        for (sinks, group, from) in cases {
            let marker = Marker { incarnation: 7, batch: 4, digest: "d".into() };
            let all = sinks.iter().enumerate().map(|(i, (guarantee, reached))| FoundSink {
                name: format!("s{i}"),
                guarantee: *guarantee,
                marker: (!reached.is_empty()).then(|| marker.clone()),
                reached: offsets(reached),
            });
            let (sinks, group): (Vec<_>, _) = (all.collect(), offsets(group));
            let deployments = [3].into();
            let found = found(None, &[], &sinks, &group, &deployments);
            let marked = sinks.iter().filter(|sink| sink.guarantee == Marked);
            let expected = match from {
                Some(from) => Step::ResumeAt {
                    from: offsets(from),
                    leave_out: marked.map(|sink| (sink.name.clone(), sink.reached.clone())).collect(),
                },
                None => Step::Stop(Halt::LedgerLost { sink: "s1".into() }),
            };
            assert_eq!(next_step(&found), expected, "{sinks:?} {group:?}");
            let with_a_file = next_step(&Found { rereads: true, ..found.clone() });
            assert!(matches!(with_a_file, Step::Stop(Halt::LedgerLost { .. })), "{with_a_file:?}");
            assert_eq!(next_step(&Found { reset: true, ..found }), Step::Begin);
        }
    }

    #[test]
    fn what_is_left_out_ends_where_the_sinks_were() {
        let offsets =
            |all: &[(i32, i64)]| -> TopicOffsets { [("t".to_string(), all.iter().copied().collect())].into() };
        let leave_out: LeaveOut =
            [("a".to_string(), offsets(&[(0, 30), (1, 9)])), ("b".to_string(), offsets(&[(0, 20), (1, 7)]))].into();
        assert_eq!(beyond(&leave_out, &TopicOffsets::new()), leave_out);
        assert_eq!(
            beyond(&leave_out, &offsets(&[(0, 20), (1, 7)])),
            [leave_out.get_key_value("a").unwrap()].map(|(name, all)| (name.clone(), all.clone())).into()
        );
        assert_eq!(beyond(&leave_out, &offsets(&[(0, 30), (1, 8)])), [("a".to_string(), offsets(&[(1, 9)]))].into());
        assert_eq!(beyond(&leave_out, &offsets(&[(0, 30), (1, 9)])), LeaveOut::new());
    }

    #[test]
    fn a_later_marker_during_a_delivery_is_another_hosts() {
        let marker = |incarnation, batch| Some(Marker { incarnation, batch, digest: "digest 5".into() });
        let now = |marker: Option<Marker>| holds_now(marker.as_ref(), &plan(5), "s");
        assert_eq!(now(None), Ok(false));
        assert_eq!(now(marker(7, 4)), Ok(false));
        assert_eq!(now(marker(6, 9)), Ok(false));
        assert_eq!(now(marker(7, 5)), Ok(true));
        for later in [marker(7, 6), marker(8, 1)] {
            assert!(matches!(now(later), Err(Halt::MarkerAhead { .. })));
        }
    }
}
