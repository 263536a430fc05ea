//! Whether something answers at a server's address. No more than that: what a job needs of a server
//! is asked when it is deployed or begins.

use std::net::{TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use streamhost_core::{clock, limits};

/// Addresses as a host's first lines show them: with a word on those at which nothing answers. One
/// that is a list of several is there if one of them is.
pub(super) fn shown<const N: usize>(servers: [&String; N]) -> [String; N] {
    let asked = servers.map(|addresses| ask(addresses));
    let until = clock::monotonic() + limits::REACH_TIME;
    let mut asked = asked.into_iter();
    servers.map(|address| {
        let left = until.saturating_duration_since(clock::monotonic());
        let answer = asked.next().map(|answer| answer.recv_timeout(left));
        let reason = match answer {
            Some(Ok(None)) => return address.clone(),
            Some(Ok(Some(reason))) => reason,
            _ => "no answer yet".to_owned(),
        };
        format!("{address}  (away: {reason}; jobs that need it wait for it)")
    })
}

/// Asks on a thread of its own, as a name may take its time. The answer is why nothing is there.
fn ask(addresses: &str) -> mpsc::Receiver<Option<String>> {
    let (answer, answered) = mpsc::channel();
    let addresses = addresses.to_owned();
    let ask = move || {
        // Nobody may be left to hear it.
        let _ = answer.send(why_away(&addresses));
    };
    // Where no thread can be had, nothing is said in time.
    let _ = thread::Builder::new().name("reach".into()).spawn(ask);
    answered
}

fn why_away(addresses: &str) -> Option<String> {
    let mut reason = "it has no address".to_owned();
    for address in addresses.split(',').map(str::trim) {
        let found = match address.to_socket_addrs() {
            Ok(found) => found,
            Err(error) => {
                reason = error.to_string();
                continue;
            }
        };
        for address in found {
            match TcpStream::connect_timeout(&address, limits::REACH_TIME) {
                Ok(_) => return None,
                Err(error) => reason = error.to_string(),
            }
        }
    }
    Some(reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_server_is_there_if_one_of_its_addresses_answers() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let there = listener.local_addr().expect("its address").to_string();
        let gone = {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            listener.local_addr().expect("its address").to_string()
        };
        let both = format!("{gone},{there}");
        let [one, two, three] = shown([&there, &gone, &both]);
        assert_eq!((one, three), (there, both));
        assert!(two.starts_with(&format!("{gone}  (away: ")), "{two}");
    }
}
