//! Parameters are held against the job at a deploy, belong to the version, and are what batches see,
//! also after a kill.

use std::collections::BTreeMap;
use streamhost_tests::guests::component;
use streamhost_tests::host::{Host, unique};
use streamhost_tests::outside;
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::SOON;

#[test]
fn a_parameter_belongs_to_its_version() {
    let (_guard, servers) = Servers::shared();
    let mut host = Host::serve(servers);
    let job = unique("texts");
    outside::create_topic(&servers.kafka, &job, 1);
    let texts = component("tests/guests/threshold");
    let deploy = |host: &Host, set: &[&str]| {
        let mut all = vec![
            format!("source.texts-in={job}"),
            format!("sink.texts-out={job}"),
        ];
        all.extend(set.iter().map(|&pair| pair.to_owned()));
        host.deploy_as(&texts, &job, &all, &["--create-tables"])
    };
    for (set, words) in [
        ("param.least-lenght=2", "did you mean `least-length`?"),
        (
            "param.least-length=two",
            "`param.least-length=two`: a whole number from 0 on",
        ),
    ] {
        let refused = deploy(&host, &[set]).refusal();
        assert!(refused.contains(words), "{refused}");
    }

    let value = |host: &Host| host.status(&job)["parameters"][0]["value"].clone();
    let mut sent = 0;
    let mut after = |host: &Host, texts: &[&str]| -> BTreeMap<String, String> {
        outside::send(&servers.kafka, &job, texts);
        sent += texts.len() as u64;
        host.wait_records(&job, sent, SOON);
        let row = |(key, cells): (String, BTreeMap<String, String>)| {
            (key, cells.into_values().collect::<String>())
        };
        outside::table(&servers.gateway, &job)
            .into_iter()
            .map(row)
            .collect()
    };
    let rows = |rows: &[(&str, &str)]| {
        let row = |(key, least): &(&str, &str)| ((*key).to_owned(), (*least).to_owned());
        rows.iter().map(row).collect::<BTreeMap<_, _>>()
    };

    deploy(&host, &[]).ok();
    assert_eq!(value(&host), "3", "the default");
    assert_eq!(after(&host, &["ab", "abc"]), rows(&[("abc", "3")]));
    deploy(&host, &["param.least-length=1"]).ok();
    assert_eq!(
        (value(&host), host.status(&job)["version"].clone()),
        ("1".into(), 2.into())
    );
    host.kill();
    host.restart();
    let both = rows(&[("abc", "3"), ("a", "1")]);
    assert_eq!(after(&host, &["a"]), both);
    // It stays where it is not given again, and is seen in the history.
    let said = deploy(&host, &[]).ok();
    assert!(said.contains("already") || value(&host) == "1", "{said}");
    let history = host.json(&["history", &job]);
    assert_eq!(
        history[0]["settings"]["param.least-length"], "1",
        "{history}"
    );
    host.cli(["rollback", &job]).ok();
    assert_eq!(
        (value(&host), host.status(&job)["version"].clone()),
        ("3".into(), 1.into())
    );
    assert_eq!(after(&host, &["b", "bcd"]).len(), both.len() + 1);
}
