//! What the names of jobs, topics, tables and columns may be, and the nearest known word to a
//! mistyped one. Pure.

use crate::limits;

/// A job's name: lower-case letters, digits, `-` and `_`; 1 to 64 of them.
pub fn job(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    match name {
        "" => Err("it is empty".to_owned()),
        _ if name.len() > 64 => Err(format!(
            "it has {} characters, of 64 at most",
            name.chars().count()
        )),
        _ if !name.chars().all(fits) => {
            Err("only lower-case letters, digits, `-` and `_` may be in it".to_owned())
        }
        _ if name.starts_with(['-', '_']) => {
            Err("it must begin with a letter or a digit".to_owned())
        }
        _ => Ok(()),
    }
}

/// A Kafka topic's name, by Kafka's rules.
pub fn topic(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    match name {
        "" => Err("it is empty".to_owned()),
        "." | ".." => Err("Kafka has no topics of this name".to_owned()),
        _ if name.len() > 249 => Err(format!("it has {} bytes, of 249 at most", name.len())),
        _ if !name.chars().all(fits) => {
            Err("only ASCII letters, digits, `.`, `_` and `-` may be in a topic's name".to_owned())
        }
        _ => Ok(()),
    }
}

/// An HBase table's name with or without its namespace, `NAMESPACE:TABLE`, by HBase's rules.
pub fn table(name: &str) -> Result<(), String> {
    let (namespace, table) = name.split_once(':').unwrap_or(("", name));
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if table.is_empty() {
        return Err("it is empty".to_owned());
    }
    if namespace == "default" {
        return Err(format!(
            "say `{table}`, which is the same table: one table has one name"
        )); // or two sinks could share it
    }
    if (namespace.is_empty() && name.starts_with(':'))
        || !namespace
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_')
    {
        return Err(
            "its namespace (before the `:`) must be ASCII letters, digits and `_`".to_owned(),
        );
    }
    if name.len() > 255 {
        return Err(format!("it has {} bytes, of 255 at most", name.len()));
    }
    if table.starts_with(['.', '-']) || !table.chars().all(fits) {
        return Err(
            "only ASCII letters, digits, `.`, `_` and `-` may be in a table's name, \
                    and it begins with a letter, a digit or `_`"
                .to_owned(),
        );
    }
    Ok(())
}

/// A consumer group's name.
pub fn group(name: &str) -> Result<(), String> {
    match name {
        _ if name.trim().is_empty() => Err("it is empty".to_owned()),
        _ if name.len() > 255 => Err(format!("it has {} bytes, of 255 at most", name.len())),
        _ if name.chars().any(char::is_control) => Err("it has control characters".to_owned()),
        _ => Ok(()),
    }
}

/// The name of a source or sink as a job calls it: what `--set source.NAME=…` can say.
pub fn target(name: &str) -> Result<(), String> {
    match name {
        "" => Err("it is empty".to_owned()),
        _ if name.len() > 255 => Err(format!("it has {} bytes, of 255 at most", name.len())),
        _ if name.contains('=') || name.chars().any(|c| c.is_control() || c.is_whitespace()) => {
            Err("spaces, control characters and `=` may not be in it".to_owned())
        }
        _ => Ok(()),
    }
}

/// The name of a file source as a job calls it: its path.
pub fn path(name: &str) -> Result<(), String> {
    match name {
        "" => Err("it is empty".to_owned()),
        _ if name.len() > limits::PLACE_BYTES_MAX => Err(format!(
            "it has {} bytes, of {} at most",
            name.len(),
            limits::PLACE_BYTES_MAX
        )),
        _ if name.chars().any(char::is_control) => Err("it has control characters".to_owned()),
        _ => Ok(()),
    }
}

