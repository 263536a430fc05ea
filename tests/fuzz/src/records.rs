//! What the data folder holds: records of jobs and batches, values of keyed state.

use serde::Serialize;
use serde::de::DeserializeOwned;
use streamhost_core::job::JobRecord;
use streamhost_core::protocol::{BatchIntent, Checkpoint, LetterMark};
use streamhost_core::state::shape::{key_text, value_json};

const SHOWN_BYTES: usize = 16 << 10;

/// What is read says the same when it is written and read again.
fn twice<T: Serialize + DeserializeOwned>(input: &[u8]) {
    let Ok(read) = serde_json::from_slice::<T>(input) else {
        return;
    };
    let written = serde_json::to_vec(&read).expect("what was read can be written");
    let again: T = serde_json::from_slice(&written).expect("what was written can be read");
    let again = serde_json::to_vec(&again).expect("what was read can be written");
    assert_eq!(
        String::from_utf8_lossy(&written),
        String::from_utf8_lossy(&again)
    );
}

/// Checkpoints, intents, jobs, marks of letters; the first byte says which.
pub(crate) fn records(input: &[u8]) {
    match input.split_first() {
        Some((b'c', rest)) => twice::<Checkpoint>(rest),
        Some((b'i', rest)) => twice::<BatchIntent>(rest),
        Some((b'j', rest)) => twice::<JobRecord>(rest),
        Some((b'l', rest)) => twice::<LetterMark>(rest),
        _ => {}
    }
}

/// A shape, a line's end, and bytes that are said to have it.
pub(crate) fn shapes(input: &[u8]) {
    let at = input.iter().position(|&byte| byte == b'\n');
    let (shape, value) = input.split_at(at.unwrap_or(input.len()));
    let shape = String::from_utf8_lossy(shape);
    let value = value.get(1..).unwrap_or_default();
    drop(key_text(&shape, value));
    if let Some(shown) = value_json(&shape, value, SHOWN_BYTES) {
        assert!(shown.text.len() <= 64 * SHOWN_BYTES, "it is bounded");
    }
}
