//! Whether a table is as a job needs it; asked at deploy.

use super::connection::Lane;
use super::words::Failure;
use super::{AddFamilies, HbaseSettings, Mend, family_missing, mend_table};
use hbase_thrift::hbase::{ColumnDescriptor, THbaseSyncClient};
use std::collections::BTreeSet;
use streamhost_core::job::{ColumnSpec, SinkSpec};
use streamhost_engine::sink::{CancelSignal, Provision, SinkError};

/// Versions of a cell that a table of ours keeps, as HBase did by default for long.
const VERSIONS: i32 = 3;

/// The families of the declared columns, each once.
pub(super) fn families(columns: &[ColumnSpec]) -> Vec<String> {
    let family = |column: &ColumnSpec| {
        column
            .name
            .split_once(':')
            .map(|(family, _)| family.to_owned())
    };
    columns
        .iter()
        .filter_map(family)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

/// Asks the gateway about tables.
pub struct HbaseProvision {
    lane: Lane,
    add: Option<AddFamilies>,
}

impl HbaseProvision {
    /// Connects when it is asked.
    pub fn new(settings: HbaseSettings) -> Self {
        HbaseProvision {
            add: settings.add_families.clone(),
            lane: Lane::new(settings, CancelSignal::default()),
        }
    }

    fn create_table(&mut self, table: &str, families: &[String]) -> Result<(), SinkError> {
        // Every field is told: the crate's defaults are zeros and empty strings, which are sent.
        let descriptor = |family: &String| {
            ColumnDescriptor::new(
                Some(format!("{family}:").into_bytes()),
                VERSIONS,
                Some("NONE".to_owned()),
                false,
                Some("ROW".to_owned()),
                None,
                None,
                true,
                i32::MAX,
            )
        };
        let descriptors = families.iter().map(descriptor).collect();
        match self
            .lane
            .call(|client| client.create_table(table.as_bytes().to_vec(), descriptors))
        {
            // Somebody else was faster; what it has is looked at next.
            Ok(()) | Err(Failure::Exists) => Ok(()),
            Err(failure) => Err(self.lane.error(failure, table)),
        }
    }

    fn ask<T>(
        &mut self,
        table: &str,
        ask: impl FnOnce(&mut Lane) -> Result<T, Failure>,
    ) -> Result<T, SinkError> {
        ask(&mut self.lane).map_err(|failure| self.lane.error(failure, table))
    }

    /// Checks the table, and creates what is missing if `create` says so.
    fn check(&mut self, spec: &SinkSpec, create: bool) -> Result<(), SinkError> {
        let table = &spec.target;
        let wanted = families(&spec.columns);
        let mut found = self.ask(table, |lane| lane.families(table))?;
        if found.is_none() && create && !wanted.is_empty() {
            self.create_table(table, &wanted)?;
            found = self.ask(table, |lane| lane.families(table))?;
        }
        let mend = || mend_table(table, &wanted);
        let there = found.ok_or_else(|| SinkError::TableMissing {
            server: "HBase",
            what: "table",
            table: table.clone(),
            mend: mend(),
        })?;
        self.ask(table, |lane| lane.check_enabled(table))?;
        let missing: Vec<String> = wanted
            .iter()
            .filter(|family| !there.contains(family.as_bytes()))
            .cloned()
            .collect();
        match &self.add {
            _ if missing.is_empty() => Ok(()),
            Some(AddFamilies(add)) if create => {
                add(table, &missing).map_err(|reason| SinkError::Refused {
                    server: "HBase",
                    name: table.clone(),
                    reason,
                })
            }
            add => Err(family_missing(
                table,
                &missing,
                Mend::Declared {
                    grows: add.is_some(),
                },
            )),
        }
    }
}

impl Provision for HbaseProvision {
    fn inspect(&mut self, spec: &SinkSpec) -> Result<(), SinkError> {
        self.check(spec, false)
    }

    fn create(&mut self, spec: &SinkSpec) -> Result<(), SinkError> {
        self.check(spec, true)
    }
}
