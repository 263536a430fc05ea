use super::*;
use clap::Parser;

fn new(folder: &Path, args: &[&str]) -> Result<String, String> {
    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }
    let args: Vec<String> = args
        .iter()
        .map(|arg| arg.replace("$", &folder.display().to_string()))
        .collect();
    let line = Line::try_parse_from(["new".to_owned()].into_iter().chain(args));
    let mut out = Vec::new();
    run(
        line.map_err(|e| e.to_string())?.args,
        &Screen::program(),
        &mut out,
    )
    .map_err(|e| e.to_string())?;
    Ok(String::from_utf8(out).expect("text"))
}

#[test]
fn names_that_cannot_be_are_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let cases = [
        (&["$/Clicks"][..], "`Clicks` cannot be a job's name: "),
        (&["$/7days"], "begins with a lower-case letter"),
        (&["$/fn"], "it is a keyword of Rust"),
        (&["$/streamhost"], "is used by the job itself"),
        (&["$/a b"], "cannot be a job's name"),
        (&["/"], "cannot be a job's name"),
        (
            &["$/a", "--template", "windows"],
            "no template `windows`, did you mean `window`?; ",
        ),
        (
            &["$/a", "--template", "mapreduce"],
            "no template `mapreduce`; ",
        ),
        (&["$/a", "--sdk", "$"], "has no package `streamhost`"),
        (&[], "required"),
    ];
    for (args, want) in cases {
        let refused = new(folder.path(), args).expect_err("refused");
        assert!(refused.contains(want), "{args:?}: {refused}");
    }
    let left = fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(left, 0);
}

#[test]
fn a_folder_with_something_in_it_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let own = folder.path().join("clicks");
    fs::create_dir(&own).expect("a folder");
    fs::write(own.join("mine"), "text").expect("written");
    let refused = new(folder.path(), &["$/clicks"]).expect_err("refused");
    assert!(refused.contains("not empty"), "{refused}");
    assert_eq!(fs::read_dir(&own).expect("a folder").count(), 1);
}

#[test]
fn every_template_becomes_a_project_of_the_given_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let listed = new(folder.path(), &["--list"]).expect("a list");
    for template in template::ALL {
        assert!(listed.contains(template.name), "{listed}");
        let name = format!("my-{}", template.name);
        let path = format!("$/{name}");
        let said = new(folder.path(), &[&path, "--template", template.name]).expect("a project");
        assert!(
            said.contains(&format!("target/streamhost/{name}.wasm")),
            "{said}"
        );
        let read = |file: &str| {
            let path = folder.path().join(&name).join(file);
            fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        };
        let (code, ident) = (read("src/lib.rs"), name.replace('-', "_"));
        assert!(
            code.contains(&format!("pub fn {ident}() -> Job {{")),
            "{code}"
        );
        assert!(!code.contains("_job::"), "{code}");
        let manifest: toml::Table = read("Cargo.toml").parse().expect("TOML");
        assert_eq!(manifest["package"]["name"].as_str(), Some(&*name));
        let sdk = manifest["dependencies"]["streamhost"]["path"].as_str();
        assert_eq!(sdk, Some(sdk::DEPENDENCY));
        assert!(!read("input.txt").is_empty());
    }
}

#[test]
fn the_sdk_of_a_project_names_its_own_crates_alone() {
    let files = sdk::files();
    let (_, text) = files
        .iter()
        .find(|(path, _)| *path == "Cargo.toml")
        .expect("a manifest");
    let manifest: toml::Table = text.parse().expect("TOML");
    let members: Vec<_> = manifest["workspace"]["members"]
        .as_array()
        .expect("members")
        .iter()
        .filter_map(toml::Value::as_str)
        .collect();
    for member in &members {
        let own = format!("{member}/Cargo.toml");
        assert!(files.iter().any(|(path, _)| *path == own), "{own}");
    }
    assert!(sdk::lock().contains("name = \"serde\""));
}
