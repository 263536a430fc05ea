//! What Elasticsearch's sink may write to, with real servers: indices that fit or do not, that are dropped or
//! closed, data streams, and who is let in.

use super::elasticsearch::{
    Taken, column, create, deliver, inspect, numbers, open, rows, small, with_both,
};
use serde_json::{Value, json};
use std::path::Path;
use streamhost_connectors::connector::Presence;
use streamhost_connectors::elasticsearch::{Access, ElasticsearchSettings, server_version};
use streamhost_connectors::secret::Secret;
use streamhost_connectors::tls_files::TlsFiles;
use streamhost_core::job::SinkSpec;
use streamhost_core::job::connector::{Options, REFRESH};
use streamhost_core::types::Kind;
use streamhost_engine::sink::{Remedy, SinkError};
use streamhost_tests::elastic::Elastic;
use streamhost_tests::host::unique;

#[test]
fn what_does_not_fit_is_said_at_once() {
    with_both(|server| {
        let index = unique("misfit");
        let spec = small(&index);
        let path = format!("/{index}");
        for (made, parts) in [
            (
                json!({"properties": {"id": {"type": "keyword"}, "n": {"type": "text"}, "t": {"type": "long"}}}),
                &[
                    "field `n` is `text`, and the job gives int",
                    "field `t` is `long`",
                ][..],
            ),
            (
                json!({}),
                &[
                    "no field `id`",
                    "no field `n`",
                    "/_mapping {\"properties\": {\"t\":{\"type\":\"keyword\"}}}",
                ],
            ),
            (
                json!({"_routing": {"required": true}}),
                &["wants a routing value"],
            ),
        ] {
            server.ask("DELETE", &path, &Value::Null);
            server.tell_it("PUT", &path, &json!({"mappings": made}));
            let words = inspect(server, &spec, true).expect_err("it does not fit");
            for part in parts {
                assert!(words.contains(part), "{made}: {words}");
            }
            assert!(words.contains(&index) && !words.contains('\n'), "{words}");
        }
        server.ask("DELETE", &path, &Value::Null);
        let others = json!({"id": {"type": "text"}, "n": {"type": "short"}, "t": {"type": "date"}});
        server.tell_it("PUT", &path, &json!({"mappings": {"properties": others}}));
        assert_eq!(inspect(server, &spec, true), Ok(Presence::There));
        for (block, part) in [
            ("read_only", "index.blocks.read_only"),
            ("write", "index.blocks.write"),
        ] {
            let set = |on: Value| json!({format!("index.blocks.{block}"): on});
            server.tell_it("PUT", &format!("{path}/_settings"), &set(json!(true)));
            let words = inspect(server, &spec, true).expect_err("it is blocked");
            assert!(words.contains(part), "{words}");
            server.tell_it("PUT", &format!("{path}/_settings"), &set(Value::Null));
        }
        let mut waits = spec.clone();
        waits.options = Options::default().with(REFRESH, "wait_for");
        let never = json!({"index.refresh_interval": "-1"});
        server.tell_it("PUT", &format!("{path}/_settings"), &never);
        let words = inspect(server, &waits, true).expect_err("it would wait for ever");
        assert!(words.contains("refresh_interval"), "{words}");
        server.tell_it("POST", &format!("{path}/_close"), &Value::Null);
        let words = inspect(server, &spec, true).expect_err("it is closed");
        assert!(words.contains("/_open"), "{words}");
    });
}

/// The jars of Elasticsearch's free core have none.
#[test]
fn a_data_stream_is_added_to() {
    let server = Elastic::opensearch();
    let stream = unique("stream");
    let template = json!({"index_patterns": [format!("{stream}*")], "data_stream": {},
        "template": {"mappings": {"properties": {"n": {"type": "long"}}}}});
    server.tell_it("PUT", &format!("/_index_template/{stream}"), &template);
    server.tell_it("PUT", &format!("/_data_stream/{stream}"), &Value::Null);
    let keyed = inspect(server, &small(&stream), true).expect_err("it has no keys");
    assert!(
        keyed.contains("data stream") && keyed.contains("@timestamp"),
        "{keyed}"
    );
    let spec = SinkSpec {
        keys: Vec::new(),
        columns: vec![column("n", Kind::Int), column("@timestamp", Kind::Time)],
        ..small(&stream)
    };
    assert_eq!(inspect(server, &spec, false), Ok(Presence::There));
    let n = 1_700_000_000_000_i64.to_le_bytes();
    let batch = rows(
        &[
            (None, &[Some(&n[..]), Some(&n[..])]),
            (None, &[Some(&n[..]), None]),
        ],
        2,
    );
    let mut refusals = Taken {
        most: 10,
        ..Taken::default()
    };
    for _ in 0..2 {
        let mut sink = open(server, &spec);
        sink.open().expect("open");
        deliver(
            sink.as_mut(),
            1,
            std::slice::from_ref(&batch),
            &mut refusals,
        )
        .expect("the rest");
        assert_eq!((refusals.places(), server.count(&stream)), (vec![1], 1));
    }
}

