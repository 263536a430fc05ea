//! Rows and cells that a function deletes are gone from the table, and what is written after that
//! is there.

use std::collections::BTreeMap;
use streamhost_tests::guests::component;
use streamhost_tests::host::{Host, unique};
use streamhost_tests::outside;
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::SOON;

#[test]
fn a_function_deletes_rows_and_cells() {
    let (_guard, servers) = Servers::shared();
    let mut host = Host::serve(servers);
    let job = unique("people");
    outside::create_topic(&servers.kafka, &job, 1); // one partition: the commands have an order
    let (source, sink) = (format!("source.people={job}"), format!("sink.people={job}"));
    let settings = [
        "--name",
        &job,
        "--create-tables",
        "--set",
        "every=0",
        "--set",
        &source,
        "--set",
        &sink,
    ];
    host.deploy(&component("tests/guests/eraser"), &settings)
        .ok();

    let mut sent = 0;
    let mut after = |host: &Host, commands: &[&str]| -> BTreeMap<String, String> {
        outside::send(&servers.kafka, &job, commands);
        sent += commands.len() as u64;
        let status = host.wait_records(&job, sent, SOON);
        assert_eq!(status["dead_letters"], 0, "{status}");
        let cells =
            |cells: BTreeMap<String, String>| cells.into_values().collect::<Vec<_>>().join(" ");
        outside::table(&servers.gateway, &job)
            .into_iter()
            .map(|(key, of)| (key, cells(of)))
            .collect()
    };
    let rows = |rows: &[(&str, &str)]| {
        rows.iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    };
    let first = ["put a Ada maths", "put b Bob", "put c Cy chess", "put d Di"];
    assert_eq!(
        after(&host, &first),
        rows(&[
            ("a", "Ada maths"),
            ("b", "Bob"),
            ("c", "Cy chess"),
            ("d", "Di")
        ])
    );
    assert_eq!(
        after(&host, &["unset a", "delete b", "delete c"]),
        rows(&[("a", "Ada"), ("d", "Di")])
    );
    // Within a batch the last word counts, whatever the order in which HBase applies puts and
    // deletes.
    let mixed = [
        "delete d",
        "put d Dora",
        "put b Ben",
        "delete b",
        "put e Eve",
        "unset e",
        "put c Cora",
    ];
    let then: BTreeMap<String, String> =
        rows(&[("a", "Ada"), ("c", "Cora"), ("d", "Dora"), ("e", "Eve")]);
    assert_eq!(after(&host, &mixed), then);
    host.kill();
    host.restart();
    assert_eq!(
        after(&host, &["unset nobody"]),
        then,
        "a kill brings nothing back"
    );
}
