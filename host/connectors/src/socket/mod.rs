//! Lines of a TCP connection that this host opens. When the peer closes it, what it sent last is a
//! line even without a line end, and the host connects again, for ever.
//!
//! A connection cannot be read twice, so the lines of a batch are kept with its spec, and an offset
//! only counts lines on from where [`Source::assign`] puts it. While a job runs, lines wait in a
//! bounded buffer, and then in the peer. What was received and is in no spec yet is lost with the
//! process, and where a batch is given up because its version is not fit for it; what waits in the
//! buffer also when the job stops or is paused. A line longer than [`limits::LINE_BYTES_MAX`]
//! becomes several records, and the log says so. A record's time is that of its arrival. A peer
//! that vanishes without a word is noticed by its silence ([`limits::SOCKET_KEEPALIVE`]).

mod connector;

pub(crate) use connector::CONNECTOR;

use crate::lines::Lines;
use socket2::{SockRef, TcpKeepalive};
use std::collections::VecDeque;
use std::io;
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use streamhost_core::job::SourceSpec;
use streamhost_core::job::settings::StartPosition;
use streamhost_core::types::{Column, Offset, Partition, Positions, Record};
use streamhost_core::{clock, limits, system};
use streamhost_engine::batch::BatchBuilder;
use streamhost_engine::source::{Source, SourceError};

/// Reads lines from a connection. It has one partition.
pub struct SocketSource {
    partition: Partition,
    address: String,
    until_end: bool,
    /// The offset of the next line; none: it is not assigned.
    next: Option<Offset>,
    link: Option<Link>,
}

impl SocketSource {
    /// The job's source of this number. Connects once it is assigned. `until_end`: the source ends
    /// when its peer closes the connection.
    pub fn new(source: u16, spec: &SourceSpec, until_end: bool) -> Self {
        let partition = Partition { source, id: 0 };
        SocketSource {
            partition,
            address: spec.target.clone(),
            until_end,
            next: None,
            link: None,
        }
    }
}

impl Source for SocketSource {
    fn partitions(&mut self) -> Result<Vec<Partition>, SourceError> {
        Ok(vec![self.partition])
    }

    fn start(&mut self, _start: StartPosition) -> Result<Positions, SourceError> {
        Ok([(self.partition, 0)].into())
    }

    fn high_watermarks(&mut self) -> Result<Positions, SourceError> {
        Ok(Positions::new()) // a connection is no table
    }

    fn group(&mut self) -> Result<Positions, SourceError> {
        Ok(Positions::new())
    }

    fn assign(&mut self, at: &Positions) -> Result<(), SourceError> {
        self.next = at.get(&self.partition).copied();
        if self.next.is_some() && self.link.is_none() {
            self.link = Some(Link::open(&self.address, self.until_end).map_err(|error| {
                SourceError::Away {
                    server: "socket",
                    address: self.address.clone(),
                    reason: system::with_limit(format_args!("no thread can be started: {error}")),
                }
            })?);
        }
        Ok(())
    }

    fn fetch(&mut self, builder: &mut BatchBuilder, wait: Duration) -> Result<(), SourceError> {
        let wanted = builder
            .wanted()
            .find(|(partition, ..)| *partition == self.partition);
        let (Some((_, mut at, until)), Some(link), true) =
            (wanted, &self.link, self.next.is_some())
        else {
            std::thread::sleep(wait);
            return Ok(());
        };
        if until.is_some() {
            let reason = "its lines cannot be read a second time".to_owned();
            return Err(SourceError::Refused {
                what: "socket",
                target: self.address.clone(),
                reason,
            });
        }
        let from = at;
        let deadline = clock::monotonic() + wait;
        let mut held = link.shared.lock();
        loop {
            while !builder.is_full()
                && let Some((time_ms, line)) = held.line()
            {
                builder.push(
                    self.partition,
                    Record {
                        offset: at,
                        time_ms,
                        key: None,
                        value: Some(line),
                        headers: &[],
                    },
                );
                at += 1;
            }
            held.forget_taken();
            self.next = Some(at);
            let left = deadline.saturating_duration_since(clock::monotonic());
            match &held.away {
                _ if at > from || builder.is_full() => break,
                Some(reason) if !held.is_over => {
                    let reason = reason.clone();
                    return Err(SourceError::Away {
                        server: "socket",
                        address: self.address.clone(),
                        reason,
                    });
                }
                _ if left.is_zero() => break,
                _ => held = link.shared.wait(held, left),
            }
        }
        link.shared.changed.notify_all(); // there is room again
        Ok(())
    }

