//! Connections to the gateway, and calls over them.

use super::answer::answers;
use super::http::HttpChannel;
use super::words::{Failure, called, failure, words};
use super::{HbaseSettings, Protocol, Transport};
use crate::link::{self, CallDeadline, Link, dial};
use hbase_thrift::hbase::{BatchMutation, HbaseSyncClient, THbaseSyncClient};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufReader, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use streamhost_core::{clock, limits};
use streamhost_engine::sink::{CancelSignal, SinkError};
use thrift::protocol::{
    TBinaryOutputProtocol, TCompactOutputProtocol, TInputProtocol, TOutputProtocol,
};
use thrift::transport::{TBufferedWriteTransport, TFramedWriteTransport, TWriteTransport};

/// The crate's 4 KiB cost a third of the speed.
const BUFFER_BYTES: usize = 64 << 10;

/// The generated client over any transport and protocol.
pub(super) type Client =
    HbaseSyncClient<Box<dyn TInputProtocol + Send>, Box<dyn TOutputProtocol + Send>>;

/// One connection, made when it is needed and dropped after any doubt about its state.
pub(super) struct Lane {
    settings: HbaseSettings,
    cancel: CancelSignal,
    /// The gateway that it uses, or tries next.
    at: usize,
    open: Option<Connection>,
}

/// A connection, ready for calls.
struct Connection {
    client: Client,
    way: Way,
    deadline: CallDeadline,
}

/// What is below the client.
enum Way {
    Link(SharedLink),
    Http(HttpChannel),
}

impl Lane {
    pub(super) fn new(settings: HbaseSettings, cancel: CancelSignal) -> Self {
        Lane {
            settings,
            cancel,
            at: 0,
            open: None,
        }
    }

    /// The same, with another gateway of the list to begin with, so that lanes are spread over them.
    pub(super) fn beginning_at(self, index: usize) -> Self {
        let at = index % self.settings.gateways.len().max(1);
        Lane { at, ..self }
    }

    /// Connects, unless a connection is held that the gateway has not closed (it closes those that
    /// are idle).
    pub(super) fn connect(&mut self) -> Result<(), Failure> {
        self.connection().map(drop)
    }

    fn connection(&mut self) -> Result<&mut Connection, Failure> {
        if self.open.as_mut().is_some_and(|held| !held.is_open()) {
            self.open = None;
        }
        let connected = match self.open.take() {
            Some(held) => held,
            None => self.connect_to_one()?,
        };
        Ok(self.open.insert(connected))
    }

    /// Connects to the first gateway that answers, from the present one on; to those that are not
    /// come to in time the next call goes.
    fn connect_to_one(&mut self) -> Result<Connection, Failure> {
        let until = clock::monotonic() + limits::HBASE_CONNECT_TIME;
        let mut failures = Vec::new();
        for _ in 0..self.settings.gateways.len() {
            let gateway = &self.settings.gateways[self.at];
            match connect(gateway, &self.settings, &self.cancel) {
                Ok(connected) => return Ok(connected),
                Err(failure) => failures.push(self.of_gateway(failure)),
            }
            self.go_on();
            if self.cancel.is_cancelled() || clock::monotonic() >= until {
                break;
            }
        }
        Err(Failure::of_all(failures))
    }

    /// The next call goes to the next gateway. What was under way may be applied yet: that is why
    /// the rows of a batch have its time.
    fn go_on(&mut self) {
        self.open = None;
        self.at = (self.at + 1) % self.settings.gateways.len().max(1);
    }

    /// With the gateway's name, where there are several.
    fn of_gateway(&self, failure: Failure) -> Failure {
        match &self.settings.gateways[..] {
            [_] => failure,
            several => failure.of(&several[self.at]),
        }
    }

