//! Which tables there are.

use super::fault::{Fault, shown};
use super::scan::Scanners;
use super::schema::{self, Family, Schema};
use super::stamps::Stamps;
use super::table::Table;
use super::{Tables, TablesError};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use hbase_thrift::hbase::ColumnDescriptor;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use streamhost_core::limits::TABLES_MAX;
use streamhost_core::room::Room;

const NEXT_ID: &[u8] = b"next-id";
const TABLE: &[u8] = b"table/";

/// Opens all tables and clears away what a crash left of one half made or half deleted.
pub(super) fn open(database: &Database) -> Result<Tables, TablesError> {
    let catalog = database.keyspace("tables-catalog", KeyspaceCreateOptions::default)?;
    let mut tables = HashMap::new();
    for entry in catalog.prefix(TABLE) {
        let (key, value) = entry.into_inner()?;
        let name = key[TABLE.len()..].to_vec();
        let damaged = |reason: String| TablesError::Damaged {
            table: shown(&name),
            reason,
        };
        let schema: Schema =
            serde_json::from_slice(&value).map_err(|error| damaged(error.to_string()))?;
        let text = String::from_utf8(name.clone()).map_err(|error| damaged(error.to_string()))?;
        tables.insert(name, Arc::new(Table::open(database, text, &schema)?));
    }
    let known: HashSet<String> = tables
        .values()
        .map(|table| Table::keyspace_name(table.id))
        .collect();
    for name in database.list_keyspace_names() {
        if name.starts_with(Table::keyspace_name_start()) && !known.contains(&name[..]) {
            let left_over = database.keyspace(&name, KeyspaceCreateOptions::default)?;
            database.delete_keyspace(left_over)?;
        }
    }
    Ok(Tables {
        database: database.clone(),
        catalog,
        tables: RwLock::new(tables),
        stamps: Stamps::default(),
        scanners: Scanners::default(),
    })
}

impl Tables {
    fn read(&self) -> RwLockReadGuard<'_, HashMap<Vec<u8>, Arc<Table>>> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<Vec<u8>, Arc<Table>>> {
        self.tables.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// A table, enabled or not.
    pub(super) fn any_table(&self, name: &[u8]) -> Result<Arc<Table>, Fault> {
        self.read()
            .get(name)
            .cloned()
            .ok_or_else(|| Fault::TableMissing(shown(name)))
    }

    /// A table that may be read.
    pub(super) fn table(&self, name: &[u8]) -> Result<Arc<Table>, Fault> {
        let table = self.any_table(name)?;
        table.must_be_enabled()?;
        Ok(table)
    }

    /// All tables' names, and whether they are enabled.
    pub(super) fn names(&self) -> BTreeMap<Vec<u8>, bool> {
        self.read()
            .iter()
            .map(|(name, table)| (name.clone(), table.is_enabled()))
            .collect()
    }

    /// Makes a table. `Ok`: it survives a crash.
    pub(super) fn create(&self, name: &[u8], families: &[ColumnDescriptor]) -> Result<(), Fault> {
        schema::table_name(name)?;
        let families = schema::families(families)?;
        let mut tables = self.write();
        if tables.contains_key(name) {
            return Err(Fault::TableExists);
        }
        if tables.len() >= TABLES_MAX {
            return Err(Fault::Refused(format!(
                "there are {TABLES_MAX} tables, as many as the embedded store holds"
            )));
        }
        Room::of(self.catalog.path().to_owned()).check()?;
        let id = next_id(&self.catalog)?;
        let schema = Schema {
            id,
            enabled: true,
            families,
        };
        let table = Table::open(&self.database, shown(name), &schema)?;
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        batch.insert(&self.catalog, NEXT_ID, (id + 1).to_be_bytes());
        batch.insert(&self.catalog, catalog_key(name), stored(&schema)?);
        batch.commit()?;
        tables.insert(name.to_vec(), Arc::new(table));
        Ok(())
    }

    /// Gives a table more families; those that it has stay as they are. `Ok`: they survive a crash.
    /// The protocol has no call for it, as HBase's gateway has none: this is the way of the host
    /// that has the store inside.
    ///
    /// # Errors
    /// There is no such table, a name is none for a family, or the store failed; in words for a
    /// user.
    pub fn add_families(&self, name: &str, families: &[String]) -> Result<(), String> {
        self.grow(name.as_bytes(), families)
            .map_err(|fault| fault.to_string())
    }

