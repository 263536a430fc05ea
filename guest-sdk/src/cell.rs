//! What one column of one row may hold, and what may be part of a key.

use std::borrow::Cow;
use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// What a cell holds. Numbers cross as 8 bytes, little-endian; the sink renders them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// UTF-8.
    Text,
    /// Any bytes.
    Bytes,
    /// `i64`.
    Int,
    /// `u64`.
    Uint,
    /// `f64`.
    Float,
    /// `bool`, one byte.
    Bool,
    /// `i64`, milliseconds since 1970.
    Time,
    /// The text of one JSON value.
    Json,
}

/// What became of a cell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Put {
    /// Its bytes were appended.
    There,
    /// There is none, and nothing was appended.
    Absent,
    /// It is to be deleted, and nothing was appended.
    Deleted,
}

/// What a column may hold. Types of your own may implement it by way of one that does:
///
/// ```
/// use streamhost::{Cell, Kind, Put};
///
/// enum Item { Book, Page }
///
/// impl Cell for Item {
///     const KIND: Kind = <str as Cell>::KIND;
///     fn put(&self, out: &mut Vec<u8>) -> Put {
///         match self { Item::Book => "book", Item::Page => "page" }.put(out)
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "a field of type `{Self}` cannot be a column",
    label = "not a column's type",
    note = "columns are text (`&str`, `String`, `Cow<str>`), bytes (`&[u8]`, `Vec<u8>`), integers, `f64`, `f32`, `bool`, `Time`, or an `Option` or `Edit` of these",
    note = "`#[row(skip)]` leaves a field out, `#[row(dynamic)]` takes pairs of a column's name and its value"
)]
pub trait Cell {
    /// What its bytes are.
    const KIND: Kind;
    /// Some rows may lack it.
    const OPTIONAL: bool = false;
    /// Appends the cell's bytes.
    fn put(&self, out: &mut Vec<u8>) -> Put;
}

/// What a key is made of: text and bytes as they are, numbers as decimal digits.
#[diagnostic::on_unimplemented(
    message = "a field of type `{Self}` cannot be part of a key",
    label = "not a key's type",
    note = "keys are text (`&str`, `String`, `Cow<str>`), bytes (`&[u8]`, `Vec<u8>`), integers or `Time`; floats are not, as equal ones may be written in two ways",
    note = "a key cannot be missing: check it in `.try_map(…)`, where an `Err` sets the record aside"
)]
pub trait KeyPart {
    /// Its bytes are UTF-8, always.
    const IS_TEXT: bool = true;
    /// What it is where keys are columns of a table.
    const KIND: Kind = if Self::IS_TEXT {
        Kind::Text
    } else {
        Kind::Bytes
    };
    /// Appends the part's bytes.
    fn put_key(&self, out: &mut Vec<u8>);
    /// Appends the bytes of a cell of [`KeyPart::KIND`].
    #[inline]
    fn put_key_column(&self, out: &mut Vec<u8>) {
        self.put_key(out);
    }
}

/// Milliseconds since 1970.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize,
)]
pub struct Time(pub i64);

impl Time {
    /// A time in seconds since 1970. One that is too far away becomes the last or first there is,
    /// and a record of that time is set aside.
    ///
    /// ```
    /// # use streamhost::Time;
    /// assert_eq!(Time::from_secs(1_735_689_600), Time::from_millis(1_735_689_600_000));
    /// ```
    pub const fn from_secs(seconds: i64) -> Time {
        Time(seconds.saturating_mul(1000))
    }

    /// A time in milliseconds since 1970.
    pub const fn from_millis(milliseconds: i64) -> Time {
        Time(milliseconds)
    }

    /// A time as RFC 3339 writes it, with its offset. What is finer than a millisecond is left out.
    ///
    /// ```
    /// # use streamhost::Time;
    /// assert_eq!(Time::from_rfc3339("2025-01-01T01:00:00.5+01:00"), Ok(Time(1_735_689_600_500)));
    /// assert_eq!(
    ///     Time::from_rfc3339("noon").unwrap_err().to_string(),
    ///     "`noon` is no time in RFC 3339, such as `2025-01-31T12:00:00Z`"
    /// );
    /// ```
    pub fn from_rfc3339(text: &str) -> Result<Time, TimeError> {
        let time: Result<jiff::Timestamp, _> = text.parse();
        time.map(|time| Time(time.as_millisecond()))
            .map_err(|_| TimeError(text.chars().take(TIME_SHOWN_CHARS_MAX).collect()))
    }
}

