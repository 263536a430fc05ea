//! Leaves out what has come before.

use super::KeyedBy;
use super::process::{Context, Timer};
use crate::cell::Time;
use crate::flow::Flow;
use crate::key::Key;
use crate::limits::STAGE_TIME_MAX;
use crate::stream::Stream;
use crate::value::Value;
use std::time::Duration;

impl<'b, K, F, G> KeyedBy<'b, K, F, G>
where
    F: Flow<'b> + 'b,
{
    /// Gives the first item of each key, and leaves out its repeats: what comes within so long of
    /// the one that was given, by event time, either way. Later ones begin anew. Keys are kept for
    /// as long as that, and no longer.
    ///
    /// First is what comes first, by source, partition and offset; so send what has one key to one
    /// partition. It is a [`process`](KeyedBy::process) with a state and a timer for each key.
    ///
    /// ```
    /// use streamhost::{Job, Time, console, fields, hours, job, kafka, testing};
    ///
    /// /// Orders, of which a producer sends some twice.
    /// #[job]
    /// fn orders() -> Job {
    ///     kafka("orders")
    ///         .try_map(|record| {
    ///             let [id, hour] = fields(record.text()?, ' ')?;
    ///             let hour: i64 = hour.parse().map_err(|e| format!("the hour: {e}"))?;
    ///             Ok::<_, String>((id, Time(hour * 3_600_000)))
    ///         })
    ///         .timed_by(|(_, at)| *at)
    ///         .key_by(|(id, _)| *id)
    ///         .deduplicate(hours(24))
    ///         .map(|(id, at)| format!("{id} of hour {}", at.0 / 3_600_000))
    ///         .to(console())
    /// }
    ///
    /// let mut job = testing::run(orders);
    /// job.send("orders", ["a 0", "b 1", "a 1", "a 24", "b 26", "a 25"]);
    /// assert_eq!(job.rows("console"), ["value=a of hour 0", "value=a of hour 25", "value=b of hour 1", "value=b of hour 26"]);
    /// ```
    pub fn deduplicate(mut self, within: Duration) -> Stream<'b, impl Flow<'b, Item = F::Item>>
    where
        K: Key<'b> + 'b,
        G: Fn(&F::Item) -> K + 'b,
        F::Item: Value<'b> + 'b,
    {
        let name = self.name.get_or_insert_with(|| "deduplicate".into());
        let mistake = (within > STAGE_TIME_MAX).then(|| {
            let days = STAGE_TIME_MAX.as_secs() / (24 * 60 * 60);
            format!("stage `{name}`: repeats are left out for {within:?}, of {days} days at most")
        });
        let mut stream = self
            .process(
                move |_: K, item, given: &mut Option<Time>, ctx: &mut Context<'_, F::Item>| {
                    let at = ctx.event_time();
                    match *given {
                        Some(before) if at >= before - within && at <= before + within => {}
                        // It came late, long after the one that was given: that one still counts.
                        Some(before) if at < before => ctx.emit(item),
                        _ => {
                            *given = Some(at);
                            ctx.timer_at(at + within);
                            ctx.emit(item);
                        }
                    }
                },
            )
            .on_timer(
                move |_: K, _: Timer, given: &mut Option<Time>, _: &mut Context<'_, F::Item>| {
                    *given = None;
                },
            );
        stream.plan.mistakes.extend(mistake);
        stream
    }
}
