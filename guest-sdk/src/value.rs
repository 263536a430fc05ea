//! The bytes of accumulators and of joined items: serde, in postcard's form.

use crate::columns::ColumnBuf;
use serde::{Deserialize, Serialize};

/// What an accumulator or a joined item must be: it goes through the host in bytes. Derive serde's
/// two traits.
///
/// The bytes do not describe themselves, so all that is read must have been written: no
/// `#[serde(skip_serializing)]` and no `#[serde(skip_serializing_if = "…")]`, however useful these
/// are in JSON.
///
/// They are read back by the very type that wrote them; the host compares what the types of two
/// versions look like before it hands old bytes to a new version. A map is a `BTreeMap`, a set a
/// `BTreeSet`: the hashed ones are in another order each time, so that a replay would differ, and
/// are refused.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot cross to another stage",
    label = "not serialisable",
    note = "put `#[derive(Serialize, Deserialize)]` on it; a borrowed field needs `#[serde(borrow)]` unless it is a `&str` or `&[u8]`"
)]
pub trait Value<'b>: Serialize + Deserialize<'b> {}

impl<'b, T: Serialize + Deserialize<'b>> Value<'b> for T {}

/// Appends a value's bytes as an item. Err: it refuses, and nothing was appended.
#[inline]
pub(crate) fn encode<T: Serialize>(value: &T, out: &mut ColumnBuf) -> Result<(), postcard::Error> {
    let before = out.data.len();
    match postcard::serialize_with_flavor(value, Tail(&mut out.data)) {
        Ok(()) => {
            out.end();
            Ok(())
        }
        Err(error) => {
            out.data.truncate(before);
            Err(error)
        }
    }
}

/// Reads a value that is all there is.
#[inline]
pub(crate) fn decode<'b, T: Deserialize<'b>>(bytes: &'b [u8]) -> Result<T, String> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(format!(
            "{} of its {} bytes are left over",
            rest.len(),
            bytes.len()
        )),
        Err(error) => Err(format!(
            "{error} (does its type leave out a field when it is written?)"
        )),
    }
}

/// Writes at the end of what is there.
struct Tail<'a>(&'a mut Vec<u8>);

impl postcard::ser_flavors::Flavor for Tail<'_> {
    type Output = ();
    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }
    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
    #[inline]
    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_back_and_borrow() {
        let mut out = ColumnBuf::default();
        encode(&("a", 7u64, vec![1.5f64]), &mut out).unwrap();
        encode(&(), &mut out).unwrap();
        let column = out.view();
        assert_eq!(
            decode::<(&str, u64, Vec<f64>)>(column.get(0)),
            Ok(("a", 7, vec![1.5]))
        );
        assert_eq!(decode::<()>(column.get(1)), Ok(()));
    }

    #[test]
    fn what_does_not_fit_is_said() {
        assert!(decode::<u64>(&[]).is_err());
        #[derive(Serialize, Deserialize, Debug)]
        struct Short {
            #[serde(skip_serializing_if = "Option::is_none")]
            n: Option<u8>,
        }
        let mut out = ColumnBuf::default();
        encode(&Short { n: None }, &mut out).unwrap();
        assert!(
            decode::<Short>(out.view().get(0))
                .unwrap_err()
                .contains("leave out a field")
        );
        assert_eq!(
            decode::<u8>(&[1, 2]),
            Err("1 of its 2 bytes are left over".into())
        );
    }
}
