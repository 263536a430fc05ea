//! The way to a daemon's control API.

use super::output::plain;
use clap::Args;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use streamhost_core::job::names;
use streamhost_core::limits;
use tempfile::NamedTempFile;
use ureq::http::Response;
use ureq::tls::{PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};
use ureq::typestate::WithBody;
use ureq::{Agent, Body, RequestBuilder, SendBody};

const USUAL_URL: &str = "http://127.0.0.1:7070";
/// The largest answer: a log, or the status of all jobs.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// Why a daemon's answer is not there.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there.
    #[error(
        "no streamhost daemon answers at {url}: start one with `streamhost dev` or `streamhost serve`, or name it with \
         STREAMHOST_URL ({reason})"
    )]
    Unreachable {
        /// Where it was looked for.
        url: String,
        /// What the system said.
        reason: String,
    },
    /// The connection broke, or the answer did not come.
    #[error(
        "the daemon at {url} took the request and did not answer it: {reason}; look at its log, then ask `streamhost status`"
    )]
    Broken {
        /// Where it is.
        url: String,
        /// What the client said.
        reason: String,
    },
    /// Its certificate is not trusted, or there is no TLS.
    #[error(
        "no TLS with the daemon at {url}: {reason}; name the authority of its certificate with --ca FILE or STREAMHOST_CA, and \
         the daemon by a name that the certificate has"
    )]
    Untrusted {
        /// Where it is.
        url: String,
        /// What the library said.
        reason: String,
    },
    /// The file of authorities cannot be used.
    #[error("--ca {}: {reason}: it is a PEM file with certificates", path.display())]
    Ca {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The address cannot be.
    #[error("`{url}` cannot be a daemon's address: {reason}")]
    Url {
        /// What was given.
        url: String,
        /// Why it cannot be.
        reason: &'static str,
    },
    /// The job's name cannot be.
    #[error("`{name}` cannot be a job's name: {reason}")]
    JobName {
        /// What was given.
        name: String,
        /// Why it cannot be.
        reason: String,
    },
    /// The stage's name cannot be.
    #[error("`{name}` cannot be a stage's name: {reason}")]
    StageName {
        /// What was given.
        name: String,
        /// Why it cannot be.
        reason: String,
    },
    /// The token cannot be sent.
    #[error(
        "STREAMHOST_TOKEN cannot be a token: it must be ASCII letters, digits and signs, without spaces"
    )]
    Token,
    /// The daemon says no, in its own words.
    #[error("{error}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it said.
        error: String,
    },
    /// Something else answers there.
    #[error(
        "what answers at {url} is no streamhost daemon (HTTP status {status}): name the daemon with STREAMHOST_URL"
    )]
    NoDaemon {
        /// Where.
        url: String,
        /// Its status.
        status: u16,
    },
    /// What it answers is of another version.
    #[error(
        "the daemon at {url} speaks another version than this command line ({}): use that daemon's own `streamhost` ({reason})",
        env!("CARGO_PKG_VERSION")
    )]
    OtherVersion {
        /// Where.
        url: String,
        /// What is missing in its answer, or unknown.
        reason: String,
    },
}

/// Which daemon; the option that all verbs with a daemon share.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Which {
    /// The daemon's address [default: STREAMHOST_URL, or http://127.0.0.1:7070]
    #[arg(long, value_name = "URL", global = true)]
    pub(super) url: Option<String>,
    /// The authority of an https daemon's certificate, PEM [default: STREAMHOST_CA, or the system's]
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) ca: Option<PathBuf>,
}

/// A daemon, not yet asked.
pub(super) struct Client {
    url: String,
    token: Option<String>,
    ca: Option<PathBuf>,
    agent: Agent,
}

/// What a daemon says instead of an answer.
#[derive(Deserialize)]
struct Error {
    error: String,
}

impl Which {
    /// The daemon that the option, or the environment, names.
    pub(super) fn client(&self) -> Result<Client, ClientError> {
        let named = |key: &str| {
            std::env::var(key)
                .ok()
                .filter(|value| !value.trim().is_empty())
        };
        let url = self
            .url
            .clone()
            .or_else(|| named("STREAMHOST_URL"))
            .unwrap_or_else(|| USUAL_URL.to_owned());
        let ca = self
            .ca
            .clone()
            .or_else(|| named("STREAMHOST_CA").map(PathBuf::from));
        Client::new(&url, named("STREAMHOST_TOKEN"), ca)
    }
}

