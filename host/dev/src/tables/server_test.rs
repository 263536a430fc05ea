//! Clients over real sockets, well-behaved ones and others.

use super::{Listening, Tables};
use fjall::Database;
use hbase_thrift::hbase::{
    BatchMutation, ColumnDescriptor, HbaseSyncClient, IOError, Mutation, TAppend, THbaseSyncClient,
    TScan,
};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use streamhost_core::limits::{TABLES_CALL_BYTES_MAX, TABLES_CONNECTIONS_MAX};
use tempfile::TempDir;
use thrift::protocol::{
    TBinaryInputProtocol, TBinaryOutputProtocol, TCompactInputProtocol, TCompactOutputProtocol,
    TInputProtocol, TOutputProtocol,
};
use thrift::transport::{
    ReadHalf, TBufferedReadTransport, TBufferedWriteTransport, TFramedReadTransport,
    TFramedWriteTransport, TIoChannel, TReadTransport, TTcpChannel, TWriteTransport, WriteHalf,
};

type Client = HbaseSyncClient<Box<dyn TInputProtocol>, Box<dyn TOutputProtocol>>;

struct Served {
    listening: Listening,
    tables: Arc<Tables>,
    _folder: TempDir,
}

fn serve() -> Served {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::builder(folder.path()).open().unwrap();
    let tables = Tables::open(&database).unwrap();
    let listening = tables.listen("127.0.0.1:0".parse().unwrap()).unwrap();
    Served {
        listening,
        tables,
        _folder: folder,
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    stream
}

fn client(address: SocketAddr, framed: bool, compact: bool) -> Client {
    let (read, write): (ReadHalf<_>, WriteHalf<_>) =
        TTcpChannel::with_stream(connect(address)).split().unwrap();
    let (read, write): (Box<dyn TReadTransport>, Box<dyn TWriteTransport>) = if framed {
        (
            Box::new(TFramedReadTransport::new(read)),
            Box::new(TFramedWriteTransport::new(write)),
        )
    } else {
        (
            Box::new(TBufferedReadTransport::new(read)),
            Box::new(TBufferedWriteTransport::new(write)),
        )
    };
    if compact {
        HbaseSyncClient::new(
            Box::new(TCompactInputProtocol::new(read)),
            Box::new(TCompactOutputProtocol::new(write)),
        )
    } else {
        HbaseSyncClient::new(
            Box::new(TBinaryInputProtocol::new(read, true)),
            Box::new(TBinaryOutputProtocol::new(write, true)),
        )
    }
}

fn put(column: &str, value: &[u8]) -> Mutation {
    Mutation::new(false, column.as_bytes().to_vec(), value.to_vec(), true)
}

fn create(client: &mut Client, table: &str) {
    let family = ColumnDescriptor::new(
        b"f:".to_vec(),
        3,
        None,
        None,
        None,
        None,
        None,
        None,
        i32::MAX,
    );
    client
        .create_table(table.as_bytes().to_vec(), vec![family])
        .unwrap();
}

fn scan() -> TScan {
    TScan::new(None, None, None, None, None, None, None, None, None, None)
}

#[test]
fn what_the_disk_has_no_room_for_is_refused_until_it_has() {
    let served = serve();
    let mut client = client(served.listening.address(), false, false);
    create(&mut client, "t");
    let mut write = |row: &str| {
        let (name, row) = (b"t".to_vec(), row.as_bytes().to_vec());
        client.mutate_row(name, row, vec![put("f:a", b"1")], BTreeMap::new())
    };
    let table = served.tables.table(b"t").unwrap();
    table.room.need(u64::MAX);
    let refused = write("a").unwrap_err();
    let thrift::Error::User(told) = refused else {
        panic!("{refused:?}")
    };
    let told = told.downcast::<IOError>().unwrap();
    assert!(
        told.message.as_ref().is_some_and(|m| m.contains("is full")),
        "{told:?}"
    );
    assert_eq!(told.can_retry, Some(true), "it may pass");
    table.room.need(0);
    write("b").unwrap();
    let rows = client.get_row(b"t".to_vec(), b"a".to_vec(), BTreeMap::new());
    assert!(rows.unwrap().is_empty(), "nothing of it was begun");
    served.listening.stop();
}

#[test]
fn all_dialects_share_one_port() {
    let served = serve();
    let none = BTreeMap::new;
    for (framed, compact) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut client = client(served.listening.address(), framed, compact);
        let table = format!("t-{framed}-{compact}");
        create(&mut client, &table);
        let table = table.into_bytes();
        // Over what one buffer holds, both ways.
        let value = vec![7; 300_000];
        let rows = (0..3).map(|row| {
            BatchMutation::new(
                vec![b'r', row],
                vec![put("f:a", &value), put("f:b", b"small")],
            )
        });
        client
            .mutate_rows_ts(table.clone(), rows.collect(), 1000, none())
            .unwrap();
        let cells = client
            .get(table.clone(), vec![b'r', 1], b"f:a".to_vec(), none())
            .unwrap();
        assert_eq!(
            (cells[0].value.as_ref(), cells[0].timestamp),
            (Some(&value), Some(1000))
        );
        let id = client
            .scanner_open_with_scan(table.clone(), scan(), none())
            .unwrap();
        assert_eq!(client.scanner_get_list(id, 2).unwrap().len(), 2);
        assert_eq!(client.scanner_get_list(id, 2).unwrap().len(), 1);
        assert_eq!(client.scanner_get_list(id, 2).unwrap().len(), 0);
        client.scanner_close(id).unwrap();
        assert!(client.scanner_close(id).is_err());
        client
            .delete_all_row_ts(table.clone(), vec![b'r', 1], 1000, none())
            .unwrap();
        client
            .mutate_row_ts(
                table.clone(),
                vec![b'r', 1],
                vec![put("f:a", b"late")],
                999,
                none(),
            )
            .unwrap();
        assert!(
            client
                .get_row(table.clone(), vec![b'r', 1], none())
                .unwrap()
                .is_empty()
        );
        assert_eq!(
            client
                .atomic_increment(table.clone(), b"n".to_vec(), b"f:n".to_vec(), 5)
                .unwrap(),
            5
        );
        assert_eq!(
            client
                .atomic_increment(table.clone(), b"n".to_vec(), b"f:n".to_vec(), -7)
                .unwrap(),
            -2
        );
        let append = TAppend::new(
            table.clone(),
            b"a".to_vec(),
            vec![b"f:a".to_vec(); 2],
            vec![b"x".to_vec(), b"y".to_vec()],
        );
        assert_eq!(
            client.append(append).unwrap()[1].value.as_deref(),
            Some(&b"xy"[..])
        );
        let mut check = |expected: &[u8], new: &[u8]| {
            let (row, column) = (b"c".to_vec(), b"f:c".to_vec());
            client
                .check_and_put(
                    table.clone(),
                    row,
                    column,
                    expected.to_vec(),
                    put("f:c", new),
                    none(),
                )
                .unwrap()
        };
        assert_eq!(
            [check(b"", b"1"), check(b"", b"2"), check(b"1", b"2")],
            [true, false, true]
        );
    }
    served.listening.stop();
}