/// A place in the network, `host:port`.
pub fn address(name: &str) -> Result<(), String> {
    let shape = || "an address is `host:port`".to_owned();
    let (host, port) = name.rsplit_once(':').ok_or_else(shape)?;
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    match port.parse::<u16>() {
        Ok(0) | Err(_) => return Err(format!("its port `{port}` is no number from 1 to 65535")),
        Ok(_) if host.is_empty() || host.len() > 255 => return Err(shape()),
        Ok(_) => {}
    }
    match bare {
        Some(bare) if bare.parse::<std::net::Ipv6Addr>().is_ok() => Ok(()),
        None if host
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')) =>
        {
            Ok(())
        }
        _ => Err("its host is a name, or an address such as `127.0.0.1` or `[::1]`".to_owned()),
    }
}

/// A parameter's name: as a stage's.
pub fn parameter(name: &str) -> Result<(), String> {
    stage(name)
}

/// A keyed stage's name: ASCII letters, digits, `-`, `_` and `.`; 1 to 64 of them.
pub fn stage(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match name {
        "" => Err("it is empty".to_owned()),
        _ if name.len() > 64 => Err(format!("it has {} bytes, of 64 at most", name.len())),
        _ if !name.chars().all(fits) => {
            Err("only ASCII letters, digits, `-`, `_` and `.` may be in it".to_owned())
        }
        _ => Ok(()),
    }
}

/// A field's name.
pub fn field(name: &str) -> Result<(), String> {
    match name {
        "" => Err("it is empty".to_owned()),
        _ if name.len() > limits::COLUMN_NAME_BYTES_MAX => Err(format!(
            "it has {} bytes, of {} at most",
            name.len(),
            limits::COLUMN_NAME_BYTES_MAX
        )),
        _ if name.chars().any(char::is_control) => Err("it has control characters".to_owned()),
        _ => Ok(()),
    }
}

/// An HBase column, `family:qualifier`, by HBase's rules; neither of the two may be empty.
pub fn hbase_column(name: &str) -> Result<(), String> {
    field(name)?;
    let Some((family, _)) = name.split_once(':') else {
        return Err("an HBase column is `family:qualifier`".to_owned());
    };
    match family {
        "" => Err("its family (before the `:`) is empty".to_owned()),
        _ if family.len() > 127 => {
            Err("its family (before the `:`) has more than 127 bytes".to_owned())
        }
        _ if family.starts_with('.') || family.contains(['/', '\\']) => {
            Err("its family may neither begin with `.` nor have `/` or `\\` in it".to_owned())
        }
        _ if name.ends_with(':') && !name[..name.len() - 1].contains(':') => {
            Err("its qualifier (after the `:`) is empty".to_owned())
        }
        _ => Ok(()),
    }
}

/// A column's family and qualifier; none if it is not `family:qualifier` with both there.
pub fn family_and_qualifier(column: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = column.iter().position(|&byte| byte == b':')?;
    let (family, qualifier) = (&column[..colon], &column[colon + 1..]);
    (!family.is_empty() && !qualifier.is_empty()).then_some((family, qualifier))
}

/// A character as a terminal or a page may show it. Control characters, marks that turn the
/// direction of text around, and what has no width are written out: none of them is obeyed, and
/// no two texts look alike that are not.
pub fn visible(c: char) -> String {
    let is_mark = matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
    );
    match c.is_control() || is_mark {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    }
}

/// What somebody else wrote, as an error repeats it: its beginning and its end, so many characters
/// in all, without what would upset a terminal.
pub fn shown(text: &str, chars_max: usize) -> String {
    let plain = |text: &str| -> String { text.chars().map(visible).collect() };
    let at = |n: usize| text.char_indices().nth(n).map_or(text.len(), |(at, _)| at);
    match text.chars().count() {
        count if count <= chars_max => plain(text),
        count => format!(
            "{}…{}",
            plain(&text[..at(chars_max / 2)]),
            plain(&text[at(count - chars_max / 2)..])
        ),
    }
}

/// What was probably meant by a word that is not known, or else what there is: the end of an error.
pub fn meant(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}", known.join(", ")),
    }
}

