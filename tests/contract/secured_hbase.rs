//! HBase's gateway over TLS and HTTP, behind a proxy with a password, and as one of several: each way
//! in, each wrong setting's message, and a gateway that hangs.

use std::fs::write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use streamhost_tests::clicks::Clicks;
use streamhost_tests::command::{Said, say};
use streamhost_tests::feed::{self, Feed};
use streamhost_tests::host::{Host, free_port, unique};
use streamhost_tests::outside;
use streamhost_tests::paths::streamhost;
use streamhost_tests::servers::{Server, Servers};
use streamhost_tests::sizes::{LATE, PARTITIONS, SOON, seed, sizes};
use streamhost_tests::wait::wait_until;

/// A wrong setting is told sooner: connecting and the first call have 5 s each.
const SECONDS: Duration = Duration::from_secs(12);

/// The section of one gateway, with these lines more.
fn section(servers: &Servers, gateway: &str, more: &str) -> String {
    let address = servers
        .hbase_port(gateway)
        .replace("127.0.0.1", "localhost");
    format!("[hbase]\nthrift = \"{address}\"\n{more}")
}

/// The authority that signed the certificates of all gateways.
fn tls(servers: &Servers) -> String {
    let ca = servers.hbase_tls("ca.pem");
    format!("tls = true\nca = \"{}\"\n", ca.display())
}

/// A user of the proxy, with its password in a file.
fn user(file: &Path) -> String {
    format!(
        "transport = \"http\"\nusername = \"app\"\npassword = {{ file = \"{}\" }}\n",
        file.display()
    )
}

fn own(servers: &Servers, name: &str) -> String {
    let file = |end: &str| servers.hbase_tls(&format!("{name}.{end}"));
    let (certificate, key) = (file("pem"), file("key"));
    format!(
        "certificate = \"{}\"\nkey = \"{}\"\n",
        certificate.display(),
        key.display()
    )
}

const HTTP: &str = "transport = \"http\"\n";

/// Scans a table with a configuration of its own.
fn scan(folder: &Path, section: &str, table: &str) -> Said {
    let config = folder.join("streamhost.toml");
    write(&config, section).expect("written");
    say(Command::new(streamhost())
        .args(["scan", table, "--config"])
        .arg(&config))
}

/// A topic with clicks, and their number.
fn clicks(servers: &Servers, job: &str) -> u64 {
    feed::create_topic(&servers.kafka, job, PARTITIONS).expect("a topic");
    let (records, seed) = (sizes().clicks / 50, seed());
    println!("STREAMHOST_SEED={seed}");
    feed::fill(
        &servers.kafka,
        job,
        Clicks::new(seed).take(records as usize),
    )
    .expect("a full topic");
    records
}

#[test]
fn secured_hbase_each_way_in_writes_the_table() {
    let (_guard, servers) = Servers::shared();
    servers.start_hbase(&["http", "https", "front"]);
    let folder = tempfile::tempdir().expect("a folder");
    let password = folder.path().join("password");
    write(&password, "secret\n").expect("written");
    let (ca, user) = (tls(servers), user(&password));
    let mutual = own(servers, "client");
    let myself = say(Command::new("id").arg("-un")).last_line();
    for (gateway, more) in [
        ("http", HTTP.to_owned()),
        ("https", format!("{HTTP}{ca}")),
        ("https", format!("{HTTP}{ca}do-as = \"{myself}\"\n")),
        ("front", user.clone()),
        ("front-tls", format!("{user}{ca}")),
        ("tls", ca.clone()),
        ("mutual", format!("{ca}{mutual}")),
    ] {
        let job = unique("way-in");
        let records = clicks(servers, &job);
        let section = section(servers, gateway, &more);
        let host = Host::serve_hbase(servers, &section);
        host.deploy_clicks(&job);
        host.wait_records(&job, records, LATE);
        let letters = format!("{job}.dead-letters");
        outside::clicks_are_right(&servers.kafka, &job, &servers.gateway, &job, &letters);
        scan(folder.path(), &section, &job).ok();
        assert!(!host.log_text().contains("s3cret"), "{}", host.log_end());
    }
}