#[test]
fn refusals_reach_the_client_and_leave_the_connection_usable() {
    let served = serve();
    let mut client = client(served.listening.address(), false, false);
    let refused = client
        .mutate_rows(
            b"nope".to_vec(),
            vec![BatchMutation::new(b"r".to_vec(), vec![put("f:a", b"v")])],
            BTreeMap::new(),
        )
        .unwrap_err();
    let thrift::Error::User(refused) = refused else {
        panic!("{refused}")
    };
    let refused = refused.downcast::<IOError>().unwrap();
    assert_eq!(refused.can_retry, Some(true), "as HBase says of many rows");
    assert!(
        refused
            .message
            .unwrap()
            .contains("TableNotFoundException: nope")
    );
    let filtered = TScan {
        filter_string: Some(b"RowFilter(=, 'binary:x')".to_vec()),
        ..scan()
    };
    create(&mut client, "t");
    assert!(
        client
            .scanner_open_with_scan(b"t".to_vec(), filtered, BTreeMap::new())
            .is_err()
    );
    assert_eq!(client.get_table_names().unwrap(), [b"t".to_vec()]);
}

/// A strict binary call of a method without or with raw arguments.
fn call(method: &str, arguments: &[u8]) -> Vec<u8> {
    let mut call = vec![0x80, 1, 0, 1];
    call.extend_from_slice(&u32::try_from(method.len()).unwrap().to_be_bytes());
    call.extend_from_slice(method.as_bytes());
    call.extend_from_slice(&[0, 0, 0, 9]);
    call.extend_from_slice(arguments);
    call
}

