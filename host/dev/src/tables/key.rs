//! How a cell is found in the store. Keys sort as HBase sorts cells: by row, family, qualifier,
//! newest first.
//!
//! ```text
//! row ⏹ family ⏹ 0                        a family's tombstone, the value is its time
//! row ⏹ family ⏹ 1 qualifier ⏹ 0          a column's tombstone, the value is its time
//! row ⏹ family ⏹ 1 qualifier ⏹ 1 !time    a put, the value is the cell's
//! ```
//! ⏹ is `00 01`, and a zero byte within a name is `00 FF`, so that names of any bytes keep their
//! order. A tombstone comes before all that it may hide, so one pass forward sees it in time.

const ERASED: u8 = 0;
const LIVE: u8 = 1;

/// What one stored key is about. The ends are positions in the key, right behind each ⏹.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Where the row ends.
    pub(super) row_end: usize,
    /// Where the family ends.
    pub(super) family_end: usize,
    /// Where the column ends; the family's end for its tombstone.
    pub(super) column_end: usize,
    /// What it says.
    pub(super) kind: Kind,
}

/// What a stored entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// All of the family up to the time in the value is deleted.
    FamilyErased,
    /// All of the column up to the time in the value is deleted.
    ColumnErased,
    /// A put at this time in milliseconds.
    Put(i64),
}

/// Appends `bytes` so that they keep their order and hold no ⏹.
pub(super) fn escape(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut rest = bytes;
    while let Some(zero) = rest.iter().position(|&b| b == 0) {
        out.extend_from_slice(&rest[..=zero]);
        out.push(0xFF);
        rest = &rest[zero + 1..];
    }
    out.extend_from_slice(rest);
}

/// The name that [`escape`] wrote, with its ⏹ at the end.
pub(super) fn unescape(escaped: &[u8]) -> Vec<u8> {
    let body = &escaped[..escaped.len().saturating_sub(2)];
    let mut name = Vec::with_capacity(body.len());
    let mut bytes = body.iter();
    while let Some(&byte) = bytes.next() {
        name.push(byte);
        if byte == 0 {
            bytes.next(); // its FF
        }
    }
    name
}

/// What all keys of a row begin with; also the least of them.
pub(super) fn row(row: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(row.len() + 64);
    escape(&mut key, row);
    key.extend_from_slice(&[0, 1]);
    key
}

/// The least key behind all keys of a row.
pub(super) fn behind_row(name: &[u8]) -> Vec<u8> {
    behind(&row(name))
}

/// The least key behind all that begin with `prefix`, which ends with a ⏹.
pub(super) fn behind(prefix: &[u8]) -> Vec<u8> {
    let mut key = prefix.to_vec();
    key.pop();
    key.push(2);
    key
}

/// The keys of all rows that begin with `prefix`: from, and the first one behind if there is one.
pub(super) fn rows_with_prefix(prefix: &[u8]) -> (Vec<u8>, Option<Vec<u8>>) {
    let mut from = Vec::with_capacity(prefix.len());
    escape(&mut from, prefix);
    let mut behind = from.clone();
    while let Some(last) = behind.pop() {
        if last < 0xFF {
            behind.push(last + 1);
            return (from, Some(behind));
        }
    }
    (from, None)
}

/// What all keys of a family in a row begin with.
pub(super) fn family(row_key: &[u8], family: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(row_key.len() + family.len() + 48);
    key.extend_from_slice(row_key);
    escape(&mut key, family);
    key.extend_from_slice(&[0, 1]);
    key
}

/// The key of a family's tombstone.
pub(super) fn family_erased(family_key: &[u8]) -> Vec<u8> {
    [family_key, &[ERASED]].concat()
}

/// What all keys of a column in a row begin with.
pub(super) fn column(family_key: &[u8], qualifier: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(family_key.len() + qualifier.len() + 16);
    key.extend_from_slice(family_key);
    key.push(LIVE);
    escape(&mut key, qualifier);
    key.extend_from_slice(&[0, 1]);
    key
}

