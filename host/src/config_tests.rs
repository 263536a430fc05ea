use super::*;
use std::time::Duration;
use streamhost_connectors::hbase::Protocol;
use streamhost_connectors::hbase::Transport;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(Path::new("/etc/streamhost/streamhost.toml"), text).map_err(|e| e.to_string())
}

#[test]
fn an_empty_file_gives_the_defaults() {
    let config = parse("").expect("empty");
    assert_eq!(config, Config::default());
    assert_eq!(config.control.listen.to_string(), "127.0.0.1:7070");
    assert_eq!(
        (config.kafka.brokers, config.hbase.addresses()),
        ("127.0.0.1:9092".to_owned(), "127.0.0.1:9090".to_owned())
    );
}

#[test]
fn every_key_reaches_its_field() {
    let text = r#"
        data-dir = "data"
        [control]
        listen = "[::1]:7171"
        [kafka]
        brokers = ["a:9092", "b:9093"]
        "fetch.wait.max.ms" = 0x10
        socket.timeout.ms = 60_000
        "socket.keepalive.enable" = true
        "security.protocol" = "plaintext"
        [hbase]
        thrift = ["gate:9999", "gate2:9999"]
        transport = "framed"
        protocol = "compact"
        connections = 4
        [limits]
        lanes = 2
        memory = "32MiB"
        time = "5s"
        batch-records = 1000
        batch-bytes = 65536
    "#;
    let config = parse(text).expect("all of it is good");
    assert_eq!(config.data_dir, Path::new("/etc/streamhost/data"));
    assert_eq!(config.control.listen.to_string(), "[::1]:7171");
    assert_eq!(config.kafka.brokers, "a:9092,b:9093");
    let properties: Vec<_> = config
        .kafka
        .properties
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(
        properties,
        [
            ("fetch.wait.max.ms", "16"),
            ("security.protocol", "plaintext"),
            ("socket.keepalive.enable", "true"),
            ("socket.timeout.ms", "60000"),
        ]
    );
    let (transport, protocol) = (Transport::Framed, Protocol::Compact);
    assert_eq!(
        config.hbase,
        HbaseSettings {
            gateways: vec!["gate:9999".to_owned(), "gate2:9999".to_owned()],
            transport,
            protocol,
            connections: 4,
            ..HbaseSettings::default()
        }
    );
    assert_eq!(config.lanes, Some(2));
    let limits = JobLimits {
        memory_bytes: 32 << 20,
        time: Duration::from_secs(5),
        batch_records: 1000,
        batch_bytes: 65536,
    };
    assert_eq!(config.limits, limits);
}

