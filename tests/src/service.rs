//! A server of one of the scripts in `tests/services`.

use crate::command::{Said, say};
use crate::paths::root;
use crate::servers::own_folder;
use std::path::PathBuf;
use std::process::Command;

/// A running server.
#[derive(Debug)]
pub struct Service {
    script: &'static str,
    folder: PathBuf,
    /// Its `host:port`.
    pub address: String,
}

impl Service {
    /// Starts that of a script, unless it runs; its folder has this name. It ends with the tests.
    #[track_caller]
    pub fn start(script: &'static str, name: &str) -> Service {
        let given = std::env::var_os("STREAMHOST_TEST_SERVICES").filter(|of| !of.is_empty());
        let folder = given.map_or_else(own_folder, PathBuf::from).join(name);
        let mut server = Service {
            script,
            folder,
            address: String::new(),
        };
        server.address = server.tell("start").ok().trim().to_owned();
        server
    }

    /// A verb of its script: `start`, `kill`, `pause`, `resume`.
    pub fn tell(&self, verb: &str) -> Said {
        let script = format!("tests/services/{}.sh", self.script);
        let mut command = Command::new(root().join(script));
        command.arg(verb).arg(&self.folder);
        if std::env::var_os("SERVICE_OWNER").is_none() {
            command.env("SERVICE_OWNER", std::process::id().to_string());
        }
        say(&mut command)
    }

    /// A file of its certificates.
    pub fn tls(&self, name: &str) -> PathBuf {
        self.folder.join("tls").join(name)
    }
}
