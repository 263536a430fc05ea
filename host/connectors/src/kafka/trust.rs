//! Why a broker's certificate is not trusted. librdkafka says that it is not, and no more; so the
//! host looks at it itself, by the same library and the same settings.

use super::KafkaSettings;
use crate::certificate::{Called, why_not};
use openssl::ssl::{Ssl, SslConnector, SslMethod, SslVerifyMode};
use openssl::x509::{X509, X509VerifyResult};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use streamhost_core::limits;

/// By what a broker's certificate is judged.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    ca_location: Option<PathBuf>,
    ca_pem: Option<String>,
    /// The certificate must have the broker's name.
    by_name: bool,
}

impl Trust {
    /// Where TLS is spoken.
    pub(crate) fn of(settings: &KafkaSettings) -> Option<Trust> {
        let property = |name: &str| settings.properties.get(name);
        let tls = |protocol: &String| protocol.to_ascii_lowercase().ends_with("ssl");
        property("security.protocol").filter(|protocol| tls(protocol))?;
        let ca_pem = settings.secrets.get("ssl.ca.pem");
        let ca_pem = ca_pem.and_then(|secret| secret.read().ok());
        Some(Trust {
            ca_location: property("ssl.ca.location").map(PathBuf::from),
            ca_pem: ca_pem.or_else(|| property("ssl.ca.pem").cloned()),
            by_name: property("ssl.endpoint.identification.algorithm")
                .is_none_or(|way| way != "none"),
        })
    }

    /// Why the certificate of the broker at `HOST:PORT` is not trusted. None: it is, or that cannot
    /// be found out within [`limits::CONNECT_TIME`] for each step.
    pub(crate) fn why_not(&self, address: &str) -> Option<String> {
        let (host, _) = address.rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let found = address.to_socket_addrs().ok()?.next()?;
        let stream = TcpStream::connect_timeout(&found, limits::CONNECT_TIME).ok()?;
        stream.set_read_timeout(Some(limits::CONNECT_TIME)).ok()?;
        stream.set_write_timeout(Some(limits::CONNECT_TIME)).ok()?;
        let mut ssl = self.ssl(host)?;
        // The outcome is looked at, not acted upon: nothing is sent over this connection.
        ssl.set_verify(SslVerifyMode::NONE);
        let shaken = ssl.connect(stream);
        let ssl = match &shaken {
            Ok(stream) => stream.ssl(),
            Err(openssl::ssl::HandshakeError::Failure(broken)) => broken.ssl(),
            Err(_) => return None,
        };
        let result = ssl.verify_result();
        let shown = ssl.peer_certificate();
        (result != X509VerifyResult::OK).then(|| why_not(result, host, shown.as_ref(), CALLED))
    }

    fn ssl(&self, host: &str) -> Option<Ssl> {
        let mut builder = SslConnector::builder(SslMethod::tls_client()).ok()?;
        match &self.ca_location {
            Some(path) if path.is_dir() => builder.load_verify_locations(None, Some(path)).ok()?,
            Some(path) if path.is_file() => builder.set_ca_file(path).ok()?,
            _ => {} // the system's, which are known already
        }
        for authority in self
            .ca_pem
            .iter()
            .flat_map(|pem| X509::stack_from_pem(pem.as_bytes()))
        {
            for one in authority {
                builder.cert_store_mut().add_cert(one).ok()?;
            }
        }
        let configured = builder.build().configure().ok()?;
        configured.verify_hostname(self.by_name).into_ssl(host).ok()
    }
}

const CALLED: Called<'_> = Called {
    server: "the broker",
    authority: "ssl.ca.location",
    named_in: "`brokers` and in its own `advertised.listeners`",
};
