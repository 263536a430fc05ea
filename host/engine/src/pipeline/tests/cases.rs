//! Single cases: what is begun anew, lost, or gone; what is read first, and who else writes.

use super::fake::{Kept, active, active_with};
use super::*;

#[test]
fn a_reset_begins_anew_above_all_that_was_before() {
    let mut world = World::new(1);
    world.send(8);
    world.sinks[0].fail(1, Fault::Refused);
    let refused = world.start(None);
    assert!(matches!(world.until_quiet(refused), Ended::Failed(_)));
    let (before, plans) = world.store.load().unwrap();
    let (before, plan) = (before.unwrap(), plans.into_iter().next().expect("a plan that no sink took"));

    let mut anew = Arc::into_inner(active(2)).expect("just made");
    (anew.reset_at, anew.start) = (Some(2), Some(streamhost_core::job::settings::Start::Earliest));
    world.cell = ActiveCell::new(Arc::new(anew));
    let pipeline = world.start(None);
    assert_eq!(world.until_quiet(pipeline), Ended::Stopped);
    let after = world.store.load().unwrap().0.unwrap();
    assert!(after.incarnation > before.incarnation && after.time_ms > plan.time_ms);
    assert_eq!(after.totals.records_in, 8);
    let versions: BTreeSet<u64> = world.sinks[0].landed().iter().map(|landed| landed.version).collect();
    assert_eq!(versions, [2].into(), "nothing of the planned batch was delivered after the reset");
}

/// Without its ledger a job reads on from the least that its sinks hold, and spares exactly-once sinks what they have.
#[test]
fn a_lost_ledger_doubles_nothing_in_an_exactly_once_sink() {
    let mut world = World::new(3);
    world.cell = ActiveCell::new(active_with(1, Kept::Nothing));
    world.send(9);
    let first = world.start(None);
    assert_eq!(world.until_quiet(first), Ended::Stopped);
    let mut source = MemorySource::new(&world.topics, &world.cell.get().plan.sources, "g");
    source.tell_group(&[0, 1].map(|id| (streamhost_core::types::Partition { source: 0, id }, 1)).into());
    world.store.forget().unwrap();

    world.send(4);
    let again = world.start(None);
    assert_eq!(world.until_quiet(again), Ended::Stopped);
    let good: usize = world.sent.values().flatten().filter(|v| !v.starts_with(['T', 'F', 'D'])).count();
    let marked: Vec<_> = world.sinks[1].landed().iter().flat_map(texts).collect();
    assert_eq!(marked.len(), good, "each once: {marked:?}");
    assert_eq!(marked.iter().collect::<BTreeSet<_>>().len(), good);
    let plain: Vec<_> = world.sinks[2].landed().iter().flat_map(texts).collect();
    assert!(plain.len() > good, "a plain sink is given again what the group had not passed");
    let all = |sink: usize| world.sinks[sink].landed().iter().flat_map(texts).collect::<BTreeSet<_>>();
    assert_eq!(all(0), all(1), "the table lacks nothing");
}

/// A row of the recovery table that needs a source: a planned record is gone.
#[test]
fn a_planned_record_that_is_gone_stops_the_job_and_says_how_to_go_on() {
    let mut world = World::new(2);
    world.send(8);
    world.sinks[1].fail(1, Fault::Refused);
    let refused = world.start(None);
    assert!(matches!(world.until_quiet(refused), Ended::Failed(_)));
    for (&id, sent) in &world.sent {
        world.topics.forget("t", id, sent.len() as i64);
    }
    let again = world.start(None);
    let Ended::Failed(reason) = world.until_quiet(again) else { panic!("it went on without its records") };
    assert!(reason.contains("is gone") && reason.contains("--skip-lost"), "{reason}");
    assert_eq!(world.sinks[1].landed(), [], "nothing was delivered");

    world.skip_lost = true;
    world.send(3);
    let last = world.start(None);
    assert_eq!(world.until_quiet(last), Ended::Stopped);
    let after = world.store.load().unwrap().0.unwrap();
    assert_eq!(after.totals.records_in, 3, "what is gone is not counted, what came later is there");
}

/// As before a deployment with other places: it delivers what was planned, and reads nothing.
#[test]
fn a_replay_only_delivers_what_was_planned() {
    let mut world = World::new(2);
    world.put(0, 2);
    world.sinks[1].fail(1, Fault::Refused);
    assert!(matches!(world.start(None).join(), Ended::Failed(_)));
    world.put(0, 3);
    world.replay_only = true;
    assert_eq!(world.start(None).join(), Ended::Stopped);
    let (ledger, plans) = world.store.load().unwrap();
    assert_eq!((ledger.unwrap().totals.records_in, plans.len()), (2, 0));
    assert_eq!(world.sinks[1].batches(), [1]);
}

#[test]
fn a_table_is_read_to_its_end_before_anything_is_looked_up_in_it() {
    let mut world = World::new(2);
    let mut joins = Arc::into_inner(active_with(1, Kept::Nothing)).expect("just made");
    let table =
        streamhost_core::job::SourcePlan { name: "tab".into(), place: "tab".into(), table: true, ..Default::default() };
    joins.plan.sources.push(table);
    world.cell = ActiveCell::new(Arc::new(joins));
    world.topics.create("tab", 1);
    for _ in 0..7 {
        world.topics.append("tab", 0, 0, None, Some(b"b"));
    }
    world.put(0, 4);
    let pipeline = world.start(None);
    world.until(&pipeline, |facts| facts.totals.records_in == 11);
    assert_eq!(pipeline.stop(Stop::Soon), Ended::Stopped);
    let landed = world.sinks[0].landed();
    let moved = |spans: &streamhost_core::types::Spans, source| {
        spans.iter().filter(|(p, _)| p.source == source).map(|(_, span)| span.to - span.from).sum::<i64>()
    };
    let of: Vec<_> = landed.iter().map(|landed| (moved(&landed.spans, 0), moved(&landed.spans, 1))).collect();
    assert_eq!(of, [(0, 3), (0, 3), (0, 1), (3, 0), (1, 0)], "batches of three records");
}

#[test]
fn a_marker_of_another_host_ends_a_delivery() {
    let mut world = World::new(2);
    world.sinks[1].fail(1_000_000, Fault::BeforeLanding);
    world.put(0, 2);
    let pipeline = world.start(None);
    world.until(&pipeline, |facts| !facts.waiting.is_empty());
    let incarnation = pipeline.board.facts().incarnation;
    world.sinks[1].set_marker(Some(streamhost_core::protocol::Marker {
        incarnation,
        batch: 9,
        digest: "other".into(),
    }));
    let end = pipeline.join();
    assert!(matches!(&end, Ended::Failed(reason) if reason.contains("another host")), "{end:?}");
}

#[test]
fn sinks_are_told_the_columns_of_the_version_that_takes_over() {
    let mut world = World::new(2);
    world.put(0, 1);
    let pipeline = world.start(None);
    world.until(&pipeline, |facts| facts.totals.records_in == 1);
    assert_eq!(world.sinks[0].columns(), 1);
    let mut wider = Arc::into_inner(active(2)).expect("just made");
    let column = wider.plan.sinks[0].columns[0].clone();
    wider.plan.sinks[0].columns.push(column);
    world.cell.set(Arc::new(wider));
    world.put(0, 1);
    world.until(&pipeline, |facts| facts.totals.records_in == 2);
    assert_eq!(pipeline.stop(Stop::Soon), Ended::Stopped);
    assert_eq!(world.sinks[0].columns(), 2);
}
