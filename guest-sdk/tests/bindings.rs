//! The shipped bindings are what wit/ gives: generating them in each author's build would be most of that build.

use std::path::Path;
use wit_bindgen_core::wit_parser::Resolve;
use wit_bindgen_core::{Files, WorldGenerator};

fn generate(wit: &Path) -> String {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(wit).expect("wit/ is well-formed");
    let world = resolve
        .select_world(&[package], Some("job"))
        .expect("wit/ has the world `job`");
    let options = wit_bindgen_rust::Opts {
        format: true,
        pub_export_macro: true, // `#[job]` calls it in the author's crate
        ..wit_bindgen_rust::Opts::default()
    };
    let mut files = Files::default();
    options
        .build()
        .generate(&mut resolve, world, &mut files)
        .expect("the generator takes wit/");
    let text: String = files
        .iter()
        .map(|(_, text)| String::from_utf8_lossy(text))
        .collect();
    format!(
        "// @generated from wit/ by `UPDATE=1 cargo test -p streamhost --test bindings`.\n{text}"
    )
}

#[test]
fn the_shipped_bindings_are_those_of_the_contract() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let generated = generate(&here.join("../wit"));
    let shipped = here.join("src/bindings.rs");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&shipped, &generated).unwrap();
    }
    let same = std::fs::read_to_string(&shipped).is_ok_and(|text| text == generated);
    assert!(
        same,
        "src/bindings.rs is not what wit/ gives: run `UPDATE=1 cargo test -p streamhost --test bindings`"
    );
}
