//! A key's bytes: equal keys have equal bytes, and each reads back without a copy. The host hashes,
//! stores and sorts them, and reads nothing in them.
//!
//! Numbers sort as they count, and so does text that stands last; elsewhere text has its length in
//! front: escaping it instead would sort too, but a borrowed key that needs escaping could not be
//! lent.

use crate::cell::Time;
use crate::limits::KEYED_KEY_BYTES_MAX;
use std::borrow::Cow;

/// What [`key_by`](crate::Stream::key_by) takes: text, bytes, integers, `bool`, [`Time`], `()`,
/// tuples of up to four of these, and structs with [`#[derive(Key)]`](derive@crate::Key).
///
/// Keys that borrow (`&str`, `&[u8]`) borrow from the batch, and are never copied on their way.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a key",
    label = "not a key",
    note = "keys are text, bytes, integers, `bool`, `Time`, `()`, tuples of up to four of these, or structs with `#[derive(Key)]`",
    note = "a float is no key, as it may not equal itself: round it to an integer"
)]
pub trait Key<'b>: Sized {
    /// What the bytes look like, as text: state is carried on only under keys of one shape.
    fn shape() -> String;
    /// Appends the key's bytes. `last`: nothing follows them, so that text needs no length.
    fn write(&self, last: bool, out: &mut Vec<u8>);
    /// Takes a key from the front of `bytes`. None: there is none.
    fn read(bytes: &mut &'b [u8], last: bool) -> Option<Self>;
    /// What `write` would write last, where it is there already.
    #[inline]
    fn lend(&self) -> Option<&[u8]> {
        None
    }
    /// Appends the bytes of the key that stands in a record's key as text: text and bytes as they
    /// are, integers in decimal. Err: it is none, in words. A table's record without a value
    /// deletes by it.
    fn from_text(text: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        let _ = (text, out);
        Err(format!(
            "a table whose key is {} cannot tell it from a record's key: it has several parts",
            Self::shape()
        ))
    }
}

/// Why a longer one is set aside.
#[cold]
pub(crate) fn too_long(bytes: usize) -> String {
    format!("the key has {bytes} bytes, of {KEYED_KEY_BYTES_MAX} at most")
}

/// Reads a key that is all there is.
pub(crate) fn read_whole<'b, K: Key<'b>>(mut bytes: &'b [u8]) -> Option<K> {
    let key = K::read(&mut bytes, true)?;
    bytes.is_empty().then_some(key)
}

#[inline]
fn put_bytes(bytes: &[u8], last: bool, out: &mut Vec<u8>) {
    if !last {
        out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    }
    out.extend_from_slice(bytes);
}

#[inline]
fn take_bytes<'b>(bytes: &mut &'b [u8], last: bool) -> Option<&'b [u8]> {
    if last {
        return Some(std::mem::take(bytes));
    }
    let (len, rest) = bytes.split_first_chunk()?;
    let (item, rest) = rest.split_at_checked(u32::from_be_bytes(*len) as usize)?;
    *bytes = rest;
    Some(item)
}

#[inline]
fn take_text<'b>(bytes: &mut &'b [u8], last: bool) -> Option<&'b str> {
    std::str::from_utf8(take_bytes(bytes, last)?).ok()
}

fn checked_text(text: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(text)
        .map_err(|e| format!("the key is not UTF-8 at byte {}", e.valid_up_to()))
}

/// Text and bytes, borrowed and owned.
macro_rules! lent {
    ($($own:ty, $shape:literal, $take:ident, $check:expr;)*) => { $(
        impl<'b> Key<'b> for $own {
            fn shape() -> String {
                $shape.into()
            }
            #[inline]
            fn write(&self, last: bool, out: &mut Vec<u8>) {
                put_bytes(self.as_ref(), last, out);
            }
            #[inline]
            fn read(bytes: &mut &'b [u8], last: bool) -> Option<Self> {
                $take(bytes, last).map(Into::into)
            }
            #[inline]
            fn lend(&self) -> Option<&[u8]> {
                let bytes: &[u8] = self.as_ref();
                Some(bytes)
            }
            fn from_text(text: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
                let check: fn(&[u8]) -> Result<(), String> = $check;
                check(text)?;
                out.extend_from_slice(text);
                Ok(())
            }
        }
    )* };
}

fn any(_: &[u8]) -> Result<(), String> {
    Ok(())
}

fn utf8(text: &[u8]) -> Result<(), String> {
    checked_text(text).map(|_| ())
}

lent! {
    &'b str, "text", take_text, utf8;
    String, "text", take_text, utf8;
    &'b [u8], "bytes", take_bytes, any;
    Vec<u8>, "bytes", take_bytes, any;
}

impl<'b> Key<'b> for Cow<'b, str> {
    fn shape() -> String {
        "text".into()
    }
    #[inline]
    fn write(&self, last: bool, out: &mut Vec<u8>) {
        put_bytes(self.as_bytes(), last, out);
    }
    #[inline]
    fn read(bytes: &mut &'b [u8], last: bool) -> Option<Self> {
        take_text(bytes, last).map(Cow::Borrowed)
    }
    #[inline]
    fn lend(&self) -> Option<&[u8]> {
        Some(self.as_bytes())
    }
    fn from_text(text: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        <&str>::from_text(text, out)
    }
}

