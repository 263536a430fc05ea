//! What becomes of rows that a server refuses for what is in them: their records are dead letters.

use super::BatchOutcome;
use crate::contract::render::{self, RowsView, ValueWriter};
use crate::job::JobSpec;
use crate::types::{DeadLetter, RefusedRow, Rows};
use std::collections::BTreeSet;

impl BatchOutcome {
    /// The dead letters of rows that a sink's server refused: the record that a row comes from, once
    /// for a sink, however many of its rows are refused. A row of a keyed stage, which comes from many
    /// records, is shown as it is: its key, and its cells as JSON.
    pub fn letters_of(
        &self,
        spec: &JobSpec,
        sink: usize,
        refused: &[RefusedRow],
    ) -> Vec<DeadLetter> {
        let mut seen = BTreeSet::new();
        let mut letters = Vec::new();
        for RefusedRow { row, reason } in refused {
            let Some((at, row)) = self.place_of(sink, *row) else {
                continue;
            };
            let letter = match self.row_chunks[sink].get(at) {
                Some(&chunk) => self.letter_of_record(spec, chunk, &self.rows[sink][at], row),
                None => self.letter_of_row(spec, sink, &self.rows[sink][at], row),
            };
            if letter.origin.is_none_or(|origin| seen.insert(origin)) {
                letters.push(DeadLetter {
                    sink: Some(spec.sinks[sink].name.clone()),
                    reason: reason.clone(),
                    ..letter
                });
            }
        }
        letters
    }

    /// Where a row of a sink is: in which of its parts, and there.
    fn place_of(&self, sink: usize, row: usize) -> Option<(usize, usize)> {
        let mut before = 0;
        for (at, rows) in self.rows.get(sink)?.iter().enumerate() {
            if row < before + rows.len() {
                return Some((at, row - before));
            }
            before += rows.len();
        }
        None
    }

    fn letter_of_record(
        &self,
        spec: &JobSpec,
        chunk: usize,
        rows: &Rows,
        row: usize,
    ) -> DeadLetter {
        let chunk = &self.records[chunk];
        let position = rows.positions[row] as usize;
        let record = chunk.get(position);
        DeadLetter {
            origin: Some((chunk.partition, record.offset)),
            stage: spec.sources[usize::from(chunk.partition.source)]
                .name
                .clone(),
            sink: None,
            reason: String::new(),
            time_ms: record.time_ms,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: chunk.headers.owned(position),
            version: None,
        }
    }

    fn letter_of_row(&self, spec: &JobSpec, sink: usize, rows: &Rows, row: usize) -> DeadLetter {
        let of = &spec.sinks[sink];
        let mut letter = DeadLetter {
            origin: None,
            stage: of.name.clone(),
            sink: None,
            reason: String::new(),
            time_ms: self.times.clock_ms,
            key: None,
            value: None,
            headers: Vec::new(),
            version: None,
        };
        if let Some(row) = RowsView::new(rows, &of.columns).nth(row) {
            let mut value = Vec::new();
            let there = ValueWriter::new(&of.columns).value(&row, &mut value);
            letter.key = row.has_key().then(|| {
                let mut text = Vec::new();
                render::key(&of.keys, &row, &mut text);
                text
            });
            letter.value = there.then_some(value);
        }
        letter
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{SinkSpec, SourceSpec};
    use crate::types::{Chunk, Column, Partition, Record, Spans};

    #[test]
    fn a_refused_rows_record_is_found_and_is_one_letter() {
        let source = |name: &str| SourceSpec {
            name: name.to_owned(),
            ..SourceSpec::default()
        };
        let sink = SinkSpec {
            name: "out".to_owned(),
            keys: vec![crate::job::ColumnSpec::key()],
            ..SinkSpec::default()
        };
        let spec = JobSpec {
            parameters: Vec::new(),
            metrics: Vec::new(),
            name: "j".to_owned(),
            every: std::time::Duration::ZERO,
            sources: vec![source("a"), source("b")],
            stages: Vec::new(),
            sinks: vec![sink],
        };
        let mut chunk = Chunk::new(Partition { source: 1, id: 4 });
        for (offset, value) in [(10, "x"), (11, "y"), (15, "z")] {
            chunk.push(Record {
                offset,
                time_ms: offset,
                key: None,
                value: Some(value.as_bytes()),
                headers: &[],
            });
        }
        let rows = |positions: &[u32], keys: &[&str]| {
            let mut cells = Column::default();
            keys.iter().for_each(|key| cells.push(key.as_bytes()));
            Rows {
                positions: positions.to_vec(),
                cells,
                ..Rows::default()
            }
        };
        let mut outcome = BatchOutcome::begin(&spec, 1, Spans::new());
        outcome.records = vec![Chunk::new(Partition { source: 0, id: 0 }), chunk];
        outcome.rows[0] = vec![
            rows(&[1], &["one"]),
            rows(&[2, 2], &["two", "three"]),
            rows(&[0], &["kept"]),
        ];
        outcome.row_chunks[0] = vec![1, 1];
        let refused = |rows: &[usize]| -> Vec<RefusedRow> {
            let reason = |row: &usize| format!("r{row}");
            rows.iter()
                .map(|row| RefusedRow {
                    row: *row,
                    reason: reason(row),
                })
                .collect()
        };
        let letters = outcome.letters_of(&spec, 0, &refused(&[0, 1, 2, 3, 9]));
        let shown: Vec<_> = letters
            .iter()
            .map(|letter| {
                let text = |part: &Option<Vec<u8>>| {
                    part.as_ref()
                        .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
                };
                let offset = letter.origin.map(|(_, offset)| offset);
                let (key, value) = (text(&letter.key), text(&letter.value));
                (
                    offset,
                    key,
                    value,
                    letter.stage.as_str(),
                    letter.reason.as_str(),
                )
            })
            .collect();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(shown[0], (Some(11), None, some("y"), "b", "r0"));
        assert_eq!(shown[1], (Some(15), None, some("z"), "b", "r1"));
        assert_eq!((shown[2].0, &shown[2].1), (None, &some("kept")));
        assert_eq!(shown.len(), 3, "a record is one letter");
        assert!(
            letters
                .iter()
                .all(|letter| letter.sink.as_deref() == Some("out"))
        );
    }
}
