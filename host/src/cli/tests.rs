mod messages;
mod savepoints;

use super::daemon::Until;
use super::*;
use crate::api::{
    Audit, Checked, DeployRequest, Deployed, Deployment, JobFacts, JobStatus, Jobs, LetterEnd,
    LetterId, LettersAsk, LogLine, Refusal, ReplayRequest, ReplayView, RestoreRequest,
    ShadowRequest, ShadowView, StateAsk, StateView, TakenSavepoint,
};
use crate::config::Config;
use crate::control::fake::FakeJobs;
use clap::CommandFactory;
use clap::error::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use streamhost_connectors::kafka::letters::{LetterPositions, ReadLetters, StoredLetter};
use streamhost_core::protocol::LetterMark;
use tokio::sync::watch;

/// A fake host; what it was started with, and whether it was stopped.
#[derive(Clone, Default)]
struct FakeHost {
    jobs: Arc<FakeJobs>,
    stopped: Arc<AtomicBool>,
    config: Arc<Mutex<Option<Config>>>,
    /// The state that `status` says, instead of the fake's.
    fails: Option<&'static str>,
}

impl Jobs for FakeHost {
    fn deploy(
        &self,
        component: Vec<u8>,
        request: DeployRequest,
        wanted: &dyn Fn() -> bool,
    ) -> Result<Deployed, Refusal> {
        self.jobs.deploy(component, request, wanted)
    }
    fn check(
        &self,
        component: Vec<u8>,
        request: DeployRequest,
        wanted: &dyn Fn() -> bool,
    ) -> Result<Checked, Refusal> {
        self.jobs.check(component, request, wanted)
    }
    fn spool(&self) -> Result<std::fs::File, Refusal> {
        self.jobs.spool()
    }
    fn savepoint_bytes_max(&self) -> u64 {
        self.jobs.savepoint_bytes_max()
    }
    fn savepoint(&self, job: &str, stop: bool) -> Result<TakenSavepoint, Refusal> {
        self.jobs.savepoint(job, stop)
    }
    fn restore(
        &self,
        savepoint: std::fs::File,
        request: RestoreRequest,
        wanted: &dyn Fn() -> bool,
    ) -> Result<Deployed, Refusal> {
        self.jobs.restore(savepoint, request, wanted)
    }
    fn check_restore(
        &self,
        savepoint: std::fs::File,
        request: RestoreRequest,
        wanted: &dyn Fn() -> bool,
    ) -> Result<Checked, Refusal> {
        self.jobs.check_restore(savepoint, request, wanted)
    }
    fn letters(
        &self,
        job: &str,
        below: &LetterPositions,
        most: usize,
    ) -> Result<ReadLetters, Refusal> {
        self.jobs.letters(job, below, most)
    }
    fn letter(
        &self,
        job: &str,
        partition: i32,
        offset: i64,
    ) -> Result<Option<StoredLetter>, Refusal> {
        self.jobs.letter(job, partition, offset)
    }
    fn letter_marks(
        &self,
        job: &str,
        ids: &[LetterId],
    ) -> Result<Vec<Option<LetterMark>>, Refusal> {
        self.jobs.letter_marks(job, ids)
    }
    fn change_letters(
        &self,
        job: &str,
        ids: &[LetterId],
        ask: LettersAsk,
    ) -> Result<Vec<LetterEnd>, Refusal> {
        self.jobs.change_letters(job, ids, ask)
    }
    fn look(&self, job: &str, ask: &StateAsk) -> Result<StateView, Refusal> {
        self.jobs.look(job, ask)
    }
    fn audit(&self) -> &dyn Audit {
        self.jobs.audit()
    }
    fn facts(&self) -> Vec<JobFacts> {
        self.jobs.facts()
    }
    fn list(&self) -> Vec<JobStatus> {
        self.jobs.list()
    }
    fn status(&self, job: &str) -> Result<JobStatus, Refusal> {
        let mut status = self.jobs.status(job)?;
        if let Some(reason) = self.fails {
            (status.state, status.last_error) =
                (crate::api::JobState::Stopped, Some(reason.to_owned()));
        }
        Ok(status)
    }
    fn history(&self, job: &str) -> Result<Vec<Deployment>, Refusal> {
        self.jobs.history(job)
    }
    fn rollback(&self, job: &str, version: Option<u64>) -> Result<Deployed, Refusal> {
        self.jobs.rollback(job, version)
    }
    fn shadow(
        &self,
        component: Vec<u8>,
        request: ShadowRequest,
        wanted: &dyn Fn() -> bool,
    ) -> Result<ShadowView, Refusal> {
        self.jobs.shadow(component, request, wanted)
    }
    fn shadow_of(&self, job: &str) -> Result<ShadowView, Refusal> {
        self.jobs.shadow_of(job)
    }
    fn promote(
        &self,
        job: &str,
        to: Option<streamhost_core::job::Share>,
    ) -> Result<Deployed, Refusal> {
        self.jobs.promote(job, to)
    }
    fn drop_shadow(&self, job: &str) -> Result<(), Refusal> {
        self.jobs.drop_shadow(job)
    }

