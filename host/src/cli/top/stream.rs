//! The daemon's events, on a thread of their own: it connects again by itself, and says meanwhile
//! why nothing comes.

use crate::cli::client::Client;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response, header};
use hyper_util::rt::TokioIo;
use openssl::ssl::{SslConnector, SslMethod};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use streamhost_core::limits;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tokio_openssl::SslStream;

/// What is waited before the daemon is asked again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Events that wait to be drawn; then the daemon is read no faster.
const WAITING_MAX: usize = 64;

/// What is told.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Told {
    /// An event of the daemon.
    Event { name: String, data: Value },
    /// Nothing comes just now, and why.
    Lost(String),
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    /// All jobs.
    Jobs,
    /// And the details of one.
    Job(String),
}

/// A daemon's events.
pub(super) struct Stream {
    told: Receiver<Told>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Where the events are, and how they are asked for.
struct Source {
    /// `HOST:PORT`.
    address: String,
    path: String,
    token: Option<String>,
    /// The host of its certificate, where it speaks TLS; and its authority, if it is not the system's.
    tls: Option<(String, Option<PathBuf>)>,
}

impl Stream {
    /// Begins to listen.
    pub(super) fn open(client: &Client, wanted: Wanted) -> Stream {
        let path = match wanted {
            Wanted::Jobs => "/v1/events".to_owned(),
            Wanted::Job(job) => format!("/v1/events?job={job}&with=watermarks&with=stages"),
        };
        let (address, before) = client.address();
        let host = address.rsplit_once(':').map_or(&*address, |(host, _)| host);
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let ca = client.ca().map(Path::to_owned);
        let source = Source {
            path: format!("{before}{path}"),
            address,
            token: client.token().map(str::to_owned),
            tls: client.is_https().then_some((host, ca)),
        };
        let (tell, told) = sync_channel(WAITING_MAX);
        let (end, ending) = oneshot::channel();
        let thread = std::thread::spawn(move || listen(&source, &tell, ending));
        Stream {
            told,
            end: Some(end),
            thread: Some(thread),
        }
    }

    /// What was told next, if anything was.
    pub(super) fn next(&mut self) -> Option<Told> {
        self.told.try_recv().ok()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        drop(self.end.take());
        // What waits to be taken is of no interest, and its sender must not wait for it.
        let (_, nobody) = sync_channel(0);
        drop(std::mem::replace(&mut self.told, nobody));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Listens until it is over; connects again whatever happens.
fn listen(source: &Source, tell: &SyncSender<Told>, ending: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = tell.send(Told::Lost(format!("no thread can listen: {error}")));
            return;
        }
    };
    let forever = async {
        loop {
            let reason = events(source, tell).await;
            if tell.send(Told::Lost(reason)).is_err() {
                return; // nobody listens any more
            }
            sleep(AGAIN_AFTER).await;
        }
    };
    runtime.block_on(async {
        tokio::select! {
            _ = ending => {}
            () = forever => {}
        }
    });
}

/// Tells what comes, until nothing does: why.
async fn events(source: &Source, tell: &SyncSender<Told>) -> String {
    let answer = match timeout(limits::CONNECT_TIME, connect(source)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(reason)) => return reason,
        Err(_) => return format!("{} does not answer", source.address),
    };
    let status = answer.status().as_u16();
    let mut body = answer.into_body();
    let mut text = Vec::new();
    loop {
        let frame = match timeout(limits::EVENT_SILENCE_TIME, body.frame()).await {
            Err(_) => return "it is silent".to_owned(),
            Ok(None) if status == 200 => return "it has closed the stream".to_owned(),
            Ok(None) => return refusal(status, &text),
            Ok(Some(Err(error))) => return format!("the connection broke: {error}"),
            Ok(Some(Ok(frame))) => frame,
        };
        text.extend(frame.into_data().unwrap_or_default());
        if text.len() > limits::EVENT_BYTES_MAX {
            return format!("it sends what is no event, {} bytes of it", text.len());
        }
        while status == 200
            && let Some((event, rest)) = first_event(&text)
        {
            text = rest;
            if event.is_some_and(|event| tell.send(event).is_err()) {
                return String::new(); // nobody listens any more
            }
        }
    }
}

async fn connect(source: &Source) -> Result<Response<Incoming>, String> {
    let no = |error: &dyn std::fmt::Display| format!("{}: {error}", source.address);
    let stream = TcpStream::connect(&source.address)
        .await
        .map_err(|e| no(&e))?;
    let Some((host, ca)) = &source.tls else {
        return ask(source, stream).await;
    };
    let ssl = || {
        let mut builder = SslConnector::builder(SslMethod::tls_client())?;
        if let Some(ca) = ca {
            builder.set_ca_file(ca)?;
        }
        builder.build().configure()?.into_ssl(host)
    };
    let made = ssl().and_then(|ssl| SslStream::new(ssl, stream));
    let mut stream = made.map_err(|e| no(&e))?;
    Pin::new(&mut stream).connect().await.map_err(|e| no(&e))?;
    ask(source, stream).await
}

async fn ask<S>(source: &Source, stream: S) -> Result<Response<Incoming>, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let no = |error: &dyn std::fmt::Display| format!("{}: {error}", source.address);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| no(&e))?;
    tokio::spawn(connection); // ends with the body
    let mut request = Request::get(&source.path).header(header::HOST, &source.address);
    if let Some(token) = &source.token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|e| no(&e))?;
    sender.send_request(request).await.map_err(|e| no(&e))
}

/// Why the daemon refuses, in its own words.
fn refusal(status: u16, text: &[u8]) -> String {
    let said = serde_json::from_slice::<Value>(text).ok();
    let said = said.and_then(|said| Some(said["error"].as_str()?.to_owned()));
    said.unwrap_or_else(|| format!("what answers is no streamhost daemon (HTTP status {status})"))
}

/// The first whole event, and what follows it. An event of an unknown form is none.
fn first_event(text: &[u8]) -> Option<(Option<Told>, Vec<u8>)> {
    let end = text.windows(2).position(|two| two == b"\n\n")?;
    let (mut name, mut data) = (String::new(), None);
    for line in text[..end].split(|&byte| byte == b'\n') {
        if let Some(rest) = line.strip_prefix(b"event: ") {
            name = String::from_utf8_lossy(rest).into_owned();
        } else if let Some(rest) = line.strip_prefix(b"data: ") {
            data = serde_json::from_slice(rest).ok();
        }
    }
    let event = data.map(|data| Told::Event { name, data });
    Some((event, text[end + 2..].to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn events_are_cut_where_they_end() {
        let text = b"event: jobs\ndata: [1]\n\nevent: beat\ndata: {}\n\nevent: jo";
        let (first, rest) = first_event(text).expect("an event");
        let event = |name: &str, data| Told::Event {
            name: name.to_owned(),
            data,
        };
        assert_eq!(first, Some(event("jobs", json!([1]))));
        let (second, rest) = first_event(&rest).expect("another one");
        assert_eq!(second, Some(event("beat", json!({}))));
        assert_eq!(
            (first_event(&rest), rest.as_slice()),
            (None, &b"event: jo"[..])
        );
        let (none, _) = first_event(b"data: no json\n\n").expect("whole");
        assert_eq!(none, None);
    }

    #[test]
    fn a_refusal_is_told_in_the_daemons_words() {
        assert_eq!(refusal(401, b"{\"error\":\"no token\"}"), "no token");
        assert!(refusal(404, b"<p>").contains("no streamhost daemon (HTTP status 404)"));
    }
}