    fn ends(&mut self) -> Positions {
        let (Some(next), Some(link)) = (self.next, &self.link) else {
            return Positions::new();
        };
        [(self.partition, next + link.shared.lock().lines() as Offset)].into()
    }

    fn is_replayable(&self, _source: u16) -> bool {
        false
    }

    fn is_exhausted(&self, at: &Positions) -> bool {
        let (Some(next), Some(link)) = (self.next, &self.link) else {
            return false;
        };
        let held = link.shared.lock();
        held.is_over && held.lines() == 0 && at.get(&self.partition).is_some_and(|at| *at >= next)
    }

    fn commit_progress(&mut self, _reached: &Positions) {}
}

/// The thread that connects and reads.
struct Link {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Link {
    fn open(address: &str, until_end: bool) -> io::Result<Link> {
        let shared = Arc::new(Shared::default());
        let reader = Reader {
            shared: shared.clone(),
            address: address.to_owned(),
            until_end,
            has_cut: false,
        };
        let thread = std::thread::Builder::new()
            .name("socket-source".to_owned())
            .spawn(move || reader.run())?;
        Ok(Link {
            shared,
            thread: Some(thread),
        })
    }
}

impl Drop for Link {
    /// Waits for the thread, unless it is connecting: then it ends by itself, within
    /// [`limits::CONNECT_TIME`] an address.
    fn drop(&mut self) {
        let mut held = self.shared.lock();
        held.stop = true;
        if let Some(stream) = &held.stream {
            let _ = stream.shutdown(Shutdown::Both); // or it was closed already
        }
        let is_connecting = held.is_connecting;
        drop(held);
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take().filter(|_| !is_connecting) {
            let _ = thread.join(); // it has nothing to tell
        }
    }
}

#[derive(Default)]
struct Shared {
    held: Mutex<Held>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, held: MutexGuard<'a, Held>, time: Duration) -> MutexGuard<'a, Held> {
        self.changed
            .wait_timeout(held, time)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }
}

#[derive(Default)]
struct Held {
    /// Lines that arrived together, none of them empty, and how many of the first are taken.
    blocks: VecDeque<Block>,
    taken: usize,
    /// What the blocks cost.
    bytes: usize,
    /// Why there is no connection.
    away: Option<String>,
    stream: Option<TcpStream>,
    is_connecting: bool,
    /// The peer closed the connection, and that was to be the end.
    is_over: bool,
    stop: bool,
}

struct Block {
    time_ms: i64,
    lines: Column,
}

impl Block {
    /// What it costs in memory: short and empty lines cost more than their own bytes.
    fn bytes(&self) -> usize {
        let Column { data, ends } = &self.lines;
        size_of::<Block>() + data.capacity() + ends.capacity() * size_of::<u32>()
    }
}

impl Held {
    /// The next line and its time.
    fn line(&mut self) -> Option<(i64, &[u8])> {
        if self
            .blocks
            .front()
            .is_some_and(|block| self.taken == block.lines.len())
        {
            self.forget_taken();
        }
        let block = self.blocks.front()?;
        self.taken += 1;
        Some((block.time_ms, block.lines.get(self.taken - 1)))
    }

