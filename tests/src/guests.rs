//! Components, built once a run by `streamhost build`, as an author would; and files that are none.

use crate::command::say;
use crate::paths::{root, streamhost};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

static BUILT: Mutex<BTreeMap<&'static str, PathBuf>> = Mutex::new(BTreeMap::new());

/// The component of the job in `folder` of the checkout, such as `examples/clicks`.
#[track_caller]
pub fn component(folder: &'static str) -> PathBuf {
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let build = || PathBuf::from(say(Command::new(streamhost()).arg("build").arg(root().join(folder))).last_line());
    built.entry(folder).or_insert_with(build).clone()
}

/// A core module with nothing in it: valid, and no job.
pub const EMPTY_MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// A component that imports from WASI: `(component (import "wasi:cli/environment@0.2.0" (instance)))`.
pub fn component_that_wants_wasi() -> Vec<u8> {
    let name = b"wasi:cli/environment@0.2.0";
    let instance_type = [0x07, 0x03, 0x01, 0x42, 0x00]; // section 7 of 3 bytes: one type, an instance without declarations
    let mut import = vec![0x01, 0x00, name.len() as u8]; // one import, its name as it is
    import.extend_from_slice(name);
    import.extend_from_slice(&[0x05, 0x00]); // an instance of type 0
    let mut component = b"\0asm\x0d\0\x01\0".to_vec();
    component.extend_from_slice(&instance_type);
    component.push(0x0a); // section 10: imports
    component.push(import.len() as u8);
    component.extend_from_slice(&import);
    component
}
