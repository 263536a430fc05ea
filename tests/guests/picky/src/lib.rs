//! Writes rows that a server may refuse for what is in them. Its variant says where to: `table`, to
//! columns of families that the data names; `plain` and `once`, records as they are, to a topic.

#[path = "../../variant.rs"]
mod variant;

use std::collections::BTreeMap;
use streamhost::{Job, Record, Row, exactly_once, hbase, job, kafka};
use variant::variant;

#[derive(Row)]
struct Word<'a> {
    #[row(key)]
    word: &'a str,
    #[row("f:length")]
    length: u32,
    #[row(dynamic)]
    more: BTreeMap<String, &'a str>,
}

/// `WORD FAMILY`: a row of the word with a cell in the family.
fn word(record: Record<'_>) -> Result<Word<'_>, String> {
    let text = record.text()?;
    let (word, family) = text.split_once(' ').ok_or("there is no family")?;
    Ok(Word {
        word,
        length: word.len() as u32,
        more: [(format!("{family}:q"), word)].into(),
    })
}

/// Reads `picky-in`.
#[job]
pub fn picky() -> Job {
    let records = kafka("picky-in");
    match variant() {
        "table" => records.try_map(word).to(hbase("picky-out")),
        // The table may be away while the topic has its rows.
        "both" => records
            .also(|records| records.to(exactly_once(kafka("picky-topic"))))
            .try_map(word)
            .to(hbase("picky-out")),
        "once" => records.to(exactly_once(kafka("picky-out"))),
        _ => records.to(kafka("picky-out")),
    }
}
