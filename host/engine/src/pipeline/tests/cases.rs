//! Single cases: what is begun anew, lost, or gone; what is read first, and who else writes.

use super::fake::{Kept, active, active_with};
use super::*;
use streamhost_core::clock;

#[test]
fn a_reset_begins_anew_above_all_that_was_before() {
    let mut world = World::new(1);
    world.send(8);
    world.sinks[0].fail(1, Fault::Refused);
    let refused = world.start(None);
    assert!(matches!(
        world.until_quiet(refused),
        PipelineExit::Failed(_)
    ));
    let (before, intents) = world.store.load().unwrap();
    let (before, intent) = (
        before.unwrap(),
        intents
            .into_iter()
            .next()
            .expect("a plan that no sink took"),
    );

    let mut anew = Arc::into_inner(active(2)).expect("just made");
    (anew.reset_at, anew.start) = (
        Some(2),
        Some(streamhost_core::job::settings::StartPosition::Earliest),
    );
    world.cell = DeploymentSlot::new(Arc::new(anew));
    let pipeline = world.start(None);
    assert_eq!(world.until_quiet(pipeline), PipelineExit::Stopped);
    let after = world.store.load().unwrap().0.unwrap();
    assert!(after.epoch > before.epoch && after.time_ms > intent.time_ms);
    assert_eq!(after.counters.records_in, 8);
    let versions: BTreeSet<u64> = world.sinks[0]
        .landed()
        .iter()
        .map(|landed| landed.version)
        .collect();
    assert_eq!(
        versions,
        [2].into(),
        "nothing of the planned batch was delivered after the reset"
    );
}

/// What is too much for one batch is cut, not the job.
#[test]
fn records_that_make_too_much_at_once_are_run_in_parts() {
    let mut world = World::new(9);
    world.put(0, 40);
    world.answers_max = 250; // enough for one record
    let pipeline = world.start(None);
    assert_eq!(world.until_quiet(pipeline), PipelineExit::Stopped);
    let rows: Vec<_> = world.sinks[1].landed().iter().flat_map(texts).collect();
    assert_eq!(rows.len(), 40, "each once: {rows:?}");
    let told = |world: &World, what: &str| {
        let logged = world.logged.lock().unwrap();
        logged.iter().any(|line| line.contains(what))
    };
    assert!(told(&world, "gathered anew"), "{:?}", world.logged);

    // One record that makes too much alone still stops the job, and says so.
    world.put(0, 1);
    world.answers_max = 1;
    let pipeline = world.start(None);
    let end = pipeline.join();
    assert!(
        matches!(&end, PipelineExit::VersionFault { reason, .. } if reason.contains("over 1 B")),
        "{end:?}"
    );
}

/// A full disk is waited for, as a server that is away is: nothing is lost, doubled or stopped.
#[test]
fn a_job_waits_for_room_on_its_disk_and_goes_on() {
    let mut world = World::new(1);
    world.put(0, 20);
    world.store.fill(usize::MAX);
    let pipeline = world.start(None);
    world.until(&pipeline, |facts| facts.waiting.contains_key("data folder"));
    let (what, _) = pipeline.status.snapshot().waiting["data folder"].clone();
    assert!(what.contains("make room"), "{what}");
    world.store.fill(3);
    assert_eq!(world.until_quiet(pipeline), PipelineExit::Stopped);
    let rows: Vec<_> = world.sinks[1].landed().iter().flat_map(texts).collect();
    assert_eq!(rows.len(), 20, "each once: {rows:?}");

    // A stop does not wait for room, and the next start goes on.
    world.put(0, 5);
    world.store.fill(usize::MAX);
    let pipeline = world.start(None);
    world.until(&pipeline, |facts| facts.waiting.contains_key("data folder"));
    assert_eq!(pipeline.stop(Stop::Soon), PipelineExit::Stopped);
    world.store.fill(0);
    let pipeline = world.start(None);
    assert_eq!(world.until_quiet(pipeline), PipelineExit::Stopped);
    let rows: Vec<_> = world.sinks[1].landed().iter().flat_map(texts).collect();
    assert_eq!(rows.len(), 25, "each once: {rows:?}");
}

