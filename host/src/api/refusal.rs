//! Why something is not done.

/// Why something that the user asked is not done. Nothing has changed then, but that a job which
/// does not start stands still, and that places may have been made before the server that should
/// make the others went away.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such job or version.
    #[error("{0}")]
    NotFound(String),
    /// What was asked cannot be: the component, a setting, the table. Says how to mend it.
    #[error("{0}")]
    Invalid(String),
    /// It does not fit the job's present state.
    #[error("{0}")]
    Conflict(String),
    /// A server that is needed for it does not answer, or the host is at a limit; worth trying
    /// later.
    #[error("{0}")]
    Unavailable(String),
}