impl Client {
    /// A daemon at an address.
    pub(super) fn new(
        url: &str,
        token: Option<String>,
        ca: Option<PathBuf>,
    ) -> Result<Self, ClientError> {
        let no = |reason| ClientError::Url {
            url: url.to_owned(),
            reason,
        };
        let (scheme, rest) = url.trim().split_once("://").unwrap_or(("http", url.trim()));
        let full = format!("{scheme}://{}", rest.trim_end_matches('/'));
        let parsed = full
            .parse::<ureq::http::Uri>()
            .ok()
            .filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")));
        if parsed.is_none_or(|uri| uri.host().is_none_or(str::is_empty) || uri.query().is_some()) {
            return Err(no("it must be like http://127.0.0.1:7070"));
        }
        let token = token.map(|token| token.trim().to_owned());
        if token
            .as_ref()
            .is_some_and(|token| !token.bytes().all(|b| b.is_ascii_graphic()))
        {
            return Err(ClientError::Token);
        }
        let roots = ca
            .as_deref()
            .map_or(Ok(RootCerts::PlatformVerifier), roots)?;
        let tls = TlsConfig::builder()
            .provider(TlsProvider::NativeTls)
            .root_certs(roots);
        let agent = Agent::config_builder()
            .tls_config(tls.build())
            .http_status_as_error(false)
            .proxy(None) // a daemon is near; a proxy of the environment would not find 127.0.0.1
            .max_redirects(0)
            .timeout_connect(Some(limits::CONNECT_TIME))
            .timeout_global(Some(limits::HTTP_ANSWER_TIME))
            .user_agent(concat!("streamhost/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Ok(Client {
            url: full,
            token,
            ca,
            agent,
        })
    }

    /// Its `HOST:PORT`, and what its paths begin with where it stands behind a proxy.
    pub(super) fn address(&self) -> (String, &str) {
        let (_, rest) = self.url.split_once("://").unwrap_or(("", &self.url));
        let (host, before) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let with_port = !host.ends_with(']') && host.contains(':');
        let port = match (with_port, self.is_https()) {
            (true, _) => "",
            (false, true) => ":443",
            (false, false) => ":80",
        };
        (format!("{host}{port}"), before)
    }

    /// Whether it is asked over TLS.
    pub(super) fn is_https(&self) -> bool {
        self.url.starts_with("https://")
    }

    /// The file of the authority of its certificate, if it is not one of the system's.
    pub(super) fn ca(&self) -> Option<&Path> {
        self.ca.as_deref()
    }

    /// The token that it wants, if one was given.
    pub(super) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Asks for what is at a path.
    pub(super) fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<T, ClientError> {
        let request = self
            .to(Agent::get, path, query)
            .config()
            .timeout_global(Some(limits::HTTP_READ_TIME))
            .build();
        self.answer(request.call())
    }

