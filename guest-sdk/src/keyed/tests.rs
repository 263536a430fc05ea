//! What crosses to the host, call by call.

use crate::call::{Batch, Groups, Input, Keyed, Moment, NO_TIME_MS, Output, Pairs, Partials};
use crate::columns::{Column, ColumnBuf};
use crate::headers::CallHeaders;
use crate::job::{Call, Job};
use crate::record::Place;
use crate::*;

fn column<T: AsRef<[u8]>>(items: &[T]) -> ColumnBuf {
    let mut column = ColumnBuf::default();
    items.iter().for_each(|item| column.push(item.as_ref()));
    column
}

fn texts(column: &ColumnBuf) -> Vec<String> {
    column
        .view()
        .iter()
        .map(|item| String::from_utf8_lossy(item).into_owned())
        .collect()
}

/// Values of one byte, or as given.
fn bytes(column: &ColumnBuf) -> Vec<Vec<u8>> {
    column.view().iter().map(<[u8]>::to_vec).collect()
}

const START: Moment = Moment {
    batch_ms: 1000,
    watermark_ms: NO_TIME_MS,
    partition_ms: NO_TIME_MS,
};

/// One call of a source's chain.
fn transform(
    job: impl for<'b> Fn(Call<'b>) -> Job<'b>,
    stage: usize,
    moment: Moment,
    records: &[Record<'_>],
) -> Output {
    let keys = column(&records.iter().map(|r| r.key).collect::<Vec<_>>());
    let values = column(&records.iter().map(|r| r.value).collect::<Vec<_>>());
    let times_ms: Vec<i64> = records.iter().map(|r| r.time_ms).collect();
    let absent = |is: fn(&Record<'_>) -> bool| -> Vec<u32> {
        (0..)
            .zip(records)
            .filter(|(_, record)| !is(record))
            .map(|(i, _)| i)
            .collect()
    };
    let (absent_keys, absent_values) = (absent(|r| r.has_key()), absent(|r| r.has_value()));
    let none = ColumnBuf::default();
    let headers = CallHeaders {
        positions: &[],
        names: none.view(),
        values: none.view(),
        absent: &[],
    };
    let batch = Batch {
        place: Place {
            target: "",
            partition: 0,
        },
        first_offset: 0,
        offsets: &[],
        headers: &headers,
        keys: keys.view(),
        values: values.view(),
        times_ms: &times_ms,
        absent_keys: &absent_keys,
        absent_values: &absent_values,
    };
    job(Call::new()).run(stage, moment, Input::Records(batch))
}

/// What is there so far, and what is to be merged with it.
type Group<'a> = (Option<&'a [u8]>, &'a [&'a [u8]]);

fn combine(
    job: impl for<'b> Fn(Call<'b>) -> Job<'b>,
    stage: usize,
    groups: &[Group<'_>],
) -> ColumnBuf {
    let accumulators = column(
        &groups
            .iter()
            .map(|(acc, _)| acc.unwrap_or_default())
            .collect::<Vec<_>>(),
    );
    let absent: Vec<u32> = (0..)
        .zip(groups)
        .filter(|(_, group)| group.0.is_none())
        .map(|(i, _)| i)
        .collect();
    let partials = column(
        &groups
            .iter()
            .flat_map(|(_, partials)| *partials)
            .collect::<Vec<_>>(),
    );
    let mut group_ends = Vec::new();
    groups.iter().for_each(|(_, partials)| {
        group_ends.push(group_ends.last().copied().unwrap_or(0) + partials.len() as u32);
    });
    let partials = Partials {
        accumulators: accumulators.view(),
        absent: &absent,
        group_ends: &group_ends,
        partials: partials.view(),
    };
    job(Call::new()).combine(stage, partials)
}

/// The lines of the job's only sink.
fn lines(output: &Output) -> Vec<String> {
    texts(&output.rows[0].cells)
        .into_iter()
        .filter(|cell| !cell.is_empty())
        .collect()
}

fn only(output: &Output) -> &Keyed {
    assert_eq!(output.keyed.len(), 1);
    &output.keyed[0]
}

#[job]
fn words() -> Job {
    kafka("lines")
        .try_map(|line| line.text())
        .flat_map(str::split_whitespace)
        .key_by(|word| *word)
        .each_batch()
        .count()
        .map(|word| format!("{} {} {:?}", word.key, word.value, word.window))
        .to(console())
}

