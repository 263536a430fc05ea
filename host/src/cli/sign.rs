//! `sign`: puts a signature into a component, and makes the keys for it.

use super::CliError;
use super::file;
use super::output::plain;
use clap::Subcommand;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use streamhost_connectors::secret::open_to_all;
use streamhost_core::limits;
use streamhost_guest::signature::{KeyError, SignatureError, SigningKey, sign};
use streamhost_storage::catalog::sha256;

#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "A host with `trusted-keys = [\"NAME:BASE64\"]` under [control] takes only components that one of these
keys has signed. The signature is a part of the file; it takes the place of one that is there.

Examples:
  streamhost sign keygen release          # writes release.key, and prints what hosts are told
  streamhost sign clicks.wasm --key release.key
  streamhost sign public release.key"
)]
pub(super) struct Args {
    #[command(subcommand)]
    what: Option<What>,
    /// The component, as `streamhost build` made it
    #[arg(value_name = "FILE.wasm", required = true)]
    file: Option<PathBuf>,
    /// The file with the private key
    #[arg(long, value_name = "FILE", required = true)]
    key: Option<PathBuf>,
    /// Where the signed component goes, if not into the same file
    #[arg(long, value_name = "FILE.wasm")]
    to: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make a key pair: the private key goes into a file, the public one is printed
    Keygen {
        /// The key's name, as hosts, `history` and `audit` show it
        name: String,
        /// The file, if not NAME.key
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Print the public key of a private one
    Public {
        /// The file with the private key
        key: PathBuf,
    },
}

/// Why nothing is signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The component does not take a signature.
    #[error("{}: {error}", path.display())]
    Component {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: SignatureError,
    },
    /// The key is not there.
    #[error("{}: there is no such file: `streamhost sign keygen NAME` makes a key", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The file of the key has none.
    #[error("{}: {error}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: KeyError,
    },
    /// A name that no key may have.
    #[error(transparent)]
    Name(#[from] KeyError),
    /// A key must not be lost by making another one.
    #[error("{}: this file is there already, and may hold a key: choose another one with --to FILE", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

pub(super) fn run(args: Args, out: &mut dyn Write, err: &mut dyn Write) -> Result<(), CliError> {
    match args.what {
        Some(What::Keygen { name, to }) => {
            let to = to.unwrap_or_else(|| PathBuf::from(format!("{name}.key")));
            let public = keygen(&name, &to)?;
            writeln!(out, "{public}")?;
            let path = to.display();
            writeln!(
                err,
                "the private key is in {path}: keep it where components are released, and nowhere else"
            )?;
        }
        Some(What::Public { key }) => writeln!(out, "{}", public(&key)?)?,
        None => {
            // clap wants both where there is no subcommand.
            let (file, key) = (args.file.unwrap_or_default(), args.key.unwrap_or_default());
            let to = args.to.unwrap_or_else(|| file.clone());
            let bytes = file::read(&file)?;
            if let Some(warning) = open_to_all(&key) {
                writeln!(err, "warning: {warning}")?;
            }
            let key = read(&key)?;
            let signed = sign(&bytes, &key);
            let signed = signed.map_err(|error| SignError::Component { path: file, error })?;
            put(&to, &signed).map_err(|error| fault(&to, error))?;
            let (name, digest) = (key.name(), sha256(&signed));
            let path = plain(&to.display().to_string());
            writeln!(out, "{path} is signed by `{name}`, sha256 {digest}")?;
        }
    }
    Ok(())
}

fn fault(path: &Path, error: io::Error) -> SignError {
    SignError::File {
        path: path.to_owned(),
        error,
    }
}

/// Writes a private key where nothing is yet; gives the public one.
fn keygen(name: &str, to: &Path) -> Result<String, SignError> {
    let key = SigningKey::generate(name)?;
    let (text, public) = (key.text()?, key.public_text()?);
    let mut options = File::options();
    let file = options.write(true).create_new(true).mode(0o600).open(to);
    let mut file = file.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => SignError::Exists {
            path: to.to_owned(),
        },
        _ => fault(to, error),
    })?;
    let text =
        format!("# a private key that signs components; its public half is\n# {public}\n{text}\n");
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    written.map_err(|error| fault(to, error))?;
    Ok(public)
}

