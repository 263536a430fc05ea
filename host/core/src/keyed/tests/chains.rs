//! Chains of keyed stages, batch by batch: a table of jobs, and what each comes to.

use super::*;
use crate::state::memory::MemoryState;
use crate::types::{END_OF_TIME_MS, NO_TIME_MS};

/// Numbers of one key are added up. The jobs are told by name (see [`named`]), then:
///
/// - `batch WATERMARK RECORD…`: a batch after which event time has come so far (`-` not yet, `end`
///   for good); a record is `SOURCE:KEY=NUMBER@TIME`;
/// - `row …`: what it gives, `KEY [SUM] START..END` of the last stage, sorted;
/// - `late N`: items of a stage that came too late for the stage behind it.
const CASES: &str = "\
job sessions-then-windows
batch 0 in:a=1@0
batch 10 in:b=2@10
batch 11 in:b=3@11
row all [1] 0..10
batch 31 in:c=4@31
row all [5] 20..30
batch 52 in:c=5@52
row all [4] 40..50
batch end
row all [5] 60..70

job lenient-sessions-then-hops
batch 0 in:a=1@0 in:b=2@0
batch 15 in:a=3@10 in:b=4@15
batch 25 in:a=5@25
row all [2] -10..10
batch 26 in:c=6@26
row all [6] 0..20
batch 41 in:c=7@41
row all [8] 10..30
batch 60 in:d=8@60
row all [11] 30..50
row all [15] 20..40
batch end
row all [15] 50..70
row all [7] 40..60
row all [8] 60..80

job hops-then-windows
batch 5 in:a=1@0 in:a=2@5
batch 12 in:b=3@12
batch 20 in:a=4@19 in:a=5@20
row all [13] 0..20
batch 40 in:a=6@40
row all [17] 20..40
batch end
row all [12] 40..60

job lenient-windows-then-sessions
batch 9 in:a=1@0 in:a=2@9
batch 15 in:a=3@15
batch 25 in:b=4@25
batch 35 in:a=5@35
row a [6] 9..29
batch 36 in:b=6@36
batch 60 in:a=7@60
row a [5] 39..49
row b [10] 29..49
batch end
row a [7] 69..79

job windows-then-each-batch
batch 9 in:a=1@0 in:b=2@9
batch 20 in:a=3@12 in:b=4@20
row t0 [3] 0..0
row t10 [3] 0..0
batch end
row t20 [4] 0..0

job left-join-then-windows
batch - in:a=1@0 in:b=2@3
batch 3 right:a=10@4
batch 13 in:c=3@13 right:x=0@13
batch 20 in:x=0@20 right:x=0@20
row all [13] 0..10
batch 34 in:y=0@34 right:y=0@34
row all [3] 10..20
batch end
row all [0] 20..30
row all [0] 30..40

job lookup-then-windows
batch - table:a=100@0
batch 20 in:a=1@20
batch 20 in:a=2@9 in:b=3@15
late 2
batch 40 in:a=4@10 in:b=5@40
row a [101] 20..30
late 1
batch end
row b [5] 40..50

job lookup-then-sessions
batch - table:a=100@0
batch 20 in:a=1@20
batch 20 in:a=2@9 in:b=3@10
late 1
batch 41 in:b=4@41
row a [101] 20..30
row b [3] 10..20
batch end
row b [4] 41..51

job lookup-then-left-join-then-windows
batch - table:a=100@0
batch 20 in:a=1@20 right:a=10@20
batch 20 in:a=2@14 in:a=3@15
late 1
batch 60 in:b=4@60 right:b=20@60
row all [224] 20..30
batch end
row all [24] 60..70
";
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
        offset_ms: 0,
        updates_ms: 0,
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
        partners: Partners::within(within_ms),
        lateness_ms,
        left: true,
        right: false,
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
            gives_timers: true,
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
            (1 << 30, &|| false),
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
fn chains_come_to_what_the_table_says() {
    let (mut told, mut job) = (String::new(), None);
    for line in CASES
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
    assert!(told == CASES, "{told}");
}
