//! Who may ask the control API for what: tokens with names and roles, from a file that may be
//! changed while the host runs.

mod tls;

use serde::Serialize;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use streamhost_core::limits;

pub use tls::Tls;
#[cfg(test)]
pub(crate) use tls::tests::certificate;

/// What stands before the control API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    /// What clients must show; none: everybody on this machine may do everything.
    pub tokens: Option<Tokens>,
    /// The certificate; none: plain HTTP.
    pub tls: Option<Tls>,
}

impl Guard {
    /// Whether there is something that can be read anew.
    pub fn has_files(&self) -> bool {
        self.tokens.is_some() || self.tls.is_some()
    }

    /// Reads all files anew, and says in the log what came of it. What is wrong leaves that file's
    /// part as it was.
    pub fn reload(&self) {
        if let Some(tokens) = &self.tokens {
            let path = tokens.path().display();
            match tokens.reload() {
                Ok(count) => tracing::info!("{path} has {count} tokens now"),
                Err(reason) => tracing::error!("{path}: {reason}; the tokens of before stay"),
            }
        }
        if let Some(tls) = &self.tls {
            let path = tls.path().display();
            match tls.reload() {
                Ok(()) => tracing::info!("the certificate in {path} counts from now on"),
                Err(reason) => tracing::error!("{reason}; the certificate of before stays"),
            }
        }
    }
}

/// What a token may do. Each role may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look at everything.
    Read,
    /// Pause and resume jobs, go back to a version of before, retry and drop dead letters.
    Operate,
    /// Bring code to run, and take jobs away.
    Deploy,
}

impl Role {
    /// All of them, the least first.
    pub const ALL: [Role; 3] = [Role::Read, Role::Operate, Role::Deploy];

    /// As users write it.
    pub fn word(self) -> &'static str {
        match self {
            Role::Read => "read",
            Role::Operate => "operate",
            Role::Deploy => "deploy",
        }
    }
}

/// A token, by whose name its changes are logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    secret: String,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.role.word()) // the secret must not reach a log
    }
}

/// What the only token of a file with nothing but that is called.
const ONLY: &str = "token";
/// A file's bytes: tokens with names, roles, and comments.
const FILE_BYTES_MAX: usize = limits::TOKENS_MAX * 2 * limits::TOKEN_BYTES_MAX;

/// The tokens of a file, as it was read last. All who hold it see the same.
#[derive(Clone, Debug)]
pub struct Tokens {
    path: PathBuf,
    all: Arc<RwLock<Arc<[Token]>>>,
}

impl PartialEq for Tokens {
    fn eq(&self, other: &Tokens) -> bool {
        self.path == other.path && self.all() == other.all()
    }
}

impl Eq for Tokens {}

impl Tokens {
    /// Reads a file of tokens.
    ///
    /// # Errors
    /// It cannot be read, or a line of it is wrong: in words that hold no secret.
    pub fn read(path: &Path) -> Result<Tokens, String> {
        Ok(Tokens {
            path: path.to_owned(),
            all: Arc::new(RwLock::new(read(path)?.into())),
        })
    }

    /// Reads the file anew. What is wrong leaves all as it was.
    ///
    /// # Errors
    /// As [`Tokens::read`].
    pub fn reload(&self) -> Result<usize, String> {
        let all = read(&self.path)?;
        let count = all.len();
        *self.all.write().unwrap_or_else(PoisonError::into_inner) = all.into();
        Ok(count)
    }

