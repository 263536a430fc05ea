//! The store against a model that a child could read: every cell ever put, every tombstone, and
//! nothing forgotten.

use super::Tables;
use super::change::When;
use super::rows::{Cell, Question, Selection};
use super::scan::Scan;
use super::schema::Column;
use super::stamps::LATEST_MS;
use fjall::Database;
use hbase_thrift::hbase::{BatchMutation, ColumnDescriptor, Mutation};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use streamhost_core::clock::now_ms;

const VERSIONS: usize = 2;
const COLUMNS: [&str; 3] = ["f:x", "f:y", "g:x"];

/// One change at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Put(&'static str),
    Delete(&'static str),
    DeleteRow,
}

#[derive(Clone, Debug, Default)]
struct Model {
    puts: BTreeMap<(&'static str, i64), String>,
    deletes: Vec<(Step, i64)>,
}

impl Model {
    fn apply(&mut self, step: Step, time_ms: i64, value: &str) {
        match step {
            Step::Put(column) => drop(self.puts.insert((column, time_ms), value.to_owned())),
            delete => self.deletes.push((delete, time_ms)),
        }
    }

    fn is_hidden(&self, column: &str, time_ms: i64) -> bool {
        self.deletes.iter().any(|&(delete, until_ms)| {
            time_ms <= until_ms
                && match delete {
                    Step::Delete(name) => name == column || column.split(':').next() == Some(name),
                    _ => true,
                }
        })
    }

