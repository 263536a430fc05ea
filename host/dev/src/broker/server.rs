//! Connections: a thread each, a bounded number, bounded requests. And the thread that takes care
//! of what is overdue.

use super::Broker;
use super::calls::{Answer, Caller, answer};
use super::signal::{Signal, Wake};
use super::wire::{self, BadRequest};
use bytes::{BufMut, Bytes, BytesMut};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::HashMap;
use std::io::{self, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use streamhost_core::clock::{monotonic, now_ms};
use streamhost_core::limits::{
    BROKER_CARE_PERIOD, BROKER_CONNECTIONS_MAX, BROKER_IDLE_TIME, BROKER_LARGE_REQUESTS_BYTES_MAX,
    BROKER_REQUEST_BYTES_MAX, BROKER_RETENTION_PERIOD, BROKER_SMALL_REQUEST_BYTES_MAX,
    BROKER_SYNC_PERIOD, CONNECT_TIME,
};

/// A broker that serves. Dropping it closes all connections and joins their threads.
pub struct Listening {
    address: SocketAddr,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stopping: AtomicBool,
    care: Signal,
    /// Of the requests that are received or answered at the moment, the large ones' bytes.
    large_bytes: AtomicUsize,
    connections: Mutex<HashMap<u64, Connection>>,
}

struct Connection {
    stream: TcpStream,
    signal: Arc<Signal>,
    thread: Option<JoinHandle<()>>,
}

impl Shared {
    fn connections(&self) -> MutexGuard<'_, HashMap<u64, Connection>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the waiting of clients that left, or send no more: else each keeps a place for as long as
    /// it asked to wait.
    fn let_go(&self) {
        let connections = self.connections();
        let all: Vec<&Connection> = connections.values().collect();
        let polled = all.iter().map(|connection| &connection.stream);
        let mut polled: Vec<_> = polled
            .map(|stream| PollFd::new(stream, PollFlags::RDHUP))
            .collect();
        // An error is a signal in between: the next look is soon.
        let _ready = poll(&mut polled, Some(&Timespec::default()));
        for (connection, polled) in all.iter().zip(&polled) {
            if !polled.revents().is_empty() {
                connection.signal.close();
            }
        }
    }
}

impl Listening {
    pub(super) fn start(broker: Arc<Broker>, address: SocketAddr) -> io::Result<Listening> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let mut listening = Listening {
            address,
            shared: shared.clone(),
            threads: Vec::new(),
        };
        let (for_care, care_broker) = (shared.clone(), broker.clone());
        let care = move || take_care(&care_broker, &for_care);
        listening.threads.push(
            std::thread::Builder::new()
                .name("broker-care".into())
                .spawn(care)?,
        );
        let accept = move || accept(&broker, &listener, &shared);
        listening.threads.push(
            std::thread::Builder::new()
                .name("broker-accept".into())
                .spawn(accept)?,
        );
        Ok(listening)
    }

    /// Where it listens, with the real port when 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts nobody any more, closes all connections and waits until their threads are done.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.shared.care.close();
        // The accepting thread sleeps in the system: a connection wakes it.
        let woken = TcpStream::connect_timeout(&reachable(self.address), CONNECT_TIME);
        if let Err(error) = &woken {
            tracing::warn!(
                "the embedded broker's port {} could not be closed: {error}",
                self.address
            );
            self.threads.pop(); // it would not end
        }
        for thread in self.threads.drain(..) {
            join(thread);
        }
        let connections: Vec<Connection> = self
            .shared
            .connections()
            .drain()
            .map(|(_, connection)| connection)
            .collect();
        for connection in &connections {
            connection.signal.close();
            // An error means that the other side has closed it already.
            let _closed = connection.stream.shutdown(Shutdown::Both);
        }
        connections
            .into_iter()
            .filter_map(|connection| connection.thread)
            .for_each(join);
    }
}

/// Closes and forgets a connection when its thread ends, however it ends: a panic must not keep the
/// place, nor leave the client waiting for an answer.
struct Registered {
    shared: Arc<Shared>,
    id: u64,
}

impl Drop for Registered {
    fn drop(&mut self) {
        if let Some(connection) = self.shared.connections().remove(&self.id) {
            // An error means that the other side has closed it already.
            let _closed = connection.stream.shutdown(Shutdown::Both);
        }
    }
}

fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        tracing::error!("a thread of the embedded broker has panicked");
    }
}

