//! Items end to end in one buffer.

use serde::{Deserialize, Serialize};

/// Items end to end; `ends[i]` is where item `i` ends in `data`.
#[derive(Clone, Default, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// The items' bytes.
    pub data: Vec<u8>,
    /// Ascending; the last one is `data.len()`.
    pub ends: Vec<u32>,
}

impl Column {
    /// How many items there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// No items.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Item `i`. Panics where there is none.
    #[inline]
    pub fn get(&self, i: usize) -> &[u8] {
        let from = if i == 0 { 0 } else { self.ends[i - 1] as usize };
        &self.data[from..self.ends[i] as usize]
    }

    /// Appends an item.
    #[inline]
    pub fn push(&mut self, item: &[u8]) {
        self.data.extend_from_slice(item);
        self.ends
            .push(u32::try_from(self.data.len()).expect("a chunk is bounded far below 4 GiB"));
    }

    /// Leaves the first `items` items out. Panics where there are fewer.
    pub fn drop_first(&mut self, items: usize) {
        let Some(&from) = items.checked_sub(1).map(|last| &self.ends[last]) else {
            return;
        };
        self.data.drain(..from as usize);
        self.ends.drain(..items);
        self.ends.iter_mut().for_each(|end| *end -= from);
    }

    /// The items in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|i| self.get(i))
    }
}
