//! The job as a component: joins the contract's types with the crate's own. Lists are moved, never
//! copied.

use crate::bindings::exports::streamhost::job::guest as contract;
use crate::bindings::streamhost::job::{log as import, types};
use crate::call::{self, Batch, Input};
use crate::cell::Kind;
use crate::columns::{Column, ColumnBuf};
use crate::describe::{Partners, Scope, SourceDef, StageDef, StageKind, WindowDef, WindowForm};
use crate::headers::{CallHeaders, HeadersOut};
use crate::job::{Call, Job};
use crate::log::Level;
use crate::metrics;
use crate::record::Place;
use crate::row::{ColumnDef, RowWriter};
use std::sync::Once;

pub use crate::bindings::{self, export};
pub use contract::{
    Description, Finished, Guest, KeyItems, Moment, Output, Partials, Processed, Records,
};
pub use types::Column as Items;

/// The SDK's version, in a custom section of every component, where `streamhost inspect` finds it.
#[used]
#[expect(
    unsafe_code,
    reason = "a section of its own: nothing else is placed there"
)]
#[unsafe(link_section = "streamhost-sdk")]
static SDK_VERSION: [u8; env!("CARGO_PKG_VERSION").len()] = {
    let version = env!("CARGO_PKG_VERSION").as_bytes();
    let mut bytes = [0; env!("CARGO_PKG_VERSION").len()];
    bytes.copy_from_slice(version);
    bytes
};

/// The export `describe`.
pub fn describe(job: impl for<'b> Fn(Call<'b>) -> Job<'b>) -> Result<Description, String> {
    log_panics();
    let description = job(Call::new()).describe()?;
    metrics::declare();
    Ok(Description {
        name: description.name,
        every_ms: description
            .every
            .map(|every| u64::try_from(every.as_millis()).unwrap_or(u64::MAX)),
        sources: description.sources.into_iter().map(source_def).collect(),
        stages: description.stages.into_iter().map(stage_def).collect(),
        sinks: description.sinks.into_iter().map(sink_def).collect(),
    })
}

/// The export `transform`.
pub fn transform(
    job: impl for<'b> Fn(Call<'b>) -> Job<'b>,
    stage: u32,
    moment: Moment,
    records: Records,
) -> Output {
    log_panics();
    let headers = CallHeaders {
        positions: &records.headers.positions,
        names: column(&records.headers.names),
        values: column(&records.headers.values),
        absent: &records.headers.absent,
    };
    let batch = Batch {
        place: Place {
            target: &records.target,
            partition: records.partition,
        },
        first_offset: records.first_offset,
        offsets: &records.offsets,
        headers: &headers,
        keys: column(&records.keys),
        values: column(&records.values),
        times_ms: &records.times_ms,
        absent_keys: &records.absent_keys,
        absent_values: &records.absent_values,
    };
    run(job, stage, moment, Input::Records(batch))
}

/// The export `combine`.
pub fn combine(job: impl for<'b> Fn(Call<'b>) -> Job<'b>, stage: u32, partials: Partials) -> Items {
    log_panics();
    let partials = call::Partials {
        accumulators: column(&partials.accumulators),
        absent: &partials.absent,
        group_ends: &partials.group_ends,
        partials: column(&partials.partials),
    };
    column_out(job(Call::new()).combine(stage as usize, partials))
}

/// The export `finish`.
pub fn finish(
    job: impl for<'b> Fn(Call<'b>) -> Job<'b>,
    stage: u32,
    moment: Moment,
    finished: Finished,
) -> Output {
    log_panics();
    let input = match &finished {
        Finished::Groups(groups) => Input::Groups(call::Groups {
            keys: column(&groups.keys),
            accumulators: column(&groups.accumulators),
            starts_ms: &groups.starts_ms,
            ends_ms: &groups.ends_ms,
        }),
        Finished::Pairs(pairs) => Input::Pairs(call::Pairs {
            lefts: column(&pairs.lefts),
            rights: column(&pairs.rights),
            absent_lefts: &pairs.absent_lefts,
            absent_rights: &pairs.absent_rights,
            times_ms: &pairs.times_ms,
        }),
    };
    run(job, stage, moment, input)
}

/// The export `process`.
pub fn process(
    job: impl for<'b> Fn(Call<'b>) -> Job<'b>,
    stage: u32,
    moment: Moment,
    keys: KeyItems,
) -> Processed {
    log_panics();
    let input = Input::Keys(call::KeyItems {
        keys: column(&keys.keys),
        states: column(&keys.states),
        absent: &keys.absent,
        event_timers: times(&keys.event_timers),
        batch_timers: times(&keys.batch_timers),
        item_ends: &keys.item_ends,
        items: column(&keys.items),
        times_ms: &keys.times_ms,
        watermark_ms: keys.watermark_ms,
        last: keys.last,
        batch_due_ms: keys.batch_due_ms,
    });
    metrics::begin();
    let mut out = job(Call::new()).run(stage as usize, moment_in(moment), input);
    metrics::tell();
    let processed = std::mem::take(&mut out.processed);
    Processed {
        output: output(out),
        states: column_out(processed.states),
        absent: processed.absent,
        event_timers: times_out(processed.event_timers),
        batch_timers: times_out(processed.batch_timers),
        refusals: processed.refusals.into_iter().map(refusal).collect(),
    }
}

/// Runs a stage over an input, and tells what the job's metrics came to.
fn run<'b>(
    job: impl FnOnce(Call<'b>) -> Job<'b>,
    stage: u32,
    moment: Moment,
    input: Input<'b>,
) -> Output {
    metrics::begin();
    let out = job(Call::new()).run(stage as usize, moment_in(moment), input);
    metrics::tell();
    output(out)
}