/// The known word that was probably meant.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let far = 1 + word.chars().count() / 4;
    known
        .into_iter()
        .map(|k| (strsim::damerau_levenshtein(&word.to_lowercase(), k), k))
        .filter(|(distance, _)| *distance <= far)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, k)| k)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_judged_as_the_servers_do() {
        type Rule = fn(&str) -> Result<(), String>;
        let long = "x".repeat(300);
        let cases: [(Rule, &[&str], &[&str]); 9] = [
            (
                job,
                &["a", "clicks-2", "a_b", "0"],
                &["", "Clicks", "a b", "a.b", "ä", &long],
            ),
            (
                topic,
                &["a", "A.b_c-9", "..."],
                &["", ".", "..", "a b", "a/b", "a:b", "ü", &long],
            ),
            (
                table,
                &["t", "ns:t", "a.b-c", "_t"],
                &[
                    "",
                    ":t",
                    "ns:",
                    "default:t",
                    "n-s:t",
                    ".t",
                    "-t",
                    "a:b:c",
                    "a b",
                    &long,
                ],
            ),
            (
                group,
                &["streamhost.clicks", "my group"],
                &["", "  ", "a\nb", &long],
            ),
            (
                target,
                &["clicks", "ns:t"],
                &["", "a b", "a=b", "a\tb", &long],
            ),
            (
                path,
                &["a b/dt=1/x.csv", "ü"],
                &["", "a\nb", &"x".repeat(5000)],
            ),
            (
                address,
                &["localhost:9999", "10.0.0.1:1", "[::1]:80", "a-b.c_d:65535"],
                &[
                    "",
                    "localhost",
                    "localhost:",
                    ":1",
                    "h:0",
                    "h:65536",
                    "h:-1",
                    "::1:80",
                    "[x]:80",
                    "a b:1",
                    "h/x:1",
                ],
            ),
            (
                stage,
                &["count", "left_join", "Visits-2.b"],
                &["", "a b", "a:b", "ä", &"x".repeat(65)],
            ),
            (
                hbase_column,
                &["f:q", "f:a:b"],
                &["", "f:", "f", ":q", ".f:q", "a/b:q", "f:q\n"],
            ),
        ];
        for (rule, good, bad) in cases {
            for name in good {
                assert_eq!(rule(name), Ok(()), "{name:?}");
            }
            for name in bad {
                assert!(rule(name).is_err(), "{name:?} was taken");
            }
        }
    }

    #[test]
    fn a_column_is_family_and_qualifier() {
        for (column, expected) in [
            ("f:q", Some(("f", "q"))),
            ("f:q:r", Some(("f", "q:r"))),
            ("f", None),
            ("f:", None),
            (":q", None),
            ("", None),
        ] {
            let expected = expected.map(|(f, q)| (f.as_bytes(), q.as_bytes()));
            assert_eq!(
                family_and_qualifier(column.as_bytes()),
                expected,
                "{column}"
            );
        }
    }

    #[test]
    fn what_is_shown_is_bounded_and_without_signs_of_control() {
        let cases = [
            ("clicks", "clicks"),
            ("a'b\"ü", "a'b\"ü"),
            ("a\nb\u{1b}[", "a\\nb\\u{1b}["),
            ("0123456789", "0123456789"),
            ("0123456789a", "01234…6789a"),
        ];
        for (text, want) in cases {
            assert_eq!(shown(text, 10), want);
        }
        assert_eq!(
            shown(&"ä".repeat(1000), 10),
            format!("{0}…{0}", "ä".repeat(5))
        );
    }

    #[test]
    fn a_slip_finds_its_word_and_nonsense_finds_none() {
        let known = ["every", "dead-letters", "on-error"];
        let cases = [
            ("evry", Some("every")),
            ("Every", Some("every")),
            ("dead-leters", Some("dead-letters")),
            ("dead_letters", Some("dead-letters")),
            ("on-eror", Some("on-error")),
            ("zzz", None),
            ("", None),
        ];
        for (word, want) in cases {
            assert_eq!(nearest(word, known), want, "{word}");
        }
    }
}
