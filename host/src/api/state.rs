//! What a keyed stage keeps, as it is asked for and answered.

use streamhost_core::job::StageSpec;
use streamhost_core::keyed::look::{KeptPage, PageStart};

/// A key, or how it begins, as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AskedKey {
    /// As people write it: text as it is, numbers in decimal, several parts as a JSON list.
    Text(String),
    /// In the bytes of the SDK.
    Bytes(Vec<u8>),
}

/// Which keys are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AskedKeys {
    /// All.
    #[default]
    All,
    /// This one.
    Key(AskedKey),
    /// Those that begin so.
    Prefix(AskedKey),
}

/// What is asked of a stage's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateAsk {
    /// The stage's name.
    pub stage: String,
    /// Which keys.
    pub keys: AskedKeys,
    /// Where the page begins.
    pub start: PageStart,
    /// How many entries at most.
    pub most: usize,
}

/// A page of a stage's state, as of one checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateView {
    /// The checkpoint's batch; 0: none yet.
    pub batch: u64,
    /// The stage, as the active version describes it.
    pub stage: StageSpec,
    /// The shape of what is kept, which may be that of the version before.
    pub value_shape: String,
    /// What it keeps.
    pub page: KeptPage,
}
