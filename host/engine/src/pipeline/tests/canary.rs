//! A canary beside a job that swaps, fails and dies: what it wrote is what its part is, and nothing
//! is lost or doubled.

use super::fake::active_beside;
use super::*;
use streamhost_core::job::Share;

/// The least share of keys that has one of the letters alone, and that letter.
fn one_letter() -> (Share, char) {
    let letters = ['a', 'b', 'c'];
    let has = |parts: u16| {
        let share = Share::Keys(parts);
        let mut of = letters
            .into_iter()
            .filter(|c| share.has_key(c.to_string().as_bytes()));
        of.next().map(|letter| (share.clone(), letter))
    };
    (1..10_000).find_map(has).expect("some share has a letter")
}

fn world(seed: u64, made: impl Fn(u64) -> Arc<LoadedDeployment> + Send + Sync + 'static) -> World {
    let mut world = World::new(seed);
    world.cell = DeploymentSlot::new(made(1));
    world.made = Arc::new(made);
    world
}

/// Rows of a sink, as key and version.
fn writers(world: &World, sink: usize) -> Vec<(String, u64)> {
    let landed = world.sinks[sink].landed();
    let rows = landed.iter().flat_map(texts);
    let writer = |(key, cell): (String, String)| {
        let (version, _) = cell.split_once(':').expect("version:value");
        (key, version.parse().expect("a version"))
    };
    rows.map(writer).collect()
}

/// Every second deployment has a canary, by keys or by partitions.
fn swaps_canaries(seed: u64, kept: Kept, share: &Share) -> World {
    let of = share.clone();
    let mut world = world(seed, move |number| match number % 2 {
        0 => active_beside(number, (kept, kept), of.clone()),
        _ => active_with(number, kept),
    });
    world.topics.is_replayable("t", !seed.is_multiple_of(4));
    for _ in 0..6 {
        world.live();
    }
    world.calm();
    world.send(5);
    world.ends_quietly(seed);
    check(&world, seed);
    world
}

#[test]
fn keys_of_a_canary_are_its_own_and_all_others_are_the_active_versions() {
    let (share, letter) = one_letter();
    let written = Mutex::new(BTreeSet::new());
    of_each(100, |seed| {
        let world = swaps_canaries(seed, Kept::Counts, &share);
        for sink in [3, 4] {
            for (key, version) in writers(&world, sink) {
                let has_canary = (version % 1000).is_multiple_of(2);
                let want = has_canary && key == letter.to_string();
                assert_eq!(version > 1000, want, "SEED={seed}: {key} by {version}");
                written.lock().unwrap().insert(version > 1000);
            }
        }
    });
    assert_eq!(written.into_inner().unwrap().len(), 2, "both have written");
}

#[test]
fn partitions_of_a_canary_are_its_own() {
    let share: Share = "partitions=1".parse().unwrap();
    of_each(60, |seed| {
        let world = swaps_canaries(seed, Kept::Nothing, &share);
        for landed in world.sinks[1].landed() {
            for (_, cell) in texts(&landed) {
                let (version, value) = cell.split_once(':').unwrap();
                let version: u64 = version.parse().unwrap();
                let has_canary = (version % 1000).is_multiple_of(2);
                let want = has_canary && value[1..].starts_with("1-");
                assert_eq!(version > 1000, want, "SEED={seed}: {cell}");
            }
        }
    });
}

/// A job that never swaps, whose canary fails on more than the active version: which records are
/// dead letters follows from the records alone.
fn choosy(seed: u64, kept: [Kept; 2], share: &Share, is_canarys: &dyn Fn(&str) -> bool) -> World {
    let (of, [kept, of_canary]) = (share.clone(), kept);
    let mut world = world(seed, move |number| {
        active_beside(number, (kept, of_canary), of.clone())
    });
    for _ in 0..5 {
        world.live();
    }
    world.calm();
    world.send(20);
    world.ends_quietly(seed);
    let is_letter = |value: &str| {
        let is_choosy = value.ends_with('7') || value.ends_with('3');
        value.starts_with(['T', 'F']) || is_choosy && is_canarys(value)
    };
    check_by(&world, seed, &is_letter);
    world
}

#[test]
fn what_a_canary_fails_on_is_a_dead_letter_where_the_key_is_its_own() {
    let (share, letter) = one_letter();
    of_each(100, |seed| {
        let is_canarys = |value: &str| value.starts_with(letter);
        drop(choosy(
            seed,
            [Kept::Counts, Kept::Choosy],
            &share,
            &is_canarys,
        ));
        // What the active version fails on is one whichever key it has: its row before the key would
        // be missing.
        let kept = [Kept::Choosy, Kept::Counts];
        drop(choosy(seed, kept, &share, &|_| true));
    });
}

#[test]
fn what_a_canary_fails_on_is_a_dead_letter_where_the_record_is_its_own() {
    let share: Share = "partitions=0".parse().unwrap();
    of_each(60, |seed| {
        let is_canarys = |value: &str| value[1..].starts_with("0-");
        let kept = [Kept::Nothing, Kept::ChoosyNothing];
        drop(choosy(seed, kept, &share, &is_canarys));
    });
}
