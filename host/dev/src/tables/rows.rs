//! From stored entries, in their order, to what a reader sees: tombstones, versions and expiry are
//! applied here and nowhere else. Pure.

use super::fault::{Fault, shown};
use super::key::{Entry, Kind, behind, parse, time_of, unescape};
use super::schema::{Families, Family};
use fjall::Slice;
use streamhost_core::limits::TABLES_ANSWER_BYTES_MAX;

/// One cell that a reader sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    /// `family:qualifier`.
    pub(super) column: Vec<u8>,
    /// Its time in milliseconds.
    pub(super) time_ms: i64,
    pub(super) value: Slice,
}

/// One row that a reader sees; it has cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) key: Vec<u8>,
    /// In the order of columns, newest first within one.
    pub(super) cells: Vec<Cell>,
}

impl Row {
    /// About what it takes in an answer.
    pub(super) fn bytes(&self) -> usize {
        self.key.len()
            + self
                .cells
                .iter()
                .map(|cell| cell.column.len() + cell.value.len() + 32)
                .sum::<usize>()
    }
}

/// Families, or columns of them, that a reader asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Selection(pub(super) Vec<(Vec<u8>, Option<Vec<u8>>)>);

impl Selection {
    fn has(&self, family: &[u8], qualifier: &[u8]) -> bool {
        self.0.is_empty()
            || self
                .0
                .iter()
                .any(|(f, q)| f == family && q.as_deref().is_none_or(|q| q == qualifier))
    }
}

/// What a reader asked for.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) selection: Selection,
    /// Only cells before this time in milliseconds.
    pub(super) before_ms: i64,
    /// Versions of each column, newest first. What a family keeps counts before `before_ms` does.
    pub(super) versions: usize,
    /// The reader's present, for families whose cells expire.
    pub(super) now_ms: i64,
}

/// Bytes of an answer so far, held against its bound.
#[derive(Debug, Default)]
pub(super) struct Weight(usize);

impl Weight {
    /// Counts a cell in. Beyond the bound the whole answer is refused.
    pub(super) fn add(&mut self, cell: &Cell, row: &[u8]) -> Result<(), Fault> {
        self.0 += cell.column.len() + cell.value.len() + 64;
        if self.0 > TABLES_ANSWER_BYTES_MAX {
            return Err(Fault::Refused(format!(
                "the answer is over {TABLES_ANSWER_BYTES_MAX} bytes at row '{}'; ask for fewer rows, or for some of the columns",
                shown(row)
            )));
        }
        Ok(())
    }
}

/// Cells of a column that are looked at in vain before the next column is searched for, which costs
/// more than they do.
const VAIN_CELLS_MAX: usize = 16;

/// Takes entries one after the other and gives rows.
pub(super) struct Gather<'a> {
    families: &'a Families,
    question: &'a Question,
    /// The row in the making and its cells' weight.
    row: Row,
    weight: Weight,
    /// The key of the entry before, and where its parts end.
    last: Option<(Slice, Entry)>,
    family: Option<&'a Family>,
    family_name: Vec<u8>,
    /// All of the family up to here is hidden: erased or expired.
    family_hidden_ms: i64,
    column: Vec<u8>,
    column_hidden_ms: i64,
    wanted: bool,
    /// Versions of the column that count against what the family keeps, and those taken.
    kept: usize,
    taken: usize,
    /// Cells since the last one of the column that could be seen; the others behind them cannot be
    /// seen either.
    vain: usize,
}

impl<'a> Gather<'a> {
    pub(super) fn new(families: &'a Families, question: &'a Question) -> Self {
        Gather {
            families,
            question,
            row: Row {
                key: Vec::new(),
                cells: Vec::new(),
            },
            weight: Weight::default(),
            last: None,
            family: None,
            family_name: Vec::new(),
            family_hidden_ms: -1,
            column: Vec::new(),
            column_hidden_ms: -1,
            wanted: false,
            kept: 0,
            taken: 0,
            vain: 0,
        }
    }

