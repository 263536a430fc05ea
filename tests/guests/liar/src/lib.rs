//! Describes one column and writes two: what a guest says of itself is not to be believed.

use std::convert::Infallible;
use streamhost::{ColumnDef, Job, Kind, Row, RowShape, RowWriter, hbase, job, kafka};

struct Lie<'a>(&'a str);

impl Row for Lie<'_> {
    type Key = Infallible;
    const SHAPE: RowShape = RowShape {
        keys: &[ColumnDef::key::<str>("key")],
        key_columns: &[ColumnDef::key_column::<str>("key")],
        dynamic: false,
        headers: false,
        columns: &[ColumnDef {
            name: "word:length",
            kind: Kind::Uint,
            optional: false,
        }],
    };

    fn write_key(key: &Infallible, _: &mut RowWriter) {
        match *key {}
    }

    fn write(&self, out: &mut RowWriter) {
        out.key(self.0);
        out.cell(&7u64);
        out.cell(self.0);
    }
}

/// Named as the job that it is to replace.
#[job]
pub fn hostile() -> Job {
    kafka("words")
        .try_map(|record| record.text().map(Lie))
        .to(hbase("words"))
}
