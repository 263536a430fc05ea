//! The job's own types as the host's: what the contract's bindings do between a component and its
//! host.

use super::connectors::is_known;
use crate::call;
use crate::cell::Kind;
use crate::columns::{Column, ColumnBuf};
use crate::describe::{
    Description, Partners, Scope, SinkDef, SourceDef, StageDef, StageKind, WindowDef, WindowForm,
};
use crate::headers::CallHeaders;
use crate::metrics::Metric;
use crate::record::Place;
use crate::row::RowWriter;
use streamhost_core::contract::{
    Answer, Groups, KeyItems, KeyOutcome, KeyTimes, Moment, Pairs, Partials, Processed, Refusal,
    truncate,
};
use streamhost_core::job::validate::{
    JobDescription, RawColumn, SinkDescription, SourceDescription,
};
use streamhost_core::job::{MetricDescription, ParameterDescription};
use streamhost_core::types::{self, Chunk, ExtraCells, Headers, Keyed, Rows};
use streamhost_core::{job, limits};

pub(super) fn moment(moment: Moment) -> call::Moment {
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

pub(super) fn headers(chunk: &Chunk) -> CallHeaders<'_> {
    CallHeaders {
        positions: &chunk.headers.positions,
        names: view(&chunk.headers.names),
        values: view(&chunk.headers.values),
        absent: &chunk.headers.absent,
    }
}

/// `target`: the topic, address or path that they were read from.
pub(super) fn records<'a>(
    chunk: &'a Chunk,
    target: &'a str,
    headers: &'a CallHeaders<'a>,
) -> call::Input<'a> {
    call::Input::Records(call::Batch {
        place: Place {
            target,
            partition: chunk.partition.id,
        },
        first_offset: 0,
        offsets: &chunk.offsets,
        headers,
        keys: view(&chunk.keys),
        values: view(&chunk.values),
        times_ms: &chunk.times_ms,
        absent_keys: &chunk.absent_keys,
        absent_values: &chunk.absent_values,
    })
}

pub(super) fn groups(groups: &Groups) -> call::Input<'_> {
    call::Input::Groups(call::Groups {
        keys: view(&groups.keys),
        accumulators: view(&groups.accumulators),
        starts_ms: &groups.starts_ms,
        ends_ms: &groups.ends_ms,
    })
}

pub(super) fn pairs(pairs: &Pairs) -> call::Input<'_> {
    call::Input::Pairs(call::Pairs {
        lefts: view(&pairs.lefts),
        rights: view(&pairs.rights),
        absent_lefts: &pairs.absent_lefts,
        absent_rights: &pairs.absent_rights,
        times_ms: &pairs.times_ms,
    })
}

pub(super) fn keys(keys: &KeyItems) -> call::Input<'_> {
    call::Input::Keys(call::KeyItems {
        keys: view(&keys.keys),
        states: view(&keys.states),
        absent: &keys.absent,
        event_timers: times(&keys.event_timers),
        batch_timers: times(&keys.batch_timers),
        item_ends: &keys.item_ends,
        items: view(&keys.items),
        times_ms: &keys.times_ms,
        watermark_ms: keys.watermark_ms,
        last: keys.last,
        batch_due_ms: keys.batch_due_ms,
    })
}

fn times(times: &KeyTimes) -> call::KeyTimes<'_> {
    call::KeyTimes {
        ends: &times.ends,
        times_ms: &times.times_ms,
    }
}

fn outcomes(processed: call::Processed) -> Vec<KeyOutcome> {
    let times = |times: call::KeyTimesOut| KeyTimes {
        ends: times.ends,
        times_ms: times.times_ms,
    };
    let refusal = |refused: call::Refused| {
        let call::Refused {
            position,
            item,
            time_ms,
            reason,
        } = refused;
        let refusal = Refusal {
            item,
            time_ms,
            reason,
        };
        (position, refusal)
    };
    let outcomes = Processed {
        states: column(processed.states),
        absent: processed.absent,
        event_timers: times(processed.event_timers),
        batch_timers: times(processed.batch_timers),
        refusals: processed.refusals.into_iter().map(refusal).collect(),
    };
    outcomes
        .outcomes()
        .unwrap_or_else(|broken| panic!("the job breaks a promise to its host: {broken}"))
}

pub(super) fn partials(partials: &Partials) -> call::Partials<'_> {
    call::Partials {
        accumulators: view(&partials.accumulators),
        absent: &partials.absent,
        group_ends: &partials.group_ends,
        partials: view(&partials.partials),
    }
}

pub(super) fn view(column: &types::Column) -> Column<'_> {
    Column {
        data: &column.data,
        ends: &column.ends,
    }
}

pub(super) fn column(column: ColumnBuf) -> types::Column {
    types::Column {
        data: column.data,
        ends: column.ends,
    }
}

pub(super) fn answer(output: call::Output) -> Answer {
    let fault = |fault: call::Fault| {
        let reason = truncate(fault.reason, limits::REASON_BYTES_MAX);
        (fault.position, reason)
    };
    Answer {
        faults: output.faults.into_iter().map(fault).collect(),
        rows: output.rows.into_iter().map(rows).collect(),
        keyed: output.keyed.into_iter().map(keyed).collect(),
        late: output.late,
        largest_ms: output.largest_ms,
        outcomes: outcomes(output.processed),
    }
}

