//! Sinks of SQL databases, whichever.

/// Servers that the URL of a database may name.
pub const SQL_SERVERS_MAX: usize = 16;
/// Rows of one key in a batch, among which the one is looked for that a database refuses: each costs a statement.
pub const SQL_ROWS_TRIED_MAX: usize = 20;
/// Columns that differ from what a job gives and are named one by one.
pub const SQL_FAULTS_SHOWN_MAX: usize = 20;
