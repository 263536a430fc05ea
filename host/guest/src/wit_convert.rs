//! The contract: how the host's words become its types, and back. Nothing is judged here but what a
//! type alone would say.

use crate::alike;
use crate::bindings;
use crate::bindings::streamhost::job::types as wit;
use crate::contract::{Exports, ExportsPre, Said};
use crate::instance::State;
use streamhost_core::contract::{
    Answer, Finished, KeyItems, KeyTimes, Moment, Pairs, Partials, Processed, Refusal, truncate,
};
use streamhost_core::job::validate::{
    JobDescription, RawColumn, SinkDescription, SourceDescription,
};
use streamhost_core::job::{Join, Partners, Process, StageKind, StageSpec, Window, WindowForm};
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
    alike::calls!();

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

    fn process(
        &self,
        store: &mut Store<State>,
        stage: u32,
        moment: Moment,
        keys: &KeyItems,
    ) -> Said<Answer> {
        let keys = wit::KeyItems {
            keys: column_in(&keys.keys),
            states: column_in(&keys.states),
            absent: &keys.absent,
            event_timers: times_in(&keys.event_timers),
            batch_timers: times_in(&keys.batch_timers),
            item_ends: &keys.item_ends,
            items: column_in(&keys.items),
            times_ms: &keys.times_ms,
            watermark_ms: keys.watermark_ms,
            last: keys.last,
            batch_due_ms: keys.batch_due_ms,
        };
        let guest = self.streamhost_job_guest();
        let processed = guest.call_process(store, stage, moment_in(moment), keys)?;
        Ok(processed_out(processed))
    }
}

alike::conversions! {
    Wit::Process(process) => StageKind::Process(Process {
        expire_ms: process.expire_ms,
        event_time: process.event_time,
    }),
}

fn times_in(times: &KeyTimes) -> wit::KeyTimesParam<'_> {
    wit::KeyTimesParam {
        ends: &times.ends,
        times_ms: &times.times_ms,
    }
}

fn processed_out(processed: wit::Processed) -> Result<Answer, String> {
    let times = |times: wit::KeyTimesResult| KeyTimes {
        ends: times.ends,
        times_ms: times.times_ms,
    };
    let refusal = |refusal: wit::Refusal| {
        let wit::Refusal {
            position,
            item,
            time_ms,
            reason,
        } = refusal;
        let refusal = Refusal {
            item,
            time_ms,
            reason,
        };
        (position, refusal)
    };
    let outcomes = Processed {
        states: column_out(processed.states),
        absent: processed.absent,
        event_timers: times(processed.event_timers),
        batch_timers: times(processed.batch_timers),
        refusals: processed.refusals.into_iter().map(refusal).collect(),
    };
    let outcomes = outcomes
        .outcomes()
        .map_err(|broken| format!("it answered keys that cannot be: {broken}"))?;
    Ok(Answer {
        outcomes,
        ..answer_out(processed.output)?
    })
}

fn pairs_in(pairs: &Pairs) -> wit::Pairs<'_> {
    wit::Pairs {
        lefts: column_in(&pairs.lefts),
        rights: column_in(&pairs.rights),
        absent_lefts: &pairs.absent_lefts,
        absent_rights: &pairs.absent_rights,
        times_ms: &pairs.times_ms,
    }
}

fn offset_ms(window: &wit::WindowDef) -> i64 {
    time_ms(window.offset_ms)
}

fn updates_ms(window: &wit::WindowDef) -> i64 {
    time_ms(window.updates_ms)
}

fn join(def: wit::JoinDef) -> Join {
    Join {
        partners: match def.partners {
            wit::Partners::Between(distances) => Partners::Between {
                before_ms: time_ms(distances.before_ms),
                after_ms: time_ms(distances.after_ms),
            },
            wit::Partners::Window(size_ms) => Partners::Window {
                size_ms: time_ms(size_ms),
            },
        },
        lateness_ms: time_ms(def.lateness_ms),
        left: def.left,
        right: def.right,
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

fn raw_source(source: wit::SourceDef) -> SourceDescription {
    SourceDescription {
        connector: source.place.connector,
        name: source.place.name,
        options: source.place.options,
        table: source.table,
        timed: source.timed,
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