fn public(path: &Path) -> Result<String, SignError> {
    Ok(read(path)?.public_text()?)
}

fn read(path: &Path) -> Result<SigningKey, SignError> {
    let mut text = String::new();
    let most = limits::SIGNING_KEY_FILE_BYTES_MAX;
    let file = File::open(path).and_then(|file| file.take(most).read_to_string(&mut text));
    file.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => SignError::NoKey {
            path: path.to_owned(),
        },
        _ => fault(path, error),
    })?;
    SigningKey::parse(&text).map_err(|error| SignError::Key {
        path: path.to_owned(),
        error,
    })
}

/// In one step: a half written component is never there.
fn put(to: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(bytes)?;
    // A temporary file is its user's alone; a component is as others are.
    let mode = std::fs::metadata(to).map_or_else(
        |_| std::os::unix::fs::PermissionsExt::from_mode(0o644),
        |data| data.permissions(),
    );
    file.as_file().set_permissions(mode)?;
    file.persist(to).map(drop).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use streamhost_guest::signature::{TrustedKeys, verify};

    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn a_key_is_its_users_alone_and_no_other_takes_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("release.key");
        let printed = keygen("release", &at).unwrap();
        let mode = at.metadata().unwrap().permissions().mode();
        assert_eq!((mode & 0o777, public(&at).unwrap()), (0o600, printed));
        let before = std::fs::read(&at).unwrap();
        let refused = keygen("release", &at).unwrap_err().to_string();
        assert!(refused.contains("is there already"), "{refused}");
        assert_eq!(std::fs::read(&at).unwrap(), before);
    }

    #[test]
    fn a_component_is_signed_in_its_place_and_stays_whole_where_it_cannot_be() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let printed = keygen("release", &at("k")).unwrap();
        let trusted = TrustedKeys::parse([printed.as_str()]).unwrap().unwrap();
        let run = |file: &str, key: &str, to: Option<PathBuf>| {
            let args = Args {
                what: None,
                file: Some(at(file)),
                key: Some(at(key)),
                to,
            };
            let (mut out, mut err) = (Vec::new(), Vec::new());
            let said = run(args, &mut out, &mut err).map_err(|e| e.to_string());
            said.map(|()| String::from_utf8(out).unwrap())
        };
        std::fs::write(at("job.wasm"), COMPONENT).unwrap();
        let said = run("job.wasm", "k", Some(at("other.wasm"))).unwrap();
        assert!(said.contains("is signed by `release`, sha256 "), "{said}");
        assert_eq!(std::fs::read(at("job.wasm")).unwrap(), COMPONENT);
        run("job.wasm", "k", None).unwrap();
        let signed = std::fs::read(at("job.wasm")).unwrap();
        assert_eq!(std::fs::read(at("other.wasm")).unwrap(), signed);
        assert_eq!(verify(&signed, &trusted).ok(), Some("release"));
        std::fs::write(at("text"), "hello, world").unwrap();
        for (file, key, words) in [
            ("text", "k", "text: this is no WebAssembly"),
            ("job.wasm", "text", "text: a key is NAME:BASE64"),
            (
                "job.wasm",
                "none",
                "none: there is no such file: `streamhost sign keygen NAME`",
            ),
            ("none.wasm", "k", "there is no such file"),
        ] {
            let said = run(file, key, None).unwrap_err();
            assert!(said.contains(words), "{said}");
        }
        assert_eq!(std::fs::read(at("job.wasm")).unwrap(), signed);
        assert_eq!(std::fs::read(at("text")).unwrap(), b"hello, world");
    }
}
