//! What an uploaded file is, and a component made of it if it is a core module that says what it
//! exports. Pure.

use std::ops::Range;
use streamhost_core::limits;
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME as PREVIEW1, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding};

/// Why a file is no job.
#[derive(Debug, thiserror::Error)]
pub enum WrapError {
    /// No bytes.
    #[error(
        "the file is empty: build the job with `streamhost build` and deploy the file it names"
    )]
    Empty,
    /// More bytes than are taken.
    #[error(
        "the file has {bytes} bytes, of {} at most: build it with `streamhost build`, which leaves debug information out",
        limits::COMPONENT_BYTES_MAX
    )]
    TooLarge {
        /// How many it has.
        bytes: usize,
    },
    /// It does not begin as WebAssembly does.
    #[error(
        "this is {what}, not WebAssembly: build the job with `streamhost build` and deploy the file it names"
    )]
    NotWasm {
        /// What it looks like.
        what: &'static str,
    },
    /// WebAssembly of a version that nobody knows.
    #[error(
        "this is WebAssembly of an unknown version ({version:02x?}): build it with a current toolchain"
    )]
    Version {
        /// The four bytes after `\0asm`.
        version: [u8; 4],
    },
    /// It ends, or goes wrong, in the middle.
    #[error("the WebAssembly file is cut off or damaged at byte {at}: build or copy it again")]
    Damaged {
        /// Where.
        at: usize,
    },
    /// A core module without a word about what it exports.
    #[error(
        "this core module carries no `component-type` section and exports nothing of `{GUEST}`, so it is no job: write \
         the job with the streamhost SDK, or export the functions of the contract as wit-bindgen names them"
    )]
    NoComponentType,
    /// The module cannot be wrapped.
    #[error("the core module cannot be made a component: {reason}")]
    Unfit {
        /// What wit-component said.
        reason: String,
    },
}

/// The two forms of a WebAssembly file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A component; it is taken as it is.
    Component,
    /// A core module; it is wrapped.
    Module,
}

/// What the exports of a job's core module begin with.
const GUEST: &str = "streamhost:job/guest@0.2.0";
/// The contract, for modules whose compiler leaves no word of it in them.
const CONTRACT: &str = include_str!("../../../wit/streamhost.wit");
const MAGIC: &[u8] = b"\0asm";
const CUSTOM_SECTION: u8 = 0;
/// Where the SDK leaves its version.
const SDK_SECTION: &str = "streamhost-sdk";
/// What is longer is no version.
const SDK_VERSION_BYTES_MAX: usize = 64;

/// What a file is, by its first bytes.
pub fn form(bytes: &[u8]) -> Result<Form, WrapError> {
    if bytes.is_empty() {
        return Err(WrapError::Empty);
    }
    if bytes.len() > limits::COMPONENT_BYTES_MAX {
        return Err(WrapError::TooLarge { bytes: bytes.len() });
    }
    if !bytes.starts_with(MAGIC) {
        if MAGIC.starts_with(bytes) {
            return Err(WrapError::Damaged { at: bytes.len() });
        }
        return Err(WrapError::NotWasm {
            what: looks_like(bytes),
        });
    }
    let Some(version) = bytes.get(4..8) else {
        return Err(WrapError::Damaged { at: bytes.len() });
    };
    match *version {
        [1, 0, 0, 0] => Ok(Form::Module),
        [0x0d, 0, 1, 0] => Ok(Form::Component),
        [a, b, c, d] => Err(WrapError::Version {
            version: [a, b, c, d],
        }),
        _ => Err(WrapError::Damaged { at: 4 }),
    }
}

