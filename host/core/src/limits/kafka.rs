//! Kafka sources and sinks.

use super::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX, BROKER_BATCH_BYTES_MAX, FETCH_AHEAD_BYTES_MAX};
use std::time::Duration;

/// A Kafka record's value (the broker's `message.max.bytes`, less what surrounds it).
pub const KAFKA_VALUE_BYTES_MAX: usize = 1_000_000;
/// A Kafka delivery: as long as a batch may wait for its acknowledgements before the client gives
/// up.
pub const KAFKA_DELIVERY_TIME: Duration = Duration::from_secs(120);
/// Messages in one read of the Kafka client's queue; a full batch is overshot by at most one read.
pub const KAFKA_READ_RECORDS_MAX: usize = 1000;
/// Bytes that one read of the Kafka client's queue is meant to have, by the size of the messages
/// before.
pub const KAFKA_READ_BYTES: usize = 1 << 20;
/// Bytes of one answer to a Kafka fetch, and of one partition in it.
/// A batch of records that is larger comes whole, and alone.
pub const KAFKA_FETCH_BYTES_MAX: (usize, usize) = (4 << 20, 1 << 20);
/// How long Kafka's brokers may all be away before a delivery that waits for them says so. A batch
/// that was half written may be there twice then, in a plain sink; a restarting broker takes less.
pub const KAFKA_AWAY_TIME: Duration = Duration::from_secs(20);
/// How long brokers that answer that they are not ready yet are asked again, at a deploy or start.
pub const KAFKA_SETTLE_TIME: Duration = Duration::from_secs(15);
/// How long a topic that the brokers do not list is asked for again, where it must be there: a new
/// one is not known to all of them at once.
pub const KAFKA_TOPIC_TIME: Duration = Duration::from_secs(3);
/// Fencing a transactional sink's former owner, whose open transaction the brokers must end first.
pub const KAFKA_FENCE_TIME: Duration = Duration::from_secs(30);
/// How long the end of a partition may lie before the end of a batch that is run again. After a
/// broker's failure the new leader's end catches up in seconds; beyond this the records are gone.
pub const KAFKA_SHORT_TIME: Duration = Duration::from_secs(30);
/// How often a source that the brokers do not let in makes its client anew, with the secrets and
/// certificates as they are then. Oftener, a broker might shut the user out.
pub const KAFKA_LOGIN_TIME: Duration = Duration::from_secs(5);
/// How long a token for OAUTHBEARER counts at most before the one that stands in its place then is
/// read.
pub const KAFKA_TOKEN_TIME: Duration = Duration::from_secs(300);
/// Closing a Kafka client before the rest of it goes on in the background.
pub const KAFKA_CLOSE_TIME: Duration = Duration::from_secs(2);
/// Records and bytes that wait in a Kafka producer.
pub const KAFKA_SEND_QUEUE_MAX: (usize, usize) = (100_000, 32 << 20);
/// A record's key in a Kafka sink.
pub const KAFKA_KEY_BYTES_MAX: usize = 32_767;
/// The smallest batch that the host tries where a topic does not say how large one may be, and
/// refuses records together that it takes one by one.
pub const KAFKA_BATCH_BYTES_MIN: usize = 1000;
/// What is left of a dead letter's reason, in characters, where its topic takes neither the record
/// nor the whole reason.
pub const LETTER_REASON_CHARS_MIN: usize = 60;
/// A dead letter, in a topic that the host creates (its `max.message.bytes`). What a source's topic
/// took should fit.
pub const KAFKA_LETTER_BYTES_MAX: usize = 15 << 20;

// The largest record fits with what surrounds it.
const _: () = assert!(KAFKA_VALUE_BYTES_MAX < BROKER_BATCH_BYTES_MAX);
// Or `dev` could not keep them.
const _: () = assert!(KAFKA_LETTER_BYTES_MAX <= BROKER_BATCH_BYTES_MAX);
const _: () = assert!(KAFKA_FETCH_BYTES_MAX.1 <= KAFKA_FETCH_BYTES_MAX.0);
const _: () = assert!(KAFKA_FETCH_BYTES_MAX.0 <= FETCH_AHEAD_BYTES_MAX);
const _: () =
    assert!(KAFKA_READ_BYTES <= BATCH_BYTES_MAX && KAFKA_READ_RECORDS_MAX <= BATCH_RECORDS_MAX);
