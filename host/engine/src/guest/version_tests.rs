use super::*;
use crate::guest::lane::{Budget, Lane};
use crate::guest::{Lanes, LargeBatches, RunTimes};
use std::collections::BTreeMap;
use std::sync::{Arc, mpsc};
use streamhost_core::contract::{
    AheadRule, Calls, ChunkAnswer, Combined, Fault, GroupFault, GroupQuarantines, Phase,
    RecordQuarantines,
};
use streamhost_core::executor::StageCalls;
use streamhost_core::job::{
    ColumnSpec, MetricValues, SinkSpec, SourceSpec, StageSpec, Window, WindowForm,
};
use streamhost_core::limits;
use streamhost_core::types::{ColumnNames, Keyed, Kind, Measure, Offset, Record, RowLimits, Rows};

/// Source 0 is timed and feeds the windows of stage 2, those feed stage 3; source 1 makes rows
/// alone. A record makes a row; `key=word` goes to the windows as `[word]`, and words of one key
/// and pane in one call as `[word word]`, so that an accumulator shows how calls were cut.
struct Fake {
    dead: bool,
    calls: Seen,
    traits: Traits,
    /// How often it was asked.
    asked: usize,
    /// It is in a replay, where it has as much memory as it wants.
    replay: bool,
    /// Records and groups of its last call.
    items: u64,
}

/// What a [`Fake`] is like.
#[derive(Clone)]
struct Traits {
    /// More records or groups than these do not fit into its memory.
    fits: usize,
    /// After so many calls its memory is full of what it keeps.
    tires_after: usize,
    /// What a record or group takes.
    slow: Duration,
    /// Set by whoever is asked to `stop`.
    stop: Arc<AtomicBool>,
    /// The calls whose lines were handed on.
    told: Seen,
}

impl Default for Traits {
    fn default() -> Self {
        let (stop, told) = (Arc::default(), Seen::default());
        Traits {
            fits: usize::MAX,
            tires_after: usize::MAX,
            slow: Duration::ZERO,
            stop,
            told,
        }
    }
}

/// What guests were called with, in order.
type Seen = Arc<Mutex<Vec<String>>>;

const WINDOWS: u32 = 2;
const HOP_MS: i64 = 10;

impl Fake {
    fn begin(&mut self, call: &str, items: &[&[u8]], time: Duration) -> Result<(), GuestFault> {
        assert!(!self.dead, "a guest was called after its fault");
        let words: Vec<_> = items
            .iter()
            .map(|item| String::from_utf8_lossy(item))
            .collect();
        self.calls
            .lock()
            .unwrap()
            .push(format!("{call} {}", words.join(",")));
        self.dead = true; // unless it comes to its end
        self.asked += 1;
        self.items = items.len() as u64;
        let slow = || GuestFault::Time {
            limit: Duration::from_secs(1),
            at: String::new(),
        };
        if items.len() > self.traits.fits && !self.replay || self.asked > self.traits.tires_after {
            return Err(GuestFault::Memory {
                limit: "all".into(),
                at: String::new(),
            });
        }
        if items.contains(&&b"stop"[..]) {
            self.traits.stop.store(true, Ordering::Relaxed);
        }
        if self.traits.stop.load(Ordering::Relaxed) || self.traits.slow * items.len() as u32 > time
        {
            return Err(slow());
        }
        match items.iter().find(|item| {
            item.windows(4)
                .any(|word| word == b"trap" || word == b"loop")
        }) {
            Some(item) if item.ends_with(b"loop") => Err(slow()),
            Some(_) => Err(GuestFault::Trap("it broke".into())),
            None => Ok(()),
        }
    }
}

impl Guest for Fake {
    fn transform(
        &mut self,
        stage: u32,
        moment: Moment,
        chunk: &Chunk,
        time: Duration,
    ) -> Result<Answer, GuestFault> {
        self.begin("transform", &chunk.values.iter().collect::<Vec<_>>(), time)?;
        let mut answer = Answer {
            rows: vec![Rows::default()],
            largest_ms: moment.partition_ms,
            ..Answer::default()
        };
        let mut words: Vec<(Vec<u8>, i64, Vec<u8>)> = Vec::new();
        let mut keyed = Keyed {
            stage: WINDOWS,
            ..Keyed::default()
        };
        for (i, value) in chunk.values.iter().enumerate() {
            let (at, time) = (i as u32, chunk.times_ms[i]);
            let pane = time.div_euclid(HOP_MS) * HOP_MS;
            match value {
                b"fault" => answer.faults.push((at, "refused".into())),
                b"twice" => answer
                    .faults
                    .extend([(at, "one".into()), (at, "two".into())]),
                b"drop" => {}
                b"lie" => answer.rows[0].positions.push(99),
                b"no key" => add(&mut answer.rows[0], i, b"", value),
                _ if !value.contains(&b'=') => add(&mut answer.rows[0], i, b"k", value),
                _ if pane + HOP_MS <= answer.largest_ms.max(moment.watermark_ms) => {
                    answer.late.push(at)
                }
                _ => {
                    let (key, word) =
                        value.split_at(value.iter().position(|&byte| byte == b'=').unwrap());
                    keyed.positions.push(at);
                    match words
                        .iter_mut()
                        .find(|(k, p, _)| (&k[..], *p) == (key, pane))
                    {
                        Some((.., words)) => words.extend([b" ", &word[1..]].concat()),
                        None => words.push((key.to_vec(), pane, word[1..].to_vec())),
                    }
                }
            }
            answer.largest_ms = answer.largest_ms.max(time);
        }
        for (key, pane, words) in words {
            keyed.keys.push(&key);
            keyed.values.push(&[b"[", &words[..], b"]"].concat());
            keyed.times_ms.push(pane);
        }
        answer.keyed = if stage == 0 { vec![keyed] } else { Vec::new() };
        self.dead = false;
        Ok(answer)
    }

