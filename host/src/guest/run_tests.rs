use super::*;
use crate::job::{ColumnPlan, SinkKind, SinkPlan};
use crate::record::{Column, Kind, Record};
use crate::sink::RowLimits;

/// Answers a row a record; what a value says happens to it.
struct Fake {
    dead: bool,
}

impl Guest for Fake {
    fn transform(&mut self, _: u32, chunk: &Chunk, time: Duration) -> Result<Answer, GuestFault> {
        assert!(!self.dead, "a guest was called after its fault");
        let mut rows = Rows::default();
        let mut faults = Vec::new();
        for (i, value) in chunk.values.iter().enumerate() {
            match value {
                b"trap" => {
                    self.dead = true;
                    return Err(GuestFault::Trap("it broke".into()));
                }
                b"loop" => {
                    self.dead = true;
                    return Err(GuestFault::Time(time));
                }
                b"fault" => faults.push((i as u32, "refused".to_string())),
                b"twice" => faults.extend([(i as u32, "one".to_string()), (i as u32, "two".to_string())]),
                b"drop" => {}
                b"lie" => rows.positions.push(99),
                b"no key" => add(&mut rows, i, b"", value),
                _ => add(&mut rows, i, b"k", value),
            }
        }
        Ok(Answer { faults, rows: vec![rows] })
    }
}

fn add(rows: &mut Rows, position: usize, key: &[u8], value: &[u8]) {
    rows.positions.push(position as u32);
    rows.cells.push(key);
    rows.cells.push(value);
}

fn runnable() -> Arc<Runnable> {
    let columns = vec![ColumnPlan { name: "f:v".into(), kind: Kind::Bytes, optional: false }];
    let (name, place) = ("s".to_string(), "s".to_string());
    let plan =
        SinkPlan { kind: SinkKind::Hbase, name, place, keyed: true, dynamic: false, columns, exactly_once: false };
    let limits = RowLimits { key_bytes: 1..=10, cell_bytes_max: 100, row_bytes_max: 1000 };
    let make: Maker = Box::new(|| Ok(Box::new(Fake { dead: false })));
    Arc::new(Runnable::new(make, Duration::from_secs(1), vec![Shape::new(&plan, limits)]))
}

fn chunk(values: &[&str]) -> Chunk {
    let mut chunk = Chunk::new(Partition { source: 0, id: 0 });
    for (i, value) in values.iter().enumerate() {
        chunk.push(Record { offset: 100 + i as i64, time_ms: 0, key: None, value: Some(value.as_bytes()) });
    }
    chunk
}

fn run(values: &[&str], verdicts: &Verdicts) -> Result<ChunkAnswer, VersionFault> {
    Lane::default().run(&runnable(), &chunk(values), verdicts, &Budget::default())
}

/// The values of the rows, in order.
fn values(answer: &ChunkAnswer) -> Vec<String> {
    let cells = |rows: &Rows| {
        let cells: &Column = &rows.cells;
        (0..rows.len()).map(|row| String::from_utf8_lossy(cells.get(2 * row + 1)).into_owned()).collect::<Vec<_>>()
    };
    answer.rows[0].iter().flat_map(cells).collect()
}

#[test]
fn a_chunk_that_breaks_loses_only_the_records_that_break_it() {
    let answer = run(&["a", "trap", "b", "fault", "drop", "c", "loop", "no key", "d"], &Verdicts::new()).unwrap();
    assert_eq!(values(&answer), ["a", "b", "c", "d"]);
    let faults: Vec<_> = answer.faults.iter().map(|f| (f.position, f.reason.as_str(), f.by_host)).collect();
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
    let at = |offset| (Partition { source: 0, id: 0 }, offset);
    let verdicts: Verdicts = [(at(100), "of before".to_string()), (at(102), "too".to_string())].into();
    let answer = run(&["a", "b", "trap", "c"], &verdicts).unwrap();
    assert_eq!(values(&answer), ["b", "c"]);
    assert_eq!(answer.faults.iter().map(|f| f.reason.as_str()).collect::<Vec<_>>(), ["of before", "too"]);
    assert!(run(&["trap"], &[(at(100), "of before".to_string())].into()).is_ok(), "it is not tried again");
}

#[test]
fn several_faults_of_one_record_are_one() {
    let answer = run(&["twice"], &Verdicts::new()).unwrap();
    assert_eq!(answer.faults, [Fault { position: 0, reason: "one; two".into(), by_host: false }]);
}

#[test]
fn too_many_broken_records_or_one_lie_are_the_versions_fault() {
    let all = vec!["trap"; limits::BROKEN_RECORDS_PER_BATCH_MAX + 1];
    assert_eq!(run(&all, &Verdicts::new()), Err(VersionFault::TooManyBroken { last: "it broke".into() }));
    assert!(run(&all[1..], &Verdicts::new()).is_ok());
    assert!(matches!(run(&["a", "lie"], &Verdicts::new()), Err(VersionFault::Promise(_))));
}

#[test]
fn patience_shrinks_on_the_way_to_a_verdict_and_not_for_it() {
    let time = Duration::from_secs(2);
    assert_eq!(patience(time, 2048, 4096), time);
    assert_eq!(patience(time, 1024, 4096), time / 2);
    assert_eq!(patience(time, 2, 4096), Duration::from_millis(100));
    assert_eq!(patience(time, 1, 4096), time);
}
