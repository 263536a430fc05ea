//! Words of a socket's lines, counted on the console.

use std::fs::write;
use streamhost_tests::guests::component;
use streamhost_tests::host::{Host, unique};
use streamhost_tests::keyed::{Events, Kind};
use streamhost_tests::keyed_jobs::Verdict;
use streamhost_tests::lines::LineServer;
use streamhost_tests::outside;
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::{LATE, seed, sizes};

/// The example's name for its socket.
const SOCKET: &str = "localhost:9999";
/// Portions that the lines are sent in; the host is killed after each.
const PORTIONS: usize = 4;

/// A line in transit is lost with its connection, as nobody can ask for it again. So the host is
/// killed when it has taken all that was sent: what it took is counted once, and it finds its way
/// back to the socket.
#[test]
fn keyed_wordcount_counts_the_lines_of_a_socket() {
    let (_guard, servers) = Servers::shared();
    let seed = seed();
    println!("STREAMHOST_SEED={seed}");
    let text = |event: streamhost_tests::clicks::Record| String::from_utf8(event.value?).ok();
    let lines: Vec<String> = Events::new(Kind::Lines, seed)
        .filter_map(text)
        .filter(|line| !line.is_empty())
        .take(sizes().keyed_events as usize / 2)
        .collect();
    let (mut host, mut server, job) =
        (Host::serve(servers), LineServer::new(), unique("wordcount"));
    let source = format!("source.{SOCKET}={}", server.address);
    host.deploy(
        &component("examples/wordcount"),
        &["--name", &job, "--set", &source, "--set", "every=100ms"],
    )
    .ok();
    let mut sent = 0;
    for (i, portion) in lines.chunks(lines.len().div_ceil(PORTIONS)).enumerate() {
        if i > 0 {
            host.kill();
            host.restart();
            server.wait_for_the_next_reader();
        }
        server.send(portion);
        sent += portion.len() as u64;
        host.wait_records(&job, sent, LATE);
    }
    let all = host.file("lines.txt");
    write(&all, lines.join("\n")).expect("the folder can be written");
    let places = [
        ("text", all.display().to_string()),
        ("console", host.log().display().to_string()),
    ];
    Verdict::of(&outside::oracle("wordcount", &places)).is_told_by(&host.status(&job));
}
