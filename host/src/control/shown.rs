//! Bytes as people read them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use utoipa::ToSchema;

/// Text where the bytes are UTF-8, else base64.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Bytes)]
pub(super) struct Shown {
    text: Option<String>,
    base64: Option<String>,
    /// Of the whole.
    bytes: usize,
    /// Only the beginning is here.
    truncated: bool,
}

impl Shown {
    /// The first bytes of a value. What is absent is an empty text.
    pub(super) fn of(value: Option<&[u8]>, most: usize) -> Shown {
        let value = value.unwrap_or_default();
        let begin = &value[..value.len().min(most)];
        let text = match std::str::from_utf8(begin) {
            Ok(text) => Some(text),
            // A character that is cut in two is left out.
            Err(cut) if cut.error_len().is_none() && begin.len() < value.len() => {
                std::str::from_utf8(&begin[..cut.valid_up_to()]).ok()
            }
            Err(_) => None,
        };
        Shown {
            text: text.map(str::to_owned),
            base64: text.is_none().then(|| STANDARD.encode(begin)),
            bytes: value.len(),
            truncated: begin.len() < value.len(),
        }
    }

    /// What was made of a value of so many bytes.
    pub(super) fn text(text: String, bytes: usize, truncated: bool) -> Shown {
        Shown {
            text: Some(text),
            base64: None,
            bytes,
            truncated,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_text_where_they_can_be() {
        /// The bytes, how many are shown, and what is said of them.
        type Case = (
            &'static [u8],
            usize,
            Option<&'static str>,
            Option<&'static str>,
            bool,
        );
        let cases: [Case; 6] = [
            (b"", 9, Some(""), None, false),
            (b"abc", 9, Some("abc"), None, false),
            (b"abc", 2, Some("ab"), None, true),
            ("aä".as_bytes(), 2, Some("a"), None, true),
            (b"\xff\xfe", 9, None, Some("//4="), false),
            (b"a\xc3", 9, None, Some("YcM="), false),
        ];
        for (value, most, text, base64, truncated) in cases {
            let shown = Shown::of(Some(value), most);
            assert_eq!(
                (
                    shown.text.as_deref(),
                    shown.base64.as_deref(),
                    shown.truncated,
                    shown.bytes
                ),
                (text, base64, truncated, value.len()),
                "{value:?}"
            );
        }
    }
}