    /// Where they stand.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn all(&self) -> Arc<[Token]> {
        Arc::clone(&self.all.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The token that this is the secret of. Takes as long for a near miss as for a far one.
    pub fn find(&self, given: &[u8]) -> Option<Token> {
        let all = self.all();
        let mut found = None;
        for token in all.iter() {
            if same(given, token.secret.as_bytes()) {
                found = Some(token.clone());
            }
        }
        found
    }
}

fn read(path: &Path) -> Result<Vec<Token>, String> {
    let unreadable = |e: std::io::Error| format!("it cannot be read: {e}");
    let mut text = String::new();
    let file = File::open(path).map_err(unreadable)?;
    let most = FILE_BYTES_MAX as u64 + 1;
    file.take(most)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if text.len() > FILE_BYTES_MAX {
        return Err(format!("it has more than {FILE_BYTES_MAX} bytes"));
    }
    parse(&text)
}

/// A line for each token: `NAME ROLE SECRET`; or a single line with the only token, which may do
/// everything.
fn parse(text: &str) -> Result<Vec<Token>, String> {
    let mut all: Vec<Token> = Vec::new();
    let lines = (1..).zip(text.lines().map(str::trim));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let count = lines.clone().count();
    for (number, line) in lines {
        let wrong = |reason: &str| Err(format!("line {number}: {reason}"));
        let parts: Vec<&str> = line.split_whitespace().collect();
        let (name, role, secret) = match parts[..] {
            [secret] if count == 1 => (ONLY, Some(Role::Deploy), secret),
            [name, role, secret] => {
                let role = Role::ALL.into_iter().find(|known| known.word() == role);
                (name, role, secret)
            }
            _ => {
                return wrong(
                    "a token is one line, `NAME ROLE SECRET`; a single one may be its SECRET alone",
                );
            }
        };
        let Some(role) = role else {
            return wrong("the role must be `read`, `operate` or `deploy`");
        };
        let token = Token {
            name: name.to_owned(),
            role,
            secret: secret.to_owned(),
        };
        if !secret.bytes().all(|b| b.is_ascii_graphic()) {
            return wrong("the secret must be ASCII letters, digits and signs");
        }
        if secret.len() > limits::TOKEN_BYTES_MAX {
            return wrong(&format!(
                "the secret has more than {} bytes",
                limits::TOKEN_BYTES_MAX
            ));
        }
        if name.len() > limits::TOKEN_NAME_BYTES_MAX || !name.bytes().all(|b| b.is_ascii_graphic())
        {
            let most = limits::TOKEN_NAME_BYTES_MAX;
            return wrong(&format!("the name must be ASCII, at most {most} bytes"));
        }
        if all.iter().any(|other| other.name == token.name) {
            return wrong(&format!("there are two tokens called `{name}`"));
        }
        if all.iter().any(|other| other.secret == token.secret) {
            return wrong("another token has the same secret");
        }
        all.push(token);
    }
    match all.len() {
        0 => Err("it is empty: put a long random secret into it".to_owned()),
        count if count > limits::TOKENS_MAX => {
            Err(format!("it has more than {} tokens", limits::TOKENS_MAX))
        }
        _ => Ok(all),
    }
}

/// Takes as long for a near miss as for a far one.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .fold(0, |differs, (a, b)| std::hint::black_box(differs | (a ^ b)))
            == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_one_token_or_some_with_names_and_roles() {
        let one = parse("  s3cret\n").expect("one");
        assert_eq!((&*one[0].name, one[0].role), (ONLY, Role::Deploy));
        let some = parse("# who\nann deploy aaa\n\nbob read bbb\n ops operate ccc").expect("three");
        let shown = format!("{some:?}");
        assert_eq!(shown, "[ann (deploy), bob (read), ops (operate)]");
        for (text, part) in [
            ("", "empty"),
            ("# nothing", "empty"),
            ("two words", "line 1: a token is one line"),
            ("a read x\nb", "line 2: a token is one line"),
            ("a admin x", "line 1: the role must be"),
            ("a read x\na deploy y", "two tokens called `a`"),
            (
                "a read s3cret\nb deploy s3cret",
                "another token has the same",
            ),
            ("a read \u{e9}", "ASCII"),
            (&"x".repeat(limits::TOKEN_BYTES_MAX + 1), "4096"),
            (&format!("{} read x", "n".repeat(65)), "at most 64"),
        ] {
            let said = parse(text).expect_err(part);
            assert!(said.contains(part) && !said.contains("s3cret"), "{said}");
        }
        let many: String = (0..=limits::TOKENS_MAX)
            .map(|n| format!("t{n} read s{n}\n"))
            .collect();
        assert!(parse(&many).is_err_and(|said| said.contains("more than 100")));
    }

    #[test]
    fn a_file_is_read_anew_unless_it_is_wrong() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tokens");
        std::fs::write(&path, "ann deploy aaa").expect("written");
        let tokens = Tokens::read(&path).expect("good");
        let held = tokens.clone();
        let name = |secret: &str| held.find(secret.as_bytes()).map(|token| token.name);
        assert_eq!(
            (name("aaa"), name("aab"), name("")),
            (Some("ann".into()), None, None)
        );
        std::fs::write(&path, "bob nothing bbb").expect("written");
        assert!(tokens.reload().is_err() && name("aaa").is_some());
        std::fs::write(&path, "bob read bbb").expect("written");
        assert_eq!(tokens.reload(), Ok(1));
        assert_eq!((name("aaa"), name("bbb")), (None, Some("bob".into())));
    }

    #[test]
    fn secrets_are_told_apart() {
        for (a, b, alike) in [
            ("abc", "abc", true),
            ("abc", "abd", false),
            ("abc", "ab", false),
            ("", "a", false),
        ] {
            assert_eq!(same(a.as_bytes(), b.as_bytes()), alike);
        }
    }
}
