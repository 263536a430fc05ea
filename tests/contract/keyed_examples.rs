//! The input that each example shows, through the real host: at once, and with a restart after
//! every checkpoint.

use std::fs::read_to_string;
use streamhost_tests::clicks::Record;
use streamhost_tests::feed::fill;
use streamhost_tests::host::Host;
use streamhost_tests::keyed::{Kind, START_MS};
use streamhost_tests::keyed_jobs::{
    Example, HASHTAGS, PAGEVIEWS, Run, SENSORS, SESSIONS, Topics, Verdict,
};
use streamhost_tests::paths::root;
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::LATE;

/// Records of a batch in the run with restarts.
const PORTION: usize = 3;

fn example_file(example: &Example, name: &str) -> String {
    let path = root().join("examples").join(example.name).join(name);
    read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A record of an example's input: a line is its value. A post begins with its time, in seconds.
fn record(example: &Example, line: &str) -> Record {
    let (time_ms, value) = match line.split_once(' ') {
        Some((seconds, text)) if example.kind == Kind::Posts => {
            let seconds: i64 = seconds
                .parse()
                .expect("a post of the example begins with its seconds");
            (Some(START_MS + 1000 * seconds), text)
        }
        _ => (None, line),
    };
    Record {
        key: None,
        value: Some(value.as_bytes().to_vec()),
        partition: Some(0),
        time_ms,
    }
}

/// The example's own table of panels: a line is a panel and its site; without a site the panel is
/// taken away.
fn fill_panels(example: &Example, servers: &Servers, topics: &mut Topics) {
    let text = example_file(example, "panels.txt");
    let panel = |line: &str| {
        let (panel, site) = line
            .split_once(' ')
            .map_or((line, None), |(panel, site)| (panel, Some(site)));
        let (key, value) = (
            Some(panel.as_bytes().to_vec()),
            site.map(|site| site.as_bytes().to_vec()),
        );
        Record {
            key,
            value,
            partition: Some(0),
            time_ms: None,
        }
    };
    topics.fill_panels(servers, text.lines().map(panel));
}

/// The rows that the table of an example has in the end, and what the oracle says of them.
/// `restarts`: the host is killed after every checkpoint.
fn rows_of(example: &Example, servers: &Servers, restarts: bool) -> (Vec<String>, Verdict) {
    let mut topics = Topics::empty(example, servers, 1);
    if example.has_panels {
        fill_panels(example, servers, &mut topics);
    }
    let input: Vec<Record> = example_file(example, "input.txt")
        .lines()
        .map(|line| record(example, line))
        .collect();
    let records: Vec<Record> = input.into_iter().chain(example.kind.ends_of(1)).collect();
    let (mut host, run) = (Host::serve(servers), Run::new(example, servers, &topics));
    run.deploy(&host, 0, &["every=0"]);
    let mut sent = 0;
    for portion in records.chunks(if restarts { PORTION } else { records.len() }) {
        sent += fill(&servers.kafka, &topics.events, portion.iter().cloned())
            .expect("some records sent");
        host.wait_records(&run.job, sent + topics.panel_records, LATE);
        if restarts {
            host.kill();
            host.restart();
        }
    }
    let verdict = run.verdict(false);
    verdict.is_told_by(&run.wait_for_all(&host, sent));
    (run.rows(), verdict)
}

/// The rows of `expected.txt` that go to the table, in the order of their keys; those that are one
/// raw value go to topics.
fn expected_rows(example: &Example) -> Vec<String> {
    let text = example_file(example, "expected.txt");
    let in_table = |line: &&str| line.starts_with("key=") && !line.contains(" value=");
    let mut rows: Vec<String> = text.lines().filter(in_table).map(in_table_order).collect();
    rows.sort();
    rows
}

/// A row as a test's driver shows it, with its columns in the order in which a table gives them.
fn in_table_order(row: &str) -> String {
    let mut parts = row.split(' ');
    let key = parts.next().unwrap_or_default().to_owned();
    let mut cells: Vec<&str> = parts.collect();
    cells.sort_unstable();
    std::iter::once(key.as_str())
        .chain(cells)
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn keyed_examples_survive_a_restart_after_every_checkpoint() {
    let (_guard, servers) = Servers::shared();
    for example in [&PAGEVIEWS, &HASHTAGS, &SENSORS, &SESSIONS] {
        let (straight, _) = rows_of(example, servers, false);
        let (restarted, verdict) = rows_of(example, servers, true);
        assert_eq!(
            verdict.dead_letters_doubled, 0,
            "nothing was under way when it was killed"
        );
        if !example.by_batch {
            assert_eq!(straight, expected_rows(example), "{}", example.name);
            assert_eq!(restarted, straight, "{}", example.name);
        }
    }
}
