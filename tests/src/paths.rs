//! Where things are: the checkout, what was built, the cache.

use std::path::{Path, PathBuf};

/// The checkout.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate is a folder of the checkout")
}

/// The folder with the built binaries: the one that this test was built into.
pub fn binaries() -> PathBuf {
    let exe = std::env::current_exe().expect("a running program has a path");
    let folder = exe.parent().expect("it is in a folder");
    if folder.ends_with("deps") {
        folder.parent().expect("deps is in a folder").into()
    } else {
        folder.into()
    }
}

/// The host's binary. Panics with the remedy where it is not built.
pub fn streamhost() -> PathBuf {
    let path = binaries().join("streamhost");
    assert!(
        path.exists(),
        "{} is not built: run `cargo build --workspace --bins` first",
        path.display()
    );
    path
}

/// The cache of `tests/setup`.
pub fn cache() -> PathBuf {
    let set = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    set("STREAMHOST_CACHE").unwrap_or_else(|| {
        let base = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
        base.expect("HOME is set").join("streamhost")
    })
}

/// The Python that has the outside clients. Panics with the remedy where it is not installed.
pub fn python() -> PathBuf {
    let path = cache().join("python/bin/python");
    assert!(
        path.exists(),
        "{} is missing: run `tests/setup/tests.sh` first",
        path.display()
    );
    path
}

/// Prometheus' tool that checks metrics and rules. Panics with the remedy where it is not there.
pub fn promtool() -> PathBuf {
    let path = cache().join("promtool");
    assert!(
        path.exists(),
        "{} is missing: run `tests/setup/tests.sh` first",
        path.display()
    );
    path
}
