//! One change of a job at a time, by its name: also of a job that is not there yet. Jobs do not
//! wait for one another.

use crate::api::Refusal;
use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Who is at a change.
#[derive(Debug, Default)]
pub(super) struct Turns {
    taken: Mutex<Taken>,
    left: Condvar,
}

#[derive(Debug, Default)]
struct Taken {
    names: BTreeSet<String>,
    closed: bool,
}

/// The right to change a job, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    name: String,
}

impl Turns {
    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nobody changes the job of this name. `Err`: the host is stopping, and nothing
    /// may change any more.
    pub(super) fn take(&self, name: &str) -> Result<Turn<'_>, Refusal> {
        let waits = |taken: &mut Taken| !taken.closed && taken.names.contains(name);
        let mut taken = self
            .left
            .wait_while(self.lock(), waits)
            .unwrap_or_else(PoisonError::into_inner);
        if taken.closed {
            return Err(Refusal::Unavailable(
                "the host is stopping: try again when it is back".to_owned(),
            ));
        }
        taken.names.insert(name.to_owned());
        Ok(Turn {
            turns: self,
            name: name.to_owned(),
        })
    }

    /// Gives no more turns, and waits for those that are taken, but no longer than `time`.
    pub(super) fn close(&self, time: Duration) {
        let mut taken = self.lock();
        taken.closed = true;
        self.left.notify_all();
        let waited = self
            .left
            .wait_timeout_while(taken, time, |taken| !taken.names.is_empty());
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Whether no more turns are given.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.turns.lock().names.remove(&self.name);
        self.turns.left.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn one_change_of_a_job_at_a_time_and_jobs_do_not_wait_for_one_another() {
        let turns = Turns::default();
        let (say, said) = mpsc::channel();
        std::thread::scope(|scope| {
            let first = turns.take("a").unwrap();
            let (other, turns) = (say.clone(), &turns);
            scope.spawn(move || {
                let _turn = turns.take("a").unwrap();
                other.send("second").unwrap();
            });
            drop(turns.take("b").unwrap()); // at once, though `a` is taken
            say.send("first").unwrap();
            drop(first);
        });
        assert_eq!(
            [said.recv().unwrap(), said.recv().unwrap()],
            ["first", "second"]
        );
    }

    #[test]
    fn a_host_that_stops_gives_no_turns_and_waits_for_those_that_are_taken() {
        let turns = Turns::default();
        std::thread::scope(|scope| {
            let first = turns.take("a").unwrap();
            let waiting = scope.spawn(|| turns.take("a").map(drop));
            let closing = scope.spawn(|| turns.close(Duration::from_secs(600)));
            assert!(
                matches!(waiting.join().unwrap(), Err(Refusal::Unavailable(_))),
                "it waits no longer"
            );
            assert!(turns.is_closed() && turns.take("b").is_err());
            drop(first);
            closing.join().unwrap();
        });
        let turns = Turns::default();
        let turn = turns.take("a").unwrap();
        turns.close(Duration::ZERO); // it is not waited for for ever
        drop(turn);
    }
}
