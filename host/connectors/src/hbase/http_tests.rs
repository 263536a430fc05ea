//! A gateway over HTTP, and what else may answer there: each answer ends its call soon, with a line
//! that says what to do and holds no secret.

use super::super::connection::Lane;
use super::super::settings::{HbaseSettings, HttpAccess, Transport};
use super::super::words::Failure;
use crate::secret::Secret;
use hbase_thrift::hbase::THbaseSyncClient;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;
use streamhost_core::limits;
use streamhost_engine::sink::CancelSignal;

/// The answer to the first call of a connection, in the binary protocol.
const GOOD: &[u8] =
    b"\x80\x01\x00\x02\x00\x00\x00\x13getThriftServerType\x00\x00\x00\x01\x08\x00\x00\x00\x00\x00\x00\x00";

fn ok(body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// Answers each request of one connection with one of these; gives the requests' heads.
fn gateway(answers: Vec<Vec<u8>>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serve = move || {
        let (stream, _) = listener.accept().unwrap();
        let mut from = BufReader::new(stream.try_clone().unwrap());
        let mut heads = Vec::new();
        for answer in answers {
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                if from.read_line(&mut line).unwrap() == 0 {
                    return heads;
                }
                let lower = line.to_ascii_lowercase();
                if let Some(value) = lower.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                head.push_str(&line);
                if line == "\r\n" {
                    break;
                }
            }
            from.read_exact(&mut vec![0; length]).unwrap();
            heads.push(head);
            // The client may have heard enough.
            let _ = (&stream).write_all(&answer);
        }
        heads
    };
    (address, std::thread::spawn(serve))
}

fn settings(address: String, http: HttpAccess) -> HbaseSettings {
    HbaseSettings {
        gateways: vec![address],
        transport: Transport::Http,
        http,
        ..HbaseSettings::default()
    }
}

/// A user with a password, for whom another is named.
fn user(folder: &std::path::Path) -> HttpAccess {
    let file = folder.join("password");
    std::fs::write(&file, "s3cret\n").unwrap();
    HttpAccess {
        path: "/hbase".to_owned(),
        user: Some(("app".to_owned(), Secret::File(file))),
        do_as: Some("anna".to_owned()),
    }
}

#[test]
fn calls_are_requests_of_one_connection_with_who_asks() {
    let folder = tempfile::tempdir().unwrap();
    let names = b"\x80\x01\x00\x02\x00\x00\x00\x0dgetTableNames\x00\x00\x00\x02\x0f\x00\x00\x0b\x00\x00\x00\x01\x00\x00\x00\x01a\x00";
    let (address, serving) = gateway(vec![ok(GOOD), ok(names)]);
    let mut lane = Lane::new(
        settings(address, user(folder.path())),
        CancelSignal::default(),
    );
    let found = lane.call(|client| client.get_table_names());
    assert_eq!(found, Ok(vec![b"a".to_vec()]));
    drop(lane);
    let heads = serving.join().unwrap();
    assert_eq!(heads.len(), 2);
    for head in heads {
        let head = head.to_ascii_lowercase();
        assert!(head.starts_with("post /hbase http/1.1\r\n"), "{head}");
        for part in [
            "authorization: basic yxbwonmzy3jlda==\r\n", // app:s3cret
            "doas: anna\r\n",
            "content-type: application/x-thrift\r\n",
        ] {
            assert!(head.contains(part), "{head}");
        }
    }
}

#[test]
fn what_is_no_gateway_over_http_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let status = |line: &str| format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n").into_bytes();
    let long = limits::HBASE_ANSWER_BYTES_MAX + 1;
    let cases: [(Vec<u8>, bool, &str); 12] = [
        (status("401 Unauthorized"), false, "set `hbase.username`"),
        (
            status("401 Unauthorized"),
            true,
            "does not take `hbase.username`",
        ),
        (
            status("401 Unauthorized\r\nWWW-Authenticate: Negotiate"),
            true,
            "Kerberos",
        ),
        (status("403 Forbidden"), true, "HTTP 403"),
        (status("404 Not Found"), true, "nothing at `/hbase`"),
        (status("413 Too Large"), false, "client_max_body_size"),
        (status("400 Bad Request"), false, "set `hbase.tls = true`"),
        (
            status("500 Server Error"),
            true,
            "hbase.thrift.support.proxyuser",
        ),
        (
            status("302 Found\r\nLocation: http://a/"),
            false,
            "HTTP 302",
        ),
        (
            ok(b"<html>please log in</html>"),
            false,
            "its first bytes are",
        ),
        (b"\x80\x01\x00\x02".to_vec(), false, "over HTTP"),
        (
            format!("HTTP/1.1 200 OK\r\nContent-Length: {long}\r\n\r\n").into_bytes(),
            false,
            "",
        ),
    ];
    for (answer, with_user, says) in cases {
        let shown = String::from_utf8_lossy(&answer).into_owned();
        let (address, serving) = gateway(vec![answer]);
        let http = match with_user {
            true => user(folder.path()),
            false => HttpAccess::default(),
        };
        let mut lane = Lane::new(settings(address, http), CancelSignal::default());
        let words = match lane.connect() {
            Err(Failure::Away(words) | Failure::Denied(words)) => words,
            other => panic!("{shown}: {other:?}"),
        };
        assert!(words.contains(says), "{shown}: {words}");
        assert!(!words.contains("s3cret"), "{words}");
        serving.join().unwrap();
    }
}

#[test]
fn an_answer_over_http_is_no_longer_than_any_other() {
    // So many bytes as announced may come, but the client takes no more than an answer may have.
    let texts = [&0x0010_0000_u32.to_be_bytes()[..], &[b'x'; 1 << 20]].concat();
    let head = b"\x80\x01\x00\x02\x00\x00\x00\x0dgetTableNames\x00\x00\x00\x02\x0f\x00\x00\x0b\x00\x00\x00\x20";
    let body = [&head[..], &texts.repeat(20)].concat();
    let (address, serving) = gateway(vec![ok(GOOD), ok(&body)]);
    let mut lane = Lane::new(
        settings(address, HttpAccess::default()),
        CancelSignal::default(),
    );
    let found = lane.call(|client| client.get_table_names());
    let Err(Failure::Away(words)) = found else {
        panic!("it is taken")
    };
    assert!(words.contains("makes no sense: it announces"), "{words}");
    drop(lane);
    serving.join().unwrap();
}

#[test]
fn a_password_that_is_gone_is_told_by_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let http = user(folder.path());
    std::fs::remove_file(folder.path().join("password")).unwrap();
    let mut lane = Lane::new(
        settings("127.0.0.1:1".to_owned(), http),
        CancelSignal::default(),
    );
    let Err(Failure::Denied(words)) = lane.connect() else {
        panic!("it connects")
    };
    assert!(words.contains("`hbase.password`: the file"), "{words}");
}
