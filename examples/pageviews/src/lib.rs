//! Page views of each site, counted every second; and the events themselves, saved as they came.

use serde::Deserialize;
use std::borrow::Cow;
use streamhost::{Group, Job, Record, Row, Time, exactly_once, hbase, job, kafka, seconds};

/// What is taken from an event; other fields may be there.
#[derive(Deserialize)]
struct View<'a> {
    /// Borrowed, but for text that JSON escapes, as in `caf\u00e9`.
    #[serde(borrow)]
    site_id: Cow<'a, str>,
}

impl<'a> View<'a> {
    fn parse(record: Record<'a>) -> Result<Self, String> {
        let view: View<'a> = record.json()?;
        match &*view.site_id {
            "" => Err("the site's id is empty".into()),
            id if id.contains('#') => Err(format!(
                "the site's id `{id}` holds a `#`, which ends it in the row's key"
            )),
            _ => Ok(view),
        }
    }
}

/// One site in one batch.
#[derive(Row)]
#[row(separator = "#")]
struct SiteViews<'a> {
    #[row(key)]
    site: Cow<'a, str>,
    #[row(key)]
    batch: Time,
    #[row("v:site_id")]
    site_id: Cow<'a, str>,
    #[row("v:time")]
    time: Time,
    #[row("v:pageviews")]
    pageviews: u64,
}

impl<'a> SiteViews<'a> {
    fn of(group: Group<Cow<'a, str>, u64>) -> Self {
        let (site, batch) = (group.key, group.batch);
        SiteViews {
            site: site.clone(),
            batch,
            site_id: site,
            time: batch,
            pageviews: group.value,
        }
    }
}

/// Every second: a row for each site that was viewed.
#[job]
pub fn pageviews() -> Job {
    kafka("pageviews")
        .every(seconds(1))
        .also(|events| events.to(exactly_once(kafka("pageviews-raw"))))
        .try_map(View::parse)
        .key_by(|view| view.site_id.clone())
        .each_batch()
        .count()
        .map(SiteViews::of)
        .to(hbase("pageviews"))
}
