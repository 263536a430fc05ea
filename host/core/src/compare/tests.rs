use super::*;
use crate::job::ColumnSpec;
use crate::types::{Column, DeadLetter, ExtraCells, Kind, Partition, Rows};

/// A cell of a test's row.
#[derive(Clone, Copy)]
enum Cell {
    Is(&'static str),
    Absent,
    Deleted,
}
use Cell::{Absent, Deleted, Is};

fn sink(keyed: bool, columns: &[&str]) -> SinkSpec {
    let column = |name: &&str| ColumnSpec {
        name: (*name).to_owned(),
        kind: Kind::Text,
        optional: true,
    };
    SinkSpec {
        connector: "hbase".to_owned(),
        instance: String::new(),
        name: "out".to_owned(),
        target: "out".to_owned(),
        keys: if keyed {
            vec![column(&"key")]
        } else {
            Vec::new()
        },
        headers: true,
        dynamic: true,
        columns: columns.iter().map(column).collect(),
        options: Default::default(),
    }
}

/// Rows, each with its key and its cells.
fn rows(all: &[(&str, &[Cell])]) -> Rows {
    let mut rows = Rows::default();
    for (position, (key, cells)) in (0..).zip(all) {
        rows.positions.push(position);
        rows.cells.push(key.as_bytes());
        for cell in *cells {
            let item = rows.cells.len() as u32;
            match cell {
                Is(value) => rows.cells.push(value.as_bytes()),
                Absent => {
                    rows.absent.push(item);
                    rows.cells.push(b"");
                }
                Deleted => {
                    rows.deleted.push(item);
                    rows.cells.push(b"");
                }
            }
        }
    }
    rows
}

fn differ(active: (&SinkSpec, Rows), shadow: (&SinkSpec, Rows)) -> SinkDifference {
    let (ours, theirs) = ([active.1], [shadow.1]);
    let side = |spec, rows| Some(row::SinkRows { spec, rows });
    SinkDifference::of(side(active.0, &ours), side(shadow.0, &theirs))
}

/// Alike, differing, reordered, of the active one alone, of the shadow alone.
fn counts(of: &SinkDifference) -> [u64; 5] {
    [
        of.alike,
        of.differing,
        of.reordered,
        of.only_active,
        of.only_shadow,
    ]
}

#[test]
fn rows_of_a_key_are_held_against_one_another() {
    let (a, b): (&[Cell], &[Cell]) = (&[Is("1"), Is("x")], &[Is("1"), Is("y")]);
    type Case<'a> = (
        &'a str,
        &'a [(&'a str, &'a [Cell])],
        &'a [(&'a str, &'a [Cell])],
        [u64; 5],
    );
    let cases: [Case<'_>; 8] = [
        (
            "alike",
            &[("k", a), ("l", b)],
            &[("k", a), ("l", b)],
            [2, 0, 0, 0, 0],
        ),
        (
            "keys have no order among them",
            &[("k", a), ("l", b)],
            &[("l", b), ("k", a)],
            [2, 0, 0, 0, 0],
        ),
        ("one column", &[("k", a)], &[("k", b)], [0, 1, 0, 0, 0]),
        (
            "one more, one less",
            &[("k", a)],
            &[("l", a)],
            [0, 0, 0, 1, 1],
        ),
        (
            "the first of three is not there",
            &[("k", a), ("k", b), ("k", a)],
            &[("k", b), ("k", a)],
            [2, 0, 0, 1, 0],
        ),
        (
            "another order of one key",
            &[("k", a), ("k", b)],
            &[("k", b), ("k", a)],
            [0, 0, 2, 0, 0],
        ),
        (
            "twice in place of once",
            &[("k", a)],
            &[("k", a), ("k", a)],
            [1, 0, 0, 0, 1],
        ),
        (
            "deleted is not absent",
            &[("k", &[Deleted, Is("x")])],
            &[("k", &[Absent, Is("x")])],
            [0, 1, 0, 0, 0],
        ),
    ];
    let spec = sink(true, &["f:a", "f:b"]);
    for (what, active, shadow, want) in cases {
        let found = differ((&spec, rows(active)), (&spec, rows(shadow)));
        assert_eq!(counts(&found), want, "{what}");
    }
}

#[test]
fn rows_without_a_key_go_together_by_what_is_in_them() {
    let spec = sink(false, &["a"]);
    let all = |values: &[&'static str]| {
        let cells: Vec<[Cell; 1]> = values.iter().map(|value| [Is(value)]).collect();
        let all: Vec<(&str, &[Cell])> = cells.iter().map(|cells| ("", &cells[..])).collect();
        rows(&all)
    };
    let found = differ(
        (&spec, all(&["1", "2", "3", "4"])),
        (&spec, all(&["1", "3", "4"])),
    );
    assert_eq!(
        counts(&found),
        [3, 0, 0, 1, 0],
        "one is missing, and shifts none"
    );
    assert_eq!(found.samples[0].columns[0].active.as_deref(), Some("2"));
    let found = differ(
        (&spec, all(&["1", "2", "3"])),
        (&spec, all(&["1", "9", "3"])),
    );
    assert_eq!(counts(&found), [2, 1, 0, 0, 0]);
}

