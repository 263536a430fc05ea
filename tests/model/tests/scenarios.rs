//! Every scenario shows what is expected of it: those with all rules hold, those without one break.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::thread;
use streamhost_model::scenario::{Scenario, Size};
use streamhost_model::{report, scenarios};

/// No scenario has as many: each is searched to its end.
const STATES_MAX: usize = 1_000_000;

/// Runs one scenario. `Err`: what is wrong with it, and the way there.
fn check(scenario: &Scenario) -> Result<usize, String> {
    let outcome = scenario.run(Size::Small, STATES_MAX);
    if outcome.counterexample.is_none() && !outcome.exhaustive {
        return Err(format!("{}: more than {STATES_MAX} states", scenario.name));
    }
    match scenario.surprise(Size::Small, &outcome) {
        None => Ok(outcome.states),
        Some(surprise) => {
            let way = report::counterexample(scenario, &outcome).unwrap_or_default();
            Err(format!("{}: {surprise}{way}", scenario.name))
        }
    }
}

#[test]
fn every_scenario_shows_what_is_expected() {
    let all = scenarios();
    let (queue, results) = (Mutex::new(all.iter()), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let next = queue.lock().unwrap().next();
            let Some(scenario) = next else { break };
            let result = check(scenario);
            results.lock().unwrap().push(result);
        }
    };
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        (0..threads).for_each(|_| drop(scope.spawn(work)));
    });
    let results = results.into_inner().unwrap();
    assert_eq!(results.len(), all.len());
    let wrong: Vec<&String> = results
        .iter()
        .filter_map(|result| result.as_ref().err())
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let states: usize = results.iter().flatten().sum();
    println!("{} scenarios, {states} states", all.len());
}

#[test]
fn a_scenario_has_a_name_of_its_own() {
    let all = scenarios();
    let names: BTreeSet<&str> = all.iter().map(|scenario| scenario.name).collect();
    assert_eq!(names.len(), all.len());
    for scenario in &all {
        let (room, word) = scenario.name.split_once('/').unwrap_or_default();
        assert!(
            !room.is_empty() && !word.is_empty(),
            "{}: room/word",
            scenario.name
        );
        assert!(
            scenario.name.len() <= 44,
            "{}: too long for the table",
            scenario.name
        );
        assert!(
            scenario.about.len() <= 100,
            "{}: {}",
            scenario.name,
            scenario.about
        );
    }
}
