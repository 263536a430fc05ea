//! What a record says of itself, and what a row takes with it.

use streamhost::*;

#[derive(Row)]
struct Traced<'a> {
    #[row(key = "place")]
    place: String,
    value: &'a str,
    #[row(header)]
    trace: Option<&'a str>,
    #[row(header = "step")]
    number: u64,
    tags: Json<Vec<&'a str>>,
}

#[job]
fn traced() -> Job {
    kafka("in")
        .try_map(|record| {
            Ok::<_, String>(Traced {
                place: format!("{}/{}", record.partition(), record.offset()),
                value: record.text()?,
                trace: record.headers().text("trace"),
                number: 7,
                tags: Json(vec!["a"]),
            })
        })
        .to(kafka("out"))
}

#[test]
fn a_record_has_headers_and_a_place_and_gives_them_on() {
    let mut job = testing::run(traced);
    let with = Record::from("x").with_headers(&[("trace", b"t1"), ("trace", b"t2")]);
    job.send("in", [Record::from("w"), with]);
    assert_eq!(
        job.rows("out"),
        [
            r#"key=0/0 value=w tags=["a"] header:step=7"#,
            r#"key=0/1 value=x tags=["a"] header:trace=t2 header:step=7"#,
        ]
    );
    let [sink] = &job.description().sinks[..] else {
        panic!("one sink")
    };
    assert_eq!(
        (sink.shape.keys[0].name, sink.shape.headers),
        ("place", true)
    );
}

#[job]
fn saved() -> Job {
    kafka("in").to(kafka("copy"))
}

#[test]
fn a_record_that_is_saved_keeps_its_headers() {
    let mut job = testing::run(saved);
    let record = Record::from("x").with_headers(&[("a", b"1"), ("b", b"\xff")]);
    job.send("in", [record]);
    assert_eq!(job.rows("copy"), ["value=x header:a=1 header:b=0xff"]);
}

#[job]
fn elsewhere() -> Job {
    source("pulsar", "in")
        .with("subscription", "s")
        .to(sink("cassandra", "ks.t").with("ttl", "7d"))
}

#[test]
fn connectors_that_only_a_host_knows_are_described_and_tested() {
    let mut job = testing::run(elsewhere);
    job.send("in", ["x"]);
    assert_eq!(job.rows("ks.t"), ["value=x"]);
    let description = job.description();
    let (source, sink) = (&description.sources[0], &description.sinks[0]);
    assert_eq!(source.connector, "pulsar");
    assert_eq!(
        source.options,
        [("subscription".to_owned(), "s".to_owned())]
    );
    assert_eq!(sink.connector, "cassandra");
    assert_eq!(sink.options, [("ttl".to_owned(), "7d".to_owned())]);
}
