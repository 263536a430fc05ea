//! Cells as the text that `COPY` reads. Pure.

use super::types::SqlType;
use streamhost_core::clock::{Civil, civil};
use streamhost_core::contract::render::{self, Cell};
use streamhost_core::types::Kind;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends a cell that stands in a column of this type; one that is not there is NULL.
pub(super) fn cell(cell: Cell<'_>, column: &SqlType, out: &mut Vec<u8>) {
    match cell {
        Cell::Absent | Cell::Deleted => out.extend_from_slice(b"\\N"),
        Cell::Value(Kind::Text | Kind::Json, bytes) => escaped(bytes, out),
        Cell::Value(Kind::Bytes, bytes) => {
            out.extend_from_slice(b"\\\\x");
            out.reserve(2 * bytes.len());
            for byte in bytes {
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
        }
        Cell::Value(Kind::Time, bytes) if !column.is_number() => match bytes.try_into() {
            Ok(bytes) => out.extend_from_slice(timestamp(i64::from_le_bytes(bytes)).as_bytes()),
            Err(_) => out.extend_from_slice(b"\\N"), // it was checked when it came from the guest
        },
        Cell::Value(kind, bytes) => render::text(kind, bytes, out),
    }
}

/// Text, with a backslash before what would end a value or a row.
fn escaped(mut text: &[u8], out: &mut Vec<u8>) {
    let is_special = |byte: &u8| matches!(byte, b'\\' | b'\n' | b'\r' | b'\t');
    while let Some(at) = text.iter().position(is_special) {
        out.extend_from_slice(&text[..at]);
        out.push(b'\\');
        out.push(match text[at] {
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            other => other,
        });
        text = &text[at + 1..];
    }
    out.extend_from_slice(text);
}

/// Milliseconds since 1970 as PostgreSQL reads them, in UTC. What lies outside of its own times is
/// refused by it.
pub(super) fn timestamp(ms: i64) -> String {
    let Civil {
        year,
        month,
        day,
        hour,
        minute,
        second,
        ms,
    } = civil(ms);
    // There is no year 0: the one before 1 is 1 BC.
    let (year, era) = if year > 0 {
        (year, "")
    } else {
        (1 - year, " BC")
    };
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{ms:03}+00{era}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(of: Cell<'_>, sql: &str) -> String {
        let column = SqlType {
            name: sql.to_owned(),
            is_enum: false,
            shown: String::new(),
        };
        let mut out = Vec::new();
        cell(of, &column, &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn cells_are_what_copy_reads() {
        let int = (-5_i64).to_le_bytes();
        let float = f64::NEG_INFINITY.to_le_bytes();
        let time = 1_700_000_000_123_i64.to_le_bytes();
        for (kind, bytes, sql, want) in [
            (
                Kind::Text,
                &b"a\tb\\c\nd\r"[..],
                "text",
                "a\\tb\\\\c\\nd\\r",
            ),
            (Kind::Text, b"\\N", "text", "\\\\N"),
            (Kind::Text, b"\\.", "text", "\\\\."),
            (Kind::Text, b"", "text", ""),
            (Kind::Json, b"{\"a\":\"\\n\"}", "jsonb", "{\"a\":\"\\\\n\"}"),
            (Kind::Bytes, b"\x00\xff", "bytea", "\\\\x00ff"),
            (Kind::Int, &int, "int8", "-5"),
            (Kind::Float, &float, "float8", "-Infinity"),
            (Kind::Bool, &[1], "bool", "true"),
            (
                Kind::Time,
                &time,
                "timestamptz",
                "2023-11-14 22:13:20.123+00",
            ),
            (Kind::Time, &time, "int8", "1700000000123"),
        ] {
            assert_eq!(text(Cell::Value(kind, bytes), sql), want);
        }
        assert_eq!(text(Cell::Absent, "text"), "\\N");
        assert_eq!(text(Cell::Deleted, "text"), "\\N");
    }

    #[test]
    fn times_are_dates_in_any_year() {
        for (ms, want) in [
            (0, "1970-01-01 00:00:00.000+00"),
            (-1, "1969-12-31 23:59:59.999+00"),
            (951_782_400_000, "2000-02-29 00:00:00.000+00"),
            (4_107_542_400_000, "2100-03-01 00:00:00.000+00"),
            (253_402_300_800_000, "10000-01-01 00:00:00.000+00"),
            (-62_135_596_800_001, "0001-12-31 23:59:59.999+00 BC"),
        ] {
            assert_eq!(timestamp(ms), want);
        }
        for ms in [i64::MIN, i64::MAX] {
            assert!(timestamp(ms).contains("+00"));
        }
    }
}
