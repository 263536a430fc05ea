//! A scenario is a model with its bounds and rules, and what is expected of it.

use crate::checker::{Model, Outcome, explore};

/// What a scenario is expected to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// No violation, whatever happens.
    Holds,
    /// A violation.
    Breaks {
        /// How its text begins.
        violation: &'static str,
        /// The last step of the shortest way to it.
        last: &'static str,
    },
}

/// A model with its bounds and rules.
pub struct Scenario {
    /// Its name: the room's, a slash, and a word.
    pub name: &'static str,
    /// What is tried, in a line.
    pub about: &'static str,
    /// What comes out.
    pub expected: Expected,
    small: Box<dyn Explore>,
    large: Option<Box<dyn Explore>>,
}

/// How far to search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Bounds that a test searches to the end.
    Small,
    /// Wider bounds where the scenario has some, for a long run.
    Large,
}

/// A model whose states nobody needs to know.
trait Explore: Send + Sync {
    fn explore(&self, states_max: usize) -> Outcome;
}

impl<M: Model + Send + Sync> Explore for M {
    fn explore(&self, states_max: usize) -> Outcome {
        explore(self, states_max)
    }
}

/// The rules of `model` are enough.
pub(crate) fn holds<M>(name: &'static str, about: &'static str, model: M) -> Scenario
where
    M: Model + Send + Sync + 'static,
{
    Scenario {
        name,
        about,
        expected: Expected::Holds,
        small: Box::new(model),
        large: None,
    }
}

/// `model` lacks a rule, and this is how it shows.
pub(crate) fn breaks<M>(
    name: &'static str,
    about: &'static str,
    [violation, last]: [&'static str; 2],
    model: M,
) -> Scenario
where
    M: Model + Send + Sync + 'static,
{
    let expected = Expected::Breaks { violation, last };
    Scenario {
        name,
        about,
        expected,
        small: Box::new(model),
        large: None,
    }
}

impl Scenario {
    /// The same with wider bounds, for a long run.
    pub(crate) fn or<M: Model + Send + Sync + 'static>(self, large: M) -> Scenario {
        Scenario {
            large: Some(Box::new(large)),
            ..self
        }
    }

    /// Searches it.
    pub fn run(&self, size: Size, states_max: usize) -> Outcome {
        match (size, &self.large) {
            (Size::Large, Some(large)) => large.explore(states_max),
            _ => self.small.explore(states_max),
        }
    }

    /// How `outcome` of a search of this size differs from what is expected, if it does. Wider bounds
    /// may break at another step.
    pub fn surprise(&self, size: Size, outcome: &Outcome) -> Option<String> {
        match (self.expected, &outcome.counterexample) {
            (Expected::Holds, Some(found)) => Some(format!("breaks: {}", found.violation)),
            (Expected::Breaks { .. }, None) if size == Size::Large && !outcome.exhaustive => None,
            (Expected::Breaks { .. }, None) => Some("holds, and should break".to_owned()),
            (Expected::Breaks { .. }, Some(_)) if size == Size::Large => None,
            (Expected::Holds, None) if outcome.exhaustive && outcome.rests == 0 => {
                Some("never comes to rest: nothing was shown".to_owned())
            }
            (Expected::Holds, None) => None,
            (Expected::Breaks { violation, last }, Some(found)) => {
                let ends = found.steps.last().map(String::as_str).unwrap_or_default();
                if !found.violation.starts_with(violation) {
                    return Some(format!("breaks otherwise: {}", found.violation));
                }
                (ends != last).then(|| format!("breaks at another step: {ends}"))
            }
        }
    }
}