    fn combine(
        &mut self,
        _: u32,
        partials: &Partials,
        time: Duration,
    ) -> Result<Column, GuestFault> {
        let mut merged = Column::default();
        let mut from = 0;
        for (i, &end) in partials.group_ends.iter().enumerate() {
            let mut all = partials.accumulators.get(i).to_vec();
            assert_eq!(all.is_empty(), partials.absent.contains(&(i as u32)));
            (from..end as usize).for_each(|partial| all.extend(partials.partials.get(partial)));
            from = end as usize;
            merged.push(&all);
        }
        assert_eq!(from, partials.partials.len());
        self.begin("combine", &merged.iter().collect::<Vec<_>>(), time)?;
        self.dead = false;
        Ok(merged)
    }

    /// A row for each group, and all their keys together for stage 3.
    fn finish(
        &mut self,
        stage: u32,
        _: Moment,
        finished: &Finished,
        time: Duration,
    ) -> Result<Answer, GuestFault> {
        let Finished::Groups(groups) = finished else {
            panic!("there are no joins")
        };
        let keys: Vec<_> = groups.keys.iter().collect();
        self.begin("finish", &keys, time)?;
        let mut answer = Answer {
            rows: vec![Rows::default()],
            largest_ms: NO_TIME_MS,
            ..Answer::default()
        };
        let mut all = Keyed {
            stage: stage + 1,
            ..Keyed::default()
        };
        for (i, &key) in keys.iter().enumerate() {
            match key {
                b"fault" => answer.faults.push((i as u32, "refused".into())),
                b"late" => answer.late.push(i as u32),
                _ => {
                    add(&mut answer.rows[0], i, b"k", groups.accumulators.get(i));
                    all.positions.push(i as u32);
                }
            }
        }
        if stage == WINDOWS && !all.positions.is_empty() {
            all.keys.push(b"all");
            all.values
                .push(&[b"[", &keys.join(&b' ')[..], b"]"].concat());
            all.times_ms.push(0);
            answer.keyed.push(all);
        }
        self.dead = false;
        Ok(answer)
    }

    fn migrate(
        &mut self,
        _: u32,
        accumulators: &Column,
        time: Duration,
    ) -> Result<Column, GuestFault> {
        self.begin("migrate", &accumulators.iter().collect::<Vec<_>>(), time)?;
        let mut migrated = Column::default();
        accumulators
            .iter()
            .filter(|old| *old != b"lost")
            .for_each(|old| migrated.push(&[b"new ", old].concat()));
        self.dead = false;
        Ok(migrated)
    }

    fn bind(&mut self, call_limits: &CallLimits) {
        self.replay = call_limits.replay;
    }

    fn tell(&mut self, _: &mut LinesLeft) {
        let last = self
            .calls
            .lock()
            .unwrap()
            .last()
            .cloned()
            .unwrap_or_default();
        self.traits.told.lock().unwrap().push(last);
    }

    fn take_metrics(&mut self) -> MetricValues {
        let mut metrics = MetricValues::default();
        metrics.count("items", std::mem::take(&mut self.items));
        metrics
    }

    fn warn(&mut self, text: &str) {
        self.calls.lock().unwrap().push(format!("warn: {text}"));
    }
}

fn add(rows: &mut Rows, position: usize, key: &[u8], value: &[u8]) {
    rows.positions.push(position as u32);
    rows.cells.push(key);
    rows.cells.push(value);
}

fn spec() -> JobSpec {
    let stage = |name: &str, kind, input| StageSpec {
        name: name.into(),
        kind,
        inputs: vec![input],
        key_shape: "text".into(),
        value_shape: "text".into(),
        other_shape: String::new(),
        version: 0,
        migrates: None,
    };
    let form = WindowForm::Panes {
        size_ms: HOP_MS,
        hop_ms: HOP_MS,
    };
    let windows = Window {
        form,
        lateness_ms: 0,
        offset_ms: 0,
        updates_ms: 0,
        processing_time: false,
        early: false,
    };
    let source = |name: &str, timed| SourceSpec {
        name: name.into(),
        timed,
        ..SourceSpec::default()
    };
    let all = StageSpec {
        migrates: Some(("text".into(), 0)),
        ..stage("all", StageKind::EachBatch, WINDOWS)
    };
    JobSpec {
        parameters: Vec::new(),
        metrics: Vec::new(),
        name: "fake".into(),
        every: Duration::ZERO,
        sources: vec![source("timed", true), source("untimed", false)],
        stages: vec![stage("windows", StageKind::Window(windows), 0), all],
        sinks: Vec::new(),
    }
}

fn runnable_that(fits: usize) -> (Arc<GuestVersion>, Seen) {
    runnable_of(Traits {
        fits,
        ..Traits::default()
    })
}

fn runnable_of(traits: Traits) -> (Arc<GuestVersion>, Seen) {
    let columns = vec![ColumnSpec {
        name: "f:v".into(),
        kind: Kind::Bytes,
        optional: false,
    }];
    let (name, place) = ("s".to_string(), "s".to_string());
    let sink = SinkSpec {
        connector: "hbase".into(),
        name,
        target: place,
        keys: vec![ColumnSpec::key()],
        dynamic: false,
        columns,
        ..SinkSpec::default()
    };
    let limits = RowLimits {
        key_bytes: 1..=10,
        cell_bytes_max: 1000,
        row_bytes_max: 2000,
        measure: Measure::Cells,
        columns: ColumnNames::FamilyAndQualifier,
    };
    let calls = Seen::default();
    let seen = calls.clone();
    let make: Maker = Box::new(move || {
        let (calls, traits) = (seen.clone(), traits.clone());
        Ok(Box::new(Fake {
            dead: false,
            calls,
            traits,
            asked: 0,
            replay: false,
            items: 0,
        }))
    });
    (
        Arc::new(GuestVersion::new(
            make,
            Duration::from_secs(1),
            vec![RowShape::new(&sink, limits)],
            &spec(),
        )),
        calls,
    )
}

fn guest_version() -> Arc<GuestVersion> {
    runnable_that(usize::MAX).0
}

/// Records of a partition of source 1, which feeds no keyed stage.
fn chunk(values: &[&str]) -> Chunk {
    timed_chunk(
        (1, 0),
        100,
        &values.iter().map(|value| (*value, 0)).collect::<Vec<_>>(),
    )
}