    fn replay(
        &self,
        component: Option<Vec<u8>>,
        savepoint: Option<std::fs::File>,
        request: ReplayRequest,
        wanted: &dyn Fn() -> bool,
    ) -> Result<ReplayView, Refusal> {
        self.jobs.replay(component, savepoint, request, wanted)
    }

    fn replay_of(&self, job: &str) -> Result<ReplayView, Refusal> {
        self.jobs.replay_of(job)
    }

    fn stop_replay(&self, job: &str) -> Result<ReplayView, Refusal> {
        self.jobs.stop_replay(job)
    }
    fn pause(&self, job: &str) -> Result<JobStatus, Refusal> {
        self.jobs.pause(job)
    }
    fn resume(&self, job: &str, skip_lost: bool) -> Result<JobStatus, Refusal> {
        self.jobs.resume(job, skip_lost)
    }
    fn undeploy(&self, job: &str) -> Result<(), Refusal> {
        self.jobs.undeploy(job)
    }
    fn logs(&self, job: &str, after: u64) -> Result<Vec<LogLine>, Refusal> {
        self.jobs.logs(job, after)
    }
}

impl Engine for FakeHost {
    fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }
}

impl Host for FakeHost {
    fn serve(&self, config: &Config) -> Result<Arc<dyn Engine>, HostError> {
        *self.config.lock().expect("unharmed") = Some(config.clone());
        match config.data_dir.ends_with("broken") {
            true => Err("the data folder is in use by another process".into()),
            false => Ok(Arc::new(self.clone())),
        }
    }

    fn compiler(&self) -> io::Result<streamhost_guest::Compiler> {
        Ok(streamhost_guest::Compiler::Here)
    }

    fn foreground(&self, config: &Config) -> Result<Arc<dyn Engine>, HostError> {
        self.serve(config)
    }

    fn dev(&self, config: Config, asked: DevAddresses) -> Result<Dev, HostError> {
        let given = |address: SocketAddr, port| {
            if address.port() == 0 {
                SocketAddr::new(address.ip(), port)
            } else {
                address
            }
        };
        let addresses = DevAddresses {
            kafka: given(asked.kafka, 19092),
            hbase: given(asked.hbase, 19090),
        };
        Ok(Dev {
            engine: self.serve(&config)?,
            addresses,
        })
    }
}

/// Standard output that tells what comes.
struct Told(mpsc::Sender<String>);

