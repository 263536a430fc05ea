use super::sink::tests::{cluster, job};
use super::{KafkaDeadLetters, KafkaSettings};
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use streamhost_core::limits;
use streamhost_core::protocol::Marker;
use streamhost_core::types::{DeadLetter, Guarantee, Spans};
use streamhost_engine::sink::{CancelSignal, DeadLetters, Delivery};

fn letter(value: &[u8], reason: &str) -> DeadLetter {
    DeadLetter {
        origin: None,
        stage: "s".to_owned(),
        sink: None,
        reason: reason.to_owned(),
        time_ms: 0,
        key: None,
        value: Some(value.to_vec()),
        headers: Vec::new(),
        version: None,
    }
}

fn open(settings: &KafkaSettings) -> (KafkaDeadLetters, Option<Marker>) {
    let cancel = CancelSignal::default();
    let mut letters = KafkaDeadLetters::new(settings, "dead", &job(), "streamhost.job", &cancel);
    let marker = letters.open().unwrap();
    (letters, marker)
}

#[track_caller]
fn deliver(letters: &mut KafkaDeadLetters, batch: u64, all: &[DeadLetter]) {
    let spans = Spans::new();
    let delivery = Delivery {
        epoch: 1,
        batch,
        time_ms: 0,
        digest: "",
        spans: &spans,
        version: 1,
    };
    letters.deliver(&delivery, all).unwrap();
}

fn whole(values: &[&str]) -> Vec<(String, bool)> {
    values
        .iter()
        .map(|value| ((*value).to_owned(), false))
        .collect()
}

#[test]
fn the_marker_says_whose_letters_are_there() {
    let cluster = cluster(&[]);
    let (mut letters, marker) = open(&cluster.settings);
    assert_eq!((marker, letters.guarantee()), (None, Guarantee::Marked));
    deliver(&mut letters, 3, &[letter(b"a", "r"), letter(b"b", "r")]);
    deliver(&mut letters, 5, &[letter(b"c", "r")]);
    let (mut next, marker) = open(&cluster.settings);
    assert_eq!(
        marker.map(|marker| (marker.epoch, marker.batch)),
        Some((1, 5))
    );
    deliver(&mut next, 6, &[letter(b"d", "r")]);
    assert_eq!(cluster.committed("dead"), whole(&["a", "b", "c", "d"]));
}

#[test]
fn a_letter_that_is_too_long_costs_the_others_nothing() {
    let cluster = cluster(&[]);
    let (mut letters, _) = open(&cluster.settings);
    let long = vec![b'x'; limits::KAFKA_LETTER_BYTES_MAX + 1];
    let all = [letter(b"a", "r"), letter(&long, "r"), letter(b"b", "r")];
    deliver(&mut letters, 1, &all);
    deliver(&mut letters, 2, &[letter(b"c", "r")]);
    let mut expected = whole(&["a", "", "b", "c"]);
    expected[1].1 = true;
    assert_eq!(cluster.committed("dead"), expected);
}

/// A topic of dead letters has limits of its own, and one that is too long for it is no reason to
/// stop: neither its record nor a long reason.
#[test]
fn letters_are_cut_to_what_their_topic_takes() {
    let cluster = cluster(&[]);
    let bytes = [("max.message.bytes", "1000")];
    cluster.settings.create_topic("dead", &bytes).unwrap();
    let (mut letters, _) = open(&cluster.settings);
    // No compression makes it short.
    let mut state = 1_u32;
    let mut letter_of_noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(33 + (state >> 24) as u8 % 90)
    };
    let noise: String = (0..2000).map(|_| letter_of_noise()).collect();
    let all: Vec<_> = (0..40)
        .map(|n| match n {
            7 => letter(noise.as_bytes(), "r"),
            8 => letter(noise.as_bytes(), &noise),
            _ => letter(format!("{n} {}", &noise[..100]).as_bytes(), "r"),
        })
        .collect();
    deliver(&mut letters, 1, &all);
    let found = cluster.committed("dead");
    let (cut, kept): (Vec<_>, Vec<_>) = found.iter().partition(|(_, left_out)| *left_out);
    assert_eq!((cut.len(), kept.len()), (2, 38), "each once");
}

#[test]
fn brokers_that_give_no_transaction_take_letters_as_plain_records() {
    let mock = MockCluster::new(1).unwrap();
    mock.create_topic("dead", 1, 1).unwrap();
    let denied = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    mock.request_errors(RDKafkaApiKey::FindCoordinator, &[denied; 50]);
    let settings = KafkaSettings {
        brokers: mock.bootstrap_servers(),
        ..KafkaSettings::default()
    };
    let (mut letters, marker) = open(&settings);
    assert_eq!(
        (marker, letters.guarantee()),
        (None, Guarantee::AtLeastOnce)
    );
    deliver(&mut letters, 1, &[letter(b"a", "r"), letter(b"b", "r")]);
    deliver(&mut letters, 2, &[letter(b"c", "r")]);
}
