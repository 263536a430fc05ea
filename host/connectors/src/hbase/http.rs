//! Thrift over HTTP: each call is a request, and the body of its answer is the call's answer. HTTP
//! itself is ureq's, over connections of ours, which end with a call's deadline and when the job is
//! cut. Kerberos (SPNEGO) is not here: no crate of its client is kept without the system's
//! libraries, and a proxy with a password in front of the gateway does the same.

use super::settings::HbaseSettings;
use super::words::{Failure, called};
use crate::link::{self, CallDeadline, Failed};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use streamhost_core::limits;
use streamhost_engine::sink::CancelSignal;
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body, BodyReader};

/// Both directions of the calls to one gateway.
#[derive(Clone)]
pub(super) struct HttpChannel(Arc<Mutex<Exchange>>);

struct Exchange {
    agent: Agent,
    url: String,
    headers: Vec<(&'static str, String)>,
    settings: HbaseSettings,
    /// The call that is being written.
    call: Vec<u8>,
    answer: Option<BodyReader<'static>>,
    /// Why there is no connection, if there is none.
    failed: Failed,
    /// What an answer meant that was none, for which an error has no room.
    answered: Option<Failure>,
}

fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl HttpChannel {
    /// To this gateway. It is connected to at the first call; the password is read now.
    pub(super) fn new(
        gateway: &str,
        settings: &HbaseSettings,
        cancel: &CancelSignal,
        deadline: &CallDeadline,
    ) -> std::result::Result<Self, Failure> {
        let http = &settings.http;
        let kind = "application/x-thrift".to_owned();
        let mut headers = vec![("Content-Type", kind.clone()), ("Accept", kind)];
        if let Some((user, password)) = &http.user {
            let password = password.read();
            let password =
                password.map_err(|e| Failure::Denied(format!("`hbase.password`: {e}")))?;
            let both = STANDARD.encode(format!("{user}:{password}"));
            headers.push(("Authorization", format!("Basic {both}")));
        }
        if let Some(user) = &http.do_as {
            headers.push(("doAs", user.clone()));
        }
        let failed = Failed::default();
        let ways = (deadline, &failed);
        let agent = link::agent(gateway, settings.tls.as_ref(), &called(), cancel, ways);
        let scheme = if settings.tls.is_some() {
            "https"
        } else {
            "http"
        };
        Ok(HttpChannel(Arc::new(Mutex::new(Exchange {
            agent,
            url: format!("{scheme}://{gateway}{}", http.path),
            headers,
            settings: settings.clone(),
            call: Vec::new(),
            answer: None,
            failed,
            answered: None,
        }))))
    }

    /// Why the last request failed, if there is more to say of it than its error does.
    pub(super) fn take_failure(&self) -> Option<Failure> {
        let mut exchange = locked(&self.0);
        let answered = exchange.answered.take();
        answered.or_else(|| link::take_failure(&exchange.failed).map(Failure::from))
    }
}

impl Write for HttpChannel {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        locked(&self.0).call.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    /// Sends the call. The client flushes once for each.
    fn flush(&mut self) -> Result<()> {
        locked(&self.0).send()
    }
}

impl Read for HttpChannel {
    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        match &mut locked(&self.0).answer {
            Some(answer) => answer.read(out),
            None => Ok(0),
        }
    }
}

impl Exchange {
    fn send(&mut self) -> Result<()> {
        // Only a connection whose answer was read to its end can be used again.
        if let Some(mut answer) = self.answer.take()
            && answer.read(&mut [0])? > 0
        {
            let words = "an answer went on behind its end";
            return Err(Error::new(ErrorKind::InvalidData, words));
        }
        let call = std::mem::take(&mut self.call);
        let mut request = self.agent.post(&self.url);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let sent = request.send(&call[..]);
        let response = sent.map_err(|error| match error {
            ureq::Error::Io(error) => error,
            error => Error::other(format!("no sensible answer over HTTP: {error}")),
        })?;
        if response.status() != StatusCode::OK {
            self.answered = Some(refused(&response, &self.settings));
            return Err(Error::other(format!("HTTP {}", response.status())));
        }
        self.answer = Some(bounded(response));
        // The buffer is used again.
        self.call = call;
        self.call.clear();
        self.call.shrink_to(limits::HBASE_CALL_BYTES_MAX);
        Ok(())
    }
}

fn bounded(response: Response<Body>) -> BodyReader<'static> {
    let most = limits::HBASE_ANSWER_BYTES_MAX as u64;
    let body = response.into_body().into_with_config();
    body.limit(most).reader()
}

/// What an answer means that is not 200, and what to do.
fn refused(response: &Response<Body>, settings: &HbaseSettings) -> Failure {
    let status = response.status();
    let http = &settings.http;
    let asks = response.headers().get("www-authenticate");
    let asks = asks
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    match status.as_u16() {
        401 if asks.to_ascii_lowercase().starts_with("negotiate") => Failure::Denied(
            "it asks for Kerberos (HTTP 401, Negotiate), which is not built in: put a proxy that \
             knows it in front of the gateway, and give the proxy `hbase.username`"
                .to_owned(),
        ),
        401 if http.user.is_none() => Failure::Denied(
            "it asks for a password (HTTP 401): set `hbase.username` and `hbase.password`"
                .to_owned(),
        ),
        401 => Failure::Denied(
            "it does not take `hbase.username` with `hbase.password` (HTTP 401)".to_owned(),
        ),
        403 => Failure::Denied(
            "its user may not use the gateway (HTTP 403): check `hbase.username`, `hbase.do-as` and \
             what the gateway, or the proxy before it, allows them"
                .to_owned(),
        ),
        404 => Failure::Denied(format!(
            "it has nothing at `{}` (HTTP 404): set `hbase.path` to where the gateway is",
            http.path
        )),
        413 => Failure::Denied(format!(
            "it takes no request of {} bytes (HTTP 413): let the proxy before the gateway take those, \
             in nginx by client_max_body_size",
            limits::HBASE_CALL_BYTES_MAX
        )),
        400 | 426 if settings.tls.is_none() => Failure::Away(format!(
            "it does not take the request (HTTP {status}): it may speak TLS; then set `hbase.tls = true`"
        )),
        500 if http.do_as.is_some() => Failure::Denied(
            "it does not act for others (HTTP 500): set hbase.thrift.support.proxyuser in its \
             hbase-site.xml and hadoop.proxyuser.… in its core-site.xml, or take `hbase.do-as` away"
                .to_owned(),
        ),
        _ => Failure::Away(format!("it answers HTTP {status}")),
    }
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
