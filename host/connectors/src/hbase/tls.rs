//! TLS to the gateway, by the system's OpenSSL, as to Kafka: one library, which the system's
//! updates mend.

use super::answer::TimedStream;
use super::settings::TlsFiles;
use super::words::Failure;
use crate::certificate::{self, Called};
use openssl::pkey::PKey;
use openssl::ssl::{
    ErrorCode, HandshakeError, MidHandshakeSslStream, SslConnector, SslConnectorBuilder, SslMethod,
    SslStream, SslVerifyMode,
};
use openssl::x509::{X509, X509VerifyResult};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

const CALLED: Called = Called {
    server: "the gateway",
    authority: "hbase.ca",
    named_in: "`hbase.thrift`",
};

/// What to do where no TLS comes back.
const NO_TLS: &str = "it may be a gateway without TLS: compare hbase.thrift.ssl.enabled in its \
                      hbase-site.xml, or take `hbase.tls` away";

/// TLS over a connection.
pub(super) type Tls = SslStream<TimedStream>;

impl TlsFiles {
    /// Why no connection could be made with these files.
    ///
    /// # Errors
    /// One of them cannot be read, is no PEM, or the key is not the certificate's.
    pub fn check(&self) -> Result<(), String> {
        builder(self).map(drop)
    }
}

/// Speaks TLS with who answers, and proves that it is `host`.
pub(super) fn shake(stream: TimedStream, host: &str, files: &TlsFiles) -> Result<Tls, Failure> {
    let mut builder = builder(files).map_err(Failure::Denied)?;
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

fn builder(files: &TlsFiles) -> Result<SslConnectorBuilder, String> {
    let mut builder =
        SslConnector::builder(SslMethod::tls_client()).map_err(|e| format!("no TLS: {e}"))?;
    if let Some(ca) = &files.ca {
        let at = readable(ca, "hbase.ca")?;
        let set = builder.set_ca_file(ca);
        set.map_err(|_| format!("`hbase.ca`: {at} has no certificate as PEM"))?;
    }
    if let Some((certificate, key)) = &files.own {
        let at = readable(certificate, "hbase.certificate")?;
        let set = builder.set_certificate_chain_file(certificate);
        set.map_err(|_| format!("`hbase.certificate`: {at} has no certificate as PEM"))?;
        let key_at = readable(key, "hbase.key")?;
        let pem = std::fs::read(key).map_err(|e| format!("`hbase.key`: {key_at}: {e}"))?;
        // Or the library would ask for a password on the terminal.
        let read = PKey::private_key_from_pem_callback(&pem, |_| Ok(0));
        let read = read.map_err(|_| {
            format!("`hbase.key`: {key_at} is no private key as PEM without a password")
        })?;
        let set = builder.set_private_key(&read);
        set.and_then(|()| builder.check_private_key())
            .map_err(|_| format!("the key in {key_at} is not that of the certificate in {at}"))?;
    }
    Ok(builder)
}

/// The library's own words do not name a file that is not there.
fn readable(path: &Path, setting: &str) -> Result<String, String> {
    let at = path.display();
    match std::fs::File::open(path) {
        Ok(_) => Ok(at.to_string()),
        Err(error) => Err(format!("`{setting}`: {at} cannot be read: {error}")),
    }
}
