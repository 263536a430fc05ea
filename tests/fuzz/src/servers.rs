//! What comes over connections: answers of HBase's gateway, and requests to the host's own servers.

use socket2::{Domain, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use streamhost_connectors::hbase::{HbaseSettings, Protocol, Transport, table_names};
use streamhost_host::access::Guard;
use streamhost_host::cli::{DevAddresses, Engine, Host};
use streamhost_host::config::Config;
use streamhost_host::control;
use streamhost_host::hosting::RealHost;
use streamhost_host::telemetry::TraceSettings;

/// What a server answers within, whatever it is sent.
const ANSWER_TIME: Duration = Duration::from_secs(20);
const MAGIC_OF_WASM: &[u8] = b"\0asm";

/// A gateway that answers what it is told to: the first byte says how its client reads.
pub(crate) fn gateway(input: &[u8]) {
    let Some((&how, answer)) = input.split_first() else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a port");
    let settings = HbaseSettings {
        gateways: vec![listener.local_addr().expect("it is bound").to_string()],
        transport: [Transport::Buffered, Transport::Framed][usize::from(how & 1)],
        protocol: [Protocol::Binary, Protocol::Compact][usize::from(how >> 1 & 1)],
        connections: 1,
        ..HbaseSettings::default()
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let Ok((mut stream, _)) = listener.accept() else {
                return;
            };
            let mut request = [0; 1024];
            // Whether it comes to an end is the client's matter: it may have hung up already.
            drop(stream.read(&mut request));
            drop(stream.write_all(answer));
            drop(stream.shutdown(Shutdown::Write));
            drop(std::io::copy(&mut stream, &mut std::io::sink()));
        });
        drop(table_names(settings));
    });
}

/// A host with its embedded servers and its API.
struct Servers {
    kafka: SocketAddr,
    hbase: SocketAddr,
    api: SocketAddr,
    /// Held for as long as the process lives, which nothing ends but its end.
    _engine: Arc<dyn Engine>,
    _folder: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
}

static SERVERS: LazyLock<Servers> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let config = Config {
        data_dir: folder.path().to_owned(),
        ..Config::default()
    };
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    let addresses = DevAddresses {
        kafka: free,
        hbase: free,
    };
    let dev = RealHost.dev(config, addresses).expect("it starts");
    let runtime = tokio::runtime::Runtime::new().expect("it starts");
    let listener = TcpListener::bind(free).expect("loopback has a port");
    let api = listener.local_addr().expect("it is bound");
    listener.set_nonblocking(true).expect("it can be set");
    let jobs = dev.engine.clone();
    runtime.spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let traces = TraceSettings::default();
        let never = std::future::pending();
        control::serve(listener, jobs, Guard::default(), &traces, never).await
    });
    Servers {
        kafka: dev.addresses.kafka,
        hbase: dev.addresses.hbase,
        api,
        _engine: dev.engine,
        _folder: folder,
        _runtime: runtime,
    }
});

/// Sends this, says that no more comes, and reads until the server has nothing more to say.
fn exchange(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    answered(address, request, true)
}

/// The same where the request itself says that it is the last one: to HTTP a client that sends no
/// more is gone.
fn asked(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    answered(address, request, false)
}

/// A connection from one of many addresses, as each may ask so often.
fn connected(address: SocketAddr) -> TcpStream {
    static NEXT: AtomicU8 = AtomicU8::new(0);
    let own = SocketAddr::from(([127, 0, 1, NEXT.fetch_add(1, Ordering::Relaxed)], 0));
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("there are sockets");
    socket
        .bind(&own.into())
        .expect("all of 127.0.0.0/8 is loopback");
    socket
        .connect(&address.into())
        .expect("the server takes connections");
    socket.into()
}

fn answered(address: SocketAddr, request: &[u8], shut: bool) -> Vec<u8> {
    let mut stream = connected(address);
    stream
        .set_read_timeout(Some(ANSWER_TIME))
        .expect("a time can be set");
    // A server that has seen enough closes, and then not all can be sent or read.
    drop(stream.write_all(request));
    if shut {
        drop(stream.shutdown(Shutdown::Write));
    }
    let mut answer = Vec::new();
    if let Err(error) = stream.take(16 << 20).read_to_end(&mut answer) {
        let is_slow = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
        assert!(!is_slow, "no end within {ANSWER_TIME:?}");
    }
    answer
}

/// Requests to the embedded broker: the input in frames, each with its length before it, the first
/// byte of which says how long it is.
pub(crate) fn broker(input: &[u8]) {
    // A fetch or a join may wait for a minute, as it asks to: nobody stays to hear the answer.
    let mut stream = TcpStream::connect(SERVERS.kafka).expect("the server takes connections");
    drop(stream.write_all(&in_frames(input)));
    drop(stream);
    // ApiVersions 0, correlation 7: whatever came before, it serves on.
    let request = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff];
    let answer = exchange(SERVERS.kafka, &request);
    assert_eq!(answer.get(4..8), Some(&[0, 0, 0, 7][..]), "it serves on");
}

fn in_frames(mut input: &[u8]) -> Vec<u8> {
    let mut framed = Vec::new();
    while let Some((&length, rest)) = input.split_first() {
        let (frame, after) = rest.split_at(usize::from(length).min(rest.len()));
        framed.extend((frame.len() as u32).to_be_bytes());
        framed.extend(frame);
        input = after;
    }
    framed
}

/// Bytes to the embedded table store.
pub(crate) fn tables(input: &[u8]) {
    drop(exchange(SERVERS.hbase, input));
    let settings = HbaseSettings {
        gateways: vec![SERVERS.hbase.to_string()],
        ..HbaseSettings::default()
    };
    table_names(settings).expect("it serves on");
}

/// A request to the control API: a line with the method and the path, then the body. A component
/// that looks like one is left out: compiling it is a process of its own.
pub(crate) fn api(input: &[u8]) {
    if input
        .windows(MAGIC_OF_WASM.len())
        .any(|bytes| bytes == MAGIC_OF_WASM)
    {
        return;
    }
    let end = input.iter().position(|&byte| byte == b'\n');
    let (line, body) = input.split_at(end.unwrap_or(input.len()));
    let body = body.get(1..).unwrap_or_default();
    if line.windows(6).any(|part| part == b"events") {
        return; // a stream without end
    }
    let mut request = line.to_vec();
    request.retain(|&byte| byte != b'\r'); // a request of one line, which ends
    request.extend(b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    request.extend(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
    request.extend(body);
    let answer = asked(SERVERS.api, &request);
    let broke = b"HTTP/1.1 500";
    assert!(
        !answer.starts_with(broke),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    let alive = asked(
        SERVERS.api,
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    let alive = String::from_utf8_lossy(&alive);
    assert!(
        alive.starts_with("HTTP/1.1 200"),
        "it does not serve on: {alive}"
    );
}
