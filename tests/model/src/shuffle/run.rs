//! What a batch makes of the checkpoint before it. Pure.

use super::state::{Checkpoint, Frame, Intent, State, Window};
use super::{END, Frames, KEYED, Shuffle, WINDOWS, Watermark};

/// What a batch makes.
pub(super) struct Made {
    pub(super) checkpoint: Checkpoint,
    /// Of a source task.
    pub(super) frame: Frame,
    /// Of the keyed task.
    pub(super) results: Vec<(Window, u8)>,
}

impl Shuffle {
    pub(super) fn run(
        &self,
        state: &State,
        task: usize,
        before: &Checkpoint,
        intent: &Intent,
    ) -> Made {
        let mut after = before.clone();
        (after.batch, after.committed, after.time) = (intent.batch, intent.to, intent.time);
        let span = usize::from(before.committed)..usize::from(intent.to);
        let (from, batch) = (task as u8, intent.batch);
        let mut frame = Frame {
            from,
            batch,
            counts: [0; WINDOWS],
            line: 0,
        };
        let mut results = Vec::new();
        if task == KEYED {
            state.frames[span]
                .iter()
                .for_each(|frame| self.hear(&mut after, frame));
            results = self.fire(&mut after);
        } else {
            for &window in &self.records[task][span] {
                frame.counts[usize::from(window)] += u8::from(window >= after.furthest);
                after.furthest = after.furthest.max(window);
            }
            let is_over = usize::from(intent.to) == self.records[task].len();
            frame.line = if is_over { END } else { after.furthest };
        }
        Made {
            checkpoint: after,
            frame,
            results,
        }
    }

    fn hear(&self, after: &mut Checkpoint, frame: &Frame) {
        let from = usize::from(frame.from);
        if self.rules.frames != Frames::NotNumbered && frame.batch <= after.heard[from] {
            return;
        }
        after.heard[from] = after.heard[from].max(frame.batch);
        after.lines[from] = after.lines[from].max(frame.line);
        for window in usize::from(after.closed)..WINDOWS {
            after.counts[window] += frame.counts[window];
            after.total += frame.counts[window];
        }
    }

    fn fire(&self, after: &mut Checkpoint) -> Vec<(Window, u8)> {
        let [first, second] = after.lines;
        let heard = (0..2).filter(|&from| after.heard[from] > 0);
        let watermark = match self.rules.watermark {
            Watermark::Least => first.min(second),
            Watermark::Largest => first.max(second),
            Watermark::LeastHeard => heard.map(|from| after.lines[from]).min().unwrap_or(0),
        };
        let mut results = Vec::new();
        while after.closed < watermark.min(WINDOWS as u8) {
            let count = after.counts[usize::from(after.closed)];
            if count > 0 {
                results.push((after.closed, count));
            }
            after.closed += 1;
        }
        results
    }
}
