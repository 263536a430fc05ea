//! The dashboard's contract (`dashboard/API.md`) and the host say the same: the fields of each
//! example are those of the answer.

use super::tests::served;
use serde_json::Value;
use std::collections::BTreeSet;

const CONTRACT: &str = include_str!("../../dashboard/API.md");

/// An example's name (`GET /v1/…`, or that of an event) and its JSON.
fn examples() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for part in CONTRACT.split("\n<!-- ").skip(1) {
        let (name, rest) = part.split_once(" -->\n```json\n").expect("an example");
        let (json, _) = rest.split_once("\n```").expect("its end");
        let (_, name) = name.split_once(": ").expect("its kind");
        found.push((
            name.to_owned(),
            serde_json::from_str(json).expect("JSON in an example"),
        ));
    }
    found
}

/// All paths to values; of a list the first element stands for the others.
fn shape(value: &Value, at: &str, paths: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => {
            if let Some(first) = items.first() {
                shape(first, &format!("{at}[]"), paths);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                shape(field, &format!("{at}.{name}"), paths);
            }
        }
        _ => drop(paths.insert(at.to_owned())),
    }
}

/// Whether the value is null or empty somewhere on the path: below it nothing is compared.
fn is_empty_at(value: &Value, path: &str) -> bool {
    let mut at = value;
    for step in path.replace("[]", ".[]").split('.').skip(1) {
        let next = match at {
            Value::Null => return true,
            Value::Array(items) if items.is_empty() => return true,
            Value::Object(fields) if fields.is_empty() => return true,
            Value::Array(items) => Some(&items[0]),
            Value::Object(fields) => fields.get(step),
            _ => None,
        };
        let Some(next) = next else { return false };
        at = next;
    }
    at.is_null()
        || at.as_array().is_some_and(Vec::is_empty)
        || at.as_object().is_some_and(|o| o.is_empty())
}

fn differences(example: &Value, answer: &Value) -> Vec<String> {
    let (mut said, mut given) = (BTreeSet::new(), BTreeSet::new());
    shape(example, "", &mut said);
    shape(answer, "", &mut given);
    let only = |a: &BTreeSet<String>, b: &BTreeSet<String>, other: &Value| {
        let covers = |path: &String| {
            b.iter().any(|o| {
                o == path
                    || path.starts_with(&format!("{o}."))
                    || path.starts_with(&format!("{o}["))
                    || o.starts_with(&format!("{path}."))
                    || o.starts_with(&format!("{path}["))
            })
        };
        let left = a
            .iter()
            .filter(|path| !covers(path) && !is_empty_at(other, path));
        left.cloned().collect::<Vec<_>>()
    };
    let in_contract = only(&said, &given, answer);
    let in_answer = only(&given, &said, example);
    in_contract
        .into_iter()
        .map(|path| format!("only in API.md: {path}"))
        .chain(
            in_answer
                .into_iter()
                .map(|path| format!("only in the answer: {path}")),
        )
        .collect()
}

#[test]
fn every_example_of_the_contract_holds() {
    let api = served();
    let parts = "with=graph&with=series&with=batches&with=watermarks&with=stages&with=log";
    let events = api.events(&format!("?job=clicks&{parts}"), 4);
    for (name, example) in examples() {
        let words: Vec<&str> = name.splitn(3, ' ').collect();
        let answer: Value = match words[..] {
            [event] => {
                let said = events.iter().find(|(told, _)| told == event);
                let said = said.unwrap_or_else(|| panic!("no event {event}: {events:?}"));
                said.1.clone()
            }
            [method, path, ..] => {
                let path = path
                    .replace("purchases", "clicks")
                    .replace("hashtags", "clicks");
                let (headers, body) = match words.get(2) {
                    Some(&"wasm") => ("Content-Type: application/wasm\r\n", "wasm"),
                    body => ("", body.copied().unwrap_or_default()),
                };
                let (status, answer) = api.ask(method, &path, headers, body.as_bytes());
                assert_eq!(status, 200, "{name}: {answer}");
                answer
            }
            [] => unreachable!("a name is not empty"),
        };
        let found = differences(&example, &answer);
        assert!(found.is_empty(), "{name}:\n{}", found.join("\n"));
    }
}

