//! One call at a time that changes a job's dead letters, by the job's name. Jobs do not wait for one
//! another.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Who is at a change.
#[derive(Debug, Default)]
pub(super) struct Turns {
    taken: Mutex<BTreeSet<String>>,
    left: Condvar,
}

/// The right to change a job's letters, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    name: String,
}

impl Turns {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nobody changes the letters of the job of this name.
    pub(super) fn take(&self, name: &str) -> Turn<'_> {
        let waits = |taken: &mut BTreeSet<String>| taken.contains(name);
        let mut taken = self
            .left
            .wait_while(self.lock(), waits)
            .unwrap_or_else(PoisonError::into_inner);
        taken.insert(name.to_owned());
        Turn {
            turns: self,
            name: name.to_owned(),
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.turns.lock().remove(&self.name);
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
            let first = turns.take("a");
            let (other, turns) = (say.clone(), &turns);
            scope.spawn(move || {
                let _turn = turns.take("a");
                other.send("second").unwrap();
            });
            drop(turns.take("b")); // at once, though `a` is taken
            say.send("first").unwrap();
            drop(first);
        });
        assert_eq!(
            [said.recv().unwrap(), said.recv().unwrap()],
            ["first", "second"]
        );
    }
}