#[test]
fn columns_are_told_by_name_wherever_they_stand() {
    let (one, other) = (
        sink(true, &["f:a", "f:b"]),
        sink(true, &["f:b", "f:c", "f:a"]),
    );
    let active = rows(&[("k", &[Is("1"), Is("2")]), ("l", &[Is("1"), Is("2")])]);
    let shadow = rows(&[
        ("k", &[Is("2"), Absent, Is("1")]),
        ("l", &[Is("3"), Is("new"), Is("1")]),
    ]);
    let found = differ((&one, active), (&other, shadow));
    assert_eq!(counts(&found), [1, 1, 0, 0, 0]);
    let columns: Vec<_> = found
        .columns
        .iter()
        .map(|(name, n)| (&**name, *n))
        .collect();
    assert_eq!(columns, [("f:b", 1), ("f:c", 1)]);
    let sample = &found.samples[0];
    assert_eq!(
        (sample.side, &*sample.key),
        (Side::Both, &["l".to_owned()][..])
    );
    let told: Vec<_> = sample
        .columns
        .iter()
        .map(|of| (of.active.as_deref(), of.shadow.as_deref()))
        .collect();
    assert_eq!(told, [(Some("2"), Some("3")), (None, Some("new"))]);
}

#[test]
fn what_only_the_data_knows_counts_too() {
    let spec = sink(true, &[]);
    let with = |name: &str, kind: Kind, value: &[u8]| {
        let mut rows = rows(&[("k", &[])]);
        let (mut names, mut values) = (Column::default(), Column::default());
        names.push(name.as_bytes());
        values.push(value);
        rows.extra = ExtraCells {
            rows: vec![0],
            names,
            values,
            kinds: vec![kind],
        };
        rows
    };
    let five = with("f:x", Kind::Int, &5i64.to_le_bytes());
    let found = differ(
        (&spec, five.clone()),
        (&spec, with("f:x", Kind::Int, &6i64.to_le_bytes())),
    );
    assert_eq!(found.columns, [("f:x".to_owned(), 1)].into());
    let values = &found.samples[0].columns[0];
    assert_eq!(
        (values.active.as_deref(), values.shadow.as_deref()),
        (Some("5"), Some("6"))
    );
    assert_eq!(
        counts(&differ((&spec, five.clone()), (&spec, five.clone()))),
        [1, 0, 0, 0, 0]
    );
    let mut deleted = rows(&[("k", &[])]);
    deleted.deleted_rows = vec![0];
    let found = differ((&spec, five.clone()), (&spec, deleted));
    assert!(found.columns.contains_key("(row)"), "{found:?}");
    let mut headed = five.clone();
    let header = crate::types::Header {
        name: "h",
        value: None,
    };
    headed.headers.push(0, header);
    let found = differ((&spec, five), (&spec, headed));
    assert_eq!(found.columns, [("(headers)".to_owned(), 1)].into());
}

#[test]
fn letters_are_held_against_one_another_by_record_and_group() {
    let letter = |offset: Option<i64>, reason: &str| DeadLetter {
        origin: offset.map(|offset| (Partition { source: 0, id: 1 }, offset)),
        stage: "in".to_owned(),
        sink: None,
        reason: reason.to_owned(),
        time_ms: 0,
        key: Some(b"k".to_vec()),
        value: None,
        headers: Vec::new(),
        version: None,
    };
    let active = [
        letter(Some(1), "a"),
        letter(Some(2), "b"),
        letter(Some(3), "c"),
        letter(None, "g"),
    ];
    let shadow = [
        letter(Some(1), "a"),
        letter(Some(2), "B"),
        letter(Some(4), "d"),
        letter(None, "g"),
        letter(None, "h"),
    ];
    let found = LetterDifference::of(&active, &shadow);
    assert_eq!(
        (
            found.alike,
            found.differing,
            found.only_active,
            found.only_shadow
        ),
        (2, 1, 1, 2)
    );
    let other = found
        .samples
        .iter()
        .find(|sample| sample.side == Side::Both);
    let other = other.expect("reasons differ");
    assert_eq!(
        (other.record, other.shadow.as_deref()),
        (Some((1, 2)), Some("B"))
    );
}

#[test]
fn sums_are_exact_and_samples_bounded() {
    let spec = sink(true, &["f:a"]);
    let mut all = SinkDifference::default();
    for _ in 0..100 {
        let (ours, theirs) = (rows(&[("k", &[Is("1")])]), rows(&[("k", &[Is("2")])]));
        all.add(differ((&spec, ours), (&spec, theirs)));
    }
    assert_eq!((all.differing, all.columns["f:a"]), (100, 100));
    assert_eq!(all.samples.len(), limits::SHADOW_SAMPLES_MAX);
}
