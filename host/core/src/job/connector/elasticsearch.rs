//! Elasticsearch and OpenSearch: documents of an index.

use super::{ConnectorRules, OptionKind, OptionRules, Outside, SetMeans, SinkRules, TargetRules};
use crate::limits;
use crate::types::{ColumnNames, Guarantee, Kind, Measure, RowLimits};

/// The option that says whether a batch waits until searches find it.
pub const REFRESH: &str = "refresh";

/// What its rows may be.
pub const ELASTICSEARCH_ROWS: RowLimits = RowLimits {
    key_bytes: 1..=limits::ELASTICSEARCH_ID_BYTES_MAX,
    cell_bytes_max: limits::ELASTICSEARCH_ROW_BYTES_MAX,
    row_bytes_max: limits::ELASTICSEARCH_ROW_BYTES_MAX,
    measure: Measure::Json,
    columns: ColumnNames::Fields,
};

/// Elasticsearch, and OpenSearch, which speaks alike.
pub const ELASTICSEARCH: ConnectorRules = ConnectorRules {
    name: "elasticsearch",
    doc: "Documents of an Elasticsearch or OpenSearch index.",
    source: None,
    sink: Some(SinkRules {
        target: TargetRules {
            what: "index",
            rule: index,
            outside: Some(Outside::Tables),
            set: SetMeans::Target,
        },
        options: &[OptionRules {
            name: REFRESH,
            // `true` would make a segment of each request, and slow searches down for good.
            kind: OptionKind::OneOf(&["false", "wait_for"]),
            default: "false",
            doc: "`wait_for`: a batch is over once searches find it.",
        }],
        keys: 0..=limits::ELASTICSEARCH_KEYS_MAX,
        key_kinds: &[
            Kind::Text,
            Kind::Bytes,
            Kind::Int,
            Kind::Uint,
            Kind::Bool,
            Kind::Time,
        ],
        columns: ColumnNames::Fields,
        raw: false,
        dynamic: false,
        limits: ELASTICSEARCH_ROWS,
        sending_bytes: limits::ELASTICSEARCH_SENDING_BYTES,
        guarantee: |_| Guarantee::Idempotent,
    }),
};

/// The name of one index, alias or data stream, as the server takes it.
fn index(name: &str) -> Result<(), String> {
    let most = limits::ELASTICSEARCH_NAME_BYTES_MAX;
    let forbidden = |c: char| c.is_control() || c.is_whitespace() || "\\/*?\"<>|,#:".contains(c);
    if name.is_empty() {
        return Err("its name is empty".to_owned());
    }
    if name.len() > most {
        return Err(format!("it has {} bytes, of {most} at most", name.len()));
    }
    if name.chars().any(char::is_uppercase) {
        return Err("there are no capital letters in the name of an index".to_owned());
    }
    if let Some(c) = name.chars().find(|&c| forbidden(c)) {
        return Err(format!("`{c}` cannot be in the name of an index"));
    }
    match name.chars().next() {
        Some(first @ ('-' | '_' | '+' | '.')) => Err(format!(
            "the name of an index does not begin with `{first}`"
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_named_as_the_server_takes_it() {
        for good in ["clicks", "clicks-2026.12", "größe", "a_b+c", "1"] {
            assert_eq!(index(good), Ok(()), "{good}");
        }
        let long = "x".repeat(256);
        for bad in [
            "", ".", "..", "Clicks", "a b", "a/b", "a*", "a,b", "a:b", "<a>", "_all", "-a", "+a",
            ".kibana", "a\"b", "a#b", "a\nb", &long,
        ] {
            assert!(index(bad).is_err(), "{bad}");
        }
    }
}
