use super::*;

fn package(name: &str, folder: &str, kind: &str) -> Package {
    Package {
        id: format!("path+file://{folder}#{name}@0.1.0"),
        name: name.to_owned(),
        manifest_path: Path::new(folder).join("Cargo.toml"),
        targets: vec![Target {
            kind: vec![kind.to_owned(), "rlib".to_owned()],
        }],
    }
}

#[test]
fn the_job_of_a_folder_or_workspace_is_chosen() {
    let (clicks, pages, tool) = (
        package("clicks", "/w/clicks", "cdylib"),
        package("pages", "/w/pages", "cdylib"),
        package("tool", "/w/tool", "bin"),
    );
    let all = [clicks.clone(), pages, tool.clone()];
    let choose = |packages: &[Package], folder: &str| {
        choose(packages, &Path::new(folder).join("Cargo.toml"))
            .map(|p| p.name.clone())
            .map_err(|e| e.to_string())
    };
    assert_eq!(choose(&all, "/w/clicks"), Ok("clicks".to_owned()));
    assert_eq!(
        choose(&[clicks, tool.clone()], "/w"),
        Ok("clicks".to_owned())
    );
    let cases = [
        (choose(&all, "/w"), "several jobs here"),
        (choose(&all, "/w"), "/w/clicks, /w/pages"),
        (
            choose(&all, "/w/tool"),
            "package `tool` makes no Wasm module",
        ),
        (choose(&[tool], "/w"), "no package of this workspace"),
    ];
    for (chosen, want) in cases {
        let said = chosen.expect_err(want);
        assert!(said.contains(want), "{said}");
    }
}

#[test]
fn cargos_messages_name_the_module() {
    let id = "path+file:///w/my-job#0.1.0";
    let line = |reason: &str, id: &str, kind: &str, file: &str| {
        serde_json::json!({"reason": reason, "package_id": id, "target": {"name": "my-job", "kind": [kind]}, "filenames": ["/t/x.rlib", file]}).to_string()
    };
    let good = line("compiler-artifact", id, "cdylib", "/t/my_job.wasm");
    assert_eq!(module_in(&good, id), Some(PathBuf::from("/t/my_job.wasm")));
    for other in [
        line("compiler-artifact", "another", "cdylib", "/t/my_job.wasm"),
        line("compiler-artifact", id, "lib", "/t/my_job.wasm"),
        line("compiler-artifact", id, "cdylib", "/t/my_job.so"),
        line("build-script-executed", id, "cdylib", "/t/my_job.wasm"),
        "{\"reason\":\"build-finished\",\"success\":true}".to_owned(),
        "not json".to_owned(),
    ] {
        assert_eq!(module_in(&other, id), None, "{other}");
    }
}

#[test]
fn a_component_is_not_wrapped_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("x.wasm");
    for (bytes, want) in [
        (b"\0asm\x0d\0\x01\0".as_slice(), "is a component already"),
        (b"\0asm\x01\0\0\0", "component-type"),
        (b"", "empty"),
    ] {
        std::fs::write(&file, bytes).expect("written");
        let said = wrapped(&file).expect_err(want).to_string();
        assert!(said.contains(want), "{said}");
    }
}

/// Runs `build` in a folder with these files: what it printed, or its error.
fn build(files: &[(&str, &str)]) -> Result<String, String> {
    let folder = tempfile::tempdir().expect("a folder");
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("in the folder")).expect("made");
        std::fs::write(path, text).expect("written");
    }
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let done = run(
        Args {
            dir: folder.path().to_owned(),
        },
        &crate::hosting::RealHost, // nothing is compiled: there is no component to look at
        &mut out,
        &mut err,
    );
    done.map(|()| String::from_utf8(out).expect("text"))
        .map_err(|e| e.to_string())
}

#[test]
fn what_is_missing_is_said() {
    const LIB: &str =
        "[package]\nname = \"x\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n";
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[], "there is no Cargo.toml"),
        (&[("Cargo.toml", "nonsense")], "cargo cannot read"),
        (
            &[("Cargo.toml", LIB), ("src/lib.rs", "")],
            "package `x` makes no Wasm module",
        ),
        (
            &[
                (
                    "Cargo.toml",
                    &format!("{LIB}[lib]\ncrate-type = [\"cdylib\"]"),
                ),
                ("src/lib.rs", "fn"),
            ],
            "could not compile package `x`",
        ),
        (
            &[
                (
                    "Cargo.toml",
                    &format!("{LIB}[lib]\ncrate-type = [\"cdylib\"]"),
                ),
                ("src/lib.rs", ""),
            ],
            "`component-type` section",
        ),
    ];
    let can_compile = Toolchain::find(Path::new(".")).is_ok();
    for (i, (files, want)) in cases.iter().enumerate() {
        let want = if i < 3 || can_compile {
            want
        } else {
            "rustup target add wasm32-unknown-unknown"
        };
        let said = build(files).expect_err(want);
        assert!(said.contains(want), "{want}: {said}");
    }
}
