//! What is asked of a job that another host runs.

use super::fake::FakePeers;
use super::tests::{Served, served, tokens};
use super::*;
use crate::access::{Tls, certificate};
use serde_json::json;

fn joined(api: &Served, peers: FakePeers) {
    let set = api.jobs.peers.set(peers);
    assert!(set.is_ok(), "it is told once");
}

fn address(api: &Served) -> String {
    format!("http://{}", api.address())
}

#[test]
fn a_job_is_asked_where_it_runs_and_its_answer_comes_back() {
    let (here, there) = (served(), served());
    joined(&here, FakePeers::with(&address(&there), &["clicks"]));
    assert_eq!(here.get("/v1/jobs/clicks").1["version"], json!(2));
    assert_eq!(here.get("/v1/jobs/clicks/history").0, 200);
    let asked = |api: &Served| *api.jobs.asked_history.lock().unwrap();
    assert_eq!((asked(&here), asked(&there)), (0, 1));
    let (status, _) = here.ask("POST", "/v1/jobs/clicks/pause", "", b"");
    assert_eq!(status, 200);
    assert!(there.jobs.is_paused() && !here.jobs.is_paused());
    let (status, refused) = here.ask(
        "POST",
        "/v1/jobs/clicks/rollback",
        "Content-Type: application/json\r\n",
        br#"{"version": 9}"#,
    );
    assert_eq!(status, 404, "{refused}");
    // What names its job in the query, and what says itself what it is.
    for (query, component) in [("?name=clicks", &b"new"[..]), ("", b"clicks")] {
        let (status, deployed) = here.deploy(query, component);
        assert_eq!(status, 200, "{deployed}");
        let asked = there.jobs.asked.lock().unwrap().take();
        assert_eq!(asked.map(|(bytes, _)| bytes), Some(component.to_vec()));
    }
    // A job that is nowhere is this host's affair.
    assert_eq!(here.get("/v1/jobs/other").0, 404);
    let listed = here.get("/v1/jobs").1;
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");
}

#[test]
fn a_host_that_does_not_answer_is_said_and_nobody_waits_for_one_that_is_away() {
    let here = served();
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        format!("http://{}", listener.local_addr().expect("bound"))
    };
    joined(&here, FakePeers::with(&gone, &["clicks"]));
    let (status, said) = here.get("/v1/jobs/clicks");
    let words = said["error"].to_string();
    assert!(
        status == 503 && words.contains("does not answer"),
        "{words}"
    );
    let (status, said) = here.ask("POST", "/v1/jobs/clicks/pause", "", b"");
    let words = said["error"].to_string();
    assert!(
        status == 503 && words.contains("whether it was done is not known"),
        "{words}"
    );
    assert_eq!(here.get("/v1/jobs").1.as_array().map(Vec::len), Some(1));

    // One that takes connections and says nothing.
    let here = served();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let silent = format!("http://{}", silent.local_addr().expect("bound"));
    let peers = FakePeers::with(&silent, &["clicks"]);
    *peers.is_away.lock().unwrap() = true;
    joined(&here, peers);
    let (status, said) = here.get("/v1/jobs/clicks");
    assert_eq!(status, 503, "{said}");
}

#[test]
fn hosts_are_listed_and_drained_where_they_are() {
    let by_itself = served();
    let (status, said) = by_itself.get("/v1/hosts");
    assert_eq!(status, 409, "{said}");
    assert!(said["error"].to_string().contains("by itself"), "{said}");
    let (here, there) = (served(), served());
    joined(&here, FakePeers::with(&address(&there), &[]));
    joined(&there, FakePeers::default());
    assert_eq!(here.get("/v1/hosts").1[1]["host"], json!("there"));
    let drain = |host: &str, body: &[u8]| {
        let path = format!("/v1/hosts/{host}/drain");
        here.ask("POST", &path, "Content-Type: application/json\r\n", body)
            .0
    };
    let drained = |api: &Served| {
        let peers = api.jobs.peers.get().expect("told");
        peers.drains.lock().unwrap().take()
    };
    assert_eq!(drain("here", b""), 200);
    assert_eq!((drained(&here), drained(&there)), (Some(true), None));
    let peers = here.jobs.peers.get().expect("told");
    *peers.is_away.lock().unwrap() = true;
    assert_eq!((drain("there", b""), drain("nowhere", b"")), (409, 404));
    *peers.is_away.lock().unwrap() = false;
    // `there` calls itself `here`: what was handed on goes no further.
    assert_eq!(drain("there", br#"{"undo": true}"#), 200);
    assert_eq!((drained(&here), drained(&there)), (None, Some(false)));
}

#[test]
fn hosts_speak_tls_with_each_other_and_hand_tokens_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let (one, key) = certificate(folder.path(), "one", 10);
    let (other, _) = certificate(folder.path(), "other", 10);
    let text = "ann read secret-of-ann-0123456789\n";
    let there = Served::guarded(
        Guard {
            tokens: Some(tokens(text)),
            tls: Some(Tls::read(&one, &key).expect("good")),
        },
        Bounds::default(),
    );
    let https = format!("https://{}", there.address());
    for (ca, status) in [(&one, 200), (&other, 503)] {
        let here = Served::start(Some(text), Bounds::default());
        let peers = FakePeers::with(&https, &["clicks"]);
        joined(
            &here,
            FakePeers {
                ca: Some(ca.clone()),
                ..peers
            },
        );
        let token = "Authorization: Bearer secret-of-ann-0123456789\r\n";
        let (got, said) = here.ask("GET", "/v1/jobs/clicks", token, b"");
        assert_eq!(got, status, "{said}");
        let (got, _) = here.ask("POST", "/v1/jobs/clicks/pause", token, b"");
        assert_eq!(got, 403, "this host judges too");
        assert_eq!(here.get("/v1/jobs/clicks").0, 401);
    }
}
