//! Whether the tables are as a job needs them; asked at deploy.

use super::{Database, Failure, marks_of};
use crate::connector::Presence;
use streamhost_core::job::SinkSpec;
use streamhost_engine::sink::{CancelSignal, SinkError};

/// What version the server says that it has.
///
/// # Errors
/// It is away, or does not let the host in.
pub(crate) fn server_version<D: Database>(database: &D) -> Result<String, SinkError> {
    let session = database.connect(&CancelSignal::default());
    let version = session.and_then(|session| D::version(&session));
    version.map_err(|failure| error(database, failure, ""))
}

fn error<D: Database>(database: &D, failure: Failure, table: &str) -> SinkError {
    failure.error(D::SERVER, &database.settings().address(), table)
}

/// Looks at the table of a sink and at that of its mark.
pub(super) fn inspect<D: Database>(
    database: &D,
    spec: &SinkSpec,
    create: bool,
) -> Result<Presence, SinkError> {
    let explain = |failure: Failure, of: &SinkSpec| error(database, failure, &of.target);
    let session = database.connect(&CancelSignal::default());
    let session = session.map_err(|failure| explain(failure, spec))?;
    let mut presence = Presence::There;
    for of in [spec, &marks_of(&spec.target)] {
        match D::find(&session, &of.target).map_err(|failure| explain(failure, of))? {
            Some(table) => {
                let fits = table.fits(of);
                let fits = fits.and_then(|()| D::probe(&session, of, &table));
                fits.map_err(|failure| explain(failure, of))?;
            }
            None if create && has_columns(of) => presence = Presence::Missing,
            None => return Err(missing::<D>(&session, of)),
        }
    }
    Ok(presence)
}

/// Makes what [`inspect`] found missing.
pub(super) fn create<D: Database>(database: &D, spec: &SinkSpec) -> Result<(), SinkError> {
    let explain = |failure: Failure| error(database, failure, &spec.target);
    let session = database.connect(&CancelSignal::default());
    let session = session.map_err(explain)?;
    for of in [spec, &marks_of(&spec.target)] {
        let found = D::find(&session, &of.target);
        if found.map_err(explain)?.is_some() {
            continue;
        }
        match D::execute(&session, &D::create_table(&session, of)) {
            // Somebody else was faster; what it has is looked at next.
            Err(failure) if !D::is_there_already(&failure) => return Err(explain(failure)),
            _ => tracing::info!(table = of.target, "created in {}", D::SERVER),
        }
    }
    inspect(database, spec, false).map(drop)
}

fn has_columns(spec: &SinkSpec) -> bool {
    !spec.keys.is_empty() || !spec.columns.is_empty()
}

/// A table that is not there.
pub(crate) fn missing<D: Database>(session: &D::Session, spec: &SinkSpec) -> SinkError {
    SinkError::TableMissing {
        server: D::SERVER,
        what: "table",
        table: spec.target.clone(),
        mend: match has_columns(spec) {
            true => format!(
                "deploy with --create-tables, or by hand: {}",
                D::create_table(session, spec)
            ),
            false => "its rows have no columns, so none can be made".to_owned(),
        },
    }
}
