//! A key's bytes, as the SDK writes them, to text and back.
//!
//! Numbers are big-endian with the least one first, and text that does not stand last has its
//! length in front.

use super::Shape;
use serde_json::Value;

/// A key as text: text as it is, numbers in decimal, several parts as a JSON list. None where it is
/// bytes, or its shape does not tell.
pub fn key_text(shape: &str, bytes: &[u8]) -> Option<String> {
    let (shape, mut rest) = (Shape::parse(shape)?, bytes);
    let value = read(&shape, &mut rest, true)?;
    if !rest.is_empty() {
        return None;
    }
    Some(match value {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    })
}

/// The bytes of a key that is given as text, in the form that [`key_text`] gives; unless it is the
/// `whole` key, of how it begins. Err: it cannot be a key of this shape, in words.
pub fn key_bytes(shape: &str, text: &str, whole: bool) -> Result<Vec<u8>, String> {
    let Some(parsed) = Shape::parse(shape) else {
        return Ok(text.as_bytes().to_vec());
    };
    let mut out = Vec::new();
    let parts: Vec<&Shape> = match &parsed {
        Shape::Tuple(parts) => parts.iter().collect(),
        Shape::Struct(fields) => fields.iter().map(|(_, part)| part).collect(),
        one => {
            let number = || text.trim().parse().map(Value::Number).ok();
            let value = match one {
                Shape::Text | Shape::Bytes => Some(Value::from(text)),
                Shape::Unit => Some(Value::Null),
                Shape::Bool => text.trim().parse().map(Value::Bool).ok(),
                _ => number(),
            };
            let put = value.and_then(|value| write(one, &value, true, &mut out));
            return put.map(|()| out).ok_or_else(|| no_key(shape, text));
        }
    };
    let given = match serde_json::from_str(text) {
        Ok(Value::Array(given)) => given,
        // How it begins, in the words of its first part.
        Ok(first @ Value::Number(_)) if !whole => vec![first],
        _ if !whole && !text.trim_start().starts_with('[') => vec![Value::from(text)],
        _ => return Err(no_key(shape, text)),
    };
    if given.len() > parts.len() || whole && given.len() < parts.len() {
        return Err(no_key(shape, text));
    }
    for (i, (part, value)) in parts.iter().zip(&given).enumerate() {
        write(part, value, i + 1 == parts.len(), &mut out).ok_or_else(|| no_key(shape, text))?;
    }
    Ok(out)
}

fn no_key(shape: &str, text: &str) -> String {
    let text: String = text.chars().take(200).collect();
    let how = match shape.starts_with(['(', '{']) && shape != "()" {
        true => ": give its parts as a JSON list, such as [\"a\",1]",
        false => "",
    };
    format!("`{text}` is no key here: keys are `{shape}`{how}")
}

fn read(shape: &Shape, bytes: &mut &[u8], last: bool) -> Option<Value> {
    Some(match shape {
        Shape::Unit => Value::Null,
        Shape::Bool => match take(bytes, 1)? {
            [0] => Value::Bool(false),
            [1] => Value::Bool(true),
            _ => return None,
        },
        Shape::Text => Value::from(std::str::from_utf8(counted(bytes, last)?).ok()?),
        Shape::Unsigned(bits) => Value::from(number(bytes, *bits)?),
        Shape::Signed(bits) => {
            // The least number comes first.
            let least = 1i128.checked_shl(bits - 1)?;
            let signed = i128::from(number(bytes, *bits)?) - least;
            Value::from(i64::try_from(signed).ok()?)
        }
        Shape::Tuple(parts) => {
            let mut values = Vec::new();
            for (i, part) in parts.iter().enumerate() {
                values.push(read(part, bytes, last && i + 1 == parts.len())?);
            }
            Value::Array(values)
        }
        Shape::Struct(fields) => {
            let mut values = Vec::new();
            for (i, (_, part)) in fields.iter().enumerate() {
                values.push(read(part, bytes, last && i + 1 == fields.len())?);
            }
            Value::Array(values)
        }
        _ => return None,
    })
}

fn take<'b>(bytes: &mut &'b [u8], length: usize) -> Option<&'b [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

