//! TLS before the API: what goes through, what does not, and who is not held up by it.

use super::tests::Served;
use super::*;
use crate::access::{Tls, certificate};
use openssl::ssl::{SslConnector, SslMethod, SslStream};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

/// A connection that trusts this certificate alone.
fn connect(api: &Served, trusted: &Path) -> Result<SslStream<TcpStream>, String> {
    let mut builder = SslConnector::builder(SslMethod::tls_client()).expect("memory");
    builder.set_ca_file(trusted).expect("a certificate");
    let stream = TcpStream::connect(api.address()).expect("served");
    let connected = builder.build().connect("127.0.0.1", stream);
    connected.map_err(|e| e.to_string())
}

fn get(api: &Served, trusted: &Path, path: &str) -> Result<String, String> {
    let mut stream = connect(api, trusted)?;
    let head = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("answered");
    Ok(text)
}

#[test]
fn the_api_answers_over_tls_and_takes_a_new_certificate() {
    let folder = tempfile::tempdir().expect("a folder");
    let (one, key) = certificate(folder.path(), "one", 10);
    let (other, other_key) = certificate(folder.path(), "other", 10);
    let guard = Guard {
        tokens: None,
        tls: Some(Tls::read(&one, &key).expect("good")),
    };
    let api = Served::guarded(guard.clone(), Bounds::default());
    let said = get(&api, &one, "/v1/jobs").expect("trusted");
    assert!(
        said.starts_with("HTTP/1.1 200") && said.contains("clicks"),
        "{said}"
    );
    assert!(get(&api, &other, "/healthz").is_err_and(|e| e.contains("certificate verify failed")));
    let (status, words) = api.get("/healthz");
    assert_eq!(status, 400);
    assert!(
        words["error"].to_string().contains("ask it by https://"),
        "{words}"
    );

    let kept = folder.path().join("kept.pem");
    std::fs::copy(&one, &kept).expect("copied");
    std::fs::copy(&other, &one).expect("copied");
    guard.reload();
    assert!(
        get(&api, &kept, "/healthz").is_ok(),
        "the key is not its own: all stays"
    );
    std::fs::copy(&other_key, &key).expect("copied");
    guard.reload();
    assert!(get(&api, &kept, "/healthz").is_err() && get(&api, &other, "/healthz").is_ok());
}

#[test]
fn handshakes_that_are_left_half_open_shut_nobody_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let (one, key) = certificate(folder.path(), "one", 10);
    let guard = Guard {
        tokens: None,
        tls: Some(Tls::read(&one, &key).expect("good")),
    };
    let bounds = Bounds {
        connections_max: 4,
        ..Bounds::default()
    };
    let api = Served::guarded(guard, bounds);
    let silent: Vec<_> = (0..20)
        .map(|n| {
            let mut stream = TcpStream::connect(api.address()).expect("taken");
            let begun = [&b"\x16\x03\x01\x02\x00\x01"[..], b""][n % 2];
            stream.write_all(begun).expect("sent");
            stream
        })
        .collect();
    assert!(get(&api, &one, "/healthz").is_ok());
    drop(silent);
}
