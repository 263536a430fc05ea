//! Tells a webhook what the host did about a job by itself: it rolled a version back, stopped a
//! job, or saw one go over its budget. On a thread of its own, from a bounded queue: no job waits
//! for whoever listens, and what cannot be told is logged, counted and let go.

use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::Duration;
use streamhost_core::limits;
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};

/// What the host did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlertKind {
    /// A version was rolled back.
    RolledBack,
    /// A version is over its budget, and goes on.
    OverBudget,
    /// The job was stopped, as its version was over its budget.
    Stopped,
}

/// What a webhook is told: one object of JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// The job.
    pub job: String,
    /// What the host did.
    pub what: AlertKind,
    /// Why.
    pub reason: String,
    /// The version that it is about.
    pub version: u64,
    /// The version that runs in its place; none where nothing was rolled back.
    pub back_to: Option<u64>,
    /// When, RFC 3339.
    pub at: String,
}

#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    failed: AtomicU64,
}

/// The way to a webhook.
#[derive(Clone, Debug)]
pub struct Alerts {
    queue: SyncSender<Alert>,
    counts: Arc<Counts>,
}

impl Alerts {
    /// Starts the thread that sends to this address. It ends when all copies of this are gone.
    pub fn start(webhook: &str) -> std::io::Result<Alerts> {
        let (queue, queued) = mpsc::sync_channel(limits::ALERTS_QUEUED_MAX);
        let counts: Arc<Counts> = Arc::default();
        let (counted, webhook) = (counts.clone(), webhook.to_owned());
        std::thread::Builder::new()
            .name("alerts".into())
            .spawn(move || send_all(&webhook, &queued, &counted))?;
        Ok(Alerts { queue, counts })
    }

    /// Hands an alert on; does not wait.
    pub fn send(&self, alert: Alert) {
        let job = alert.job.clone();
        if self.queue.try_send(alert).is_err() {
            self.counts.failed.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(
                "an alert about `{job}` is let go: {} wait already for `alerts.webhook`",
                limits::ALERTS_QUEUED_MAX
            );
        }
    }

    /// How many the webhook took, and how many were let go.
    pub fn counts(&self) -> (u64, u64) {
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        (count(&self.counts.sent), count(&self.counts.failed))
    }
}

/// The client: TLS as the command line has it, by OpenSSL and the system's authorities.
fn agent() -> ureq::Agent {
    let tls = TlsConfig::builder()
        .provider(TlsProvider::NativeTls)
        .root_certs(RootCerts::PlatformVerifier);
    ureq::Agent::config_builder()
        .tls_config(tls.build())
        .timeout_global(Some(limits::ALERT_SEND_TIME))
        .http_status_as_error(false)
        .max_redirects(0) // an alert goes to whom the configuration names
        .user_agent(concat!("streamhost/", env!("CARGO_PKG_VERSION")))
        .build()
        .new_agent()
}

fn send_all(webhook: &str, queued: &Receiver<Alert>, counts: &Counts) {
    let agent = agent();
    for alert in queued {
        let told = send(&agent, webhook, &alert);
        let of = if told.is_ok() {
            &counts.sent
        } else {
            &counts.failed
        };
        of.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = told {
            tracing::warn!(
                "an alert about `{}` is let go after {} attempts: {error}; is `alerts.webhook` right?",
                alert.job,
                limits::ALERT_ATTEMPTS_MAX
            );
        }
    }
}

/// Why a webhook has not taken an alert.
#[derive(Debug, thiserror::Error)]
enum Untaken {
    #[error("{0}")]
    Unsent(#[from] ureq::Error),
    #[error("it answers {0}")]
    Answered(ureq::http::StatusCode),
    #[error("it cannot be written: {0}")]
    Unwritten(#[from] serde_json::Error),
}

/// Tries it a few times, with a wait between them that doubles.
fn send(agent: &ureq::Agent, webhook: &str, alert: &Alert) -> Result<(), Untaken> {
    let body = serde_json::to_string(alert)?;
    let mut wait = limits::ALERT_WAIT;
    let mut tried = post(agent, webhook, &body);
    for _ in 1..limits::ALERT_ATTEMPTS_MAX {
        if tried.is_ok() {
            break;
        }
        std::thread::sleep(wait);
        wait = Duration::min(2 * wait, limits::BACKOFF.1);
        tried = post(agent, webhook, &body);
    }
    tried
}

fn post(agent: &ureq::Agent, webhook: &str, body: &str) -> Result<(), Untaken> {
    let post = agent.post(webhook).content_type("application/json");
    match post.send(body)?.status() {
        taken if taken.is_success() => Ok(()),
        status => Err(Untaken::Answered(status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{TcpListener, TcpStream};

    fn alert(job: &str) -> Alert {
        Alert {
            job: job.to_owned(),
            what: AlertKind::RolledBack,
            reason: "over its budget".to_owned(),
            version: 2,
            back_to: Some(1),
            at: "2026-11-21T08:00:00Z".to_owned(),
        }
    }

    /// Takes one request, and answers it so; its first line and its body.
    fn answer(listener: &TcpListener, status: &str) -> (String, String) {
        let (mut stream, _): (TcpStream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut first, mut length) = (String::new(), 0);
        reader.read_line(&mut first).unwrap();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(said) = line.strip_prefix("content-length:") {
                length = said.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        (first, String::from_utf8(body).unwrap())
    }

    #[test]
    fn an_alert_is_an_object_that_is_tried_a_few_times() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let alerts = Alerts::start(&format!("http://{address}/hook")).unwrap();
        alerts.send(alert("clicks"));
        let (first, body) = answer(&listener, "503 Service Unavailable");
        assert_eq!(first, "POST /hook HTTP/1.1\r\n");
        assert_eq!(answer(&listener, "302 Found").1, body, "once more");
        assert_eq!(answer(&listener, "204 No Content").1, body, "and again");
        let want = r#"{"job":"clicks","what":"rolled-back","reason":"over its budget","version":2,"back_to":1,"at":"2026-11-21T08:00:00Z"}"#;
        assert_eq!(body, want);

        // One that is refused each time is let go, and the next one comes all the same.
        alerts.send(alert("lost"));
        alerts.send(alert("next"));
        for _ in 0..limits::ALERT_ATTEMPTS_MAX {
            assert!(answer(&listener, "500 No").1.contains("lost"));
        }
        assert!(answer(&listener, "200 OK").1.contains("next"));
        // It is counted before the one after it is sent.
        assert_eq!(alerts.counts().1, 1);
    }

    #[test]
    fn whoever_alerts_does_not_wait_for_one_who_listens_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap(); // takes no connection
        let address = listener.local_addr().unwrap();
        let alerts = Alerts::start(&format!("http://{address}/")).unwrap();
        for _ in 0..limits::ALERTS_QUEUED_MAX + 2 {
            alerts.send(alert("clicks"));
        }
        assert!(alerts.counts().1 >= 1);
    }
}
