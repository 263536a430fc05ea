//! The contract before this one, 0.1, for components that were built for it: connectors were
//! numbers there, and records had neither headers nor offsets. It goes with the next version of the
//! contract.

use crate::contract::{Exports, ExportsPre, Said};
use crate::instance::State;
use bindings::streamhost::job::types as wit;
use streamhost_core::contract::{Answer, Finished, Moment, Partials, truncate};
use streamhost_core::job::connector::{CONSOLE, EXACTLY_ONCE, FILE, HBASE, KAFKA, RATE, SOCKET};
use streamhost_core::job::validate::{
    JobDescription, RawColumn, SinkDescription, SourceDescription,
};
use streamhost_core::job::{Join, StageKind, StageSpec, Window, WindowForm};
use streamhost_core::limits;
use streamhost_core::types::{Chunk, Column, ExtraCells, Headers, Keyed, Kind, Rows};
use wasmtime::Store;

/// The contract's types, generated from `wit-0.1/`.
pub(crate) mod bindings {
    wasmtime::component::bindgen!({
        path: "wit-0.1",
        world: "job",
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

/// What a component imports of it.
pub(crate) const LOG_IMPORT: &str = "streamhost:job/log@0.1.0";
/// What a component exports of it.
pub(crate) const GUEST_EXPORT: &str = "streamhost:job/guest@0.1.0";

impl ExportsPre for bindings::JobPre<State> {
    fn instantiate(&self, store: &mut Store<State>) -> wasmtime::Result<Box<dyn Exports>> {
        Ok(Box::new(bindings::JobPre::instantiate(self, store)?))
    }

    fn pre(&self) -> &wasmtime::component::InstancePre<State> {
        self.instance_pre()
    }

    fn contract(&self) -> &'static str {
        "0.1"
    }
}

impl Exports for bindings::Job {
    fn describe(&self, store: &mut Store<State>) -> Said<JobDescription> {
        let said = self.streamhost_job_guest().call_describe(store)?;
        Ok(said.map(job_description))
    }

    fn transform(
        &self,
        store: &mut Store<State>,
        stage: u32,
        moment: Moment,
        (_, chunk): (&str, &Chunk),
    ) -> Said<Answer> {
        let records = wit::Records {
            keys: column_in(&chunk.keys),
            values: column_in(&chunk.values),
            times_ms: &chunk.times_ms,
            absent_keys: &chunk.absent_keys,
            absent_values: &chunk.absent_values,
        };
        let guest = self.streamhost_job_guest();
        let answer = guest.call_transform(store, stage, moment_in(moment), records)?;
        Ok(Ok(answer_out(answer)))
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
        Ok(Ok(answer_out(answer)))
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

fn answer_out(output: wit::Output) -> Answer {
    let reason = |fault: wit::Fault| {
        (
            fault.position,
            truncate(fault.reason, limits::REASON_BYTES_MAX),
        )
    };
    Answer {
        faults: output.faults.into_iter().map(reason).collect(),
        rows: output.rows.into_iter().map(rows_out).collect(),
        keyed: output.keyed.into_iter().map(keyed_out).collect(),
        late: output.late,
        largest_ms: output.largest_ms,
    }
}

fn rows_out(rows: wit::Rows) -> Rows {
    Rows {
        positions: rows.positions,
        cells: column_out(rows.cells),
        absent: rows.absent,
        deleted: rows.deleted,
        deleted_rows: rows.deleted_rows,
        extra: ExtraCells {
            rows: rows.extra.rows,
            names: column_out(rows.extra.names),
            values: column_out(rows.extra.values),
            kinds: rows.extra.kinds.into_iter().map(kind_out).collect(),
        },
        headers: Headers::default(),
    }
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

fn kind_out(kind: wit::Kind) -> Kind {
    use wit::Kind as Wit;
    match kind {
        Wit::Text => Kind::Text,
        Wit::Bytes => Kind::Bytes,
        Wit::Int => Kind::Int,
        Wit::Uint => Kind::Uint,
        Wit::Float => Kind::Float,
        Wit::Bool => Kind::Bool,
        Wit::Time => Kind::Time,
    }
}

fn job_description(description: wit::Description) -> JobDescription {
    JobDescription {
        name: description.name,
        every_ms: description.every_ms,
        sources: description.sources.into_iter().map(raw_source).collect(),
        stages: description.stages.into_iter().map(raw_stage).collect(),
        sinks: description.sinks.into_iter().map(raw_sink).collect(),
    }
}

fn raw_source(source: wit::SourceDef) -> SourceDescription {
    use wit::SourceKind as Wit;
    let connector = match source.kind {
        Wit::Kafka => KAFKA,
        Wit::Socket => SOCKET,
        Wit::File => FILE,
        Wit::Rate => RATE,
    };
    let follow = source
        .follow
        .then(|| ("follow".to_owned(), true.to_string()));
    let rate =
        matches!(source.kind, Wit::Rate).then(|| ("rate".to_owned(), source.rate.to_string()));
    SourceDescription {
        connector: connector.name.to_owned(),
        name: source.name,
        table: source.table,
        timed: source.timed,
        options: follow.into_iter().chain(rate).collect(),
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

fn raw_sink(sink: wit::SinkDef) -> SinkDescription {
    use wit::SinkKind as Wit;
    let column = |c: wit::ColumnDef| RawColumn {
        name: c.name,
        kind: kind_out(c.kind),
        optional: c.optional,
    };
    let connector = match sink.kind {
        Wit::Hbase => HBASE,
        Wit::Kafka => KAFKA,
        Wit::Console => CONSOLE,
    };
    let exactly_once = (EXACTLY_ONCE.to_owned(), true.to_string());
    SinkDescription {
        connector: connector.name.to_owned(),
        name: sink.name,
        keys: sink.keyed.then(key).into_iter().collect(),
        headers: false,
        dynamic: sink.dynamic,
        columns: sink.columns.into_iter().map(column).collect(),
        options: sink
            .exactly_once
            .then_some(exactly_once)
            .into_iter()
            .collect(),
    }
}

/// Keys had no names and no kinds.
fn key() -> RawColumn {
    RawColumn {
        name: "key".to_owned(),
        kind: Kind::Bytes,
        optional: false,
    }
}
