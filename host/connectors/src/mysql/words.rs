//! What the server's words mean: whose fault an error is, and what is done about it.

use crate::sql::{Failure, of_connection, shown};
use mysql_async::{DriverError, Error, IoError};
use streamhost_core::system;

/// A table or column that is not there.
pub(super) const NO_TABLE: u16 = 1146;
/// More than one row where one belongs: how a statement of ours says that a row would take the place
/// of one with another key.
const NOT_ONE_ROW: u16 = 1242;

/// What an error of the client means; `section` is what the settings are called.
pub(super) fn failure(error: &Error, section: &str) -> Failure {
    match error {
        Error::Server(said) => {
            let words = format!("{} ({})", shown(&said.message), said.code);
            meaning(said.code, &said.state, words, section)
        }
        Error::Io(IoError::Io(error)) => {
            of_connection(&system::with_limit(format_args!("{error}")), section)
        }
        Error::Io(IoError::Tls(error)) => of_connection(&format!("TLS: {error}"), section),
        Error::Driver(DriverError::NoClientSslFlagFromServer) => Failure::Denied(format!(
            "it speaks no TLS: take `{section}.tls` away, or set `ssl_cert` and `ssl_key` in its settings"
        )),
        Error::Driver(
            error @ (DriverError::UnknownAuthPlugin { .. }
            | DriverError::CleartextPluginDisabled
            | DriverError::MysqlOldPasswordDisabled),
        ) => Failure::Denied(format!(
            "{error}: give the user another way to log in, such as by a password"
        )),
        Error::Driver(DriverError::PacketTooLarge) => Failure::Content(
            "the row has more bytes than the server's max_allowed_packet takes".to_owned(),
        ),
        Error::Url(_) => Failure::Refused(shown(&error.to_string())),
        Error::Driver(_) | Error::Other(_) => Failure::Away(shown(&error.to_string())),
    }
}

/// What a number says, by the tables of MySQL and MariaDB, and where it has no line here its SQLSTATE.
fn meaning(code: u16, state: &str, words: String, section: &str) -> Failure {
    match code {
        NOT_ONE_ROW => Failure::Content(format!(
            "another row has one of its values in a column that is unique ({code})"
        )),
        // A value that its column cannot hold, or a rule of the table: no value, a part of a date or
        // number, no text of that character set, a row too long, CHECK, JSON, SIGNAL of a trigger.
        1048
        | 1264..=1265
        | 1292
        | 1300
        | 1364
        | 1366..=1367
        | 1406
        | 1411
        | 1441
        | 1526
        | 1644
        | 1690
        | 3140..=3157
        | 3819
        | 4025
        | 1118 => Failure::Content(words),
        // No table or database, or not for this user.
        1044 | 1049 => Failure::Denied(format!(
            "{words}: check the database in `{section}.url`, and what its user may do"
        )),
        1045 | 1698 => Failure::Denied(format!(
            "{words}: check the user in `{section}.url`, `{section}.password`, and whether the user may come \
             only with `{section}.tls = true`"
        )),
        1130 | 1251 | 1275 | 1524 | 1820 | 1862 | 3118 | 3159 | 4151 => Failure::Denied(words),
        1142 | 1143 | 1227 | 1370 => {
            Failure::Refused(format!("{words}: grant it to the user in `{section}.url`"))
        }
        // Somebody has a lock, the transaction was rolled back for another one, something is full or
        // short, it shuts down, is a replica for now, ended a statement or session of its own accord.
        1021
        | 1030
        | 1040..=1041
        | 1053
        | 1105
        | 1114
        | 1129
        | 1135
        | 1158..=1161
        | 1180
        | 1203
        | 1205..=1206
        | 1213
        | 1226
        | 1290
        | 1317
        | 1614
        | 1792
        | 1836
        | 1927
        | 1969
        | 3024
        | 3058
        | 3169
        | 4031 => Failure::Away(words),
        _ => match &state.as_bytes()[..state.len().min(2)] {
            b"22" | b"23" | b"45" => Failure::Content(words),
            b"28" => Failure::Denied(words),
            b"08" | b"25" | b"40" | b"70" => Failure::Away(words),
            _ => Failure::Refused(words),
        },
    }
}

/// Whether a failure is the one of this number.
pub(super) fn is(failure: &Failure, code: u16) -> bool {
    match failure {
        Failure::Content(words) | Failure::Refused(words) => words.ends_with(&format!("({code})")),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_says_whose_fault_it_is() {
        let of = |code: u16, state: &str| match meaning(code, state, "words".to_owned(), "mysql") {
            Failure::Content(_) => "row",
            Failure::Together(_) => "together",
            Failure::Away(_) => "wait",
            Failure::Denied(_) => "denied",
            Failure::Refused(_) => "stop",
        };
        for (code, state, want) in [
            (1048, "23000", "row"),
            (1062, "23000", "row"),
            (1264, "22003", "row"),
            (1292, "22007", "row"),
            (1364, "HY000", "row"),
            (1366, "HY000", "row"),
            (1406, "22001", "row"),
            (1452, "23000", "row"),
            (1644, "45000", "row"),
            (3819, "HY000", "row"),
            (4025, "23000", "row"),
            (3140, "22032", "row"),
            (1242, "21000", "row"),
            (1213, "40001", "wait"),
            (1205, "HY000", "wait"),
            (1040, "08004", "wait"),
            (1053, "08S01", "wait"),
            (1290, "HY000", "wait"),
            (1969, "70100", "wait"),
            (1114, "HY000", "wait"),
            (1045, "28000", "denied"),
            (1049, "42000", "denied"),
            (1130, "HY000", "denied"),
            (1054, "42S22", "stop"),
            (1146, "42S02", "stop"),
            (1142, "42000", "stop"),
            (1064, "42000", "stop"),
            (9999, "", "stop"),
        ] {
            assert_eq!(of(code, state), want, "{code}");
        }
        let raced = Failure::Refused("Table 'a' already exists (1050)".to_owned());
        assert!(is(&raced, 1050) && !is(&raced, 1146));
    }
}
