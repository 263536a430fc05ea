//! The contract before this one, 0.1, for components that were built for it: connectors were
//! numbers there, and records had neither headers nor offsets. It goes with the next version of the
//! contract.

use crate::alike;
use crate::contract::{Exports, ExportsPre, Said};
use crate::instance::State;
use bindings::streamhost::job::types as wit;
use streamhost_core::contract::{Answer, Finished, KeyItems, Moment, Pairs, Partials, truncate};
use streamhost_core::job::connector::{CONSOLE, EXACTLY_ONCE, FILE, HBASE, KAFKA, RATE, SOCKET};
use streamhost_core::job::validate::{
    JobDescription, RawColumn, SinkDescription, SourceDescription,
};
use streamhost_core::job::{Join, Partners, StageKind, StageSpec, Window, WindowForm};
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
    alike::calls!();

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
        Ok(answer_out(answer))
    }

    fn process(&self, _: &mut Store<State>, _: u32, _: Moment, _: &KeyItems) -> Said<Answer> {
        Ok(Err("contract 0.1 has no stages that process".to_owned()))
    }
}

alike::conversions!();

/// No join of this contract gives rights alone.
fn pairs_in(pairs: &Pairs) -> wit::Pairs<'_> {
    wit::Pairs {
        lefts: column_in(&pairs.lefts),
        rights: column_in(&pairs.rights),
        absent_rights: &pairs.absent_rights,
        times_ms: &pairs.times_ms,
    }
}

fn offset_ms(_: &wit::WindowDef) -> i64 {
    0
}

/// Windows of this contract are given once.
fn updates_ms(_: &wit::WindowDef) -> i64 {
    0
}

fn join(def: wit::JoinDef) -> Join {
    Join {
        partners: Partners::within(time_ms(def.within_ms)),
        lateness_ms: time_ms(def.lateness_ms),
        left: def.left,
        right: false,
    }
}

fn rows_out(rows: wit::Rows) -> Result<Rows, String> {
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
            kinds: rows.extra.kinds.into_iter().map(kind_out).collect(),
        },
        headers: Headers::default(),
    })
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

fn raw_sink(sink: wit::SinkDef) -> Result<SinkDescription, String> {
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
    Ok(SinkDescription {
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
    })
}

/// Keys had no names and no kinds.
fn key() -> RawColumn {
    RawColumn {
        name: "key".to_owned(),
        kind: Kind::Bytes,
        optional: false,
    }
}