    /// All versions of a column, newest first.
    fn versions(&self, column: &'static str) -> Vec<(i64, String)> {
        let puts = self.puts.range((column, 0)..=(column, i64::MAX)).rev();
        let live = puts.filter(|((_, time_ms), _)| !self.is_hidden(column, *time_ms));
        live.take(VERSIONS)
            .map(|((_, time_ms), value)| (*time_ms, value.clone()))
            .collect()
    }
}

fn family(name: &str, versions: usize, ttl_seconds: i32) -> ColumnDescriptor {
    let versions = i32::try_from(versions).unwrap();
    ColumnDescriptor::new(
        name.as_bytes().to_vec(),
        versions,
        None,
        None,
        None,
        None,
        None,
        None,
        ttl_seconds,
    )
}

fn open(folder: &Path) -> (Database, Arc<Tables>) {
    let database = Database::builder(folder).open().unwrap();
    let tables = Tables::open(&database).unwrap();
    if tables.any_table(b"t").is_err() {
        tables
            .create(
                b"t",
                &[
                    family("f", VERSIONS, i32::MAX),
                    family("g:", VERSIONS, i32::MAX),
                ],
            )
            .unwrap();
    }
    (database, tables)
}

fn question(versions: usize, before_ms: i64) -> Question {
    Question {
        selection: Selection::default(),
        before_ms,
        versions,
        now_ms: now_ms(),
    }
}

fn texts(cells: &[Cell]) -> Vec<(i64, String)> {
    cells
        .iter()
        .map(|cell| {
            (
                cell.time_ms,
                String::from_utf8(cell.value.to_vec()).unwrap(),
            )
        })
        .collect()
}

fn mutation(step: Step, value: &str) -> Mutation {
    let (is_delete, column) = match step {
        Step::Put(column) => (false, column),
        Step::Delete(column) => (true, column),
        Step::DeleteRow => unreachable!("has a call of its own"),
    };
    Mutation::new(
        is_delete,
        column.as_bytes().to_vec(),
        value.as_bytes().to_vec(),
        true,
    )
}

/// Applies the same step to many rows at once.
fn apply(tables: &Tables, rows: &[String], step: Step, time_ms: i64, value: &str) {
    if step == Step::DeleteRow {
        return rows.iter().for_each(|row| {
            tables
                .delete_cells(b"t", row.as_bytes(), None, When::At(time_ms))
                .unwrap()
        });
    }
    let batch = rows
        .iter()
        .map(|row| BatchMutation::new(row.as_bytes().to_vec(), vec![mutation(step, value)]))
        .collect();
    tables.mutate_rows(b"t", batch, When::At(time_ms)).unwrap();
}

fn assert_same(tables: &Tables, row: &str, model: &Model, what: &str) {
    let table = tables.table(b"t").unwrap();
    for column in COLUMNS {
        let cells = table
            .read_cells(
                row.as_bytes(),
                Column::new(column.as_bytes()),
                &question(9, LATEST_MS),
            )
            .unwrap();
        assert_eq!(texts(&cells), model.versions(column), "{column} {what}");
        for before_ms in 1..4 {
            let cells = table
                .read_cells(
                    row.as_bytes(),
                    Column::new(column.as_bytes()),
                    &question(1, before_ms),
                )
                .unwrap();
            let expected: Vec<_> = model
                .versions(column)
                .into_iter()
                .filter(|(time, _)| *time < before_ms)
                .take(1)
                .collect();
            assert_eq!(
                texts(&cells),
                expected,
                "{column} before {before_ms} {what}"
            );
        }
    }
    let expected: Vec<(i64, String)> = COLUMNS
        .into_iter()
        .filter_map(|column| model.versions(column).into_iter().next())
        .collect();
    let found = table
        .read_row(row.as_bytes(), &question(1, LATEST_MS))
        .unwrap()
        .map(|row| texts(&row.cells));
    assert_eq!(found.unwrap_or_default(), expected, "row {what}");
}

#[test]
fn puts_and_deletes_end_the_same_in_every_order() {
    let steps = [
        (Step::Put("f:x"), 1),
        (Step::Put("f:x"), 2),
        (Step::Put("f:x"), 3),
        (Step::Put("f:y"), 2),
        (Step::Delete("f:x"), 1),
        (Step::Delete("f:x"), 2),
        (Step::Delete("f"), 2),
        (Step::Delete("f"), 1),
    ];
    let length = 4;
    let orders: Vec<Vec<usize>> = (0..steps.len().pow(length))
        .map(|number| {
            (0..length)
                .map(|digit| number / steps.len().pow(digit) % steps.len())
                .collect()
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let (_database, tables) = open(folder.path());
    let name = |order: &[usize]| format!("{order:?}");
    for at in 0..length as usize {
        for (which, (step, time_ms)) in steps.into_iter().enumerate() {
            let rows: Vec<String> = orders
                .iter()
                .filter(|order| order[at] == which)
                .map(|order| name(order))
                .collect();
            apply(&tables, &rows, step, time_ms, &format!("{at}"));
        }
    }
    for order in &orders {
        let mut model = Model::default();
        for (at, &which) in order.iter().enumerate() {
            model.apply(steps[which].0, steps[which].1, &format!("{at}"));
        }
        assert_same(&tables, &name(order), &model, &format!("{order:?}"));
    }
}

/// Random numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[test]
fn random_histories_agree_with_the_model_also_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let (mut database, mut tables) = open(folder.path());
    let mut models: Vec<Model> = vec![Model::default(); 8];
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let rows: Vec<String> = (0..8).map(|row| format!("row\0{row}")).collect();
    for round in 0..400 {
        let step = match dice.below(20) {
            0 => Step::DeleteRow,
            1 => Step::Delete("f"),
            2 => Step::Delete("g"),
            3 | 4 => Step::Delete(COLUMNS[dice.below(3) as usize]),
            _ => Step::Put(COLUMNS[dice.below(3) as usize]),
        };
        // Times rise, but what comes late is older than what is there.
        let time_ms = (round / 4 + i64::try_from(dice.below(30)).unwrap() - 20).max(0);
        let chosen: Vec<usize> = (0..8).filter(|_| dice.below(2) == 0).collect();
        let names: Vec<String> = chosen.iter().map(|&row| rows[row].clone()).collect();
        let value = format!("{round}");
        apply(&tables, &names, step, time_ms, &value);
        chosen
            .iter()
            .for_each(|&row| models[row].apply(step, time_ms, &value));
        if round % 100 == 99 {
            drop(tables);
            drop(database);
            (database, tables) = open(folder.path());
        }
        if round % 10 == 9 {
            rows.iter().zip(&models).for_each(|(row, model)| {
                assert_same(&tables, row, model, &format!("{row:?} {round}"))
            });
        }
    }
    for reversed in [false, true] {
        let scan = Scan {
            before_ms: LATEST_MS,
            reversed,
            ..Scan::default()
        };
        let id = tables.open_scanner(b"t", scan).unwrap();
        let mut seen = Vec::new();
        loop {
            let (found, _) = tables.scan_on(id, 3).unwrap();
            if found.is_empty() {
                break;
            }
            seen.extend(found.into_iter().map(|row| (row.key, texts(&row.cells))));
        }
        let mut expected: Vec<_> = rows
            .iter()
            .zip(&models)
            .map(|(row, model)| {
                let cells = COLUMNS
                    .into_iter()
                    .filter_map(|column| model.versions(column).into_iter().next())
                    .collect();
                (row.clone().into_bytes(), cells)
            })
            .filter(|(_, cells): &(_, Vec<_>)| !cells.is_empty())
            .collect();
        if reversed {
            expected.reverse();
        }
        assert_eq!(seen, expected, "reversed {reversed}");
    }
}

#[test]
fn old_versions_and_deleted_cells_leave_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let (_database, tables) = open(folder.path());
    let stored = || tables.table(b"t").unwrap().cells.iter().count();
    for time_ms in 1..=500 {
        apply(&tables, &["r".to_owned()], Step::Put("f:x"), time_ms, "v");
    }
    assert!(stored() < 100, "{} of 500 versions are stored", stored());
    apply(&tables, &["r".to_owned()], Step::Delete("f:x"), 499, "");
    assert_eq!(stored(), 2, "the tombstone and the last put");
    apply(&tables, &["r".to_owned()], Step::DeleteRow, 500, "");
    assert_eq!(stored(), 2, "a tombstone for each family");
    // Puts and a delete in one call: the delete comes later, and hides puts that are stored with
    // it.
    for _ in 0..200 {
        let both = [
            mutation(Step::Put("f:y"), "v"),
            mutation(Step::Delete("f:y"), ""),
        ];
        let batch = vec![BatchMutation::new(b"both".to_vec(), both.to_vec())];
        tables.mutate_rows(b"t", batch, When::OnArrival).unwrap();
    }
    assert!(stored() < 10, "{} of 200 hidden puts are stored", stored());
    // What comes late, older than what was removed, is removed as well.
    for time_ms in (1000..1500).chain((501..1000).rev()) {
        apply(&tables, &["r".to_owned()], Step::Put("f:x"), time_ms, "v");
    }
    assert!(stored() < 100, "{} of 1000 versions are stored", stored());
}

#[test]
fn expired_cells_are_not_seen() {
    let folder = tempfile::tempdir().unwrap();
    let (_database, tables) = open(folder.path());
    tables.create(b"short", &[family("f", 1, 60)]).unwrap();
    let now = now_ms();
    for (row, time_ms) in [("old", now - 61_000), ("new", now - 1000)] {
        let put = mutation(Step::Put("f:x"), "v");
        tables
            .mutate_row(b"short", row.as_bytes(), vec![put], When::At(time_ms))
            .unwrap();
    }
    let table = tables.table(b"short").unwrap();
    assert_eq!(
        table.read_row(b"old", &question(1, LATEST_MS)).unwrap(),
        None
    );
    assert!(
        table
            .read_row(b"new", &question(1, LATEST_MS))
            .unwrap()
            .is_some()
    );
}

#[test]
fn a_call_is_made_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let (_database, tables) = open(folder.path());
    let rows = [("a", "f:x"), ("b", "nosuch:x")];
    let batch = rows.map(|(row, column)| {
        BatchMutation::new(
            row.as_bytes().to_vec(),
            vec![Mutation::new(
                false,
                column.as_bytes().to_vec(),
                b"v".to_vec(),
                true,
            )],
        )
    });
    let refused = tables
        .mutate_rows(b"t", batch.to_vec(), When::At(1))
        .unwrap_err();
    assert!(
        refused.to_string().contains("NoSuchColumnFamilyException"),
        "{refused}"
    );
    assert_eq!(tables.table(b"t").unwrap().cells.iter().count(), 0);
}

