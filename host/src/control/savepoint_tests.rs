use crate::control::Bounds;
use crate::control::tests::{Served, served};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;

const BYTES: &str = "Content-Type: application/octet-stream\r\n";

/// A savepoint as it is sent.
fn taken(api: &Served, path: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(api.address()).expect("served");
    let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("sent");
    let mut all = Vec::new();
    stream.read_to_end(&mut all).expect("answered");
    let end = b"\r\n\r\n";
    let at = all.windows(end.len()).position(|four| four == end);
    let body = all.split_off(at.expect("a head") + end.len());
    (String::from_utf8_lossy(&all).to_ascii_lowercase(), body)
}

#[test]
fn a_savepoint_is_sent_whole_and_begins_a_job() {
    let api = served();
    let (head, file) = taken(&api, "/v1/jobs/clicks/savepoint");
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains("application/octet-stream"), "{head}");
    assert!(
        head.contains(&format!("content-length: {}", file.len())),
        "{head}"
    );
    assert!(!api.jobs.is_paused());
    let (status, checked) = api.ask("POST", "/v1/restores/check", BYTES, &file);
    assert_eq!(
        (status, &checked["job"]),
        (200, &"clicks".into()),
        "{checked}"
    );
    let (status, begun) = api.ask("POST", "/v1/restores?set=every=1s", BYTES, &file);
    assert_eq!((status, &begun["version"]), (200, &3.into()), "{begun}");
    let noted = api.jobs.audit.noted.lock().expect("unharmed").clone();
    let of = |verb: &str| noted.iter().rev().find(|entry| entry.verb == verb).cloned();
    let taken_of = of("savepoint")
        .and_then(|entry| entry.reason)
        .unwrap_or_default();
    assert_eq!(taken_of, format!("batch 12, {} bytes", file.len()));
    assert_eq!(of("restore").and_then(|entry| entry.version), Some(3));
    taken(&api, "/v1/jobs/clicks/savepoint?stop=true");
    assert!(api.jobs.is_paused());
}

#[test]
fn what_is_wrong_with_a_savepoint_or_its_request_is_told() {
    let api = served();
    let large = vec![0; (1 << 20) + 1];
    let cases: [(&str, &str, &[u8], u16, &str); 7] = [
        ("/v1/restores", "", b"x", 415, "application/octet-stream"),
        ("/v1/restores", BYTES, &large, 413, "limits.savepoint-bytes"),
        (
            "/v1/restores?repeat-rows=3",
            BYTES,
            b"x",
            400,
            "true or false",
        ),
        (
            "/v1/restores?repeat=true",
            BYTES,
            b"x",
            400,
            "`repeat` is no parameter",
        ),
        (
            "/v1/restores/check",
            BYTES,
            b"invalid",
            422,
            "that is no job",
        ),
        (
            "/v1/jobs/none/savepoint",
            "",
            b"",
            404,
            "there is no job `none`",
        ),
        (
            "/v1/jobs/clicks/savepoint?halt=true",
            "",
            b"",
            400,
            "`halt` is no parameter",
        ),
    ];
    for (path, headers, body, want, words) in cases {
        let (status, said) = api.ask("POST", path, headers, body);
        let error = said["error"].as_str().unwrap_or_default();
        assert!(
            status == want && error.contains(words),
            "{path}: {status} {said}"
        );
    }
}

/// Who stalls is let go, and its place with it.
#[test]
fn a_savepoint_that_does_not_come_to_its_end_is_given_up() {
    let bounds = Bounds {
        body_time: std::time::Duration::from_millis(50),
        ..Bounds::default()
    };
    let api = Served::start(None, bounds);
    let stall = || -> (String, Value) {
        let mut stream = TcpStream::connect(api.address()).expect("served");
        let head = format!(
            "POST /v1/restores HTTP/1.1\r\nHost: localhost\r\n{BYTES}Content-Length: 100\r\n\r\nbegin"
        );
        stream.write_all(head.as_bytes()).expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("answered");
        let (head, body) = text.split_once("\r\n\r\n").expect("an answer");
        (
            head.to_owned(),
            serde_json::from_str(body).unwrap_or_default(),
        )
    };
    for _ in 0..5 {
        let (head, said) = stall();
        assert!(head.starts_with("HTTP/1.1 408"), "{head} {said}");
    }
}
