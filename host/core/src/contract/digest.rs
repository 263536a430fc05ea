//! A digest of a batch's rows for one sink, by which a replay proves that it is the same batch. It
//! does not depend on how the records were cut into calls.

use crate::types::{Column, Rows};
use xxhash_rust::xxh3::Xxh3;

/// Digests rows in the order they are given.
#[derive(Default)]
pub struct RowDigest {
    data: Xxh3,
    lengths: Xxh3,
    deletes: Xxh3,
    extra: Xxh3,
    /// None where no row has headers: then it is the digest that older releases made.
    headers: Option<Xxh3>,
    rows: u64,
    buffer: Vec<u8>,
}

const ABSENT: u32 = u32::MAX;
const DELETED: u32 = u32::MAX - 1;

impl RowDigest {
    /// Adds the rows of one call. Each list has a hasher of its own: what one call's rows end with
    /// comes before what the next one's begin with, list by list.
    pub fn add(&mut self, rows: &Rows) {
        self.data.update(&rows.cells.data);
        self.lengths_of(rows);
        for &row in &rows.deleted_rows {
            self.deletes
                .update(&(self.rows + u64::from(row)).to_le_bytes());
        }
        for (i, &row) in rows.extra.rows.iter().enumerate() {
            self.extra
                .update(&(self.rows + u64::from(row)).to_le_bytes());
            self.extra.update(&[rows.extra.kinds[i] as u8]); // how it is rendered
            for item in [rows.extra.names.get(i), rows.extra.values.get(i)] {
                self.extra.update(&(item.len() as u64).to_le_bytes());
                self.extra.update(item);
            }
        }
        self.headers_of(rows);
        self.rows += rows.len() as u64;
    }

    fn headers_of(&mut self, rows: &Rows) {
        for (i, &row) in rows.headers.positions.iter().enumerate() {
            let header = rows.headers.get(i);
            let hasher = self.headers.get_or_insert_default();
            hasher.update(&(self.rows + u64::from(row)).to_le_bytes());
            hasher.update(&[u8::from(header.value.is_some())]);
            for item in [header.name.as_bytes(), header.value.unwrap_or_default()] {
                hasher.update(&(item.len() as u64).to_le_bytes());
                hasher.update(item);
            }
        }
    }

    /// Lengths, not ends: ends begin anew in each call. What is absent or deleted has a length of
    /// its own.
    fn lengths_of(&mut self, rows: &Rows) {
        let Column { ends, .. } = &rows.cells;
        self.buffer.clear();
        self.buffer.reserve(4 * ends.len());
        let mut before = 0;
        for &end in ends {
            self.buffer.extend_from_slice(&(end - before).to_le_bytes());
            before = end;
        }
        for (list, mark) in [(&rows.absent, ABSENT), (&rows.deleted, DELETED)] {
            for &item in list {
                let at = 4 * item as usize;
                self.buffer[at..at + 4].copy_from_slice(&mark.to_le_bytes());
            }
        }
        self.lengths.update(&self.buffer);
    }

    /// The digest in hex.
    pub fn finish(self) -> String {
        let mut all = Xxh3::new();
        let parts = [self.data, self.lengths, self.deletes, self.extra];
        for part in parts.into_iter().chain(self.headers) {
            all.update(&part.digest128().to_le_bytes());
        }
        all.update(&self.rows.to_le_bytes());
        format!("{:032x}", all.digest128())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{ExtraCells, Kind};

    fn rows(items: &[&[u8]], absent: &[u32]) -> Rows {
        let mut cells = Column::default();
        items.iter().for_each(|item| cells.push(item));
        Rows {
            positions: vec![0; items.len() / 2],
            cells,
            absent: absent.to_vec(),
            ..Rows::default()
        }
    }

    fn digest(all: &[Rows]) -> String {
        let mut digest = RowDigest::default();
        all.iter().for_each(|rows| digest.add(rows));
        digest.finish()
    }

    #[test]
    fn calls_do_not_matter_and_everything_else_does() {
        let whole = digest(&[rows(&[b"a", b"1", b"b", b""], &[3])]);
        assert_eq!(
            whole,
            digest(&[
                rows(&[b"a", b"1"], &[]),
                Rows::default(),
                rows(&[b"b", b""], &[1])
            ])
        );
        for other in [
            rows(&[b"a", b"1", b"b", b""], &[]),
            rows(&[b"a1", b"", b"b", b""], &[3]),
            rows(&[b"a", b"1", b"c", b""], &[3]),
            rows(&[b"a", b"1"], &[]),
        ] {
            assert_ne!(whole, digest(&[other]));
        }
    }

    /// Rows of a key alone, all with one cell in a column that only the data knows but those that
    /// are deleted.
    fn dynamic(deleted: &[bool], kind: Kind) -> Rows {
        let mut rows = Rows::default();
        for (row, &deleted) in (0..).zip(deleted) {
            rows.positions.push(row);
            rows.cells.push(b"k");
            if deleted {
                rows.deleted_rows.push(row);
                continue;
            }
            let ExtraCells {
                rows,
                names,
                values,
                kinds,
            } = &mut rows.extra;
            rows.push(row);
            names.push(b"f:x");
            values.push(b"12345678");
            kinds.push(kind);
        }
        rows
    }

    #[test]
    fn deletes_and_dynamic_cells_do_not_depend_on_calls_either() {
        let all = [false, true, false, true, true, false];
        let whole = digest(&[dynamic(&all, Kind::Int)]);
        for truncate in 0..=all.len() {
            let (first, second) = all.split_at(truncate);
            assert_eq!(
                whole,
                digest(&[dynamic(first, Kind::Int), dynamic(second, Kind::Int)]),
                "cut at {truncate}"
            );
        }
        assert_ne!(
            whole,
            digest(&[dynamic(&all, Kind::Time)]),
            "it would be rendered otherwise"
        );
        assert_ne!(
            whole,
            digest(&[dynamic(&[false, true, false, true, false, true], Kind::Int)])
        );
    }
}
