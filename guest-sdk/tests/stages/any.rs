//! Any records in any batches.

use super::*;

#[job]
fn any_tumbling() -> Job {
    let window = tumbling(millis(20)).watermark(millis(5));
    words("in")
        .key_by(|w| *w)
        .window(window)
        .count()
        .map(line)
        .to(console())
}

#[job]
fn any_hops() -> Job {
    words("in")
        .key_by(|w| *w)
        .window(hopping(millis(30), millis(10)))
        .count()
        .map(line)
        .to(console())
}

#[job]
fn any_sessions() -> Job {
    words("in")
        .key_by(|w| *w)
        .window(session(millis(4)).watermark(millis(7)))
        .count()
        .map(line)
        .to(console())
}

/// Numbers without a pattern, the same for the same seed.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// Partition, time and key.
type Sent = (u32, i64, &'static str);

fn any_records(dice: &mut Dice) -> Vec<Sent> {
    let mut at = [-30; 2];
    let more = (0..30 + dice.below(30)).map(|_| {
        let partition = dice.below(2) as usize;
        at[partition] += dice.below(7) as i64;
        (
            partition as u32,
            at[partition] - dice.below(25) as i64,
            ["a", "b", "c"][dice.below(3) as usize],
        )
    });
    // Both partitions are there from the first batch on: one that comes later is judged by the
    // others' pace.
    let mut records = vec![(0, -60, "a"), (1, -60, "b")];
    records.extend(more);
    records
}

/// Those that are on time, and how many are not. `is_late(time, largest)` says that what a time
/// belongs to is over.
fn on_time(
    records: &[Sent],
    is_late: impl Fn(i64, i64) -> bool,
) -> (Vec<(&'static str, i64)>, usize) {
    let (mut largest, mut kept) = ([i64::MIN; 2], Vec::new());
    for &(partition, time_ms, key) in records {
        let own = &mut largest[partition as usize];
        if *own == i64::MIN || !is_late(time_ms, *own) {
            kept.push((key, time_ms));
        }
        *own = time_ms.max(*own);
    }
    let late = records.len() - kept.len();
    (kept, late)
}

/// All rows of a job that is sent the records in random batches, sorted; and how many were late.
fn in_batches<J: for<'b> Fn(Call<'b>) -> Job<'b>>(
    job: J,
    records: &[Sent],
    dice: &mut Dice,
) -> (Vec<String>, usize) {
    let mut job = testing::run(job);
    let mut first = true;
    let mut rest = records;
    while !rest.is_empty() {
        let size = if first { 2 } else { 1 + dice.below(9) as usize };
        let (batch, more) = rest.split_at(size.min(rest.len()));
        for partition in [0, 1] {
            let mine = batch.iter().filter(|record| record.0 == partition);
            let mine: Vec<_> = mine
                .map(|(_, time_ms, key)| Record::from(*key).at(*time_ms))
                .collect();
            if !mine.is_empty() {
                job.with("in", partition, mine);
            }
        }
        job.pass(millis(1));
        (rest, first) = (more, false);
    }
    let mut rows = job.end().rows("console");
    rows.sort_unstable();
    (rows, job.late())
}

fn rows_of(counts: BTreeMap<(&str, i64, i64), u64>) -> Vec<String> {
    let mut rows: Vec<String> = counts
        .into_iter()
        .map(|((key, from, to), n)| format!("value={key} {n} {from}..{to}"))
        .collect();
    rows.sort_unstable();
    rows
}

/// What windows hold of the records, each of which counts for those that are open; and how many
/// count for none.
fn windows(records: &[Sent], size: i64, hop: i64, lateness: i64) -> (Vec<String>, usize) {
    let (mut largest, mut late, mut counts) = ([i64::MIN; 2], 0, BTreeMap::new());
    for &(partition, time_ms, key) in records {
        let own = &mut largest[partition as usize];
        let last = time_ms.div_euclid(hop) * hop;
        let all = (0..size / hop).map(|i| last - i * hop);
        let open: Vec<_> = all.filter(|start| start + size + lateness > *own).collect();
        late += usize::from(open.is_empty());
        for start in open {
            *counts.entry((key, start, start + size)).or_default() += 1;
        }
        *own = time_ms.max(*own);
    }
    (rows_of(counts), late)
}

