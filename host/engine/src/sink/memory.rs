//! Sinks in memory, for the host's own tests: they record what is delivered, and fail when they are
//! told to.

use super::{DeadLetters, Delivery, Refusals, Sink, SinkError};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use streamhost_core::job::SinkSpec;
use streamhost_core::protocol::Marker;
use streamhost_core::types::{
    BatchNumber, ColumnNames, DeadLetter, Guarantee, Measure, Positions, RefusedRow, RowLimits,
    Rows, Spans, TopicOffsets, by_topic,
};

/// What a call is to do instead of its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `open` fails; worth a retry.
    Open,
    /// `deliver` fails, and nothing landed; worth a retry.
    BeforeLanding,
    /// `deliver` fails, but all of it landed; worth a retry.
    AfterLanding,
    /// `deliver` fails for good.
    Refused,
    /// `deliver` refuses the first row for what is in it, and takes the others.
    RefusedRow,
    /// The same, and then the rest fails as with [`Fault::AfterLanding`].
    RefusedRowAfterLanding,
}

/// One delivery that landed.
#[derive(Clone, Debug, PartialEq)]
pub struct Landed<T> {
    /// The epoch of the job's history.
    pub epoch: u64,
    /// The batch.
    pub batch: BatchNumber,
    /// The delivery's time.
    pub time_ms: i64,
    /// The digest of the rows.
    pub digest: String,
    /// What the batch passed.
    pub spans: Spans,
    /// The version that made the rows.
    pub version: u64,
    /// The rows, or the letters.
    pub items: Vec<T>,
}

impl<T: Clone> Landed<T> {
    fn new(delivery: &Delivery<'_>, items: &[T]) -> Self {
        Landed {
            epoch: delivery.epoch,
            batch: delivery.batch,
            time_ms: delivery.time_ms,
            digest: delivery.digest.to_owned(),
            spans: delivery.spans.clone(),
            version: delivery.version,
            items: items.to_vec(),
        }
    }
}

/// What a sink in memory holds; outlives the sink, as a server outlives a host that is killed.
#[derive(Debug)]
struct Held<T> {
    landed: Vec<Landed<T>>,
    marker: Option<Marker>,
    /// The source offsets that the marker carries.
    reached: Positions,
    opened: usize,
    faults: VecDeque<Fault>,
    columns: usize,
}

/// The test's side of a sink: a clone sees the same server.
#[derive(Debug)]
pub struct Memory<T> {
    held: Arc<Mutex<Held<T>>>,
}

impl<T> Clone for Memory<T> {
    fn clone(&self) -> Self {
        Memory {
            held: Arc::clone(&self.held),
        }
    }
}

impl<T> Default for Memory<T> {
    fn default() -> Self {
        let (landed, faults, reached) = (Vec::new(), VecDeque::new(), Positions::new());
        let held = Held {
            landed,
            marker: None,
            reached,
            opened: 0,
            faults,
            columns: 0,
        };
        Memory {
            held: Arc::new(Mutex::new(held)),
        }
    }
}

impl<T: Clone> Memory<T> {
    /// An empty server.
    pub fn new() -> Self {
        Memory::default()
    }

    fn held(&self) -> MutexGuard<'_, Held<T>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next calls fail so, `times` times; faults that were asked for earlier come first.
    pub fn fail(&self, times: usize, fault: Fault) {
        self.held().faults.extend(std::iter::repeat_n(fault, times));
    }

    /// All goes well from now on.
    pub fn forget_faults(&self) {
        self.held().faults.clear();
    }

    /// All that landed, in the order of landing; what landed twice is here twice.
    pub fn landed(&self) -> Vec<Landed<T>> {
        self.held().landed.clone()
    }

    /// The batches that landed, in the order of landing.
    pub fn batches(&self) -> Vec<BatchNumber> {
        self.held()
            .landed
            .iter()
            .map(|landed| landed.batch)
            .collect()
    }

    /// The marker of the last batch, if the sink writes one.
    pub fn marker(&self) -> Option<Marker> {
        self.held().marker.clone()
    }

    /// Puts a marker there, as if another host had.
    pub fn set_marker(&self, marker: Option<Marker>) {
        self.held().marker = marker;
    }

    /// How many times the sink was opened.
    pub fn opened(&self) -> usize {
        self.held().opened
    }

    /// How many columns the sink's rows have, as it was told last.
    pub fn columns(&self) -> usize {
        self.held().columns
    }

    /// The next fault, if it is one of these.
    fn fault(&self, of: &[Fault]) -> Option<Fault> {
        self.held().faults.pop_front_if(|fault| of.contains(fault))
    }

    fn open(&self) -> Result<Option<Marker>, SinkError> {
        if let Some(fault) = self.fault(&[Fault::Open]) {
            return Err(error(fault));
        }
        let mut held = self.held();
        held.opened += 1;
        Ok(held.marker.clone())
    }

    fn deliver(&self, delivery: &Delivery<'_>, items: &[T], marked: bool) -> Result<(), SinkError> {
        let fault = self.fault(&[Fault::BeforeLanding, Fault::AfterLanding, Fault::Refused]);
        if matches!(fault, None | Some(Fault::AfterLanding)) {
            let mut held = self.held();
            held.landed.push(Landed::new(delivery, items));
            if marked {
                let digest = delivery.digest.to_owned();
                held.reached.extend(
                    delivery
                        .spans
                        .iter()
                        .map(|(&partition, span)| (partition, span.to)),
                );
                held.marker = Some(Marker {
                    epoch: delivery.epoch,
                    batch: delivery.batch,
                    digest,
                });
            }
        }
        fault.map_or(Ok(()), |fault| Err(error(fault)))
    }
}

