//! Runs scenarios of the protocol's model and prints what they show.

use clap::Parser;
use std::process::ExitCode;
use std::time::Instant;
use streamhost_model::scenario::{Scenario, Size};
use streamhost_model::{report, scenarios};

/// Most states of a scenario that is searched as the tests do it: none has as many.
const STATES_MAX: usize = 10_000_000;

/// Explores every interleaving of steps and faults of streamhost's protocol, within bounds.
#[derive(Parser)]
struct Arguments {
    /// Searches wider bounds where a scenario has some, up to so many states of each. A million
    /// states take about a minute and a gigabyte.
    #[arg(long, value_name = "N")]
    states: Option<usize>,

    /// Prints the table alone, without the ways to violations.
    #[arg(long)]
    brief: bool,

    /// Lists the scenarios and what they try.
    #[arg(long)]
    list: bool,

    /// Scenarios whose names begin so; all, if none is named.
    #[arg(value_name = "SCENARIO")]
    names: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let is_named = |scenario: &Scenario| {
        let names = &arguments.names;
        names.is_empty()
            || names
                .iter()
                .any(|name| scenario.name.starts_with(name.as_str()))
    };
    let chosen: Vec<Scenario> = scenarios().into_iter().filter(is_named).collect();
    if chosen.is_empty() {
        eprintln!(
            "no scenario begins with {}; --list shows all",
            arguments.names.join(", ")
        );
        return ExitCode::FAILURE;
    }
    if arguments.list {
        chosen
            .iter()
            .for_each(|scenario| println!("{:<44} {}", scenario.name, scenario.about));
        return ExitCode::SUCCESS;
    }
    match run(&arguments, &chosen) {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Runs the scenarios, and counts those that show something else than expected.
fn run(arguments: &Arguments, chosen: &[Scenario]) -> usize {
    let (size, states_max) = match arguments.states {
        Some(states_max) => (Size::Large, states_max),
        None => (Size::Small, STATES_MAX),
    };
    let (mut states, mut surprises, mut ways) = (0, 0, String::new());
    let start = Instant::now();
    println!("{}", report::heading());
    for scenario in chosen {
        let start = Instant::now();
        let outcome = scenario.run(size, states_max);
        let surprise = scenario.surprise(size, &outcome);
        println!(
            "{}",
            report::line(scenario, &outcome, start.elapsed(), surprise.as_deref())
        );
        states += outcome.states;
        surprises += usize::from(surprise.is_some());
        ways.extend(report::counterexample(scenario, &outcome));
    }
    if !arguments.brief {
        print!("{ways}");
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "\n{} scenarios, {states} states, {seconds:.1} s",
        chosen.len()
    );
    println!("{surprises} not as expected");
    surprises
}
