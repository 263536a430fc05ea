//! What a server says of a name, and what of it is in a sink's way.

use super::*;
use streamhost_core::job::connector::Options;
use streamhost_core::types::Kind;

fn column(name: &str, kind: Kind) -> ColumnSpec {
    ColumnSpec {
        name: name.to_owned(),
        kind,
        optional: true,
    }
}

fn spec(keyed: bool) -> SinkSpec {
    SinkSpec {
        connector: "elasticsearch".to_owned(),
        name: "out".to_owned(),
        target: "t".to_owned(),
        keys: if keyed {
            vec![column("id", Kind::Text)]
        } else {
            Vec::new()
        },
        columns: vec![column("n", Kind::Int), column("o.at", Kind::Time)],
        ..SinkSpec::default()
    }
}

/// An index as the server describes it, for the rows of a spec, with more settings.
fn described(spec: &SinkSpec, settings: &Value) -> Value {
    let mut all = json!({"aliases": {}, "mappings": {"properties": {
        "id": {"type": "keyword"}, "n": {"type": "long"}, "o": {"properties": {"at": {"type": "date"}}},
        "@timestamp": {"type": "date"}}},
        "settings": {"index": {"uuid": "u1"}}});
    let index = all["settings"]["index"].as_object_mut().expect("an object");
    index.extend(settings.as_object().cloned().expect("an object"));
    assert!(!spec.columns.is_empty());
    all
}

fn read(all: Value) -> Index {
    let all = all.as_object().expect("an object");
    Index::read("t", all).expect("it is an index")
}

fn faults(index: &Index, spec: &SinkSpec) -> String {
    match index.fits(spec) {
        Ok(_) => String::new(),
        Err(Failure::Refused(words)) => words,
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn an_index_is_what_the_server_says() {
    let spec = spec(true);
    let plain = read(json!({"t": described(&spec, &json!({}))}));
    assert_eq!(
        plain.place,
        Place::Index {
            uuid: "u1".to_owned()
        }
    );
    assert_eq!(plain.gc_deletes, GC_DELETES_DEFAULT);
    let shape = plain.fits(&spec).expect("it fits");
    let names: Vec<_> = shape
        .fields
        .iter()
        .map(|f| String::from_utf8_lossy(&f.name))
        .collect();
    assert_eq!(names, ["\"id\":", "\"n\":", "\"o.at\":"]);
    let remembers = read(json!({"t": described(&spec, &json!({"gc_deletes": "10m"}))}));
    assert_eq!(remembers.gc_deletes, Duration::from_secs(600));

    let mut stream = described(&spec, &json!({}));
    stream["data_stream"] = json!("t");
    let stream = read(json!({".ds-t-1": described(&spec, &json!({})), ".ds-t-2": stream}));
    assert_eq!(stream.place, Place::DataStream);

    let mut of_alias = described(&spec, &json!({}));
    of_alias["aliases"]["t"] = json!({});
    assert_eq!(read(json!({"x": of_alias})).place, Place::Alias);
    let two = read(json!({"x": of_alias, "y": of_alias}));
    assert!(faults(&two, &spec).contains("an alias of 2 indices"));
    of_alias["aliases"]["t"] = json!({"is_write_index": true});
    let two = read(json!({"x": of_alias, "y": described(&spec, &json!({}))}));
    assert_eq!(faults(&two, &spec), "");
    assert!(Index::read("t", &Map::new()).is_none());
    assert!(
        Index::read(
            "t",
            json!({"t": {"settings": 1}})
                .as_object()
                .expect("an object")
        )
        .is_none()
    );
}

#[test]
fn all_that_is_in_the_way_is_said() {
    let spec = spec(true);
    for (settings, want) in [
        (json!({"verified_before_close": "true"}), "POST /t/_open"),
        (
            json!({"blocks": {"write": "true"}}),
            "{\"index.blocks.write\": null}",
        ),
        (
            json!({"blocks": {"read_only_allow_delete": "true"}}),
            "read_only_allow_delete",
        ),
        (json!({"blocks": {"write": "false"}}), ""),
        (json!({"refresh_interval": "-1"}), ""),
    ] {
        let found = faults(&read(json!({"t": described(&spec, &settings)})), &spec);
        assert!(
            found.contains(want) && found.is_empty() == want.is_empty(),
            "{found}"
        );
    }
    let mut routed = described(&spec, &json!({}));
    routed["mappings"]["_routing"] = json!({"required": true});
    assert!(faults(&read(json!({"t": routed})), &spec).contains("routing"));

    let never = read(json!({"t": described(&spec, &json!({"refresh_interval": "-1"}))}));
    let mut waits = spec.clone();
    waits.options = Options::default().with(REFRESH, "wait_for");
    assert!(faults(&never, &waits).contains("would wait for ever"));

    let mut other = spec.clone();
    other.columns = vec![
        column("n", Kind::Text),
        column("new", Kind::Uint),
        column("_id", Kind::Text),
        column("a..b", Kind::Text),
    ];
    let words = faults(&read(json!({"t": described(&spec, &json!({}))})), &other);
    for part in [
        "field `n` is `long`, and the job gives text",
        "no field `new`",
        r#"PUT /t/_mapping {"properties": {"new":{"type":"unsigned_long"}}}"#,
        "`_id` cannot be a field's name",
        "`a..b` cannot be",
    ] {
        assert!(words.contains(part), "{part}: {words}");
    }
    other.columns = (0..30)
        .map(|n| column(&format!("c{n}"), Kind::Int))
        .collect();
    assert!(faults(&never, &other).contains("; and 10 more"));
}

#[test]
fn a_data_stream_takes_rows_with_a_time_and_without_a_key() {
    let mut of = described(&spec(true), &json!({}));
    of["data_stream"] = json!("t");
    let stream = read(json!({".ds-t-1": of}));
    let words = faults(&stream, &spec(true));
    assert!(
        words.contains("only added to") && words.contains("@timestamp"),
        "{words}"
    );
    let mut timed = spec(false);
    timed.columns.push(column("@timestamp", Kind::Time));
    assert_eq!(faults(&stream, &timed), "");
}

#[test]
fn what_is_made_has_a_field_for_each_column_and_remembers_deletes() {
    let made = create_index(&spec(true));
    assert_eq!(
        made,
        json!({"settings": {"index.gc_deletes": "600s"}, "mappings": {"dynamic": "strict", "properties": {
            "id": {"type": "keyword"}, "n": {"type": "long"}, "o.at": {"type": "date"}}}})
    );
    for (text, want) in [
        ("60s", Some(60_000)),
        ("1h", Some(3_600_000)),
        ("0", Some(0)),
        ("5", Some(5)),
        ("soon", None),
        ("1y", None),
        ("", None),
    ] {
        assert_eq!(duration(text), want.map(Duration::from_millis), "{text}");
    }
}
