use super::*;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::time::Instant;
use streamhost_core::job::settings::BatchLimits;
use streamhost_core::types::Span;
use streamhost_engine::batch::Batch;

const P: Partition = Partition { source: 2, id: 0 };
const LONG: Duration = Duration::from_secs(60);

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn source(address: SocketAddr, at: Offset, until_end: bool) -> SocketSource {
    let spec = SourceSpec {
        target: address.to_string(),
        ..SourceSpec::default()
    };
    let mut source = SocketSource::new(P.source, &spec, until_end);
    source.assign(&[(P, at)].into()).unwrap();
    source
}

/// Fetches until so many records are there, being away or not.
fn fetch(source: &mut SocketSource, at: Offset, records: usize) -> Batch {
    let mut builder = BatchBuilder::open(&[(P, at)].into(), BatchLimits::default());
    let deadline = Instant::now() + LONG;
    while builder.records() < records {
        assert!(
            Instant::now() < deadline,
            "only {} records came",
            builder.records()
        );
        match source.fetch(&mut builder, limits::FETCH_WAIT) {
            Ok(()) | Err(SourceError::Away { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    builder.close()
}

fn values(batch: &Batch) -> Vec<String> {
    let all = batch.chunks.iter().flat_map(|chunk| chunk.values.iter());
    all.map(|value| String::from_utf8(value.to_vec()).unwrap())
        .collect()
}

#[test]
fn lines_are_numbered_from_where_it_is_assigned_and_a_closed_connection_is_opened_again() {
    let (listener, address) = listener();
    let mut source = source(address, 10, false);
    assert_eq!(source.partitions().unwrap(), [P]);
    let (mut peer, _) = listener.accept().unwrap();
    peer.write_all(b"one\r\ntwo\nunfinished").unwrap();
    let before_ms = clock::now_ms();
    let batch = fetch(&mut source, 10, 2);
    assert_eq!(
        (values(&batch), batch.spans[&P]),
        (
            vec!["one".into(), "two".into()],
            Span {
                from: 10,
                to: 12,
                records: 2
            }
        )
    );
    assert!(
        batch.chunks[0]
            .times_ms
            .iter()
            .all(|ms| (before_ms - 60_000..before_ms + 60_000).contains(ms))
    );
    drop(peer);
    assert_eq!(values(&fetch(&mut source, 12, 1)), ["unfinished"]);
    let (mut peer, _) = listener.accept().unwrap();
    peer.write_all(b"\nnext\n").unwrap();
    let batch = fetch(&mut source, 13, 2);
    assert_eq!(
        (values(&batch), batch.chunks[0].offsets.clone()),
        (vec!["".into(), "next".into()], vec![13, 14])
    );
    assert!(!source.is_replayable(P.source) && !source.is_exhausted(&batch.end_positions()));
    assert_eq!(source.ends(), [(P, 15)].into());
}

#[test]
fn it_is_away_until_somebody_listens() {
    let (listener, address) = listener();
    drop(listener);
    let mut source = source(address, 0, false);
    let mut builder = BatchBuilder::open(&[(P, 0)].into(), BatchLimits::default());
    let error = source.fetch(&mut builder, LONG).unwrap_err();
    assert!(matches!(error, SourceError::Away { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains(&format!("socket at {address} is away: ")),
        "{error}"
    );
    let listener = TcpListener::bind(address).unwrap();
    let peer =
        std::thread::spawn(move || listener.accept().unwrap().0.write_all(b"here\n").unwrap());
    assert_eq!(values(&fetch(&mut source, 0, 1)), ["here"]);
    peer.join().unwrap();
}

#[test]
fn until_its_end_it_is_over_when_the_peer_closes() {
    let (listener, address) = listener();
    let mut source = source(address, 0, true);
    let (mut peer, _) = listener.accept().unwrap();
    peer.write_all(b"a\nb\nc").unwrap();
    assert_eq!(values(&fetch(&mut source, 0, 2)), ["a", "b"]);
    assert!(!source.is_exhausted(&[(P, 2)].into()));
    drop(peer);
    assert_eq!(values(&fetch(&mut source, 2, 1)), ["c"]);
    let deadline = Instant::now() + LONG;
    while !source.is_exhausted(&[(P, 3)].into()) {
        assert!(Instant::now() < deadline, "it never ended");
        source
            .fetch(
                &mut BatchBuilder::open(&[(P, 3)].into(), BatchLimits::default()),
                Duration::from_millis(1),
            )
            .unwrap();
    }
    assert!(
        !source.is_exhausted(&[(P, 2)].into()),
        "a line that is in no batch yet is not passed"
    );
}

#[test]
fn a_fast_peer_waits_and_loses_nothing() {
    let room =
        limits::SOCKET_AHEAD_BYTES_MAX + 4 * limits::LINES_READ_BYTES + limits::LINE_BYTES_MAX;
    for (line, count) in [
        ("x".repeat(999), 5 * limits::SOCKET_AHEAD_BYTES_MAX / 1000),
        (String::new(), limits::SOCKET_AHEAD_BYTES_MAX),
    ] {
        let (listener, address) = listener();
        let mut source = source(address, 0, true);
        let text = format!("{line}\n");
        let sender = std::thread::spawn(move || {
            let (peer, _) = listener.accept().unwrap();
            let mut peer = io::BufWriter::new(peer);
            (0..count).for_each(|_| peer.write_all(text.as_bytes()).unwrap());
        });
        let ahead = |source: &SocketSource| {
            let held = source.link.as_ref().unwrap().shared.lock();
            let really: usize = held
                .blocks
                .iter()
                .map(|block| block.lines.data.len() + 4 * block.lines.len())
                .sum();
            (held.bytes, really)
        };
        let deadline = Instant::now() + LONG;
        while ahead(&source).0 < limits::SOCKET_AHEAD_BYTES_MAX {
            assert!(
                Instant::now() < deadline,
                "the buffer is never full: {:?}",
                ahead(&source)
            );
            std::thread::yield_now();
        }
        let (mut next, mut most) = (0, 0);
        while next < count {
            let small = BatchLimits {
                records_max: count / 40,
                bytes_max: usize::MAX,
            };
            let mut builder = BatchBuilder::open(&[(P, next as Offset)].into(), small);
            if let Err(error) = source.fetch(&mut builder, LONG) {
                assert!(matches!(error, SourceError::Away { .. }), "{error}");
            }
            most = most.max(ahead(&source).1);
            let batch = builder.close();
            assert!(
                batch
                    .chunks
                    .iter()
                    .flat_map(|chunk| chunk.values.iter())
                    .all(|value| value == line.as_bytes())
            );
            next += batch.records() as usize;
        }
        assert_eq!(next, count);
        assert!(most <= room, "{most} bytes were read ahead");
        sender.join().unwrap();
    }
}

#[test]
fn a_silent_peer_is_asked_whether_it_is_there() {
    let (_listener, address) = listener();
    let stream = connect(&address.to_string()).unwrap();
    let socket = SockRef::from(&stream);
    let (silence, ..) = limits::SOCKET_KEEPALIVE;
    assert_eq!(
        (
            socket.keepalive().unwrap(),
            socket.tcp_keepalive_time().unwrap()
        ),
        (true, silence)
    );
}

#[test]
fn it_cannot_be_read_twice_and_asks_for_nothing_while_it_is_not_assigned() {
    let (listener, address) = listener();
    let mut assigned = source(address, 0, false);
    let spans = [(
        P,
        Span {
            from: 0,
            to: 1,
            records: 1,
        },
    )]
    .into();
    let error = assigned
        .fetch(&mut BatchBuilder::exactly(&spans), LONG)
        .unwrap_err();
    assert!(matches!(error, SourceError::Refused { .. }), "{error}");
    drop(assigned); // it ends, whatever it was at
    drop(listener);
    let mut idle = source(address, 0, false);
    idle.assign(&Positions::new()).unwrap();
    let mut builder = BatchBuilder::open(&[(P, 0)].into(), BatchLimits::default());
    idle.fetch(&mut builder, Duration::from_millis(1)).unwrap();
    assert!(builder.is_empty() && idle.ends().is_empty());
}
