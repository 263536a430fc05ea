//! Shopping carts that are left: whoever has put something in and then does nothing for ten minutes
//! is to be reminded of what is there.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;
use streamhost::{Context, Job, Json, Record, Row, Time, Timer, hbase, job, kafka, minutes};

/// Whoever does nothing for so long has left.
const PAUSE: Duration = minutes(10);
/// Different things in one cart.
const THINGS_MAX: usize = 1_000;

/// What a user did; other fields may be there.
#[derive(Serialize, Deserialize)]
struct Click<'a> {
    /// Borrowed, but for text that JSON escapes, as in `Zo\u00eb`.
    #[serde(borrow)]
    user: Cow<'a, str>,
    /// Milliseconds since 1970.
    time: i64,
    did: Did,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Did {
    Add(String),
    Remove(String),
    Look,
    Pay,
}

impl<'a> Click<'a> {
    fn parse(record: Record<'a>) -> Result<Self, String> {
        let click: Click<'a> = record.json()?;
        match &*click.user {
            "" => Err("the user has no name".into()),
            name if name.contains('#') => Err(format!(
                "the user `{name}` has a `#`, which ends it in the row's key"
            )),
            _ => Ok(click),
        }
    }
}

/// What is in a user's cart, and when the user counts as gone.
#[derive(Default, Serialize, Deserialize)]
struct Cart {
    things: BTreeMap<String, u64>,
    gone_at: Option<Time>,
}

impl Cart {
    /// `Err` changes nothing.
    fn take(&mut self, did: Did) -> Result<(), String> {
        match did {
            Did::Add(thing)
                if self.things.len() >= THINGS_MAX && !self.things.contains_key(&thing) =>
            {
                return Err(format!(
                    "the cart has {THINGS_MAX} things, and `{thing}` is one more"
                ));
            }
            Did::Add(thing) => *self.things.entry(thing).or_default() += 1,
            Did::Remove(thing) => match self.things.get_mut(&thing) {
                None => return Err(format!("there is no `{thing}` in the cart")),
                Some(1) => _ = self.things.remove(&thing),
                Some(count) => *count -= 1,
            },
            Did::Pay => self.things.clear(),
            Did::Look => {}
        }
        Ok(())
    }
}

/// A cart that was left.
#[derive(Row)]
#[row(separator = "#")]
struct Left<'a> {
    #[row(key)]
    user: Cow<'a, str>,
    /// Since when nothing was done.
    #[row(key)]
    since: Time,
    #[row("cart:things")]
    things: Json<BTreeMap<String, u64>>,
}

fn clicked(
    _user: Cow<'_, str>,
    click: Click<'_>,
    kept: &mut Option<Cart>,
    ctx: &mut Context<'_, Left<'_>>,
) -> Result<(), String> {
    let mut cart = kept.take().unwrap_or_default();
    let taken = cart.take(click.did);
    if let Some(gone_at) = cart.gone_at.take() {
        ctx.delete_timer(gone_at);
    }
    if !cart.things.is_empty() {
        let gone_at = ctx.event_time() + PAUSE;
        ctx.timer_at(gone_at);
        cart.gone_at = Some(gone_at);
        *kept = Some(cart);
    }
    taken
}

/// A row for each cart that was left, with what was in it then. What is added later begins another
/// pause, of the same cart.
#[job]
pub fn carts() -> Job {
    kafka("clicks")
        .try_map(Click::parse)
        .timed_by(|click| Time(click.time))
        .key_by(|click| click.user.clone())
        .named("carts")
        .process(clicked)
        .on_timer(|user, timer: Timer, kept, ctx| {
            if let Some(cart) = kept {
                cart.gone_at = None;
                ctx.emit(Left {
                    user,
                    since: timer.at - PAUSE,
                    things: Json(cart.things.clone()),
                });
            }
        })
        .to(hbase("carts"))
}
