//! TLS by the system's OpenSSL, as to Kafka: one library, which the system's updates mend.

use openssl::pkcs12::Pkcs12;
use openssl::pkey::PKey;
use openssl::ssl::{SslConnector, SslConnectorBuilder, SslMethod};
use openssl::stack::Stack;
use openssl::x509::X509;
use std::path::{Path, PathBuf};

/// TLS: by what a server is trusted, and what the host shows it. The files are PEM, and are read
/// whenever a connection is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// The authority of the servers' certificates; none: one of the system's.
    pub ca: Option<PathBuf>,
    /// The host's certificate and its key, for servers that ask for one.
    pub own: Option<(PathBuf, PathBuf)>,
}

impl TlsFiles {
    /// Why no connection could be made with these files, whose settings are called `SECTION.ca` and
    /// so on.
    ///
    /// # Errors
    /// One of them cannot be read, is no PEM, or the key is not the certificate's.
    pub fn check(&self, section: &str) -> Result<(), String> {
        self.builder(section).map(drop)
    }

    /// The host's certificate, those above it and its key, as an archive without a password: for
    /// clients that take no files.
    pub(crate) fn pkcs12(&self, section: &str) -> Result<Option<Vec<u8>>, String> {
        let Some((certificate, key)) = &self.own else {
            return Ok(None);
        };
        self.check(section)?;
        let archive = || -> Result<Vec<u8>, Box<dyn std::error::Error>> {
            let mut chain = X509::stack_from_pem(&std::fs::read(certificate)?)?.into_iter();
            let own = chain.next().ok_or("there is no certificate")?;
            let mut above = Stack::new()?;
            chain.try_for_each(|of| above.push(of))?;
            let key = PKey::private_key_from_pem_callback(&std::fs::read(key)?, |_| Ok(0))?;
            let mut archive = Pkcs12::builder();
            archive.cert(&own).pkey(&key).ca(above);
            Ok(archive.build2("")?.to_der()?)
        };
        let archive = archive();
        let at = certificate.display();
        archive
            .map(Some)
            .map_err(|error| format!("`{section}.certificate`: {at}: {error}"))
    }

    /// What makes connections, by what is in the files now.
    pub(crate) fn builder(&self, section: &str) -> Result<SslConnectorBuilder, String> {
        let mut builder =
            SslConnector::builder(SslMethod::tls_client()).map_err(|e| format!("no TLS: {e}"))?;
        if let Some(ca) = &self.ca {
            let at = readable(ca, section, "ca")?;
            let set = builder.set_ca_file(ca);
            set.map_err(|_| format!("`{section}.ca`: {at} has no certificate as PEM"))?;
        }
        if let Some((certificate, key)) = &self.own {
            let at = readable(certificate, section, "certificate")?;
            let set = builder.set_certificate_chain_file(certificate);
            set.map_err(|_| format!("`{section}.certificate`: {at} has no certificate as PEM"))?;
            let key_at = readable(key, section, "key")?;
            let pem = std::fs::read(key).map_err(|e| format!("`{section}.key`: {key_at}: {e}"))?;
            // Or the library would ask for a password on the terminal.
            let read = PKey::private_key_from_pem_callback(&pem, |_| Ok(0));
            let read = read.map_err(|_| {
                format!("`{section}.key`: {key_at} is no private key as PEM without a password")
            })?;
            let set = builder.set_private_key(&read);
            set.and_then(|()| builder.check_private_key())
                .map_err(|_| {
                    format!("the key in {key_at} is not that of the certificate in {at}")
                })?;
        }
        Ok(builder)
    }
}

/// The library's own words do not name a file that is not there.
fn readable(path: &Path, section: &str, setting: &str) -> Result<String, String> {
    let at = path.display();
    match std::fs::File::open(path) {
        Ok(_) => Ok(at.to_string()),
        Err(error) => Err(format!(
            "`{section}.{setting}`: {at} cannot be read: {error}"
        )),
    }
}
