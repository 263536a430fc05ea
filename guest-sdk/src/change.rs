//! A row to write, or one to delete.

use crate::row::{Row, RowShape, RowWriter};

/// What to do with a row: an item of a stream whose sink is kept in step with its source.
///
/// A deleted row is gone whole from a table, and a record without a value in a topic.
///
/// ```
/// use streamhost::{Change, Job, Record, Row, hbase, job, kafka, testing};
///
/// #[derive(Row)]
/// struct User<'a> {
///     #[row(key)]
///     id: &'a str,
///     #[row("info:name")]
///     name: &'a str,
/// }
///
/// fn parse(record: Record<'_>) -> Result<Change<User<'_>>, String> {
///     let id = record.key_text()?;
///     Ok(if record.has_value() { Change::Put(User { id, name: record.text()? }) } else { Change::Delete(id) })
/// }
///
/// #[job]
/// fn users() -> Job {
///     kafka("users").try_map(parse).to(hbase("users"))
/// }
///
/// let mut job = testing::run(users);
/// job.send("users", [Record::from(("7", "Ada")), Record::without_value().with_key(b"7")]);
/// assert_eq!(job.rows("users"), ["key=7 info:name=Ada", "key=7 (deleted)"]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<R: Row> {
    /// Writes its cells; columns that it lacks stay as they are.
    Put(R),
    /// Deletes the whole row that has this key.
    Delete(R::Key),
}

impl<R: Row> Row for Change<R> {
    type Key = R::Key;
    const SHAPE: RowShape = R::SHAPE;
    const DELETES: bool = true;
    #[inline]
    fn write_key(key: &R::Key, out: &mut RowWriter) {
        R::write_key(key, out);
    }
    #[inline]
    fn write(&self, out: &mut RowWriter) {
        match self {
            Change::Put(row) => row.write(out),
            Change::Delete(key) => {
                R::write_key(key, out);
                out.delete_row(R::SHAPE.columns.len());
            }
        }
    }
}
