//! The proxy before a small server that answers each line by itself, as a client and as the server see it.

use super::FaultProxy;
use crate::wait::{wait_for, wait_until};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(10);
/// Long enough to see that nothing comes.
const NOTHING: Duration = Duration::from_millis(150);

/// Answers each line by itself, and keeps what it got, in order.
struct Server {
    address: String,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = lines.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = kept.clone();
                std::thread::spawn(move || answer(stream, &kept));
            }
        });
        Server { address, lines }
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    #[track_caller]
    fn gets(&self, wanted: &[&str]) {
        wait_until(&format!("the server has {wanted:?}"), SOON, || {
            self.lines() == wanted
        });
    }
}

fn answer(stream: TcpStream, kept: &Mutex<Vec<String>>) {
    let mut writer = stream.try_clone().unwrap();
    for line in BufReader::new(stream).lines() {
        let Ok(line) = line else { return };
        kept.lock().unwrap().push(line.clone());
        if writer.write_all(format!("{line}\n").as_bytes()).is_err() {
            return;
        }
    }
}

struct Client(BufReader<TcpStream>);

impl Client {
    fn of(proxy: &FaultProxy) -> Client {
        let stream = TcpStream::connect(proxy.address()).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        Client(BufReader::new(stream))
    }

    fn try_send(&mut self, line: &str) -> std::io::Result<()> {
        self.0.get_mut().write_all(format!("{line}\n").as_bytes())
    }

    fn send(&mut self, line: &str) {
        self.try_send(line).unwrap();
    }

