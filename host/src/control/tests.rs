use super::fake::FakeJobs;
use super::*;
use crate::access::Role;
use axum::http::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, Read, Write};
use std::net::TcpStream;
use std::time::Instant;
use tokio::sync::oneshot;

/// A served API that ends with the test.
pub(super) struct Served {
    address: SocketAddr,
    pub(super) jobs: Arc<FakeJobs>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<io::Result<()>>>,
}

/// Tokens of a file.
pub(super) fn tokens(text: &str) -> Tokens {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("written");
    Tokens::read(file.path()).expect("good tokens")
}

impl Served {
    pub(super) fn start(token: Option<&str>, bounds: Bounds) -> Self {
        let guard = Guard {
            tokens: token.map(tokens),
            tls: None,
        };
        Served::guarded(guard, bounds)
    }

    pub(super) fn guarded(guard: Guard, bounds: Bounds) -> Self {
        let jobs = Arc::new(FakeJobs::with_clicks());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("bound");
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&jobs);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()?;
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener)?;
                let stop = async { stopped.await.unwrap_or(()) };
                serve_within(bounds, listener, (served, None), guard, stop).await
            })
        });
        Served {
            address,
            jobs,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends bytes, reads all that comes back: the status, the head, the body.
    fn raw(&self, request: &[u8]) -> (u16, String, String) {
        let mut stream = TcpStream::connect(self.address).expect("served");
        stream.write_all(request).expect("sent");
        let mut text = Vec::new();
        stream.read_to_end(&mut text).expect("answered");
        let text = String::from_utf8(text).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|s| s.parse().ok())
            .unwrap_or(0);
        (status, head.to_ascii_lowercase(), body.to_owned())
    }

    pub(super) fn ask(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> (u16, Value) {
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n",
            self.address
        );
        let (status, _, body) = self.raw(&[head.as_bytes(), body].concat());
        (
            status,
            serde_json::from_str(&body).unwrap_or(Value::String(body)),
        )
    }

    pub(super) fn get(&self, path: &str) -> (u16, Value) {
        self.ask("GET", path, "", b"")
    }

    /// Opens a stream of events, and reads its head.
    pub(super) fn open_events(&self, query: &str) -> std::io::BufReader<TcpStream> {
        let mut stream = TcpStream::connect(self.address).expect("served");
        let head = format!(
            "GET /v1/events{query} HTTP/1.1\r\nHost: {}\r\n\r\n",
            self.address
        );
        stream.write_all(head.as_bytes()).expect("sent");
        let mut reader = std::io::BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).expect("answered");
        assert!(line.starts_with("HTTP/1.1 200"), "{line}");
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line).expect("a head");
        }
        reader
    }

    /// The first events of a stream, with their names.
    pub(super) fn events(&self, query: &str, count: usize) -> Vec<(String, Value)> {
        let (mut events, mut name) = (Vec::new(), String::new());
        for line in self.open_events(query).lines() {
            let line = line.expect("text");
            if let Some(told) = line.strip_prefix("event: ") {
                name = told.to_owned();
            } else if let Some(data) = line.strip_prefix("data: ") {
                events.push((name.clone(), serde_json::from_str(data).expect("JSON")));
            }
            if events.len() == count {
                break;
            }
        }
        events
    }

    pub(super) fn deploy(&self, query: &str, body: &[u8]) -> (u16, Value) {
        self.ask(
            "POST",
            &format!("/v1/jobs{query}"),
            "Content-Type: application/wasm\r\n",
            body,
        )
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().expect("started").join();
        if !std::thread::panicking() {
            ended.expect("no panic").expect("no error");
        }
    }
}

pub(super) fn served() -> Served {
    Served::start(None, Bounds::default())
}

