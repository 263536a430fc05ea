//! What is read while something writes, and how much.

use super::*;
use crate::broker::read::{Isolation, Room};
use crate::broker::record_batch::BatchHeader;
use streamhost_core::limits::{BROKER_RETENTION_PERIOD, BROKER_SWEEP_BATCHES_MAX};

/// First and last offsets of batches that stand one behind the other.
fn spans(mut records: &[u8]) -> Vec<(i64, i64)> {
    let mut spans = Vec::new();
    while let Some(header) = BatchHeader::parse(records) {
        spans.push((
            header.base_offset,
            header.base_offset + i64::from(header.last_offset_delta),
        ));
        let length = u32::from_be_bytes(records[8..12].try_into().unwrap()) as usize;
        records = &records[12 + length..];
    }
    assert!(records.is_empty());
    spans
}

fn fill(broker: &Arc<Broker>, topic: &str, batches: usize, times_ms: &[i64]) {
    for _ in 0..batches {
        assert_eq!(produce(broker, None, topic, 0, plain(times_ms)).0, 0);
    }
}

#[test]
fn a_read_beside_a_removal_has_no_hole() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path());
    for round in 0..10 {
        let name = format!("t{round}");
        create(&broker, &name, 1, &[]);
        let partition = broker.topics.partition(&name, 0).unwrap();
        fill(&broker, &name, 1500, &[1]);
        std::thread::scope(|scope| {
            let removing = scope.spawn(|| partition.delete_before(&broker.store, 1400).unwrap());
            while !removing.is_finished() {
                let room = Room {
                    bytes: 1 << 20,
                    one_at_least: true,
                };
                let from = partition.lock().bounds.start;
                let Ok(found) = partition.read(&broker.store, from, room, Isolation::Uncommitted)
                else {
                    continue;
                };
                let mut next = from;
                for (first, last) in spans(&found.records) {
                    assert_eq!(first, next, "a hole in what was read from {from} on");
                    next = last + 1;
                }
            }
        });
    }
}

#[test]
fn as_much_is_read_as_was_weighed() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path());
    create(&broker, "t", 1, &[]);
    let bytes = plain(&[1, 2]).len();
    fill(&broker, "t", 3, &[1, 2]);
    let partition = broker.topics.partition("t", 0).unwrap();
    for (offset, room, one_at_least, batches) in [
        (0, 3 * bytes, false, 3),
        (0, 3 * bytes - 1, false, 2),
        (3, 3 * bytes, false, 2), // begins within a batch
        (0, bytes - 1, false, 0),
        (0, bytes - 1, true, 1),
        (0, 0, true, 1),
        (0, 0, false, 0),
        (6, 3 * bytes, true, 0),
    ] {
        let room = Room {
            bytes: room,
            one_at_least,
        };
        let weigh = |enough| {
            partition
                .weigh(&broker.store, offset, room, Isolation::Committed, enough)
                .unwrap()
        };
        let found = partition
            .read(&broker.store, offset, room, Isolation::Committed)
            .unwrap();
        assert_eq!(
            (weigh(usize::MAX), found.records.len()),
            (batches * bytes, batches * bytes),
            "{offset} {room:?}"
        );
        assert_eq!(weigh(1), bytes.min(batches * bytes), "enough is enough");
    }
}

#[test]
fn a_fetch_that_wants_more_waits_for_more() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path());
    create(&broker, "t", 1, &[]);
    let bytes = plain(&[1]).len();
    produce(&broker, None, "t", 0, plain(&[1]));
    let request = fetch_request("t", 0, 0, true, 50_000).with_min_bytes(3 * bytes as i32);
    let waiting = std::thread::spawn({
        let broker = broker.clone();
        move || ask(&broker, &request, 11)
    });
    fill(&broker, "t", 2, &[1]);
    let response = waiting.join().unwrap();
    assert_eq!(
        response.responses[0].partitions[0]
            .records
            .as_ref()
            .unwrap()
            .len(),
        3 * bytes
    );
}

#[test]
fn much_is_removed_in_parts() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path());
    create(&broker, "short", 1, &[("retention.ms", "60000")]);
    create(&broker, "gone", 1, &[]);
    create(&broker, "kept", 1, &[]);
    let batches = BROKER_SWEEP_BATCHES_MAX * 5 / 2;
    for topic in ["short", "gone"] {
        fill(&broker, topic, batches, &[1]);
    }
    produce(&broker, None, "kept", 0, plain(&[1]));
    let names = DeleteTopicsRequest::default().with_topic_names(vec![TopicName(text("gone"))]);
    assert_eq!(ask(&broker, &names, 3).responses[0].error_code, 0);
    let later = now_ms() + 60_001 + BROKER_RETENTION_PERIOD.as_millis() as i64;
    for left in [3 * BROKER_SWEEP_BATCHES_MAX, BROKER_SWEEP_BATCHES_MAX] {
        assert!(broker.remove_old(later).unwrap(), "there is more");
        assert_eq!(
            (
                broker.store.log.len().unwrap(),
                broker.store.index.len().unwrap()
            ),
            (left + 1, left + 1)
        );
    }
    assert!(!broker.remove_old(later).unwrap());
    assert_eq!(
        (
            broker.store.log.len().unwrap(),
            broker.store.index.len().unwrap()
        ),
        (1, 1)
    );
    assert_eq!(list(&broker, "kept", -1).0, 1);
    let (_folder, reopened) = killed(folder.path());
    assert!(
        !reopened.remove_old(later).unwrap(),
        "nothing is left to be swept"
    );
}