    /// The next line; empty at the connection's end. Errors as reading does.
    fn receive(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    #[track_caller]
    fn asks(&mut self, line: &str) {
        self.send(line);
        assert_eq!(self.receive().unwrap(), line);
    }

    #[track_caller]
    fn gets_nothing(&mut self) {
        self.0.get_ref().set_read_timeout(Some(NOTHING)).unwrap();
        let error = self.receive().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
        self.0.get_ref().set_read_timeout(Some(SOON)).unwrap();
    }

    #[track_caller]
    fn is_reset(&mut self) {
        let mut rest = Vec::new();
        let error = self.0.read_to_end(&mut rest).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
    }
}

fn set_up() -> (Server, FaultProxy) {
    let server = Server::start();
    let proxy = FaultProxy::before(&server.address).unwrap();
    (server, proxy)
}

fn tell(proxy: &FaultProxy, command: &str) -> String {
    proxy
        .tell(command)
        .unwrap_or_else(|error| panic!("{command}: {error:#}"))
}

#[test]
fn without_a_fault_all_goes_through() {
    let (server, proxy) = set_up();
    let mut client = Client::of(&proxy);
    client.asks("one");
    let large = "x".repeat(1 << 20);
    client.asks(&large);
    drop(client);
    server.gets(&["one", &large]);
    wait_until("the connection is gone", SOON, || {
        tell(&proxy, "status").contains("open=0")
    });
    assert_eq!(
        tell(&proxy, "status"),
        "accepted=1 open=0 requests=2 held-bytes=0"
    );
}

#[test]
fn a_delay_is_kept_both_ways_and_ends() {
    let (_server, proxy) = set_up();
    let mut client = Client::of(&proxy);
    tell(&proxy, "delay 100");
    let start = Instant::now();
    client.asks("slow");
    assert!(
        start.elapsed() >= Duration::from_millis(200),
        "{:?}",
        start.elapsed()
    );
    tell(&proxy, "pass");
    let start = Instant::now();
    client.asks("quick");
    assert!(
        start.elapsed() < Duration::from_millis(200),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn a_throttled_connection_keeps_its_rate() {
    let (_server, proxy) = set_up();
    let mut client = Client::of(&proxy);
    tell(&proxy, "throttle 20000 up");
    let start = Instant::now();
    client.asks(&"x".repeat(10_000));
    assert!(
        start.elapsed() >= Duration::from_millis(400),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn a_request_whose_answer_is_dropped_has_reached_the_server() {
    let (server, proxy) = set_up();
    let mut client = Client::of(&proxy);
    client.asks("before");
    tell(&proxy, "drop-answer min=6"); // the line's end is a byte too
    client.asks("tiny");
    client.send("larger");
    assert_eq!(
        client.receive().unwrap(),
        "",
        "the connection ends in good order"
    );
    server.gets(&["before", "tiny", "larger"]);
    Client::of(&proxy).asks("after"); // once alone
    assert_eq!(tell(&proxy, "events"), "drop-answer connection 1 request 3");
}

#[test]
fn a_held_request_of_a_client_that_gave_up_comes_late() {
    let (server, proxy) = set_up();
    let mut client = Client::of(&proxy);
    tell(&proxy, "hold-next");
    client.send("late");
    client.gets_nothing();
    drop(client);
    let mut other = Client::of(&proxy);
    other.asks("in time");
    server.gets(&["in time"]);
    wait_until("it alone is held", SOON, || {
        tell(&proxy, "status").contains("held-bytes=5")
    });
    tell(&proxy, "release");
    server.gets(&["in time", "late"]);
    other.asks("still there");
}

#[test]
fn what_is_held_of_a_client_that_was_reset_comes_late() {
    let (server, proxy) = set_up();
    let mut client = Client::of(&proxy);
    client.send("answered");
    // Its answer is not read, so the client's system resets the connection when it is closed.
    wait_for("the answer is there", SOON, || {
        client.0.get_ref().peek(&mut [0]).ok()
    });
    tell(&proxy, "hold up");
    client.send("late");
    wait_until("the proxy has it", SOON, || {
        tell(&proxy, "status").contains("held-bytes=5")
    });
    drop(client);
    tell(&proxy, "release");
    server.gets(&["answered", "late"]);
}

#[test]
fn answers_alone_are_held() {
    let (server, proxy) = set_up();
    let mut client = Client::of(&proxy);
    tell(&proxy, "hold down");
    client.send("one");
    server.gets(&["one"]);
    client.gets_nothing();
    tell(&proxy, "pass");
    assert_eq!(client.receive().unwrap(), "one");
}

#[test]
fn a_request_is_cut_in_the_middle() {
    let (server, proxy) = set_up();
    let mut client = Client::of(&proxy);
    tell(&proxy, "cut 3");
    client.send("request");
    client.is_reset();
    wait_until("the half line is at an end", SOON, || {
        tell(&proxy, "status").contains("open=0")
    });
    assert!(
        server.lines().iter().all(|line| line.len() <= 3),
        "{:?}",
        server.lines()
    );
}

#[test]
fn an_answer_is_cut_in_the_middle() {
    let (server, proxy) = set_up();
    let mut client = Client::of(&proxy);
    tell(&proxy, "cut 3 down");
    client.send("request");
    client.is_reset();
    server.gets(&["request"]);
}

#[test]
fn connections_end_as_told() {
    let (_server, proxy) = set_up();
    let (mut first, mut second) = (Client::of(&proxy), Client::of(&proxy));
    first.asks("one");
    second.asks("two");
    tell(&proxy, "close");
    assert_eq!(first.receive().unwrap(), "");
    assert_eq!(second.receive().unwrap(), "");
    let mut third = Client::of(&proxy);
    third.asks("three");
    tell(&proxy, "reset");
    third.is_reset();
}

#[test]
fn connections_are_refused_until_they_pass_again() {
    let (_server, proxy) = set_up();
    let mut client = Client::of(&proxy);
    client.asks("one");
    tell(&proxy, "refuse");
    let error = TcpStream::connect(proxy.address()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    client.asks("who is there stays");
    tell(&proxy, "pass");
    Client::of(&proxy).asks("two");
}

#[test]
fn a_server_that_is_away_resets() {
    let (server, _) = set_up();
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let proxy = FaultProxy::before(&free.to_string()).unwrap();
    Client::of(&proxy).is_reset();
    drop(server);
}

#[test]
fn a_seed_gives_the_same_faults_again() {
    let faults = |seed: u64| {
        let (_server, proxy) = set_up();
        tell(&proxy, &format!("random {seed} 40"));
        for number in 0..30 {
            let mut client = Client::of(&proxy);
            for request in 0..3 {
                let sent = client.try_send(&format!("{number}.{request}"));
                if sent.is_err() || !client.receive().is_ok_and(|line| !line.is_empty()) {
                    break; // its connection met a fault
                }
            }
        }
        tell(&proxy, "events")
    };
    let events = faults(7);
    assert!(
        events.contains("drop-answer") && events.contains("cut"),
        "{events}"
    );
    assert_eq!(events, faults(7));
}

#[test]
fn commands_come_over_the_control_socket() {
    let (_server, proxy) = set_up();
    let control = TcpStream::connect(proxy.serve_control("127.0.0.1:0").unwrap()).unwrap();
    let mut control = Client(BufReader::new(control));
    for (command, answer) in [
        ("hold-next 2", "ok"),
        ("status", "ok accepted=0 open=0 requests=0 held-bytes=0"),
        (
            "hurry",
            "error `hurry` is no command; the documentation of fault_proxy lists them",
        ),
    ] {
        control.send(command);
        assert_eq!(control.receive().unwrap(), answer);
    }
}
