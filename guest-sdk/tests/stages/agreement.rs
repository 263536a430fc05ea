//! The driver and the host's keyed stages, which are written apart from each other, give the same:
//! each is held against `tests/agreement.txt`, which says what its lines mean.

use super::*;

const AGREED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/agreement.txt");

#[expect(clippy::type_complexity, reason = "all of it is said here alone")]
fn of<'b>(
    source: &str,
) -> KeyedBy<'b, &'b str, impl Flow<'b, Item = (&'b str, i64)>, impl Fn(&(&'b str, i64)) -> &'b str>
{
    pairs(source).key_by(|(key, _)| *key)
}

fn strict(gap_ms: u64) -> Windows {
    session(millis(gap_ms)).allowed_lateness(millis(0))
}

fn row<K: std::fmt::Display>(group: Group<K, i64>) -> String {
    let Group {
        key, value, window, ..
    } = group;
    format!("{key} [{value}] {}..{}", window.start.0, window.end.0)
}

#[job]
fn sessions_then_windows() -> Job {
    let sums = of("in")
        .window(strict(10))
        .sum(|(_, n)| n)
        .key_by(|_| "all")
        .named("last");
    sums.window(tumbling(millis(10)))
        .sum(|g| g.value)
        .map(row)
        .to(console())
}

#[job]
fn lenient_sessions_then_hops() -> Job {
    let sums = of("in")
        .window(session(millis(10)).allowed_lateness(millis(5)))
        .sum(|(_, n)| n);
    let hops = sums
        .key_by(|_| "all")
        .named("last")
        .window(hopping(millis(20), millis(10)));
    hops.sum(|g| g.value).map(row).to(console())
}

#[job]
fn hops_then_windows() -> Job {
    let sums = of("in")
        .window(hopping(millis(20), millis(10)))
        .sum(|(_, n)| n)
        .key_by(|_| "all")
        .named("last");
    sums.window(tumbling(millis(20)))
        .sum(|g| g.value)
        .map(row)
        .to(console())
}

#[job]
fn lenient_windows_then_sessions() -> Job {
    let sums = of("in")
        .window(tumbling(millis(10)).allowed_lateness(millis(5)))
        .sum(|(_, n)| n);
    sums.key_by(|g| g.key)
        .named("last")
        .window(strict(10))
        .sum(|g| g.value)
        .map(row)
        .to(console())
}

#[job]
fn windows_then_each_batch() -> Job {
    let sums = of("in").window(tumbling(millis(10))).sum(|(_, n)| n);
    let sums = sums.map(|g| (format!("t{}", g.window.start.0), g.value));
    sums.key_by(|(start, _)| start.clone())
        .named("last")
        .each_batch()
        .sum(|(_, n)| n)
        .map(row)
        .to(console())
}

#[job]
fn left_join_then_windows() -> Job {
    let both = of("in").left_join(
        of("right"),
        within(millis(5)).allowed_lateness(millis(2)),
        add,
    );
    both.key_by(|_| "all")
        .window(tumbling(millis(10)))
        .sum(|(_, n)| n)
        .map(row)
        .to(console())
}

fn add<'b>(left: (&'b str, i64), right: Option<(&'b str, i64)>) -> (&'b str, i64) {
    (left.0, left.1 + right.map_or(0, |right| right.1))
}

#[job]
fn lookup_then_windows() -> Job {
    let both = of("in").lookup(of("table"), add).key_by(|(key, _)| *key);
    both.window(tumbling(millis(10)))
        .sum(|(_, n)| n)
        .map(row)
        .to(console())
}

#[job]
fn lookup_then_sessions() -> Job {
    let both = of("in").lookup(of("table"), add).key_by(|(key, _)| *key);
    both.window(session(millis(10)).allowed_lateness(millis(10)))
        .sum(|(_, n)| n)
        .map(row)
        .to(console())
}

#[job]
fn lookup_then_left_join_then_windows() -> Job {
    let both = of("in").lookup(of("table"), add).key_by(|(key, _)| *key);
    let all = both.left_join(
        of("right"),
        within(millis(5)).allowed_lateness(millis(5)),
        add,
    );
    all.key_by(|_| "all")
        .window(tumbling(millis(10)))
        .sum(|(_, n)| n)
        .map(row)
        .to(console())
}

/// Runs the next batch: its records, and whether it is the last. Gives rows, sorted, and how many
/// items were late.
type Batch<'a> = dyn FnMut(&[&str], bool) -> (Vec<String>, usize) + 'a;

fn live(job: impl for<'b> Fn(Call<'b>) -> Job<'b> + 'static) -> Box<Batch<'static>> {
    let mut job = testing::run(job);
    Box::new(move |records, is_end| {
        for record in records {
            let (source, record) = record.split_once(':').expect("a record has a source");
            let (record, time_ms) = record.split_once('@').expect("a record has a time");
            let text = record.replace('=', " ");
            job.with(
                source,
                0,
                [Record::from(&text).at(time_ms.parse().expect("a time is a number"))],
            );
        }
        let job = if is_end {
            job.end()
        } else {
            job.pass(millis(0))
        };
        assert!(job.dead_letters().is_empty());
        let mut rows = job.rows("console");
        rows.sort();
        (
            rows.iter().map(|row| row.replace("value=", "")).collect(),
            job.late(),
        )
    })
}

fn named(name: &str) -> Box<Batch<'static>> {
    match name {
        "sessions-then-windows" => live(sessions_then_windows),
        "lenient-sessions-then-hops" => live(lenient_sessions_then_hops),
        "hops-then-windows" => live(hops_then_windows),
        "lenient-windows-then-sessions" => live(lenient_windows_then_sessions),
        "windows-then-each-batch" => live(windows_then_each_batch),
        "left-join-then-windows" => live(left_join_then_windows),
        "lookup-then-windows" => live(lookup_then_windows),
        "lookup-then-sessions" => live(lookup_then_sessions),
        "lookup-then-left-join-then-windows" => live(lookup_then_left_join_then_windows),
        other => panic!("there is no job {other}"),
    }
}

#[test]
fn the_driver_gives_what_is_agreed() {
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
                let (rows, late) =
                    job.as_mut().expect("a job stands first")(records, watermark == "end");
                rows.iter().for_each(|row| told.extend(["row ", row, "\n"]));
                told.extend((late > 0).then(|| format!("late {late}\n")));
            }
            _ => {}
        }
    }
    assert!(told == agreed, "{told}");
}
