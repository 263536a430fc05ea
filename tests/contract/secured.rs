//! Kafka with TLS and SASL: each way in, each wrong setting's message, secrets that are changed.

use serde_json::Value;
use std::fs::write;
use std::path::{Path, PathBuf};
use std::process::Command;
use streamhost_tests::command::{Said, say};
use streamhost_tests::guests::component;
use streamhost_tests::host::{Host, unique};
use streamhost_tests::paths::streamhost;
use streamhost_tests::secured::Secured;
use streamhost_tests::sizes::{LATE, SOON};
use streamhost_tests::wait::wait_until;
use tempfile::TempDir;

/// Lines that a job reads, of three words each.
const LINES: usize = 300;

/// Files of one test, in a folder of its own.
struct Files(TempDir);

impl Files {
    fn new() -> Files {
        Files(tempfile::tempdir().expect("a folder"))
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        write(&path, text).expect("written");
        path
    }
}

/// A user's name, and where the password stands.
fn login(mechanism: &str, user: &str, password: &Path) -> String {
    let password = password.display();
    format!(
        "sasl.mechanism = \"{mechanism}\"\nsasl.username = \"{user}\"\nsasl.password = {{ file = \"{password}\" }}"
    )
}

fn certificate(secured: &Secured, name: &str) -> String {
    let file = |end: &str| secured.tls(&format!("{name}.{end}")).display().to_string();
    format!(
        "ssl.certificate.location = \"{}\"\nssl.key.location = \"{}\"",
        file("pem"),
        file("key")
    )
}

/// Runs a verb that goes to Kafka itself, with a file as its standard input.
fn by_hand(input: &Path, arguments: &[&str]) -> Said {
    let mut shell = Command::new("sh");
    shell.args(["-c", "from=$1; shift; exec \"$0\" \"$@\" < \"$from\""]);
    say(shell.arg(streamhost()).arg(input).args(arguments))
}

/// All of a topic's values, as JSON.
fn values(config: &str, topic: &str) -> Vec<Value> {
    let all = [
        "consume",
        topic,
        "--from-beginning",
        "--output",
        "json",
        "--config",
        config,
    ];
    let said = by_hand(Path::new("/dev/null"), &all).ok();
    let value = |line: &str| {
        let record: Value = serde_json::from_str(line).expect("JSON");
        let text = record["value"]["text"].as_str().expect("a text").to_owned();
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    };
    said.lines().map(value).collect()
}

/// A job that counts the words of a topic's lines into another, in transactions.
struct Words {
    name: String,
    config: String,
    lines: PathBuf,
}

impl Words {
    /// One of these lines, with Kafka as this section says.
    fn new(files: &Files, name: &str, section: &str, lines: &str) -> Words {
        Words {
            name: unique(name),
            config: files.file("streamhost.toml", section).display().to_string(),
            lines: files.file("lines", lines),
        }
    }

    #[track_caller]
    fn produce(&self) {
        let topic = format!("{}-in", self.name);
        let arguments = ["produce", &topic, "--create", "--config", &self.config];
        by_hand(&self.lines, &arguments).ok();
    }

    fn deploy(&self, host: &Host) -> Said {
        let name = &self.name;
        let source = format!("source.lines={name}-in");
        let sink = format!("sink.words={name}-out");
        let named = ["--name", name, "--create-tables"];
        let settings = [&named[..], &["--set", &source, "--set", &sink]].concat();
        host.deploy(&component("tests/guests/wordcount-topic"), &settings)
    }
}

/// Produces, runs the job, and consumes: each word was counted once.
fn goes_through(section: &str) {
    let files = Files::new();
    let lines: String = (0..LINES).map(|n| format!("one two {n}\n")).collect();
    let words = Words::new(&files, "app-words", section, &lines);
    words.produce();

    let host = Host::serve_kafka(section);
    words.deploy(&host).ok();
    host.wait_records(&words.name, LINES as u64, LATE);
    let counts = values(&words.config, &format!("{}-out", words.name));
    let counted: u64 = counts
        .iter()
        .flat_map(|row| row.as_object().into_iter().flatten())
        .filter_map(|(_, cell)| cell.as_u64())
        .sum();
    assert_eq!(counted, 3 * LINES as u64, "{counts:?}");
    assert!(
        !host.log_text().contains("admin-secret"),
        "{}",
        host.log_end()
    );
}

