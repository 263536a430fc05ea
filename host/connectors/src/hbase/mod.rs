//! HBase, through its Thrift 1 gateway: puts and deletes at explicit times, so that writing twice
//! equals writing once.
//!
//! ```text
//! rows of the batch ─► merge: last write of a cell ─► calls by connection ─► puts at t+1, deletes at t ─► gateway
//! ```

use connection::Lane;
use merge::{Calls, Merged, Share, Write};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use streamhost_core::contract::render::{RowRef, RowsView};
use streamhost_core::job::connector::hbase_rows;
use streamhost_core::job::{ColumnSpec, SinkSpec, names};
use streamhost_core::limits;
use streamhost_core::protocol::Marker;
use streamhost_core::types::{Guarantee, RowLimits, Rows};
use streamhost_engine::sink::{CancelSignal, Delivery, Refusals, Sink, SinkError};
use words::Failure;

pub use connector::HbaseConnector;
pub use provision::HbaseProvision;
pub use rows::{TableReader, TableRow, table_names};
pub use settings::{AddFamilies, HbaseSettings, HttpAccess, Protocol, Transport};

mod settings;
mod provision;
mod rows;
mod held;
mod words;
mod answer;
mod http;
mod connection;
mod merge;
mod refused;
mod connector;

/// A table as a sink. It holds its connections between batches, and drops one after any doubt about
/// it.
pub struct HbaseSink {
    table: String,
    columns: Arc<[ColumnSpec]>,
    transport: Transport,
    /// Families can be added by the host.
    grows: bool,
    lanes: Vec<Lane>,
}

impl HbaseSink {
    /// For a spec that [`HbaseProvision`] found good. Connects at [`Sink::open`], until `cut` says
    /// that it is over.
    pub fn new(spec: &SinkSpec, settings: HbaseSettings, cancel: CancelSignal) -> Self {
        let connections = settings.connections.clamp(1, limits::HBASE_CONNECTIONS_MAX);
        HbaseSink {
            table: spec.target.clone(),
            columns: spec.columns.clone().into(),
            transport: settings.transport,
            grows: settings.add_families.is_some(),
            lanes: (0..connections)
                .map(|index| Lane::new(settings.clone(), cancel.clone()).beginning_at(index))
                .collect(),
        }
    }

    /// The families that the table has now.
    fn families(&mut self) -> Result<BTreeSet<Vec<u8>>, SinkError> {
        let (table, lane) = (&self.table, &mut self.lanes[0]);
        let found = lane
            .families(table)
            .map_err(|failure| lane.error(failure, table))?;
        found.ok_or_else(|| SinkError::TableMissing {
            server: "HBase",
            what: "table",
            table: self.table.clone(),
            mend: mend_table(&self.table, &provision::families(&self.columns)),
        })
    }

    /// The declared families must be there. Gives all that are.
    fn check_families(&mut self) -> Result<BTreeSet<Vec<u8>>, SinkError> {
        let there = self.families()?;
        let missing: Vec<String> = provision::families(&self.columns)
            .into_iter()
            .filter(|family| !there.contains(family.as_bytes()))
            .collect();
        match missing.is_empty() {
            true => Ok(there),
            false => Err(family_missing(
                &self.table,
                &missing,
                Mend::Declared { grows: self.grows },
            )),
        }
    }

    /// What a failed delivery means. The words of an error may be of a moment in which HBase itself
    /// comes up, so a job stops for a table or family only if a second question says the same.
    fn explain(&mut self, failure: Failure) -> SinkError {
        if matches!(failure, Failure::NoTable(_) | Failure::NoFamily(_))
            && let Err(error) = self.check_families()
        {
            return error;
        }
        self.lanes[0].error(failure, &self.table)
    }

    /// Why a row is refused that names families which the table does not have, if it does.
    fn without_family(&self, row: &RowRef<'_>, there: &BTreeSet<Vec<u8>>) -> Option<String> {
        let families = row
            .extra()
            .filter_map(|extra| names::family_and_qualifier(extra.name));
        let missing: BTreeSet<String> = families
            .filter(|(family, _)| !there.contains(*family))
            .map(|(family, _)| String::from_utf8_lossy(family).into_owned())
            .collect();
        let missing: Vec<String> = missing.into_iter().collect();
        let mend = Mend::Named { grows: self.grows };
        (!missing.is_empty()).then(|| family_missing(&self.table, &missing, mend).to_string())
    }
}

