//! The search: breadth first over all states, so that a violation that is found first has a
//! shortest way to it.
//!
//! A state that was seen is kept as a 64-bit fingerprint. With a million states, two of them share
//! one with a probability of 3 in 10⁸; then one state would not be looked at.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashSet, VecDeque};
use std::fmt::Debug;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// What is explored: states, what may happen in each, and what must never be.
pub trait Model {
    /// All of the system at one moment: durable, in memory, on the network, and the faults left.
    type State: Clone + Hash;
    /// One step of the host, of a server, of the user, or a fault.
    type Action: Copy + Debug;

    /// Where everything begins.
    fn initial(&self) -> Self::State;

    /// All that may happen in `state`, always in the same order.
    fn actions(&self, state: &Self::State, into: &mut Vec<Self::Action>);

    /// Makes of `state` the one after `action`.
    fn apply(&self, state: &mut Self::State, action: Self::Action);

    /// Whether the system does `action` by itself sooner or later. Faults and what users do may
    /// never happen: a state in which nothing else may is *at rest*.
    fn is_progress(&self, action: Self::Action) -> bool;

    /// What is wrong in `state`, if anything is.
    fn violation(&self, state: &Self::State, at_rest: bool) -> Option<String>;

    /// `action` in words, as it happens in `state`.
    fn describe(&self, state: &Self::State, action: Self::Action) -> String;
}

/// What a search found.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Distinct states.
    pub states: usize,
    /// Steps of the longest shortest way to a state.
    pub depth: usize,
    /// States at rest among them.
    pub rests: usize,
    /// Every state was looked at. False: the bound was reached, or a violation found before.
    pub exhaustive: bool,
    /// The first violation, and a shortest way to it.
    pub counterexample: Option<Counterexample>,
}

/// A violation and a shortest way to it.
#[derive(Clone, Debug)]
pub struct Counterexample {
    /// What is wrong.
    pub violation: String,
    /// What happened, in words.
    pub steps: Vec<String>,
}

/// Fingerprints are hashes already.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("fingerprints are u64");
    }

    fn write_u64(&mut self, fingerprint: u64) {
        self.0 = fingerprint;
    }
}

fn fingerprint(state: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}

/// How a state was reached: from which one, by which of its actions. A few bytes for each, as there
/// are millions; the steps are found again by taking them.
struct Arrival {
    from: u32,
    action: u16,
}

/// Explores `model` until a violation is found, every state was looked at, or `states_max` states
/// are known.
pub fn explore<M: Model>(model: &M, states_max: usize) -> Outcome {
    let states_max = states_max.min(u32::MAX as usize);
    let mut seen: HashSet<u64, BuildHasherDefault<AsItIs>> = HashSet::default();
    let mut arrivals = vec![Arrival { from: 0, action: 0 }];
    let mut queue = VecDeque::new();
    let mut actions = Vec::new();
    let mut outcome = Outcome {
        states: 1,
        depth: 0,
        rests: 0,
        exhaustive: true,
        counterexample: None,
    };

    let initial = model.initial();
    seen.insert(fingerprint(&initial));
    queue.push_back((initial, 0_u32, 0_usize));
    while let Some((state, number, depth)) = queue.pop_front() {
        outcome.depth = outcome.depth.max(depth);
        actions.clear();
        model.actions(&state, &mut actions);
        let at_rest = !actions.iter().any(|&action| model.is_progress(action));
        outcome.rests += usize::from(at_rest);
        if let Some(violation) = model.violation(&state, at_rest) {
            let steps = steps_to(model, &arrivals, number);
            outcome.exhaustive = false;
            outcome.counterexample = Some(Counterexample { violation, steps });
            break;
        }
        for (index, &action) in actions.iter().enumerate() {
            let mut next = state.clone();
            model.apply(&mut next, action);
            if !seen.insert(fingerprint(&next)) {
                continue;
            }
            if arrivals.len() == states_max {
                outcome.exhaustive = false;
                break;
            }
            queue.push_back((next, arrivals.len() as u32, depth + 1));
            arrivals.push(Arrival {
                from: number,
                action: index as u16,
            });
        }
    }
    outcome.states = arrivals.len();
    outcome
}

/// The way to state `number`, in words: the actions are taken once more from the beginning.
fn steps_to<M: Model>(model: &M, arrivals: &[Arrival], mut number: u32) -> Vec<String> {
    let mut way = Vec::new();
    while number != 0 {
        let arrival = &arrivals[number as usize];
        way.push(arrival.action);
        number = arrival.from;
    }
    let (mut state, mut actions) = (model.initial(), Vec::new());
    let step = |index: u16| {
        actions.clear();
        model.actions(&state, &mut actions);
        let action = actions[usize::from(index)];
        let words = model.describe(&state, action);
        model.apply(&mut state, action);
        words
    };
    way.into_iter().rev().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two counters up to `end`; `bad` is a sum that must never be.
    struct Counters {
        end: u8,
        bad: u8,
    }

    impl Model for Counters {
        type State = [u8; 2];
        type Action = usize;

        fn initial(&self) -> [u8; 2] {
            [0, 0]
        }

        fn actions(&self, state: &[u8; 2], into: &mut Vec<usize>) {
            into.extend((0..2).filter(|&which| state[which] < self.end));
        }

        fn apply(&self, state: &mut [u8; 2], which: usize) {
            state[which] += 1;
        }

        fn is_progress(&self, _: usize) -> bool {
            true
        }

        fn violation(&self, state: &[u8; 2], at_rest: bool) -> Option<String> {
            assert_eq!(at_rest, *state == [self.end; 2]);
            (state[0] + state[1] == self.bad).then(|| format!("the sum is {}", self.bad))
        }

        fn describe(&self, state: &[u8; 2], which: usize) -> String {
            format!("counter {which} is {} no more", state[which])
        }
    }

    #[test]
    fn every_state_is_looked_at_once() {
        let outcome = explore(&Counters { end: 3, bad: 99 }, usize::MAX);
        assert!(outcome.exhaustive && outcome.counterexample.is_none());
        assert_eq!((outcome.states, outcome.depth, outcome.rests), (16, 6, 1));
    }

    #[test]
    fn the_first_violation_has_a_shortest_way() {
        let found = explore(&Counters { end: 3, bad: 2 }, usize::MAX)
            .counterexample
            .unwrap();
        assert_eq!(found.violation, "the sum is 2");
        assert_eq!(
            found.steps,
            ["counter 0 is 0 no more", "counter 0 is 1 no more"]
        );
    }

    #[test]
    fn a_bound_ends_the_search() {
        let outcome = explore(&Counters { end: 3, bad: 99 }, 10);
        assert_eq!((outcome.states, outcome.exhaustive), (10, false));
        assert!(outcome.counterexample.is_none());
    }
}
