//! Elasticsearch's sink by itself, with real servers: what every sink must keep to, whatever its
//! connector, and what this one promises beside that. What is the same for OpenSearch is tried with both.

use serde_json::json;
use streamhost_connectors::connector::{Connector, Presence, SinkContext};
use streamhost_connectors::elasticsearch::{
    ElasticsearchConnector, ElasticsearchSettings, server_version,
};
use streamhost_core::job::{ColumnSpec, SinkSpec};
use streamhost_core::types::{Guarantee, Kind, RefusedRow, Rows, Spans};
use streamhost_engine::sink::{CancelSignal, Delivery, Refusals, Remedy, Sink, SinkError};
use streamhost_tests::elastic::Elastic;
use streamhost_tests::fault_proxy::FaultProxy;
use streamhost_tests::host::unique;
use streamhost_tests::sizes::LATE;
use streamhost_tests::wait::wait_until;

pub(super) fn column(name: &str, kind: Kind) -> ColumnSpec {
    ColumnSpec {
        name: name.to_owned(),
        kind,
        optional: true,
    }
}

/// An index of this name: a key, and a column of each kind.
fn spec(target: &str) -> SinkSpec {
    SinkSpec {
        connector: "elasticsearch".to_owned(),
        name: "out".to_owned(),
        target: target.to_owned(),
        keys: vec![column("id", Kind::Text)],
        columns: Kind::ALL
            .map(|kind| column(&format!("c-{}", kind.word()), kind))
            .to_vec(),
        ..SinkSpec::default()
    }
}

/// The same with one number and one text.
pub(super) fn small(target: &str) -> SinkSpec {
    SinkSpec {
        columns: vec![column("n", Kind::Int), column("t", Kind::Text)],
        ..spec(target)
    }
}

fn connector(server: &Elastic) -> ElasticsearchConnector {
    ElasticsearchConnector::new(server.settings())
}

pub(super) fn open(server: &Elastic, spec: &SinkSpec) -> Box<dyn Sink> {
    open_until(server.settings(), spec, &CancelSignal::default())
}

fn open_until(
    settings: ElasticsearchSettings,
    spec: &SinkSpec,
    cancel: &CancelSignal,
) -> Box<dyn Sink> {
    let context = SinkContext {
        sources: &[],
        owner: &format!("streamhost.{}", spec.target),
        cancel,
    };
    let connector = ElasticsearchConnector::new(settings);
    connector.sink().expect("a sink").open(spec, &context)
}

/// A row of a test: its key and its cells.
type RowOf<'a> = (Option<&'a [u8]>, &'a [Option<&'a [u8]>]);

/// Rows of a key, if there is one, and cells; `None` is not there. Without cells the row is deleted.
pub(super) fn rows(all: &[RowOf<'_>], width: usize) -> Rows {
    let mut rows = Rows::default();
    for (n, (key, cells)) in (0..).zip(all) {
        rows.positions.push(n);
        if key.is_none() {
            rows.absent.push(rows.cells.len() as u32);
        }
        rows.cells.push(key.unwrap_or(b""));
        if cells.is_empty() {
            rows.deleted_rows.push(n);
        }
        for at in 0..width {
            let cell = cells.get(at).copied().flatten();
            if cell.is_none() {
                rows.absent.push(rows.cells.len() as u32);
            }
            rows.cells.push(cell.unwrap_or(b""));
        }
    }
    rows
}

/// Rows of keys `FROM…` with numbers.
pub(super) fn numbers(range: std::ops::Range<i64>, n: impl Fn(i64) -> i64, t: &str) -> Rows {
    let all: Vec<(String, [u8; 8])> = range
        .map(|i| (format!("k{i}"), n(i).to_le_bytes()))
        .collect();
    let cells: Vec<[Option<&[u8]>; 2]> = all
        .iter()
        .map(|(_, n)| [Some(&n[..]), Some(t.as_bytes())])
        .collect();
    let rows_of: Vec<_> = all
        .iter()
        .zip(&cells)
        .map(|((key, _), cells)| (Some(key.as_bytes()), &cells[..]))
        .collect();
    rows(&rows_of, 2)
}

/// Takes up to `most` refusals.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) most: usize,
    pub(super) refused: Vec<RefusedRow>,
    pub(super) calls: usize,
}

impl Refusals for Taken {
    fn most(&self) -> usize {
        self.most
    }

    fn take(&mut self, refused: Vec<RefusedRow>) -> Result<(), SinkError> {
        (self.calls, self.refused) = (self.calls + 1, refused);
        match self.refused.len() > self.most {
            true => Err(SinkError::NotNoted("too many".to_owned())),
            false => Ok(()),
        }
    }
}

impl Taken {
    pub(super) fn places(&self) -> Vec<usize> {
        self.refused.iter().map(|refused| refused.row).collect()
    }
}