impl Write for Told {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.send(String::from_utf8_lossy(bytes).into_owned());
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A `dev` that runs until dropped.
struct Running {
    host: FakeHost,
    url: String,
    printed: String,
    end: watch::Sender<bool>,
    thread: Option<std::thread::JoinHandle<Result<(), CliError>>>,
}

impl Running {
    fn start() -> Self {
        let host = FakeHost {
            jobs: Arc::new(FakeJobs::with_clicks()),
            ..FakeHost::default()
        };
        let (end, ending) = watch::channel(false);
        let (say, said) = mpsc::channel();
        let served = host.clone();
        let thread = std::thread::spawn(move || {
            let args = Args::try_parse_from([
                "streamhost",
                "dev",
                "--kafka-port",
                "0",
                "--hbase-port=9990",
                "--control-port=0",
            ]);
            let Verb::Dev(args) = args.expect("good arguments").verb else {
                unreachable!("it is dev")
            };
            dev::run(
                args,
                &served,
                &Screen::program(),
                &mut Told(say),
                Until::Told(ending),
            )
        });
        let mut printed = String::new();
        while !printed.ends_with("ready\n") {
            printed += &said.recv().expect("it prints until it is ready");
        }
        let url = printed
            .lines()
            .find_map(|line| line.strip_prefix("control   "))
            .expect("an address")
            .to_owned();
        Running {
            host,
            url,
            printed,
            end,
            thread: Some(thread),
        }
    }