#[test]
fn a_call_has_one_accumulator_a_key_in_order_of_first_sight() {
    let output = transform(
        words,
        0,
        START,
        &["to be", "", "or not to be to"].map(Record::from),
    );
    let keyed = only(&output);
    assert_eq!((keyed.stage, keyed.side), (1, 0));
    assert_eq!(texts(&keyed.keys), ["to", "be", "or", "not"]);
    assert_eq!(bytes(&keyed.values), [[3], [2], [1], [1]]);
    assert_eq!(keyed.times_ms, [0; 4]);
    assert_eq!(keyed.positions, [0, 2]);
    assert!(keyed.until_ms.is_empty() && keyed.deleted.is_empty() && output.late.is_empty());
    assert!(
        transform(words, 0, START, &[Record::from("  ")])
            .keyed
            .is_empty()
    );
}

#[test]
fn merging_takes_what_was_there_and_then_the_parts() {
    let merged = combine(
        words,
        1,
        &[
            (None, &[&[3]]),
            (Some(&[200, 1]), &[&[1], &[2]]),
            (None, &[&[1], &[1]]),
            (Some(&[9]), &[]),
        ],
    );
    assert_eq!(bytes(&merged), [vec![3], vec![203, 1], vec![2], vec![9]]);
}

#[test]
#[should_panic(
    expected = "stage `count`: the accumulator cannot be read: 1 of its 2 bytes are left over"
)]
fn what_is_no_accumulator_is_said() {
    combine(words, 1, &[(Some(&[1, 1]), &[&[1]])]);
}

#[test]
fn finished_groups_run_what_follows() {
    let (keys, accumulators) = (column(&["to", "be"]), column(&[[3], [2]]));
    let groups = Groups {
        keys: keys.view(),
        accumulators: accumulators.view(),
        starts_ms: &[5, 5],
        ends_ms: &[5, 5],
    };
    let output = words(Call::new()).run(1, START, Input::Groups(groups));
    let window = "Window { start: Time(5), end: Time(5) }";
    assert_eq!(
        lines(&output),
        [format!("to 3 {window}"), format!("be 2 {window}")]
    );
    assert_eq!(output.rows[0].positions, [0, 1]);
    assert_eq!(output.largest_ms, NO_TIME_MS);
}

/// A time and a name.
fn event(record: Record<'_>) -> Result<(i64, &str), String> {
    let [at, name] = fields(record.text()?, ' ')?;
    Ok((at.parse().map_err(|_| "no time")?, name))
}

#[job]
fn panes() -> Job {
    kafka("events")
        .try_map(event)
        .timed_by(|event| Time(event.0))
        .filter(|event| event.1 != "dropped")
        .key_by(|event| event.1)
        .window(hopping(millis(20), millis(10)).watermark(millis(5)))
        .late_to(kafka("late"))
        .count()
        .map(|_| "")
        .to(console())
}

impl Row for (i64, &str) {
    type Key = std::convert::Infallible;
    const SHAPE: RowShape = <str as Row>::SHAPE;
    fn write_key(key: &Self::Key, _: &mut RowWriter) {
        match *key {}
    }
    fn write(&self, out: &mut RowWriter) {
        self.1.write(out);
    }
}

#[test]
fn an_item_is_late_by_what_its_partition_had_before_it() {
    let records = [
        "-1 a",
        "3 a",
        "12 a",
        "24 dropped",
        "9 b",
        "bad",
        "10 a",
        "-1 c",
    ]
    .map(Record::from);
    let output = transform(panes, 0, START, &records);
    let keyed = only(&output);
    assert_eq!(texts(&keyed.keys), ["a", "a", "a", "b"]);
    assert_eq!(keyed.times_ms, [-10, 0, 10, 0], "panes are floored");
    assert_eq!(
        keyed.until_ms,
        [-20, -10, 0, 0],
        "the window from -10 to 10 is over when `9 b` comes, the next one is not"
    );
    assert_eq!(bytes(&keyed.values), [[1], [1], [2], [1]]);
    assert_eq!(
        keyed.positions,
        [0, 1, 2, 4, 6],
        "20 + 5 is just not reached by 24"
    );
    assert_eq!(output.late, [7]);
    let late = output
        .rows
        .iter()
        .find(|rows| !rows.positions.is_empty())
        .unwrap();
    assert_eq!(late.positions, [7]);
    assert_eq!(texts(&late.cells), ["", "c"]);
    assert_eq!(
        output.largest_ms, 24,
        "what passes `timed_by` counts, even if it is dropped behind it"
    );
    assert_eq!(output.faults.len(), 1);
}

