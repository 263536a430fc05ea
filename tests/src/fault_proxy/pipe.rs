//! One direction of one connection: bytes that have come and not gone yet, and when they may go. No I/O and no clock.

use super::faults::Standing;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// Bytes that a direction keeps; beyond it nothing is read, so the sender is slowed down.
pub(super) const HELD_BYTES_MAX: usize = 16 << 20;

/// With a rate, bytes go in so many portions a second.
const PORTIONS: u32 = 20;

/// What a direction does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// So many of its first bytes may go.
    Send(usize),
    /// Nothing before that time, or before something comes.
    Wait(Option<Instant>),
    /// The connection is reset here.
    Reset,
    /// All has gone, and no more comes.
    Finish,
}

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    /// When they may go, and the bytes.
    queue: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
    /// No more comes.
    over: bool,
    /// `Finish` was carried out.
    pub(super) finished: bool,
    /// So many bytes more, then a reset.
    cut: Option<usize>,
    /// Held by the count of releases at that time.
    held_at: Option<u64>,
    /// By its rate it sends nothing before.
    free_at: Option<Instant>,
}

impl Pipe {
    /// Bytes have come that may go at `due`.
    pub(super) fn push(&mut self, due: Instant, bytes: &[u8]) {
        // A byte never overtakes another one, whatever the delay was when it came.
        let due = self.queue.back().map_or(due, |(last, _)| due.max(*last));
        self.bytes += bytes.len();
        self.queue.push_back((due, bytes.to_vec()));
    }

    /// No more comes.
    pub(super) fn end(&mut self) {
        self.over = true;
    }

    /// More may be read.
    pub(super) fn wants(&self) -> bool {
        !self.over && self.bytes < HELD_BYTES_MAX
    }

    /// How many bytes wait.
    pub(super) fn len(&self) -> usize {
        self.bytes
    }

    /// Keeps all back until a release after this count of them.
    pub(super) fn hold(&mut self, releases: u64) {
        self.held_at = Some(releases);
    }

    /// Resets once so many bytes more have gone, beyond those that wait already.
    pub(super) fn cut(&mut self, bytes: usize) {
        self.cut = Some(self.bytes + bytes);
    }

    /// What waits is thrown away, and no more comes.
    pub(super) fn discard(&mut self) {
        self.queue.clear();
        self.bytes = 0;
        self.over = true;
        self.cut = None;
    }

    /// What it does next.
    pub(super) fn next(&mut self, now: Instant, standing: Standing, releases: u64) -> Next {
        if self.cut == Some(0) {
            return Next::Reset;
        }
        if self.held_at.is_some_and(|at| at < releases) {
            self.held_at = None;
        }
        if self.held_at.is_some() || standing.hold {
            return Next::Wait(None);
        }
        let Some((due, bytes)) = self.queue.front() else {
            return if self.over {
                Next::Finish
            } else {
                Next::Wait(None)
            };
        };
        let due = self
            .free_at
            .filter(|_| standing.rate.is_some())
            .map_or(*due, |free| free.max(*due));
        if due > now {
            return Next::Wait(Some(due));
        }
        let portion = standing.rate.map_or(usize::MAX, portion);
        Next::Send(bytes.len().min(portion).min(self.cut.unwrap_or(usize::MAX)))
    }

    /// The first bytes of the queue.
    pub(super) fn first(&self, bytes: usize) -> &[u8] {
        self.queue.front().map_or(&[], |(_, first)| &first[..bytes])
    }

    /// So many have gone.
    pub(super) fn sent(&mut self, now: Instant, bytes: usize, standing: Standing) {
        self.bytes -= bytes;
        self.cut = self.cut.map(|left| left - bytes);
        if let Some(rate) = standing.rate {
            let parts = u32::try_from(bytes).unwrap_or(u32::MAX);
            self.free_at = Some(now + Duration::from_secs_f64(f64::from(parts) / rate as f64));
        }
        let Some((_, first)) = self.queue.front_mut() else {
            return;
        };
        first.drain(..bytes);
        if first.is_empty() {
            self.queue.pop_front();
        }
    }
}

/// How many bytes go at once.
fn portion(rate: u64) -> usize {
    usize::try_from(rate / u64::from(PORTIONS))
        .unwrap_or(usize::MAX)
        .max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const NONE: Standing = Standing {
        late: Duration::ZERO,
        rate: None,
        hold: false,
    };

    #[test]
    fn bytes_go_in_order_once_they_are_due() {
        let (now, mut pipe) = (Instant::now(), Pipe::default());
        pipe.push(now + 5 * MS, b"slow");
        pipe.push(now, b"quick");
        assert_eq!(pipe.next(now, NONE, 0), Next::Wait(Some(now + 5 * MS)));
        assert_eq!(pipe.next(now + 5 * MS, NONE, 0), Next::Send(4));
        assert_eq!(pipe.first(4), b"slow");
        pipe.sent(now, 4, NONE);
        pipe.end();
        assert_eq!(pipe.next(now + 5 * MS, NONE, 0), Next::Send(5));
        pipe.sent(now, 5, NONE);
        assert_eq!((pipe.next(now, NONE, 0), pipe.len()), (Next::Finish, 0));
    }

    #[test]
    fn what_is_held_goes_after_the_next_release_and_not_before() {
        let (now, mut pipe) = (Instant::now(), Pipe::default());
        pipe.hold(3);
        pipe.push(now, b"kept");
        pipe.end(); // its client has given up
        assert_eq!(pipe.next(now, NONE, 3), Next::Wait(None));
        assert_eq!(
            pipe.next(now, Standing { hold: true, ..NONE }, 4),
            Next::Wait(None)
        );
        assert_eq!(pipe.next(now, NONE, 4), Next::Send(4));
    }

    #[test]
    fn a_cut_lets_so_many_bytes_through_beyond_those_that_wait() {
        let (now, mut pipe) = (Instant::now(), Pipe::default());
        pipe.push(now, b"before");
        pipe.cut(2);
        pipe.push(now, b"request");
        assert_eq!(pipe.next(now, NONE, 0), Next::Send(6));
        pipe.sent(now, 6, NONE);
        assert_eq!(pipe.next(now, NONE, 0), Next::Send(2));
        pipe.sent(now, 2, NONE);
        assert_eq!(pipe.next(now, NONE, 0), Next::Reset);
    }

    #[test]
    fn a_rate_is_kept() {
        let (mut now, mut pipe) = (Instant::now(), Pipe::default());
        let (start, slow) = (
            now,
            Standing {
                rate: Some(1000),
                ..NONE
            },
        );
        pipe.push(now, &[0; 2000]);
        while pipe.len() > 0 {
            match pipe.next(now, slow, 0) {
                Next::Send(bytes) => pipe.sent(now, bytes, slow),
                Next::Wait(Some(until)) => now = until,
                other => panic!("{other:?}"),
            }
        }
        let took = now - start;
        assert!(
            (1900 * MS..=2000 * MS).contains(&took),
            "2,000 bytes at 1,000 a second took {took:?}"
        );
    }

    #[test]
    fn a_full_direction_reads_no_more() {
        let (now, mut pipe) = (Instant::now(), Pipe::default());
        pipe.push(now, &vec![0; HELD_BYTES_MAX - 1]);
        assert!(pipe.wants());
        pipe.push(now, b"x");
        assert!(!pipe.wants());
    }
}