macro_rules! integers {
    ($($own:ty)*) => { $(
        /// Big-endian, the least number first, so that keys sort as numbers do.
        impl<'b> Key<'b> for $own {
            fn shape() -> String {
                stringify!($own).into()
            }
            #[inline]
            fn write(&self, _: bool, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.wrapping_sub(<$own>::MIN).to_be_bytes());
            }
            #[inline]
            fn read(bytes: &mut &'b [u8], _: bool) -> Option<Self> {
                let (number, rest) = bytes.split_first_chunk()?;
                *bytes = rest;
                Some(<$own>::from_be_bytes(*number).wrapping_add(<$own>::MIN))
            }
            fn from_text(text: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
                let text = checked_text(text)?;
                let number: $own = text.parse().map_err(|e| format!("the key `{text}` is no {}: {e}", Self::shape()))?;
                number.write(true, out);
                Ok(())
            }
        }
    )* };
}
integers! { u8 u16 u32 u64 i8 i16 i32 i64 }

impl<'b> Key<'b> for bool {
    fn shape() -> String {
        "bool".into()
    }
    #[inline]
    fn write(&self, _: bool, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    #[inline]
    fn read(bytes: &mut &'b [u8], last: bool) -> Option<Self> {
        match u8::read(bytes, last)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
    fn from_text(text: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        match text {
            b"true" => out.push(1),
            b"false" => out.push(0),
            _ => {
                return Err(format!(
                    "the key `{}` is neither `true` nor `false`",
                    String::from_utf8_lossy(text)
                ));
            }
        }
        Ok(())
    }
}

impl<'b> Key<'b> for Time {
    fn shape() -> String {
        "time".into()
    }
    #[inline]
    fn write(&self, last: bool, out: &mut Vec<u8>) {
        self.0.write(last, out);
    }
    #[inline]
    fn read(bytes: &mut &'b [u8], last: bool) -> Option<Self> {
        i64::read(bytes, last).map(Time)
    }
    fn from_text(text: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        i64::from_text(text, out)
    }
}

/// One key for everything.
impl<'b> Key<'b> for () {
    fn shape() -> String {
        "()".into()
    }
    #[inline]
    fn write(&self, _: bool, _: &mut Vec<u8>) {}
    #[inline]
    fn read(_: &mut &'b [u8], _: bool) -> Option<Self> {
        Some(())
    }
    fn from_text(_: &[u8], _: &mut Vec<u8>) -> Result<(), String> {
        Ok(())
    }
}

macro_rules! tuples {
    ($(($($before:ident $at:tt),*; $last:ident $end:tt))*) => { $(
        impl<'b, $($before: Key<'b>,)* $last: Key<'b>> Key<'b> for ($($before,)* $last,) {
            fn shape() -> String {
                let parts = [$($before::shape(),)* $last::shape()];
                format!("({})", parts.join(", "))
            }
            #[inline]
            fn write(&self, last: bool, out: &mut Vec<u8>) {
                $(self.$at.write(false, out);)*
                self.$end.write(last, out);
            }
            #[inline]
            fn read(bytes: &mut &'b [u8], last: bool) -> Option<Self> {
                Some(($($before::read(bytes, false)?,)* $last::read(bytes, last)?,))
            }
        }
    )* };
}
tuples! { (A 0; B 1) (A 0, B 1; C 2) (A 0, B 1, C 2; D 3) }

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<'b>(key: &impl Key<'b>) -> Vec<u8> {
        let mut out = Vec::new();
        key.write(true, &mut out);
        out
    }

    #[test]
    fn unequal_keys_have_unequal_bytes_and_read_back() {
        let keys = [
            ("", "ab"),
            ("a", "b"),
            ("ab", ""),
            ("a\0", "b"),
            ("a", "\0b"),
        ]
        .map(|(a, b)| (a, 7i64, b));
        let written = keys.map(|key| bytes(&key));
        for (i, key) in keys.iter().enumerate() {
            assert_eq!(read_whole::<(&str, i64, &str)>(&written[i]), Some(*key));
            assert!(written.iter().skip(i + 1).all(|other| *other != written[i]));
        }
        assert_eq!(
            read_whole::<(&str, i64)>(&written[1]),
            None,
            "something is left over"
        );
    }

    #[test]
    fn numbers_sort_as_they_count() {
        let written = [i64::MIN, -2, -1, 0, 1, 255, 256, i64::MAX].map(|n| bytes(&n));
        assert!(written.is_sorted());
        assert_eq!(read_whole::<i64>(&written[1]), Some(-2));
        assert_eq!(read_whole::<u8>(&bytes(&200u8)), Some(200));
        assert_eq!(read_whole::<bool>(&[2]), None);
    }

    #[test]
    fn what_is_lent_is_what_is_written() {
        assert_eq!("é".lend(), Some(&bytes(&"é")[..]));
        assert_eq!(String::from("é").lend(), Some(&bytes(&"é")[..]));
        assert_eq!(vec![1u8, 2].lend(), Some(&[1u8, 2][..]));
        assert_eq!(Cow::from("é").lend(), Some(&bytes(&"é")[..]));
        assert_eq!(7u64.lend(), None);
    }

    #[test]
    fn a_records_key_is_a_key_as_text() {
        let read = |text: &str, f: fn(&[u8], &mut Vec<u8>) -> Result<(), String>| {
            let mut out = Vec::new();
            f(text.as_bytes(), &mut out).map(|()| out)
        };
        assert_eq!(read("-12", i32::from_text), Ok(bytes(&-12i32)));
        assert_eq!(read("ab", <&str>::from_text), Ok(bytes(&"ab")));
        assert_eq!(read("true", bool::from_text), Ok(vec![1]));
        assert_eq!(
            read("x", u64::from_text).unwrap_err(),
            "the key `x` is no u64: invalid digit found in string"
        );
        assert!(
            read("x", <(u64, u64)>::from_text)
                .unwrap_err()
                .contains("(u64, u64)")
        );
        assert!(
            <&str>::from_text(b"\xff", &mut Vec::new())
                .unwrap_err()
                .contains("UTF-8")
        );
    }
}