    fn forget_taken(&mut self) {
        while let Some(block) = self
            .blocks
            .front()
            .filter(|block| self.taken >= block.lines.len())
        {
            self.taken -= block.lines.len();
            self.bytes -= block.bytes();
            self.blocks.pop_front();
        }
    }

    fn lines(&self) -> usize {
        self.blocks
            .iter()
            .map(|block| block.lines.len())
            .sum::<usize>()
            - self.taken
    }
}

struct Reader {
    shared: Arc<Shared>,
    address: String,
    until_end: bool,
    /// A long line was told of.
    has_cut: bool,
}

impl Reader {
    fn run(mut self) {
        let mut backoff = limits::BACKOFF.0;
        loop {
            let mut held = self.shared.lock();
            if held.stop {
                return;
            }
            held.is_connecting = true;
            drop(held);
            let connected =
                connect(&self.address).and_then(|stream| Ok((stream.try_clone()?, stream)));
            let (reason, is_end) = match connected {
                Err(error) => (system::with_limit(error), false),
                Ok((handle, stream)) => {
                    backoff = limits::BACKOFF.0;
                    let mut held = self.shared.lock();
                    (held.is_connecting, held.away, held.stream) = (false, None, Some(handle));
                    let stop = held.stop;
                    drop(held);
                    if stop {
                        return;
                    }
                    self.read(&stream)
                }
            };
            let mut held = self.shared.lock();
            (held.is_connecting, held.stream, held.away) = (false, None, Some(reason));
            held.is_over = is_end && self.until_end;
            self.shared.changed.notify_all();
            if held.is_over {
                return;
            }
            let due = clock::monotonic() + backoff;
            while !held.stop && clock::monotonic() < due {
                held = self
                    .shared
                    .wait(held, due.saturating_duration_since(clock::monotonic()));
            }
            backoff = (backoff * 2).min(limits::BACKOFF.1);
        }
    }

    /// Reads until the connection ends. Says why it did, and whether the peer closed it in good
    /// order.
    fn read(&mut self, stream: &TcpStream) -> (String, bool) {
        let mut lines = Lines::new(stream, 0);
        loop {
            let read = lines.fill();
            let time_ms = clock::now_ms();
            let mut arrived = Column::default();
            while let Some(line) = lines.take() {
                arrived.push(line.bytes);
                if line.is_cut && !self.has_cut {
                    self.has_cut = true;
                    let (address, most) = (&self.address, limits::LINE_BYTES_MAX);
                    tracing::warn!(
                        "socket {address} sent a line of more than {most} bytes: such become several records"
                    );
                }
            }
            let is_end = !matches!(read, Ok(1..));
            if is_end && let Some(line) = lines.rest() {
                arrived.push(line.bytes);
            }
            if !self.hand_over(Block {
                time_ms,
                lines: arrived,
            }) {
                return ("it is being closed".to_owned(), false);
            }
            match read {
                Ok(1..) => {}
                Ok(0) => return ("the peer closed the connection".to_owned(), true),
                Err(error) => return (system::with_limit(error), false),
            }
        }
    }

    /// Waits for room. False: stop.
    fn hand_over(&self, block: Block) -> bool {
        let mut held = self.shared.lock();
        while !held.stop && held.bytes >= limits::SOCKET_AHEAD_BYTES_MAX {
            held = self.shared.wait(held, limits::FETCH_WAIT);
        }
        if !block.lines.is_empty() {
            held.bytes += block.bytes();
            held.blocks.push_back(block);
            self.shared.changed.notify_all();
        }
        !held.stop
    }
}

fn connect(address: &str) -> io::Result<TcpStream> {
    let mut failed = io::Error::other("the name has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, limits::CONNECT_TIME) {
            Ok(stream) => {
                let (silence, between, tries) = limits::SOCKET_KEEPALIVE;
                let keepalive = TcpKeepalive::new()
                    .with_time(silence)
                    .with_interval(between)
                    .with_retries(tries);
                SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
                return Ok(stream);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

#[cfg(test)]
#[path = "socket_tests.rs"]
mod tests;
