//! Whether the tables are as a job needs them; asked at deploy.

use super::catalog::{Table, create_table};
use super::marks;
use super::session::{Session, value};
use super::words::{Failure, is_there_already};
use super::{PostgresSettings, SERVER};
use crate::connector::Presence;
use streamhost_core::job::SinkSpec;
use streamhost_engine::sink::{CancelSignal, SinkError};

/// What version the server says that it has.
///
/// # Errors
/// It is away, or does not let the host in.
pub fn server_version(settings: &PostgresSettings) -> Result<String, SinkError> {
    let explain = |failure: Failure| failure.error(&settings.address(), "");
    let session = Session::connect(settings, &CancelSignal::default()).map_err(explain)?;
    let row = session.query_one("SHOW server_version", &[]);
    row.and_then(|row| value(&row, 0)).map_err(explain)
}

/// Looks at the table of a sink and at that of its mark.
pub(super) fn inspect(
    settings: &PostgresSettings,
    spec: &SinkSpec,
    create: bool,
) -> Result<Presence, SinkError> {
    let explain = |failure: Failure, of: &SinkSpec| failure.error(&settings.address(), &of.target);
    let session = Session::connect(settings, &CancelSignal::default());
    let session = session.map_err(|failure| explain(failure, spec))?;
    let mut presence = Presence::There;
    for of in [spec, &marks::spec_of(&spec.target)] {
        match Table::find(&session, &of.target).map_err(|failure| explain(failure, of))? {
            Some(table) => table.fits(of).map_err(|failure| explain(failure, of))?,
            None if create && has_columns(of) => presence = Presence::Missing,
            None => return Err(missing(of)),
        }
    }
    Ok(presence)
}

/// Makes what [`inspect`] found missing.
pub(super) fn create(settings: &PostgresSettings, spec: &SinkSpec) -> Result<(), SinkError> {
    let explain = |failure: Failure| failure.error(&settings.address(), &spec.target);
    let session = Session::connect(settings, &CancelSignal::default()).map_err(explain)?;
    for of in [spec, &marks::spec_of(&spec.target)] {
        if Table::find(&session, &of.target)
            .map_err(explain)?
            .is_some()
        {
            continue;
        }
        match session.batch(&create_table(of)) {
            // Somebody else was faster; what it has is looked at next.
            Err(failure) if !is_there_already(&failure) => return Err(explain(failure)),
            _ => tracing::info!(table = of.target, "created in PostgreSQL"),
        }
    }
    inspect(settings, spec, false).map(drop)
}

fn has_columns(spec: &SinkSpec) -> bool {
    !spec.keys.is_empty() || !spec.columns.is_empty()
}

/// A table that is not there.
pub(super) fn missing(spec: &SinkSpec) -> SinkError {
    SinkError::TableMissing {
        server: SERVER,
        what: "table",
        table: spec.target.clone(),
        mend: match has_columns(spec) {
            true => format!(
                "deploy with --create-tables, or in psql: {}",
                create_table(spec)
            ),
            false => "its rows have no columns, so none can be made".to_owned(),
        },
    }
}
