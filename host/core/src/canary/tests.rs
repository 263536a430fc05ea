//! Two versions that are told apart by what they make, and a split that is checked record by record.

use super::records::run;
use super::*;
use crate::contract::{ChunkAnswer, Fault, RecordQuarantines};
use crate::job::{ColumnSpec, JobSpec, Share, SinkSpec, SourceSpec, StageKind, StageSpec};
use crate::types::{Chunk, Column, Keyed, Kind, NO_TIME_MS, Partition, Record, Rows};
use std::time::Duration;

fn sink(columns: &[&str]) -> SinkSpec {
    let column = |name: &&str| ColumnSpec {
        name: (*name).to_owned(),
        kind: Kind::Text,
        optional: false,
    };
    SinkSpec {
        name: "s".to_owned(),
        keys: vec![ColumnSpec::key()],
        columns: columns.iter().map(column).collect(),
        ..SinkSpec::default()
    }
}

fn stage(name: &str, inputs: &[u32]) -> StageSpec {
    StageSpec {
        name: name.to_owned(),
        kind: StageKind::EachBatch,
        inputs: inputs.to_vec(),
        key_shape: "text".to_owned(),
        value_shape: "u64".to_owned(),
        other_shape: String::new(),
        version: 0,
        migrates: None,
    }
}

fn spec(columns: &[&str], stages: Vec<StageSpec>) -> JobSpec {
    JobSpec {
        name: "j".to_owned(),
        every: Duration::ZERO,
        sources: vec![SourceSpec {
            name: "t".to_owned(),
            ..SourceSpec::default()
        }],
        stages,
        sinks: vec![sink(columns)],
        parameters: Vec::new(),
        metrics: Vec::new(),
    }
}

#[test]
fn a_canary_is_refused_where_no_part_is_exact() {
    let half = || Share::Keys(5000);
    let plain = || spec(&["a"], Vec::new());
    let keyed = || spec(&["a"], vec![stage("sums", &[0])]);
    let partitions: Share = "partitions=0".parse().unwrap();
    let mut other_source = plain();
    other_source.sources[0].target = "elsewhere".to_owned();
    let mut other_table = plain();
    other_table.sinks[0].target = "elsewhere".to_owned();
    let mut other_kind = plain();
    other_kind.sinks[0].columns[0].kind = Kind::Int;
    let mut migrated = keyed();
    migrated.stages[0].migrates = Some(("old".to_owned(), 0));
    let mut other_state = keyed();
    other_state.stages[0].version = 1;
    let chain = || spec(&["a"], vec![stage("sums", &[0]), stage("top", &[1])]);
    let cases = [
        ("equal", plain(), plain(), half(), None),
        (
            "a column more",
            plain(),
            spec(&["a", "b"], vec![]),
            half(),
            None,
        ),
        ("a column less", plain(), spec(&[], vec![]), half(), None),
        ("by partition", plain(), plain(), partitions.clone(), None),
        ("by key", keyed(), keyed(), half(), None),
        (
            "what it would migrate is not there",
            keyed(),
            migrated,
            half(),
            None,
        ),
        (
            "keyed by partition",
            keyed(),
            keyed(),
            partitions,
            Some("say a share of its keys"),
        ),
        (
            "another source",
            plain(),
            other_source,
            half(),
            Some("other sources"),
        ),
        (
            "another table",
            plain(),
            other_table,
            half(),
            Some("sink `s` is another"),
        ),
        (
            "a column's kind",
            plain(),
            other_kind,
            half(),
            Some("`a` of its sink `s` is int and was text"),
        ),
        (
            "other state",
            keyed(),
            other_state,
            half(),
            Some("its keyed stages"),
        ),
        (
            "another stage",
            keyed(),
            plain(),
            half(),
            Some("its keyed stages"),
        ),
        (
            "a chain",
            chain(),
            chain(),
            half(),
            Some("stage `sums` makes goes on"),
        ),
    ];
    for (what, active, canary, share, want) in cases {
        let planned = CanaryPlan::new(&active, &canary, share);
        match (planned, want) {
            (Ok(_), None) => {}
            (Err(why), Some(words)) => assert!(why.contains(words), "{what}: {why}"),
            (other, _) => panic!("{what}: {other:?}"),
        }
    }
}