#[test]
fn streams_are_refused_when_they_ask_for_what_there_is_not_or_are_too_many() {
    let api = served();
    let cases = [
        ("?with=everything", 400, "`with=everything` is no part"),
        ("?log-after=x", 400, "number of a line"),
        ("?jobs=clicks", 400, "did you mean `job`?"),
    ];
    for (query, want, words) in cases {
        let (status, said) = api.get(&format!("/v1/events{query}"));
        let error = said["error"].as_str().unwrap_or_default();
        assert!(
            status == want && error.contains(words),
            "{query}: {status} {said}"
        );
    }
    let gone = api.events("?job=none", 3);
    let names: Vec<&str> = gone.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["hello", "jobs", "gone"]);
    assert!(
        gone[2].1["error"]
            .as_str()
            .unwrap_or_default()
            .contains("`none`")
    );
    let api = served();
    let open: Vec<_> = (0..streamhost_core::limits::EVENT_STREAMS_MAX)
        .map(|_| api.open_events(""))
        .collect();
    let (status, said) = api.get("/v1/events");
    assert_eq!(status, 503, "{said}");
    drop(open);
}

#[test]
fn dead_letters_come_in_pages() {
    let api = served();
    let cases: [(&str, &[&str], Option<&str>); 8] = [
        ("", &["0-4", "0-3", "0-2", "0-1", "0-0"], None),
        ("?limit=2", &["0-4", "0-3"], Some("0-3")),
        ("?limit=2&before=0-3", &["0-2", "0-1"], Some("0-1")),
        ("?limit=2&before=0-1", &["0-0"], None),
        ("?reason=QUANTITY%20in%201", &["0-3", "0-1"], None),
        ("?stage=none", &[], None),
        ("?status=retried", &[], None),
        ("?since=1h", &["0-4", "0-3", "0-2", "0-1", "0-0"], None),
    ];
    for (query, want, next) in cases {
        let (status, page) = api.get(&format!("/v1/jobs/clicks/dead-letters{query}"));
        assert_eq!(status, 200, "{query}: {page}");
        let letters = page["letters"].as_array().expect("letters");
        let ids: Vec<&str> = letters
            .iter()
            .filter_map(|one| one["id"].as_str())
            .collect();
        assert_eq!(
            (ids.as_slice(), page["next"].as_str()),
            (want, next),
            "{query}"
        );
        assert!(letters.iter().all(|one| one["value"]["bytes"] == 300));
    }
    let wrong = [
        ("?limit=0", 400, "above 0"),
        ("?before=x", 400, "no letter"),
        ("?status=old", 400, "new, retried or dropped"),
        ("?since=soon", 400, "RFC 3339"),
        ("?resaon=x", 400, "did you mean `reason`?"),
        ("/x", 400, "PARTITION-OFFSET"),
        ("/0-9", 404, "no dead letter `0-9`"),
    ];
    for (rest, want, words) in wrong {
        let (status, said) = api.get(&format!("/v1/jobs/clicks/dead-letters{rest}"));
        let error = said["error"].as_str().unwrap_or_default();
        assert!(
            status == want && error.contains(words),
            "{rest}: {status} {said}"
        );
    }
    let (_, keyed) = api.get("/v1/jobs/clicks/dead-letters/0-3");
    assert_eq!(
        keyed["source"],
        Value::Null,
        "a group of a keyed stage has no record"
    );
}

