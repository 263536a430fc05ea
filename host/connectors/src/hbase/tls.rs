//! TLS to the gateway, by the system's OpenSSL, as to Kafka: one library, which the system's
//! updates mend.

use super::answer::TimedStream;
use super::words::Failure;
use crate::certificate::{self, Called};
use crate::tls_files::TlsFiles;
use openssl::ssl::{ErrorCode, HandshakeError, MidHandshakeSslStream, SslStream, SslVerifyMode};
use openssl::x509::{X509, X509VerifyResult};
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError};

const CALLED: Called<'_> = Called {
    server: "the gateway",
    authority: "hbase.ca",
    named_in: "`hbase.thrift`",
};

/// What its settings begin with.
const SECTION: &str = "hbase";

/// What to do where no TLS comes back.
const NO_TLS: &str = "it may be a gateway without TLS: compare hbase.thrift.ssl.enabled in its \
                      hbase-site.xml, or take `hbase.tls` away";

/// TLS over a connection.
pub(super) type Tls = SslStream<TimedStream>;

/// Speaks TLS with who answers, and proves that it is `host`.
pub(super) fn shake(stream: TimedStream, host: &str, files: &TlsFiles) -> Result<Tls, Failure> {
    let mut builder = files.builder(SECTION).map_err(Failure::Denied)?;
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
            Err(Failure::Away(format!("TLS cannot be set up: {error}")))
        }
        Err(HandshakeError::Failure(broken)) => {
            let untrusted = untrusted.lock().unwrap_or_else(PoisonError::into_inner);
            Err(why(&broken, host, untrusted.as_ref()))
        }
        // A read that took too long.
        Err(HandshakeError::WouldBlock(_)) => {
            Err(Failure::Away(format!("no answer in time to TLS: {NO_TLS}")))
        }
    }
}

fn why(
    broken: &MidHandshakeSslStream<TimedStream>,
    host: &str,
    untrusted: Option<&X509>,
) -> Failure {
    let result = broken.ssl().verify_result();
    if result != X509VerifyResult::OK {
        return Failure::Denied(certificate::why_not(result, host, untrusted, CALLED));
    }
    let error = broken.error();
    if let Some(io) = error.io_error() {
        return match io.kind() {
            ErrorKind::TimedOut => Failure::Away(format!("no answer in time to TLS: {NO_TLS}")),
            _ => Failure::Away(format!("TLS broke off ({io}): {NO_TLS}")),
        };
    }
    match reason(error) {
        Some(reason) if is_about_us(&reason) => Failure::Denied(refused_certificate(&reason)),
        Some(reason) => Failure::Away(format!("TLS failed ({reason}): {NO_TLS}")),
        None => Failure::Away(format!("TLS broke off: {NO_TLS}")),
    }
}

/// Why a call over TLS failed, if it is for the host's certificate: TLS 1.3 tells that only after
/// the handshake.
pub(super) fn denial(words: &str) -> Option<Failure> {
    is_about_us(words).then(|| Failure::Denied(refused_certificate(words)))
}

fn refused_certificate(words: &str) -> String {
    format!(
        "the gateway does not take the host's certificate ({words}): check `hbase.certificate` and \
         `hbase.key`"
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