fn counted<'b>(bytes: &mut &'b [u8], last: bool) -> Option<&'b [u8]> {
    if last {
        return Some(std::mem::take(bytes));
    }
    let length = <[u8; 4]>::try_from(take(bytes, 4)?).ok()?;
    take(bytes, u32::from_be_bytes(length) as usize)
}

fn number(bytes: &mut &[u8], bits: u32) -> Option<u64> {
    let bytes = take(bytes, bits as usize / 8)?;
    (bytes.len() <= 8).then(|| {
        bytes
            .iter()
            .fold(0, |number, &byte| number << 8 | u64::from(byte))
    })
}

fn write(shape: &Shape, value: &Value, last: bool, out: &mut Vec<u8>) -> Option<()> {
    match shape {
        Shape::Unit => {}
        Shape::Bool => out.push(u8::from(value.as_bool()?)),
        Shape::Text | Shape::Bytes => {
            let text = value.as_str()?.as_bytes();
            if !last {
                out.extend_from_slice(&u32::try_from(text.len()).ok()?.to_be_bytes());
            }
            out.extend_from_slice(text);
        }
        Shape::Unsigned(bits) => put(i128::from(value.as_u64()?), *bits, out)?,
        Shape::Signed(bits) => {
            let least = 1i128.checked_shl(bits - 1)?;
            put(i128::from(value.as_i64()?) + least, *bits, out)?;
        }
        Shape::Tuple(parts) => {
            let values = value.as_array().filter(|of| of.len() == parts.len())?;
            for (i, (part, value)) in parts.iter().zip(values).enumerate() {
                write(part, value, last && i + 1 == parts.len(), out)?;
            }
        }
        Shape::Struct(fields) => {
            let values = value.as_array().filter(|of| of.len() == fields.len())?;
            for (i, ((_, part), value)) in fields.iter().zip(values).enumerate() {
                write(part, value, last && i + 1 == fields.len(), out)?;
            }
        }
        _ => return None,
    }
    Some(())
}

fn put(number: i128, bits: u32, out: &mut Vec<u8>) -> Option<()> {
    let fits = (0..1i128.checked_shl(bits)?).contains(&number);
    let bytes = u64::try_from(number).ok().filter(|_| fits)?.to_be_bytes();
    out.extend_from_slice(bytes.get(8 - bits as usize / 8..)?);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_text_and_read_back() {
        let cases: [(&str, &str, &[u8]); 9] = [
            ("text", "rüst", "rüst".as_bytes()),
            ("u64", "258", &[0, 0, 0, 0, 0, 0, 1, 2]),
            ("i32", "-1", &[0x7f, 0xff, 0xff, 0xff]),
            ("i8", "-128", &[0]),
            ("bool", "true", &[1]),
            ("()", "", &[]),
            ("(text, u8)", r#"["ab",7]"#, b"\0\0\0\x02ab\x07"),
            ("{a:u8,b:text}", r#"[7,"ab"]"#, b"\x07ab"),
            (
                "((text, u8), text)",
                r#"[["a",1],"b"]"#,
                b"\0\0\0\x01a\x01b",
            ),
        ];
        for (shape, text, bytes) in cases {
            assert_eq!(key_text(shape, bytes).as_deref(), Some(text), "{shape}");
            let written = key_bytes(shape, text, true);
            assert_eq!(written.as_deref(), Ok(bytes), "{shape}");
        }
        assert_eq!(key_text("bytes", b"a"), None);
        assert_eq!(key_text("u8", &[1, 2]), None);
        assert_eq!(key_bytes("unknown?", "a", true).as_deref(), Ok(&b"a"[..]));
    }

    #[test]
    fn how_a_key_begins_may_be_its_first_parts() {
        let begins = |text| key_bytes("(text, u8)", text, false);
        assert_eq!(begins("ab").as_deref(), Ok(&b"\0\0\0\x02ab"[..]));
        assert_eq!(begins(r#"["ab"]"#), begins("ab"));
        assert_eq!(begins("").as_deref(), Ok(&b"\0\0\0\0"[..]));
        for (shape, text) in [
            ("u8", "256"),
            ("u8", "x"),
            ("(text, u8)", "ab"),
            ("(text, u8)", r#"["a"]"#),
            ("(text, u8)", r#"["a","b"]"#),
            ("bool", "yes"),
        ] {
            let said = key_bytes(shape, text, true).unwrap_err();
            assert!(said.contains(shape), "{said}");
        }
    }
}
