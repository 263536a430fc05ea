//! Clicks from a topic to a table of MySQL or MariaDB: one line of six fields in, one row out.

use streamhost::{Job, Record, Row, fields, job, kafka, mysql, seconds};

#[derive(Row)]
struct Click<'a> {
    #[row(key)]
    id: &'a str,
    student: &'a str,
    url: &'a str,
    clicked: &'a str,
    item: &'a str,
    quantity: u64,
}

impl<'a> Click<'a> {
    fn parse(record: Record<'a>) -> Result<Self, String> {
        let [id, student, url, clicked, item, quantity] = fields(record.text()?, ',')?;
        if id.is_empty() {
            return Err("the click's id is empty".into());
        }
        Ok(Click {
            id,
            student,
            url,
            clicked,
            item,
            quantity: whole_number(quantity)?,
        })
    }
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

/// Every ten seconds: the clicks that bought something, each exactly once. The others are dropped.
#[job]
pub fn clicks_mysql() -> Job {
    kafka("clicks")
        .every(seconds(10))
        .try_map(Click::parse) // an Err goes to the dead letters, with its reason
        .filter(|click| click.quantity > 0)
        .to(mysql("clicks"))
}
