//! Connections to the gateway, and what its errors mean.

use super::answer::{CallDeadline, TimedStream, answers};
use super::{HbaseSettings, Protocol, Transport};
use hbase_thrift::hbase::{
    AlreadyExists, BatchMutation, HbaseSyncClient, IOError, IllegalArgument, THbaseSyncClient,
};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, ErrorKind};
use std::net::{TcpStream, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use streamhost_core::limits;
use streamhost_engine::sink::{CancelSignal, SinkError};
use thrift::protocol::{
    TBinaryOutputProtocol, TCompactOutputProtocol, TInputProtocol, TOutputProtocol,
};
use thrift::transport::{TBufferedWriteTransport, TFramedWriteTransport, TWriteTransport};

/// The crate's 4 KiB cost a third of the speed.
const BUFFER_BYTES: usize = 64 << 10;
/// Of a server's words, as much as a line of a log bears.
const WORDS_CHARS_MAX: usize = 400;

/// The generated client over any transport and protocol.
pub(super) type Client =
    HbaseSyncClient<Box<dyn TInputProtocol + Send>, Box<dyn TOutputProtocol + Send>>;

/// What became of a call that failed, in the server's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It may go well later; what was sent may have been applied.
    Away(String),
    /// It speaks of a table that is not there.
    NoTable(String),
    /// It speaks of a family that is not there.
    NoFamily(String),
    /// The table is disabled.
    Disabled,
    /// The table is there already.
    Exists,
    /// It would fail again.
    Refused(String),
}

/// One connection, made when it is needed and dropped after any doubt about its state.
pub(super) struct Lane {
    settings: HbaseSettings,
    cancel: CancelSignal,
    open: Option<Connection>,
}

/// A connection, ready for calls.
struct Connection {
    client: Client,
    stream: Arc<TcpStream>,
    deadline: CallDeadline,
}

impl Lane {
    pub(super) fn new(settings: HbaseSettings, cancel: CancelSignal) -> Self {
        Lane {
            settings,
            cancel,
            open: None,
        }
    }

    /// Connects, unless a connection is held that the gateway has not closed (it closes those that
    /// are idle).
    pub(super) fn connect(&mut self) -> Result<(), Failure> {
        self.connection().map(drop)
    }

    fn connection(&mut self) -> Result<&mut Connection, Failure> {
        if self
            .open
            .as_ref()
            .is_some_and(|held| is_closed(&held.stream))
        {
            self.open = None;
        }
        let connected = match self.open.take() {
            Some(held) => held,
            None => connect(&self.settings, &self.cancel)?,
        };
        Ok(self.open.insert(connected))
    }

