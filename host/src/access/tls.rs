//! The control API's certificate. TLS is the system's OpenSSL, which Kafka's client needs anyway:
//! one library, which the system's updates mend.

use openssl::asn1::Asn1Time;
use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{Ssl, SslAcceptor, SslMethod};
use openssl::x509::X509;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// A certificate and its key, as their files were read last. All who hold it see the same.
#[derive(Clone)]
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    now: Arc<RwLock<SslAcceptor>>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.certificate.display())
    }
}

impl PartialEq for Tls {
    fn eq(&self, other: &Tls) -> bool {
        (&self.certificate, &self.key) == (&other.certificate, &other.key)
    }
}

impl Eq for Tls {}

impl Tls {
    /// Reads a certificate with those between it and its authority, and its key, both PEM.
    ///
    /// # Errors
    /// One of them cannot be read, has expired, or they do not belong together.
    pub fn read(certificate: &Path, key: &Path) -> Result<Tls, String> {
        Ok(Tls {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            now: Arc::new(RwLock::new(acceptor(certificate, key)?)),
        })
    }

    /// Reads both anew, for connections to come. What is wrong leaves all as it was.
    ///
    /// # Errors
    /// As [`Tls::read`].
    pub fn reload(&self) -> Result<(), String> {
        let acceptor = acceptor(&self.certificate, &self.key)?;
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = acceptor;
        Ok(())
    }

    /// Where the certificate stands.
    pub fn path(&self) -> &Path {
        &self.certificate
    }

    /// The server's side of one connection.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn connection(&self) -> Result<Ssl, ErrorStack> {
        Ssl::new(
            self.now
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .context(),
        )
    }
}

fn acceptor(certificate: &Path, key: &Path) -> Result<SslAcceptor, String> {
    let (chain, secret) = (chain(certificate)?, private_key(key)?);
    let (at, key_at) = (certificate.display(), key.display());
    let [own, above @ ..] = &chain[..] else {
        return Err(format!(
            "{at} has no certificate in it: it is PEM, its own first"
        ));
    };
    let now = Asn1Time::days_from_now(0).map_err(|e| e.to_string())?;
    if own.not_after() < now {
        return Err(format!(
            "the certificate in {at} has expired: {}",
            own.not_after()
        ));
    }
    if !own
        .public_key()
        .is_ok_and(|public| public.public_eq(&secret))
    {
        return Err(format!(
            "the key in {key_at} is not that of the certificate in {at}"
        ));
    }
    let made = || -> Result<SslAcceptor, ErrorStack> {
        let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
        builder.set_certificate(own)?;
        for one in above {
            builder.add_extra_chain_cert(one.clone())?;
        }
        builder.set_private_key(&secret)?;
        Ok(builder.build())
    };
    made().map_err(|e| format!("the certificate in {at} cannot be used: {e}"))
}

fn chain(path: &Path) -> Result<Vec<X509>, String> {
    let at = path.display();
    let pem = std::fs::read(path).map_err(|e| format!("{at} cannot be read: {e}"))?;
    X509::stack_from_pem(&pem).map_err(|e| format!("{at} is no certificate as PEM: {e}"))
}

fn private_key(path: &Path) -> Result<PKey<Private>, String> {
    let at = path.display();
    let pem = std::fs::read(path).map_err(|e| format!("{at} cannot be read: {e}"))?;
    // Or the library would ask for a password on the terminal.
    let read = PKey::private_key_from_pem_callback(&pem, |_| Ok(0));
    read.map_err(|_| format!("{at} is no private key as PEM without a password"))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use openssl::bn::BigNum;
    use openssl::ec::{EcGroup, EcKey};
    use openssl::hash::MessageDigest;
    use openssl::nid::Nid;
    use openssl::x509::X509NameBuilder;
    use openssl::x509::extension::SubjectAlternativeName;

    /// Writes `NAME.pem`, its own authority, and `NAME.key` for 127.0.0.1, over in so many days.
    pub(crate) fn certificate(folder: &Path, name: &str, days: i64) -> (PathBuf, PathBuf) {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("known");
        let key = PKey::from_ec_key(EcKey::generate(&group).expect("a key")).expect("a key");
        let mut subject = X509NameBuilder::new().expect("memory");
        subject.append_entry_by_text("CN", name).expect("a name");
        let subject = subject.build();
        let seconds = streamhost_core::clock::now_ms() / 1000;
        let at = |days: i64| Asn1Time::from_unix(seconds + days * 86_400).expect("a time");
        let mut builder = X509::builder().expect("memory");
        builder.set_version(2).expect("known");
        let serial = BigNum::from_u32(1).and_then(|n| n.to_asn1_integer());
        builder
            .set_serial_number(&serial.expect("a number"))
            .expect("set");
        builder.set_subject_name(&subject).expect("set");
        builder.set_issuer_name(&subject).expect("set");
        builder.set_not_before(&at(-10)).expect("set");
        builder.set_not_after(&at(days)).expect("set");
        builder.set_pubkey(&key).expect("set");
        let names = SubjectAlternativeName::new()
            .ip("127.0.0.1")
            .build(&builder.x509v3_context(None, None));
        builder
            .append_extension(names.expect("built"))
            .expect("set");
        builder.sign(&key, MessageDigest::sha256()).expect("signed");
        let paths = (
            folder.join(format!("{name}.pem")),
            folder.join(format!("{name}.key")),
        );
        let pem = builder.build().to_pem().expect("PEM");
        std::fs::write(&paths.0, pem).expect("written");
        let pem = key.private_key_to_pem_pkcs8().expect("PEM");
        std::fs::write(&paths.1, pem).expect("written");
        paths
    }

    #[test]
    fn what_is_no_certificate_with_its_key_is_refused_by_its_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let (good, key) = certificate(folder.path(), "good", 10);
        let (_, other) = certificate(folder.path(), "other", 10);
        let (over, over_key) = certificate(folder.path(), "over", -1);
        let (junk, none) = (folder.path().join("junk"), folder.path().join("none"));
        std::fs::write(
            &junk,
            "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
        )
        .expect("written");
        let tls = Tls::read(&good, &key).expect("good");
        for (certificate, key, part) in [
            (&none, &key, "none cannot be read"),
            (&good, &none, "none cannot be read"),
            (&junk, &key, "junk is no certificate"),
            (&key, &key, "has no certificate in it"),
            (&good, &junk, "junk is no private key"),
            (&good, &other, "is not that of the certificate"),
            (&over, &over_key, "has expired"),
        ] {
            let said = Tls::read(certificate, key).expect_err(part);
            assert!(said.contains(part), "{said}");
        }
        std::fs::copy(&junk, &good).expect("written");
        assert!(tls.reload().is_err());
        assert!(tls.connection().is_ok(), "the one of before stays");
    }
}
