//! A session with the server: the client is asynchronous, and is run to the end of each call by the
//! thread that makes it. Every call has an end: an answer, its time, or the job's.

use super::words::failure;
use crate::sql::{DatabaseSettings, Failure};
use mysql_async::prelude::{FromValue, Queryable};
use mysql_async::{
    ClientIdentity, Conn, Error, IoError, Opts, OptsBuilder, Params, Row, SslOpts, Value,
};
use std::cell::RefCell;
use std::future::Future;
use std::time::Duration;
use streamhost_core::{limits, system};
use streamhost_engine::sink::CancelSignal;
use tokio::runtime::{Builder, Runtime};

/// What a session is told first. What a column cannot hold is refused, not cut; a 0 is a 0 in any
/// column; times are in UTC. MySQL takes what is between `/*M!` and `*/` for a comment.
const SET_UP: &str = "\
    SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,\
    NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO', time_zone = '+00:00', autocommit = 1, \
    innodb_lock_wait_timeout = ";

/// Which of the two servers it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flavor {
    MySql,
    MariaDb,
}

/// A connection that is set up. It is dropped after any doubt about it, which ends its transaction.
pub(super) struct Session {
    /// Taken when it ends.
    conn: RefCell<Option<Conn>>,
    section: String,
    /// The connection ends before it.
    runtime: Runtime,
    cancel: CancelSignal,
    pub(super) flavor: Flavor,
    /// The server's own word for what it is.
    pub(super) version: String,
    /// The most bytes that a statement may have.
    pub(super) packet_bytes: usize,
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
        let options = options(settings, host, port)?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| {
            Failure::Away(system::with_limit(format_args!("no connection: {error}")))
        })?;
        let mut session = Session {
            conn: RefCell::new(None),
            section: settings.section.clone(),
            runtime,
            cancel: cancel.clone(),
            flavor: Flavor::MySql,
            version: String::new(),
            packet_bytes: 0,
        };
        let conn = session.within(limits::MYSQL_CONNECT_TIME, Conn::new(options))?;
        let conn = conn.map_err(|error| match &error {
            Error::Io(IoError::Io(error)) => {
                Failure::Away(system::with_limit(format_args!("cannot connect: {error}")))
            }
            _ => failure(&error, &session.section),
        })?;
        session.conn = RefCell::new(Some(conn));
        session.set_up()?;
        Ok(session)
    }

    fn set_up(&mut self) -> Result<(), Failure> {
        let asked = "SELECT VERSION(), @@GLOBAL.read_only, @@max_allowed_packet";
        let row = self.query_one(asked, Vec::new())?;
        self.version = value(&row, 0)?;
        if self.version.contains("MariaDB") {
            self.flavor = Flavor::MariaDb;
        }
        self.packet_bytes = value(&row, 2)?;
        if value::<bool>(&row, 1)? {
            return Err(Failure::Away(
                "it is read-only, as a replica is, which takes no writes".to_owned(),
            ));
        }
        let statement = limits::MYSQL_STATEMENT_TIME.as_secs();
        let idle = limits::MYSQL_IDLE_TIME.as_secs();
        self.text(&format!(
            "{SET_UP}{statement} /*M! , max_statement_time = {statement}, \
             idle_transaction_timeout = {idle} */"
        ))
    }

    /// Runs a call to its end. A little longer than the server gives it, whose word says more.
    fn run<T>(&self, call: impl AsyncFnOnce(&mut Conn) -> Result<T, Error>) -> Result<T, Failure> {
        let time = limits::MYSQL_STATEMENT_TIME + limits::MYSQL_CONNECT_TIME;
        let mut conn = self.conn.borrow_mut();
        let Some(conn) = conn.as_mut() else {
            return Err(Failure::Away("its connection has ended".to_owned()));
        };
        let answer = self.within(time, call(conn))?;
        answer.map_err(|error| failure(&error, &self.section))
    }

    fn within<T>(&self, time: Duration, call: impl Future<Output = T>) -> Result<T, Failure> {
        self.runtime.block_on(async {
            tokio::select! {
                timed = tokio::time::timeout(time, call) => timed
                    .map_err(|_| Failure::Away(format!("no answer in {} s", time.as_secs()))),
                () = stopped(&self.cancel) => Err(Failure::Away("its calls were cut".to_owned())),
            }
        })
    }

    /// A statement without values and answers.
    pub(super) fn text(&self, sql: &str) -> Result<(), Failure> {
        self.run(async |conn| conn.query_drop(sql).await)
    }

    /// How many rows a statement with these values found.
    pub(super) fn exec(&self, sql: &str, values: Vec<Value>) -> Result<u64, Failure> {
        let values = Params::Positional(values);
        self.run(async |conn| {
            let result = conn.exec_iter(sql, values).await?;
            let found = result.affected_rows();
            result.drop_result().await?;
            Ok(found)
        })
    }

    /// Has the server read a statement, and look at its names and rights.
    pub(super) fn prepare(&self, sql: &str) -> Result<(), Failure> {
        self.run(async |conn| conn.prep(sql).await.map(drop))
    }

    /// The rows of a query.
    pub(super) fn query(&self, sql: &str, values: Vec<Value>) -> Result<Vec<Row>, Failure> {
        let values = match values.is_empty() {
            true => Params::Empty,
            false => Params::Positional(values),
        };
        self.run(async |conn| conn.exec(sql, values).await)
    }

    /// The one row of a query.
    pub(super) fn query_one(&self, sql: &str, values: Vec<Value>) -> Result<Row, Failure> {
        let first = self.query(sql, values)?.into_iter().next();
        first.ok_or_else(|| Failure::Refused("an answer has no row".to_owned()))
    }

    /// Begins a transaction, which the server ends if the host falls silent in it.
    pub(super) fn begin(&self) -> Result<(), Failure> {
        if self.flavor == Flavor::MySql {
            let idle = limits::MYSQL_IDLE_TIME.as_secs();
            self.text(&format!("SET SESSION wait_timeout = {idle}"))?;
        }
        self.text("START TRANSACTION")
    }

    /// Ends the transaction, with what it did or without. Between transactions a session may be silent.
    pub(super) fn end(&self, how: &str) -> Result<(), Failure> {
        self.text(how)?;
        match self.flavor {
            Flavor::MySql => self.text("SET SESSION wait_timeout = DEFAULT"),
            Flavor::MariaDb => Ok(()),
        }
    }
}

