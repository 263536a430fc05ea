//! Why something was not done, and what is done about it.

use streamhost_core::job::names;
use streamhost_engine::sink::SinkError;

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// What is in a row is refused, and would be again.
    Content(String),
    /// Two rows of one statement are the same one to the server: each goes by itself.
    Together(String),
    /// It may be done later.
    Away(String),
    /// The server does not let the host in.
    Denied(String),
    /// It would be refused again, whatever the rows.
    Refused(String),
}

/// Characters of the server's own words that are shown.
const SHOWN_CHARS_MAX: usize = 400;

/// A server's words, as they are shown.
pub(crate) fn shown(words: &str) -> String {
    names::shown(words, SHOWN_CHARS_MAX)
}

impl Failure {
    /// As the error of a sink that writes this table.
    pub(crate) fn error(self, server: &'static str, address: &str, table: &str) -> SinkError {
        let address = address.to_owned();
        match self {
            Failure::Away(reason) => SinkError::Away {
                server,
                address,
                reason,
            },
            Failure::Denied(reason) => SinkError::Denied {
                server,
                address,
                reason,
            },
            Failure::Refused(reason) | Failure::Content(reason) | Failure::Together(reason) => {
                SinkError::Refused {
                    server,
                    name: table.to_owned(),
                    reason,
                }
            }
        }
    }
}

/// What the words of a connection that broke mean; `section` is what the settings are called.
pub(crate) fn of_connection(words: &str, section: &str) -> Failure {
    let words = shown(words);
    let has = |part: &str| words.contains(part);
    match () {
        () if has("certificate verify failed") => Failure::Denied(format!(
            "its certificate is not trusted ({words}): name the authority that signed it in \
             `{section}.ca`, and the server by a name that its certificate has in `{section}.url`"
        )),
        () if has("alert") && has("certificate") => Failure::Denied(format!(
            "it does not take the host's certificate ({words}): check `{section}.certificate` and \
             `{section}.key`"
        )),
        () => Failure::Away(words),
    }
}
