//! What is said to wrong input: one line that names the thing, the cause, and the next step.

use super::*;

/// A command line, in which `$` is a folder, and all that standard error says, without the folder's
/// path. The folder has `text` (no component), `empty`, and `job` (a package that makes no module).
const MESSAGES: &[(&str, &str)] = &[
    (
        "deploy $/none.wasm",
        "$/none.wasm: there is no such file: `streamhost build` makes it, and prints its path",
    ),
    (
        "deploy $",
        "$: this is no file: name the .wasm file that `streamhost build` printed",
    ),
    (
        "deploy $/empty",
        "$/empty: the file is empty: build it again with `streamhost build`",
    ),
    (
        "deploy $/text --set a=1 --set a=2",
        "--set a=… is given twice: which one is meant?",
    ),
    (
        "inspect $/text",
        "$/text: this is text, not WebAssembly: build the job with `streamhost build` and deploy the file it names",
    ),
    (
        "bench $/text --input $/empty",
        "$/text: this is text, not WebAssembly: build the job with `streamhost build` and deploy the file it names",
    ),
    (
        "bench $/none.wasm --input $/empty",
        "$/none.wasm: there is no such file: `streamhost build` makes it, and prints its path",
    ),
    (
        "build $/text",
        "$/text: there is no Cargo.toml: name the folder of a job, `streamhost build DIR`",
    ),
    (
        "build $/job",
        "package `job` makes no Wasm module: put `[lib]` with `crate-type = [\"cdylib\", \"rlib\"]` into its Cargo.toml",
    ),
    (
        "dev --watch $/job --data $/data",
        "package `job` makes no Wasm module: put `[lib]` with `crate-type = [\"cdylib\", \"rlib\"]` into its Cargo.toml",
    ),
    (
        "dev --watch $/none --data $/data",
        "$/none: there is no Cargo.toml: name the folder of a job, `streamhost build DIR`",
    ),
    (
        "new $/match",
        "`match` cannot be a job's name: it is a keyword of Rust",
    ),
    (
        "new $/x --template windows",
        "there is no template `windows`, did you mean `window`?; `streamhost new --list` shows all",
    ),
    (
        "status clicks --url http://127.0.0.1:1",
        "no streamhost daemon answers at http://127.0.0.1:1: start one with `streamhost dev` or `streamhost serve`, or name it with STREAMHOST_URL (io: Connection refused (os error 111))",
    ),
    (
        "logs a/b -f --url http://127.0.0.1:1",
        "`a/b` cannot be a job's name: only lower-case letters, digits, `-` and `_` may be in it",
    ),
    (
        "list --url https://h --ca $/none.pem",
        "--ca $/none.pem: it cannot be read: No such file or directory (os error 2): it is a PEM file with certificates",
    ),
    (
        "scan visits --hbase 127.0.0.1:1",
        "HBase's Thrift gateway at 127.0.0.1:1 is away: cannot connect: Connection refused (os error 111): start `streamhost dev`, or name the servers: --config streamhost.toml",
    ),
    (
        "scan visits --config $/none.toml",
        "$/none.toml: No such file or directory (os error 2); name the configuration with --config FILE",
    ),
];

#[test]
fn wrong_input_gets_one_line_with_the_way_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path().to_str().expect("text").to_owned();
    for (name, text) in [
        ("text", "text"),
        ("empty", ""),
        (
            "job/Cargo.toml",
            "[package]\nname = \"job\"\nedition = \"2024\"\n[workspace]",
        ),
        ("job/src/lib.rs", ""),
    ] {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    }
    let mut wrong = Vec::new();
    for (line, want) in MESSAGES {
        let line = line.replace('$', &here);
        let args: Vec<&str> = line.split(' ').collect();
        let (ok, out, err) = verb_at(&args);
        let said = err.replace(&here, "$");
        let said = said
            .strip_prefix("note: this streamhost is a debug build: one of a release is faster\n")
            .unwrap_or(&said);
        if ok || !out.is_empty() || said != format!("error: {want}\n") {
            wrong.push(format!("{line}\n  {said}  wanted: {want}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
