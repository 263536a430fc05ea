use crate::api::{AuditEntry, AuditOutcome};
use crate::control::Bounds;
use crate::control::tests::{Served, served};
use serde_json::{Value, json};
use std::io::Write;
use std::net::TcpStream;

const TOKENS: &str = "ann read aaa\nbob operate bbb\ncee deploy ccc\n";
const WASM: &str = "Content-Type: application/wasm\r\n";

fn noted(api: &Served) -> Vec<AuditEntry> {
    api.jobs.audit.noted.lock().expect("unharmed").clone()
}

/// Who, what, of which job and how, newest first.
fn told(api: &Served) -> Vec<Value> {
    let (status, page) = api.ask("GET", "/v1/audit", "Authorization: Bearer aaa\r\n", b"");
    assert_eq!(status, 200, "{page}");
    let entries = page["entries"].as_array().expect("a list").clone();
    let fields = ["who", "verb", "job", "outcome", "status"];
    let row = |entry: &Value| Value::Array(fields.map(|field| entry[field].clone()).into());
    entries.iter().map(row).collect()
}

#[test]
fn each_change_is_noted_with_who_asked_and_how_it_went() {
    let api = Served::start(Some(TOKENS), Bounds::default());
    let ask = |token: &str, method: &str, path: &str, body: &[u8]| {
        let headers = format!("Authorization: Bearer {token}\r\n{WASM}X-Request-Id: r-7\r\n");
        api.ask(method, path, &headers, body).0
    };
    let job = "/v1/jobs/clicks";
    type Case = (
        &'static str,
        &'static str,
        String,
        &'static [u8],
        u16,
        Value,
    );
    let at = |path: &str| format!("{job}{path}");
    let deploy = |query: &str| format!("/v1/jobs?{query}");
    let cases: Vec<Case> = vec![
        (
            "ccc",
            "POST",
            deploy("set=every=1s"),
            b"three",
            200,
            json!(["cee", "deploy", "clicks", "done", null]),
        ),
        (
            "ccc",
            "POST",
            deploy("name=mine"),
            b"invalid",
            422,
            json!(["cee", "deploy", "mine", "refused", 422]),
        ),
        (
            "ccc",
            "POST",
            deploy(""),
            b"panic",
            500,
            json!(["cee", "deploy", null, "failed", null]),
        ),
        (
            "ccc",
            "POST",
            deploy("nmae=x"),
            b"",
            400,
            json!(["cee", "deploy", null, "refused", 400]),
        ),
        (
            "bbb",
            "POST",
            deploy(""),
            b"four",
            403,
            json!(["bob", "deploy", null, "refused", 403]),
        ),
        (
            "bbb",
            "POST",
            at("/rollback"),
            b"{\"version\": 1}",
            200,
            json!(["bob", "rollback", "clicks", "done", null]),
        ),
        (
            "bbb",
            "POST",
            at("/rollback"),
            b"{",
            400,
            json!(["bob", "rollback", "clicks", "refused", 400]),
        ),
        (
            "bbb",
            "POST",
            at("/pause"),
            b"",
            200,
            json!(["bob", "pause", "clicks", "done", null]),
        ),
        (
            "bbb",
            "POST",
            at("/resume"),
            b"{\"skip_lost\": true}",
            200,
            json!(["bob", "resume", "clicks", "done", null]),
        ),
        (
            "aaa",
            "POST",
            at("/pause"),
            b"",
            403,
            json!(["ann", "pause", "clicks", "refused", 403]),
        ),
        (
            "bbb",
            "POST",
            at("/dead-letters/retry"),
            b"{\"ids\": [\"0-1\", \"0-9\"]}",
            200,
            json!(["bob", "retry", "clicks", "done", null]),
        ),
        (
            "bbb",
            "POST",
            at("/dead-letters/drop"),
            b"{\"ids\": [\"0-2\"]}",
            200,
            json!(["bob", "drop", "clicks", "done", null]),
        ),
        (
            "ccc",
            "DELETE",
            job.to_owned(),
            b"",
            204,
            json!(["cee", "undeploy", "clicks", "done", null]),
        ),
        (
            "ccc",
            "DELETE",
            at("-not"),
            b"",
            404,
            json!(["cee", "undeploy", "clicks-not", "refused", 404]),
        ),
    ];
    let mut want = Vec::new();
    for (token, method, path, body, status, entry) in cases {
        assert_eq!(ask(token, method, &path, body), status, "{method} {path}");
        want.insert(0, entry);
        assert_eq!(told(&api), want, "{method} {path}");
    }
    // What changes nothing, and what comes from nobody who is known, is not noted.
    assert_eq!(ask("ccc", "POST", "/v1/check", b"one"), 200);
    assert_eq!(ask("bbb", "POST", "/v1/check", b"one"), 403);
    assert_eq!(ask("wrong", "POST", "/v1/jobs", b"one"), 401);
    assert_eq!(ask("ccc", "PUT", "/v1/jobs", b"one"), 403);
    assert_eq!(told(&api), want);
    let all = noted(&api);
    let of_peer = |entry: &AuditEntry| entry.peer.as_deref() == Some("127.0.0.1");
    assert!(all.iter().all(of_peer) && all.iter().all(|e| e.request.as_deref() == Some("r-7")));
}