fn error(fault: Fault) -> SinkError {
    let reason = format!("told to fail: {fault:?}");
    match fault {
        Fault::Open
        | Fault::BeforeLanding
        | Fault::AfterLanding
        | Fault::RefusedRow
        | Fault::RefusedRowAfterLanding => SinkError::Away {
            server: "the sink in memory",
            address: "here".to_owned(),
            reason,
        },
        Fault::Refused => SinkError::Refused {
            server: "the sink in memory",
            name: "here".to_owned(),
            reason,
        },
    }
}

/// A sink of any guarantee.
#[derive(Debug)]
pub struct MemorySink {
    memory: Memory<Rows>,
    guarantee: Guarantee,
    limits: RowLimits,
    topics: Vec<String>,
}

impl MemorySink {
    /// A sink that writes to this server. A marked one writes its marker with each batch.
    pub fn new(memory: &Memory<Rows>, guarantee: Guarantee) -> Self {
        let limits = RowLimits {
            key_bytes: 0..=usize::MAX,
            cell_bytes_max: usize::MAX,
            row_bytes_max: usize::MAX,
            measure: Measure::Cells,
            columns: ColumnNames::Fields,
        };
        MemorySink {
            memory: memory.clone(),
            guarantee,
            limits,
            topics: Vec::new(),
        }
    }

    /// The same for a job that reads these topics, in order: its marker carries their offsets.
    pub fn reading(mut self, topics: &[String]) -> Self {
        self.topics = topics.to_vec();
        self
    }

    /// The same with these limits.
    pub fn with_limits(mut self, limits: RowLimits) -> Self {
        self.limits = limits;
        self
    }
}

impl Sink for MemorySink {
    fn guarantee(&self) -> Guarantee {
        self.guarantee
    }

    fn limits(&self) -> RowLimits {
        self.limits.clone()
    }

    fn reshape(&mut self, spec: &SinkSpec) {
        self.memory.held().columns = spec.columns.len();
    }

    fn open(&mut self) -> Result<Option<Marker>, SinkError> {
        self.memory.open()
    }

    fn committed(&self) -> TopicOffsets {
        by_topic(&self.topics, &self.memory.held().reached)
    }

    fn deliver(
        &mut self,
        delivery: &Delivery<'_>,
        rows: &[Rows],
        refusals: &mut dyn Refusals,
    ) -> Result<(), SinkError> {
        let marked = self.guarantee == Guarantee::Marked;
        let refuses = [Fault::RefusedRow, Fault::RefusedRowAfterLanding];
        let fault = self.memory.fault(&refuses);
        if fault.is_none() || rows.is_empty() {
            refusals.take(Vec::new())?;
            return self.memory.deliver(delivery, rows, marked);
        }
        let reason = "told to refuse it".to_owned();
        refusals.take(vec![RefusedRow { row: 0, reason }])?;
        let mut rest = rows.to_vec();
        rest[0].drop_first(1);
        if fault == Some(Fault::RefusedRowAfterLanding) {
            self.memory.held().faults.push_front(Fault::AfterLanding);
        }
        self.memory.deliver(delivery, &rest, marked)
    }
}

/// Dead letters in memory.
#[derive(Debug)]
pub struct MemoryDeadLetters {
    memory: Memory<DeadLetter>,
    guarantee: Guarantee,
}

impl MemoryDeadLetters {
    /// Letters go to this server; marked ones with the marker of their batch.
    pub fn new(memory: &Memory<DeadLetter>, guarantee: Guarantee) -> Self {
        MemoryDeadLetters {
            memory: memory.clone(),
            guarantee,
        }
    }
}

impl DeadLetters for MemoryDeadLetters {
    fn open(&mut self) -> Result<Option<Marker>, SinkError> {
        self.memory.open()
    }

    fn guarantee(&self) -> Guarantee {
        self.guarantee
    }

    fn deliver(
        &mut self,
        delivery: &Delivery<'_>,
        letters: &[DeadLetter],
    ) -> Result<(), SinkError> {
        let marked = self.guarantee == Guarantee::Marked;
        self.memory.deliver(delivery, letters, marked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Any;

    impl Refusals for Any {
        fn most(&self) -> usize {
            usize::MAX
        }

        fn take(&mut self, _: Vec<RefusedRow>) -> Result<(), SinkError> {
            Ok(())
        }
    }

    #[test]
    fn a_sink_fails_as_told_and_remembers_what_landed() {
        let memory = Memory::new();
        let mut sink = MemorySink::new(&memory, Guarantee::Marked);
        let spans = Spans::new();
        let delivery = |batch| Delivery {
            epoch: 7,
            batch,
            time_ms: 2,
            digest: "d",
            spans: &spans,
            version: 1,
        };
        memory.fail(1, Fault::BeforeLanding);
        memory.fail(1, Fault::Open);
        memory.fail(1, Fault::AfterLanding);
        assert!(sink.open().unwrap().is_none());
        assert!(sink.deliver(&delivery(1), &[], &mut Any).is_err());
        assert_eq!((memory.batches(), memory.marker()), (vec![], None));
        assert!(sink.open().is_err());
        assert!(sink.open().unwrap().is_none());
        assert!(sink.deliver(&delivery(1), &[], &mut Any).is_err());
        assert_eq!(
            sink.open()
                .unwrap()
                .map(|marker| (marker.epoch, marker.batch)),
            Some((7, 1))
        );
        sink.deliver(&delivery(2), &[Rows::default()], &mut Any)
            .unwrap();
        assert_eq!((memory.batches(), memory.opened()), (vec![1, 2], 3));
    }
}
