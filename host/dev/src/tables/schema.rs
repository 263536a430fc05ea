//! Tables and families as clients describe them, checked, and as they are stored.

use super::fault::{Fault, shown};
use hbase_thrift::hbase::ColumnDescriptor;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use streamhost_core::limits::{TABLE_FAMILIES_MAX, TABLE_NAME_BYTES_MAX};

/// A table's families by name.
pub(super) type Families = BTreeMap<Vec<u8>, Family>;

/// What is stored of a table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Schema {
    /// Names the table's keyspace; never given twice.
    pub(super) id: u64,
    /// Whether it may be read and written.
    pub(super) enabled: bool,
    /// Its families.
    pub(super) families: Vec<Family>,
}

/// One family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Family {
    pub(super) name: String,
    /// How many versions of a cell are kept; at least 1.
    pub(super) versions_max: usize,
    /// Cells older than this are gone; `None` keeps them.
    pub(super) ttl_ms: Option<i64>,
    // Told back to clients as they gave it, of no meaning here.
    compression: String,
    bloom_filter: String,
    in_memory: bool,
    block_cache: bool,
}

impl Family {
    /// Proves a descriptor.
    pub(super) fn new(given: &ColumnDescriptor) -> Result<Self, Fault> {
        let refuse = |why: String| Err(Fault::Argument(why));
        let name = given.name.clone().unwrap_or_default();
        let name = name.strip_suffix(b":").unwrap_or(&name);
        let Ok(name) = String::from_utf8(name.to_vec()) else {
            return refuse(format!("Column Family name {} is not UTF-8", shown(name)));
        };
        if name.is_empty() || name.starts_with('.') || name.len() > TABLE_NAME_BYTES_MAX {
            return refuse(format!(
                "Column Family name '{name}' is empty, starts with a period, or is too long"
            ));
        }
        if let Some(bad) = name
            .chars()
            .find(|c| c.is_control() || matches!(c, ':' | '/' | '\\'))
        {
            return refuse(format!(
                "Illegal character {bad:?}. Column Family names cannot contain control characters or colons: {name}"
            ));
        }
        let Some(versions_max) = usize::try_from(given.max_versions.unwrap_or(3))
            .ok()
            .filter(|&n| n > 0)
        else {
            return refuse("Maximum versions must be positive".to_owned());
        };
        let ttl_ms = match given.time_to_live {
            None | Some(i32::MAX | -1) => None, // happybase says -1 where its user says nothing
            Some(seconds) if seconds > 0 => Some(i64::from(seconds) * 1000),
            Some(seconds) => {
                return refuse(format!(
                    "timeToLive {seconds} of family {name} would let every cell expire at once; say 2147483647 to keep them"
                ));
            }
        };
        let or_none = |text: &Option<String>| {
            text.clone()
                .filter(|t| !t.is_empty())
                .unwrap_or("NONE".to_owned())
        };
        Ok(Family {
            versions_max,
            ttl_ms,
            compression: or_none(&given.compression),
            bloom_filter: or_none(&given.bloom_filter_type),
            in_memory: given.in_memory == Some(true),
            block_cache: given.block_cache_enabled == Some(true),
            name,
        })
    }

    /// The family's name as clients see it, with its colon, and what they gave.
    pub(super) fn described(&self) -> (Vec<u8>, ColumnDescriptor) {
        let name = format!("{}:", self.name).into_bytes();
        let described = ColumnDescriptor::new(
            name.clone(),
            i32::try_from(self.versions_max).unwrap_or(i32::MAX),
            self.compression.clone(),
            self.in_memory,
            self.bloom_filter.clone(),
            0,
            0,
            self.block_cache,
            self.ttl_ms
                .map_or(i32::MAX, |ms| i32::try_from(ms / 1000).unwrap_or(i32::MAX)),
        );
        (name, described)
    }

    /// The latest time at which a cell has expired at `now_ms`; -1 if none has.
    pub(super) fn expired_ms(&self, now_ms: i64) -> i64 {
        self.ttl_ms
            .map_or(-1, |ttl| now_ms.saturating_sub(ttl).saturating_sub(1))
    }
}

/// How many families a table has.
pub(super) fn check_count(families: usize) -> Result<(), Fault> {
    if (1..=TABLE_FAMILIES_MAX).contains(&families) {
        return Ok(());
    }
    Err(Fault::Refused(format!(
        "Table should have at least one column family, at most {TABLE_FAMILIES_MAX}"
    )))
}

