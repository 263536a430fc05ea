//! Headers of records, and of rows where the sink has them.

use crate::cell::KeyPart;
use crate::columns::{Column, ColumnBuf};

/// A record's headers: names with values, as Kafka has them. Most records have none.
///
/// ```
/// # use streamhost::Record;
/// let record = Record::from("42,book").with_headers(&[("trace", b"a1"), ("trace", b"b2")]);
/// assert_eq!(record.headers().text("trace"), Some("b2"));
/// assert_eq!(record.headers().iter().count(), 2);
/// assert_eq!(record.headers().get("other"), None);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers<'b>(Kept<'b>);

#[derive(Clone, Copy, Debug, Default)]
enum Kept<'b> {
    #[default]
    None,
    /// Of a call, from one of them to another.
    Call(&'b CallHeaders<'b>, usize, usize),
    /// A test's own.
    Own(&'b [(&'b str, &'b [u8])]),
}

/// The headers of a call's records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallHeaders<'b> {
    pub(crate) positions: &'b [u32],
    pub(crate) names: Column<'b>,
    pub(crate) values: Column<'b>,
    pub(crate) absent: &'b [u32],
}

impl<'b> CallHeaders<'b> {
    /// The headers of the record at this position. Asked for in ascending order: `from` is where
    /// the one before ended.
    #[inline]
    pub(crate) fn next(&'b self, position: u32, from: &mut usize) -> Headers<'b> {
        let begin = *from;
        if self.positions.get(begin).is_none_or(|at| *at != position) {
            return Headers(Kept::None);
        }
        while self.positions.get(*from) == Some(&position) {
            *from += 1;
        }
        Headers(Kept::Call(self, begin, *from))
    }
}

impl<'b> Headers<'b> {
    pub(crate) const fn own(headers: &'b [(&'b str, &'b [u8])]) -> Self {
        Headers(Kept::Own(headers))
    }

    /// All of them in their order: name, and value if there is one.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = (&'b str, Option<&'b [u8]>)> {
        let count = match self.0 {
            Kept::None => 0,
            Kept::Call(_, from, to) => to - from,
            Kept::Own(own) => own.len(),
        };
        (0..count).map(move |i| match self.0 {
            Kept::None => ("", None),
            Kept::Call(all, from, _) => {
                let at = from + i;
                let name = std::str::from_utf8(all.names.get(at)).unwrap_or_default();
                let is_there = all.absent.binary_search(&(at as u32)).is_err();
                (name, is_there.then(|| all.values.get(at)))
            }
            Kept::Own(own) => (own[i].0, Some(own[i].1)),
        })
    }

    /// The value of this name; of several the last one's, as Kafka's clients take it. None: there
    /// is no such header, or it has no value.
    pub fn get(self, name: &str) -> Option<&'b [u8]> {
        let (_, value) = self.iter().rfind(|(found, _)| *found == name)?;
        value
    }

    /// The same as text; none too where it is not UTF-8.
    pub fn text(self, name: &str) -> Option<&'b str> {
        std::str::from_utf8(self.get(name)?).ok()
    }

    /// There are none.
    pub fn is_empty(self) -> bool {
        self.iter().next().is_none()
    }
}

/// The same names and values in the same order.
impl PartialEq for Headers<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Headers<'_> {}

/// What a header of a row may be: what may be a key, written the same, or an `Option` of it. `None`:
/// the row has no such header.
pub trait HeaderValue {
    /// Appends its bytes, and says whether it is there.
    fn put_header(&self, out: &mut Vec<u8>) -> bool;
}

impl<K: KeyPart> HeaderValue for K {
    fn put_header(&self, out: &mut Vec<u8>) -> bool {
        self.put_key(out);
        true
    }
}

impl<K: KeyPart> HeaderValue for Option<K> {
    fn put_header(&self, out: &mut Vec<u8>) -> bool {
        self.as_ref().is_some_and(|value| value.put_header(out))
    }
}

/// Headers of rows on their way out.
#[derive(Default, Debug)]
pub(crate) struct HeadersOut {
    pub(crate) positions: Vec<u32>,
    pub(crate) names: ColumnBuf,
    pub(crate) values: ColumnBuf,
    pub(crate) absent: Vec<u32>,
}

impl HeadersOut {
    pub(crate) fn push<V: HeaderValue + ?Sized>(&mut self, row: u32, name: &str, value: &V) {
        if value.put_header(&mut self.values.data) {
            self.values.end();
            self.names.push(name.as_bytes());
            self.positions.push(row);
        }
    }

    pub(crate) fn push_all(&mut self, row: u32, headers: Headers<'_>) {
        for (name, value) in headers.iter() {
            if value.is_none() {
                self.absent.push(self.positions.len() as u32);
            }
            self.values.push(value.unwrap_or_default());
            self.names.push(name.as_bytes());
            self.positions.push(row);
        }
    }

    /// Keeps those of the rows before this one.
    pub(crate) fn truncate(&mut self, row: u32) {
        let kept = self.positions.partition_point(|&at| at < row);
        self.positions.truncate(kept);
        self.names.truncate(kept);
        self.values.truncate(kept);
        self.absent
            .truncate(self.absent.partition_point(|&at| (at as usize) < kept));
    }
}
