//! The real Elasticsearch and OpenSearch: one of each for all tests of a run that need it, and one of
//! its own for a test that takes it away. What is in them is read with `curl`, which is not ours.

use crate::command::{Said, say};
use crate::paths::root;
use crate::servers::own_folder;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use streamhost_connectors::elasticsearch::ElasticsearchSettings;

/// What stands in front of a server, with TLS and a password.
#[derive(Debug)]
pub struct Front(PathBuf);

impl Front {
    /// The `host:port` of one of its listeners, by its name in `tests/services/front.sh`.
    #[track_caller]
    pub fn address(&self, name: &str) -> String {
        let port = std::fs::read_to_string(self.0.join(format!("{name}.port")));
        let port = port.unwrap_or_else(|error| panic!("the front's {name}: {error}"));
        format!("localhost:{}", port.trim())
    }

    /// A file of its certificates.
    pub fn tls(&self, name: &str) -> PathBuf {
        self.0.join("tls").join(name)
    }
}

/// Documents that are read at once.
const PAGE: usize = 5000;

/// A running server.
#[derive(Debug)]
pub struct Elastic {
    script: &'static str,
    folder: PathBuf,
    /// Its `host:port`.
    pub address: String,
}

/// A verb of a server's script, which ends with this process if none else is named.
fn script(name: &str, verb: &str, folder: &Path) -> Command {
    let mut command = Command::new(root().join(format!("tests/services/{name}.sh")));
    command.arg(verb).arg(folder);
    if std::env::var_os("SERVICE_OWNER").is_none() {
        command.env("SERVICE_OWNER", std::process::id().to_string());
    }
    command
}

static ELASTICSEARCH: OnceLock<Elastic> = OnceLock::new();
static OPENSEARCH: OnceLock<Elastic> = OnceLock::new();

impl Elastic {
    /// The Elasticsearch that tests share; started if it does not run.
    #[track_caller]
    pub fn shared() -> &'static Elastic {
        ELASTICSEARCH.get_or_init(|| Elastic::start_in("elasticsearch", "elasticsearch"))
    }

    /// The same of OpenSearch.
    #[track_caller]
    pub fn opensearch() -> &'static Elastic {
        OPENSEARCH.get_or_init(|| Elastic::start_in("opensearch", "opensearch"))
    }

    /// One for a test alone. It ends with the tests.
    #[track_caller]
    pub fn own(name: &str) -> Elastic {
        Elastic::start_in("elasticsearch", &format!("elasticsearch-{name}"))
    }

    #[track_caller]
    fn start_in(script: &'static str, name: &str) -> Elastic {
        let given = std::env::var_os("STREAMHOST_TEST_SERVICES").filter(|of| !of.is_empty());
        let folder = given.map_or_else(own_folder, PathBuf::from).join(name);
        let mut server = Elastic {
            script,
            folder,
            address: String::new(),
        };
        server.address = server.tell("start").ok().trim().to_owned();
        server
    }

    /// A verb of its script: `start`, `kill`, `pause`, `resume`.
    pub fn tell(&self, verb: &str) -> Said {
        say(&mut script(self.script, verb, &self.folder))
    }

    /// TLS and a password in front of it; ends with the tests.
    #[track_caller]
    pub fn front(&self) -> Front {
        let folder = self.folder.with_extension("front");
        let (_, port) = self.address.rsplit_once(':').expect("a port");
        let mut command = script("front", "start", &folder);
        command.env("FRONT_HTTP", port).env("FRONT_TCP", port);
        say(&mut command).ok();
        Front(folder)
    }

    /// It is OpenSearch.
    pub fn is_opensearch(&self) -> bool {
        self.script == "opensearch"
    }

    /// How the host reaches it.
    pub fn settings(&self) -> ElasticsearchSettings {
        ElasticsearchSettings {
            hosts: vec![self.address.clone()],
            ..ElasticsearchSettings::default()
        }
    }

    /// The section that names it.
    pub fn section(&self) -> String {
        format!("[elasticsearch]\nhosts = \"{}\"\n", self.address)
    }

    /// What it answers to a request.
    #[track_caller]
    pub fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let mut command = Command::new("curl");
        command.args([
            "-sS",
            "-X",
            method,
            &format!("http://{}{path}", self.address),
        ]);
        if !body.is_null() {
            command.args([
                "-H",
                "Content-Type: application/json",
                "-d",
                &body.to_string(),
            ]);
        }
        let said = say(&mut command).ok();
        serde_json::from_str(&said)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}: {said}"))
    }

    /// The same of one that must go well.
    #[track_caller]
    pub fn tell_it(&self, method: &str, path: &str, body: &Value) {
        let said = self.ask(method, path, body);
        assert!(said["error"].is_null(), "{method} {path} {body}: {said}");
    }

    /// An index's documents by their ids, each with its version and source.
    #[track_caller]
    pub fn documents(&self, index: &str) -> BTreeMap<String, (i64, Value)> {
        self.tell_it("POST", &format!("/{index}/_refresh"), &Value::Null);
        let mut found = BTreeMap::new();
        let scroll = format!("/{index}/_search?scroll=1m");
        let first = json!({"size": PAGE, "version": true, "sort": ["_doc"]});
        let mut page = self.ask("POST", &scroll, &first);
        loop {
            let hits = page["hits"]["hits"].as_array().cloned();
            let hits = hits.unwrap_or_else(|| panic!("{index}: {page}"));
            if hits.is_empty() {
                return found;
            }
            for hit in hits {
                let id = hit["_id"].as_str().expect("an id").to_owned();
                let version = hit["_version"].as_i64().expect("a version");
                let before = found.insert(id, (version, hit["_source"].clone()));
                assert_eq!(before, None, "twice: {hit}");
            }
            let next = json!({"scroll": "1m", "scroll_id": page["_scroll_id"]});
            page = self.ask("POST", "/_search/scroll", &next);
        }
    }

    /// Their sources alone.
    #[track_caller]
    pub fn sources(&self, index: &str) -> BTreeMap<String, Value> {
        let all = self.documents(index).into_iter();
        all.map(|(id, (_, source))| (id, source)).collect()
    }

    /// How many documents there are.
    #[track_caller]
    pub fn count(&self, index: &str) -> u64 {
        self.ask("POST", &format!("/{index}/_refresh"), &Value::Null);
        let said = self.ask("GET", &format!("/{index}/_count"), &Value::Null);
        said["count"].as_u64().unwrap_or(0)
    }
}
