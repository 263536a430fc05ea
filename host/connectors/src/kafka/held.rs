//! A topic read back: the last record of each key. Records without a key are left out, as nothing
//! tells one from another.

use super::KafkaSettings;
use super::topics::{TopicError, TopicReader, TopicSpan};
use streamhost_core::compare::{HeldRow, LastWrites};
use streamhost_core::contract::render::{RowRef, ValueWriter};
use streamhost_core::job::SinkSpec;
use streamhost_core::{clock, limits};
use streamhost_engine::sink::{CancelSignal, HeldPlace, Mending, SinkError, Written};

/// What a record's value is called among the columns of its row.
const VALUE: &[u8] = b"value";

/// A sink's topic.
pub(super) struct KafkaHeld {
    settings: KafkaSettings,
    topic: String,
    values: ValueWriter,
    cancel: CancelSignal,
    /// None: not begun.
    reader: Option<TopicReader>,
}

impl KafkaHeld {
    /// For a sink whose rows have keys.
    pub(super) fn new(spec: &SinkSpec, settings: KafkaSettings, cancel: CancelSignal) -> Self {
        KafkaHeld {
            settings,
            topic: spec.target.clone(),
            values: ValueWriter::new(&spec.columns),
            cancel,
            reader: None,
        }
    }

    fn error(&self, error: TopicError) -> SinkError {
        let server = super::SERVER;
        match error {
            TopicError::Away { brokers, reason } => SinkError::Away {
                server,
                address: brokers,
                reason,
            },
            TopicError::Denied { brokers, reason } => SinkError::Denied {
                server,
                address: brokers,
                reason,
            },
            TopicError::Missing { reason, .. } | TopicError::Refused { reason, .. } => {
                SinkError::Refused {
                    server,
                    name: self.topic.clone(),
                    reason,
                }
            }
        }
    }

    fn read(&mut self, reader: &mut TopicReader) -> Result<Vec<Written>, SinkError> {
        let (mut rows, mut moved) = (Vec::new(), clock::monotonic());
        while !reader.is_done() && rows.len() < limits::REPLAY_ROWS_AT_ONCE {
            if self.cancel.is_cancelled() {
                return Err(SinkError::Cancelled);
            }
            let next = reader.next(limits::REPLAY_FETCH_TIME);
            match next.map_err(|error| self.error(error))? {
                Some(record) => {
                    rows.extend(record.key.map(|key| (key, writes(record.value))));
                    moved = clock::monotonic();
                }
                None if clock::since(moved) >= limits::REPLAY_AWAY_TIME => {
                    return Err(SinkError::Away {
                        server: super::SERVER,
                        address: self.settings.brokers.clone(),
                        reason: "it gives no more records".to_owned(),
                    });
                }
                None => {}
            }
        }
        Ok(rows)
    }
}

fn writes(value: Option<Vec<u8>>) -> LastWrites {
    LastWrites {
        is_erased: false,
        cells: [(VALUE.to_vec(), value)].into(),
    }
}

impl HeldPlace for KafkaHeld {
    fn writes(&self, row: &RowRef<'_>) -> Written {
        let mut value = Vec::new();
        let is_there = self.values.value(row, &mut value);
        (row.key().to_vec(), writes(is_there.then_some(value)))
    }

    /// To the ends that the topic has when it begins. After an error it begins anew.
    fn next_written(&mut self) -> Option<Result<Vec<Written>, SinkError>> {
        let mut reader = match self.reader.take() {
            Some(reader) => reader,
            None => {
                let span = TopicSpan {
                    from_beginning: true,
                    ..TopicSpan::default()
                };
                match TopicReader::open(&self.settings, &self.topic, span) {
                    Ok(reader) => reader,
                    Err(error) => return Some(Err(self.error(error))),
                }
            }
        };
        let rows = self.read(&mut reader);
        if rows.is_ok() {
            self.reader = Some(reader);
        }
        Some(rows)
    }

    fn rows(&mut self, _: &[Vec<u8>]) -> Result<Vec<HeldRow>, SinkError> {
        Ok(Vec::new()) // it is read from front to back
    }

    fn scan(&mut self, _: Option<&[u8]>) -> Result<Vec<HeldRow>, SinkError> {
        Ok(Vec::new())
    }

    fn is_own(&self, _: &[u8]) -> bool {
        true
    }

    fn mending(&self) -> Mending {
        Mending::Not(
            "a topic keeps what comes last, so a mend would lie above what the job writes meanwhile",
        )
    }

    fn mend(&mut self, _: i64, _: &[Written]) -> Result<(), SinkError> {
        Err(SinkError::Refused {
            server: super::SERVER,
            name: self.topic.clone(),
            reason: "rows of topics are not mended".to_owned(),
        })
    }
}