#[test]
fn letters_are_retried_and_dropped_and_that_is_remembered() {
    let api = served();
    let post = |what: &str, body: &str| {
        let path = format!("/v1/jobs/clicks/dead-letters/{what}");
        api.ask("POST", &path, "", body.as_bytes())
    };
    let (status, said) = post("retry", r#"{"ids":["0-2","0-1"]}"#);
    assert_eq!(status, 200, "{said}");
    assert_eq!((&said["done"], &said["skipped"]), (&1.into(), &1.into()));
    let outcomes: Vec<_> = (0..2)
        .map(|i| said["results"][i]["outcome"].clone())
        .collect();
    assert_eq!(
        outcomes,
        ["delivered", "skipped"],
        "in the order of the ids"
    );
    let (_, again) = post("retry", r#"{"ids":["0-2"]}"#);
    assert_eq!(again["results"][0]["outcome"], "skipped", "{again}");
    let (_, again) = post("retry", r#"{"ids":["0-2"],"again":true}"#);
    assert_eq!(again["done"], 1, "{again}");
    let (_, dropped) = post("drop", r#"{"ids":["0-3"]}"#);
    assert_eq!(dropped["results"][0]["outcome"], "dropped");
    let (_, letter) = api.get("/v1/jobs/clicks/dead-letters/0-2");
    assert_eq!(
        (&letter["status"], &letter["retried"]["rows"]),
        (&"retried".into(), &1.into())
    );
    for (status, want) in [("new", 3), ("retried", 1), ("dropped", 1)] {
        let (_, page) = api.get(&format!("/v1/jobs/clicks/dead-letters?status={status}"));
        assert_eq!(
            page["letters"].as_array().map(Vec::len),
            Some(want),
            "{page}"
        );
    }
    let many: Vec<String> = (0..501).map(|n| format!("\"0-{n}\"")).collect();
    let many = format!("{{\"ids\":[{}]}}", many.join(","));
    for (body, words) in [
        ("", "no letter is named"),
        (r#"{"ids":["x"]}"#, "PARTITION-OFFSET"),
        (r#"{"id":["0-1"]}"#, "unknown field"),
        (many.as_str(), "500 at most"),
    ] {
        let (status, said) = post("retry", body);
        let error = said["error"].as_str().unwrap_or_default();
        assert!(status == 400 && error.contains(words), "{status} {said}");
    }
    assert_eq!(api.ask("POST", "/v1/jobs/clicks/pause", "", b"").0, 200);
    assert_eq!(
        post("retry", r#"{"ids":["0-2"]}"#).0,
        409,
        "it does not run"
    );
    assert_eq!(post("drop", r#"{"ids":["0-4"]}"#).0, 200);
}

#[test]
fn state_comes_in_pages_and_wrong_questions_are_told() {
    let api = served();
    let (status, page) = api.get("/v1/jobs/clicks/state/count?limit=1");
    assert_eq!(status, 200, "{page}");
    assert_eq!(page["entries"][0]["value"]["text"], "1000");
    let next = page["next"].as_str().expect("there is more");
    let (_, page) = api.get(&format!("/v1/jobs/clicks/state/count?after={next}"));
    let entry = &page["entries"][0];
    assert_eq!(entry["key"]["base64"], "/w==", "no UTF-8: {page}");
    assert_eq!(entry["value"]["base64"], "//8=", "no u64: {page}");
    assert_eq!(page["next"], Value::Null);
    let (_, page) = api.get("/v1/jobs/clicks/state/count?key-base64=%2Fw%3D%3D");
    assert_eq!(page["entries"].as_array().map(Vec::len), Some(1), "{page}");
    for (rest, want, words) in [
        ("none", 404, "has no keyed stage `none`"),
        ("count?limit=0", 400, "above 0"),
        ("count?after=x", 400, "take it from `next`"),
        ("count?key=a&prefix=b", 400, "give one of"),
        ("count?key-base64=_", 400, "must be base64"),
        ("count?perfix=b", 400, "did you mean `prefix`?"),
    ] {
        let (status, said) = api.get(&format!("/v1/jobs/clicks/state/{rest}"));
        let error = said["error"].as_str().unwrap_or_default();
        assert!(
            status == want && error.contains(words),
            "{rest}: {status} {said}"
        );
    }
}

#[test]
fn a_check_says_what_would_change_and_refuses_what_cannot_be_read() {
    let api = served();
    let wasm = "Content-Type: application/wasm\r\n";
    let (status, said) = api.ask("POST", "/v1/check?set=every=2s", wasm, b"new");
    assert_eq!(status, 200, "{said}");
    let changes = said["changes"].as_array().expect("changes");
    let named: Vec<(&str, &str, &str)> = changes
        .iter()
        .map(|change| ["what", "name", "kind"].map(|key| change[key].as_str().unwrap_or_default()))
        .map(|[what, name, kind]| (what, name, kind))
        .collect();
    let want = [
        ("component", "component", "changed"),
        ("column", "f:new", "added"),
        ("setting", "every", "added"),
        ("setting", "idle", "removed"),
    ];
    assert_eq!(named, want);
    for (query, body, want, words) in [
        ("", &b"invalid"[..], 422, "that is no job"),
        ("?set=every=soon", b"new", 400, "`every=soon`"),
        ("?nme=x", b"new", 400, "did you mean `name`?"),
    ] {
        let (status, said) = api.ask("POST", &format!("/v1/check{query}"), wasm, body);
        let error = said["error"].as_str().unwrap_or_default();
        assert!(
            status == want && error.contains(words),
            "{query}: {status} {said}"
        );
    }
    let asked = api.get("/v1/jobs").1;
    assert_eq!(asked[0]["version"], 2, "nothing was deployed");
}
