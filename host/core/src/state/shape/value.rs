//! A value's bytes, as postcard writes them, to JSON.

use super::{Holds, Shape};
use crate::limits;
use std::fmt::Write;

/// A value as JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Json {
    /// Its text.
    pub text: String,
    /// Only the beginning is here.
    pub truncated: bool,
}

/// A value as JSON, `bytes_max` of it at most; none where its shape does not tell what it is.
pub fn value_json(shape: &str, bytes: &[u8], bytes_max: usize) -> Option<Json> {
    let shape = Shape::parse(shape)?;
    let mut reader = Reader {
        bytes,
        out: String::new(),
        bytes_max,
        parts: 0,
    };
    match reader.value(&shape, true) {
        Ok(()) if !reader.bytes.is_empty() => return None,
        Err(Stop::Unknown) => return None,
        Ok(()) | Err(Stop::Full) => {}
    }
    let truncated = reader.out.len() > bytes_max || reader.parts > limits::STATE_SHAPE_PARTS_MAX;
    let mut end = bytes_max.min(reader.out.len());
    while !reader.out.is_char_boundary(end) {
        end -= 1;
    }
    reader.out.truncate(end);
    Some(Json {
        text: reader.out,
        truncated,
    })
}

enum Stop {
    /// The bytes are not of the shape, or it does not tell.
    Unknown,
    /// The text is as long as it may be.
    Full,
}

struct Reader<'b> {
    bytes: &'b [u8],
    out: String,
    bytes_max: usize,
    /// How many parts were read: those without bytes would never end by themselves.
    parts: usize,
}

impl<'b> Reader<'b> {
    /// Appends a value. `last`: nothing follows it.
    fn value(&mut self, shape: &Shape, last: bool) -> Result<(), Stop> {
        self.parts += 1;
        if self.out.len() > self.bytes_max || self.parts > limits::STATE_SHAPE_PARTS_MAX {
            return Err(Stop::Full);
        }
        match shape {
            Shape::Unit => self.push("null"),
            Shape::Bool => match self.byte()? {
                0 => self.push("false"),
                1 => self.push("true"),
                _ => return Err(Stop::Unknown),
            },
            Shape::Unsigned(bits) => {
                let number = self.unsigned(*bits)?;
                self.push(&number.to_string());
            }
            Shape::Signed(bits) => {
                let number = self.signed(*bits)?;
                self.push(&number.to_string());
            }
            Shape::Float(bits) => {
                let number = self.float(*bits)?;
                self.push(&number);
            }
            Shape::Char | Shape::Text => {
                let bytes = self.counted()?;
                let text = std::str::from_utf8(bytes).map_err(|_| Stop::Unknown)?;
                self.text(text);
            }
            Shape::Bytes => {
                let bytes = self.counted()?;
                self.bytes(bytes);
            }
            Shape::Option(some) => match self.byte()? {
                0 => self.push("null"),
                1 => self.value(some, last)?,
                _ => return Err(Stop::Unknown),
            },
            Shape::Seq(one) => self.seq(one.as_deref(), last)?,
            Shape::Map(one) => self.map(one.as_deref(), last)?,
            Shape::Tuple(parts) => self.tuple(parts, last)?,
            Shape::Struct(fields) => self.fields(fields, last)?,
            Shape::Enum(variants) => self.variant(variants, last)?,
        }
        Ok(())
    }

    fn seq(&mut self, one: Option<&Shape>, last: bool) -> Result<(), Stop> {
        let count = self.unsigned(64)?;
        self.push("[");
        for i in 0..count {
            let one = one.ok_or(Stop::Unknown)?;
            if i > 0 {
                self.push(",");
            }
            self.value(one, last && i + 1 == count)?;
        }
        self.push("]");
        Ok(())
    }

    /// With texts as keys an object, else a list of pairs.
    fn map(&mut self, one: Option<&(Shape, Shape)>, last: bool) -> Result<(), Stop> {
        let count = self.unsigned(64)?;
        let is_object = one.is_none_or(|(key, _)| matches!(key, Shape::Text | Shape::Char));
        let marks = match is_object {
            true => ["{", "", ":", "", "}"],
            false => ["[", "[", ",", "]", "]"],
        };
        self.push(marks[0]);
        for i in 0..count {
            let (key, value) = one.ok_or(Stop::Unknown)?;
            if i > 0 {
                self.push(",");
            }
            self.push(marks[1]);
            self.value(key, false)?;
            self.push(marks[2]);
            self.value(value, last && i + 1 == count)?;
            self.push(marks[3]);
        }
        self.push(marks[4]);
        Ok(())
    }

    fn tuple(&mut self, parts: &[Shape], last: bool) -> Result<(), Stop> {
        self.push("[");
        for (i, part) in parts.iter().enumerate() {
            if i > 0 {
                self.push(",");
            }
            self.value(part, last && i + 1 == parts.len())?;
        }
        self.push("]");
        Ok(())
    }

    fn fields(&mut self, fields: &[(String, Shape)], last: bool) -> Result<(), Stop> {
        self.push("{");
        for (i, (name, field)) in fields.iter().enumerate() {
            if i > 0 {
                self.push(",");
            }
            self.text(name);
            self.push(":");
            self.value(field, last && i + 1 == fields.len())?;
        }
        self.push("}");
        Ok(())
    }

    /// One of which it is not told what it holds, and that ends the value with no byte behind it,
    /// holds nothing.
    fn variant(&mut self, variants: &[(String, Holds)], last: bool) -> Result<(), Stop> {
        let number = self.unsigned(32)?;
        let variant = usize::try_from(number).ok().and_then(|i| variants.get(i));
        let (name, holds) = variant.ok_or(Stop::Unknown)?;
        match holds {
            Holds::Of(holds) => {
                self.push("{");
                self.text(name);
                self.push(":");
                self.value(holds, last)?;
                self.push("}");
            }
            Holds::Nothing => self.text(name),
            Holds::Unknown if last && self.bytes.is_empty() => self.text(name),
            Holds::Unknown => return Err(Stop::Unknown),
        }
        Ok(())
    }