    /// One call, which ends in [`limits::HBASE_CALL_TIME`]. It was perhaps applied whatever it
    /// answers.
    pub(super) fn call<T>(
        &mut self,
        call: impl FnOnce(&mut Client) -> thrift::Result<T>,
    ) -> Result<T, Failure> {
        let held = self.connection()?;
        held.deadline.restart(limits::HBASE_CALL_TIME);
        match guarded(|| call(&mut held.client)) {
            Ok(answer) => Ok(answer),
            Err(error) => {
                if !matches!(error, thrift::Error::User(_)) {
                    self.open = None; // an answer that comes yet would be taken for the next call's
                }
                Err(failure(&error))
            }
        }
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
        match failure {
            _ if self.cancel.is_cancelled() => SinkError::Cancelled,
            Failure::Away(reason) | Failure::NoTable(reason) | Failure::NoFamily(reason) => {
                SinkError::Away {
                    server: "HBase's Thrift gateway",
                    address: self.settings.address.clone(),
                    reason,
                }
            }
            Failure::Disabled => refused(format!(
                "the table is disabled; in `hbase shell`: enable '{table}'"
            )),
            Failure::Exists => refused("the table exists already".to_owned()),
            Failure::Refused(reason) => refused(reason),
        }
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

/// The gateway closed it, or sent what nobody asked for.
fn is_closed(stream: &TcpStream) -> bool {
    let peek = || {
        stream.set_nonblocking(true)?;
        let peeked = stream.peek(&mut [0]);
        stream.set_nonblocking(false)?;
        peeked
    };
    !peek().is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

/// Connects, and asks what only the gateway itself answers, so that a mismatch shows now and soon,
/// and not as a time-out.
fn connect(settings: &HbaseSettings, cancel: &CancelSignal) -> Result<Connection, Failure> {
    let away = |what: &str, error: std::io::Error| Failure::Away(format!("{what}: {error}"));
    let addresses = settings
        .address
        .to_socket_addrs()
        .map_err(|error| match error.kind() {
            ErrorKind::InvalidInput => {
                Failure::Refused(format!("`{}` is not HOST:PORT", settings.address))
            }
            _ => away("its name cannot be resolved", error),
        })?;
    let mut outcome = Err(Failure::Away("its name has no address".to_owned()));
    for address in addresses {
        if cancel.is_cancelled() {
            return Err(Failure::Away("its calls were cut".to_owned()));
        }
        outcome = TcpStream::connect_timeout(&address, limits::CONNECT_TIME)
            .map_err(|e| away("cannot connect", e));
        if outcome.is_ok() {
            break;
        }
    }
    let stream = Arc::new(outcome?);
    cancel.watch(&stream);
    let deadline = CallDeadline::after(limits::CONNECT_TIME);
    let set_up = || {
        stream.set_nodelay(true)?;
        Ok((stream.try_clone()?, stream.try_clone()?))
    };
    let (read, write) = set_up().map_err(|error| away("cannot set up the connection", error))?;
    let timed = |stream| TimedStream::new(stream, deadline.clone());
    let mut client = client(timed(read), timed(write), settings);
    match guarded(|| client.get_thrift_server_type()) {
        // An older gateway lacks the call, but speaks as we do.
        Ok(_) | Err(thrift::Error::Application(_)) => {}
        Err(error) => return Err(Failure::Away(mismatch(&error, settings))),
    }
    Ok(Connection {
        client,
        stream,
        deadline,
    })
}

fn mismatch(error: &thrift::Error, settings: &HbaseSettings) -> String {
    format!(
        "no sensible answer to the first call ({}); transport or protocol mismatch? It is asked as transport = \"{}\", \
         protocol = \"{}\": compare hbase.regionserver.thrift.framed and .compact in its hbase-site.xml",
        words(error),
        match settings.transport {
            Transport::Buffered => "buffered",
            Transport::Framed => "framed",
        },
        match settings.protocol {
            Protocol::Binary => "binary",
            Protocol::Compact => "compact",
        },
    )
}

fn client(read: TimedStream, write: TimedStream, settings: &HbaseSettings) -> Client {
    let read = BufReader::with_capacity(BUFFER_BYTES, read);
    let write: Box<dyn TWriteTransport + Send> = match settings.transport {
        Transport::Buffered => {
            Box::new(TBufferedWriteTransport::with_capacity(BUFFER_BYTES, write))
        }
        Transport::Framed => Box::new(TFramedWriteTransport::with_capacity(BUFFER_BYTES, write)),
    };
    let output: Box<dyn TOutputProtocol + Send> = match settings.protocol {
        Protocol::Binary => Box::new(TBinaryOutputProtocol::new(write, true)),
        Protocol::Compact => Box::new(TCompactOutputProtocol::new(write)),
    };
    HbaseSyncClient::new(answers(read, settings.transport, settings.protocol), output)
}

/// An error's own words; the crate's errors hide them.
fn words(error: &thrift::Error) -> String {
    match error {
        thrift::Error::Transport(e) if e.message.contains("os error 11") => {
            "no answer in time".to_owned() // what a read's time-out looks like on Linux
        }
        thrift::Error::Transport(e) => e.message.clone(),
        thrift::Error::Protocol(e) => e.message.clone(),
        thrift::Error::Application(e) => e.message.clone(),
        thrift::Error::User(e) => e.to_string(),
    }
}

fn failure(error: &thrift::Error) -> Failure {
    let thrift::Error::User(user) = error else {
        return Failure::Away(words(error));
    };
    if let Some(error) = user.downcast_ref::<IOError>() {
        return failure_in_words(error.message.as_deref().unwrap_or("an error without words"));
    }
    if user.is::<AlreadyExists>() {
        return Failure::Exists;
    }
    match user.downcast_ref::<IllegalArgument>() {
        Some(error) => Failure::Refused(short(
            error
                .message
                .as_deref()
                .unwrap_or("an argument without words"),
        )),
        None => Failure::Away(words(error)),
    }
}

/// Exceptions that HBase would throw again for the same cells. Any other may pass, even where
/// `can_retry` says no (a region server that stops says so), and a missing table says yes; so
/// `can_retry` decides nothing.
const LASTING: [&str; 5] = [
    "AccessDeniedException",
    "FailedSanityCheckException",
    "IllegalArgumentException",
    "NamespaceNotFoundException",
    "exceeds limit of", // a cell longer than the server's hbase.server.keyvalue.maxsize
];

/// What an `IOError` means. Its message is a Java stack trace.
fn failure_in_words(trace: &str) -> Failure {
    let said: Vec<&str> = trace
        .lines()
        .filter(|line| !line.trim_start().starts_with("at "))
        .collect();
    let says = |class: &str| said.iter().any(|line| line.contains(class));
    let words = short(trace);
    if says("NoSuchColumnFamilyException") {
        Failure::NoFamily(words)
    } else if says("TableNotFoundException") {
        Failure::NoTable(words)
    } else if says("TableNotEnabledException") {
        Failure::Disabled
    } else if LASTING.iter().any(|class| says(class)) {
        Failure::Refused(words)
    } else {
        Failure::Away(words)
    }
}

/// The first line of a stack trace and its last cause, as one line.
fn short(trace: &str) -> String {
    let mut lines = trace.lines().filter(|line| !line.trim().is_empty());
    let first = lines.next().unwrap_or_default().trim();
    let cause = lines
        .filter_map(|line| line.trim().strip_prefix("Caused by: "))
        .next_back();
    let cancel = |text: &str| text.chars().take(WORDS_CHARS_MAX).collect::<String>();
    match cause {
        Some(cause) if !first.contains(cause) => {
            format!("{}; caused by {}", cancel(first), cancel(cause))
        }
        _ => cancel(first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn a_servers_words_decide_what_is_done() {
        let trace = |exception: &str| {
            format!(
                "{exception}\n\tat org.apache.hadoop.hbase.TableNotFoundException.of(T.java:1)\n\tat b.C.d(C.java:2)"
            )
        };
        let cases = [
            (
                "org.apache.hadoop.hbase.TableNotFoundException: clicks",
                "no table",
            ),
            (
                "x.RetriesExhaustedWithDetailsException: Failed 1 action: x.NoSuchColumnFamilyException: f",
                "no family",
            ),
            (
                "org.apache.hadoop.hbase.TableNotEnabledException: clicks",
                "disabled",
            ),
            (
                "java.lang.IllegalArgumentException: KeyValue size too large",
                "refused",
            ),
            (
                "org.apache.hadoop.hbase.NotServingRegionException: clicks,,1. is not online",
                "away",
            ),
            (
                "org.apache.hadoop.hbase.NotAllMetaRegionsOnlineException: meta",
                "away",
            ),
            (
                "org.apache.hadoop.hbase.client.RetriesExhaustedException: Failed after attempts=6",
                "away",
            ),
            ("java.net.ConnectException: Connection refused", "away"),
            (
                "org.apache.hadoop.hbase.DoNotRetryIOException: new in this version",
                "away",
            ),
            ("", "away"),
        ];
        for (exception, expected) in cases {
            let is = match failure_in_words(&trace(exception)) {
                Failure::NoTable(_) => "no table",
                Failure::NoFamily(_) => "no family",
                Failure::Disabled => "disabled",
                Failure::Refused(_) => "refused",
                Failure::Exists => "exists",
                Failure::Away(_) => "away",
            };
            assert_eq!(is, expected, "{exception}");
        }
    }

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
                    address,
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
            address: "nonsense".to_owned(),
            ..HbaseSettings::default()
        };
        assert!(matches!(
            Lane::new(settings, CancelSignal::default()).connect(),
            Err(Failure::Refused(_))
        ));
    }

    #[test]
    fn a_call_that_hangs_ends_when_it_is_cut() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let settings = HbaseSettings {
            address: silent.local_addr().unwrap().to_string(),
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

    #[test]
    fn a_stack_trace_is_told_in_one_line() {
        let trace = "a.B: it failed\n\tat a.B.c(B.java:1)\nCaused by: d.E: half\n\tat x\nCaused by: f.G: because\n\tat y";
        assert_eq!(short(trace), "a.B: it failed; caused by f.G: because");
        assert_eq!(
            short("a.B: it failed\n\tat a.B.c(B.java:1)"),
            "a.B: it failed"
        );
        assert_eq!(short(&"x".repeat(5000)).len(), WORDS_CHARS_MAX);
    }
}
