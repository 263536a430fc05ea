//! In a cluster any host answers for any job: what is asked of a job that another host runs is asked
//! there, and the answer handed on as it comes.

use super::connections::Streams;
use super::reply::Fault;
use super::requests::{pairs, received};
use super::{App, in_turn};
use crate::api::{Home, Jobs};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::uri::{PathAndQuery, Uri};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use openssl::ssl::{SslConnector, SslMethod};
use serde_json::value::RawValue;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use streamhost_core::job::names;
use streamhost_core::{clock, limits};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_openssl::SslStream;

/// Marks what another host has handed on: it goes no further.
static HANDED_ON: HeaderName = HeaderName::from_static("streamhost-handed-on");

/// What belongs to one connection, and is not handed on. Neither is the origin: it was judged here.
const OWN: [HeaderName; 7] = [
    header::HOST,
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::EXPECT,
    header::ORIGIN,
    header::TE,
];

/// What names its job in its body or query.
const BY_COMPONENT: [&str; 3] = [DEPLOY, "/v1/check", "/v1/shadows"];
const DEPLOY: &str = "/v1/jobs";

/// Answers here, or has another host answer.
pub(super) async fn to_home(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if app.jobs.peers().is_none() {
        return next.run(request).await;
    }
    if request.headers().contains_key(&HANDED_ON) {
        return match is_still_here(&app, request.uri().path()).await {
            Ok(()) => next.run(request).await,
            Err(fault) => fault.into_response(),
        };
    }
    match routed(&app, request).await {
        Ok((request, Way::Here)) => next.run(request).await,
        Ok((request, Way::To(address))) => {
            let answer = hand_on(&app, &address, request).await;
            answer.unwrap_or_else(IntoResponse::into_response)
        }
        Err(fault) => fault.into_response(),
    }
}

enum Way {
    Here,
    To(String),
}

/// What is handed on goes no further: the job may have moved on meanwhile.
async fn is_still_here(app: &App, path: &str) -> Result<(), Fault> {
    let Some(job) = named(path, "/v1/jobs/") else {
        return Ok(());
    };
    match way_to_job(app, job).await? {
        Way::Here => Ok(()),
        Way::To(_) => Err(Fault::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the job moves from host to host: try again",
        )),
    }
}

/// What stands in a path behind this.
fn named(path: &str, prefix: &str) -> Option<String> {
    let rest = path.strip_prefix(prefix)?;
    let name = rest.split('/').next().unwrap_or_default();
    (!name.is_empty()).then(|| name.to_owned())
}

async fn routed(app: &App, request: Request) -> Result<(Request, Way), Fault> {
    let path = request.uri().path();
    if let Some(host) = named(path, "/v1/hosts/") {
        let way = way_to_host(app, &host)?;
        return Ok((request, way));
    }
    if let Some(job) = named(path, "/v1/jobs/") {
        let way = way_to_job(app, job).await?;
        return Ok((request, way));
    }
    if request.method() == Method::POST && BY_COMPONENT.contains(&path) {
        let deploys = path == DEPLOY;
        let (request, job) = with_name(app, request).await?;
        let way = match deploys {
            true => way_to_be(app, job).await?,
            false => way_to_job(app, job).await?,
        };
        return Ok((request, way));
    }
    Ok((request, Way::Here))
}

/// A job that moves is waited for, for a while.
async fn way_to_job(app: &App, job: String) -> Result<Way, Fault> {
    let since = clock::monotonic();
    loop {
        let peers = app.jobs.peers();
        match peers.map_or(Home::Here, |peers| peers.home(&job)) {
            Home::Coming(_) if clock::since(since) < limits::CLUSTER_ANSWER_TIME => {
                tokio::time::sleep(limits::CLUSTER_LOOK_TIME).await;
            }
            home => return way(home),
        }
    }
}

/// The same of a job that may not be there yet. What no job can be called is refused here.
async fn way_to_be(app: &App, job: String) -> Result<Way, Fault> {
    if names::job(&job).is_err() {
        return Ok(Way::Here);
    }
    let home = move |jobs: &dyn Jobs| {
        let peers = jobs.peers();
        peers.map_or(Ok(Home::Here), |peers| peers.claim(&job))
    };
    way(in_turn(app, &app.changes, home).await??)
}

fn way(home: Home) -> Result<Way, Fault> {
    match home {
        Home::Here | Home::Nowhere => Ok(Way::Here),
        Home::At { address, .. } => Ok(Way::To(address)),
        Home::Coming(why) => Err(Fault::new(StatusCode::SERVICE_UNAVAILABLE, why)),
    }
}

fn way_to_host(app: &App, host: &str) -> Result<Way, Fault> {
    let Some(peers) = app.jobs.peers() else {
        return Ok(Way::Here);
    };
    if peers.me() == host {
        return Ok(Way::Here);
    }
    let found = peers.hosts().into_iter().find(|known| known.host == host);
    match found {
        Some(found) if found.lives => Ok(Way::To(found.address)),
        Some(_) => Err(Fault::new(
            StatusCode::CONFLICT,
            format!("the host `{host}` is away, and runs nothing"),
        )),
        None => Err(Fault::new(
            StatusCode::NOT_FOUND,
            format!("there is no host `{host}`: `streamhost hosts` lists them"),
        )),
    }
}

