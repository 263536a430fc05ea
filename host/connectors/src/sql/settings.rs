//! Where a database is, and how one gets in.

use crate::secret::Secret;
use crate::tls_files::TlsFiles;
use std::fmt;
use std::net::IpAddr;

/// Where a database is, and how one gets in.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseSettings {
    /// What its settings are called, such as `postgres` or `postgres.eu`.
    pub(crate) section: String,
    /// Host and port of each server, of which one takes writes.
    pub(crate) servers: Vec<(String, u16)>,
    pub(crate) user: String,
    pub(crate) database: String,
    /// Where the password stands; it is read whenever a connection is made.
    pub password: Option<Secret>,
    /// TLS, where it is spoken.
    pub tls: Option<TlsFiles>,
}

/// No password is in it: only where one stands.
impl fmt::Debug for DatabaseSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.section, self.address())
    }
}

impl DatabaseSettings {
    /// A database without a password, which no section names.
    pub(crate) fn new(
        section: &str,
        servers: Vec<(String, u16)>,
        user: &str,
        database: &str,
    ) -> Self {
        DatabaseSettings {
            section: section.to_owned(),
            servers,
            user: user.to_owned(),
            database: database.to_owned(),
            password: None,
            tls: None,
        }
    }

    /// What its settings are called, such as `postgres` or `postgres.eu`.
    pub fn section(&self) -> &str {
        &self.section
    }

    /// All servers, with commas between.
    pub fn address(&self) -> String {
        let address = |(host, port): &(String, u16)| format!("{host}:{port}");
        let all: Vec<String> = self.servers.iter().map(address).collect();
        all.join(",")
    }

    /// No password leaves this machine.
    pub fn is_local(&self) -> bool {
        let is_local = |(host, _): &(String, u16)| {
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            host == "localhost" || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
        };
        self.servers.iter().all(is_local)
    }
}

/// Why a URL with a password in it is none.
pub(crate) const NO_PASSWORD: &str = "a password does not stand here: `password = { file = \"…\" }` or `{ env = \"…\" }` says where it does";