pub(super) fn deliver(
    sink: &mut dyn Sink,
    batch: u64,
    rows: &[Rows],
    refusals: &mut Taken,
) -> Result<(), SinkError> {
    let delivery = Delivery {
        epoch: 7,
        batch,
        time_ms: 1_700_000_000_000 + 10 * batch as i64,
        digest: "d",
        spans: &Spans::new(),
        version: 1,
    };
    sink.deliver(&delivery, rows, refusals)
}

#[track_caller]
pub(super) fn create(server: &Elastic, spec: &SinkSpec) {
    let connector = connector(server);
    connector
        .sink()
        .expect("a sink")
        .create(spec)
        .expect("created");
}

/// What a deploy is told of an index, or its words against it.
pub(super) fn inspect(server: &Elastic, spec: &SinkSpec, create: bool) -> Result<Presence, String> {
    let connector = connector(server);
    let looked = connector.sink().expect("a sink").inspect(spec, create);
    looked.map_err(|error| {
        assert_eq!(error.remedy(), Remedy::Stop, "{error}");
        error.to_string()
    })
}

/// With each of both servers.
pub(super) fn with_both(test: fn(&Elastic)) {
    for server in [Elastic::shared(), Elastic::opensearch()] {
        test(server);
    }
}

#[test]
fn every_kind_of_cell_is_there_once_whoever_delivers_it_again_and_however_late() {
    with_both(|server| {
        let spec = spec(&unique("kinds"));
        let missing = inspect(server, &spec, false).expect_err("it is not there");
        assert!(
            missing.contains("has no index `kinds") && missing.contains("--create-tables"),
            "{missing}"
        );
        assert_eq!(inspect(server, &spec, true), Ok(Presence::Missing));
        create(server, &spec);
        create(server, &spec);
        assert_eq!(inspect(server, &spec, false), Ok(Presence::There));

        let (int, float) = (i64::MIN.to_le_bytes(), 0.1_f64.to_le_bytes());
        // Without the type for more, what is over the range of `long` is refused.
        let most = if server.is_opensearch() {
            u64::MAX
        } else {
            i64::MAX as u64
        };
        let (uint, time) = (most.to_le_bytes(), (-1_i64).to_le_bytes());
        let full: [Option<&[u8]>; 8] = [
            Some("tab\t\"line\"\n ü".as_bytes()),
            Some(b"\x00\xff"),
            Some(&int),
            Some(&uint),
            Some(&float),
            Some(&[1]),
            Some(&time),
            Some(b"{\"a\":\n [1, \"\\n\", {\"b\": null}]}"),
        ];
        let key = |key: &'static str| Some(key.as_bytes());
        let first = rows(
            &[
                (key("k1"), &full),
                (key("k/2 ü"), &full),
                (key("k3"), &full),
                (key("k4"), &full),
            ],
            8,
        );
        let part = [Some(&b"new"[..])];
        let second = rows(
            &[
                (key("k1"), &part),
                (key("k/2 ü"), &[]),
                (key("k4"), &[]),
                (key("k4"), &part),
                (key("k5"), &[]),
            ],
            8,
        );
        let (mut sink, mut none) = (open(server, &spec), Taken::default());
        assert_eq!(
            (sink.guarantee(), sink.open().expect("open")),
            (Guarantee::Idempotent, None)
        );
        deliver(sink.as_mut(), 1, std::slice::from_ref(&first), &mut none).expect("delivered");
        deliver(sink.as_mut(), 2, std::slice::from_ref(&second), &mut none).expect("delivered");
        let once = server.documents(&spec.target);
        let whole = json!({"id": "k3", "c-text": "tab\t\"line\"\n ü", "c-bytes": "AP8=", "c-int": i64::MIN,
            "c-uint": most, "c-float": 0.1, "c-bool": true, "c-time": "1969-12-31T23:59:59.999Z",
            "c-json": {"a": [1, "\n", {"b": null}]}});
        let time = 1_700_000_000_000_i64;
        let want = [
            ("k1", (time + 21, json!({"id": "k1", "c-text": "new"}))),
            ("k3", (time + 11, whole)),
            ("k4", (time + 21, json!({"id": "k4", "c-text": "new"}))),
        ];
        let want = want.map(|(id, of)| (id.to_owned(), of)).into();
        assert_eq!(
            once, want,
            "an absent field is not there, as a row is the whole document"
        );

        // A host that did not hear of it, and requests that come late.
        let mut again = open(server, &spec);
        again.open().expect("open");
        for (batch, rows) in [(2, &second), (1, &first), (2, &second), (1, &first)] {
            deliver(again.as_mut(), batch, std::slice::from_ref(rows), &mut none)
                .expect("delivered");
            assert_eq!(server.documents(&spec.target), once);
        }
        assert_eq!((none.calls, none.refused.len()), (6, 0));
    });
}

