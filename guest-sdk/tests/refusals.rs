//! Jobs that compile and cannot be: `describe` says what to do, and a deploy is refused with it.

use streamhost::*;

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

fn keyed(record: Record<'_>) -> Keyed {
    Keyed { id: record.time_ms as u64, n: 1 }
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
    a_table_without_families: kafka("a").map(|_| Bare { key: 1, n: 1 }).to(hbase("t"))
        => "column `n` for table `t` has no family: name it with `#[row(\"family:qualifier\")]`";
    a_branch_that_is_lost: kafka("a").also(|_| kafka("b").to(kafka("c"))).to(console()) => "a branch is lost";
}

#[test]
fn a_function_without_the_attribute_has_no_name() {
    let mistake = testing::describe(|_| kafka("a").to(console())).unwrap_err();
    assert!(mistake.contains("put `#[job]` on the function"), "{mistake}");
}

#[test]
fn what_fits_is_described() {
    #[job(name = "fine-1")]
    fn fine() -> Job {
        let copy = kafka("b").to(exactly_once(kafka("copy")));
        kafka("a").map(keyed).also(|rows| rows.to(console())).to(hbase("t")).and(copy)
    }
    let description = testing::describe(fine).unwrap();
    assert_eq!((description.name.as_str(), description.every), ("fine-1", None));
    let sinks: Vec<_> = description.sinks.iter().map(|s| (s.kind, s.name.as_str(), s.exactly_once)).collect();
    assert_eq!(
        sinks,
        [(SinkKind::Console, "console", false), (SinkKind::Hbase, "t", false), (SinkKind::Kafka, "copy", true)]
    );
}