#[test]
fn an_item_is_not_late_by_its_own_record_and_the_cuts_do_not_matter() {
    let records = ["100 a", "20 b", "99 c", "74 d", "90 e"].map(Record::from);
    let whole = transform(panes, 0, START, &records);
    assert_eq!(
        whole.late,
        [1, 3],
        "20 and 70, and 10 + 5, are behind 100; 90 is not"
    );
    let (mut late, mut partition_ms) = (Vec::new(), NO_TIME_MS);
    for (i, record) in (0..).zip(records) {
        let alone = transform(
            panes,
            0,
            Moment {
                partition_ms,
                ..START
            },
            &[record],
        );
        late.extend(alone.late.iter().map(|_| i));
        partition_ms = alone.largest_ms;
    }
    assert_eq!((late, partition_ms), (whole.late, whole.largest_ms));
    let job_is_ahead = Moment {
        watermark_ms: 1_000,
        ..START
    };
    let ahead = transform(panes, 0, job_is_ahead, &records);
    assert_eq!((ahead.late.len(), ahead.largest_ms), (5, 100));
    assert_eq!(
        transform(
            panes,
            0,
            Moment {
                partition_ms: 7,
                ..START
            },
            &[]
        )
        .largest_ms,
        7
    );
}

#[test]
fn a_time_that_is_none_is_set_aside_and_moves_nothing() {
    let record = format!("{} a", i64::MAX);
    let output = transform(
        panes,
        0,
        START,
        &[Record::from(&record), Record::from("5 a")],
    );
    assert!(
        output.faults[0].reason.contains("is no event time"),
        "{:?}",
        output.faults
    );
    assert_eq!((output.largest_ms, output.late.len()), (5, 0));
}

#[job]
fn own_times() -> Job {
    kafka("events")
        .filter(|record| record.value != b"dropped")
        .try_map(|record| record.text())
        .also(|all| all.map(|_| "").to(kafka("all")))
        .key_by(|name| *name)
        .window(tumbling(millis(10)))
        .count()
        .map(|_| "")
        .to(console())
}

#[test]
fn a_records_own_time_counts_even_if_it_is_dropped() {
    let records = [
        Record::from("dropped").at(29),
        Record::from("a").at(19),
        Record::from("a").at(25),
    ];
    let output = transform(own_times, 0, START, &records);
    assert_eq!((output.late.as_slice(), output.largest_ms), (&[1][..], 29));
    assert_eq!(only(&output).positions, [2]);
}

#[job]
fn branches() -> Job {
    kafka("events")
        .try_map(event)
        .also(|events| {
            events
                .timed_by(|event| Time(event.0))
                .key_by(|event| event.1)
                .window(tumbling(millis(10)))
                .count()
                .map(|_| "")
                .to(kafka("windows"))
        })
        .key_by(|event| event.1)
        .running()
        .count()
        .map(|_| "")
        .to(console())
}

#[test]
fn a_branch_judges_its_items_as_a_main_chain_would() {
    let records = ["5 a", "25 a", "19 a", "26 a"].map(Record::from);
    let output = transform(branches, 0, START, &records);
    assert_eq!((output.late.as_slice(), output.largest_ms), (&[2][..], 26));
    let to: Vec<_> = output
        .keyed
        .iter()
        .map(|keyed| (keyed.stage, keyed.positions.clone()))
        .collect();
    assert_eq!(to, [(1, vec![0, 1, 3]), (2, vec![0, 1, 2, 3])]);
}

#[job]
fn flow_of_times() -> Job {
    kafka("events")
        .try_map(event)
        .timed_by(|event| Time(event.0))
        .also(|events| {
            events
                .key_by(|event| event.1)
                .window(tumbling(millis(10)))
                .count()
                .map(|_| "")
                .to(kafka("windows"))
        })
        .key_by(|event| event.1)
        .window(tumbling(millis(10)))
        .count()
        .named_for_test()
}

