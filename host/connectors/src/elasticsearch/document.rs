//! Rows as the actions and documents of a bulk request. Pure.

use super::mapping::{Shape, TimeForm};
use hashbrown::HashTable;
use std::io::Write;
use streamhost_core::contract::render::{self, Cell, RowRef};
use streamhost_core::job::ColumnSpec;
use streamhost_core::limits;
use streamhost_core::types::Kind;
use xxhash_rust::xxh3::Xxh3Default;

/// No row.
const NONE: u32 = u32::MAX;

/// The rows of a batch by the documents that they write: of those of one key the last one counts, as a
/// row is a whole document.
pub(super) struct Documents<'a> {
    rows: Vec<RowRef<'a>>,
    /// Of each row the one before it that writes the same document.
    before: Vec<u32>,
    /// Of each document the row that writes it, in the order in which the documents come first.
    last: Vec<u32>,
}

impl<'a> Documents<'a> {
    /// Gathers rows in their order. `keyed`: those of one key are one document.
    pub(super) fn of(rows: impl Iterator<Item = RowRef<'a>>, keyed: bool) -> Self {
        let rows: Vec<RowRef<'a>> = rows.collect();
        let (mut before, mut last) = (vec![NONE; rows.len()], Vec::new());
        let mut by_key: HashTable<(u64, usize)> = HashTable::new();
        for (at, row) in (0..).zip(&rows) {
            if !keyed {
                last.push(at);
                continue;
            }
            let hash = hash(row);
            let is_same =
                |&(_, document): &(u64, usize)| rows[last[document] as usize].keys().eq(row.keys());
            match by_key.find(hash, is_same) {
                Some(&(_, document)) => {
                    before[at as usize] = last[document];
                    last[document] = at;
                }
                None => {
                    by_key.insert_unique(hash, (hash, last.len()), |&(hash, _)| hash);
                    last.push(at);
                }
            }
        }
        Documents { rows, before, last }
    }

    /// The rows that are written.
    pub(super) fn written(&self) -> Vec<usize> {
        self.last.iter().map(|&at| at as usize).collect()
    }

    /// The row that is written where this one is left out.
    pub(super) fn before(&self, at: usize) -> Option<usize> {
        let before = self.before[at];
        (before != NONE).then_some(before as usize)
    }

    pub(super) fn row(&self, at: usize) -> &RowRef<'a> {
        &self.rows[at]
    }

    /// Some row is deleted.
    pub(super) fn deletes(&self) -> bool {
        self.rows.iter().any(RowRef::is_deleted)
    }
}

fn hash(row: &RowRef<'_>) -> u64 {
    let mut hasher = Xxh3Default::new();
    for key in row.keys() {
        hasher.update(&key.len().to_le_bytes());
        hasher.update(key);
    }
    hasher.digest()
}

/// What the actions of one batch have in common.
#[derive(Debug)]
pub(super) struct Stamp {
    /// Deletes have this version, documents the next one.
    pub(super) time_ms: i64,
    /// What the ids of rows without a key begin with.
    pub(super) prefix: String,
}

/// Appends the action of a row and its document. `Err`: why it can be none.
pub(super) fn action(
    row: &RowRef<'_>,
    at: usize,
    shape: &Shape,
    stamp: &Stamp,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    if shape.keys.is_empty() {
        // Creating what is there is a conflict, and no second document.
        append(
            out,
            format_args!("{{\"create\":{{\"_id\":\"{}-{at}\"}}}}\n", stamp.prefix),
        );
        document(row, shape, out);
        return Ok(());
    }
    let id = id(&shape.keys, row)?;
    let (verb, version) = match row.is_deleted() {
        true => ("delete", stamp.time_ms),
        false => ("index", stamp.time_ms + 1),
    };
    append(out, format_args!("{{\"{verb}\":{{\"_id\":"));
    render::json(Kind::Text, &id, out);
    append(
        out,
        format_args!(",\"version\":{version},\"version_type\":\"external_gte\"}}}}\n"),
    );
    if !row.is_deleted() {
        document(row, shape, out);
    }
    Ok(())
}

fn append(out: &mut Vec<u8>, what: std::fmt::Arguments<'_>) {
    out.write_fmt(what).expect("a Vec takes all of it");
}

/// A row's key as text: one as it is, several as a JSON array.
fn id(keys: &[ColumnSpec], row: &RowRef<'_>) -> Result<Vec<u8>, String> {
    let mut id = Vec::new();
    match keys {
        [one] if one.kind == Kind::Bytes => {
            render::json(one.kind, row.key(), &mut id);
            id = id[1..id.len() - 1].to_vec(); // base64 without its quotes
        }
        keys => render::key(keys, row, &mut id),
    }
    let most = limits::ELASTICSEARCH_ID_BYTES_MAX;
    match id.len() {
        0 => Err("the row's key is empty".to_owned()),
        bytes if bytes > most => Err(format!(
            "the row's key is an `_id` of {bytes} bytes, over {most}"
        )),
        _ => Ok(id),
    }
}