#[test]
fn each_fault_is_found_with_its_line() {
    let cases = [
        (
            "data_dir = 'x'",
            ":1: `data_dir` is no key: did you mean `data-dir`?",
        ),
        (
            "\nwhatever = 1",
            ":2: `whatever` is no key: there are data-dir, control, cluster, kafka, hbase, postgres, mysql, elasticsearch, allow, limits",
        ),
        ("data-dir = 1", "a text in quotes belongs here, not integer"),
        ("data-dir = ''", "`data-dir` is empty"),
        ("control = 1", "`control` is a section"),
        (
            "[control]\nlisten = '7070'",
            ":2: `control.listen = \"7070\"`",
        ),
        ("[control]\nlistn = ''", "did you mean `listen`?"),
        (
            "[control]\nlisten = '0.0.0.0:7070'",
            "open to other machines",
        ),
        ("[control]\ntoken-file = 'none'", "cannot be read"),
        (
            "[control]\ncertificate = 'c.pem'",
            "name it as `control.key`",
        ),
        (
            "[control]\nkey = 'c.key'",
            "name it as `control.certificate`",
        ),
        (
            "[control]\nkey = 'c.key'\ncertificate = 'c.pem'",
            "`control.certificate`: /etc/streamhost/c.pem cannot be read",
        ),
        (
            "[control]\ntrusted-keys = 'a:AQ'",
            "`control.trusted-keys`: a list of public keys belongs here",
        ),
        ("[control]\ntrusted-keys = []", "it is empty: name a key"),
        ("[control]\ntrusted-keys = [1]", "a list of public keys"),
        (
            "[control]\ntrusted-keys = ['release:AQID']",
            "a key is NAME:BASE64",
        ),
        ("[kafka]\nbrokers = ''", "`` is not HOST:PORT"),
        ("[kafka]\nbrokers = []", "it is empty"),
        ("[kafka]\nbrokers = 'a:9092,b'", "`b` is not HOST:PORT"),
        ("[kafka]\nbrokers = [1]", "list of texts"),
        ("[kafka]\nbrokers = 9092", "not integer"),
        ("[kafka]\nbroker = 'a:1'", "did you mean `brokers`?"),
        ("[kafka]\n'bootstrap.servers' = 'a:1'", "as `brokers`"),
        ("[kafka]\ngroup.id = 'a'", "--set group="),
        ("[kafka]\n'x.y' = [1]", "`kafka.\"x.y\"`: a property is"),
        ("[kafka]\n'linger.ms' = 1\nlinger.ms = 2", "set twice"),
        (
            "[kafka]\ncompression.codec = 'gzip'\n'compression.type' = 'lz4'",
            "two names of one property",
        ),
        (
            "[kafka]\nfetch.max.bytes = 1000",
            "`fetch.max.bytes` cannot be set: the host bounds its memory",
        ),
        (
            "[kafka]\nsasl.password = { file = 'none' }",
            ":2: `kafka.\"sasl.password\"`: the file /etc/streamhost/none cannot be read",
        ),
        (
            "[kafka]\nsasl.password = { env = 'STREAMHOST_NO_SUCH' }",
            "STREAMHOST_NO_SUCH is not set",
        ),
        (
            "[kafka]\nlinger.ms = { file = 'x' }",
            "No such configuration property",
        ),
        (
            "[kafka]\nssl.ca.location = 'none.pem'",
            "`kafka.\"ssl.ca.location\" = \"none.pem\"`: it cannot be read",
        ),
        (
            "[kafka]\nsasl.mechanism = 'GSSAPI'\nsecurity.protocol = 'SASL_SSL'",
            "no client of Kafka can be made of `[kafka]`",
        ),
        ("[hbase]\nthrift = 'gate'", "HOST:PORT"),
        ("[hbase]\nthrift = 'gate:0'", "HOST:PORT"),
        ("[hbase]\nthrift = 'gate:99999'", "HOST:PORT"),
        ("[hbase]\nthrift = []", "`hbase.thrift`: it is empty"),
        (
            "[hbase]\ntransport = 'tcp'",
            "it is \"buffered\", \"framed\" or \"http\"",
        ),
        (
            "[hbase]\ntls = 1",
            "`hbase.tls`: true or false belongs here",
        ),
        (
            "[hbase]\nca = 'ca.pem'",
            "`hbase.ca` is for TLS: set `hbase.tls = true`",
        ),
        (
            "[hbase]\ntls = true\nca = 'none.pem'",
            "`hbase.ca`: /etc/streamhost/none.pem cannot be read",
        ),
        (
            "[hbase]\ntls = true\nkey = 'k'",
            "name it as `hbase.certificate`",
        ),
        (
            "[hbase]\ndo-as = 'app'",
            "`hbase.do-as` is for HTTP: set `hbase.transport = \"http\"`",
        ),
        (
            "[hbase]\ntransport = 'http'\nusername = 'app'",
            "name where it stands as `hbase.password`",
        ),
        (
            "[hbase]\ntransport = 'http'\npassword = 's3cret'\nusername = 'app'",
            "`hbase.password`: a password does not stand here: { file = ",
        ),
        (
            "[hbase]\ntransport = 'http'\npassword = { file = 'none' }\nusername = 'app'",
            "the file /etc/streamhost/none cannot be read",
        ),
        (
            "[hbase]\ntransport = 'http'\ndo-as = 'a:b'",
            "no name of a user",
        ),
        (
            "[hbase]\ntransport = 'http'\npath = 'hbase'",
            "`hbase.path = \"hbase\"`: a path begins with `/`",
        ),
        ("[hbase]\nprotocol = 'json'", "\"binary\" or \"compact\""),
        ("[hbase]\nconnections = 0", "from 1 to 64"),
        (
            "postgres = 1",
            "`postgres` is a section: write `[postgres]`",
        ),
        ("[postgres]\ntls = true", ":1: `postgres.url` is missing"),
        ("[mysql]\ntls = true", ":1: `mysql.url` is missing"),
        (
            "[mysql.eu]\nurl = 'mysql://a:s3cret@h/d'",
            ":2: `mysql.eu.url`: a password does not stand here",
        ),
        (
            "[postgres]\nurl = 'postgresql://a:s3cret@h/d'",
            "a password does not stand here",
        ),
        (
            "[postgres]\nurl = 'postgresql://a@h/d'\nurls = 1",
            "`postgres.urls` is no key: did you mean `url`?",
        ),
        (
            "[postgres.eu]\nurl = 'postgresql://a@h/d'\nca = 'ca.pem'",
            ":3: `postgres.eu.ca` is for TLS: set `postgres.eu.tls = true`",
        ),
        (
            "[postgres.eu]\nurl = 'postgresql://a@h/d'\npassword = 's3cret'",
            "`postgres.eu.password`: a password does not stand here",
        ),
        (
            "[limits]\nlanes = 65",
            "`limits.lanes = 65`: it must be from 1 to 64",
        ),
        ("[limits]\nlanes = -1", "whole number"),
        ("[limits]\nmemory = '1KiB'", "4.0 MiB to 1.0 GiB"),
        ("[limits]\ntime = 5", "unit is missing"),
        (
            "[alerts]\nwebhook = 'alerts.example.org'",
            "`alerts.webhook`: it is an address such as https://",
        ),
        ("[alerts]\nwebhok = 'https://a'", "did you mean `webhook`?"),
        (
            "[telemetry]\notlp-endpoint = 'https://c:4318'",
            "it is http://HOST:PORT",
        ),
        (
            "[telemetry]\notlp-endpoint = 'http://c'",
            "it is http://HOST:PORT",
        ),
        (
            "[telemetry]\nsample-percent = 101",
            "`telemetry.sample-percent = 101`",
        ),
        (
            "[telemetry]\notlp = 'http://c:1'",
            "`telemetry.otlp` is no key",
        ),
        ("[limits]\ntime = true", "boolean cannot be here"),
        ("[limits]\nmemroy = 1", "did you mean `memory`?"),
        (
            "[allow]\nfiles = 1",
            "`allow.files`: a list of patterns belongs",
        ),
        (
            "[allow]\nfiles = [1]",
            "`allow.files`: a list of patterns belongs",
        ),
        (
            "[allow]\ntopics = ['a***']",
            "`allow.topics`: `a***` is no pattern",
        ),
        ("[allow]\nfile = []", "did you mean `files`?"),
        ("[limits\n", ":1: "),
        ("a = 1\na = 2", ":2: "),
    ];
    each_is_said(&cases);
}

