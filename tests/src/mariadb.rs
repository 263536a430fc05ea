//! The real MariaDB, which stands for MySQL too: one for all tests of a run, and one of its own for a
//! test that takes it away. What is in it is read with `mariadb`, which is not ours.

use crate::command::{Said, say};
use crate::service::Service;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// A running server.
#[derive(Debug)]
pub struct MariaDb {
    service: Service,
    /// Its `host:port`.
    pub address: String,
}

static SHARED: OnceLock<MariaDb> = OnceLock::new();

impl MariaDb {
    /// The one that tests share; started if it does not run.
    #[track_caller]
    pub fn shared() -> &'static MariaDb {
        SHARED.get_or_init(|| MariaDb::start_in("mariadb"))
    }

    /// One for a test alone. It ends with the tests.
    #[track_caller]
    pub fn own(name: &str) -> MariaDb {
        MariaDb::start_in(&format!("mariadb-{name}"))
    }

    #[track_caller]
    fn start_in(name: &str) -> MariaDb {
        let service = Service::start("mariadb", name);
        MariaDb {
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
        format!("mysql://{user}@{}/tests", self.address)
    }

    /// The section that names it.
    pub fn section(&self) -> String {
        format!("[mysql]\nurl = \"{}\"\n", self.url("root"))
    }

    /// What `mariadb` says to some statements: a line a row, values with `|` between.
    #[track_caller]
    pub fn sql(&self, sql: &str) -> String {
        let said = say(&mut self.command(sql)).ok();
        said.trim_end_matches('\n').replace('\t', "|")
    }

    /// The same, as a program to start.
    pub fn command(&self, sql: &str) -> Command {
        let (host, port) = self.address.rsplit_once(':').expect("HOST:PORT");
        let mut command = Command::new("mariadb");
        command.args(["--no-defaults", "-N", "-B", "-u", "root", "-D", "tests"]);
        command.args(["--default-character-set=utf8mb4", "-h", host, "-P", port]);
        command.args(["-e", sql]);
        command
    }

    /// How many sessions but its own are as this condition on the list of them says.
    #[track_caller]
    pub fn sessions(&self, condition: &str) -> usize {
        self.of_sessions(condition).len()
    }

    /// Ends them; says how many.
    #[track_caller]
    pub fn kill_sessions(&self, condition: &str) -> usize {
        let all = self.of_sessions(condition);
        for id in &all {
            // One may have ended by itself meanwhile.
            _ = say(&mut self.command(&format!("KILL {id}")));
        }
        all.len()
    }

    #[track_caller]
    fn of_sessions(&self, condition: &str) -> Vec<String> {
        self.rows(&format!(
            "SELECT ID FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND {condition}"
        ))
    }

    /// The rows of a query.
    #[track_caller]
    pub fn rows(&self, sql: &str) -> Vec<String> {
        self.sql(sql).lines().map(str::to_owned).collect()
    }
}
