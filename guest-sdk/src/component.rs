//! The job as a component: joins the contract's types with the crate's own. Lists are moved, never copied.

use crate::bindings::exports::streamhost::job::guest as contract;
use crate::bindings::streamhost::job::{log as import, types};
use crate::cell::Kind;
use crate::columns::{Column, ColumnBuf};
use crate::flow::Batch;
use crate::job::{Call, Job};
use crate::log::Level;
use crate::row::{ColumnDef, RowWriter};
use crate::sink::SinkKind;
use std::sync::Once;

pub use crate::bindings::{self, export};
pub use contract::{Description, Guest, Output, Records};

/// The export `describe`.
pub fn describe(job: impl for<'b> Fn(Call<'b>) -> Job<'b>) -> Result<Description, String> {
    log_panics();
    let description = job(Call::new()).describe()?;
    let source = |name| types::SourceDef { kind: types::SourceKind::Kafka, name };
    Ok(Description {
        name: description.name,
        every_ms: description.every.map(|every| u64::try_from(every.as_millis()).unwrap_or(u64::MAX)),
        sources: description.sources.into_iter().map(source).collect(),
        sinks: description.sinks.into_iter().map(sink_def).collect(),
    })
}

/// The export `transform`.
pub fn transform(job: impl for<'b> Fn(Call<'b>) -> Job<'b>, stage: u32, records: Records) -> Output {
    log_panics();
    let batch = Batch {
        keys: column(&records.keys),
        values: column(&records.values),
        times_ms: &records.times_ms,
        absent_keys: &records.absent_keys,
        absent_values: &records.absent_values,
    };
    let output = job(Call::new()).run(stage as usize, batch);
    let fault = |f: crate::flow::Fault| types::Fault { position: f.position, reason: f.reason };
    Output { faults: output.faults.into_iter().map(fault).collect(), rows: output.rows.into_iter().map(rows).collect() }
}

pub(crate) fn log(level: Level, message: &str) {
    let level = match level {
        Level::Debug => import::Level::Debug,
        Level::Info => import::Level::Info,
        Level::Warn => import::Level::Warn,
        Level::Error => import::Level::Error,
    };
    import::log(level, message);
}

/// A trap carries no message, so the panic that led to it is told before.
fn log_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(|panic| log(Level::Error, &panic.to_string()))));
}

fn column(column: &types::Column) -> Column<'_> {
    Column { data: &column.data, ends: &column.ends }
}

fn column_out(column: ColumnBuf) -> types::Column {
    types::Column { data: column.data, ends: column.ends }
}

fn rows(rows: RowWriter) -> types::Rows {
    types::Rows {
        positions: rows.positions,
        cells: column_out(rows.cells),
        absent: rows.absent,
        deleted: rows.deleted,
        deleted_rows: rows.deleted_rows,
        extra: types::ExtraCells {
            rows: rows.extra.rows,
            names: column_out(rows.extra.names),
            values: column_out(rows.extra.values),
            kinds: rows.extra.kinds.into_iter().map(kind).collect(),
        },
    }
}

fn sink_def(sink: crate::SinkDef) -> types::SinkDef {
    let column = |c: &ColumnDef| types::ColumnDef { name: c.name.into(), kind: kind(c.kind), optional: c.optional };
    types::SinkDef {
        kind: match sink.kind {
            SinkKind::Hbase => types::SinkKind::Hbase,
            SinkKind::Kafka => types::SinkKind::Kafka,
            SinkKind::Console => types::SinkKind::Console,
        },
        name: sink.name,
        keyed: sink.shape.keyed,
        dynamic: sink.shape.dynamic,
        columns: sink.shape.columns.iter().map(column).collect(),
        exactly_once: sink.exactly_once,
    }
}

fn kind(kind: Kind) -> types::Kind {
    match kind {
        Kind::Text => types::Kind::Text,
        Kind::Bytes => types::Kind::Bytes,
        Kind::Int => types::Kind::Int,
        Kind::Uint => types::Kind::Uint,
        Kind::Float => types::Kind::Float,
        Kind::Bool => types::Kind::Bool,
        Kind::Time => types::Kind::Time,
    }
}