#[test]
fn tables_live_through_reopening_and_deleted_ones_do_not_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let (database, tables) = open(folder.path());
    apply(&tables, &["r".to_owned()], Step::Put("f:x"), 5, "kept");
    tables.create(b"gone", &[family("f", 1, i32::MAX)]).unwrap();
    let put = vec![mutation(Step::Put("f:x"), "v")];
    tables.mutate_row(b"gone", b"r", put, When::At(1)).unwrap();
    assert!(
        tables
            .delete(b"gone")
            .unwrap_err()
            .to_string()
            .contains("TableNotDisabledException")
    );
    tables.set_enabled(b"gone", false).unwrap();
    assert!(
        tables
            .table(b"gone")
            .is_err_and(|fault| fault.to_string().contains("TableNotEnabledException"))
    );
    tables.delete(b"gone").unwrap();
    let stray = database
        .keyspace("tables-cells-77", fjall::KeyspaceCreateOptions::default)
        .unwrap();
    stray.insert("half", "made").unwrap();
    let other = database
        .keyspace("someone-elses", fjall::KeyspaceCreateOptions::default)
        .unwrap();
    other.insert("k", "v").unwrap();
    drop((stray, other, tables, database));

    let (database, tables) = open(folder.path());
    assert_eq!(
        tables.names().into_keys().collect::<Vec<_>>(),
        [b"t".to_vec()]
    );
    assert!(
        !database.keyspace_exists("tables-cells-77") && database.keyspace_exists("someone-elses")
    );
    let mut model = Model::default();
    model.apply(Step::Put("f:x"), 5, "kept");
    assert_same(&tables, "r", &model, "after reopening");
    tables.create(b"gone", &[family("f", 1, i32::MAX)]).unwrap();
    assert_eq!(tables.table(b"gone").unwrap().cells.iter().count(), 0);
}
