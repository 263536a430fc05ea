//! The steps of one transaction, and what may break them.

use super::BatchProducer;
use super::batch_producer::Failure;
use crate::kafka::{self, background};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::Producer;
use std::sync::Arc;
use std::time::Duration;
use streamhost_core::{clock, limits};
use streamhost_engine::sink::{CancelSignal, SinkError};

/// What broke a transaction.
pub(in crate::kafka) enum Broken {
    Client(KafkaError),
    Sink(SinkError),
}

/// How the part before the commit went.
pub(super) enum Prepared {
    /// Everything is in the transaction, which may be committed.
    Ready,
    /// The topic refused records for what is in them. The producer is not used again: it gives up
    /// what waits in it, in its own time, and that would be the next transaction's records too.
    Refused(Vec<Failure>),
}

/// Begins, sends and marks: all but the commit. After an error the producer is not used again: the
/// next one ends what is open.
pub(super) fn prepare<F>(
    producer: &mut BatchProducer,
    group: &Arc<ConsumerGroupMetadata>,
    cancel: &CancelSignal,
    offsets: TopicPartitionList,
    send: F,
) -> Result<Prepared, Broken>
where
    F: FnOnce(&mut BatchProducer) -> Result<(), SinkError>,
{
    let broken = match attempt(producer, send) {
        Ok(refused) if !refused.is_empty() => return Ok(Prepared::Refused(refused)),
        Ok(_) => {
            let (client, group) = (producer.producer().clone(), group.clone());
            let marked = mark(cancel, move || {
                client.send_offsets_to_transaction(&offsets, &group, limits::CONNECT_TIME)
            });
            match marked {
                Ok(()) => return Ok(Prepared::Ready),
                Err(broken) => broken,
            }
        }
        Err(broken) => broken,
    };
    // Readers of committed records wait behind an open transaction. The next open ends it, but
    // after some errors the job stops, and while the brokers are away there is nobody to tell.
    let away = matches!(
        broken,
        Broken::Sink(SinkError::Away { .. } | SinkError::Denied { .. } | SinkError::Cancelled)
    );
    if !away && let Err(error) = producer.producer().abort_transaction(limits::CONNECT_TIME) {
        tracing::debug!(%error, "a transaction is left to be ended by the next one");
    }
    Err(broken)
}

/// Begins a transaction and sends. What the topic refuses for its content breaks it: gives that, or
/// nothing where all of it is taken.
fn attempt<F>(producer: &mut BatchProducer, send: F) -> Result<Vec<Failure>, Broken>
where
    F: FnOnce(&mut BatchProducer) -> Result<(), SinkError>,
{
    producer
        .producer()
        .begin_transaction()
        .map_err(Broken::Client)?;
    let sent = send(producer).and_then(|()| producer.settle_by_content());
    sent.map_err(Broken::Sink)
}

/// Sends in a transaction that is ended without a trace whatever comes of it: what the topic refuses
/// for its content. If it does, the producer is not used again.
pub(super) fn trial<F>(
    producer: &mut BatchProducer,
    cancel: &CancelSignal,
    send: F,
) -> Result<Vec<Failure>, Broken>
where
    F: FnOnce(&mut BatchProducer) -> Result<(), SinkError>,
{
    let refused = attempt(producer, send)?;
    if refused.is_empty() {
        abort(producer, cancel)?;
    }
    Ok(refused)
}

/// Ends a transaction without a trace, and leaves the producer ready for the next one. What waits in
/// it is given up, and its reports are heard: the client ends nothing before that. A record that is
/// refused only now breaks the transaction once more, so that it must be ended once more.
fn abort(producer: &mut BatchProducer, cancel: &CancelSignal) -> Result<(), Broken> {
    let since = clock::monotonic();
    loop {
        producer.look();
        let error = match producer.producer().abort_transaction(ABORT_SLICE) {
            Ok(()) => return producer.forget().map_err(Broken::Sink),
            Err(error) => error,
        };
        if cancel.is_cancelled() {
            return Err(Broken::Sink(SinkError::Cancelled));
        }
        let again = match &error {
            KafkaError::Transaction(inner) => {
                !inner.is_fatal() && (inner.is_retriable() || inner.txn_requires_abort())
            }
            _ => false,
        };
        if !again || clock::since(since) > limits::KAFKA_FENCE_TIME {
            // A new producer ends it, whatever this one says of the records.
            let reason = format!("a transaction cannot be ended: {}", kafka::words(&error));
            return Err(Broken::Sink(producer.away(reason)));
        }
    }
}

/// How long one call to end a transaction waits for reports that nobody hears meanwhile.
const ABORT_SLICE: Duration = Duration::from_millis(100);

/// Marks a transaction. The call looks at its time limit between two requests alone, each of which
/// may take a minute, so a job that is to stop leaves it: the transaction is not committed, and the
/// next [`Transactions::open`] ends it.
fn mark(
    cancel: &CancelSignal,
    call: impl FnMut() -> Result<(), KafkaError> + Send + 'static,
) -> Result<(), Broken> {
    let watched = cancel.clone();
    let marking = move || until_clear(&watched, limits::KAFKA_DELIVERY_TIME, call);
    background::until_cancelled(cancel, marking).unwrap_or(Err(Broken::Sink(SinkError::Cancelled)))
}

/// How long init and commit may take before it is looked whether the job is to stop; they go on in
/// the background, and the next call takes them up. Other calls begin anew each time, and so have
/// longer.
pub(in crate::kafka) const SLICE: Duration = Duration::from_secs(1);

/// Calls again while the client says that this may be done, and `time` is not over.
pub(in crate::kafka) fn until_clear<T>(
    cancel: &CancelSignal,
    time: Duration,
    mut call: impl FnMut() -> Result<T, KafkaError>,
) -> Result<T, Broken> {
    let since = clock::monotonic();
    loop {
        let error = match call() {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        if cancel.is_cancelled() {
            return Err(Broken::Sink(SinkError::Cancelled));
        }
        let again = match &error {
            KafkaError::Transaction(inner) => {
                inner.is_retriable() && !inner.is_fatal() && !inner.txn_requires_abort()
            }
            KafkaError::Flush(code) | KafkaError::MetadataFetch(code) => {
                *code == Code::OperationTimedOut
            }
            _ => false,
        };
        if !again || clock::since(since) > time {
            return Err(Broken::Client(error));
        }
        tracing::debug!(%error, "a step of a transaction is unclear, and called again");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unclear_call_is_called_again_until_the_job_is_to_stop() {
        let cancel = CancelSignal::default();
        let mut calls = 0;
        let mut unclear = |clear_at: usize| {
            calls += 1;
            if calls == clear_at {
                Ok(calls)
            } else {
                Err(KafkaError::Flush(Code::OperationTimedOut))
            }
        };
        assert!(matches!(
            until_clear(&cancel, limits::KAFKA_FENCE_TIME, || unclear(3)),
            Ok(3)
        ));
        cancel.cancel();
        assert!(matches!(
            until_clear(&cancel, limits::KAFKA_FENCE_TIME, || unclear(0)),
            Err(Broken::Sink(SinkError::Cancelled))
        ));
        assert_eq!(calls, 4);
        let clear = until_clear(
            &CancelSignal::default(),
            limits::KAFKA_FENCE_TIME,
            || -> Result<(), _> { Err(KafkaError::Flush(Code::Fenced)) },
        );
        assert!(matches!(clear, Err(Broken::Client(_))));
    }
}
