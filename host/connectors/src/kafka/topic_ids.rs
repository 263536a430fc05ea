//! The ids of topics, which rdkafka does not offer: a topic that was deleted and made anew has the
//! old one's name and offsets, and another id.
//!
//! What this file relies on, by librdkafka's documentation: an admin call copies its topics and
//! options and answers once, on the queue it is given; an answer is ours until it is destroyed, and
//! what is read of it lives as long. A queue may be destroyed while its answer is still to come.
#![expect(
    unsafe_code,
    reason = "librdkafka is a C library; the promises it asks for are argued at the top and in place"
)]

use super::{Fault, classify, code_words};
use rdkafka::ClientContext;
use rdkafka::client::Client;
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka_sys as sys;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};
use std::ptr;
use std::time::Duration;

/// A handle of the library's, given back when it goes.
struct Held<T>(*mut T, unsafe extern "C" fn(*mut T));

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: each is made by the library, in the function that belongs to this one, and
            // given back once.
            unsafe { self.1(self.0) }
        }
    }
}

/// The ids of these topics in hex, by name. Asks the brokers, for `time` at most, and creates none.
/// A topic that does not exist is left out, and so are all where the brokers know no ids (before
/// Kafka 2.8).
pub(crate) fn topic_ids<C: ClientContext>(
    client: &Client<C>,
    topics: &[String],
    time: Duration,
) -> Result<BTreeMap<String, String>, (Fault, String)> {
    if topics.is_empty() {
        return Ok(BTreeMap::new());
    }
    let names: Result<Vec<CString>, _> = topics
        .iter()
        .map(|topic| CString::new(topic.as_str()))
        .collect();
    let names =
        names.map_err(|_| (Fault::Refused, "a topic's name has no NUL in it".to_owned()))?;
    let mut names: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let time_ms = i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
    let rk = client.native_ptr();
    // SAFETY: the client outlives this function, the names end in NUL and outlive the call that
    // copies them, and all handles are given back at the end, after what was read of them was
    // copied.
    unsafe {
        let options = sys::rd_kafka_AdminOptions_new(
            rk,
            sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
        );
        let options = Held(options, sys::rd_kafka_AdminOptions_destroy);
        sys::rd_kafka_AdminOptions_set_request_timeout(options.0, time_ms, ptr::null_mut(), 0);
        let asked = sys::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
        let asked = Held(asked, sys::rd_kafka_TopicCollection_destroy);
        let queue = Held(sys::rd_kafka_queue_new(rk), sys::rd_kafka_queue_destroy);
        sys::rd_kafka_DescribeTopics(rk, asked.0, options.0, queue.0);
        // The library answers at its own time limit, and a little is for the way.
        let answer = sys::rd_kafka_queue_poll(queue.0, time_ms.saturating_add(1000));
        let answer = Held(answer, sys::rd_kafka_event_destroy);
        if answer.0.is_null() {
            return Err((Fault::Away, code_words(Code::OperationTimedOut)));
        }
        match Code::from(sys::rd_kafka_event_error(answer.0)) {
            Code::NoError => ids(sys::rd_kafka_event_DescribeTopics_result(answer.0)),
            code => Err((classify(code), code_words(code))),
        }
    }
}