fn rows(rows: RowWriter) -> Rows {
    Rows {
        positions: rows.positions,
        cells: column(rows.cells),
        absent: rows.absent,
        deleted: rows.deleted,
        deleted_rows: rows.deleted_rows,
        extra: ExtraCells {
            rows: rows.extra.rows,
            names: column(rows.extra.names),
            values: column(rows.extra.values),
            kinds: rows.extra.kinds.into_iter().map(kind).collect(),
        },
        headers: Headers {
            positions: rows.headers.positions,
            names: column(rows.headers.names),
            values: column(rows.headers.values),
            absent: rows.headers.absent,
        },
    }
}

fn keyed(keyed: call::Keyed) -> Keyed {
    Keyed {
        stage: keyed.stage,
        side: keyed.side,
        positions: keyed.positions,
        keys: column(keyed.keys),
        values: column(keyed.values),
        times_ms: keyed.times_ms,
        until_ms: keyed.until_ms,
        deleted: keyed.deleted,
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
        Kind::Json => types::Kind::Json,
    }
}

/// What a deploy is told of the job.
pub(super) fn description(
    description: &Description,
    parameters: Vec<ParameterDescription>,
    metrics: Vec<Metric>,
) -> JobDescription {
    let metrics = metrics.into_iter();
    JobDescription {
        name: description.name.clone(),
        every_ms: description
            .every
            .map(|every| u64::try_from(every.as_millis()).unwrap_or(u64::MAX)),
        sources: description.sources.iter().map(source).collect(),
        stages: description.stages.iter().map(stage).collect(),
        sinks: description.sinks.iter().map(sink).collect(),
        parameters,
        metrics: metrics
            .map(|Metric { name, kind, .. }| MetricDescription { name, kind })
            .collect(),
    }
}

fn source(source: &SourceDef) -> SourceDescription {
    SourceDescription {
        connector: source.connector.clone(),
        name: source.name.clone(),
        table: source.table,
        timed: source.timed,
        options: options(&source.connector, &source.options),
    }
}

/// Of a connector that is not known here no options are either: a deploy checks them.
fn options(connector: &str, options: &[(String, String)]) -> Vec<(String, String)> {
    match is_known(connector) {
        true => options.to_vec(),
        false => Vec::new(),
    }
}

fn stage(stage: &StageDef) -> job::StageSpec {
    job::StageSpec {
        name: stage.name.clone(),
        kind: match stage.kind {
            StageKind::Reduce(Scope::EachBatch) => job::StageKind::EachBatch,
            StageKind::Reduce(Scope::Running { expire_ms }) => {
                job::StageKind::Running { expire_ms }
            }
            StageKind::Reduce(Scope::Window(def)) => job::StageKind::Window(window(def)),
            StageKind::Join {
                partners,
                lateness_ms,
                left,
                right,
            } => job::StageKind::Join(job::Join {
                partners: match partners {
                    Partners::Between {
                        before_ms,
                        after_ms,
                    } => job::Partners::Between {
                        before_ms: time_ms(before_ms),
                        after_ms: time_ms(after_ms),
                    },
                    Partners::Window { size_ms } => job::Partners::Window {
                        size_ms: time_ms(size_ms),
                    },
                },
                lateness_ms: time_ms(lateness_ms),
                left,
                right,
            }),
            StageKind::Lookup => job::StageKind::Lookup,
            StageKind::Process {
                expire_ms,
                event_time,
            } => job::StageKind::Process(job::Process {
                expire_ms,
                event_time,
            }),
        },
        inputs: stage.inputs.clone(),
        key_shape: stage.key_shape.clone(),
        value_shape: stage.value_shape.clone(),
        other_shape: stage.other_shape.clone(),
        version: stage.version,
        migrates: stage.migrates.clone(),
    }
}

fn window(def: WindowDef) -> job::Window {
    job::Window {
        form: match def.form {
            WindowForm::Panes { size_ms, hop_ms } => job::WindowForm::Panes {
                size_ms: time_ms(size_ms),
                hop_ms: time_ms(hop_ms),
            },
            WindowForm::Session { gap_ms } => job::WindowForm::Session {
                gap_ms: time_ms(gap_ms),
            },
        },
        lateness_ms: time_ms(def.lateness_ms),
        offset_ms: time_ms(def.offset_ms),
        updates_ms: time_ms(def.updates_ms),
        processing_time: def.processing_time,
        early: def.early,
    }
}

/// Times beyond what the host counts become its largest, which the check of the job refuses.
fn time_ms(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

fn sink(sink: &SinkDef) -> SinkDescription {
    let column = |column: &crate::ColumnDef| RawColumn {
        name: column.name.into(),
        kind: kind(column.kind),
        optional: column.optional,
    };
    SinkDescription {
        connector: sink.connector.clone(),
        name: sink.name.clone(),
        keys: sink.keys().iter().map(column).collect(),
        dynamic: sink.shape.dynamic,
        columns: sink.shape.columns.iter().map(column).collect(),
        headers: sink.shape.headers,
        options: options(&sink.connector, &sink.options),
    }
}