/// An address by which a listener can be reached from its own machine.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn accept(broker: &Arc<Broker>, listener: &TcpListener, shared: &Arc<Shared>) {
    let mut id = 0;
    loop {
        let accepted = listener.accept();
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        let opened = accepted.and_then(|(stream, _)| {
            id += 1;
            open(broker, stream, id, shared)
        });
        if let Err(error) = opened {
            // Most likely there are no file descriptors or threads left; more may come while we
            // wait.
            tracing::warn!("the embedded broker could not accept a connection: {error}");
            if shared.care.wait_until(monotonic() + BROKER_CARE_PERIOD) == Wake::Closed {
                return;
            }
        }
    }
}

fn open(broker: &Arc<Broker>, stream: TcpStream, id: u64, shared: &Arc<Shared>) -> io::Result<()> {
    let mut connections = shared.connections();
    if connections.len() >= BROKER_CONNECTIONS_MAX {
        tracing::warn!(
            "the embedded broker has {BROKER_CONNECTIONS_MAX} connections and refuses one more"
        );
        return Ok(()); // dropped, so closed
    }
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(BROKER_IDLE_TIME))?;
    stream.set_write_timeout(Some(BROKER_IDLE_TIME))?;
    let signal = Arc::new(Signal::default());
    let (for_thread, own_signal) = (stream.try_clone()?, signal.clone());
    let (broker, shared) = (broker.clone(), shared.clone());
    let run = move || {
        let registered = Registered { shared, id };
        let broker = broker; // dropped before anyone may think that this thread is done
        if let Err(closed) = serve(
            &broker,
            &for_thread,
            own_signal,
            &registered.shared.large_bytes,
        ) {
            tracing::debug!("a connection to the embedded broker is closed: {closed}");
        }
    };
    let thread = std::thread::Builder::new()
        .name("broker-connection".into())
        .spawn(run)?;
    connections.insert(
        id,
        Connection {
            stream,
            signal,
            thread: Some(thread),
        },
    );
    Ok(())
}

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
enum Closed {
    #[error("the client went away")]
    ByClient,
    #[error(
        "a request of {bytes} bytes: this is not Kafka's protocol, or it is more than {BROKER_REQUEST_BYTES_MAX}"
    )]
    RequestSize { bytes: u32 },
    #[error(
        "a request of {bytes} bytes while large ones have {BROKER_LARGE_REQUESTS_BYTES_MAX} bytes together; try again"
    )]
    Crowded { bytes: usize },
    #[error(transparent)]
    Request(#[from] BadRequest),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A large request's share of the bytes that all of them may have, given back at its end.
#[derive(Debug)]
struct Large<'a> {
    all: &'a AtomicUsize,
    bytes: usize,
}

impl<'a> Large<'a> {
    /// `None` for a small request, which needs no share.
    fn take(all: &'a AtomicUsize, bytes: usize) -> Result<Option<Large<'a>>, Closed> {
        if bytes <= BROKER_SMALL_REQUEST_BYTES_MAX {
            return Ok(None);
        }
        let added = |taken: usize| {
            Some(taken + bytes).filter(|sum| *sum <= BROKER_LARGE_REQUESTS_BYTES_MAX)
        };
        let taken = all.fetch_update(Ordering::SeqCst, Ordering::SeqCst, added);
        taken.map(|_| Some(Large { all, bytes })).map_err(|_| {
            let crowded = Closed::Crowded { bytes };
            tracing::warn!("the embedded broker closes a connection: {crowded}");
            crowded
        })
    }
}

impl Drop for Large<'_> {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::SeqCst);
    }
}

fn serve(
    broker: &Arc<Broker>,
    stream: &TcpStream,
    signal: Arc<Signal>,
    large_bytes: &AtomicUsize,
) -> Result<(), Closed> {
    let mut caller = Caller {
        signal,
        client_id: String::new(),
        peer: stream.peer_addr()?,
        local: stream.local_addr()?,
    };
    let mut reader = BufReader::with_capacity(64 << 10, stream);
    loop {
        let bytes = read_length(&mut reader)?;
        let _share = Large::take(large_bytes, bytes)?;
        let mut request = read_request(&mut reader, bytes)?;
        let header = wire::read_header(&mut request).inspect_err(|bad| {
            tracing::warn!(
                "{} asks the embedded broker for what it cannot do: {bad}",
                caller.peer
            );
        })?;
        caller.client_id.clone_from(&header.client_id);
        let mut out = BytesMut::new();
        out.put_u32(0);
        out.put_i32(header.correlation_id);
        if header.is_response_tagged() {
            out.put_u8(0);
        }
        if answer(broker, &caller, &header, request, &mut out)? == Answer::None {
            continue;
        }
        let length = (out.len() - 4) as u32; // BROKER_FETCH_BYTES_MAX and what surrounds it fit
        out[..4].copy_from_slice(&length.to_be_bytes());
        (&mut &*stream).write_all(&out)?;
    }
}

