//! `consume`: shows the records of a topic.

use super::CliError;
use super::output::{Format, Output, plain};
use super::screen::Screen;
use super::servers::{Kafka, ServerError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::time::Duration;
use streamhost_connectors::kafka::topics::{TopicReader, TopicRecord, TopicSpan};
use streamhost_core::clock;

/// How long it is waited for a record before it is looked whether somebody still reads.
const WAIT: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  streamhost consume clicks.dead-letters --from-beginning             all that is there
  streamhost consume visits --from-beginning --count 10 --key-separator :
  streamhost consume visits --output json | jq .value.text            what comes from now on, until Ctrl-C

It is in no consumer group, and moves nothing. Of transactions only what is committed is shown.")]
pub(super) struct Args {
    /// The topic
    topic: String,
    /// Show what is there, and end; without it, what comes from now on
    #[arg(long)]
    from_beginning: bool,
    /// With --from-beginning: go on behind the end
    #[arg(short, long, requires = "from_beginning")]
    follow: bool,
    /// End after so many records
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// This partition alone
    #[arg(long, value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,
    /// Show keys too, with this text behind them
    #[arg(long, value_name = "TEXT")]
    key_separator: Option<String>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    kafka: Kafka,
}

pub(super) fn run(args: Args, screen: &Screen, out: &mut dyn Write) -> Result<(), CliError> {
    let span = TopicSpan {
        from_beginning: args.from_beginning,
        follow: args.follow,
        partition: args.partition,
    };
    let opened = TopicReader::open(&args.kafka.settings()?, &args.topic, span);
    let mut topic = opened.map_err(ServerError::from)?;
    let mut shown = 0;
    while !topic.is_done() && args.count.is_none_or(|count| shown < count) {
        match topic.next(WAIT).map_err(ServerError::from)? {
            Some(record) => {
                show(&args, &record, screen, out)?;
                shown += 1;
            }
            None => {
                out.flush()?;
                if !screen.is_read() {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

fn show(args: &Args, record: &TopicRecord, screen: &Screen, out: &mut dyn Write) -> io::Result<()> {
    if args.output.output == Format::Json {
        let line = json!({
            "partition": record.partition,
            "offset": record.offset,
            "time": clock::rfc3339(record.time_ms),
            "key": bytes(record.key.as_deref()),
            "value": bytes(record.value.as_deref()),
        });
        return writeln!(out, "{line}");
    }
    let mut line = Vec::new();
    if let Some(separator) = &args.key_separator {
        line.extend(record.key.iter().flatten());
        line.extend(separator.as_bytes());
    }
    line.extend(record.value.iter().flatten());
    if screen.width.is_some() {
        line = plain(&String::from_utf8_lossy(&line)).into_bytes(); // it is obeyed there
    }
    line.push(b'\n');
    out.write_all(&line)
}

/// As the API shows bytes; null where there are none.
fn bytes(value: Option<&[u8]>) -> Value {
    let Some(value) = value else {
        return Value::Null;
    };
    let text = std::str::from_utf8(value).ok();
    let base64 = text.is_none().then(|| STANDARD.encode(value));
    json!({"text": text, "base64": base64, "bytes": value.len(), "truncated": false})
}