/// The job that a component is for: as its query says, or as it says itself.
async fn with_name(app: &App, request: Request) -> Result<(Request, String), Fault> {
    let query = pairs(request.uri().query())?;
    if let Some((_, name)) = query.into_iter().find(|(key, _)| key == "name") {
        return Ok((request, name));
    }
    let mut parts = Request::new(());
    *parts.method_mut() = request.method().clone();
    *parts.uri_mut() = request.uri().clone();
    *parts.version_mut() = request.version();
    *parts.headers_mut() = request.headers().clone();
    *parts.extensions_mut() = request.extensions().clone();
    let most = app.bounds.upload_bytes_max;
    let (bytes, held) = received(app, request, most, Some(&app.upload_bytes)).await?;
    let named = in_turn(app, &app.changes, move |jobs| {
        (jobs.name_of(&bytes, &|| true), bytes)
    });
    let (name, bytes) = named.await?;
    drop(held); // whoever reads it again takes them again
    let (parts, ()) = parts.into_parts();
    Ok((Request::from_parts(parts, Body::from(bytes)), name?))
}

/// Sends a request to another host; its answer as it comes.
async fn hand_on(app: &App, address: &str, mut request: Request) -> Result<Response, Fault> {
    for name in &OWN {
        request.headers_mut().remove(name);
    }
    let ca = app.jobs.peers().and_then(|peers| peers.ca());
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    let answer = tokio::select! {
        answer = send(address, ca, request) => answer,
        () = until_away(app, address) => Err("it is away now".to_owned()),
    };
    let answer = answer.map_err(|reason| {
        let known = match reads {
            true => "",
            false => "; whether it was done is not known",
        };
        Fault::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("the host at {address} does not answer: {reason}{known}; try again"),
        )
    })?;
    let mut answer = answer.map(Body::new);
    for name in &OWN {
        answer.headers_mut().remove(name);
    }
    answer.extensions_mut().insert(Streams);
    Ok(answer)
}

/// Ends when the cluster counts the host at an address as away: one that hangs never answers.
async fn until_away(app: &App, address: &str) {
    let is_there = || {
        let hosts = app
            .jobs
            .peers()
            .map_or_else(Vec::new, |peers| peers.hosts());
        hosts
            .iter()
            .any(|host| host.address == address && host.lives)
    };
    while is_there() {
        tokio::time::sleep(limits::CLUSTER_LOOK_TIME).await;
    }
}

async fn send(
    address: &str,
    ca: Option<&Path>,
    mut request: Request,
) -> Result<hyper::Response<hyper::body::Incoming>, String> {
    let uri: Uri = address.parse().map_err(|_| "it is no address".to_owned())?;
    let authority = uri.authority().ok_or("it is no address")?.as_str();
    let host = HeaderValue::from_str(authority).map_err(|e| e.to_string())?;
    let here = request.uri().path_and_query().cloned();
    *request.uri_mut() = Uri::from(here.unwrap_or_else(|| PathAndQuery::from_static("/")));
    request.headers_mut().insert(header::HOST, host);
    let handed_on = HeaderValue::from_static("yes");
    request.headers_mut().insert(&HANDED_ON, handed_on);
    let connected = async {
        let stream = TcpStream::connect(authority).await.map_err(words)?;
        if uri.scheme_str() != Some("https") {
            return begun(stream).await;
        }
        let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(words)?;
        if let Some(ca) = ca {
            builder.set_ca_file(ca).map_err(words)?;
        }
        let name = uri.host().unwrap_or_default();
        let name = name.trim_start_matches('[').trim_end_matches(']');
        let ssl = builder
            .build()
            .configure()
            .and_then(|ssl| ssl.into_ssl(name));
        let stream = ssl.and_then(|ssl| SslStream::new(ssl, stream));
        let mut stream = stream.map_err(words)?;
        Pin::new(&mut stream).connect().await.map_err(words)?;
        begun(stream).await
    };
    let connected = timeout(limits::CLUSTER_ANSWER_TIME, connected).await;
    let mut sender = connected.map_err(|_| "it does not answer in time".to_owned())??;
    sender.send_request(request).await.map_err(words)
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

async fn begun<S>(stream: S) -> Result<http1::SendRequest<Body>, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (sender, connection) = handshake.map_err(words)?;
    tokio::spawn(connection); // ends with the body
    Ok(sender)
}

/// What all other hosts that live answer to the same question, each a list. One that does not answer
/// is left out: its jobs are about to be others'.
pub(super) async fn of_others(app: &App, path: &str, headers: &HeaderMap) -> Vec<Box<RawValue>> {
    let Some(peers) = app
        .jobs
        .peers()
        .filter(|_| !headers.contains_key(&HANDED_ON))
    else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for host in peers.hosts() {
        if !host.lives || host.host == peers.me() {
            continue;
        }
        let mut request = Request::new(Body::empty());
        let Ok(uri) = path.parse() else { continue };
        *request.uri_mut() = uri;
        if let Some(token) = headers.get(header::AUTHORIZATION) {
            let token = token.clone();
            request.headers_mut().insert(header::AUTHORIZATION, token);
        }
        let asked = timeout(limits::CLUSTER_ANSWER_TIME, async {
            let answer = send(&host.address, peers.ca(), request).await?;
            let body = answer.into_body().collect().await.map_err(words)?;
            let list: Vec<Box<RawValue>> =
                serde_json::from_slice(&body.to_bytes()).map_err(words)?;
            Ok::<_, String>(list)
        });
        match asked
            .await
            .unwrap_or_else(|_| Err("no answer in time".to_owned()))
        {
            Ok(list) => all.extend(list),
            Err(reason) => tracing::debug!("the host `{}` does not answer: {reason}", host.host),
        }
    }
    all
}
