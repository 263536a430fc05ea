//! How a pipeline ends: what is still done, what is not, and what is said.

use super::*;
use crate::pipeline::StatusSnapshot;
use crate::pipeline::committer::{Committer, Queue};
use crate::pipeline::deliver::Sinks;
use crate::pipeline::execute::ExecutedBatch;
use std::sync::mpsc;
use streamhost_core::executor::BatchOutcome;
use streamhost_core::job::MetricValues;
use streamhost_core::types::{Partition, Span};

const FOR_EVER: usize = 1_000_000;

#[test]
fn a_job_whose_sources_end_is_finished_once_and_for_all() {
    let mut world = World::new(6);
    world.put(0, 4);
    world.topics.end();
    world.sinks[0].fail(FOR_EVER, Fault::BeforeLanding);
    let waits = world.start(None);
    world.until(&waits, |facts| !facts.waiting.is_empty());
    assert_eq!(
        waits.stop(Stop::Soon),
        PipelineExit::Stopped,
        "not all is delivered"
    );
    world.sinks[0].forget_faults();
    assert_eq!(world.start(None).join(), PipelineExit::Finished);
    let checkpoint = world.checkpoint();
    assert!(checkpoint.finished && checkpoint.counters.records_in == 4);
    assert_eq!(world.start(None).join(), PipelineExit::Finished);
    assert_eq!(world.checkpoint(), checkpoint, "nothing was left to do");
    assert!(
        world.sinks.iter().all(|sink| sink.columns() == 1),
        "the first delivery said the columns"
    );
}

/// The last batch is in a sink that is away when a deployment comes: no batch will name it.
#[test]
fn a_deployment_that_comes_as_the_job_ends_is_not_lost() {
    let mut world = World::new(6);
    world.put(0, 4);
    world.topics.end();
    world.sinks[0].fail(FOR_EVER, Fault::BeforeLanding);
    let pipeline = world.start(None);
    world.until(&pipeline, |facts| !facts.waiting.is_empty());
    assert!(world.cell.set(active(2)), "it has not ended yet");
    world.sinks[0].forget_faults();
    assert_eq!(pipeline.join(), PipelineExit::Finished);
    let ran = world.checkpoint().deployment;
    assert_eq!(
        world.overtaken.load(Ordering::SeqCst),
        ran == 1,
        "either a batch named it, or its pipeline says that none did"
    );
    assert!(!world.cell.set(active(3)), "there is no next batch");
    assert_eq!(world.start(None).join(), PipelineExit::Finished);
}

/// What was gathered when a stop came is finished if it was asked for, or if it could not be read
/// again.
#[test]
fn a_stop_leaves_only_what_is_read_again() {
    for (how, replays, durable) in [
        (Stop::Soon, true, 0),
        (Stop::Drain, true, 2),
        (Stop::Soon, false, 2),
    ] {
        let mut world = World::new(7);
        let mut slow = Arc::into_inner(active(1)).expect("just made");
        slow.spec.every = Duration::from_secs(3600);
        world.cell = DeploymentSlot::new(Arc::new(slow));
        world.topics.is_replayable("t", replays);
        world.put(0, 2);
        let pipeline = world.start(None);
        world.until(&pipeline, |_| world.topics.gathered() == 2);
        assert_eq!(pipeline.stop(how), PipelineExit::Stopped);
        assert_eq!(
            world.checkpoint().counters.records_in,
            durable,
            "{how:?}, replays: {replays}"
        );
    }
}

/// Three batches: one is in a sink that is away, one waits behind it, one is being gathered.
#[test]
fn what_cannot_be_read_again_is_planned_though_sinks_are_away() {
    let mut world = World::new(7);
    world.topics.is_replayable("t", false);
    world.sinks[0].fail(FOR_EVER, Fault::BeforeLanding);
    world.put(0, 8);
    let pipeline = world.start(None);
    world.until(&pipeline, |_| world.topics.gathered() == 2);
    assert_eq!(pipeline.stop(Stop::Soon), PipelineExit::Stopped);
    let batches: Vec<_> = world
        .store
        .load()
        .unwrap()
        .1
        .iter()
        .map(|intent| intent.batch)
        .collect();
    assert_eq!(batches, [1, 2, 3]);
    world.sinks[0].forget_faults();
    let again = world.start(None);
    assert_eq!(world.until_quiet(again), PipelineExit::Stopped);
    check(&world, 7);
}

