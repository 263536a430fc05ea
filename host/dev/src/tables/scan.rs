//! Scanners: open, a bounded number of them, and each a place in a table.

use super::fault::Fault;
use super::filter::Filters;
use super::rows::{Question, Row, Selection};
use super::table::{Stretch, Table};
use super::write::row_key;
use super::{Tables, key};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use streamhost_core::clock::{monotonic, now_ms};
use streamhost_core::limits::{TABLES_SCAN_BYTES, TABLES_SCANNER_IDLE_TIME, TABLES_SCANNERS_MAX};

/// What a client asks to scan.
#[derive(Clone, Debug, Default)]
pub(super) struct Scan {
    /// The first row, itself included; empty: from the end where the scan begins.
    pub(super) start: Vec<u8>,
    /// Where the scan ends, itself excluded; empty: at the other end. The same as `start`: that row
    /// alone.
    pub(super) stop: Vec<u8>,
    pub(super) selection: Selection,
    /// Only cells before this time in milliseconds.
    pub(super) before_ms: i64,
    pub(super) reversed: bool,
    /// Cells of one answered row; rows with more come in parts.
    pub(super) cells_max: Option<usize>,
    /// Whether a row's columns are answered as a list.
    pub(super) sorted: bool,
    pub(super) filters: Filters,
}

/// An open scan.
pub(super) struct Scanner {
    table: Arc<Table>,
    scan: Scan,
    at: Stretch,
    /// Rows that a page filter still lets through.
    rows_left: usize,
    /// Parts of a row that was too wide for one answer.
    parts: VecDeque<Row>,
}

/// All open scanners by id.
#[derive(Default)]
pub(super) struct Scanners(Mutex<Open>);

#[derive(Default)]
struct Open {
    last_id: i32,
    scanners: HashMap<i32, (Instant, Arc<Mutex<Scanner>>)>,
}

impl Tables {
    /// Opens a scanner and gives its id.
    pub(super) fn open_scanner(&self, table: &[u8], scan: Scan) -> Result<i32, Fault> {
        let table = self.table(table)?;
        for (family, _) in &scan.selection.0 {
            table.family(family)?;
        }
        for place in scan
            .filters
            .row_prefixes
            .iter()
            .chain([&scan.start, &scan.stop])
        {
            if !place.is_empty() {
                row_key(place)?;
            }
        }
        let at = stretch(&scan);
        let rows_left = scan.filters.rows_max.unwrap_or(usize::MAX);
        self.scanners.open(Scanner {
            table,
            scan,
            at,
            rows_left,
            parts: VecDeque::new(),
        })
    }

    /// The next rows of a scanner, at most `rows_max`, and whether their columns go out sorted.
    /// None left: an empty answer.
    pub(super) fn scan_on(&self, id: i32, rows_max: usize) -> Result<(Vec<Row>, bool), Fault> {
        let scanner = self.scanners.get(id)?;
        // A scanner whose reader panicked is as good as closed, but harmless: its place is only
        // moved after a read.
        let mut scanner = scanner.lock().unwrap_or_else(PoisonError::into_inner);
        let rows = scanner.read(rows_max)?;
        Ok((rows, scanner.scan.sorted))
    }

    /// Closes a scanner.
    pub(super) fn close_scanner(&self, id: i32) -> Result<(), Fault> {
        self.scanners.close(id)
    }
}

impl Scanners {
    fn open(&self, scanner: Scanner) -> Result<i32, Fault> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = monotonic();
        open.scanners
            .retain(|_, (used, _)| now.duration_since(*used) < TABLES_SCANNER_IDLE_TIME);
        if open.scanners.len() >= TABLES_SCANNERS_MAX {
            return Err(Fault::Refused(format!(
                "{TABLES_SCANNERS_MAX} scanners are open; close those that are done"
            )));
        }
        loop {
            open.last_id = open.last_id.checked_add(1).unwrap_or(1);
            if !open.scanners.contains_key(&open.last_id) {
                break;
            }
        }
        let id = open.last_id;
        open.scanners
            .insert(id, (now, Arc::new(Mutex::new(scanner))));
        Ok(id)
    }

    fn get(&self, id: i32) -> Result<Arc<Mutex<Scanner>>, Fault> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (used, scanner) = open.scanners.get_mut(&id).ok_or(Fault::NoScanner)?;
        *used = monotonic();
        Ok(Arc::clone(scanner))
    }

    fn close(&self, id: i32) -> Result<(), Fault> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.scanners
            .remove(&id)
            .map(|_| ())
            .ok_or(Fault::NoScanner)
    }
}