fn timed_chunk((source, id): (u16, i32), from: Offset, records: &[(&str, i64)]) -> Chunk {
    let mut chunk = Chunk::new(Partition { source, id });
    for (i, (value, time_ms)) in records.iter().enumerate() {
        let (offset, time_ms) = (from + i as i64, *time_ms);
        chunk.push(Record {
            offset,
            time_ms,
            key: None,
            value: Some(value.as_bytes()),
            headers: &[],
        });
    }
    chunk
}

const MOMENT: Moment = Moment {
    batch_ms: 1000,
    watermark_ms: NO_TIME_MS,
    partition_ms: NO_TIME_MS,
};

fn times() -> RunTimes {
    RunTimes {
        batch_ms: 1000,
        watermark_ms: NO_TIME_MS,
        partitions: BTreeMap::new(),
        ahead: None,
    }
}

fn run_on(
    version: &Arc<GuestVersion>,
    chunk: &Chunk,
    quarantines: &RecordQuarantines,
) -> Result<ChunkAnswer, VersionFault> {
    Lane::default().run(
        version,
        chunk,
        (MOMENT, None),
        quarantines,
        &Budget::default(),
    )
}

fn run(values: &[&str], quarantines: &RecordQuarantines) -> Result<ChunkAnswer, VersionFault> {
    run_on(&guest_version(), &chunk(values), quarantines)
}

/// The values of the rows, in order.
fn values(rows: &[Rows]) -> Vec<String> {
    let cells = |rows: &Rows| {
        let cells: &Column = &rows.cells;
        (0..rows.len())
            .map(|row| String::from_utf8_lossy(cells.get(2 * row + 1)).into_owned())
            .collect::<Vec<_>>()
    };
    rows.iter().flat_map(cells).collect()
}

/// What goes to keyed stages: key, pane and accumulator.
fn parts(all: &[Keyed]) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let part = |k: &Keyed, i| {
        format!(
            "{}@{} {}",
            text(k.keys.get(i)),
            k.times_ms[i],
            text(k.values.get(i))
        )
    };
    all.iter()
        .flat_map(|keyed| (0..keyed.keys.len()).map(move |i| part(keyed, i)))
        .collect()
}

fn quarantines_of(chunk: &Chunk, answer: &ChunkAnswer) -> RecordQuarantines {
    let by_host = answer.faults.iter().filter(|fault| fault.by_host);
    let broken = by_host.map(|fault| (fault.position, Some(fault.reason.clone())));
    let all = broken.chain(answer.splits.iter().map(|&truncate| (truncate, None)));
    all.map(|(at, quarantine)| ((chunk.partition, chunk.offsets[at as usize]), quarantine))
        .collect()
}

fn column(items: &[&str]) -> Column {
    let mut column = Column::default();
    items.iter().for_each(|item| column.push(item.as_bytes()));
    column
}

/// Calls that break, and those of a pass that is begun anew, count nothing.
#[test]
fn what_the_job_counts_is_counted_once_for_each_record_that_breaks_nothing() {
    let records: Vec<(String, i64)> = (0..40)
        .map(|n| match n % 13 {
            7 => ("a=trap".to_owned(), n),
            _ => (format!("a={n}"), n),
        })
        .collect();
    let records: Vec<(&str, i64)> = records.iter().map(|(r, at)| (&**r, *at)).collect();
    let broken = records.iter().filter(|(r, _)| r.ends_with("trap")).count() as u64;
    for (source, fits, tires_after) in [
        (1, usize::MAX, usize::MAX),
        (0, usize::MAX, usize::MAX), // canonical: what is known is asked again
        (1, 5, usize::MAX),
        (0, 5, usize::MAX),
        (0, usize::MAX, 1),
    ] {
        let (guests, _) = runnable_of(Traits {
            fits,
            tires_after,
            ..Traits::default()
        });
        let chunk = timed_chunk((source, 0), 100, &records);
        let budget = Budget::default();
        let mut lane = Lane::default();
        let answer = lane
            .run(
                &guests,
                &chunk,
                (MOMENT, None),
                &RecordQuarantines::new(),
                &budget,
            )
            .unwrap();
        let faults = answer.faults.iter().filter(|fault| fault.by_host);
        assert_eq!(faults.count() as u64, broken);
        let counted = budget.take_metrics().counters;
        assert_eq!(
            counted,
            [("items".to_owned(), 40 - broken)].into(),
            "source {source}, {fits} fit, tires after {tires_after}"
        );
    }
}

/// Own times, which are the event times, and what is said of the first part of each reason.
#[test]
fn a_record_too_far_ahead_moves_nothing_and_costs_no_guest() {
    let guests = guest_version();
    let records = [
        ("a=1", 1),
        ("a=2", 2),
        ("a=far", 5000),
        ("a=3", 3),
        ("trap", 4),
        ("a=4", 5),
    ];
    let chunk = timed_chunk((0, 1), 100, &records);
    let rule = AheadRule {
        by_ms: 100,
        clock_ms: Some(1000),
    };
    let mut lane = Lane::default();
    let mut run = |rule, quarantines: &RecordQuarantines| {
        let times = (MOMENT, rule);
        lane.run(&guests, &chunk, times, quarantines, &Budget::default())
            .unwrap()
    };
    let first = run(Some(rule), &RecordQuarantines::new());
    assert_eq!(parts(&first.keyed), ["a@0 [1 2]", "a@0 [3]", "a@0 [4]"]);
    let faults = first.faults.iter();
    let faults: Vec<_> = faults
        .map(|fault| (fault.position, fault.by_host))
        .collect();
    assert_eq!(faults, [(2, false), (4, true)]);
    assert!(
        first.faults[0].reason.starts_with(
            "its event time, 1970-01-01T00:00:05.000Z, is more than 100ms ahead of the batch's, 1970-01-01T00:00:01.000Z"
        ),
        "{:?}",
        first.faults
    );
    assert_eq!((first.largest_ms, first.late, first.dropped), (5, 0, 0));
    // A replay has the decision on what broke, and finds the other.
    let quarantines = quarantines_of(&chunk, &first);
    assert_eq!(quarantines.len(), 1);
    assert_eq!(run(Some(rule), &quarantines), first);
    // Without the rule all that follows is late.
    let without = run(None, &RecordQuarantines::new());
    assert_eq!((without.largest_ms, without.late), (5000, 2));
}