    fn push(&mut self, text: &str) {
        self.out.push_str(text);
    }

    /// A text in quotes.
    fn text(&mut self, text: &str) {
        self.out
            .push_str(&serde_json::Value::from(text).to_string());
    }

    /// Text where it is UTF-8, else hexadecimal.
    fn bytes(&mut self, bytes: &[u8]) {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.text(text),
            Err(_) => {
                self.push("\"0x");
                for byte in &bytes[..bytes.len().min(self.bytes_max)] {
                    let _ = write!(self.out, "{byte:02x}"); // a String takes all
                }
                self.push("\"");
            }
        }
    }

    fn byte(&mut self) -> Result<u8, Stop> {
        let (&byte, rest) = self.bytes.split_first().ok_or(Stop::Unknown)?;
        self.bytes = rest;
        Ok(byte)
    }

    /// A number: one byte as it is, a longer one seven bits a byte, the lowest first.
    fn unsigned(&mut self, bits: u32) -> Result<u128, Stop> {
        if bits == 8 {
            return Ok(u128::from(self.byte()?));
        }
        let (mut number, mut shift) = (0u128, 0);
        while shift < bits {
            let byte = self.byte()?;
            number |= u128::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
            shift += 7;
        }
        Err(Stop::Unknown)
    }

    fn signed(&mut self, bits: u32) -> Result<i128, Stop> {
        if bits == 8 {
            return Ok(i128::from(self.byte()? as i8));
        }
        let zigzag = self.unsigned(bits)?;
        Ok((zigzag >> 1) as i128 ^ -((zigzag & 1) as i128))
    }

    fn float(&mut self, bits: u32) -> Result<String, Stop> {
        let taken = self.take(bits as usize / 8)?;
        let (text, is_finite) = match (<[u8; 4]>::try_from(taken), <[u8; 8]>::try_from(taken)) {
            (Ok(bytes), _) => {
                let number = f32::from_le_bytes(bytes);
                (number.to_string(), number.is_finite())
            }
            (_, Ok(bytes)) => {
                let number = f64::from_le_bytes(bytes);
                (number.to_string(), number.is_finite())
            }
            _ => return Err(Stop::Unknown),
        };
        // JSON has no infinity.
        Ok(if is_finite {
            text
        } else {
            format!("\"{text}\"")
        })
    }

    fn take(&mut self, length: usize) -> Result<&'b [u8], Stop> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or(Stop::Unknown)?;
        self.bytes = rest;
        Ok(taken)
    }

    /// Bytes behind their length.
    fn counted(&mut self) -> Result<&'b [u8], Stop> {
        let length = self.unsigned(64)?;
        self.take(usize::try_from(length).map_err(|_| Stop::Unknown)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_json_where_their_shape_tells_all() {
        let cases: [(&str, &[u8], Option<&str>); 20] = [
            ("u64", &[0xe8, 0x07], Some("1000")),
            ("i64", &[0x03], Some("-2")),
            ("i8", &[0xff], Some("-1")),
            ("bool", &[1], Some("true")),
            ("()", &[], Some("null")),
            ("f32", &1.1f32.to_le_bytes(), Some("1.1")),
            ("f64", &f64::INFINITY.to_le_bytes(), Some("\"inf\"")),
            (
                "{n:u8,name:text}",
                b"\x07\x02a\"",
                Some(r#"{"n":7,"name":"a\""}"#),
            ),
            ("map[text,u8]", b"\x01\x01a\x05", Some(r#"{"a":5}"#)),
            ("map[u8,u8]", &[1, 2, 3], Some("[[2,3]]")),
            ("[option u8]", &[2, 0, 1, 9], Some("[null,9]")),
            ("bytes", &[2, 0xff, 0], Some("\"0xff00\"")),
            ("enum E(A|B)u8", &[0, 7], Some(r#"{"A":7}"#)),
            ("enum E(A|B)u8", &[1], Some("\"B\"")),
            ("enum E(A|B)u8", &[1, 7], None), // what B holds is not told
            ("enum E(A|B)<u8|i32>", &[1, 5], Some(r#"{"B":-3}"#)),
            ("(enum E(A|B|C)<|u8|>,u8)", &[2, 7], Some(r#"["C",7]"#)),
            ("(enum E(A|B)<|_>,u8)", &[0, 7], Some(r#"["A",7]"#)),
            ("(enum E(A|B)<|_>,u8)", &[1, 7], None),
            ("u8", &[1, 2], None),
        ];
        for (shape, bytes, want) in cases {
            let json = value_json(shape, bytes, 1000).map(|json| json.text);
            assert_eq!(json.as_deref(), want, "{shape} {bytes:?}");
        }
        assert_eq!(value_json("(u8,?", &[1, 2], 1000), None);
    }

    #[test]
    fn a_long_value_is_cut_and_one_that_lies_of_its_length_is_none() {
        let json = value_json("text", b"\x05\xc3\xa4\xc3\xa4x", 4).unwrap();
        assert_eq!(
            (json.text.as_str(), json.truncated),
            ("\"äää"[..3].into(), true)
        );
        assert_eq!(value_json("text", &[0xff; 12], 9), None);
        let endless = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
        assert!(value_json("[()]", &endless, 100).unwrap().truncated);
        assert_eq!(value_json("[u64]", &endless, 100), None);
    }
}