impl<'b> Stream<'b, keyed::Grouped<'b, &'b str, keyed::Count, keyed::Windowed>> {
    fn named_for_test(mut self) -> Job<'b> {
        self.plan.stages.last_mut().unwrap().def.name = "main".into();
        self.map(|_| "").to(console())
    }
}

#[test]
fn a_branch_behind_timed_by_sees_what_the_main_chain_saw() {
    let records = ["5 a", "25 a", "19 a", "26 a"].map(Record::from);
    let output = transform(flow_of_times, 0, START, &records);
    assert_eq!((output.late.as_slice(), output.largest_ms), (&[2][..], 26));
    assert_eq!(output.keyed.len(), 2);
    assert!(
        output
            .keyed
            .iter()
            .all(|keyed| keyed.positions == [0, 1, 3] && keyed.times_ms == [0, 20])
    );
}

#[job]
fn sessions() -> Job {
    kafka("events")
        .try_map(event)
        .timed_by(|event| Time(event.0))
        .key_by(|event| event.1)
        .window(session(millis(10)).watermark(millis(35)))
        .fold(
            Vec::new,
            |all, event| all.push(event.0 as u8),
            |all, other| all.extend(other),
        )
        .map(|_| "")
        .to(console())
}

#[test]
fn a_calls_sessions_are_joined_where_items_come_between() {
    let records = ["10 a", "40 a", "10 b", "21 a", "30 a", "20 a"].map(Record::from);
    let output = transform(
        sessions,
        0,
        Moment {
            partition_ms: 10,
            ..START
        },
        &records,
    );
    let keyed = only(&output);
    // 21 is 11 after 10; 30 joins 21 and 40; 20 joins all. What was seen first takes the others in.
    assert_eq!(texts(&keyed.keys), ["a", "b"]);
    assert_eq!(
        (keyed.times_ms.as_slice(), keyed.until_ms.as_slice()),
        (&[10, 10][..], &[40, 10][..])
    );
    assert_eq!(
        bytes(&keyed.values),
        [vec![5, 10, 20, 40, 30, 21], vec![1, 10]]
    );
    assert_eq!(keyed.positions, [0, 1, 2, 3, 4, 5]);
}

#[test]
fn a_sessions_item_is_late_beyond_its_lateness() {
    let records = ["50 a", "5 a", "4 a"].map(Record::from);
    let output = transform(sessions, 0, START, &records);
    assert_eq!(output.late, [2], "5 + 10 + 35 is not below 50");
    #[job]
    fn usual() -> Job {
        kafka("a")
            .key_by(|_| ())
            .window(session(millis(10)))
            .count()
            .map(|_| "")
            .to(console())
    }
    let description = testing::describe(usual).unwrap();
    let StageKind::Reduce(Scope::Window(window)) = description.stages[0].kind else {
        panic!("{description:?}")
    };
    assert_eq!(
        window.lateness_ms, 10,
        "a record may be the gap behind its partition"
    );
}

#[job]
fn joined() -> Job {
    let right = kafka("rights")
        .try_map(event)
        .timed_by(|event| Time(event.0))
        .key_by(|event| event.1);
    kafka("lefts")
        .try_map(event)
        .timed_by(|event| Time(event.0))
        .key_by(|event| event.1)
        .left_join(right, within(millis(10)), |left, right| {
            format!("{} {:?}", left.0, right.map(|right| right.0))
        })
        .to(console())
}

#[test]
fn a_joins_sides_cross_as_they_are() {
    let sources: Vec<_> = testing::describe(joined)
        .unwrap()
        .sources
        .into_iter()
        .map(|s| (s.name, s.timed))
        .collect();
    assert_eq!(sources, [("lefts".into(), true), ("rights".into(), true)]);
    let output = transform(
        joined,
        1,
        START,
        &["50 a", "40 b", "39 a"].map(Record::from),
    );
    let keyed = only(&output);
    assert_eq!((keyed.stage, keyed.side), (2, 1));
    assert_eq!(texts(&keyed.keys), ["a", "b"]);
    assert_eq!(keyed.times_ms, [50, 40]);
    assert_eq!(output.late, [2]);

    let (lefts, rights) = (
        column(&[b"\x0e\x01a", b"\x10\x01b"]),
        column(&[&b"\x10\x01a"[..], b""]),
    );
    let pairs = Pairs {
        lefts: lefts.view(),
        rights: rights.view(),
        absent_lefts: &[],
        absent_rights: &[1],
        times_ms: &[8, 9],
    };
    let output = joined(Call::new()).run(2, START, Input::Pairs(pairs));
    assert_eq!(lines(&output), ["7 Some(8)", "8 None"]);
}