fn read_length(reader: &mut BufReader<&TcpStream>) -> Result<usize, Closed> {
    let mut length = [0; 4];
    if let Err(error) = reader.read_exact(&mut length) {
        return Err(if error.kind() == io::ErrorKind::UnexpectedEof {
            Closed::ByClient
        } else {
            Closed::Io(error)
        });
    }
    let bytes = u32::from_be_bytes(length);
    if bytes as usize > BROKER_REQUEST_BYTES_MAX {
        return Err(Closed::RequestSize { bytes });
    }
    Ok(bytes as usize)
}

fn read_request(reader: &mut BufReader<&TcpStream>, bytes: usize) -> Result<Bytes, Closed> {
    // Memory follows what arrives, not what is promised.
    let mut request = Vec::new();
    reader.take(bytes as u64).read_to_end(&mut request)?;
    if request.len() < bytes {
        return Err(Closed::ByClient);
    }
    Ok(Bytes::from(request))
}

/// Looks again and again for members that are silent, transactions that are overdue and records
/// that are old. Removing records may take long, so it is done in parts, and the rest has its turn
/// between them.
fn take_care(broker: &Arc<Broker>, shared: &Shared) {
    let (mut next_sync, mut next_retention) = (monotonic() + BROKER_SYNC_PERIOD, monotonic());
    let mut pause = BROKER_CARE_PERIOD;
    while shared.care.wait_until(monotonic() + pause) != Wake::Closed {
        let now = monotonic();
        pause = BROKER_CARE_PERIOD;
        shared.let_go();
        broker.groups.care(now);
        let mut outcome = broker.abort_overdue(now_ms());
        if now >= next_sync {
            next_sync = now + BROKER_SYNC_PERIOD;
            outcome = outcome.and_then(|()| broker.store.sync());
        }
        if now >= next_retention {
            let removed = outcome.and_then(|()| broker.remove_old(now_ms()));
            match removed {
                Ok(true) => pause = Duration::ZERO,
                _ => next_retention = now + BROKER_RETENTION_PERIOD,
            }
            outcome = removed.map(|_| ());
        }
        if let Err(error) = outcome {
            tracing::error!("{error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_requests_share_their_bytes() {
        let all = AtomicUsize::new(0);
        let many = BROKER_LARGE_REQUESTS_BYTES_MAX / BROKER_REQUEST_BYTES_MAX;
        let mut shares: Vec<_> = (0..many)
            .map(|_| Large::take(&all, BROKER_REQUEST_BYTES_MAX).unwrap())
            .collect();
        assert!(Large::take(&all, BROKER_REQUEST_BYTES_MAX).is_err());
        assert!(
            Large::take(&all, BROKER_SMALL_REQUEST_BYTES_MAX)
                .unwrap()
                .is_none(),
            "small ones always fit"
        );
        shares.pop();
        assert!(
            Large::take(&all, BROKER_REQUEST_BYTES_MAX)
                .unwrap()
                .is_some()
        );
        drop(shares);
        assert_eq!(all.into_inner(), 0);
    }

    #[test]
    fn a_panic_closes_its_connection_and_leaves_its_place() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.set_read_timeout(Some(BROKER_IDLE_TIME)).unwrap();
        let (stream, _) = listener.accept().unwrap();
        let shared = Arc::new(Shared::default());
        let connection = Connection {
            stream,
            signal: Arc::default(),
            thread: None,
        };
        shared.connections().insert(7, connection);
        let registered = Registered {
            shared: shared.clone(),
            id: 7,
        };
        let serving = std::thread::spawn(move || {
            let _registered = registered;
            panic!("as a fault of ours would");
        });
        assert!(serving.join().is_err());
        assert_eq!(client.read(&mut [0]).unwrap(), 0, "the client is told");
        assert!(shared.connections().is_empty());
    }
}