#[test]
fn every_call_answers_as_documented() {
    let api = served();
    let (status, list) = api.get("/v1/jobs");
    assert_eq!(
        (status, &list[0]["job"], &list[0]["state"]),
        (200, &json!("clicks"), &json!("running"))
    );
    let (status, one) = api.get("/v1/jobs/clicks");
    assert_eq!(
        (status, &one["version"], &one["lag"]),
        (200, &json!(2), &json!(5))
    );
    assert_eq!(api.get("/v1/jobs/clicks/history").1[1]["version"], json!(1));
    assert_eq!(
        api.get("/v1/jobs/clicks/logs?after=2").1,
        json!([{"number": 3, "version": 2, "line": "line 3\u{1b}[2J"}])
    );
    assert_eq!(
        api.ask("POST", "/v1/jobs/clicks/pause", "", b"").1["state"],
        json!("paused")
    );
    let resumed = |body: &[u8]| {
        let state = api.ask("POST", "/v1/jobs/clicks/resume", "", body).1["state"].clone();
        (state, *api.jobs.skipped.lock().expect("unharmed"))
    };
    assert_eq!(resumed(b"{\"skip_lost\": true}"), (json!("running"), true));
    assert_eq!(resumed(b""), (json!("running"), false));
    assert_eq!(
        api.ask("POST", "/v1/jobs/clicks/rollback", "", b"").1["version"],
        json!(1)
    );
    assert_eq!(
        api.ask("POST", "/v1/jobs/clicks/rollback", "", b"{\"version\": 2}")
            .1["version"],
        json!(2)
    );
    assert_eq!(
        api.ask("DELETE", "/v1/jobs/clicks", "", b""),
        (204, json!(""))
    );
    assert_eq!(api.get("/v1/jobs").1, json!([]));
    assert_eq!(api.get("/healthz"), (200, json!("alive\n")));
    assert_eq!(api.get("/readyz"), (200, json!("ready\n")));
    *api.jobs.retrying.lock().expect("unharmed") = true;
    assert_eq!(api.get("/readyz").0, 200, "there is no job that waits");
    let (status, page) = api.get("/");
    assert!(
        status == 200
            && page
                .as_str()
                .is_some_and(|page| page.contains("<title>streamhost</title>"))
    );
}

#[test]
fn a_host_whose_jobs_wait_or_stopped_is_ready_and_says_so() {
    let api = served();
    *api.jobs.retrying.lock().expect("unharmed") = true;
    assert_eq!(
        api.get("/readyz"),
        (200, json!("ready\njob `clicks` waits: Kafka\n"))
    );
    *api.jobs.stopped.lock().expect("unharmed") = true;
    assert_eq!(
        api.get("/readyz"),
        (
            200,
            json!("ready\njob `clicks` has stopped: HBase said \"no\" and \u{1b}[31mmore\n")
        )
    );
    assert_eq!(api.get("/healthz").0, 200);
}

#[test]
fn a_host_that_cannot_write_its_folder_is_not_ready_and_says_what_to_do() {
    let api = served();
    let reason = streamhost_core::state::broken("No space left on device");
    *api.jobs.broken.lock().expect("unharmed") = Some(reason);
    let (status, said) = api.get("/readyz");
    assert_eq!(status, 503);
    assert!(said.to_string().contains("restart streamhost"), "{said}");
}

#[test]
fn a_deployment_takes_its_request_from_the_query() {
    let api = served();
    let (status, said) = api.deploy(
        "?name=mine&set=every%3D1s&set=sink.a=b%3Dc&create-tables=true&reset-state",
        b"bytes",
    );
    assert_eq!(
        (status, &said["job"], &said["changed"]),
        (200, &json!("mine"), &json!(true)),
        "{said}"
    );
    let asked = api
        .jobs
        .asked
        .lock()
        .expect("unharmed")
        .clone()
        .expect("it was asked");
    assert_eq!(asked.0, b"bytes");
    let settings: BTreeMap<_, _> = [("every", "1s"), ("sink.a", "b=c")]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .into();
    assert_eq!(asked.1.settings, settings);
    assert_eq!(
        (
            asked.1.name.as_deref(),
            asked.1.create_tables,
            asked.1.reset_state
        ),
        (Some("mine"), true, true)
    );
    assert_eq!(
        api.deploy("?name=mine", b"bytes").1["changed"],
        json!(false)
    );
}

