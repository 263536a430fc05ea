//! Who may ask: the bearer token, and no web page from elsewhere.

use super::audit::Audited;
use super::connections::Peer;
use super::rates::Client;
use super::reply::{Fault, Why};
use super::{App, page, roles};
use crate::access::{Role, Token};
use axum::extract::{MatchedPath, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;
use std::sync::Arc;
use streamhost_core::{clock, limits};

/// What needs no token, beside the page: without it, it says nothing of the jobs.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];

/// By whose token a request came; its answer carries it for the log.
#[derive(Clone, Debug)]
pub(super) struct Caller(pub(super) String);

/// Lets a request through, or says why not.
pub(super) async fn check(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    let token = token_of(&app, request.headers());
    let audited = Audited::begin(&mut request, token.as_ref()).await;
    let route = request.extensions().get::<MatchedPath>();
    // A wrong token is tried from an address.
    let client = match (&token, request.extensions().get::<Peer>()) {
        (Some(token), _) => Some(Client::Token(token.name.clone())),
        (None, peer) => peer.map(|Peer(address)| Client::at(*address)),
    };
    // Or a client in a loop would have the host ended by whoever watches over it.
    let is_probe = OPEN.contains(&request.uri().path());
    let in_time =
        is_probe || client.is_none_or(|client| app.rates.take(client, clock::monotonic()));
    let judged = match in_time {
        false => Err(too_often()),
        true => judge(
            &app,
            &request,
            token.as_ref(),
            route.map(MatchedPath::as_str),
        ),
    };
    // What is turned away here and comes from nobody who is known would only push out what was
    // noted of others; so would a client in a loop.
    let is_noted = in_time && (judged.is_ok() || token.is_some());
    let mut answer = match judged {
        Ok(()) => next.run(request).await,
        Err(fault) => fault.into_response(),
    };
    let why = answer.extensions_mut().remove::<Why>();
    if let (true, Some(audited), Some(why)) = (is_noted, audited, why) {
        audited.answered(&app, why).await;
    }
    if let Some(token) = token {
        answer.extensions_mut().insert(Caller(token.name));
    }
    answer
}

fn too_often() -> Fault {
    let (rate, burst) = (limits::HTTP_RATE_MAX, limits::HTTP_BURST_MAX);
    Fault::new(
        StatusCode::TOO_MANY_REQUESTS,
        format!(
            "this client asks too often: {burst} requests at once and then {rate} a second are answered \
             for each token, and for each address without one; wait a second, or use /v1/events"
        ),
    )
}

fn judge(
    app: &App,
    request: &Request,
    token: Option<&Token>,
    route: Option<&str>,
) -> Result<(), Fault> {
    let (method, headers, path) = (request.method(), request.headers(), request.uri().path());
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let is_open = OPEN.contains(&path) || page::has(path);
    match (&app.tokens, token) {
        (Some(_), None) if !is_open => {
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
        // What has no route is answered so to everybody who has a token.
        (Some(_), Some(token)) => {
            let needed = route.map(|route| roles::needed(method, route));
            if let Some(needed) = needed
                && needed.is_none_or(|needed| token.role < needed)
            {
                return Err(Fault::new(
                    StatusCode::FORBIDDEN,
                    not_this_role(token, needed),
                ));
            }
        }
        (Some(_), None) => {}
        // Without a token a web page could reach this machine under a name of its own.
        (None, _) if app.loopback && host.is_some_and(|host| !local(host)) => {
            let how = "this daemon answers to 127.0.0.1 and localhost alone: use one of them, or give it a token-file";
            return Err(Fault::new(StatusCode::FORBIDDEN, how));
        }
        (None, _) => {}
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

/// Why a token does not do.
fn not_this_role(token: &Token, needed: Option<Role>) -> String {
    let (name, role) = (&token.name, token.role.word());
    match needed {
        Some(needed) => format!(
            "the token `{name}` has the role `{role}`, and this needs `{}`: ask who runs the host for one that has it",
            needed.word()
        ),
        None => format!("no role may do this, so the token `{name}` may not"),
    }
}

/// The token that a request shows, if it is one of the daemon's.
pub(super) fn token_of(app: &App, headers: &HeaderMap) -> Option<Token> {
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| bearer(value.as_bytes()))?;
    app.tokens.as_ref()?.find(given)
}

/// Whether who asks may know of the jobs: with a token, or where none is wanted.
pub(super) fn may_know(app: &App, headers: &HeaderMap) -> bool {
    app.tokens.is_none() || token_of(app, headers).is_some()
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then_some(token.trim_ascii())
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
    }
}
