//! `events-feed BROKERS TOPIC [RATE [COUNT]]`: creates the topic, and sends generated events of its
//! kind (`lines`, `pageviews`, `posts`, `readings` or `plays`), RATE a second (default 100), until
//! COUNT are sent, or for ever. Beside `readings` it fills `panels`. After COUNT events each
//! partition is given one from long after, which ends all windows. To play with, and for
//! measurements.

use anyhow::{Context, Result};
use streamhost_tests::feed::{Feed, create_topic, fill};
use streamhost_tests::keyed::{Events, Kind, panels};
use streamhost_tests::sizes::{PARTITIONS, seed};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [brokers, topic, numbers @ ..] = arguments.as_slice() else {
        anyhow::bail!("usage: events-feed BROKERS TOPIC [RATE [COUNT]]");
    };
    let kinds = || Kind::ALL.map(|(name, _)| name).join(", ");
    let (_, kind) = Kind::ALL
        .into_iter()
        .find(|(name, _)| name == topic)
        .with_context(|| format!("TOPIC is one of {}", kinds()))?;
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
    if kind == Kind::Readings {
        create_topic(brokers, "panels", PARTITIONS)?;
        fill(brokers, "panels", panels().into_iter())?;
    }
    println!("sending {rate} events a second to topic {topic}");
    let sent = Feed::start(brokers, topic, rate, Events::new(kind, seed()).take(count)).finish()?;
    let ends = fill(brokers, topic, kind.ends().into_iter())?;
    println!("{sent} events and {ends} ends sent to {topic}");
    Ok(())
}