/// So much later. What is too far away becomes the last time there is.
impl Add<Duration> for Time {
    type Output = Time;
    fn add(self, later: Duration) -> Time {
        let ms = i64::try_from(later.as_millis()).unwrap_or(i64::MAX);
        Time(self.0.saturating_add(ms))
    }
}

/// So much earlier. What is too far away becomes the first time there is.
impl Sub<Duration> for Time {
    type Output = Time;
    fn sub(self, earlier: Duration) -> Time {
        let ms = i64::try_from(earlier.as_millis()).unwrap_or(i64::MAX);
        Time(self.0.saturating_sub(ms))
    }
}

/// So much of what is no time is repeated.
const TIME_SHOWN_CHARS_MAX: usize = 64;

/// What [`Time::from_rfc3339`] says of a text that is no time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeError(String);

impl fmt::Display for TimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TimeError(text) = self;
        write!(
            f,
            "`{text}` is no time in RFC 3339, such as `2025-01-31T12:00:00Z`"
        )
    }
}

impl std::error::Error for TimeError {}

/// What to do with one column of a row that may be there already.
///
/// ```
/// use streamhost::{Edit, Row};
///
/// #[derive(Row)]
/// struct Profile<'a> {
///     #[row(key)]
///     user: &'a str,
///     #[row("info:email")]
///     email: Edit<&'a str>, // Edit::Delete takes the cell away
/// }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Edit<T> {
    /// Leaves it as it is.
    #[default]
    Keep,
    /// Writes it.
    Set(T),
    /// Deletes it.
    Delete,
}

impl Cell for str {
    const KIND: Kind = Kind::Text;
    #[inline]
    fn put(&self, out: &mut Vec<u8>) -> Put {
        self.as_bytes().put(out)
    }
}

impl Cell for [u8] {
    const KIND: Kind = Kind::Bytes;
    #[inline]
    fn put(&self, out: &mut Vec<u8>) -> Put {
        out.extend_from_slice(self);
        Put::There
    }
}

impl KeyPart for str {
    #[inline]
    fn put_key(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }
}

