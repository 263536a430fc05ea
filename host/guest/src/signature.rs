//! Signatures of components: who made a file, and that it is as it was then. The format is that of
//! WebAssembly's tool conventions (`Signatures.md`, as wasmsign2 writes it): a first custom section
//! `signature` with Ed25519 over the SHA-256 of all sections behind it. Of that format this writes
//! one signature of the whole file; it reads any whose last hash is that of the whole file, and
//! takes no signature of a part.
//!
//! wasmsign2 itself is not used: its Ed25519 would be a second one beside the OpenSSL that is here.

mod keys;

use openssl::error::ErrorStack;
use sha2::{Digest, Sha256};
use streamhost_core::job::names;
use streamhost_core::limits;
use wasmparser::{BinaryReader, BinaryReaderError};

pub use keys::{KeyError, SigningKey, TrustedKeys};

/// Bytes that a file begins with: that it is WebAssembly, and whether a module or a component.
const HEADER_BYTES: usize = 8;
/// What stands before what is signed, so that no signature of something else can be one of a file.
const DOMAIN: &[u8] = b"wasmsig";
/// The format's version, its only kind of content, and SHA-256.
const FORMAT: [u8; 3] = [1, 1, 1];
/// Ed25519, as signatures and public keys name it.
const ED25519: u8 = 1;
const HASH_BYTES: usize = 32;
const CUSTOM_SECTION: u8 = 0;
const NAME: &str = "signature";

/// Why a component is not taken.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// It has no signature.
    #[error(
        "the component is not signed, and this host takes what one of its trusted keys has signed: `streamhost sign FILE.wasm --key FILE` signs it"
    )]
    Unsigned,
    /// What it has cannot be read.
    #[error("the component's signature is damaged ({0}): sign it again with `streamhost sign`")]
    Damaged(String),
    /// It is another file than the one that was signed.
    #[error(
        "the component was altered after it was signed: take the file that was signed, or sign this one with `streamhost sign`"
    )]
    Altered,
    /// It is as it was signed, by somebody else.
    #[error(
        "none of this host's trusted keys ({trusted}) has signed the component{claims}: sign it with one of them, or add the public key to `trusted-keys` under [control]"
    )]
    Untrusted {
        /// The names of the trusted ones.
        trusted: String,
        /// What the signature says of its key.
        claims: String,
    },
    /// It is no WebAssembly at all.
    #[error(
        "this is no WebAssembly, so it cannot be signed: build the job with `streamhost build`"
    )]
    NoWasm,
    /// It has no room for a signature.
    #[error("the component with a signature has {0} bytes, of {most} at most", most = limits::COMPONENT_BYTES_MAX)]
    TooLarge(usize),
    /// OpenSSL does not do it.
    #[error("OpenSSL cannot use Ed25519: {0}")]
    OpenSsl(#[from] ErrorStack),
}

impl From<BinaryReaderError> for SignatureError {
    fn from(error: BinaryReaderError) -> Self {
        SignatureError::Damaged(error.message().to_owned())
    }
}

/// A file in parts.
struct Parts<'b> {
    header: &'b [u8],
    /// What the section has, if it is there.
    signature: Option<&'b [u8]>,
    /// All sections behind it: what is signed.
    content: &'b [u8],
}

/// A signature, and the hashes that it signs.
struct Signature<'b> {
    hashes: &'b [u8],
    key_id: &'b [u8],
    bytes: &'b [u8],
}

/// The file with a signature by this key, in the place of any that it had.
///
/// # Errors
/// It is no WebAssembly, or has no room.
pub fn sign(bytes: &[u8], key: &SigningKey) -> Result<Vec<u8>, SignatureError> {
    let parts = Parts::of(bytes)?;
    let hash: [u8; HASH_BYTES] = Sha256::digest(parts.content).into();
    let signature = key.sign(&signed(&hash))?;
    let one = [
        &sized(key.name().as_bytes())[..],
        &[ED25519],
        &sized(&signature),
    ]
    .concat();
    let set = [&[1][..], &hash, &[1], &sized(&one)].concat(); // one hash, one signature of it
    let data = [&FORMAT[..], &[1], &sized(&set)].concat();
    let section = [sized(NAME.as_bytes()), data].concat();
    let section = [&[CUSTOM_SECTION][..], &sized(&section)].concat();
    let whole = [parts.header, &section, parts.content].concat();
    match whole.len() <= limits::COMPONENT_BYTES_MAX {
        true => Ok(whole),
        false => Err(SignatureError::TooLarge(whole.len())),
    }
}