/// The key of a column's tombstone.
pub(super) fn column_erased(column_key: &[u8]) -> Vec<u8> {
    [column_key, &[ERASED]].concat()
}

/// The key of a put at `time_ms`, which is not negative.
pub(super) fn put(column_key: &[u8], time_ms: i64) -> Vec<u8> {
    let mut key = Vec::with_capacity(column_key.len() + 9);
    key.extend_from_slice(column_key);
    key.push(LIVE);
    key.extend_from_slice(&(!time_ms.cast_unsigned()).to_be_bytes());
    key
}

/// A tombstone's value.
pub(super) fn time_value(time_ms: i64) -> [u8; 8] {
    time_ms.to_be_bytes()
}

/// The time in a tombstone's value; `None` if it is not one.
pub(super) fn time_of(value: &[u8]) -> Option<i64> {
    value.try_into().ok().map(i64::from_be_bytes)
}

/// Reads a stored key; `None` if it is not one of ours.
pub(super) fn parse(key: &[u8]) -> Option<Entry> {
    let row_end = name_end(key, 0)?;
    let family_end = name_end(key, row_end)?;
    if *key.get(family_end)? == ERASED {
        return Some(Entry {
            row_end,
            family_end,
            column_end: family_end,
            kind: Kind::FamilyErased,
        });
    }
    let column_end = name_end(key, family_end + 1)?;
    let kind = match (*key.get(column_end)?, key.get(column_end + 1..)?) {
        (ERASED, []) => Kind::ColumnErased,
        (LIVE, time) => Kind::Put((!u64::from_be_bytes(time.try_into().ok()?)).cast_signed()),
        _ => return None,
    };
    Some(Entry {
        row_end,
        family_end,
        column_end,
        kind,
    })
}

fn name_end(key: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += key.get(at..)?.iter().position(|&b| b == 0)?;
        match key.get(at + 1)? {
            1 => return Some(at + 2),
            _ => at += 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&[u8]; 9] = [
        b"",
        b"\0",
        b"\0\0",
        b"\0\x01",
        b"a",
        b"a\0",
        b"a\0\xFF",
        b"a\x01",
        b"\xFF\xFF",
    ];

    #[test]
    fn keys_sort_as_their_names_do_and_read_back() {
        let mut names = NAMES;
        names.sort_unstable();
        let mut keys = Vec::new();
        for r in names {
            for q in names {
                let column = column(&family(&row(r), b"f"), q);
                keys.push(column_erased(&column));
                keys.extend([i64::MAX - 1, 7, 0].map(|time| put(&column, time)));
                let key = put(&column, 7);
                let entry = parse(&key).unwrap();
                assert_eq!(entry.kind, Kind::Put(7));
                assert_eq!(unescape(&key[..entry.row_end]), r);
                assert_eq!(unescape(&key[entry.row_end..entry.family_end]), b"f");
                assert_eq!(unescape(&key[entry.family_end + 1..entry.column_end]), q);
            }
        }
        assert!(keys.is_sorted());
    }

    #[test]
    fn a_familys_tombstone_comes_before_its_columns() {
        let family = family(&row(b"r"), b"f");
        assert!(family_erased(&family) < column_erased(&column(&family, b"")));
        assert_eq!(
            parse(&family_erased(&family)).unwrap().kind,
            Kind::FamilyErased
        );
    }

    #[test]
    fn a_prefix_covers_its_rows_and_no_other() {
        for prefix in NAMES {
            let (from, behind) = rows_with_prefix(prefix);
            for name in NAMES {
                let key = row(name);
                let inside = key >= from && behind.as_ref().is_none_or(|behind| key < *behind);
                assert_eq!(inside, name.starts_with(prefix), "{name:?} {prefix:?}");
            }
        }
    }

    #[test]
    fn foreign_keys_are_not_read() {
        for key in [
            &b""[..],
            b"abc",
            b"a\0\x01",
            b"a\0\x01f\0\x01",
            b"a\0\x01f\0\x01\x01q\0\x01\x01short",
        ] {
            assert_eq!(parse(key), None);
        }
    }
}