fn gaps(kept: &[(&'static str, i64)], gap: i64) -> Vec<String> {
    let mut sorted = kept.to_vec();
    sorted.sort_unstable();
    let mut counts = BTreeMap::new();
    for part in sorted.chunk_by(|a, b| a.0 == b.0 && b.1 - a.1 <= gap) {
        counts.insert(
            (part[0].0, part[0].1, part[part.len() - 1].1 + gap),
            part.len() as u64,
        );
    }
    rows_of(counts)
}

/// Seeds of one run; `SEED=n` runs one alone.
pub(super) fn seeds() -> Vec<u64> {
    match std::env::var("SEED") {
        Ok(seed) => vec![seed.parse().expect("SEED is a number")],
        Err(_) => (0..20).collect(),
    }
}

#[test]
fn windows_are_the_same_in_any_batches() {
    for seed in seeds() {
        let mut dice = Dice(seed);
        let records = any_records(&mut dice);
        assert_eq!(
            in_batches(any_tumbling, &records, &mut dice),
            windows(&records, 20, 20, 5),
            "SEED={seed}"
        );
        assert_eq!(
            in_batches(any_hops, &records, &mut dice),
            windows(&records, 30, 10, 0),
            "SEED={seed}"
        );
        let (kept, late) = on_time(&records, |t, own| t + 4 + 7 < own);
        assert_eq!(
            in_batches(any_sessions, &records, &mut dice),
            (gaps(&kept, 4), late),
            "SEED={seed}"
        );
    }
}

#[job]
fn any_left_join() -> Job {
    let right = pairs("right").key_by(|r| r.0);
    let by = within(millis(6)).watermark(millis(3));
    pairs("left")
        .key_by(|l| l.0)
        .left_join(right, by, |l, r| shown(Some(l), r))
        .to(console())
}

#[job]
fn any_outer_join() -> Job {
    let right = pairs("right").key_by(|r| r.0);
    let by = between(millis(2), millis(7)).watermark(millis(3));
    pairs("left")
        .key_by(|l| l.0)
        .outer_join(right, by, shown)
        .to(console())
}

#[job]
fn any_join_in_windows() -> Job {
    let right = pairs("right").key_by(|r| r.0);
    let by = tumbling(millis(8)).watermark(millis(3));
    pairs("left")
        .key_by(|l| l.0)
        .right_join(right, by, |l, r| shown(l, Some(r)))
        .to(console())
}

fn shown(left: Option<(&str, i64)>, right: Option<(&str, i64)>) -> String {
    format!("{left:?} {right:?}")
}

/// A join, and what it is to be: whether two event times are partners, whether one is late behind
/// another, and which sides are given alone.
type AnyJoin = (
    fn(Call<'_>) -> Job<'_>,
    &'static str,
    fn(i64, i64) -> bool,
    fn(i64, i64) -> bool,
    [bool; 2],
);

const ANY_JOINS: [AnyJoin; 3] = [
    (
        any_left_join,
        "left-join",
        |l, r| (r - l).abs() <= 6,
        |t, own| t + 3 < own,
        [true, false],
    ),
    (
        any_outer_join,
        "outer-join",
        |l, r| (l - 2..=l + 7).contains(&r),
        |t, own| t + 3 < own,
        [true, true],
    ),
    (
        any_join_in_windows,
        "right-join",
        |l, r| l.div_euclid(8) == r.div_euclid(8),
        |t, own| (t.div_euclid(8) + 1) * 8 + 3 <= own,
        [false, true],
    ),
];

#[test]
fn joins_are_the_same_in_any_batches() {
    for seed in seeds() {
        for any_join in ANY_JOINS {
            live_through_a_join(seed, any_join);
        }
    }
}

fn live_through_a_join(seed: u64, (any_join, stage, are_partners, is_late, given_alone): AnyJoin) {
    let mut dice = Dice(seed);
    let records = any_records(&mut dice);
    let texts: Vec<String> = records
        .iter()
        .map(|(_, time_ms, key)| format!("{key} {time_ms}"))
        .collect();
    let mut largest = [i64::MIN; 2];
    let mut sides = [Vec::new(), Vec::new()];
    let mut late = 0;
    for &(side, time_ms, key) in &records {
        let own = &mut largest[side as usize];
        match *own != i64::MIN && is_late(time_ms, *own) {
            true => late += 1,
            false => sides[side as usize].push((key, time_ms)),
        }
        *own = time_ms.max(*own);
    }
    let are = |l: &(&str, i64), r: &(&str, i64)| l.0 == r.0 && are_partners(l.1, r.1);
    let [lefts, rights] = &sides;
    let mut wanted = Vec::new();
    for left in lefts {
        let found: Vec<_> = rights.iter().filter(|right| are(left, right)).collect();
        wanted.extend(found.iter().map(|right| shown(Some(*left), Some(**right))));
        if given_alone[0] && found.is_empty() {
            wanted.push(shown(Some(*left), None));
        }
    }
    let alone = rights
        .iter()
        .filter(|right| !lefts.iter().any(|left| are(left, right)));
    wanted.extend(
        alone
            .filter(|_| given_alone[1])
            .map(|right| shown(None, Some(*right))),
    );
    wanted
        .iter_mut()
        .for_each(|row| row.insert_str(0, "value="));
    wanted.sort_unstable();
    let mut job = testing::run(any_join);
    let mut from = 0;
    while from < records.len() {
        let to = if from == 0 {
            2
        } else {
            records.len().min(from + 1 + dice.below(9) as usize)
        };
        for at in from..to {
            let (side, time_ms, _) = records[at];
            job.with(
                ["left", "right"][side as usize],
                0,
                [Record::from(&texts[at]).at(time_ms)],
            );
        }
        job.pass(millis(1));
        from = to;
    }
    let mut rows = job.end().rows("console");
    rows.sort_unstable();
    assert_eq!(
        (rows, job.late(), job.kept(stage)),
        (wanted, late, 0),
        "SEED={seed} {stage}"
    );
}
