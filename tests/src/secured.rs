//! A real Kafka with TLS and SASL, for the tests that ask for it.

use crate::command::say;
use crate::paths::root;
use crate::servers::own_folder;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

static SECURED: OnceLock<Secured> = OnceLock::new();

/// A running broker; `tests/services/kafka-secured.sh` says which listeners and users it has. It
/// ends with this process.
#[derive(Debug)]
pub struct Secured {
    folder: PathBuf,
}

impl Secured {
    /// The broker of all tests, started if it does not run.
    pub fn get() -> &'static Secured {
        SECURED.get_or_init(|| {
            let folder = own_folder().join("kafka-secured");
            let secured = Secured { folder };
            let mut start = secured.script();
            say(start
                .arg("start")
                .arg(&secured.folder)
                .env("SERVICE_OWNER", std::process::id().to_string()))
            .ok();
            secured
        })
    }

    fn script(&self) -> Command {
        Command::new(root().join("tests/services/kafka-secured.sh"))
    }

    /// The address of one of its listeners, by a name that its certificate has.
    pub fn address(&self, listener: &str) -> String {
        let port = fs::read_to_string(self.folder.join(format!("{listener}.port")));
        let port = port.unwrap_or_else(|error| panic!("the listener {listener}: {error}"));
        format!("localhost:{}", port.trim())
    }

    /// A file of the certificates.
    pub fn tls(&self, name: &str) -> PathBuf {
        self.folder.join("tls").join(name)
    }

    /// A token for OAUTHBEARER that is good for so many seconds.
    pub fn token(&self, user: &str, seconds: i64) -> String {
        let mut command = self.script();
        let arguments = ["token", &self.folder.display().to_string(), user];
        say(command.args(arguments).arg(seconds.to_string())).last_line()
    }

    /// The lines of `[kafka]` for one of its listeners: the protocol, the authority, and more.
    pub fn section(&self, listener: &str, protocol: &str, more: &str) -> String {
        format!(
            "[kafka]\nbrokers = \"{}\"\nsecurity.protocol = \"{protocol}\"\nssl.ca.location = \"{}\"\n{more}\n",
            self.address(listener),
            self.tls("ca.pem").display(),
        )
    }
}
