//! What the broker promises of records, transactions and offsets, before and after a `kill -9`.

use super::*;
use streamhost_core::limits::BROKER_TRANSACTIONAL_IDS_MAX;

#[test]
fn what_is_acknowledged_survives() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path());
    assert_eq!(create(&broker, "t", 2, &[("retention.ms", "-1")]), 0);
    assert_eq!(produce(&broker, None, "t", 0, plain(&[10, 20])), (0, 0));
    let (first, second) = (
        sample((77, 0, 0), false, &[30]),
        sample((77, 0, 1), false, &[40]),
    );
    assert_eq!(produce(&broker, None, "t", 0, first.clone()), (0, 2));
    let open_one = init(&broker, "open", 60_000);
    assert_eq!(add_partition(&broker, "open", open_one, "t"), 0);
    assert_eq!(
        produce(
            &broker,
            Some("open"),
            "t",
            0,
            sample((open_one.0, 0, 0), true, &[50])
        ),
        (0, 3)
    );
    assert_eq!(txn_commit_offset(&broker, "open", open_one, "g", 2), 0);

    for (_folder, broker) in [killed(folder.path()), killed(folder.path())] {
        assert_eq!(
            produce(&broker, None, "t", 0, first.clone()),
            (0, 2),
            "a repetition is known again"
        );
        assert_eq!(produce(&broker, None, "t", 0, second.clone()), (0, 4));
        assert_eq!(fetch(&broker, "t", 0, false).high_watermark, 5);
        assert_eq!(
            fetch(&broker, "t", 0, true).last_stable_offset,
            3,
            "the transaction is still open"
        );
        assert_eq!(
            committed(&broker, "g", "t", true).0,
            ResponseError::UnstableOffsetCommit.code()
        );
        assert_eq!(committed(&broker, "g", "t", false).1, -1);
        assert_eq!(end(&broker, "open", open_one, true), 0);
        assert_eq!(fetch(&broker, "t", 0, true).last_stable_offset, 6);
        assert_eq!(
            committed(&broker, "g", "t", true),
            (0, 2, "a note".to_owned())
        );
        let (next, _) = init(&broker, "another", 60_000);
        assert!(next > open_one.0, "a producer id is never given out twice");
        assert_eq!(init(&broker, "open", 60_000), (open_one.0, open_one.1 + 1));
    }
}

#[test]
fn transactions_commit_abort_and_fence() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path());
    create(&broker, "t", 1, &[]);
    let old = init(&broker, "x", 60_000);
    let fenced = ResponseError::ProducerFenced.code();
    assert_eq!(
        produce(
            &broker,
            Some("x"),
            "t",
            0,
            sample((old.0, 0, 0), true, &[1])
        )
        .0,
        ResponseError::InvalidTxnState.code(),
        "the partition is not part of it"
    );
    assert_eq!(add_partition(&broker, "x", old, "t"), 0);
    assert_eq!(
        produce(
            &broker,
            Some("x"),
            "t",
            0,
            sample((old.0, 0, 0), true, &[1])
        ),
        (0, 0)
    );
    assert_eq!(end(&broker, "x", old, true), 0);
    assert_eq!(end(&broker, "x", old, true), 0, "asked again");
    assert_eq!(
        end(&broker, "x", old, false),
        ResponseError::InvalidTxnState.code()
    );

    assert_eq!(add_partition(&broker, "x", old, "t"), 0);
    assert_eq!(
        produce(
            &broker,
            Some("x"),
            "t",
            0,
            sample((old.0, 0, 1), true, &[2])
        ),
        (0, 2)
    );
    assert_eq!(txn_commit_offset(&broker, "x", old, "g", 9), 0);
    let new = init(&broker, "x", 60_000); // aborts what is open
    assert_eq!(new, (old.0, old.1 + 1));
    assert_eq!(end(&broker, "x", old, true), fenced);
    assert_eq!(add_partition(&broker, "x", old, "t"), fenced);
    assert_eq!(
        produce(
            &broker,
            Some("x"),
            "t",
            0,
            sample((old.0, 0, 2), true, &[3])
        )
        .0,
        ResponseError::InvalidProducerEpoch.code()
    );
    assert_eq!(committed(&broker, "g", "t", true).1, -1);

    let found = fetch(&broker, "t", 0, true);
    assert_eq!((found.high_watermark, found.last_stable_offset), (4, 4));
    let aborted = found.aborted_transactions.unwrap();
    assert_eq!(
        aborted
            .iter()
            .map(|each| (each.producer_id.0, each.first_offset))
            .collect::<Vec<_>>(),
        [(old.0, 2)]
    );
    let (_folder, broker) = killed(folder.path());
    assert_eq!(
        fetch(&broker, "t", 3, true)
            .aborted_transactions
            .unwrap()
            .len(),
        1,
        "still known after a restart"
    );
}

