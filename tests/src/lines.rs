//! A server of lines, as `nc -lk` is one: whoever connects last gets what is sent.

use crate::sizes::LATE;
use crate::wait::{wait_for, wait_until};
use std::io::{ErrorKind, Write};
use std::net::{TcpListener, TcpStream};

/// Gives lines to whoever connects.
#[derive(Debug)]
pub struct LineServer {
    listener: TcpListener,
    reader: Option<TcpStream>,
    /// Its `host:port`.
    pub address: String,
}

impl Default for LineServer {
    fn default() -> Self {
        Self::new()
    }
}

impl LineServer {
    /// A server on a free port of this machine.
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        listener.set_nonblocking(true).expect("a socket can be so");
        let address = listener
            .local_addr()
            .expect("a listener has an address")
            .to_string();
        LineServer {
            listener,
            reader: None,
            address,
        }
    }

    /// Takes the newest one of those who want to connect, if there are any.
    fn take_newest(&mut self) {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false).expect("a socket can be so");
                    stream
                        .set_write_timeout(Some(LATE))
                        .expect("a socket can have a time limit");
                    self.reader = Some(stream);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("nobody can connect: {error}"),
            }
        }
    }

    /// Forgets the reader, who is gone, and waits for the next one.
    #[track_caller]
    pub fn wait_for_the_next_reader(&mut self) {
        self.reader = None;
        wait_until("somebody connects", LATE, || {
            self.take_newest();
            self.reader.is_some()
        });
    }

    /// Sends lines to the newest reader; waits for the first one.
    #[track_caller]
    pub fn send(&mut self, lines: &[String]) {
        let mut text = lines.join("\n");
        text.push('\n');
        let mut reader = wait_for("somebody connects", LATE, || {
            self.take_newest();
            self.reader
                .as_ref()
                .and_then(|reader| reader.try_clone().ok())
        });
        reader
            .write_all(text.as_bytes())
            .expect("the reader takes its lines");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};

    #[test]
    fn the_newest_reader_gets_the_lines() {
        let mut server = LineServer::new();
        let connect =
            |server: &LineServer| TcpStream::connect(&server.address).expect("it listens");
        let first = connect(&server);
        server.send(&["one".to_owned(), "two".to_owned()]);
        let lines: Vec<String> = BufReader::new(&first)
            .lines()
            .take(2)
            .map_while(Result::ok)
            .collect();
        assert_eq!(lines, ["one", "two"]);
        let second = connect(&server);
        server.wait_for_the_next_reader();
        server.send(&["three".to_owned()]);
        let lines: Vec<String> = BufReader::new(second)
            .lines()
            .take(1)
            .map_while(Result::ok)
            .collect();
        assert_eq!(lines, ["three"]);
    }
}
