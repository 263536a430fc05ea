//! The keyed stages and the SDK's driver for tests, which are written apart from each other, give
//! the same: each is held against `tests/agreement.txt`, which says what its lines mean.

use super::*;
use crate::state::memory::MemoryState;
use crate::types::{END_OF_TIME_MS, NO_TIME_MS};

const AGREED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/agreement.txt");
const CLOCK_MS: i64 = 0;

/// A job in the middle of its batches.
struct Live {
    /// Its sources by name, and the stage and side that each feeds.
    sources: Vec<(&'static str, usize, u8)>,
    spec: JobSpec,
    rekeys: Vec<Rekey>,
    state: MemoryState,
    batch: u64,
    reached_ms: i64,
    late_thresholds_ms: BTreeMap<String, i64>,
}

fn windows(form: WindowForm, lateness_ms: i64) -> StageKind {
    StageKind::Window(Window {
        form,
        lateness_ms,
        processing_time: false,
        early: false,
    })
}

fn panes(size_ms: i64, hop_ms: i64, lateness_ms: i64) -> StageKind {
    windows(WindowForm::Panes { size_ms, hop_ms }, lateness_ms)
}

fn sessions(gap_ms: i64, lateness_ms: i64) -> StageKind {
    windows(WindowForm::Session { gap_ms }, lateness_ms)
}

fn left_join(within_ms: i64, lateness_ms: i64) -> StageKind {
    StageKind::Join(Join {
        within_ms,
        lateness_ms,
        left: true,
    })
}

/// A chain of stages, each with the key of what it gives. Joins and lookups take their right sides
/// from `right` and `table`.
fn live(stages: &[(StageKind, Rekey)]) -> Live {
    let mut sources = vec![("in", 0, 0)];
    for (i, (kind, _)) in stages.iter().enumerate() {
        match kind {
            StageKind::Join(_) => sources.push(("right", i, 1)),
            StageKind::Lookup => sources.push(("table", i, 1)),
            _ => {}
        }
    }
    let of_stage = |(i, (kind, _)): (usize, &(StageKind, Rekey))| {
        let of_sources = (0..)
            .zip(&sources)
            .filter(|(_, source)| source.1 == i)
            .map(|(source, _)| source);
        let before = i
            .checked_sub(1)
            .map(|before| (sources.len() + before) as u32);
        stage(
            &format!("stage{i}"),
            *kind,
            of_sources.chain(before).collect(),
        )
    };
    let intents = stages.iter().enumerate().map(of_stage).collect();
    let spec = spec(
        sources
            .iter()
            .map(|(name, ..)| source(*name == "table"))
            .collect(),
        intents,
    );
    let rekeys = stages.iter().map(|(_, rekey)| *rekey).collect();
    Live {
        sources,
        spec,
        rekeys,
        state: MemoryState::default(),
        batch: 0,
        reached_ms: NO_TIME_MS,
        late_thresholds_ms: BTreeMap::new(),
    }
}

fn named(name: &str) -> Live {
    use Rekey::{All, Same, Time};
    match name {
        "sessions-then-windows" => live(&[(sessions(10, 0), All), (panes(10, 10, 0), Same)]),
        "lenient-sessions-then-hops" => live(&[(sessions(10, 5), All), (panes(20, 10, 0), Same)]),
        "hops-then-windows" => live(&[(panes(20, 10, 0), All), (panes(20, 20, 0), Same)]),
        "lenient-windows-then-sessions" => {
            live(&[(panes(10, 10, 5), Same), (sessions(10, 0), Same)])
        }
        "windows-then-each-batch" => {
            live(&[(panes(10, 10, 0), Time), (StageKind::EachBatch, Same)])
        }
        "left-join-then-windows" => live(&[(left_join(5, 2), All), (panes(10, 10, 0), Same)]),
        "lookup-then-windows" => live(&[(StageKind::Lookup, Same), (panes(10, 10, 0), Same)]),
        "lookup-then-sessions" => live(&[(StageKind::Lookup, Same), (sessions(10, 10), Same)]),
        "lookup-then-left-join-then-windows" => live(&[
            (StageKind::Lookup, Same),
            (left_join(5, 5), All),
            (panes(10, 10, 0), Same),
        ]),
        other => panic!("there is no job {other}"),
    }
}

impl Live {
    /// What `transform` makes of one record.
    fn part(&self, record: &str) -> Keyed {
        let (name, record) = record.split_once(':').unwrap();
        let (record, time_ms) = record.split_once('@').unwrap();
        let (key, number) = record.split_once('=').unwrap();
        let (_, to, side) = *self.sources.iter().find(|source| source.0 == name).unwrap();
        let things = [(
            key.as_bytes().to_vec(),
            vec![number.parse().unwrap()],
            time_ms.parse().unwrap(),
        )];
        guest::keyed(&self.spec, Fold::Sum, to, side, CLOCK_MS, &things)
    }

    /// The last stage's rows, sorted, and how many items were late.
    fn batch(&mut self, records: &[&str], watermark_ms: i64) -> (Vec<String>, u64) {
        let parts = records.iter().map(|record| self.part(record)).collect();
        let before_ms = std::mem::replace(&mut self.reached_ms, watermark_ms);
        self.batch += 1;
        let late_thresholds_ms = std::mem::take(&mut self.late_thresholds_ms);
        let times = BatchTimes {
            batch: self.batch,
            clock_ms: CLOCK_MS,
            before_ms,
            watermark_ms,
            late_thresholds_ms: &late_thresholds_ms,
        };
        self.late_thresholds_ms = late_thresholds_after(&self.spec, times);
        let stages = self.spec.stages.len();
        let (folds, ids) = (
            vec![Fold::Sum; stages],
            (7..).take(stages).collect::<Vec<StageId>>(),
        );
        let mut guest = Guest {
            spec: &self.spec,
            folds: &folds,
            rekeys: &self.rekeys,
            slice: 7,
            asked: 0,
        };
        let made = run(
            &self.spec,
            &ids,
            parts,
            times,
            &mut self.state,
            &mut guest,
            &|| false,
        )
        .unwrap();
        assert_eq!(made.dead_letters, []);
        let last = format!("{}: ", stages - 1);
        let mut rows: Vec<String> = texts(&made)
            .iter()
            .filter_map(|row| row.strip_prefix(&last).map(str::to_owned))
            .collect();
        rows.sort();
        (rows, made.late)
    }
}

#[test]
fn the_stages_give_what_is_agreed() {
    let agreed = std::fs::read_to_string(AGREED).unwrap();
    let (mut told, mut job) = (String::new(), None);
    for line in agreed
        .lines()
        .filter(|line| !line.starts_with("row ") && !line.starts_with("late "))
    {
        told.extend([line, "\n"]);
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["job", name] => job = Some(named(name)),
            ["batch", watermark, ref records @ ..] => {
                let watermark_ms = match watermark {
                    "-" => NO_TIME_MS,
                    "end" => END_OF_TIME_MS,
                    time_ms => time_ms.parse().unwrap(),
                };
                let (rows, late) = job
                    .as_mut()
                    .expect("a job stands first")
                    .batch(records, watermark_ms);
                rows.iter().for_each(|row| told.extend(["row ", row, "\n"]));
                told.extend((late > 0).then(|| format!("late {late}\n")));
            }
            _ => {}
        }
    }
    assert!(told == agreed, "{told}");
}