#[job]
fn looked_up() -> Job {
    let table = kafka("table")
        .try_map(|r| {
            Ok::<_, String>((
                r.key_text()?.parse::<u64>().map_err(|e| e.to_string())?,
                r.text()?,
            ))
        })
        .key_by(|(id, _)| *id);
    kafka("lefts")
        .try_map(|r| r.text()?.parse::<u64>().map_err(|e| e.to_string()))
        .key_by(|id| *id)
        .lookup(table, |id, entry| format!("{id} {entry:?}"))
        .to(console())
}

#[test]
fn a_tables_records_without_a_value_delete_in_their_order() {
    let gone = |key: &'static str| Record::without_value().with_key(key.as_bytes());
    let records = [
        gone("9"),
        Record::from(("7", "x")),
        gone("7"),
        gone("seven"),
        Record::without_value(),
        Record::from(("8", "y")),
        gone("8"),
    ];
    let output = transform(looked_up, 1, START, &records);
    let keyed = only(&output);
    let id = |n: u64| n.to_be_bytes().to_vec();
    assert_eq!(bytes(&keyed.keys), [id(9), id(7), id(7), id(8), id(8)]);
    assert_eq!(keyed.deleted, [0, 2, 4]);
    assert_eq!(keyed.positions, [0, 1, 2, 5, 6]);
    assert_eq!(bytes(&keyed.values)[2], b"");
    let faults: Vec<_> = output
        .faults
        .iter()
        .map(|fault| (fault.position, fault.reason.as_str()))
        .collect();
    assert_eq!(
        faults,
        [
            (
                3,
                "the key `seven` is no u64: invalid digit found in string"
            ),
            (4, "the record has neither a value nor a key to delete"),
        ]
    );
    let described = testing::describe(looked_up).unwrap();
    let table = described
        .sources
        .iter()
        .find(|source| source.name == "table")
        .unwrap();
    assert!(table.table && !table.timed);
    assert_eq!(described.stages[0].inputs, [0, 1]);
}

#[job]
fn migrating() -> Job {
    kafka("a")
        .try_map(|r| r.text())
        .key_by(|text| *text)
        .running()
        .fold(
            || (0u64, 0u64),
            |acc, _| acc.0 += 1,
            |acc, other| acc.0 += other.0,
        )
        .migrate_from(3, |old: u64| (old, 7))
        .map(|_| "")
        .to(console())
}

#[test]
fn old_accumulators_become_new_ones() {
    let old = column(&[[5], [6]]);
    let new = migrating(Call::new()).migrate(1, old.view());
    assert_eq!(bytes(&new), [[5, 7], [6, 7]]);
    let stage = testing::describe(migrating).unwrap().stages.remove(0);
    assert_eq!(
        (stage.value_shape.as_str(), stage.migrates),
        ("(u64,u64)", Some(("u64".into(), 3)))
    );
}

#[job]
fn best() -> Job {
    kafka("a")
        .try_map(|r| r.text())
        .key_by(|text| *text)
        .each_batch()
        .count()
        .top(3)
        .named("best")
        .map(|_| "")
        .to(console())
}

#[test]
#[should_panic(expected = "stage `best`: the accumulator cannot be read")]
fn a_top_says_its_own_name() {
    combine(best, 2, &[(Some(&[]), &[&[9]])]);
}

#[test]
fn a_key_that_is_too_long_is_set_aside() {
    let long = "x".repeat(40_000);
    let output = transform(words, 0, START, &[Record::from(&long), Record::from("a")]);
    assert_eq!(
        output.faults[0].reason,
        "the key has 40000 bytes, of 32000 at most"
    );
    assert_eq!(only(&output).positions, [1]);
}

#[test]
fn columns_view_what_they_hold() {
    let column = column(&["a", "", "bc"]);
    let Column { data, ends } = column.view();
    assert_eq!((data, ends), (&b"abc"[..], &[1, 1, 3][..]));
}