#[test]
fn secured_hbase_each_wrong_setting_gets_its_message() {
    let (_guard, servers) = Servers::shared();
    servers.start_hbase(&["http", "https", "front"]);
    let folder = tempfile::tempdir().expect("a folder");
    let wrong = folder.path().join("wrong");
    write(&wrong, "wrong-s3cret\n").expect("written");
    let ca = tls(servers);
    let stranger = ca.replace("ca.pem", "stranger-ca.pem");
    let cases = [
        ("https", format!("{HTTP}{stranger}"), "is not trusted"),
        ("tls", stranger, "is not trusted"),
        ("https", format!("{HTTP}tls = true\n"), "name the authority"),
        ("tls", String::new(), "tls = false"),
        ("https", HTTP.to_owned(), "tls"),
        ("gateway", ca.clone(), "gateway without TLS"),
        ("http", format!("{HTTP}{ca}"), "gateway without TLS"),
        ("http", String::new(), "set `hbase.transport = \"http\"`"),
        (
            "gateway",
            HTTP.to_owned(),
            "compare hbase.regionserver.thrift",
        ),
        ("front", HTTP.to_owned(), "set `hbase.username`"),
        ("front", user(&wrong), "does not take `hbase.username`"),
        ("mutual", ca.clone(), "hbase.certificate"),
        (
            "mutual",
            format!("{ca}{}", own(servers, "stranger")),
            "hbase.certificate",
        ),
        (
            "http",
            format!("{HTTP}do-as = \"anna\"\n"),
            "hbase.thrift.support.proxyuser",
        ),
    ];
    for (gateway, more, part) in cases {
        let section = section(servers, gateway, &more);
        let began = Instant::now();
        let refusal = scan(folder.path(), &section, "any").refusal();
        assert!(refusal.contains(part), "{section}{refusal}");
        assert!(!refusal.contains("s3cret"), "{refusal}");
        assert_eq!(refusal.trim_end().lines().count(), 1, "{refusal}");
        assert!(
            began.elapsed() < SECONDS,
            "{:?}: {section}",
            began.elapsed()
        );
    }
    // By another name than those of its certificate.
    let elsewhere = section(servers, "tls", &ca).replace("localhost", "127.1");
    let refusal = scan(folder.path(), &elsewhere, "any").refusal();
    assert!(
        refusal.contains("is not for `127.1`, but for `localhost`"),
        "{refusal}"
    );
}

#[test]
fn a_table_of_a_namespace_is_written_and_a_namespace_that_is_missing_is_told() {
    let (_guard, servers) = Servers::shared();
    let job = unique("namespace");
    let records = clicks(servers, &job);
    let host = Host::serve(servers);
    let deploy = |table: &str| host.try_clicks(&job, table);
    let refusal = deploy("nowhere:clicks").refusal();
    assert!(
        refusal.contains("there is no namespace `nowhere`")
            && refusal.contains("create_namespace 'nowhere'"),
        "{refusal}"
    );
    let namespace = job.replace('-', "_");
    servers.make_namespace(&namespace);
    let table = format!("{namespace}:clicks");
    deploy(&table).ok();
    host.wait_records(&job, records, LATE);
    let letters = format!("{job}.dead-letters");
    outside::clicks_are_right(&servers.kafka, &job, &servers.gateway, &table, &letters);
}

/// The job goes on by the other gateway, and what the first one writes late changes nothing.
#[test]
fn a_gateway_of_two_that_hangs_and_wakes_leaves_the_table_right() {
    let (_guard, servers) = Servers::alone();
    servers.start_hbase(&["second"]);
    let job = unique("two");
    feed::create_topic(&servers.kafka, &job, PARTITIONS).expect("a topic");
    let gone = format!("127.0.0.1:{}", free_port());
    let (first, second) = (&servers.gateway, servers.hbase_port("second"));
    let section = format!("[hbase]\nthrift = [\"{first}\", \"{gone}\", \"{second}\"]\n");
    let host = Host::serve_hbase(servers, &section);
    host.deploy_clicks(&job);
    let (seed, rate) = (seed(), sizes().outage_rate);
    println!("STREAMHOST_SEED={seed}");
    let feed = Feed::start(&servers.kafka, &job, rate, Clicks::new(seed));
    host.wait_records(&job, u64::from(rate), LATE);

    let frozen = servers.freeze(Server::Gateway);
    let before = host.records(&job);
    wait_until("the other gateway serves", LATE, || {
        host.records(&job) > before + 2 * u64::from(rate)
    });
    drop(frozen);
    let records = feed.stop().expect("all records sent");
    host.wait_records(&job, records, LATE);
    wait_until("nothing waits", SOON, || {
        host.status(&job)["waiting_for"].is_null()
    });
    let letters = format!("{job}.dead-letters");
    outside::clicks_are_right(&servers.kafka, &job, first, &job, &letters);
}