/// Own times that lie apart: calls are cut between them, and neither is in doubt for the other.
#[test]
fn old_records_are_not_in_doubt_for_new_ones() {
    let guests = guest_version();
    let records = [("a", 1), ("b", 2), ("c", 500), ("d", 900)];
    let chunk = timed_chunk((0, 1), 100, &records);
    let rule = AheadRule {
        by_ms: 100,
        clock_ms: Some(1000),
    };
    let times = (MOMENT, Some(rule));
    let none = RecordQuarantines::new();
    let answer = Lane::default().run(&guests, &chunk, times, &none, &Budget::default());
    let answer = answer.unwrap();
    assert!(answer.faults.is_empty() && answer.splits.is_empty());
    let rows: Vec<_> = answer.rows[0]
        .iter()
        .map(|rows| rows.positions.clone())
        .collect();
    assert_eq!(rows, [vec![0, 1], vec![2], vec![3]]);
}

#[test]
fn a_chunk_that_breaks_loses_only_the_records_that_break_it() {
    let answer = run(
        &[
            "a", "trap", "b", "fault", "drop", "c", "loop", "no key", "d",
        ],
        &RecordQuarantines::new(),
    )
    .unwrap();
    assert_eq!(values(&answer.rows[0]), ["a", "b", "c", "d"]);
    let faults: Vec<_> = answer
        .faults
        .iter()
        .map(|f| (f.position, f.reason.as_str(), f.by_host))
        .collect();
    assert_eq!(
        faults,
        [
            (1, "it broke", true),
            (3, "refused", false),
            (6, "it ran longer than 1s (limits.time)", true),
            (7, "sink `s`: the row's key is empty", false)
        ]
    );
    assert_eq!(answer.dropped, 1);
}

#[test]
fn a_replay_takes_the_verdicts_of_before() {
    let at = |offset| (Partition { source: 1, id: 0 }, offset);
    let quarantines: RecordQuarantines = [
        (at(100), Some("of before".to_string())),
        (at(102), Some("too".to_string())),
    ]
    .into();
    let answer = run(&["a", "b", "trap", "c"], &quarantines).unwrap();
    assert_eq!(values(&answer.rows[0]), ["b", "c"]);
    assert_eq!(
        answer
            .faults
            .iter()
            .map(|f| f.reason.as_str())
            .collect::<Vec<_>>(),
        ["of before", "too"]
    );
    assert!(
        run(
            &["trap"],
            &[(at(100), Some("of before".to_string()))].into()
        )
        .is_ok(),
        "it is not tried again"
    );
}

#[test]
fn several_faults_of_one_record_are_one() {
    let answer = run(&["twice"], &RecordQuarantines::new()).unwrap();
    assert_eq!(
        answer.faults,
        [Fault {
            position: 0,
            reason: "one; two".into(),
            by_host: false,
            canary: false,
        }]
    );
}

#[test]
fn too_many_broken_records_or_one_lie_are_the_versions_fault() {
    let all = vec!["trap"; limits::BROKEN_RECORDS_PER_BATCH_MAX + 1];
    assert_eq!(
        run(&all, &RecordQuarantines::new()),
        Err(VersionFault::TooManyBroken {
            last: "it broke".into()
        })
    );
    let words = run(&all, &RecordQuarantines::new())
        .unwrap_err()
        .to_string();
    assert!(
        words.contains("more than 100") && words.contains("counts as 10"),
        "{words}"
    );
    assert!(run(&all[1..], &RecordQuarantines::new()).is_ok());
    assert!(matches!(
        run(&["a", "lie"], &RecordQuarantines::new()),
        Err(VersionFault::Contract(_))
    ));
}

#[test]
fn accumulators_are_those_of_the_calls_that_a_replay_makes() {
    let records = [
        ("a=1", 1),
        ("b=2", 2),
        ("trap", 95),
        ("a=3", 11),
        ("a=4", 12),
        ("drop", 3),
        ("trap", 4),
        ("a=5", 13),
    ];
    let chunk = timed_chunk((0, 3), 7, &records);
    let (version, calls) = runnable_that(usize::MAX);
    let answer = run_on(&version, &chunk, &RecordQuarantines::new()).unwrap();
    assert_eq!(
        parts(&answer.keyed),
        ["a@0 [1]", "b@0 [2]", "a@10 [3 4]", "a@10 [5]"]
    );
    assert_eq!(
        (answer.dropped, answer.late, answer.largest_ms),
        (1, 0, 13),
        "what breaks brings no event time"
    );
    let quarantines = quarantines_of(&chunk, &answer);
    assert_eq!(
        quarantines
            .keys()
            .map(|(_, offset)| *offset)
            .collect::<Vec<_>>(),
        [9, 13]
    );

    calls.lock().unwrap().clear();
    assert_eq!(run_on(&version, &chunk, &quarantines), Ok(answer));
    assert_eq!(
        *calls.lock().unwrap(),
        [
            "transform a=1,b=2",
            "transform a=3,a=4,drop",
            "transform a=5"
        ]
    );
}

#[test]
fn halves_are_asked_where_the_whole_is_too_much_and_so_in_a_replay() {
    let chunk = timed_chunk(
        (0, 0),
        0,
        &[("a=1", 1), ("a=2", 2), ("a=3", 3), ("trap", 4), ("a=4", 5)],
    );
    let (version, _) = runnable_that(2);
    let answer = run_on(&version, &chunk, &RecordQuarantines::new()).unwrap();
    assert_eq!(parts(&answer.keyed), ["a@0 [1]", "a@0 [2 3]", "a@0 [4]"]);
    for version in [version, guest_version()] {
        assert_eq!(
            run_on(&version, &chunk, &quarantines_of(&chunk, &answer)),
            Ok(answer.clone()),
            "whatever fits now"
        );
    }
}

