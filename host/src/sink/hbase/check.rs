//! Whether a table is as a job needs it; asked at deploy.

use super::connection::{Failure, Lane};
use super::{AddFamilies, HbaseSettings, family_missing, mend_table};
use crate::job::{ColumnPlan, SinkPlan};
use crate::sink::{Cut, Place, SinkError};
use hbase_thrift::hbase::{ColumnDescriptor, THbaseSyncClient};
use std::collections::BTreeSet;

/// Versions of a cell that a table of ours keeps, as HBase did by default for long.
const VERSIONS: i32 = 3;

/// A column's family and qualifier; none if it is not `family:qualifier` with both there.
pub(super) fn split(column: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = column.iter().position(|&byte| byte == b':')?;
    let (family, qualifier) = (&column[..colon], &column[colon + 1..]);
    (!family.is_empty() && !qualifier.is_empty()).then_some((family, qualifier))
}

/// The families of the declared columns, each once.
pub(super) fn families(columns: &[ColumnPlan]) -> Vec<String> {
    let family = |column: &ColumnPlan| column.name.split_once(':').map(|(family, _)| family.to_owned());
    columns.iter().filter_map(family).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Why a plan's rows are none of any table, all reasons.
fn faults(plan: &SinkPlan) -> Vec<String> {
    let mut faults = Vec::new();
    if !plan.keyed {
        faults.push("its rows have no key; mark the field that is the row key".to_owned());
    }
    let mut names = BTreeSet::new();
    for column in &plan.columns {
        let name = &column.name;
        if name.is_empty() {
            faults.push("a column has no name; HBase needs `family:qualifier`".to_owned());
        } else if split(name.as_bytes()).is_none() {
            faults.push(format!("column `{name}` must be `family:qualifier`, with both there"));
        } else if !names.insert(name) {
            faults.push(format!("column `{name}` is declared twice"));
        }
    }
    faults
}

/// Asks the gateway about tables.
pub struct HbasePlace {
    lane: Lane,
    add: Option<AddFamilies>,
}

impl HbasePlace {
    /// Connects when it is asked.
    pub fn new(settings: HbaseSettings) -> Self {
        HbasePlace { add: settings.add_families.clone(), lane: Lane::new(settings, Cut::default()) }
    }

    fn create(&mut self, table: &str, families: &[String]) -> Result<(), SinkError> {
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
        match self.lane.call(|client| client.create_table(table.as_bytes().to_vec(), descriptors)) {
            Ok(()) | Err(Failure::Exists) => Ok(()), // somebody else was faster; what it has is looked at next
            Err(failure) => Err(self.lane.error(failure, table)),
        }
    }

    fn ask<T>(&mut self, table: &str, ask: impl FnOnce(&mut Lane) -> Result<T, Failure>) -> Result<T, SinkError> {
        ask(&mut self.lane).map_err(|failure| self.lane.error(failure, table))
    }
}

impl Place for HbasePlace {
    fn check(&mut self, plan: &SinkPlan, create: bool) -> Result<(), SinkError> {
        let table = &plan.place;
        let wanted = families(&plan.columns);
        let mut faults = faults(plan);
        let mut found = self.ask(table, |lane| lane.families(table))?;
        if found.is_none() && create && faults.is_empty() && !wanted.is_empty() {
            self.create(table, &wanted)?;
            found = self.ask(table, |lane| lane.families(table))?;
        }
        let missing = match found {
            None => Some(SinkError::TableMissing { table: table.clone(), mend: mend_table(table, &wanted) }),
            Some(there) => {
                let missing = |family: &&String| !there.contains(family.as_bytes());
                let mut missing: Vec<String> = wanted.iter().filter(missing).cloned().collect();
                self.ask(table, |lane| lane.check_enabled(table))?;
                if let Some(AddFamilies(add)) = self.add.as_ref().filter(|_| create && faults.is_empty()) {
                    match add(table, &missing) {
                        Ok(()) => missing.clear(),
                        Err(fault) => faults.push(fault),
                    }
                }
                (!missing.is_empty()).then(|| family_missing(table, &missing, self.add.is_some()))
            }
        };
        match missing {
            Some(missing) if faults.is_empty() => return Err(missing),
            Some(missing) => faults.push(missing.to_string()),
            None => {}
        }
        let refused = || SinkError::Refused { server: "HBase", name: table.clone(), reason: faults.join("; ") };
        if faults.is_empty() { Ok(()) } else { Err(refused()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::SinkKind;
    use crate::record::Kind;

    #[test]
    fn a_column_is_family_and_qualifier() {
        for (column, expected) in [
            ("f:q", Some(("f", "q"))),
            ("f:q:r", Some(("f", "q:r"))),
            ("f", None),
            ("f:", None),
            (":q", None),
            ("", None),
        ] {
            let expected = expected.map(|(f, q)| (f.as_bytes(), q.as_bytes()));
            assert_eq!(split(column.as_bytes()), expected, "{column}");
        }
    }

    #[test]
    fn all_faults_of_a_plan_are_told() {
        let column = |name: &str| ColumnPlan { name: name.to_owned(), kind: Kind::Text, optional: false };
        let plan = |keyed, columns: &[&str]| SinkPlan {
            kind: SinkKind::Hbase,
            name: "clicks".to_owned(),
            place: "clicks".to_owned(),
            keyed,
            dynamic: false,
            columns: columns.iter().map(|name| column(name)).collect(),
            exactly_once: false,
        };
        assert_eq!(faults(&plan(true, &["f:a", "f:b", "g:a"])), Vec::<String>::new());
        assert_eq!(faults(&plan(false, &["", "f", "f:a", "f:a", ":a"])).len(), 5);
        assert_eq!(families(&plan(true, &["g:a", "f:a", "f:b", "x"]).columns), ["f", "g"]);
    }
}