fn text(id: u8, text: &str) -> Vec<u8> {
    [
        &[11, 0, id][..],
        &u32::try_from(text.len()).unwrap().to_be_bytes(),
        text.as_bytes(),
    ]
    .concat()
}

/// Reads the head of an answer, `[version and type; name]`, and drops the rest that is there.
fn answer(stream: &mut TcpStream) -> (u8, String) {
    let mut head = [0; 8];
    stream.read_exact(&mut head).unwrap();
    let mut name = vec![0; u32::from_be_bytes(head[4..].try_into().unwrap()) as usize];
    stream.read_exact(&mut name).unwrap();
    (head[3], String::from_utf8(name).unwrap())
}

const REPLY: u8 = 2;
const EXCEPTION: u8 = 3;

#[test]
fn arguments_that_are_left_out_are_empty_ones() {
    let served = serve();
    create(&mut client(served.listening.address(), false, false), "t");
    for (method, arguments) in [
        ("getRow", [text(1, "t"), text(2, "r")].concat()),
        ("getRowWithColumns", [text(1, "t"), text(2, "r")].concat()),
        (
            "scannerOpenWithStopTs",
            [&text(1, "t")[..], &[10, 0, 5], &7_i64.to_be_bytes()].concat(),
        ),
        (
            "checkAndPut",
            [
                &text(1, "t")[..],
                &text(2, "r"),
                &text(3, "f:a"),
                &[12, 0, 6],
                &text(2, "f:a"),
                &[0],
            ]
            .concat(),
        ),
    ] {
        let mut stream = connect(served.listening.address());
        stream
            .write_all(&call(method, &[&arguments[..], &[0]].concat()))
            .unwrap();
        assert_eq!(answer(&mut stream), (REPLY, method.to_owned()));
    }
}

#[test]
fn unknown_methods_are_refused_and_passed_over() {
    let served = serve();
    let mut stream = connect(served.listening.address());
    let arguments = [
        &text(1, "t")[..],
        &[15, 0, 2, 11, 0, 0, 0, 1, 0, 0, 0, 1, b'x'],
        &[0],
    ]
    .concat();
    let two = [
        call("noSuchMethod", &arguments),
        call("getTableNames", &[0]),
    ]
    .concat();
    stream.write_all(&two).unwrap();
    assert_eq!(answer(&mut stream), (EXCEPTION, "noSuchMethod".to_owned()));
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert!(
        rest.windows(13).any(|bytes| bytes == b"getTableNames"),
        "the call behind it is answered"
    );
}

/// Sends bytes and waits until the server closes the connection.
fn is_closed_after(address: SocketAddr, bytes: &[u8]) -> bool {
    let mut stream = connect(address);
    // It may close before all is sent.
    let _sent = stream.write_all(bytes);
    is_closed(&mut stream)
}