    /// A verb against it: exit code 0 or else, standard output, standard error.
    fn verb(&self, args: &[&str]) -> (bool, String, String) {
        let (verb, rest) = args.split_first().expect("a verb");
        verb_at(&[&[*verb, "--url", &self.url], rest].concat())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end.send_replace(true);
        let ended = self.thread.take().expect("started").join();
        if !std::thread::panicking() {
            ended.expect("no panic").expect("no error");
            assert!(
                self.host.stopped.load(Ordering::SeqCst),
                "the engine is stopped at the end"
            );
        }
    }
}

fn verb_at(args: &[&str]) -> (bool, String, String) {
    let args =
        Args::try_parse_from([&["streamhost"], args].concat()).unwrap_or_else(|e| panic!("{e}"));
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let (host, screen) = (FakeHost::default(), Screen::program());
    let code = run(args, &host, &screen, &mut out, &mut err);
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (code == ExitCode::SUCCESS, text(out), text(err))
}

fn file_with(folder: &Path, bytes: &[u8]) -> String {
    let file = folder.join("clicks.wasm");
    std::fs::write(&file, bytes).expect("written");
    file.to_str().expect("text").to_owned()
}

#[test]
fn the_arguments_are_sound() {
    Args::command().debug_assert();
}

/// The command lines of a verb's examples: up to what the shell takes, or the explanation.
fn examples(verb: &clap::Command) -> Vec<Vec<String>> {
    let help = verb
        .get_after_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    let line = |line: &str| {
        let command = line.trim().split("  ").next()?;
        let command = command.split(['|', '>', '<']).next()?;
        let words = command
            .split_whitespace()
            .map(|word| word.trim_matches(['\'', '"']));
        command
            .starts_with("streamhost")
            .then(|| words.map(str::to_owned).collect())
    };
    help.lines().filter_map(line).collect()
}

#[test]
fn every_verb_has_examples_that_its_arguments_take() {
    for verb in Args::command().get_subcommands() {
        let examples = examples(verb);
        assert!(!examples.is_empty(), "`{}` has no example", verb.get_name());
        for words in examples
            .iter()
            .filter(|words| !words.iter().any(|word| word.contains("$(")))
        {
            Args::try_parse_from(words).unwrap_or_else(|e| panic!("{words:?}: {e}"));
        }
    }
}

#[test]
fn shells_and_readers_get_what_the_command_line_is() {
    for (args, want) in [
        (&["completions", "bash"][..], "_streamhost()"),
        (&["completions", "zsh"], "#compdef streamhost"),
        (&["completions", "fish"], "complete -c streamhost"),
        (&["man"], ".TH streamhost 1"),
    ] {
        let (ok, out, err) = verb_at(args);
        assert!(ok && out.contains(want), "{args:?}: {err}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("text");
    let (ok, _, err) = verb_at(&["man", "--to", path]);
    assert!(ok, "{err}");
    assert!(folder.path().join("streamhost-deploy.1").is_file());
}

#[test]
fn a_component_that_is_none_is_inspected_in_words() {
    let folder = tempfile::tempdir().expect("a folder");
    for (bytes, want) in [
        (&b"text"[..], "this is text, not WebAssembly"),
        (b"\0asm\x0d\0\x01\0", "does not export the contract"),
        (b"\0asm\x0d\0\x01\0\x07", "cut off or damaged"),
    ] {
        let file = file_with(folder.path(), bytes);
        let (ok, out, err) = verb_at(&["inspect", &file]);
        assert!(!ok && out.is_empty() && err.contains(want), "{err}");
        assert!(err.contains(&file), "{err}");
    }
}

#[test]
fn arguments_are_read_and_wrong_ones_are_usage_errors() {
    let good: &[&[&str]] = &[
        &["build"],
        &["build", "some/dir"],
        &[
            "run",
            "x.wasm",
            "--for",
            "30s",
            "--set",
            "every=1s",
            "--set",
            "sink.a=b=c",
            "--create-tables",
            "--name",
            "n",
        ],
        &["serve", "--config", "f.toml"],
        &[
            "dev",
            "--data",
            "d",
            "--kafka-port",
            "0",
            "--hbase-port",
            "0",
            "--control-port",
            "0",
        ],
        &[
            "deploy",
            "x.wasm",
            "--set",
            "start=latest",
            "--reset-state",
            "--output",
            "json",
        ],
        &["list", "--output", "json"],
        &["status"],
        &[
            "status",
            "clicks",
            "--output",
            "text",
            "--url",
            "http://h:1",
        ],
        &["history", "clicks"],
        &["rollback", "clicks"],
        &["rollback", "clicks", "3"],
        &["logs", "clicks", "-f"],
    ];
    for args in good {
        Args::try_parse_from([&["streamhost"], *args].concat())
            .unwrap_or_else(|e| panic!("{args:?}: {e}"));
    }
    let bad: &[&[&str]] = &[
        &[],
        &["deploi"],
        &["deploy"],
        &["deploy", "x.wasm", "--set", "every"],
        &["deploy", "x.wasm", "--set", "=1"],
        &["rollback", "clicks", "0"],
        &["rollback", "clicks", "two"],
        &["run", "x.wasm", "--for", "soon"],
        &["dev", "--kafka-port", "70000"],
        &["list", "--output", "xml"],
        &["pause"],
    ];
    for args in bad {
        let error =
            Args::try_parse_from([&["streamhost"], *args].concat()).expect_err("a usage error");
        assert_eq!(error.exit_code(), 2, "{args:?}");
    }
    let help =
        Args::try_parse_from(["streamhost", "--help"]).expect_err("help is told as an error");
    assert_eq!((help.kind(), help.exit_code()), (ErrorKind::DisplayHelp, 0));
}

#[test]
fn dev_prints_its_addresses_and_serves() {
    let dev = Running::start();
    let lines: Vec<_> = dev.printed.lines().collect();
    assert_eq!(
        lines[..2],
        ["kafka     127.0.0.1:19092", "hbase     127.0.0.1:9990"]
    );
    assert!(
        lines[2].starts_with("control   http://127.0.0.1:") && lines[3] == "ready",
        "{lines:?}"
    );
    let config = dev
        .host
        .config
        .lock()
        .expect("unharmed")
        .clone()
        .expect("started");
    assert_eq!(config.data_dir, Path::new("./streamhost-data"));
    assert_eq!(format!("http://{}", config.control.listen), dev.url);
}

#[test]
fn verbs_print_for_people() {
    let dev = Running::start();
    let folder = tempfile::tempdir().expect("a folder");
    let file = file_with(folder.path(), b"three");
    let digest = "7468726565";
    let active = format!("clicks version 3 is active (deployment 3, sha256 {digest})\n");
    let same = format!(
        "clicks version 3 was active already (deployment 3, sha256 {digest}): nothing changed\n"
    );
    let cases: &[(&[&str], &str)] = &[
        (
            &[
                "deploy",
                &file,
                "--set",
                "every=1s",
                "--set",
                "sink.a=b&c=d",
                "--create-tables",
            ],
            &active,
        ),
        (&["deploy", &file], &same),
        (
            &["rollback", "clicks", "1"],
            "clicks version 1 is active (deployment 4, sha256 6f6e65)\n",
        ),
        (&["pause", "clicks"], "clicks is paused\n"),
        (&["resume", "clicks"], "clicks is running\n"),
        (&["resume", "clicks", "--skip-lost"], "clicks is running\n"),
        (
            &["logs", "clicks"],
            "v2 line 1\\u{1b}[2J\nv2 line 2\\u{1b}[2J\nv2 line 3\\u{1b}[2J\n",
        ),
        (
            &["dead-letters", "clicks", "retry", "0-2", "0-1"],
            "ID   OUTCOME           REASON\n\
             0-2  delivered, 1 row\n\
             0-1  skipped           it has no record\n\
             1 letter done, 1 skipped\n",
        ),
        (
            &["dead-letters", "clicks", "drop", "--all", "--limit", "1"],
            "ID   OUTCOME  REASON\n0-4  dropped\n1 letter done, 0 skipped\n",
        ),
        (
            &[
                "dead-letters",
                "clicks",
                "retry",
                "--all",
                "--reason",
                "none",
            ],
            "ID  OUTCOME  REASON\n0 letters done, 0 skipped\n",
        ),
        (
            &["state", "clicks", "count", "--prefix", "rust"],
            "KEY   WINDOW                                              VALUE  GOES\n\
             rust  2026-11-29 14:00:00 UTC to 2026-11-29 14:05:00 UTC   1000  \
             2026-11-29 14:05:30 UTC\nas of batch 12\n",
        ),
    ];
    for (args, want) in cases {
        assert_eq!(
            dev.verb(args),
            (true, (*want).to_owned(), String::new()),
            "{args:?}"
        );
        if args[0] == "resume" {
            assert_eq!(
                *dev.host.jobs.skipped.lock().expect("unharmed"),
                args.contains(&"--skip-lost")
            );
        }
        if args.contains(&"--create-tables") {
            let (bytes, asked) = dev
                .host
                .jobs
                .asked
                .lock()
                .expect("unharmed")
                .clone()
                .expect("asked");
            assert_eq!(
                (bytes.as_slice(), asked.create_tables, asked.reset_state),
                (b"three".as_slice(), true, false)
            );
            let settings: Vec<_> = asked
                .settings
                .iter()
                .map(|(k, v)| (k.as_str(), v.as_str()))
                .collect();
            assert_eq!(settings, [("every", "1s"), ("sink.a", "b&c=d")]);
        }
    }
    let (_, said, _) = dev.verb(&[
        "deploy",
        &file_with(folder.path(), b"four"),
        "--set",
        "start=latest",
        "--reset-state",
    ]);
    assert!(
        said.ends_with("\nwarning: `start` is for\\na new job\n"),
        "{said}"
    );
    let (_, list, _) = dev.verb(&["list"]);
    assert_eq!(dev.verb(&["status"]).1, list);
    assert!(
        list.starts_with("JOB     STATE    VERSION  RECORDS IN") && list.lines().count() == 2,
        "{list}"
    );
    let (_, status, _) = dev.verb(&["status", "clicks"]);
    for want in [
        "state         running\n",
        "last error    HBase said \"no\"\\nand \\u{1b}[31mmore\n",
        "lag           5 records\n",
        "64.0 MiB of memory, 2s a call",
    ] {
        assert!(status.contains(want), "{want}\n{status}");
    }
    let (_, history, _) = dev.verb(&["history", "clicks"]);
    assert!(
        history
            .lines()
            .nth(1)
            .is_some_and(|line| line.contains("deploy --reset-state"))
            && history.contains("rollback")
            && history.contains("every=1s"),
        "{history}"
    );
    assert!(
        dev.verb(&["undeploy", "clicks", "--yes"])
            .1
            .starts_with("clicks is undeployed")
    );
    assert!(dev.verb(&["list"]).1.contains("no jobs"));
}

#[test]
fn verbs_print_for_programs() {
    let dev = Running::start();
    let json = |args: &[&str]| -> serde_json::Value {
        let (ok, out, err) = dev.verb(&[args, &["--output", "json"]].concat());
        assert!(ok, "{err}");
        serde_json::from_str(&out).expect("JSON")
    };
    let status = json(&["status", "clicks"]);
    for field in [
        "job",
        "state",
        "version",
        "records_in",
        "rows_out",
        "dead_letters",
        "batches",
        "lag",
        "last_error",
    ] {
        assert!(!status[field].is_null(), "{field}");
    }
    assert_eq!(status["state"], "running");
    assert_eq!(json(&["list"])[0], status);
    assert_eq!(json(&["status"])[0], status);
    assert_eq!(json(&["history", "clicks"])[0]["active"], true);
    assert_eq!(json(&["logs", "clicks"])[2]["number"], 3);
    let letters = json(&["dead-letters", "clicks", "list", "--limit", "3"]);
    assert_eq!(letters["letters"].as_array().map(Vec::len), Some(3));
    assert_eq!(letters["next"], "0-2");
    let retried = json(&["dead-letters", "clicks", "retry", "0-2"]);
    assert_eq!(retried["results"][0]["outcome"], "delivered");
    let letter = json(&["dead-letters", "clicks", "show", "0-2"]);
    assert_eq!(letter["retried"]["version"], 2);
    let state = json(&["state", "clicks", "count"]);
    assert_eq!(state["entries"].as_array().map(Vec::len), Some(2));
    let page = json(&["state", "clicks", "count", "--limit", "1"]);
    assert!(page["next"].is_string(), "{page}");
    assert_eq!(json(&["rollback", "clicks"])["version"], 1);
    assert_eq!(json(&["pause", "clicks"])["state"], "paused");
    assert_eq!(json(&["resume", "clicks"])["state"], "running");
    assert_eq!(
        json(&["undeploy", "clicks", "--yes"]),
        serde_json::json!({"job": "clicks", "undeployed": true})
    );
}

#[test]
fn failures_are_one_clear_line() {
    let dev = Running::start();
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path().to_str().expect("text");
    let missing = format!("{here}/none.wasm");
    let (large, empty) = (format!("{here}/large"), format!("{here}/empty"));
    let file = std::fs::File::create(&large).expect("made");
    file.set_len(streamhost_core::limits::COMPONENT_BYTES_MAX as u64 + 1)
        .expect("sparse");
    std::fs::write(&empty, b"").expect("written");
    let invalid = file_with(folder.path(), b"invalid");
    let cases: &[(&[&str], &str)] = &[
        (&["deploy", &missing], "there is no such file"),
        (&["deploy", here], "this is no file"),
        (&["deploy", "/dev/zero"], "this is no file"),
        (&["deploy", &empty], "the file is empty"),
        (&["deploy", &large], "of 67108864 at most"),
        (&["deploy", &invalid], "that is no job"),
        (
            &["deploy", &invalid, "--set", "a=1", "--set", "a=2"],
            "given twice",
        ),
        (&["status", "none"], "there is no job `none`"),
        (&["status", "a/b?c"], "cannot be a job's name"),
        (&["rollback", "clicks", "9"], "no version 9"),
    ];
    for (args, want) in cases {
        let (ok, out, err) = dev.verb(args);
        assert!(
            !ok && out.is_empty() && err.starts_with("error: ") && err.contains(want),
            "{args:?}: {out}{err}"
        );
        assert_eq!(err.lines().count(), 1, "{err}");
    }
}

#[test]
fn a_setting_that_is_given_twice_is_wrong_usage() {
    let args = Args::try_parse_from([
        "streamhost",
        "deploy",
        "x.wasm",
        "--set",
        "a=1",
        "--set",
        "a=2",
    ]);
    let code = run(
        args.expect("it can be read"),
        &FakeHost::default(),
        &Screen::program(),
        &mut Vec::new(),
        &mut Vec::new(),
    );
    assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(2)));
}

#[test]
fn a_large_upload_that_is_refused_shows_the_refusal() {
    let folder = tempfile::tempdir().expect("a folder");
    let (config, token) = (folder.path().join("c.toml"), folder.path().join("token"));
    std::fs::write(&token, "s3cret").expect("written");
    std::fs::write(
        &config,
        "[control]\nlisten = '127.0.0.1:0'\ntoken-file = 'token'",
    )
    .expect("written");
    let (end, ending) = watch::channel(false);
    let (say, said) = mpsc::channel();
    let at = config.to_str().expect("text").to_owned();
    let thread = std::thread::spawn(move || {
        let args =
            Args::try_parse_from(["streamhost", "serve", "--config", &at]).expect("good arguments");
        let Verb::Serve(args) = args.verb else {
            unreachable!("it is serve")
        };
        serve::run(
            args,
            &FakeHost::default(),
            &mut Told(say),
            Until::Told(ending),
        )
    });
    let mut printed = String::new();
    while !printed.ends_with("ready\n") {
        printed += &said.recv().expect("it prints until it is ready");
    }
    let url = printed
        .lines()
        .find_map(|line| line.strip_prefix("control   "))
        .expect("an address");
    let file = file_with(folder.path(), &vec![7; 16 << 20]); // more than the sockets between hold
    let (ok, _, err) = verb_at(&["deploy", &file, "--url", url]);
    assert!(!ok && err.contains("STREAMHOST_TOKEN"), "{err}");
    end.send_replace(true);
    thread.join().expect("no panic").expect("no error");
}

#[test]
fn a_daemon_that_is_not_there_or_none_is_told_apart() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("bound");
    let (ok, _, err) = verb_at(&["list", "--url", &format!("http://{closed}")]);
    assert!(
        !ok && err.contains(&format!(
            "no streamhost daemon answers at http://{closed}: start one with `streamhost dev`"
        )),
        "{err}"
    );