#[test]
fn an_index_that_is_dropped_is_not_made_anew_by_a_write() {
    with_both(|server| {
        let spec = small(&unique("dropped"));
        let path = format!("/{}", spec.target);
        create(server, &spec);
        let (mut sink, mut none) = (open(server, &spec), Taken::default());
        let batch = [numbers(0..10, |n| n, "t")];
        sink.open().expect("open");
        deliver(sink.as_mut(), 1, &batch, &mut none).expect("delivered");
        server.tell_it("DELETE", &path, &Value::Null);
        let error = deliver(sink.as_mut(), 2, &batch, &mut none).expect_err("it is gone");
        assert!(matches!(error, SinkError::TableMissing { .. }), "{error}");
        assert!(
            server.ask("GET", &path, &Value::Null)["error"].is_object(),
            "it was made"
        );
        assert_eq!(sink.open().expect_err("it is gone").remedy(), Remedy::Stop);
        create(server, &spec);
        let error = sink.open().expect_err("it is another one").to_string();
        assert!(error.contains("made anew while the job ran"), "{error}");
        let mut anew = open(server, &spec);
        anew.open().expect("open");
        deliver(anew.as_mut(), 2, &batch, &mut none).expect("delivered");

        // An alias may come to mean another index, but not none.
        let alias = format!("{}-alias", spec.target);
        let point = |verb: &str| {
            let action = json!({"actions": [{verb: {"index": spec.target, "alias": alias}}]});
            server.tell_it("POST", "/_aliases", &action);
        };
        point("add");
        let by_alias = small(&alias);
        let mut sink = open(server, &by_alias);
        sink.open().expect("open");
        deliver(sink.as_mut(), 3, &batch, &mut none).expect("delivered");
        point("remove");
        let error = deliver(sink.as_mut(), 4, &batch, &mut none).expect_err("it means nothing");
        assert!(matches!(error, SinkError::TableMissing { .. }), "{error}");
    });
}

#[test]
fn rows_are_not_deleted_where_deletes_are_forgotten_too_soon() {
    with_both(|server| {
        let index = unique("forgets");
        let made = json!({"properties": {"id": {"type": "keyword"}, "n": {"type": "long"}, "t": {"type": "keyword"}}});
        server.tell_it("PUT", &format!("/{index}"), &json!({"mappings": made}));
        let (mut sink, mut none) = (open(server, &small(&index)), Taken::default());
        sink.open().expect("open");
        deliver(sink.as_mut(), 1, &[numbers(0..10, |n| n, "t")], &mut none)
            .expect("nothing is deleted");
        let gone = || rows(&[(Some(b"k1"), &[])], 2);
        let error = deliver(sink.as_mut(), 2, &[gone()], &mut none).expect_err("it forgets");
        assert!(
            error.to_string().contains("\"index.gc_deletes\": \"600s\""),
            "{error}"
        );
        let longer = json!({"index.gc_deletes": "10m"});
        server.tell_it("PUT", &format!("/{index}/_settings"), &longer);
        sink.open().expect("open");
        deliver(sink.as_mut(), 2, &[gone()], &mut none).expect("delivered");
        assert_eq!(server.count(&index), 9);
    });
}

/// A user, by the password in this file.
fn user(password: &Path) -> Option<Access> {
    Some(Access::User(
        "app".to_owned(),
        Secret::File(password.to_owned()),
    ))
}

#[test]
fn each_way_in_is_taken_and_each_wrong_setting_gets_its_message() {
    let server = Elastic::shared();
    let front = server.front();
    let folder = tempfile::tempdir().expect("a folder");
    let (right, wrong) = (folder.path().join("right"), folder.path().join("wrong"));
    std::fs::write(&right, "secret\n").expect("written");
    std::fs::write(&wrong, "wrong-s3cret\n").expect("written");
    let tls = |ca: Option<&str>, own: Option<&str>| {
        Some(TlsFiles {
            ca: ca.map(|name| front.tls(name)),
            own: own.map(|name| {
                let file = |end: &str| front.tls(&format!("{name}.{end}"));
                (file("pem"), file("key"))
            }),
        })
    };
    let ca = || tls(Some("ca.pem"), None);
    let cases = [
        ("front", user(&right), None, ""),
        ("front-tls", user(&right), ca(), ""),
        ("tls", None, ca(), ""),
        ("mutual", None, tls(Some("ca.pem"), Some("client")), ""),
        ("front", None, None, "set `elasticsearch.username`"),
        (
            "front",
            user(&wrong),
            None,
            "does not take the user or key of `[elasticsearch]`",
        ),
        (
            "front",
            user(&folder.path().join("none")),
            None,
            "`elasticsearch.password`",
        ),
        (
            "front-tls",
            user(&right),
            tls(None, None),
            "`elasticsearch.ca`",
        ),
        (
            "tls",
            None,
            tls(Some("stranger-ca.pem"), None),
            "is not trusted",
        ),
        (
            "front-tls",
            user(&right),
            None,
            "set `elasticsearch.tls = true`",
        ),
        ("front", user(&right), ca(), "take `elasticsearch.tls` away"),
        ("mutual", None, ca(), "`elasticsearch.certificate`"),
        (
            "mutual",
            None,
            tls(Some("ca.pem"), Some("stranger")),
            "`elasticsearch.certificate`",
        ),
    ];
    for (name, access, tls, part) in cases {
        let settings = ElasticsearchSettings {
            hosts: vec![front.address(name)],
            access,
            tls,
            ..ElasticsearchSettings::default()
        };
        let shown = format!("{name} {settings:?}");
        match server_version(&settings) {
            Ok(version) => assert!(
                part.is_empty() && version.contains('7'),
                "{shown}: {version}"
            ),
            Err(error) => {
                let words = error.to_string();
                assert!(!part.is_empty() && words.contains(part), "{shown}: {words}");
                assert!(
                    !words.contains("s3cret") && !words.contains('\n'),
                    "{words}"
                );
                assert_eq!(error.remedy(), Remedy::Retry, "{words}");
            }
        }
    }
}