#[test]
fn what_is_wrong_is_said_with_the_right_status() {
    let api = served();
    let wasm = "Content-Type: application/wasm\r\n";
    type Case = (
        &'static str,
        &'static str,
        &'static str,
        &'static [u8],
        u16,
        &'static str,
    );
    let cases: &[Case] = &[
        ("GET", "/v1/nothing", "", b"", 404, "nothing at /v1/nothing"),
        ("GET", "/v1/jobs/", "", b"", 404, "nothing at"),
        ("PUT", "/v1/jobs", "", b"", 405, "does not take PUT"),
        ("GET", "/v1/jobs/none", "", b"", 404, "no job `none`"),
        ("GET", "/v1/jobs/%ff", "", b"", 400, "path"),
        (
            "POST",
            "/v1/jobs/clicks/rollback",
            "",
            b"{",
            400,
            "{\"version\": NUMBER}",
        ),
        (
            "POST",
            "/v1/jobs/clicks/rollback",
            "",
            b"{\"versoin\": 1}",
            400,
            "versoin",
        ),
        (
            "POST",
            "/v1/jobs/clicks/rollback",
            "",
            b"{\"version\": -1}",
            400,
            "NUMBER",
        ),
        (
            "POST",
            "/v1/jobs/clicks/resume",
            "",
            b"{\"skip_lots\": true}",
            400,
            "{\"skip_lost\": true}",
        ),
        (
            "POST",
            "/v1/jobs/clicks/rollback",
            "",
            b"{\"version\": 9}",
            404,
            "no version 9",
        ),
        (
            "GET",
            "/v1/jobs/clicks/logs?after=x",
            "",
            b"",
            400,
            "number of a line",
        ),
        (
            "GET",
            "/v1/jobs/clicks/logs?aftr=1",
            "",
            b"",
            400,
            "did you mean `after`?",
        ),
        ("POST", "/v1/jobs", "", b"x", 415, "application/wasm"),
        (
            "POST",
            "/v1/jobs?nme=x",
            wasm,
            b"x",
            400,
            "did you mean `name`?",
        ),
        ("POST", "/v1/jobs?set=every", wasm, b"x", 400, "KEY=VALUE"),
        (
            "POST",
            "/v1/jobs?set=a=1&set=a=2",
            wasm,
            b"x",
            400,
            "set twice",
        ),
        (
            "POST",
            "/v1/jobs?create-tables=maybe",
            wasm,
            b"x",
            400,
            "true or false",
        ),
        ("POST", "/v1/jobs", wasm, b"invalid", 422, "that is no job"),
        ("POST", "/v1/jobs", wasm, b"conflict", 409, "under way"),
        (
            "POST",
            "/v1/jobs",
            wasm,
            b"unavailable",
            503,
            "does not answer",
        ),
        (
            "POST",
            "/v1/jobs",
            wasm,
            b"panic",
            500,
            "broke inside the host",
        ),
        (
            "GET",
            "/v1/jobs/panic",
            "",
            b"",
            500,
            "broke inside the host",
        ),
        (
            "POST",
            "/v1/jobs/clicks/pause",
            "Origin: http://evil.example\r\n",
            b"",
            403,
            "web pages from elsewhere",
        ),
        (
            "POST",
            "/v1/jobs/clicks/pause",
            "Origin: null\r\n",
            b"",
            403,
            "web pages from elsewhere",
        ),
    ];
    for (method, path, headers, body, want, words) in cases {
        let (status, said) = api.ask(method, path, headers, body);
        let error = said["error"].as_str().unwrap_or_default();
        assert!(
            status == *want && error.contains(words),
            "{method} {path}: {status} {said}"
        );
    }
    let own = format!("Origin: http://{}\r\n", api.address);
    assert_eq!(
        api.ask("POST", "/v1/jobs/clicks/pause", &own, b"").0,
        200,
        "the daemon's own page may"
    );
    assert_eq!(api.get("/v1/jobs").0, 200, "and the host is still there");
}

#[test]
fn a_foreign_host_name_is_refused() {
    let api = served();
    let (status, _, body) =
        api.raw(b"GET /v1/jobs HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    assert!(
        status == 403 && body.contains("localhost"),
        "{status} {body}"
    );
    assert_eq!(
        api.raw(b"GET /v1/jobs HTTP/1.0\r\n\r\n").0,
        200,
        "no name is no foreign one"
    );
}

