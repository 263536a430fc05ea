//! The next version of the job `clicks`: it also writes the host of each click's URL.

use streamhost::{Job, Record, Row, fields, hbase, job, kafka, seconds};

#[derive(Row, Clone)]
struct Click<'a> {
    #[row(key)]
    id: &'a str,
    #[row("clickinfo:studentid")]
    student: &'a str,
    #[row("clickinfo:url")]
    url: &'a str,
    #[row("clickinfo:domain")]
    domain: Option<&'a str>, // None: no cell
    #[row("clickinfo:time")]
    time: &'a str,
    #[row("iteminfo:itemtype")]
    item: &'a str,
    #[row("iteminfo:quantity")]
    quantity: u64,
}

impl<'a> Click<'a> {
    fn parse(record: Record<'a>) -> Result<Self, String> {
        let [id, student, url, time, item, quantity] = fields(record.text()?, ',')?;
        if id.is_empty() {
            return Err("the click's id is empty".into());
        }
        Ok(Click {
            id,
            student,
            url,
            domain: domain(url),
            time,
            item,
            quantity: whole_number(quantity)?,
        })
    }
}

/// `example.org` of `http://example.org:80/books`.
fn domain(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let host = rest.split(['/', '?', '#', ':']).next()?;
    (!host.is_empty()).then_some(host)
}

/// Digits alone: `parse` by itself would take `+1` as well.
fn whole_number(text: &str) -> Result<u64, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits { text.parse().ok() } else { None };
    number.ok_or_else(|| {
        format!(
            "the quantity `{text}` is not a whole number from 0 to {}",
            u64::MAX
        )
    })
}

/// The name makes it a version of the same job, so that it takes over between two batches.
#[job]
pub fn clicks() -> Job {
    kafka("clicks")
        .every(seconds(10))
        .try_map(Click::parse) // an Err goes to the dead letters, with its reason
        .filter(|click| click.quantity > 0)
        .to(hbase("clicks"))
}
