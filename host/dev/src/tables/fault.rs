//! What a client is told when a call is refused, in HBase's own words where it has some.

use super::TablesError;
use hbase_thrift::hbase::{AlreadyExists, IOError, IllegalArgument};
use streamhost_core::state::StoreError;

/// A refused call.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// The call makes no sense whatever the state of the tables.
    #[error("java.lang.IllegalArgumentException: {0}")]
    Argument(String),
    /// The scanner was closed, never opened, or not used for too long.
    #[error("scanner ID is invalid")]
    NoScanner,
    /// A table of that name is there.
    #[error("table name already in use")]
    TableExists,
    /// No table of that name.
    #[error("org.apache.hadoop.hbase.TableNotFoundException: {0}")]
    TableMissing(String),
    /// The table is disabled, and the call needs it enabled.
    #[error("org.apache.hadoop.hbase.TableNotEnabledException: {0} is disabled.")]
    TableDisabled(String),
    /// The table is enabled, and the call needs it disabled.
    #[error(
        "org.apache.hadoop.hbase.TableNotDisabledException: Not DISABLED; tableName={0}, state=ENABLED"
    )]
    TableEnabled(String),
    /// The table has no such family.
    #[error(
        "org.apache.hadoop.hbase.regionserver.NoSuchColumnFamilyException: Column family {family} does not exist in table {table}"
    )]
    FamilyMissing {
        /// The family as sent.
        family: String,
        /// The table.
        table: String,
    },
    /// An increment of what is no counter.
    #[error(
        "org.apache.hadoop.hbase.DoNotRetryIOException: Field is not a long, it's {0} bytes wide"
    )]
    NotACounter(usize),
    /// Something that HBase can and this store cannot, or a bound that was met.
    #[error("org.apache.hadoop.hbase.DoNotRetryIOException: {0}")]
    Refused(String),
    /// The disk is nearly full, and what is to be written is not begun.
    #[error("java.io.IOException: the embedded table store takes nothing: {0}")]
    Full(String),
    /// The store failed.
    #[error("java.io.IOException: the embedded table store failed: {0}")]
    Storage(String),
}

impl From<fjall::Error> for Fault {
    fn from(error: fjall::Error) -> Self {
        tracing::error!(%error, "embedded table store");
        Fault::Storage(error.to_string())
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Fault::Full(error.to_string())
    }
}

impl From<TablesError> for Fault {
    fn from(error: TablesError) -> Self {
        Fault::Storage(error.to_string())
    }
}

impl Fault {
    /// For calls that may answer `IllegalArgument`.
    pub(super) fn told(self) -> thrift::Error {
        match self {
            Fault::Argument(_) | Fault::NoScanner => IllegalArgument::new(self.to_string()).into(),
            Fault::TableExists => AlreadyExists::new(self.to_string()).into(),
            _ => self.told_as_io(),
        }
    }

    /// For calls that can only answer `IOError`.
    pub(super) fn told_as_io(self) -> thrift::Error {
        IOError::new(
            self.to_string(),
            matches!(self, Fault::Full(_) | Fault::Storage(_)),
        )
        .into()
    }

    /// For `mutateRows`: HBase's client wraps the lack of a table there as something that may pass.
    pub(super) fn told_of_many(self) -> thrift::Error {
        match self {
            Fault::TableMissing(_) | Fault::TableDisabled(_) => {
                IOError::new(self.to_string(), true).into()
            }
            _ => self.told(),
        }
    }
}

/// Bytes as shown in a message.
pub(super) fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned()
}
