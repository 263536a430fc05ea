//! Components, built once a run by `streamhost build`, as an author would; and files that are none.

use crate::command::say;
use crate::paths::{root, streamhost};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

static BUILT: Mutex<BTreeMap<&'static str, PathBuf>> = Mutex::new(BTreeMap::new());

/// The component of the job in `folder` of the checkout, such as `examples/clicks`.
#[track_caller]
pub fn component(folder: &'static str) -> PathBuf {
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let build = || {
        PathBuf::from(
            say(Command::new(streamhost())
                .arg("build")
                .arg(root().join(folder)))
            .last_line(),
        )
    };
    built.entry(folder).or_insert_with(build).clone()
}

/// Where a guest that has variants keeps the name of the one it is in; the name begins behind the
/// `=`.
const VARIANT: &[u8; 32] = b"variant=plain                   ";

/// Writes the component of the job in `folder` to `file`, as the guest that `variant` names: its
/// code is the same, and it finds another name in its memory.
#[track_caller]
pub fn build_variant(folder: &'static str, variant: &str, file: &Path) {
    let mut component = fs::read(component(folder)).expect("it was built");
    let places: Vec<usize> = (0..component.len())
        .filter(|&at| component[at..].starts_with(VARIANT))
        .collect();
    let [place] = places[..] else {
        panic!(
            "{folder} has the name of its variant in {} places",
            places.len()
        )
    };
    let name = format!("variant={variant:<width$}", width = VARIANT.len() - 8);
    assert_eq!(name.len(), VARIANT.len(), "`{variant}` is too long");
    component[place..place + VARIANT.len()].copy_from_slice(name.as_bytes());
    fs::write(file, component).expect("the folder can be written");
}

/// A core module with nothing in it: valid, and no job.
pub const EMPTY_MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// A core module as a compiler for WASI leaves it, which asks of WASI what its records say.
pub fn core_module_that_asks_wasi() -> Vec<u8> {
    wat::parse_file(root().join("tests/guests/asks.wat")).expect("it is WebAssembly")
}

/// A component that imports a function of WASI that no job may have:
/// `(component (import "wasi:http/types@0.2.0" (instance (export "get" (func)))))`.
pub fn component_that_wants_http() -> Vec<u8> {
    let section = |id: u8, content: &[u8]| [&[id, content.len() as u8], content].concat();
    let name = b"wasi:http/types@0.2.0";
    // One type: an instance of two declarations, a function's type and a function `get` of that
    // type.
    let types = section(
        7,
        b"\x01\x42\x02\x01\x40\x00\x01\x00\x04\x00\x03get\x01\x00",
    );
    // One import: the name as it is, and an instance of type 0.
    let import = section(
        10,
        &[
            &[0x01, 0x00, name.len() as u8],
            name.as_slice(),
            &[0x05, 0x00],
        ]
        .concat(),
    );
    [b"\0asm\x0d\0\x01\0".as_slice(), &types, &import].concat()
}
