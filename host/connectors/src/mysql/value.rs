//! Cells as the values of a statement. Pure.

use super::types::SqlType;
use crate::sql::Failure;
use mysql_async::Value;
use streamhost_core::clock::{Civil, civil};
use streamhost_core::contract::render::Cell;
use streamhost_core::types::Kind;

const MS_OF_DAY: i64 = 86_400_000;
/// Digits of milliseconds.
const MS_DIGITS: u32 = 3;

/// A cell that stands in a column of this type; one that is not there is NULL.
pub(super) fn value(cell: Cell<'_>, column: &SqlType) -> Result<Value, Failure> {
    let Cell::Value(kind, bytes) = cell else {
        return Ok(Value::NULL);
    };
    Ok(match kind {
        Kind::Text | Kind::Bytes | Kind::Json => Value::Bytes(bytes.to_vec()),
        Kind::Int => Value::Int(i64::from_le_bytes(eight(bytes)?)),
        Kind::Uint => Value::UInt(u64::from_le_bytes(eight(bytes)?)),
        Kind::Bool => Value::Int(i64::from(bytes == [1])),
        Kind::Float => {
            let float = f64::from_le_bytes(eight(bytes)?);
            if !float.is_finite() {
                return Err(Failure::Content(format!(
                    "{float} is no number that MySQL has"
                )));
            }
            Value::Double(float)
        }
        Kind::Time => time(i64::from_le_bytes(eight(bytes)?), column)?,
    })
}

/// It was checked when it came from the guest.
fn eight(bytes: &[u8]) -> Result<[u8; 8], Failure> {
    let eight = bytes.try_into();
    eight.map_err(|_| Failure::Content(format!("a value has {} bytes, not 8", bytes.len())))
}

/// Milliseconds since 1970 in UTC, which is the session's zone.
fn time(ms: i64, column: &SqlType) -> Result<Value, Failure> {
    if column.is_number() {
        return Ok(Value::Int(ms));
    }
    let civil = civil(ms);
    let whole = of_civil(&civil).ok_or_else(|| {
        Failure::Content(format!(
            "a time in the year {} is none that MySQL has",
            civil.year
        ))
    })?;
    Ok(match (column.is_date(), whole) {
        // What is compared with a date has no time of day either.
        (true, Value::Date(year, month, day, ..)) => Value::Date(year, month, day, 0, 0, 0, 0),
        (_, whole) => whole,
    })
}

fn of_civil(of: &Civil) -> Option<Value> {
    let year = u16::try_from(of.year).ok();
    let year = year.filter(|year| (1..=9999).contains(year))?;
    let small = |n: i64| u8::try_from(n).ok();
    Some(Value::Date(
        year,
        small(of.month)?,
        small(of.day)?,
        small(of.hour)?,
        small(of.minute)?,
        small(of.second)?,
        u32::try_from(of.ms).ok()? * 1000,
    ))
}