#[test]
fn only_the_token_opens() {
    let api = Served::start(Some("s3cret"), Bounds::default());
    let with = |header: &str| api.ask("GET", "/v1/jobs", header, b"").0;
    assert_eq!(with(""), 401);
    assert_eq!(with("Authorization: Bearer wrong\r\n"), 401);
    assert_eq!(with("Authorization: Basic s3cret\r\n"), 401);
    assert_eq!(with("Authorization: Bearer s3cret\r\n"), 200);
    assert_eq!(with("authorization: bearer s3cret\r\n"), 200);
    for (path, want) in [
        ("/", 200),
        ("/healthz", 200),
        ("/readyz", 200),
        ("/metrics", 401),
        ("/v1/nothing", 401),
    ] {
        assert_eq!(api.get(path).0, want, "{path}");
    }
    *api.jobs.retrying.lock().expect("unharmed") = true;
    let waits = |header: &str| api.ask("GET", "/readyz", header, b"");
    assert_eq!(waits(""), (200, json!("ready\n")), "nothing of the jobs");
    assert_eq!(
        waits("Authorization: Bearer s3cret\r\n"),
        (200, json!("ready\njob `clicks` waits: Kafka\n"))
    );
    let words = |header: &str| api.ask("GET", "/v1/jobs", header, b"").1["error"].to_string();
    assert!(words("").contains("wants its token"));
    assert!(words("Authorization: Bearer wrong\r\n").contains("is not the daemon's"));
    let (_, head, _) = api.raw(b"GET /v1/jobs HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(head.contains("www-authenticate: bearer"), "{head}");
}

/// Each route with each role, and without a token.
#[test]
fn each_role_may_do_what_is_its_own_and_no_more() {
    let tokens = "ann read aaa\nops operate ooo\ndee deploy ddd";
    let api = Served::start(Some(tokens), Bounds::default());
    let ask = |method: &Method, path: &str, secret: &str| {
        let bearer = format!("Authorization: Bearer {secret}\r\n");
        let path = path.replace("{job}", "none").replace("{id}", "0-1");
        api.ask(method.as_str(), &path.replace("{stage}", "s"), &bearer, b"")
    };
    for (method, path, _) in handlers::routes() {
        if path == "/v1/events" {
            continue; // it never ends
        }
        let needed = roles::needed(&method, path).expect("a role");
        for (secret, role) in ["aaa", "ooo", "ddd"].into_iter().zip(Role::ALL) {
            let (status, answer) = ask(&method, path, secret);
            assert_eq!(
                status == 403,
                role < needed,
                "{method} {path} as {role:?}: {answer}"
            );
            assert_ne!(status, 401, "{method} {path}");
        }
        let open = ["/healthz", "/readyz"].contains(&path);
        assert_eq!(
            ask(&method, path, "wrong").0 == 401,
            !open,
            "{method} {path}"
        );
    }
    let (status, answer) = ask(&Method::POST, "/v1/jobs/clicks/pause", "aaa");
    let words = answer["error"].as_str().unwrap_or_default();
    assert!(
        status == 403 && words.contains("`ann` has the role `read`, and this needs `operate`"),
        "{words}"
    );
    assert_eq!(ask(&Method::POST, "/v1/jobs/clicks/pause", "ooo").0, 200);
    assert_eq!(ask(&Method::GET, "/v1/nothing", "aaa").0, 404);
    assert_eq!(ask(&Method::PUT, "/v1/jobs", "ddd").0, 403);
}

#[test]
fn large_bodies_are_refused_at_once_and_in_the_stream() {
    let bounds = Bounds {
        upload_bytes_max: 1000,
        ..Bounds::default()
    };
    let api = Served::start(None, bounds);
    assert_eq!(api.deploy("", &[7; 1000]).0, 200);
    let named = format!(
        "POST /v1/jobs HTTP/1.1\r\nHost: {}\r\nContent-Type: application/wasm\r\nConnection: close\r\n",
        api.address
    );
    let told = format!("{named}Content-Length: 1001\r\n\r\n");
    let (status, _, body) = api.raw(told.as_bytes());
    assert!(
        status == 413 && body.contains("more than 1000 bytes"),
        "{status} {body}"
    );
    let chunked = format!(
        "{named}Transfer-Encoding: chunked\r\n\r\n3e9\r\n{}\r\n0\r\n\r\n",
        "x".repeat(1001)
    );
    assert_eq!(api.raw(chunked.as_bytes()).0, 413);
    let large = vec![b' '; limits::HTTP_BODY_BYTES_MAX + 1];
    let told = format!(
        "POST /v1/jobs/clicks/rollback HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        api.address,
        large.len()
    );
    assert_eq!(api.raw(told.as_bytes()).0, 413);
}

#[test]
fn clients_that_stall_are_let_go_and_make_room() {
    let short = Duration::from_millis(100);
    let bounds = Bounds {
        connections_max: 2,
        head_time: short,
        body_time: short,
        ..Bounds::default()
    };
    let api = Served::start(None, bounds);
    let idle: Vec<_> = (0..4)
        .map(|_| TcpStream::connect(api.address).expect("the system's queue takes it"))
        .collect();
    assert_eq!(
        api.get("/v1/jobs").0,
        200,
        "though more clients than places sit idle"
    );
    drop(idle);
    let (status, ..) = api.raw(b"GET /v1/jobs HTTP/1.1\r\nHo");
    assert!(
        status == 0 || status == 408,
        "half a head ends the connection: {status}"
    );
    let half = format!(
        "POST /v1/jobs HTTP/1.1\r\nHost: {}\r\nContent-Type: application/wasm\r\nConnection: close\r\nContent-Length: 9\r\n\r\nhalf",
        api.address
    );
    assert_eq!(api.raw(half.as_bytes()).0, 408);
}

#[test]
fn silent_clients_keep_nobody_waiting() {
    let long = Duration::from_secs(600);
    let api = Served::start(
        None,
        Bounds {
            connections_max: 8,
            head_time: long,
            ..Bounds::default()
        },
    );
    api.jobs.hold(true);
    let asking: Vec<_> = (0..4)
        .map(|_| {
            let mut stream = TcpStream::connect(api.address).expect("served");
            stream
                .write_all(b"GET /v1/jobs/clicks/history HTTP/1.1\r\nHost: localhost\r\n\r\n")
                .expect("sent");
            stream
        })
        .collect();
    while *api.jobs.asked_history.lock().expect("unharmed") < asking.len() {
        std::thread::yield_now(); // until their requests are under way
    }
    let silent: Vec<_> = (0..30)
        .map(|_| TcpStream::connect(api.address).expect("served"))
        .collect();
    assert_eq!(api.get("/healthz").0, 200, "at once, not after their time");
    assert_eq!(api.get("/v1/jobs").0, 200);
    api.jobs.hold(false);
    for mut stream in asking {
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).expect("answered");
        assert_eq!(&answer, b"HTTP/1.1 200", "a call under way is not cut off");
    }
    drop(silent);
}

