//! What is installed without a compiler.

use std::path::Path;
use std::process::Command;
use streamhost_tests::paths;

/// What a command says; it must succeed.
fn said(command: &mut Command) -> String {
    let done = command.output().expect("the command is there");
    let (out, err) = (
        String::from_utf8_lossy(&done.stdout).into_owned(),
        String::from_utf8_lossy(&done.stderr),
    );
    assert!(done.status.success(), "{command:?}: {out}{err}");
    out
}

/// The installed binary runs, and what comes with it is there.
fn is_whole(at: &Path, prefix: &str) {
    let of_prefix = at.join(prefix);
    let version = said(Command::new(of_prefix.join("bin/streamhost")).arg("--version"));
    assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
    for file in [
        "share/man/man1/streamhost.1.gz",
        "share/man/man1/streamhost-deploy.1.gz",
        "share/bash-completion/completions/streamhost",
        "share/doc/streamhost/LICENSE-MIT",
    ] {
        assert!(of_prefix.join(file).is_file(), "{file}");
    }
    for file in [
        "lib/systemd/system/streamhost.service",
        "etc/streamhost/streamhost.toml",
    ] {
        assert!(at.join(file).is_file(), "{file}");
    }
}

#[test]
fn a_package_and_a_tarball_hold_a_daemon_that_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = paths::root().join("host/package/package.sh");
    let made = said(
        Command::new(script)
            .arg("--binary")
            .args([paths::streamhost().as_path(), folder.path()]),
    );
    let mut made = made.lines();
    let (tarball, package) = (
        made.next().expect("a tarball"),
        made.next().expect("a .deb"),
    );

    let unpacked = folder.path().join("tarball");
    std::fs::create_dir(&unpacked).expect("a folder");
    said(
        Command::new("tar")
            .args(["-xzf", tarball, "--strip-components=1", "-C"])
            .arg(&unpacked),
    );
    is_whole(&unpacked, "");

    let unpacked = folder.path().join("package");
    said(
        Command::new("dpkg-deb")
            .args(["-x", package])
            .arg(&unpacked),
    );
    is_whole(&unpacked, "usr");
    let field = |name| said(Command::new("dpkg-deb").args(["-f", package, name]));
    assert_eq!(field("Package").trim(), "streamhost");
    let depends = field("Depends");
    for part in ["libc6 (>= 2.", "libssl3t64 | libssl3"] {
        assert!(depends.contains(part), "{depends}");
    }
    // The example is read as it stands: an unknown key would be refused before any server is asked.
    let settings = unpacked.join("etc/streamhost/streamhost.toml");
    let text = std::fs::read_to_string(&settings).expect("the example");
    let data = folder.path().join("data");
    let here = text.replace("/var/lib/streamhost", &data.display().to_string());
    std::fs::write(&settings, here).expect("the example");
    let refused = Command::new(unpacked.join("usr/bin/streamhost"))
        .arg("run")
        .arg(folder.path().join("none.wasm"))
        .arg("--config")
        .arg(&settings)
        .output()
        .expect("it runs");
    let words = String::from_utf8_lossy(&refused.stderr);
    assert!(words.contains("none.wasm"), "{words}");
}