#[test]
fn a_job_waits_while_the_clock_is_far_ahead_and_goes_on_when_it_is_right() {
    let mut world = World::new(6);
    world.put(0, 3);
    world.set_ahead_ms.store(3_600_000, Ordering::SeqCst);
    let pipeline = world.start(None);
    world.until(&pipeline, |facts| facts.waiting.contains_key("clock"));
    let snapshot = pipeline.status.snapshot();
    let (why, _) = &snapshot.waiting["clock"];
    assert!(why.contains("was set 1h ahead"), "{why}");
    assert_eq!(snapshot.batches, 0);
    assert!(world.sinks.iter().all(|sink| sink.landed().is_empty()));
    assert_eq!(
        pipeline.stop(Stop::Drain),
        PipelineExit::Stopped,
        "it is not stuck"
    );

    let pipeline = world.start(None);
    world.until(&pipeline, |facts| facts.waiting.contains_key("clock"));
    // A minute is borne: rows of a minute are hidden at most, and soon no more.
    world.set_ahead_ms.store(60_000, Ordering::SeqCst);
    assert_eq!(world.until_quiet(pipeline), PipelineExit::Stopped);
    assert_eq!(world.sinks[1].landed().iter().flat_map(texts).count(), 3);
}

/// The clock was ahead when the job wrote, before it was undeployed.
#[test]
fn a_new_life_writes_above_what_was_forgotten() {
    let mut world = World::new(4);
    let hour_ms = 3_600_000;
    let ahead_ms = clock::now_ms() + 24 * hour_ms;
    let begun = Checkpoint::begin(
        7,
        1,
        ahead_ms,
        [("t".into(), [(0, 0), (1, 0)].into())].into(),
    );
    world.store.begin(&begun).unwrap();
    world.store.forget().unwrap();
    world.send(5);
    let pipeline = world.start(None);
    assert_eq!(world.until_quiet(pipeline), PipelineExit::Stopped);
    assert!(world.checkpoint().time_ms > ahead_ms);
    let logged = world.logged.lock().unwrap();
    let told = logged
        .iter()
        .any(|line| line.starts_with("rows are given times from "));
    assert!(told, "{logged:?}");
}

