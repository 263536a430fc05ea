//! What became of a chunk, or of what a keyed stage finished, gathered from the calls it took.

use crate::contract::{Answer, ChunkAnswer, Fault, Quarantine, RowShape, take_unfit, truncate};
use crate::limits;

/// Gathers the answers of the calls that one chunk, or what one keyed stage finished, was asked in.
#[derive(Debug, Default)]
pub struct AnswerBuilder {
    answer: ChunkAnswer,
    /// For each item, whether something became of it.
    touched: Vec<bool>,
}

impl AnswerBuilder {
    /// Nothing was answered yet for so many items. `largest_ms` is the largest event time of the
    /// partition before them.
    pub fn new(sinks: usize, items: usize, largest_ms: i64) -> AnswerBuilder {
        AnswerBuilder {
            answer: ChunkAnswer {
                rows: vec![Vec::new(); sinks],
                largest_ms,
                ..ChunkAnswer::default()
            },
            touched: vec![false; items],
        }
    }

    /// The largest event time of the partition after what was taken.
    pub fn largest_ms(&self) -> i64 {
        self.answer.largest_ms
    }

    /// Takes a call's answer, which must have been checked. The call's items begin at `base`; calls
    /// come in order.
    pub fn take(&mut self, answer: Answer, base: usize, shapes: &[RowShape]) {
        for (position, reason) in answer.faults {
            self.fault(base + position as usize, reason, false);
        }
        for (sink, mut rows) in answer.rows.into_iter().enumerate() {
            for (position, reason) in take_unfit(&mut rows, &shapes[sink]) {
                self.fault(base + position as usize, reason, false);
            }
            self.touch(base, &rows.positions);
            if !rows.is_empty() {
                rows.positions
                    .iter_mut()
                    .for_each(|position| *position += base as u32); // of all, not of this call
                self.answer.rows[sink].push(rows);
            }
        }
        for mut keyed in answer.keyed {
            // They count this call's records, and nobody else asks.
            self.touch(base, &std::mem::take(&mut keyed.positions));
            if !keyed.keys.is_empty() {
                self.answer.keyed.push(keyed);
            }
        }
        for mut outcome in answer.outcomes {
            outcome.at += base;
            self.touched[outcome.at] = true;
            self.answer.outcomes.push(outcome);
        }
        self.touch(base, &answer.late);
        self.answer.late += answer.late.len() as u64;
        self.answer.largest_ms = answer.largest_ms;
    }

    /// What became of all items, with the host's decisions on them by their places. Faults of one
    /// record in several branches are one fault.
    pub fn finish(
        mut self,
        decisions: impl IntoIterator<Item = (usize, Quarantine)>,
    ) -> ChunkAnswer {
        for (at, quarantine) in decisions {
            match quarantine {
                Some(reason) => self.fault(at, reason, true),
                None => self.answer.splits.push(at as u32),
            }
        }
        self.answer.dropped = self.touched.iter().filter(|touched| !**touched).count() as u64;
        let faults = &mut self.answer.faults;
        faults.sort_by_key(|fault| fault.position); // stable: the main chain's first
        faults.dedup_by(|next, first| {
            let same = next.position == first.position;
            if same && next.reason != first.reason {
                first.reason = format!("{}; {}", first.reason, next.reason);
                first.reason =
                    truncate(std::mem::take(&mut first.reason), limits::REASON_BYTES_MAX);
            }
            same
        });
        self.answer
    }

    /// Sets an item aside for what it is. A replay finds the same, so no intent has it.
    pub fn refuse(&mut self, at: usize, reason: String) {
        self.fault(at, reason, false);
    }

    fn fault(&mut self, at: usize, reason: String, by_host: bool) {
        self.touched[at] = true;
        self.answer.faults.push(Fault {
            position: at as u32,
            reason,
            by_host,
            canary: false,
        });
    }

    fn touch(&mut self, base: usize, positions: &[u32]) {
        for &position in positions {
            self.touched[base + position as usize] = true;
        }
    }
}
