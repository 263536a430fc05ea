//! The contract: how the host's words become its types, and back. Nothing is judged here but what a
//! type alone would say.

use crate::bindings;
use crate::bindings::streamhost::job::types as wit;
use crate::contract::{Exports, ExportsPre, Said};
use crate::instance::State;
use streamhost_core::contract::{Answer, Finished, Moment, Partials, truncate};
use streamhost_core::job::validate::{
    JobDescription, RawColumn, SinkDescription, SourceDescription,
};
use streamhost_core::job::{Join, StageKind, StageSpec, Window, WindowForm};
use streamhost_core::limits;
use streamhost_core::types::{Chunk, Column, ExtraCells, Headers, Keyed, Kind, Rows};
use wasmtime::Store;

impl ExportsPre for bindings::JobPre<State> {
    fn instantiate(&self, store: &mut Store<State>) -> wasmtime::Result<Box<dyn Exports>> {
        Ok(Box::new(bindings::JobPre::instantiate(self, store)?))
    }

    fn pre(&self) -> &wasmtime::component::InstancePre<State> {
        self.instance_pre()
    }

    fn contract(&self) -> &'static str {
        "0.2"
    }
}

impl Exports for bindings::Job {
    fn describe(&self, store: &mut Store<State>) -> Said<JobDescription> {
        let said = self.streamhost_job_guest().call_describe(store)?;
        Ok(said.and_then(job_description))
    }

    fn transform(
        &self,
        store: &mut Store<State>,
        stage: u32,
        moment: Moment,
        (target, chunk): (&str, &Chunk),
    ) -> Said<Answer> {
        let first = chunk.offsets.first().copied().unwrap_or(0);
        let last = chunk.offsets.last().copied().unwrap_or(first - 1);
        let has_gaps = last - first + 1 != i64::try_from(chunk.len()).unwrap_or(i64::MAX);
        let records = wit::Records {
            target,
            partition: chunk.partition.id,
            first_offset: first,
            offsets: if has_gaps { &chunk.offsets } else { &[] },
            headers: headers_in(&chunk.headers),
            keys: column_in(&chunk.keys),
            values: column_in(&chunk.values),
            times_ms: &chunk.times_ms,
            absent_keys: &chunk.absent_keys,
            absent_values: &chunk.absent_values,
        };
        let guest = self.streamhost_job_guest();
        let answer = guest.call_transform(store, stage, moment_in(moment), records)?;
        Ok(answer_out(answer))
    }

    fn combine(
        &self,
        store: &mut Store<State>,
        stage: u32,
        partials: &Partials,
    ) -> wasmtime::Result<Column> {
        let partials = wit::Partials {
            accumulators: column_in(&partials.accumulators),
            absent: &partials.absent,
            group_ends: &partials.group_ends,
            partials: column_in(&partials.partials),
        };
        let guest = self.streamhost_job_guest();
        guest.call_combine(store, stage, partials).map(column_out)
    }

    fn finish(
        &self,
        store: &mut Store<State>,
        stage: u32,
        moment: Moment,
        finished: &Finished,
    ) -> Said<Answer> {
        let finished = match finished {
            Finished::Groups(groups) => wit::Finished::Groups(wit::Groups {
                keys: column_in(&groups.keys),
                accumulators: column_in(&groups.accumulators),
                starts_ms: &groups.starts_ms,
                ends_ms: &groups.ends_ms,
            }),
            Finished::Pairs(pairs) => wit::Finished::Pairs(wit::Pairs {
                lefts: column_in(&pairs.lefts),
                rights: column_in(&pairs.rights),
                absent_rights: &pairs.absent_rights,
                times_ms: &pairs.times_ms,
            }),
        };
        let guest = self.streamhost_job_guest();
        let answer = guest.call_finish(store, stage, moment_in(moment), finished)?;
        Ok(answer_out(answer))
    }

    fn migrate(
        &self,
        store: &mut Store<State>,
        stage: u32,
        accumulators: &Column,
    ) -> wasmtime::Result<Column> {
        let guest = self.streamhost_job_guest();
        let made = guest.call_migrate(store, stage, column_in(accumulators));
        made.map(column_out)
    }
}

fn moment_in(moment: Moment) -> wit::Moment {
    let Moment {
        batch_ms,
        watermark_ms,
        partition_ms,
    } = moment;
    wit::Moment {
        batch_ms,
        watermark_ms,
        partition_ms,
    }
}

fn column_in(column: &Column) -> wit::ColumnParam<'_> {
    wit::ColumnParam {
        data: &column.data,
        ends: &column.ends,
    }
}

fn column_out(column: wit::ColumnResult) -> Column {
    Column {
        data: column.data,
        ends: column.ends,
    }
}