/// # Safety
/// `result` is null, or of an answer that lives.
unsafe fn ids(
    result: *const sys::rd_kafka_DescribeTopics_result_t,
) -> Result<BTreeMap<String, String>, (Fault, String)> {
    let mut found = BTreeMap::new();
    if result.is_null() {
        return Ok(found);
    }
    let mut count = 0;
    // SAFETY: the caller's promise; the library gives `count` descriptions, each with a name, an
    // error and an id.
    unsafe {
        let all = sys::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        for i in 0..count {
            let topic = *all.add(i);
            let error = sys::rd_kafka_TopicDescription_error(topic);
            let code = if error.is_null() {
                Code::NoError
            } else {
                Code::from(sys::rd_kafka_error_code(error))
            };
            match (code, classify(code)) {
                (Code::NoError, _) => {}
                (_, Fault::Missing) => continue,
                (code, fault) => return Err((fault, code_words(code))),
            }
            let id = sys::rd_kafka_TopicDescription_topic_id(topic);
            if id.is_null() {
                continue;
            }
            let high = sys::rd_kafka_Uuid_most_significant_bits(id);
            let low = sys::rd_kafka_Uuid_least_significant_bits(id);
            if (high, low) != (0, 0) {
                let name =
                    CStr::from_ptr(sys::rd_kafka_TopicDescription_name(topic)).to_string_lossy();
                found.insert(name.into_owned(), format!("{high:016x}{low:016x}"));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::KafkaSettings;
    use rdkafka::admin::{AdminClient, AdminOptions};
    use rdkafka::client::DefaultClientContext;
    use rdkafka::consumer::Consumer;
    use streamhost_core::limits;
    use streamhost_dev::broker::{Broker, Settings};

    /// What a topic's deletion and making anew shows, at a broker: none for what is not there, and
    /// then two ids.
    fn ids_change(settings: &KafkaSettings, topic: &str) {
        let asker = settings.asker(None).expect("good settings");
        let [topic, never]: [String; 2] = [topic.into(), format!("{topic}-never")];
        let ask = || {
            topic_ids(
                asker.client(),
                &[topic.clone(), never.clone()],
                limits::CONNECT_TIME,
            )
            .expect("it answers")
        };
        assert_eq!(ask(), BTreeMap::new());
        let made = || {
            settings.create_topic(&topic, &[]).expect("it can be made");
            let ids = ask();
            assert_eq!((ids.len(), ids[&topic].len()), (1, 32), "{ids:?}");
            ids[&topic].clone()
        };
        let first = made();
        assert_eq!(made(), first, "it was there");
        let admin: AdminClient<DefaultClientContext> =
            settings.client().unwrap().create().expect("good settings");
        let deleted = crate::kafka::wait_for(admin.delete_topics(&[&topic], &AdminOptions::new()));
        assert!(deleted.expect("it answers").iter().all(Result::is_ok));
        while !ask().is_empty() {
            std::thread::yield_now(); // a cluster takes a moment to forget
        }
        assert_ne!(made(), first);
    }

    #[test]
    fn a_topic_made_anew_has_another_id() {
        let folder = tempfile::tempdir().expect("a folder");
        let db = fjall::Database::builder(folder.path())
            .open()
            .expect("a store");
        let broker = Broker::open(&db, Settings::default()).expect("a broker");
        let broker = broker
            .listen(([127, 0, 0, 1], 0).into())
            .expect("a free port");
        let settings = KafkaSettings {
            brokers: broker.address().to_string(),
            ..KafkaSettings::default()
        };
        ids_change(&settings, "anew");
        let asker = settings.asker(None).expect("good settings");
        assert_eq!(
            topic_ids(asker.client(), &[], limits::CONNECT_TIME).map_err(|e| e.1),
            Ok(BTreeMap::new())
        );
        let bad = topic_ids(asker.client(), &["a\0b".to_owned()], limits::CONNECT_TIME);
        assert!(bad.is_err_and(|(fault, _)| fault == Fault::Refused));
        let here = ["anew".to_owned()];
        let before = topic_ids(asker.client(), &here, limits::CONNECT_TIME).expect("it answers");
        broker.stop();
        let again = Broker::open(&db, Settings::default()).expect("a broker");
        let again = again
            .listen(([127, 0, 0, 1], 0).into())
            .expect("a free port");
        let moved = KafkaSettings {
            brokers: again.address().to_string(),
            ..KafkaSettings::default()
        };
        let moved = moved.asker(None).expect("good settings");
        let after = topic_ids(moved.client(), &here, limits::CONNECT_TIME).expect("it answers");
        assert_eq!(after, before, "a restart changes no id");
        again.stop();
        let away = topic_ids(asker.client(), &here, limits::CONNECT_TIME / 10);
        assert!(away.is_err_and(|(fault, _)| fault == Fault::Away));
    }
}
