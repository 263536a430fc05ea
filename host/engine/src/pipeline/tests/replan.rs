//! Planned batches that are given up by `--replan`: nothing is lost, and what has markers or state
//! counts each record once, under any faults.

use super::fake::{Kept, active_with};
use super::*;

/// A deployment that gives up what older ones have planned.
fn replanning(number: u64, kept: Kept) -> Arc<LoadedDeployment> {
    let mut anew = Arc::into_inner(active_with(number, kept)).expect("just made");
    anew.replan_at = Some(number);
    Arc::new(anew)
}

fn deploy(world: &mut World, kept: Kept) {
    let next = world.deployments.fetch_add(1, Ordering::SeqCst) + 1;
    world.cell = DeploymentSlot::new(replanning(next, kept));
}

fn live(world: &mut World, kept: Kept) {
    let count = world.dice.roll(9) as usize;
    world.put(world.sent.len() as i32 % 2, count);
    for sink in 0..3 {
        let faults = [Fault::BeforeLanding, Fault::AfterLanding, Fault::Refused];
        if world.dice.roll(2) == 0 {
            world.sinks[sink].fail(1, faults[world.dice.roll(3) as usize]);
        }
    }
    let life = (1 + world.dice.roll(8) as usize, world.dice.roll(2) == 0);
    let pipeline = world.start(Some(life));
    let end = world.until_quiet(pipeline);
    assert!(!matches!(end, PipelineExit::VersionFault { .. }), "{end:?}");
    if world.dice.roll(2) == 0 {
        deploy(world, kept);
    }
}

fn end(world: &mut World, seed: u64) {
    world.calm();
    world.put(0, 2);
    world.ends_quietly(seed);
}

#[test]
fn a_marked_sink_has_each_record_once_and_no_sink_lacks_one() {
    for seed in 1..=25 {
        let mut world = World::new(seed);
        world.again = Kept::Nothing;
        world.cell = DeploymentSlot::new(active_with(1, Kept::Nothing));
        (0..6).for_each(|_| live(&mut world, Kept::Nothing));
        end(&mut world, seed);
        let mut sent: Vec<String> = world.sent.values().flatten().cloned().collect();
        sent.sort();
        let mut marked = values(&world, 1);
        marked.sort();
        assert_eq!(marked, sent, "SEED={seed}: each once");
        for sink in [0, 2] {
            let held: BTreeSet<String> = values(&world, sink).into_iter().collect();
            assert!(
                held.into_iter().eq(sent.iter().cloned()),
                "SEED={seed}: {sink}"
            );
        }
        let mut landed = world.sinks[0].landed();
        landed.sort_by_key(|landed| landed.batch);
        let times: Vec<i64> = landed.iter().map(|landed| landed.time_ms).collect();
        assert!(
            times.is_sorted(),
            "SEED={seed}: rows of later batches are newer"
        );
    }
}

#[test]
fn state_counts_each_record_once() {
    for seed in 1..=25 {
        let mut world = World::new(seed);
        (0..6).for_each(|_| live(&mut world, Kept::Counts));
        end(&mut world, seed);
        let sent: usize = world.sent.values().map(Vec::len).sum();
        let counts = table(&world.sinks[3].landed());
        let count = counts["a"].split_once(':').expect("version:count").1;
        assert_eq!(count, sent.to_string(), "SEED={seed}");
        assert_eq!(
            world.checkpoint().counters.records_in,
            sent as u64,
            "SEED={seed}"
        );
    }
}

#[test]
fn what_was_given_up_is_told_with_what_it_costs() {
    let mut world = World::new(3);
    world.put(0, 3);
    // The plain sink ends the job, once the marked one holds the batch.
    world.sinks[0].fail(1, Fault::Refused);
    let stuck = world.start(None);
    assert!(matches!(world.until_quiet(stuck), PipelineExit::Failed(_)));
    let (_, intents) = world.store.load().unwrap();
    assert_eq!(intents.len(), 1, "a plan that no version can finish");
    deploy(&mut world, Kept::Counts);
    let freed = world.start(None);
    assert_eq!(world.until_quiet(freed), PipelineExit::Stopped);
    let logged = world.logged.lock().unwrap().join("\n");
    assert!(logged.contains("is given up, batches 1 to 1"), "{logged}");
    let (checkpoint, intents) = world.store.load().unwrap();
    assert!(intents.is_empty());
    assert!(
        checkpoint.expect("it goes on").batch > 1,
        "its number is passed over"
    );
}

#[test]
fn records_that_cannot_be_read_again_stay_planned() {
    let mut world = World::new(4);
    world.topics.is_replayable("t", false);
    world.put(0, 3);
    world.sinks[0].fail(1, Fault::Refused);
    let stuck = world.start(None);
    assert!(matches!(world.until_quiet(stuck), PipelineExit::Failed(_)));
    deploy(&mut world, Kept::Counts);
    let freed = world.start(None);
    assert_eq!(world.until_quiet(freed), PipelineExit::Stopped);
    let logged = world.logged.lock().unwrap().join("\n");
    assert!(logged.contains("delivered as it is"), "{logged}");
    assert_eq!(world.checkpoint().counters.records_in, 3, "nothing is lost");
}
