//! What a call made of keys, from the contract's columns.

use super::{KeyOutcome, KeyTimes, Refusal, check_ascending, check_column, truncate};
use crate::limits;
use crate::types::Column;

/// The answer of a call, not yet checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Processed {
    /// For each key its state; an absent one is an empty item.
    pub states: Column,
    /// Keys without one, ascending.
    pub absent: Vec<u32>,
    /// The timers of event time.
    pub event_timers: KeyTimes,
    /// The timers of the batches' time.
    pub batch_timers: KeyTimes,
    /// What was refused, with the place of its key.
    pub refusals: Vec<(u32, Refusal)>,
}

impl Processed {
    /// By key. `Err` says which promise was broken.
    pub fn outcomes(self) -> Result<Vec<KeyOutcome>, String> {
        let keys = self.states.len();
        check_column(&self.states).map_err(|broken| format!("states: {broken}"))?;
        check_ascending("absent", &self.absent, keys)?;
        if let Some(key) = self
            .absent
            .iter()
            .find(|key| !self.states.get(**key as usize).is_empty())
        {
            return Err(format!("the state of key {key} is both absent and there"));
        }
        check_times("event-timers", &self.event_timers, keys)?;
        check_times("batch-timers", &self.batch_timers, keys)?;
        let mut absent = self.absent.iter().peekable();
        let mut outcomes: Vec<KeyOutcome> = (0..keys)
            .map(|at| KeyOutcome {
                at,
                state: match absent.next_if_eq(&&(at as u32)) {
                    Some(_) => None,
                    None => Some(self.states.get(at).to_vec()),
                },
                event_timers_ms: self.event_timers.get(at).to_vec(),
                batch_timers_ms: self.batch_timers.get(at).to_vec(),
                refusals: Vec::new(),
            })
            .collect();
        for (at, refusal) in self.refusals {
            let Some(outcome) = outcomes.get_mut(at as usize) else {
                return Err(format!("a refusal is of key {at}, of {keys}"));
            };
            outcome.refusals.push(Refusal {
                reason: truncate(refusal.reason, limits::REASON_BYTES_MAX),
                ..refusal
            });
        }
        Ok(outcomes)
    }
}

fn check_times(name: &str, times: &KeyTimes, keys: usize) -> Result<(), String> {
    let KeyTimes { ends, times_ms } = times;
    let all = ends.last().map_or(0, |&end| end as usize);
    if ends.len() != keys || !ends.is_sorted() || all != times_ms.len() {
        return Err(format!(
            "`{name}`: `ends` descends, or is not of {keys} keys, or its last is {all} where there are {} times",
            times_ms.len()
        ));
    }
    for key in 0..keys {
        let own = times.get(key);
        if own.len() > limits::KEY_TIMERS_MAX {
            let (most, own) = (limits::KEY_TIMERS_MAX, own.len());
            return Err(format!(
                "`{name}`: key {key} has {own} timers, of {most} at most"
            ));
        }
        if !own.is_sorted_by(|a, b| a < b) {
            return Err(format!("`{name}`: the times of key {key} do not ascend"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Processed {
        let mut states = Column::default();
        states.push(b"one");
        states.push(b"");
        let mut event_timers = KeyTimes::default();
        event_timers.push(&[3, 9]);
        event_timers.push(&[]);
        let mut batch_timers = KeyTimes::default();
        batch_timers.push(&[]);
        batch_timers.push(&[-1]);
        let refusal = Refusal {
            item: Some(0),
            time_ms: 7,
            reason: "no".into(),
        };
        Processed {
            states,
            absent: vec![1],
            event_timers,
            batch_timers,
            refusals: vec![(1, refusal)],
        }
    }

    #[test]
    fn an_answer_is_told_by_key() {
        let outcomes = good().outcomes().unwrap();
        let first = KeyOutcome {
            at: 0,
            state: Some(b"one".to_vec()),
            event_timers_ms: vec![3, 9],
            ..KeyOutcome::default()
        };
        assert_eq!(outcomes[0], first);
        assert_eq!((outcomes.len(), outcomes[1].refusals.len()), (2, 1));
        assert_eq!(outcomes[1].state, None);
    }

    #[test]
    fn broken_promises_are_told() {
        type Break = fn(&mut Processed);
        let cases: [(Break, &str); 7] = [
            (|answer| answer.absent = vec![0], "both absent and there"),
            (|answer| answer.absent = vec![2], "from 2 on"),
            (|answer| answer.states.ends[1] = 9, "its last is 9"),
            (|answer| answer.event_timers.ends[1] = 1, "its last is 1"),
            (
                |answer| answer.event_timers.times_ms[1] = 3,
                "do not ascend",
            ),
            (|answer| answer.batch_timers.ends.push(1), "not of 2 keys"),
            (|answer| answer.refusals[0].0 = 2, "of key 2, of 2"),
        ];
        for (breaks, told) in cases {
            let mut answer = good();
            breaks(&mut answer);
            let error = answer.outcomes().unwrap_err();
            assert!(error.contains(told), "{error}");
        }
    }
}