impl Scanner {
    fn read(&mut self, rows_max: usize) -> Result<Vec<Row>, Fault> {
        self.table.must_be_enabled()?;
        let question = Question {
            selection: self.scan.selection.clone(),
            before_ms: self.scan.before_ms,
            versions: 1,
            now_ms: now_ms(),
        };
        let mut rows = Vec::new();
        let mut bytes = 0;
        while rows.len() < rows_max && bytes < TABLES_SCAN_BYTES {
            if let Some(part) = self.parts.pop_front() {
                bytes += part.bytes();
                rows.push(part);
                continue;
            }
            let wanted = (rows_max - rows.len()).min(self.rows_left);
            let found = if self.scan.reversed {
                self.table.read_down(&mut self.at, &question, wanted)?
            } else {
                self.table.read_up(&mut self.at, &question, wanted)?
            };
            if found.is_empty() {
                break;
            }
            for row in found
                .into_iter()
                .filter_map(|row| self.scan.filters.apply(row))
            {
                self.rows_left -= 1;
                self.parts.extend(split(row, self.scan.cells_max));
            }
        }
        Ok(rows)
    }
}

/// A row in parts of at most `cells_max` cells.
fn split(row: Row, cells_max: Option<usize>) -> Vec<Row> {
    match cells_max {
        Some(cells_max) if row.cells.len() > cells_max => row
            .cells
            .chunks(cells_max)
            .map(|cells| Row {
                key: row.key.clone(),
                cells: cells.to_vec(),
            })
            .collect(),
        _ => vec![row],
    }
}

/// The keys that a scan passes.
fn stretch(scan: &Scan) -> Stretch {
    let named = |name: &[u8]| (!name.is_empty()).then_some(name.to_vec());
    let (start, stop) = (named(&scan.start), named(&scan.stop));
    let (mut from, mut to) = match (start, stop) {
        (Some(start), Some(stop)) if start == stop => {
            (key::row(&start), Some(key::behind_row(&start)))
        }
        (start, stop) if scan.reversed => (
            stop.map_or_else(Vec::new, |stop| key::behind_row(&stop)),
            start.map(|start| key::behind_row(&start)),
        ),
        (start, stop) => (
            start.map_or_else(Vec::new, |start| key::row(&start)),
            stop.map(|stop| key::row(&stop)),
        ),
    };
    for prefix in &scan.filters.row_prefixes {
        let (least, behind) = key::rows_with_prefix(prefix);
        from = from.max(least);
        to = match (to, behind) {
            (Some(to), Some(behind)) => Some(to.min(behind)),
            (to, behind) => to.or(behind),
        };
    }
    Stretch { from, to }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(scan: &Scan, row: &str) -> bool {
        let stretch = stretch(scan);
        let key = key::row(row.as_bytes());
        key >= stretch.from && stretch.to.is_none_or(|to| key < to)
    }

    #[test]
    fn a_stretch_holds_the_rows_of_its_scan() {
        let rows = ["a", "b", "b\0", "bb", "c"];
        let check = |start: &str, stop: &str, reversed, prefix: &str, expected: &[&str]| {
            let mut filters = Filters::default();
            filters.row_prefixes.push(prefix.into());
            let scan = Scan {
                start: start.into(),
                stop: stop.into(),
                reversed,
                filters,
                ..Scan::default()
            };
            let passed: Vec<&str> = rows.into_iter().filter(|row| passes(&scan, row)).collect();
            assert_eq!(passed, expected, "{scan:?}");
        };
        check("", "", false, "", &rows);
        check("b", "", false, "", &["b", "b\0", "bb", "c"]);
        check("", "b", false, "", &["a"]);
        check("b", "c", false, "", &["b", "b\0", "bb"]);
        check("b", "b", false, "", &["b"]);
        check("c", "b", false, "", &[]);
        check("", "", false, "b", &["b", "b\0", "bb"]);
        check("bb", "", false, "b", &["bb"]);
        check("b", "", true, "", &["a", "b"]);
        check("bb", "a", true, "", &["b", "b\0", "bb"]);
        check("", "b", true, "", &["b\0", "bb", "c"]);
        check("", "", true, "b", &["b", "b\0", "bb"]);
    }

    #[test]
    fn unused_scanners_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let database = fjall::Database::builder(folder.path()).open().unwrap();
        let tables = Tables::open(&database).unwrap();
        let family = hbase_thrift::hbase::ColumnDescriptor::new(
            b"f".to_vec(),
            1,
            None,
            None,
            None,
            None,
            None,
            None,
            i32::MAX,
        );
        tables.create(b"t", &[family]).unwrap();
        let ids: Vec<i32> = (0..TABLES_SCANNERS_MAX)
            .map(|_| tables.open_scanner(b"t", Scan::default()).unwrap())
            .collect();
        assert!(matches!(
            tables.open_scanner(b"t", Scan::default()),
            Err(Fault::Refused(_))
        ));
        tables.close_scanner(ids[7]).unwrap();
        assert_eq!(tables.close_scanner(ids[7]), Err(Fault::NoScanner));
        tables.open_scanner(b"t", Scan::default()).unwrap();
    }
}