    /// One call, which ends in [`limits::HBASE_CALL_TIME`]. It was perhaps applied whatever it
    /// answers.
    pub(super) fn call<T>(
        &mut self,
        call: impl FnOnce(&mut Client) -> thrift::Result<T>,
    ) -> Result<T, Failure> {
        let held = self.connection()?;
        held.deadline.restart(limits::HBASE_CALL_TIME);
        let error = match guarded(|| call(&mut held.client)) {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let failure = held.failure(&error);
        let failure = self.of_gateway(failure);
        // An answer that comes yet would be taken for the next call's. What HBase says behind its
        // gateway is no reason to leave the gateway, if it is the only one.
        let answered = matches!(error, thrift::Error::User(_));
        let lost = matches!(failure, Failure::Away(_) | Failure::Denied(_));
        if !answered || (lost && self.settings.gateways.len() > 1) {
            self.go_on();
        }
        Err(failure)
    }

    /// Writes rows at one time.
    pub(super) fn mutate(
        &mut self,
        table: &str,
        rows: Vec<BatchMutation>,
        at_ms: i64,
    ) -> Result<(), Failure> {
        self.call(|client| {
            client.mutate_rows_ts(table.as_bytes().to_vec(), rows, at_ms, BTreeMap::new())
        })
    }

    /// The table's families, without colons; none if there is no such table.
    pub(super) fn families(&mut self, table: &str) -> Result<Option<BTreeSet<Vec<u8>>>, Failure> {
        match self.call(|client| client.get_column_descriptors(table.as_bytes().to_vec())) {
            Ok(found) => Ok(Some(
                found
                    .into_keys()
                    .map(|name| name.strip_suffix(b":").unwrap_or(&name).to_vec())
                    .collect(),
            )),
            Err(Failure::NoTable(words)) => {
                // Only the master's list decides that a table is gone.
                let tables = self.call(|client| client.get_table_names())?;
                if tables.iter().any(|name| name == table.as_bytes()) {
                    Err(Failure::Away(words))
                } else {
                    Ok(None)
                }
            }
            Err(failure) => Err(failure),
        }
    }

    /// [`Failure::Disabled`] if the table is.
    pub(super) fn check_enabled(&mut self, table: &str) -> Result<(), Failure> {
        let enabled = self.call(|client| client.is_table_enabled(table.as_bytes().to_vec()))?;
        if enabled {
            Ok(())
        } else {
            Err(Failure::Disabled)
        }
    }

    /// What the pipeline is told of a failure.
    pub(super) fn error(&self, failure: Failure, table: &str) -> SinkError {
        let refused = |reason| SinkError::Refused {
            server: "HBase",
            name: table.to_owned(),
            reason,
        };
        let (server, address) = ("HBase's Thrift gateway", self.settings.addresses());
        match failure {
            _ if self.cancel.is_cancelled() => SinkError::Cancelled,
            Failure::Away(reason) | Failure::NoTable(reason) | Failure::NoFamily(reason) => {
                SinkError::Away {
                    server,
                    address,
                    reason,
                }
            }
            Failure::Denied(reason) => SinkError::Denied {
                server,
                address,
                reason,
            },
            Failure::Disabled => refused(format!(
                "the table is disabled; in `hbase shell`: enable '{table}'"
            )),
            Failure::NoNamespace => {
                let (namespace, _) = table.split_once(':').unwrap_or(("default", table));
                refused(format!(
                    "there is no namespace `{namespace}`, and the gateway cannot make one; in `hbase shell`: \
                     create_namespace '{namespace}'"
                ))
            }
            Failure::Exists => refused("the table exists already".to_owned()),
            Failure::Refused(reason) | Failure::Content(reason) => refused(reason),
        }
    }
}

impl Connection {
    fn is_open(&mut self) -> bool {
        match &self.way {
            Way::Link(link) => {
                // What is looked at is no call's.
                self.deadline.restart(limits::CONNECT_TIME);
                link.lock().is_open()
            }
            Way::Http(_) => true, // its connections are looked at before each request
        }
    }

