use super::*;
use crate::control::fake::FakeJobs;
use serde_json::{Value, json};

/// A monitor that has looked at the job `clicks` at these times, in milliseconds since 1970.
fn looked(times_ms: &[i64]) -> Monitor {
    let monitor = Monitor::new(Arc::new(FakeJobs::with_clicks()));
    for time_ms in times_ms {
        monitor.look(*time_ms);
    }
    monitor
}

#[test]
fn a_point_is_kept_for_each_five_seconds_that_were_seen() {
    let cases: [(&[i64], &[i64]); 5] = [
        (&[1000], &[]),
        (&[1000, 2000, 4999], &[]),
        (&[1000, 5000, 9000, 10_000], &[5, 10]),
        // What was not seen is no point.
        (&[1000, 31_000], &[30]),
        // The clock was put back.
        (&[31_000, 1000, 2000, 6000], &[5]),
    ];
    for (times_ms, want) in cases {
        let points = looked(times_ms)
            .points_after("clicks", 0)
            .expect("it is there");
        assert_eq!(points.times, want, "{times_ms:?}");
        let columns = json!(points);
        for (name, column) in columns.as_object().expect("columns") {
            let lengths: Vec<usize> = match column {
                Value::Object(steps) => steps
                    .values()
                    .map(|v| v.as_array().map_or(0, Vec::len))
                    .collect(),
                column => vec![column.as_array().map_or(0, Vec::len)],
            };
            assert!(lengths.iter().all(|length| *length == want.len()), "{name}");
        }
    }
    let points = looked(&[1000, 5000, 10_000]).points_after("clicks", 5);
    assert_eq!(points.expect("it is there").times, [10]);
}

#[test]
fn a_job_that_began_since_the_last_look_is_looked_at_when_it_is_asked_for() {
    let monitor = looked(&[]);
    assert!(monitor.summaries(false).is_empty(), "nothing was seen");
    let topic = monitor.dead_letter_topic("clicks");
    assert_eq!(topic.as_deref(), Some("clicks.dead-letters"));
    assert!(monitor.graph("none").is_none());
    assert_eq!(monitor.summaries(false).len(), 1, "and is known then");
}

#[test]
fn the_last_hours_minutes_are_told_with_their_gaps() {
    let now_ms = clock::now_ms();
    let minute = now_ms / 60_000 * 60_000;
    let monitor = looked(&[
        minute - 180_000,
        minute - 119_000,
        minute - 118_000,
        minute - 1000,
    ]);
    let told = json!(monitor.summaries(true));
    let recent = told[0]["recent"].as_array().expect("it was asked for");
    assert_eq!(recent.len(), 60);
    // Of minutes -3 to 0 the first ended when -2 was looked at, and -2 when -1 was.
    let known: Vec<bool> = recent[57..].iter().map(|rate| !rate.is_null()).collect();
    assert_eq!(known, [true, true, false]);
    assert!(recent[..57].iter().all(Value::is_null));
    assert!(json!(monitor.summaries(false))[0].get("recent").is_none());
}

#[test]
fn charts_go_on_after_a_restart_of_the_host() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("series.json");
    let jobs = Arc::new(FakeJobs::with_clicks());
    *jobs.series_file.lock().expect("unharmed") = Some(file.clone());
    let minute = clock::now_ms() / 60_000 * 60_000;
    let before = Monitor::new(jobs.clone());
    for time_ms in [
        minute - 7_200_000,
        minute - 7_195_000,
        minute - 70_000,
        minute - 5000,
    ] {
        before.look(time_ms);
    }
    before.keep();
    let after = Monitor::new(jobs);
    after.read_kept();
    after.look(minute - 4000);
    let times = |monitor: &Monitor| {
        monitor
            .points_after("clicks", 0)
            .expect("it is there")
            .times
    };
    let (all, minute) = (times(&before), minute / 1000);
    assert_eq!(all.len(), 3);
    assert_eq!(
        times(&after),
        [minute - 70, minute - 5],
        "of the last hour alone"
    );
    let kept = json!(before.points_after("clicks", minute - 10));
    assert_eq!(json!(after.points_after("clicks", minute - 10)), kept);
    let recent = |monitor: &Monitor| json!(monitor.summaries(true))[0]["recent"].clone();
    assert_eq!(recent(&after), recent(&before));
}

#[test]
fn a_job_that_is_gone_is_forgotten() {
    let jobs = Arc::new(FakeJobs::with_clicks());
    let monitor = Monitor::new(jobs.clone());
    monitor.look(1000);
    assert!(monitor.graph("clicks").is_some());
    jobs.undeploy("clicks").expect("it is there");
    monitor.look(2000);
    assert!(monitor.graph("clicks").is_none() && monitor.summaries(true).is_empty());
}

#[test]
fn a_graph_joins_all_that_a_job_has() {
    let graph = json!(looked(&[1000]).graph("clicks"));
    let ids: Vec<&str> = graph["nodes"]
        .as_array()
        .expect("nodes")
        .iter()
        .filter_map(|node| node["id"].as_str())
        .collect();
    let want = [
        "source/clicks",
        "transform",
        "stage/count",
        "sink/clicks",
        "dead-letters",
    ];
    assert_eq!(ids, want);
    let edges: Vec<(&str, &str, &str)> = graph["edges"]
        .as_array()
        .expect("edges")
        .iter()
        .map(|edge| ["from", "to", "unit"].map(|name| edge[name].as_str().unwrap_or_default()))
        .map(|[from, to, unit]| (from, to, unit))
        .collect();
    let want = [
        ("source/clicks", "transform", "records"),
        ("transform", "stage/count", "records"),
        ("stage/count", "sink/clicks", "rows"),
        ("transform", "dead-letters", "dead-letters"),
    ];
    assert_eq!(edges, want);
    assert_eq!(graph["edges"][0]["total"], json!(1000));
    assert_eq!(
        graph["nodes"][0]["lag"],
        json!(4),
        "two partitions, each two behind"
    );
    assert_eq!(graph["bottleneck"], Value::Null);
}

#[test]
fn settings_say_where_they_come_from() {
    let settings = json!(looked(&[1000]).settings("clicks"));
    let all = settings["settings"].as_array().expect("settings");
    let of = |key: &str| {
        let found = all.iter().find(|setting| setting["key"] == key);
        let found = found.unwrap_or_else(|| panic!("no `{key}`"));
        (found["value"].clone(), found["from"].clone())
    };
    for (key, value, from) in [
        ("every", "1s", "deploy"),
        ("source.clicks", "clicks", "job"),
        ("sink.clicks", "c\"2", "job"),
        ("idle", "30s", "default"),
        ("on-error", "dead-letter", "default"),
        ("limits.memory", "64MiB", "default"),
    ] {
        assert_eq!(of(key), (json!(value), json!(from)), "{key}");
    }
    for key in streamhost_core::job::settings::KEYS {
        of(key);
    }
}