    /// Takes the next entry. Gives the row before it if that is now complete and not empty.
    pub(super) fn add(&mut self, key: Slice, value: Slice) -> Result<Option<Row>, Fault> {
        let entry = parse(&key)
            .ok_or_else(|| Fault::Storage(format!("a stored key is damaged: {key:?}")))?;
        let same = |end: fn(&Entry) -> usize| {
            self.last
                .as_ref()
                .is_some_and(|(last, of)| last[..end(of)] == key[..end(&entry)])
        };
        let (same_row, same_family) = (same(|e| e.row_end), same(|e| e.family_end));
        let same_column = same_family && same(|e| e.column_end);
        let done = if same_row { None } else { self.finish() };
        if !same_row {
            self.row.key = unescape(&key[..entry.row_end]);
        }
        if !same_family {
            self.enter_family(unescape(&key[entry.row_end..entry.family_end]));
        }
        if !same_column && entry.kind != Kind::FamilyErased {
            self.enter_column(&unescape(&key[entry.family_end + 1..entry.column_end]));
        }
        let hidden = || {
            time_of(&value)
                .ok_or_else(|| Fault::Storage(format!("a tombstone is damaged: {key:?}")))
        };
        match entry.kind {
            Kind::FamilyErased => self.family_hidden_ms = self.family_hidden_ms.max(hidden()?),
            Kind::ColumnErased => self.column_hidden_ms = hidden()?,
            Kind::Put(time_ms) => self.add_put(time_ms, value)?,
        }
        self.last = Some((key, entry));
        Ok(done)
    }

    /// The least key behind the present column, if it is better to go on there: nothing more of it
    /// can be seen, and it may be long.
    pub(super) fn behind_column(&self) -> Option<Vec<u8>> {
        let (key, entry) = self.last.as_ref().filter(|_| self.vain >= VAIN_CELLS_MAX)?;
        Some(behind(&key[..entry.column_end]))
    }

    /// Whether all of the present column has been seen that can be seen.
    pub(super) fn is_column_done(&self) -> bool {
        self.vain > 0
            || self.taken == self.question.versions
            || self.kept > 0 && self.kept == self.versions_max()
    }

    fn versions_max(&self) -> usize {
        self.family.map_or(0, |family| family.versions_max)
    }

    /// The row in the making, if it has cells.
    pub(super) fn finish(&mut self) -> Option<Row> {
        self.weight = Weight::default();
        let row = Row {
            key: std::mem::take(&mut self.row.key),
            cells: std::mem::take(&mut self.row.cells),
        };
        (!row.cells.is_empty()).then_some(row)
    }

    fn enter_family(&mut self, name: Vec<u8>) {
        self.family = self.families.get(&name);
        self.family_hidden_ms = self
            .family
            .map_or(-1, |family| family.expired_ms(self.question.now_ms));
        self.family_name = name;
        self.vain = 0;
    }

    fn enter_column(&mut self, qualifier: &[u8]) {
        self.column = [&self.family_name, &b":"[..], qualifier].concat();
        self.column_hidden_ms = -1;
        self.wanted =
            self.family.is_some() && self.question.selection.has(&self.family_name, qualifier);
        self.kept = 0;
        self.taken = 0;
        self.vain = 0;
    }

    fn add_put(&mut self, time_ms: i64, value: Slice) -> Result<(), Fault> {
        let hidden_ms = self.family_hidden_ms.max(self.column_hidden_ms);
        if !self.wanted || time_ms <= hidden_ms || self.kept == self.versions_max() {
            self.vain += 1;
            return Ok(());
        }
        self.kept += 1;
        if time_ms >= self.question.before_ms {
            return Ok(());
        }
        if self.taken == self.question.versions {
            self.vain += 1;
            return Ok(());
        }
        self.taken += 1;
        let cell = Cell {
            column: self.column.clone(),
            time_ms,
            value,
        };
        self.weight.add(&cell, &self.row.key)?;
        self.row.cells.push(cell);
        Ok(())
    }
}
