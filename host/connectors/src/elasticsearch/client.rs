//! Requests to the cluster, over one connection at a time. Each has an end: an answer, its time, or the
//! job's.

use super::ElasticsearchSettings;
use super::words::{Failure, failure};
use crate::link::{self, CallDeadline, Called, Failed};
use serde_json::Value;
use streamhost_core::{clock, limits};
use streamhost_engine::sink::CancelSignal;
use ureq::Agent;
use ureq::http::{Method, Request};

const JSON: &str = "application/json";
/// Of requests whose body is a line for each action and each document.
const LINES: &str = "application/x-ndjson";

/// One connection, made when it is needed, to one host of the list; another host is asked where that one
/// is away.
pub(super) struct Client {
    settings: ElasticsearchSettings,
    called: Called,
    cancel: CancelSignal,
    /// The host that it uses, or tries next.
    at: usize,
    deadline: CallDeadline,
    open: Option<Open>,
}

/// What is told to one host.
struct Open {
    agent: Agent,
    failed: Failed,
    authorization: Option<String>,
}

impl Client {
    /// Begins with the host of this number, so that clients are spread over them. Asks none.
    pub(super) fn new(settings: ElasticsearchSettings, cancel: CancelSignal, at: usize) -> Self {
        Client {
            called: settings.called(),
            at: at % settings.hosts.len().max(1),
            settings,
            cancel,
            deadline: CallDeadline::after(limits::ELASTICSEARCH_CALL_TIME),
            open: None,
        }
    }

    /// The answer to a request that has no body.
    pub(super) fn get(&mut self, path: &str) -> Result<Value, Failure> {
        self.json(Method::GET, path, &[])
    }

    /// The answer to a request with a JSON body.
    pub(super) fn put(&mut self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.json(Method::PUT, path, body.to_string().as_bytes())
    }

    fn json(&mut self, method: Method, path: &str, body: &[u8]) -> Result<Value, Failure> {
        let answer = self.call(&method, path, JSON, body)?;
        let read = serde_json::from_slice(&answer);
        read.map_err(|_| self.senseless())
    }

    /// The answer to a bulk request.
    pub(super) fn bulk(&mut self, path: &str, lines: &[u8]) -> Result<Vec<u8>, Failure> {
        self.call(&Method::POST, path, LINES, lines)
    }

    /// What came back is not what the server says.
    pub(super) fn senseless(&self) -> Failure {
        let section = &self.settings.section;
        Failure::Away(format!(
            "its answer makes no sense: is that Elasticsearch or OpenSearch? Compare `{section}.hosts`"
        ))
    }

    /// One request. It was perhaps done whatever comes of it.
    fn call(
        &mut self,
        method: &Method,
        path: &str,
        kind: &str,
        body: &[u8],
    ) -> Result<Vec<u8>, Failure> {
        let until = clock::monotonic() + limits::ELASTICSEARCH_CONNECT_TIME;
        let mut failures = Vec::new();
        for _ in 0..self.settings.hosts.len() {
            match self.call_one(method, path, kind, body) {
                Ok(answer) => return Ok(answer),
                Err((failure, is_connected)) => {
                    let may_pass = matches!(failure, Failure::Away(_) | Failure::Denied(_));
                    let named = self.of_host(failure);
                    if may_pass {
                        self.go_on();
                    }
                    // To another host goes at once what this one has not got.
                    if is_connected || !may_pass {
                        return Err(named);
                    }
                    failures.push(named);
                }
            }
            if self.cancel.is_cancelled() || clock::monotonic() >= until {
                break;
            }
        }
        Err(of_all(failures))
    }

    /// The next call goes to the next host.
    fn go_on(&mut self) {
        self.open = None;
        self.at = (self.at + 1) % self.settings.hosts.len().max(1);
    }

    /// With the host's name, where there are several.
    fn of_host(&self, failure: Failure) -> Failure {
        let told = |words: String| match &self.settings.hosts[..] {
            [_] => words,
            several => format!("{}: {words}", several[self.at]),
        };
        match failure {
            Failure::Away(words) => Failure::Away(told(words)),
            Failure::Denied(words) => Failure::Denied(told(words)),
            Failure::Refused(words) => Failure::Refused(told(words)),
            other @ (Failure::NoIndex | Failure::TooLarge(_)) => other,
        }
    }

