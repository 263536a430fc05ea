//! The ten most popular hashtags of the last five minutes, anew for every minute.

use streamhost::{Job, Ranked, Row, Time, hbase, hopping, job, kafka, minutes};

/// One place in the ranking of one window.
#[derive(Row)]
#[row(separator = "#")]
struct Trend<'a> {
    #[row(key)]
    until: Time,
    #[row(key)]
    rank: String, // of two digits, so that the rows stand in their order
    #[row("trend:tag")]
    tag: &'a str,
    #[row("trend:count")]
    count: u64,
    #[row("trend:from")]
    from: Time,
}

impl<'a> Trend<'a> {
    fn of(ranked: Ranked<&'a str, u64>) -> Self {
        Trend {
            until: ranked.window.end,
            rank: format!("{:02}", ranked.rank),
            tag: ranked.key,
            count: ranked.value,
            from: ranked.window.start,
        }
    }
}

/// `#rust` of `#rust,`; none of `rust`, and none of a lone `#`.
fn tag(word: &str) -> Option<&str> {
    let tag = word.trim_end_matches(['.', ',', ':', ';', '!', '?']);
    (tag.len() > 1 && tag.starts_with('#')).then_some(tag)
}

/// A post's time is its record's own; the windows are over when every partition has gone past them.
#[job]
pub fn hashtags() -> Job {
    kafka("posts")
        .try_map(|post| post.text())
        .flat_map(|text| text.split_whitespace().filter_map(tag))
        .key_by(|tag| *tag)
        .window(hopping(minutes(5), minutes(1)))
        .count()
        .top(10)
        .map(Trend::of)
        .to(hbase("trending"))
}