    /// What an error of the client means.
    fn failure(&self, error: &thrift::Error) -> Failure {
        let known = match &self.way {
            Way::Http(http) => http.take_failure(),
            Way::Link(_) => None,
        };
        known
            .or_else(|| link::denial(&words(error), &called()).map(Failure::Denied))
            .unwrap_or_else(|| failure(error))
    }
}

/// Runs a call. The generated client panics where an answer gives a length that no memory has,
/// which is what another protocol's bytes look like.
fn guarded<T>(call: impl FnOnce() -> thrift::Result<T>) -> thrift::Result<T> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| {
        let words = "its answer makes no sense";
        Err(thrift::Error::Protocol(thrift::ProtocolError::new(
            thrift::ProtocolErrorKind::SizeLimit,
            words,
        )))
    })
}

/// A connection's both directions.
#[derive(Clone)]
struct SharedLink(Arc<Mutex<Link>>);

impl SharedLink {
    fn lock(&self) -> MutexGuard<'_, Link> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Read for SharedLink {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.lock().read(out)
    }
}

impl Write for SharedLink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lock().flush()
    }
}

/// Connects, and asks what only the gateway itself answers, so that a mismatch shows now and soon,
/// and not as a time-out.
fn connect(
    gateway: &str,
    settings: &HbaseSettings,
    cancel: &CancelSignal,
) -> Result<Connection, Failure> {
    let deadline = CallDeadline::after(limits::CONNECT_TIME);
    let way = match settings.transport {
        Transport::Http => Way::Http(HttpChannel::new(gateway, settings, cancel, &deadline)?),
        Transport::Buffered | Transport::Framed => {
            let called = called();
            let tls = settings.tls.as_ref().map(|files| (files, &called));
            let link = dial(gateway, tls, cancel, &deadline)?;
            Way::Link(SharedLink(Arc::new(Mutex::new(link))))
        }
    };
    let client = client(&way, settings);
    let mut connection = Connection {
        client,
        way,
        deadline,
    };
    connection.deadline.restart(limits::CONNECT_TIME);
    match guarded(|| connection.client.get_thrift_server_type()) {
        // An older gateway lacks the call, but speaks as we do.
        Ok(_) | Err(thrift::Error::Application(_)) => Ok(connection),
        Err(error) => Err(match connection.failure(&error) {
            Failure::Away(said) if said == words(&error) => {
                Failure::Away(mismatch(&said, settings))
            }
            said => said,
        }),
    }
}

fn mismatch(said: &str, settings: &HbaseSettings) -> String {
    let own = match &settings.tls {
        Some(files) if files.own.is_none() => {
            "; or it wants a certificate: set `hbase.certificate` and `hbase.key`"
        }
        Some(_) => "; or it does not take the host's certificate: check `hbase.certificate`",
        _ => "",
    };
    format!(
        "no sensible answer to the first call ({said}); transport or protocol mismatch? It is asked as \
         transport = \"{}\", protocol = \"{}\", tls = {}: compare hbase.regionserver.thrift.framed, .compact and .http \
         and hbase.thrift.ssl.enabled in its hbase-site.xml{own}",
        settings.transport.name(),
        settings.protocol.name(),
        settings.tls.is_some(),
    )
}

