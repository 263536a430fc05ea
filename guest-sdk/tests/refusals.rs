//! Jobs that compile and cannot be: `describe` says what to do, and a deploy is refused with it.

use streamhost::*;

fn told(options: &[(String, String)]) -> String {
    let pairs: Vec<_> = options.iter().map(|(k, v)| format!("{k}={v}")).collect();
    pairs.join(" ")
}

#[derive(Row, Clone)]
struct Keyed {
    #[row(key)]
    id: u64,
    #[row("f:n")]
    n: u64,
}

#[derive(Row)]
struct Keyless {
    #[row("f:n")]
    n: u64,
}

#[derive(Row)]
struct Bare {
    #[row(key)]
    key: u64,
    n: u64,
}

#[derive(Row)]
struct KeyAlone {
    #[row(key)]
    id: u64,
}

#[derive(Row)]
struct NoQualifier {
    #[row(key)]
    id: u64,
    #[row("f:")]
    n: u64,
}

/// As a date, it takes no empty text.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String")]
struct Checked(String);

impl TryFrom<String> for Checked {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, &'static str> {
        if text.is_empty() {
            Err("it is empty")
        } else {
            Ok(Checked(text))
        }
    }
}

fn checked<'b>(version: u32) -> Job<'b> {
    let acc = || (Checked("x".into()), 0u64);
    let stage = kafka("a").key_by(|_| ()).version(version).running();
    stage
        .fold(acc, |acc, _| acc.1 += 1, |acc, more| acc.1 += more.1)
        .map(|_| "")
        .to(console())
}

fn keyed(record: Record<'_>) -> Keyed {
    Keyed {
        id: record.time_ms as u64,
        n: 1,
    }
}

fn windowed<'b>(windows: Windows) -> Job<'b> {
    windowed_as("windows", windows)
}

fn windowed_as<'b>(name: &str, windows: Windows) -> Job<'b> {
    kafka("a")
        .key_by(|_| ())
        .named(name)
        .window(windows)
        .count()
        .map(|_| "")
        .to(console())
}

macro_rules! refused {
    ($($name:ident: $job:expr => $words:literal;)*) => { $(
        #[test]
        fn $name() {
            #[job]
            fn under_test() -> Job {
                $job
            }
            let mistake = testing::describe(under_test).unwrap_err();
            assert!(mistake.contains($words), "{mistake}");
        }
    )* };
}