#[test]
fn uploads_that_stall_keep_nobody_from_deploying_or_connecting() {
    let long = Duration::from_secs(600);
    let bounds = Bounds {
        connections_max: 8,
        body_time: long,
        turn_time: long,
        // Room for one component beside what all that stall have sent.
        upload_bytes_max: 1000,
        uploads_bytes_max: 1000 + 30 * 4,
        ..Bounds::default()
    };
    let api = Served::start(None, bounds);
    let half = format!(
        "POST /v1/jobs HTTP/1.1\r\nHost: {}\r\nContent-Type: application/wasm\r\nContent-Length: 900\r\n\r\nhalf",
        api.address
    );
    let stalled: Vec<_> = (0..30)
        .map(|_| {
            let mut stream = TcpStream::connect(api.address).expect("served");
            stream.write_all(half.as_bytes()).expect("sent");
            stream
        })
        .collect();
    assert_eq!(api.get("/healthz").0, 200, "at once, not after their time");
    assert_eq!(api.deploy("", &[7; 1000]).0, 200);
    drop(stalled);
}

#[test]
fn a_client_that_asks_too_often_is_told_to_wait_and_others_are_answered() {
    let bounds = Bounds {
        burst_max: 20,
        ..Bounds::default()
    };
    let api = Served::start(Some("ann read aaa\nbob read bbb\n"), bounds);
    let ask = |secret: &str| {
        let request = format!(
            "GET /v1/jobs HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAuthorization: Bearer {secret}\r\n\r\n",
            api.address
        );
        api.raw(request.as_bytes())
    };
    let mut refused = None;
    // However slow this machine is, it asks faster than the host answers one client for long.
    for _ in 0..100_000 {
        let (status, head, body) = ask("aaa");
        if status == 429 {
            refused = Some((head, body));
            break;
        }
        assert_eq!(status, 200, "{body}");
    }
    let (head, body) = refused.expect("it is too often once");
    assert!(
        head.to_ascii_lowercase().contains("retry-after: 1"),
        "{head}"
    );
    assert!(
        body.contains("asks too often") && body.contains("/v1/events"),
        "{body}"
    );
    assert_eq!(ask("bbb").0, 200, "another token is another client");
    assert_eq!(ask("wrong").0, 401, "and so is an address");
}

