//! Components that harm the compiler: each is refused in words, by a process of its own and within
//! its limits.

use std::path::Path;
use std::time::{Duration, Instant};
use streamhost_core::limits;
use streamhost_guest::{Compiler, GuestEngine, LoadError};

const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

fn varint(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 0x7f {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id][..], &varint(content.len()), content].concat()
}

fn component(sections: &[u8]) -> Vec<u8> {
    [COMPONENT, sections].concat()
}

/// A component type in a component type, and so on.
fn nested_types(levels: usize) -> Vec<u8> {
    let types = [&b"\x41\x01\x01".repeat(levels)[..], b"\x41\0"].concat();
    component(&section(7, &[&[1][..], &types].concat()))
}

fn nested_components(levels: usize) -> Vec<u8> {
    let within = |inner: Vec<u8>, _| component(&section(4, &inner));
    (0..levels).fold(component(&[]), within)
}

/// A function with blocks in blocks.
fn nested_blocks(levels: usize) -> Vec<u8> {
    let body = [
        &[0][..],
        &b"\x02\x40".repeat(levels),
        &b"\x0b".repeat(levels + 1),
    ]
    .concat();
    let code = [&[1][..], &varint(body.len()), &body].concat();
    let sections = [
        section(1, b"\x01\x60\0\0"),
        section(3, b"\x01\0"),
        section(10, &code),
    ];
    component(&section(1, &[MODULE, &sections.concat()].concat()))
}

fn engine(folder: &Path) -> GuestEngine {
    let compiler = Compiler::process(env!("CARGO_BIN_EXE_streamhost").into());
    GuestEngine::new(&folder.join("cache"), compiler).expect("an engine")
}

#[test]
fn what_harms_the_compiler_is_refused_in_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let guests = engine(folder.path());
    let too_much = "the component takes more than 1.0 GiB to compile";
    let cases: [(&str, Vec<u8>, &[&str]); 9] = [
        ("5,000 types", nested_types(5_000), &["nest"]),
        ("5,000,000 types", nested_types(5_000_000), &["nest"]),
        ("101 components", nested_components(101), &["100 deep"]),
        ("8,000 components", nested_components(8_000), &["100 deep"]),
        ("2,400,000 blocks", nested_blocks(2_400_000), &[too_much]),
        ("no file", vec![], &["the file is empty"]),
        ("a text", b"text".to_vec(), &["this is text"]),
        ("half a component", COMPONENT[..6].to_vec(), &["cut off"]),
        ("a bare module", MODULE.to_vec(), &["`component-type`"]),
    ];
    for (what, file, words) in cases {
        let began = Instant::now();
        let said = match guests.load(what, &file, &|| true) {
            Err(LoadError::Refused(said)) => said,
            other => panic!("{what}: {other:?}"),
        };
        println!("{what}: {said} after {:?}", began.elapsed());
        assert!(
            words.iter().any(|words| said.contains(words)) && !said.contains('\n'),
            "{what}: {said}"
        );
        assert!(began.elapsed() < limits::COMPILE_TIME + Duration::from_secs(10));
    }
}

#[test]
fn what_nests_a_little_is_compiled_and_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    for (what, file) in [
        ("types", nested_types(50)),
        ("components", nested_components(50)),
        ("blocks", nested_blocks(1_000)),
    ] {
        for round in ["compiled", "cached"] {
            let loaded = engine(folder.path()).load(what, &file, &|| true);
            assert!(
                matches!(loaded, Err(LoadError::Exports(_))),
                "{what}, {round}: {loaded:?}"
            );
        }
    }
}

#[test]
fn compiled_code_that_was_changed_is_compiled_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let guests = engine(folder.path());
    let file = nested_blocks(10);
    let load = || {
        matches!(
            guests.load("digest", &file, &|| true),
            Err(LoadError::Exports(_))
        )
    };
    assert!(load());
    let kept: Vec<_> = std::fs::read_dir(folder.path().join("cache"))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    let [path] = &kept[..] else {
        panic!("{kept:?}")
    };
    let sound = std::fs::read(path).expect("the code");
    for n in 0..20 {
        let mut flipped = sound.clone();
        let bit = n * (sound.len() * 8 / 20) + n % 8;
        flipped[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(path, &flipped).expect("a change");
        assert!(load(), "bit {bit}");
        assert_eq!(std::fs::read(path).expect("the code"), sound, "bit {bit}");
    }
}

#[test]
fn what_nobody_waits_for_is_not_compiled() {
    let folder = tempfile::tempdir().expect("a folder");
    let guests = engine(folder.path());
    let began = Instant::now();
    let loaded = guests.load("digest", &nested_blocks(1_000_000), &|| {
        began.elapsed() < Duration::from_millis(200)
    });
    assert!(matches!(loaded, Err(LoadError::Unwanted)), "{loaded:?}");
    assert!(began.elapsed() < Duration::from_secs(5));
}
