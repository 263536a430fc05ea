//! A session with the server: the client is asynchronous, and is run to the end of each call by the
//! thread that makes it. Every call has an end: an answer, its time, or the job's.

use super::settings::client;
use super::words::failure;
use crate::sql::{DatabaseSettings, Failure};
use bytes::Bytes;
use futures_util::SinkExt;
use postgres_openssl::TlsConnector;
use std::future::Future;
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use streamhost_core::{limits, system};
use streamhost_engine::sink::CancelSignal;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, NoTls, Row};

/// What a session is told first. Times are read as UTC; an acknowledged commit is on the server's
/// disk, whatever its usual is.
const SET_UP: &str = "\
    SET client_min_messages = error; SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; \
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'; \
    SELECT set_config('client_connection_check_interval', '5s', false) \
        WHERE current_setting('server_version_num')::int >= 140000";

/// Values of a statement's parameters.
pub(super) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A connection that is set up. It is dropped after any doubt about it, which ends its transaction.
pub(super) struct Session {
    client: Client,
    section: String,
    /// The client's task ends with it.
    runtime: Runtime,
    /// The connection once more, for who ends its calls; it knows it for as long as this is here.
    _watched: Arc<TcpStream>,
}

impl Session {
    /// Connects to the first server that takes writes.
    pub(super) fn connect(
        settings: &DatabaseSettings,
        cancel: &CancelSignal,
    ) -> Result<Self, Failure> {
        let mut last = Failure::Away("it has no address".to_owned());
        for (host, port) in &settings.servers {
            match Session::connect_to(settings, host, *port, cancel) {
                Ok(session) => return Ok(session),
                // Another one would say the same.
                Err(denied @ Failure::Denied(_)) => return Err(denied),
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }

    fn connect_to(
        settings: &DatabaseSettings,
        host: &str,
        port: u16,
        cancel: &CancelSignal,
    ) -> Result<Self, Failure> {
        let password = settings.password.as_ref().map(|secret| secret.read());
        let password = password.transpose().map_err(|error| {
            Failure::Denied(format!("`{}.password`: {error}", settings.section))
        })?;
        let config = client(settings, password.as_deref());
        let (stream, watched) = dial(host, port, cancel).map_err(|error| {
            Failure::Away(system::with_limit(format_args!("cannot connect: {error}")))
        })?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| {
            Failure::Away(system::with_limit(format_args!("no connection: {error}")))
        })?;
        let section = settings.section.clone();
        let connected = async {
            let stream = tokio::net::TcpStream::from_std(stream).map_err(|e| {
                Failure::Away(system::with_limit(format_args!("no connection: {e}")))
            })?;
            let words = |error: Error| failure(&error, &section);
            match &settings.tls {
                None => {
                    let (client, connection) =
                        config.connect_raw(stream, NoTls).await.map_err(words)?;
                    tokio::spawn(connection);
                    Ok(client)
                }
                Some(files) => {
                    let builder = files.builder(&section).map_err(Failure::Denied)?;
                    let ssl = builder.build().configure();
                    let ssl = ssl.map_err(|e| Failure::Away(format!("no TLS: {e}")))?;
                    let tls = TlsConnector::new(ssl, host);
                    let (client, connection) =
                        config.connect_raw(stream, tls).await.map_err(words)?;
                    tokio::spawn(connection);
                    Ok(client)
                }
            }
        };
        let client = within(&runtime, limits::POSTGRES_CONNECT_TIME, connected)??;
        let session = Session {
            client,
            section,
            runtime,
            _watched: watched,
        };
        session.set_up()?;
        Ok(session)
    }

    fn set_up(&self) -> Result<(), Failure> {
        let statement = limits::POSTGRES_STATEMENT_TIME.as_millis();
        let idle = limits::POSTGRES_IDLE_TIME.as_millis();
        self.batch(&format!(
            "{SET_UP}; SET statement_timeout = {statement}; \
             SET idle_in_transaction_session_timeout = {idle}"
        ))?;
        let row = self.query_one("SELECT pg_is_in_recovery()", &[])?;
        match value::<bool>(&row, 0)? {
            true => Err(Failure::Away(
                "it is a standby, which takes no writes".to_owned(),
            )),
            false => Ok(()),
        }
    }

    /// Runs a call to its end. A little longer than the server gives it, whose word says more.
    fn run<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
        let time = limits::POSTGRES_STATEMENT_TIME + limits::POSTGRES_CONNECT_TIME;
        let answer = within(&self.runtime, time, call)?;
        answer.map_err(|error| failure(&error, &self.section))
    }

    /// Statements without parameters and answers.
    pub(super) fn batch(&self, sql: &str) -> Result<(), Failure> {
        self.run(self.client.batch_execute(sql))
    }

    /// The rows of a query.
    pub(super) fn query(&self, sql: &str, values: Values<'_>) -> Result<Vec<Row>, Failure> {
        self.run(self.client.query(sql, values))
    }

    /// The one row of a query.
    pub(super) fn query_one(&self, sql: &str, values: Values<'_>) -> Result<Row, Failure> {
        self.run(self.client.query_one(sql, values))
    }

    /// Sends what `next` appends, until it says that this was all, as the input of a `COPY`.
    pub(super) fn copy(
        &self,
        sql: &str,
        mut next: impl FnMut(&mut Vec<u8>) -> bool,
    ) -> Result<(), Failure> {
        self.run(async {
            let mut input = pin!(self.client.copy_in(sql).await?);
            let mut portion = Vec::new();
            while next(&mut portion) {
                if portion.len() >= limits::POSTGRES_COPY_BYTES {
                    let room = Vec::with_capacity(portion.len());
                    let full = std::mem::replace(&mut portion, room);
                    input.send(Bytes::from(full)).await?;
                }
            }
            if !portion.is_empty() {
                input.send(Bytes::from(portion)).await?;
            }
            input.finish().await.map(drop)
        })
    }
}

/// A value of a row; one of another type is a fault of ours, and told as such.
pub(super) fn value<'r, T: tokio_postgres::types::FromSql<'r>>(
    row: &'r Row,
    column: usize,
) -> Result<T, Failure> {
    row.try_get(column)
        .map_err(|error| Failure::Refused(format!("column {column} of an answer: {error}")))
}

fn within<T>(
    runtime: &Runtime,
    time: Duration,
    call: impl Future<Output = T>,
) -> Result<T, Failure> {
    let timed = runtime.block_on(async { tokio::time::timeout(time, call).await });
    timed.map_err(|_| Failure::Away(format!("no answer in {} s", time.as_secs())))
}

/// A connection that ends when the job is cut.
fn dial(host: &str, port: u16, cancel: &CancelSignal) -> io::Result<(TcpStream, Arc<TcpStream>)> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let mut outcome = Err(io::Error::other("its name has no address"));
    for address in (bare, port).to_socket_addrs()? {
        if cancel.is_cancelled() {
            return Err(io::Error::other("its calls were cut"));
        }
        outcome = TcpStream::connect_timeout(&address, limits::CONNECT_TIME);
        if outcome.is_ok() {
            break;
        }
    }
    let stream = outcome?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    let watched = Arc::new(stream.try_clone()?);
    cancel.watch(&watched);
    Ok((stream, watched))
}
