//! The average power of solar panels by site, in windows of ten minutes: readings, and a table that
//! says where each panel is.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use streamhost::{
    Group, Job, Record, Row, Time, exactly_once, hbase, job, kafka, minutes, tumbling,
};

/// Above this no panel, and no roof of them, gives anything.
const WATTS_MAX: f64 = 1_000_000.0;

/// A reading as it is sent; other fields may be there.
#[derive(Deserialize)]
struct Sent<'a> {
    /// Borrowed, but for text that JSON escapes, as in `caf\u00e9`.
    #[serde(borrow)]
    panel_id: Cow<'a, str>,
    /// Milliseconds since 1970.
    time: i64,
    /// Watts.
    power: f64,
}

/// A reading. As a row, which the late ones become, it is what was sent.
#[derive(Row)]
struct Reading<'a> {
    #[row(key)]
    panel: Cow<'a, str>,
    #[row(skip)]
    time: Time,
    // A whole number, as sums of these are the same in any order; sums of floats are not.
    #[row(skip)]
    milliwatts: u64,
    #[row(value)]
    json: &'a str,
}

impl<'a> Reading<'a> {
    fn parse(record: Record<'a>) -> Result<Self, String> {
        let Sent {
            panel_id,
            time,
            power,
        } = record.json()?;
        if panel_id.is_empty() {
            return Err("the panel's id is empty".into());
        }
        if !(0.0..=WATTS_MAX).contains(&power) {
            return Err(format!("no panel gives {power} W"));
        }
        let milliwatts = (power * 1000.0).round() as u64;
        Ok(Reading {
            panel: panel_id,
            time: Time(time),
            milliwatts,
            json: record.text()?,
        })
    }
}

/// Where a panel is: the record's key is the panel's id, its value the site's name.
#[derive(Serialize, Deserialize)]
struct Panel<'a> {
    id: &'a str,
    site: &'a str,
}

impl<'a> Panel<'a> {
    fn parse(record: Record<'a>) -> Result<Self, String> {
        let (id, site) = (record.key_text()?, record.text()?);
        if id.is_empty() || site.is_empty() || site.contains('#') {
            return Err(format!(
                "a panel has an id and a site without `#`, not `{id}` and `{site}`"
            ));
        }
        Ok(Panel { id, site })
    }
}

/// What some readings come to.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Power {
    readings: u64,
    milliwatts: u64,
}

impl Power {
    fn merge(&mut self, other: Power) {
        self.readings += other.readings;
        self.milliwatts += other.milliwatts;
    }

    fn average_watts(self) -> f64 {
        self.milliwatts as f64 / 1000.0 / self.readings as f64
    }
}

/// One panel in one window.
#[derive(Serialize, Deserialize)]
struct PanelPower<'a> {
    #[serde(borrow)]
    panel: Cow<'a, str>,
    from: Time,
    until: Time,
    power: Power,
}

impl<'a> PanelPower<'a> {
    fn of(group: Group<Cow<'a, str>, Power>) -> Self {
        PanelPower {
            panel: group.key,
            from: group.window.start,
            until: group.window.end,
            power: group.value,
        }
    }
}

/// One site in one window.
#[derive(Row)]
#[row(separator = "#")]
struct SitePower<'a> {
    #[row(key)]
    site: &'a str,
    #[row(key)]
    from: Time,
    #[row("power:average")]
    average_watts: f64,
    #[row("power:readings")]
    readings: u64,
    #[row("power:until")]
    until: Time,
}

/// A window's panels all come in one batch, so that a site's sum over them is whole in that batch.
#[job]
pub fn sensors() -> Job {
    let panels = kafka("panels")
        .try_map(Panel::parse)
        .key_by(|panel| Cow::Borrowed(panel.id));
    kafka("readings")
        .try_map(Reading::parse)
        .timed_by(|reading| reading.time)
        .key_by(|reading| reading.panel.clone())
        .named("panel-power")
        .window(tumbling(minutes(10)).watermark(minutes(5)))
        .late_to(exactly_once(kafka("readings-late")))
        .fold(
            Power::default,
            |sum, reading| {
                sum.merge(Power {
                    readings: 1,
                    milliwatts: reading.milliwatts,
                })
            },
            Power::merge,
        )
        .map(PanelPower::of)
        .key_by(|panel| panel.panel.clone())
        .named("sites")
        .lookup(panels, |power, panel| {
            (panel.map_or("unknown", |panel| panel.site), power)
        })
        .key_by(|(site, power)| (*site, power.from, power.until))
        .named("site-power")
        .each_batch()
        .fold(
            Power::default,
            |sum, (_, panel)| sum.merge(panel.power),
            Power::merge,
        )
        .map(|group| {
            let ((site, from, until), power) = (group.key, group.value);
            SitePower {
                site,
                from,
                average_watts: power.average_watts(),
                readings: power.readings,
                until,
            }
        })
        .to(hbase("power"))
}