fn client(way: &Way, settings: &HbaseSettings) -> Client {
    let (read, write): (Box<dyn Read + Send>, Box<dyn TWriteTransport + Send>) = match way {
        // Not through thrift's own buffer, which flushes when it is full: a call is one request.
        Way::Http(http) => (Box::new(http.clone()), Box::new(http.clone())),
        Way::Link(link) if settings.transport == Transport::Framed => (
            Box::new(link.clone()),
            Box::new(TFramedWriteTransport::with_capacity(
                BUFFER_BYTES,
                link.clone(),
            )),
        ),
        Way::Link(link) => (
            Box::new(link.clone()),
            Box::new(TBufferedWriteTransport::with_capacity(
                BUFFER_BYTES,
                link.clone(),
            )),
        ),
    };
    let read = BufReader::with_capacity(BUFFER_BYTES, read);
    let output: Box<dyn TOutputProtocol + Send> = match settings.protocol {
        Protocol::Binary => Box::new(TBinaryOutputProtocol::new(write, true)),
        Protocol::Compact => Box::new(TCompactOutputProtocol::new(write)),
    };
    HbaseSyncClient::new(answers(read, settings.transport, settings.protocol), output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    /// A server that answers the first call so, and hangs up.
    fn answering(answer: &'static [u8]) -> (String, std::thread::JoinHandle<()>) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let serve = move || {
            let (mut stream, _) = listener.accept().unwrap();
            assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
            stream.write_all(answer).unwrap();
        };
        (address, std::thread::spawn(serve))
    }

    #[test]
    fn what_is_no_gateway_or_speaks_otherwise_is_told() {
        let cases: [(&[u8], &str); 4] = [
            (b"", "failed to fill whole buffer"),
            (b"HTTP/1.1 400 Bad Request\r\n\r\n", ""),
            (
                b"\x80\x01\x00\x02\xff\xff\xff\xff",
                "its answer makes no sense",
            ), // a name of -1 bytes
            (b"\x00\x00\x00\x01\x80", ""), // a frame that ends too soon
        ];
        for transport in [Transport::Buffered, Transport::Framed] {
            for (answer, says) in cases {
                let (address, server) = answering(answer);
                let settings = HbaseSettings {
                    gateways: vec![address],
                    transport,
                    ..HbaseSettings::default()
                };
                let mut lane = Lane::new(settings, CancelSignal::default());
                let Err(Failure::Away(words)) = lane.connect() else {
                    panic!("{answer:?} is taken")
                };
                assert!(words.contains("transport or protocol mismatch?"), "{words}");
                assert!(
                    transport == Transport::Framed || words.contains(says),
                    "{words}"
                );
                server.join().unwrap();
            }
        }
        let settings = HbaseSettings {
            gateways: vec!["nonsense".to_owned()],
            ..HbaseSettings::default()
        };
        assert!(matches!(
            Lane::new(settings, CancelSignal::default()).connect(),
            Err(Failure::Refused(_))
        ));
    }

    /// A gateway that takes this call, and one that is gone.
    #[test]
    fn another_gateway_of_the_list_serves_where_one_is_away() {
        let good: &[u8] = b"\x80\x01\x00\x02\x00\x00\x00\x13getThriftServerType\
            \x00\x00\x00\x01\x08\x00\x00\x00\x00\x00\x00\x00";
        let gone = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().to_string()
        };
        let (address, server) = answering(good);
        let settings = HbaseSettings {
            gateways: vec![
                gone.clone(),
                gone.replace("127.0.0.1", "localhost"),
                address,
            ],
            ..HbaseSettings::default()
        };
        let mut lane = Lane::new(settings.clone(), CancelSignal::default()).beginning_at(4);
        assert_eq!((lane.at, lane.connect()), (1, Ok(())));
        assert_eq!(lane.at, 2, "it stays there");
        server.join().unwrap();

        // The server has hung up, so now all are away.
        let Err(failure) = lane.connect() else {
            panic!("it connects")
        };
        let words = lane.error(failure, "t").to_string();
        for gateway in &settings.gateways {
            let said = format!("{gateway}: cannot connect");
            assert!(words.contains(&said), "{words}");
        }
    }

    #[test]
    fn a_call_that_hangs_ends_when_it_is_cut() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let settings = HbaseSettings {
            gateways: vec![silent.local_addr().unwrap().to_string()],
            ..HbaseSettings::default()
        };
        let cancel = CancelSignal::default();
        let mut lane = Lane::new(settings, cancel.clone());
        let began = std::time::Instant::now();
        let calling = std::thread::spawn(move || {
            let failed = matches!(lane.connect(), Err(Failure::Away(_)));
            let again = lane.connect();
            (
                failed,
                again
                    .is_err_and(|failure| matches!(lane.error(failure, "t"), SinkError::Cancelled)),
            )
        });
        while cancel.open() == 0 {
            std::thread::yield_now();
        }
        cancel.cancel();
        assert_eq!(
            calling.join().unwrap(),
            (true, true),
            "this call and all that follow"
        );
        assert!(
            began.elapsed() < limits::CONNECT_TIME,
            "before its time was over"
        );
    }
}
