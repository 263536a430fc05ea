//! A hostile gateway: what it answers ends its call with an error, soon, and without the memory that
//! it announces.

use super::super::HbaseSettings;
use super::super::connection::Lane;
use super::super::words::Failure;
use super::*;
use hbase_thrift::hbase::THbaseSyncClient;
use std::io::Write;
use std::net::TcpListener;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use streamhost_engine::sink::CancelSignal;

const BOTH: [Protocol; 2] = [Protocol::Binary, Protocol::Compact];

/// A number in the compact protocol.
fn varint(mut number: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 0x7f {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// A length as the protocol writes it.
fn length(protocol: Protocol, length: u32) -> Vec<u8> {
    match protocol {
        Protocol::Binary => length.to_be_bytes().to_vec(),
        Protocol::Compact => varint(length),
    }
}

/// The head of an answer: the name of `name_length` bytes has what `name` has.
fn head(protocol: Protocol, name_length: u32, name: &str, number: u32) -> Vec<u8> {
    let named = [length(protocol, name_length), name.as_bytes().to_vec()].concat();
    match protocol {
        Protocol::Binary => [vec![0x80, 1, 0, 2], named, number.to_be_bytes().to_vec()].concat(),
        Protocol::Compact => [vec![0x82, 2 << 5 | 1], varint(number), named].concat(),
    }
}

/// The head of the answer to a call of this name.
fn reply(protocol: Protocol, name: &str, number: u32) -> Vec<u8> {
    head(protocol, name.len() as u32, name, number)
}

/// A result that is a list of so many texts, of which `items` follow.
fn texts(protocol: Protocol, count: u32, items: &[u8]) -> Vec<u8> {
    let begin = match protocol {
        Protocol::Binary => vec![0x0f, 0, 0, 0x0b],
        Protocol::Compact => vec![0x09, 0, 0xf8],
    };
    [begin, length(protocol, count), items.to_vec()].concat()
}

/// The answer to the first call of a connection: it is of this kind of server.
fn good(protocol: Protocol) -> Vec<u8> {
    let result: &[u8] = match protocol {
        Protocol::Binary => &[0x08, 0, 0, 0, 0, 0, 0, 0],
        Protocol::Compact => &[0x05, 0, 0, 0],
    };
    [reply(protocol, "getThriftServerType", 1), result.to_vec()].concat()
}

fn framed(transport: Transport, message: Vec<u8>) -> Vec<u8> {
    match transport {
        Transport::Buffered | Transport::Http => message,
        Transport::Framed => [(message.len() as u32).to_be_bytes().to_vec(), message].concat(),
    }
}

/// A gateway that answers each call of one connection with one of these, and then holds it.
fn gateway(answers: Vec<Vec<u8>>) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serve = move || {
        let (mut stream, _) = listener.accept().unwrap();
        for answer in answers {
            let mut call = [0; 4096];
            assert!(stream.read(&mut call).unwrap() > 0);
            // A client that has enough hangs up.
            let _ = stream.write_all(&answer);
        }
        let _ = stream.read(&mut [0; 4096]); // until the client goes
    };
    (address, std::thread::spawn(serve))
}

fn settings(address: String, transport: Transport, protocol: Protocol) -> HbaseSettings {
    HbaseSettings {
        gateways: vec![address],
        transport,
        protocol,
        ..HbaseSettings::default()
    }
}

/// What the list of tables is by a gateway that answers so.
fn table_names(
    transport: Transport,
    protocol: Protocol,
    raw: Vec<u8>,
) -> std::result::Result<Vec<Vec<u8>>, Failure> {
    let answers = vec![framed(transport, good(protocol)), raw];
    let (address, serving) = gateway(answers);
    let mut lane = Lane::new(
        settings(address, transport, protocol),
        CancelSignal::default(),
    );
    let began = Instant::now();
    let found = lane.call(|client| client.get_table_names());
    assert!(began.elapsed() < Duration::from_secs(5), "{found:?}");
    drop(lane);
    serving.join().unwrap();
    found
}

#[test]
fn an_honest_answer_is_taken() {
    for transport in [Transport::Buffered, Transport::Framed] {
        for protocol in BOTH {
            let two = [length(protocol, 1), vec![b'a'], length(protocol, 0)].concat();
            let answer = [
                reply(protocol, "getTableNames", 2),
                texts(protocol, 2, &two),
                vec![0],
            ];
            let found = table_names(transport, protocol, framed(transport, answer.concat()));
            assert_eq!(found, Ok(vec![b"a".to_vec(), Vec::new()]), "{protocol:?}");
        }
    }
}

#[test]
fn what_an_answer_announces_is_bounded_before_memory_is_taken() {
    const MOST: u32 = i32::MAX as u32;
    let over = limits::HBASE_ANSWER_BYTES_MAX as u32 + 1;
    let items_over = limits::HBASE_ANSWER_ITEMS_MAX as u32 + 1;
    for protocol in BOTH {
        let named = reply(protocol, "getTableNames", 2);
        let list =
            |count: u32, items: Vec<u8>| [named.clone(), texts(protocol, count, &items)].concat();
        let cases = [
            ("a list", list(MOST, vec![])),
            ("a list of -1", list(u32::MAX, vec![])),
            ("a list a little too long", list(items_over, vec![])),
            ("a text", list(1, length(protocol, MOST))),
            ("a text of -1", list(1, length(protocol, u32::MAX))),
            ("a text a little too long", list(1, length(protocol, over))),
            ("a name", head(protocol, MOST, "", 2)),
            ("a name of -1", head(protocol, u32::MAX, "", 2)),
        ];
        for transport in [Transport::Buffered, Transport::Framed] {
            for (what, answer) in &cases {
                match table_names(transport, protocol, framed(transport, answer.clone())) {
                    Err(Failure::Away(words)) => assert!(
                        words.starts_with("its answer makes no sense: it announces "),
                        "{what}: {words}"
                    ),
                    other => panic!("{what}: {other:?}"),
                }
            }
        }
    }
}

#[test]
fn frames_are_no_longer_than_an_answer_and_not_empty() {
    let many = 0_u32.to_be_bytes().repeat(10_000);
    let long = (limits::HBASE_ANSWER_BYTES_MAX as u32 + 1).to_be_bytes();
    for raw in [many, long.to_vec(), u32::MAX.to_be_bytes().to_vec()] {
        let found = table_names(Transport::Framed, Protocol::Binary, raw);
        let Err(Failure::Away(words)) = found else {
            panic!("{found:?}")
        };
        assert_eq!(words, "it is no frame that came back");
    }
}

#[test]
fn an_answer_that_goes_on_and_on_is_left() {
    let texts_of_a_mebibyte = [length(Protocol::Binary, 1 << 20), vec![b'x'; 1 << 20]].concat();
    let items = texts_of_a_mebibyte.repeat(17);
    let answer = [
        reply(Protocol::Binary, "getTableNames", 2),
        texts(Protocol::Binary, 1000, &items),
    ];
    let found = table_names(Transport::Buffered, Protocol::Binary, answer.concat());
    let Err(Failure::Away(words)) = found else {
        panic!("{found:?}")
    };
    assert!(words.contains("and may have "), "{words}");
}

#[test]
fn a_gateway_that_drips_has_the_time_of_one_call() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let dripping = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        let name = [&b"\x80\x01\x00\x02\x00\x10\x00\x00"[..], &[b'x'; 1000]].concat();
        for byte in name {
            // The read waits, and tells when the client has gone.
            if stream.write_all(&[byte]).is_err() || matches!(stream.read(&mut [0; 64]), Ok(0)) {
                return;
            }
        }
    });
    let began = Instant::now();
    let settings = settings(address, Transport::Buffered, Protocol::Binary);
    let mut lane = Lane::new(settings, CancelSignal::default());
    let Err(Failure::Away(words)) = lane.connect() else {
        panic!("it is taken")
    };
    assert!(words.contains("no answer in time"), "{words}");
    assert!(began.elapsed() < limits::CONNECT_TIME + Duration::from_secs(2));
    dripping.join().unwrap();
}