/// The name of the trusted key that has signed this file as it is.
///
/// # Errors
/// None has: why, and what to do.
pub fn verify<'k>(bytes: &[u8], trusted: &'k TrustedKeys) -> Result<&'k str, SignatureError> {
    let parts = Parts::of(bytes)?;
    let all = signatures(parts.signature.ok_or(SignatureError::Unsigned)?)?;
    let hash: [u8; HASH_BYTES] = Sha256::digest(parts.content).into();
    let of_it: Vec<&Signature<'_>> = all
        .iter()
        .filter(|one| one.hashes.ends_with(&hash))
        .collect();
    if of_it.is_empty() {
        return Err(SignatureError::Altered);
    }
    for one in &of_it {
        if let Some(name) = trusted.signer(&signed(one.hashes), one.bytes)? {
            return Ok(name);
        }
    }
    let claims: Vec<String> = of_it.iter().filter_map(|one| claim(one)).collect();
    Err(SignatureError::Untrusted {
        trusted: trusted.names().join(", "),
        claims: match claims.is_empty() {
            true => String::new(),
            false => format!(" (its signature says {})", claims.join(", ")),
        },
    })
}

/// What a file's signature says of its keys, which proves nothing; none: it has none that can be
/// read.
pub fn claims(bytes: &[u8]) -> Option<Vec<String>> {
    let all = signatures(Parts::of(bytes).ok()?.signature?).ok()?;
    Some(all.iter().filter_map(claim).collect())
}

fn claim(signature: &Signature<'_>) -> Option<String> {
    let name = String::from_utf8_lossy(signature.key_id);
    let shown = names::shown(&name, limits::SIGNING_KEY_NAME_BYTES_MAX);
    (!name.is_empty()).then(|| format!("`{shown}`"))
}

/// What a key signs.
fn signed(hashes: &[u8]) -> Vec<u8> {
    [DOMAIN, &FORMAT, hashes].concat()
}

/// Bytes behind their length, which is a LEB128.
fn sized(bytes: &[u8]) -> Vec<u8> {
    let (mut left, mut all) = (bytes.len(), Vec::new());
    while left > 0x7f {
        all.push(0x80 | (left & 0x7f) as u8);
        left >>= 7;
    }
    all.push(left as u8);
    all.extend_from_slice(bytes);
    all
}

impl<'b> Parts<'b> {
    /// The header is not signed: there are two, and a file with the other one is none that loads.
    fn of(bytes: &'b [u8]) -> Result<Parts<'b>, SignatureError> {
        let (header, rest) = bytes
            .split_at_checked(HEADER_BYTES)
            .filter(|(header, _)| header.starts_with(b"\0asm"))
            .ok_or(SignatureError::NoWasm)?;
        let (signature, content) = match first(rest) {
            Some((signature, content)) => (Some(signature), content),
            None => (None, rest),
        };
        Ok(Parts {
            header,
            signature,
            content,
        })
    }
}

/// The first section's data and what is behind it, if it is a signature.
fn first(sections: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut reader = BinaryReader::new(sections, 0);
    if reader.read_u8().ok()? != CUSTOM_SECTION {
        return None;
    }
    let length = reader.read_var_u32().ok()? as usize;
    let section = reader.read_bytes(length).ok()?;
    let content = reader.read_bytes(reader.bytes_remaining()).ok()?;
    let mut reader = BinaryReader::new(section, 0);
    let name = reader.read_var_u32().ok()? as usize;
    let is_it = reader.read_bytes(name).ok()? == NAME.as_bytes();
    let data = reader.read_bytes(reader.bytes_remaining()).ok()?;
    is_it.then_some((data, content))
}

/// Bytes behind their length.
fn sized_bytes<'b>(reader: &mut BinaryReader<'b>) -> Result<&'b [u8], BinaryReaderError> {
    let length = reader.read_var_u32()? as usize;
    reader.read_bytes(length)
}

/// All Ed25519 signatures of a section. Each set, and each signature in one, stands behind its
/// length, which the format's tables leave out, and wasmsign2 writes.
fn signatures(data: &[u8]) -> Result<Vec<Signature<'_>>, SignatureError> {
    let damaged = |why: &str| Err(SignatureError::Damaged(why.to_owned()));
    if data.len() > limits::SIGNATURE_BYTES_MAX {
        return damaged("it is too long");
    }
    let mut reader = BinaryReader::new(data, 0);
    if reader.read_bytes(FORMAT.len())? != FORMAT {
        return damaged("it is of another format");
    }
    let mut all = Vec::new();
    for _ in 0..reader.read_var_u32()? {
        let mut set = BinaryReader::new(sized_bytes(&mut reader)?, 0);
        let count = set.read_var_u32()? as usize;
        let hashes = set.read_bytes(count.saturating_mul(HASH_BYTES))?;
        for _ in 0..set.read_var_u32()? {
            let mut one = BinaryReader::new(sized_bytes(&mut set)?, 0);
            let key_id = sized_bytes(&mut one)?;
            let kind = one.read_u8()?;
            let bytes = sized_bytes(&mut one)?;
            if kind == ED25519 && count > 0 {
                all.push(Signature {
                    hashes,
                    key_id,
                    bytes,
                });
            }
            if all.len() > limits::SIGNATURES_MAX {
                return damaged("it has too many signatures");
            }
        }
    }
    match (reader.eof(), all.is_empty()) {
        (false, _) => damaged("something stands behind it"),
        (true, true) => damaged("it has no Ed25519 signature"),
        (true, false) => Ok(all),
    }
}

#[cfg(test)]
mod tests;
