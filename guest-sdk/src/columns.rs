//! Columns: items end to end, and where each one ends. So a batch crosses the boundary in a handful
//! of copies.

/// A column that is being made.
#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub(crate) struct ColumnBuf {
    pub(crate) data: Vec<u8>,
    pub(crate) ends: Vec<u32>,
}

impl ColumnBuf {
    /// Ends the item whose bytes were appended to `data`.
    #[inline]
    pub(crate) fn end(&mut self) {
        // Cannot wrap where it matters: a guest's memory is below 4 GiB.
        self.ends.push(self.data.len() as u32);
    }

    #[inline]
    pub(crate) fn push(&mut self, item: &[u8]) {
        self.data.extend_from_slice(item);
        self.end();
    }

    /// Keeps the first `items` items.
    pub(crate) fn truncate(&mut self, items: usize) {
        self.ends.truncate(items);
        self.data
            .truncate(self.ends.last().map_or(0, |&end| end as usize));
    }

    #[inline]
    pub(crate) fn view(&self) -> Column<'_> {
        Column {
            data: &self.data,
            ends: &self.ends,
        }
    }
}

/// A column that came in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column<'b> {
    pub(crate) data: &'b [u8],
    pub(crate) ends: &'b [u32],
}

impl<'b> Column<'b> {
    #[inline]
    pub(crate) fn iter(self) -> impl Iterator<Item = &'b [u8]> {
        let mut from = 0;
        self.ends.iter().map(move |&end| {
            let item = &self.data[from..end as usize];
            from = end as usize;
            item
        })
    }

    #[inline]
    pub(crate) fn get(self, i: usize) -> &'b [u8] {
        let from = if i == 0 { 0 } else { self.ends[i - 1] as usize };
        &self.data[from..self.ends[i] as usize]
    }
}