    let cases = [
        (
            "404 Not Found",
            "no\n",
            "no streamhost daemon (HTTP status 404)",
        ),
        (
            "200 OK",
            "<p>hello",
            "no streamhost daemon (HTTP status 200)",
        ),
        (
            "200 OK",
            r#"[{"job":"clicks","state":"dreaming"}]"#,
            "speaks another version than this command line",
        ),
    ];
    for (status, body, want) in cases {
        let other = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = other.local_addr().expect("bound");
        let page = std::thread::spawn(move || {
            let (mut stream, _) = other.accept().expect("asked");
            let mut head = [0; 1024];
            assert_ne!(
                io::Read::read(&mut stream, &mut head).expect("a request"),
                0
            );
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            stream.write_all(answer.as_bytes()).expect("sent");
        });
        let (ok, _, err) = verb_at(&["list", "--url", &address.to_string()]);
        assert!(!ok && err.contains(want), "{err}");
        page.join().expect("no panic");
    }

    for (url, want) in [
        ("ftp://h", "must be like"),
        ("http://", "must be like"),
        ("a b", "must be like"),
    ] {
        let (ok, _, err) = verb_at(&["list", "--url", url]);
        assert!(!ok && err.contains(want), "{url}: {err}");
    }
}

/// `run` with a fake host: its result, and what it wrote to standard error.
fn run_job(host: &FakeHost, folder: &Path, more: &[&str]) -> (Result<(), String>, String) {
    let file = file_with(folder, b"bytes");
    let config = folder.join("streamhost.toml");
    std::fs::write(&config, "data-dir = 'data'").expect("written");
    let config = config.to_str().expect("text");
    let args =
        Args::try_parse_from([&["streamhost", "run", &file, "--config", config], more].concat());
    let Verb::Run(args) = args.expect("good arguments").verb else {
        unreachable!("it is run")
    };
    let (_end, ending) = watch::channel(false);
    let mut err = Vec::new();
    let done = run::run(args, host, &mut err, Until::Told(ending));
    (
        done.map_err(|e| e.to_string()),
        String::from_utf8(err).expect("text"),
    )
}

