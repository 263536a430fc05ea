//! Who may ask: the bearer token, and no web page from elsewhere.

use super::reply::Fault;
use super::{App, page};
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;
use std::sync::Arc;

/// What needs no token, beside the page: without it, it says nothing of the jobs.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];

/// Lets a request through, or says why not.
pub(super) async fn check(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    match judge(
        &app,
        request.method(),
        request.uri().path(),
        request.headers(),
    ) {
        Ok(()) => next.run(request).await,
        Err(fault) => fault.into_response(),
    }
}

fn judge(app: &App, method: &Method, path: &str, headers: &HeaderMap) -> Result<(), Fault> {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    match &app.token {
        Some(_) if !OPEN.contains(&path) && !page::has(path) && !may_know(app, headers) => {
            let how = match headers.contains_key(header::AUTHORIZATION) {
                false => {
                    "this daemon wants its token: set STREAMHOST_TOKEN, or send `Authorization: Bearer TOKEN`"
                }
                true => {
                    "this token is not the daemon's: the right one is in the `token-file` that its configuration names"
                }
            };
            return Err(Fault::new(StatusCode::UNAUTHORIZED, how));
        }
        Some(_) => {}
        // Without a token a web page could reach this machine under a name of its own.
        None if app.loopback && host.is_some_and(|host| !local(host)) => {
            let how = "this daemon answers to 127.0.0.1 and localhost alone: use one of them, or give it a token-file";
            return Err(Fault::new(StatusCode::FORBIDDEN, how));
        }
        None => {}
    }
    let reads = method == Method::GET || method == Method::HEAD;
    if let (false, Some(origin)) = (reads, headers.get(header::ORIGIN))
        && origin
            .to_str()
            .ok()
            .and_then(|origin| origin.split_once("://"))
            .map(|(_, host)| host)
            != host
    {
        return Err(Fault::new(
            StatusCode::FORBIDDEN,
            "web pages from elsewhere may not change anything here",
        ));
    }
    Ok(())
}

/// Whether who asks may know of the jobs: with the token, or where none is wanted.
pub(super) fn may_know(app: &App, headers: &HeaderMap) -> bool {
    let given = headers
        .get(header::AUTHORIZATION)
        .map(|value| value.as_bytes())
        .and_then(bearer);
    app.token
        .as_ref()
        .is_none_or(|token| given.is_some_and(|given| same(given, token.as_bytes())))
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then_some(token.trim_ascii())
}

/// Takes as long for a near miss as for a far one.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .fold(0, |differs, (a, b)| std::hint::black_box(differs | (a ^ b)))
            == 0
}

/// A `Host` that can only mean this machine.
fn local(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    let name = authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_told_apart() {
        for host in [
            "localhost",
            "LOCALHOST:7070",
            "127.0.0.1",
            "127.8.9.1:1",
            "[::1]",
            "[::1]:7070",
        ] {
            assert!(local(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil:7070",
            "10.0.0.1:7070",
            "[::2]",
        ] {
            assert!(!local(host), "{host}");
        }
    }

    #[test]
    fn tokens_are_told_apart() {
        let cases: [(&[u8], Option<&[u8]>); 5] = [
            (b"Bearer abc", Some(b"abc")),
            (b"bearer  abc ", Some(b"abc")),
            (b"Basic abc", None),
            (b"abc", None),
            (b"Bearer ", Some(b"")),
        ];
        for (header, want) in cases {
            assert_eq!(bearer(header), want);
        }
        assert!(
            same(b"abc", b"abc")
                && !same(b"abc", b"abd")
                && !same(b"abc", b"ab")
                && !same(b"", b"a")
        );
    }
}
