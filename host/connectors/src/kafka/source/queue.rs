//! Reads the client's messages in batches, which rdkafka does not offer: a third of the CPU time a
//! record.
//!
//! This is the one file of the source that speaks to the C library. What it relies on, by
//! librdkafka's documentation:
//!
//! - A queue handle may be used from any thread as long as its client lives: the handles here go
//!   before the client.
//! - A message from `rd_kafka_consume_batch_queue` is ours until `rd_kafka_message_destroy`, and
//!   its pointers stay good until then: a [`Message`] borrows from it, inside one call of
//!   [`Queues::read`], and each one is destroyed once.
//! - The consumer's queue must hold messages alone while it is read in batches: the library asserts
//!   it. The client forwards its main queue (log lines, errors, answers) there, so that is undone,
//!   and the main queue read apart.
#![expect(
    unsafe_code,
    reason = "librdkafka is a C library; the promises it asks for are argued at the top and in place"
)]

use crate::kafka::access::hint;
use crate::kafka::{FAILED, Quiet, background};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka_sys as sys;
use std::ffi::{CStr, CString, c_char};
use std::mem::ManuallyDrop;
use std::ptr;
use std::time::Duration;
use streamhost_core::types::{Header, Offset, Partition, Record};

/// A consumer with its two queues.
pub(super) struct Queues {
    messages: *mut sys::rd_kafka_queue_t,
    events: *mut sys::rd_kafka_queue_t,
    read: Vec<*mut sys::rd_kafka_message_t>,
    consumer: ManuallyDrop<BaseConsumer<Quiet>>, // it goes last, on a thread of its own
}

// SAFETY: librdkafka's handles may be used from any thread, and `read` holds pointers within one
// call alone.
unsafe impl Send for Queues {}

/// What the client brought of one partition.
pub(super) enum Message<'a> {
    /// A record.
    Record(Record<'a>),
    /// The partition ends: this is the offset of the next record to come.
    End(Offset),
    /// The partition cannot be read on at this offset.
    Fault(Code, Offset, String),
}

/// What the client says beside messages.
pub(super) enum Event {
    /// Something is wrong with the connection to the brokers.
    Error(Code, String),
    /// What a connection that was closed may be about.
    Hint(String),
    /// The client complains about a topic or partition. It only logs that when it is read in
    /// batches.
    Complaint,
    /// The outcome of [`Queues::commit`].
    Committed(Result<(), Code>),
    /// The outcome of [`Queues::probe`].
    Probed(Result<(), Code>),
    /// The client wants a token for OAUTHBEARER.
    Token,
    /// Nothing that matters.
    Other,
}

impl Queues {
    /// Takes over a consumer that has a group. Nothing else may poll it.
    pub(super) fn new(consumer: BaseConsumer<Quiet>, read_max: usize) -> Self {
        let client = consumer.client().native_ptr();
        // SAFETY: the client lives in `self`, longer than both handles. The consumer's queue exists
        // as there is a group.
        let (messages, events) = unsafe {
            (
                sys::rd_kafka_queue_get_consumer(client),
                sys::rd_kafka_queue_get_main(client),
            )
        };
        assert!(
            !messages.is_null() && !events.is_null(),
            "a consumer with a group has both queues"
        );
        // SAFETY: both are queues of this client; no destination ends the forwarding.
        unsafe { sys::rd_kafka_queue_forward(events, ptr::null_mut()) };
        Queues {
            messages,
            events,
            read: vec![ptr::null_mut(); read_max],
            consumer: ManuallyDrop::new(consumer),
        }
    }

    /// The consumer, for all that rdkafka does offer but polling.
    pub(super) fn consumer(&self) -> &BaseConsumer<Quiet> {
        &self.consumer
    }

    /// Waits until an assignment has ended the one before. The library ends it by messages to
    /// itself, and aborts the whole process if it is closed or given another assignment in between.
    /// It takes its messages in order: the answer to one question comes when the reading has
    /// stopped, and that to the next when this was noted.
    pub(super) fn settle(&self) {
        for _ in 0..2 {
            let _ = self.consumer.assignment(); // only the waiting counts
        }
    }