fn mend_table(table: &str, families: &[String]) -> String {
    if families.is_empty() {
        return format!(
            "its rows name their families only as they come; in `hbase shell`: create '{table}', 'FAMILY', …"
        );
    }
    let quoted: Vec<String> = families.iter().map(|family| in_shell(family)).collect();
    format!(
        "deploy with --create-tables, or in `hbase shell`: create '{table}', {}",
        quoted.join(", ")
    )
}

/// A name as `hbase shell`, which is Ruby, takes it: whatever is in it, it ends where it ends.
fn in_shell(name: &str) -> String {
    format!("'{}'", name.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// How missing families come to be. `grows`: `--create-tables` adds those of declared columns.
#[derive(Clone, Copy)]
enum Mend {
    /// The job's columns are of them.
    Declared { grows: bool },
    /// The data names them: nobody has looked at these names, so they belong into no line for a
    /// shell.
    Named { grows: bool },
}

fn family_missing(table: &str, missing: &[String], mend: Mend) -> SinkError {
    let shown = missing
        .iter()
        .take(SHOWN_FAMILIES_MAX)
        .map(|family| format!("`{}`", names::shown(family, limits::NAME_SHOWN_CHARS_MAX)));
    let mend = match mend {
        Mend::Declared { grows: true } => {
            "deploy with --create-tables, which adds the families of declared columns".to_owned()
        }
        Mend::Declared { grows: false } => {
            let named: Vec<String> = missing.iter().map(|family| format!("{{NAME => {}}}", in_shell(family))).collect();
            let alter = match missing {
                [one] => format!("NAME => {}", in_shell(one)),
                _ => named.join(", "),
            };
            format!("the gateway cannot add families; in `hbase shell`: alter '{table}', {alter}")
        }
        Mend::Named { grows: true } => {
            "a record names it, and no column of the job does: declare one in it and deploy \
                                        with --create-tables, and leave such records out if it should not be"
                .to_owned()
        }
        Mend::Named { grows: false } => {
            "a record names it, and no column of the job does: add it with `alter` in `hbase \
                                         shell`, and leave such records out if it should not be"
                .to_owned()
        }
    };
    SinkError::FamilyMissing {
        table: table.to_owned(),
        families: shown.collect::<Vec<_>>().join(", "),
        mend,
    }
}

/// Missing families that an error names.
const SHOWN_FAMILIES_MAX: usize = 5;

impl Sink for HbaseSink {
    fn guarantee(&self) -> Guarantee {
        Guarantee::Idempotent
    }

    /// HBase bounds a cell together with its key and column, so a row is bounded like a cell: then
    /// each fits.
    fn limits(&self) -> RowLimits {
        hbase_rows(match self.transport {
            Transport::Buffered | Transport::Http => limits::HBASE_CELL_BYTES_MAX,
            Transport::Framed => limits::HBASE_FRAME_BYTES_MAX,
        })
    }

    fn reshape(&mut self, spec: &SinkSpec) {
        self.columns = spec.columns.clone().into();
    }

    fn open(&mut self) -> Result<Option<Marker>, SinkError> {
        self.check_families()?;
        // To a delivery a disabled table looks like a region that is not there yet, so it is asked
        // for here.
        let lane = &mut self.lanes[0];
        if let Err(failure) = lane.check_enabled(&self.table) {
            return Err(lane.error(failure, &self.table));
        }
        for lane in &mut self.lanes {
            if let Err(failure) = lane.connect() {
                return Err(lane.error(failure, &self.table));
            }
        }
        Ok(None)
    }

    fn deliver(
        &mut self,
        delivery: &Delivery<'_>,
        rows: &[Rows],
        refusals: &mut dyn Refusals,
    ) -> Result<(), SinkError> {
        let columns = Arc::clone(&self.columns);
        let views = || rows.iter().flat_map(|rows| RowsView::new(rows, &columns));
        refused::deliver(self, delivery.time_ms, &views, refusals)
    }
}

impl HbaseSink {
    /// Writes rows. `Ok`: why not all of them, if not.
    fn write<'a>(
        &mut self,
        time_ms: i64,
        rows: impl Iterator<Item = RowRef<'a>>,
    ) -> Result<Vec<Failure>, SinkError> {
        let merged = Merged::of(rows).map_err(|reason| SinkError::Refused {
            server: "HBase",
            name: self.table.clone(),
            reason,
        })?;
        // Asked anew, as a family may have been added since the sink was opened.
        let families = if merged.erases() {
            self.families()?
        } else {
            BTreeSet::new()
        };
        let families: Vec<Vec<u8>> = families.into_iter().collect();
        let (lanes, table) = (&mut self.lanes, &self.table);
        Ok(send(
            lanes,
            table,
            self.transport,
            time_ms,
            &merged,
            &families,
        ))
    }
}

/// Sends a batch over all connections at once. The first failure ends the others after the call
/// they are in.
fn send(
    lanes: &mut [Lane],
    table: &str,
    transport: Transport,
    time_ms: i64,
    merged: &Merged<'_>,
    families: &[Vec<u8>],
) -> Vec<Failure> {
    let of = lanes.len();
    let failed = AtomicBool::new(false);
    let work = |(index, lane): (usize, &mut Lane)| {
        let share = Share { index, of };
        // A framed gateway refuses long messages, so a long row goes in parts; elsewhere a row
        // arrives whole.
        let row_bytes_max = if transport == Transport::Framed {
            limits::HBASE_CALL_BYTES_MAX
        } else {
            usize::MAX
        };
        // Puts first: of a row that is refused nothing is deleted. By their times the order is of no
        // matter.
        for (write, at_ms) in [(Write::Puts, time_ms + 1), (Write::Deletes, time_ms)] {
            for rows in Calls::new(merged, share, write, families, row_bytes_max) {
                if failed.load(Ordering::Relaxed) {
                    return Ok(());
                }
                lane.mutate(table, rows, at_ms)
                    .inspect_err(|_| failed.store(true, Ordering::Relaxed))?;
            }
        }
        Ok(())
    };
    let mut busy: Vec<_> = lanes
        .iter_mut()
        .enumerate()
        .filter(|&(index, _)| merged.any(Share { index, of }))
        .collect();
    let here = busy.pop(); // one lane's work is this thread's, so a small batch starts none
    std::thread::scope(|scope| {
        let threads: Vec<_> = busy
            .into_iter()
            .map(|lane| scope.spawn(|| work(lane)))
            .collect();
        let mut outcomes: Vec<Result<(), Failure>> = here.map(work).into_iter().collect();
        outcomes.extend(threads.into_iter().map(|thread| match thread.join() {
            Ok(outcome) => outcome,
            Err(panic) => std::panic::resume_unwind(panic),
        }));
        outcomes.into_iter().filter_map(Result::err).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_from_data_reaches_a_line_for_a_shell_unescaped() {
        let hostile = ["x'; drop 'clicks".to_owned()];
        let cases = [
            (
                Mend::Declared { grows: false },
                &hostile[..],
                r"alter 't', NAME => 'x\'; drop \'clicks'",
            ),
            (
                Mend::Declared { grows: true },
                &hostile,
                "deploy with --create-tables",
            ),
            (
                Mend::Named { grows: false },
                &hostile,
                "add it with `alter`",
            ),
            (
                Mend::Named { grows: true },
                &hostile,
                "declare one in it and deploy with --create-tables",
            ),
        ];
        for (mend, missing, want) in cases {
            let words = family_missing("t", missing, mend).to_string();
            assert!(words.contains(want), "{words}");
            assert_eq!(
                words.matches("drop").count(),
                if want.contains("drop") { 2 } else { 1 },
                "{words}"
            );
        }
        let many: Vec<String> = (0..1000)
            .map(|n| format!("{}\u{1b}{n}", "f".repeat(500)))
            .collect();
        let words = family_missing("t", &many, Mend::Named { grows: false }).to_string();
        assert!(words.len() < 1000 && !words.contains('\u{1b}'), "{words}");
    }
}