#[test]
fn a_client_is_told_who_it_is_and_what_it_may() {
    let me = |api: &Served, secret: &str| {
        let request = format!(
            "GET /v1/me HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAuthorization: Bearer {secret}\r\n\r\n",
            api.address
        );
        let (status, _, body) = api.raw(request.as_bytes());
        (status, serde_json::from_str::<Value>(&body).expect("JSON"))
    };
    let open = served();
    assert_eq!(me(&open, "").1, json!({"name": null, "role": "deploy"}));
    let api = Served::start(Some("ann read aaa\nbob operate bbb\n"), Bounds::default());
    assert_eq!(me(&api, "aaa").1, json!({"name": "ann", "role": "read"}));
    assert_eq!(me(&api, "bbb").1, json!({"name": "bob", "role": "operate"}));
    assert_eq!(me(&api, "wrong").0, 401);
}

#[test]
fn changes_that_wait_keep_no_reader_waiting() {
    let bounds = Bounds {
        changes_max: 2,
        turn_time: Duration::from_millis(50),
        ..Bounds::default()
    };
    let api = Served::start(None, bounds);
    api.jobs.hold(true);
    let asking: Vec<_> = (0..bounds.changes_max)
        .map(|_| {
            let mut stream = TcpStream::connect(api.address).expect("served");
            let head = "POST /v1/jobs/clicks/pause HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(head.as_bytes()).expect("sent");
            stream
        })
        .collect();
    while *api.jobs.pauses.lock().expect("unharmed") < asking.len() {
        std::thread::yield_now(); // until they are under way
    }
    let (status, said) = api.ask("POST", "/v1/jobs/clicks/resume", "", b"");
    assert!(
        status == 503
            && said["error"]
                .as_str()
                .is_some_and(|error| error.contains("busy")),
        "{status} {said}"
    );
    assert_eq!(
        [
            api.get("/v1/jobs").0,
            api.get("/metrics").0,
            api.get("/readyz").0
        ],
        [200; 3]
    );
    api.jobs.hold(false);
}