    /// Hands over what is there of these topics, `at_most` of it, in order, and each with its
    /// topic's position in `topics`; until `take` says that it is enough: the rest is lost, and
    /// must be assigned anew. Waits until `at_most` messages are there or `wait` is over. Returns
    /// how many there were.
    pub(super) fn read<F>(
        &mut self,
        topics: &[String],
        wait: Duration,
        at_most: usize,
        mut take: F,
    ) -> usize
    where
        F: FnMut(Partition, Message<'_>) -> bool,
    {
        let at_most = at_most.min(self.read.len());
        let wait_ms = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the queue is alive and `read` has room for `at_most` pointers.
        let read = unsafe {
            sys::rd_kafka_consume_batch_queue(
                self.messages,
                wait_ms,
                self.read.as_mut_ptr(),
                at_most,
            )
        };
        let read = usize::try_from(read).unwrap_or(0);
        let mut going = true;
        // Within one read a topic's pointer means one topic, as the messages hold it: names are
        // compared once a run.
        let mut run: (*const sys::rd_kafka_topic_t, Option<u16>) = (ptr::null(), None);
        for &message in &self.read[..read] {
            // SAFETY: the library filled this many pointers with messages of ours, destroyed below
            // and not before.
            let m = unsafe { &*message };
            if going && run.0 != m.rkt.cast_const() {
                // SAFETY: the library filled it.
                let name = unsafe { topic(m) };
                run = (
                    m.rkt,
                    name.and_then(|name| topics.iter().position(|t| *t == name))
                        .map(|i| i as u16),
                );
            }
            if going && let Some(source) = run.1 {
                let partition = Partition {
                    source,
                    id: m.partition,
                };
                // SAFETY: the message is alive until `take` has returned, and cannot be kept by it.
                going = unsafe { take(partition, content(m, &headers(m))) };
            }
            // SAFETY: ours, and this once.
            unsafe { sys::rd_kafka_message_destroy(message) };
        }
        read
    }

    /// The next event, if there is one. Does not wait.
    pub(super) fn event(&mut self) -> Option<Event> {
        // SAFETY: the queue is alive; the event is ours until it is destroyed below, and what is
        // borrowed is copied.
        unsafe {
            let event = sys::rd_kafka_queue_poll(self.events, 0);
            if event.is_null() {
                return None;
            }
            let code = Code::from(sys::rd_kafka_event_error(event));
            let outcome = if code == Code::NoError {
                Ok(())
            } else {
                Err(code)
            };
            let seen = match sys::rd_kafka_event_type(event) {
                sys::RD_KAFKA_EVENT_ERROR => {
                    Event::Error(code, text(sys::rd_kafka_event_error_string(event)))
                }
                sys::RD_KAFKA_EVENT_OFFSET_COMMIT => Event::Committed(outcome),
                sys::RD_KAFKA_EVENT_OAUTHBEARER_TOKEN_REFRESH => Event::Token,
                sys::RD_KAFKA_EVENT_DESCRIBECLUSTER_RESULT => Event::Probed(outcome),
                sys::RD_KAFKA_EVENT_LOG => {
                    let (mut place, mut line, mut level): (*const c_char, *const c_char, i32) =
                        (ptr::null(), ptr::null(), 0);
                    if sys::rd_kafka_event_log(event, &mut place, &mut line, &mut level) == 0 {
                        tracing::debug!(target: "librdkafka", place = text(place), "{}", text(line));
                    }
                    match &*text(place) {
                        "ERROR" => Event::Complaint,
                        FAILED => hint(&text(line)).map_or(Event::Other, Event::Hint),
                        _ => Event::Other,
                    }
                }
                _ => Event::Other,
            };
            sys::rd_kafka_event_destroy(event);
            Some(seen)
        }
    }

    /// Commits these offsets for the group. The outcome comes as an event.
    pub(super) fn commit(&self, offsets: &TopicPartitionList) -> Result<(), Code> {
        let client = self.consumer.client().native_ptr();
        // SAFETY: client, list and queue are alive; the library copies the list. No callback, so no
        // opaque.
        let code = unsafe {
            sys::rd_kafka_commit_queue(client, offsets.ptr(), self.events, None, ptr::null_mut())
        };
        match Code::from(code) {
            Code::NoError => Ok(()),
            code => Err(code),
        }
    }

    /// Asks the brokers something cheap. The outcome comes as an event, once one of them answers or
    /// after a minute.
    pub(super) fn probe(&self) {
        // SAFETY: client and queue are alive; without options the defaults hold.
        unsafe {
            sys::rd_kafka_DescribeCluster(
                self.consumer.client().native_ptr(),
                ptr::null(),
                self.events,
            )
        };
    }

    /// How much waits to be read.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        // SAFETY: the queue is alive.
        unsafe { sys::rd_kafka_queue_length(self.messages) }
    }

    /// Has the client say that the consumer as a whole is at fault, as it does of a group that it
    /// may not use.
    #[cfg(test)]
    pub(super) fn fail(&self) {
        let client = self.consumer.client().native_ptr();
        let code = sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED;
        // SAFETY: the client is alive, and the words end in NUL.
        unsafe { sys::rd_kafka_test_fatal_error(client, code, c"by a test".as_ptr()) };
    }

    /// A partition's end as the client last heard it.
    pub(super) fn end(&self, topic: &str, partition: i32) -> Option<Offset> {
        let topic = CString::new(topic).ok()?;
        let (mut low, mut high) = (-1, -1);
        let client = self.consumer.client().native_ptr();
        // SAFETY: the client is alive, the name ends in NUL, and both places are ours.
        let code = unsafe {
            sys::rd_kafka_get_watermark_offsets(
                client,
                topic.as_ptr(),
                partition,
                &mut low,
                &mut high,
            )
        };
        (Code::from(code) == Code::NoError && high >= 0).then_some(high)
    }
}