#[test]
fn rows_that_the_index_refuses_are_told_and_the_others_are_there() {
    with_both(|server| {
        let index = unique("strict");
        let made = json!({"dynamic": "strict", "properties": {
            "id": {"type": "keyword"}, "n": {"type": "integer"}, "t": {"type": "date"}}});
        server.tell_it("PUT", &format!("/{index}"), &json!({"mappings": made}));
        let spec = small(&index);
        let mut sink = open(server, &spec);
        sink.open().expect("open");
        let bad = |i: i64| if [12, 617].contains(&i) { i64::MAX } else { i };
        let mut refusals = Taken {
            most: 100,
            ..Taken::default()
        };
        let batch = numbers(0..6000, bad, "2026-12-01");
        deliver(sink.as_mut(), 1, &[batch], &mut refusals).expect("the rest");
        assert_eq!(refusals.places(), [12, 617], "{:?}", refusals.refused);
        let reason = &refusals.refused[0].reason;
        assert!(
            reason.contains("Elasticsearch refuses the row") && reason.contains("[n]"),
            "{reason}"
        );
        assert_eq!(server.count(&index), 5998);

        // Of several rows of one key the last one that is taken counts.
        let (five, n) = (Some(&b"k5"[..]), 55_i64.to_le_bytes());
        let (good, worse) = ([Some(&n[..]), None], [Some(&n[..]), Some(&b"never"[..])]);
        let long = "x".repeat(513);
        let batch = rows(
            &[
                (five, &good),
                (five, &worse),
                (Some(long.as_bytes()), &good),
                (five, &worse),
            ],
            2,
        );
        deliver(sink.as_mut(), 2, &[batch], &mut refusals).expect("the rest");
        assert_eq!(refusals.places(), [1, 2, 3], "{:?}", refusals.refused);
        assert!(refusals.refused[1].reason.contains("`_id` of 513 bytes"));
        let found = server.sources(&index);
        assert_eq!(found["k5"], json!({"id": "k5", "n": 55}));

        // A schema that takes none of them is no matter of rows.
        let all_bad = numbers(7000..8000, |_| i64::MAX, "2026-12-01");
        deliver(sink.as_mut(), 3, &[all_bad], &mut refusals).expect_err("too many");
        assert!(refusals.refused.len() > 100);
    });
}

#[test]
fn rows_without_a_key_are_added_once() {
    with_both(|server| {
        let spec = SinkSpec {
            keys: Vec::new(),
            ..small(&unique("added"))
        };
        create(server, &spec);
        let n = 5_i64.to_le_bytes();
        let cells = [Some(&n[..]), Some(&b"same"[..])];
        let batch = rows(&[(None, &cells), (None, &cells), (None, &[None, None])], 2);
        let mut none = Taken::default();
        for _ in 0..2 {
            let mut sink = open(server, &spec);
            sink.open().expect("open");
            deliver(sink.as_mut(), 1, std::slice::from_ref(&batch), &mut none).expect("delivered");
            assert_eq!(server.count(&spec.target), 3);
        }
        let mut sink = open(server, &spec);
        sink.open().expect("open");
        deliver(sink.as_mut(), 2, &[batch], &mut none).expect("delivered");
        assert_eq!(
            server.count(&spec.target),
            6,
            "another batch has other rows"
        );
    });
}

#[test]
fn it_is_away_or_silent_and_a_stop_ends_the_call() {
    let server = Elastic::own("silent");
    let spec = small("clicks");
    create(&server, &spec);
    let (cancel, mut none) = (CancelSignal::default(), Taken::default());
    // The first of the list is nobody; the other one serves.
    let settings = ElasticsearchSettings {
        hosts: vec!["127.0.0.1:1".to_owned(), server.address.clone()],
        ..server.settings()
    };
    let version = server_version(&settings).expect("it answers");
    assert!(version.starts_with("Elasticsearch 7."), "{version}");
    let mut sink = open_until(settings, &spec, &cancel);
    sink.open().expect("open");
    let batch = [numbers(0..10, |n| n, "t")];
    deliver(sink.as_mut(), 1, &batch, &mut none).expect("delivered");
    server.tell("kill").ok();
    let away = deliver(sink.as_mut(), 2, &batch, &mut none).expect_err("it is away");
    assert_eq!(away.remedy(), Remedy::Retry, "{away}");
    assert!(away.to_string().contains(&server.address), "{away}");
    server.tell("start").ok();
    sink.open().expect("open");
    deliver(sink.as_mut(), 2, &batch, &mut none).expect("delivered");
    let proxy = FaultProxy::before(&server.address).expect("a proxy");
    proxy.tell("hold-next").expect("understood");
    let held = ElasticsearchSettings {
        hosts: vec![proxy.address().to_string()],
        ..server.settings()
    };
    let outcome = std::thread::scope(|scope| {
        let opens = scope.spawn(|| open_until(held, &spec, &cancel).open());
        wait_until("its request is held", LATE, || {
            let events = proxy.tell("events").expect("understood");
            events.contains("connection ")
        });
        cancel.cancel();
        opens.join().expect("no panic")
    });
    assert!(matches!(outcome, Err(SinkError::Cancelled)), "{outcome:?}");
    server.tell("stop").ok();
}
