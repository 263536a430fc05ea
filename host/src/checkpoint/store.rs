//! Ledgers and plans in the embedded store.

use super::{Ledger, Plan, Store, StoreError};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

/// The ledgers and plans of all jobs of a host.
#[derive(Clone)]
pub struct Ledgers {
    db: Database,
    ledgers: Keyspace,
    plans: Keyspace,
}

fn io(error: impl std::fmt::Display) -> StoreError {
    StoreError::Io(error.to_string())
}

fn damaged(error: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged(error.to_string())
}

impl Ledgers {
    /// Opens them in the host's database.
    pub fn open(db: &Database) -> Result<Self, StoreError> {
        let open = |name| db.keyspace(name, KeyspaceCreateOptions::default).map_err(io);
        Ok(Ledgers { db: db.clone(), ledgers: open("ledgers")?, plans: open("plans")? })
    }

    /// One job's.
    pub fn of(&self, job: &str) -> JobStore {
        JobStore { all: self.clone(), job: job.to_string() }
    }
}

/// One job's ledger and plans.
pub struct JobStore {
    all: Ledgers,
    job: String,
}

impl JobStore {
    /// Names of jobs hold no NUL, so no job's plans are among another's.
    fn plan_key(&self, batch: u64) -> Vec<u8> {
        let mut key = self.job.clone().into_bytes();
        key.push(0);
        key.extend_from_slice(&batch.to_be_bytes());
        key
    }

    /// A write that removes all plans.
    fn without_plans(&self) -> Result<fjall::OwnedWriteBatch, StoreError> {
        let mut batch = self.all.db.batch().durability(Some(PersistMode::SyncAll));
        for entry in self.all.plans.range(self.plan_key(0)..=self.plan_key(u64::MAX)) {
            batch.remove(&self.all.plans, entry.key().map_err(io)?);
        }
        Ok(batch)
    }
}

impl Store for JobStore {
    fn load(&self) -> Result<(Option<Ledger>, Vec<Plan>), StoreError> {
        let ledger = self.all.ledgers.get(&self.job).map_err(io)?;
        let ledger = ledger.map(|bytes| serde_json::from_slice(&bytes)).transpose().map_err(damaged)?;
        let mut plans = Vec::new();
        for entry in self.all.plans.range(self.plan_key(0)..=self.plan_key(u64::MAX)) {
            plans.push(serde_json::from_slice(&entry.value().map_err(io)?).map_err(damaged)?);
        }
        Ok((ledger, plans))
    }

    fn write(&self, ledger: Option<&Ledger>, plan: Option<&Plan>) -> Result<(), StoreError> {
        let mut batch = self.all.db.batch().durability(Some(PersistMode::SyncAll));
        if let Some(ledger) = ledger {
            batch.insert(&self.all.ledgers, self.job.as_bytes(), serde_json::to_vec(ledger).map_err(damaged)?);
            batch.remove(&self.all.plans, self.plan_key(ledger.batch));
        }
        if let Some(plan) = plan {
            batch.insert(&self.all.plans, self.plan_key(plan.batch), serde_json::to_vec(plan).map_err(damaged)?);
        }
        batch.commit().map_err(io)
    }

    fn begin(&self, ledger: &Ledger) -> Result<(), StoreError> {
        let mut batch = self.without_plans()?;
        batch.insert(&self.all.ledgers, self.job.as_bytes(), serde_json::to_vec(ledger).map_err(damaged)?);
        batch.commit().map_err(io)
    }

    fn forget(&self) -> Result<(), StoreError> {
        let mut batch = self.without_plans()?;
        batch.remove(&self.all.ledgers, self.job.as_bytes());
        batch.commit().map_err(io)
    }
}

#[cfg(test)]
mod tests {
    use super::super::ledger::tests::{ledger, plan};
    use super::*;

    #[test]
    fn what_was_written_is_there_after_a_reopen_and_only_for_its_job() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Ledgers::open(&Database::builder(folder.path()).open().unwrap()).unwrap();
        {
            let all = open();
            all.of("a").write(Some(&ledger(4)), Some(&plan(5))).unwrap();
            all.of("a").write(None, Some(&plan(6))).unwrap();
            all.of("b").write(Some(&ledger(1)), None).unwrap();
        }
        {
            let all = open();
            assert_eq!(all.of("a").load().unwrap(), (Some(ledger(4)), vec![plan(5), plan(6)]));
            all.of("a").write(Some(&ledger(5)), Some(&plan(7))).unwrap();
        }
        let all = open();
        assert_eq!(all.of("a").load().unwrap(), (Some(ledger(5)), vec![plan(6), plan(7)]));
        all.of("a").begin(&ledger(9)).unwrap();
        assert_eq!(all.of("a").load().unwrap(), (Some(ledger(9)), vec![]));
        all.of("a").forget().unwrap();
        assert_eq!(all.of("a").load().unwrap(), (None, vec![]));
        assert_eq!(all.of("b").load().unwrap(), (Some(ledger(1)), vec![]));
    }
}