impl Drop for Queues {
    /// Closing sends what is committed, which takes the library up to a minute while the brokers
    /// are away: so it is waited for a moment only, and the rest goes on by itself.
    fn drop(&mut self) {
        // SAFETY: made in `new`, destroyed once, before the client; and the consumer is not touched
        // after it is taken.
        let consumer = unsafe {
            sys::rd_kafka_queue_destroy(self.messages);
            sys::rd_kafka_queue_destroy(self.events);
            ManuallyDrop::take(&mut self.consumer)
        };
        background::close(consumer);
    }
}

/// The name of a message's topic. None: it is about the consumer as a whole, as a fault of its
/// group is, which is for monitors alone.
///
/// # Safety
/// `message` came from the library, and is not destroyed yet.
unsafe fn topic(message: &sys::rd_kafka_message_t) -> Option<String> {
    if message.rkt.is_null() {
        tracing::debug!(target: "librdkafka", code = %Code::from(message.err), "about the consumer");
        return None;
    }
    // SAFETY: the message holds its topic.
    Some(unsafe { text(sys::rd_kafka_topic_name(message.rkt)) })
}

/// # Safety
/// `message` came from the library, and is not destroyed for as long as what is returned lives.
#[inline]
unsafe fn content<'a>(
    message: &'a sys::rd_kafka_message_t,
    headers: &'a [Header<'a>],
) -> Message<'a> {
    match Code::from(message.err) {
        Code::NoError => {
            // SAFETY: of a message without an error, key and payload are its bytes, or null where
            // there are none.
            let (key, value, time_ms) = unsafe {
                (
                    bytes(message.key.cast(), message.key_len),
                    bytes(message.payload.cast(), message.len),
                    sys::rd_kafka_message_timestamp(message, ptr::null_mut()),
                )
            };
            Message::Record(Record {
                offset: message.offset,
                time_ms, // -1: it has none
                key,
                value,
                headers,
            })
        }
        Code::PartitionEOF => Message::End(message.offset),
        // SAFETY: the message is alive; its words are copied.
        code => Message::Fault(code, message.offset, unsafe {
            text(sys::rd_kafka_message_errstr(message))
        }),
    }
}

/// The headers of a message. Most have none, and then nothing is allocated.
///
/// # Safety
/// `message` came from the library, and is not destroyed for as long as what is returned lives.
#[inline]
unsafe fn headers(message: &sys::rd_kafka_message_t) -> Vec<Header<'_>> {
    let mut list = ptr::null_mut();
    // SAFETY: the message is alive, and the place is ours; the list belongs to the message.
    if unsafe { sys::rd_kafka_message_headers(message, &mut list) }
        != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
    {
        return Vec::new();
    }
    // SAFETY: as above.
    unsafe { listed(list) }
}

/// # Safety
/// `list` is a message's, and the message lives long enough.
#[cold]
unsafe fn listed<'a>(list: *const sys::rd_kafka_headers_t) -> Vec<Header<'a>> {
    // SAFETY: the list is alive.
    let count = unsafe { sys::rd_kafka_header_cnt(list) };
    let mut headers = Vec::with_capacity(count);
    for i in 0..count {
        let (mut name, mut value, mut length) = (ptr::null(), ptr::null(), 0);
        // SAFETY: the list is alive and has this many headers; all three places are ours. The name
        // ends in NUL, and the value is its bytes, or null where there are none.
        let header = unsafe {
            let code = sys::rd_kafka_header_get_all(list, i, &mut name, &mut value, &mut length);
            if code != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                break;
            }
            Header {
                name: as_far_as_text(CStr::from_ptr(name).to_bytes()),
                value: bytes(value.cast(), length),
            }
        };
        headers.push(header);
    }
    headers
}

/// Kafka says that names are UTF-8; of one that is not, its beginning.
fn as_far_as_text(name: &[u8]) -> &str {
    let end = std::str::from_utf8(name).map_or_else(|e| e.valid_up_to(), str::len);
    std::str::from_utf8(&name[..end]).unwrap_or_default()
}

/// # Safety
/// `from` is null or points to `length` bytes that live long enough.
#[inline]
unsafe fn bytes<'a>(from: *const u8, length: usize) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise.
    (!from.is_null()).then(|| unsafe { std::slice::from_raw_parts(from, length) })
}

/// # Safety
/// `from` is null or points to a text that ends in NUL.
unsafe fn text(from: *const c_char) -> String {
    if from.is_null() {
        return String::new();
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(from) }
        .to_string_lossy()
        .trim()
        .to_owned()
}

/// A list of offsets for the client.
pub(super) fn list<'a>(
    offsets: impl Iterator<Item = (&'a str, i32, rdkafka::Offset)>,
) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::new();
    for (topic, partition, offset) in offsets {
        list.add_partition(topic, partition).set_offset(offset)?;
    }
    Ok(list)
}