#[test]
fn a_key_that_is_too_long_is_set_aside_alone() {
    let long = format!("{}=1", "k".repeat(limits::KEYED_KEY_BYTES_MAX + 1));
    let chunk = timed_chunk((0, 0), 0, &[("a=1", 1), (&long, 2), (&long[1..], 3)]);
    let answer = run_on(&guest_version(), &chunk, &RecordQuarantines::new()).unwrap();
    assert_eq!(
        answer
            .keyed
            .iter()
            .map(|keyed| keyed.keys.len())
            .collect::<Vec<_>>(),
        [1, 1]
    );
    let fault = "a key of stage `windows` has 32001 bytes, over 32000";
    assert_eq!(
        answer.faults,
        [Fault {
            position: 1,
            reason: fault.into(),
            by_host: true,
            canary: false,
        }]
    );
}

/// Chunks of two partitions of the timed source, and one of the other. In partition 0 the second
/// chunk's first record is late by the first chunk's last.
fn batch() -> Vec<Chunk> {
    vec![
        timed_chunk((0, 0), 0, &[("a=1", 5), ("b=2", 25)]),
        timed_chunk((0, 0), 2, &[("a=3", 9), ("a=4", 21)]),
        timed_chunk((0, 0), 4, &[("b=5", 31), ("a=6", 19)]),
        timed_chunk((0, 1), 0, &[("a=7", 9), ("late=8", 1)]),
        timed_chunk((1, 0), 0, &[("row", 0)]),
        timed_chunk((1, 0), 1, &[("row", 0)]),
    ]
}

#[test]
fn chunks_of_a_partition_know_the_event_time_of_those_before() {
    let mut times = times();
    times.partitions.insert(Partition { source: 0, id: 1 }, 10);
    for lanes in [1, 2, 4] {
        let mut lanes = Lanes::start("fake", lanes, Arc::default()).unwrap();
        for _ in 0..20 {
            let (chunks, answers) = lanes.run(&guest_version(), batch(), None, &times);
            assert_eq!(chunks, batch());
            let answers = answers.unwrap();
            let largest: Vec<_> = answers.iter().map(|answer| answer.largest_ms).collect();
            assert_eq!(largest, [25, 25, 31, 10, 0, 0]);
            assert_eq!(
                answers.iter().map(|answer| answer.late).collect::<Vec<_>>(),
                [0, 1, 1, 2, 0, 0]
            );
            assert_eq!(
                answers.iter().map(|answer| answer.dropped).sum::<u64>(),
                0,
                "what is late is not dropped"
            );
            let keyed: Vec<_> = answers
                .into_iter()
                .flat_map(|answer| answer.keyed)
                .collect();
            assert_eq!(
                parts(&keyed),
                ["a@0 [1]", "b@20 [2]", "a@20 [4]", "b@30 [5]"]
            );
        }
    }
}

/// `groups` with one partial each, but every third with two and an accumulator.
fn partials(groups: &[&str]) -> Partials {
    let mut partials = Partials::default();
    for (i, group) in groups.iter().enumerate() {
        let more = i % 3 == 0;
        partials
            .accumulators
            .push(if more { b"so far " } else { b"" });
        if !more {
            partials.absent.push(i as u32);
        }
        partials.partials.push(group.as_bytes());
        if more {
            partials.partials.push(b" more");
        }
        partials.group_ends.push(partials.partials.len() as u32);
    }
    partials
}

fn finished(keys: &[&str]) -> Finished {
    let starts_ms = vec![0; keys.len()];
    let (keys, accumulators) = (column(keys), column(keys));
    Finished::Groups(Groups {
        keys,
        accumulators,
        ends_ms: starts_ms.clone(),
        starts_ms,
    })
}

fn quarantines_of_groups(
    aside: &[streamhost_core::contract::QuarantinedGroup],
) -> GroupQuarantines {
    aside
        .iter()
        .map(|aside| {
            (
                (aside.stage, aside.phase, aside.index),
                aside.reason.clone(),
            )
        })
        .collect()
}

#[test]
fn groups_that_break_the_guest_are_found_and_only_they_fail() {
    let (version, calls) = runnable_that(usize::MAX);
    let mut lanes = Lanes::start("fake", 2, Arc::default()).unwrap();
    let mut guest = lanes.calls(&version, GroupQuarantines::new());
    let first = guest
        .combine(WINDOWS, &partials(&["a", "b", "trap", "c"]))
        .unwrap();
    assert_eq!(
        first.accumulators,
        column(&["so far a more", "b", "", "so far c more"])
    );
    assert_eq!(
        first.faults,
        [GroupFault {
            at: 2,
            reason: "it broke".into(),
            by_host: true
        }]
    );
    let second = guest
        .combine(WINDOWS, &partials(&["trap", "d", "e", "trap"]))
        .unwrap();
    assert_eq!(second.accumulators, column(&["", "d", "e", ""]));
    let made = guest
        .finish(
            WINDOWS,
            MOMENT,
            &finished(&["a", "trap", "fault", "b", "c"]),
        )
        .unwrap();
    assert_eq!(values(&made.rows[0]), ["a", "b", "c"]);
    assert_eq!(
        parts(&made.keyed),
        ["all@0 [a]", "all@0 [fault b c]"],
        "in the replay's calls"
    );
    let faults: Vec<_> = made
        .faults
        .iter()
        .map(|fault| (fault.at, fault.reason.as_str(), fault.by_host))
        .collect();
    assert_eq!(faults, [(1, "it broke", true), (2, "refused", false)]);
    let aside = guest.quarantined();
    let places: Vec<_> = aside
        .iter()
        .map(|aside| (aside.stage, aside.phase, aside.index))
        .collect();
    let (combine, finish) = (Phase::Combine, Phase::Finish);
    assert_eq!(
        places,
        [
            (2, combine, 2),
            (2, combine, 4),
            (2, combine, 7),
            (2, finish, 1)
        ]
    );

    calls.lock().unwrap().clear();
    let mut again = lanes.calls(&version, quarantines_of_groups(&aside));
    assert_eq!(
        again.combine(WINDOWS, &partials(&["a", "b", "trap", "c"])),
        Ok(first)
    );
    assert_eq!(
        again.combine(WINDOWS, &partials(&["trap", "d", "e", "trap"])),
        Ok(second)
    );
    assert_eq!(
        again.finish(
            WINDOWS,
            MOMENT,
            &finished(&["a", "trap", "fault", "b", "c"])
        ),
        Ok(made)
    );
    assert_eq!(again.quarantined(), aside);
    let calls = calls.lock().unwrap();
    assert!(
        calls.iter().all(|call| !call.contains("trap")),
        "they are not tried again: {calls:?}"
    );
}

