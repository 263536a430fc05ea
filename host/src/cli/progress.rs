//! What is waited for: drawn on standard error where that is a terminal, by the host said in its
//! log.

use super::screen::Screen;
use indicatif::{ProgressBar, ProgressStyle};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;
use streamhost_core::clock;

/// How often it is drawn.
const DRAW_EVERY: Duration = Duration::from_millis(100);
/// After how long a host says what it waits for, and how often then.
const SAY_AFTER: Duration = Duration::from_secs(3);

/// A line that says what is waited for, and since when. It goes when this is dropped.
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// Begins to draw, if somebody sees it.
    pub(super) fn begin(screen: &Screen, what: impl Into<String>) -> Progress {
        let bar = match screen.draws {
            true => ProgressBar::new_spinner(),
            false => ProgressBar::hidden(),
        };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.set_message(what.into());
        if screen.draws {
            bar.enable_steady_tick(DRAW_EVERY);
        }
        Progress(bar)
    }

    /// Says something else.
    pub(super) fn say(&self, what: impl Into<String>) {
        self.0.set_message(what.into());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Does some work of a host, and has its log say what is waited for while that takes long.
pub(super) fn said_while<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let (done, waits) = channel::<()>();
    std::thread::scope(|threads| {
        threads.spawn(move || {
            let began = clock::monotonic();
            while let Err(RecvTimeoutError::Timeout) = waits.recv_timeout(SAY_AFTER) {
                tracing::info!("{what}: {} s so far", clock::since(began).as_secs());
            }
        });
        let answer = work();
        drop(done);
        answer
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_is_done_and_nothing_stays() {
        assert_eq!(said_while("working", || 7), 7);
        let drawn = Progress::begin(&Screen::program(), "working");
        assert!(drawn.0.is_hidden());
    }
}
