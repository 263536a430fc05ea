//! The real PostgreSQL: one for all tests of a run, and one of its own for a test that takes it away.
//! What is in it is read with `psql`, which is not ours.

use crate::command::{Said, say};
use crate::service::Service;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// A running server.
#[derive(Debug)]
pub struct Postgres {
    service: Service,
    /// Its `host:port`.
    pub address: String,
}

static SHARED: OnceLock<Postgres> = OnceLock::new();

impl Postgres {
    /// The one that tests share; started if it does not run.
    #[track_caller]
    pub fn shared() -> &'static Postgres {
        SHARED.get_or_init(|| Postgres::start_in("postgres"))
    }

    /// One for a test alone. It ends with the tests.
    #[track_caller]
    pub fn own(name: &str) -> Postgres {
        Postgres::start_in(&format!("postgres-{name}"))
    }

    #[track_caller]
    fn start_in(name: &str) -> Postgres {
        let service = Service::start("postgres", name);
        Postgres {
            address: service.address.clone(),
            service,
        }
    }

    /// A verb of its script: `start`, `kill`, `pause`, `resume`.
    pub fn tell(&self, verb: &str) -> Said {
        self.service.tell(verb)
    }

    /// A file of its certificates.
    pub fn tls(&self, name: &str) -> PathBuf {
        self.service.tls(name)
    }

    /// The URL of its database for a user.
    pub fn url(&self, user: &str) -> String {
        format!("postgresql://{user}@{}/postgres", self.address)
    }

    /// The section that names it.
    pub fn section(&self) -> String {
        format!("[postgres]\nurl = \"{}\"\n", self.url("postgres"))
    }

    /// What `psql` says to some statements: a line a row, values with `|` between.
    #[track_caller]
    pub fn psql(&self, sql: &str) -> String {
        say(&mut self.command(sql)).ok().trim_end().to_owned()
    }

    /// The same, as a program to start.
    pub fn command(&self, sql: &str) -> Command {
        let mut command = Command::new("psql");
        let options = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"];
        command.args(options).args(["-P", "null=NULL", "-c", sql]);
        command.arg(self.url("postgres"));
        command
    }

    /// The rows of a query.
    #[track_caller]
    pub fn rows(&self, sql: &str) -> Vec<String> {
        self.psql(sql).lines().map(str::to_owned).collect()
    }
}