fn column(items: &[&str]) -> Column {
    let mut column = Column::default();
    items.iter().for_each(|item| column.push(item.as_bytes()));
    column
}

#[test]
fn rows_of_either_version_have_the_columns_of_both() {
    let (active, canary) = (spec(&["a", "b"], vec![]), spec(&["c", "a"], vec![]));
    let plan = CanaryPlan::new(&active, &canary, Share::Keys(1)).unwrap();
    let names: Vec<_> = plan.spec.sinks[0]
        .columns
        .iter()
        .map(|c| (&*c.name, c.optional))
        .collect();
    assert_eq!(names, [("a", false), ("b", true), ("c", true)]);
    let rows = Rows {
        positions: vec![4, 7],
        cells: column(&["k", "C", "A", "l", "", "A2"]),
        absent: vec![4],
        deleted: vec![5],
        deleted_rows: vec![1],
        ..Rows::default()
    };
    let laid = plan.layouts[1][0].laid(rows);
    let cells: Vec<_> = laid
        .cells
        .iter()
        .map(|cell| String::from_utf8_lossy(cell).into_owned())
        .collect();
    assert_eq!(cells, ["k", "A", "", "C", "l", "A2", "", ""]);
    assert_eq!((laid.absent, laid.deleted), (vec![2, 6, 7], vec![5]));
    assert_eq!((laid.positions, laid.deleted_rows), (vec![4, 7], vec![1]));
}

/// A chunk of values; a value's first letter is its key.
fn chunk(values: &[&str]) -> Chunk {
    let mut chunk = Chunk::new(Partition { source: 0, id: 3 });
    for (offset, value) in (10..).zip(values) {
        chunk.push(Record {
            offset,
            time_ms: 0,
            key: Some(&value.as_bytes()[..1]),
            value: Some(value.as_bytes()),
            headers: &[],
        });
    }
    chunk
}

/// What a version makes: a row a record with its name, or an item for the record's key. It refuses
/// what has its name in it.
fn answer(name: char, keyed: bool, chunk: &Chunk, aside: &RecordQuarantines) -> ChunkAnswer {
    let (mut rows, mut items) = (Rows::default(), Keyed::default());
    let mut made = ChunkAnswer {
        largest_ms: NO_TIME_MS,
        ..ChunkAnswer::default()
    };
    for i in 0..chunk.len() {
        let value = String::from_utf8_lossy(chunk.values.get(i)).into_owned();
        let decided = aside
            .get(&(chunk.partition, chunk.offsets[i]))
            .cloned()
            .flatten();
        let own = value[1..].contains(name).then(|| format!("{name} refused"));
        if let Some(reason) = decided.clone().or(own) {
            made.faults.push(Fault {
                position: i as u32,
                reason,
                by_host: decided.is_some(),
                canary: false,
            });
        } else if keyed {
            items.keys.push(&value.as_bytes()[..1]);
            items.values.push(format!("{name}:{value}").as_bytes());
            items.times_ms.push(0);
        } else {
            rows.positions.push(i as u32);
            rows.cells.push(value.as_bytes());
            rows.cells.push(name.to_string().as_bytes());
        }
    }
    made.rows = vec![if rows.is_empty() { vec![] } else { vec![rows] }];
    made.keyed.extend((!items.keys.is_empty()).then_some(items));
    made
}

