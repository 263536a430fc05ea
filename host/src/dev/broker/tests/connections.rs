//! Connections: what they carry, and how they end.

use super::*;
use crate::limits::BROKER_CONNECTIONS_MAX;

/// Reads until the other side closes.
fn rest_of(mut stream: TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
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
    assert_eq!(send(b"\0\0\0\x0a\0\x00\0\x02\0\0\0\x05\xff\xff"), b"", "a version that is not served");

    let mut stream = TcpStream::connect(listening.address()).unwrap();
    let newer = b"\0\0\0\x0a\0\x12\0\x63\0\0\0\x05\xff\xff"; // ApiVersions of a version to come
    stream.write_all(newer).unwrap();
    let mut answer = [0; 10];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer[4..], b"\0\0\0\x05\0\x23", "told by error 35 what is supported");
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
    let sent = stream.write_all(&(request.len() as u32).to_be_bytes()).and_then(|()| stream.write_all(&request));
    sent.and_then(|()| stream.read_exact(&mut answer)).ok().map(|()| stream)
}

#[test]
fn there_are_only_so_many_connections() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path());
    let listening = broker.listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let mut open: Vec<TcpStream> =
        (0..BROKER_CONNECTIONS_MAX).map(|_| is_served(listening.address()).expect("there is room")).collect();
    assert!(is_served(listening.address()).is_none(), "one too many");
    open.pop();
    let deadline = Instant::now() + Duration::from_secs(30);
    while is_served(listening.address()).is_none() {
        assert!(Instant::now() < deadline, "a closed connection leaves its place");
    }
}