#[test]
fn secured_each_way_in_produces_consumes_and_counts_exactly() {
    let secured = Secured::get();
    let files = Files::new();
    let password = files.file("password", "admin-secret\n");
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let login = login(mechanism, "admin", &password);
        goes_through(&secured.section("sasl", "SASL_SSL", &login));
    }
    let login = login("SCRAM-SHA-256", "admin", &password);
    goes_through(&secured.section("sasl-plain", "SASL_PLAINTEXT", &login));
    let token = files.file("token", &secured.token("admin", 300));
    let bearer = |token: &Path| {
        let token = token.display();
        format!(
            "sasl.mechanism = \"OAUTHBEARER\"\nsasl.oauthbearer.token = {{ file = \"{token}\" }}"
        )
    };
    goes_through(&secured.section("sasl", "SASL_SSL", &bearer(&token)));
    goes_through(&secured.section("mutual", "SSL", &certificate(secured, "admin")));
}

#[test]
fn secured_each_wrong_setting_gets_its_message() {
    let secured = Secured::get();
    let files = Files::new();
    let (right, wrong) = (
        files.file("right", "admin-secret\n"),
        files.file("wrong", "wrong-s3cret\n"),
    );
    let scram = |password: &Path| login("SCRAM-SHA-512", "admin", password);
    let stranger = format!("\"{}\"", secured.tls("stranger-ca.pem").display());
    let ours = format!("\"{}\"", secured.tls("ca.pem").display());
    let tls = |listener: &str| secured.section(listener, "SSL", "");
    let cases = [
        (
            secured.section("sasl", "SASL_SSL", &scram(&wrong)),
            "check `sasl.mechanism`, `sasl.username`",
        ),
        (tls("tls").replace(&ours, &stranger), "is not trusted"),
        (tls("expired"), "has expired"),
        (
            tls("wrong-name"),
            "is not for `localhost`, but for `elsewhere.test`",
        ),
        (tls("mutual"), "check `ssl.certificate.location`"),
        (
            secured.section("mutual", "SSL", &certificate(secured, "stranger")),
            "does not take the host's certificate",
        ),
        (
            secured.section("mutual", "SSL", &certificate(secured, "expired-client")),
            "does not take the host's certificate",
        ),
        (
            secured.section("tls", "PLAINTEXT", ""),
            "it may be a listener with TLS",
        ),
        (
            secured.section("sasl-plain", "SASL_SSL", &scram(&right)),
            "it may be a listener without TLS",
        ),
        (tls("sasl"), "it may want SASL"),
        (
            tls("tls").replace("ca.pem", "none.pem"),
            "none.pem\"`: it cannot be read",
        ),
        (
            tls("tls").replace(&ours, &format!("\"{}\"", wrong.display())),
            "no client of Kafka can be made",
        ),
        (
            secured.section("sasl", "SASL_SSL", &scram(Path::new("/none/password"))),
            "the file /none/password cannot be read",
        ),
    ];
    for (n, (section, part)) in cases.iter().enumerate() {
        let config = files.file(&format!("{n}.toml"), section);
        let config = config.display().to_string();
        let said = by_hand(
            Path::new("/dev/null"),
            &["consume", "app-any", "--config", &config],
        );
        let refusal = said.refusal();
        assert!(refusal.contains(part), "{section}{refusal}");
        assert!(!refusal.contains("s3cret"), "{refusal}");
    }
}

/// A deploy is refused with the reason; a job that runs waits, and goes on by itself.
#[test]
fn secured_a_password_is_read_anew_without_a_restart() {
    let secured = Secured::get();
    let files = Files::new();
    let password = files.file("password", "admin-secret\n");
    let login = login("SCRAM-SHA-512", "admin", &password);
    let section = secured.section("sasl", "SASL_SSL", &login);
    let words = Words::new(&files, "app-changed", &section, "one two\n");
    let name = &words.name;
    words.produce();
    let mut host = Host::serve_kafka(&section);
    write(&password, "changed\n").expect("written");
    let refusal = words.deploy(&host).refusal();
    assert!(refusal.contains("does not let the host in"), "{refusal}");
    write(&password, "admin-secret\n").expect("written");
    words.deploy(&host).ok();
    host.wait_records(name, 1, LATE);
    words.produce();

    // As it runs on: the host comes back while the password is another.
    host.kill();
    write(&password, "changed\n").expect("written");
    host.restart();
    wait_until("the job waits, and says why", SOON, || {
        let status = host.status(name);
        status["state"] == "retrying"
            && status["reason"]
                .to_string()
                .contains("does not let the host in")
    });
    write(&password, "admin-secret\n").expect("written");
    host.wait_records(name, 2, LATE);
}