#[track_caller]
fn each_is_said(cases: &[(&str, &str)]) {
    for (text, want) in cases {
        let said = parse(text).expect_err(text);
        assert!(said.contains(want), "{text:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{text:?}: {said}");
    }
}

#[test]
fn the_hosts_that_share_their_jobs_are_read_and_each_fault_is_said() {
    let text = "[cluster]\nname = 'prod'\nhost = 'h1'\naddress = 'https://h1.example.org:7070'\n";
    let cluster = parse(text).unwrap().cluster.unwrap();
    assert_eq!(
        (&*cluster.name, cluster.host.as_deref()),
        ("prod", Some("h1"))
    );
    let address = Some("https://h1.example.org:7070");
    assert_eq!((cluster.address.as_deref(), cluster.ca), (address, None));
    assert_eq!(parse("").unwrap().cluster, None);
    each_is_said(&[
        ("[cluster]\nhost = 'h1'", ":1: `cluster.name` is missing"),
        ("cluster = 1", "`cluster` is a section: write `[cluster]`"),
        (
            "[cluster]\nname = 'a.b'",
            ":2: `cluster.name = \"a.b\"`: only lower-case letters",
        ),
        (
            "[cluster]\nname = 'a'\nhost = ''",
            "`cluster.host = \"\"`: it is empty",
        ),
        (
            "[cluster]\nname = 'a'\naddress = 'h1:7070'",
            ":3: `cluster.address = \"h1:7070\"`: it is http://HOST:PORT",
        ),
        (
            "[cluster]\nname = 'a'\nca = 'no.pem'",
            ":3: `cluster.ca = \"no.pem\"`",
        ),
        ("[cluster]\nnam = 'a'\nname = 'a'", "did you mean `name`?"),
    ]);
}

