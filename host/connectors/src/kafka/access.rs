//! Whether the brokers let the host in, and why not: what librdkafka says of TLS and SASL, in words
//! that tell what to change. No word of it holds a secret.

use super::token::TOKEN;
use super::trust::Trust;
use super::{Fault, KafkaSettings};
use rdkafka::error::RDKafkaErrorCode as Code;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Properties whose values are secrets.
const SECRETS: [&str; 7] = [
    "sasl.password",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.password",
    "sasl.oauthbearer.config",
    "sasl.oauthbearer.client.secret",
    TOKEN,
];

/// Properties that are no secrets, and may all the same stand in a file or in the environment.
const ELSEWHERE: [&str; 4] = [
    "sasl.username",
    "sasl.oauthbearer.client.id",
    "ssl.ca.pem",
    "ssl.certificate.pem",
];

/// Properties that name a file; a relative path in them begins at the configuration's folder.
const FILES: [&str; 5] = [
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.key.location",
    "ssl.keystore.location",
    "ssl.crl.location",
];

/// Whether a property's value must not be shown.
pub fn is_secret(property: &str) -> bool {
    SECRETS.contains(&property)
}

/// Whether a property may be given as `{ file = "…" }` or `{ env = "…" }`.
pub fn may_stand_elsewhere(property: &str) -> bool {
    is_secret(property) || ELSEWHERE.contains(&property)
}

/// Whether a property names a file.
pub fn is_file(property: &str) -> bool {
    FILES.contains(&property)
}

/// A property's value as it may be shown.
pub(super) fn shown<'a>(property: &str, value: &'a str) -> &'a str {
    if is_secret(property) { "…" } else { value }
}

impl fmt::Debug for KafkaSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let properties = self.properties.iter();
        let shown: Vec<_> = properties
            .map(|(name, value)| (name, shown(name, value)))
            .collect();
        f.debug_struct("KafkaSettings")
            .field("brokers", &self.brokers)
            .field("properties", &shown)
            .field("secrets", &self.secrets)
            .finish()
    }
}

/// Whether the reason why a client cannot be made is that of its credentials or certificates.
pub(super) fn is_about(reason: &str) -> bool {
    let reason = reason.to_ascii_lowercase();
    ["ssl", "sasl", "oauth", "certificate", MISSING]
        .iter()
        .any(|part| reason.contains(part))
}

/// Begins what is said of a secret that cannot be read.
pub(super) const MISSING: &str = "a secret is missing";

/// What an error of a client's connections means, and in which words.
pub(crate) fn meaning(code: Code, words: &str) -> (Fault, String) {
    let said = Said::of(words);
    match said.denial(code) {
        Some(reason) => (Fault::Denied, said.at(&reason)),
        None => match said.hint() {
            Some(reason) => (Fault::Away, said.at(reason)),
            None => (super::classify(code), words.to_owned()),
        },
    }
}

/// What a line of the client's log tells of a connection that was closed. The client makes no error
/// of it, as idle connections are closed too.
pub(crate) fn hint(line: &str) -> Option<String> {
    let (_, words) = line.split_once("]: ").unwrap_or(("", line));
    let said = Said::of(words);
    said.hint().map(|reason| said.at(reason))
}

/// `sasl_ssl://HOST:PORT/ID: words (after 5ms in state X, …)` in its parts.
struct Said<'a> {
    scheme: &'a str,
    address: &'a str,
    words: &'a str,
    /// How long the connection was in its state, and which.
    after_ms: u64,
    state: &'a str,
}

/// A connection that is closed so early after its beginning was not let in.
const EARLY_MS: u64 = 2000;