/// Waits until the server closes the connection: with a reset where it has left something unread.
fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read_to_end(&mut Vec::new()) {
        Ok(_) => true,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

#[test]
fn nonsense_closes_its_connection_and_nothing_else() {
    let served = serve();
    let address = served.listening.address();
    let mut bystander = client(address, true, true);
    create(&mut bystander, "t");
    let huge_text = [11, 0, 1, 0x7F, 0xFF, 0xFF, 0xFF];
    let negative_text = [11, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF];
    let huge_list = [&text(1, "t")[..], &[15, 0, 2, 12, 0x7F, 0xFF, 0xFF, 0xFF]].concat();
    let long_list = [&text(1, "t")[..], &[15, 0, 2, 12, 0, 0x80, 0, 0]].concat();
    let huge_map = [
        &text(1, "t")[..],
        &[13, 0, 3, 11, 11, 0x7F, 0xFF, 0xFF, 0xFF],
    ]
    .concat();
    let far_field = [0x82, 0x21, 1, 1, b'x', 0x0B, 0xFE, 0xFF, 0x03, 0xFB];
    let long_frame = u32::try_from(TABLES_CALL_BYTES_MAX + 1)
        .unwrap()
        .to_be_bytes();
    let mut deep = vec![12, 0, 1];
    (0..10_000).for_each(|_| deep.extend_from_slice(&[12, 0, 1]));
    // Five rows of as many mutations as a list may have, each of one byte: its end.
    let full_list = [
        &text(1, "r")[..],
        &[15, 0, 2, 12, 0, 4, 0, 0],
        &vec![0; 1 << 18],
        &[0],
    ]
    .concat();
    let many_lists = [
        &text(1, "t")[..],
        &[15, 0, 2, 12, 0, 0, 0, 5],
        &full_list.repeat(5),
    ]
    .concat();
    for (what, bytes) in [
        ("HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("zeros", vec![0; 64]),
        ("ones", vec![0xFF; 64]),
        ("a long frame", [&long_frame[..], &[0x80, 1, 0, 1]].concat()),
        (
            "a frame too short for its call",
            [&[0, 0, 0, 8][..], &call("getTableNames", &[0])].concat(),
        ),
        (
            "a huge name",
            [&[0x80, 1, 0, 1][..], &[0x7F, 0xFF, 0xFF, 0xFF], &[0; 16]].concat(),
        ),
        (
            "a huge compact name",
            vec![0x82, 0x21, 1, 0xFF, 0xFF, 0xFF, 0xFF, 0x07, 0, 0],
        ),
        (
            "an endless number",
            [&[0x82, 0x21][..], &[0xFF; 32]].concat(),
        ),
        ("a huge text", call("getRow", &huge_text)),
        ("a negative text", call("getRow", &negative_text)),
        ("a huge list", call("mutateRows", &huge_list)),
        ("a long list", call("mutateRows", &long_list)),
        ("a huge map", call("getRow", &huge_map)),
        ("a field far off", far_field.to_vec()),
        ("an unknown type", call("getRow", &[77, 0, 1, 0, 0])),
        ("a deep struct", call("noSuchMethod", &deep)),
        ("many long lists", call("mutateRows", &many_lists)),
    ] {
        assert!(is_closed_after(address, &bytes), "{what}");
        assert_eq!(
            bystander.get_table_names().unwrap(),
            [b"t".to_vec()],
            "{what}"
        );
    }
}

#[test]
fn random_damage_does_no_harm() {
    let served = serve();
    let address = served.listening.address();
    create(&mut client(address, false, false), "t");
    let arguments = [
        &text(1, "t")[..],
        &[15, 0, 2, 12, 0, 0, 0, 1],
        &text(1, "r"),
        &[0, 13, 0, 3, 11, 11, 0, 0, 0, 0, 0],
    ]
    .concat();
    let sound = call("mutateRows", &arguments);
    let mut seed = 0x2545_F491_4F6C_DD1D_u64;
    for _ in 0..500 {
        let mut damaged = sound.clone();
        for _ in 0..2 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let at = usize::try_from(seed % damaged.len() as u64).unwrap();
            damaged[at] = u8::try_from(seed >> 56).unwrap();
        }
        let mut stream = connect(address);
        stream.write_all(&damaged).unwrap();
        // It may be closed already.
        let _shut = stream.shutdown(std::net::Shutdown::Write);
        // Answered, refused or closed: all end the stream, and none the server.
        assert!(is_closed(&mut stream));
    }
    assert_eq!(
        client(address, false, false).get_table_names().unwrap(),
        [b"t".to_vec()]
    );
}

#[test]
fn idle_connections_make_room_for_new_ones() {
    let served = serve();
    let address = served.listening.address();
    let mut oldest = connect(address);
    let others: Vec<TcpStream> = (1..TABLES_CONNECTIONS_MAX)
        .map(|_| connect(address))
        .collect();
    assert_eq!(
        client(address, false, false)
            .get_table_names()
            .unwrap()
            .len(),
        0
    );
    assert!(
        is_closed(&mut oldest),
        "the one that idled longest was closed"
    );
    drop(others);
}

#[test]
fn stopping_closes_what_is_open() {
    let served = serve();
    let address = served.listening.address();
    let mut client = client(address, false, false);
    create(&mut client, "t");
    let mut half = connect(address);
    half.write_all(&call("getRow", &[11, 0, 1])).unwrap(); // a call that does not end
    served.listening.stop();
    assert!(is_closed(&mut half));
    assert!(client.get_table_names().is_err());
}

#[test]
fn names_that_are_too_long_are_refused_with_words() {
    let served = serve();
    let mut client = client(served.listening.address(), false, false);
    create(&mut client, "t");
    let (table, row, none) = (b"t".to_vec(), b"r".to_vec(), BTreeMap::new);
    let long = [b"f:".to_vec(), vec![b'q'; 66_000]].concat();
    // Zeros count twice in the store.
    let (zeros, over) = (vec![0; 32_767], vec![b'x'; 66_000]);
    let refusals = [
        client
            .get(table.clone(), row.clone(), long.clone(), none())
            .map(drop),
        client
            .get_ver(table.clone(), row.clone(), long.clone(), 1, none())
            .map(drop),
        client
            .atomic_increment(table.clone(), row.clone(), long.clone(), 1)
            .map(drop),
        client
            .append(TAppend::new(
                table.clone(),
                row.clone(),
                vec![long.clone()],
                vec![row.clone()],
            ))
            .map(drop),
        client
            .check_and_put(
                table.clone(),
                row.clone(),
                long.clone(),
                vec![],
                put("f:a", b"v"),
                none(),
            )
            .map(drop),
        client.delete_all(table.clone(), row.clone(), long.clone(), none()),
        client
            .get_row(table.clone(), zeros.clone(), none())
            .map(drop),
        client.delete_all_row(table.clone(), zeros.clone(), none()),
        client
            .scanner_open(table.clone(), over.clone(), vec![], none())
            .map(drop),
        client
            .scanner_open_with_stop(table.clone(), row.clone(), over.clone(), vec![], none())
            .map(drop),
        client
            .scanner_open_with_prefix(table.clone(), zeros, vec![], none())
            .map(drop),
    ];
    for (at, refusal) in refusals.into_iter().enumerate() {
        assert!(
            matches!(refusal, Err(thrift::Error::User(_))),
            "call {at}: {refusal:?}"
        );
    }
    assert_eq!(
        client.get_table_names().unwrap(),
        [table],
        "the connection is still good"
    );
}

#[test]
fn what_is_not_said_of_a_family_is_as_in_hbase() {
    let served = serve();
    for compact in [false, true] {
        let mut client = client(served.listening.address(), false, compact);
        let family = |name: &str, versions| {
            ColumnDescriptor::new(
                name.as_bytes().to_vec(),
                versions,
                None,
                None,
                None,
                None,
                None,
                None,
                None,
            )
        };
        let table = format!("t-{compact}").into_bytes();
        client
            .create_table(
                table.clone(),
                vec![family("f:", None), family("g:", Some(7))],
            )
            .unwrap();
        let described = client.get_column_descriptors(table).unwrap();
        let told = |name: &[u8]| (described[name].max_versions, described[name].time_to_live);
        assert_eq!(told(b"f:"), (Some(3), Some(i32::MAX)));
        assert_eq!(told(b"g:"), (Some(7), Some(i32::MAX)));
        assert!(
            client
                .create_table(b"none".to_vec(), vec![family("f:", Some(0))])
                .is_err(),
            "0 is what was said"
        );
    }
}
