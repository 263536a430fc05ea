//! Keys as text: `NAME:BASE64`, of the public key that a host trusts, or of the key pair that signs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use openssl::error::ErrorStack;
use openssl::pkey::{Id, PKey, Private, Public};
use openssl::sign::{Signer, Verifier};
use std::fmt;
use streamhost_core::job::names;
use streamhost_core::limits;

/// What a public key begins with, and what a key pair does.
const PUBLIC: u8 = 0x01;
const PAIR: u8 = 0x81;
const KEY_BYTES: usize = 32;

/// Why a text is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It has another form.
    #[error("a key is NAME:BASE64, as `streamhost sign keygen NAME` makes it")]
    Form,
    /// Its name does not do.
    #[error(
        "the key's name `{0}` must be ASCII letters, digits, `-`, `_` and `.`, at most {most} of them",
        most = limits::SIGNING_KEY_NAME_BYTES_MAX
    )]
    Name(String),
    /// It is the other half.
    #[error(
        "this is a private key: a host trusts the public one, which `streamhost sign public FILE` prints"
    )]
    IsPrivate,
    /// It is the other half.
    #[error(
        "this is a public key: to sign takes the private one, which `streamhost sign keygen` wrote"
    )]
    IsPublic,
    /// Two have one name.
    #[error("there are two keys called `{0}`")]
    Twice(String),
    /// There are too many.
    #[error("there are more than {most} keys", most = limits::TRUSTED_KEYS_MAX)]
    TooMany,
    /// OpenSSL does not take it.
    #[error("OpenSSL cannot use this key: {0}")]
    OpenSsl(#[from] ErrorStack),
}

/// What signs, with its name.
pub struct SigningKey {
    name: String,
    pair: PKey<Private>,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name) // the key itself must not reach a log
    }
}

impl SigningKey {
    /// A new one.
    ///
    /// # Errors
    /// The name does not do, or OpenSSL has no Ed25519.
    pub fn generate(name: &str) -> Result<SigningKey, KeyError> {
        Ok(SigningKey {
            name: named(name)?,
            pair: PKey::generate_ed25519()?,
        })
    }

    /// Reads it as [`SigningKey::text`] writes it; lines that begin with `#` are comments.
    ///
    /// # Errors
    /// It is none: in words that hold nothing of it.
    pub fn parse(text: &str) -> Result<SigningKey, KeyError> {
        let lines = text.lines().map(str::trim);
        let mut lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let line = lines.next().ok_or(KeyError::Form)?;
        if lines.next().is_some() {
            return Err(KeyError::Form);
        }
        let (name, bytes) = parted(line)?;
        let (secret, public) = match bytes.split_first() {
            Some((&PAIR, both)) => both.split_at_checked(KEY_BYTES).ok_or(KeyError::Form)?,
            Some((&PUBLIC, _)) => return Err(KeyError::IsPublic),
            _ => return Err(KeyError::Form),
        };
        let pair = PKey::private_key_from_raw_bytes(secret, Id::ED25519)?;
        match pair.raw_public_key()? == public {
            true => Ok(SigningKey { name, pair }),
            false => Err(KeyError::Form),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All of it, to be kept secret.
    ///
    /// # Errors
    /// OpenSSL does not give it.
    pub fn text(&self) -> Result<String, KeyError> {
        let (secret, public) = (self.pair.raw_private_key()?, self.pair.raw_public_key()?);
        Ok(self.line(&[&[PAIR][..], &secret, &public]))
    }

    /// What hosts are told.
    ///
    /// # Errors
    /// OpenSSL does not give it.
    pub fn public_text(&self) -> Result<String, KeyError> {
        Ok(self.line(&[&[PUBLIC][..], &self.pair.raw_public_key()?]))
    }

    fn line(&self, parts: &[&[u8]]) -> String {
        format!("{}:{}", self.name, STANDARD.encode(parts.concat()))
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, ErrorStack> {
        Signer::new_without_digest(&self.pair)?.sign_oneshot_to_vec(message)
    }
}

type Named = (String, PKey<Public>);

/// The public keys whose signatures a host takes. There is one at least.
#[derive(Clone)]
pub struct TrustedKeys(Vec<Named>);

impl fmt::Debug for TrustedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.names())
    }
}

impl PartialEq for TrustedKeys {
    fn eq(&self, other: &TrustedKeys) -> bool {
        let same = |(a, b): (&Named, &Named)| a.0 == b.0 && a.1.public_eq(&b.1);
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(same)
    }
}

impl Eq for TrustedKeys {}

impl TrustedKeys {
    /// Reads them as [`SigningKey::public_text`] writes each. None: there are none.
    ///
    /// # Errors
    /// One is none, or two have one name.
    pub fn parse<'t>(
        texts: impl IntoIterator<Item = &'t str>,
    ) -> Result<Option<TrustedKeys>, KeyError> {
        let mut all: Vec<Named> = Vec::new();
        for text in texts {
            let (name, bytes) = parted(text.trim())?;
            let key = match bytes.split_first() {
                Some((&PUBLIC, key)) if key.len() == KEY_BYTES => key,
                Some((&PAIR, _)) => return Err(KeyError::IsPrivate),
                _ => return Err(KeyError::Form),
            };
            if all.iter().any(|(other, _)| *other == name) {
                return Err(KeyError::Twice(name));
            }
            if all.len() >= limits::TRUSTED_KEYS_MAX {
                return Err(KeyError::TooMany);
            }
            all.push((name, PKey::public_key_from_raw_bytes(key, Id::ED25519)?));
        }
        Ok((!all.is_empty()).then_some(TrustedKeys(all)))
    }

    /// Their names.
    pub fn names(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// Whose signature of the message this is.
    pub(super) fn signer(
        &self,
        message: &[u8],
        signature: &[u8],
    ) -> Result<Option<&str>, ErrorStack> {
        for (name, key) in &self.0 {
            let mut verifier = Verifier::new_without_digest(key)?;
            // One of another length is an error to OpenSSL, and to us no signature.
            if verifier.verify_oneshot(signature, message).unwrap_or(false) {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }
}

fn named(name: &str) -> Result<String, KeyError> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let most = limits::SIGNING_KEY_NAME_BYTES_MAX;
    match !name.is_empty() && name.len() <= most && name.bytes().all(fits) {
        true => Ok(name.to_owned()),
        false => Err(KeyError::Name(names::shown(name, most))),
    }
}

fn parted(text: &str) -> Result<(String, Vec<u8>), KeyError> {
    let (name, encoded) = text.split_once(':').ok_or(KeyError::Form)?;
    let bytes = STANDARD.decode(encoded).map_err(|_| KeyError::Form)?;
    Ok((named(name)?, bytes))
}
