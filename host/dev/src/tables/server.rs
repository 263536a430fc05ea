//! The port: a thread for each connection, of which there is a bounded number, and a stop that
//! waits for them.

use super::Tables;
use super::handler::Handler;
use super::protocol::Guarded;
use super::wire::{Dialect, SharedWire, Wire};
use hbase_thrift::hbase::HbaseSyncProcessor;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, BufWriter};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use streamhost_core::clock::monotonic;
use streamhost_core::limits::{CONNECT_TIME, TABLES_CALL_TIME, TABLES_CONNECTIONS_MAX};
use thrift::protocol::{
    TBinaryInputProtocol, TBinaryOutputProtocol, TCompactInputProtocol, TCompactOutputProtocol,
    TInputProtocol, TOutputProtocol,
};
use thrift::server::TProcessor;
use thrift::transport::{TBufferedWriteTransport, TFramedWriteTransport, TWriteTransport};

const WRITE_BUFFER_BYTES: usize = 64 << 10;
/// Before accepting is tried again after it failed, as when the process has no file descriptors
/// left.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

type Processor = HbaseSyncProcessor<Handler>;

/// A port that is served until this is stopped or dropped.
pub struct Listening {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stopping: AtomicBool,
    connections: Mutex<Connections>,
}

#[derive(Default)]
struct Connections {
    last_id: u64,
    open: HashMap<u64, Connection>,
}

struct Connection {
    stream: TcpStream,
    /// Since when it waits for a call; `None` while it has one.
    idle_since: Option<Instant>,
}

/// Listens, and accepts on a thread of its own.
pub(super) fn listen(tables: Arc<Tables>, address: SocketAddr) -> io::Result<Listening> {
    let listener = TcpListener::bind(address)?;
    let address = listener.local_addr()?;
    let shared = Arc::new(Shared::default());
    let processor = Arc::new(HbaseSyncProcessor::new(Handler(tables)));
    let accepting = std::thread::Builder::new()
        .name("tables-accept".to_owned())
        .spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared, &processor)
        })?;
    Ok(Listening {
        address,
        shared,
        accepting: Some(accepting),
    })
}

impl Listening {
    /// Where it listens, with the port it was given where 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, closes all connections and waits for their threads. A call that is under
    /// way is carried out, but its answer may not reach the client.
    pub fn stop(mut self) {
        self.stop_and_join();
    }

    fn stop_and_join(&mut self) {
        let Some(accepting) = self.accepting.take() else {
            return;
        };
        self.shared.stopping.store(true, Ordering::Release);
        // Accepting waits in the system; a connection wakes it.
        let ip = match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        while !accepting.is_finished() {
            let woken =
                TcpStream::connect_timeout(&SocketAddr::new(ip, self.address.port()), CONNECT_TIME);
            if woken.is_ok() {
                break;
            }
            std::thread::sleep(ACCEPT_RETRY);
        }
        if accepting.join().is_err() {
            tracing::error!("the embedded table store's accepting thread panicked");
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.stop_and_join();
    }
}

impl Shared {
    fn connections(&self) -> MutexGuard<'_, Connections> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a connection, if need be in the place of the one that has been idle longest.
    /// `None`: all are busy.
    fn register(&self, stream: &TcpStream) -> io::Result<Option<u64>> {
        let mut connections = self.connections();
        if connections.open.len() >= TABLES_CONNECTIONS_MAX {
            let idle = connections
                .open
                .iter()
                .filter_map(|(&id, of)| of.idle_since.map(|since| (since, id)))
                .min();
            let Some((_, id)) = idle else { return Ok(None) };
            if let Some(connection) = connections.open.remove(&id) {
                close(&connection.stream);
            }
        }
        connections.last_id += 1;
        let id = connections.last_id;
        connections.open.insert(
            id,
            Connection {
                stream: stream.try_clone()?,
                idle_since: Some(monotonic()),
            },
        );
        Ok(Some(id))
    }

    /// Notes that a connection waits, or that it has a call. False: it was closed in the meantime.
    fn note_idle(&self, id: u64, idle: bool) -> bool {
        match self.connections().open.get_mut(&id) {
            None => false,
            Some(connection) => {
                connection.idle_since = idle.then(monotonic);
                true
            }
        }
    }
}

/// Forgets a connection when its thread ends, however it ends.
struct Registered<'a> {
    shared: &'a Shared,
    id: u64,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.shared.connections().open.remove(&self.id) {
            close(&connection.stream);
        }
    }
}