/// Makes a component of a file: a component passes through, a core module is wrapped. What it
/// exports it says itself, as the tools of C and Rust make it, or by the names of its exports. That
/// the file is sound inside its sections, the compiler says later.
pub fn wrap(bytes: Vec<u8>) -> Result<Vec<u8>, WrapError> {
    let form = form(&bytes)?;
    let typed = names_its_type(&bytes)?;
    match form {
        Form::Component => Ok(bytes),
        Form::Module => {
            let names = Names::of(&bytes);
            if !typed && !names.exports_guest {
                return Err(WrapError::NoComponentType);
            }
            let module = if typed { bytes } else { with_contract(bytes)? };
            let mut encoder = ComponentEncoder::default();
            encoder.validate(true).module(&module).map_err(unfit)?;
            if names.imports_preview1 {
                // It makes 0.2 of 0.1, which the host then answers as any component's.
                encoder
                    .adapter(PREVIEW1, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER)
                    .map_err(unfit)?;
            }
            encoder.encode().map_err(unfit)
        }
    }
}

/// What the names of a core module's imports and exports say of it.
#[derive(Default)]
struct Names {
    imports_preview1: bool,
    exports_guest: bool,
}

impl Names {
    /// As far as the module can be read: what is wrong with it is told when it is wrapped.
    fn of(module: &[u8]) -> Self {
        let mut names = Names::default();
        for payload in Parser::new(0).parse_all(module).map_while(Result::ok) {
            match payload {
                Payload::ImportSection(imports) => {
                    let mut imports = imports.into_imports().map_while(Result::ok);
                    names.imports_preview1 |= imports.any(|import| import.module == PREVIEW1);
                }
                Payload::ExportSection(exports) => {
                    let mut exports = exports.into_iter().map_while(Result::ok);
                    names.exports_guest |= exports.any(|export| export.name.starts_with(GUEST));
                }
                _ => {}
            }
        }
        names
    }
}

/// The module with a section that says that it is of the contract's world.
fn with_contract(mut module: Vec<u8>) -> Result<Vec<u8>, WrapError> {
    let mut contract = wit_parser::Resolve::default();
    let package = contract
        .push_str("streamhost.wit", CONTRACT)
        .map_err(unfit)?;
    let world = contract
        .select_world(&[package], Some("job"))
        .map_err(unfit)?;
    let encoding = StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut module, &contract, world, encoding, false)
        .map_err(unfit)?;
    Ok(module)
}

/// The version of the SDK that a component or module was written with; none where it does not say.
pub fn sdk_version(bytes: &[u8]) -> Option<String> {
    let sections = wasmparser::Parser::new(0)
        .parse_all(bytes)
        .map_while(Result::ok);
    sections.into_iter().find_map(|section| match section {
        wasmparser::Payload::CustomSection(own) if own.name() == SDK_SECTION => {
            let text = std::str::from_utf8(own.data()).ok()?;
            (text.len() <= SDK_VERSION_BYTES_MAX).then(|| text.to_owned())
        }
        _ => None,
    })
}

/// Walks the sections; true if one of them is a `component-type`.
fn names_its_type(bytes: &[u8]) -> Result<bool, WrapError> {
    let mut at = 8;
    let mut typed = false;
    while at < bytes.len() {
        let id = bytes[at];
        let section = sized(bytes, at + 1).ok_or(WrapError::Damaged { at })?;
        if id == CUSTOM_SECTION {
            let name =
                sized(&bytes[..section.end], section.start).ok_or(WrapError::Damaged { at })?;
            typed |= bytes[name].starts_with(b"component-type");
        }
        at = section.end;
    }
    Ok(typed)
}

/// What follows a length at `at`, if all of it is there.
fn sized(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let mut length = 0_u64;
    for (i, &byte) in bytes.get(at..)?.iter().take(5).enumerate() {
        length |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            let start = at + i + 1;
            let end = start.checked_add(usize::try_from(length).ok()?)?;
            return (end <= bytes.len()).then_some(start..end);
        }
    }
    None
}

fn looks_like(bytes: &[u8]) -> &'static str {
    let head = &bytes[..bytes.len().min(1024)];
    match head {
        [0x7f, b'E', b'L', b'F', ..] => "a native program or library (ELF)",
        [0x1f, 0x8b, ..] => "a gzip archive",
        [b'P', b'K', 3, 4, ..] => "a zip archive",
        [b'(', ..] => "WebAssembly text",
        _ if head.starts_with(b"!<arch>") => "a native library archive (.a or .rlib)",
        _ if head.iter().all(|&b| b >= 0x20 || b.is_ascii_whitespace()) => "text",
        _ => "some binary file",
    }
}

