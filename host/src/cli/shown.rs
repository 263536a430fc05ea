//! Bytes as the daemon shows them.

use serde::{Deserialize, Serialize};

/// Text where the bytes are UTF-8, else base64.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Shown {
    text: Option<String>,
    base64: Option<String>,
    bytes: usize,
    truncated: bool,
}

impl Shown {
    /// So many characters of it at most, for a table.
    pub(super) fn short(&self, chars_max: usize) -> String {
        let (all, is_cut) = self.said();
        let mut shown: String = all.chars().take(chars_max).collect();
        if is_cut || all.chars().count() > chars_max {
            shown.push('…');
        }
        shown
    }

    /// What there is of it.
    pub(super) fn full(&self) -> String {
        let (all, is_cut) = self.said();
        match is_cut {
            true => format!("{all}… (of {} bytes)", self.bytes),
            false => all,
        }
    }

    fn said(&self) -> (String, bool) {
        let base64 = || format!("base64:{}", self.base64.as_deref().unwrap_or_default());
        (self.text.clone().unwrap_or_else(base64), self.truncated)
    }
}
