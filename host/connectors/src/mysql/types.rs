//! Which columns of a table hold which cells.

use crate::sql::ColumnType;
use streamhost_core::types::Kind;

/// A type of a column, as the catalog calls it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SqlType {
    /// Such as `bigint`.
    pub(super) name: String,
    /// As users write it, such as `varchar(12)`.
    pub(super) shown: String,
    /// By which its texts are compared; none: it has no texts, or takes them as bytes.
    pub(super) collation: Option<String>,
    /// The bytes of each of its values, where it fills them up.
    pub(super) filled_bytes: Option<u64>,
    /// Digits behind the second.
    pub(super) precision: u32,
}

/// Types of text and bytes.
const TEXTS: [&str; 6] = [
    "char",
    "varchar",
    "tinytext",
    "text",
    "mediumtext",
    "longtext",
];
const BYTES: [&str; 6] = [
    "binary",
    "varbinary",
    "tinyblob",
    "blob",
    "mediumblob",
    "longblob",
];
/// Types whose values are read from text by the server itself.
const OF_TEXT: [&str; 11] = [
    "enum",
    "set",
    "json",
    "decimal",
    "date",
    "time",
    "datetime",
    "timestamp",
    "year",
    "uuid",
    "inet6",
];
const INTEGERS: [&str; 6] = [
    "bigint",
    "int",
    "mediumint",
    "smallint",
    "tinyint",
    "decimal",
];
const TIMES: [&str; 4] = ["datetime", "timestamp", "date", "bigint"];

/// The type that a column of this kind is created with, if it is no key.
pub(super) fn made(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "longtext",
        Kind::Bytes => "longblob",
        Kind::Int => "bigint",
        Kind::Uint => "bigint unsigned",
        Kind::Float => "double",
        Kind::Bool => "boolean",
        Kind::Time => "datetime(3)",
        Kind::Json => "json",
    }
}

impl ColumnType for SqlType {
    fn takes(&self, kind: Kind) -> bool {
        let is_one_of = |names: &[&str]| names.contains(&self.name.as_str());
        match kind {
            Kind::Text => is_one_of(&TEXTS) || is_one_of(&BYTES) || is_one_of(&OF_TEXT),
            Kind::Bytes => is_one_of(&BYTES),
            Kind::Int | Kind::Uint => is_one_of(&INTEGERS),
            Kind::Float => is_one_of(&["double", "float"]),
            Kind::Bool => is_one_of(&["tinyint", "bit"]),
            Kind::Time => is_one_of(&TIMES),
            Kind::Json => is_one_of(&["json"]) || is_one_of(&TEXTS),
        }
    }

    fn shown(&self) -> &str {
        &self.shown
    }
}

impl SqlType {
    /// A time goes there as its number.
    pub(super) fn is_number(&self) -> bool {
        self.name == "bigint"
    }

    /// It holds days.
    pub(super) fn is_date(&self) -> bool {
        self.name == "date"
    }

    /// Of texts that differ it takes some for the same one.
    pub(super) fn is_blurred(&self) -> bool {
        let is_blurred = |collation: &String| !collation.ends_with("_bin");
        self.collation.as_ref().is_some_and(is_blurred)
    }

    /// It takes no notice of blanks at the end of a text.
    pub(super) fn is_padded(&self) -> bool {
        let knows = |of: &String| of.contains("_nopad_") || of.contains("_0900_");
        self.name == "char" || self.collation.as_ref().is_some_and(|of| !knows(of))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, collation: &str) -> SqlType {
        SqlType {
            name: name.to_owned(),
            collation: (!collation.is_empty()).then(|| collation.to_owned()),
            ..SqlType::default()
        }
    }

    #[test]
    fn what_is_made_is_taken() {
        for kind in Kind::ALL {
            // `boolean` is a word for `tinyint(1)`.
            let name = made(kind).replace("boolean", "tinyint(1)");
            let name = name.split(['(', ' ']).next().expect("a name");
            assert!(of(name, "").takes(kind), "{kind:?} {name}");
            assert!(!of("point", "").takes(kind));
        }
    }

    #[test]
    fn a_collation_says_which_texts_it_tells_apart() {
        for (name, collation, blurred, padded) in [
            ("varchar", "utf8mb4_general_ci", true, true),
            ("varchar", "utf8mb4_bin", false, true),
            ("varchar", "utf8mb4_nopad_bin", false, false),
            ("varchar", "utf8mb4_0900_bin", false, false),
            ("varchar", "utf8mb4_0900_ai_ci", true, false),
            ("char", "utf8mb4_0900_bin", false, true),
            ("varbinary", "", false, false),
            ("bigint", "", false, false),
        ] {
            let of = of(name, collation);
            assert_eq!(
                (of.is_blurred(), of.is_padded()),
                (blurred, padded),
                "{collation}"
            );
        }
    }
}
