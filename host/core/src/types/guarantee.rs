//! What a sink promises.

/// What a second delivery of the same batch does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guarantee {
    /// Writing twice equals writing once.
    Idempotent,
    /// The sink holds a marker of its last batch, in the same transaction as its rows.
    Marked,
    /// A batch that is delivered again is there twice.
    AtLeastOnce,
}

impl Guarantee {
    /// What a user is told of it.
    pub fn words(self) -> &'static str {
        match self {
            Guarantee::Idempotent => "idempotent",
            Guarantee::Marked => "exactly-once",
            Guarantee::AtLeastOnce => "at-least-once",
        }
    }
}
