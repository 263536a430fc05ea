//! Rows that servers refuse for what is in them: each is a row or a dead letter, under any faults.

use super::fake::{Kept, active_with};
use super::*;

/// The letters of each sink's refusals, by value.
fn letters(world: &World) -> BTreeMap<String, Vec<String>> {
    let mut by_sink: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for letter in world.letters.landed().into_iter().flat_map(|l| l.items) {
        assert!(letter.origin.is_some() && letter.stage == "t", "{letter:?}");
        let value = String::from_utf8(letter.value.expect("a value")).expect("text");
        let sink = letter.sink.expect("only servers refuse here");
        by_sink.entry(sink).or_default().push(value);
    }
    by_sink
}

fn live(world: &mut World) {
    let count = world.dice.roll(9) as usize;
    world.put(world.sent.len() as i32 % 2, count);
    for sink in 0..3 {
        let faults = [
            Fault::RefusedRow,
            Fault::RefusedRowAfterLanding,
            Fault::BeforeLanding,
            Fault::AfterLanding,
            Fault::Open,
        ];
        for _ in 0..world.dice.roll(3) {
            let fault = faults[world.dice.roll(5) as usize];
            world.sinks[sink].fail(1, fault);
        }
    }
    let faults = [Fault::BeforeLanding, Fault::AfterLanding, Fault::Open];
    let fault = faults[world.dice.roll(3) as usize];
    world.letters.fail(world.dice.roll(2) as usize, fault);
    let life = (1 + world.dice.roll(8) as usize, world.dice.roll(2) == 0);
    let pipeline = world.start(Some(life));
    let end = world.until_quiet(pipeline);
    assert!(!matches!(end, PipelineExit::VersionFault { .. }), "{end:?}");
}

fn live_through(seed: u64) {
    let mut world = World::new(seed);
    (world.cell, world.again) = (
        DeploymentSlot::new(active_with(1, Kept::Nothing)),
        Kept::Nothing,
    );
    for _ in 0..6 {
        live(&mut world);
    }
    world.calm();
    world.put(0, 2);
    world.ends_quietly(seed);

    let mut sent: Vec<String> = world.sent.values().flatten().cloned().collect();
    sent.sort();
    let letters = letters(&world);
    let of = |sink: &str| letters.get(sink).cloned().unwrap_or_default();
    let mut marked = [values(&world, 1), of("marked")].concat();
    marked.sort();
    assert_eq!(marked, sent, "SEED={seed}: a row or a letter, and once");
    for (at, sink) in [(0, "table"), (2, "plain")] {
        let own = of(sink);
        let once: BTreeSet<&String> = own.iter().collect();
        assert_eq!(
            once.len(),
            own.len(),
            "SEED={seed}: each letter once: {own:?}"
        );
        let all: BTreeSet<String> = [values(&world, at), own].concat().into_iter().collect();
        assert!(
            all.iter().eq(sent.iter()),
            "SEED={seed}: sink `{sink}` lacks nothing"
        );
    }
    let counters = world.checkpoint().counters;
    // How many letters there are is no count of these: a server that changes its mind while the host is
    // down refuses other rows in the replay than those whose letters are there.
    let rows = values(&world, 1).len() as u64;
    assert_eq!(counters.rows["marked"], rows, "SEED={seed}");
}

#[test]
fn a_refused_row_is_a_dead_letter_and_all_others_are_rows_under_any_faults() {
    (1..=60).for_each(live_through);
}

#[test]
fn a_job_that_stops_at_failures_stops_at_a_refused_row_and_says_so() {
    let mut world = World::new(3);
    let mut careful = Arc::into_inner(active_with(1, Kept::Nothing)).expect("just made");
    careful.settings.on_error = streamhost_core::job::settings::OnError::Stop;
    world.cell = DeploymentSlot::new(Arc::new(careful));
    world.put(0, 2);
    world.sinks[1].fail(1, Fault::RefusedRow);
    let PipelineExit::Failed(reason) = world.start(None).join() else {
        panic!("it went on")
    };
    for words in [
        "sink `marked`",
        "refuses 1 of 2 rows",
        "on-error=stop",
        "told to refuse it",
    ] {
        assert!(reason.contains(words), "{reason}");
    }
    assert_eq!(world.sinks[1].landed(), [], "nothing of it is there");
}
