//! The part of HBase's filter language that is understood. Everything else is refused by name,
//! never ignored.

use super::fault::{Fault, shown};
use super::rows::Row;

const NESTING_MAX: usize = 16;
const NAMES: [&str; 5] = [
    "PrefixFilter",
    "KeyOnlyFilter",
    "FirstKeyOnlyFilter",
    "PageFilter",
    "ColumnPrefixFilter",
];

/// What all filters of a scan ask for together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filters {
    /// Only rows that begin with each of these.
    pub(super) row_prefixes: Vec<Vec<u8>>,
    /// At most so many rows.
    pub(super) rows_max: Option<usize>,
    qualifier_prefixes: Vec<Vec<u8>>,
    first_cell_only: bool,
    values: Values,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Values {
    #[default]
    Whole,
    Empty,
    /// The value's length, four bytes.
    Lengths,
}

impl Filters {
    /// Reads a filter string; an empty one filters nothing.
    pub(super) fn parse(text: &[u8]) -> Result<Self, Fault> {
        let mut filters = Filters::default();
        let mut reader = Reader { text, rest: text };
        reader.skip_blanks();
        if !reader.rest.is_empty() {
            reader.expression(&mut filters, 0)?;
            if !reader.rest.is_empty() {
                return Err(reader.refused("what stands after the filter is not understood"));
            }
        }
        Ok(filters)
    }

    /// Applies what is about a row's cells; `None` if none is left.
    pub(super) fn apply(&self, mut row: Row) -> Option<Row> {
        if !self.qualifier_prefixes.is_empty() {
            row.cells.retain(|cell| {
                let qualifier = super::schema::Column::new(&cell.column)
                    .qualifier
                    .unwrap_or_default();
                self.qualifier_prefixes
                    .iter()
                    .all(|prefix| qualifier.starts_with(prefix))
            });
        }
        if self.first_cell_only {
            row.cells.truncate(1);
        }
        for cell in &mut row.cells {
            match self.values {
                Values::Whole => break,
                Values::Empty => cell.value = fjall::Slice::from([]),
                Values::Lengths => {
                    let length = u32::try_from(cell.value.len()).unwrap_or(u32::MAX);
                    cell.value = fjall::Slice::from(length.to_be_bytes());
                }
            }
        }
        (!row.cells.is_empty()).then_some(row)
    }

    fn join(
        &mut self,
        name: &str,
        arguments: &[Argument],
        reader: &Reader<'_>,
    ) -> Result<(), Fault> {
        match (name, arguments) {
            ("PrefixFilter", [Argument::Text(prefix)]) => self.row_prefixes.push(prefix.clone()),
            ("ColumnPrefixFilter", [Argument::Text(prefix)]) => {
                self.qualifier_prefixes.push(prefix.clone())
            }
            ("FirstKeyOnlyFilter", []) => self.first_cell_only = true,
            ("KeyOnlyFilter", []) => self.values = Values::Empty,
            ("KeyOnlyFilter", [Argument::Word(word)]) => match &word[..] {
                b"true" => self.values = Values::Lengths,
                b"false" => self.values = Values::Empty,
                _ => return Err(reader.refused("KeyOnlyFilter takes true, false or nothing")),
            },
            ("PageFilter", [Argument::Word(word)]) => {
                let rows = std::str::from_utf8(word)
                    .ok()
                    .and_then(|word| word.parse::<usize>().ok());
                let rows =
                    rows.ok_or_else(|| reader.refused("PageFilter takes a number of rows"))?;
                self.rows_max = Some(self.rows_max.map_or(rows, |other| other.min(rows)));
            }
            _ => return Err(reader.refused(&format!("{name} does not take these arguments"))),
        }
        Ok(())
    }
}

enum Argument {
    /// In quotes.
    Text(Vec<u8>),
    Word(Vec<u8>),
}

struct Reader<'a> {
    text: &'a [u8],
    rest: &'a [u8],
}