#[test]
fn a_deployment_whose_client_leaves_is_wanted_no_longer() {
    let api = served();
    let mut stream = TcpStream::connect(api.address).expect("served");
    let request = format!(
        "POST /v1/jobs HTTP/1.1\r\nHost: {}\r\nContent-Type: application/wasm\r\nContent-Length: 4\r\n\r\nslow",
        api.address
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let asked = || {
        let asked = api.jobs.asked.lock().expect("no panic");
        asked.as_ref().is_some_and(|(bytes, _)| bytes == b"slow")
    };
    while !asked() {
        std::thread::yield_now();
    }
    assert!(!*api.jobs.unwanted.lock().expect("no panic"));
    drop(stream);
    let began = Instant::now();
    while !*api.jobs.unwanted.lock().expect("no panic") {
        assert!(began.elapsed() < Duration::from_secs(30), "it is held");
        std::thread::yield_now();
    }
}

#[test]
fn stopping_lets_a_call_under_way_end() {
    let mut api = served();
    api.jobs.hold(true);
    let mut stream = TcpStream::connect(api.address).expect("served");
    let request = format!(
        "GET /v1/jobs/clicks/history HTTP/1.1\r\nHost: {}\r\n\r\n",
        api.address
    );
    stream.write_all(request.as_bytes()).expect("sent");
    assert_eq!(api.get("/v1/jobs").0, 200, "others are served meanwhile");
    drop(api.stop.take());
    while TcpStream::connect(api.address).is_ok() {
        std::thread::yield_now(); // until the listener is gone
    }
    api.jobs.hold(false);
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .expect("answered, and closed");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn a_call_that_hangs_does_not_hold_the_stop_for_ever() {
    let mut api = Served::start(
        None,
        Bounds {
            stop_time: Duration::from_millis(50),
            ..Bounds::default()
        },
    );
    api.jobs.hold(true);
    let mut stream = TcpStream::connect(api.address).expect("served");
    stream
        .write_all(b"GET /v1/jobs/clicks/history HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .expect("sent");
    assert_eq!(api.get("/v1/jobs").0, 200);
    drop(api.stop.take());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer); // the end, or a reset
    assert!(answer.is_empty(), "it was cut off");
    api.jobs.hold(false);
}

#[tokio::test]
async fn beyond_loopback_a_token_is_needed() {
    let listener = TcpListener::bind("0.0.0.0:0").await.expect("a free port");
    let refused = serve(
        listener,
        Arc::new(FakeJobs::default()),
        Guard::default(),
        &TraceSettings::default(),
        std::future::ready(()),
    )
    .await;
    assert!(
        refused
            .expect_err("no token")
            .to_string()
            .contains("token-file")
    );
    let listener = TcpListener::bind("0.0.0.0:0").await.expect("a free port");
    serve(
        listener,
        Arc::new(FakeJobs::default()),
        Guard {
            tokens: Some(tokens("s3cret")),
            tls: None,
        },
        &TraceSettings::default(),
        std::future::ready(()),
    )
    .await
    .expect("with a token it may");
}

#[test]
fn metrics_are_in_prometheus_format() {
    let api = served();
    let (status, text) = api.get("/metrics");
    let text = text.as_str().expect("text");
    assert_eq!(status, 200);
    let of_job = "streamhost_job=\"clicks\"";
    for want in [
        &*format!("streamhost_job_records_in_total{{{of_job}}} 1000"),
        &format!("streamhost_job_lag_records{{{of_job}}} 5"),
        &format!("streamhost_job_state{{{of_job},state=\"running\"}} 1"),
        &format!("streamhost_job_state{{{of_job},state=\"stopped\"}} 0"),
        &format!("streamhost_sink_rows_total{{{of_job},sink=\"clicks\",place=\"c\\\"2\"}} 990"),
        &format!("streamhost_sink_errors_total{{{of_job},sink=\"clicks\"}} 0.0"),
        &format!(
            "streamhost_partition_lag_records{{{of_job},source=\"clicks\",partition=\"1\"}} 2"
        ),
        &format!("streamhost_stage_keys{{{of_job},stage=\"count\"}} 4"),
        &format!("streamhost_batch_step_duration_seconds_count{{{of_job},step=\"gather\"}} 0"),
        "streamhost_jobs 1",
    ] {
        assert!(text.lines().any(|line| line == want), "{want}\n{text}");
    }
    assert!(text.contains("streamhost_build_info{version="));
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().expect("a name");
        let parts = ["_bucket", "_sum", "_count"];
        let family = parts.iter().find_map(|part| name.strip_suffix(part));
        let has_type = |name: &str| text.contains(&format!("# TYPE {name} "));
        assert!(
            has_type(name) || family.is_some_and(has_type),
            "{name} has no type"
        );
    }
}

#[test]
fn answers_are_gzipped_where_that_is_asked() {
    let api = served();
    for (asks, path, gzipped) in [
        ("", "/metrics", false),
        ("Accept-Encoding: gzip\r\n", "/metrics", true),
        ("Accept-Encoding: gzip\r\n", "/v1/jobs", true),
        ("Accept-Encoding: gzip\r\n", "/v1/events", false),
    ] {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{asks}\r\n",
            api.address
        );
        let mut stream = TcpStream::connect(api.address).expect("served");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut head = String::new();
        let mut reader = std::io::BufReader::new(stream);
        while reader.read_line(&mut head).expect("a line") > 2 {}
        let is = head.to_lowercase().contains("content-encoding: gzip");
        assert_eq!(is, gzipped, "{path}: {head}");
    }
}