    fn grow(&self, name: &[u8], more: &[String]) -> Result<(), Fault> {
        let mut tables = self.write();
        let table = tables
            .get(name)
            .ok_or_else(|| Fault::TableMissing(shown(name)))?;
        let mut schema = table.schema(table.is_enabled());
        for family in more {
            let family = Family::new(&schema::plain(family))?;
            // By the proven name: a second one of a name would take the first one's place, and its
            // versions.
            if schema
                .families
                .iter()
                .all(|known| known.name != family.name)
            {
                schema.families.push(family);
            }
        }
        schema::check_count(schema.families.len())?;
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        batch.insert(&self.catalog, catalog_key(name), stored(&schema)?);
        batch.commit()?;
        let table = Arc::new(table.with(&schema.families));
        tables.insert(name.to_vec(), table);
        Ok(())
    }

    /// Deletes a disabled table and its cells.
    pub(super) fn delete(&self, name: &[u8]) -> Result<(), Fault> {
        let mut tables = self.write();
        let Some(table) = tables.get(name) else {
            return Err(Fault::TableMissing(format!(
                "{}: table does not exist",
                shown(name)
            )));
        };
        if table.is_enabled() {
            return Err(Fault::TableEnabled(shown(name)));
        }
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        batch.remove(&self.catalog, catalog_key(name));
        batch.commit()?;
        if let Some(table) = tables.remove(name) {
            self.database.delete_keyspace(table.cells.clone())?;
        }
        Ok(())
    }

    /// Enables or disables a table. Disabling waits for the writer that is under way.
    pub(super) fn set_enabled(&self, name: &[u8], enabled: bool) -> Result<(), Fault> {
        let tables = self.write();
        let table = tables
            .get(name)
            .ok_or_else(|| Fault::TableMissing(shown(name)))?;
        match (table.is_enabled(), enabled) {
            (true, true) => return Err(Fault::TableEnabled(shown(name))),
            (false, false) => return Err(Fault::TableDisabled(shown(name))),
            _ => {}
        }
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        batch.insert(
            &self.catalog,
            catalog_key(name),
            stored(&table.schema(enabled))?,
        );
        batch.commit()?;
        table.set_enabled(enabled);
        Ok(())
    }
}

fn catalog_key(name: &[u8]) -> Vec<u8> {
    [TABLE, name].concat()
}

fn stored(schema: &Schema) -> Result<Vec<u8>, Fault> {
    serde_json::to_vec(schema).map_err(|error| Fault::Storage(error.to_string()))
}

/// Ids are never given twice, or what a crash left of a deleted table could come back in a new one.
fn next_id(catalog: &Keyspace) -> Result<u64, Fault> {
    match catalog.get(NEXT_ID)? {
        None => Ok(1),
        Some(id) => id
            .as_ref()
            .try_into()
            .map(u64::from_be_bytes)
            .map_err(|_| Fault::Storage("next-id is damaged".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_added_for_good_and_change_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::builder(folder.path()).open().unwrap();
        let tables = open(&database).unwrap();
        let kept = ColumnDescriptor {
            max_versions: Some(7),
            ..schema::plain("a")
        };
        tables.create(b"t", &[kept]).unwrap();
        let before = tables.table(b"t").unwrap();
        tables
            .add_families("t", &["a:", "b", "b:"].map(str::to_owned))
            .unwrap();
        tables.add_families("t", &[]).unwrap();
        assert!(
            before.family(b"b").is_err(),
            "a call under way goes on with what it began with"
        );
        tables.set_enabled(b"t", false).unwrap();
        assert!(
            before.lock().is_err(),
            "but it writes to no table that was disabled since"
        );
        tables.add_families("t", &["c".to_owned()]).unwrap();
        for tables in [&tables, &open(&database).unwrap()] {
            let table = tables.any_table(b"t").unwrap();
            assert!(!table.is_enabled(), "it stays as it was");
            assert_eq!(
                table
                    .families
                    .keys()
                    .map(|name| name[0])
                    .collect::<Vec<_>>(),
                b"abc"
            );
            assert_eq!(
                table.family(b"a").unwrap().versions_max,
                7,
                "it stays as it was"
            );
            assert_eq!(
                table.family(b"b").unwrap().versions_max,
                3,
                "HBase's default"
            );
        }
        assert!(
            tables
                .add_families("none", &[])
                .unwrap_err()
                .contains("none")
        );
        assert!(
            tables
                .add_families("t", &["x:y".to_owned()])
                .unwrap_err()
                .contains("x:y")
        );
        let many: Vec<String> = (0..streamhost_core::limits::TABLE_FAMILIES_MAX)
            .map(|n| format!("f{n}"))
            .collect();
        assert!(
            tables
                .add_families("t", &many)
                .unwrap_err()
                .contains("at most")
        );
        assert_eq!(
            tables.any_table(b"t").unwrap().families.len(),
            3,
            "a refusal changes nothing"
        );
    }
}