impl Drop for Session {
    /// The server is told, or would count it as one that broke.
    fn drop(&mut self) {
        if let Some(conn) = self.conn.get_mut().take() {
            let quit =
                async { tokio::time::timeout(limits::MYSQL_QUIT_TIME, conn.disconnect()).await };
            if self.runtime.block_on(quit).is_err() {
                tracing::debug!("the end of a session could not be told");
            }
        }
    }
}

/// Comes when the job is to stop.
async fn stopped(cancel: &CancelSignal) {
    while !cancel.is_cancelled() {
        tokio::time::sleep(limits::MYSQL_STOP_LOOK_TIME).await;
    }
}

/// What the client is told.
fn options(settings: &DatabaseSettings, host: &str, port: u16) -> Result<Opts, Failure> {
    let section = &settings.section;
    let password = settings.password.as_ref().map(|secret| secret.read());
    let password = password
        .transpose()
        .map_err(|error| Failure::Denied(format!("`{section}.password`: {error}")))?;
    let tls = match &settings.tls {
        None => None,
        Some(files) => {
            let identity = files.pkcs12(section).map_err(Failure::Denied)?;
            let identity = identity.map(|archive| ClientIdentity::new(archive.into()));
            let authority = files.ca.iter().cloned().map(Into::into);
            let tls = SslOpts::default().with_root_certs(authority.collect());
            Some(tls.with_client_identity(identity))
        }
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let options = OptsBuilder::default()
        .ip_or_hostname(bare)
        .tcp_port(port)
        .prefer_socket(false)
        .user(Some(&settings.user))
        .pass(password)
        .db_name(Some(&settings.database))
        .ssl_opts(tls)
        .client_found_rows(true)
        .stmt_cache_size(limits::MYSQL_STATEMENTS_KEPT)
        .connect_attribute("program_name", "streamhost");
    Ok(options.into())
}

/// A value of a row; one of another type is a fault of ours, and told as such.
pub(super) fn value<T: FromValue>(row: &Row, column: usize) -> Result<T, Failure> {
    let found = row.get_opt(column).and_then(Result::ok);
    found.ok_or_else(|| {
        Failure::Refused(format!(
            "column {column} of an answer is none that is known"
        ))
    })
}
