//! A queue with at most one at work on it: whoever finds nobody there sees to it that somebody is.
//! So a job of which nothing is asked needs no thread.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is still to be taken, in order.
#[derive(Debug)]
pub(super) struct Mailbox<M>(Mutex<Inside<M>>);

#[derive(Debug)]
struct Inside<M> {
    waiting: VecDeque<M>,
    is_at_work: bool,
}

/// There is no room for it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl<M> Default for Mailbox<M> {
    fn default() -> Self {
        Mailbox(Mutex::new(Inside {
            waiting: VecDeque::new(),
            is_at_work: false,
        }))
    }
}

impl<M> Mailbox<M> {
    fn inside(&self) -> MutexGuard<'_, Inside<M>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a message behind the others, unless `most` wait already. True: nobody was at work, and
    /// the caller is from now on, or has another one be.
    pub(super) fn put(&self, message: M, most: usize) -> Result<bool, Full> {
        let mut inside = self.inside();
        if inside.waiting.len() >= most {
            return Err(Full);
        }
        inside.waiting.push_back(message);
        Ok(!std::mem::replace(&mut inside.is_at_work, true))
    }

    /// The next message, for whoever is at work; none: it is at work no more.
    pub(super) fn take(&self) -> Option<M> {
        let mut inside = self.inside();
        let message = inside.waiting.pop_front();
        inside.is_at_work = message.is_some();
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_at_work_until_nothing_is_left() {
        let mail = Mailbox::default();
        assert_eq!(mail.put(1, 2), Ok(true));
        assert_eq!(mail.put(2, 2), Ok(false), "the first one takes it");
        assert_eq!(mail.put(3, 2), Err(Full));
        assert_eq!(mail.put(4, usize::MAX), Ok(false));
        assert_eq!([mail.take(), mail.take(), mail.take()], [1, 2, 4].map(Some));
        assert_eq!(mail.take(), None);
        assert_eq!(mail.put(5, 2), Ok(true), "nobody is at work any more");
    }
}
