//! Looks for inputs that break a target, with libFuzzer: `FUZZ_TARGET` names it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use streamhost_fuzz::Target;

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    streamhost_fuzz::named(&name).expect("FUZZ_TARGET names a target")
});

fuzz_target!(|input: &[u8]| (TARGET.run)(input));