/// Why a key would be that of another row too, as its column does not hold all of it.
pub(super) fn key_fault(kind: Kind, bytes: &[u8], column: &SqlType) -> Option<String> {
    let shown = &column.shown;
    match kind {
        Kind::Text if bytes.ends_with(b" ") && column.is_padded() => Some(format!(
            "a key ends with a blank, of which {shown} {} takes no notice",
            column.collation.as_deref().unwrap_or_default()
        )),
        Kind::Text | Kind::Bytes => {
            let filled = column.filled_bytes?;
            let fits = usize::try_from(filled).is_ok_and(|filled| filled == bytes.len());
            (!fits).then(|| {
                let bytes = bytes.len();
                format!("a key has {bytes} bytes, and {shown} fills up what has less than {filled}")
            })
        }
        Kind::Time if !column.is_number() => {
            let ms = i64::from_le_bytes(bytes.try_into().ok()?);
            let step = match column.is_date() {
                true => MS_OF_DAY,
                false => 10_i64.pow(MS_DIGITS.saturating_sub(column.precision)),
            };
            (ms.rem_euclid(step) != 0).then(|| {
                format!("a key is the time {ms} in milliseconds, of which {shown} holds a part")
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str) -> SqlType {
        SqlType {
            name: name.to_owned(),
            precision: MS_DIGITS,
            ..SqlType::default()
        }
    }

    #[test]
    fn cells_are_values() {
        let at = |ms: i64| ms.to_le_bytes();
        let date = |y, mo, d, h, mi, s, us| Ok(Value::Date(y, mo, d, h, mi, s, us));
        let time = 1_700_000_000_123_i64;
        for (kind, bytes, name, want) in [
            (Kind::Int, at(-5), "bigint", Ok(Value::Int(-5))),
            (Kind::Uint, at(-1), "bigint", Ok(Value::UInt(u64::MAX))),
            (Kind::Time, at(time), "bigint", Ok(Value::Int(time))),
            (
                Kind::Time,
                at(time),
                "datetime",
                date(2023, 11, 14, 22, 13, 20, 123_000),
            ),
            (Kind::Time, at(time), "date", date(2023, 11, 14, 0, 0, 0, 0)),
            (
                Kind::Time,
                at(-1),
                "timestamp",
                date(1969, 12, 31, 23, 59, 59, 999_000),
            ),
        ] {
            assert_eq!(
                value(Cell::Value(kind, &bytes), &of(name)),
                want,
                "{kind:?}"
            );
        }
        let text = Cell::Value(Kind::Text, b"a'\\b");
        assert_eq!(
            value(text, &of("text")),
            Ok(Value::Bytes(b"a'\\b".to_vec()))
        );
        for none in [Cell::Absent, Cell::Deleted] {
            assert_eq!(value(none, &of("text")), Ok(Value::NULL));
        }
        for (kind, bytes) in [
            (Kind::Float, f64::NAN.to_le_bytes()),
            (Kind::Float, f64::NEG_INFINITY.to_le_bytes()),
            (Kind::Time, at(i64::MAX)),
            (Kind::Time, at(-62_135_596_800_001)),
        ] {
            let refused = value(Cell::Value(kind, &bytes), &of("datetime"));
            assert!(matches!(refused, Err(Failure::Content(_))), "{refused:?}");
        }
    }

    #[test]
    fn a_key_that_its_column_does_not_hold_whole_is_told() {
        let texts = |collation: &str| SqlType {
            collation: Some(collation.to_owned()),
            ..of("varchar")
        };
        let filled = SqlType {
            filled_bytes: Some(4),
            ..of("binary")
        };
        let seconds = SqlType {
            precision: 0,
            ..of("datetime")
        };
        let (odd, second, day) = (
            1001_i64.to_le_bytes(),
            1000_i64.to_le_bytes(),
            0_i64.to_le_bytes(),
        );
        let cases: [(Kind, &[u8], &SqlType, bool); 11] = [
            (Kind::Text, b"a ", &texts("utf8mb4_bin"), true),
            (Kind::Text, b"a ", &texts("utf8mb4_nopad_bin"), false),
            (Kind::Text, b" a", &texts("utf8mb4_bin"), false),
            (Kind::Bytes, b"abc", &filled, true),
            (Kind::Bytes, b"abcd", &filled, false),
            (Kind::Time, &odd, &seconds, true),
            (Kind::Time, &second, &seconds, false),
            (Kind::Time, &odd, &of("datetime"), false),
            (Kind::Time, &second, &of("date"), true),
            (Kind::Time, &day, &of("date"), false),
            (Kind::Time, &odd, &of("bigint"), false),
        ];
        for (kind, bytes, column, told) in cases {
            let found = key_fault(kind, bytes, column);
            assert_eq!(found.is_some(), told, "{kind:?} {bytes:?} {found:?}");
        }
    }
}