#[test]
fn each_fault_of_a_cluster_is_found_with_its_line() {
    each_is_said(&[
        (
            "elasticsearch = 1",
            "`elasticsearch` is a section: write `[elasticsearch]`",
        ),
        (
            "[elasticsearch]\ntls = true",
            ":1: `elasticsearch.hosts` is missing",
        ),
        (
            "[elasticsearch.eu]\nhosts = 'https://a:9200'",
            "`elasticsearch.eu.hosts`: `https://a:9200` is not HOST:PORT: leave the scheme away, and for HTTPS set",
        ),
        (
            "[elasticsearch]\nhosts = 'a:1,a:1'",
            "`elasticsearch.hosts`: `a:1` is named twice",
        ),
        (
            "[elasticsearch]\nhosts = 'a:1'\nurl = 1",
            "`elasticsearch.url` is no key: there are",
        ),
        (
            "[elasticsearch]\nhosts = 'a:1'\npath = 'es'",
            "a path begins with `/`",
        ),
        (
            "[elasticsearch]\nhosts = 'a:1'\nusername = 'app'",
            "`elasticsearch.username` needs a password",
        ),
        (
            "[elasticsearch]\nhosts = 'a:1'\npassword = { env = 'PATH' }",
            "`elasticsearch.password` needs its user",
        ),
        (
            "[elasticsearch]\nhosts = 'a:1'\napi-key = 's3cret'",
            "`elasticsearch.api-key`: a key does not stand here",
        ),
        (
            "[elasticsearch]\nhosts = 'a:1'\nusername = 'app'\napi-key = { env = 'PATH' }",
            "is instead of a user and a password",
        ),
        (
            "[elasticsearch]\nhosts = 'a:1'\nconnections = 9",
            "`elasticsearch.connections = 9`",
        ),
    ]);
}

#[test]
fn clusters_are_named_beside_the_usual_one() {
    let text = "[elasticsearch]\nhosts = ['one:9200', 'two:9200']\napi-key = { env = 'PATH' }\n\
                [elasticsearch.eu]\nhosts = 'three:9200'\npath = '/es'\nconnections = 4";
    let read = parse(text).expect("it is good");
    assert!(read.warnings[0].contains("set `elasticsearch.tls = true`"));
    let shown: Vec<String> = read
        .elasticsearch
        .iter()
        .map(|(name, of)| {
            let secret = of.access.is_some();
            format!(
                "{name}={} {}{} {secret}",
                of.section,
                of.addresses(),
                of.path
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            "=elasticsearch one:9200,two:9200 true",
            "eu=elasticsearch.eu three:9200/es false"
        ]
    );
}

#[test]
fn secrets_are_named_and_not_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let (password, config) = (folder.path().join("pw"), folder.path().join("s.toml"));
    std::fs::write(&password, "s3cret\n").expect("written");
    let text = "[kafka]\nsasl.password = { file = 'pw' }\n'ssl.key.password' = { file = 'pw' }";
    let read = Config::parse(&config, text).expect("it is good");
    assert_eq!(read.kafka.secrets.len(), 2);
    assert!(!format!("{read:?}").contains("s3cret"));
    assert_eq!(
        read.warnings.len(),
        2,
        "all may read it: {:?}",
        read.warnings
    );
    let text = "[kafka]\nsasl.password = 's3cret'\nsasl.username = 'me'";
    let read = Config::parse(&config, text).expect("it is taken");
    assert!(!format!("{read:?}").contains("s3cret"));
    assert!(
        read.warnings[0].contains("{ file = "),
        "{:?}",
        read.warnings
    );
    let text = "[kafka]\nsasl.password = 'a'\n'sasl.password' = { file = 'pw' }";
    let twice = Config::parse(&config, text).expect_err("twice");
    assert!(twice.to_string().contains("set twice"), "{twice}");
}