refused! {
    one_topic_read_twice: kafka("a").to(console()).and(kafka("a").to(kafka("b")))
        => "the job reads topic `a` twice: read it once, and branch with `.also";
    two_sinks_of_one_name: kafka("a").also(|r| r.map(keyed).to(hbase("t"))).to(kafka("t"))
        => "two chains end in `t`: make its rows in one chain";
    a_sink_without_a_name: kafka("a").to(kafka("")) => "empty name";
    two_intervals: kafka("a").every(seconds(1)).to(console()).and(kafka("b").every(seconds(2)).to(kafka("c")))
        => "one source says `.every(1s)` and another `.every(2s)`";
    an_interval_that_is_none: kafka("a").every(std::time::Duration::from_micros(5)).to(console())
        => "below a millisecond";
    an_interval_on_a_sink: kafka("a").to(kafka("b").every(seconds(1))) => "belongs to a source, not to the sink `b`";
    exactly_once_to_a_table: kafka("a").map(keyed).to(exactly_once(hbase("t")))
        => "`exactly_once` is for topics: the table `t` is right after any crash without it";
    exactly_once_to_the_console: kafka("a").to(exactly_once(console())) => "cannot be taken back";
    a_table_without_keys: kafka("a").map(|r| Keyless { n: r.time_ms as u64 }).to(hbase("t"))
        => "rows for table `t` have no key: mark a field with `#[row(key)]`";
    a_table_of_raw_values: kafka("a").to(hbase("t")) => "table `t` has no place for a raw value";
    a_table_of_keys: kafka("a").map(|r| KeyAlone { id: r.time_ms as u64 }).to(hbase("t"))
        => "rows for table `t` have a key and no columns, and a table keeps no such row";
    a_column_without_a_qualifier: kafka("a").map(|_| NoQualifier { id: 1, n: 1 }).to(hbase("t"))
        => "column `f:` for table `t` has no family and qualifier";
    a_name_with_a_space: kafka("my topic").to(console()) => "cannot be called `my topic`: spaces, control characters";
    a_name_that_no_setting_can_say: kafka("a").to(kafka("a=b")) => "cannot be called `a=b`";
    a_name_without_an_end: kafka("a").to(kafka(&"x".repeat(256))) => "a name of 256 bytes, and 255 is the most";
    an_interval_of_days: kafka("a").every(minutes(60 * 24 + 1)).to(console()) => "is longer than 24 hours";
    more_sinks_than_may_be: {
        (0..17).map(|i| kafka(&format!("a{i}")).to(kafka(&format!("b{i}")))).reduce(Job::and).unwrap()
    } => "the job has 34 sources and sinks, and 32 is the most";
    a_table_that_never_ends: kafka("a").map(|_| 1u64).key_by(|_| ())
        .lookup(socket("h:1").map(|_| 1u64).key_by(|_| ()), |_, _| "").to(console())
        => "source `h:1` feeds the table of a lookup, which is read to its end";
    too_many_records_a_second: rate(1_000_001).to(console()) => "makes more records a second than 1000000";
    a_table_without_families: kafka("a").map(|_| Bare { key: 1, n: 1 }).to(hbase("t"))
        => "column `n` for table `t` has no family and qualifier: name it with `#[row(\"family:qualifier\")]`";
    two_stages_of_one_name: {
        let counts = || kafka("a").key_by(|_| ()).running().count().map(|_| "");
        counts().to(console()).and(kafka("b").key_by(|_| ()).running().count().map(|_| "").to(kafka("c")))
    } => "two stages are called `count`, and state is kept by name: give one of them another, as in `.key_by(…).named";
    a_stage_called_like_a_source: kafka("count").key_by(|_| ()).each_batch().count().map(|_| "").to(console())
        => "both called `count`";
    a_stage_name_with_a_space: windowed_as("a b", tumbling(seconds(1))) => "a stage cannot be called `a b`";
    a_size_that_is_no_multiple_of_its_hop: windowed(hopping(seconds(5), seconds(2)))
        => "stage `windows`: a window of 5s is no multiple of its hop, 2s";
    too_many_hops: windowed(hopping(minutes(60), millis(1))) => "has 3600000 hops, of 10000 at most";
    a_window_of_nothing: windowed(tumbling(millis(0))) => "a window's length is 0 ms, of 1 ms at least";
    a_gap_below_a_millisecond: windowed(session(std::time::Duration::from_micros(5))) => "a session's gap is 0 ms, of 1 ms at least";
    a_window_of_years: windowed(tumbling(minutes(1_000_000_000))) => "a window's length is 60000000000000 ms, of 366 days at most";
    a_lateness_of_years: windowed(tumbling(seconds(1)).watermark(minutes(1_000_000_000)))
        => "the lateness is 60000000000000 ms, of 366 days at most";
    lateness_without_event_time: windowed(tumbling(seconds(1)).processing_time().watermark(seconds(1)))
        => "windows of processing time have no late records";
    expiry_at_once: kafka("a").key_by(|_| ()).running().expire_after(seconds(0)).count().map(|_| "").to(console())
        => "the time after which a silent key is forgotten is 0 ms";
    windows_after_each_batch: kafka("a").key_by(|_| ()).each_batch().count()
        .key_by(|_| ()).named("late").window(tumbling(seconds(1))).count().map(|_| "").to(console())
        => "stage `late`: it goes by event time, but what stage `count` gives out (each batch) has none";
    a_join_after_a_running_count: kafka("a").key_by(|_| ()).running().count().map(|update| update.value).key_by(|_| ())
        .join(kafka("b").map(|_| 1u64).key_by(|_| ()), within(seconds(1)), |_, _| "").to(console())
        => "stage `join`: it goes by event time, but what stage `count` gives out (a running value) has none";
    windows_behind_a_lookup_behind_each_batch: kafka("a").key_by(|_| ()).each_batch().count().map(|group| group.value)
        .key_by(|_| ()).lookup(kafka("b").map(|_| 1u64).key_by(|_| ()), |_, _| ())
        .key_by(|_| ()).named("windows").window(session(seconds(1))).count().map(|_| "").to(console())
        => "stage `windows`: it goes by event time, but what stage `count` gives out (each batch) has none";
    updates_before_a_stage: kafka("a").key_by(|_| ()).window(tumbling(seconds(1)).allowed_lateness(seconds(1))).count().top(3)
        .map(|_| "").to(console())
        => "stage `top`: stage `count` feeds it, whose updates by late records would be counted again and again: leave `.allowed_lateness(…)` out";
    sessions_that_are_updated: windowed(session(seconds(1)).allowed_lateness(seconds(1)))
        => "late records cannot update sessions: leave `.allowed_lateness(…)` out";
    updates_of_many_hops: windowed(hopping(seconds(61), seconds(1)).allowed_lateness(seconds(1)))
        => "updates by late records of a window of 61 hops, of 60 at most";
    early_results_before_a_stage: kafka("a").key_by(|_| ()).window(tumbling(seconds(1)).early_results()).count().top(3)
        .map(|_| "").to(console())
        => "stage `top`: stage `count` feeds it, whose early results would be counted again and again";
    nobody_in_the_top: kafka("a").key_by(|_| ()).each_batch().count().top(0).map(|_| "").to(console())
        => "`.top(0)` is not 1 to";
    a_collection_of_too_many: kafka("a").key_by(|_| ()).each_batch().collect(10_001, |r| r.time_ms).map(|_| "").to(console())
        => "`collect(10001, …)` is not 1 to 10000 values";
    a_percentile_beyond_a_hundred: kafka("a").key_by(|_| ()).each_batch()
        .aggregate(|each| (each.count(), each.percentiles([50.0, 101.0], |r| r.time_ms))).map(|_| "").to(console())
        => "`percentiles([…])` has 101, and a percentile is a number from 0 to 100";
    a_mean_of_updates: kafka("a").key_by(|_| 1u64).running().count()
        .key_by(|_| ()).running().aggregate(|each| (each.avg(|update| update.value),)).map(|_| "").to(console())
        => "stage `aggregate` would take each update of `count` for one more item";
    a_table_that_is_more: kafka("a").map(|_| 1u64).key_by(|_| ()).lookup(
            kafka("t").also(|t| t.to(kafka("copy"))).map(|_| 1u64).key_by(|_| ()), |_, _| "").to(console())
        => "source `t` feeds the table of a lookup and something else as well";
    two_event_times: kafka("a").timed_by(|r| Time(r.time_ms)).also(|r| r.timed_by(|r| Time(-r.time_ms)).to(kafka("b")))
        .to(console()) => "a source has one event time, and `a` is given several";
    event_times_before_and_behind_a_union: kafka("a").timed_by(|r| Time(r.time_ms)).union(kafka("b"))
        .timed_by(|r| Time(-r.time_ms)).to(console()) => "a source has one event time, and `a` is given several";
    a_branch_in_a_union: kafka("a").also(|r| r.union(kafka("b")).to(kafka("both"))).to(kafka("c"))
        => "write `.union(…)` before the branch";
    one_topic_in_both_streams_of_a_union: kafka("a").union(kafka("a")).to(console()) => "the job reads topic `a` twice";
    event_time_beside_the_windows: kafka("a").also(|r| r.timed_by(|r| Time(-r.time_ms)).to(kafka("b")))
        .key_by(|_| ()).window(session(seconds(1))).count().map(|_| "").to(console())
        => "write one `.timed_by(…)`, before its branches";
    event_time_beside_a_lookup_with_windows_behind_it: kafka("a").also(|r| r.timed_by(|r| Time(-r.time_ms)).to(kafka("b")))
        .map(|r| r.time_ms).key_by(|_| ()).lookup(kafka("t").map(|_| 1u64).key_by(|_| ()), |n, _| n)
        .key_by(|_| ()).window(tumbling(seconds(1))).count().map(|_| "").to(console())
        => "a source has one event time, and `a` is given several";
    late_items_behind_a_lookup: kafka("a").map(keyed).map(|row| row.n).key_by(|_| ())
        .lookup(kafka("t").map(|_| 1u64).key_by(|_| ()), |n, _| format!("{n}"))
        .key_by(|_| ()).window(tumbling(seconds(1))).late_to(kafka("late")).count().map(|_| "").to(console())
        => "`count` stands behind `lookup`, and what is late behind a lookup is counted and cannot be kept";
    values_that_hide_what_is_behind_them: checked(0)
        => "stage `fold`: accumulators look like `(text)…`, and the part where that ends";
    a_table_that_hides_what_is_behind_its_dates: kafka("a").map(|_| 1u64).key_by(|_| ())
        .lookup(kafka("t").map(|_| Checked("x".into())).key_by(|_| ()), |_, _| "").to(console())
        => "stage `lookup`: the other side's items look like `text…`";
    event_time_after_a_stage: kafka("a").key_by(|_| ()).running().count().timed_by(|u| u.batch).map(|_| "").to(console())
        => "`.timed_by(…)` stands after the keyed stage `count`";
    a_name_on_the_right: kafka("a").map(|_| 1u64).key_by(|_| ())
        .join(kafka("b").map(|_| 1u64).key_by(|_| ()).named("b"), within(seconds(1)), |_, _| "").to(console())
        => "is named, and its version counted, on its left side alone";
    an_accumulator_in_no_order: kafka("a").key_by(|_| ()).running()
        .fold(std::collections::HashMap::<u64, Option<u64>>::new, |_, _| (), |_, _| ()).map(|_| "").to(console())
        => "stage `fold`: accumulators have a `HashMap` or `HashSet`, whose order is another one each time";
    a_set_in_no_order_on_the_other_side: kafka("a").map(|_| 1u64).key_by(|_| ())
        .join(kafka("b").map(|_| vec![std::collections::HashSet::<u64>::new()]).key_by(|_| ()), within(seconds(1)), |_, _| "")
        .to(console()) => "stage `join`: the other side's items have a `HashMap` or `HashSet`";
    a_join_by_sessions: kafka("a").map(|_| 1u64).key_by(|_| ())
        .join(kafka("b").map(|_| 1u64).key_by(|_| ()), session(seconds(1)), |_, _| "").to(console())
        => "stage `join` goes by windows that are not tumbling ones of event time";
    a_join_in_early_windows: kafka("a").map(|_| 1u64).key_by(|_| ())
        .join(kafka("b").map(|_| 1u64).key_by(|_| ()), tumbling(seconds(1)).early_results(), |_, _| "").to(console())
        => "write `tumbling(…)`, with `.watermark(…)` at most";
    a_join_in_windows_that_are_updated: kafka("a").map(|_| 1u64).key_by(|_| ())
        .join(kafka("b").map(|_| 1u64).key_by(|_| ()), tumbling(seconds(1)).allowed_lateness(seconds(1)), |_, _| "")
        .to(console()) => "stage `join` goes by windows that are not tumbling ones of event time";
    a_join_in_windows_of_nothing: kafka("a").map(|_| 1u64).key_by(|_| ())
        .join(kafka("b").map(|_| 1u64).key_by(|_| ()), tumbling(seconds(0)), |_, _| "").to(console())
        => "a window is 0 ms, of 1 ms at least";
    a_state_in_no_order: kafka("a").map(|_| 1u64).key_by(|_| ())
        .process(|_, _, _: &mut Option<std::collections::HashMap<u64, u64>>, _: &mut Context<'_, String>| ()).to(console())
        => "stage `process`: states have a `HashMap` or `HashSet`, whose order is another one each time";
    an_item_of_any_type: kafka("a").map(|_| serde_json::Value::Null).key_by(|_| ())
        .process(|_, _, _: &mut Option<u64>, _: &mut Context<'_, String>| ()).to(console())
        => "stage `process`: items have a part whose type only the data knows";
    repeats_for_years: kafka("a").map(|_| 1u64).key_by(|_| ()).deduplicate(days(400)).map(|_| "").to(console())
        => "stage `deduplicate`: repeats are left out for 34560000s, of 366 days at most";
    a_distance_of_years: kafka("a").map(|_| 1u64).key_by(|_| ())
        .join(kafka("b").map(|_| 1u64).key_by(|_| ()), within(days(400)), |_, _| "").to(console())
        => "366 days at most";
    an_accumulator_of_any_type: kafka("a").key_by(|_| ()).running()
        .fold(|| serde_json::Value::Null, |_, _| (), |_, _| ()).map(|_| "").to(console())
        => "accumulators have a part whose type only the data knows";
    a_migration_from_itself: kafka("a").key_by(|_| ()).version(2).running().count().migrate_from(2, |n: u64| n)
        .map(|_| "").to(console()) => "stage `count`: it migrates from what it is: count its version up, `.key_by(…).version(3)`";
    a_count_of_updates: kafka("a").key_by(|_| 1u64).running().max(|record| record.time_ms).key_by(|_| ()).named("keys")
        .running().count().map(|_| "").to(console())
        => "stage `keys` would take each update of `max` for one more item";
    a_sum_of_updates_behind_others: kafka("a").key_by(|_| 1u64).running().count().filter(|update| update.value > 1)
        .key_by(|_| ()).running().sum(|update| update.value).map(|_| "").to(console())
        => "stage `sum` would take each update of `count` for one more item";
    late_items_twice: kafka("a").key_by(|_| ()).window(tumbling(seconds(1))).late_to(kafka("x")).late_to(kafka("y"))
        .count().map(|_| "").to(console()) => "`.late_to(…)` stands there twice";
    no_records_a_second: rate(0).to(console()) => "`rate(0)` makes no records";
    a_followed_topic: kafka("a").follow().to(console()) => "`.follow()` is for files";
    a_socket_as_a_sink: kafka("a").to(socket("localhost:1")) => "is a socket, which can be read and not written";
    more_stages_than_may_be: {
        (0..11).map(|i| {
            let name = |stage: &str| format!("{stage}{i}");
            let counts = kafka(&name("in")).key_by(|_| ()).named(&name("a")).running().count();
            let counts = counts.key_by(|_| ()).named(&name("b")).running().max(|update| update.value);
            counts.key_by(|_| ()).named(&name("c")).running().max(|update| update.value).map(|_| "").to(kafka(&name("out")))
        }).reduce(Job::and).unwrap()
    } => "the job has 33 keyed stages, of 32 at most";
    a_branch_that_is_lost: kafka("a").also(|_| kafka("b").to(kafka("c"))).to(console()) => "a branch is lost";
}

#[test]
fn what_hides_the_rest_is_taken_from_an_author_who_counts_versions_or_where_nothing_is_kept() {
    #[job]
    fn counted() -> Job {
        let of_batches = kafka("b")
            .map(|_| Checked("y".into()))
            .key_by(|_| ())
            .each_batch()
            .reduce(|a, _| a);
        let table = kafka("t").map(|_| 1u64).key_by(|_| ());
        checked(1).and(
            of_batches
                .map(|group| group.value)
                .key_by(|_| ())
                .lookup(table, |_, _| "")
                .to(kafka("out")),
        )
    }
    let stages = testing::describe(counted).unwrap().stages;
    let shapes: Vec<_> = stages
        .iter()
        .map(|stage| (stage.version, stage.value_shape.as_str()))
        .collect();
    assert_eq!(shapes, [(1, "(text)…"), (0, "text…"), (0, "text…")]);
}

#[test]
fn rows_that_are_only_deleted_need_no_columns() {
    #[job]
    fn gone() -> Job {
        kafka("a")
            .map(|r| Change::<KeyAlone>::Delete(r.time_ms as u64))
            .to(hbase("t"))
    }
    let mut job = testing::run(gone);
    job.send("a", [Record::from("").at(7)]);
    assert_eq!(job.rows("t"), ["key=7 (deleted)"]);
}

#[test]
fn a_jobs_name_begins_with_a_letter_or_digit() {
    let mistake =
        testing::describe(|call: Call<'_>| call.named("_a", kafka("a").to(console()))).unwrap_err();
    assert!(
        mistake.contains("begins with a letter or a digit"),
        "{mistake}"
    );
}

#[test]
fn a_function_without_the_attribute_has_no_name() {
    let mistake = testing::describe(|_| kafka("a").to(console())).unwrap_err();
    assert!(
        mistake.contains("put `#[job]` on the function"),
        "{mistake}"
    );
}

#[test]
fn what_fits_is_described() {
    #[job(name = "fine-1")]
    fn fine() -> Job {
        let copy = kafka("b").to(exactly_once(kafka("copy")));
        kafka("a")
            .map(keyed)
            .also(|rows| rows.to(console()))
            .to(hbase("t"))
            .and(copy)
    }
    let description = testing::describe(fine).unwrap();
    assert_eq!(
        (description.name.as_str(), description.every),
        ("fine-1", None)
    );
    let sinks: Vec<_> = description
        .sinks
        .iter()
        .map(|s| (s.connector.as_str(), s.name.as_str(), told(&s.options)))
        .collect();
    assert_eq!(
        sinks,
        [
            ("console", "console", String::new()),
            ("hbase", "t", String::new()),
            ("kafka", "copy", "exactly-once=true".to_owned())
        ]
    );
}

#[test]
fn keyed_stages_are_described() {
    #[job]
    fn fine() -> Job {
        let table = file("/etc/names").map(|_| 1u64).key_by(|_| ());
        socket("localhost:9")
            .timed_by(|r| Time(r.time_ms))
            .map(|_| 7u64)
            .also(|n| {
                n.key_by(|_| 'a' as u32)
                    .named("branch")
                    .each_batch()
                    .max(|n| n)
                    .map(|_| "")
                    .to(kafka("max"))
            })
            .key_by(|_| ())
            .lookup(table, |n, _| (n, 1i8))
            .key_by(|(n, _)| (*n, true))
            .version(4)
            .window(session(seconds(2)))
            .reduce(|a, _| a)
            .top_of_all()
            .and(
                rate(5)
                    .key_by(|_| ())
                    .named("rates")
                    .running()
                    .expire_after(minutes(1))
                    .distinct()
                    .map(|_| "")
                    .to(kafka("r")),
            )
            .and(file("/x").follow().to(kafka("files")))
    }
    trait TopOfAll<'b> {
        fn top_of_all(self) -> Job<'b>;
    }
    impl<'b, F: flow::Flow<'b, Item = Group<(u64, bool), (u64, i8)>> + 'b> TopOfAll<'b>
        for Stream<'b, F>
    {
        fn top_of_all(self) -> Job<'b> {
            self.top(3).named("best").map(|_| "").to(console())
        }
    }
    let described = testing::describe(fine).unwrap();
    let sources: Vec<_> = described
        .sources
        .iter()
        .map(|s| {
            (
                s.connector.as_str(),
                s.name.as_str(),
                s.table,
                s.timed,
                told(&s.options),
            )
        })
        .collect();
    assert_eq!(
        sources,
        [
            ("socket", "localhost:9", false, true, String::new()),
            ("file", "/etc/names", true, false, String::new()),
            ("rate", "rate", false, false, "rate=5".to_owned()),
            ("file", "/x", false, false, "follow=true".to_owned()),
        ]
    );
    let stages: Vec<_> = described
        .stages
        .iter()
        .map(|s| (s.name.as_str(), s.inputs.as_slice(), s.version))
        .collect();
    assert_eq!(
        stages,
        [
            ("branch", &[0][..], 0),
            ("lookup", &[0, 1], 0),
            ("reduce", &[5], 4),
            ("best", &[6], 0),
            ("rates", &[2], 0)
        ]
    );
    let shapes: Vec<_> = described
        .stages
        .iter()
        .map(|s| [&*s.key_shape, &*s.value_shape, &*s.other_shape])
        .collect();
    assert_eq!(
        shapes,
        [
            ["u32", "u64", ""],
            ["()", "u64", "u64"],
            ["(u64, bool)", "(u64,i8)", ""],
            ["(time, time)", "[((u64,bool),(u64,i8))]", ""],
            ["()", "bool", ""],
        ]
    );
    assert_eq!(
        described.stages[4].kind,
        StageKind::Reduce(Scope::Running {
            expire_ms: Some(60_000)
        })
    );
}
