//! How often a client may ask: so that one script in a loop does not take the host's time from all
//! others. A client is a token, or an address where no token is shown.
//!
//! Own code: `governor` keeps a place for each client that ever came until it is told to forget
//! them, and this table must be bounded whoever comes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use streamhost_core::limits;

/// Of an address of version 6, what a network gives one client.
const PREFIX_V6: u32 = 64;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Client {
    /// By a token's name.
    Token(String),
    /// Without one.
    Address(IpAddr),
    /// All for whom there is no place of their own.
    Others,
}

impl Client {
    /// Who comes from there without a token.
    pub(super) fn at(address: IpAddr) -> Client {
        Client::Address(match address.to_canonical() {
            IpAddr::V6(six) => {
                let network = six.to_bits() >> (128 - PREFIX_V6) << (128 - PREFIX_V6);
                IpAddr::V6(network.into())
            }
            four => four,
        })
    }
}

/// Requests of all clients.
#[derive(Debug)]
pub(super) struct Rates {
    /// When a client would have all of its burst again, as if each request took its time after
    /// the one before. What lies in the past is all there.
    full_at: Mutex<HashMap<Client, Instant>>,
    burst: u32,
    clients_max: usize,
}

impl Rates {
    /// So many at once; then [`limits::HTTP_RATE_MAX`] a second.
    pub(super) fn new(burst: u32, clients_max: usize) -> Rates {
        Rates {
            full_at: Mutex::default(),
            burst,
            clients_max,
        }
    }

    /// Whether a client may ask once more.
    pub(super) fn take(&self, client: Client, now: Instant) -> bool {
        let each = Duration::from_secs(1) / limits::HTTP_RATE_MAX;
        let mut all = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= self.clients_max && !all.contains_key(&client) {
            all.retain(|_, full_at| *full_at > now);
        }
        let client = match all.len() < self.clients_max || all.contains_key(&client) {
            true => client,
            false => Client::Others,
        };
        let full_at = all.entry(client).or_insert(now);
        let next = (*full_at).max(now) + each;
        let may = next.saturating_duration_since(now) <= each * self.burst;
        if may {
            *full_at = next;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_its_burst_and_then_its_rate_beside_all_others() {
        let rates = Rates::new(10, 100);
        let began = Instant::now();
        let one = || Client::Token("one".to_owned());
        let passed = |client: &dyn Fn() -> Client, now: Instant| {
            (0..1000).filter(|_| rates.take(client(), now)).count()
        };
        assert_eq!(passed(&one, began), 10);
        assert_eq!(passed(&one, began), 0);
        let address = || Client::at([10, 0, 0, 1].into());
        assert_eq!(passed(&address, began), 10);
        let later = began + Duration::from_millis(100);
        assert_eq!(passed(&one, later), limits::HTTP_RATE_MAX as usize / 10);
        let much_later = began + Duration::from_secs(3600);
        assert_eq!(passed(&one, much_later), 10, "a burst and no more");
    }

    #[test]
    fn however_many_clients_come_the_table_is_bounded() {
        let rates = Rates::new(10, 100);
        let began = Instant::now();
        let client = |n: u32| Client::at(std::net::Ipv4Addr::from_bits(n).into());
        let passed = (0..10_000)
            .filter(|&n| rates.take(client(n), began))
            .count();
        let len = || rates.full_at.lock().expect("not poisoned").len();
        assert_eq!(
            (passed, len()),
            (110, 101),
            "all that are too many share one place"
        );
        assert!(rates.take(client(7), began), "who has a place keeps it");
        let later = began + Duration::from_secs(60);
        assert!(rates.take(client(200_000), later));
        assert!(len() < 101, "who has all of his burst again is forgotten");
    }

    #[test]
    fn a_network_of_version_6_is_one_client() {
        let at = |text: &str| Client::at(text.parse().expect("an address"));
        assert_eq!(at("2001:db8::1"), at("2001:db8::ffff:1"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
        assert_eq!(at("::ffff:10.0.0.1"), at("10.0.0.1"));
    }
}