/// The library's error and its causes in one line.
fn unfit(error: impl std::fmt::Display) -> WrapError {
    let words = format!("{error:#}")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    WrapError::Unfit {
        reason: words
            .chars()
            .filter(|c| !c.is_control())
            .take(500)
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CORE: &[u8] = b"\0asm\x01\0\0\0";
    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    fn joined(parts: &[&[u8]]) -> Vec<u8> {
        parts.concat()
    }

    /// A custom section.
    fn custom(name: &str, data: &[u8]) -> Vec<u8> {
        let length = 1 + name.len() + data.len();
        assert!(length < 128, "one byte of length is enough here");
        joined(&[&[0, length as u8, name.len() as u8], name.as_bytes(), data])
    }

    #[test]
    fn a_component_passes_through() {
        for bytes in [
            COMPONENT.to_vec(),
            joined(&[COMPONENT, &custom("name", b"x")]),
        ] {
            assert_eq!(wrap(bytes.clone()).expect("a component"), bytes);
        }
    }

    #[test]
    fn each_wrong_file_gets_its_own_words() {
        let cases: Vec<(Vec<u8>, &str)> = vec![
            (vec![], "empty"),
            (b"\0".to_vec(), "cut off"),
            (b"\0asm\x01\0".to_vec(), "cut off"),
            (b"fn main() {}\n".to_vec(), "this is text"),
            (b"(module)".to_vec(), "WebAssembly text"),
            (b"\x7fELF\x02".to_vec(), "ELF"),
            (b"PK\x03\x04".to_vec(), "zip"),
            (b"!<arch>\n".to_vec(), ".rlib"),
            (vec![0, 1, 2, 3, 4, 5, 6, 7, 8], "some binary file"),
            (b"\0asm\x07\0\0\0".to_vec(), "unknown version"),
            (CORE.to_vec(), "no `component-type` section"),
            (
                joined(&[CORE, &custom("name", b"x")]),
                "no `component-type` section",
            ),
            (joined(&[CORE, &[1]]), "damaged at byte 8"),
            (joined(&[CORE, &[1, 5, 0]]), "damaged at byte 8"),
            (
                joined(&[
                    CORE,
                    &custom("name", b"x"),
                    &[1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
                ]),
                "damaged at byte 16",
            ),
            (joined(&[CORE, &[0, 2, 9, 9]]), "damaged at byte 8"),
            (joined(&[COMPONENT, &[1, 5, 0]]), "damaged at byte 8"),
            (
                joined(&[CORE, &custom("component-type:job", b"nonsense")]),
                "cannot be made a component",
            ),
        ];
        for (bytes, want) in cases {
            let said = wrap(bytes.clone()).expect_err(want).to_string();
            assert!(
                said.contains(want) && !said.contains('\n'),
                "{bytes:?}: {said}"
            );
        }
    }

    #[test]
    fn the_sdk_says_its_version_in_a_section() {
        let section = custom(SDK_SECTION, b"1.2.3");
        let nested = {
            let module = joined(&[CORE, &section]);
            joined(&[COMPONENT, &[1, module.len() as u8], &module])
        };
        let long = custom(SDK_SECTION, &[b'1'; SDK_VERSION_BYTES_MAX + 1]);
        let cases = [
            (joined(&[CORE, &section]), Some("1.2.3")),
            (nested, Some("1.2.3")),
            (joined(&[CORE, &custom("name", b"1.2.3")]), None),
            (joined(&[CORE, &custom(SDK_SECTION, b"\xff")]), None),
            (joined(&[CORE, &long]), None),
            (joined(&[CORE, &[1, 5, 0]]), None),
            (b"text".to_vec(), None),
        ];
        for (bytes, want) in cases {
            assert_eq!(sdk_version(&bytes).as_deref(), want, "{bytes:?}");
        }
    }

    #[test]
    fn a_huge_file_is_refused_by_its_size() {
        let bytes = vec![0; limits::COMPONENT_BYTES_MAX + 1];
        assert!(matches!(wrap(bytes), Err(WrapError::TooLarge { .. })));
    }
}
