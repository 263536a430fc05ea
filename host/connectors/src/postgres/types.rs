//! Which columns of a table hold which cells.

use crate::sql::ColumnType;
use streamhost_core::types::Kind;

/// A type of a column, as the catalog calls it; of a domain the one beneath.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SqlType {
    /// Such as `int8`.
    pub(super) name: String,
    /// It is an enumeration.
    pub(super) is_enum: bool,
    /// As users write it, such as `character varying(12)`.
    pub(super) shown: String,
}

/// Types whose values are read from text by the server itself.
const OF_TEXT: [&str; 18] = [
    "text",
    "varchar",
    "bpchar",
    "citext",
    "name",
    "uuid",
    "numeric",
    "json",
    "jsonb",
    "xml",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "interval",
    "inet",
    "cidr",
    "macaddr",
];

/// The type that a column of this kind is created with.
pub(super) fn made(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Bytes => "bytea",
        Kind::Int => "bigint",
        Kind::Uint => "numeric(20)",
        Kind::Float => "double precision",
        Kind::Bool => "boolean",
        Kind::Time => "timestamptz",
        Kind::Json => "jsonb",
    }
}

impl ColumnType for SqlType {
    fn takes(&self, kind: Kind) -> bool {
        let is_one_of = |names: &[&str]| names.contains(&self.name.as_str());
        match kind {
            Kind::Text => self.is_enum || is_one_of(&OF_TEXT),
            Kind::Bytes => is_one_of(&["bytea"]),
            Kind::Int => is_one_of(&["int8", "int4", "int2", "numeric"]),
            Kind::Uint => is_one_of(&["numeric", "int8"]),
            Kind::Float => is_one_of(&["float8", "float4"]),
            Kind::Bool => is_one_of(&["bool"]),
            Kind::Time => is_one_of(&["timestamptz", "timestamp", "date", "int8"]),
            Kind::Json => is_one_of(&["jsonb", "json", "text"]),
        }
    }

    fn shown(&self) -> &str {
        &self.shown
    }
}

impl SqlType {
    /// A time goes there as its number.
    pub(super) fn is_number(&self) -> bool {
        self.name == "int8"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_taken() {
        for (kind, name) in [
            (Kind::Text, "text"),
            (Kind::Bytes, "bytea"),
            (Kind::Int, "int8"),
            (Kind::Uint, "numeric"),
            (Kind::Float, "float8"),
            (Kind::Bool, "bool"),
            (Kind::Time, "timestamptz"),
            (Kind::Json, "jsonb"),
        ] {
            let of = |name: &str| SqlType {
                name: name.to_owned(),
                is_enum: false,
                shown: String::new(),
            };
            assert!(of(name).takes(kind), "{kind:?} {}", made(kind));
            assert!(!of("point").takes(kind) && !of("_text").takes(kind));
        }
    }
}