fn headers_in(headers: &Headers) -> wit::HeadersParam<'_> {
    wit::HeadersParam {
        positions: &headers.positions,
        names: column_in(&headers.names),
        values: column_in(&headers.values),
        absent: &headers.absent,
    }
}

fn headers_out(headers: wit::HeadersResult) -> Headers {
    Headers {
        positions: headers.positions,
        names: column_out(headers.names),
        values: column_out(headers.values),
        absent: headers.absent,
    }
}

fn answer_out(output: wit::Output) -> Result<Answer, String> {
    let reason = |fault: wit::Fault| {
        (
            fault.position,
            truncate(fault.reason, limits::REASON_BYTES_MAX),
        )
    };
    let rows = output.rows.into_iter().map(rows_out);
    Ok(Answer {
        faults: output.faults.into_iter().map(reason).collect(),
        rows: rows.collect::<Result<_, _>>()?,
        keyed: output.keyed.into_iter().map(keyed_out).collect(),
        late: output.late,
        largest_ms: output.largest_ms,
    })
}

fn rows_out(rows: wit::Rows) -> Result<Rows, String> {
    let kinds = rows.extra.kinds.into_iter().map(Kind::of_number);
    let kinds = kinds.collect::<Result<_, _>>();
    Ok(Rows {
        positions: rows.positions,
        cells: column_out(rows.cells),
        absent: rows.absent,
        deleted: rows.deleted,
        deleted_rows: rows.deleted_rows,
        extra: ExtraCells {
            rows: rows.extra.rows,
            names: column_out(rows.extra.names),
            values: column_out(rows.extra.values),
            kinds: kinds.map_err(|what| format!("it answered a cell {what}"))?,
        },
        headers: headers_out(rows.headers),
    })
}

fn keyed_out(keyed: wit::Keyed) -> Keyed {
    Keyed {
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

fn job_description(description: wit::Description) -> Result<JobDescription, String> {
    let sinks = description.sinks.into_iter().map(raw_sink);
    Ok(JobDescription {
        name: description.name,
        every_ms: description.every_ms,
        sources: description.sources.into_iter().map(raw_source).collect(),
        stages: description.stages.into_iter().map(raw_stage).collect(),
        sinks: sinks.collect::<Result<_, _>>()?,
    })
}

fn raw_source(source: wit::SourceDef) -> SourceDescription {
    SourceDescription {
        connector: source.place.connector,
        name: source.place.name,
        options: source.place.options,
        table: source.table,
        timed: source.timed,
    }
}

/// Times beyond what the host counts become its largest, which the check of the job refuses.
fn time_ms(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

fn raw_stage(stage: wit::StageDef) -> StageSpec {
    use wit::{Scope, StageKind as Wit, WindowKind};
    StageSpec {
        name: stage.name,
        kind: match stage.kind {
            Wit::Reduce(Scope::EachBatch) => StageKind::EachBatch,
            Wit::Reduce(Scope::Running(expire_ms)) => StageKind::Running { expire_ms },
            Wit::Reduce(Scope::Window(window)) => StageKind::Window(Window {
                form: match window.kind {
                    WindowKind::Panes(panes) => WindowForm::Panes {
                        size_ms: time_ms(panes.size_ms),
                        hop_ms: time_ms(panes.hop_ms),
                    },
                    WindowKind::Session(gap) => WindowForm::Session {
                        gap_ms: time_ms(gap),
                    },
                },
                lateness_ms: time_ms(window.lateness_ms),
                processing_time: window.processing_time,
                early: window.early,
            }),
            Wit::Join(join) => StageKind::Join(Join {
                within_ms: time_ms(join.within_ms),
                lateness_ms: time_ms(join.lateness_ms),
                left: join.left,
            }),
            Wit::Lookup => StageKind::Lookup,
        },
        inputs: stage.inputs,
        key_shape: stage.key_shape,
        value_shape: stage.value_shape,
        other_shape: stage.other_shape,
        version: stage.version,
        migrates: stage.migrates,
    }
}

fn raw_sink(sink: wit::SinkDef) -> Result<SinkDescription, String> {
    let name = truncate(sink.place.name.clone(), limits::NAME_SHOWN_CHARS_MAX);
    let column = |c: wit::ColumnDef| {
        let kind = Kind::of_number(c.kind)
            .map_err(|what| format!("sink `{name}`: its column `{}` is {what}", c.name))?;
        Ok(RawColumn {
            name: c.name,
            kind,
            optional: c.optional,
        })
    };
    let columns =
        |all: Vec<wit::ColumnDef>| all.into_iter().map(column).collect::<Result<_, String>>();
    Ok(SinkDescription {
        connector: sink.place.connector,
        keys: columns(sink.keys)?,
        columns: columns(sink.columns)?,
        options: sink.place.options,
        dynamic: sink.dynamic,
        headers: sink.headers,
        name: sink.place.name,
    })
}