/// One line: key fields, then cells; one that is not there is left out.
fn document(row: &RowRef<'_>, shape: &Shape, out: &mut Vec<u8>) {
    let keys = shape.keys.iter().zip(row.keys());
    let keys = keys.map(|(key, bytes)| Cell::Value(key.kind, bytes));
    let mut next = b'{';
    for (field, cell) in shape.fields.iter().zip(keys.chain(row.cells())) {
        let Cell::Value(kind, bytes) = cell else {
            continue;
        };
        out.push(std::mem::replace(&mut next, b','));
        out.extend_from_slice(&field.name);
        match (kind, field.time) {
            (Kind::Time, TimeForm::Text) => render::iso_time(bytes, out),
            (Kind::Json, _) => render::one_line(bytes, out),
            _ => render::json(kind, bytes, out),
        }
    }
    out.extend_from_slice(if next == b'{' { b"{}\n" } else { b"}\n" });
}

#[cfg(test)]
mod tests {
    use super::super::mapping::Field;
    use super::*;
    use streamhost_core::contract::render::RowsView;
    use streamhost_core::types::Rows;

    fn column(name: &str, kind: Kind) -> ColumnSpec {
        ColumnSpec {
            name: name.to_owned(),
            kind,
            optional: true,
        }
    }

    fn shape(keys: &[(&str, Kind)], columns: &[ColumnSpec], time: TimeForm) -> Shape {
        let keys: Vec<_> = keys
            .iter()
            .map(|(name, kind)| column(name, *kind))
            .collect();
        let field = |column: &ColumnSpec| Field::new(&column.name, time);
        Shape {
            fields: keys.iter().chain(columns).map(field).collect(),
            keys,
        }
    }