#[test]
fn run_ends_after_its_time_with_a_summary() {
    let (host, folder) = (FakeHost::default(), tempfile::tempdir().expect("a folder"));
    let (done, said) = run_job(&host, folder.path(), &["--for", "10ms"]);
    assert_eq!(done, Ok(()));
    assert_eq!(
        said,
        "clicks ended: 1000 records in, 990 rows out, 7 dead letters, 3 dropped, 12 batches\n"
    );
    assert!(host.stopped.load(Ordering::SeqCst));
    let config = host
        .config
        .lock()
        .expect("unharmed")
        .clone()
        .expect("started");
    assert_eq!(config.data_dir, folder.path().join("data/run/clicks"));
}

#[test]
fn run_tells_what_this_run_did() {
    let host = FakeHost {
        jobs: Arc::new(FakeJobs::with_clicks()),
        ..FakeHost::default()
    };
    let folder = tempfile::tempdir().expect("a folder");
    let (done, said) = run_job(&host, folder.path(), &["--for", "10ms"]);
    assert_eq!(done, Ok(()));
    assert_eq!(
        said,
        "clicks ended: 0 records in, 0 rows out, 0 dead letters, 0 dropped, 0 batches\n"
    );
}

#[test]
fn run_goes_on_only_where_it_was_and_tells_what_is_to_be_known() {
    let (host, folder) = (FakeHost::default(), tempfile::tempdir().expect("a folder"));
    let resumes = || *host.jobs.resumes.lock().expect("unharmed");
    let (done, said) = run_job(
        &host,
        folder.path(),
        &["--for", "10ms", "--set", "start=latest"],
    );
    assert_eq!(
        (done, resumes()),
        (Ok(()), 0),
        "a deployment that is new runs already, or is finished already"
    );
    assert!(
        said.starts_with("warning: `start` is for\\na new job\n"),
        "{said}"
    );
    let (done, said) = run_job(&host, folder.path(), &["--for", "10ms"]);
    assert_eq!((done, resumes()), (Ok(()), 1));
    assert!(said.starts_with("clicks ended: "), "{said}");
}