/// What came of a chunk: rows or items in order, and dead letters with whose they are.
fn ran(
    plan: &CanaryPlan,
    chunk: Chunk,
    aside: [Option<RecordQuarantines>; 2],
) -> (Vec<String>, Vec<String>, ChunkAnswer) {
    let keyed = plan.is_by_key();
    let mut call = |side: Side, chunks: Vec<Chunk>, aside: Option<RecordQuarantines>| {
        let name = if side == Side::Active { 'x' } else { 'y' };
        let aside = aside.unwrap_or_default();
        let answers = chunks
            .iter()
            .map(|chunk| answer(name, keyed, chunk, &aside))
            .collect();
        (chunks, Ok(answers))
    };
    let (chunks, settled) = run(plan, vec![chunk], aside, &mut call);
    let (answers, _) = settled.unwrap();
    let answer = answers.into_iter().next().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut made = Vec::new();
    for rows in answer.rows.iter().flatten() {
        made.extend((0..rows.len()).map(|row| {
            format!(
                "{}:{}",
                text(rows.cells.get(2 * row + 1)),
                text(rows.cells.get(2 * row))
            )
        }));
    }
    for items in &answer.keyed {
        made.extend(items.values.iter().map(text));
    }
    let letter = |fault: &Fault| {
        let value = text(chunks[0].values.get(fault.position as usize));
        format!(
            "{value}: {}{}",
            fault.reason,
            if fault.canary { " (canary)" } else { "" }
        )
    };
    let letters = answer.faults.iter().map(letter).collect();
    (made, letters, answer)
}

/// A key of the canary, and one of the active version.
fn keys(share: &Share) -> (char, char) {
    let is_canarys = |c: &char| share.has_key(c.to_string().as_bytes());
    let all = || 'a'..='w';
    (
        all().find(is_canarys).unwrap(),
        all().find(|c| !is_canarys(c)).unwrap(),
    )
}

#[test]
fn records_are_run_by_the_version_whose_part_they_are_in_and_stay_in_order() {
    let share = Share::Keys(5000);
    let (c, a) = keys(&share);
    let plan = CanaryPlan::new(&spec(&["v"], vec![]), &spec(&["v"], vec![]), share).unwrap();
    let values = [
        format!("{a}1"),
        format!("{c}2"),
        format!("{c}y"),
        format!("{a}y"),
        format!("{a}x"),
        format!("{c}x"),
    ];
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let (made, letters, _) = ran(&plan, chunk(&values), [None, None]);
    assert_eq!(
        made,
        [
            format!("x:{a}1"),
            format!("y:{c}2"),
            format!("x:{a}y"),
            format!("y:{c}x")
        ]
    );
    assert_eq!(
        letters,
        [
            format!("{c}y: y refused (canary)"),
            format!("{a}x: x refused")
        ]
    );
}

#[test]
fn a_record_that_one_version_refuses_is_whole_or_a_dead_letter() {
    let share = Share::Keys(5000);
    let (c, a) = keys(&share);
    let keyed = || spec(&["v"], vec![stage("sums", &[0])]);
    let plan = CanaryPlan::new(&keyed(), &keyed(), share).unwrap();
    let values = [
        format!("{a}1"),
        format!("{c}2"),
        format!("{c}y"),
        format!("{a}y"),
        format!("{a}x"),
        format!("{c}x"),
        format!("{c}xy"),
        format!("{a}xy"),
    ];
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let first = ran(&plan, chunk(&values), [None, None]);
    let (made, letters, answer) = &first;
    assert_eq!(
        *made,
        [
            format!("x:{a}1"),
            format!("x:{a}y"),
            format!("y:{c}2"),
            format!("y:{c}x")
        ]
    );
    let want = [
        format!("{c}y: y refused (canary)"),
        format!("{a}x: x refused"),
        format!("{c}xy: x refused"),
        format!("{a}xy: x refused"),
    ];
    assert_eq!(*letters, want);
    // What was decided is told to a replay, which comes to the same.
    let mut told = [RecordQuarantines::new(), RecordQuarantines::new()];
    let place = |position: u32| (Partition { source: 0, id: 3 }, 10 + i64::from(position));
    for passed in &answer.passed_over {
        told[usize::from(passed.canary)]
            .insert(place(passed.position), Some(passed.reason.clone()));
    }
    assert!(
        answer.passed_over.len() >= 2,
        "both were set aside for the other's fault"
    );
    let again = ran(&plan, chunk(&values), told.map(Some));
    assert_eq!((&again.0, &again.1), (made, letters));
    assert_eq!(again.2, *answer);
}