fn times(times: &types::KeyTimes) -> call::KeyTimes<'_> {
    call::KeyTimes {
        ends: &times.ends,
        times_ms: &times.times_ms,
    }
}

fn times_out(times: call::KeyTimesOut) -> types::KeyTimes {
    types::KeyTimes {
        ends: times.ends,
        times_ms: times.times_ms,
    }
}

fn refusal(refused: call::Refused) -> types::Refusal {
    types::Refusal {
        position: refused.position,
        item: refused.item,
        time_ms: refused.time_ms,
        reason: refused.reason,
    }
}

/// The export `migrate`.
pub fn migrate(
    job: impl for<'b> Fn(Call<'b>) -> Job<'b>,
    stage: u32,
    accumulators: Items,
) -> Items {
    log_panics();
    column_out(job(Call::new()).migrate(stage as usize, column(&accumulators)))
}

fn moment_in(moment: Moment) -> call::Moment {
    let Moment {
        batch_ms,
        watermark_ms,
        partition_ms,
    } = moment;
    call::Moment {
        batch_ms,
        watermark_ms,
        partition_ms,
    }
}

fn output(output: call::Output) -> Output {
    let fault = |f: call::Fault| types::Fault {
        position: f.position,
        reason: f.reason,
    };
    Output {
        faults: output.faults.into_iter().map(fault).collect(),
        rows: output.rows.into_iter().map(rows).collect(),
        keyed: output.keyed.into_iter().map(keyed).collect(),
        late: output.late,
        largest_ms: output.largest_ms,
    }
}

fn keyed(keyed: call::Keyed) -> types::Keyed {
    types::Keyed {
        stage: keyed.stage,
        side: keyed.side,
        positions: keyed.positions,
        keys: column_out(keyed.keys),
        values: column_out(keyed.values),
        times_ms: keyed.times_ms,
        until_ms: keyed.until_ms,
        deleted: keyed.deleted,
    }
}

fn source_def(source: SourceDef) -> types::SourceDef {
    types::SourceDef {
        place: types::Place {
            connector: source.connector,
            name: source.name,
            options: source.options,
        },
        table: source.table,
        timed: source.timed,
    }
}

fn stage_def(stage: StageDef) -> types::StageDef {
    types::StageDef {
        name: stage.name,
        kind: match stage.kind {
            StageKind::Reduce(scope) => types::StageKind::Reduce(scope_def(scope)),
            StageKind::Join {
                partners,
                lateness_ms,
                left,
                right,
            } => types::StageKind::Join(types::JoinDef {
                partners: match partners {
                    Partners::Between {
                        before_ms,
                        after_ms,
                    } => types::Partners::Between(types::Distances {
                        before_ms,
                        after_ms,
                    }),
                    Partners::Window { size_ms } => types::Partners::Window(size_ms),
                },
                lateness_ms,
                left,
                right,
            }),
            StageKind::Lookup => types::StageKind::Lookup,
            StageKind::Process {
                expire_ms,
                event_time,
            } => types::StageKind::Process(types::ProcessDef {
                expire_ms,
                event_time,
            }),
        },
        inputs: stage.inputs,
        key_shape: stage.key_shape,
        value_shape: stage.value_shape,
        other_shape: stage.other_shape,
        version: stage.version,
        migrates: stage.migrates,
    }
}

fn scope_def(scope: Scope) -> types::Scope {
    match scope {
        Scope::EachBatch => types::Scope::EachBatch,
        Scope::Running { expire_ms } => types::Scope::Running(expire_ms),
        Scope::Window(WindowDef {
            form,
            lateness_ms,
            offset_ms,
            updates_ms,
            processing_time,
            early,
        }) => {
            let kind = match form {
                WindowForm::Panes { size_ms, hop_ms } => {
                    types::WindowKind::Panes(types::Panes { size_ms, hop_ms })
                }
                WindowForm::Session { gap_ms } => types::WindowKind::Session(gap_ms),
            };
            types::Scope::Window(types::WindowDef {
                kind,
                lateness_ms,
                offset_ms,
                updates_ms,
                processing_time,
                early,
            })
        }
    }
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
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| log(Level::Error, &panic.to_string())))
    });
}

fn column(column: &types::Column) -> Column<'_> {
    Column {
        data: &column.data,
        ends: &column.ends,
    }
}

fn column_out(column: ColumnBuf) -> types::Column {
    types::Column {
        data: column.data,
        ends: column.ends,
    }
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
        headers: headers(rows.headers),
    }
}

fn headers(headers: HeadersOut) -> types::Headers {
    types::Headers {
        positions: headers.positions,
        names: column_out(headers.names),
        values: column_out(headers.values),
        absent: headers.absent,
    }
}

fn sink_def(sink: crate::SinkDef) -> types::SinkDef {
    let column = |c: &ColumnDef| types::ColumnDef {
        name: c.name.into(),
        kind: kind(c.kind),
        optional: c.optional,
    };
    let keys = sink.keys().iter().map(column).collect();
    types::SinkDef {
        place: types::Place {
            connector: sink.connector,
            name: sink.name,
            options: sink.options,
        },
        keys,
        dynamic: sink.shape.dynamic,
        columns: sink.shape.columns.iter().map(column).collect(),
        headers: sink.shape.headers,
    }
}

/// Its number in the contract.
fn kind(kind: Kind) -> types::Kind {
    match kind {
        Kind::Text => 0,
        Kind::Bytes => 1,
        Kind::Int => 2,
        Kind::Uint => 3,
        Kind::Float => 4,
        Kind::Bool => 5,
        Kind::Time => 6,
        Kind::Json => 7,
    }
}
