//! A component of the contract before this one, as an older SDK made it (`examples/wordcount`), runs
//! on.

use std::sync::Arc;
use std::time::Duration;
use streamhost_core::contract::Moment;
use streamhost_core::types::{Chunk, Header, Kind, NO_TIME_MS, Partition, Record};
use streamhost_engine::guest::{Guest, LogSink};
use streamhost_guest::{Compiler, GuestEngine, GuestLimits, Instance, Parameters};

const COMPONENT: &[u8] = include_bytes!("wordcount-0.1.wasm");

#[test]
fn a_component_of_0_1_is_described_and_called_and_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let guests = GuestEngine::new(&folder.path().join("cache"), Compiler::Here).unwrap();
    let loaded = guests.load("digest", COMPONENT, &|| true).unwrap();
    assert_eq!(loaded.contract(), "0.1");
    let notice = loaded.notice().unwrap();
    assert!(notice.contains("speaks contract 0.1"), "{notice}");

    let log: LogSink = Arc::new(|_, _: &str| {});
    let limits = GuestLimits::default();
    let described = loaded
        .describe(limits, log.clone(), &Parameters::default())
        .unwrap();
    let [source] = &described.sources[..] else {
        panic!("{:?}", described.sources)
    };
    assert_eq!((&*source.connector, source.options.len()), ("socket", 0));
    let [sink] = &described.sinks[..] else {
        panic!("{:?}", described.sinks)
    };
    assert_eq!(sink.connector, "console");
    assert_eq!((sink.keys.len(), sink.headers), (1, false));
    assert_eq!(sink.keys[0].kind, Kind::Bytes);

    let mut chunk = Chunk::new(Partition { source: 0, id: 3 });
    let (name, value) = ("trace", Some(&b"t1"[..]));
    chunk.push(Record {
        offset: 7,
        time_ms: 1,
        key: None,
        value: Some(b"to be or not to be"),
        headers: &[Header { name, value }],
    });
    let moment = Moment {
        batch_ms: 1,
        watermark_ms: NO_TIME_MS,
        partition_ms: NO_TIME_MS,
    };
    let mut instance = Instance::new(&loaded, limits, log).unwrap();
    let answer = instance
        .transform(0, moment, &chunk, Duration::from_secs(2))
        .unwrap();
    let words: Vec<&[u8]> = answer.keyed[0].keys.iter().collect();
    assert_eq!(words.len(), 4, "{words:?}");
}