#[test]
fn many_groups_are_asked_in_slices_which_do_not_depend_on_lanes() {
    let n = 3 * limits::KEYED_CALL_GROUPS_MAX + 5;
    let mut words: Vec<String> = (0..n).map(|i| format!("w{i}")).collect();
    for broken in [
        0,
        limits::KEYED_CALL_GROUPS_MAX,
        limits::KEYED_CALL_GROUPS_MAX + 7,
        n - 1,
    ] {
        words[broken] = format!("trap{broken}");
    }
    words[n - 2] = "fault".into();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let mut outcomes = Vec::new();
    for lanes in [1, 2, 3] {
        let mut lanes = Lanes::start("fake", lanes, Arc::default()).unwrap();
        let version = guest_version();
        let mut run = |quarantines| {
            let mut calls = lanes.calls(&version, quarantines);
            let combined = calls.combine(WINDOWS, &partials(&words)).unwrap();
            let made = calls.finish(WINDOWS, MOMENT, &finished(&words)).unwrap();
            (combined, made, calls.quarantined())
        };
        let outcome = run(GroupQuarantines::new());
        assert_eq!(
            run(quarantines_of_groups(&outcome.2)),
            outcome,
            "a replay's"
        );
        outcomes.push(outcome);
    }
    assert!(outcomes.windows(2).all(|two| two[0] == two[1]));
    let (combined, made, aside) = &outcomes[0];
    assert_eq!(
        (combined.accumulators.len(), values(&made.rows[0]).len()),
        (n, n - 5)
    );
    assert_eq!(combined.accumulators.get(n - 3), words[n - 3].as_bytes());
    let max = limits::KEYED_CALL_GROUPS_MAX;
    assert_eq!(
        combined
            .faults
            .iter()
            .map(|fault| fault.at)
            .collect::<Vec<_>>(),
        [0, max, max + 7, n - 1]
    );
    assert_eq!(
        made.faults.iter().map(|fault| fault.at).collect::<Vec<_>>(),
        [0, max, max + 7, n - 2, n - 1]
    );
    assert_eq!(aside.len(), 8);
    let calls: Vec<_> = parts(&made.keyed)
        .iter()
        .map(|all| all.split(' ').count() - 1)
        .collect();
    assert_eq!(
        calls,
        [max - 1, 6, max - 8, max, 4],
        "one call between what breaks, slice by slice"
    );
}

#[test]
fn what_breaks_in_a_batch_is_counted_together() {
    let half = limits::BROKEN_RECORDS_PER_BATCH_MAX / 2;
    let mut lanes = Lanes::start("fake", 2, Arc::default()).unwrap();
    let version = guest_version();
    let (_, answers) = lanes.run(&version, vec![chunk(&vec!["trap"; half])], None, &times());
    assert_eq!(answers.unwrap()[0].faults.len(), half);
    let mut calls = lanes.calls(&version, GroupQuarantines::new());
    assert_eq!(
        calls
            .combine(WINDOWS, &partials(&vec!["trap"; half]))
            .unwrap()
            .faults
            .len(),
        half
    );
    let broken = Err(VersionFault::TooManyBroken {
        last: "it broke".into(),
    });
    assert_eq!(
        calls.finish(WINDOWS, MOMENT, &finished(&["a", "trap"])),
        broken
    );
    assert!(
        lanes
            .run(&version, Vec::new(), None, &times())
            .1
            .unwrap()
            .is_empty()
    );
    let mut next = lanes.calls(&version, GroupQuarantines::new());
    assert_eq!(
        next.finish(WINDOWS, MOMENT, &finished(&["a", "trap"]))
            .unwrap()
            .faults
            .len(),
        1,
        "a batch of its own"
    );
}

#[test]
fn nothing_is_asked_for_nothing_and_what_is_finished_is_never_late() {
    let (version, calls) = runnable_that(usize::MAX);
    let mut lanes = Lanes::start("fake", 1, Arc::default()).unwrap();
    let mut guest = lanes.calls(&version, GroupQuarantines::new());
    assert_eq!(
        guest.combine(WINDOWS, &Partials::default()),
        Ok(Combined::default())
    );
    assert_eq!(
        guest.finish(WINDOWS, MOMENT, &finished(&[])).unwrap().rows,
        [vec![]]
    );
    assert_eq!(calls.lock().unwrap().len(), 0);
    let late = guest.finish(WINDOWS, MOMENT, &finished(&["a", "late"]));
    assert!(
        matches!(&late, Err(VersionFault::Contract(broken)) if broken.contains("never late")),
        "{late:?}"
    );
}