/// Without its checkpoint a job reads on from the least that its sinks hold, and spares
/// exactly-once sinks what they have.
#[test]
fn a_lost_ledger_doubles_nothing_in_an_exactly_once_sink() {
    let mut world = World::new(3);
    world.cell = DeploymentSlot::new(active_with(1, Kept::Nothing));
    world.send(9);
    let first = world.start(None);
    assert_eq!(world.until_quiet(first), PipelineExit::Stopped);
    let mut source = MemorySource::new(&world.topics, &world.cell.get().spec.sources, "g");
    source.commit_progress(
        &[0, 1]
            .map(|id| (streamhost_core::types::Partition { source: 0, id }, 1))
            .into(),
    );
    world.store.forget().unwrap();

    world.send(4);
    let again = world.start(None);
    assert_eq!(world.until_quiet(again), PipelineExit::Stopped);
    let good: usize = world
        .sent
        .values()
        .flatten()
        .filter(|v| !v.starts_with(['T', 'F', 'D']))
        .count();
    let marked: Vec<_> = world.sinks[1].landed().iter().flat_map(texts).collect();
    assert_eq!(marked.len(), good, "each once: {marked:?}");
    assert_eq!(marked.iter().collect::<BTreeSet<_>>().len(), good);
    let plain: Vec<_> = world.sinks[2].landed().iter().flat_map(texts).collect();
    assert!(
        plain.len() > good,
        "a plain sink is given again what the group had not passed"
    );
    let all = |sink: usize| {
        world.sinks[sink]
            .landed()
            .iter()
            .flat_map(texts)
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(all(0), all(1), "the table lacks nothing");
}

/// A row of the recovery table that needs a source: a planned record is gone.
#[test]
fn a_planned_record_that_is_gone_stops_the_job_and_says_how_to_go_on() {
    let mut world = World::new(2);
    world.send(8);
    world.sinks[1].fail(1, Fault::Refused);
    let refused = world.start(None);
    assert!(matches!(
        world.until_quiet(refused),
        PipelineExit::Failed(_)
    ));
    for (&id, sent) in &world.sent {
        world.topics.forget("t", id, sent.len() as i64);
    }
    let again = world.start(None);
    let PipelineExit::Failed(reason) = world.until_quiet(again) else {
        panic!("it went on without its records")
    };
    assert!(
        reason.contains("is gone") && reason.contains("--skip-lost"),
        "{reason}"
    );
    assert_eq!(world.sinks[1].landed(), [], "nothing was delivered");

    world.skip_lost = true;
    world.send(3);
    let last = world.start(None);
    assert_eq!(world.until_quiet(last), PipelineExit::Stopped);
    let after = world.store.load().unwrap().0.unwrap();
    assert_eq!(
        after.counters.records_in, 3,
        "what is gone is not counted, what came later is there"
    );
}

/// As before a deployment with other places: it delivers what was planned, and reads nothing.
#[test]
fn a_replay_only_delivers_what_was_planned() {
    let mut world = World::new(2);
    world.put(0, 2);
    world.sinks[1].fail(1, Fault::Refused);
    assert!(matches!(world.start(None).join(), PipelineExit::Failed(_)));
    world.put(0, 3);
    world.replay_only = true;
    assert_eq!(world.start(None).join(), PipelineExit::Stopped);
    let (checkpoint, intents) = world.store.load().unwrap();
    assert_eq!(
        (checkpoint.unwrap().counters.records_in, intents.len()),
        (2, 0)
    );
    assert_eq!(world.sinks[1].batches(), [1]);
}

#[test]
fn a_table_is_read_to_its_end_before_anything_is_looked_up_in_it() {
    let mut world = World::new(2);
    let mut joins = Arc::into_inner(active_with(1, Kept::Nothing)).expect("just made");
    let table = streamhost_core::job::SourceSpec {
        name: "tab".into(),
        target: "tab".into(),
        table: true,
        ..Default::default()
    };
    joins.spec.sources.push(table);
    world.cell = DeploymentSlot::new(Arc::new(joins));
    world.topics.create("tab", 1);
    for _ in 0..7 {
        world.topics.append("tab", 0, 0, None, Some(b"b"));
    }
    world.put(0, 4);
    let pipeline = world.start(None);
    world.until(&pipeline, |facts| facts.counters.records_in == 11);
    assert_eq!(pipeline.stop(Stop::Soon), PipelineExit::Stopped);
    let landed = world.sinks[0].landed();
    let moved = |spans: &streamhost_core::types::Spans, source| {
        spans
            .iter()
            .filter(|(p, _)| p.source == source)
            .map(|(_, span)| span.to - span.from)
            .sum::<i64>()
    };
    let of: Vec<_> = landed
        .iter()
        .map(|landed| (moved(&landed.spans, 0), moved(&landed.spans, 1)))
        .collect();
    assert_eq!(
        of,
        [(0, 3), (0, 3), (0, 1), (3, 0), (1, 0)],
        "batches of three records"
    );
}

#[test]
fn a_marker_of_another_host_ends_a_delivery() {
    let mut world = World::new(2);
    world.sinks[1].fail(1_000_000, Fault::BeforeLanding);
    world.put(0, 2);
    let pipeline = world.start(None);
    world.until(&pipeline, |facts| !facts.waiting.is_empty());
    let epoch = pipeline.status.snapshot().epoch;
    world.sinks[1].set_marker(Some(streamhost_core::protocol::Marker {
        epoch,
        batch: 9,
        digest: "other".into(),
    }));
    let end = pipeline.join();
    assert!(
        matches!(&end, PipelineExit::Failed(reason) if reason.contains("another host")),
        "{end:?}"
    );
}

#[test]
fn sinks_are_told_the_columns_of_the_version_that_takes_over() {
    let mut world = World::new(2);
    world.put(0, 1);
    let pipeline = world.start(None);
    world.until(&pipeline, |facts| facts.counters.records_in == 1);
    assert_eq!(world.sinks[0].columns(), 1);
    let mut wider = Arc::into_inner(active(2)).expect("just made");
    let column = wider.spec.sinks[0].columns[0].clone();
    wider.spec.sinks[0].columns.push(column);
    world.cell.set(Arc::new(wider));
    world.put(0, 1);
    world.until(&pipeline, |facts| facts.counters.records_in == 2);
    assert_eq!(pipeline.stop(Stop::Soon), PipelineExit::Stopped);
    assert_eq!(world.sinks[0].columns(), 2);
}
