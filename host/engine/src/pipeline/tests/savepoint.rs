//! Jobs that begin from a savepoint, after the job that it was taken of went on under any faults: as
//! if nothing had been in between.

use super::fake::{Kept, active_with};
use super::*;
use streamhost_core::clock;
use streamhost_core::protocol::savepoint::{Above, begun_from};
use streamhost_core::state::{Entry, Most, StageId, StateStore, StateWalk};

/// What a savepoint has.
struct Saved {
    checkpoint: Checkpoint,
    state: BTreeMap<StageId, Vec<Entry>>,
    is_planned: bool,
}

fn save(world: &World) -> Option<Saved> {
    let (checkpoint, intents) = world.store.load().unwrap();
    let checkpoint = checkpoint?;
    let ids = checkpoint.stages.values().map(|facts| facts.id);
    let mut walk = StateWalk::over(ids);
    let mut state: BTreeMap<StageId, Vec<Entry>> = BTreeMap::new();
    while let Some((stage, entries)) = walk.portion(&*world.store, Most::entries(2)).unwrap() {
        state.entry(stage).or_default().extend(entries);
    }
    Some(Saved {
        checkpoint,
        state,
        is_planned: !intents.is_empty(),
    })
}

/// Another data folder, which remembers when the job of before was undeployed there.
fn restore(world: &mut World, saved: &Saved, kept: Kept, repeats: bool) {
    world.store.forget().unwrap();
    let above = Above {
        forgotten_ms: world.store.forgotten_ms().unwrap(),
        epoch: 0,
        now_ms: clock::now_ms(),
    };
    let (begun, ids) = begun_from(&saved.checkpoint, above, repeats);
    let store = MemoryStore::default();
    for (facts, id) in saved.checkpoint.stages.values().zip(ids) {
        let entries = saved.state.get(&facts.id).map_or(&[][..], Vec::as_slice);
        store.prepare(id, entries).unwrap();
    }
    store.begin(&begun).unwrap();
    world.store = Arc::new(store);
    let next = world.deployments.fetch_add(1, Ordering::SeqCst) + 1;
    world.cell = DeploymentSlot::new(active_with(next, kept));
}

fn life(world: &mut World) {
    let count = world.dice.roll(9) as usize;
    let id = world.dice.roll(2) as i32;
    world.put(id, count);
    for sink in 0..SINKS.len() {
        let faults = [Fault::BeforeLanding, Fault::AfterLanding, Fault::Open];
        if world.dice.roll(3) == 0 {
            world.sinks[sink].fail(1, faults[world.dice.roll(3) as usize]);
        }
    }
    let dies = (1 + world.dice.roll(8) as usize, world.dice.roll(2) == 0);
    let pipeline = world.start(Some(dies));
    let end = world.until_quiet(pipeline);
    assert!(!matches!(end, PipelineExit::VersionFault { .. }), "{end:?}");
}

/// Lives, a savepoint between two of them, and as many lives behind it as are drawn.
fn saved(world: &mut World, most_after: u64) -> Saved {
    let saved = loop {
        life(world);
        if let Some(saved) = save(world).filter(|saved| saved.checkpoint.batch > 0) {
            break saved;
        }
    };
    for _ in 0..world.dice.roll(most_after + 1) {
        life(world);
    }
    saved
}

fn ends(world: &mut World, seed: u64) {
    // Some more lives of the new job, with faults, and a last one.
    (0..2).for_each(|_| life(world));
    world.calm();
    world.put(0, 2);
    world.ends_quietly(seed);
}

fn all_sent(world: &World) -> Vec<String> {
    let mut sent: Vec<String> = world.sent.values().flatten().cloned().collect();
    sent.sort();
    sent
}

#[test]
fn an_exact_one_ends_as_if_nothing_had_happened() {
    for seed in 1..=40 {
        let mut world = World::new(seed);
        (0..3).for_each(|_| life(&mut world));
        world.calm();
        world.put(1, 4);
        world.ends_quietly(seed);
        let saved = save(&world).expect("it has begun");
        assert!(!saved.is_planned);
        restore(&mut world, &saved, Kept::Counts, false);
        ends(&mut world, seed);
        check(&world, seed);
    }
}

#[test]
fn without_state_each_sink_is_right_wherever_it_was_taken() {
    for seed in 1..=40 {
        let mut world = World::new(seed);
        world.again = Kept::Nothing;
        world.cell = DeploymentSlot::new(active_with(1, Kept::Nothing));
        let saved = saved(&mut world, 3);
        restore(&mut world, &saved, Kept::Nothing, false);
        ends(&mut world, seed);
        let sent = all_sent(&world);
        let mut marked = values(&world, 1);
        marked.sort();
        assert_eq!(marked, sent, "SEED={seed}: each once");
        for sink in [0, 2] {
            let held: BTreeSet<String> = values(&world, sink).into_iter().collect();
            assert!(held.into_iter().eq(sent.iter().cloned()), "SEED={seed}");
        }
        let counters = world.checkpoint().counters;
        assert_eq!(counters.records_in, sent.len() as u64, "SEED={seed}");
    }
}

#[test]
fn with_state_tables_end_the_same_and_a_marked_sink_that_is_ahead_stops_the_job() {
    let mut refusals = 0;
    for seed in 1..=40 {
        let mut world = World::new(seed);
        let saved = saved(&mut world, 2);
        let marked = world.sinks[1].landed();
        let is_beyond = |sink: &Memory<Rows>| {
            let landed = sink.landed();
            landed
                .last()
                .is_some_and(|last| last.batch > saved.checkpoint.batch)
        };
        let is_ahead = is_beyond(&world.sinks[1]) || is_beyond(&world.sinks[4]);
        restore(&mut world, &saved, Kept::Counts, false);
        if is_ahead {
            refusals += 1;
            world.calm();
            let refused = world.start(None);
            let end = world.until_quiet(refused);
            let words = "from after the savepoint";
            assert!(
                matches!(&end, PipelineExit::Failed(why) if why.contains(words)),
                "SEED={seed}: {end:?}"
            );
            assert_eq!(world.sinks[1].landed(), marked, "SEED={seed}: nothing more");
            restore(&mut world, &saved, Kept::Counts, true);
        }
        ends(&mut world, seed);
        let sent = all_sent(&world);
        let counts = table(&world.sinks[3].landed());
        let count = counts["a"].split_once(':').expect("version:count").1;
        assert_eq!(count, sent.len().to_string(), "SEED={seed}");
        for sink in 0..3 {
            let held: BTreeSet<String> = values(&world, sink).into_iter().collect();
            assert!(
                held.into_iter().eq(sent.iter().cloned()),
                "SEED={seed}: {sink}"
            );
        }
        let mut marked = values(&world, 1);
        marked.sort();
        if !is_ahead {
            assert_eq!(marked, sent, "SEED={seed}: each once");
        }
    }
    assert!(refusals > 3, "{refusals}: the seeds show it");
}