impl KeyPart for [u8] {
    const IS_TEXT: bool = false;
    #[inline]
    fn put_key(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

/// Types that stand for one that is a cell.
macro_rules! as_another {
    ($([$($generics:tt)*] $own:ty => $other:ty, |$value:ident| $convert:expr;)*) => { $(
        impl<$($generics)*> Cell for $own {
            const KIND: Kind = <$other as Cell>::KIND;
            #[inline]
            fn put(&self, out: &mut Vec<u8>) -> Put {
                let $value = self;
                <$other as Cell>::put($convert, out)
            }
        }
        impl<$($generics)*> KeyPart for $own {
            const IS_TEXT: bool = <$other as KeyPart>::IS_TEXT;
            const KIND: Kind = <$other as KeyPart>::KIND;
            #[inline]
            fn put_key(&self, out: &mut Vec<u8>) {
                let $value = self;
                <$other as KeyPart>::put_key($convert, out)
            }
            #[inline]
            fn put_key_column(&self, out: &mut Vec<u8>) {
                let $value = self;
                <$other as KeyPart>::put_key_column($convert, out)
            }
        }
    )* };
}
as_another! {
    [] String => str, |s| s;
    ['a] Cow<'a, str> => str, |s| s;
    [] Vec<u8> => [u8], |b| b;
    ['a] Cow<'a, [u8]> => [u8], |b| b;
    [const N: usize] [u8; N] => [u8], |b| b;
    [] u8 => u64, |n| &u64::from(*n);
    [] u16 => u64, |n| &u64::from(*n);
    [] u32 => u64, |n| &u64::from(*n);
    [] usize => u64, |n| &(*n as u64);
    [] i8 => i64, |n| &i64::from(*n);
    [] i16 => i64, |n| &i64::from(*n);
    [] i32 => i64, |n| &i64::from(*n);
}

macro_rules! numbers {
    ($($number:ty => $kind:ident;)*) => { $(
        impl Cell for $number {
            const KIND: Kind = Kind::$kind;
            #[inline]
            fn put(&self, out: &mut Vec<u8>) -> Put {
                out.extend_from_slice(&self.to_le_bytes());
                Put::There
            }
        }
    )* };
}
numbers! { u64 => Uint; i64 => Int; f64 => Float; }

/// As the `f64` of the same value, which may show more digits: `0.1f32` is 0.10000000149011612.
impl Cell for f32 {
    const KIND: Kind = Kind::Float;
    #[inline]
    fn put(&self, out: &mut Vec<u8>) -> Put {
        f64::from(*self).put(out)
    }
}

impl Cell for bool {
    const KIND: Kind = Kind::Bool;
    #[inline]
    fn put(&self, out: &mut Vec<u8>) -> Put {
        out.push(u8::from(*self));
        Put::There
    }
}

impl Cell for Time {
    const KIND: Kind = Kind::Time;
    #[inline]
    fn put(&self, out: &mut Vec<u8>) -> Put {
        self.0.put(out)
    }
}

/// A value that becomes JSON: in a JSON object it is a value of its own, elsewhere its text.
///
/// ```
/// use streamhost::{Json, Row};
///
/// #[derive(Row)]
/// struct Order<'a> {
///     #[row(key)]
///     id: &'a str,
///     items: Json<Vec<&'a str>>, // {"items":["book","page"]} in a topic
/// }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Json<T>(pub T);

/// What serde cannot write as JSON (a map whose keys are no text) is `null`.
impl<T: serde::Serialize> Cell for Json<T> {
    const KIND: Kind = Kind::Json;
    fn put(&self, out: &mut Vec<u8>) -> Put {
        let from = out.len();
        if serde_json::to_writer(&mut *out, &self.0).is_err() {
            out.truncate(from);
            out.extend_from_slice(b"null");
        }
        Put::There
    }
}

impl<T: Cell + ?Sized> Cell for &T {
    const KIND: Kind = T::KIND;
    const OPTIONAL: bool = T::OPTIONAL;
    #[inline]
    fn put(&self, out: &mut Vec<u8>) -> Put {
        (**self).put(out)
    }
}

/// `None`: no cell is written, and one that is there already stays.
impl<T: Cell> Cell for Option<T> {
    const KIND: Kind = T::KIND;
    const OPTIONAL: bool = true;
    #[inline]
    fn put(&self, out: &mut Vec<u8>) -> Put {
        match self {
            Some(value) => value.put(out),
            None => Put::Absent,
        }
    }
}

impl<T: Cell> Cell for Edit<T> {
    const KIND: Kind = T::KIND;
    const OPTIONAL: bool = true;
    #[inline]
    fn put(&self, out: &mut Vec<u8>) -> Put {
        match self {
            Edit::Keep => Put::Absent,
            Edit::Set(value) => value.put(out),
            Edit::Delete => Put::Deleted,
        }
    }
}

impl<T: KeyPart + ?Sized> KeyPart for &T {
    const IS_TEXT: bool = T::IS_TEXT;
    const KIND: Kind = T::KIND;
    #[inline]
    fn put_key(&self, out: &mut Vec<u8>) {
        (**self).put_key(out);
    }
    #[inline]
    fn put_key_column(&self, out: &mut Vec<u8>) {
        (**self).put_key_column(out);
    }
}

impl KeyPart for u64 {
    const KIND: Kind = Kind::Uint;
    #[inline]
    fn put_key_column(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }
    #[inline]
    fn put_key(&self, out: &mut Vec<u8>) {
        let mut digits = [0; 20]; // u64::MAX has 20
        let mut from = digits.len();
        let mut rest = *self;
        loop {
            from -= 1;
            digits[from] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        out.extend_from_slice(&digits[from..]);
    }
}

impl KeyPart for i64 {
    const KIND: Kind = Kind::Int;
    #[inline]
    fn put_key_column(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }
    #[inline]
    fn put_key(&self, out: &mut Vec<u8>) {
        if *self < 0 {
            out.push(b'-');
        }
        self.unsigned_abs().put_key(out);
    }
}

impl KeyPart for Time {
    const KIND: Kind = Kind::Time;
    #[inline]
    fn put_key(&self, out: &mut Vec<u8>) {
        self.0.put_key(out);
    }
    #[inline]
    fn put_key_column(&self, out: &mut Vec<u8>) {
        self.0.put_key_column(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_keys_are_written_as_display_writes_them() {
        for n in [i64::MIN, -10, -1, 0, 1, 9, 10, 12_345, i64::MAX] {
            let mut out = Vec::new();
            n.put_key(&mut out);
            assert_eq!(out, n.to_string().as_bytes());
        }
        let mut out = Vec::new();
        u64::MAX.put_key(&mut out);
        assert_eq!(out, u64::MAX.to_string().as_bytes());
    }
}
