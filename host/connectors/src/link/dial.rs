//! A connection to one server: TCP, and TLS over it where that is set.

use super::deadline::{CallDeadline, TimedStream};
use super::tls::{self, Tls};
use super::{Called, LinkError};
use crate::tls_files::TlsFiles;
use openssl::ssl::ErrorCode;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use streamhost_core::{limits, system};
use streamhost_engine::sink::CancelSignal;

/// A connection, whose reads and writes end with the call's deadline, and when the job is cut.
pub(crate) struct Link {
    socket: Arc<TcpStream>,
    way: Way,
}

enum Way {
    Plain(TimedStream),
    Tls(Box<Tls>),
}

impl Link {
    /// Nobody closed it, and nothing came that nobody asked for. TLS sends tickets by itself, so
    /// there only its own library can tell.
    pub(crate) fn is_open(&mut self) -> bool {
        if self.socket.set_nonblocking(true).is_err() {
            return false;
        }
        let silent = match &mut self.way {
            Way::Plain(_) => {
                let peeked = self.socket.peek(&mut [0]);
                peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
            }
            Way::Tls(stream) => {
                let peeked = stream.ssl_peek(&mut [0]);
                peeked.is_err_and(|error| error.code() == ErrorCode::WANT_READ)
            }
        };
        self.socket.set_nonblocking(false).is_ok() && silent
    }

    /// Whether TLS is spoken.
    pub(crate) fn is_tls(&self) -> bool {
        matches!(self.way, Way::Tls(_))
    }
}

/// What a read looks like on Linux that took as long as it may.
fn in_time<T>(outcome: io::Result<T>) -> io::Result<T> {
    outcome.map_err(|error| match error.kind() {
        ErrorKind::WouldBlock => io::Error::new(ErrorKind::TimedOut, "no answer in time"),
        _ => error,
    })
}

impl Read for Link {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        in_time(match &mut self.way {
            Way::Plain(stream) => stream.read(out),
            Way::Tls(stream) => stream.read(out),
        })
    }
}

impl Write for Link {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        in_time(match &mut self.way {
            Way::Plain(stream) => stream.write(bytes),
            Way::Tls(stream) => stream.write(bytes),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.way {
            Way::Plain(stream) => stream.flush(),
            Way::Tls(stream) => stream.flush(),
        }
    }
}

/// Connects to the server at `address`, until `cancel` says that the job is cut.
pub(crate) fn dial(
    address: &str,
    tls: Option<(&TlsFiles, &Called)>,
    cancel: &CancelSignal,
    deadline: &CallDeadline,
) -> Result<Link, LinkError> {
    let away = |what: &str, error: io::Error| {
        LinkError::Away(system::with_limit(format_args!("{what}: {error}")))
    };
    let addresses = address
        .to_socket_addrs()
        .map_err(|error| match error.kind() {
            ErrorKind::InvalidInput => LinkError::Refused(format!("`{address}` is not HOST:PORT")),
            _ => away("its name cannot be resolved", error),
        })?;
    let mut outcome = Err(LinkError::Away("its name has no address".to_owned()));
    for one in addresses {
        if cancel.is_cancelled() {
            return Err(LinkError::Away("its calls were cut".to_owned()));
        }
        outcome = TcpStream::connect_timeout(&one, limits::CONNECT_TIME)
            .map_err(|e| away("cannot connect", e));
        if outcome.is_ok() {
            break;
        }
    }
    let socket = Arc::new(outcome?);
    cancel.watch(&socket);
    socket
        .set_nodelay(true)
        .map_err(|error| away("cannot set up the connection", error))?;
    let stream = TimedStream::new(Arc::clone(&socket), deadline.clone());
    let way = match tls {
        None => Way::Plain(stream),
        Some((files, called)) => {
            let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
            Way::Tls(Box::new(tls::shake(stream, host, files, called)?))
        }
    };
    Ok(Link { socket, way })
}