impl<'a> Said<'a> {
    fn of(all: &'a str) -> Said<'a> {
        let (words, after) = all.rsplit_once(" (after ").unwrap_or((all, ""));
        let (after_ms, state) = after.split_once("ms in state ").unwrap_or(("", ""));
        let (place, words) = words.split_once(": ").unwrap_or(("", words));
        let (scheme, node) = place.split_once("://").unwrap_or(("", place));
        Said {
            scheme,
            address: node.split('/').next().unwrap_or(node),
            words,
            after_ms: after_ms.parse().unwrap_or(u64::MAX),
            state: state
                .trim_end_matches(')')
                .split(',')
                .next()
                .unwrap_or(state),
        }
    }

    fn at(&self, reason: &str) -> String {
        match self.address {
            "" => reason.to_owned(),
            address => format!("{address}: {reason}"),
        }
    }

    fn has(&self, part: &str) -> bool {
        self.words.contains(part)
    }

    /// Why the host is not let in, where that is certain.
    fn denial(&self, code: Code) -> Option<String> {
        let own = |what: &str| {
            Some(format!(
                "the broker {what}: check `ssl.certificate.location` and `ssl.key.location`"
            ))
        };
        if self.has("certificate required") || self.has("SSL authentication might be required") {
            return own("wants a certificate of its clients");
        }
        let alerts = [
            "alert unknown ca",
            "alert bad certificate",
            "alert certificate",
        ];
        if alerts.iter().any(|alert| self.has(alert)) {
            let alert = self.words.rsplit("::").next().unwrap_or(self.words);
            return own(&format!(
                "does not take the host's certificate, or lack of one ({alert})"
            ));
        }
        match code {
            _ if self.has("wrong version number") => None, // it is no TLS at all
            Code::SSL if self.has("certificate verify failed") || self.has("Failed to verify") => {
                Some(UNTRUSTED.to_owned())
            }
            Code::SSL => Some(format!("TLS with the broker fails: {}", self.words)),
            Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::UnsupportedSASLMechanism => Some(unproven(self.words)),
            _ => None,
        }
    }

    /// What a connection that was closed may be about.
    fn hint(&self) -> Option<&'static str> {
        if self.has("connecting to a PLAINTEXT broker listener") || self.has("wrong version number")
        {
            return Some(
                "it answers no TLS handshake: it may be a listener without TLS; check the port, or set \
                 `security.protocol` to PLAINTEXT or SASL_PLAINTEXT",
            );
        }
        let closed = self.has("Disconnected") || self.has("Broken pipe");
        if !closed || self.after_ms > EARLY_MS {
            return None;
        }
        match (self.state, self.scheme) {
            ("APIVERSION_QUERY", "" | "plaintext" | "sasl_plaintext") => Some(
                "it ends each connection at the first request: it may be a listener with TLS, or just \
                 starting; check the port, or set `security.protocol` to SSL or SASL_SSL",
            ),
            ("UP", "" | "plaintext" | "ssl") => Some(
                "it ends each connection at once: it may want SASL; set `security.protocol` to SASL_SSL \
                 or SASL_PLAINTEXT, and `sasl.mechanism`",
            ),
            ("AUTH_HANDSHAKE" | "AUTH_REQ" | "AUTH_LEGACY", _) => Some(
                "it ends each connection when SASL begins: it may be a listener without SASL; set \
                 `security.protocol` to SSL or PLAINTEXT",
            ),
            _ => None,
        }
    }
}

/// Where the certificate does not do, and it is not known why.
const UNTRUSTED: &str = "the broker's certificate is not trusted: name the authority that signed it \
                         in `ssl.ca.location`, and the broker by a name that its certificate has";

fn unproven(said: &str) -> String {
    if let Some((mechanism, rest)) = said
        .strip_prefix("SASL ")
        .and_then(|rest| rest.split_once(" mechanism handshake failed"))
    {
        let known = rest.split_once("supported mechanisms: ");
        let known = known.map_or("others", |(_, known)| known.trim());
        return format!(
            "the broker does not take SASL mechanism {mechanism}, but {known}: set `sasl.mechanism`"
        );
    }
    if said.contains("OAUTHBEARER") || said.contains("invalid_token") {
        return format!("the broker does not take the token ({said}): look at `{TOKEN}`");
    }
    let said = said
        .trim_start_matches("SASL authentication error: ")
        .trim_start_matches("Authentication failed: ");
    format!(
        "the broker does not accept who the host says it is ({said}): check `sasl.mechanism`, \
         `sasl.username` and `sasl.password`"
    )
}

/// What a client said of its connections since it was made.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    last: Mutex<Last>,
    trust: Option<Trust>,
}

#[derive(Debug, Default)]
struct Last {
    said: Option<(Fault, String)>,
    all_down: bool,
}

impl Heard {
    /// Of a client with these settings.
    pub(crate) fn of(settings: &KafkaSettings) -> Heard {
        Heard {
            trust: Trust::of(settings),
            ..Heard::default()
        }
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in an error event.
    pub(crate) fn take(&self, code: Code, words: &str) {
        let mut last = self.last();
        match code {
            Code::AllBrokersDown => last.all_down = true,
            _ => last.said = Some(meaning(code, words)),
        }
    }

    /// Takes in a line of the client's log about a connection that failed.
    pub(crate) fn take_line(&self, line: &str) {
        let mut last = self.last();
        let is_known = matches!(last.said, Some((Fault::Denied, _)));
        if let (false, Some(words)) = (is_known, hint(line)) {
            last.said = Some((Fault::Away, words));
        }
    }

    /// Why no broker lets the host in, where it is so.
    pub(crate) fn denied(&self) -> Option<(Fault, String)> {
        let said = {
            let last = self.last();
            last.said.clone().filter(|_| last.all_down)
        };
        let (fault, words) = said.filter(|(fault, _)| *fault == Fault::Denied)?;
        Some((fault, self.looked_into(words)))
    }

    /// What was said last of any broker; where nothing was, these words.
    pub(crate) fn or(&self, fault: Fault, words: String) -> (Fault, String) {
        let said = self.last().said.clone();
        match said {
            Some((fault, words)) => (fault, self.looked_into(words)),
            None => (fault, words),
        }
    }

    /// librdkafka tells no more of a certificate than that it does not do: so it is looked at.
    fn looked_into(&self, words: String) -> String {
        let (Some(trust), Some(address)) = (&self.trust, words.strip_suffix(UNTRUSTED)) else {
            return words;
        };
        let address = address.trim_end_matches(": ");
        match trust.why_not(address) {
            Some(why) => format!("{address}: {why}"),
            None => words,
        }
    }
}

#[cfg(test)]
#[path = "access_tests.rs"]
mod tests;
