//! A shadow beside a job that swaps, fails and dies: it shows what differs, and changes nothing.

use super::*;

const TERMS: ShadowTerms = ShadowTerms {
    time: Duration::from_secs(600),
    batches: None,
};

/// Starts a shadow beside the active deployment, of a version that is as this one.
fn begin(world: &World, like: Arc<LoadedDeployment>) -> Arc<Shadow> {
    let beside = world.cell.get().deployment;
    let shadow = Shadow::start(like, beside, TERMS, |_, _| {}).unwrap();
    world.shadow.set(Some(shadow.clone()));
    shadow
}

/// Waits until the shadow is done with what it was given.
fn quiet(shadow: &Shadow) -> ShadowReport {
    while !shadow.has_ended() && !shadow.is_idle() {
        std::thread::yield_now(); // a look, not a wait: the condition ends it
    }
    shadow.look()
}

/// How many rows were compared.
fn has_no_difference(shadow: &Shadow, seed: u64) -> u64 {
    let report = shadow.look();
    assert_eq!(report.faults, 0, "SEED={seed}: {report:?}");
    assert_eq!(report.difference.differing(), 0, "SEED={seed}: {report:?}");
    report.difference.alike()
}

/// A job with an equal shadow lives through all kinds of faults; how many rows were compared.
fn live_beside_a_shadow(seed: u64) -> u64 {
    let mut compared = 0;
    let mut world = World::new(seed);
    let mut shadow = begin(&world, active(1));
    for _ in 0..5 {
        // In every second life the next pipeline begins while the shadow is still at work.
        world.live();
        if world.dice.roll(2) == 0 {
            quiet(&shadow);
        }
        if shadow.has_ended() {
            compared += has_no_difference(&shadow, seed);
            shadow = begin(&world, active(world.cell.get().deployment));
        }
    }
    quiet(&shadow);
    compared += has_no_difference(&shadow, seed);
    shadow.end("the test is over");
    world.calm();
    world.ends_quietly(seed);
    check(&world, seed);
    compared
}

#[test]
fn an_equal_shadow_shows_no_difference_whatever_happens_to_the_job() {
    let compared = AtomicU64::new(0);
    of_each(100, |seed| {
        compared.fetch_add(live_beside_a_shadow(seed), Ordering::SeqCst);
    });
    assert!(compared.into_inner() > 0, "some rows were compared");
}

#[test]
fn another_version_differs_in_every_row_and_the_job_is_as_without_it() {
    for seed in seeds(20) {
        let mut world = World::new(seed);
        let shadow = begin(&world, active(9));
        world.put(0, 30);
        world.ends_quietly(seed);
        let report = quiet(&shadow);
        let of = |sink: &str| {
            let of = &report.difference.sinks[sink];
            (of.alike, of.differing, of.only_active, of.only_shadow)
        };
        assert!(report.batches > 0, "SEED={seed}: {report:?}");
        for sink in ["table", "counts", "sums"] {
            let (alike, differing, active, shadow) = of(sink);
            assert!(differing > 0, "SEED={seed}: {sink}: {report:?}");
            assert_eq!((alike, active, shadow), (0, 0, 0), "SEED={seed}: {sink}");
        }
        shadow.end("the test is over");
        check(&world, seed);
    }
}

/// It has its own guests and its own bounds; what breaks in it breaks nothing of the active version.
#[test]
fn a_shadow_that_breaks_ends_alone() {
    let mut world = World::new(1);
    let shadow = begin(&world, active_with(2, Kept::Breaks));
    world.put(0, 120);
    world.ends_quietly(1);
    let report = quiet(&shadow);
    let letters = &report.difference.letters;
    assert!(
        letters.only_shadow > 0 && letters.only_active == 0,
        "{report:?}"
    );
    assert_eq!(report.difference.broken.active, 0);
    shadow.end("the test is over");
    check(&world, 1);
}

#[test]
fn a_shadow_ends_after_its_batches_or_its_time() {
    let mut world = World::new(2);
    let beside = world.cell.get().deployment;
    let (told, ended) = std::sync::mpsc::channel();
    let start = |terms| {
        let told = told.clone();
        let tell = move |_: &Shadow, end: &ShadowEnd| told.send(end.clone()).unwrap();
        Shadow::start(active(1), beside, terms, tell).unwrap()
    };
    let shadow = start(ShadowTerms {
        batches: Some(1),
        ..TERMS
    });
    world.shadow.set(Some(shadow.clone()));
    world.put(0, 3);
    world.ends_quietly(2);
    assert_eq!(ended.recv().unwrap(), ShadowEnd::Done);
    assert_eq!(shadow.look().batches, 1);
    start(ShadowTerms {
        time: Duration::ZERO,
        ..TERMS
    });
    assert_eq!(ended.recv().unwrap(), ShadowEnd::Done, "its time is over");
    start(TERMS).end("it is enough");
    let why = ShadowEnd::Told("it is enough".to_owned());
    assert_eq!(ended.recv().unwrap(), why);
}