#[test]
fn databases_are_named_beside_the_usual_one() {
    let text = "[postgres]\nurl = 'postgresql://app@one/shop'\n\
                [postgres.eu]\nurl = 'postgresql://app@two:5433,three/shop'\npassword = { env = 'PATH' }";
    let read = parse(text).expect("it is good").postgres;
    let shown: Vec<String> = read
        .iter()
        .map(|(name, of)| format!("{name}={}", of.address()))
        .collect();
    assert_eq!(shown, ["=one:5432", "eu=two:5433,three:5432"]);
    assert!(read["eu"].password.is_some() && read[""].password.is_none());
    let read =
        parse("[mysql]\nurl = 'mysql://app@one/shop'\n[mysql.eu]\nurl = 'mysql://app@two/shop'");
    let read = read.expect("it is good").mysql;
    let sections: Vec<&str> = read.values().map(|of| of.section()).collect();
    assert_eq!(sections, ["mysql", "mysql.eu"]);
    let alone = parse("[postgres.eu]\nurl = 'postgresql://app@two/shop'").expect("it is good");
    assert!(!alone.postgres.contains_key(""));
    assert_eq!(alone.warnings, [] as [String; 0]);
}

#[test]
fn clusters_of_hbase_are_named_beside_the_usual_one() {
    let text = "[hbase]\nthrift = 'a:1'\n[hbase.eu]\nthrift = 'b:2'\ntransport = 'http'\n\
                username = 'u'\npassword = { env = 'PATH' }";
    let read = parse(text).expect("it is good");
    assert_eq!(read.hbase.gateways, ["a:1"]);
    assert_eq!(read.other_hbase["eu"].gateways, ["b:2"]);
    assert_eq!(
        read.warnings,
        ["`hbase.eu.password` goes over the network as it is: set `hbase.eu.tls = true`"]
    );
    let said = parse("[hbase.eu]\nprotocol = 'x'")
        .expect_err("two faults")
        .to_string();
    for what in [
        "`hbase.eu.thrift` is missing",
        "`hbase.eu.protocol = \"x\"`",
    ] {
        assert!(said.contains(what), "{said}");
    }
}

#[test]
fn all_faults_are_told_at_once_in_the_files_order() {
    let said = parse("datadir = 'x'\n[hbase]\nthrift = 'x'\nfoo = 1\n[limits]\nlanes = 0\n")
        .expect_err("four");
    let lines: Vec<_> = said
        .lines()
        .map(|line| line.split(':').nth(1).expect("a line"))
        .collect();
    assert_eq!(lines, ["1", "3", "4", "6"], "{said}");
}

#[test]
fn files_are_found_read_and_missed() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("streamhost.toml");
    let load = || Config::load(Some(&file)).map_err(|e| e.to_string());
    assert!(
        load().expect_err("no file").contains("--config"),
        "a named file must be there"
    );

    std::fs::write(folder.path().join("token"), "  s3cret\n").expect("written");
    std::fs::write(
        &file,
        "[control]\nlisten = '0.0.0.0:7070'\ntoken-file = 'token'",
    )
    .expect("written");
    let config = load().expect("with a token it may listen");
    let tokens = config.control.guard.tokens.as_ref().expect("they are read");
    assert!(tokens.find(b"s3cret").is_some());
    assert!(
        !format!("{config:?}").contains("s3cret"),
        "a token must not reach a log"
    );

    for (token, want) in [
        ("", "empty"),
        ("two words", "line 1: a token is one line"),
        (&"x".repeat(5000), "4096"),
    ] {
        std::fs::write(folder.path().join("token"), token).expect("written");
        assert!(load().expect_err(want).contains(want));
    }
}
