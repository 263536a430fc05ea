//! What the server's words mean: whose fault an error is, and what is done about it.

use crate::sql::{Failure, of_connection, shown};
use std::error::Error as _;
use tokio_postgres::Error;
use tokio_postgres::error::DbError;

/// How the server begins to show a row that breaks a rule.
const WHOLE_ROW: &str = "Failing row contains";

/// What an error of the client means; `section` is what the settings are called.
pub(super) fn failure(error: &Error, section: &str) -> Failure {
    if let Some(said) = error.as_db_error() {
        return meaning(said.code().code(), said_words(said), section);
    }
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    let has = |part: &str| words.contains(part);
    match () {
        () if has("password missing") => Failure::Denied(format!(
            "it wants a password: name where it stands as `{section}.password`"
        )),
        () if has("server does not support TLS") => Failure::Denied(format!(
            "it speaks no TLS: take `{section}.tls` away, or set `ssl = on` in its postgresql.conf"
        )),
        () if has("authentication error") => Failure::Denied(shown(&words)),
        () => of_connection(&words, section),
    }
}

/// The server's words, with what tells which value it means.
fn said_words(said: &DbError) -> String {
    let mut words = said.message().to_owned();
    // A whole row belongs into its dead letter, not into a log.
    let detail = said.detail().filter(|of| !of.starts_with(WHOLE_ROW));
    for more in [detail, said.hint()].into_iter().flatten() {
        words = format!("{words}; {more}");
    }
    if let Some(column) = said.column() {
        words = format!("{words}; column `{column}`");
    }
    let words = shown(&words);
    format!("{words} ({})", said.code().code())
}

/// What a code says, by PostgreSQL's table of them.
fn meaning(code: &str, words: String, section: &str) -> Failure {
    match code {
        // ON CONFLICT may touch a row once.
        "21000" => Failure::Together(words),
        // A value that is none of its type, or breaks a rule of the table; what a trigger of the
        // table raises, and a key that is too long for its index, are such rules too.
        "54000" | "P0001" | "44000" => Failure::Content(words),
        // A standby takes no writes, until it is no standby any more.
        "25006" => Failure::Away(words),
        "3D000" => Failure::Denied(format!("{words}: check the database in `{section}.url`")),
        "28P01" => Failure::Denied(format!(
            "{words}: check the user in `{section}.url` and `{section}.password`"
        )),
        "42501" => Failure::Refused(format!("{words}: grant it to the user in `{section}.url`")),
        _ => match &code[..code.len().min(2)] {
            "22" | "23" => Failure::Content(words),
            "28" => Failure::Denied(format!(
                "{words}: compare `{section}.url` and `{section}.tls` with its pg_hba.conf"
            )),
            // A connection broke, a transaction was rolled back for another one, something is short
            // or locked, somebody ends it, the system is at fault.
            "08" | "25" | "40" | "53" | "55" | "57" | "58" | "XX" => Failure::Away(words),
            _ => Failure::Refused(words),
        },
    }
}

/// Whether a failure of creating something says that somebody else has just made it.
pub(super) fn is_there_already(failure: &Failure) -> bool {
    let codes = ["(42P07)", "(23505)", "(42710)"];
    match failure {
        Failure::Content(words) | Failure::Refused(words) => {
            codes.iter().any(|code| words.ends_with(code))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_says_whose_fault_it_is() {
        let of = |code: &str| match meaning(code, "words".to_owned(), "postgres") {
            Failure::Content(_) => "row",
            Failure::Together(_) => "together",
            Failure::Away(_) => "wait",
            Failure::Denied(_) => "denied",
            Failure::Refused(_) => "stop",
        };
        for (code, want) in [
            ("22001", "row"),
            ("22P02", "row"),
            ("23502", "row"),
            ("23514", "row"),
            ("P0001", "row"),
            ("54000", "row"),
            ("21000", "together"),
            ("40P01", "wait"),
            ("40001", "wait"),
            ("53300", "wait"),
            ("53100", "wait"),
            ("55P03", "wait"),
            ("57014", "wait"),
            ("57P01", "wait"),
            ("08006", "wait"),
            ("25006", "wait"),
            ("25P03", "wait"),
            ("28P01", "denied"),
            ("28000", "denied"),
            ("3D000", "denied"),
            ("42P01", "stop"),
            ("42703", "stop"),
            ("42501", "stop"),
            ("0A000", "stop"),
            ("", "stop"),
        ] {
            assert_eq!(of(code), want, "{code}");
        }
        let raced = Failure::Refused("relation exists (42P07)".to_owned());
        assert!(is_there_already(&raced) && !is_there_already(&Failure::Away("(42P07)".into())));
    }
}