fn close(stream: &TcpStream) {
    // It fails if the client was faster, and then there is nothing to do.
    let _closed = stream.shutdown(Shutdown::Both);
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>, processor: &Arc<Processor>) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    loop {
        let accepted = listener.accept();
        if shared.stopping.load(Ordering::Acquire) {
            break;
        }
        threads.retain(|thread| !thread.is_finished());
        match accepted.and_then(|(stream, client)| start(stream, client, shared, processor)) {
            Ok(thread) => threads.extend(thread),
            Err(error) => {
                tracing::warn!(%error, "the embedded table store cannot take a connection");
                std::thread::sleep(ACCEPT_RETRY);
            }
        }
    }
    shared
        .connections()
        .open
        .values()
        .for_each(|connection| close(&connection.stream));
    for thread in threads {
        // A panic was told by its hook, and its connection is closed.
        let _ended = thread.join();
    }
}

fn start(
    stream: TcpStream,
    client: SocketAddr,
    shared: &Arc<Shared>,
    processor: &Arc<Processor>,
) -> io::Result<Option<JoinHandle<()>>> {
    let Some(id) = shared.register(&stream)? else {
        tracing::warn!(%client, "refused a connection: {TABLES_CONNECTIONS_MAX} are open and busy");
        return Ok(None);
    };
    let (owned, processor) = (Arc::clone(shared), Arc::clone(processor));
    let thread = std::thread::Builder::new()
        .name("tables-client".to_owned())
        .spawn(move || {
            let registered = Registered { shared: &owned, id };
            if let Err(error) = serve(stream, &registered, &processor) {
                tracing::debug!(%client, %error, "closed a connection to the embedded table store");
            }
        });
    if thread.is_err() {
        drop(Registered { shared, id });
    }
    thread.map(Some)
}

/// Serves one connection until its client is done, or says what makes no sense.
fn serve(
    stream: TcpStream,
    registered: &Registered<'_>,
    processor: &Processor,
) -> thrift::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(TABLES_CALL_TIME))?;
    let answers = stream.try_clone()?;
    let wire = SharedWire(Rc::new(RefCell::new(Wire::new(stream)?)));
    if !wire.0.borrow_mut().wait_for_call()? {
        return Ok(());
    }
    let dialect = wire.0.borrow_mut().dialect()?;
    let mut output = output(answers, dialect);
    if dialect.compact {
        let input = Guarded::new(TCompactInputProtocol::new(wire.clone()), wire.clone(), true);
        serve_calls(input, &mut output, &wire, dialect, registered, processor)
    } else {
        let input = Guarded::new(
            TBinaryInputProtocol::new(wire.clone(), true),
            wire.clone(),
            false,
        );
        serve_calls(input, &mut output, &wire, dialect, registered, processor)
    }
}

fn serve_calls<P: TInputProtocol>(
    mut input: Guarded<P>,
    output: &mut Box<dyn TOutputProtocol>,
    wire: &SharedWire,
    dialect: Dialect,
    registered: &Registered<'_>,
    processor: &Processor,
) -> thrift::Result<()> {
    let note_idle = |idle| registered.shared.note_idle(registered.id, idle);
    while wire.0.borrow_mut().wait_for_call()? && note_idle(false) {
        wire.0.borrow_mut().begin_call(dialect)?;
        processor.process(&mut input, output)?;
        if !input.settle() {
            break;
        }
        wire.0.borrow_mut().end_call(dialect)?;
        note_idle(true);
    }
    Ok(())
}

fn output(stream: TcpStream, dialect: Dialect) -> Box<dyn TOutputProtocol> {
    let transport: Box<dyn TWriteTransport> = if dialect.framed {
        Box::new(TFramedWriteTransport::new(BufWriter::with_capacity(
            WRITE_BUFFER_BYTES,
            stream,
        )))
    } else {
        Box::new(TBufferedWriteTransport::with_capacity(
            WRITE_BUFFER_BYTES,
            stream,
        ))
    };
    if dialect.compact {
        Box::new(TCompactOutputProtocol::new(transport))
    } else {
        Box::new(TBinaryOutputProtocol::new(transport, true))
    }
}