#[test]
fn a_batch_that_waits_when_a_stop_comes_is_planned_only_if_it_is_not_read_again() {
    for (keeps, batch) in [(false, 0), (true, 1)] {
        let world = World::new(5);
        let checkpoint = Checkpoint::begin(7, 1, 1000, [("t".into(), [(0, 0)].into())].into());
        world.store.begin(&checkpoint).unwrap();
        let (status, queue, (send, batches)) = (
            PipelineStatus::default(),
            Queue::default(),
            mpsc::sync_channel(1),
        );
        let spans = [(
            Partition { source: 0, id: 0 },
            Span {
                from: 0,
                to: 2,
                records: 2,
            },
        )]
        .into();
        queue.joins();
        let executed = ExecutedBatch {
            sides: None,
            turn: None,
            outcome: BatchOutcome::begin(&active(1).spec, 1, spans),
            active: active(1),
            retained_records: Vec::new(),
            marks: BTreeMap::new(),
            metrics: MetricValues::default(),
            retried: None,
        };
        assert!(send.send(executed).is_ok());
        drop(send);
        status.stop.request(Stop::Soon);
        let sinks = Sinks::new(
            world.sinks(),
            Box::new(MemoryDeadLetters::new(&world.letters, Guarantee::Marked)),
        );
        let store = world.store.as_ref();
        let mut committer = Committer {
            store,
            sinks,
            status: &status,
            checkpoint,
            unsettled: None,
            keeps,
        };
        assert_eq!(committer.run(&batches, &queue).is_ok(), keeps);
        assert_eq!((world.checkpoint().batch, queue.is_empty()), (batch, true));
    }
}

#[test]
fn a_sink_that_fails_for_good_does_not_wait_for_one_that_is_away() {
    for (refuses, is_away) in [(0, 2), (2, 0)] {
        let mut world = World::new(8);
        world.sinks[refuses].fail(1, Fault::Refused);
        world.sinks[is_away].fail(FOR_EVER, Fault::BeforeLanding);
        world.put(0, 2);
        let end = world.start(None).join();
        assert!(
            matches!(&end, PipelineExit::Failed(reason) if reason.contains("Refused")),
            "{end:?}"
        );
    }
}

#[test]
fn why_a_job_ends_is_seen_while_its_sinks_are_away() {
    let mut world = World::new(8);
    world.sinks[0].fail(FOR_EVER, Fault::BeforeLanding);
    world.put(0, 2);
    let pipeline = world.start(None);
    world.until(&pipeline, |facts| !facts.waiting.is_empty());
    world.topics.delete("t");
    let says = |facts: &StatusSnapshot| {
        facts
            .last_error
            .as_ref()
            .is_some_and(|error| error.contains("does not exist"))
    };
    world.until(&pipeline, says);
    assert!(!pipeline.has_ended(), "its batch is still to be delivered");
    world.sinks[0].forget_faults();
    let end = pipeline.join();
    assert!(
        matches!(&end, PipelineExit::Failed(reason) if reason.contains("does not exist")),
        "{end:?}"
    );
    assert_eq!(world.checkpoint().counters.records_in, 2);
}

/// Time and memory differ from run to run: a replay that fails says what to try before state is
/// thrown away.
#[test]
fn a_replay_that_ends_otherwise_says_what_to_try() {
    let mut world = World::new(9);
    world.put(0, 2);
    world.sinks[1].fail(1, Fault::Refused);
    assert!(matches!(world.start(None).join(), PipelineExit::Failed(_)));
    for (again, says) in [
        (Kept::Breaks, "broke now"),
        (Kept::Nothing, "not deterministic"),
    ] {
        world.again = again;
        let PipelineExit::Failed(reason) = world.start(None).join() else {
            panic!("it went on")
        };
        assert!(
            reason.contains(says) && reason.contains("`streamhost resume j` tries once more"),
            "{reason}"
        );
    }
    world.again = Kept::Counts;
    let last = world.start(None);
    assert_eq!(world.until_quiet(last), PipelineExit::Stopped);
    check(&world, 9);
}