#[test]
fn an_overdue_transaction_is_aborted_and_its_producer_may_begin_anew() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path());
    create(&broker, "t", 1, &[]);
    let producer = init(&broker, "x", 1000);
    add_partition(&broker, "x", producer, "t");
    produce(
        &broker,
        Some("x"),
        "t",
        0,
        sample((producer.0, 0, 0), true, &[1]),
    );
    broker.abort_overdue(now_ms()).unwrap();
    assert_eq!(
        fetch(&broker, "t", 0, true).last_stable_offset,
        0,
        "not yet"
    );
    broker.abort_overdue(now_ms() + 1001).unwrap();
    assert_eq!(fetch(&broker, "t", 0, true).last_stable_offset, 2);
    assert_eq!(
        end(&broker, "x", producer, true),
        ResponseError::ProducerFenced.code()
    );
    let again = InitProducerIdRequest::default()
        .with_transactional_id(Some(TransactionalId(text("x"))))
        .with_transaction_timeout_ms(1000)
        .with_producer_id(ProducerId(producer.0));
    assert_eq!(
        ask(&broker, &again.clone().with_producer_epoch(producer.1), 4).producer_epoch,
        2
    );
    let fenced = ResponseError::ProducerFenced.code();
    assert_eq!(
        ask(&broker, &again.with_producer_epoch(1), 4).error_code,
        fenced,
        "the fence's own epoch"
    );
}

#[test]
fn records_are_found_by_time() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path());
    create(&broker, "t", 1, &[]);
    for batch in 0..50 {
        // Every fifth batch is late: its times lie before those of its forerunners.
        let base = if batch % 5 == 4 {
            batch * 100 - 300
        } else {
            batch * 100
        };
        produce(&broker, None, "t", 0, plain(&[base, base + 10, base + 20]));
    }
    assert_eq!(list(&broker, "t", -2), (0, -1));
    assert_eq!(list(&broker, "t", -1), (150, -1));
    assert_eq!(list(&broker, "t", 0), (0, 0));
    assert_eq!(list(&broker, "t", 11), (2, 20));
    assert_eq!(list(&broker, "t", 201), (7, 210));
    assert_eq!(
        list(&broker, "t", 321),
        (15, 500),
        "batch 4 has no record so late, batch 5 has"
    );
    assert_eq!(list(&broker, "t", 4821), (-1, -1));
}

#[test]
fn retention_and_deletion_remove_what_is_old() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path());
    let bytes = plain(&[1]).len();
    create(
        &broker,
        "t",
        1,
        &[
            ("retention.bytes", &(bytes * 3).to_string()),
            ("retention.ms", "60000"),
        ],
    );
    for _ in 0..5 {
        produce(&broker, None, "t", 0, plain(&[1]));
    }
    broker.remove_old(now_ms()).unwrap();
    assert_eq!(list(&broker, "t", -2).0, 2, "three batches fit");
    assert_eq!(
        fetch(&broker, "t", 1, false).error_code,
        ResponseError::OffsetOutOfRange.code()
    );
    assert_eq!(
        fetch(&broker, "t", 6, false).error_code,
        ResponseError::OffsetOutOfRange.code()
    );
    assert_eq!(
        fetch(&broker, "t", 2, false).records.unwrap().len(),
        bytes * 3
    );
    broker.remove_old(now_ms() + 60_001).unwrap();
    assert_eq!(list(&broker, "t", -2).0, 5);
    assert_eq!(broker.store.log.len().unwrap(), 0);
    let (_folder, reopened) = killed(folder.path());
    assert_eq!(
        produce(&reopened, None, "t", 0, plain(&[1])),
        (0, 5),
        "offsets go on where they were"
    );

    produce(&broker, None, "t", 0, plain(&[1, 2, 3]));
    let partition = broker.topics.partition("t", 0).unwrap();
    assert_eq!(partition.delete_before(&broker.store, 6).unwrap(), 6);
    assert_eq!(list(&broker, "t", 0), (6, 1), "within a batch");
    let names = DeleteTopicsRequest::default().with_topic_names(vec![TopicName(text("t"))]);
    assert_eq!(ask(&broker, &names, 3).responses[0].error_code, 0);
    broker.remove_old(now_ms()).unwrap();
    assert_eq!(
        broker.store.index.len().unwrap() + broker.store.partitions.len().unwrap(),
        0
    );
    create(&broker, "t", 1, &[]);
    assert_eq!(
        list(&broker, "t", -1).0,
        0,
        "a topic of an old name is a new topic"
    );
}

