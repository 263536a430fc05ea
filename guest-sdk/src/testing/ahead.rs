//! Finds the records whose event time lies too far ahead of their own, as the host does.

use super::guest::Guest;
use std::borrow::Cow;
use streamhost_core::contract::{AheadRule, Answer, ChunkAnswer, Fault, Sliced};
use streamhost_core::types::Chunk;

/// What is set aside of a chunk before it is run.
pub(super) struct Ahead {
    /// Positions and reasons, ascending.
    refused: Vec<(u32, String)>,
    /// The positions of the others.
    kept: Vec<u32>,
}

impl Ahead {
    /// Asks record by record, but only where there is something to find. `call` is given a part of
    /// the chunk, and the largest event time of the partition before it.
    pub(super) fn find(
        guest: &Guest<'_>,
        chunk: &Chunk,
        before_ms: i64,
        rule: Option<AheadRule>,
        call: impl Fn(&Guest<'_>, &Chunk, i64) -> Answer,
    ) -> Ahead {
        let mut ahead = Ahead {
            refused: Vec::new(),
            kept: (0..chunk.len() as u32).collect(),
        };
        let in_order = guest.rules.in_order(chunk.partition.source);
        let Some(rule) = rule.filter(|_| in_order) else {
            return ahead;
        };
        let call = |part: &Chunk, before_ms| guest.quietly(|| call(guest, part, before_ms));
        let whole_ms = call(chunk, before_ms).largest_ms;
        if rule.check(&chunk.times_ms, before_ms, whole_ms).is_ok() {
            return ahead;
        }
        let mut reached_ms = before_ms;
        for (position, own_ms) in (0u32..).zip(&chunk.times_ms) {
            let at = position as usize;
            let largest_ms = call(&chunk.part(&(at..at + 1)), reached_ms).largest_ms;
            match rule.check(std::slice::from_ref(own_ms), reached_ms, largest_ms) {
                Ok(()) => reached_ms = largest_ms,
                Err(fault) => ahead.refused.push((position, fault.to_string())),
            }
        }
        let is_kept = |&position: &u32| {
            let found = ahead.refused.binary_search_by_key(&position, |(at, _)| *at);
            found.is_err()
        };
        ahead.kept = (0..chunk.len() as u32).filter(is_kept).collect();
        ahead
    }

    /// The chunk without them.
    pub(super) fn leave_out<'c>(&self, chunk: &'c Chunk) -> Cow<'c, Chunk> {
        if self.refused.is_empty() {
            return Cow::Borrowed(chunk);
        }
        let mut kept = Chunk::new(chunk.partition);
        for &position in &self.kept {
            let at = position as usize;
            let headers: Vec<_> = chunk.headers.of(at).collect();
            let mut record = chunk.get(at);
            record.headers = &headers;
            kept.push(record);
        }
        Cow::Owned(kept)
    }

    /// Makes of an answer for the others one for the whole chunk.
    pub(super) fn add_to(&self, answer: &mut ChunkAnswer) {
        if self.refused.is_empty() {
            return;
        }
        let in_chunk = |position: &mut u32| *position = self.kept[*position as usize];
        let rows = answer.rows.iter_mut().flatten();
        rows.for_each(|rows| rows.positions.iter_mut().for_each(in_chunk));
        answer.splits.iter_mut().for_each(in_chunk);
        for fault in &mut answer.faults {
            in_chunk(&mut fault.position);
        }
        let refused = self.refused.iter().map(|(position, reason)| Fault {
            position: *position,
            reason: reason.clone(),
            by_host: false,
            canary: false,
        });
        answer.faults.extend(refused);
        answer.faults.sort_by_key(|fault| fault.position);
    }
}
