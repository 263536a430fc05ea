//! One connection: moves bytes between client and server as its two pipes allow.

use super::faults::{Fault, Faults, Standing, Way};
use super::pipe::{HELD_BYTES_MAX, Next, Pipe};
use super::serve::Shared;
use socket2::SockRef;
use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

/// The most that is read at once.
const READ_BYTES: usize = 64 << 10;

/// How long the proxy goes on listening to a server whose client has gone: were it to close at once, the server's system
/// might throw away a request that it has not read yet.
const SERVER_LINGER: Duration = Duration::from_secs(30);

/// Why a connection ends before both sides have finished.
enum End {
    Close,
    Reset,
}

pub(super) struct Connection {
    number: u64,
    client: TcpStream,
    server: TcpStream,
    up: Pipe,
    down: Pipe,
    /// Requests, from 1; how many bytes of the newest one have come, and whether it has met its fault.
    request: u64,
    request_bytes: usize,
    met: bool,
    /// The server has sent since the newest request began.
    answered: bool,
    /// The connection ends with the next byte of the server.
    drops_answer: bool,
    client_gone: Option<Instant>,
    /// What `Faults::held_bytes` has of this connection.
    counted: u64,
}

impl Connection {
    pub(super) fn new(number: u64, client: TcpStream, server: TcpStream) -> Self {
        Connection {
            number,
            client,
            server,
            up: Pipe::default(),
            down: Pipe::default(),
            request: 0,
            request_bytes: 0,
            met: false,
            answered: true,
            drops_answer: false,
            client_gone: None,
            counted: 0,
        }
    }

    /// Until the connection has ended.
    pub(super) async fn run(mut self, shared: &Shared) {
        if matches!(self.work(shared).await, End::Reset) {
            // Without lingering, closing a socket resets its connection.
            for stream in [&self.client, &self.server] {
                _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
            }
        }
        let counted = self.counted;
        shared.with(|faults| faults.held_bytes -= counted);
    }

    async fn work(&mut self, shared: &Shared) -> End {
        let mut changes = shared.changes();
        let (closes, resets) = shared.with(|faults| (faults.closes, faults.resets));
        loop {
            let now = Instant::now();
            let state = shared.with(|faults| {
                let counted = (self.up.len() + self.down.len()) as u64;
                faults.held_bytes = faults.held_bytes + counted - self.counted;
                self.counted = counted;
                (
                    faults.closes,
                    faults.resets,
                    faults.releases,
                    faults.up,
                    faults.down,
                )
            });
            let (new_closes, new_resets, releases, up_standing, down_standing) = state;
            if new_resets > resets {
                return End::Reset;
            }
            if new_closes > closes || self.lingered(now) {
                return End::Close;
            }
            let up = self.up.next(now, up_standing, releases);
            let down = self.down.next(now, down_standing, releases);
            if up == Next::Reset || down == Next::Reset {
                return End::Reset;
            }
            finish(up, &mut self.up, &self.server);
            finish(down, &mut self.down, &self.client);
            if self.up.finished && self.down.finished {
                return End::Close;
            }
            let linger = self
                .client_gone
                .filter(|_| self.up.finished)
                .map(|gone| gone + SERVER_LINGER);
            let wake = [waits(up), waits(down), linger].into_iter().flatten().min();
            let end = tokio::select! {
                _ = changes.changed() => None,
                _ = self.client.readable(), if self.up.wants() => self.read_client(shared),
                _ = self.server.readable(), if self.down.wants() || self.client_gone.is_some() => self.read_server(shared),
                _ = self.server.writable(), if sends(up) > 0 => self.write_server(sends(up), up_standing),
                _ = self.client.writable(), if sends(down) > 0 => self.write_client(sends(down), down_standing),
                () = sleep_until(wake.unwrap_or(now)), if wake.is_some() => None,
            };
            if let Some(end) = end {
                return end;
            }
        }
    }

    fn lingered(&self, now: Instant) -> bool {
        self.up.finished
            && self
                .client_gone
                .is_some_and(|gone| now >= gone + SERVER_LINGER)
    }

    fn read_client(&mut self, shared: &Shared) -> Option<End> {
        let mut buffer = vec![0; READ_BYTES.min(HELD_BYTES_MAX)];
        match self.client.try_read(&mut buffer) {
            Ok(0) => self.up.end(),
            Ok(bytes) => return shared.with(|faults| self.came_up(faults, &buffer[..bytes])),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => self.lose_client(),
        }
        None
    }

    fn came_up(&mut self, faults: &mut Faults, bytes: &[u8]) -> Option<End> {
        let begins = self.answered;
        if begins {
            self.request += 1;
            faults.requests += 1;
            (self.request_bytes, self.met, self.answered) = (0, false, false);
        }
        self.request_bytes += bytes.len();
        let mut late = faults.up.late;
        let met = (!self.met)
            .then(|| faults.meet(self.number, self.request, self.request_bytes, begins))
            .flatten();
        self.met |= met.is_some();
        match met {
            None => {}
            Some(Fault::Late(more)) => late += more,
            Some(Fault::Hold) => self.up.hold(faults.releases),
            Some(Fault::DropAnswer) => self.drops_answer = true,
            Some(Fault::Cut(Way::Up, bytes)) => self.up.cut(bytes),
            Some(Fault::Cut(Way::Down, bytes)) => self.down.cut(bytes),
            Some(Fault::Reset) => return Some(End::Reset),
        }
        self.up.push(Instant::now() + late, bytes);
        None
    }

    fn read_server(&mut self, shared: &Shared) -> Option<End> {
        let mut buffer = vec![0; READ_BYTES];
        match self.server.try_read(&mut buffer) {
            Ok(0) => self.server_ended(),
            Ok(_) if self.drops_answer => Some(End::Close),
            Ok(_) if self.client_gone.is_some() => None,
            Ok(bytes) => {
                self.answered = true;
                let late = shared.with(|faults| faults.down.late);
                self.down.push(Instant::now() + late, &buffer[..bytes]);
                None
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(_) => Some(End::Reset),
        }
    }

    fn server_ended(&mut self) -> Option<End> {
        self.down.end();
        self.client_gone.is_some().then_some(End::Close)
    }

    fn write_server(&mut self, bytes: usize, standing: Standing) -> Option<End> {
        match moved(self.server.try_write(self.up.first(bytes))) {
            Ok(bytes) => self.up.sent(Instant::now(), bytes, standing),
            Err(_) => return Some(End::Reset),
        }
        None
    }

    fn write_client(&mut self, bytes: usize, standing: Standing) -> Option<End> {
        match moved(self.client.try_write(self.down.first(bytes))) {
            Ok(bytes) => self.down.sent(Instant::now(), bytes, standing),
            Err(_) => self.lose_client(),
        }
        None
    }

    /// What the client has sent still goes to the server.
    fn lose_client(&mut self) {
        self.client_gone = Some(Instant::now());
        self.up.end();
        self.down.discard();
        self.down.finished = true;
    }
}

fn moved(written: io::Result<usize>) -> io::Result<usize> {
    match written {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        other => other,
    }
}

/// Tells the side that bytes go to that no more come.
fn finish(next: Next, pipe: &mut Pipe, to: &TcpStream) {
    if next == Next::Finish && !pipe.finished {
        pipe.finished = true;
        _ = SockRef::from(to).shutdown(Shutdown::Write); // the other side may have gone
    }
}

fn sends(next: Next) -> usize {
    match next {
        Next::Send(bytes) => bytes,
        _ => 0,
    }
}

fn waits(next: Next) -> Option<Instant> {
    match next {
        Next::Wait(until) => until,
        _ => None,
    }
}
