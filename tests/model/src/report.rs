//! What a run prints: a line for each scenario, then counterexamples, step by step.

use crate::checker::Outcome;
use crate::scenario::Scenario;
use std::fmt::Write as _;
use std::time::Duration;

/// The head of the table.
pub fn heading() -> String {
    format!(
        "{:<44} {:>10} {:>5} {:>8}  result",
        "scenario", "states", "depth", "seconds"
    )
}

/// A scenario's line. `surprise`: how it differs from what is expected.
pub fn line(
    scenario: &Scenario,
    outcome: &Outcome,
    took: Duration,
    surprise: Option<&str>,
) -> String {
    let result = match (&outcome.counterexample, outcome.exhaustive) {
        (Some(found), _) => format!("breaks: {}", found.violation),
        (None, true) => "holds".to_owned(),
        (None, false) => "holds as far as searched".to_owned(),
    };
    let (states, depth) = (outcome.states, outcome.depth);
    let seconds = took.as_secs_f64();
    let mut line = format!(
        "{:<44} {states:>10} {depth:>5} {seconds:>8.1}  {result}",
        scenario.name
    );
    if let Some(surprise) = surprise {
        let _ = write!(line, "  <-- NOT EXPECTED: {surprise}");
    }
    line
}

/// The way to a violation, a line for each step. Nothing if there is none.
pub fn counterexample(scenario: &Scenario, outcome: &Outcome) -> Option<String> {
    let found = outcome.counterexample.as_ref()?;
    let mut text = format!("\n{}: {}\n", scenario.name, scenario.about);
    for (number, step) in (1..).zip(&found.steps) {
        let _ = writeln!(text, "{number:>4}  {step}");
    }
    let _ = writeln!(text, "   →  {}", found.violation);
    Some(text)
}
