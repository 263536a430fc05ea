//! The faults that are under way or awaited: what all connections share. No I/O and no clock.

use super::command::Shot;
use crate::random::Random;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

/// How many faults are remembered by name.
const EVENTS_MAX: usize = 10_000;

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Way {
    /// To the server.
    Up,
    /// To the client.
    Down,
}

/// What one request meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is so late.
    Late(Duration),
    /// It is kept back, and all that follows on its connection, until the next release.
    Hold,
    /// It reaches the server, and its connection ends when the answer begins.
    DropAnswer,
    /// So many bytes more go that way, then the connection is reset.
    Cut(Way, usize),
    /// The connection is reset before the request goes on.
    Reset,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Late(_) => "late",
            Fault::Hold => "hold",
            Fault::DropAnswer => "drop-answer",
            Fault::Cut(Way::Up, _) => "cut-request",
            Fault::Cut(Way::Down, _) => "cut-answer",
            Fault::Reset => "reset",
        })
    }
}

/// What is done to all bytes of a direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// How late each is.
    pub(super) late: Duration,
    /// Bytes a second and connection.
    pub(super) rate: Option<u64>,
    /// They are kept back.
    pub(super) hold: bool,
}

/// The shared state. Connections look at it whenever something happens to them.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// What is done to all bytes to the server.
    pub(super) up: Standing,
    /// What is done to all bytes to the client.
    pub(super) down: Standing,
    /// Counts releases: a request that was held before the newest one goes on.
    pub(super) releases: u64,
    /// Counts orders to end all connections; those that began before the newest one end.
    pub(super) closes: u64,
    /// Counts orders to reset all connections.
    pub(super) resets: u64,
    /// No connections are accepted.
    pub(super) refusing: bool,
    /// Connections that were accepted; the newest one's number.
    pub(super) accepted: u64,
    /// Connections that are open.
    pub(super) open: u64,
    /// Requests on all connections.
    pub(super) requests: u64,
    /// Bytes that are kept back, are late, or wait for their turn.
    pub(super) held_bytes: u64,
    shots: Vec<Shot>,
    random: Option<(u64, u64)>,
    counts: BTreeMap<String, u64>,
    events: VecDeque<String>,
}

impl Faults {
    /// Ends all faults.
    pub(super) fn pass(&mut self) {
        (self.up, self.down) = (Standing::default(), Standing::default());
        self.releases += 1;
        self.refusing = false;
        self.shots.clear();
        self.random = None;
    }

    /// Lets through what is held.
    pub(super) fn release(&mut self) {
        (self.up.hold, self.down.hold) = (false, false);
        self.releases += 1;
    }

    /// What is done to all bytes of a direction.
    pub(super) fn standing(&mut self, way: Way) -> &mut Standing {
        match way {
            Way::Up => &mut self.up,
            Way::Down => &mut self.down,
        }
    }

    /// A fault for requests to come.
    pub(super) fn arm(&mut self, shot: Shot) {
        self.shots.push(shot);
    }

    /// Draws faults from now on; 0 percent ends that.
    pub(super) fn draw(&mut self, seed: u64, percent: u64) {
        self.random = Some((seed, percent)).filter(|(_, percent)| *percent > 0);
    }

    /// What a request meets that has come to `bytes`; `begins` with its first ones. A request meets one fault at most: the
    /// caller asks no more once it has one.
    pub(super) fn meet(
        &mut self,
        connection: u64,
        request: u64,
        bytes: usize,
        begins: bool,
    ) -> Option<Fault> {
        let armed = self
            .shots
            .iter()
            .position(|shot| shot.bytes.contains(&bytes));
        let fault = match (armed, self.random) {
            (Some(at), _) => {
                self.shots[at].times -= 1;
                let fault = self.shots[at].fault.clone();
                self.shots.retain(|shot| shot.times > 0);
                Some(fault)
            }
            (None, Some((seed, percent))) if begins => drawn(seed, percent, connection, request),
            _ => None,
        }?;
        *self.counts.entry(fault.to_string()).or_default() += 1;
        self.events
            .push_back(format!("{fault} connection {connection} request {request}"));
        while self.events.len() > EVENTS_MAX {
            self.events.pop_front();
        }
        Some(fault)
    }

    /// One line.
    pub(super) fn status(&self) -> String {
        let counts: Vec<String> = self
            .counts
            .iter()
            .map(|(fault, count)| format!(" {fault}={count}"))
            .collect();
        format!(
            "accepted={} open={} requests={} held-bytes={}{}",
            self.accepted,
            self.open,
            self.requests,
            self.held_bytes,
            counts.concat()
        )
    }

    /// The faults that requests met.
    pub(super) fn events(&self) -> String {
        self.events
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("; ")
    }
}

/// What a seed has for a request.
fn drawn(seed: u64, percent: u64, connection: u64, request: u64) -> Option<Fault> {
    let mut random = Random::new(Random::new(seed ^ (connection << 32)).next_u64() ^ request);
    if !random.percent(percent) {
        return None;
    }
    let bytes = usize::try_from(random.below(200)).ok()?;
    Some(match random.below(5) {
        0 => Fault::Late(Duration::from_millis(1 + random.below(300))),
        1 => Fault::DropAnswer,
        2 => Fault::Cut(Way::Up, bytes),
        3 => Fault::Cut(Way::Down, bytes),
        _ => Fault::Reset,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shot(fault: Fault, times: u32, min_bytes: usize) -> Shot {
        Shot {
            fault,
            times,
            bytes: min_bytes..=usize::MAX,
        }
    }

    #[test]
    fn a_shot_waits_for_a_request_that_is_large_enough() {
        let mut faults = Faults::default();
        faults.arm(shot(Fault::DropAnswer, 2, 100));
        assert_eq!(faults.meet(1, 1, 99, true), None);
        assert_eq!(faults.meet(1, 1, 100, false), Some(Fault::DropAnswer));
        assert_eq!(faults.meet(2, 1, 200, true), Some(Fault::DropAnswer));
        assert_eq!(faults.meet(2, 2, 200, true), None);
        assert_eq!(
            faults.events(),
            "drop-answer connection 1 request 1; drop-answer connection 2 request 1"
        );
        assert!(
            faults.status().ends_with(" drop-answer=2"),
            "{}",
            faults.status()
        );
    }

    #[test]
    fn pass_ends_what_is_awaited() {
        let mut faults = Faults::default();
        faults.arm(shot(Fault::Hold, 1, 1));
        faults.draw(7, 100);
        faults.up.hold = true;
        faults.refusing = true;
        faults.pass();
        assert_eq!(faults.meet(1, 1, 10, true), None);
        assert_eq!((faults.up, faults.refusing), (Standing::default(), false));
    }

    #[test]
    fn a_seed_draws_by_connection_and_request_alone() {
        let draw = |seed| {
            let mut faults = Faults::default();
            faults.draw(seed, 30);
            let pairs =
                (1..=40).flat_map(|connection| (1..=40).map(move |request| (connection, request)));
            pairs
                .map(|(connection, request)| faults.meet(connection, request, 10, true))
                .collect::<Vec<_>>()
        };
        let all = draw(7);
        assert_eq!(all, draw(7));
        assert_ne!(all, draw(8));
        let met = all.iter().flatten().count();
        assert!(
            (400..560).contains(&met),
            "30 % of 1,600 requests are some 480, and {met} met a fault"
        );
        for kind in ["late", "drop-answer", "cut-request", "cut-answer", "reset"] {
            assert!(
                all.iter().flatten().any(|fault| fault.to_string() == kind),
                "no {kind}"
            );
        }
    }
}