#[test]
fn run_fails_when_its_job_stops_or_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = FakeHost {
        fails: Some("table `t` is gone"),
        ..FakeHost::default()
    };
    let (done, said) = run_job(&host, folder.path(), &[]);
    assert_eq!(
        (done, said.as_str()),
        (
            Err("job `clicks` stopped: table `t` is gone".to_owned()),
            ""
        )
    );
    assert!(host.stopped.load(Ordering::SeqCst));

    let host = FakeHost::default();
    let (done, _) = run_job(&host, folder.path(), &["--name", "broken"]);
    assert!(
        done.expect_err("its folder is broken")
            .contains("in use by another process")
    );
}

#[test]
fn serve_refuses_what_cannot_be_before_it_starts() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("c.toml");
    let serve = |text: &str| {
        std::fs::write(&config, text).expect("written");
        verb_at(&["serve", "--config", config.to_str().expect("text")])
    };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound");
    let cases = [
        (
            format!("[control]\nlisten = \"{address}\""),
            "another daemon may run here",
        ),
        (
            "[control]\nlisten = \"127.0.0.1:0\"\n[kafka]\nbrokers = 1".to_owned(),
            "`kafka.brokers`",
        ),
        (
            "data-dir = \"broken\"\n[control]\nlisten = \"127.0.0.1:0\"".to_owned(),
            "in use by another process",
        ),
    ];
    for (text, want) in cases {
        let (ok, out, err) = serve(&text);
        assert!(
            !ok && out.is_empty() && err.contains(want),
            "{text}: {out}{err}"
        );
    }
}
