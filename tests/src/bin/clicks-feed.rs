//! `clicks-feed BROKERS TOPIC [RATE [COUNT]]`: creates the topic, and sends generated clicks, RATE
//! a second (default 100), until COUNT are sent, or for ever. For the demo, and to play with.

use anyhow::{Context, Result};
use streamhost_tests::clicks::Clicks;
use streamhost_tests::feed::{Feed, create_topic};
use streamhost_tests::sizes::{PARTITIONS, seed};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [brokers, topic, numbers @ ..] = arguments.as_slice() else {
        anyhow::bail!("usage: clicks-feed BROKERS TOPIC [RATE [COUNT]]");
    };
    let rate = numbers
        .first()
        .map_or(Ok(100), |rate| rate.parse())
        .context("RATE is a number above 0")?;
    let count = numbers
        .get(1)
        .map_or(Ok(usize::MAX), |count| count.parse())
        .context("COUNT is a number")?;
    anyhow::ensure!(rate > 0, "RATE is a number above 0");
    create_topic(brokers, topic, PARTITIONS)?;
    println!("sending {rate} clicks a second to topic {topic}");
    let sent = Feed::start(brokers, topic, rate, Clicks::new(seed()).take(count)).finish()?;
    println!("{sent} clicks sent to {topic}");
    Ok(())
}