    /// Sends a body to a path.
    pub(super) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
        content_type: &str,
        body: &[u8],
    ) -> Result<T, ClientError> {
        let request = self.to(Agent::post, path, query);
        self.answer(match body {
            [] => request.send_empty(),
            _ => once_wanted(request.content_type(content_type)).send(body),
        })
    }

    /// Has a path answer into a file; how many bytes came.
    pub(super) fn download(
        &self,
        path: &str,
        query: &[(&str, String)],
        to: &NamedTempFile,
    ) -> Result<u64, ClientError> {
        let request = self
            .to(Agent::post, path, query)
            .config()
            .timeout_global(Some(limits::SAVEPOINT_TIME))
            .build();
        let mut response = request.send_empty().map_err(|e| self.failed(&e))?;
        if !response.status().is_success() {
            self.text(&mut response)?;
        }
        let body = response.body_mut().with_config().limit(u64::MAX);
        let came = std::io::copy(&mut body.reader(), &mut to.as_file());
        came.map_err(|e| ClientError::Broken {
            url: self.url.clone(),
            reason: e.to_string(),
        })
    }

    /// Sends a file to a path.
    pub(super) fn upload<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
        file: &File,
    ) -> Result<T, ClientError> {
        self.upload_behind(path, query, &[], file)
    }

    /// Sends a file to a path, behind these bytes.
    pub(super) fn upload_behind<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
        before: &[u8],
        file: &File,
    ) -> Result<T, ClientError> {
        let mut request = self
            .to(Agent::post, path, query)
            .content_type("application/octet-stream");
        // Of a pipe it is not known.
        if let Some(length) = file.metadata().ok().filter(|of| of.is_file()) {
            let length = length.len() + before.len() as u64;
            request = request.header("content-length", length);
        }
        let request = request
            .config()
            .timeout_global(Some(limits::SAVEPOINT_TIME))
            .build();
        let mut all = before.chain(file);
        self.answer(once_wanted(request).send(SendBody::from_reader(&mut all)))
    }

    /// Removes what is at a path.
    pub(super) fn delete(&self, path: &str) -> Result<(), ClientError> {
        let sent = self.to(Agent::delete, path, &[]).call();
        let mut response = sent.map_err(|e| self.failed(&e))?;
        self.text(&mut response).map(|_| ())
    }

    /// A request to a path, with the token.
    fn to<B>(
        &self,
        method: impl FnOnce(&Agent, String) -> RequestBuilder<B>,
        path: &str,
        query: &[(&str, String)],
    ) -> RequestBuilder<B> {
        let request = method(&self.agent, format!("{}{path}", self.url))
            .query_pairs(query.iter().map(|(k, v)| (*k, v)));
        match &self.token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    fn answer<T: DeserializeOwned>(
        &self,
        sent: Result<Response<Body>, ureq::Error>,
    ) -> Result<T, ClientError> {
        let mut response = sent.map_err(|e| self.failed(&e))?;
        let status = response.status().as_u16();
        let text = self.text(&mut response)?;
        serde_json::from_str(&text).map_err(|e| {
            match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
                Ok(_) => ClientError::OtherVersion {
                    url: self.url.clone(),
                    reason: plain(&e.to_string()),
                },
                Err(_) => ClientError::NoDaemon {
                    url: self.url.clone(),
                    status,
                },
            }
        })
    }

    /// A good answer's text; a bad one's words as an error.
    fn text(&self, response: &mut Response<Body>) -> Result<String, ClientError> {
        let status = response.status().as_u16();
        let text = response
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES_MAX)
            .read_to_string();
        let text = text.map_err(|e| ClientError::Broken {
            url: self.url.clone(),
            reason: e.to_string(),
        })?;
        if (200..300).contains(&status) {
            return Ok(text);
        }
        match serde_json::from_str::<Error>(&text) {
            Ok(said) => Err(ClientError::Refused {
                status,
                error: plain(&said.error),
            }),
            Err(_) => Err(ClientError::NoDaemon {
                url: self.url.clone(),
                status,
            }),
        }
    }

    fn failed(&self, error: &ureq::Error) -> ClientError {
        let (url, reason) = (self.url.clone(), error.to_string());
        match error {
            ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => {
                ClientError::Unreachable { url, reason }
            }
            ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
                ClientError::Unreachable { url, reason }
            }
            ureq::Error::Io(e) => match e.kind() {
                std::io::ErrorKind::ConnectionReset
                | std::io::ErrorKind::ConnectionAborted
                | std::io::ErrorKind::BrokenPipe
                | std::io::ErrorKind::UnexpectedEof
                | std::io::ErrorKind::TimedOut => ClientError::Broken { url, reason },
                // Refused, no such host, no way there.
                _ => ClientError::Unreachable { url, reason },
            },
            ureq::Error::NativeTls(_) | ureq::Error::Tls(_) => {
                ClientError::Untrusted { url, reason }
            }
            ureq::Error::Protocol(_) | ureq::Error::Http(_) => {
                ClientError::NoDaemon { url, status: 0 }
            }
            _ => ClientError::Broken { url, reason },
        }
    }
}

/// Sends its body once the daemon wants it: one that refuses at once would close the connection with
/// the body unread, and its words would be lost with it.
fn once_wanted(request: RequestBuilder<WithBody>) -> RequestBuilder<WithBody> {
    request
        .header("expect", "100-continue")
        .config()
        .timeout_await_100(Some(limits::HTTP_READ_TIME))
        .build()
}

/// The certificates of a file.
fn roots(path: &Path) -> Result<RootCerts, ClientError> {
    let no = |reason: String| ClientError::Ca {
        path: path.to_owned(),
        reason,
    };
    let pem = std::fs::read(path).map_err(|e| no(format!("it cannot be read: {e}")))?;
    let mut all = Vec::new();
    for item in parse_pem(&pem) {
        match item.map_err(|e| no(e.to_string()))? {
            PemItem::Certificate(one) => all.push(one),
            _ => return Err(no("something else than a certificate is in it".to_owned())),
        }
    }
    match all.is_empty() {
        true => Err(no("no certificate is in it".to_owned())),
        false => Ok(RootCerts::new_with_certs(&all)),
    }
}

/// The path of a job, or of what belongs to it.
pub(super) fn job_path(job: &str, rest: &str) -> Result<String, ClientError> {
    match names::job(job) {
        Ok(()) => Ok(format!("/v1/jobs/{job}{rest}")),
        Err(reason) => Err(ClientError::JobName {
            name: plain(job),
            reason,
        }),
    }
}

/// The path of a stage's state.
pub(super) fn stage_path(job: &str, stage: &str) -> Result<String, ClientError> {
    match names::stage(stage) {
        Ok(()) => job_path(job, &format!("/state/{stage}")),
        Err(reason) => Err(ClientError::StageName {
            name: plain(stage),
            reason,
        }),
    }
}
