//! What the gateway's errors mean.

use crate::link::{Called, LinkError};
use hbase_thrift::hbase::{AlreadyExists, IOError, IllegalArgument};

/// Of a server's words, as much as a line of a log bears.
const WORDS_CHARS_MAX: usize = 400;

/// What became of a call that failed, in the server's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It may go well later; what was sent may have been applied.
    Away(String),
    /// It speaks of a table that is not there.
    NoTable(String),
    /// It speaks of a family that is not there.
    NoFamily(String),
    /// It does not let the host in; why, and what to do.
    Denied(String),
    /// The table's namespace is not there.
    NoNamespace,
    /// The table is disabled.
    Disabled,
    /// The table is there already.
    Exists,
    /// It would fail again.
    Refused(String),
    /// It would fail again, for what is in a row.
    Content(String),
}

/// What a gateway and its settings are called.
pub(super) fn called() -> Called {
    Called {
        server: "the gateway",
        section: "hbase".to_owned(),
        named_in: "thrift",
        no_tls: "it may be a gateway without TLS: compare hbase.thrift.ssl.enabled in its \
                 hbase-site.xml, or take `hbase.tls` away"
            .to_owned(),
    }
}

impl From<LinkError> for Failure {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Away(words) => Failure::Away(words),
            LinkError::Denied(words) => Failure::Denied(words),
            LinkError::Refused(words) => Failure::Refused(words),
        }
    }
}

impl Failure {
    /// The same of one gateway of several.
    pub(super) fn of(self, gateway: &str) -> Failure {
        let told = |words: String| format!("{gateway}: {words}");
        match self {
            Failure::Away(words) => Failure::Away(told(words)),
            Failure::NoTable(words) => Failure::NoTable(told(words)),
            Failure::NoFamily(words) => Failure::NoFamily(told(words)),
            Failure::Denied(words) => Failure::Denied(told(words)),
            Failure::Refused(words) => Failure::Refused(told(words)),
            Failure::Content(words) => Failure::Content(told(words)),
            lasting @ (Failure::NoNamespace | Failure::Disabled | Failure::Exists) => lasting,
        }
    }

    /// What the failures of all gateways are together. They may differ in what they mean, so it is
    /// tried again unless there is but one.
    pub(super) fn of_all(mut failures: Vec<Failure>) -> Failure {
        if failures.len() == 1
            && let Some(only) = failures.pop()
        {
            return only;
        }
        let denied = failures.iter().any(|one| matches!(one, Failure::Denied(_)));
        let words: Vec<String> = failures
            .into_iter()
            .filter_map(|failure| match failure {
                Failure::Away(words) | Failure::Denied(words) | Failure::Refused(words) => {
                    Some(words)
                }
                _ => None,
            })
            .collect();
        match denied {
            true => Failure::Denied(words.join("; ")),
            false => Failure::Away(words.join("; ")),
        }
    }
}

/// An error's own words; the crate's errors hide them.
pub(super) fn words(error: &thrift::Error) -> String {
    match error {
        thrift::Error::Transport(e) => e.message.clone(),
        thrift::Error::Protocol(e) => e.message.clone(),
        thrift::Error::Application(e) => e.message.clone(),
        thrift::Error::User(e) => e.to_string(),
    }
}

/// What a call's error means.
pub(super) fn failure(error: &thrift::Error) -> Failure {
    let thrift::Error::User(user) = error else {
        return Failure::Away(words(error));
    };
    if let Some(error) = user.downcast_ref::<IOError>() {
        return failure_in_words(error.message.as_deref().unwrap_or("an error without words"));
    }
    if user.is::<AlreadyExists>() {
        return Failure::Exists;
    }
    match user.downcast_ref::<IllegalArgument>() {
        Some(error) => Failure::Content(short(
            error
                .message
                .as_deref()
                .unwrap_or("an argument without words"),
        )),
        None => Failure::Away(words(error)),
    }
}

/// Exceptions that HBase would throw again for the same cells. Any other may pass, even where
/// `can_retry` says no (a region server that stops says so), and a missing table says yes; so
/// `can_retry` decides nothing.
const LASTING: [&str; 2] = ["AccessDeniedException", "FailedSanityCheckException"];

/// The same for what is in a row, whatever else is right.
const OF_CONTENT: [&str; 2] = [
    "IllegalArgumentException", // a cell longer than the gateway's hbase.client.keyvalue.maxsize
    "exceeds limit of",         // one longer than the server's hbase.server.keyvalue.maxsize
];