impl Reader<'_> {
    fn expression(&mut self, filters: &mut Filters, depth: usize) -> Result<(), Fault> {
        loop {
            if self.take(b'(') {
                if depth == NESTING_MAX {
                    return Err(self.refused("too many parentheses"));
                }
                self.expression(filters, depth + 1)?;
                self.expect(b')')?;
            } else {
                let name = String::from_utf8(self.word()).unwrap_or_default();
                if matches!(&name[..], "SKIP" | "WHILE" | "") {
                    return Err(self.refused(&format!(
                        "a filter is missing, or has SKIP or WHILE before it; there are {}",
                        NAMES.join(", ")
                    )));
                }
                if !NAMES.contains(&&name[..]) {
                    return Err(self.refused(&format!(
                        "{name} is not among {}, joined by AND",
                        NAMES.join(", ")
                    )));
                }
                let arguments = self.arguments()?;
                filters.join(&name, &arguments, self)?;
            }
            let before = self.rest;
            match &self.word()[..] {
                b"AND" => {}
                b"" => return Ok(()),
                _ => {
                    self.rest = before;
                    return Err(self.refused("filters are joined by AND only"));
                }
            }
        }
    }

    fn arguments(&mut self) -> Result<Vec<Argument>, Fault> {
        self.expect(b'(')?;
        let mut arguments = Vec::new();
        if self.take(b')') {
            return Ok(arguments);
        }
        loop {
            if self.rest.first() == Some(&b'\'') {
                arguments.push(Argument::Text(self.quoted()?));
            } else {
                arguments.push(Argument::Word(self.word()));
            }
            if self.take(b')') {
                return Ok(arguments);
            }
            self.expect(b',')?;
        }
    }

    /// Text in quotes; a quote within it is doubled.
    fn quoted(&mut self) -> Result<Vec<u8>, Fault> {
        let mut text = Vec::new();
        let mut at = 1;
        loop {
            match self.rest.get(at..).unwrap_or_default() {
                [b'\'', b'\'', ..] => {
                    text.push(b'\'');
                    at += 2;
                }
                [b'\'', rest @ ..] => {
                    self.rest = rest;
                    self.skip_blanks();
                    return Ok(text);
                }
                [byte, ..] => {
                    text.push(*byte);
                    at += 1;
                }
                [] => return Err(self.refused("a quote is not closed")),
            }
        }
    }

    fn word(&mut self) -> Vec<u8> {
        let end = self
            .rest
            .iter()
            .position(|b| !b.is_ascii_alphanumeric())
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        self.skip_blanks();
        word.to_vec()
    }

    fn take(&mut self, byte: u8) -> bool {
        let Some(rest) = self.rest.strip_prefix(&[byte]) else {
            return false;
        };
        self.rest = rest;
        self.skip_blanks();
        true
    }

    fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        if self.take(byte) {
            Ok(())
        } else {
            Err(self.refused(&format!("'{}' is expected", byte.escape_ascii())))
        }
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    fn refused(&self, why: &str) -> Fault {
        let position = self.text.len() - self.rest.len();
        Fault::Refused(format!(
            "filter {} is refused at byte {position}: {why}",
            shown(self.text)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_filters_are_read() {
        let all = Filters::parse(
            b" (PrefixFilter ( 'it''s' ) AND (KeyOnlyFilter())) AND PageFilter(3) AND FirstKeyOnlyFilter()",
        )
        .unwrap();
        assert_eq!(all.row_prefixes, [b"it's".to_vec()]);
        assert_eq!(
            (all.rows_max, all.first_cell_only, all.values),
            (Some(3), true, Values::Empty)
        );
        assert_eq!(
            Filters::parse(b"KeyOnlyFilter(true)").unwrap().values,
            Values::Lengths
        );
        assert_eq!(Filters::parse(b"  ").unwrap(), Filters::default());
    }

    #[test]
    fn all_else_is_refused() {
        let deep = [&[b'('; 100][..], b"KeyOnlyFilter()"].concat();
        for text in [
            &b"NoSuchFilter()"[..],
            b"PrefixFilter(",
            b"PrefixFilter('a",
            b"PrefixFilter()",
            b"PrefixFilter('a', 'b')",
            b"PrefixFilter(a)",
            b"prefixfilter('a')",
            b"PrefixFilter('a') OR PrefixFilter('b')",
            b"SKIP PrefixFilter('a')",
            b"PageFilter('x')",
            b"PageFilter(-1)",
            b"KeyOnlyFilter(maybe)",
            b"KeyOnlyFilter() AND",
            b"KeyOnlyFilter())",
            b"(KeyOnlyFilter()",
            b"KeyOnlyFilter() KeyOnlyFilter()",
            b"\xFF\xFE",
            &deep,
        ] {
            assert!(
                matches!(Filters::parse(text), Err(Fault::Refused(_))),
                "{}",
                shown(text)
            );
        }
    }
}
