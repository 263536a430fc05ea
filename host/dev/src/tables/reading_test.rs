//! What readers see while others write, and how far they walk for it.

use super::Tables;
use super::change::When;
use super::rows::{Cell, Question, Row, Selection};
use super::scan::Scan;
use super::schema::{Column, plain};
use super::stamps::LATEST_MS;
use fjall::Database;
use hbase_thrift::hbase::{ColumnDescriptor, Mutation};
use std::sync::Arc;
use streamhost_core::clock::now_ms;
use tempfile::TempDir;

/// Each in three ways, while as many calls write as fit.
const READS: usize = 300;

fn open(versions: i32) -> (TempDir, Arc<Tables>) {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::builder(folder.path()).open().unwrap();
    let tables = Tables::open(&database).unwrap();
    tables
        .create(
            b"t",
            &[ColumnDescriptor {
                max_versions: Some(versions),
                ..plain("f")
            }],
        )
        .unwrap();
    (folder, tables)
}

fn mutation(is_delete: bool, column: &str, value: &str) -> Mutation {
    Mutation::new(
        is_delete,
        column.as_bytes().to_vec(),
        value.as_bytes().to_vec(),
        true,
    )
}

fn question(versions: usize, before_ms: i64) -> Question {
    Question {
        selection: Selection::default(),
        before_ms,
        versions,
        now_ms: now_ms(),
    }
}

fn values(row: &Row) -> Vec<&[u8]> {
    row.cells.iter().map(|cell| &*cell.value).collect()
}

/// The row by itself, and by a scan in either direction.
fn read_in_all_ways(tables: &Tables, row: &[u8]) -> [Option<Row>; 3] {
    let scanned = |reversed| {
        let scan = Scan {
            start: row.to_vec(),
            before_ms: LATEST_MS,
            reversed,
            ..Scan::default()
        };
        let id = tables.open_scanner(b"t", scan).unwrap();
        let row = tables.scan_on(id, 1).unwrap().0.pop();
        tables.close_scanner(id).unwrap();
        row
    };
    let table = tables.table(b"t").unwrap();
    [
        table.read_row(row, &question(1, LATEST_MS)).unwrap(),
        scanned(false),
        scanned(true),
    ]
}

#[test]
fn a_row_is_read_as_it_is_at_one_moment() {
    let (_folder, tables) = open(3);
    let write = |turn: usize| {
        // A client's batch: what was there is deleted, and all of it is put anew.
        let value = ["1", "2"][turn % 2];
        let batch = vec![
            mutation(true, "f:x", ""),
            mutation(false, "f:x", value),
            mutation(false, "f:y", value),
        ];
        tables
            .mutate_row(b"t", b"r", batch, When::OnArrival)
            .unwrap();
    };
    write(0);
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            for _ in 0..READS {
                for row in read_in_all_ways(&tables, b"r") {
                    let row = row.expect("the row is always there");
                    assert!(
                        matches!(values(&row)[..], [x, y] if x == y),
                        "half of a call is seen: {row:?}"
                    );
                }
            }
        });
        let mut turn = 0;
        while !reading.is_finished() {
            turn += 1;
            write(turn);
        }
    });
}

#[test]
fn long_columns_are_passed_over_and_hide_nothing_behind_them() {
    let (_folder, tables) = open(2);
    // Written oldest last, so that no old version is removed by the newer ones' puts before it is
    // there.
    for time_ms in (1..=100).rev() {
        for column in ["f:a", "f:b", "f:c"] {
            let put = vec![mutation(false, column, &time_ms.to_string())];
            tables
                .mutate_row(b"t", b"r", put, When::At(time_ms))
                .unwrap();
        }
    }
    tables
        .mutate_row(b"t", b"s", vec![mutation(false, "f:a", "s")], When::At(1))
        .unwrap();
    tables
        .delete_cells(b"t", b"r", Some(b"f:b"), When::At(99))
        .unwrap();
    for row in &read_in_all_ways(&tables, b"r") {
        assert_eq!(values(row.as_ref().unwrap()), [b"100"; 3]);
    }
    let table = tables.table(b"t").unwrap();
    let read = |column: &str, versions, before_ms| -> Vec<i64> {
        let column = Column::new(column.as_bytes());
        let cells = table
            .read_cells(b"r", column, &question(versions, before_ms))
            .unwrap();
        cells.iter().map(|cell: &Cell| cell.time_ms).collect()
    };
    assert_eq!(read("f:a", 9, LATEST_MS), [100, 99]);
    assert_eq!(read("f:b", 9, LATEST_MS), [100]);
    assert_eq!(read("f:c", 1, 100), [99]);
    assert_eq!(read("f:c", 1, 50), [0_i64; 0], "beyond what is kept");
    assert_eq!(read("f", 1, LATEST_MS), [100; 3]);
    let only_c = Question {
        selection: Selection(vec![(b"f".to_vec(), Some(b"c".to_vec()))]),
        ..question(1, LATEST_MS)
    };
    assert_eq!(
        values(&table.read_row(b"r", &only_c).unwrap().unwrap()),
        [b"100"]
    );
    let id = tables
        .open_scanner(
            b"t",
            Scan {
                before_ms: LATEST_MS,
                ..Scan::default()
            },
        )
        .unwrap();
    assert_eq!(
        tables.scan_on(id, 9).unwrap().0.len(),
        2,
        "the row behind is found"
    );
}