#[test]
fn what_cannot_be_kept_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path());
    assert_eq!(
        create(&broker, "t", 1, &[("cleanup.policy", "compact")]),
        ResponseError::InvalidConfig.code()
    );
    assert_eq!(
        create(&broker, "a b", 1, &[]),
        ResponseError::InvalidTopicException.code()
    );
    assert_eq!(
        create(&broker, "t", 0, &[]),
        ResponseError::InvalidPartitions.code()
    );
    assert_eq!(create(&broker, "t", 1, &[]), 0);
    assert_eq!(
        create(&broker, "t", 1, &[]),
        ResponseError::TopicAlreadyExists.code()
    );
    assert_eq!(
        produce(&broker, None, "t", 1, plain(&[1])).0,
        ResponseError::UnknownTopicOrPartition.code()
    );
    let gap = sample((9, 0, 7), false, &[1]);
    assert_eq!(
        produce(&broker, None, "t", 0, sample((9, 0, 0), false, &[1])),
        (0, 0)
    );
    assert_eq!(
        produce(&broker, None, "t", 0, gap).0,
        ResponseError::OutOfOrderSequenceNumber.code()
    );
    let settings = Settings {
        partitions_default: 0,
        ..Settings::default()
    };
    let other = tempfile::tempdir().unwrap();
    assert!(
        Broker::open(
            &fjall::Database::builder(other.path()).open().unwrap(),
            settings
        )
        .is_err()
    );
}

#[test]
fn a_waiting_fetch_is_woken_by_records() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path());
    create(&broker, "t", 1, &[]);
    let began = Instant::now();
    let waiting = std::thread::spawn({
        let broker = broker.clone();
        move || ask(&broker, &fetch_request("t", 0, 0, true, 50_000), 11)
    });
    produce(&broker, None, "t", 0, plain(&[1]));
    let response = waiting.join().unwrap();
    assert!(
        !response.responses[0].partitions[0]
            .records
            .as_ref()
            .unwrap()
            .is_empty()
    );
    assert!(began.elapsed() < Duration::from_secs(40));
}

fn begin_again(
    broker: &Arc<Broker>,
    id: &str,
    (producer, epoch): (i64, i16),
) -> Result<(i64, i16), i16> {
    let request = InitProducerIdRequest::default()
        .with_transactional_id(Some(TransactionalId(text(id))))
        .with_transaction_timeout_ms(60_000)
        .with_producer_id(ProducerId(producer))
        .with_producer_epoch(epoch);
    let response = ask(broker, &request, 4);
    match response.error_code {
        0 => Ok((response.producer_id.0, response.producer_epoch)),
        code => Err(code),
    }
}

#[test]
fn a_producer_that_did_not_hear_its_new_epoch_hears_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path());
    create(&broker, "t", 1, &[]);
    let first = init(&broker, "x", 60_000);
    let second = (first.0, first.1 + 1);
    assert_eq!(begin_again(&broker, "x", first), Ok(second));
    assert_eq!(
        begin_again(&broker, "x", first),
        Ok(second),
        "the answer was lost"
    );
    let (_folder, restarted) = killed(folder.path());
    assert_eq!(
        begin_again(&restarted, "x", first),
        Ok(second),
        "and the broker died"
    );
    assert_eq!(add_partition(&broker, "x", second, "t"), 0);
    let fenced = Err(ResponseError::ProducerFenced.code());
    assert_eq!(
        begin_again(&broker, "x", first),
        fenced,
        "it had heard: this is a former self"
    );
    let third = init(&broker, "x", 60_000);
    assert_eq!(
        begin_again(&broker, "x", second),
        fenced,
        "another producer took over"
    );
    assert_eq!(begin_again(&broker, "x", third), Ok((third.0, third.1 + 1)));
}