/// A family of which nothing but the name is told.
pub(super) fn plain(name: &str) -> ColumnDescriptor {
    ColumnDescriptor::new(
        Some(name.as_bytes().to_vec()),
        None,
        "NONE".to_owned(),
        false,
        "ROW".to_owned(),
        None,
        None,
        true,
        None,
    )
}

/// Proves a new table's families.
pub(super) fn families(given: &[ColumnDescriptor]) -> Result<Vec<Family>, Fault> {
    check_count(given.len())?;
    let families: Vec<Family> = given.iter().map(Family::new).collect::<Result<_, _>>()?;
    for (at, family) in families.iter().enumerate() {
        if families[..at]
            .iter()
            .any(|earlier| earlier.name == family.name)
        {
            return Err(Fault::Argument(format!(
                "Family '{}' already exists so cannot be added",
                family.name
            )));
        }
    }
    Ok(families)
}

/// Families by their names.
pub(super) fn by_name(families: &[Family]) -> Families {
    families
        .iter()
        .map(|family| (family.name.clone().into_bytes(), family.clone()))
        .collect()
}

/// Proves a new table's name.
pub(super) fn table_name(name: &[u8]) -> Result<(), Fault> {
    let legal = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':');
    let starts_badly = matches!(name.first(), None | Some(b'.' | b'-' | b':'));
    if starts_badly || name.len() > TABLE_NAME_BYTES_MAX || !name.iter().all(legal) {
        return Err(Fault::Argument(format!(
            "Illegal table name '{}': letters, digits, '_', '-' and '.' make one, of 1 to {TABLE_NAME_BYTES_MAX} bytes, \
             not starting with '-' or '.', perhaps behind a namespace and ':'",
            shown(name)
        )));
    }
    Ok(())
}

/// A column as clients write it: `family:qualifier`, `family:` for the empty qualifier, `family`
/// for all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Column<'a> {
    pub(super) family: &'a [u8],
    pub(super) qualifier: Option<&'a [u8]>,
}

impl<'a> Column<'a> {
    /// Splits at the first colon.
    pub(super) fn new(text: &'a [u8]) -> Self {
        match text.iter().position(|&b| b == b':') {
            Some(colon) => Column {
                family: &text[..colon],
                qualifier: Some(&text[colon + 1..]),
            },
            None => Column {
                family: text,
                qualifier: None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(name: &[u8], versions: i32, ttl: i32) -> ColumnDescriptor {
        ColumnDescriptor::new(
            name.to_vec(),
            versions,
            None,
            None,
            None,
            None,
            None,
            None,
            ttl,
        )
    }

    #[test]
    fn families_are_proven() {
        let family = Family::new(&descriptor(b"f:", 2, 60)).unwrap();
        assert_eq!((family.versions_max, family.ttl_ms), (2, Some(60_000)));
        assert_eq!(family.expired_ms(100_000), 39_999);
        assert_eq!(family.described().1.time_to_live, Some(60));
        assert_eq!(Family::new(&descriptor(b"f", 1, -1)).unwrap().ttl_ms, None);
        for bad in [&b""[..], b":", b".f", b"a/b", b"a:b", b"\xFF", b"a\nb"]
            .map(|name| descriptor(name, 1, i32::MAX))
            .iter()
            .chain(&[
                descriptor(b"f", 0, i32::MAX),
                descriptor(b"f", -1, i32::MAX),
                descriptor(b"f", 1, 0),
                descriptor(b"f", 1, -2),
            ])
        {
            assert!(
                matches!(Family::new(bad), Err(Fault::Argument(_))),
                "{bad:?}"
            );
        }
        let twice = [
            descriptor(b"f", 1, i32::MAX),
            descriptor(b"f:", 2, i32::MAX),
        ];
        assert!(matches!(families(&twice), Err(Fault::Argument(_))));
        assert!(matches!(families(&[]), Err(Fault::Refused(_))));
    }

    #[test]
    fn columns_split_at_their_first_colon() {
        let split = |text| {
            let column = Column::new(text);
            (column.family, column.qualifier)
        };
        assert_eq!(split(b"f:q:r"), (&b"f"[..], Some(&b"q:r"[..])));
        assert_eq!(split(b"f:"), (&b"f"[..], Some(&b""[..])));
        assert_eq!(split(b"f"), (&b"f"[..], None));
    }
}
