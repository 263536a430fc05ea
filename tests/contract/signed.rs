//! A host with trusted keys takes what one of them has signed, as it was signed, and nothing else.

use std::fs::{copy, read, write};
use std::path::{Path, PathBuf};
use std::process::Command;
use streamhost_tests::command::{Said, say};
use streamhost_tests::guests::component;
use streamhost_tests::host::{Host, unique};
use streamhost_tests::outside;
use streamhost_tests::paths::streamhost;
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::SOON;

/// Makes a key, and signs with it.
struct Signer {
    key: PathBuf,
    public: String,
}

impl Signer {
    fn new(folder: &Path, name: &str) -> Signer {
        let key = folder.join(format!("{name}.key"));
        let mut keygen = Command::new(streamhost());
        let said = say(keygen.args(["sign", "keygen", name, "--to"]).arg(&key));
        let public = said.ok().trim_end().to_owned();
        Signer { key, public }
    }

    fn sign(&self, file: &Path) -> Said {
        let mut sign = Command::new(streamhost());
        say(sign.arg("sign").arg(file).arg("--key").arg(&self.key))
    }
}

#[test]
fn only_what_a_trusted_key_has_signed_is_deployed() {
    let (_guard, servers) = Servers::shared();
    let folder = tempfile::tempdir().expect("a folder");
    let [ann, bob] = ["ann", "bob"].map(|name| Signer::new(folder.path(), name));
    let keys = |keys: &[&Signer]| {
        let keys: Vec<_> = keys
            .iter()
            .map(|key| format!("\"{}\"", key.public))
            .collect();
        format!("trusted-keys = [{}]\n", keys.join(", "))
    };
    let mut host = Host::serve_control(servers, |_| String::new());
    let job = unique("signed");
    outside::create_topic(&servers.kafka, &job, 1);
    let file = folder.path().join("texts.wasm");
    copy(component("tests/guests/threshold"), &file).expect("copied");
    let places = [
        format!("source.texts-in={job}"),
        format!("sink.texts-out={job}"),
    ];
    let deploy = |host: &Host, more: &[&str]| {
        host.deploy_as(&file, &job, &places, &[&["--create-tables"], more].concat())
    };
    let signer = |host: &Host| host.json(&["history", &job])[0]["signed_by"].clone();
    let config = host.file("streamhost.toml");
    let plain = std::fs::read_to_string(&config).expect("it is there");
    let trust = |host: &mut Host, signers: &[&Signer]| {
        host.stop();
        let control = format!("[control]\n{}", keys(signers));
        write(&config, plain.replace("[control]\n", &control)).expect("written");
        host.restart();
    };

    // Without keys anything is taken, and nobody's name is given.
    deploy(&host, &[]).ok();
    assert!(signer(&host).is_null());
    trust(&mut host, &[&ann]);
    let with = &["--set", "param.least-length=1"][..];
    let refused = deploy(&host, with).refusal();
    assert!(refused.contains("is not signed"), "{refused}");
    let refused = deploy(&host, &[with, &["--dry-run"]].concat());
    assert!(refused.err.contains("is not signed"), "{refused:?}");
    bob.sign(&file).ok();
    let refused = deploy(&host, with).refusal();
    assert!(
        refused.contains("(ann)") && refused.contains("says `bob`"),
        "{refused}"
    );
    let said = ann.sign(&file).ok();
    assert!(said.contains("is signed by `ann`"), "{said}");
    let signed = read(&file).expect("it is there");
    for at in [9, signed.len() / 2, signed.len() - 1] {
        let mut altered = signed.clone();
        altered[at] ^= 1;
        write(&file, &altered).expect("written");
        let refused = deploy(&host, with).refusal();
        assert!(refused.contains("sign"), "byte {at}: {refused}");
    }
    write(&file, &signed).expect("written");
    deploy(&host, with).ok();
    assert_eq!(signer(&host), "ann");
    assert_eq!(host.status(&job)["signed_by"], "ann");
    let mut inspect = Command::new(streamhost());
    let said = say(inspect.arg("inspect").arg(&file)).ok();
    assert!(said.contains("by `ann`, as it says"), "{said}");
    outside::send(&servers.kafka, &job, &["a"]);
    host.wait_records(&job, 1, SOON);
    let table = outside::table(&servers.gateway, &job);
    assert_eq!(
        table.len(),
        1,
        "what is signed runs as it would without: {table:?}"
    );

    // The version of before was not signed.
    let refused = host.cli(["rollback", &job]).refusal();
    assert!(refused.contains("is not signed"), "{refused}");
    let entry = &host.json(&["audit", &job])[0];
    assert_eq!(
        (&entry["verb"], &entry["status"]),
        (&"rollback".into(), &422.into())
    );
    // A key that is trusted no more stops nothing that runs, and brings nothing more to run.
    trust(&mut host, &[&bob]);
    outside::send(&servers.kafka, &job, &["b"]);
    host.wait_records(&job, 2, SOON);
    let refused = deploy(&host, &["--set", "param.least-length=2"]).refusal();
    assert!(
        refused.contains("none of this host's trusted keys (bob)"),
        "{refused}"
    );
    bob.sign(&file).ok();
    deploy(&host, &[]).ok();
    let history = host.json(&["history", &job]);
    let signers: Vec<_> = [0, 1].map(|n| history[n]["signed_by"].clone()).into();
    assert_eq!(signers, ["bob", "ann"]);
    let done = &host.json(&["audit", &job])[0];
    assert_eq!(
        (&done["signed_by"], &done["outcome"]),
        (&"bob".into(), &"done".into())
    );
}
