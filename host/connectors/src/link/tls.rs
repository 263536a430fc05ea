//! TLS to a server, by the system's OpenSSL, as to Kafka: one library, which the system's
//! updates mend.

use super::deadline::TimedStream;
use super::{Called, LinkError};
use crate::certificate;
use crate::tls_files::TlsFiles;
use openssl::ssl::{ErrorCode, HandshakeError, MidHandshakeSslStream, SslStream, SslVerifyMode};
use openssl::x509::{X509, X509VerifyResult};
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError};

/// TLS over a connection.
pub(super) type Tls = SslStream<TimedStream>;

/// Speaks TLS with who answers, and proves that it is `host`.
pub(super) fn shake(
    stream: TimedStream,
    host: &str,
    files: &TlsFiles,
    called: &Called,
) -> Result<Tls, LinkError> {
    let mut builder = files.builder(&called.section).map_err(LinkError::Denied)?;
    // The library forgets a certificate that it does not trust.
    let untrusted: Arc<Mutex<Option<X509>>> = Arc::default();
    let seen = Arc::clone(&untrusted);
    builder.set_verify_callback(SslVerifyMode::PEER, move |trusted, context| {
        if !trusted {
            let own = context.chain().and_then(|chain| chain.get(0));
            let own = own.or(context.current_cert()).map(ToOwned::to_owned);
            *seen.lock().unwrap_or_else(PoisonError::into_inner) = own;
        }
        trusted
    });
    let connector = builder.build();
    // A name in brackets is an address of IPv6.
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match connector.connect(host, stream) {
        Ok(stream) => Ok(stream),
        Err(HandshakeError::SetupFailure(error)) => {
            Err(LinkError::Away(format!("TLS cannot be set up: {error}")))
        }
        Err(HandshakeError::Failure(broken)) => {
            let untrusted = untrusted.lock().unwrap_or_else(PoisonError::into_inner);
            Err(why(&broken, host, untrusted.as_ref(), called))
        }
        // A read that took too long.
        Err(HandshakeError::WouldBlock(_)) => Err(LinkError::Away(format!(
            "no answer in time to TLS: {}",
            called.no_tls
        ))),
    }
}

fn why(
    broken: &MidHandshakeSslStream<TimedStream>,
    host: &str,
    untrusted: Option<&X509>,
    called: &Called,
) -> LinkError {
    let no_tls = &called.no_tls;
    let result = broken.ssl().verify_result();
    if result != X509VerifyResult::OK {
        let (section, list) = (&called.section, called.named_in);
        let words = certificate::Called {
            server: called.server,
            authority: &format!("{section}.ca"),
            named_in: &format!("`{section}.{list}`"),
        };
        return LinkError::Denied(certificate::why_not(result, host, untrusted, words));
    }
    let error = broken.error();
    if let Some(io) = error.io_error() {
        return match io.kind() {
            ErrorKind::TimedOut => LinkError::Away(format!("no answer in time to TLS: {no_tls}")),
            _ => LinkError::Away(format!("TLS broke off ({io}): {no_tls}")),
        };
    }
    match reason(error) {
        Some(reason) if is_about_us(&reason) => {
            LinkError::Denied(refused_certificate(&reason, called))
        }
        Some(reason) => LinkError::Away(format!("TLS failed ({reason}): {no_tls}")),
        None => LinkError::Away(format!("TLS broke off: {no_tls}")),
    }
}

/// Why a call over TLS failed, if it is for the host's certificate: TLS 1.3 tells that only after
/// the handshake.
pub(crate) fn denial(words: &str, called: &Called) -> Option<String> {
    is_about_us(words).then(|| refused_certificate(words, called))
}

fn refused_certificate(words: &str, called: &Called) -> String {
    let (server, section) = (called.server, &called.section);
    format!(
        "{server} does not take the host's certificate ({words}): check `{section}.certificate` and \
         `{section}.key`"
    )
}

/// Alerts that a server sends about its client's certificate, or the lack of one.
fn is_about_us(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    let alerts = [
        "certificate required",
        "bad certificate",
        "unknown ca",
        "certificate expired",
    ];
    words.contains("alert") && alerts.iter().any(|alert| words.contains(alert))
}

/// The first reason in an error's own words.
fn reason(error: &openssl::ssl::Error) -> Option<String> {
    if error.code() == ErrorCode::ZERO_RETURN {
        return Some("it was closed".to_owned());
    }
    let first = error.ssl_error()?.errors().first()?;
    first.reason().map(str::to_owned)
}
