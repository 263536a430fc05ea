//! Sinks of databases by themselves: what they are given, and what they leave out.

use streamhost_connectors::connector::{Connector, SinkContext};
use streamhost_core::job::{ColumnSpec, SinkSpec, SourceSpec};
use streamhost_core::types::{Column, Kind, Partition, RefusedRow, Rows, Span, Spans};
use streamhost_engine::sink::{CancelSignal, Delivery, Refusals, Sink, SinkError};

/// A column that a row may lack.
pub fn column(name: &str, kind: Kind) -> ColumnSpec {
    ColumnSpec {
        name: name.to_owned(),
        kind,
        optional: true,
    }
}

/// A sink of this connector that writes a table of this name: two keys, and a column of each kind.
pub fn spec(connector: &str, target: &str) -> SinkSpec {
    SinkSpec {
        connector: connector.to_owned(),
        name: "out".to_owned(),
        target: target.to_owned(),
        keys: vec![column("id", Kind::Text), column("shard", Kind::Uint)],
        columns: Kind::ALL
            .map(|kind| column(&format!("c {}", kind.word()), kind))
            .to_vec(),
        ..SinkSpec::default()
    }
}

/// The same with one key and one number.
pub fn small(connector: &str, target: &str) -> SinkSpec {
    SinkSpec {
        keys: vec![column("id", Kind::Int)],
        columns: vec![column("n", Kind::Int), column("t", Kind::Text)],
        ..spec(connector, target)
    }
}

/// A sink of this connector; its job is named after its table.
pub fn open(connector: &dyn Connector, spec: &SinkSpec, cancel: &CancelSignal) -> Box<dyn Sink> {
    let source = SourceSpec {
        target: "in".to_owned(),
        ..SourceSpec::default()
    };
    let context = SinkContext {
        sources: &[source],
        owner: &format!("streamhost.{}", spec.target),
        cancel,
    };
    connector.sink().expect("a sink").open(spec, &context)
}

/// What a cell of a test's row is.
#[derive(Clone, Copy, Debug)]
pub enum Is<'a> {
    /// Its bytes.
    There(&'a [u8]),
    /// It stays as it is.
    Absent,
    /// It goes.
    Deleted,
}

/// Rows: keys, then cells. Without cells the row is deleted.
pub fn rows(all: &[(&[&[u8]], &[Is<'_>])], width: usize) -> Rows {
    let mut rows = Rows::default();
    let mut cells = Column::default();
    for (n, (keys, row)) in (0..).zip(all) {
        rows.positions.push(n);
        keys.iter().for_each(|key| cells.push(key));
        if row.is_empty() {
            rows.deleted_rows.push(n);
        }
        for at in 0..width {
            let item = cells.len() as u32;
            let cell = row.get(at).copied().unwrap_or(Is::Absent);
            match cell {
                Is::There(_) => {}
                Is::Absent => rows.absent.push(item),
                Is::Deleted => rows.deleted.push(item),
            }
            cells.push(if let Is::There(bytes) = cell {
                bytes
            } else {
                b""
            });
        }
    }
    rows.cells = cells;
    rows
}

/// Takes up to `most` refusals.
#[derive(Debug, Default)]
pub struct Taken {
    /// How many.
    pub most: usize,
    /// Those of the last call.
    pub refused: Vec<RefusedRow>,
    /// Calls until now.
    pub calls: usize,
}

impl Refusals for Taken {
    fn most(&self) -> usize {
        self.most
    }

    fn take(&mut self, refused: Vec<RefusedRow>) -> Result<(), SinkError> {
        (self.calls, self.refused) = (self.calls + 1, refused);
        match self.refused.len() > self.most {
            true => Err(SinkError::NotNoted("too many".to_owned())),
            false => Ok(()),
        }
    }
}

/// Delivers a batch of this number.
///
/// # Errors
/// As the sink says.
pub fn deliver(
    sink: &mut dyn Sink,
    batch: u64,
    rows: &[Rows],
    refusals: &mut Taken,
) -> Result<(), SinkError> {
    let span = Span {
        from: 0,
        to: 10 * batch as i64,
        records: 10,
    };
    let spans: Spans = [(Partition { source: 0, id: 3 }, span)].into();
    let delivery = Delivery {
        epoch: 7,
        batch,
        time_ms: 1_700_000_000_000,
        digest: &format!("d{batch}"),
        spans: &spans,
        version: 1,
    };
    sink.deliver(&delivery, rows, refusals)
}

/// Rows for [`small`]: a number by each key, and a text.
pub fn numbers(range: std::ops::Range<i64>, n: impl Fn(i64) -> i64) -> Rows {
    let all: Vec<[[u8; 8]; 2]> = range
        .map(|i| [i.to_le_bytes(), n(i).to_le_bytes()])
        .collect();
    let keys: Vec<[&[u8]; 1]> = all.iter().map(|[id, _]| [&id[..]]).collect();
    let cells: Vec<[Is<'_>; 2]> = all
        .iter()
        .map(|[_, n]| [Is::There(n), Is::There(b"text")])
        .collect();
    let rows_of: Vec<(&[&[u8]], &[Is<'_>])> = keys
        .iter()
        .zip(&cells)
        .map(|(key, cells)| (&key[..], &cells[..]))
        .collect();
    rows(&rows_of, 2)
}

/// The same rows without their key, of which there was one, beside two cells.
pub fn keyless(mut rows: Rows) -> Rows {
    // Each row has one empty item in its place.
    let mut cells = Column::default();
    for (n, item) in rows.cells.iter().enumerate() {
        cells.push(if n % 3 == 0 { b"" } else { item });
    }
    rows.cells = cells;
    rows
}