#[test]
fn accumulators_are_migrated_or_the_version_is_refused() {
    let mut lanes = Lanes::start("fake", 2, Arc::default()).unwrap();
    let version = guest_version();
    let mut guest = lanes.calls(&version, GroupQuarantines::new());
    let old: Vec<String> = (0..limits::KEYED_CALL_GROUPS_MAX + 3)
        .map(|i| i.to_string())
        .collect();
    let new: Vec<String> = old.iter().map(|old| format!("new {old}")).collect();
    let texts = |all: &[String]| column(&all.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(guest.migrate(WINDOWS, &texts(&old)), Ok(texts(&new)));
    let lost = guest
        .migrate(WINDOWS, &column(&["a", "lost"]))
        .unwrap_err()
        .to_string();
    assert_eq!(
        lost,
        "an answer breaks the contract: `migrate` gave 1 accumulators for 2"
    );
    let broken = guest
        .migrate(WINDOWS, &column(&["a", "trap"]))
        .unwrap_err()
        .to_string();
    assert_eq!(
        broken,
        "it cannot take over the state of stage `windows`: `migrate` broke with: it broke"
    );
    assert_eq!(
        guest.migrate(WINDOWS, &column(&["a"])),
        Ok(column(&["new a"])),
        "with another guest"
    );
}

#[test]
fn a_warm_version_was_called_in_every_way() {
    let (version, calls) = runnable_that(usize::MAX);
    version.warm(2).unwrap();
    let once = [
        "transform ",
        "transform ",
        "combine ",
        "finish ",
        "combine ",
        "finish ",
        "migrate ",
    ];
    assert_eq!(*calls.lock().unwrap(), [once, once].concat());
}

#[test]
fn a_version_that_breaks_on_nothing_is_refused_by_the_call_that_broke() {
    for (tires_after, said) in [
        (0, "`transform` of stage `timed`"),
        (2, "`combine` of stage `windows`"),
        (3, "`finish` of stage `windows`"),
        (6, "`migrate` of stage `all`"),
    ] {
        let refused = runnable_of(Traits {
            tires_after,
            ..Traits::default()
        })
        .0
        .warm(1)
        .unwrap_err()
        .to_string();
        let why = "it needs more than all of memory (limits.memory)";
        assert_eq!(
            refused,
            format!("it breaks when {said} is called with nothing: {why}")
        );
    }
}

/// A guest may keep what it likes, and one that runs for weeks may fill its memory with it: no
/// record is at fault then.
#[test]
fn no_verdict_comes_from_a_guest_that_has_answered_before() {
    let (version, calls) = runnable_of(Traits {
        tires_after: 2,
        ..Traits::default()
    });
    let mut lanes = Lanes::start("fake", 1, Arc::default()).unwrap();
    for _ in 0..5 {
        for stage in [0, 1] {
            let chunk = timed_chunk((stage, 0), 0, &[("a=1", 1)]);
            let answers = lanes.run(&version, vec![chunk], None, &times()).1.unwrap();
            assert_eq!(
                (&answers[0].faults, &answers[0].splits),
                (&Vec::new(), &Vec::new())
            );
        }
        let mut guest = lanes.calls(&version, GroupQuarantines::new());
        assert_eq!(
            guest.combine(WINDOWS, &partials(&["b"])).unwrap().faults,
            []
        );
        assert_eq!(
            guest
                .finish(WINDOWS, MOMENT, &finished(&["b"]))
                .unwrap()
                .faults,
            []
        );
        assert!(guest.migrate(WINDOWS, &column(&["c"])).is_ok());
    }
    let asked = calls.lock().unwrap().len();
    assert_eq!(asked, 25 + 25 / 2, "each third call was asked again");
    for _ in 0..3 {
        let answers = lanes
            .run(&version, vec![chunk(&["trap"])], None, &times())
            .1
            .unwrap();
        let reasons: Vec<_> = answers[0]
            .faults
            .iter()
            .map(|fault| fault.reason.as_str())
            .collect();
        assert_eq!(reasons, ["it broke"]);
    }
}

#[test]
fn lines_of_calls_that_are_asked_again_are_not_handed_on() {
    let traits = Traits::default();
    let told = traits.told.clone();
    let (version, _) = runnable_of(traits);
    run_on(
        &version,
        &chunk(&["a", "trap", "b"]),
        &RecordQuarantines::new(),
    )
    .unwrap();
    assert_eq!(
        *told.lock().unwrap(),
        ["transform a", "transform trap", "transform b"]
    );
}

/// A whole that ran out of time and whose halves did not: a replay on a quicker machine would else
/// make it one call, and one on a busier machine would cut it into more.
#[test]
fn a_replay_is_cut_and_judged_as_its_first_run_however_long_it_takes() {
    let per_item = |ms| {
        runnable_of(Traits {
            slow: Duration::from_millis(ms),
            ..Traits::default()
        })
    };
    let chunk = timed_chunk((0, 0), 5, &[("a=1", 1), ("a=2", 2), ("a=3", 3), ("a=4", 4)]);
    let groups = finished(&["a", "b", "c", "d"]);
    let run = |version: &Arc<GuestVersion>,
               quarantines: Option<RecordQuarantines>,
               of_groups: GroupQuarantines| {
        let mut lanes = Lanes::start("fake", 2, Arc::default()).unwrap();
        let answers = lanes
            .run(version, vec![chunk.clone()], quarantines, &times())
            .1
            .unwrap();
        let mut calls = lanes.calls(version, of_groups);
        let made = calls.finish(WINDOWS, MOMENT, &groups).unwrap();
        (answers, made, calls.quarantined())
    };
    let (version, calls) = per_item(400);
    let first = run(&version, None, GroupQuarantines::new());
    assert_eq!(
        (parts(&first.0[0].keyed), &first.0[0].splits),
        (vec!["a@0 [1 2]".into(), "a@0 [3 4]".into()], &vec![2])
    );
    assert_eq!(parts(&first.1.keyed), ["all@0 [a b]", "all@0 [c d]"]);
    let seen = calls.lock().unwrap().clone();
    let slow = "4 records or groups in one call are too much, so they are run in parts, which takes longer: it ran longer than 1s (limits.time)";
    let of_chunk = [
        "transform a=1,a=2,a=3,a=4",
        "transform a=1,a=2",
        "transform a=3,a=4",
        &format!("warn: {slow}"),
    ];
    assert_eq!(
        seen[..4],
        of_chunk,
        "a new guest is no faster, and once a batch it is said"
    );
    assert_eq!(seen[4..], ["finish a,b,c,d", "finish a,b", "finish c,d"]);

    let (quarantines, of_groups) = (
        quarantines_of(&chunk, &first.0[0]),
        quarantines_of_groups(&first.2),
    );
    assert_eq!((quarantines.len(), of_groups.len()), (1, 1));
    for ms in [0, 40_000] {
        let (version, calls) = per_item(ms);
        assert_eq!(
            run(&version, Some(quarantines.clone()), of_groups.clone()),
            first,
            "{ms} ms each"
        );
        assert_eq!(calls.lock().unwrap().len(), 4);
    }
    let single = timed_chunk((1, 0), 0, &[("a", 0)]);
    let mut lanes = Lanes::start("fake", 1, Arc::default()).unwrap();
    let (slow, _) = per_item(40_000);
    let mut faults = |quarantines| {
        lanes
            .run(&slow, vec![single.clone()], quarantines, &times())
            .1
            .unwrap()[0]
            .faults
            .len()
    };
    assert_eq!(
        (faults(Some(RecordQuarantines::new())), faults(None)),
        (0, 1),
        "what is planned went well"
    );
}

#[test]
fn a_replay_has_all_the_memory_and_its_guests_go_with_it() {
    let (version, _) = runnable_that(1);
    let mut lanes = Lanes::start("fake", 1, Arc::default()).unwrap();
    let two = || vec![timed_chunk((0, 0), 0, &[("a=1", 1), ("a=2", 2)])];
    for (quarantines, splits) in [(None, 1), (Some(RecordQuarantines::new()), 0), (None, 1)] {
        assert_eq!(
            lanes.run(&version, two(), quarantines, &times()).1.unwrap()[0]
                .splits
                .len(),
            splits
        );
    }
}

#[test]
fn the_answers_of_one_batch_are_bounded_together() {
    let version = guest_version();
    let mut lanes = Lanes::start("fake", 2, Arc::default()).unwrap();
    lanes.terms.large = LargeBatches::beyond(1000, 1, 2000);
    let long = "x".repeat(800);
    let mut run = |chunks| lanes.run(&version, chunks, None, &times()).1;
    let too_much = |fault: VersionFault, stage: &str| {
        let words = fault.to_string();
        assert!(
            words.contains(&format!(
                "what it answered is over 2.0 KiB, at stage `{stage}`"
            )),
            "{words}"
        );
    };
    assert!(run(vec![chunk(&[&long]); 2]).is_ok());
    too_much(run(vec![chunk(&[&long]); 3]).unwrap_err(), "untimed");
    too_much(
        run(vec![chunk(&[&long, &long, &long])]).unwrap_err(),
        "untimed",
    );
    // What breaks is asked again from the beginning: what was answered before is let go.
    let again = [
        ("a=trap", 1),
        (&format!("a={long}"), 2),
        ("a=trap", 3),
        (&format!("b={long}"), 4),
    ];
    assert_eq!(
        run(vec![timed_chunk((0, 0), 0, &again)]).unwrap()[0]
            .keyed
            .len(),
        2
    );

    assert!(run(vec![chunk(&[&long])]).is_ok());
    let mut calls = lanes.calls(&version, GroupQuarantines::new());
    assert!(calls.combine(WINDOWS, &partials(&[&long])).is_ok());
    too_much(
        calls
            .finish(WINDOWS, MOMENT, &finished(&[&long[..700]]))
            .unwrap_err(),
        "windows",
    );
    for _ in 0..5 {
        assert!(
            calls.migrate(WINDOWS, &column(&[&long, &long])).is_ok(),
            "each portion is let go before the next"
        );
    }
    too_much(
        calls
            .migrate(WINDOWS, &column(&[&long, &long, &long]))
            .unwrap_err(),
        "windows",
    );
}

#[test]
fn a_large_batch_waits_for_its_turn_and_has_it_until_it_is_delivered() {
    let version = guest_version();
    let stop: Arc<AtomicBool> = Arc::default();
    let large = LargeBatches::beyond(1000, 1, 2000);
    let (told, waits) = mpsc::channel();
    let lanes = Lanes::start("fake", 2, stop.clone()).unwrap();
    let tell = Arc::new(move |waits| told.send(waits).unwrap());
    let mut lanes = lanes.in_turns(large.clone(), tell);
    let long = "x".repeat(800);
    let run = |lanes: &mut Lanes, chunks| {
        let answers = lanes.run(&version, vec![chunk(&[&long]); chunks], None, &times());
        answers.1.map(|answers| answers.len())
    };
    assert_eq!(run(&mut lanes, 1), Ok(1));
    assert!(lanes.take_turn().is_none(), "it needs none");

    let others = large.take(&stop, || unreachable!("it is free"));
    std::thread::scope(|scope| {
        let ran = scope.spawn(|| run(&mut lanes, 2));
        assert_eq!(waits.recv(), Ok(true));
        drop(others);
        assert_eq!(ran.join().unwrap(), Ok(2));
    });
    assert_eq!(waits.recv(), Ok(false));
    let delivered = lanes.take_turn();
    assert!(delivered.is_some());

    // The next one of the same job waits for it too, and a stop ends that.
    std::thread::scope(|scope| {
        let ran = scope.spawn(|| run(&mut lanes, 2));
        assert_eq!(waits.recv(), Ok(true));
        stop.store(true, Ordering::SeqCst);
        assert_eq!(ran.join().unwrap(), Err(VersionFault::Stopped));
    });
    drop(delivered);
    assert!(
        large
            .take(&AtomicBool::new(false), || unreachable!("all are back"))
            .is_some()
    );
}

#[test]
fn a_stop_ends_what_is_asked_and_is_no_verdict() {
    for count in [1, 3] {
        let stop = Arc::new(AtomicBool::new(false));
        let (version, calls) = runnable_of(Traits {
            stop: stop.clone(),
            ..Traits::default()
        });
        let mut lanes = Lanes::start("fake", count, stop).unwrap();
        let values = ["a", "b", "c", "stop", "d"];
        assert_eq!(
            lanes
                .run(&version, vec![chunk(&values); 4], None, &times())
                .1,
            Err(VersionFault::Stopped)
        );
        assert!(
            calls.lock().unwrap().len() <= count,
            "nothing is asked in halves"
        );
        calls.lock().unwrap().clear();
        assert_eq!(
            lanes.run(&version, vec![chunk(&["a"])], None, &times()).1,
            Err(VersionFault::Stopped)
        );
        let mut guest = lanes.calls(&version, GroupQuarantines::new());
        assert_eq!(
            guest.combine(WINDOWS, &partials(&["a"])),
            Err(VersionFault::Stopped)
        );
        assert_eq!(
            guest.finish(WINDOWS, MOMENT, &finished(&["a"])),
            Err(VersionFault::Stopped)
        );
        assert_eq!(
            guest.migrate(WINDOWS, &column(&["a"])),
            Err(VersionFault::Stopped)
        );
        assert_eq!(calls.lock().unwrap().len(), 0);
    }
}
