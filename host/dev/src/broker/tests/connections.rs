//! Connections: what they carry, and how they end.

use super::*;
use crate::broker::wire::BadRequest;
use streamhost_core::limits::BROKER_CONNECTIONS_MAX;

/// Reads until the other side closes.
fn rest_of(mut stream: TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    match stream.read_to_end(&mut rest) {
        Err(error) if error.kind() != std::io::ErrorKind::ConnectionReset => panic!("{error}"),
        _ => rest,
    }
}

#[test]
fn bytes_that_are_no_request_close_their_connection_only() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path());
    let listening = broker.listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let send = |bytes: &[u8]| {
        let mut stream = TcpStream::connect(listening.address()).unwrap();
        stream.write_all(bytes).unwrap();
        rest_of(stream)
    };
    assert_eq!(send(b"GET / HTTP/1.1\r\n\r\n"), b"");
    assert_eq!(send(b"\0\0\0\x02\0\x03"), b"", "a request that ends early");
    let mut huge = BytesMut::new(); // Metadata for two billion topics
    huge.put_slice(b"\0\0\0\x0e\0\x03\0\x04\0\0\0\x05\xff\xff\x7f\xff\xff\xff");
    assert_eq!(send(&huge), b"");
    assert_eq!(
        send(b"\0\0\0\x0a\0\x00\0\x02\0\0\0\x05\xff\xff"),
        b"",
        "a version that is not served"
    );

    let mut stream = TcpStream::connect(listening.address()).unwrap();
    let newer = b"\0\0\0\x0a\0\x12\0\x63\0\0\0\x05\xff\xff"; // ApiVersions of a version to come
    stream.write_all(newer).unwrap();
    let mut answer = [0; 10];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(
        &answer[4..],
        b"\0\0\0\x05\0\x23",
        "told by error 35 what is supported"
    );
    let address = listening.address();
    listening.stop();
    rest_of(stream); // closed with the others
    assert!(TcpStream::connect(address).is_err(), "nobody listens");
    assert_eq!(Arc::strong_count(&broker), 1, "all threads are done");
}

/// Whether a new connection is served.
fn is_served(address: SocketAddr) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = request_bytes(&ApiVersionsRequest::default(), 0);
    let mut answer = [0; 8];
    let sent = stream
        .write_all(&(request.len() as u32).to_be_bytes())
        .and_then(|()| stream.write_all(&request));
    sent.and_then(|()| stream.read_exact(&mut answer))
        .ok()
        .map(|()| stream)
}

#[test]
fn there_are_only_so_many_connections() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path());
    let listening = broker.listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let mut open: Vec<TcpStream> = (0..BROKER_CONNECTIONS_MAX)
        .map(|_| is_served(listening.address()).expect("there is room"))
        .collect();
    assert!(is_served(listening.address()).is_none(), "one too many");
    open.pop();
    let deadline = Instant::now() + Duration::from_secs(30);
    while is_served(listening.address()).is_none() {
        assert!(
            Instant::now() < deadline,
            "a closed connection leaves its place"
        );
    }
}

/// Waiting for records that do not come keeps no place for somebody who left.
#[test]
fn clients_that_leave_while_they_wait_leave_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path());
    create(&broker, "t", 1, &[]);
    let listening = broker.listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let request = request_bytes(&fetch_request("t", 0, 0, false, i32::MAX), 11);
    for _ in 0..BROKER_CONNECTIONS_MAX {
        let mut stream = TcpStream::connect(listening.address()).expect("there is room");
        let length = (request.len() as u32).to_be_bytes();
        stream.write_all(&length).expect("sent");
        stream.write_all(&request).expect("sent");
    }
    let deadline = Instant::now() + Duration::from_secs(30);
    while is_served(listening.address()).is_none() {
        assert!(Instant::now() < deadline, "those that left keep no place");
    }
}

#[test]
fn names_that_no_topic_can_have_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path());
    let longest = "x".repeat(i16::MAX as usize);
    for name in [&longest, "a b", ""] {
        let topic = OffsetFetchRequestTopic::default().with_name(TopicName(text(name)));
        let topics = Some(vec![topic.with_partition_indexes(vec![0])]);
        let request = OffsetFetchRequest::default()
            .with_group_id(GroupId(text(&longest)))
            .with_topics(topics);
        let response = ask(&broker, &request, 5); // later versions take one byte less
        let partition = &response.topics[0].partitions[0];
        assert_eq!((partition.error_code, partition.committed_offset), (0, -1));
    }
}

#[test]
fn records_without_acknowledgement_that_cannot_be_taken_close_their_connection() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path());
    create(&broker, "t", 1, &[]);
    let send = |topic: &str| {
        let data = PartitionProduceData::default().with_records(Some(Bytes::from(plain(&[1]))));
        let topic = TopicProduceData::default()
            .with_name(TopicName(text(topic)))
            .with_partition_data(vec![data]);
        let mut bytes = request_bytes(
            &ProduceRequest::default()
                .with_acks(0)
                .with_topic_data(vec![topic]),
            8,
        );
        let header = read_header(&mut bytes).unwrap();
        answer(&broker, &caller(), &header, bytes, &mut BytesMut::new())
    };
    assert_eq!(send("t"), Ok(Answer::None));
    let code = ResponseError::UnknownTopicOrPartition.code();
    assert_eq!(
        send("gone"),
        Err(BadRequest::Untold { code }),
        "or the producer would go on for ever"
    );
    assert_eq!(list(&broker, "t", -1).0, 1);
}

#[test]
fn random_damage_does_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path());
    create(&broker, "t", 1, &[]);
    let listening = broker.listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let data = PartitionProduceData::default().with_records(Some(Bytes::from(plain(&[1, 2]))));
    let topic = TopicProduceData::default()
        .with_name(TopicName(text("t")))
        .with_partition_data(vec![data]);
    let offset = OffsetCommitRequestPartition::default().with_committed_offset(1);
    let offsets = OffsetCommitRequestTopic::default()
        .with_name(TopicName(text("t")))
        .with_partitions(vec![offset]);
    let sound = [
        request_bytes(
            &ProduceRequest::default()
                .with_acks(1)
                .with_topic_data(vec![topic]),
            8,
        ),
        // No fetch: it would wait for as long as damage says.
        request_bytes(&list_request("t", 1), 5),
        request_bytes(&MetadataRequest::default(), 4),
        request_bytes(
            &OffsetCommitRequest::default()
                .with_group_id(GroupId(text("g")))
                .with_topics(vec![offsets]),
            7,
        ),
        request_bytes(
            &OffsetFetchRequest::default().with_group_id(GroupId(text("g"))),
            6,
        ),
        request_bytes(
            &InitProducerIdRequest::default().with_transaction_timeout_ms(1000),
            4,
        ),
    ];
    let mut seed = 0x2545_F491_4F6C_DD1D_u64;
    for round in 0..600 {
        let mut damaged = sound[round % sound.len()].to_vec();
        for _ in 0..2 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let at = usize::try_from(seed % damaged.len() as u64).unwrap();
            damaged[at] = (seed >> 56) as u8;
        }
        let mut stream = TcpStream::connect(listening.address()).unwrap();
        stream
            .write_all(&(damaged.len() as u32).to_be_bytes())
            .unwrap();
        stream.write_all(&damaged).unwrap();
        // It may be closed already.
        let _shut = stream.shutdown(std::net::Shutdown::Write);
        rest_of(stream); // answered or closed: both end it
    }
    assert!(is_served(listening.address()).is_some());
}