#[test]
fn an_entry_has_what_was_asked_and_what_is_another_then() {
    let api = served();
    api.deploy("?set=every=1s&set=group=g", b"three");
    api.deploy("?set=every=2s&reset-state&create-tables=true", b"four");
    api.deploy("?set=every=2s", b"four");
    let letters = b"{\"ids\": [\"0-1\", \"0-2\"], \"again\": true}";
    api.ask("POST", "/v1/jobs/clicks/dead-letters/retry", "", letters);
    let all = noted(&api);
    let ends: Vec<_> = all.iter().filter(|entry| entry.took_ms.is_some()).collect();
    assert_eq!(
        (all.len(), ends.len()),
        (8, 4),
        "a line before each, and one after"
    );
    assert!(
        all.iter()
            .step_by(2)
            .all(|e| e.outcome == AuditOutcome::UnderWay)
    );
    let first = serde_json::to_value(ends[0]).expect("JSON");
    assert_eq!(
        (&first["who"], &first["role"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        (&first["deployment"], &first["version"]),
        (&json!(3), &json!(3))
    );
    let change = |name: &str, before: Value, after: Value| json!({"name": name, "before": before, "after": after});
    let settings = |entry: &AuditEntry| serde_json::to_value(&entry.settings).expect("JSON");
    let (none, of) = (Value::Null, |text: &str| json!(text));
    assert_eq!(
        settings(ends[0]),
        json!([
            change("every", none.clone(), of("1s")),
            change("group", none.clone(), of("g"))
        ])
    );
    assert_eq!(
        settings(ends[1]),
        json!([
            change("every", of("1s"), of("2s")),
            change("group", of("g"), none)
        ])
    );
    assert_eq!(ends[1].options, ["create-tables", "reset-state"]);
    assert_eq!(settings(ends[2]), json!([]));
    assert_eq!(ends[2].reason.as_deref(), Some("it was active already"));
    assert_eq!(ends[3].options, ["letters=2", "again"]);
}

#[test]
fn nothing_is_changed_that_cannot_be_noted() {
    let api = served();
    *api.jobs.audit.room.lock().expect("unharmed") = Some(0);
    let (status, said) = api.ask("POST", "/v1/jobs/clicks/pause", "", b"");
    assert_eq!(
        (status, &said["error"]),
        (
            503,
            &json!("the audit log cannot be written: the disk is full")
        )
    );
    assert_eq!(*api.jobs.pauses.lock().expect("unharmed"), 0);
    // Where only its end cannot be noted it is done, and said so.
    *api.jobs.audit.room.lock().expect("unharmed") = Some(1);
    assert_eq!(api.ask("POST", "/v1/jobs/clicks/pause", "", b"").0, 200);
    let all = noted(&api);
    assert_eq!((all.len(), all[0].outcome), (1, AuditOutcome::UnderWay));
}

#[test]
fn what_became_of_a_change_is_noted_though_its_client_has_left() {
    let api = served();
    let head = format!(
        "POST /v1/jobs HTTP/1.1\r\nHost: {}\r\nContent-Length: 4\r\n{WASM}\r\nslow",
        api.address()
    );
    let mut stream = TcpStream::connect(api.address()).expect("served");
    stream.write_all(head.as_bytes()).expect("sent");
    while noted(&api).is_empty() {
        std::thread::yield_now();
    }
    drop(stream);
    while noted(&api).len() < 2 {
        std::thread::yield_now();
    }
    let all = noted(&api);
    assert_eq!(
        (all[1].outcome, all[1].status),
        (AuditOutcome::Refused, Some(503))
    );
}

#[test]
fn pages_are_asked_for_in_words_that_are_checked() {
    let api = served();
    for _ in 0..3 {
        api.ask("POST", "/v1/jobs/clicks/pause", "", b"");
    }
    let (_, page) = api.get("/v1/audit?limit=2&job=clicks&since=2026-01-01T00:00:00Z");
    assert_eq!(
        (page["entries"].as_array().map(Vec::len), &page["next"]),
        (Some(2), &json!(2))
    );
    let (_, page) = api.get("/v1/audit?before=2");
    assert_eq!(
        (&page["entries"][0]["number"], &page["next"]),
        (&json!(1), &Value::Null)
    );
    assert_eq!(api.get("/v1/audit?job=none").1["entries"], json!([]));
    let cases = [
        ("limit=0", "`limit` must be a number above 0"),
        ("before=x", "`before` must be the number of an entry"),
        (
            "since=yesterday",
            "neither a time in RFC 3339 nor a duration",
        ),
        ("jbo=x", "did you mean `job`?"),
    ];
    for (query, words) in cases {
        let (status, said) = api.get(&format!("/v1/audit?{query}"));
        let error = said["error"].as_str().unwrap_or_default();
        assert!(
            status == 400 && error.contains(words),
            "{query}: {status} {said}"
        );
    }
}
