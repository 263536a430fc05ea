//! One build is many guests: the tests write another name over [`VARIANT`] in the built component.

use std::hint::black_box;

/// Which guest this is. Its length and its first eight bytes are known to the tests.
static VARIANT: [u8; 32] = *b"variant=plain                   ";

/// What the tests have written over [`VARIANT`].
pub(crate) fn variant() -> &'static str {
    let bytes: &'static [u8; 32] = black_box(&VARIANT);
    std::str::from_utf8(&bytes[8..]).map_or("", str::trim_end)
}
