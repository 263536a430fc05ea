//! What rustc tells an author who is wrong. The texts are rustc's own in part, so they are those of
//! the release that `rust-version` names: `TRYBUILD=overwrite cargo test -p streamhost --test ui`
//! writes them anew.

#[test]
fn mistakes_are_told_in_words() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
