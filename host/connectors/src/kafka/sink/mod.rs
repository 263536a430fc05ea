//! Writes rows to a topic: a key, and a JSON object or a raw value. Plain sinks are at least once;
//! with exactly once every batch is one transaction that holds the sink's marker as well.

mod marker;
mod batch_producer;
mod provision;
mod transactional;
mod transaction;
mod refused;

pub(crate) use batch_producer::{BatchProducer, Failure, content_words, error};
pub use provision::KafkaProvision;
pub(super) use transaction::{Broken, SLICE, until_clear};

use crate::kafka::{self, KafkaSettings};
use rdkafka::message::{Header as ClientHeader, OwnedHeaders};
use streamhost_core::contract::render::{RowsView, ValueWriter};
use streamhost_core::job::connector::{EXACTLY_ONCE, KAFKA_ROWS};
use streamhost_core::job::{ColumnSpec, SinkSpec, SourceSpec};
use streamhost_core::protocol::Marker;
use streamhost_core::types::{Guarantee, Header, RowLimits, Rows, TopicOffsets};
use streamhost_engine::sink::{CancelSignal, Delivery, Refusals, Sink, SinkError};
pub(super) use transactional::Transactions;

/// A topic that rows go to.
pub struct KafkaSink {
    settings: KafkaSettings,
    topic: String,
    rows: RowWriter,
    way: Way,
    cancel: CancelSignal,
}

/// How a batch is delivered.
enum Way {
    /// Record by record. None: not open.
    Plain(Option<BatchProducer>),
    /// One transaction a batch.
    Transactional(Box<Transactions>),
}

/// Sends rows as records.
struct RowWriter {
    columns: Vec<ColumnSpec>,
    keyed: bool,
    values: ValueWriter,
}

impl RowWriter {
    fn new(spec: &SinkSpec) -> Self {
        RowWriter {
            columns: spec.columns.clone(),
            keyed: spec.is_keyed(),
            values: ValueWriter::new(&spec.columns),
        }
    }

    /// Sends all rows, or those at some places, ascending.
    fn send(
        &self,
        producer: &mut BatchProducer,
        all: &[Rows],
        some: Option<&[usize]>,
    ) -> Result<(), SinkError> {
        let mut value = Vec::new();
        let (mut at, mut next) = (0, some.map(|some| some.iter().peekable()));
        for rows in all {
            for row in RowsView::new(rows, &self.columns) {
                let is_meant = next
                    .as_mut()
                    .is_none_or(|next| next.next_if_eq(&&at).is_some());
                at += 1;
                if !is_meant {
                    continue;
                }
                value.clear();
                let there = self.values.value(&row, &mut value);
                let mut record = producer.record();
                record.key = (self.keyed && row.has_key()).then(|| row.key());
                record.payload = there.then_some(&value[..]);
                record.headers = own_headers(row.headers());
                producer.send_record(record)?;
            }
        }
        Ok(())
    }
}

/// Headers for the client; none where there are none.
pub(super) fn own_headers<'a>(headers: impl Iterator<Item = Header<'a>>) -> Option<OwnedHeaders> {
    let insert = |all: Option<OwnedHeaders>, Header { name: key, value }: Header<'a>| {
        let header = ClientHeader { key, value };
        Some(all.unwrap_or_default().insert(header))
    };
    headers.fold(None, insert)
}

impl KafkaSink {
    /// A sink as its spec says. `sources` are the job's: an exactly-once sink's marker lies at
    /// their offsets, and its transactional id is `owner`'s, such as `streamhost.JOB`. Asks no
    /// server, and waits for none once `cut` says that it is over.
    pub fn new(
        settings: &KafkaSettings,
        spec: &SinkSpec,
        sources: &[SourceSpec],
        owner: &str,
        cancel: &CancelSignal,
    ) -> Self {
        let way = if spec.options.is_on(EXACTLY_ONCE) {
            let id = format!("{owner}.{}", spec.name);
            Way::Transactional(Box::new(Transactions::new(
                settings,
                &spec.target,
                topics_of(spec, sources),
                id,
                cancel,
            )))
        } else {
            Way::Plain(None)
        };
        let (settings, topic) = (settings.clone(), spec.target.clone());
        KafkaSink {
            settings,
            topic,
            rows: RowWriter::new(spec),
            way,
            cancel: cancel.clone(),
        }
    }
}

/// The topics of the sources, in the sources' order; none where a source is none of the sink's own
/// cluster, as no offset of it can lie in a group there.
fn topics_of(spec: &SinkSpec, sources: &[SourceSpec]) -> Vec<Option<String>> {
    let is_same = |source: &SourceSpec| {
        (&source.connector, &source.instance) == (&spec.connector, &spec.instance)
    };
    let topic = |source: &SourceSpec| is_same(source).then(|| source.target.clone());
    sources.iter().map(topic).collect()
}

impl Sink for KafkaSink {
    fn guarantee(&self) -> Guarantee {
        match self.way {
            Way::Plain(_) => Guarantee::AtLeastOnce,
            Way::Transactional(_) => Guarantee::Marked,
        }
    }

    fn limits(&self) -> RowLimits {
        KAFKA_ROWS
    }

    fn reshape(&mut self, spec: &SinkSpec) {
        self.rows = RowWriter::new(spec);
    }

    fn committed(&self) -> TopicOffsets {
        match &self.way {
            Way::Transactional(transactions) => transactions.reached(),
            Way::Plain(_) => TopicOffsets::new(),
        }
    }

    fn elsewhere(&self) -> Option<Marker> {
        match &self.way {
            Way::Transactional(transactions) => transactions.elsewhere(),
            Way::Plain(_) => None,
        }
    }

    fn peek(&mut self) -> Result<Option<Marker>, SinkError> {
        match &mut self.way {
            Way::Transactional(transactions) => transactions.peek(),
            Way::Plain(_) => Ok(None),
        }
    }

    fn open(&mut self) -> Result<Option<Marker>, SinkError> {
        match &mut self.way {
            Way::Transactional(transactions) => transactions.open(),
            Way::Plain(producer) => {
                *producer = None; // what it still held is dropped before it is sent again
                if self.cancel.is_cancelled() {
                    return Err(SinkError::Cancelled);
                }
                let words =
                    |(fault, reason)| error(&self.settings.brokers, &self.topic, fault, reason);
                let client = |e| words((kafka::fault(&e), kafka::words(&e)));
                let asker = self.settings.asker(None).map_err(client)?;
                kafka::partitions(&asker, &self.topic).map_err(words)?;
                *producer = Some(BatchProducer::new(
                    &self.settings,
                    &self.topic,
                    None,
                    &self.cancel,
                )?);
                Ok(None)
            }
        }
    }

    fn deliver(
        &mut self,
        delivery: &Delivery<'_>,
        rows: &[Rows],
        refusals: &mut dyn Refusals,
    ) -> Result<(), SinkError> {
        match &mut self.way {
            Way::Transactional(transactions) => {
                refused::deliver_marked(transactions, &self.rows, delivery, rows, refusals)
            }
            Way::Plain(open) => {
                let mut producer = open
                    .take()
                    .expect("the pipeline opens a sink before it delivers, and after a failure");
                refused::deliver_plainly(&mut producer, &self.rows, rows, refusals)?;
                *open = Some(producer);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
#[path = "sink_tests.rs"]
pub(super) mod tests;
