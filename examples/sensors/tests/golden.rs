//! The input as a reader can see it, and what comes of it.

use streamhost::{Record, testing};

/// A line is a panel and its site; without a site the panel is taken away.
fn panel(line: &str) -> Record<'_> {
    line.split_once(' ').map_or_else(
        || Record::without_value().with_key(line.as_bytes()),
        Record::from,
    )
}

#[test]
fn the_input_gives_the_expected_rows_late_readings_and_dead_letters() {
    let mut job = testing::run(sensors::sensors);
    job.send("panels", include_str!("../panels.txt").lines().map(panel));
    job.send("readings", include_str!("../input.txt").lines());
    job.end();
    let mut found = job.rows("power");
    found.sort();
    assert_eq!(job.late(), 2);
    found.extend(job.rows("readings-late"));
    found.extend(job.dead_letters());
    assert_eq!(
        found,
        include_str!("../expected.txt").lines().collect::<Vec<_>>()
    );
}

#[test]
fn a_window_waits_for_five_minutes_and_uses_the_table_as_it_is_then() {
    let minute = |n: u64| 60_000 * n;
    let reading =
        |n: u64, power: u64| format!(r#"{{"panel_id":"p","time":{},"power":{power}}}"#, minute(n));
    let mut job = testing::run(sensors::sensors);
    job.send("panels", [("p", "north")]);
    job.send(
        "readings",
        &[reading(1, 10), reading(14, 20), reading(2, 30)],
    );
    assert!(
        job.rows("power").is_empty(),
        "the window may still get readings"
    );
    job.send("panels", [("p", "south")]);
    job.send("readings", &[reading(15, 40)]);
    assert_eq!(
        job.rows("power"),
        ["key=south#0 power:average=20.0 power:readings=2 power:until=600000"]
    );
}

#[test]
fn a_panel_has_an_id_and_a_site() {
    let mut job = testing::run(sensors::sensors);
    job.send("panels", [("", "north"), ("p", ""), ("p", "a#b")]);
    let said = job.dead_letters();
    assert_eq!(said.len(), 3, "{said:?}");
    assert_eq!(
        said[2],
        "panels@2: a panel has an id and a site without `#`, not `p` and `a#b`"
    );
}
