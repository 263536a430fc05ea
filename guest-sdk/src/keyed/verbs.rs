//! Verbs that reduce one value of each item, and the one that has several made at once.

use super::aggregate::{All, Each};
use super::groups::Grouped;
use super::number::{Comparable, Number};
use super::of_values::{ApproxDistinct, Avg, By, Collect, Endmost, Percentiles};
use super::reduce::{Merge, Reduction};
use super::scoped::Scoped;
use crate::flow::Flow;
use crate::key::Key;
use crate::stream::Stream;
use crate::value::Value;

/// What follows a reduction of one value of each item.
type Reduced<'b, K, F, V, A, S> = Stream<'b, Grouped<'b, K, By<F, V, A>, S>>;

impl<'b, K, F, G, S> Scoped<'b, K, F, G, S>
where
    F: Flow<'b> + 'b,
{
    /// Several at once, in one stage: the closure gives a tuple of one to twelve of what
    /// [`Each`] can make of the items, and a group's value is a tuple of what they came to.
    ///
    /// ```
    /// use streamhost::{Job, Record, console, fields, job, kafka, minutes, testing, tumbling};
    ///
    /// struct Sale<'a> { shop: &'a str, item: &'a str, cents: u64 }
    ///
    /// fn parse(record: Record<'_>) -> Result<Sale<'_>, String> {
    ///     let [shop, item, cents] = fields(record.text()?, ',')?;
    ///     Ok(Sale { shop, item, cents: cents.parse().map_err(|e| format!("cents: {e}"))? })
    /// }
    ///
    /// #[job]
    /// fn sales() -> Job {
    ///     kafka("sales")
    ///         .try_map(parse)
    ///         .key_by(|sale| sale.shop)
    ///         .window(tumbling(minutes(1)))
    ///         .aggregate(|each| (
    ///             each.count(),
    ///             each.count_if(|sale| sale.cents >= 500),
    ///             each.sum(|sale| sale.cents),
    ///             each.avg(|sale| sale.cents),
    ///             each.max(|sale| (sale.cents, sale.item)),
    ///             each.last(|sale| sale.item),
    ///         ))
    ///         .map(|sales| {
    ///             let (count, large, sum, mean, (_, dearest), last) = sales.value;
    ///             format!("{}: {count} sales, {large} large, {sum} in all, {mean} each; {dearest}, {last}", sales.key)
    ///         })
    ///         .to(console())
    /// }
    ///
    /// let mut job = testing::run(sales);
    /// job.send("sales", ["a,tea,250", "a,pot,900", "a,cup,350"]).end();
    /// assert_eq!(job.rows("console"), ["value=a: 3 sales, 1 large, 1500 in all, 500 each; pot, tea"]);
    /// ```
    ///
    /// In the example all sales are of one moment, so that the largest text is the last one.
    pub fn aggregate<W, A>(self, with: W) -> Stream<'b, Grouped<'b, K, All<A>, S>>
    where
        K: Key<'b> + 'b,
        G: Fn(&F::Item) -> K + 'b,
        W: FnOnce(Each<F::Item>) -> A,
        A: 'b,
        All<A>: Reduction<F::Item>,
        <All<A> as Merge>::Acc: Value<'b>,
    {
        self.reduction("aggregate", All(with(Each::new())))
    }

    /// The mean of a number of each item, as an `f64`. Numbers are added up as by
    /// [`sum`](Scoped::sum), and divided once.
    pub fn avg<N, H>(self, number: H) -> Reduced<'b, K, H, N, Avg<N>, S>
    where
        K: Key<'b> + 'b,
        G: Fn(&F::Item) -> K + 'b,
        N: Number + 'b,
        H: Fn(F::Item) -> N + 'b,
    {
        self.reduction("avg", By::new(number, Avg::new()))
    }

    /// The value of the earliest item, by event time; of those of one moment the least value. So it
    /// does not depend on which partition came first.
    pub fn first<V, H>(self, value: H) -> Reduced<'b, K, H, V, Endmost<V>, S>
    where
        K: Key<'b> + 'b,
        G: Fn(&F::Item) -> K + 'b,
        V: Comparable + Value<'b> + 'b,
        H: Fn(F::Item) -> V + 'b,
    {
        self.reduction("first", By::new(value, Endmost::first()))
    }

    /// The value of the latest item, by event time; of those of one moment the largest value. So it
    /// does not depend on which partition came last.
    pub fn last<V, H>(self, value: H) -> Reduced<'b, K, H, V, Endmost<V>, S>
    where
        K: Key<'b> + 'b,
        G: Fn(&F::Item) -> K + 'b,
        V: Comparable + Value<'b> + 'b,
        H: Fn(F::Item) -> V + 'b,
    {
        self.reduction("last", By::new(value, Endmost::last()))
    }

    /// The values of the `n` earliest items, by event time; of those of one moment the least
    /// values. They are a `Vec` in that order. 10,000 of them at most.
    pub fn collect<V, H>(self, n: usize, value: H) -> Reduced<'b, K, H, V, Collect<V>, S>
    where
        K: Key<'b> + 'b,
        G: Fn(&F::Item) -> K + 'b,
        V: Comparable + Value<'b> + 'b,
        H: Fn(F::Item) -> V + 'b,
    {
        self.reduction("collect", By::new(value, Collect::new(n)))
    }

    /// About how many different values there are, in 4 KiB a key however many they are: up to 512
    /// exactly, and beyond it with an error of 1.6 % (one standard deviation; HyperLogLog).
    ///
    /// Where the number must be exact, and memory grows with it, write `.key_by(…)` with the value
    /// in the key, `.distinct()`, and count the keys behind it.
    ///
    /// ```
    /// use streamhost::{Job, console, fields, job, kafka, minutes, testing, tumbling};
    ///
    /// #[job]
    /// fn visitors() -> Job {
    ///     kafka("visits")
    ///         .try_map(|record| fields::<2>(record.text()?, ',').map_err(String::from))
    ///         .key_by(|[page, _]| *page)
    ///         .window(tumbling(minutes(5)))
    ///         .approx_distinct(|[_, user]| user)
    ///         .to(console())
    /// }
    ///
    /// let mut job = testing::run(visitors);
    /// job.send("visits", ["/,ann", "/,bob", "/,ann"]).end();
    /// assert_eq!(job.rows("console"), ["key=/ value=2"]);
    /// ```
    pub fn approx_distinct<V, H>(self, value: H) -> Reduced<'b, K, H, V, ApproxDistinct, S>
    where
        K: Key<'b> + 'b,
        G: Fn(&F::Item) -> K + 'b,
        V: Key<'b> + 'b,
        H: Fn(F::Item) -> V + 'b,
    {
        self.reduction("approx-distinct", By::new(value, ApproxDistinct))
    }

    /// Numbers below which so many of a hundred of the items' numbers are: `percentiles([50.0,
    /// 99.0], …)` gives the median and the 99th percentile, each within 1 % of a number that is one
    /// (DDSketch). 0 is the least number and 100 the largest one, and these are exact.
    ///
    /// Numbers nearer to 0 than 10^-9 count as 0, and those that are not finite are left out; of
    /// those alone percentiles are NaN. A key takes 40 KiB at most, and usually less than 1 KiB.
    ///
    /// ```
    /// use streamhost::{Job, console, fields, job, kafka, minutes, testing, tumbling};
    ///
    /// #[job]
    /// fn latencies() -> Job {
    ///     kafka("calls")
    ///         .try_map(|record| {
    ///             let [route, ms] = fields(record.text()?, ',')?;
    ///             Ok::<_, String>((route, ms.parse::<f64>().map_err(|e| format!("ms: {e}"))?))
    ///         })
    ///         .key_by(|(route, _)| *route)
    ///         .window(tumbling(minutes(1)))
    ///         .percentiles([50.0, 100.0], |(_, ms)| ms)
    ///         .map(|call| format!("{} {:.1} {}", call.key, call.value[0], call.value[1]))
    ///         .to(console())
    /// }
    ///
    /// let mut job = testing::run(latencies);
    /// job.send("calls", ["/,5", "/,100", "/,6"]).end();
    /// assert_eq!(job.rows("console"), ["value=/ 6.0 100"]);
    /// ```
    pub fn percentiles<const P: usize, N, H>(
        self,
        of_hundred: [f64; P],
        number: H,
    ) -> Reduced<'b, K, H, N, Percentiles<P>, S>
    where
        K: Key<'b> + 'b,
        G: Fn(&F::Item) -> K + 'b,
        N: Number + 'b,
        H: Fn(F::Item) -> N + 'b,
    {
        self.reduction("percentiles", By::new(number, Percentiles(of_hundred)))
    }
}