    /// The keys of a row, and its cells.
    type RowOf<'a> = (&'a [&'a [u8]], &'a [Option<&'a [u8]>]);

    /// Rows of keys and cells; `None` is not there. Without cells the row is deleted.
    fn rows(all: &[RowOf<'_>], width: usize) -> Rows {
        let mut rows = Rows::default();
        for (n, (keys, cells)) in (0..).zip(all) {
            rows.positions.push(n);
            keys.iter().for_each(|key| rows.cells.push(key));
            if cells.is_empty() {
                rows.deleted_rows.push(n);
            }
            for at in 0..width {
                let cell = cells.get(at).copied().flatten();
                if cell.is_none() {
                    rows.absent.push(rows.cells.len() as u32);
                }
                rows.cells.push(cell.unwrap_or(b""));
            }
        }
        rows
    }

    fn lines(rows: &Rows, columns: &[ColumnSpec], shape: &Shape) -> String {
        let stamp = Stamp {
            time_ms: 1000,
            prefix: "p".to_owned(),
        };
        let mut out = Vec::new();
        for (at, row) in RowsView::new(rows, columns).enumerate() {
            if let Err(reason) = action(&row, at, shape, &stamp, &mut out) {
                out.extend_from_slice(format!("{reason}\n").as_bytes());
            }
        }
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn rows_are_actions_with_the_batch_s_versions() {
        let columns = [column("a", Kind::Text), column("n", Kind::Uint)];
        let shape = shape(&[("id", Kind::Text)], &columns, TimeForm::Text);
        let most = u64::MAX.to_le_bytes();
        let long = "x".repeat(513);
        let rows = rows(
            &[
                (&["k\"1".as_bytes()], &[Some(b"t\n"), Some(&most)]),
                (&[b"k2"], &[None, None]),
                (&[b"k3"], &[]),
                (&[b""], &[Some(b"x")]),
                (&[long.as_bytes()], &[Some(b"x")]),
            ],
            2,
        );
        let want = "{\"index\":{\"_id\":\"k\\\"1\",\"version\":1001,\"version_type\":\"external_gte\"}}\n\
            {\"id\":\"k\\\"1\",\"a\":\"t\\n\",\"n\":18446744073709551615}\n\
            {\"index\":{\"_id\":\"k2\",\"version\":1001,\"version_type\":\"external_gte\"}}\n\
            {\"id\":\"k2\"}\n\
            {\"delete\":{\"_id\":\"k3\",\"version\":1000,\"version_type\":\"external_gte\"}}\n\
            the row's key is empty\n\
            the row's key is an `_id` of 513 bytes, over 512\n";
        assert_eq!(lines(&rows, &columns, &shape), want);
    }

    #[test]
    fn rows_without_a_key_are_created_under_their_place() {
        let columns = [column("a", Kind::Text)];
        let rows = rows(&[(&[b""], &[Some(b"x")]), (&[b""], &[None])], 1);
        let want =
            "{\"create\":{\"_id\":\"p-0\"}}\n{\"a\":\"x\"}\n{\"create\":{\"_id\":\"p-1\"}}\n{}\n";
        let shape = shape(&[], &columns, TimeForm::Text);
        assert_eq!(lines(&rows, &columns, &shape), want);
    }

    #[test]
    fn each_kind_has_its_json_and_its_id() {
        let time = |ms: i64| ms.to_le_bytes();
        let cases: [(Kind, &[u8], TimeForm, &str, &str); 12] = [
            (Kind::Text, "ä".as_bytes(), TimeForm::Text, "\"ä\"", "ä"),
            (Kind::Bytes, b"\xff\0", TimeForm::Text, "\"/wA=\"", "/wA="),
            (
                Kind::Int,
                &time(i64::MIN),
                TimeForm::Text,
                "-9223372036854775808",
                "-9223372036854775808",
            ),
            (Kind::Bool, &[1], TimeForm::Text, "true", "true"),
            (
                Kind::Time,
                &time(0),
                TimeForm::Text,
                "\"1970-01-01T00:00:00.000Z\"",
                "0",
            ),
            (
                Kind::Time,
                &time(-1),
                TimeForm::Text,
                "\"1969-12-31T23:59:59.999Z\"",
                "-1",
            ),
            (Kind::Time, &time(-1), TimeForm::Number, "-1", "-1"),
            (
                Kind::Time,
                &time(951_827_696_789),
                TimeForm::Text,
                "\"2000-02-29T12:34:56.789Z\"",
                "951827696789",
            ),
            (
                Kind::Time,
                &time(253_402_300_800_000),
                TimeForm::Text,
                "253402300800000",
                "253402300800000",
            ),
            (
                Kind::Time,
                &time(i64::MIN),
                TimeForm::Text,
                "-9223372036854775808",
                "-9223372036854775808",
            ),
            (
                Kind::Float,
                &f64::NAN.to_le_bytes(),
                TimeForm::Text,
                "\"NaN\"",
                "",
            ),
            (
                Kind::Json,
                b"{\"a\":\n[1]}",
                TimeForm::Text,
                "{\"a\": [1]}",
                "",
            ),
        ];
        for (kind, bytes, form, want, id) in cases {
            let columns = [column("c", kind)];
            let key = if id.is_empty() { Kind::Text } else { kind };
            let shape = shape(&[("k", key)], &columns, form);
            let key: &[u8] = if id.is_empty() { b"k" } else { bytes };
            let rows = rows(&[(&[key], &[Some(bytes)])], 1);
            let lines = lines(&rows, &columns, &shape);
            assert!(lines.ends_with(&format!("\"c\":{want}}}\n")), "{lines}");
            assert!(
                id.is_empty() || lines.contains(&format!("\"_id\":\"{id}\"")),
                "{lines}"
            );
        }
    }

    #[test]
    fn several_keys_are_one_id() {
        let columns = [column("a", Kind::Text)];
        let shape = shape(
            &[("id", Kind::Text), ("n", Kind::Uint)],
            &columns,
            TimeForm::Text,
        );
        let seven = 7u64.to_le_bytes();
        let rows = rows(&[(&[b"a\"b", &seven], &[Some(b"x")])], 1);
        let said = lines(&rows, &columns, &shape);
        assert!(said.contains(r#""_id":"[\"a\\\"b\",7]""#), "{said}");
        assert!(
            said.ends_with("{\"id\":\"a\\\"b\",\"n\":7,\"a\":\"x\"}\n"),
            "{said}"
        );
    }

    #[test]
    fn the_last_row_of_a_key_is_written_and_those_before_it_are_known() {
        let columns = [column("a", Kind::Text)];
        let rows = rows(
            &[
                (&[b"k1"], &[Some(b"1")]),
                (&[b"k2"], &[Some(b"2")]),
                (&[b"k1"], &[]),
                (&[b"k1"], &[Some(b"3")]),
            ],
            1,
        );
        let all = || RowsView::new(&rows, &columns);
        let documents = Documents::of(all(), true);
        assert_eq!(documents.written(), [3, 1]);
        let chain = [3, 2, 0, 1].map(|at| documents.before(at));
        assert_eq!(chain, [Some(2), Some(0), None, None]);
        assert!(documents.deletes());
        assert_eq!(Documents::of(all(), false).written(), [0, 1, 2, 3]);
    }
}
