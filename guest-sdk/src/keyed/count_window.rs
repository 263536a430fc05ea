//! So many items of a key together.

use super::KeyedBy;
use super::of_values::COLLECT_MAX;
use super::process::Context;
use crate::flow::Flow;
use crate::key::Key;
use crate::stream::Stream;
use crate::value::Value;

impl<'b, K, F, G> KeyedBy<'b, K, F, G>
where
    F: Flow<'b> + 'b,
{
    /// Gives `n` items of a key together as soon as they are there, and begins anew: a window by
    /// count. Fewer than `n` wait for others, also when the sources end.
    ///
    /// Items come in the order of source, partition and offset. Which ones come together follows from
    /// the topic alone if all of a key is in one partition.
    ///
    /// ```
    /// use streamhost::{Job, console, fields, job, kafka, ok, testing};
    ///
    /// /// The largest step between three readings of a sensor.
    /// #[job]
    /// fn steps() -> Job {
    ///     kafka("readings")
    ///         .try_map(|record| {
    ///             let [sensor, value] = fields(record.text()?, ' ')?;
    ///             ok((sensor, value.parse::<i64>()?))
    ///         })
    ///         .key_by(|(sensor, _)| *sensor)
    ///         .count_window(3)
    ///         .map(|(sensor, three)| {
    ///             let steps = three.windows(2).map(|two| (two[1].1 - two[0].1).abs());
    ///             format!("{sensor}: {}", steps.max().unwrap_or_default())
    ///         })
    ///         .to(console())
    /// }
    ///
    /// let mut job = testing::run(steps);
    /// job.send("readings", ["a 1", "a 5", "b 0", "a 2", "a 9"]);
    /// assert_eq!(job.rows("console"), ["value=a: 4"]);
    /// job.send("readings", ["a 9", "b 7", "b 7", "a 1"]);
    /// assert_eq!(job.rows("console"), ["value=a: 8", "value=b: 7"]);
    /// ```
    ///
    /// It is a [`process`](KeyedBy::process) that keeps the items that wait; up to 10,000 may.
    pub fn count_window(
        mut self,
        n: usize,
    ) -> Stream<'b, impl Flow<'b, Item = (K, Vec<F::Item>)> + use<'b, K, F, G>>
    where
        K: Key<'b> + 'b,
        G: Fn(&F::Item) -> K + 'b,
        F::Item: Value<'b> + 'b,
    {
        let name = self.name.get_or_insert_with(|| "count-window".into());
        let fits = (1..=COLLECT_MAX).contains(&n);
        let mistake = (!fits)
            .then(|| format!("stage `{name}`: a window has 1 to {COLLECT_MAX} items, not {n}"));
        let mut stream = self.process(
            move |key: K,
                  item,
                  waiting: &mut Option<Vec<F::Item>>,
                  ctx: &mut Context<'_, (K, Vec<F::Item>)>| {
                let mut items = waiting.take().unwrap_or_default();
                items.push(item);
                match items.len() < n {
                    true => *waiting = Some(items),
                    false => ctx.emit((key, items)),
                }
            },
        );
        stream.plan.mistakes.extend(mistake);
        stream
    }
}
