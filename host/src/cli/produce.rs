//! `produce`: puts lines into a topic.

use super::CliError;
use super::output::{count, plain};
use super::servers::{Kafka, ServerError};
use std::io::{BufRead, IsTerminal, Read, Write};
use streamhost_connectors::kafka::topics::TopicWriter;
use streamhost_core::limits;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  streamhost produce visits < input.txt                    a line is a record's value
  streamhost produce prices --key-separator : < prices.txt     what stands before the first `:` is its key
  streamhost produce visits --create --config streamhost.toml < input.txt")]
pub(super) struct Args {
    /// The topic
    topic: String,
    /// What stands between key and value in each line; without it records have no key
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    key_separator: Option<String>,
    /// Create the topic if it is missing
    #[arg(long)]
    create: bool,
    #[command(flatten)]
    kafka: Kafka,
}

pub(super) fn run(
    args: Args,
    lines: &mut dyn BufRead,
    err: &mut dyn Write,
) -> Result<(), CliError> {
    let settings = args.kafka.settings()?;
    let opened = TopicWriter::open(&settings, &args.topic, args.create);
    let mut topic = opened.map_err(|error| match ServerError::from(error) {
        ServerError::Refused(words) if words.contains("there is no such topic") => {
            ServerError::NoTopic {
                topic: plain(&args.topic),
            }
        }
        other => other,
    })?;
    if std::io::stdin().is_terminal() {
        writeln!(err, "type a line for each record, and Ctrl-D at the end")?;
    }
    let separator = args.key_separator.as_deref().map(str::as_bytes);
    let mut sent = 0;
    let mut line = Vec::new();
    let ended = loop {
        match read_line(lines, &mut line, separator) {
            Ok(None) => break Ok(()),
            Ok(Some((key, value))) => topic.send(key, Some(value)).map_err(ServerError::from)?,
            Err(reason) => break Err(reason),
        }
        sent += 1;
    };
    topic.settle().map_err(ServerError::from)?;
    ended.map_err(|reason| ServerError::Line {
        line: sent + 1,
        reason,
    })?;
    let records = count(sent, "record is", "records are");
    Ok(writeln!(
        err,
        "{records} in topic `{}`",
        plain(&args.topic)
    )?)
}

/// A record's key, if it has one, and its value.
type KeyValue<'l> = (Option<&'l [u8]>, &'l [u8]);

/// The next line as a record; none at the end. `Err` says why it is none.
fn read_line<'l>(
    lines: &mut dyn BufRead,
    line: &'l mut Vec<u8>,
    separator: Option<&[u8]>,
) -> Result<Option<KeyValue<'l>>, String> {
    line.clear();
    let most = limits::PRODUCE_LINE_BYTES_MAX;
    let read = lines.take(most as u64 + 1).read_until(b'\n', line);
    if read.map_err(|e| format!("it cannot be read: {e}"))? == 0 {
        return Ok(None);
    }
    if line.len() > most {
        let most = bytesize::ByteSize(most as u64).display().iec();
        return Err(format!("it is longer than {most}"));
    }
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let Some(separator) = separator else {
        return Ok(Some((None, text)));
    };
    let at = text
        .windows(separator.len())
        .position(|window| window == separator);
    let at = at.ok_or_else(|| {
        let separator = String::from_utf8_lossy(separator);
        format!("`{separator}` is missing in it, which stands between key and value")
    })?;
    let value = &text[at + separator.len()..];
    Ok(Some((Some(&text[..at]), value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mut text: &[u8], separator: Option<&str>) -> Vec<String> {
        let (mut found, mut line) = (Vec::new(), Vec::new());
        loop {
            match read_line(&mut text, &mut line, separator.map(str::as_bytes)) {
                Ok(None) => return found,
                Ok(Some((key, value))) => {
                    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
                    let key = key.map_or("-".to_owned(), text);
                    found.push(format!("{key} {}", text(value)));
                }
                Err(reason) => {
                    found.push(reason);
                    return found;
                }
            }
        }
    }

    #[test]
    fn lines_are_records() {
        assert_eq!(read(b"a\r\nb:c\n\nd", None), ["- a", "- b:c", "- ", "- d"]);
        assert_eq!(read(b"k::v:w\n::\n", Some("::")), ["k v:w", " "]);
        let missing = "`:` is missing in it, which stands between key and value";
        assert_eq!(read(b"k:v\nno\n", Some(":")), ["k v", missing]);
        let long = vec![b'x'; limits::PRODUCE_LINE_BYTES_MAX + 1];
        assert_eq!(read(&long, None), ["it is longer than 16.0 MiB"]);
    }
}