    fn open(&mut self) -> Result<&Open, Failure> {
        let open = match self.open.take() {
            Some(open) => open,
            None => {
                let section = &self.settings.section;
                let authorization = self.settings.authorization();
                let authorization = authorization
                    .map_err(|(key, e)| Failure::Denied(format!("`{section}.{key}`: {e}")))?;
                let (host, tls) = (&self.settings.hosts[self.at], self.settings.tls.as_ref());
                let failed = Failed::default();
                let ways = (&self.deadline, &failed);
                let agent = link::agent(host, tls, &self.called, &self.cancel, ways);
                Open {
                    agent,
                    failed,
                    authorization,
                }
            }
        };
        Ok(self.open.insert(open))
    }

    /// A request to the present host. Of a failure also whether the host may have got the request.
    fn call_one(
        &mut self,
        method: &Method,
        path: &str,
        kind: &str,
        body: &[u8],
    ) -> Result<Vec<u8>, (Failure, bool)> {
        if self.cancel.is_cancelled() {
            return Err((Failure::Away("its calls were cut".to_owned()), true));
        }
        self.deadline.restart(limits::ELASTICSEARCH_CALL_TIME);
        let scheme = if self.settings.tls.is_some() {
            "https"
        } else {
            "http"
        };
        let (host, before) = (&self.settings.hosts[self.at], &self.settings.path);
        let url = format!("{scheme}://{host}{}{path}", before.trim_end_matches('/'));
        let open = self.open().map_err(|failure| (failure, false))?;
        let mut request = Request::builder()
            .method(method)
            .uri(url)
            .header("Accept", JSON);
        if let Some(authorization) = &open.authorization {
            request = request.header("Authorization", authorization);
        }
        let sent = match body {
            [] => request.body(()).map(|request| open.agent.run(request)),
            body => request
                .header("Content-Type", kind)
                .body(body)
                .map(|request| open.agent.run(request)),
        };
        let refused = |e: ureq::http::Error| (Failure::Refused(format!("no request: {e}")), true);
        let mut answer = match sent.map_err(refused)? {
            Ok(answer) => answer,
            Err(error) => {
                let unconnected = link::take_failure(&open.failed);
                return Err(match unconnected {
                    Some(why) => (why.into(), false),
                    None => (self.broken(&error), true),
                });
            }
        };
        let status = answer.status().as_u16();
        let most = limits::ELASTICSEARCH_ANSWER_BYTES_MAX as u64;
        let read = answer.body_mut().with_config().limit(most).read_to_vec();
        match read {
            Ok(answer) if (200..300).contains(&status) => Ok(answer),
            Ok(answer) => Err((failure(status, &answer, &self.settings), true)),
            Err(ureq::Error::BodyExceedsLimit(most)) => {
                self.open = None; // the rest of it is yet to come
                let words = format!("its answer has more than {most} bytes");
                Err((Failure::TooLarge(words), true))
            }
            Err(error) => Err((self.broken(&error), true)),
        }
    }

    /// A connection that was made, and broke.
    fn broken(&mut self, error: &ureq::Error) -> Failure {
        self.open = None;
        let words = match error {
            ureq::Error::Io(error) => error.to_string(),
            error => format!("no sensible answer over HTTP: {error}"),
        };
        match link::denial(&words, &self.called) {
            Some(denial) => Failure::Denied(denial),
            None => Failure::Away(words + &self.of_certificate()),
        }
    }

    /// Some close the connection without a word where they miss a certificate.
    fn of_certificate(&self) -> String {
        let section = &self.settings.section;
        match &self.settings.tls {
            Some(files) if files.own.is_none() => format!(
                "; it may want the host's certificate: set `{section}.certificate` and `{section}.key`"
            ),
            Some(_) => {
                format!("; it may not take the host's certificate: check `{section}.certificate`")
            }
            None => String::new(),
        }
    }
}

/// What the failures of all hosts are together. They may differ in what they mean, so it is tried again
/// unless there is but one.
fn of_all(mut failures: Vec<Failure>) -> Failure {
    if failures.len() == 1
        && let Some(only) = failures.pop()
    {
        return only;
    }
    let denied = failures.iter().any(|one| matches!(one, Failure::Denied(_)));
    let words: Vec<String> = failures
        .into_iter()
        .filter_map(|failure| match failure {
            Failure::Away(words) | Failure::Denied(words) => Some(words),
            Failure::Refused(_) | Failure::NoIndex | Failure::TooLarge(_) => None,
        })
        .collect();
    match denied {
        true => Failure::Denied(words.join("; ")),
        false => Failure::Away(words.join("; ")),
    }
}

/// A name as it stands in a path.
pub(super) fn escaped(name: &str) -> String {
    let as_is = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    name.bytes().fold(String::new(), |path, byte| match byte {
        byte if as_is(byte) => path + char::from(byte).encode_utf8(&mut [0; 4]),
        byte => format!("{path}%{byte:02X}"),
    })
}
