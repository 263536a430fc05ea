//! Calls of the client that take longer than they were told, on threads of their own: whoever waits
//! for one gives up in time, and the call ends by itself.
//!
//! librdkafka bounds most of its calls, but not all of them. Destroying a client waits for requests
//! that are under way, each up to `socket.timeout.ms`, a minute. `send_offsets_to_transaction` looks
//! at its time limit between two requests alone, and so takes two minutes where a broker is halted.

use std::ops::Deref;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use streamhost_core::limits;
use streamhost_engine::sink::CancelSignal;

/// A client that is closed in the background when it goes: it is waited for
/// [`limits::KAFKA_CLOSE_TIME`] at most.
pub(crate) struct Client<C: Send + 'static>(Option<C>);

impl<C: Send + 'static> Client<C> {
    pub(crate) fn new(client: C) -> Self {
        Client(Some(client))
    }
}

impl<C: Send + 'static> Deref for Client<C> {
    type Target = C;

    fn deref(&self) -> &C {
        self.0.as_ref().expect("it is there until it goes")
    }
}

impl<C: Send + 'static> Drop for Client<C> {
    fn drop(&mut self) {
        if let Some(client) = self.0.take() {
            close(client);
        }
    }
}

/// Closes a client, and waits for that no longer than [`limits::KAFKA_CLOSE_TIME`].
pub(crate) fn close<C: Send + 'static>(client: C) {
    let (done, closed) = mpsc::channel::<()>();
    let closing = thread::Builder::new()
        .name("kafka-close".to_owned())
        .spawn(move || {
            drop(client);
            drop(done);
        });
    if closing.is_ok() {
        // Ends as well when `done` is dropped.
        let _ = closed.recv_timeout(limits::KAFKA_CLOSE_TIME);
    }
}

/// Makes a call, and waits until it has ended or the job is to stop. `None`: the job is to stop, and
/// the call goes on by itself, with all that it was given.
pub(crate) fn until_cancelled<T: Send + 'static>(
    cancel: &CancelSignal,
    call: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (send, ended) = mpsc::channel();
    let calling = thread::Builder::new()
        .name("kafka-call".to_owned())
        .spawn(move || {
            // Nobody may be waiting any more.
            let _ = send.send(call());
        });
    if let Err(error) = calling {
        tracing::warn!(%error, "no thread can be started for a call to Kafka");
        return None;
    }
    loop {
        match ended.recv_timeout(limits::LOOK_TIME) {
            Ok(answer) => return Some(answer),
            Err(RecvTimeoutError::Timeout) if !cancel.is_cancelled() => {}
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::{KafkaSettings, partitions, sink::Transactions};
    use rdkafka::mocking::MockCluster;
    use std::net::TcpListener;
    use std::time::{Duration, Instant};
    use streamhost_core::types::Spans;
    use streamhost_engine::sink::{Delivery, SinkError};

    /// Longer than anything here may take.
    const HANGS: Duration = Duration::from_secs(300);
    /// What a busy machine adds.
    const SLACK: Duration = Duration::from_secs(10);

    fn settings(brokers: String) -> KafkaSettings {
        KafkaSettings {
            brokers,
            ..KafkaSettings::default()
        }
    }

    #[test]
    fn a_client_that_does_not_close_is_left() {
        struct Stuck(mpsc::Receiver<()>);
        impl Drop for Stuck {
            fn drop(&mut self) {
                let _ = self.0.recv();
            }
        }
        let (free, stuck) = mpsc::channel();
        let began = Instant::now();
        drop(Client::new(Stuck(stuck)));
        assert!(began.elapsed() >= limits::KAFKA_CLOSE_TIME);
        assert!(began.elapsed() < limits::KAFKA_CLOSE_TIME + SLACK);
        drop(free);
    }

    #[test]
    fn a_call_is_waited_for_until_the_job_is_to_stop() {
        let cancel = CancelSignal::default();
        assert_eq!(until_cancelled(&cancel, || 7), Some(7));
        let (free, stuck) = mpsc::channel::<()>();
        let stopping = cancel.clone();
        let call = move || {
            stopping.cancel();
            stuck.recv()
        };
        assert_eq!(until_cancelled(&cancel, call), None);
        drop(free);
    }

    #[test]
    fn a_server_that_never_answers_holds_no_client_that_asks() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap().to_string();
        let began = Instant::now();
        let asker = settings(address.clone()).asker(Some("group")).unwrap();
        assert!(partitions(&asker, "topic").is_err());
        drop(asker);
        assert!(settings(address).topic_config("topic").is_err());
        let asked = 2 * (limits::CONNECT_TIME + limits::KAFKA_CLOSE_TIME);
        assert!(began.elapsed() < asked + SLACK, "{:?}", began.elapsed());
    }

    #[test]
    fn brokers_that_halt_within_a_transaction_hold_no_stop() {
        let brokers = MockCluster::new(1).unwrap();
        brokers.create_topic("out", 1, 1).unwrap();
        let cancel = CancelSignal::default();
        let (settings, id) = (settings(brokers.bootstrap_servers()), "id".to_owned());
        let mut transactions = Transactions::new(&settings, "out", Vec::new(), id, &cancel);
        transactions.open().unwrap();
        let began = Instant::now();
        let spans = Spans::new();
        let delivery = Delivery {
            epoch: 1,
            batch: 1,
            time_ms: 0,
            digest: "",
            spans: &spans,
            version: 1,
        };
        // All is sent and acknowledged; what comes next is the marker.
        let delivered = transactions.deliver(&delivery, |producer| {
            producer.send(None, Some(b"row"))?;
            producer.settle_all()?;
            brokers.broker_round_trip_time(1, HANGS).unwrap();
            let stops = cancel.clone();
            thread::spawn(move || {
                thread::park_timeout(Duration::from_millis(500));
                stops.cancel();
            });
            Ok(())
        });
        assert!(matches!(delivered, Err(SinkError::Cancelled)));
        drop(transactions);
        assert!(began.elapsed() < limits::KAFKA_CLOSE_TIME + SLACK);
    }
}
