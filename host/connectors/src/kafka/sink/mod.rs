//! Writes rows to a topic: a key, and a JSON object or a raw value. Plain sinks are at least once; with exactly once every
//! batch is one transaction that holds the sink's marker as well.

mod marker;
mod outbox;
mod place;
mod transactional;

pub(crate) use outbox::{Failure, Outbox, error};
pub use place::KafkaPlace;

use crate::kafka::{self, KafkaSettings};
use streamhost_core::contract::RowLimits;
use streamhost_core::contract::render::{RowsView, ValueWriter};
use streamhost_core::job::{ColumnPlan, SinkPlan, SourcePlan};
use streamhost_core::limits;
use streamhost_core::protocol::{Guarantee, Marker};
use streamhost_core::types::{Rows, TopicOffsets};
use streamhost_engine::sink::{Cut, Delivery, Sink, SinkError};
use transactional::Transactions;

/// A topic that rows go to.
pub struct KafkaSink {
    settings: KafkaSettings,
    topic: String,
    rows: RowWriter,
    way: Way,
    cut: Cut,
}

/// How a batch is delivered.
enum Way {
    /// Record by record. None: not open.
    Plain(Option<Outbox>),
    /// One transaction a batch.
    Transactional(Box<Transactions>),
}

/// Sends rows as records.
struct RowWriter {
    columns: Vec<ColumnPlan>,
    keyed: bool,
    values: ValueWriter,
}

impl RowWriter {
    fn new(plan: &SinkPlan) -> Self {
        RowWriter { columns: plan.columns.clone(), keyed: plan.keyed, values: ValueWriter::new(&plan.columns) }
    }

    fn send(&self, outbox: &mut Outbox, all: &[Rows]) -> Result<(), SinkError> {
        let mut value = Vec::new();
        for rows in all {
            for row in RowsView::new(rows, &self.columns) {
                value.clear();
                let there = self.values.value(&row, &mut value);
                outbox.send((self.keyed && row.has_key()).then(|| row.key()), there.then_some(&value[..]))?;
            }
        }
        Ok(())
    }
}

impl KafkaSink {
    /// A sink as its plan says. `sources` are the job's: an exactly-once sink's marker lies at their offsets, and its
    /// transactional id is `owner`'s, such as `streamhost.JOB`. Asks no server, and waits for none once `cut` says that it
    /// is over.
    pub fn new(settings: &KafkaSettings, plan: &SinkPlan, sources: &[SourcePlan], owner: &str, cut: &Cut) -> Self {
        let way = if plan.exactly_once {
            let id = format!("{owner}.{}", plan.name);
            Way::Transactional(Box::new(Transactions::new(settings, &plan.place, sources, id, cut)))
        } else {
            Way::Plain(None)
        };
        let (settings, topic) = (settings.clone(), plan.place.clone());
        KafkaSink { settings, topic, rows: RowWriter::new(plan), way, cut: cut.clone() }
    }
}

impl Sink for KafkaSink {
    fn guarantee(&self) -> Guarantee {
        match self.way {
            Way::Plain(_) => Guarantee::AtLeastOnce,
            Way::Transactional(_) => Guarantee::Marked,
        }
    }

    fn limits(&self) -> RowLimits {
        RowLimits {
            key_bytes: 0..=limits::KAFKA_KEY_BYTES_MAX,
            cell_bytes_max: limits::KAFKA_VALUE_BYTES_MAX,
            row_bytes_max: limits::KAFKA_VALUE_BYTES_MAX,
        }
    }

    fn reshape(&mut self, plan: &SinkPlan) {
        self.rows = RowWriter::new(plan);
    }

    fn reached(&self) -> TopicOffsets {
        match &self.way {
            Way::Transactional(transactions) => transactions.reached(),
            Way::Plain(_) => TopicOffsets::new(),
        }
    }

    fn open(&mut self) -> Result<Option<Marker>, SinkError> {
        match &mut self.way {
            Way::Transactional(transactions) => transactions.open(),
            Way::Plain(outbox) => {
                *outbox = None; // what it still held is dropped before it is sent again
                if self.cut.is_cut() {
                    return Err(SinkError::Cut);
                }
                let words = |(fault, reason)| error(&self.settings.brokers, &self.topic, fault, reason);
                let client = |e| words((kafka::fault(&e), kafka::words(&e)));
                kafka::partitions(&self.settings.asker(None).map_err(client)?, &self.topic).map_err(words)?;
                *outbox = Some(Outbox::new(&self.settings, &self.topic, None, &self.cut)?);
                Ok(None)
            }
        }
    }

    fn deliver(&mut self, delivery: &Delivery<'_>, rows: &[Rows]) -> Result<(), SinkError> {
        match &mut self.way {
            Way::Transactional(transactions) => transactions.deliver(delivery, |outbox| self.rows.send(outbox, rows)),
            Way::Plain(open) => {
                let mut outbox =
                    open.take().expect("the pipeline opens a sink before it delivers, and after a failure");
                self.rows.send(&mut outbox, rows)?;
                outbox.settle_all()?;
                *open = Some(outbox);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
#[path = "sink_tests.rs"]
mod tests;