/// What an `IOError` means. Its message is a Java stack trace.
fn failure_in_words(trace: &str) -> Failure {
    let said: Vec<&str> = trace
        .lines()
        .filter(|line| !line.trim_start().starts_with("at "))
        .collect();
    let says = |class: &str| said.iter().any(|line| line.contains(class));
    let words = short(trace);
    if says("NoSuchColumnFamilyException") {
        Failure::NoFamily(words)
    } else if says("NamespaceNotFoundException") {
        Failure::NoNamespace
    } else if says("TableNotFoundException") {
        Failure::NoTable(words)
    } else if says("TableNotEnabledException") {
        Failure::Disabled
    } else if LASTING.iter().any(|class| says(class)) {
        Failure::Refused(words)
    } else if OF_CONTENT.iter().any(|class| says(class)) {
        Failure::Content(words)
    } else {
        Failure::Away(words)
    }
}

/// The first line of a stack trace and its last cause, as one line.
fn short(trace: &str) -> String {
    let mut lines = trace.lines().filter(|line| !line.trim().is_empty());
    let first = lines.next().unwrap_or_default().trim();
    let cause = lines
        .filter_map(|line| line.trim().strip_prefix("Caused by: "))
        .next_back();
    let cancel = |text: &str| text.chars().take(WORDS_CHARS_MAX).collect::<String>();
    match cause {
        Some(cause) if !first.contains(cause) => {
            format!("{}; caused by {}", cancel(first), cancel(cause))
        }
        _ => cancel(first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_words_decide_what_is_done() {
        let trace = |exception: &str| {
            format!(
                "{exception}\n\tat org.apache.hadoop.hbase.TableNotFoundException.of(T.java:1)\n\tat b.C.d(C.java:2)"
            )
        };
        let cases = [
            (
                "org.apache.hadoop.hbase.TableNotFoundException: clicks",
                "no table",
            ),
            (
                "x.RetriesExhaustedWithDetailsException: Failed 1 action: x.NoSuchColumnFamilyException: f",
                "no family",
            ),
            (
                "org.apache.hadoop.hbase.TableNotEnabledException: clicks",
                "disabled",
            ),
            (
                "org.apache.hadoop.hbase.NamespaceNotFoundException: apps",
                "no namespace",
            ),
            (
                "java.lang.IllegalArgumentException: KeyValue size too large",
                "content",
            ),
            (
                "x.DoNotRetryIOException: Cell[a/f:q/1/Put] with size 12 exceeds limit of 10 bytes",
                "content",
            ),
            (
                "org.apache.hadoop.hbase.security.AccessDeniedException: no",
                "refused",
            ),
            (
                "org.apache.hadoop.hbase.NotServingRegionException: clicks,,1. is not online",
                "away",
            ),
            (
                "org.apache.hadoop.hbase.NotAllMetaRegionsOnlineException: meta",
                "away",
            ),
            (
                "org.apache.hadoop.hbase.client.RetriesExhaustedException: Failed after attempts=6",
                "away",
            ),
            ("java.net.ConnectException: Connection refused", "away"),
            (
                "org.apache.hadoop.hbase.DoNotRetryIOException: new in this version",
                "away",
            ),
            ("", "away"),
        ];
        for (exception, expected) in cases {
            let is = match failure_in_words(&trace(exception)) {
                Failure::NoTable(_) => "no table",
                Failure::NoFamily(_) => "no family",
                Failure::NoNamespace => "no namespace",
                Failure::Denied(_) => "denied",
                Failure::Disabled => "disabled",
                Failure::Refused(_) => "refused",
                Failure::Content(_) => "content",
                Failure::Exists => "exists",
                Failure::Away(_) => "away",
            };
            assert_eq!(is, expected, "{exception}");
        }
    }

    #[test]
    fn a_stack_trace_is_told_in_one_line() {
        let trace = "a.B: it failed\n\tat a.B.c(B.java:1)\nCaused by: d.E: half\n\tat x\nCaused by: f.G: because\n\tat y";
        assert_eq!(short(trace), "a.B: it failed; caused by f.G: because");
        assert_eq!(
            short("a.B: it failed\n\tat a.B.c(B.java:1)"),
            "a.B: it failed"
        );
        assert_eq!(short(&"x".repeat(5000)).len(), WORDS_CHARS_MAX);
    }
}
