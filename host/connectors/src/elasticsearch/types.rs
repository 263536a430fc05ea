//! Which types of fields hold which cells.

use serde_json::{Value, json};
use streamhost_core::types::Kind;

/// How a time is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum TimeForm {
    /// ISO 8601 in UTC, such as `2026-12-01T10:00:00.000Z`.
    #[default]
    Text,
    /// Milliseconds since 1970.
    Number,
}

/// Types whose values the server reads from text.
const OF_TEXT: [&str; 13] = [
    "keyword",
    "text",
    "wildcard",
    "match_only_text",
    "constant_keyword",
    "search_as_you_type",
    "completion",
    "version",
    "ip",
    "date",
    "date_nanos",
    "geo_point",
    "annotated_text",
];

/// A field for a column of this kind.
pub(super) fn made(kind: Kind) -> Value {
    match kind {
        Kind::Text => json!({"type": "keyword"}),
        Kind::Bytes => json!({"type": "binary"}),
        Kind::Int => json!({"type": "long"}),
        Kind::Uint => json!({"type": UNSIGNED}),
        Kind::Float => json!({"type": "double"}),
        Kind::Bool => json!({"type": "boolean"}),
        Kind::Time => json!({"type": "date"}),
        // Kept as it is, whatever it is: else each of its names would be a field, of a guessed type.
        Kind::Json => json!({"type": "object", "enabled": false}),
    }
}

/// The type of unsigned numbers, which not every server has.
pub(super) const UNSIGNED: &str = "unsigned_long";

/// How a field of a mapping takes cells of that kind, or what it is instead. A value that is too large
/// for it is the row's fault, not the column's.
pub(super) fn form(field: &Value, kind: Kind) -> Result<TimeForm, String> {
    let name = field["type"].as_str().unwrap_or("object");
    let is_one_of = |names: &[&str]| names.contains(&name);
    let (takes, may) = match kind {
        Kind::Text => (is_one_of(&OF_TEXT), "keyword or text"),
        Kind::Bytes => (is_one_of(&["binary", "keyword"]), "binary"),
        Kind::Int => (
            is_one_of(&["long", "integer", "short", "byte", "keyword"]),
            "long",
        ),
        Kind::Uint => (
            is_one_of(&[UNSIGNED, "long", "integer", "short", "byte", "keyword"]),
            "unsigned_long or long",
        ),
        Kind::Float => (
            is_one_of(&["double", "float", "half_float", "scaled_float"]),
            "double or float",
        ),
        Kind::Bool => (is_one_of(&["boolean", "keyword"]), "boolean"),
        Kind::Time => (is_one_of(&["date", "date_nanos", "long"]), "date or long"),
        Kind::Json => (true, ""),
    };
    if !takes {
        let given = kind.word();
        return Err(format!(
            "`{name}`, and the job gives {given}: make it {may}, in a new index"
        ));
    }
    match (kind, name) {
        (Kind::Time, "long") => Ok(TimeForm::Number),
        (Kind::Time, _) => time_form(field["format"].as_str().unwrap_or_default()),
        _ => Ok(TimeForm::Text),
    }
}

/// How a date of this format takes a time.
fn time_form(format: &str) -> Result<TimeForm, String> {
    let has = |one: &str| {
        format
            .split("||")
            .any(|of| of.trim_start_matches("strict_") == one)
    };
    match format {
        "" => Ok(TimeForm::Text),
        _ if has("date_optional_time") || has("date_time") || has("iso8601") => Ok(TimeForm::Text),
        _ if has("epoch_millis") => Ok(TimeForm::Number),
        other => Err(format!(
            "a date of the format `{other}`, and times are given as ISO 8601 or milliseconds: add `||epoch_millis` to it"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_taken_and_other_types_are_named() {
        for kind in Kind::ALL {
            assert_eq!(form(&made(kind), kind), Ok(TimeForm::Text), "{kind:?}");
            let other = json!({"type": "percolator"});
            assert_eq!(form(&other, kind).is_ok(), kind == Kind::Json, "{kind:?}");
        }
        let words = form(&json!({"type": "text"}), Kind::Int).expect_err("a text is no number");
        assert_eq!(
            words,
            "`text`, and the job gives int: make it long, in a new index"
        );
    }

    #[test]
    fn a_time_is_written_as_its_field_reads_it() {
        for (field, want) in [
            (json!({"type": "date"}), Some(TimeForm::Text)),
            (json!({"type": "date_nanos"}), Some(TimeForm::Text)),
            (json!({"type": "long"}), Some(TimeForm::Number)),
            (
                json!({"type": "date", "format": "epoch_millis"}),
                Some(TimeForm::Number),
            ),
            (
                json!({"type": "date", "format": "strict_date_optional_time||epoch_millis"}),
                Some(TimeForm::Text),
            ),
            (
                json!({"type": "date", "format": "yyyy||strict_date_time"}),
                Some(TimeForm::Text),
            ),
            (json!({"type": "date", "format": "epoch_second"}), None),
            (json!({"type": "keyword"}), None),
        ] {
            assert_eq!(form(&field, Kind::Time).ok(), want, "{field}");
        }
    }
}