#[test]
fn the_longest_unused_transactional_id_makes_room() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path());
    create(&broker, "t", 1, &[]);
    let begin = |id: &str, at_ms: i64| {
        broker
            .begin_producer(id, 60_000, None, ResponseError::ProducerFenced, at_ms)
            .map_err(|error| error.code())
    };
    let open = begin("open", 1).unwrap();
    assert_eq!(add_partition(&broker, "open", open, "t"), 0);
    let used = begin("used", 2).unwrap();
    let unused = begin("unused", 3).unwrap();
    assert_eq!(add_partition(&broker, "used", used, "t"), 0);
    assert_eq!(end(&broker, "used", used, true), 0);
    for number in 3..BROKER_TRANSACTIONAL_IDS_MAX {
        begin(&format!("n{number}"), number as i64 + 1).unwrap();
    }
    assert!(
        begin_again(&broker, "strange", unused).is_err(),
        "refused, so it takes no place"
    );
    assert!(begin("one more", 50_000).is_ok());
    assert_eq!(
        end(&broker, "unused", unused, true),
        ResponseError::InvalidProducerIdMapping.code()
    );
    assert_eq!(end(&broker, "open", open, true), 0);
    assert_eq!(end(&broker, "used", used, true), 0);
    assert_eq!(
        broker.store.transactions.len().unwrap(),
        BROKER_TRANSACTIONAL_IDS_MAX
    );
    let again = begin("unused", 60_000).unwrap();
    assert!(again.0 > unused.0, "it begins anew");
}

#[test]
fn what_a_topic_says_of_its_batches_counts() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path());
    let bytes = plain(&[1]).len();
    let config = ("max.message.bytes", &*bytes.to_string());
    assert_eq!(
        create(&broker, "t", 1, &[config, ("min.insync.replicas", "1")]),
        0
    );
    for two in [
        ("min.insync.replicas", "2"),
        ("max.message.bytes", "-1"),
        ("max.message.bytes", "99999999"),
    ] {
        assert_eq!(
            create(&broker, "two", 1, &[two]),
            ResponseError::InvalidConfig.code(),
            "{two:?}"
        );
    }
    let (_folder, reopened) = killed(folder.path());
    for broker in [broker, reopened] {
        assert_eq!(produce(&broker, None, "t", 0, plain(&[1])), (0, 0));
        assert_eq!(
            produce(&broker, None, "t", 0, plain(&[1, 2])).0,
            ResponseError::MessageTooLarge.code()
        );
        let resource = describe_configs_request::DescribeConfigsResource::default()
            .with_resource_type(2)
            .with_configuration_keys(None);
        let request = DescribeConfigsRequest::default()
            .with_resources(vec![resource.with_resource_name(text("t"))]);
        let described = ask(&broker, &request, 3);
        let told = described.results[0]
            .configs
            .iter()
            .find(|each| each.name == *config.0)
            .unwrap();
        assert_eq!(told.value.as_deref(), Some(config.1));
    }
    let words = ask(
        &open(tempfile::tempdir().unwrap().path()),
        &CreateTopicsRequest::default().with_topics(
            (0..11)
                .map(|number| {
                    let topic =
                        CreatableTopic::default().with_name(TopicName(text(&format!("t{number}"))));
                    topic.with_num_partitions(1000).with_replication_factor(1)
                })
                .collect(),
        ),
        4,
    );
    assert!(
        words.topics[10]
            .error_message
            .as_ref()
            .unwrap()
            .contains("10000"),
        "a refusal has words"
    );
}

#[test]
fn what_the_disk_has_no_room_for_is_refused_until_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path());
    create(&broker, "t", 1, &[]);
    assert_eq!(produce(&broker, None, "t", 0, plain(&[10])).0, 0);
    broker.store.room.need(u64::MAX);
    let full = ResponseError::KafkaStorageError.code();
    assert_eq!(produce(&broker, None, "t", 0, plain(&[10])), (full, -1));
    assert_ne!(create(&broker, "u", 1, &[]), 0);
    assert_eq!(fetch(&broker, "t", 0, false).error_code, 0, "it is read on");
    broker.store.room.need(0);
    assert_eq!(
        produce(&broker, None, "t", 0, plain(&[10])),
        (0, 1),
        "nothing of it was begun"
    );
}
